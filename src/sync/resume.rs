//! Whether a run goes on where an interrupted one ended; pure.
//!
//! Only what decides the content must be equal: the org, the scope, how memberships are read, the program and the
//! credential (another token may see another part of the org). And the state must be fresh: what was read a day ago
//! and what is read now are no picture of anything.

use std::io;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::ErrorCode;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::Options;
use super::plan::Strategy;
use crate::okta;
use crate::okta::client::Cost;
use crate::okta::read::UserListing;
use crate::okta::settings::Connection;
use crate::outcome::Ending;
use crate::signal::Interrupted;
use crate::text::span;

/// Which run it is, as far as its content goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    origin: String,
    scope: String,
    memberships_by: String,
    program: String,
    /// SHA-256 of the credential: it tells tokens apart and gives none away.
    credential: String,
}

impl Identity {
    /// Of the run that is asked for.
    pub fn of(connection: &Connection, options: &Options) -> Self {
        let credential = Sha256::digest(connection.token.expose_secret());
        Self {
            origin: connection.origin.origin().ascii_serialization(),
            scope: options.scope.to_text(),
            memberships_by: options.memberships_by.as_str().to_owned(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            credential: credential
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        }
    }

    /// As text, to be stored.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What was stored.
    ///
    /// # Errors
    /// A text that is no identity.
    pub fn of_text(text: &str) -> serde_json::Result<Self> {
        serde_json::from_str(text)
    }
}

/// How far a run is, beside what its pages say.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// Which run.
    pub identity: Identity,
    /// When it was started first, as the snapshot will say.
    pub started_at: Timestamp,
    /// When that was by the clock.
    pub begun_at: Timestamp,
    /// When it last noted something.
    pub saved_at: Timestamp,
    /// How often it was interrupted and went on.
    pub interruptions: u64,
    /// What it cost.
    pub cost: Cost,
    /// How users are listed.
    pub users_listed_by: Option<UserListing>,
    /// Whether any user is visible, where that had to be asked.
    pub anybody: Option<bool>,
    /// Whether reading from both ends was tried; it is once.
    pub ends_tried: bool,
    /// Whether deprovisioned users are in Everyone, once that was seen.
    pub deprovisioned_in_everyone: Option<bool>,
    /// How memberships are read, once that is certain.
    pub strategy: Option<Strategy>,
}

impl Progress {
    /// Of a run that begins.
    pub fn begun(identity: Identity, started_at: Timestamp, now: Timestamp) -> Self {
        Self {
            identity,
            started_at,
            begun_at: now,
            saved_at: now,
            interruptions: 0,
            cost: Cost::default(),
            users_listed_by: None,
            anybody: None,
            ends_tried: false,
            deprovisioned_in_everyone: None,
            strategy: None,
        }
    }
}

/// The state of an interrupted run is there, but makes no sense.
#[derive(Clone, Copy, Debug, Error)]
#[error("the checkpoint is unusable; run the command again to start over")]
pub struct Unusable;

/// The same with what was wrong.
pub fn unusable(error: anyhow::Error) -> anyhow::Error {
    error.context(Unusable)
}

/// What was read cannot be written.
#[derive(Clone, Copy, Debug, Error)]
#[error(
    "cannot write what was read, and retrying would fail again; the next run starts over, as with --fresh"
)]
pub struct Unwritable;

/// Says of an error that came after all was read whether the same data would meet it again.
pub fn after_reading(error: anyhow::Error) -> anyhow::Error {
    if would_repeat(&error) {
        error.context(Unwritable)
    } else {
        error
    }
}

/// An error of the machine, a signal and a guard have nothing to do with the data; everything else does.
fn would_repeat(error: &anyhow::Error) -> bool {
    let is_the_machines = |error: &rusqlite::Error| {
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
            || cause.is::<Ending>()
            || cause.downcast_ref().is_some_and(is_the_machines)
    })
}

/// A state older than this is no part of a picture of now.
const OLDEST: Duration = Duration::from_secs(24 * 3600);

/// Why a run cannot go on from this state, if it cannot.
pub fn obstacle(found: &Progress, wanted: &Identity, now: Timestamp) -> Option<String> {
    let parts = |identity: &Identity| {
        [
            ("the org", identity.origin.clone()),
            ("the scope", identity.scope.clone()),
            ("--memberships-by", identity.memberships_by.clone()),
            ("this program's version", identity.program.clone()),
            ("the token", identity.credential.clone()),
        ]
    };
    let pairs = parts(&found.identity).into_iter().zip(parts(wanted));
    let others: Vec<&str> = pairs
        .filter(|(found, wanted)| found.1 != wanted.1)
        .map(|(found, _)| found.0)
        .collect();
    if !others.is_empty() {
        return Some(format!("{} changed", others.join(" and ")));
    }
    let age = now.duration_since(found.begun_at);
    if age.is_negative() {
        return Some("it started in the future, by this machine's clock".to_owned());
    }
    if age.unsigned_abs() > OLDEST {
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

    fn identity() -> Identity {
        Identity {
            origin: "https://a.okta.com".to_owned(),
            scope: "[]".to_owned(),
            memberships_by: "auto".to_owned(),
            program: "0.1.0".to_owned(),
            credential: "00".to_owned(),
        }
    }

    fn progress(begun_at: &str) -> Progress {
        Progress::begun(identity(), Timestamp::UNIX_EPOCH, begun_at.parse().unwrap())
    }

    #[test]
    fn the_same_run_of_the_last_day_goes_on_and_no_other() {
        let now: Timestamp = "2026-03-02T12:00:00Z".parse().unwrap();
        let found = progress("2026-03-02T11:00:00Z");
        assert_eq!(obstacle(&found, &identity(), now), None);
        type Edit = fn(&mut Identity);
        let edits: [(Edit, &str); 6] = [
            (|i| i.origin.push('x'), "the org changed"),
            (|i| i.scope.push('x'), "the scope changed"),
            (|i| i.memberships_by.push('x'), "--memberships-by changed"),
            (|i| i.program.push('x'), "this program's version changed"),
            (|i| i.credential.push('x'), "the token changed"),
            (
                |i| {
                    i.origin.push('x');
                    i.credential.push('x');
                },
                "the org and the token changed",
            ),
        ];
        for (edit, expected) in edits {
            let mut wanted = identity();
            edit(&mut wanted);
            assert_eq!(obstacle(&found, &wanted, now).as_deref(), Some(expected));
        }
        for (begun_at, part) in [
            ("2026-03-01T12:00:00Z", None),
            ("2026-03-01T11:59:59Z", Some("24 hours")),
            ("2026-03-02T12:00:01Z", Some("in the future")),
        ] {
            let why = obstacle(&progress(begun_at), &identity(), now);
            assert_eq!(why.is_some(), part.is_some(), "{begun_at}");
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
            (Ending::guard("nobody").into(), false),
            (anyhow::anyhow!("a user is in scope by nothing"), true),
        ] {
            let text = format!("{error:#}");
            let error = error.context("cannot write user 00u1");
            assert_eq!(would_repeat(&error), repeats, "{text}");
            assert_eq!(after_reading(error).is::<Unwritable>(), repeats, "{text}");
        }
    }

    #[test]
    fn an_identity_survives_its_text() {
        assert_eq!(
            Identity::of_text(&identity().to_text()).unwrap(),
            identity()
        );
    }
}
