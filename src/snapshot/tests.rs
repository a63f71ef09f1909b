//! Snapshots as wholes: written and read again, made by others, and broken.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};
use rusqlite::Connection;
use serde_json::from_str;
use tempfile::TempDir;

use super::columns::Table as _;
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

fn group(id: &str, name: &str, kind: &str, learned: Learned) -> Written {
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
        learned,
        seen: (learned == Learned::Listed).then_some(4),
        kept: Some(2),
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
        group("00g1", "VPN", "OKTA_GROUP", Learned::Listed),
        group("00g2", "vpn", "APP_GROUP", Learned::Listed),
        group("00g3", "Secret", "OKTA_GROUP", Learned::Forbidden),
        group("00g4", "Everyone", "BUILT_IN", Learned::Implied),
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

fn run() -> Run {
    let started_at = at("2026-11-23T15:04:10.25Z");
    Run {
        sync_id: sync_id("https://acme.okta.com", "example.com", started_at),
        started_at,
    }
}

fn metadata(run: &Run) -> RunMetadata {
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

/// All that a reader returns.
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

#[test]
fn what_is_written_is_read_again_from_either_kind_of_file() {
    let (_folder, db, c1z) = written();
    for (path, container) in [(&db, FileFormat::Sqlite), (&c1z, FileFormat::C1z)] {
        let reader = Reader::open(path).unwrap();
        let about = reader.info();
        assert_eq!(about.format, container);
        assert_eq!(about.sync_id, run().sync_id);
        assert_eq!(about.started_at, run().started_at);
        assert_eq!(about.ended_at, at("2026-11-23T15:04:12Z"));
        assert_eq!(about.runs, 1);
        assert!(about.is_ours());
        assert_eq!(about.metadata.as_ref(), Some(&metadata(&run())));

        let (counts, warnings, read_users, read_groups, memberships) = everything(path).unwrap();
        assert_eq!((counts.users, counts.groups, counts.memberships), (4, 4, 5));
        assert_eq!((counts.dangling, counts.entitlements), (0, 3));
        assert_eq!(
            counts.users_by_status,
            map(&[("ACTIVE", 2), ("STAGED", 1), ("unknown", 1)])
        );
        let types = map(&[("APP_GROUP", 1), ("BUILT_IN", 1), ("OKTA_GROUP", 2)]);
        assert_eq!(counts.groups_by_type, types);
        assert!(counts.others.is_empty());
        assert_eq!(warnings, [warning()]);
        for (read, user) in read_users.iter().zip(users()) {
            let matched_by = Some("email".to_owned());
            let expected = UserRow {
                matched_by,
                ..UserRow::of(&user).unwrap()
            };
            assert_eq!(*read, expected);
            assert_eq!(read.profile.parse().unwrap(), user.profile);
        }
        assert_eq!(read_users.len(), 4);
        for (read, (group, members)) in read_groups.iter().zip(groups()) {
            let is_readable = members.learned != Learned::Forbidden;
            let expected = GroupRow {
                learned: Some(members.learned.as_str().to_owned()),
                members_seen: members.seen,
                members_kept: members.kept.filter(|_| is_readable),
                ..GroupRow::of(&group).unwrap()
            };
            assert_eq!(*read, expected);
            assert_eq!(read.profile.parse().unwrap(), group.profile);
        }
        assert_eq!(read_groups.len(), 4);
        let expected = MEMBERSHIPS.map(|(group, user)| format!("{group} {user}"));
        assert_eq!(memberships, expected);
    }
}

#[test]
fn numbers_of_a_profile_are_kept_as_okta_wrote_them() {
    let (_folder, db, _) = written();
    let text: String = Connection::open(db)
        .unwrap()
        .query_row("select profile from users where id = '00u1'", [], |row| {
            row.get(0)
        })
        .unwrap();
    for part in [
        "\"big\":12345678901234567890",
        "\"price\":1.50",
        "\"none\":null",
        "\"huge\":1e",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let keys = ["\"big\"", "\"displayName\"", "\"email\"", "\"nested\""];
    let places = keys.map(|key| text.find(key).unwrap());
    assert!(places.is_sorted());
}

#[test]
fn the_plain_tables_have_the_columns_that_are_promised() {
    let (_folder, path, _) = written();
    let db = Connection::open(&path).unwrap();
    let columns = |table: &str| -> String {
        let mut statement = db
            .prepare("select name from pragma_table_info(?1)")
            .unwrap();
        let names = statement.query_map([table], |row| row.get(0)).unwrap();
        names.collect::<Result<Lines, _>>().unwrap().join(", ")
    };
    assert_eq!(
        columns("users"),
        "id, status, login, email, second_email, first_name, last_name, display_name, created, activated, \
         status_changed, last_login, last_updated, password_changed, matched_by, profile"
    );
    assert_eq!(
        columns("groups"),
        "id, name, description, type, source_id, created, last_updated, last_membership_updated, \
         members_reported, members_seen, members_kept, learned, profile"
    );
    assert_eq!(columns("memberships"), "user_id, group_id, learned");
    assert_eq!(columns("warnings"), "code, kind, object_id, message");
    for (table, described) in TABLES {
        let names: Vec<&str> = described.iter().map(|column| column.name).collect();
        assert_eq!(columns(table), names.join(", "), "{table}");
        let sql = "select type || iif(\"notnull\", ' not null', '') || iif(pk, ' primary key', '')
            from pragma_table_info(?1)";
        let mut statement = db.prepare(sql).unwrap();
        let types = statement.query_map([table], |row| row.get::<_, String>(0));
        for (column, there) in described.iter().zip(types.unwrap()) {
            // A view has neither types nor constraints.
            if table != MembershipRow::NAME {
                let there = format!("{} {}", column.name, there.unwrap().to_lowercase());
                assert_eq!(there, column.to_string(), "{table}");
            }
        }
    }
    let row: (String, String, String) = db
        .query_row(
            "select * from memberships where user_id = '00u2'",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .unwrap();
    assert_eq!(
        row,
        ("00u2".to_owned(), "00g4".to_owned(), "implied".to_owned())
    );
    let times: (String, String) = db
        .query_row(
            "select status_changed, last_login from users limit 1",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert_eq!(times.0, "2020-01-02T03:04:05.123456Z");
    assert_eq!(times.1, "2025-01-09T08:11:02.500Z");
}

#[test]
fn the_run_is_finished_and_says_so_in_utc() {
    let (_folder, path, _) = written();
    let db = Connection::open(&path).unwrap();
    let run: Lines = db
        .query_row(
            "select started_at, ended_at, sync_token, sync_type, parent_sync_id, linked_sync_id, supports_diff || '',
                (select max(discovered_at) from v1_grants) from v1_sync_runs",
            [],
            |row| (0..8).map(|i| row.get(i)).collect(),
        )
        .unwrap();
    let started = "2026-11-23 15:04:10.25";
    assert_eq!(
        run,
        [
            started,
            "2026-11-23 15:04:12",
            "{}",
            "full",
            "",
            "",
            "1",
            started
        ]
    );
    let check: String = db
        .query_row("pragma integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
}

#[test]
fn equal_calls_make_equal_bytes() {
    let (_one, db, c1z) = written();
    let (_two, again, c1z_again) = written();
    assert_eq!(fs::read(db).unwrap(), fs::read(again).unwrap());
    assert_eq!(fs::read(c1z).unwrap(), fs::read(c1z_again).unwrap());
}

/// A change of these bytes is a change of the format: files that were equal are not any more.
#[test]
fn the_bytes_of_a_snapshot_are_those_of_the_versions_before() {
    let (_folder, db, _) = written();
    let mut bytes = fs::read(db).unwrap();
    // The version of SQLite that wrote it.
    bytes[96..100].fill(0);
    let hash = Sha256::digest(&bytes);
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        hash,
        "b885e2b8ab1408e67d94c7c812cba93a37245be636babebacce8b2c5e2702e10"
    );
}

#[test]
fn nobody_else_can_read_what_is_being_written_and_nothing_is_overwritten() {
    let (_folder, db, _) = written();
    assert_eq!(
        fs::metadata(&db).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(matches!(Writer::create(&db, &run()), Err(Error::Io { .. })));
}

#[test]
fn rows_out_of_order_and_rows_given_twice_are_refused() {
    let folder = TempDir::new().unwrap();
    let mut writer = Writer::create(&folder.path().join("a.db"), &run()).unwrap();
    let [first, second, ..] = users().try_into().map(|all: [User; 4]| all).unwrap();
    writer.user(&second, MatchedBy::Login).unwrap();
    for late in [&first, &second] {
        let error = writer.user(late, MatchedBy::Login).unwrap_err();
        assert!(matches!(error, Error::OutOfOrder { .. }), "{error}");
    }
    let rows = groups();
    writer.group(&rows[1].0, &rows[1].1).unwrap();
    assert!(writer.group(&rows[0].0, &rows[0].1).is_err());
    let mut members = |group: &str, users: &[&str]| {
        let users: Vec<UserId> = users.iter().map(|user| UserId::from(*user)).collect();
        writer.memberships(&GroupId::from(group), &users)
    };
    members("00g2", &["00u1", "00u2"]).unwrap();
    members("00g0", &[]).unwrap();
    for (group, users) in [
        ("00g2", &["00u3"][..]),
        ("00g1", &["00u3"]),
        ("00g3", &["00u2", "00u2"]),
        ("00g4", &["00u2", "00u1"]),
    ] {
        assert!(members(group, users).is_err(), "{group}");
    }
    let other = RunMetadata::default();
    assert!(matches!(
        writer.finish(&other, &[], &[]),
        Err(Error::OutOfOrder { .. })
    ));
}

#[test]
fn a_snapshot_of_nothing_is_a_snapshot() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("empty.db");
    database(&path, &[], &[], &[]);
    let (counts, _, users, groups, memberships) = everything(&path).unwrap();
    assert_eq!(counts, Counts::default());
    assert!(users.is_empty() && groups.is_empty() && memberships.is_empty());
}

#[test]
fn users_are_found_by_id_and_by_whole_login_or_email_without_case() {
    let (_folder, db, _) = written();
    // A user whose login is another's id but for its case.
    Connection::open(&db)
        .unwrap()
        .execute_batch("update users set login = '00UA' where id = '00u2'")
        .unwrap();
    let reader = Reader::open(&db).unwrap();
    let table: [(&str, &[&str]); 8] = [
        ("00u1", &["00u1"]),
        ("00U1", &["00u1"]),
        ("MIRA@example.com", &["00u1"]),
        ("mira@example.co", &[]),
        ("otto@example.com", &["00u2"]),
        ("00uA", &["00u2", "00uA"]),
        ("00ua", &["00u2", "00uA"]),
        ("", &[]),
    ];
    for (text, expected) in table {
        assert_eq!(ids(&reader.find_users(text).unwrap()), expected, "{text}");
    }
}

#[test]
fn groups_are_found_by_id_exact_name_or_entitlement_and_by_case_only_if_need_be() {
    let (_folder, db, _) = written();
    let reader = Reader::open(&db).unwrap();
    let table: [(&str, &[&str]); 8] = [
        ("00g3", &["00g3"]),
        ("group:00g3:member", &["00g3"]),
        ("VPN", &["00g1"]),
        ("vpn", &["00g2"]),
        ("Vpn", &["00g1", "00g2"]),
        ("SECRET", &["00g3"]),
        ("group:Secret:member", &[]),
        ("00G3", &[]),
    ];
    for (text, expected) in table {
        assert_eq!(
            group_ids(&reader.find_groups(text).unwrap()),
            expected,
            "{text}"
        );
    }
}

#[test]
fn both_sides_of_a_membership_are_listed_sorted_by_name() {
    let (_folder, db, _) = written();
    let reader = Reader::open(&db).unwrap();
    let of = |user: &str| reader.groups_of(&user.into()).unwrap();
    assert_eq!(group_ids(&of("00u1")), ["00g4", "00g1", "00g2"]);
    assert_eq!(group_ids(&of("00uA")), [""; 0]);
    assert_eq!(group_ids(&of("nobody")), [""; 0]);
    let members = |group: &str| reader.members_of(&group.into()).unwrap();
    assert_eq!(
        ids(&members("00g1")),
        ["00u3", "00u1"],
        "no login sorts first"
    );
    assert_eq!(ids(&members("00g4")), ["00u1", "00u2"]);
    assert_eq!(ids(&members("00g3")), [""; 0]);
}

#[test]
fn files_of_the_go_connector_show_their_users_groups_and_memberships() {
    let path = fixture("go-connector.c1z");
    let (counts, warnings, users, groups, memberships) = everything(&path).unwrap();
    assert_eq!(
        (
            counts.users,
            counts.groups,
            counts.memberships,
            counts.dangling
        ),
        (7, 4, 10, 0)
    );
    assert_eq!(counts.entitlements, 16);
    assert_eq!(counts.others, map(&[("custom-role", 2), ("role", 10)]));
    assert_eq!(counts.users_by_status["SUSPENDED"], 1);
    assert_eq!(counts.groups_by_type, map(&[("unknown", 4)]));
    assert!(warnings.is_empty());
    let names: Lines = users.iter().map(UserRow::display_name).collect();
    assert_eq!(names[0], "Ada Lovelace");
    assert_eq!(names[1], "Zoë Müller-Łukasz");
    assert_eq!(names[4], "Svc Backup 🤖");
    assert_eq!(names[6], "rec@example.com");
    assert_eq!(
        users[3].profile.parse().unwrap()["loginCount"].to_string(),
        "12345678901"
    );
    assert_eq!(
        users[3].profile.parse().unwrap()["nested"].to_string(),
        r#"{"a":1,"b":[true,null,1.5]}"#
    );
    assert_eq!(
        users[0].second_email.as_deref(),
        Some("ada.home@personal.test")
    );
    let names: Vec<&str> = groups.iter().map(GroupRow::display_name).collect();
    assert_eq!(
        names,
        [
            "Everyone",
            "Engineering",
            "Équipe Ünïcode 日本",
            "empty: group"
        ]
    );
    assert!(memberships.is_sorted());
    let about = Reader::open(&path).unwrap().info().clone();
    assert_eq!(about.sync_id, "3MVqncsGIPHWyD3KYo5Iy5PCwfN");
    assert!(!about.is_ours());
    assert_eq!(about.started_at, at("2026-11-23T15:04:10.954857211Z"));
}

#[test]
fn the_newest_run_of_a_file_is_read() {
    let path = fixture("go-connector-2syncs.c1z");
    let (counts, _, users, groups, memberships) = everything(&path).unwrap();
    assert_eq!(Reader::open(&path).unwrap().info().runs, 2);
    assert_eq!((counts.users, counts.groups, counts.memberships), (7, 4, 9));
    assert!(ids(&users).contains(&"00u1aaaaaaaaaaaaaaa9"));
    assert!(!ids(&users).contains(&"00u1aaaaaaaaaaaaaaa7"));
    assert_ne!(groups[1].display_name(), "Engineering");
    assert!(!memberships.contains(&"00g1bbbbbbbbbbbbbbb3 00u1aaaaaaaaaaaaaaa2".to_owned()));
}

#[test]
fn a_grant_of_something_that_is_not_there_breaks_nothing() {
    let (counts, ..) = everything(&fixture("go-connector-customrole.c1z")).unwrap();
    assert_eq!(
        (
            counts.users,
            counts.groups,
            counts.memberships,
            counts.dangling
        ),
        (7, 4, 10, 0)
    );
}

#[test]
fn files_made_by_hand_of_either_level_are_read() {
    for name in ["crafted-minimal-2syncs.c1z", "crafted-levelB-2syncs.c1z"] {
        let (counts, _, users, groups, memberships) = everything(&fixture(name)).unwrap();
        assert_eq!(counts.users as usize, users.len(), "{name}");
        assert_eq!(counts.groups as usize, groups.len(), "{name}");
        assert_eq!(counts.memberships as usize, memberships.len(), "{name}");
        assert_eq!(
            (users.len(), groups.len(), memberships.len()),
            (2, 2, 3),
            "{name}"
        );
        assert_eq!(Reader::open(&fixture(name)).unwrap().info().runs, 2);
    }
}

#[test]
fn a_file_without_a_finished_run_says_when_the_unfinished_one_was_started() {
    let error = Reader::open(&fixture("go-connector-unfinished.c1z"))
        .err()
        .unwrap();
    assert!(matches!(error, Error::NoFinishedRun { .. }));
    let text = error.to_string();
    assert!(
        text.contains("started 2026-11-23 15:07:05.011902944"),
        "{text}"
    );
    let folder = TempDir::new().unwrap();
    for content in [&b""[..], c1z::MAGIC] {
        let path = folder.path().join("nothing.c1z");
        fs::write(&path, content).unwrap();
        let error = Reader::open(&path).err().unwrap();
        assert!(matches!(
            error,
            Error::NoFinishedRun {
                newest_unfinished: None,
                ..
            }
        ));
    }
}

/// Changes a written database with SQL, then reads it.
fn changed(sql: &str) -> Result<All, Error> {
    let (_folder, db, _) = written();
    Connection::open(&db).unwrap().execute_batch(sql).unwrap();
    everything(&db)
}

#[test]
fn a_run_that_another_program_appended_is_read_from_its_own_rows() {
    let expected = users();
    let (counts, warnings, users, groups, memberships) = changed(
        "insert into v1_sync_runs (sync_id, started_at, ended_at, sync_token, supports_diff)
            values ('new', '2026-12-01 00:00:00', '2026-12-01 00:00:01', '{}', 1);
        insert into v1_resources (resource_type_id, external_id, data, sync_id, discovered_at)
            select resource_type_id, external_id, data, 'new', discovered_at from v1_resources
            where external_id in ('user:00u2', 'group:00g2');
        insert into v1_grants (resource_type_id, resource_id, entitlement_id, principal_resource_type_id,
            principal_resource_id, external_id, data, sync_id, discovered_at)
            values ('group', '00g2', 'x', 'user', '00u2', '1', '', 'new', ''),
                ('group', '00g2', 'y', 'user', '00u2', '2', '', 'new', ''),
                ('group', '00g2', 'x', 'group', '00u2', '3', '', 'new', ''),
                ('group', '00g9', 'x', 'user', '00u2', '4', '', 'new', ''),
                ('role', '00g2', 'x', 'user', '00u2', '5', '', 'new', '');",
    )
    .unwrap();
    assert_eq!(
        (
            counts.users,
            counts.groups,
            counts.memberships,
            counts.dangling
        ),
        (1, 1, 1, 1)
    );
    assert_eq!(memberships, ["00g2 00u2"]);
    assert!(warnings.is_empty());
    let user = &users[0];
    assert_eq!(user.status.as_deref(), Some("STAGED"));
    assert_eq!(user.profile.parse().unwrap(), expected[1].profile);
    assert_eq!(groups[0].kind.as_deref(), Some("APP_GROUP"));
    assert_eq!(groups[0].source_id.as_deref(), Some("0oa1"));
    assert_eq!(groups[0].learned, None);
}

#[test]
fn a_file_with_other_rows_than_its_run_recorded_is_damaged() {
    for (sql, part) in [
        (
            "delete from v1_grants where rowid % 2 = 0",
            "recorded 5 memberships, and it holds 3",
        ),
        (
            "drop view memberships; drop table v1_grants",
            "recorded 5 memberships, and it holds 0",
        ),
        (
            "delete from users where id = '00u2'",
            "recorded 4 users, and it holds 3",
        ),
        (
            "delete from v1_resources where external_id = 'user:00u2'",
            "recorded 4 users, and it holds 3",
        ),
        (
            "delete from groups where id = '00g2'",
            "recorded 4 groups, and it holds 3",
        ),
        (
            "delete from v1_resources where external_id = 'group:00g2'",
            "recorded 4 groups, and it holds 3",
        ),
        (
            "update snapshot set users_kept = 5",
            "recorded 5 users, and it holds 4",
        ),
    ] {
        let error = changed(sql).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{sql}: {error}");
        assert!(error.to_string().contains(part), "{sql}: {error}");
    }
}

#[test]
fn a_file_of_an_earlier_version_without_the_newer_facts_and_tables_is_read() {
    let (counts, ..) =
        changed("drop table domains; alter table snapshot drop column deprovisioned_in_everyone")
            .unwrap();
    assert_eq!((counts.users, counts.memberships), (4, 5));
    let error = changed("alter table snapshot drop column complete").unwrap_err();
    assert!(error.to_string().contains("snapshot.complete"), "{error}");
    let (_, _, users, groups, _) = changed(
        "update snapshot set schema_version = 0; alter table users drop column matched_by;
        alter table groups drop column members_seen",
    )
    .unwrap();
    assert!(users.iter().all(|user| user.matched_by.is_none()));
    assert!(users[0].login.is_some());
    assert!(groups.iter().all(|group| group.members_seen.is_none()));
}

/// The demo's org, written by the last version of the tables 1: without who took the snapshot, and without a hash.
#[test]
fn a_file_that_the_version_before_wrote_is_read_and_hashed() {
    let reader = Reader::open(&fixture("okta-ciam-schema-1.c1z")).unwrap();
    let metadata = reader.info().metadata.clone().unwrap();
    assert_eq!(metadata.schema_version, 1);
    assert_eq!(metadata.started_at, at("2026-01-31T12:00:00Z"));
    assert_eq!((metadata.read_as_id, metadata.host), (None, None));
    assert_eq!((metadata.run_id, metadata.tool_commit), (None, None));
    assert_eq!(metadata.arguments, None);
    assert_eq!(metadata.content_sha256, None);
    let counts = reader.counts().unwrap();
    assert_eq!(
        (counts.users, counts.groups, counts.memberships),
        (49, 12, 155)
    );
    assert_eq!(reader.content_sha256().unwrap().len(), 64);
}

#[test]
fn a_file_of_the_go_connector_has_a_hash_that_depends_on_its_rows() {
    let of = |name: &str| Reader::open(&fixture(name)).unwrap().content_sha256();
    let one = of("go-connector.c1z").unwrap();
    assert_eq!(of("go-connector.c1z").unwrap(), one);
    assert_ne!(of("go-connector-2syncs.c1z").unwrap(), one);
}

#[test]
fn a_snapshot_of_much_repetition_is_read_again() {
    let folder = TempDir::new().unwrap();
    let (db, c1z) = (folder.path().join("a.db"), folder.path().join("a.c1z"));
    let text = "the same again and again, ".repeat(40_000);
    let users: Vec<User> = (0..100)
        .map(|number| {
            let mut user = users().swap_remove(0);
            user.id = format!("00u{number:05}").as_str().into();
            user.profile
                .insert("description".to_owned(), text.clone().into());
            user
        })
        .collect();
    database(&db, &users, &groups(), &[]);
    let packed = c1z::pack(&db, &mut File::create_new(&c1z).unwrap()).unwrap();
    let unpacked = fs::metadata(&db).unwrap().len();
    assert!(
        unpacked > 100 << 20 && packed.bytes < unpacked / 100,
        "{packed:?}"
    );
    assert_eq!(Reader::open(&c1z).unwrap().counts().unwrap().users, 100);
}

#[test]
fn what_no_reader_would_take_is_not_written() {
    let folder = TempDir::new().unwrap();
    let user = |edit: fn(&mut User)| {
        let mut user = users().swap_remove(0);
        edit(&mut user);
        user
    };
    let long = || "x".repeat(5_000);
    for (name, user) in [
        (
            "id",
            user(|user| user.id = "x".repeat(5_000).as_str().into()),
        ),
        (
            "login",
            user(|user| {
                drop(
                    user.profile
                        .insert("login".to_owned(), "x".repeat(5_000).into()),
                )
            }),
        ),
        ("status", user(|user| user.status = Some("x".repeat(5_000)))),
        (
            "values",
            user(|user| {
                let list: Vec<u8> = vec![0; 20_001];
                user.profile.insert("list".to_owned(), list.into());
            }),
        ),
    ] {
        let path = folder.path().join(name);
        let mut writer = Writer::create(&path, &run()).unwrap();
        assert!(writer.user(&user, MatchedBy::Email).is_err(), "{name}");
    }
    let mut writer = Writer::create(&folder.path().join("group"), &run()).unwrap();
    let (mut group, members) = group("00g1", "A group", "OKTA_GROUP", Learned::Listed);
    group.kind = Some(long());
    assert!(writer.group(&group, &members).is_err());
}

#[test]
fn missing_tables_and_columns_of_old_files_are_taken_as_empty() {
    let (counts, ..) = changed(
        "drop view memberships; drop table v1_grants; drop table v1_assets; update snapshot set memberships_kept = 0",
    )
    .unwrap();
    assert_eq!((counts.users, counts.memberships), (4, 0));
    let (counts, ..) = changed(
        "alter table v1_sync_runs drop column sync_type; alter table v1_sync_runs drop column supports_diff;
        drop index idx_grants_external_sync_v1; drop index idx_resources_parent_resource_id_v1",
    )
    .unwrap();
    assert_eq!((counts.users, counts.memberships), (4, 5));
}

#[test]
fn newer_tables_are_refused_with_both_versions() {
    let error = changed("update snapshot set schema_version = 7").unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }));
    let text = error.to_string();
    assert!(
        text.contains("version 7") && text.contains("version 2;"),
        "{text}"
    );
}

#[test]
fn content_that_cannot_be_is_called_damaged_and_named() {
    let table = [
        (
            "update users set created = 'yesterday' where id = '00u1'",
            "yesterday",
        ),
        (
            "update users set profile = '[]' where id = '00u1'",
            "profile of 00u1",
        ),
        ("update users set profile = x'00' where id = '00u1'", ""),
        ("update groups set members_seen = -1", "negative"),
        (
            "drop table snapshot; update v1_resources set data = x'ff'",
            "does not decode",
        ),
        (
            "drop table snapshot; update v1_resources set data = 7",
            "no data",
        ),
        ("update v1_sync_runs set ended_at = ''", "no time"),
        ("update v1_sync_runs set ended_at = 5", ""),
        ("update snapshot set complete = 'yes'", "snapshot.complete"),
        (
            "alter table users drop column matched_by",
            "no column matched_by",
        ),
        (
            "drop view memberships; drop table groups",
            "groups is missing",
        ),
        (
            "alter table v1_resources drop column data",
            "no column data",
        ),
        (
            "alter table v1_grants add column more text as (hex(zeroblob(1000000)))",
            "simply holds its rows",
        ),
        (
            "drop view memberships; alter table v1_grants rename to g; create view v1_grants as select * from g",
            "simply holds its rows",
        ),
        (
            "alter table users rename to people; create view Users as select * from people",
            "simply holds its rows",
        ),
    ];
    for (sql, part) in table {
        let error = changed(sql).err().unwrap_or_else(|| panic!("{sql}"));
        assert!(matches!(error, Error::Damaged { .. }), "{sql}: {error}");
        assert!(error.to_string().contains(part), "{sql}: {error}");
    }
}

#[test]
fn a_value_of_absurd_length_is_refused() {
    let error =
        changed("update users set login = hex(zeroblob(8000000)) where id = '00u3'").unwrap_err();
    assert!(matches!(error, Error::TooBig { .. }), "{error}");
}

#[test]
fn a_database_that_is_being_changed_is_refused_and_nothing_is_made_beside_one() {
    let (folder, db, c1z) = written();
    fs::remove_file(c1z).unwrap();
    let files = || fs::read_dir(folder.path()).unwrap().count();
    let writing = Connection::open(&db).unwrap();
    writing
        .execute_batch("pragma journal_mode = wal; update users set login = 'x'")
        .unwrap();
    let error = everything(&db).unwrap_err();
    assert!(matches!(error, Error::InUse { .. }), "{error}");
    assert!(error.to_string().contains("-wal"), "{error}");
    writing.close().unwrap();
    assert_eq!(fs::read(&db).unwrap()[18..20], [2, 2]);
    let (_, _, users, ..) = everything(&db).unwrap();
    assert_eq!(users.len(), 4);
    assert_eq!(files(), 1);
    let odd = folder.path().join("a b?c#d%20é.sqlite");
    fs::rename(&db, &odd).unwrap();
    everything(&odd).unwrap();
    assert_eq!(files(), 1);
}

#[test]
fn a_name_that_fits_very_many_is_no_name() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("many.db");
    let groups: Vec<Written> = (0..101)
        .map(|n| group(&format!("00g{n:03}"), "Same", "APP_GROUP", Learned::Listed))
        .collect();
    database(&path, &users(), &groups[..100], &[]);
    assert_eq!(
        Reader::open(&path)
            .unwrap()
            .find_groups("Same")
            .unwrap()
            .len(),
        100
    );
    let path = folder.path().join("more.db");
    database(&path, &users(), &groups, &[]);
    let reader = Reader::open(&path).unwrap();
    let text = reader.find_groups("same").unwrap_err().to_string();
    assert!(
        text.contains("101 groups") && text.contains("by its id"),
        "{text}"
    );
    assert_eq!(reader.find_groups("00g100").unwrap().len(), 1);
}

#[test]
fn the_shortest_rows_that_there_can_be_take_less_than_what_is_allowed() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("short.db");
    let db = Connection::open(&path).unwrap();
    db.execute_batch(
        "create table v1_sync_runs (sync_id, started_at, ended_at);
        insert into v1_sync_runs values (1, '2026-01-01', '2026-01-01 00:00:01');
        update v1_sync_runs set sync_id = '';
        create table v1_resources (resource_type_id, external_id, data, sync_id);
        with recursive n(a) as (values (1) union all select a + 1 from n where a < 100000)
            insert into v1_resources select 'user', 'user:' || a, x'', '' from n;
        insert into v1_resources values ('group', 'group:a', x'', '');
        create table v1_grants (resource_type_id, resource_id, principal_resource_type_id, principal_resource_id,
            sync_id);
        insert into v1_grants select 'group', 'a', 'user', substr(external_id, 6), '' from v1_resources;",
    )
    .unwrap();
    drop(db);
    let reader = Reader::open(&path).unwrap();
    let counts = reader.counts().unwrap();
    assert_eq!((counts.users, counts.memberships), (100_000, 100_000));
    assert_eq!(reader.members_of(&"a".into()).unwrap().len(), 100_000);
    assert_eq!(reader.groups_of(&"5".into()).unwrap().len(), 1);
}

