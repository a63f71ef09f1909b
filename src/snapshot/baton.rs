//! Converts users and groups to Baton's messages and back, without I/O.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use prost::Message;
use serde_json::{Map, Number, Value as Json};

use super::proto::{
    Any, Email, Entitlement, GroupTrait, Kind, List, Resource, ResourceId, ResourceType, Status,
    Struct, Timestamp as ProtoTime, UserTrait, Value,
};
use crate::model::{Group, GroupId, Profile, User, UserId};

/// The resource type of users.
pub const USER: &str = "user";
/// The resource type of groups.
pub const GROUP: &str = "group";
/// The only entitlement of a group.
const MEMBER: &str = "member";

/// The attribute in which Baton's connectors for Okta keep the status as Okta writes it.
const RAW_STATUS: &str = "c1_okta_raw_user_status";
const GROUP_KIND: &str = "okta_group_type";
const GROUP_SOURCE: &str = "okta_group_source_id";
/// Keys that Baton's exports look for, and the attribute that each is filled from.
const EXPORT_NAMES: [(&str, &str); 2] = [("first_name", "firstName"), ("last_name", "lastName")];
const EXPORT_ID: &str = "user_id";
/// Attributes whose value is an employee's number, in lower case.
const EMPLOYEE_KEYS: [&str; 6] = [
    "employeenumber",
    "employeeid",
    "employeeidnumber",
    "employee_number",
    "employee_id",
    "employee_idnumber",
];

const ENABLED: i32 = 1;
const DISABLED: i32 = 2;
const TRAIT_USER: i32 = 1;
const TRAIT_GROUP: i32 = 2;
const HUMAN: i32 = 1;
const ASSIGNMENT: i32 = 1;
const LISTED_BY_CONNECTOR: i32 = 1;

/// Returns the resource types of a snapshot, in the order of their rows.
pub fn resource_types() -> [ResourceType; 2] {
    let group = ResourceType {
        id: GROUP.to_owned(),
        display_name: "Group".to_owned(),
        traits: vec![TRAIT_GROUP],
        annotations: vec![Any::of("SkipGrants", &())],
    };
    [user_type(), group]
}

fn user_type() -> ResourceType {
    ResourceType {
        id: USER.to_owned(),
        display_name: "User".to_owned(),
        traits: vec![TRAIT_USER],
        annotations: Vec::new(),
    }
}

/// Returns the id of the entitlement to be a member of a group.
pub fn entitlement_id(group: &GroupId) -> String {
    format!("{GROUP}:{group}:{MEMBER}")
}

/// Returns the id of the group in an entitlement's id.
pub fn group_of_entitlement(id: &str) -> Option<&str> {
    id.strip_prefix("group:")?.strip_suffix(":member")
}

/// Returns a user as a resource.
pub fn user_resource(user: &User) -> Resource {
    let emails = [(user.email(), true), (user.second_email(), false)]
        .into_iter()
        .filter_map(|(address, is_primary)| {
            let address = address?.to_owned();
            Some(Email {
                address,
                is_primary,
            })
        });
    let login = user.login().or_else(|| user.email());
    let user_trait = UserTrait {
        emails: emails.collect(),
        status: Some(status(user.status.as_deref())),
        profile: Some(user_profile(user)),
        account_type: HUMAN,
        login: login.unwrap_or(user.id.as_str()).to_owned(),
        login_aliases: alias(user).into_iter().collect(),
        created_at: user.created.map(time),
        last_login: user.last_login.map(time),
        employee_ids: employee_ids(&user.profile),
    };
    resource(
        USER,
        user.id.as_str(),
        user.display_name(),
        Any::of("UserTrait", &user_trait),
    )
}

/// Returns a group as a resource.
pub fn group_resource(group: &Group) -> Resource {
    let mut profile = to_struct(&group.profile);
    let mut add = |key: &str, text: Option<&str>| {
        if let Some(text) = text {
            let value = string(text);
            profile.fields.entry(key.to_owned()).or_insert(value);
        }
    };
    add("description", Some(""));
    add(GROUP_KIND, group.kind.as_deref());
    add(GROUP_SOURCE, group.source_id.as_deref());
    let group_trait = GroupTrait {
        profile: Some(profile),
    };
    resource(
        GROUP,
        group.id.as_str(),
        group.display_name().to_owned(),
        Any::of("GroupTrait", &group_trait),
    )
}

