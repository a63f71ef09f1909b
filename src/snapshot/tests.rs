//! Tests of complete snapshots: those that are written and read again, those of other programs and versions, and damaged
//! ones.

mod broken;
mod foreign;
mod written;

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};
use rusqlite::Connection;
use serde_json::from_str;
use tempfile::TempDir;

use super::columns::TableRow as _;
use super::*;
use crate::filter::MatchedBy;
use crate::model::{Group, GroupId, User, UserId};

type Lines = Vec<String>;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn user(id: &str, status: Option<&str>, profile: &str) -> User {
    User {
        status: status.map(str::to_owned),
        created: Some(at("2020-01-02T03:04:05Z")),
        status_changed: Some(at("2020-01-02T03:04:05.123456Z")),
        last_login: Some(at("2025-01-09T08:11:02.5Z")),
        profile: from_str(profile).unwrap(),
        ..User::new(id.into())
    }
}

/// A group to write.
type Written = (Group, GroupMembers);

fn group(id: &str, name: &str, kind: &str, source: MembershipSource) -> Written {
    let profile = from_str(&format!(
        r#"{{"name": {name:?}, "description": null, "cost": 1.50}}"#
    ));
    let group = Group {
        id: id.into(),
        kind: Some(kind.to_owned()),
        source_id: (kind == "APP_GROUP").then(|| "0oa1".to_owned()),
        created: Some(at("2020-01-02T03:04:05Z")),
        last_updated: None,
        last_membership_updated: Some(at("2021-01-02T03:04:05Z")),
        members_reported: Some(5),
        has_admin_privilege: None,
        profile: profile.unwrap(),
    };
    let members = GroupMembers {
        source,
        listed: (source == MembershipSource::Listed).then_some(4),
        stored: Some(2),
    };
    (group, members)
}

fn users() -> Vec<User> {
    vec![
        user(
            "00u1",
            Some("ACTIVE"),
            r#"{"login": "mira@example.com", "email": "Mira@Example.com", "displayName": "Mira ÅÄÖ 日本",
                "none": null, "big": 12345678901234567890, "price": 1.50, "huge": 1e400,
                "nested": {"b": [1, {"a": null}], "a": "😀"}}"#,
        ),
        user(
            "00u2",
            Some("STAGED"),
            r#"{"login": "otto", "email": "otto@example.com", "firstName": "Otto"}"#,
        ),
        user("00u3", None, "{}"),
        user("00uA", Some("ACTIVE"), r#"{"login": "a@example.com"}"#),
    ]
}

fn groups() -> Vec<Written> {
    vec![
        group("00g1", "VPN", "OKTA_GROUP", MembershipSource::Listed),
        group("00g2", "vpn", "APP_GROUP", MembershipSource::Listed),
        group("00g3", "Secret", "OKTA_GROUP", MembershipSource::Forbidden),
        group("00g4", "Everyone", "BUILT_IN", MembershipSource::Implied),
    ]
}

const MEMBERSHIPS: [(&str, &str); 5] = [
    ("00g1", "00u1"),
    ("00g1", "00u3"),
    ("00g2", "00u1"),
    ("00g4", "00u1"),
    ("00g4", "00u2"),
];

/// The hash of these users, groups and memberships.
const CONTENT: &str = "1cd455fe20e5c5dffa26bb4dccc9c3ab4c354a3272576342b5b2bd2587bc0627";

fn run() -> RunHeader {
    let started_at = at("2026-11-23T15:04:10.25Z");
    RunHeader {
        sync_id: sync_id("https://acme.okta.com", "example.com", started_at),
        started_at,
    }
}

fn metadata(run: &RunHeader) -> RunMetadata {
    RunMetadata {
        sync_id: run.sync_id.clone(),
        origin: "https://acme.okta.com".to_owned(),
        email_domains: "example.com".to_owned(),
        started_at: run.started_at,
        ended_at: at("2026-11-23T15:04:12Z"),
        users_kept: 4,
        groups_kept: 4,
        memberships_kept: 5,
        waited_seconds: 0.5,
        tool_version: "0.1.0".to_owned(),
        tool_commit: None,
        content_sha256: Some(CONTENT.to_owned()),
        ..RunMetadata::default()
    }
}

fn warning() -> Warning {
    Warning {
        code: "forbidden".to_owned(),
        kind: "group".to_owned(),
        object_id: Some("00g3".to_owned()),
        message: "the members of Secret could not be read".to_owned(),
    }
}

