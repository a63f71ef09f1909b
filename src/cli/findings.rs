//! The command line of `findings`.

use clap::Args;

use super::words::{findings, severities_and_findings, words};
use crate::evidence::findings::render::FindingsFormat;

/// List risky or unusual users, groups and memberships
#[derive(Args, Debug, Default)]
#[command(after_help = "\
Ages, such as days without a sign-in, are calculated as of the end of the run that
took the snapshot, not as of now. docs/findings.md describes each check, and the exceptions
file.

Examples:
  List the findings in a snapshot of the sample org:
    okta-ciam demo
    okta-ciam findings -f demo.c1z --privileged admin

  List all checks:
    okta-ciam findings --list

  In CI, write SARIF and JUnit, and fail on critical findings:
    okta-ciam findings -f demo.c1z --out sarif=findings.sarif \\
      --out junit=findings.xml --fail-on critical")]
pub struct FindingsArgs {
    /// Read this snapshot [env: BATON_FILE] [default: sync.c1z]
    #[arg(short, long, value_name = "FILE", env = "BATON_FILE")]
    pub file: Option<String>,
    /// List all checks, with their severity and meaning
    #[arg(long)]
    pub list: bool,
    /// Run only these checks, by name or id
    #[arg(long, value_name = "CHECKS", value_delimiter = ',', value_parser = findings())]
    pub check: Vec<String>,
    /// Skip these checks, by name or id
    #[arg(long, value_name = "CHECKS", value_delimiter = ',', value_parser = findings())]
    pub skip: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flags say it")]
    pub rules: FindingRules,
    /// Also report questionable decisions in this review sheet, or in a CSV file with the columns user_id, group_id and decision
    #[arg(long, value_name = "FILE")]
    pub review: Option<String>,
    /// Exit with 1 if this check (name or id) finds something, or if any finding has this severity or a higher one; can be repeated
    #[arg(long, value_name = "CHECK|SEVERITY", value_delimiter = ',', value_parser = severities_and_findings())]
    pub fail_on: Vec<String>,
    /// Override --output: print text, json, csv, markdown, sarif or junit [default: same as --output]
    #[arg(long, value_name = "FORMAT", help_heading = "Output", value_parser = words::<FindingsFormat>())]
    pub format: Option<String>,
    /// Also write the findings to FILE in FORMAT; can be repeated
    #[arg(long, value_name = "FORMAT=FILE", help_heading = "Output")]
    pub out: Vec<String>,
}

/// What decides about findings, in every command that lists them.
#[derive(Args, Clone, Debug, Default)]
pub struct FindingRules {
    /// Report users as dormant after this many days without a sign-in [default: 90]
    #[arg(long, value_name = "DAYS")]
    pub dormant_days: Option<String>,
    /// Treat groups whose name contains this text, ignoring case, as privileged; can be repeated
    #[arg(long, value_name = "TEXT")]
    pub privileged: Vec<String>,
    /// Report privileged groups with more than N members [default: 15]
    #[arg(long, value_name = "N")]
    pub privileged_max: Option<String>,
    /// Compare with this older snapshot
    #[arg(long, value_name = "FILE")]
    pub since: Option<String>,
    /// Suppress the findings that this CSV file lists as accepted
    #[arg(long, value_name = "FILE")]
    pub exceptions: Option<String>,
}
