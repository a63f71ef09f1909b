//! The command line and its help text. Nothing here is validated: values stay text, so that `config` reports a flag and its
//! variable in the same words.
//!
//! `env` names the variable of an option; one without it has none. Clap does not read variables: `config` does, for
//! which an empty one counts as unset.
//!
//! Help texts start with a verb. A command's own options come first, the others under headings. Only options that other
//! tools abbreviate too have a letter.

#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "help texts contain [required], which is not a link"
)]

mod change;
mod diff;
mod export;
mod findings;
mod pages;
mod report;
mod review;
mod show;
mod sync;
mod usage_error;
mod verify;
mod words;

use std::collections::BTreeSet;
use std::ffi::OsString;

use clap::builder::Resettable;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::exit;

pub use self::change::{ChangeArgs, GrantArgs, ProvisioningArgs, RevokeArgs};
pub use self::diff::DiffArgs;
pub use self::export::ExportArgs;
pub use self::findings::{FindingRules, FindingsArgs};
pub use self::pages::{CompletionsArgs, ManArgs};
pub use self::report::ReportArgs;
pub use self::review::{ReviewArgs, ReviewCloseArgs, ReviewStartArgs, ReviewStep};
pub use self::show::{ShowArgs, ShowWhat, TableArgs};
pub use self::sync::{FileArgs, SyncArgs};
pub use self::usage_error::one_line;
pub use self::verify::VerifyArgs;
use self::words::words;
use crate::console::{LogFormat, LogLevel, Output};

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "okta-ciam",
    // Usage and hints name the program, whatever its file is called.
    bin_name = "okta-ciam",
    version,
    about = "Take complete snapshots of who is in which Okta group, and change memberships safely",
    after_help = footer(),
    max_term_width = 100,
    disable_help_subcommand = true,
    hide_possible_values = true,
    subcommand_required = true
)]
pub struct Cli {
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flags say it")]
    pub output: OutputArgs,
    #[command(subcommand)]
    #[allow(missing_docs, reason = "the commands say it")]
    pub command: Command,
}

/// Returns the end of `okta-ciam --help`.
fn footer() -> String {
    exit::help()
        + "\nRun okta-ciam COMMAND --help for the options, variables and examples of a command."
}

impl Cli {
    /// Parses the words of a command line, without reading variables.
    ///
    /// # Errors
    /// Returns clap's error for a wrong command line, and its texts of help and version.
    pub fn read<W: Into<OsString> + Clone>(
        words: impl IntoIterator<Item = W>,
    ) -> Result<Self, clap::Error> {
        let mut matches = definition().try_get_matches_from(words)?;
        Self::from_arg_matches_mut(&mut matches)
    }
}

/// Returns the description of the command line for parsing, completions and manual pages: without variables, so that clap
/// neither reads nor shows them.
pub fn definition() -> clap::Command {
    fn without_variables(command: clap::Command) -> clap::Command {
        let command = command.mut_args(|argument| argument.env(Resettable::Reset));
        command.mut_subcommands(without_variables)
    }
    without_variables(Cli::command())
}

/// Returns the variables that some command reads.
pub fn variables() -> BTreeSet<String> {
    fn add(command: &clap::Command, names: &mut BTreeSet<String>) {
        names.extend(command.get_arguments().filter_map(variable));
        command.get_subcommands().for_each(|sub| add(sub, names));
    }
    let mut names = BTreeSet::new();
    add(&Cli::command(), &mut names);
    names
}

/// Returns the variable of an option or argument, if it has one.
pub fn variable(argument: &clap::Arg) -> Option<String> {
    Some(argument.get_env()?.to_string_lossy().into_owned())
}

/// Result format and logging.
#[derive(Args, Clone, Debug, Default)]
pub struct OutputArgs {
    /// Print the result as text or json [default: text]
    #[arg(long, global = true, value_name = "FORMAT", help_heading = "Output", value_parser = words::<Output>(), env = "BATON_OUTPUT")]
    pub output: Option<String>,
    /// Print only data, JSON and errors; suppress summaries, notes and warnings
    #[arg(short, long, global = true, help_heading = "Logging")]
    pub quiet: bool,
    /// Set the log level: error, warn, info, debug or trace [default: info]
    #[arg(long, global = true, value_name = "LEVEL", help_heading = "Logging", value_parser = words::<LogLevel>(), env = "BATON_LOG_LEVEL")]
    pub log_level: Option<String>,
    /// Set the log format: console or json [default: console]
    #[arg(long, global = true, value_name = "FORMAT", help_heading = "Logging", value_parser = words::<LogFormat>(), env = "BATON_LOG_FORMAT")]
    pub log_format: Option<String>,
}

