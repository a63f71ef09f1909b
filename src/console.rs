//! All output to stdout and stderr goes through this module.
//!
//! - Data goes to stdout, talk to stderr: log lines, notes, warnings, progress and the last error.
//! - Notes and warnings are log lines, so `--log-format json` holds for all of stderr and `--log-level` for all talk.
//! - Progress is drawn on a terminal only; elsewhere it is a line now and then.
//! - Text from Okta goes through [`clean`](crate::text::clean) before a person sees it, and JSON through [`json`]: a
//!   group's name must not move the cursor.
//! - A closed stdout or stderr is not an error.

mod log;
mod progress;

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::OnceLock;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressDrawTarget};
use serde::Serialize;

use self::log::{Lines, Stderr};
pub use self::progress::{ChangeProgress, ProgressDisplay};
use crate::signal::{Interrupted, ShutdownSignal};
use crate::text::json;

/// Where progress is drawn. Log lines pass through it, so that neither overwrites the other.
fn screen() -> &'static MultiProgress {
    static SCREEN: OnceLock<MultiProgress> = OnceLock::new();
    SCREEN.get_or_init(|| MultiProgress::with_draw_target(ProgressDrawTarget::hidden()))
}

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// For people.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Console,
    /// One JSON object a line.
    Json,
}

/// How the tool talks.
#[derive(Clone, Copy, Debug)]
pub struct OutputOptions {
    /// What stdout gets.
    pub output: Output,
    /// The least severe log line that is printed.
    pub level: tracing::Level,
    /// What a log line looks like.
    pub format: LogFormat,
    /// Errors only.
    pub quiet: bool,
    /// Whether the terminal, if there is one, may be painted and drawn on.
    pub terminal: Terminal,
}

/// What the environment says of the terminal.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    /// `NO_COLOR` is not set.
    pub color: bool,
    /// `TERM` is not `dumb`.
    pub moves: bool,
}

/// The way to stdout, and what is known of the terminal.
#[derive(Clone, Copy, Debug)]
pub struct Console {
    output: Output,
    quiet: bool,
    bars: bool,
}

impl Console {
    /// Starts the log and finds out where it goes. Once a process.
    pub fn start(talk: &OutputOptions) -> Self {
        let level = if talk.quiet {
            tracing::Level::ERROR
        } else {
            talk.level
        };
        let terminal = io::stderr().is_terminal();
        let bars = terminal
            && talk.format == LogFormat::Console
            && level >= tracing::Level::INFO
            && talk.terminal.moves;
        if bars {
            screen().set_draw_target(ProgressDrawTarget::stderr());
        }
        let color = terminal && talk.terminal.color;
        let log = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_writer(Stderr)
            .with_ansi(color);
        // A second start (in a test) keeps the first log.
        let _ = match talk.format {
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
            output: talk.output,
            quiet: talk.quiet,
            bars,
        }
    }

    /// Whether the result is wanted as JSON.
    pub fn json(&self) -> bool {
        self.output == Output::Json
    }

    /// Prints a result: the text, or the value as JSON. Quiet keeps the text back, not the JSON that was asked for.
    ///
    /// # Errors
    /// What stops stdout, but for its other end being closed.
    pub fn result(&self, value: &impl Serialize, text: impl FnOnce() -> String) -> io::Result<()> {
        unless_closed(self.report(value, text))
    }

    /// The same for a result that must not get lost unnoticed.
    ///
    /// # Errors
    /// What stops stdout, also its other end being closed.
    pub fn report(&self, value: &impl Serialize, text: impl FnOnce() -> String) -> io::Result<()> {
        if self.json() {
            write_out(&json(serde_json::to_string_pretty(value)?))
        } else if self.quiet {
            Ok(())
        } else {
            write_out(&text())
        }
    }

    /// Prints data that was asked for, whatever `--quiet` says.
    ///
    /// # Errors
    /// What stops stdout, but for its other end being closed.
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

    /// Suggests a command to a person at a terminal; nobody else gets to see it.
    pub fn suggest(&self, command: &str) {
        if !self.json() && !self.quiet && io::stdout().is_terminal() {
            self.print_notice(&format!("next: {command}\n"), false);
        }
    }

    /// Whether a person who wants quiet gets no text of results.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Prints why the program ends: on stderr, and with `--output json` as an object on stdout too.
    pub fn failure(&self, failure: &FailureObject<'_>) {
        if self.json() {
            let _ = serde_json::to_string(failure).map(|line| self.data(&json(line)));
        }
        tracing::error!("{}", failure.message);
    }

    /// Says something of several lines to a person, as it is; where it must be seen, also to one who wants quiet.
    pub fn print_notice(&self, text: &str, must_be_seen: bool) {
        if self.quiet && !must_be_seen {
            return;
        }
        screen().suspend(|| {
            let _ = io::stderr().write_all(text.as_bytes());
        });
    }

    /// Asks a question that is answered with yes or no. The end of the input is no.
    ///
    /// # Errors
    /// A signal, while nobody answers.
    pub fn confirm(
        &self,
        question: &str,
        stop: &ShutdownSignal,
    ) -> Result<Confirmation, Interrupted> {
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Ok(Confirmation::Nobody);
        }
        // What was typed before the question is no answer to it.
        let _ = rustix::termios::tcflush(io::stdin(), rustix::termios::QueueSelector::IFlush);
        screen().suspend(|| {
            let _ = write!(io::stderr(), "{question} [y/N] ");
        });
        // In a thread of its own: a signal does not end a read.
        let (answer_in, answer) = crossbeam_channel::bounded(1);
        std::thread::spawn(move || {
            let mut line = String::new();
            let _ = io::stdin().read_line(&mut line);
            let _ = answer_in.send(line);
        });
        loop {
            stop.check()?;
            if let Ok(line) = answer.recv_timeout(Duration::from_millis(50)) {
                let yes = matches!(line.trim().to_lowercase().as_str(), "y" | "yes");
                return Ok(if yes {
                    Confirmation::Yes
                } else {
                    Confirmation::No
                });
            }
        }
    }

    /// The progress of a known number of things, which the label names in the plural.
    pub fn change_progress(&self, all: u64, label: &'static str) -> ChangeProgress {
        ChangeProgress::new(self.bars, all, label)
    }

    /// The progress of a sync.
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
    /// There is no terminal, and so nobody.
    Nobody,
}

/// Why the program ends, for a program to read.
#[derive(Debug, Serialize)]
pub struct FailureObject<'a> {
    /// The exit code's word.
    pub error: &'static str,
    /// The exit code.
    pub exit_code: u8,
    /// The line for people.
    pub message: &'a str,
    /// Okta's id of the request that failed.
    pub request_id: Option<&'a str>,
}
