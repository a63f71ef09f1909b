//! Options for results and logs, which every command has.

use super::Error;
use super::environment::{Environment, or_default};
use crate::cli;
use crate::console::{LogFormat, Output, OutputOptions};

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
            output: or_default(
                output,
                Output::Text,
                |text| match text {
                    "text" => Some(Output::Text),
                    "json" => Some(Output::Json),
                    _ => None,
                },
                "text or json",
            )?,
            level: or_default(
                level,
                tracing::Level::INFO,
                read_level,
                "error, warn, info, debug or trace",
            )?,
            format: or_default(
                format,
                LogFormat::Console,
                |text| match text {
                    "console" => Some(LogFormat::Console),
                    "json" => Some(LogFormat::Json),
                    _ => None,
                },
                "console or json",
            )?,
            quiet: typed.quiet,
            terminal: environment.terminal(),
        })
    }

    /// Returns options for reporting that these options are invalid: values that can be parsed, and defaults otherwise.
    pub fn best_effort(typed: &cli::OutputArgs, environment: &Environment) -> Self {
        let json = typed.output.as_deref() == Some("json")
            || typed.output.is_none()
                && matches!(environment.get("BATON_OUTPUT"), Ok(Some(setting)) if setting.value.trim() == "json");
        Self {
            output: if json { Output::Json } else { Output::Text },
            level: tracing::Level::INFO,
            format: LogFormat::Console,
            quiet: typed.quiet,
            terminal: environment.terminal(),
        }
    }
}

fn read_level(text: &str) -> Option<tracing::Level> {
    match text.to_lowercase().as_str() {
        "error" => Some(tracing::Level::ERROR),
        "warn" => Some(tracing::Level::WARN),
        "info" => Some(tracing::Level::INFO),
        "debug" => Some(tracing::Level::DEBUG),
        "trace" => Some(tracing::Level::TRACE),
        _ => None,
    }
}
