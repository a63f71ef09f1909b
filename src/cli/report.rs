//! The command line of `report`.

use clap::Args;

use super::FindingRules;

/// Write a snapshot as a single HTML page
#[derive(Args, Debug, Default)]
#[command(after_help = "\
The page shows where the snapshot comes from, the findings, charts, and, with JavaScript,
searchable tables of users, groups and memberships. It loads no other files, so you
can email it and open it offline. Identical snapshots produce identical pages.
docs/report.md describes the page.

Examples:
  Write a report on a snapshot of the sample org:
    okta-ciam demo
    okta-ciam report -f demo.c1z -o report.html --privileged admin

  Also count what changed since an older snapshot:
    cp demo.c1z old.c1z
    okta-ciam report -f demo.c1z -o report.html --since old.c1z \\
      --title \"Access in November\"")]
pub struct ReportArgs {
    /// Read this snapshot [env: BATON_FILE] [default: sync.c1z]
    #[arg(short, long, value_name = "FILE", env = "BATON_FILE")]
    pub file: Option<String>,
    /// Write the page to this file [required]
    #[arg(short, long = "to", value_name = "PATH")]
    pub out: Option<String>,
    /// Set the title of the page [env: BATON_TITLE] [default: Access report]
    #[arg(long, value_name = "TEXT", env = "BATON_TITLE")]
    pub title: Option<String>,
    /// Include the memberships even if they make the page larger than 20 MB
    #[arg(long)]
    pub full: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flags say it")]
    pub rules: FindingRules,
}
