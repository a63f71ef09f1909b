//! Snapshots that this program writes and reads again.

use super::*;

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
            let is_readable = members.source != MembershipSource::Forbidden;
            let expected = GroupRow {
                learned: Some(members.source.as_str().to_owned()),
                members_seen: members.listed,
                members_kept: members.stored.filter(|_| is_readable),
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
         status_changed, last_login, last_updated, password_changed, type_id, matched_by, profile"
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

/// If these bytes change, the format has changed: snapshots that were equal are no longer equal.
#[test]
fn the_bytes_of_a_snapshot_are_those_of_the_versions_before() {
    let (_folder, db, _) = written();
    let mut bytes = fs::read(db).unwrap();
    // These bytes are the version of SQLite that wrote the file.
    bytes[96..100].fill(0);
    let hash = Sha256::digest(&bytes);
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        hash,
        "610e4f6fcc74cc62f0bde72bbefedd8af609647b651e0e1dfcbcad7ff2e6a708"
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
    let refused = |wrote: Result<(), Error>, part: &str| {
        let error = wrote.unwrap_err();
        assert!(matches!(error, Error::OutOfOrder { .. }), "{error}");
        assert!(error.to_string().contains(part), "{error}");
    };
    for (late, part) in [(&first, "user 00u1"), (&second, "user 00u2")] {
        refused(writer.user(late, MatchedBy::Login), part);
    }
    let rows = groups();
    writer.group(&rows[1].0, &rows[1].1).unwrap();
    refused(writer.group(&rows[0].0, &rows[0].1), "group 00g1");
    let mut members = |group: &str, users: &[&str]| {
        let users: Vec<UserId> = users.iter().map(|user| UserId::from(*user)).collect();
        writer.memberships(&GroupId::from(group), &users)
    };
    members("00g2", &["00u1", "00u2"]).unwrap();
    members("00g0", &[]).unwrap();
    for (group, users, part) in [
        ("00g2", &["00u3"][..], "members of group 00g2"),
        ("00g1", &["00u3"], "members of group 00g1"),
        ("00g3", &["00u2", "00u2"], "user 00u2 of group 00g3"),
        ("00g4", &["00u2", "00u1"], "user 00u1 of group 00g4"),
    ] {
        refused(members(group, users), part);
    }
    let other = RunMetadata::default();
    let finished = writer.finish(&other, &[], &[]).map(drop);
    refused(finished, "cannot end as");
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
    // One user's login is another user's id in another case.
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
