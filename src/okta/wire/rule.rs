//! Group rules.

use serde::de::IgnoredAny;
use serde_json::Value;

use super::{Malformed, is_id, no_id, parsed, rows};
use crate::model::GroupId;

/// A group rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Okta's id.
    pub id: String,
    /// The name.
    pub name: String,
    /// True if the rule is active.
    pub active: bool,
    /// The groups that it adds users to.
    pub groups: Vec<GroupId>,
}

/// Reads the group rules of a page.
///
/// # Errors
/// Returns an error if the body is not an array of objects with ids.
pub fn rules(body: &[u8]) -> Result<Vec<Rule>, Malformed> {
    rows(body, |index, value: Value| {
        let text = |pointer| value.pointer(pointer).and_then(Value::as_str);
        let id = text("/id")
            .filter(|id| is_id(id))
            .ok_or_else(|| no_id(index))?;
        let groups = value
            .pointer("/actions/assignUserToGroups/groupIds")
            .and_then(Value::as_array);
        Ok(Rule {
            id: id.to_owned(),
            name: text("/name").unwrap_or(id).to_owned(),
            active: text("/status") == Some("ACTIVE"),
            groups: groups
                .into_iter()
                .flatten()
                .filter_map(|id| Some(GroupId::from(id.as_str()?)))
                .collect(),
        })
    })
}

/// Returns the number of group rules on a page.
///
/// # Errors
/// Returns an error if the body is not an array.
pub fn how_many(body: &[u8]) -> Result<usize, Malformed> {
    let rows: Vec<IgnoredAny> = parsed(body)?;
    Ok(rows.len())
}
