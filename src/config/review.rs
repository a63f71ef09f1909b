//! The options of `review`.

use std::path::{Path, PathBuf};

use super::environment::Setting;
use super::findings::{number, privileged};
use super::{Environment, Error, snapshot_to_read};
use crate::cli;
use crate::evidence::findings::FindingOptions;
use crate::evidence::review::plan::{ReviewOptions, SplitBy};

/// A checked step of `review`.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the names are the steps'")]
pub enum ReviewConfig {
    Start(Box<ReviewStartConfig>),
    Status(Vec<PathBuf>),
    Close(ReviewCloseConfig),
}

/// The format of a sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum SheetFormat {
    Csv,
    Xlsx,
}

/// A checked `review start`.
#[derive(Clone, Debug)]
pub struct ReviewStartConfig {
    /// The snapshot.
    pub file: PathBuf,
    /// The sheet to write.
    pub out: PathBuf,
    /// The format of the sheet.
    pub format: SheetFormat,
    /// The settings that select the rows.
    pub options: ReviewOptions,
    /// An older snapshot; if given, only newer memberships are reviewed.
    pub changed_since: Option<PathBuf>,
    /// The sheets of the previous review.
    pub previous: Vec<PathBuf>,
    /// The criterion for splitting the rows into files.
    pub split_by: Option<SplitBy>,
}

/// A checked `review close`.
#[derive(Clone, Debug)]
pub struct ReviewCloseConfig {
    /// The sheets.
    pub sheets: Vec<PathBuf>,
    /// The snapshot of which the sheets were made.
    pub before: PathBuf,
    /// The later snapshot.
    pub after: PathBuf,
    /// The folder to create.
    pub out: PathBuf,
    /// The audit logs of `revoke`.
    pub audit_logs: Vec<PathBuf>,
}

impl ReviewConfig {
    /// Checks the options.
    ///
    /// # Errors
    /// Returns an error for the first invalid option.
    pub fn new(typed: &cli::ReviewArgs, environment: &Environment) -> Result<Self, Error> {
        match &typed.step {
            cli::ReviewStep::Start(typed) => {
                let start = ReviewStartConfig::new(typed, environment)?;
                Ok(Self::Start(Box::new(start)))
            }
            cli::ReviewStep::Status(typed) => Ok(Self::Status(paths(&typed.sheets))),
            cli::ReviewStep::Close(typed) => ReviewCloseConfig::new(typed).map(Self::Close),
        }
    }
}

impl ReviewStartConfig {
    fn new(typed: &cli::ReviewStartArgs, environment: &Environment) -> Result<Self, Error> {
        let out = needed(
            "--to",
            typed.out.as_ref(),
            "the sheet to write, such as review.xlsx",
        )?;
        let ending = out.extension().map(|ending| ending.to_ascii_lowercase());
        let format = match ending.as_deref().and_then(|ending| ending.to_str()) {
            Some("csv") => SheetFormat::Csv,
            Some("xlsx") => SheetFormat::Xlsx,
            _ => {
                let setting = Setting::new("--to", &out.to_string_lossy());
                return Err(setting.invalid("a file that ends in .csv or .xlsx"));
            }
        };
        let split_by = typed.split_by.as_ref();
        let split_by = split_by.map(|text| Setting::new("--split-by", text).word());
        let defaults = FindingOptions::default();
        let days = typed.dormant_days.as_ref();
        let findings = FindingOptions {
            dormant_days: number("--dormant-days", days, defaults.dormant_days)?,
            privileged: privileged(&typed.privileged)?,
            ..defaults
        };
        Ok(Self {
            file: snapshot_to_read(typed.file.as_ref(), environment)?,
            out,
            format,
            options: ReviewOptions {
                findings,
                include_everyone: typed.include_everyone,
                only_flagged: typed.only_flagged,
                only_new: typed.changed_since.is_some(),
                attributes: attributes(&typed.attribute)?,
            },
            changed_since: typed.changed_since.as_ref().map(PathBuf::from),
            previous: paths(&typed.previous),
            split_by: split_by.transpose()?,
        })
    }
}

impl ReviewCloseConfig {
    fn new(typed: &cli::ReviewCloseArgs) -> Result<Self, Error> {
        if typed.sheet.is_empty() {
            return Err(missing("--sheet", "the sheets of the review"));
        }
        Ok(Self {
            sheets: paths(&typed.sheet),
            before: needed(
                "--before",
                typed.before.as_ref(),
                "the snapshot that the sheets were made from",
            )?,
            after: needed(
                "--after",
                typed.after.as_ref(),
                "a snapshot that was taken after the changes",
            )?,
            out: needed("--to", typed.out.as_ref(), "the folder to write")?,
            audit_logs: paths(&typed.audit_log),
        })
    }
}

fn attributes(typed: &[String]) -> Result<Vec<String>, Error> {
    let read = |text: &str| (!text.trim().is_empty()).then(|| text.to_owned());
    let names = typed.iter().map(|text| {
        Setting::new("--attribute", text).parse(read, "the name of an attribute of the profile")
    });
    names.collect()
}

fn paths(typed: &[String]) -> Vec<PathBuf> {
    typed.iter().map(PathBuf::from).collect()
}

fn needed(flag: &str, typed: Option<&String>, meaning: &str) -> Result<PathBuf, Error> {
    let path = typed.filter(|text| !text.is_empty());
    path.map(|text| Path::new(text).to_owned())
        .ok_or_else(|| missing(flag, meaning))
}

fn missing(flag: &str, meaning: &str) -> Error {
    Error(format!("{flag} is required; pass {meaning}"))
}
