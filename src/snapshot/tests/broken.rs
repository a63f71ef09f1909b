//! Snapshots that are damaged, harmful or at a limit.

use super::*;

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
    let reader = Reader::open(&c1z).unwrap();
    assert_eq!(reader.counts().unwrap().users, 100);
    assert!(reader.integrity().unwrap().is_empty());
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
    let (mut group, members) = group("00g1", "A group", "OKTA_GROUP", MembershipSource::Listed);
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
        text.contains("version 7") && text.contains("version 3;"),
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
        (
            "update users set profile = x'00' where id = '00u1'",
            "users.profile of 00u1 is not a text",
        ),
        ("update groups set members_seen = -1", "negative"),
        (
            "drop table snapshot; update v1_resources set data = x'ff'",
            "does not decode",
        ),
        (
            "drop table snapshot; update v1_resources set data = 7",
            "no data",
        ),
        ("update v1_sync_runs set ended_at = ''", "not a time"),
        ("update v1_sync_runs set ended_at = 5", "ended_at"),
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
            "not an ordinary table",
        ),
        (
            "drop view memberships; alter table v1_grants rename to g; create view v1_grants as select * from g",
            "not an ordinary table",
        ),
        (
            "alter table users rename to people; create view Users as select * from people",
            "not an ordinary table",
        ),
    ];
    for (sql, part) in table {
        let error = changed(sql).err().unwrap_or_else(|| panic!("{sql}"));
        assert!(matches!(error, Error::Damaged { .. }), "{sql}: {error}");
        assert_ne!(part, "", "every text contains the empty text");
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
    let unusual = folder.path().join("a b?c#d%20é.sqlite");
    fs::rename(&db, &unusual).unwrap();
    everything(&unusual).unwrap();
    assert_eq!(files(), 1);
}

#[test]
fn a_name_that_fits_very_many_is_no_name() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("many.db");
    let groups: Vec<Written> = (0..101)
        .map(|n| {
            group(
                &format!("00g{n:03}"),
                "Same",
                "APP_GROUP",
                MembershipSource::Listed,
            )
        })
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
        text.contains("101 groups") && text.contains("use an id"),
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

/// Reads files of ours and of other programs with bytes changed at random places, the same in every run of the test.
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
                // Half of the changes are at the start of a page, where it describes its content.
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
    // Within a page, the result is the same at every 64th byte, so only the first page is cut at all of them.
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
