//! Tests columns and filters without a snapshot.

use std::collections::BTreeSet;

use clap::ValueEnum as _;
use serde_json::Value;

use super::Table;
use super::columns::{self, ColumnSource, DefaultColumns, named};
use super::filter::Filter;
use crate::snapshot::{GroupRow, ProfileText, UserRow};

fn user() -> UserRow {
    UserRow {
        status: Some("ACTIVE".to_owned()),
        login: Some("Ada@Example.com".to_owned()),
        second_email: Some("ada@private.example".to_owned()),
        first_name: Some("Ada".to_owned()),
        last_name: Some("Lovelace".to_owned()),
        profile: ProfileText::from_json(r#"{"department":"R&D","level":7}"#),
        ..UserRow::empty("00uada")
    }
}

fn group() -> GroupRow {
    GroupRow {
        name: Some("VPN users".to_owned()),
        description: Some("Remote access".to_owned()),
        kind: Some("OKTA_GROUP".to_owned()),
        ..GroupRow::empty("00gvpn")
    }
}

fn value_of(name: &str) -> Value {
    let ColumnSource::User(field) = named(Table::Users, name).unwrap().source else {
        panic!("{name}")
    };
    let mut values = columns::values(&user(), || user().display_name(), &[field]);
    values.remove(0)
}

#[test]
fn every_column_of_the_file_and_every_attribute_can_be_chosen() {
    for (name, value) in [
        ("id", "00uada".into()),
        ("name", "Ada Lovelace".into()),
        ("email", Value::Null),
        ("profile.department", "R&D".into()),
        ("profile.level", 7.into()),
        ("profile.missing", Value::Null),
        (
            "profile",
            serde_json::json!({"department": "R&D", "level": 7}),
        ),
    ] {
        assert_eq!(value_of(name), value, "{name}");
    }
}

#[test]
fn every_name_that_a_message_lists_is_a_column() {
    for table in Table::value_variants().iter().copied() {
        for name in columns::names(table) {
            assert_eq!(named(table, &name).unwrap().name, name);
        }
        for wanted in [DefaultColumns::Few, DefaultColumns::All] {
            let columns = columns::default_columns(table, wanted);
            assert!(columns.len() >= 4);
        }
    }
    // There is one column more than in the file, because the name is computed.
    let all = columns::default_columns(Table::Users, DefaultColumns::All);
    assert_eq!(all.len() + 1, columns::names(Table::Users).len());
}

#[test]
fn attributes_that_are_not_json_stay_a_text() {
    let damaged = UserRow {
        profile: ProfileText::from_json("{\"a\":\"\\ud800\"}"),
        ..user()
    };
    let field = |name| match named(Table::Users, name).unwrap().source {
        ColumnSource::User(field) => field,
        _ => panic!("{name}"),
    };
    let fields = [field("profile"), field("profile.a")];
    assert_eq!(
        columns::values(&damaged, String::new, &fields),
        ["{\"a\":\"\\ud800\"}".into(), Value::Null]
    );
}

fn words(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn a_text_is_searched_in_ids_names_and_addresses_ignoring_case() {
    for (text, keeps_user, keeps_group) in [
        ("ADA@example", true, false),
        ("private.example", true, false),
        ("lovelace", true, false),
        ("00u", true, false),
        ("vpn", false, true),
        ("remote", false, true),
        ("R&D", false, false),
        ("ACTIVE", false, false),
    ] {
        let filter = Filter::default().like(Some(text));
        assert_eq!(filter.keeps_user(&user()), keeps_user, "{text}");
        assert_eq!(filter.keeps_group(&group()), keeps_group, "{text}");
    }
    assert!(Filter::default().keeps_user(&user()));
}

#[test]
fn every_condition_must_hold() {
    let filter = |statuses: &[&str], users: Option<&[&str]>| Filter {
        statuses: words(statuses),
        users: users.map(|ids| ids.iter().map(|id| (*id).into()).collect()),
        ..Filter::default()
    };
    for (filter, keeps) in [
        (filter(&["ACTIVE", "STAGED"], None), true),
        (filter(&["STAGED"], None), false),
        (filter(&[], Some(&["00uada"])), true),
        (filter(&[], Some(&[])), false),
        (filter(&["ACTIVE"], Some(&["00uada"])), true),
        (filter(&["STAGED"], Some(&["00uada"])), false),
    ] {
        assert_eq!(filter.keeps_user(&user()), keeps, "{filter:?}");
    }
    let without_status = UserRow::empty("00u");
    assert!(!filter(&["ACTIVE"], None).keeps_user(&without_status));
    let types = Filter {
        types: words(&["APP_GROUP"]),
        ..Filter::default()
    };
    assert!(!types.keeps_group(&group()));
}
