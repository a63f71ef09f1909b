//! Decides whether a run can resume a checkpoint, without I/O.
//!
//! Everything that decides the content must be equal: the org, the scope, the strategy, the program and the credentials
//! (another token may see another part of the org). The checkpoint must also be recent, because pages of two days describe
//! the org on neither.

use std::io;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::ErrorCode;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::failure::Failure;
use crate::okta;
use crate::okta::http::Cost;
use crate::okta::read::UserListMethod;
use crate::okta::settings::Connection;
use crate::signal::Interrupted;
use crate::sync::plan::Strategy;
use crate::sync::{Options, TokenOwner};
use crate::text::span;

/// The settings that a run and the checkpoint that it resumes must share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumeKey {
    origin: String,
    scope: String,
    memberships_by: String,
    program: String,
    /// See [`Credentials::identity`](crate::okta::auth::Credentials::identity).
    credentials: String,
}

impl ResumeKey {
    /// Returns the key of the requested run.
    pub fn of(connection: &Connection, options: &Options) -> Self {
        Self {
            origin: connection.origin.origin().ascii_serialization(),
            scope: options.scope.to_text(),
            memberships_by: options.memberships_by.as_str().to_owned(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            credentials: connection.credentials.identity(),
        }
    }

    /// Returns the key as JSON.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Parses a text that [`ResumeKey::to_text`] returned.
    ///
    /// # Errors
    /// Returns an error if the text is not such a key.
    pub fn parse(text: &str) -> serde_json::Result<Self> {
        serde_json::from_str(text)
    }
}

/// The progress of a run, apart from its pages.
#[derive(Clone, Debug, PartialEq)]
pub struct RunProgress {
    /// The settings that a run must share with this one to resume it.
    pub key: ResumeKey,
    /// The start of the run for the snapshot; tests set it.
    pub started_at: Timestamp,
    /// The start of the run by the system's clock.
    pub began_at: Timestamp,
    /// The time of the last save.
    pub saved_at: Timestamp,
    /// The number of times that the run was interrupted and resumed.
    pub interruptions: u64,
    /// The requests and waits so far.
    pub cost: Cost,
    /// The owner of the token; none before Okta has returned it.
    pub token_owner: Option<TokenOwner>,
    /// The method to list users; none before the run has started to.
    pub users_listed_by: Option<UserListMethod>,
    /// True if any user is visible; none if that was not checked.
    pub any_user_visible: Option<bool>,
    /// True if reading from both ends was tried, which happens at most once.
    pub both_ends_tried: bool,
    /// True if deprovisioned users are in Everyone; none before a response showed it.
    pub deprovisioned_in_everyone: Option<bool>,
    /// The strategy for memberships, once it is decided.
    pub strategy: Option<Strategy>,
}

impl RunProgress {
    /// Returns the progress of a run that starts now.
    pub fn new(key: ResumeKey, started_at: Timestamp, now: Timestamp) -> Self {
        Self {
            key,
            started_at,
            began_at: now,
            saved_at: now,
            interruptions: 0,
            cost: Cost::default(),
            token_owner: None,
            users_listed_by: None,
            any_user_visible: None,
            both_ends_tried: false,
            deprovisioned_in_everyone: None,
            strategy: None,
        }
    }
}

/// Marks an error while a checkpoint is loaded, such as contradictory content.
#[derive(Clone, Copy, Debug, Error)]
#[error("the checkpoint is unusable; run the command again to start over")]
pub struct UnusableCheckpoint;

/// Adds [`UnusableCheckpoint`] to an error while a checkpoint is loaded.
pub fn unusable(error: anyhow::Error) -> anyhow::Error {
    error.context(UnusableCheckpoint)
}

/// Marks an error because of which no snapshot can be written from the pages.
#[derive(Clone, Copy, Debug, Error)]
#[error(
    "cannot write what was read, and retrying would fail again; the next run starts over, as with --fresh"
)]
pub struct Unwritable;

/// Adds [`Unwritable`] to an error after all pages were read, if the same pages would cause it again.
pub fn after_reading(error: anyhow::Error) -> anyhow::Error {
    if would_repeat(&error) {
        error.context(Unwritable)
    } else {
        error
    }
}

