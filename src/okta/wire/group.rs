//! Groups, alone and in pages.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{Malformed, is_id, no_id, parsed, rows};
use crate::model::{self, GroupId, Profile};

/// Reads a single group.
///
/// # Errors
/// Returns an error if the body is not an object with an id.
pub fn one_group(body: &[u8]) -> Result<model::Group, Malformed> {
    let object = parsed(body)?;
    group(object).ok_or_else(|| no_id(0))
}

/// Reads the groups of a page.
///
/// # Errors
/// Returns an error if the body is not an array of objects with ids.
pub fn groups(body: &[u8]) -> Result<Vec<model::Group>, Malformed> {
    rows(body, |index, row| group(row).ok_or_else(|| no_id(index)))
}

fn group(mut object: Map<String, Value>) -> Option<model::Group> {
    let profile = match object.remove("profile") {
        Some(Value::Object(profile)) => profile,
        _ => Profile::new(),
    };
    let value = Value::Object(object);
    let text = |pointer| value.pointer(pointer).and_then(Value::as_str);
    let time = |pointer| text(pointer).and_then(|text| text.parse::<Timestamp>().ok());
    let id = text("/id").filter(|id| is_id(id))?;
    // Recorded groups refer to their source with a link, those in the specification also with an object
    // (docs/okta-api.md, Groups).
    let source = text("/source/id").or_else(|| text("/_links/source/href")?.rsplit('/').next());
    Some(model::Group {
        id: GroupId::from(id),
        kind: text("/type").map(str::to_owned),
        source_id: source.filter(|id| !id.is_empty()).map(str::to_owned),
        created: time("/created"),
        last_updated: time("/lastUpdated"),
        last_membership_updated: time("/lastMembershipUpdated"),
        members_reported: value
            .pointer("/_embedded/stats/usersCount")
            .and_then(Value::as_u64),
        // The second is how the specification spells the flag (docs/okta-api.md, Groups).
        has_admin_privilege: [
            "/_embedded/stats/hasAdminPrivilege",
            "/_embedded/stats/hasAdminPrivlege",
        ]
        .into_iter()
        .find_map(|pointer| value.pointer(pointer).and_then(Value::as_bool)),
        profile,
    })
}
