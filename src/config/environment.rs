//! Options and variables as text, before they are checked.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::time::Duration;

use clap::ValueEnum;

use super::{Error, proxy};
use crate::console::Terminal;
use crate::{mask, words};

/// The variables of the process that may be read: `BATON_*`, and those for terminals, proxies, certificates and CI
/// systems.
#[derive(Clone, Debug, Default)]
pub struct Environment(pub(super) BTreeMap<String, OsString>);

const TERMINAL_VARIABLES: [&str; 2] = ["NO_COLOR", "TERM"];
/// The variables with the run id of a CI system, by precedence.
pub(super) const RUN_VARIABLES: [&str; 3] = ["GITHUB_RUN_ID", "CI_JOB_ID", "BUILD_ID"];
/// The variables with the paths of root certificates.
pub(super) const ROOT_VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

impl Environment {
    /// Reads the variables of this process.
    pub fn of_process() -> Self {
        let ours = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            let counts = name.starts_with("BATON_")
                || TERMINAL_VARIABLES.contains(&name.as_str())
                || RUN_VARIABLES.contains(&name.as_str())
                || ROOT_VARIABLES.contains(&name.as_str())
                || proxy::is_variable(&name);
            (counts && !value.is_empty()).then_some((name, value))
        });
        Self(ours.collect())
    }

    /// Keeps only the variables for the terminal.
    pub fn without_settings(mut self) -> Self {
        self.0
            .retain(|name, _| TERMINAL_VARIABLES.contains(&name.as_str()));
        self
    }

    pub(super) fn terminal(&self) -> Terminal {
        Terminal {
            color: !self.0.contains_key("NO_COLOR"),
            moves: self.0.get("TERM").is_none_or(|term| term != "dumb"),
        }
    }

    /// Returns the value of an option or, if it is not given, of its variable, such as `BATON_MAX_DROP` for
    /// `--max-drop`.
    pub(super) fn setting(
        &self,
        flag: &str,
        typed: Option<&String>,
    ) -> Result<Option<Setting>, Error> {
        match typed {
            Some(value) => Ok(Some(Setting::new(flag, value))),
            None => self.get(&variable_of(flag)),
        }
    }

    pub(super) fn get(&self, name: &str) -> Result<Option<Setting>, Error> {
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        let value = value
            .to_str()
            .ok_or_else(|| Error::fault(name, "is not UTF-8"))?;
        // A file of variables with Windows line ends leaves a carriage return after each value.
        let value = value.trim_end_matches(['\r', '\n']);
        if name.starts_with("BATON_")
            && !name.starts_with("BATON_API_TOKEN")
            && value.chars().any(char::is_control)
        {
            return Err(Error::fault(
                name,
                "contains a control character, such as a line break; remove it",
            ));
        }
        Ok((!value.is_empty()).then(|| Setting::new(name, value)))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

#[cfg(test)]
impl Environment {
    pub(super) fn of_pairs(pairs: &[(&str, &str)]) -> Self {
        let pairs = pairs.iter();
        Self(
            pairs
                .map(|(name, value)| ((*name).to_owned(), (*value).into()))
                .collect(),
        )
    }
}

#[cfg(test)]
impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(pairs: [(&str, &str); N]) -> Self {
        let pairs = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        Self(
            pairs
                .map(|(name, value)| (name.to_owned(), value.into()))
                .collect(),
        )
    }
}

/// Returns the name of an option's variable.
pub(super) fn variable_of(flag: &str) -> String {
    let name = flag.trim_start_matches('-').replace('-', "_");
    format!("BATON_{}", name.to_uppercase())
}

/// A value and its source.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) name: String,
    pub(super) value: String,
}

impl Setting {
    pub(super) fn new(name: &str, value: &str) -> Self {
        Self {
            name: name.to_owned(),
            value: value.to_owned(),
        }
    }

    pub(super) fn error(&self, problem: impl fmt::Display) -> Error {
        Error::about(&self.name, problem)
    }

    /// Makes the setting the subject of the sentence: `predicate` starts with a verb.
    pub(super) fn fault(&self, predicate: impl fmt::Display) -> Error {
        Error::fault(&self.name, predicate)
    }

    pub(super) fn invalid(&self, expected: impl fmt::Display) -> Error {
        let value = mask::shown(&self.value);
        Error(format!(
            "invalid value {value} for {}: expected {expected}",
            self.name
        ))
    }

    pub(super) fn parse<T>(
        &self,
        read: impl Fn(&str) -> Option<T>,
        expected: impl fmt::Display,
    ) -> Result<T, Error> {
        read(self.value.trim()).ok_or_else(|| self.invalid(expected))
    }

    /// Reads one of the words of an enum.
    pub(super) fn word<T: ValueEnum>(&self) -> Result<T, Error> {
        self.parse(|text| T::from_str(text, false).ok(), words::list::<T>())
    }

    pub(super) fn word_in_any_case<T: ValueEnum>(&self) -> Result<T, Error> {
        self.parse(|text| T::from_str(text, true).ok(), words::list::<T>())
    }
}

/// Reads one of the words of an enum, or returns the default of a setting that is not set.
pub(super) fn word_or_default<T: ValueEnum + Default>(
    setting: Option<Setting>,
) -> Result<T, Error> {
    setting.map_or_else(|| Ok(T::default()), |setting| setting.word())
}

/// Parses a setting, or returns the default if there is none.
pub(super) fn or_default<T>(
    setting: Option<Setting>,
    default: T,
    read: impl Fn(&str) -> Option<T>,
    expected: impl fmt::Display,
) -> Result<T, Error> {
    setting.map_or(Ok(default), |setting| setting.parse(read, expected))
}

/// Parses `true`, `1`, `false` or `0`.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

/// Parses `90s`, `15m` or `2h`; a number without a unit is in seconds. Zero is invalid.
pub(super) fn read_duration(text: &str) -> Option<Duration> {
    let (digits, unit) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(digits) => (digits, &text[digits.len()..]),
        None => (text, "s"),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u32 = digits.parse().ok().filter(|count| *count > 0)?;
    let seconds = match unit {
        "m" => 60,
        "h" => 3600,
        _ => 1,
    };
    Some(Duration::from_secs(u64::from(count) * seconds))
}
