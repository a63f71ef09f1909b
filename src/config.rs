//! Converts options and variables to one checked value per command. No other module reads environment variables.
//!
//! - An option overrides its variable; an empty variable counts as unset.
//! - Every error contains the name of the option or variable and what to write instead. No error repeats a secret.
//! - The only files read here are those with secrets, and the list of `--from`.

mod arguments;
mod change;
mod check;
mod connection;
mod demo;
mod diff;
mod environment;
mod export;
mod file;
mod findings;
mod metrics;
mod output;
mod pages;
mod proxy;
mod report;
mod retention;
mod review;
mod scope;
mod secrets;
mod show;
mod sync;
mod unknown;
mod verify;

use std::fmt;

use thiserror::Error;

pub use self::change::{ChangeConfig, RevokeOnly};
pub use self::check::CheckConfig;
pub use self::connection::is_loopback;
pub use self::demo::DemoConfig;
pub use self::diff::{DiffConfig, RunFile};
pub use self::environment::Environment;
use self::environment::Setting;
pub use self::export::{Destination, ExportConfig};
pub use self::file::{format_of, snapshot_to_read};
pub use self::findings::{FailOn, FindingsConfig};
pub use self::metrics::MetricsConfig;
pub use self::pages::{ManConfig, shell};
pub use self::report::ReportConfig;
pub use self::retention::Retention;
pub use self::review::{ReviewCloseConfig, ReviewConfig, ReviewStartConfig, SheetFormat};
pub use self::show::{MaxAge, ShowConfig, ShowTable, What as ShowWhat};
pub use self::sync::SyncConfig;
pub use self::unknown::notes;
pub use self::verify::VerifyConfig;

/// An invalid option or variable, in one line.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Error(String);

impl Error {
    fn about(setting: impl fmt::Display, problem: impl fmt::Display) -> Self {
        Self(format!("{setting}: {problem}"))
    }

    /// Makes the setting the subject of the sentence: `predicate` starts with a verb.
    fn fault(setting: impl fmt::Display, predicate: impl fmt::Display) -> Self {
        Self(format!("{setting} {predicate}"))
    }
}

fn required(flag: &str, variable: &str, next: &str) -> Error {
    Error(format!("{flag} or {variable} is required; {next}"))
}

fn exclusive(first: &Setting, second: &Setting) -> Error {
    let (first, second) = (&first.name, &second.name);
    Error(format!("{first} cannot be used with {second}"))
}

#[cfg(test)]
mod tests;