/// Returns the entitlement of a group; it contains the complete resource, as in files of the Go connector.
pub fn group_entitlement(group: &Group, resource: Resource) -> Entitlement {
    let name = group.display_name();
    let immutable = (!group.is_editable()).then(|| Any::of("EntitlementImmutable", &()));
    Entitlement {
        resource: Some(resource),
        id: entitlement_id(&group.id),
        display_name: format!("{name} Group Member"),
        description: format!("Member of {name} group in Okta"),
        grantable_to: vec![user_type()],
        annotations: immutable.into_iter().collect(),
        purpose: ASSIGNMENT,
        slug: MEMBER.to_owned(),
    }
}

fn resource(kind: &str, id: &str, display_name: String, annotation: Any) -> Resource {
    Resource {
        id: Some(ResourceId {
            resource_type: kind.to_owned(),
            resource: id.to_owned(),
        }),
        display_name,
        annotations: vec![annotation],
        creation_source: LISTED_BY_CONNECTOR,
        ..Resource::default()
    }
}

/// Returns Baton's status for Okta's. STAGED users cannot sign in yet, so they are disabled; an unknown status becomes
/// Baton's "unspecified".
fn status(word: Option<&str>) -> Status {
    let status = match word {
        Some("ACTIVE" | "PROVISIONED" | "PASSWORD_EXPIRED" | "RECOVERY" | "LOCKED_OUT") => ENABLED,
        Some("STAGED" | "SUSPENDED" | User::DEPROVISIONED) => DISABLED,
        _ => 0,
    };
    Status {
        status,
        details: word.unwrap_or_default().to_owned(),
    }
}

fn user_profile(user: &User) -> Struct {
    let mut profile = to_struct(&user.profile);
    for (key, source) in EXPORT_NAMES {
        let value = user.profile.get(source).map_or_else(null, to_value);
        profile.fields.entry(key.to_owned()).or_insert(value);
    }
    let id = string(user.id.as_str());
    profile.fields.entry(EXPORT_ID.to_owned()).or_insert(id);
    let raw = user.status.as_deref().map_or_else(null, string);
    profile.fields.insert(RAW_STATUS.to_owned(), raw);
    profile
}

/// Returns the part before the `@` of a login that has exactly one.
fn alias(user: &User) -> Option<String> {
    let (local, host) = user.login()?.split_once('@')?;
    (!host.contains('@')).then(|| local.to_owned())
}

fn employee_ids(profile: &Profile) -> Vec<String> {
    let ids: BTreeSet<&str> = profile
        .iter()
        .filter(|(key, _)| EMPLOYEE_KEYS.contains(&key.to_lowercase().as_str()))
        .filter_map(|(_, value)| value.as_str())
        .filter(|id| !id.is_empty())
        .collect();
    ids.into_iter().map(str::to_owned).collect()
}

fn time(time: Timestamp) -> ProtoTime {
    // Protobuf's nanoseconds are never negative, even before 1970.
    let nanos = time.as_nanosecond();
    ProtoTime {
        seconds: nanos.div_euclid(1_000_000_000) as i64,
        nanos: nanos.rem_euclid(1_000_000_000) as i32,
    }
}

fn null() -> Value {
    Value {
        kind: Some(Kind::Null(0)),
    }
}

fn string(text: &str) -> Value {
    Value {
        kind: Some(Kind::String(text.to_owned())),
    }
}

fn to_struct(map: &Map<String, Json>) -> Struct {
    let fields = map
        .iter()
        .map(|(key, value)| (key.clone(), to_value(value)));
    Struct {
        fields: fields.collect(),
    }
}

fn to_value(json: &Json) -> Value {
    let kind = match json {
        Json::Null => Kind::Null(0),
        Json::Bool(bool) => Kind::Bool(*bool),
        // Baton has only doubles; a number that no double can hold is stored as its text.
        Json::Number(number) => match number.as_f64().filter(|number| number.is_finite()) {
            Some(double) => Kind::Number(double),
            None => Kind::String(number.to_string()),
        },
        Json::String(text) => Kind::String(text.clone()),
        Json::Array(list) => Kind::List(List {
            values: list.iter().map(to_value).collect(),
        }),
        Json::Object(map) => Kind::Struct(to_struct(map)),
    };
    Value { kind: Some(kind) }
}

