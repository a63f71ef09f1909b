//! Users and groups as Baton's messages, and back. Pure.

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
/// The only thing that a group grants.
const MEMBER: &str = "member";

/// Where Baton's connectors for Okta keep the status as Okta writes it.
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

/// The resource types of a snapshot, in the order of their rows.
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

/// The entitlement that membership in a group is.
pub fn entitlement_id(group: &GroupId) -> String {
    format!("{GROUP}:{group}:{MEMBER}")
}

/// The group whose membership an entitlement's id names.
pub fn group_of_entitlement(id: &str) -> Option<&str> {
    id.strip_prefix("group:")?.strip_suffix(":member")
}

/// A user as a resource.
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

/// A group as a resource.
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

/// The entitlement of a group; it holds the whole resource, as the Go connector has it.
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

/// STAGED users cannot sign in yet, so they are disabled; what a status unknown here means is left open.
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

/// What stands before the `@` of a login that has exactly one.
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
    // Baton wants nanoseconds that count forwards, also before 1970.
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
        // A double is all that Baton has; what no double can hold is kept as its text.
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

/// Reads a user from a resource that any connector for Okta wrote. The id comes from the row.
pub fn user_of(id: UserId, resource: Resource) -> User {
    let user_trait: UserTrait = decode_trait(&resource, "UserTrait");
    let mut profile = from_struct(resource.profile.or(user_trait.profile));
    let status = resource.status.or(user_trait.status);
    let details = status.map(|status| status.details);
    let raw = profile.get(RAW_STATUS).and_then(Json::as_str);
    let status = details
        .filter(|word| !word.is_empty())
        .or_else(|| raw.map(str::to_owned));

    // What the writers add, if it says nothing that is not said elsewhere.
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

/// Reads a group from a resource that any connector for Okta wrote. The id comes from the row.
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

/// The trait among the annotations; an empty one where there is none, or none that can be decoded.
fn decode_trait<T: Message + Default>(resource: &Resource, name: &str) -> T {
    resource
        .annotations
        .iter()
        .find(|any| any.is(name))
        .and_then(|any| T::decode(any.value.as_slice()).ok())
        .unwrap_or_default()
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

/// A whole number is written as one; every whole double below 2^63 is an `i64` exactly.
fn number(double: f64) -> Json {
    if double.fract() == 0.0 && double.abs() < 9_223_372_036_854_775_808.0 {
        return Json::Number((double as i64).into());
    }
    Number::from_f64(double).map_or_else(|| Json::String(double.to_string()), Json::Number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, any, proptest};
    use serde_json::{from_str, json};

    use super::*;
    use crate::text::hex;

    const GO_USER_TYPE: &str = "0a04757365721204557365721a0101";
    const GO_GROUP_TYPE: &str = "0a0567726f7570120547726f75701a010222300a2e747970652e676f6f676c65617069732e636f6d2f63312e636f6e6e6563746f722e76322e536b69704772616e7473";
    /// The group whose keys Go happened to write in order.
    const GO_GROUP: &str = "0a1d0a0567726f7570121430306731626262626262626262626262626262321a0b456e67696e656572696e6722670a2e747970652e676f6f676c65617069732e636f6d2f63312e636f6e6e6563746f722e76322e47726f75705472616974123512330a1a0a0b6465736372697074696f6e120b1a095226442073746166660a150a046e616d65120d1a0b456e67696e656572696e674001";
    const GO_ENTITLEMENT: &str = "0a97010a1d0a0567726f7570121430306731626262626262626262626262626262321a0b456e67696e656572696e6722670a2e747970652e676f6f676c65617069732e636f6d2f63312e636f6e6e6563746f722e76322e47726f75705472616974123512330a1a0a0b6465736372697074696f6e120b1a095226442073746166660a150a046e616d65120d1a0b456e67696e656572696e674001122167726f75703a30306731626262626262626262626262626262323a6d656d6265721a18456e67696e656572696e672047726f7570204d656d62657222234d656d626572206f6620456e67696e656572696e672067726f757020696e204f6b74612a0f0a04757365721204557365721a0101380142066d656d626572";
    const GO_GRANT: &str = "0a440a1f0a1d0a0567726f757012143030673162626262626262626262626262626231122167726f75703a30306731626262626262626262626262626262313a6d656d626572121e0a1c0a0475736572121430307531616161616161616161616161616161371a3b67726f75703a30306731626262626262626262626262626262313a6d656d6265723a757365723a3030753161616161616161616161616161616137";
    /// A user with one attribute; Go writes the keys of one map in an order of its own.
    const GO_SERVICE_USER: &str = "0a1c0a0475736572121430307531616161616161616161616161616161351a0f537663204261636b757020f09fa49622a9020a2d747970652e676f6f676c65617069732e636f6d2f63312e636f6e6e6563746f722e76322e55736572547261697412f7010a1a0a167376632d6261636b7570406578616d706c652e636f6d100112140801121050415353574f52445f455850495245441a98010a210a05656d61696c12181a167376632d6261636b7570406578616d706c652e636f6d0a150a056c6f67696e120c1a0a7376632d6261636b75700a120a0966697273744e616d6512051a035376630a190a086c6173744e616d65120d1a0b4261636b757020f09fa4960a2d0a1763315f6f6b74615f7261775f757365725f73746174757312121a1050415353574f52445f455850495245442801320a7376632d6261636b7570420c08ffcbb9ff0510c08faedc034a0c08f2a8ed8f0610c0de9cf8024001";

    fn unhex(text: &str) -> Vec<u8> {
        let byte = |i: usize| u8::from_str_radix(&text[i..i + 2], 16).unwrap();
        (0..text.len()).step_by(2).map(byte).collect()
    }

    fn group(profile: Json) -> Group {
        Group {
            id: "00g1bbbbbbbbbbbbbbb2".into(),
            kind: None,
            source_id: None,
            created: None,
            last_updated: None,
            last_membership_updated: None,
            members_reported: None,
            has_admin_privilege: None,
            profile: profile.as_object().unwrap().clone(),
        }
    }

    fn user(status: Option<&str>, profile: &str) -> User {
        User {
            status: status.map(str::to_owned),
            profile: from_str(profile).unwrap(),
            ..User::new("00u1".into())
        }
    }

    fn user_trait(user: &User) -> UserTrait {
        decode_trait(&user_resource(user), "UserTrait")
    }

    #[test]
    fn resource_types_have_the_bytes_that_the_go_connector_writes() {
        let [user, group] = resource_types();
        assert_eq!(hex(&user.encode_to_vec()), GO_USER_TYPE);
        assert_eq!(hex(&group.encode_to_vec()), GO_GROUP_TYPE);
    }

    #[test]
    fn a_group_and_its_entitlement_have_the_bytes_that_the_go_connector_writes() {
        let mut group = group(json!({"name": "Engineering", "description": "R&D staff"}));
        let resource = group_resource(&group);
        assert_eq!(hex(&resource.encode_to_vec()), GO_GROUP);
        group.kind = Some("OKTA_GROUP".to_owned());
        let entitlement = group_entitlement(&group, resource);
        assert_eq!(hex(&entitlement.encode_to_vec()), GO_ENTITLEMENT);
    }

    #[test]
    fn a_grant_has_the_bytes_that_the_go_connector_writes() {
        let (group, user) = ("00g1bbbbbbbbbbbbbbb1", "00u1aaaaaaaaaaaaaaa7");
        let entitlement = entitlement_id(&group.into());
        let mut bytes = Vec::new();
        let id = format!("{entitlement}:user:{user}");
        super::super::proto::grant_into(&mut bytes, group, user, &id, entitlement.len());
        assert_eq!(hex(&bytes), GO_GRANT);
        assert_eq!(bytes.len(), 163);
    }

    #[test]
    fn a_user_of_the_go_connector_is_what_we_write_but_for_the_keys_that_we_add() {
        let go = Resource::decode(unhex(GO_SERVICE_USER).as_slice()).unwrap();
        let user = user_of("00u1aaaaaaaaaaaaaaa5".into(), go.clone());
        assert_eq!(user.status.as_deref(), Some("PASSWORD_EXPIRED"));
        assert_eq!(
            user.created.unwrap().to_string(),
            "2020-12-31T23:59:59.999Z"
        );
        assert_eq!(
            user.last_login.unwrap().to_string(),
            "2022-02-03T04:05:06.789Z"
        );
        let ours = user_resource(&user);
        let mut our_trait: UserTrait = decode_trait(&ours, "UserTrait");
        for key in ["first_name", "last_name", "user_id"] {
            assert!(
                our_trait
                    .profile
                    .as_mut()
                    .unwrap()
                    .fields
                    .remove(key)
                    .is_some()
            );
        }
        assert_eq!(our_trait, decode_trait(&go, "UserTrait"));
        assert_eq!(ours.display_name, go.display_name);
    }

    #[test]
    fn entitlements_of_groups_that_okta_will_not_edit_are_immutable() {
        let mut group = group(json!({"name": "HR"}));
        for (kind, immutable) in [
            ("OKTA_GROUP", false),
            ("APP_GROUP", true),
            ("BUILT_IN", true),
        ] {
            group.kind = Some(kind.to_owned());
            let annotations = group_entitlement(&group, group_resource(&group)).annotations;
            assert_eq!(
                annotations.iter().any(|any| any.is("EntitlementImmutable")),
                immutable
            );
            assert!(annotations.iter().all(|any| any.value.is_empty()));
        }
    }

    #[test]
    fn kind_and_source_of_a_group_never_replace_an_attribute_of_that_name() {
        let mut group = group(json!({"name": "HR", "okta_group_type": 7, "description": null}));
        group.kind = Some("APP_GROUP".to_owned());
        group.source_id = Some("0oa1".to_owned());
        let resource = group_resource(&group);
        let profile = decode_trait::<GroupTrait>(&resource, "GroupTrait")
            .profile
            .unwrap();
        assert_eq!(profile.fields[GROUP_KIND].kind, Some(Kind::Number(7.0)));
        assert_eq!(profile.fields[GROUP_SOURCE], string("0oa1"));
        assert_eq!(profile.fields["description"], null());
        let back = group_of("00g1".into(), resource);
        assert_eq!(back.source_id.as_deref(), Some("0oa1"));
        assert_eq!(back.kind, None);
        assert_eq!(back.profile["okta_group_type"], 7);
    }

    #[test]
    fn a_status_says_whether_the_user_can_sign_in_and_an_unknown_one_does_not() {
        let table = [
            (Some("ACTIVE"), 1, "ACTIVE"),
            (Some("LOCKED_OUT"), 1, "LOCKED_OUT"),
            (Some("STAGED"), 2, "STAGED"),
            (Some("SUSPENDED"), 2, "SUSPENDED"),
            (Some("DEPROVISIONED"), 2, "DEPROVISIONED"),
            (Some("FROZEN"), 0, "FROZEN"),
            (None, 0, ""),
        ];
        for (word, number, details) in table {
            let user = user(word, r#"{"login": "a@example.com"}"#);
            let status = user_trait(&user).status.unwrap();
            assert_eq!((status.status, status.details.as_str()), (number, details));
            let back = user_of("00u1".into(), user_resource(&user));
            assert_eq!(back.status.as_deref(), word);
        }
    }

    #[test]
    fn a_login_is_always_there_and_has_an_alias_only_with_one_at_sign() {
        let table = [
            (
                r#"{"login": "mira@example.com", "email": "m@example.com"}"#,
                "mira@example.com",
                Some("mira"),
            ),
            (
                r#"{"login": "mira", "email": "m@example.com"}"#,
                "mira",
                None,
            ),
            (r#"{"login": "a@b@c"}"#, "a@b@c", None),
            (r#"{"email": "m@example.com"}"#, "m@example.com", None),
            ("{}", "00u1", None),
        ];
        for (profile, login, alias) in table {
            let user_trait = user_trait(&user(None, profile));
            assert_eq!(user_trait.login, login);
            assert_eq!(
                user_trait.login_aliases,
                Vec::from_iter(alias.map(str::to_owned))
            );
        }
    }

    #[test]
    fn emails_and_employee_ids_are_collected() {
        let user = user(
            None,
            r#"{"email": "b@example.com", "secondEmail": "a@example.org", "employeeNumber": "2",
                "EmployeeID": "1", "employee_id": "2", "employeeIdNumber": "", "employee_number": 3}"#,
        );
        let user_trait = user_trait(&user);
        let emails: Vec<(&str, bool)> = user_trait
            .emails
            .iter()
            .map(|email| (email.address.as_str(), email.is_primary))
            .collect();
        assert_eq!(emails, [("b@example.com", true), ("a@example.org", false)]);
        assert_eq!(user_trait.employee_ids, ["1", "2"]);
    }

    #[test]
    fn every_attribute_is_kept_with_its_type_and_a_number_that_no_double_holds_as_text() {
        let user = user(
            Some("ACTIVE"),
            r#"{"none": null, "big": 12345678901234567890, "price": 1.50, "huge": 1e400,
                "nested": {"a": [true, null, {"ü": "日本"}], "empty": {}}, "firstName": null}"#,
        );
        let fields = user_trait(&user).profile.unwrap().fields;
        assert_eq!(fields["none"], null());
        assert_eq!(
            fields["big"].kind,
            Some(Kind::Number(12345678901234567890.0))
        );
        assert_eq!(fields["price"].kind, Some(Kind::Number(1.5)));
        assert!(matches!(&fields["huge"].kind, Some(Kind::String(text)) if text.starts_with("1e")));
        assert_eq!(fields["first_name"], null());
        assert_eq!(fields["last_name"], null());
        assert_eq!(fields["user_id"], string("00u1"));
        assert_eq!(fields[RAW_STATUS], string("ACTIVE"));
        let back = user_of("00u1".into(), user_resource(&user));
        assert_eq!(back.profile["nested"], user.profile["nested"]);
        let keys: Vec<&String> = back.profile.keys().collect();
        let mut expected: Vec<&String> = user.profile.keys().collect();
        expected.push(back.profile.get_key_value("login").unwrap().0);
        expected.sort();
        assert_eq!(keys, expected);
    }

    #[test]
    fn the_keys_for_exports_never_replace_an_attribute() {
        let user = user(
            None,
            r#"{"user_id": 7, "first_name": "X", "firstName": "Y"}"#,
        );
        let fields = user_trait(&user).profile.unwrap().fields;
        assert_eq!(fields["user_id"].kind, Some(Kind::Number(7.0)));
        assert_eq!(fields["first_name"], string("X"));
    }

    #[test]
    fn numbers_of_baton_are_whole_where_they_can_be() {
        let table = [
            (12345678901.0, "12345678901"),
            (1.5, "1.5"),
            (-0.0, "0"),
            (-3.0, "-3"),
            (f64::NAN, "\"NaN\""),
            (f64::INFINITY, "\"inf\""),
        ];
        for (double, text) in table {
            assert_eq!(number(double).to_string(), text);
        }
        assert_eq!(number(1e300).as_f64(), Some(1e300));
    }

    #[test]
    fn times_before_1970_have_nanoseconds_that_count_forwards() {
        let before = Timestamp::new(-2, 500_000_000).unwrap();
        assert_eq!(
            (time(before).seconds, time(before).nanos),
            (-2, 500_000_000)
        );
        assert_eq!(from_time(&time(before)), Some(before));
        assert_eq!(
            from_time(&ProtoTime {
                seconds: i64::MAX,
                nanos: -1
            }),
            None
        );
    }

    #[test]
    fn an_entitlement_names_its_group() {
        assert_eq!(group_of_entitlement("group:00g1:member"), Some("00g1"));
        assert_eq!(group_of_entitlement("group:00g1:owner"), None);
        assert_eq!(group_of_entitlement("role:00g1:member"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn no_bytes_make_a_message_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            read(&bytes);
        }

        /// Fields that there are, with content that is often a message itself.
        #[test]
        fn no_message_made_of_known_fields_makes_the_reader_panic(
            fields in proptest::collection::vec((any::<u8>(), any::<u8>(), proptest::collection::vec(any::<u8>(), 0..20)), 0..12),
            at in any::<proptest::sample::Index>(), with in any::<u8>(),
        ) {
            let mut bytes = Vec::new();
            for (tag, kind, content) in fields {
                bytes.push((tag % 13) << 3 | [0, 2, 2, 2, 5][usize::from(kind % 5)]);
                bytes.push(content.len() as u8);
                bytes.extend(content);
                // What came before, as the content of the next.
                if kind % 3 == 0 && bytes.len() < 120 {
                    let inner = std::mem::take(&mut bytes);
                    bytes.extend([(tag % 13) << 3 | 2, inner.len() as u8]);
                    bytes.extend(inner);
                }
            }
            read(&bytes);
            let mut known = unhex(GO_SERVICE_USER);
            let at = at.index(known.len());
            known[at] = with;
            read(&known);
            known.splice(at..at, bytes);
            read(&known);
        }
    }

    /// Everything that is ever made of a resource.
    fn read(bytes: &[u8]) {
        if let Ok(resource) = Resource::decode(bytes) {
            let user = user_of("00u1".into(), resource.clone());
            let group = group_of("00g1".into(), resource);
            user_resource(&user);
            group_entitlement(&group, group_resource(&group));
        }
    }
}
