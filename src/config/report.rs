//! The options of `report`.

use std::path::PathBuf;

use super::findings::{path, rules};
use super::{Environment, Error, Setting, snapshot_to_read};
use crate::cli;
use crate::evidence::findings::FindingOptions;

/// A checked `report`.
#[derive(Clone, Debug)]
pub struct ReportConfig {
    /// The snapshot.
    pub file: PathBuf,
    /// The page to write.
    pub out: PathBuf,
    /// The title, if it is not the default.
    pub title: Option<String>,
    /// True if the page contains the memberships even if it is large.
    pub full: bool,
    /// The settings of the checks.
    pub options: FindingOptions,
    /// An older snapshot to compare with.
    pub since: Option<PathBuf>,
    /// An exceptions file.
    pub exceptions: Option<PathBuf>,
}

impl ReportConfig {
    /// Checks the options.
    ///
    /// # Errors
    /// Returns an error for the first invalid option.
    pub fn new(typed: &cli::ReportArgs, environment: &Environment) -> Result<Self, Error> {
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
            title: title(typed, environment)?,
            full: typed.full,
            options: rules(&typed.rules)?,
            since: path(&typed.rules.since),
            exceptions: path(&typed.rules.exceptions),
        })
    }
}

/// The longest title, in characters: browsers cut the names of tabs and bookmarks much earlier.
const LONGEST_TITLE: usize = 200;

fn title(typed: &cli::ReportArgs, environment: &Environment) -> Result<Option<String>, Error> {
    let Some(setting) = environment.setting("--title", typed.title.as_ref())? else {
        return Ok(None);
    };
    if setting.value.trim().is_empty() {
        return Err(setting.fault("is empty; give it a text, or leave it out"));
    }
    if setting.value.chars().count() > LONGEST_TITLE {
        return Err(setting.fault(format!(
            "is longer than {LONGEST_TITLE} characters; shorten it"
        )));
    }
    Ok(Some(setting.value))
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
            let typed = cli::ReportArgs {
                out: out.map(str::to_owned),
                ..cli::ReportArgs::default()
            };
            let error = ReportConfig::new(&typed, &Environment::default()).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    #[test]
    fn a_title_has_1_to_200_characters_and_hides_its_variable() {
        let read = |given: Option<&str>, variable: &str| {
            let typed = cli::ReportArgs {
                out: Some("report.html".to_owned()),
                title: given.map(str::to_owned),
                ..cli::ReportArgs::default()
            };
            let report = ReportConfig::new(&typed, &Environment::from([("BATON_TITLE", variable)]));
            report
                .map(|report| report.title)
                .map_err(|error| error.to_string())
        };
        let (longest, too_long) = ("é".repeat(200), "é".repeat(201));
        assert_eq!(read(None, ""), Ok(None));
        assert_eq!(read(None, "Access"), Ok(Some("Access".to_owned())));
        assert_eq!(read(Some("Mine"), "Access"), Ok(Some("Mine".to_owned())));
        assert_eq!(read(Some(&longest), ""), Ok(Some(longest.clone())));
        let empty = "--title is empty; give it a text, or leave it out";
        assert_eq!(read(Some(""), "Access"), Err(empty.to_owned()));
        assert_eq!(read(Some(" "), ""), Err(empty.to_owned()));
        assert_eq!(
            read(None, &too_long),
            Err("BATON_TITLE is longer than 200 characters; shorten it".to_owned())
        );
    }
}
