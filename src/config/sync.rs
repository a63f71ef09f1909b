//! The options of `sync`.

use std::path::PathBuf;

use jiff::Timestamp;

use super::environment::{Environment, RUN_VARIABLES, Setting, word_or_default};
use super::retention::{Retention, retention};
use super::{Error, arguments, file, is_loopback, scope};
use crate::cli;
use crate::filter::Scope;
use crate::okta::settings::Connection;
use crate::snapshot::FileFormat;
use crate::sync;
use crate::sync::plan::MembershipsBy;

/// A checked `sync`.
#[derive(Clone, Debug)]
pub struct SyncConfig {
    /// The connection to the org.
    pub connection: Connection,
    /// The scope.
    pub scope: Scope,
    /// The path of the snapshot.
    pub file: PathBuf,
    /// The names of earlier snapshots and how many to keep, if the file name contains a time.
    pub retention: Option<Retention>,
    /// The format, from the file's extension.
    pub format: FileFormat,
    /// The permissions of the snapshot and the manifest; those of the replaced file if not given.
    pub file_mode: Option<u32>,
    /// The path of the manifest.
    pub manifest: Option<PathBuf>,
    /// The strategy for reading memberships.
    pub memberships_by: MembershipsBy,
    /// True if the run only reports the cost.
    pub plan: bool,
    /// True if an incomplete snapshot may replace the file.
    pub allow_partial: bool,
    /// True if a snapshot without users or groups is accepted.
    pub allow_empty: bool,
    /// The largest accepted drop of users, groups or memberships, in percent.
    pub max_drop: Option<u8>,
    /// True if the run starts over even if an interrupted run can be resumed.
    pub fresh: bool,
    /// The id of the run in other systems: from `--run-id` or, if not given, from the CI system.
    pub run_id: Option<String>,
    /// A free text about the snapshot, from `--note`.
    pub note: Option<String>,
    /// The options and variables that the snapshot records.
    pub arguments: Vec<String>,
    /// The time that the run records instead of the clock; only for orgs on this machine.
    pub now: Option<Timestamp>,
    /// The name of the command, which the snapshot records.
    pub command: &'static str,
}

impl SyncConfig {
    /// Returns the options for reading the org.
    pub fn options(&self) -> sync::Options {
        sync::Options {
            scope: self.scope.clone(),
            memberships_by: self.memberships_by,
            concurrency: self.connection.concurrency,
            page_sizes: self.connection.page_sizes,
            plan: self.plan,
            allow_empty: self.allow_empty,
        }
    }

    /// Reads the options, their variables, and the files with secrets.
    ///
    /// # Errors
    /// Returns an error for the first option or variable that is invalid.
    pub fn new(typed: &cli::SyncArgs, environment: &Environment) -> Result<Self, Error> {
        let file = file::to_write(typed.files.file.as_ref(), environment, "sync.c1z")?;
        let file_mode = file_mode(typed, environment)?;
        let manifest = environment.setting("--manifest", typed.files.manifest.as_ref())?;
        let retention = retention(typed, environment, &file, manifest.as_ref())?;
        let memberships_by = memberships_by(typed, environment)?;
        let max_drop = max_drop(typed, environment)?;
        let run_id = run_id(typed, environment)?;
        let note = recorded_text("--note", typed.note.as_ref(), environment)?;
        let scope = scope::scope(&typed.scope, environment)?;
        let connection = Connection::new(&typed.connection, &typed.limits, environment)?;
        let format = file::format(&file)?;
        let mask = connection.credentials.mask();
        let now = now(typed, &connection)?;
        let begun = now.unwrap_or_else(Timestamp::now);
        let dated = retention.as_ref();
        let manifests = dated.and_then(|dated| dated.manifests.as_ref());
        let dated_manifest = manifests.map(|series| series.file_at(begun));
        Ok(Self {
            now,
            run_id: run_id.map(|text| mask.text(text)),
            note: note.map(|text| mask.text(text)),
            arguments: arguments::of_sync(typed, environment, &connection)?,
            connection,
            scope,
            format,
            file: dated.map_or_else(|| file.value.into(), |dated| dated.file_at(begun)),
            file_mode,
            manifest: dated_manifest.or_else(|| manifest.map(|setting| setting.value.into())),
            retention,
            memberships_by,
            plan: typed.plan,
            allow_partial: typed.allow_partial,
            allow_empty: typed.allow_empty,
            max_drop,
            fresh: typed.fresh,
            command: "sync",
        })
    }
}

