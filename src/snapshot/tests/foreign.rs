//! Snapshots of other programs and of earlier versions.

use super::*;

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
            "recorded 5 memberships, but it has 3",
        ),
        (
            "drop view memberships; drop table v1_grants",
            "recorded 5 memberships, but it has 0",
        ),
        (
            "delete from users where id = '00u2'",
            "recorded 4 users, but it has 3",
        ),
        (
            "delete from v1_resources where external_id = 'user:00u2'",
            "recorded 4 users, but it has 3",
        ),
        (
            "delete from groups where id = '00g2'",
            "recorded 4 groups, but it has 3",
        ),
        (
            "delete from v1_resources where external_id = 'group:00g2'",
            "recorded 4 groups, but it has 3",
        ),
        (
            "update snapshot set users_kept = 5",
            "recorded 5 users, but it has 4",
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

/// The file contains the sample org in version 1 of the tables, without a hash and without the columns on who took it.
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

/// `diff` relies on these marks when it compares such a file with one of ours.
#[test]
fn the_columns_marked_as_in_batons_tables_are_those_that_the_go_connector_fills() {
    fn check<T: JsonRow>(rows: impl Iterator<Item = Result<T, Error>>, partly: &[&str]) {
        let rows: Vec<Vec<serde_json::Value>> = rows.map(|row| row.unwrap().cells()).collect();
        for (place, column) in T::columns().iter().enumerate() {
            let is_filled =
                rows.iter().any(|cells| !cells[place].is_null()) && !partly.contains(&column.name);
            assert_eq!(is_filled, column.in_baton, "{}", column.name);
        }
    }
    let reader = Reader::open(&fixture("go-connector.c1z")).unwrap();
    assert_eq!(reader.info().tables(), RunTables::Baton);
    check(reader.users().unwrap().rows().unwrap(), &[]);
    // The profiles of its groups contain only the name and the description.
    check(reader.groups().unwrap().rows().unwrap(), &["profile"]);
    check(reader.memberships().unwrap().rows().unwrap(), &[]);
}
