//! The options of `report`.

use std::path::PathBuf;

use super::findings::{path, rules};
use super::{Environment, Error, Setting, snapshot_to_read};
use crate::cli;
use crate::evidence::findings::Options;

/// A checked `report`.
#[derive(Clone, Debug)]
pub struct Report {
    /// The snapshot.
    pub file: PathBuf,
    /// The page to write.
    pub out: PathBuf,
    /// The title, if it is not the default.
    pub title: Option<String>,
    /// True if the page contains the memberships even if it is large.
    pub full: bool,
    /// The settings of the checks.
    pub options: Options,
    /// An older snapshot to compare with.
    pub since: Option<PathBuf>,
    /// An exceptions file.
    pub exceptions: Option<PathBuf>,
}

impl Report {
    /// Checks the options.
    ///
    /// # Errors
    /// Returns an error for the first invalid option.
    pub fn new(typed: &cli::Report, environment: &Environment) -> Result<Self, Error> {
        let file = snapshot_to_read(typed.file.as_ref(), environment)?;
        let out = typed.out.as_ref().filter(|out| !out.is_empty());
        let out = out.ok_or_else(|| {
            Error("-o is required; pass the file to write, such as report.html".to_owned())
        })?;
        if out == "-" {
            return Err(Setting::new("-o", out).invalid("a file, such as report.html"));
        }
        Ok(Self {
            file,
            out: out.into(),
            title: typed.title.clone().filter(|title| !title.is_empty()),
            full: typed.full,
            options: rules(&typed.rules)?,
            since: path(&typed.rules.since),
            exceptions: path(&typed.rules.exceptions),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_needs_a_file_to_write() {
        for (out, part) in [
            (None, "-o is required"),
            (Some(""), "-o is required"),
            (Some("-"), "invalid value \"-\" for -o: expected a file"),
        ] {
            let typed = cli::Report {
                out: out.map(str::to_owned),
                ..cli::Report::default()
            };
            let error = Report::new(&typed, &Environment::default()).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
