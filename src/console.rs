//! All output to stdout and stderr goes through this module.
//!
//! - Data goes to stdout, all else to stderr: log lines, notes, warnings, progress and the last error.
//! - Notes and warnings are log lines, so `--log-format` and `--log-level` apply to them.
//! - Progress is drawn on a terminal only; elsewhere it is a log line every ten seconds.
//! - Text from Okta goes through [`clean`](crate::text::clean) before a person sees it, and JSON through [`json`]: a
//!   group's name must not move the cursor.
//! - A closed stdout or stderr is not an error.

mod log;
mod progress;

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::OnceLock;
use std::time::Duration;

use clap::ValueEnum;
use indicatif::{MultiProgress, ProgressDrawTarget};
use serde::Serialize;

pub use self::log::RECORDS;
use self::log::{Lines, Stderr};
pub use self::progress::{ChangeProgress, ProgressDisplay};
use crate::signal::{Interrupted, NoResult, ShutdownSignal};
use crate::text::json;

/// Returns the display for progress. Log lines pass through it, so that neither overwrites the other.
fn screen() -> &'static MultiProgress {
    static SCREEN: OnceLock<MultiProgress> = OnceLock::new();
    SCREEN.get_or_init(|| MultiProgress::with_draw_target(ProgressDrawTarget::hidden()))
}

/// The format of results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

/// The least severe log line that is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "the names are the levels'")]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

impl From<LogLevel> for tracing::Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Console,
    /// One JSON object a line.
    Json,
}

/// The options for results and log lines.
#[derive(Clone, Copy, Debug)]
pub struct OutputOptions {
    /// The format of the result on stdout.
    pub output: Output,
    /// The least severe log line that is printed.
    pub level: tracing::Level,
    /// The format of log lines.
    pub format: LogFormat,
    /// Errors only.
    pub quiet: bool,
    /// What the environment allows on the terminal, if there is one.
    pub terminal: Terminal,
}

/// The features of the terminal that the environment allows.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    /// `NO_COLOR` is not set.
    pub color: bool,
    /// `TERM` is not `dumb`.
    pub moves: bool,
}

/// Prints results, prompts and progress.
#[derive(Clone, Copy, Debug)]
pub struct Console {
    output: Output,
    quiet: bool,
    bars: bool,
}

impl Console {
    /// Starts logging and checks whether stderr is a terminal. Called once per process.
    pub fn start(options: &OutputOptions) -> Self {
        let level = if options.quiet {
            tracing::Level::ERROR
        } else {
            options.level
        };
        let terminal = io::stderr().is_terminal();
        let bars = terminal
            && options.format == LogFormat::Console
            && level >= tracing::Level::INFO
            && options.terminal.moves;
        if bars {
            screen().set_draw_target(ProgressDrawTarget::stderr());
        }
        let color = terminal && options.terminal.color;
        let log = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_writer(Stderr)
            .with_ansi(color);
        // A second start (in a test) keeps the first log.
        let _ = match options.format {
            LogFormat::Console => tracing::subscriber::set_global_default(
                log.event_format(Lines { terminal }).finish(),
            ),
            LogFormat::Json => tracing::subscriber::set_global_default(
                log.json()
                    .flatten_event(true)
                    .with_current_span(false)
                    .finish(),
            ),
        };
        Self {
            output: options.output,
            quiet: options.quiet,
            bars,
        }
    }

    /// Returns whether results are printed as JSON.
    pub fn json(&self) -> bool {
        self.output == Output::Json
    }

    /// Prints a result: the text, or the value as JSON. `--quiet` suppresses only the text.
    ///
    /// # Errors
    /// Returns an error if stdout fails for another reason than that its reader closed it.
    pub fn result(&self, value: &impl Serialize, text: impl FnOnce() -> String) -> io::Result<()> {
        unless_closed(self.report(value, text))
    }

    /// Prints a result whose loss must not go unnoticed, otherwise like [`Self::result`].
    ///
    /// # Errors
    /// Returns an error if stdout fails, even if its reader closed it.
    pub fn report(&self, value: &impl Serialize, text: impl FnOnce() -> String) -> io::Result<()> {
        if self.json() {
            write_out(&json(serde_json::to_string_pretty(value)?))
        } else if self.quiet {
            Ok(())
        } else {
            write_out(&text())
        }
    }

