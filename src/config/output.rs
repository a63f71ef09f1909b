//! Options for results and logs, which every command has.

use super::Error;
use super::environment::{Environment, word_or_default};
use crate::cli;
use crate::console::{LogFormat, LogLevel, OutputOptions};

impl OutputOptions {
    /// Reads the options for results and logs.
    ///
    /// # Errors
    /// Returns an error for an unknown level or format.
    pub fn new(typed: &cli::OutputArgs, environment: &Environment) -> Result<Self, Error> {
        let level = environment.setting("--log-level", typed.log_level.as_ref())?;
        let format = environment.setting("--log-format", typed.log_format.as_ref())?;
        let output = environment.setting("--output", typed.output.as_ref())?;
        Ok(Self {
            output: word_or_default(output)?,
            // Other programs accept DEBUG too.
            level: level
                .map(|level| level.word_in_any_case::<LogLevel>())
                .transpose()?
                .unwrap_or_default()
                .into(),
            format: word_or_default(format)?,
            quiet: typed.quiet,
            terminal: environment.terminal(),
        })
    }

    /// Returns options for reporting that these options are invalid: values that can be parsed, and defaults otherwise.
    pub fn best_effort(typed: &cli::OutputArgs, environment: &Environment) -> Self {
        let output = environment.setting("--output", typed.output.as_ref());
        Self {
            output: output.and_then(word_or_default).unwrap_or_default(),
            level: LogLevel::default().into(),
            format: LogFormat::default(),
            quiet: typed.quiet,
            terminal: environment.terminal(),
        }
    }
}
