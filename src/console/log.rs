//! Log lines: where they go, and how they look to a person.

use std::fmt;
use std::io;

use tracing::field::{Field, Visit};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

use super::screen;
use crate::text::clean;

/// The target of log records that are for programs: people read the result and the progress instead.
pub const RECORDS: &str = "okta_ciam::records";

/// stderr, with progress out of the way for as long as a line takes.
pub(super) struct Stderr;

impl io::Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        screen().suspend(|| match io::stderr().write_all(bytes) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(bytes.len()),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Stderr {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

/// A log line for people: `warning: …` on a terminal, with the time and the level elsewhere.
pub(super) struct Lines {
    pub(super) terminal: bool,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &tracing::Event<'_>,
    ) -> fmt::Result {
        if event.metadata().target() == RECORDS {
            return Ok(());
        }
        let level = *event.metadata().level();
        let (word, color) = match level {
            tracing::Level::ERROR => ("error", "31"),
            tracing::Level::WARN => ("warning", "33"),
            tracing::Level::INFO => ("note", "36"),
            tracing::Level::DEBUG => ("debug", "2"),
            tracing::Level::TRACE => ("trace", "2"),
        };
        if !self.terminal {
            let now = jiff::Timestamp::now();
            write!(out, "{now:.3} ")?;
        }
        if out.has_ansi_escapes() {
            write!(out, "\u{1b}[{color}m{word}:\u{1b}[0m ")?;
        } else {
            write!(out, "{word}: ")?;
        }
        let mut message = Message(String::new());
        event.record(&mut message);
        writeln!(out, "{}", clean(&message.0))
    }
}

/// The message of an event, then its fields.
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0.insert_str(0, &format!("{value:?}"));
        } else if !field.name().starts_with("log.") {
            self.0 += &format!(" {}={value:?}", field.name());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}
