//! What an export says about the snapshot that it comes from.

use serde_json::{Map, Value};

use crate::snapshot::{FileInfo, rfc3339};

/// Returns who took the snapshot, where, when and how, in the order in which the file has it. A snapshot of another program
/// has its run and its times only.
///
/// # Errors
/// Returns an error if the facts cannot be written as JSON, which is a bug.
pub fn about(info: &FileInfo) -> serde_json::Result<Map<String, Value>> {
    let facts = match &info.metadata {
        Some(metadata) => serde_json::to_value(metadata)?,
        None => serde_json::json!({
            "sync_id": info.sync_id,
            "started_at": rfc3339(info.started_at),
            "ended_at": rfc3339(info.ended_at),
        }),
    };
    Ok(match facts {
        Value::Object(facts) => facts,
        _ => Map::new(),
    })
}