/// Returns whether the same pages would cause an error again: all errors except those of the machine, of Okta, of a signal
/// and of a guard.
fn would_repeat(error: &anyhow::Error) -> bool {
    let is_of_the_machine = |error: &rusqlite::Error| {
        matches!(
            error.sqlite_error_code(),
            Some(
                ErrorCode::DiskFull
                    | ErrorCode::SystemIoFailure
                    | ErrorCode::CannotOpen
                    | ErrorCode::ReadOnly
                    | ErrorCode::PermissionDenied
                    | ErrorCode::OutOfMemory
                    | ErrorCode::DatabaseBusy
                    | ErrorCode::DatabaseLocked
            )
        )
    };
    !error.chain().any(|cause| {
        cause.is::<io::Error>()
            || cause.is::<okta::Error>()
            || cause.is::<Interrupted>()
            || cause.is::<Failure>()
            || cause.downcast_ref().is_some_and(is_of_the_machine)
    })
}

/// Returns whether running the same command again can resume: after an interrupt, an outage of Okta, a bad certificate,
/// a full disk, or a 401 or 403. Not if Okta refused the request for another reason, if a guard stopped the run, or if a
/// response makes no sense.
pub fn is_resumable(error: &anyhow::Error) -> bool {
    for cause in error.chain() {
        if cause.is::<Failure>() {
            return false;
        }
        if let Some(okta) = cause.downcast_ref::<okta::Error>() {
            return match okta {
                // A token's right may come back, and Okta sends some of these refusals for reads that it permits.
                okta::Error::Refused(refusal) => matches!(refusal.status, 401 | 403),
                okta::Error::Paging { .. } => false,
                okta::Error::Unavailable { .. }
                | okta::Error::Stuck { .. }
                | okta::Error::Deadline { .. }
                | okta::Error::Interrupted(_)
                | okta::Error::Certificate { .. }
                | okta::Error::Proxy { .. }
                | okta::Error::Redirected { .. }
                | okta::Error::Setup(_) => true,
            };
        }
    }
    !error.is::<UnusableCheckpoint>() && !error.is::<Unwritable>()
}

/// The time after its start during which a run can be resumed.
const MAX_AGE: Duration = Duration::from_secs(24 * 3600);

