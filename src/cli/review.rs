//! The command line of `review`.

use clap::{Args, Subcommand};

use super::words::words;
use crate::evidence::review::plan::SplitBy;

/// Run an access review: write sheets, count decisions, collect evidence
#[derive(Args, Debug)]
#[command(after_help = "\
A review has five steps: `review start` writes a sheet with one row for each membership,
reviewers record their decisions in it, `revoke --from` removes the memberships that they
marked revoke, sync takes another snapshot, and `review close` compares the decisions
with it. docs/access-review.md describes each step.

Examples:
  Write a sheet for the sample org, and check its progress:
    okta-ciam demo
    okta-ciam review start -f demo.c1z -o review.xlsx --privileged admin
    okta-ciam review status review.xlsx || true")]
pub struct ReviewArgs {
    #[command(subcommand)]
    #[allow(missing_docs, reason = "the commands say it")]
    pub step: ReviewStep,
}

/// A step of a review.
#[derive(Debug, Subcommand)]
#[allow(missing_docs, reason = "the commands' own texts say it")]
pub enum ReviewStep {
    Start(Box<ReviewStartArgs>),
    Status(ReviewStatusArgs),
    Close(Box<ReviewCloseArgs>),
}

/// Write a sheet with one row for each membership
#[derive(Args, Debug, Default)]
#[command(after_help = "\
Rows for privileged groups come first, then rows with flags. Each flag is the name of a
check that found something (see okta-ciam findings --list). Reviewers fill in the columns
reviewer, decision (approve, revoke, modify or investigate), comment and decided_at. They
may sort and filter rows, hide and add columns, and save the sheet as XLSX or CSV; they
must not delete rows. The Everyone group is left out unless you pass --include-everyone.
review start never replaces an existing file, since that file may contain decisions.

Examples:
  Write an Excel workbook in which groups with admin in their names come first:
    okta-ciam demo
    okta-ciam review start -f demo.c1z -o review.xlsx --privileged admin

  Write one CSV file for each manager:
    okta-ciam review start -f demo.c1z -o by-manager.csv --split-by manager

  Review only what is flagged, and add a profile attribute to the sheet:
    okta-ciam review start -f demo.c1z -o flagged.csv --only-flagged \\
      --attribute costCenter")]
pub struct ReviewStartArgs {
    /// Read this snapshot [env: BATON_FILE] [default: sync.c1z]
    #[arg(short, long, value_name = "FILE", env = "BATON_FILE")]
    pub file: Option<String>,
    /// Write this .csv or .xlsx file [required]
    #[arg(short, long = "to", value_name = "SHEET")]
    pub out: Option<String>,
    /// Treat groups whose name contains this text, ignoring case, as privileged; can be repeated
    #[arg(long, value_name = "TEXT")]
    pub privileged: Vec<String>,
    /// Flag users as dormant after this many days without a sign-in [default: 90]
    #[arg(long, value_name = "DAYS")]
    pub dormant_days: Option<String>,
    /// Leave out rows without flags
    #[arg(long)]
    pub only_flagged: bool,
    /// Leave out memberships that are in this older snapshot
    #[arg(long, value_name = "FILE")]
    pub changed_since: Option<String>,
    /// Show the decisions of this earlier sheet in separate columns; can be repeated
    #[arg(long, value_name = "SHEET")]
    pub previous: Vec<String>,
    /// Write one file for each group, department or manager
    #[arg(long, value_name = "FIELD", value_parser = words::<SplitBy>())]
    pub split_by: Option<String>,
    /// Add a column with this user profile attribute; can be repeated
    #[arg(long, value_name = "NAME")]
    pub attribute: Vec<String>,
    /// Include the memberships in the Everyone group
    #[arg(long)]
    pub include_everyone: bool,
}

/// Count the decisions in review sheets
#[derive(Args, Debug, Default)]
#[command(after_help = "\
review status exits with 1 if any row is missing or has no final decision (approve or
revoke).

Examples:
  Count the decisions in a new sheet, which has none yet:
    okta-ciam demo
    okta-ciam review start -f demo.c1z -o review.csv
    okta-ciam review status review.csv || true")]
pub struct ReviewStatusArgs {
    /// Read these sheets, as CSV or XLSX
    #[arg(value_name = "SHEET", required = true)]
    pub sheets: Vec<String>,
}

/// Compare the decisions with a later snapshot, and write the evidence
#[derive(Args, Debug, Default)]
#[command(after_help = "\
Each row gets a verdict: kept, removed, not_remediated (marked revoke, but still
present), unexplained_removal, undecided, self_review or unknown; a new membership that
nobody reviewed is an unexplained_grant. The folder contains the scope, the memberships
before and after, the decisions, the changes, the verdicts, the sheets, a report, manifest.json
and SHA256SUMS. close exits with 1 if a membership is not_remediated, unexplained_* or
undecided, and refuses sheets with missing rows, or with changes in the columns that
identify a row.

Examples:
  Set the org once with variables, and run a complete review; reviewers edit
  review.csv before the revoke command runs:
    export BATON_DOMAIN=company.okta.com
    export BATON_API_TOKEN_FILE=token.txt
    export BATON_EMAIL_DOMAINS=example.com
    okta-ciam sync -f before.c1z
    okta-ciam review start -f before.c1z -o review.csv
    okta-ciam revoke --from review.csv --provisioning --audit-log changes.jsonl
    okta-ciam sync -f after.c1z
    okta-ciam review close --sheet review.csv --before before.c1z \\
      --after after.c1z --audit-log changes.jsonl -o evidence || true")]
pub struct ReviewCloseArgs {
    /// Read this sheet; can be repeated [required]
    #[arg(long, value_name = "SHEET")]
    pub sheet: Vec<String>,
    /// Read the snapshot that the sheets were made from [required]
    #[arg(long, value_name = "FILE")]
    pub before: Option<String>,
    /// Read the snapshot that was taken after the changes [required]
    #[arg(long, value_name = "FILE")]
    pub after: Option<String>,
    /// Write the evidence to this folder, which must not exist yet [required]
    #[arg(short, long = "to", value_name = "FOLDER")]
    pub out: Option<String>,
    /// Include the changes recorded in this audit log by okta-ciam revoke; can be repeated
    #[arg(long, value_name = "FILE")]
    pub audit_log: Vec<String>,
}
