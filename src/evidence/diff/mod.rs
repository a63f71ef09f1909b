//! The differences between two snapshots.
//!
//! - [`compare_snapshots`](merge::compare_snapshots) reads both snapshots in parallel, sorted by id, and keeps no
//!   memberships in memory: the changes go to a temporary file, from which [`render`] writes every format.
//! - Users and groups are compared by id. A login or name that reappears under a new id is `recreated`.
//! - A membership is `unknown`, not added or removed, if the snapshot without it warns that it could not read all
//!   members of the group or all groups of the user.

pub mod compare;
pub mod merge;
pub mod options;
pub mod render;
mod spool;

use std::collections::BTreeMap;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use spool::Spool;

pub use super::tables::Table;
use crate::words::Words;

/// The kind of a change, in the order of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// The row is only in the new snapshot.
    Added,
    /// The row is only in the old snapshot.
    Removed,
    /// Some fields of the row differ.
    Changed,
    /// The row is in one snapshot, and the other one could not read it.
    Unknown,
}

impl ChangeKind {
    /// Returns the word for the kind in output and options.
    pub fn as_str(self) -> &'static str {
        static WORDS: Words<ChangeKind> = Words::new();
        WORDS.of(self)
    }
}

/// A field that differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldChange {
    /// The column, or `profile.` and the attribute.
    pub field: String,
    /// The value in the old snapshot.
    pub old: Value,
    /// The value in the new snapshot.
    pub new: Value,
}

/// One row that differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowChange {
    /// The kind of the change.
    pub kind: ChangeKind,
    /// The id of the row; for a membership, the ids of the group and the user.
    pub key: Key,
    /// The names of the row, for people.
    pub label: Label,
    /// All columns of a row that is in one snapshot only; empty for a changed row.
    pub row: Map<String, Value>,
    /// The differing fields of a changed row; empty for other kinds.
    pub fields: Vec<FieldChange>,
}

/// The id of a row, or the pair of ids of a membership.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Key {
    /// A user or a group.
    Id {
        /// Okta's id.
        id: String,
    },
    /// A membership.
    Pair {
        /// The group's id.
        group_id: String,
        /// The user's id.
        user_id: String,
    },
}

/// The names of a row, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The user's login, if the row is about a user.
    pub user: Option<String>,
    /// The group's name, if the row is about a group.
    pub group: Option<String>,
}

/// A user or group that disappeared and reappeared under another id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Recreated {
    /// The user's login, or the group's name.
    pub name: String,
    /// The id in the old snapshot.
    pub old_id: String,
    /// The id in the new snapshot.
    pub new_id: String,
}

/// The number of rows of a table for each kind of change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names are those of the kinds")]
pub struct DiffCounts {
    pub added: u64,
    pub removed: u64,
    pub changed: u64,
    pub unknown: u64,
    pub recreated: u64,
    pub unchanged: u64,
}

impl DiffCounts {
    fn add(&mut self, kind: ChangeKind) {
        *match kind {
            ChangeKind::Added => &mut self.added,
            ChangeKind::Removed => &mut self.removed,
            ChangeKind::Changed => &mut self.changed,
            ChangeKind::Unknown => &mut self.unknown,
        } += 1;
    }

    /// Returns the number of rows that differ or may differ.
    pub fn different(&self) -> u64 {
        self.added + self.removed + self.changed + self.unknown
    }
}

/// The differences between two snapshots.
pub struct Diff {
    /// The counts of each compared table.
    pub summary: BTreeMap<Table, DiffCounts>,
    /// The changes of each compared table, sorted by key.
    pub changes: BTreeMap<Table, Spool>,
    /// The recreated users and groups.
    pub recreated: BTreeMap<Table, Vec<Recreated>>,
    /// The columns that would be compared if both files had them.
    pub not_compared: Vec<String>,
}

/// Returns the note about columns that are not compared; none if there are none.
pub fn not_compared_note(columns: &[String]) -> Option<String> {
    let columns = (!columns.is_empty()).then(|| columns.join(", "))?;
    Some(format!(
        "columns that one of the snapshots may lack are not compared: {columns}"
    ))
}

impl Diff {
    /// Returns the number of memberships that one of the snapshots could not read.
    pub fn unknown(&self) -> u64 {
        self.summary.values().map(|counts| counts.unknown).sum()
    }

    /// Returns true if no row differs.
    pub fn is_empty(&self) -> bool {
        self.summary.values().all(|counts| counts.different() == 0)
    }
}

#[cfg(test)]
mod tests;