/// Returns why the requested run cannot resume a checkpoint; none if it can.
pub fn reason_not_to_resume(
    found: &RunProgress,
    wanted: &ResumeKey,
    now: Timestamp,
) -> Option<String> {
    let parts = |key: &ResumeKey| {
        [
            ("the org", key.origin.clone()),
            ("the scope", key.scope.clone()),
            ("--memberships-by", key.memberships_by.clone()),
            ("this program's version", key.program.clone()),
            ("the token", key.credentials.clone()),
        ]
    };
    let pairs = parts(&found.key).into_iter().zip(parts(wanted));
    let others: Vec<&str> = pairs
        .filter(|(found, wanted)| found.1 != wanted.1)
        .map(|(found, _)| found.0)
        .collect();
    if !others.is_empty() {
        return Some(format!("{} changed", others.join(" and ")));
    }
    let age = now.duration_since(found.began_at);
    if age.is_negative() {
        return Some("it started in the future, by this machine's clock".to_owned());
    }
    if age.unsigned_abs() > MAX_AGE {
        return Some(format!(
            "it started {} ago, more than the limit of 24 hours",
            span(age.unsigned_abs())
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ResumeKey {
        ResumeKey {
            origin: "https://a.okta.com".to_owned(),
            scope: "[]".to_owned(),
            memberships_by: "auto".to_owned(),
            program: "0.1.0".to_owned(),
            credentials: "00".to_owned(),
        }
    }

    fn progress(began_at: &str) -> RunProgress {
        RunProgress::new(key(), Timestamp::UNIX_EPOCH, began_at.parse().unwrap())
    }

    #[test]
    fn a_run_resumes_a_checkpoint_of_the_last_day_with_the_same_key_and_no_other() {
        let now: Timestamp = "2026-03-02T12:00:00Z".parse().unwrap();
        let found = progress("2026-03-02T11:00:00Z");
        assert_eq!(reason_not_to_resume(&found, &key(), now), None);
        type Edit = fn(&mut ResumeKey);
        let edits: [(Edit, &str); 6] = [
            (|i| i.origin.push('x'), "the org changed"),
            (|i| i.scope.push('x'), "the scope changed"),
            (|i| i.memberships_by.push('x'), "--memberships-by changed"),
            (|i| i.program.push('x'), "this program's version changed"),
            (|i| i.credentials.push('x'), "the token changed"),
            (
                |i| {
                    i.origin.push('x');
                    i.credentials.push('x');
                },
                "the org and the token changed",
            ),
        ];
        for (edit, expected) in edits {
            let mut wanted = key();
            edit(&mut wanted);
            assert_eq!(
                reason_not_to_resume(&found, &wanted, now).as_deref(),
                Some(expected)
            );
        }
        for (began_at, part) in [
            ("2026-03-01T12:00:00Z", None),
            ("2026-03-01T11:59:59Z", Some("24 hours")),
            ("2026-03-02T12:00:01Z", Some("in the future")),
        ] {
            let why = reason_not_to_resume(&progress(began_at), &key(), now);
            assert_eq!(why.is_some(), part.is_some(), "{began_at}");
            assert!(why.unwrap_or_default().contains(part.unwrap_or_default()));
        }
    }

    #[test]
    fn only_what_the_data_causes_would_repeat() {
        let sqlite = |code| {
            anyhow::Error::new(rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(code),
                None,
            ))
        };
        for (error, repeats) in [
            (sqlite(rusqlite::ffi::SQLITE_FULL), false),
            (sqlite(rusqlite::ffi::SQLITE_IOERR_WRITE), false),
            (sqlite(rusqlite::ffi::SQLITE_CANTOPEN), false),
            (sqlite(rusqlite::ffi::SQLITE_TOOBIG), true),
            (sqlite(rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE), true),
            (io::Error::from(io::ErrorKind::StorageFull).into(), false),
            (okta::Error::from(Interrupted(15)).into(), false),
            (Failure::guard("nobody").into(), false),
            (anyhow::anyhow!("a user is in scope by nothing"), true),
        ] {
            let text = format!("{error:#}");
            let error = error.context("cannot write user 00u1");
            assert_eq!(would_repeat(&error), repeats, "{text}");
            assert_eq!(after_reading(error).is::<Unwritable>(), repeats, "{text}");
        }
    }

    #[test]
    fn a_run_can_resume_unless_okta_a_guard_or_the_data_ended_it() {
        let call = || okta::Call {
            method: "GET",
            path: "/api/v1/users".to_owned(),
        };
        let refused = |status| -> anyhow::Error {
            okta::Error::Refused(okta::ApiError {
                call: call(),
                status,
                code: None,
                summary: None,
                request_id: None,
            })
            .into()
        };
        for (error, resumable) in [
            (okta::Error::from(Interrupted(15)).into(), true),
            (refused(401), true),
            (refused(403), true),
            (refused(400), false),
            (Failure::guard("nobody").into(), false),
            (io::Error::from(io::ErrorKind::StorageFull).into(), true),
            (unusable(anyhow::anyhow!("no such row")), false),
            (after_reading(anyhow::anyhow!("no such row")), false),
            (
                after_reading(io::Error::from(io::ErrorKind::StorageFull).into()),
                true,
            ),
        ] {
            let text = format!("{error:#}");
            assert_eq!(is_resumable(&error), resumable, "{text}");
        }
        let (problem, to) = ("too slow".to_owned(), "other.example".to_owned());
        let unavailable = okta::Error::Unavailable {
            call: call(),
            problem: problem.clone(),
            attempts: 5,
            status: Some(500),
            too_slow: true,
            request_id: None,
        };
        for (error, resumable) in [
            (unavailable, true),
            (
                okta::Error::Stuck {
                    call: call(),
                    waited: MAX_AGE,
                },
                true,
            ),
            (
                okta::Error::Deadline {
                    call: call(),
                    waiting: None,
                },
                true,
            ),
            (
                okta::Error::Redirected {
                    call: call(),
                    status: 302,
                    to,
                },
                true,
            ),
            (
                okta::Error::Certificate {
                    call: call(),
                    problem: problem.clone(),
                },
                true,
            ),
            (
                okta::Error::Proxy {
                    call: call(),
                    problem: problem.clone(),
                },
                true,
            ),
            (okta::Error::Setup(problem.clone()), true),
            (
                okta::Error::Paging {
                    call: call(),
                    problem,
                },
                false,
            ),
        ] {
            let error = anyhow::Error::from(error).context("cannot read the users");
            assert_eq!(is_resumable(&error), resumable, "{error:#}");
        }
    }

    #[test]
    fn a_key_survives_its_text() {
        assert_eq!(ResumeKey::parse(&key().to_text()).unwrap(), key());
    }
}
