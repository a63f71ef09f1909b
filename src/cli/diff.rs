//! The command line of `diff`.

use clap::Args;

use super::words::words;
use crate::evidence::diff::render::DiffFormat;
use crate::evidence::diff::{ChangeKind, Table};

/// Compare two snapshots
#[derive(Args, Debug, Default)]
#[command(after_help = "\
diff compares users, groups and memberships by id. It reads .c1z and plain SQLite
files, including those written by ConductorOne's Go connectors. FILE#SYNC_ID selects one
sync in a file that contains several.

A membership that one of the two syncs could not read is unknown. The exit code is
0 if nothing differs, 1 if something differs, and 2 after an error.

Examples:
  Take two snapshots, and compare them:
    export BATON_DOMAIN=company.okta.com
    export BATON_API_TOKEN_FILE=token.txt
    export BATON_EMAIL_DOMAINS=example.com
    okta-ciam sync -f monday.c1z
    okta-ciam sync -f friday.c1z
    okta-ciam diff monday.c1z friday.c1z

  Show only the memberships that were added or removed, as CSV:
    okta-ciam diff monday.c1z friday.c1z --only memberships \\
      --change added,removed --format csv

  Print Markdown for a pull request, and exit with 0 even if something differs:
    okta-ciam diff monday.c1z friday.c1z --format markdown --exit-zero")]
pub struct DiffArgs {
    /// The earlier snapshot
    #[arg(value_name = "OLD")]
    pub old: String,
    /// The later snapshot
    #[arg(value_name = "NEW")]
    pub new: String,
    /// Compare only these tables: users, groups, memberships
    #[arg(long, value_name = "TABLES", value_delimiter = ',', value_parser = words::<Table>())]
    pub only: Vec<String>,
    /// Report only these kinds of change: added, removed, changed, unknown
    #[arg(long, value_name = "KINDS", value_delimiter = ',', value_parser = words::<ChangeKind>())]
    pub change: Vec<String>,
    /// Report only this user and their memberships; can be repeated
    #[arg(long, value_name = "USER")]
    pub user: Vec<String>,
    /// Report only this group and its memberships; can be repeated
    #[arg(long, value_name = "GROUP")]
    pub group: Vec<String>,
    /// Also compare last sign-in times and member counts
    #[arg(long)]
    pub all_fields: bool,
    /// Do not compare these columns or attributes, such as status, groups.type or profile.title
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    pub ignore: Vec<String>,
    /// Compare snapshots of different orgs
    #[arg(long)]
    pub allow_different_org: bool,
    /// Override --output: print text, json, csv or markdown [default: same as --output]
    #[arg(long, value_name = "FORMAT", help_heading = "Output", value_parser = words::<DiffFormat>())]
    pub format: Option<String>,
    /// Print only the number of changes
    #[arg(long, help_heading = "Output")]
    pub stat: bool,
    /// Print at most N changes for each table
    #[arg(long, value_name = "N", help_heading = "Output")]
    pub limit: Option<String>,
    /// Keep Markdown output under N bytes [default: 60000]
    #[arg(long, value_name = "N", help_heading = "Output")]
    pub max_bytes: Option<String>,
    /// Exit with 0 even if there are differences
    #[arg(long, help_heading = "Output")]
    pub exit_zero: bool,
}