fn memberships_by(
    typed: &cli::SyncArgs,
    environment: &Environment,
) -> Result<MembershipsBy, Error> {
    let by = environment.setting("--memberships-by", typed.memberships_by.as_ref())?;
    word_or_default(by)
}

/// Parses octal permissions. The owner must be able to read and write, because the next run replaces the file, and
/// users outside the group must not be able to write.
fn file_mode(typed: &cli::SyncArgs, environment: &Environment) -> Result<Option<u32>, Error> {
    let setting = environment.setting("--file-mode", typed.files.file_mode.as_ref())?;
    let read = |text: &str| {
        let is_octal =
            (3..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        let mode = u32::from_str_radix(text, 8).ok().filter(|_| is_octal)?;
        (mode & 0o600 == 0o600 && mode & !0o664 == 0).then_some(mode)
    };
    let expected = "an octal mode from 0600 to 0664 without the right to execute, such as 0640";
    setting
        .map(|setting| setting.parse(read, expected))
        .transpose()
}

fn max_drop(typed: &cli::SyncArgs, environment: &Environment) -> Result<Option<u8>, Error> {
    let setting = environment.setting("--max-drop", typed.max_drop.as_ref())?;
    let percent = |text: &str| text.parse().ok().filter(|percent| *percent <= 100);
    setting
        .map(|setting| setting.parse(percent, "a whole number from 0 to 100"))
        .transpose()
}

fn now(typed: &cli::SyncArgs, connection: &Connection) -> Result<Option<Timestamp>, Error> {
    let Some(text) = &typed.now else {
        return Ok(None);
    };
    let setting = Setting::new("--now", text);
    if !is_loopback(&connection.origin) {
        return Err(setting.fault("is for orgs on this machine only"));
    }
    let read = |text: &str| text.parse().ok();
    setting
        .parse(read, "a time such as 2026-01-31T12:00:00Z")
        .map(Some)
}

/// The largest length of a text that is recorded about a run, in characters.
const LONGEST_TEXT: usize = 1000;

/// Returns a text to record: at most [`LONGEST_TEXT`] characters on one line.
fn recorded_text(
    flag: &str,
    typed: Option<&String>,
    environment: &Environment,
) -> Result<Option<String>, Error> {
    match environment.setting(flag, typed)? {
        Some(setting) => checked_text(setting),
        None => Ok(None),
    }
}

fn checked_text(setting: Setting) -> Result<Option<String>, Error> {
    if setting.value.chars().any(char::is_control) {
        return Err(setting.fault("contains a control character, such as a line break; remove it"));
    }
    if setting.value.chars().count() > LONGEST_TEXT {
        return Err(setting.fault(format!(
            "is longer than {LONGEST_TEXT} characters; shorten it"
        )));
    }
    Ok(Some(setting.value.trim().to_owned()).filter(|text| !text.is_empty()))
}

/// Returns the id of the run in other systems. An invalid id from a CI system is ignored.
fn run_id(typed: &cli::SyncArgs, environment: &Environment) -> Result<Option<String>, Error> {
    let given = recorded_text("--run-id", typed.run_id.as_ref(), environment)?;
    let of_ci = || {
        let text = |name: &str| checked_text(environment.get(name).ok()??).ok()?;
        RUN_VARIABLES.into_iter().find_map(text)
    };
    Ok(given.or_else(of_ci))
}
