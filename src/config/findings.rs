//! The options of `findings`.

use std::path::PathBuf;

use clap::ValueEnum as _;

use super::environment::Setting;
use super::{Environment, Error, snapshot_to_read};
use crate::cli;
use crate::evidence::findings::FindingOptions;
use crate::evidence::findings::catalogue::{CATALOGUE, Severity};
use crate::evidence::findings::exceptions::find;
use crate::evidence::findings::render::FindingsFormat;
use crate::text::closest;
use crate::words;

/// A checked `findings`.
#[derive(Clone, Debug)]
pub struct FindingsConfig {
    /// The snapshot.
    pub file: PathBuf,
    /// True if only the catalogue is printed.
    pub list: bool,
    /// The settings of the checks.
    pub options: FindingOptions,
    /// An older snapshot to compare with.
    pub since: Option<PathBuf>,
    /// A review sheet with decisions.
    pub review: Option<PathBuf>,
    /// An exceptions file.
    pub exceptions: Option<PathBuf>,
    /// The findings that make the exit code 1.
    pub fail_on: Vec<FailOn>,
    /// The format, if given. It overrides `--output`.
    pub format: Option<FindingsFormat>,
    /// More files to write, with their formats.
    pub outputs: Vec<(FindingsFormat, PathBuf)>,
}

/// A condition that makes the exit code 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailOn {
    /// The finding with this id has rows.
    Id(&'static str),
    /// A finding of this severity or higher has rows.
    Severity(Severity),
}

impl FindingsConfig {
    /// Checks the options.
    ///
    /// # Errors
    /// Returns an error for the first invalid option.
    pub fn new(typed: &cli::FindingsArgs, environment: &Environment) -> Result<Self, Error> {
        Ok(Self {
            file: snapshot_to_read(typed.file.as_ref(), environment)?,
            list: typed.list,
            options: options(typed)?,
            since: path(&typed.rules.since),
            review: path(&typed.review),
            exceptions: path(&typed.rules.exceptions),
            fail_on: typed
                .fail_on
                .iter()
                .map(|text| fail_on(text))
                .collect::<Result<_, _>>()?,
            format: typed
                .format
                .as_ref()
                .map(|text| Setting::new("--format", text).word())
                .transpose()?,
            outputs: typed
                .out
                .iter()
                .map(|text| output(text))
                .collect::<Result<_, _>>()?,
        })
    }
}

pub(super) fn path(typed: &Option<String>) -> Option<PathBuf> {
    typed.as_ref().map(PathBuf::from)
}

fn options(typed: &cli::FindingsArgs) -> Result<FindingOptions, Error> {
    let mut options = rules(&typed.rules)?;
    if !typed.check.is_empty() {
        let chosen = typed.check.iter().map(|text| id("--check", text, ID));
        options.checks = chosen.collect::<Result<_, _>>()?;
    }
    for text in &typed.skip {
        options.checks.remove(id("--skip", text, ID)?);
    }
    Ok(options)
}

/// Returns the settings of the checks, with all checks enabled.
pub(super) fn rules(typed: &cli::FindingRules) -> Result<FindingOptions, Error> {
    let defaults = FindingOptions::default();
    Ok(FindingOptions {
        dormant_days: number(
            "--dormant-days",
            typed.dormant_days.as_ref(),
            defaults.dormant_days,
        )?,
        privileged: privileged(&typed.privileged)?,
        privileged_max: number("--privileged-max", typed.privileged_max.as_ref(), 15)?.into(),
        ..defaults
    })
}

pub(super) fn number(flag: &str, typed: Option<&String>, default: u32) -> Result<u32, Error> {
    match typed {
        Some(text) => Setting::new(flag, text).parse(|text| text.parse().ok(), "a whole number"),
        None => Ok(default),
    }
}

/// Returns the texts that identify privileged groups, in lower case.
pub(super) fn privileged(typed: &[String]) -> Result<Vec<String>, Error> {
    let read = |text: &str| (!text.is_empty()).then(|| text.to_lowercase());
    let parts = typed.iter().map(|text| {
        Setting::new("--privileged", text).parse(read, "a part of the name of a group")
    });
    parts.collect()
}

const ID: &str = "the name or id of a finding";

fn id(flag: &str, text: &str, expected: &str) -> Result<&'static str, Error> {
    if let Some(entry) = find(text.trim()) {
        return Ok(entry.id);
    }
    let near = closest(text, CATALOGUE.iter().map(|entry| entry.name));
    let hint = near.map_or("findings --list prints them".to_owned(), |near| {
        format!("did you mean {near}?")
    });
    Err(Setting::new(flag, text).invalid(format!("{expected}; {hint}")))
}

fn fail_on(text: &str) -> Result<FailOn, Error> {
    match Severity::from_str(text.trim(), false) {
        Ok(severity) => Ok(FailOn::Severity(severity)),
        Err(_) => {
            let severities = words::list::<Severity>();
            let expected = format!("{severities}, or the name or id of a finding");
            id("--fail-on", text, &expected).map(FailOn::Id)
        }
    }
}

fn output(text: &str) -> Result<(FindingsFormat, PathBuf), Error> {
    match text.split_once('=') {
        Some((word, path)) if !path.is_empty() => {
            Ok((Setting::new("--out", word).word()?, path.into()))
        }
        _ => Err(Setting::new("--out", text).invalid("FORMAT=FILE, such as sarif=findings.sarif")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_words_are_refused_with_what_to_write_instead() {
        let error = |change: fn(&mut cli::FindingsArgs)| {
            let mut typed = cli::FindingsArgs::default();
            change(&mut typed);
            FindingsConfig::new(&typed, &Environment::default())
                .unwrap_err()
                .to_string()
        };
        assert!(
            error(|typed| typed.check = vec!["dormant-membr".into()])
                .contains("did you mean dormant-member?")
        );
        assert_eq!(
            error(|typed| typed.fail_on = vec!["zzz".into()]),
            "invalid value \"zzz\" for --fail-on: expected info, low, medium, high or critical, or the name or id of a finding; findings --list prints them"
        );
        assert!(error(|typed| typed.out = vec!["sarif".into()]).contains("FORMAT=FILE"));
        assert!(error(|typed| typed.out = vec!["pdf=x".into()]).contains("sarif or junit"));
        assert!(
            error(|typed| typed.rules.dormant_days = Some("-1".into())).contains("a whole number")
        );
    }
}
