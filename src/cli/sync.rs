//! The command line of `sync`.

use std::collections::BTreeMap;
use std::ffi::OsStr;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, Error, FromArgMatches, Id};

use super::words::words;
use super::{ConnectionArgs, LimitsArgs, ScopeArgs};
use crate::sync::plan::MembershipsBy;

/// Read an org's users, groups and memberships and write one snapshot file
#[derive(Args, Debug, Default)]
#[command(after_help = "\
Environment variables:
  Every option that takes a value has a variable: BATON_ plus its name, such as
  BATON_EMAIL_DOMAINS. An option overrides its variable.

Examples:
  Write all groups, and the users of example.com, to sync.c1z:
    okta-ciam sync --domain company.okta.com --api-token-file token.txt \\
      --email-domains example.com

  Set the org once with variables, and write a manifest:
    export BATON_DOMAIN=company.okta.com
    export BATON_API_TOKEN_FILE=token.txt
    export BATON_EMAIL_DOMAINS=example.com,example.org
    okta-ciam sync -f okta.c1z --manifest okta.json

  Also keep the old file if a count drops by more than 10 percent:
    okta-ciam sync -f okta.c1z --max-drop 10

  With the same variables, write one file per day, and keep the newest 30:
    okta-ciam sync -f okta-%Y-%m-%d.c1z --keep 30

  With the same variables, estimate how many requests a sync would send:
    okta-ciam sync --plan

To resume an interrupted sync, run the same command again within 24 hours of
its start. For exit codes, run okta-ciam --help.")]
pub struct SyncArgs {
    /// First, because each of the others removes its value.
    #[command(flatten)]
    pub given: Given,
    /// Estimate how many requests a sync would send, without writing anything
    #[arg(long)]
    pub plan: bool,
    /// Read memberships by group or by user; auto picks whichever needs fewer requests [default: auto]
    #[arg(long, value_name = "STRATEGY", value_parser = words::<MembershipsBy>(), env = "BATON_MEMBERSHIPS_BY")]
    pub memberships_by: Option<String>,
    /// Start over even if an interrupted run can be resumed
    #[arg(long)]
    pub fresh: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flags say it")]
    pub connection: ConnectionArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flags say it")]
    pub scope: ScopeArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flags say it")]
    pub files: FileArgs,
    /// Store this run id in the snapshot [default: GITHUB_RUN_ID, CI_JOB_ID or BUILD_ID, if set]
    #[arg(long, value_name = "ID", help_heading = "Output", env = "BATON_RUN_ID")]
    pub run_id: Option<String>,
    /// Store this note in the snapshot, such as the reason for taking it
    #[arg(long, value_name = "TEXT", help_heading = "Output", env = "BATON_NOTE")]
    pub note: Option<String>,
    /// Keep the old file if the number of users, groups or memberships drops by more than this percentage; the new snapshot goes to FILE.rejected
    #[arg(
        long,
        value_name = "PERCENT",
        help_heading = "Guards",
        env = "BATON_MAX_DROP"
    )]
    pub max_drop: Option<String>,
    /// Replace the file even if the snapshot is incomplete, and mark it as incomplete
    #[arg(long, help_heading = "Guards")]
    pub allow_partial: bool,
    /// Accept a snapshot without users or without groups
    #[arg(long, help_heading = "Guards")]
    pub allow_empty: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flags say it")]
    pub limits: LimitsArgs,
    /// Record this time, RFC 3339; loopback orgs only
    #[arg(long, hide = true, value_name = "TIME")]
    pub now: Option<String>,
}

/// What a sync writes, and how. As [`LimitsArgs`], these have no effect on the contents of a snapshot, which records
/// all options of `sync` except those of these two.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Output")]
pub struct FileArgs {
    /// Write the snapshot to this .c1z file, or to a .db, .sqlite or .sqlite3 file as plain SQLite; %Y-%m-%d becomes the UTC date [default: sync.c1z]
    #[arg(short, long, value_name = "FILE", env = "BATON_FILE")]
    pub file: Option<String>,
    /// Keep the newest N snapshots and their manifests, and remove older ones; requires a date, such as %Y-%m-%d, in the file name
    #[arg(long, value_name = "N", env = "BATON_KEEP")]
    pub keep: Option<String>,
    /// Give the snapshot and its manifest this mode, such as 0640 [default: 0600, or the mode of the file that is replaced]
    #[arg(long, value_name = "MODE", env = "BATON_FILE_MODE")]
    pub file_mode: Option<String>,
    /// Also write the snapshot's SHA-256, size, scope and counts as JSON
    #[arg(long, value_name = "FILE", env = "BATON_MANIFEST")]
    pub manifest: Option<String>,
    /// Write metrics about the run to this .prom file in the Prometheus text format, even after a failure
    #[arg(long, value_name = "FILE", env = "BATON_METRICS_FILE")]
    pub metrics_file: Option<String>,
}

/// The options as given, by id.
#[derive(Clone, Debug, Default)]
pub struct Given(BTreeMap<String, Vec<String>>);

impl Given {
    /// Returns the values of an option that was given. Those of a flag mean nothing.
    pub fn values(&self, id: &str) -> Option<&[String]> {
        self.0.get(id).map(Vec::as_slice)
    }
}

impl FromArgMatches for Given {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut given = BTreeMap::new();
        for id in matches.ids().map(Id::as_str) {
            if matches.value_source(id) == Some(ValueSource::CommandLine)
                && let Ok(Some(values)) = matches.try_get_raw(id)
            {
                let text = |value: &OsStr| value.to_string_lossy().into_owned();
                given.insert(id.to_owned(), values.map(text).collect());
            }
        }
        Ok(Self(given))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// It adds no option: it is filled from those that the others add.
impl Args for Given {
    fn augment_args(command: Command) -> Command {
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        command
    }
}
