//! Failures that this program decides on itself, in contrast to errors of Okta and of the file system. [`crate::exit`] alone
//! knows their exit codes.

use thiserror::Error;

/// The kind of a failure, which decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// None of the others: for example, there is no such user.
    Other,
    /// Some data could not be read.
    Incomplete,
    /// The change is not allowed, or it is unclear what it means.
    Refused,
    /// The token may not read or change something.
    Credentials,
    /// A limit that protects the previous snapshot or its reader is exceeded.
    Guard,
}

/// A failure that ends a command.
#[derive(Debug, Error)]
#[error("{message}")]
pub struct Failure {
    /// The kind of the failure.
    pub kind: FailureKind,
    /// The reason, in one line.
    pub message: String,
}

impl Failure {
    /// Returns the failure of a refused change.
    pub fn refused(message: impl Into<String>) -> Self {
        Self {
            kind: FailureKind::Refused,
            message: message.into(),
        }
    }

    /// Returns the failure of a run that a guard stopped.
    pub fn guard(message: impl Into<String>) -> Self {
        Self {
            kind: FailureKind::Guard,
            message: message.into(),
        }
    }
}