    /// Prints requested data, even with `--quiet`.
    ///
    /// # Errors
    /// Returns an error if stdout fails for another reason than that its reader closed it.
    pub fn data(&self, text: &str) -> io::Result<()> {
        unless_closed(write_out(text))
    }

    /// Lets a function write data to stdout piece by piece.
    ///
    /// # Errors
    /// Returns an error if stdout fails for another reason than that its reader closed it.
    pub fn stream(
        &self,
        write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let written = screen().suspend(|| {
            let mut out = io::stdout().lock();
            write(&mut out).and_then(|()| out.flush())
        });
        unless_closed(written)
    }

    /// Suggests a command to a person at a terminal. Prints nothing elsewhere.
    pub fn suggest(&self, command: &str) {
        if !self.json() && !self.quiet && io::stdout().is_terminal() {
            self.print_notice(&format!("next: {command}\n"), false);
        }
    }

    /// Returns whether `--quiet` suppresses the text of results.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Prints why the program ends: on stderr, and with `--output json` as an object on stdout too.
    pub fn failure(&self, failure: &FailureObject) {
        if self.json() {
            let _ = serde_json::to_string(failure).map(|line| self.data(&json(line)));
        }
        tracing::error!("{}", failure.message);
    }

    /// Prints several lines to stderr as they are. With `--quiet`, only if they must be seen.
    pub fn print_notice(&self, text: &str, must_be_seen: bool) {
        if self.quiet && !must_be_seen {
            return;
        }
        screen().suspend(|| {
            let _ = io::stderr().write_all(text.as_bytes());
        });
    }

    /// Asks a yes-or-no question. The end of the input counts as no.
    ///
    /// # Errors
    /// Returns an error if a signal arrives before the answer.
    pub fn confirm(
        &self,
        question: &str,
        stop: &ShutdownSignal,
    ) -> Result<Confirmation, Interrupted> {
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Ok(Confirmation::Nobody);
        }
        // Input from before the question is not an answer to it.
        let _ = rustix::termios::tcflush(io::stdin(), rustix::termios::QueueSelector::IFlush);
        screen().suspend(|| {
            let _ = write!(io::stderr(), "{question} [y/N] ");
        });
        // A signal does not end a read.
        let line = stop.run(Duration::ZERO, || {
            let mut line = String::new();
            let _ = io::stdin().read_line(&mut line);
            line
        });
        match line {
            Ok(line) if matches!(line.trim().to_lowercase().as_str(), "y" | "yes") => {
                Ok(Confirmation::Yes)
            }
            Ok(_) | Err(NoResult::Panicked) => Ok(Confirmation::No),
            Err(NoResult::Interrupted(interrupted)) => Err(interrupted),
        }
    }

    /// Starts showing the progress of a known number of things, which the label names in the plural.
    pub fn change_progress(&self, all: u64, label: &'static str) -> ChangeProgress {
        ChangeProgress::new(self.bars, all, label)
    }

    /// Starts showing the progress of a sync.
    pub fn progress(&self) -> ProgressDisplay {
        ProgressDisplay::new(self.bars)
    }
}

fn write_out(text: &str) -> io::Result<()> {
    screen().suspend(|| {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush())
    })
}

fn unless_closed(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// The size of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Characters on a line.
    pub columns: usize,
}

impl Size {
    /// Returns the size of the terminal that stdout is; none if it is something else.
    pub fn of_stdout() -> Option<Self> {
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
        let columns = usize::from(size.ws_col);
        (columns > 0).then_some(Self { columns })
    }
}

/// An answer to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// Yes.
    Yes,
    /// Anything else.
    No,
    /// There is no terminal, so there is no one to ask.
    Nobody,
}

/// A failure in the form that programs read: alone, or as the first keys of a larger object.
#[derive(Debug, Serialize)]
pub struct FailureObject {
    /// The exit code's word.
    pub error: &'static str,
    /// The exit code.
    pub exit_code: u8,
    /// The line for people.
    pub message: String,
    /// Okta's id of the request that failed.
    pub request_id: Option<String>,
}
