//! The ways in which a command can end. Only [`crate::exit`] knows the number and the word of each.

use std::fmt;

use crate::okta;
use crate::signal::Interrupted;

/// The way in which the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All of it was done.
    Done,
    /// Two snapshots differ.
    Different,
    /// Usage, configuration, or anything that has no code of its own.
    Failed,
    /// The snapshot is incomplete.
    Partial,
    /// A change was refused before it was sent.
    Refused,
    /// Okta rejected the credentials, denied a permission or returned no users.
    Credentials,
    /// Retries, waits or the deadline are used up.
    Unavailable,
    /// A change was sent, and later reads do not show it.
    Unseen,
    /// A guard of ours stopped it.
    Guard,
    /// Another run has locked the file.
    Locked,
    /// A signal arrived, with this number.
    Interrupted(i32),
}

/// An error that already knows how the program ends.
#[derive(Debug)]
pub struct ExitError {
    /// How.
    pub exit: Exit,
    /// Why, in one line.
    pub message: String,
}

impl ExitError {
    /// Returns the failure of a refused change.
    pub fn refused(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Refused,
            message: message.into(),
        }
    }

    /// Returns the failure of a run that a guard stopped.
    pub fn guard(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Guard,
            message: message.into(),
        }
    }
}

impl fmt::Display for ExitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ExitError {}

/// Returns how the program ends after an error of Okta's.
pub fn of_okta(error: &okta::Error) -> Exit {
    match error {
        okta::Error::Refused(refusal) if matches!(refusal.status, 401 | 403) => Exit::Credentials,
        okta::Error::Unavailable { .. }
        | okta::Error::Stuck { .. }
        | okta::Error::Deadline { .. } => Exit::Unavailable,
        okta::Error::Interrupted(Interrupted(signal)) => Exit::Interrupted(*signal),
        okta::Error::Refused(_)
        | okta::Error::Redirected { .. }
        | okta::Error::Certificate { .. }
        | okta::Error::Proxy { .. }
        | okta::Error::Paging { .. }
        | okta::Error::Setup(_) => Exit::Failed,
    }
}
