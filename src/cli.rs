//! What can be typed, and the help text. Nothing here decides: values stay text, so that `config` can say of a flag and
//! of its variable the same thing in the same words.
//!
//! House rules: a flag of one letter only where other tools have it too; every flag names its variable in its help.

use clap::error::{ContextKind, ContextValue};
use clap::{Args, CommandFactory as _, Parser, Subcommand};

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "okta-ciam",
    version,
    about = "Who is in which group of an Okta org: read it whole, keep it as evidence, change it safely",
    after_help = EXIT_CODES,
    max_term_width = 100,
    disable_help_subcommand = true,
    subcommand_required = true
)]
pub struct Cli {
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flags say it")]
    pub talk: Talk,
    #[command(subcommand)]
    #[allow(missing_docs, reason = "the commands say it")]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done, also when nothing had to change
  2  wrong usage or configuration, or any other failure
  3  partial: the snapshot is incomplete and --file was not touched, or some rows of --from were done and some not
  4  change refused: out of scope, not editable, ambiguous, not confirmed, or provisioning is off
  5  Okta refused the token or a permission, or shows no user at all
  6  Okta unavailable: retries, waits or --deadline used up
  7  change sent but not seen in later reads
  8  a guard stopped it: no user or no group in scope, or --max-drop
  9  another run holds the file
  130, 143  interrupted";

/// How the tool talks.
#[derive(Args, Clone, Debug, Default)]
pub struct Talk {
    /// Result on stdout as text or json [env: BATON_OUTPUT] [default: text]
    #[arg(long, global = true, value_name = "FORMAT")]
    pub output: Option<String>,
    /// Print errors only
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// error, warn, info, debug or trace [env: BATON_LOG_LEVEL] [default: info]
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// console or json [env: BATON_LOG_FORMAT] [default: console]
    #[arg(long, global = true, value_name = "FORMAT")]
    pub log_format: Option<String>,
}

#[derive(Debug, Subcommand)]
#[allow(missing_docs, reason = "the commands' own texts say it")]
pub enum Command {
    Sync(Box<Sync>),
    Grant(Box<Grant>),
    Revoke(Box<Revoke>),
    Check(Box<Check>),
    Show(Show),
    Demo(Demo),
}

/// Read an org's users, groups and memberships and write one snapshot file
///
/// The file at --file is replaced when the new one is whole, and not before.
#[derive(Args, Debug, Default)]
#[command(after_help = "\
Examples:
  Everyone of example.com, in every group, into sync.c1z:
    okta-ciam sync --domain company.okta.com --api-token-file token.txt --email-domains example.com

  The same from variables, as the Go connector reads them:
    export BATON_DOMAIN=company.okta.com BATON_API_TOKEN=... BATON_EMAIL_DOMAINS=example.com,example.org
    okta-ciam sync -f /data/okta.c1z --manifest /data/okta.json

  Every night, and never a file that lost a tenth of its rows without anybody noticing:
    okta-ciam sync -f /data/okta.c1z --max-drop 10

  What it would cost, before it is spent:
    okta-ciam sync --plan

A run that was interrupted is gone on with by the same command, for 24 hours; see --fresh.")]
pub struct Sync {
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flags say it")]
    pub connection: Connection,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flags say it")]
    pub scope: Scope,
    /// The snapshot: .c1z, or .db, .sqlite, .sqlite3 for plain SQLite [env: BATON_FILE] [default: sync.c1z]
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<String>,
    /// Also write a JSON file that names the snapshot's SHA-256, size, scope and counts [env: BATON_MANIFEST]
    #[arg(long, value_name = "FILE")]
    pub manifest: Option<String>,
    /// How memberships are read: auto, group or user; auto takes whichever costs fewer requests [env: BATON_MEMBERSHIPS_BY] [default: auto]
    #[arg(long, value_name = "WAY")]
    pub memberships_by: Option<String>,
    /// Read users and groups, say what a sync would cost, write nothing
    #[arg(long)]
    pub plan: bool,
    /// Write the file even if some members could not be read; it is marked incomplete
    #[arg(long)]
    pub allow_partial: bool,
    /// Accept that no user or no group is in scope
    #[arg(long)]
    pub allow_empty: bool,
    /// Keep the old file if the new one has fewer users, groups or memberships by more than this; it goes to FILE.rejected [env: BATON_MAX_DROP]
    #[arg(long, value_name = "PERCENT")]
    pub max_drop: Option<String>,
    /// Begin anew, though an interrupted run could be gone on with
    #[arg(long)]
    pub fresh: bool,
    /// The time to record, RFC 3339; loopback orgs only
    #[arg(long, hide = true, value_name = "TIME")]
    pub now: Option<String>,
}

/// Say whether configuration, token and permissions suffice for a sync and for changes
///
/// Sends at most 12 requests, all of them GET, and changes nothing.
#[derive(Args, Debug, Default)]
#[command(after_help = "\
Examples:
  Does this token do for a sync of example.com?
    okta-ciam check --domain company.okta.com --api-token-file token.txt --email-domains example.com