#[derive(Debug, Subcommand)]
#[allow(missing_docs, reason = "the commands' own texts say it")]
pub enum Command {
    Sync(Box<SyncArgs>),
    Grant(Box<GrantArgs>),
    Revoke(Box<RevokeArgs>),
    Check(Box<CheckArgs>),
    Show(Box<ShowArgs>),
    Diff(Box<DiffArgs>),
    Verify(VerifyArgs),
    Export(Box<ExportArgs>),
    Findings(Box<FindingsArgs>),
    Report(Box<ReportArgs>),
    Review(Box<ReviewArgs>),
    Demo(DemoArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

/// Check the configuration, token and permissions
#[derive(Args, Debug, Default)]
#[command(after_help = "\
check changes nothing. It sends at most 21 GET requests, apart from retries.

Environment variables:
  Every option that takes a value has a variable: BATON_ plus its name, such as
  BATON_EMAIL_DOMAINS. An option overrides its variable.

Examples:
  Check whether this token can sync example.com:
    okta-ciam check --domain company.okta.com --api-token-file token.txt \\
      --email-domains example.com

  Put the options in variables, and require permission to change memberships:
    export BATON_DOMAIN=company.okta.com
    export BATON_API_TOKEN_FILE=token.txt
    export BATON_EMAIL_DOMAINS=example.com
    okta-ciam check --provisioning

  In CI, print JSON (exit code 5: token rejected or access denied):
    okta-ciam check --output json

For all exit codes, run okta-ciam --help.")]
#[command(mut_arg("provisioning", |arg| arg.help("Fail if the token cannot change memberships")))]
pub struct CheckArgs {
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flags say it")]
    pub connection: ConnectionArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flags say it")]
    pub scope: ScopeArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flag says it")]
    pub provisioning: ProvisioningArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flags say it")]
    pub limits: LimitsArgs,
}

/// Where the org is and how to authenticate.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Connection")]
pub struct ConnectionArgs {
    /// Connect to the org at this Okta or custom domain [required]
    #[arg(long, value_name = "HOST", env = "BATON_DOMAIN")]
    pub domain: Option<String>,
    /// Read the API token from this file; - is standard input [required, unless --api-token is set]
    #[arg(long, value_name = "FILE", env = "BATON_API_TOKEN_FILE")]
    pub api_token_file: Option<String>,
    /// Use this API token; other users on the machine can see it
    #[arg(long, value_name = "TOKEN", env = "BATON_API_TOKEN")]
    pub api_token: Option<String>,
    /// Trust the root certificates in this PEM file as well
    #[arg(long, value_name = "FILE", env = "BATON_CA_FILE")]
    pub ca_file: Option<String>,
}

/// How much a run may request, and for how long.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Limits")]
pub struct LimitsArgs {
    /// Use at most this percentage of each rate limit [default: 75]
    #[arg(long, value_name = "PERCENT", env = "BATON_MAX_API_CAPACITY")]
    pub max_api_capacity: Option<String>,
    /// Send at most N requests at a time, 1 to 64 [default: 8]
    #[arg(long, value_name = "N", env = "BATON_CONCURRENCY")]
    pub concurrency: Option<String>,
    /// Time out each request attempt after this duration, such as 90s or 15m [default: 60s]
    #[arg(long, value_name = "DURATION", env = "BATON_TIMEOUT")]
    pub timeout: Option<String>,
    /// Stop the whole run after this duration [default: none]
    #[arg(long, value_name = "DURATION", env = "BATON_DEADLINE")]
    pub deadline: Option<String>,
}

/// Which users and groups a command covers.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Scope")]
pub struct ScopeArgs {
    /// Include users with an address in these comma-separated domains; *.example.com matches subdomains only [required]
    #[arg(long, value_name = "DOMAINS", env = "BATON_EMAIL_DOMAINS")]
    pub email_domains: Vec<String>,
    /// Ignore secondary emails when matching domains
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true", env = "BATON_SKIP_SECONDARY_EMAILS")]
    pub skip_secondary_emails: Option<String>,
    /// Include groups whose name contains this text, ignoring case
    #[arg(long, value_name = "TEXT", env = "BATON_GROUP_NAME_FILTER")]
    pub group_name_filter: Option<String>,
}

/// Run a sample Okta org on this machine and sync it
#[derive(Args, Debug)]
#[command(after_help = "\
demo ignores all BATON_ variables and makes no external requests.

Examples:
  Sync the sample org to demo.c1z:
    okta-ciam demo

  Keep the sample org running, to try the other commands in a second terminal:
    okta-ciam demo --serve")]
pub struct DemoArgs {
    /// Write the snapshot to this file; an existing file is replaced only if demo wrote it [default: demo.c1z]
    #[arg(short, long, value_name = "FILE", conflicts_with = "serve")]
    pub file: Option<String>,
    /// Print the variables to set, and run the sample org until interrupted, without syncing it
    #[arg(long)]
    pub serve: bool,
    /// With --serve, listen on this port [default: any free port]
    #[arg(long, value_name = "PORT")]
    pub port: Option<String>,
}

/// Returns how to talk about a command line that could not be parsed: what of it can be told without parsing.
pub fn parse_output_options(arguments: impl IntoIterator<Item = OsString>) -> OutputArgs {
    let words: Vec<String> = arguments
        .into_iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let json = words.iter().any(|word| word == "--output=json")
        || words.windows(2).any(|pair| pair == ["--output", "json"]);
    OutputArgs {
        output: json.then(|| "json".to_owned()),
        ..OutputArgs::default()
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }
}