/// Writes a database.
fn database(path: &Path, users: &[User], groups: &[Written], memberships: &[(&str, &str)]) {
    let run = run();
    let mut writer = Writer::create(path, &run).unwrap();
    for user in users {
        writer.user(user, MatchedBy::Email).unwrap();
    }
    for (group, members) in groups {
        writer.group(group, members).unwrap();
    }
    for some in memberships.chunk_by(|one, other| one.0 == other.0) {
        let users: Vec<UserId> = some.iter().map(|(_, user)| UserId::from(*user)).collect();
        let group = GroupId::from(some[0].0);
        writer.memberships(&group, &users).unwrap();
    }
    writer.finish(&metadata(&run), &[], &[warning()]).unwrap();
}

/// Returns a folder with the usual snapshot in it, as `a.db` and as `a.c1z`.
fn written() -> (TempDir, PathBuf, PathBuf) {
    let folder = TempDir::new().unwrap();
    let (db, c1z) = (folder.path().join("a.db"), folder.path().join("a.c1z"));
    database(&db, &users(), &groups(), &MEMBERSHIPS);
    c1z::pack(&db, &mut File::create_new(&c1z).unwrap()).unwrap();
    (folder, db, c1z)
}

fn memberships(reader: &Reader) -> Result<Lines, Error> {
    let mut query = reader.memberships()?;
    let line = |row: Result<MembershipRow, Error>| {
        row.map(
            |MembershipRow {
                 group_id, user_id, ..
             }| format!("{group_id} {user_id}"),
        )
    };
    query.rows()?.map(line).collect()
}

/// Everything that a reader returns.
type All = (Counts, Vec<Warning>, Vec<UserRow>, Vec<GroupRow>, Lines);

fn everything(path: &Path) -> Result<All, Error> {
    let reader = Reader::open(path)?;
    let users: Vec<UserRow> = reader.users()?.rows()?.collect::<Result<_, _>>()?;
    let groups: Vec<GroupRow> = reader.groups()?.rows()?.collect::<Result<_, _>>()?;
    for user in &users {
        reader.groups_of(&user.id)?;
    }
    for group in &groups {
        reader.members_of(&group.id)?;
    }
    reader.find_users("mira@example.com")?;
    reader.find_groups("VPN")?;
    Ok((
        reader.counts()?,
        reader.warnings()?,
        users,
        groups,
        memberships(&reader)?,
    ))
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn ids(users: &[UserRow]) -> Vec<&str> {
    users.iter().map(|user| user.id.as_str()).collect()
}

fn group_ids(groups: &[GroupRow]) -> Vec<&str> {
    groups.iter().map(|group| group.id.as_str()).collect()
}

fn map(pairs: &[(&str, u64)]) -> BTreeMap<String, u64> {
    let own = |(key, value): &(&str, u64)| ((*key).to_owned(), *value);
    pairs.iter().map(own).collect()
}

/// Writes a database, changes it with SQL, and reads it.
fn changed(sql: &str) -> Result<All, Error> {
    let (_folder, db, _) = written();
    Connection::open(&db).unwrap().execute_batch(sql).unwrap();
    everything(&db)
}

#[test]
fn a_run_id_is_a_ksuid_of_its_start_and_of_nothing_but_what_is_given() {
    let started = at("2026-11-23T15:04:10.5Z");
    let id = sync_id("https://a.example", "example.com", started);
    assert_eq!(id.len(), 27);
    assert!(id.starts_with("3MVqn"), "{id}");
    assert_eq!(id, sync_id("https://a.example", "example.com", started));
    assert_ne!(id, sync_id("https://a.examplee", "xample.com", started));
    assert_ne!(
        id,
        sync_id(
            "https://a.example",
            "example.com",
            at("2026-11-23T15:04:10.6Z")
        )
    );
    assert_eq!(sync_id("", "", Timestamp::MIN).len(), 27);
    assert_eq!(sync_id("", "", Timestamp::MAX).len(), 27);
}

#[test]
fn the_text_of_a_run_id_is_that_of_go() {
    let payload = 0x43ac_5421_b046_ec37_91ec_1643_4a55_707d_u128.to_be_bytes();
    let seconds = at("2026-11-23T15:04:10Z").as_second() - KSUID_EPOCH;
    assert_eq!(seconds, 0x1792_07ea);
    let id = Ksuid::new_raw(seconds as u32, Some(&payload));
    assert_eq!(id.to_string(), "3MVqncsGIPHWyD3KYo5Iy5PCwfN");
}
