//! The exit codes, in one table: the variant, the number, the word in JSON, the help text and the precedence of each, and
//! the exit code of each error. A test compares README's table.

use std::fmt::Write as _;

use crate::failure::{Failure, FailureKind};
use crate::signal::Interrupted;
use crate::{atomic_file, okta, snapshot};

/// Makes [`ExitStatus`] and the table from one list. `outranks_partial` is true for codes that decide how a list of
/// changes ends even if other rows succeeded.
macro_rules! exits {
    ($(
        $(#[$doc:meta])*
        $name:ident { code: $code:literal, word: $word:literal, outranks_partial: $outranks:literal, help: $help:literal }
    )*) => {
        /// The way in which the program ends.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ExitStatus {
            $($(#[$doc])* $name,)*
            /// A signal arrived, with this number.
            Interrupted(i32),
        }

        const TABLE: &[Row] = &[$(Row {
            exit: ExitStatus::$name,
            code: $code,
            word: $word,
            outranks_partial: $outranks,
            help: $help,
        }),*];
    };
}

struct Row {
    exit: ExitStatus,
    code: u8,
    word: &'static str,
    outranks_partial: bool,
    /// At most 75 characters per line, so that a line with its code fits in 80 columns.
    help: &'static str,
}

exits! {
    /// The command did what it was asked to do.
    Done {
        code: 0,
        word: "done",
        outranks_partial: false,
        help: "success, including when nothing had to change"
    }
    /// Two snapshots differ, or a check of evidence found something.
    Different {
        code: 1,
        word: "different",
        outranks_partial: false,
        help: "diff found differences, findings found something that --fail-on matches,\nor a review has undecided or missing rows, decisions that were not carried\nout, or unexplained changes"
    }
    /// Usage, configuration, or any failure without a code of its own.
    Failed {
        code: 2,
        word: "failed",
        outranks_partial: false,
        help: "usage or configuration error, or any failure not listed below"
    }
    /// The snapshot is incomplete, or only some changes succeeded or were not needed.
    Partial {
        code: 3,
        word: "partial",
        outranks_partial: false,
        help: "partial: the snapshot is incomplete, and the old file is unchanged (sync);\nor some changes succeeded or were not needed, and the rest failed for a\nreason that codes 4 to 8 do not cover (grant, revoke)"
    }
    /// A change was refused before it was sent.
    Refused {
        code: 4,
        word: "refused",
        outranks_partial: true,
        help: "change refused, for example because the user or group is out of scope, the\nname is ambiguous, Okta does not let you edit the group, the review sheet\nis too old, the change was not confirmed, or --provisioning is missing"
    }
    /// Okta rejected the credentials, denied a permission or returned no users.
    Credentials {
        code: 5,
        word: "credentials",
        outranks_partial: true,
        help: "Okta rejected the token, denied access, or returned no users at all"
    }
    /// Retries, waits or the deadline are used up.
    Unavailable {
        code: 6,
        word: "unavailable",
        outranks_partial: true,
        help: "Okta unavailable: out of retries, or --deadline passed"
    }
    /// A change was sent, and later reads do not show it.
    NotVisible {
        code: 7,
        word: "not_visible",
        outranks_partial: true,
        help: "change sent, but not visible when read back"
    }
    /// A guard stopped the run.
    Guard {
        code: 8,
        word: "guard",
        outranks_partial: true,
        help: "stopped by a guard: no user or no group in scope, --max-age or --max-drop\nexceeded, or (with --max-drop) an existing file of another org or scope"
    }
    /// Another run has locked the file.
    Locked {
        code: 9,
        word: "locked",
        outranks_partial: false,
        help: "the snapshot, manifest or audit log is locked by another run"
    }
}

impl ExitStatus {
    fn row(self) -> Option<&'static Row> {
        TABLE.iter().find(|row| row.exit == self)
    }

    /// Returns every way to end but by a signal, in the order of the codes.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.exit)
    }

    /// Returns the number that the shell sees.
    pub fn code(self) -> u8 {
        match self {
            // 128 + the signal is what shells report of a killed program.
            Self::Interrupted(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
            _ => self.row().map_or(u8::MAX, |row| row.code),
        }
    }

    /// Returns the word in the JSON of a failure.
    pub fn word(self) -> &'static str {
        self.row().map_or("interrupted", |row| row.word)
    }

    /// Returns whether a list of changes ends this way even if other rows succeeded.
    pub fn outranks_partial(self) -> bool {
        self.row().is_some_and(|row| row.outranks_partial)
    }
}

/// Returns the table for `--help`.
pub fn help() -> String {
    let mut text = String::from("Exit codes:\n");
    for row in TABLE {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "  {}  {}",
            row.code,
            row.help.replace('\n', "\n     ")
        );
    }
    text + "  130, 143  interrupted by SIGINT or SIGTERM\n"
}

/// Returns how the program ends after any error: its outermost typed cause decides.
pub fn of_error(error: &anyhow::Error) -> ExitStatus {
    for cause in error.chain() {
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            return of_kind(failure.kind);
        }
        if let Some(okta) = cause.downcast_ref::<okta::Error>() {
            return of_okta(okta);
        }
        if let Some(Interrupted(signal)) = cause.downcast_ref() {
            return ExitStatus::Interrupted(*signal);
        }
        if cause.is::<atomic_file::Busy>() {
            return ExitStatus::Locked;
        }
        if cause.is::<snapshot::Error>() {
            return ExitStatus::Failed;
        }
    }
    ExitStatus::Failed
}

/// Returns how the program ends after a failure of this kind.
pub fn of_kind(kind: FailureKind) -> ExitStatus {
    match kind {
        FailureKind::Other => ExitStatus::Failed,
        FailureKind::Incomplete => ExitStatus::Partial,
        FailureKind::Refused => ExitStatus::Refused,
        FailureKind::Credentials => ExitStatus::Credentials,
        FailureKind::Guard => ExitStatus::Guard,
    }
}

/// Returns how the program ends after an error of Okta's.
pub fn of_okta(error: &okta::Error) -> ExitStatus {
    match error {
        okta::Error::Refused(refusal) if matches!(refusal.status, 401 | 403) => {
            ExitStatus::Credentials
        }
        okta::Error::Unavailable { .. }
        | okta::Error::Stuck { .. }
        | okta::Error::Deadline { .. } => ExitStatus::Unavailable,
        okta::Error::Interrupted(Interrupted(signal)) => ExitStatus::Interrupted(*signal),
        okta::Error::Refused(_)
        | okta::Error::Redirected { .. }
        | okta::Error::Certificate { .. }
        | okta::Error::Proxy { .. }
        | okta::Error::Paging { .. }
        | okta::Error::Setup(_) => ExitStatus::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_words_are_unique_and_the_codes_have_no_gaps() {
        let codes: Vec<u8> = ExitStatus::all().map(ExitStatus::code).collect();
        let words: std::collections::BTreeSet<_> =
            ExitStatus::all().map(ExitStatus::word).collect();
        assert!(codes.iter().copied().eq(0..codes.len() as u8), "{codes:?}");
        assert_eq!(words.len(), codes.len());
        assert_eq!(ExitStatus::Interrupted(15).code(), 143);
        assert_eq!(ExitStatus::Interrupted(2).word(), "interrupted");
    }

    #[test]
    fn the_help_text_fits_on_a_terminal_of_80_columns() {
        assert!(
            help().lines().all(|line| line.chars().count() <= 80),
            "{}",
            help()
        );
    }
}
