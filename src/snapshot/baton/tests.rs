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

    /// Uses the numbers of existing fields, often with a message as the content.
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
            // Nest all fields so far in a new one.
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

/// Converts a resource in every way that the program does.
fn read(bytes: &[u8]) {
    if let Ok(resource) = Resource::decode(bytes) {
        let user = user_of("00u1".into(), resource.clone());
        let group = group_of("00g1".into(), resource);
        user_resource(&user);
        group_entitlement(&group, group_resource(&group));
    }
}
