//! The snapshot file: a SQLite database, plain or packed into a `.c1z`.
//!
//! # Layout
//! A `.c1z` is five bytes, `C1ZF` and a zero, then zstd frames that unpack to one SQLite database; nothing follows them
//! ([`c1z`]). The database describes the same run twice:
//! - Baton's v1 tables (`v1_…`): the objects as protobuf messages, for every tool that reads Baton's files. A membership
//!   is a grant there and is stored nowhere else.
//! - Plain tables: `users`, `groups`, `memberships` (a view over the grants), `snapshot` (one row of run metadata),
//!   `domains` and `warnings`, for people and SQL tools. They contain what Baton's messages have no place for: exact
//!   numbers, all of Okta's times, the source of each group's memberships.
//!
//! # Versions
//! The container is version 1; version 3 contains another kind of database and is recognized by its first five bytes.
//! Baton's tables are those of its SDK 0.7.27: older readers ignore the columns that they do not expect, newer ones add
//! missing columns to their own copy. Newer columns are left out, since older tools cannot export a file that has them.
//! The plain tables have their own version, [`columns::SCHEMA_VERSION`] in `snapshot.schema_version`; the reader refuses
//! a newer one and reports both.
//!
//! # Compatibility
//! `snapshot.sync_id` is the run that the plain tables describe. Baton's own programs ignore those tables, even when
//! they append a run. So the plain tables are read only if that run is the one that is read, normally the newest finished
//! full run. Otherwise, as in files of other connectors, details come from the messages: unknown fields and annotations
//! are skipped, and what a message lacks is unknown, not an error. Memberships always come from Baton's grants, never
//! from a view.
//!
//! Times in Baton's tables are `YYYY-MM-DD HH:MM:SS[.fffffffff]` without a zone. Baton's SDK writes local time and reads
//! it back as UTC. This program always writes UTC, because a snapshot must not depend on where it was taken, and because
//! such times are compared as text. To append to one file with both programs, run the other with `TZ=UTC`.
//!
//! A file may come from anywhere: the length of its values is limited; so are the processor time and the result of each
//! query, in proportion to the file; its views, triggers and generated columns are not used; and opening it creates and
//! changes nothing next to it.
//!
//! # Durability
//! The writer keeps no journal and syncs nothing: an incomplete file can only be deleted. The caller chooses a temporary
//! name, syncs the file and renames it.
//!
//! # Determinism
//! Equal calls write equal bytes. The writer accepts rows only in the order of their ids; indexes that contain rows are
//! created after them; maps in messages and in JSON are sorted by key; every row has the start of the run as its time of
//! discovery; the id of the run depends on its origin, scope and start ([`sync_id`]); SQLite is compiled in; and
//! compression has the same parameters on every machine.

mod baton;
pub mod c1z;
mod cell;
pub(crate) mod columns;
mod content;
mod error;
mod limits;
mod metadata;
mod proto;
mod reader;
mod schema;
pub mod series;
pub mod target;
mod times;
mod writer;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};
use svix_ksuid::{KSUID_EPOCH, Ksuid, KsuidLike as _};

pub use baton::as_baton_stores;
pub use cell::{Arguments, ProfileText};
pub use columns::{
    Column, DomainUsers, GroupRow, JsonRow, MembershipRow, RunTables, TABLES, UserRow, Warning,
};
pub use content::ContentRow;
pub use error::Error;
pub use metadata::RunMetadata;
pub use reader::{Grants, Reader, Recount};
pub use times::rfc3339;
pub use writer::{PRAGMAS, Writer};

use crate::model::MembershipSource;

/// A run that a snapshot is written for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunHeader {
    /// See `sync_id`.
    pub sync_id: String,
    /// The first start of the run; also the time of discovery in every row.
    pub started_at: Timestamp,
}

/// The members of a group to write, as they were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupMembers {
    /// The source of the memberships.
    pub source: MembershipSource,
    /// The number of different members that Okta listed, if they were requested.
    pub listed: Option<u64>,
    /// The number of members in scope. The writer leaves it out if Okta denied access to the members.
    pub stored: Option<u64>,
}

/// The format of a snapshot file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    /// A `.c1z`.
    C1z,
    /// A plain SQLite database.
    Sqlite,
}

/// A description of a file and of the run that is read from it.
#[derive(Clone, Debug, PartialEq)]
pub struct FileInfo {
    /// The format of the file.
    pub format: FileFormat,
    /// The run that is read: the requested one, or the newest finished full one.
    pub sync_id: String,
    /// The start of the run in UTC; if another connector wrote the run, the local time of an unknown zone.
    pub started_at: Timestamp,
    /// The end of the run, with the same exception.
    pub ended_at: Timestamp,
    /// The number of runs in the file, finished or not.
    pub runs: u64,
    /// The run metadata; only if this program wrote the run.
    pub metadata: Option<RunMetadata>,
}

impl FileInfo {
    /// Returns whether this program wrote the run that is read.
    pub fn is_ours(&self) -> bool {
        self.metadata.is_some()
    }

    /// Returns the version of the plain tables; [`columns::FIRST`] for files of other programs.
    pub fn tables_version(&self) -> u32 {
        let version = self.metadata.as_ref().map(|run| run.schema_version);
        version.map_or(columns::FIRST, |version| version.max(columns::FIRST))
    }

    /// Returns the tables that the run is read from.
    pub fn tables(&self) -> RunTables {
        if self.is_ours() {
            RunTables::Plain(self.tables_version())
        } else {
            RunTables::Baton
        }
    }
}

/// The numbers of objects in a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Users.
    pub users: u64,
    /// Groups.
    pub groups: u64,
    /// Memberships of users in groups, each counted once.
    pub memberships: u64,
    /// Memberships whose user or group is missing from the file; they are not among `memberships`.
    pub dangling: u64,
    /// Entitlements of all resource types.
    pub entitlements: u64,
    /// Users by status; `unknown` if the file has none.
    pub users_by_status: BTreeMap<String, u64>,
    /// Groups by type; `unknown` if the file has none.
    pub groups_by_type: BTreeMap<String, u64>,
    /// Resources of other types, such as roles, by type.
    pub others: BTreeMap<String, u64>,
}

/// Returns the id of a run: the second of its start, and 16 bytes that depend only on the arguments.
pub fn sync_id(origin: &str, scope_text: &str, started_at: Timestamp) -> String {
    let mut hash = Sha256::new();
    for part in [origin, scope_text, &started_at.as_nanosecond().to_string()] {
        // The length comes first, so that different arguments never hash the same bytes.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest: [u8; 32] = hash.finalize().into();
    let seconds = started_at.as_second() - KSUID_EPOCH;
    let seconds = seconds.clamp(0, u32::MAX.into()) as u32;
    Ksuid::new_raw(seconds, Some(&digest[..16])).to_string()
}

/// Returns the time in the id of a run, its start in full seconds; none if the text is not such an id.
pub fn started_at(sync_id: &str) -> Option<Timestamp> {
    let id: Ksuid = sync_id.parse().ok()?;
    Timestamp::from_second(id.timestamp_seconds()).ok()
}

#[cfg(test)]
mod tests;
