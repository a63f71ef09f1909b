//! The command line of `show`.

use clap::{Args, Subcommand};

use super::words::words;
use crate::evidence::tables::write::TableFormat;

/// Show a summary of a snapshot, or the users, groups or memberships in it
#[derive(Args, Debug)]
#[command(after_help = "\
show reads .c1z and plain SQLite files, including those written by ConductorOne's
Go connectors.

Examples:
  Write a snapshot of the sample org, and show it:
    okta-ciam demo
    okta-ciam show -f demo.c1z

  Show one user with their groups, or one group with its members:
    okta-ciam show -f demo.c1z user mira.okonjo@example.com
    okta-ciam show -f demo.c1z group Engineering --output json

  In a script, check that last night's run wrote a snapshot:
    okta-ciam show -f demo.c1z --max-age 26h > summary.txt

  List a group's suspended and deprovisioned members:
    okta-ciam show -f demo.c1z memberships --group Engineering \\
      --status SUSPENDED,DEPROVISIONED

  Write all users, with two columns, as CSV:
    okta-ciam show -f demo.c1z users --columns login,profile.department \\
      --format csv > users.csv")]
pub struct ShowArgs {
    /// Read this snapshot [env: BATON_FILE] [default: sync.c1z]
    #[arg(short, long, value_name = "FILE", global = true, env = "BATON_FILE")]
    pub file: Option<String>,
    /// Exit with 8, and show nothing, if the snapshot is older than this duration, such as 26h
    #[arg(long, value_name = "DURATION")]
    pub max_age: Option<String>,
    #[command(subcommand)]
    #[allow(missing_docs, reason = "the commands say it")]
    pub what: Option<ShowWhat>,
}

/// What of a snapshot to show.
#[derive(Debug, Subcommand)]
pub enum ShowWhat {
    /// Show one user and their groups
    User {
        /// Id, login, email or secondary email
        user: String,
    },
    /// Show one group and its members
    Group {
        /// Id, exact name or Baton entitlement id (group:GROUP_ID:member)
        group: String,
    },
    /// List users
    Users(UsersTable),
    /// List groups
    Groups(GroupsTable),
    /// List memberships with their users and groups
    Memberships(MembershipsTable),
}

/// The options that every table has.
#[derive(Args, Clone, Debug, Default)]
pub struct TableArgs {
    /// Show these columns, in this order; profile.NAME selects a profile attribute
    #[arg(
        long,
        value_name = "COLUMNS",
        value_delimiter = ',',
        help_heading = "Output"
    )]
    pub columns: Vec<String>,
    /// Override --output: print a table, csv or json [default: same as --output]
    #[arg(long, value_name = "FORMAT", help_heading = "Output", value_parser = words::<TableFormat>())]
    pub format: Option<String>,
    /// Print at most N rows
    #[arg(long, value_name = "N", help_heading = "Output")]
    pub limit: Option<String>,
}

/// List users
#[derive(Args, Clone, Debug, Default)]
#[command(after_help = "\
The table shows login, name, status and id; CSV and JSON contain every column. Rows are
sorted by user id.

Examples:
  Find users by part of a name or an address:
    okta-ciam show -f demo.c1z users --like okonjo

  Show when the members of a group last signed in:
    okta-ciam show -f demo.c1z users --group Engineering \\
      --columns login,status,last_login")]
pub struct UsersTable {
    /// List only users whose id, name, login or any email contains this text, ignoring case
    #[arg(long, value_name = "TEXT")]
    pub like: Option<String>,
    /// List only users with one of these statuses, such as ACTIVE,SUSPENDED
    #[arg(long, value_name = "STATUSES", value_delimiter = ',')]
    pub status: Vec<String>,
    /// List only this user, by id, login or email; can be repeated
    #[arg(long, value_name = "USER")]
    pub user: Vec<String>,
    /// List only members of this group, by id or exact name; can be repeated
    #[arg(long, value_name = "GROUP")]
    pub group: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flags say it")]
    pub table: TableArgs,
}

/// List groups
#[derive(Args, Clone, Debug, Default)]
#[command(after_help = "\
The table shows name, type, members_kept (the number of members in scope) and id; CSV
and JSON contain every column. Rows are sorted by group id.

Examples:
  List the groups that an application manages:
    okta-ciam show -f demo.c1z groups --type APP_GROUP

  List the groups of one user as JSON:
    okta-ciam show -f demo.c1z groups --user mira.okonjo@example.com \\
      --format json")]
pub struct GroupsTable {
    /// List only groups whose id, name or description contains this text, ignoring case
    #[arg(long, value_name = "TEXT")]
    pub like: Option<String>,
    /// List only groups of these types: OKTA_GROUP, APP_GROUP, BUILT_IN
    #[arg(long = "type", value_name = "TYPES", value_delimiter = ',')]
    pub kind: Vec<String>,
    /// List only groups that this user (id, login or email) is in; can be repeated
    #[arg(long, value_name = "USER")]
    pub user: Vec<String>,
    /// List only this group, by id or exact name; can be repeated
    #[arg(long, value_name = "GROUP")]
    pub group: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flags say it")]
    pub table: TableArgs,
}

/// List memberships with their users and groups
#[derive(Args, Clone, Debug, Default)]
#[command(after_help = "\
The table shows group_name, user_login, user_name and user_status; CSV and JSON also
contain ids, including the Baton grant id. Every column of users is available as
user_NAME, and every column of groups as group_NAME. Rows are sorted by group id, then
by user id.

Examples:
  List who can use the VPN:
    okta-ciam show -f demo.c1z memberships --group \"VPN users\"

  List memberships of users who are suspended or deactivated, as CSV:
    okta-ciam show -f demo.c1z memberships --status SUSPENDED,DEPROVISIONED \\
      --format csv")]
pub struct MembershipsTable {
    /// List only memberships whose user or group contains this text; searches the same fields as show users --like and show groups --like
    #[arg(long, value_name = "TEXT")]
    pub like: Option<String>,
    /// List only memberships of users with these statuses, such as ACTIVE,SUSPENDED
    #[arg(long, value_name = "STATUSES", value_delimiter = ',')]
    pub status: Vec<String>,
    /// List only memberships in groups of these types: OKTA_GROUP, APP_GROUP, BUILT_IN
    #[arg(long = "type", value_name = "TYPES", value_delimiter = ',')]
    pub kind: Vec<String>,
    /// List only memberships of this user, by id, login or email; can be repeated
    #[arg(long, value_name = "USER")]
    pub user: Vec<String>,
    /// List only memberships in this group, by id or exact name; can be repeated
    #[arg(long, value_name = "GROUP")]
    pub group: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flags say it")]
    pub table: TableArgs,
}
