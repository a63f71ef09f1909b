//! The facts about a snapshot that an export contains.

use serde::ser::{Serialize, Serializer};
use serde_json::Value;

use crate::snapshot::{FileInfo, JsonRow as _, RunMetadata, rfc3339};

/// Pairs of name and value that keep their order in a JSON object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OrderedObject(pub Vec<(String, Value)>);

impl Serialize for OrderedObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// Returns the metadata of the run in the order of the file's columns. The snapshot of another program has only the id
/// and the times of its run.
///
/// # Errors
/// Returns an error if the facts cannot be written as JSON, which is a bug.
pub fn about(info: &FileInfo) -> serde_json::Result<OrderedObject> {
    let Some(metadata) = &info.metadata else {
        let times = [("started_at", info.started_at), ("ended_at", info.ended_at)];
        let times = times.map(|(name, time)| (name, rfc3339(time)));
        let facts = [("sync_id", info.sync_id.clone())].into_iter().chain(times);
        let facts = facts.map(|(name, value)| (name.to_owned(), value.into()));
        return Ok(OrderedObject(facts.collect()));
    };
    let values = serde_json::to_value(metadata)?;
    let facts = RunMetadata::columns().iter().map(|column| {
        let value = values.get(column.name).cloned();
        (column.name.to_owned(), value.unwrap_or_default())
    });
    Ok(OrderedObject(facts.collect()))
}