/// A foreign file, or one of our own, with bytes changed at random places, the same in every run of the test.
#[test]
fn no_byte_that_is_changed_makes_the_reader_panic_or_run_on() {
    let (folder, db, _) = written();
    let mut databases = vec![fs::read(db).unwrap()];
    for entry in fs::read_dir(fixture("")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let bytes = fs::read(path).unwrap();
        if let Some(frames) = bytes.strip_prefix(c1z::MAGIC) {
            databases.push(zstd::decode_all(frames).unwrap());
        }
    }
    assert_eq!(databases.len(), 8);
    let mut random = fastrand::Rng::with_seed(7);
    let path = folder.path().join("changed.db");
    for database in databases {
        for round in 0..150 {
            let mut bytes = database.clone();
            for _ in 0..random.usize(1..8) {
                // Half of them where pages describe their content.
                let at = if random.bool() {
                    random.usize(..bytes.len())
                } else {
                    random.usize(..bytes.len() / 4096) * 4096 + random.usize(..128)
                };
                bytes[at] = random.u8(..);
            }
            fs::write(&path, bytes).unwrap();
            let begun = std::time::Instant::now();
            drop(everything(&path));
            assert!(begun.elapsed().as_secs() < 300, "round {round}");
        }
    }
}

#[test]
fn other_files_are_no_snapshots() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("x.c1z");
    Connection::open(&path)
        .unwrap()
        .execute_batch("create table t (a)")
        .unwrap();
    let error = everything(&path).unwrap_err();
    assert!(matches!(error, Error::NotASnapshot { .. }), "{error}");
    fs::write(&path, "user,group\n").unwrap();
    let error = everything(&path).unwrap_err();
    assert!(matches!(error, Error::NotASnapshot { .. }), "{error}");
    assert!(
        everything(folder.path())
            .unwrap_err()
            .to_string()
            .contains("regular file")
    );
    let missing = everything(&folder.path().join("missing.c1z")).unwrap_err();
    assert!(matches!(missing, Error::Io { .. }), "{missing}");
}

