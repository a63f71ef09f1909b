//! The command lines of `grant` and `revoke`.

use clap::Args;

use super::{ConnectionArgs, LimitsArgs, ScopeArgs};

/// Whether changes are allowed.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Guards")]
pub struct ProvisioningArgs {
    /// Allow changes to be sent; otherwise, every change is refused
    #[arg(
        short,
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true", env = "BATON_PROVISIONING")]
    pub provisioning: Option<String>,
}

/// What `grant` and `revoke` have in common.
#[derive(Args, Clone, Debug, Default)]
pub struct ChangeArgs {
    /// Select a user by id, login or email; can be repeated
    #[arg(long, value_name = "USER")]
    pub user: Vec<String>,
    /// Select a group by id, exact name or Baton entitlement id; can be repeated
    #[arg(long, value_name = "GROUP")]
    pub group: Vec<String>,
    /// Read memberships from this CSV file with columns user and group; - is standard input
    #[arg(long, value_name = "FILE")]
    pub from: Option<String>,
    /// Show the planned changes without sending them
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flags say it")]
    pub connection: ConnectionArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flags say it")]
    pub scope: ScopeArgs,
    /// Append JSON lines to this file before and after each change, and for rows that are refused, unchanged, skipped or not attempted
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Output",
        env = "BATON_AUDIT_LOG"
    )]
    pub audit_log: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flag says it")]
    pub provisioning: ProvisioningArgs,
    /// Skip the confirmation prompt
    #[arg(short, long, help_heading = "Guards")]
    pub yes: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flags say it")]
    pub limits: LimitsArgs,
}

/// Add users to groups
#[derive(Args, Debug, Default)]
#[command(after_help = "\
Users who are already in the group are reported as unchanged. Users and groups out of
scope, and groups whose members Okta does not let you edit, are refused; with --from,
the other rows of the file are still applied. With --from, grant prompts for
confirmation, and requires --yes if there is no terminal. Adding users to a group that
has, or may have, an admin role requires --yes even on a terminal.

Environment variables:
  Every option that takes a value, except --user, --group and --from, has a
  variable: BATON_ plus its name, such as BATON_EMAIL_DOMAINS. An option overrides its
  variable.

Examples:
  Set the org once with variables:
    export BATON_DOMAIN=company.okta.com
    export BATON_API_TOKEN_FILE=token.txt
    export BATON_EMAIL_DOMAINS=example.com

  Add one user to a group:
    okta-ciam grant --provisioning --user bram.oosterhuis@example.com \\
      --group \"VPN users\"

  Add a joiner to several groups:
    okta-ciam grant --provisioning --user bram.oosterhuis@example.com \\
      --group \"VPN users\" --group Engineering

  Preview the changes listed in a CSV file, then make them and log them:
    okta-ciam grant --from joiners.csv --dry-run
    okta-ciam grant --from joiners.csv --provisioning --audit-log changes.jsonl")]
pub struct GrantArgs {
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flags say it")]
    pub change: ChangeArgs,
}

/// Remove users from groups
#[derive(Args, Debug, Default)]
#[command(after_help = "\
revoke prompts for confirmation, and needs --yes without a terminal. --yes is required
even on a terminal if a group rule assigns users to the group, or if the token cannot
read the group rules. --all-groups skips groups that Okta does not let you edit and, if
the token can read the rules, groups that a rule assigns users to. Skipped groups are
listed. --from also reads sheets written by `review start`, as CSV or XLSX; if the file
has a decision column, only memberships marked revoke are removed.

Environment variables:
  Every option that takes a value, except --user, --group, --from and --grant-id, has
  a variable: BATON_ plus its name, such as BATON_EMAIL_DOMAINS. An option overrides
  its variable.

Examples:
  Set the org once with variables:
    export BATON_DOMAIN=company.okta.com
    export BATON_API_TOKEN_FILE=token.txt
    export BATON_EMAIL_DOMAINS=example.com

  Remove one user from a group:
    okta-ciam revoke --provisioning --yes --user mira.okonjo@example.com \\
      --group \"VPN users\"

  Preview which groups a leaver would be removed from, then make the changes:
    okta-ciam revoke --user mira.okonjo@example.com --all-groups --dry-run
    okta-ciam revoke --provisioning --yes --user mira.okonjo@example.com \\
      --all-groups

  Preview the removals listed in a CSV file, then make them and log them:
    okta-ciam revoke --from leavers.csv --dry-run
    okta-ciam revoke --from leavers.csv --provisioning --yes \\
      --audit-log changes.jsonl")]
pub struct RevokeArgs {
    /// Select every group in scope that the users are in, except groups that Okta does not let you edit and, if the token can read the rules, those that a rule assigns users to
    #[arg(long)]
    pub all_groups: bool,
    /// Select a membership by Baton grant id, group:GROUP_ID:member:user:USER_ID
    #[arg(long, value_name = "ID")]
    pub grant_id: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flags say it")]
    pub change: ChangeArgs,
    /// Refuse a review sheet in which a row has no final decision (approve or revoke)
    #[arg(long, help_heading = "Guards")]
    pub require_decisions: bool,
    /// Refuse a review sheet whose snapshot was taken more than this many days ago [default: 30]
    #[arg(
        long,
        value_name = "DAYS",
        help_heading = "Guards",
        env = "BATON_MAX_SHEET_AGE"
    )]
    pub max_sheet_age: Option<String>,
}
