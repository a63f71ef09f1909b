use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use thiserror::Error;

use super::limits::{MAX_ELEMENTS, MAX_ID, MAX_MESSAGE, MAX_VALUE};
use crate::text;

/// A snapshot that cannot be written or read.
#[derive(Debug, Error)]
pub enum Error {
    /// The file is not a snapshot.
    #[error(
        "{path} is not a snapshot: {why}; pass a .c1z file or a plain SQLite database that a sync wrote"
    )]
    NotASnapshot {
        /// The file.
        path: PathBuf,
        /// A description of the actual content.
        why: String,
    },
    /// The file is a snapshot whose content was changed or cut off.
    #[error("{path} is damaged: {why}; use another copy, or sync again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The problem and where it is.
        why: String,
    },
    /// The file is a snapshot that only another program, or a newer version of this one, can read.
    #[error("{path} cannot be read by this version: {why}")]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What cannot be read, and what to do.
        why: String,
    },
    /// No run in the file was finished.
    #[error("{path} has no finished run{}; run the sync again", unfinished(.newest_unfinished.as_deref()))]
    NoFinishedRun {
        /// The file.
        path: PathBuf,
        /// The start of the newest unfinished run, as the file spells it.
        newest_unfinished: Option<String>,
    },
    /// The run with the requested id is not in the file, or is not finished.
    #[error("{path} contains no finished run {sync_id:?}")]
    NoSuchRun {
        /// The file.
        path: PathBuf,
        /// The id.
        sync_id: String,
    },
    /// A program has the database open, or was killed while it had.
    #[error(
        "{path} has changes that are still in {log}; close the program that has it open, or make a copy with \
         sqlite3's .backup and read that"
    )]
    InUse {
        /// The file.
        path: PathBuf,
        /// SQLite's write-ahead log or journal of the file.
        log: PathBuf,
    },
    /// A part of the file is larger than its limit.
    #[error("{path} is too big: {what} is above the limit of {limit} bytes; {advice}")]
    TooBig {
        /// The file.
        path: PathBuf,
        /// The part that is too large.
        what: &'static str,
        /// The limit in bytes.
        limit: u64,
        /// What to do.
        advice: &'static str,
    },
    /// More users or groups have a name than can be shown.
    #[error(
        "{path} has {count} {what} of that name, more than the {limit} that can be shown; use an id"
    )]
    TooMany {
        /// The file.
        path: PathBuf,
        /// `users` or `groups`.
        what: &'static str,
        /// The number found.
        count: usize,
        /// The largest number allowed.
        limit: usize,
    },
    /// The writer was called incorrectly, such as with rows in the wrong order. This is a bug in okta-ciam.
    #[error("{}", text::internal_error(format_args!("{what}, so {} was not written", .path.display())))]
    OutOfOrder {
        /// The file.
        path: PathBuf,
        /// The incorrect call, such as the row that is out of order.
        what: String,
    },
    /// The file system returned an error.
    #[error("cannot {doing} {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The operation that failed, such as `open`.
        doing: &'static str,
        /// The error of the file system.
        source: io::Error,
    },
    /// SQLite returned an error for a reason other than the content of the file.
    #[error("the database {path} failed ({source}); check that the disk is not full")]
    Database {
        /// The file.
        path: PathBuf,
        /// The error of SQLite.
        source: rusqlite::Error,
    },
}

fn unfinished(started: Option<&str>) -> String {
    started.map_or_else(String::new, |started| {
        format!(" (the newest unfinished one was started {started})")
    })
}

/// The length of the longest explanation in characters; some quote text from the file.
const MAX_WHY: usize = 500;

impl Error {
    pub(super) fn io(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            path,
            doing,
            source,
        }
    }

    pub(super) fn damaged(path: &Path, why: impl Into<String>) -> Self {
        let mut why = why.into();
        if let Some((end, _)) = why.char_indices().nth(MAX_WHY) {
            why.truncate(end);
            why.push('…');
        }
        Self::Damaged {
            path: path.to_owned(),
            why,
        }
    }

    /// Returns the error for an error of SQLite, which reads the file with values of at most `limit` bytes.
    pub(super) fn reading(path: &Path, limit: usize, source: rusqlite::Error) -> Self {
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotASnapshot {
                path: path.to_owned(),
                why: "it is not a SQLite database".to_owned(),
            },
            Some(ErrorCode::TooBig) => Self::value_above(path, limit),
            Some(ErrorCode::OperationInterrupted) => Self::damaged(
                path,
                "reading it takes longer than any file of its size can need, so its pages may lead in circles",
            ),
            Some(
                ErrorCode::SystemIoFailure
                | ErrorCode::DiskFull
                | ErrorCode::CannotOpen
                | ErrorCode::OutOfMemory
                | ErrorCode::PermissionDenied,
            ) => Self::Database {
                path: path.to_owned(),
                source,
            },
            // All else comes from the content: corrupt pages, a schema that does not parse, a blob instead of a text.
            _ => Self::damaged(path, source.to_string()),
        }
    }

    pub(super) fn value_too_big(path: &Path) -> Self {
        Self::value_above(path, MAX_VALUE)
    }

    pub(super) fn id_too_big(path: &Path) -> Self {
        Self::value_above(path, MAX_ID)
    }

    pub(super) fn too_many_elements(path: &Path) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            why: format!("a profile contains more than {MAX_ELEMENTS} values"),
        }
    }

    fn value_above(path: &Path, limit: usize) -> Self {
        let (what, advice) = match limit {
            MAX_ID => (
                "one of its ids or names",
                "nothing in Okta has one that long",
            ),
            MAX_VALUE => ("one of its values", "no user or group is that large"),
            _ => (
                "the definition of a table or an index",
                "those of a snapshot are short",
            ),
        };
        Self::TooBig {
            path: path.to_owned(),
            what,
            limit: limit as u64,
            advice,
        }
    }

    pub(super) fn message_too_big(path: &Path) -> Self {
        Self::TooBig {
            path: path.to_owned(),
            what: "one of its messages",
            limit: MAX_MESSAGE as u64,
            advice: "no user or group is that large",
        }
    }
}