#[test]
fn a_database_cut_at_any_64th_byte_is_an_error_or_reads_as_less() {
    let (folder, db, _) = written();
    let bytes = fs::read(db).unwrap();
    let whole = everything(&folder.path().join("a.c1z")).unwrap();
    let path = folder.path().join("cut.db");
    // Within a page it is the same at every 64th byte, so most pages are cut less often.
    for length in (0..bytes.len()).filter(|n| n % 64 == 0 && (*n < 4096 || n % 1024 == 0)) {
        fs::write(&path, &bytes[..length]).unwrap();
        if let Ok(read) = everything(&path) {
            assert_eq!(read, whole, "{length}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn a_database_with_flipped_bytes_never_panics(
        flips in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let (folder, db, _) = written();
        let mut bytes = fs::read(db).unwrap();
        for (at, with) in flips {
            let at = at.index(bytes.len());
            bytes[at] = with;
        }
        let path = folder.path().join("flipped.db");
        fs::write(&path, bytes).unwrap();
        drop(everything(&path));
    }

    #[test]
    fn a_container_with_a_flipped_bit_is_refused_or_reads_as_before(
        at in any::<proptest::sample::Index>(), bit in 0..8_u8,
    ) {
        let mut bytes = fs::read(fixture("go-connector.c1z")).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("flipped.c1z");
        fs::write(&path, bytes).unwrap();
        if let Ok(read) = everything(&path) {
            prop_assert_eq!(read, everything(&fixture("go-connector.c1z")).unwrap());
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(
        start in 0..5_usize, bytes in proptest::collection::vec(any::<u8>(), 0..600), packed in any::<bool>(),
    ) {
        let (folder, db, _) = written();
        let head = fs::read(db).unwrap();
        let mut content = head[..[0, 16, 18, 24, 100][start]].to_vec();
        content.extend(bytes);
        if packed {
            content = [c1z::MAGIC.to_vec(), zstd::encode_all(content.as_slice(), 1).unwrap()].concat();
        }
        let path = folder.path().join("any.c1z");
        for prefix in [&b""[..], c1z::MAGIC] {
            fs::write(&path, [prefix, content.as_slice()].concat()).unwrap();
            drop(everything(&path));
        }
    }
}