/// Reads a user from a resource of any connector for Okta. The id comes from the row.
pub fn user_of(id: UserId, resource: Resource) -> User {
    let user_trait: UserTrait = decode_trait(&resource, "UserTrait");
    let mut profile = from_struct(resource.profile.or(user_trait.profile));
    let status = resource.status.or(user_trait.status);
    let details = status.map(|status| status.details);
    let raw = profile.get(RAW_STATUS).and_then(Json::as_str);
    let status = details
        .filter(|word| !word.is_empty())
        .or_else(|| raw.map(str::to_owned));

    // Remove the attributes that writers add, if they repeat what is stored elsewhere.
    if profile
        .get(RAW_STATUS)
        .is_some_and(|raw| raw.as_str() == status.as_deref())
    {
        profile.remove(RAW_STATUS);
    }
    if profile.get(EXPORT_ID).and_then(Json::as_str) == Some(id.as_str()) {
        profile.remove(EXPORT_ID);
    }
    for (key, source) in EXPORT_NAMES {
        let same = profile
            .get(key)
            .is_some_and(|value| value == profile.get(source).unwrap_or(&Json::Null));
        if same {
            profile.remove(key);
        }
    }

    let mut fill = |key: &str, text: Option<String>| {
        let lacks = profile.get(key).is_none_or(Json::is_null);
        if let Some(text) = text.filter(|text| lacks && !text.is_empty()) {
            profile.insert(key.to_owned(), Json::String(text));
        }
    };
    fill("login", Some(user_trait.login));
    let (primary, other): (Vec<Email>, Vec<Email>) = user_trait
        .emails
        .into_iter()
        .partition(|email| email.is_primary);
    let first = |emails: Vec<Email>| emails.into_iter().next().map(|email| email.address);
    fill("email", first(primary));
    fill("secondEmail", first(other));

    User {
        status,
        created: resource
            .created_at
            .or(user_trait.created_at)
            .and_then(|time| from_time(&time)),
        last_login: user_trait.last_login.and_then(|time| from_time(&time)),
        profile,
        ..User::new(id)
    }
}

/// Reads a group from a resource of any connector for Okta. The id comes from the row.
pub fn group_of(id: GroupId, resource: Resource) -> Group {
    let group_trait: GroupTrait = decode_trait(&resource, "GroupTrait");
    let mut profile = from_struct(resource.profile.or(group_trait.profile));
    let mut take = |key: &str| match profile.get(key) {
        Some(Json::String(_)) => match profile.remove(key) {
            Some(Json::String(text)) => Some(text),
            _ => None,
        },
        _ => None,
    };
    let kind = take(GROUP_KIND);
    let source_id = take(GROUP_SOURCE);
    if !resource.display_name.is_empty() && profile.get("name").is_none_or(Json::is_null) {
        profile.insert("name".to_owned(), Json::String(resource.display_name));
    }
    Group {
        id,
        kind,
        source_id,
        created: None,
        last_updated: None,
        last_membership_updated: None,
        members_reported: None,
        has_admin_privilege: None,
        profile,
    }
}

/// Returns the trait among the annotations; an empty one if there is none, or none that can be decoded.
fn decode_trait<T: Message + Default>(resource: &Resource, name: &str) -> T {
    resource
        .annotations
        .iter()
        .find(|any| any.is(name))
        .and_then(|any| T::decode(any.value.as_slice()).ok())
        .unwrap_or_default()
}

/// Returns a value as Baton's messages store it: all numbers are doubles.
pub fn as_baton_stores(value: &Json) -> Json {
    from_value(to_value(value))
}

fn from_time(time: &ProtoTime) -> Option<Timestamp> {
    Timestamp::new(time.seconds, time.nanos).ok()
}

fn from_struct(message: Option<Struct>) -> Profile {
    from_fields(message.unwrap_or_default().fields)
}

fn from_fields(fields: BTreeMap<String, Value>) -> Profile {
    fields
        .into_iter()
        .map(|(key, value)| (key, from_value(value)))
        .collect()
}

fn from_value(value: Value) -> Json {
    match value.kind {
        None | Some(Kind::Null(_)) => Json::Null,
        Some(Kind::Bool(bool)) => Json::Bool(bool),
        Some(Kind::String(text)) => Json::String(text),
        Some(Kind::Number(double)) => number(double),
        Some(Kind::List(list)) => list.values.into_iter().map(from_value).collect(),
        Some(Kind::Struct(inner)) => Json::Object(from_fields(inner.fields)),
    }
}

/// Returns the number as JSON. An integer is written as one; every integral double below 2^63 is an `i64` exactly.
fn number(double: f64) -> Json {
    if double.fract() == 0.0 && double.abs() < 9_223_372_036_854_775_808.0 {
        return Json::Number((double as i64).into());
    }
    Number::from_f64(double).map_or_else(|| Json::String(double.to_string()), Json::Number)
}

#[cfg(test)]
mod tests;
