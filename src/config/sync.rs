//! The options of `sync`.

use std::path::PathBuf;

use jiff::Timestamp;

use super::environment::{Environment, Setting, or_default};
use super::{Error, file, is_loopback, scope};
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
    /// The format, from the file's extension.
    pub format: FileFormat,
    /// Where the manifest goes.
    pub manifest: Option<PathBuf>,
    /// How memberships are read.
    pub memberships_by: MembershipsBy,
    /// Whether only to report the cost.
    pub plan: bool,
    /// Whether an incomplete snapshot may replace the file.
    pub allow_partial: bool,
    /// Whether a snapshot without users or groups is accepted.
    pub allow_empty: bool,
    /// The largest accepted drop of users, groups or memberships, in percent.
    pub max_drop: Option<u8>,
    /// Whether to start over even if an interrupted run can be resumed.
    pub fresh: bool,
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
        let manifest = environment.setting("--manifest", typed.manifest.as_ref())?;
        let by = environment.setting("--memberships-by", typed.memberships_by.as_ref())?;
        let by = or_default(
            by,
            MembershipsBy::Auto,
            |text| {
                [
                    MembershipsBy::Auto,
                    MembershipsBy::Group,
                    MembershipsBy::User,
                ]
                .into_iter()
                .find(|by| by.as_str() == text)
            },
            "auto, group or user",
        )?;
        let max_drop = environment.setting("--max-drop", typed.max_drop.as_ref())?;
        let max_drop = max_drop.map(|setting| {
            let percent = |text: &str| text.parse().ok().filter(|percent| *percent <= 100);
            setting.parse(percent, "a whole number from 0 to 100")
        });
        let max_drop = max_drop.transpose()?;
        let scope = scope::scope(&typed.scope, environment)?;
        let connection = Connection::new(&typed.connection, &typed.limits, environment)?;
        let now = typed.now.as_ref().map(|text| {
            let setting = Setting::new("--now", text);
            if !is_loopback(&connection.origin) {
                return Err(setting.error("is for orgs on this machine only"));
            }
            setting.parse(
                |text| text.parse().ok(),
                "a time such as 2026-01-31T12:00:00Z",
            )
        });
        let format = file::format(&file)?;
        Ok(Self {
            now: now.transpose()?,
            connection,
            scope,
            format,
            file: file.value.into(),
            manifest: manifest.map(|setting| setting.value.into()),
            memberships_by: by,
            plan: typed.plan,
            allow_partial: typed.allow_partial,
            allow_empty: typed.allow_empty,
            max_drop,
            fresh: typed.fresh,
            command: "sync",
        })
    }
}
