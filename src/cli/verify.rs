//! The command line of `verify`.

use clap::Args;

/// Verify that a snapshot is intact
#[derive(Args, Debug, Default)]
#[command(after_help = "\
verify counts all rows again, checks that each membership (a grant, in Baton's terms)
refers to a user, a group and an entitlement in the file, recomputes the hash of the
content, and runs SQLite's integrity check. It also reads files written by ConductorOne's
Go connectors, but skips checks that need data missing from those files. Without
--manifest, verify cannot detect a change by someone who also replaced the hash inside
the file. The exit code is 2 if a check fails.

Environment variables:
  BATON_FILE sets the snapshot, and BATON_MANIFEST the manifest. An argument or option
  overrides its variable.

Examples:
  Write a snapshot of the sample org, and verify it:
    okta-ciam demo
    okta-ciam verify demo.c1z

  In a script, print the result as JSON:
    okta-ciam verify demo.c1z --output json")]
pub struct VerifyArgs {
    /// Verify this snapshot [env: BATON_FILE] [default: sync.c1z]
    #[arg(value_name = "FILE", env = "BATON_FILE")]
    pub file: Option<String>,
    /// Also compare the snapshot with this manifest, written by sync --manifest
    #[arg(long, value_name = "FILE", env = "BATON_MANIFEST")]
    pub manifest: Option<String>,
}