  And for granting and revoking?
    okta-ciam check --provisioning

  For a pipeline; ends with 5 where the token or a permission does not suffice:
    okta-ciam check --output json")]
pub struct Check {
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flags say it")]
    pub connection: Connection,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flags say it")]
    pub scope: Scope,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flag says it")]
    pub provisioning: Provisioning,
}

/// Where the org is and how to talk to it.
#[derive(Args, Clone, Debug, Default)]
pub struct Connection {
    /// The org, such as company.okta.com or a custom domain [env: BATON_DOMAIN]
    #[arg(long, value_name = "HOST")]
    pub domain: Option<String>,
    /// API token; others on this machine can see it, so prefer the file or the variable [env: BATON_API_TOKEN]
    #[arg(long, value_name = "TOKEN")]
    pub api_token: Option<String>,
    /// File that holds the API token; - for standard input [env: BATON_API_TOKEN_FILE]
    #[arg(long, value_name = "FILE")]
    pub api_token_file: Option<String>,
    /// Share of each rate limit that may be used, 1 to 100 percent [env: BATON_MAX_API_CAPACITY] [default: 75]
    #[arg(long, value_name = "PERCENT")]
    pub max_api_capacity: Option<String>,
    /// Requests at once, 1 to 64 [env: BATON_CONCURRENCY] [default: 8]
    #[arg(long, value_name = "N")]
    pub concurrency: Option<String>,
    /// Longest time for one attempt of a request: 90s, 15m, 2h [env: BATON_TIMEOUT] [default: 60s]
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<String>,
    /// Longest time for the whole run [env: BATON_DEADLINE] [default: none]
    #[arg(long, value_name = "TIME")]
    pub deadline: Option<String>,
    /// More root certificates to trust, PEM [env: BATON_CA_FILE]
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<String>,
}

/// Which users and groups the command is about.
#[derive(Args, Clone, Debug, Default)]
pub struct Scope {
    /// Keep users with an e-mail or login in these domains; commas or repeats; *.example.com for subdomains [env: BATON_EMAIL_DOMAINS]
    #[arg(long, value_name = "DOMAINS")]
    pub email_domains: Vec<String>,
    /// Leave secondary e-mails out of account [env: BATON_SKIP_SECONDARY_EMAILS]
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub skip_secondary_emails: Option<String>,
    /// Keep groups whose name contains this text, ignoring case [env: BATON_GROUP_NAME_FILTER]
    #[arg(long, value_name = "TEXT")]
    pub group_name_filter: Option<String>,
}

/// Whether anything may be changed.
#[derive(Args, Clone, Debug, Default)]
pub struct Provisioning {
    /// Allow changes; without it, grant and revoke refuse to make any [env: BATON_PROVISIONING]
    #[arg(
        short,
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub provisioning: Option<String>,
}

/// What `grant` and `revoke` have in common.
#[derive(Args, Clone, Debug, Default)]
pub struct Change {
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flags say it")]
    pub connection: Connection,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flags say it")]
    pub scope: Scope,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flag says it")]
    pub provisioning: Provisioning,
    /// The user: id, login or e-mail
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// The group: id, exact name, or group:ID:member
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
    /// Many at once: CSV with the columns user and group (and decision, for revoke); - for standard input
    #[arg(long, value_name = "FILE")]
    pub from: Option<String>,
    /// Show what would be done; send no change
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// Append lines of JSON: before each change, what became of it, and what was not sent [env: BATON_AUDIT_LOG]
    #[arg(long, value_name = "FILE")]
    pub audit_log: Option<String>,
}

/// Make users members of groups
///
/// Users out of scope, groups out of scope and groups that Okta will not let be edited are refused before anything is
/// sent. Who is a member already is left alone.
#[derive(Args, Debug, Default)]
#[command(after_help = "\
Examples:
  okta-ciam grant --provisioning --user mira@example.com --group Engineering
  okta-ciam grant --provisioning --from joiners.csv --audit-log changes.jsonl
  okta-ciam grant --dry-run --from joiners.csv --output json")]
pub struct Grant {
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flags say it")]
    pub change: Change,
}

/// Take users out of groups
///
/// Asks before it changes anything; without a terminal it needs --yes.
#[derive(Args, Debug, Default)]
#[command(after_help = "\
Examples:
  okta-ciam revoke --provisioning --user mira@example.com --group Engineering
  okta-ciam revoke --provisioning --yes --grant-id group:00g1abcd:member:user:00u1abcd
  okta-ciam revoke --provisioning --yes --from leavers.csv --audit-log changes.jsonl")]
pub struct Revoke {
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flags say it")]
    pub change: Change,
    /// The membership as Baton prints it: group:GROUPID:member:user:USERID
    #[arg(long, value_name = "ID")]
    pub grant_id: Option<String>,
}

/// Say what is in a snapshot: in numbers, or one user, or one group
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  okta-ciam show -f demo.c1z
  okta-ciam show -f demo.c1z user mira.okafor@example.com
  okta-ciam show -f demo.c1z group Engineering --output json

Reads .c1z and plain SQLite, also files that ConductorOne's Go connectors wrote.")]
pub struct Show {
    /// The snapshot [env: BATON_FILE] [default: sync.c1z]
    #[arg(short, long, value_name = "FILE", global = true)]
    pub file: Option<String>,
    #[command(subcommand)]
    #[allow(missing_docs, reason = "the commands say it")]
    pub what: Option<ShowWhat>,
}

/// One object of a snapshot.
#[derive(Debug, Subcommand)]
pub enum ShowWhat {
    /// One user and the groups that the user is in
    User {
        /// Id, login or e-mail
        user: String,
    },
    /// One group and its members
    Group {
        /// Id, exact name, or group:ID:member
        group: String,
    },
}

/// Sync a small made-up org, over HTTP on this machine, to see the tool at work
///
/// No variable is read and nothing outside this machine is asked.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  okta-ciam demo
  okta-ciam demo --serve        keeps the org up and prints the variables for every other command")]
pub struct Demo {
    /// The snapshot; a file that demo did not make is never replaced [default: demo.c1z]
    #[arg(short, long, value_name = "FILE", conflicts_with = "serve")]
    pub file: Option<String>,
    /// Keep the org up until interrupted, so that other commands can be tried
    #[arg(long)]
    pub serve: bool,
    /// The port of --serve [default: any that is free]
    #[arg(long, value_name = "PORT", requires = "serve")]
    pub port: Option<u16>,
}

/// How to talk about a command line that could not be parsed: what of it can be told without parsing.
pub fn talk_of(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Talk {
    let words: Vec<String> = arguments
        .into_iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let json = words.iter().any(|word| word == "--output=json")
        || words.windows(2).any(|pair| pair == ["--output", "json"]);
    Talk {
        output: json.then(|| "json".to_owned()),
        ..Talk::default()
    }
}

/// What clap says of a wrong command line, in one line and without the usage.
pub fn one_line(error: &clap::Error) -> String {
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        || error.kind() == clap::error::ErrorKind::MissingSubcommand
    {
        return "no command; --help names them".to_owned();
    }
    if let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg)
        && error.kind() == clap::error::ErrorKind::UnknownArgument
        && let Some(hint) = elsewhere(flag)
    {
        return format!("unexpected argument '{flag}' found; {hint}");
    }
    let text = error.to_string();
    let text = text.replace("For more information, try '--help'.", "");
    let lines = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:"));
    let said: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    let said = said.join(" ");
    let said = said.strip_prefix("error: ").unwrap_or(&said);
    format!("{said}; --help tells more")
}

/// Where a flag that is wrong here belongs: to `sync`, which the Go connector was without a command, or to `grant` and
/// `revoke`, which were flags of it.
fn elsewhere(flag: &str) -> Option<&'static str> {
    let name = flag.trim_start_matches('-').split('=').next()?;
    match name {
        "grant-entitlement" | "grant-principal" | "grant-principal-type" => {
            return Some(
                "to add a user to a group, run `okta-ciam grant --user USER --group GROUP`",
            );
        }
        "revoke-grant" => {
            return Some("to revoke a grant of Baton's, run `okta-ciam revoke --grant-id ID`");
        }
        "client-id" | "client-secret" => {
            return Some("okta-ciam does not upload snapshots; ConductorOne imports the file");
        }
        _ => {}
    }
    let command = Cli::command();
    let sync = command.find_subcommand("sync")?;
    let is_of_sync = sync.get_arguments().any(|argument| {
        argument.get_long() == Some(name) || (flag == "-f" && argument.get_short() == Some('f'))
    });
    is_of_sync.then_some("flags follow the command: run `okta-ciam sync` with it")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }
}
