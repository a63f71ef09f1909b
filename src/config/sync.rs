//! The options of `sync`.

use std::path::PathBuf;

use jiff::Timestamp;

use super::environment::{Environment, RUN_VARIABLES, Setting, or_default};
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
pub struct Sync {
    /// The org.
    pub connection: Connection,
    /// The scope.
    pub scope: Scope,
    /// The file to write.
    pub file: PathBuf,
    /// The files of earlier runs, if the name contains a time.
    pub retention: Option<Retention>,
    /// The format, from the file's extension.
    pub format: FileFormat,
    /// The permissions of the snapshot and the manifest, unless those of the replaced file count.
    pub file_mode: Option<u32>,
    /// Where the manifest goes.
    pub manifest: Option<PathBuf>,
    /// How memberships are read.
    pub memberships_by: MembershipsBy,
    /// Whether only to report the cost.
    pub plan: bool,
    /// Set if an incomplete snapshot may replace the file.
    pub allow_partial: bool,
    /// Set if a snapshot without users or groups is accepted.
    pub allow_empty: bool,
    /// The largest accepted drop of users, groups or memberships, in percent.
    pub max_drop: Option<u8>,
    /// Whether to start over even if an interrupted run can be resumed.
    pub fresh: bool,
    /// What the snapshot calls the run: `--run-id`, or the id that a CI system gave it.
    pub run_id: Option<String>,
    /// What the snapshot says about itself in the words of the person who took it.
    pub note: Option<String>,
    /// The options and variables to record.
    pub arguments: Vec<String>,
    /// The time to record instead of the clock's.
    pub now: Option<Timestamp>,
    /// The command, for the metadata.
    pub command: &'static str,
}

impl Sync {
    /// Returns the options of the engine.
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

    /// Reads the options, their variables, and the files of secrets.
    ///
    /// # Errors
    /// Returns an error for the first option or variable that is invalid.
    pub fn new(typed: &cli::Sync, environment: &Environment) -> Result<Self, Error> {
        let file = file::to_write(typed.file.as_ref(), environment, "sync.c1z")?;
        let file_mode = file_mode(typed, environment)?;
        let manifest = environment.setting("--manifest", typed.manifest.as_ref())?;
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

fn memberships_by(typed: &cli::Sync, environment: &Environment) -> Result<MembershipsBy, Error> {
    let by = environment.setting("--memberships-by", typed.memberships_by.as_ref())?;
    let all = [
        MembershipsBy::Auto,
        MembershipsBy::Group,
        MembershipsBy::User,
    ];
    let read = |text: &str| all.into_iter().find(|by| by.as_str() == text);
    or_default(by, MembershipsBy::Auto, read, "auto, group or user")
}

/// Reads octal permissions. The owner needs both, or the next run could not read what this one wrote; who is neither the owner
/// nor in the group may not write.
fn file_mode(typed: &cli::Sync, environment: &Environment) -> Result<Option<u32>, Error> {
    let setting = environment.setting("--file-mode", typed.file_mode.as_ref())?;
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

fn max_drop(typed: &cli::Sync, environment: &Environment) -> Result<Option<u8>, Error> {
    let setting = environment.setting("--max-drop", typed.max_drop.as_ref())?;
    let percent = |text: &str| text.parse().ok().filter(|percent| *percent <= 100);
    setting
        .map(|setting| setting.parse(percent, "a whole number from 0 to 100"))
        .transpose()
}

fn now(typed: &cli::Sync, connection: &Connection) -> Result<Option<Timestamp>, Error> {
    let Some(text) = &typed.now else {
        return Ok(None);
    };
    let setting = Setting::new("--now", text);
    if !is_loopback(&connection.origin) {
        return Err(setting.error("is for orgs on this machine only"));
    }
    let read = |text: &str| text.parse().ok();
    setting
        .parse(read, "a time such as 2026-01-31T12:00:00Z")
        .map(Some)
}

/// The longest text that is recorded about a run, in characters.
const LONGEST_TEXT: usize = 1000;

/// Returns a text to record: one line that is not too long.
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
        return Err(setting.error("contains a control character, such as a line break; remove it"));
    }
    if setting.value.chars().count() > LONGEST_TEXT {
        return Err(setting.error(format!(
            "is longer than {LONGEST_TEXT} characters; shorten it"
        )));
    }
    Ok(Some(setting.value.trim().to_owned()).filter(|text| !text.is_empty()))
}

/// Returns what to call the run. What a CI system calls it is not worth an error.
fn run_id(typed: &cli::Sync, environment: &Environment) -> Result<Option<String>, Error> {
    let given = recorded_text("--run-id", typed.run_id.as_ref(), environment)?;
    let of_ci = || {
        let text = |name: &str| checked_text(environment.get(name).ok()??).ok()?;
        RUN_VARIABLES.into_iter().find_map(text)
    };
    Ok(given.or_else(of_ci))
}
