//! Writes a diff as text, JSON, CSV or Markdown, one change at a time.

mod csv;
mod json;
mod markdown;
mod text;

use clap::ValueEnum;
use serde::Serialize;
use serde_json::Value;

use super::{Diff, DiffCounts, FieldChange};
use crate::snapshot::RunMetadata;

pub use self::csv::csv;
pub use self::json::json;
pub use self::markdown::markdown;
pub use self::text::text;

/// The format of a diff.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "the names say it")]
pub enum DiffFormat {
    Text,
    Json,
    Csv,
    Markdown,
}

/// One of the two compared snapshots.
#[derive(Clone, Debug, Serialize)]
pub struct Side {
    /// The file, as given on the command line.
    pub file: String,
    /// The hash of the content; null if the snapshot does not contain one.
    pub content_sha256: Option<String>,
    /// The id of the run that wrote the snapshot.
    pub sync_id: String,
    /// The URL of the org; null if another program wrote the file.
    pub org: Option<String>,
    /// The start of the run, RFC 3339.
    pub started_at: String,
    /// The end of the run, RFC 3339.
    pub ended_at: String,
    /// True if the run could read everything in scope; null if another program wrote the file.
    pub complete: Option<bool>,
}

/// The metadata of a diff.
#[derive(Clone, Debug, Serialize)]
pub struct Meta {
    /// The old snapshot.
    pub old: Side,
    /// The new snapshot.
    pub new: Side,
    /// The differences between the scopes.
    pub scope: Vec<FieldChange>,
    /// The fields that were not compared.
    pub left_out: Vec<String>,
    /// Notes on what limits the comparison.
    pub notes: Vec<String>,
}

/// Returns the differences between two scopes.
pub fn scope_changes(old: &RunMetadata, new: &RunMetadata) -> Vec<FieldChange> {
    let change = |field: &str, old: Value, new: Value| FieldChange {
        field: field.to_owned(),
        old,
        new,
    };
    let parts = |run: &RunMetadata| {
        [
            Value::from(run.email_domains.clone()),
            Value::from(run.skip_secondary_emails),
            Value::from(run.group_name_filter.clone()),
        ]
    };
    let names = [
        "email_domains",
        "skip_secondary_emails",
        "group_name_filter",
    ];
    let values = parts(old).into_iter().zip(parts(new));
    names
        .into_iter()
        .zip(values)
        .filter(|(_, (old, new))| old != new)
        .map(|(name, (old, new))| change(name, old, new))
        .collect()
}

/// Limits of the output.
#[derive(Clone, Copy, Debug, Default)]
pub struct View {
    /// True if only the counts are written.
    pub stat: bool,
    /// The largest number of rows to write for each table.
    pub limit: Option<u64>,
    /// The largest size of the Markdown output, in bytes.
    pub max_bytes: u64,
}

impl View {
    fn shows(&self, shown: u64) -> bool {
        !self.stat && self.limit.is_none_or(|limit| shown < limit)
    }
}

fn columns(counts: &DiffCounts) -> [(&'static str, u64); 6] {
    [
        ("added", counts.added),
        ("removed", counts.removed),
        ("changed", counts.changed),
        ("unknown", counts.unknown),
        ("recreated", counts.recreated),
        ("unchanged", counts.unchanged),
    ]
}

/// Returns the names of the counts to show: `unknown` and `recreated` only if they occur, and all others always.
fn shown_columns(diff: &Diff) -> Vec<&'static str> {
    let occurs = |name: &str| {
        let all = diff.summary.values().flat_map(columns);
        all.into_iter()
            .any(|(other, count)| other == name && count > 0)
    };
    let names = columns(&DiffCounts::default()).map(|(name, _)| name);
    let is_usual = |name: &&str| !matches!(*name, "unknown" | "recreated") || occurs(name);
    names.into_iter().filter(is_usual).collect()
}

fn in_columns(counts: &DiffCounts, shown: &[&str]) -> Vec<(&'static str, u64)> {
    let all = columns(counts).into_iter();
    all.filter(|(name, _)| shown.contains(name)).collect()
}
