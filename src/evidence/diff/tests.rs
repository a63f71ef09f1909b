//! Checks the property that makes a diff trustworthy: applied to the old snapshot, it gives the new one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use clap::ValueEnum as _;
use jiff::Timestamp;
use proptest::collection::{btree_map, btree_set};
use proptest::prelude::{Strategy, any, prop_assert_eq, proptest};
use serde_json::{Map, Value, json};

use super::compare::{self, Fields};
use super::merge::{compare_in_parallel, compare_snapshots};
use super::options::DiffOptions;
use super::{ChangeKind, Key, Table};
use crate::filter::MatchedBy;
use crate::model::{Group, GroupId, MembershipSource, Profile, User, UserId};
use crate::snapshot::{GroupMembers, JsonRow, Reader, RunHeader, RunMetadata, Warning, Writer};

/// An org: numbered users and groups with an attribute each, and memberships as pairs of numbers.
#[derive(Clone, Debug)]
struct Sample {
    users: BTreeMap<u8, (bool, Option<String>)>,
    groups: BTreeMap<u8, String>,
    memberships: BTreeSet<(u8, u8)>,
}

fn samples() -> impl Strategy<Value = Sample> {
    let text = "[a-c=\\-\"]{0,2}";
    (
        btree_map(0..6u8, (any::<bool>(), proptest::option::of(text)), 0..6),
        btree_map(0..4u8, text, 0..4),
        btree_set((0..4u8, 0..6u8), 0..12),
    )
        .prop_map(|(users, groups, memberships)| Sample {
            memberships: memberships
                .into_iter()
                .filter(|(group, user)| groups.contains_key(group) && users.contains_key(user))
                .collect(),
            users,
            groups,
        })
}

fn user(number: u8, suspended: bool, title: Option<&String>) -> User {
    let mut profile = Profile::new();
    profile.insert("login".to_owned(), format!("{number}@example.com").into());
    if let Some(title) = title {
        profile.insert("title".to_owned(), title.as_str().into());
    }
    User {
        status: Some(if suspended { "SUSPENDED" } else { "ACTIVE" }.to_owned()),
        profile,
        ..User::new(UserId::from(format!("00u{number}").as_str()))
    }
}

fn group(number: u8, name: &str) -> Group {
    let mut profile = Profile::new();
    profile.insert("name".to_owned(), name.into());
    Group {
        id: GroupId::from(format!("00g{number}").as_str()),
        kind: Some("OKTA_GROUP".to_owned()),
        source_id: None,
        created: None,
        last_updated: None,
        last_membership_updated: None,
        members_reported: None,
        has_admin_privilege: None,
        profile,
    }
}

fn write(sample: &Sample, path: &Path) {
    write_with(sample, &[], path);
}

fn write_with(sample: &Sample, warnings: &[Warning], path: &Path) {
    let run = RunHeader {
        sync_id: "3MgMxLrNoNKUhULjIFekjnjH02n".to_owned(),
        started_at: Timestamp::UNIX_EPOCH,
    };
    let mut writer = Writer::create(path, &run).unwrap();
    for (number, (suspended, title)) in &sample.users {
        let user = user(*number, *suspended, title.as_ref());
        writer.user(&user, MatchedBy::Email).unwrap();
    }
    for (number, name) in &sample.groups {
        let group = group(*number, name);
        let of_group = sample.memberships.iter().filter(|(of, _)| of == number);
        let members: Vec<UserId> = of_group
            .map(|(_, user)| UserId::from(format!("00u{user}").as_str()))
            .collect();
        let count = Some(members.len() as u64);
        let read = GroupMembers {
            source: MembershipSource::Listed,
            listed: count,
            stored: count,
        };
        writer.group(&group, &read).unwrap();
        writer.memberships(&group.id, &members).unwrap();
    }
    let metadata = RunMetadata {
        sync_id: run.sync_id,
        ..RunMetadata::default()
    };
    writer.finish(&metadata, &[], warnings).unwrap();
}

type Rows = BTreeMap<Key, Map<String, Value>>;

fn rows<R: JsonRow>(of: impl Iterator<Item = R>, key: fn(&Map<String, Value>) -> Key) -> Rows {
    let objects = of.map(|row| compare::object(&row));
    objects.map(|object| (key(&object), object)).collect()
}

fn text(row: &Map<String, Value>, column: &str) -> String {
    row[column].as_str().unwrap().to_owned()
}

/// All rows of a snapshot.
fn everything(reader: &Reader) -> BTreeMap<Table, Rows> {
    let by_id = |row: &Map<String, Value>| Key::Id {
        id: text(row, "id"),
    };
    let by_pair = |row: &Map<String, Value>| Key::Pair {
        group_id: text(row, "group_id"),
        user_id: text(row, "user_id"),
    };
    let (mut users, mut groups) = (reader.users().unwrap(), reader.groups().unwrap());
    let mut memberships = reader.memberships().unwrap();
    [
        (
            Table::Users,
            rows(users.rows().unwrap().map(Result::unwrap), by_id),
        ),
        (
            Table::Groups,
            rows(groups.rows().unwrap().map(Result::unwrap), by_id),
        ),
        (
            Table::Memberships,
            rows(memberships.rows().unwrap().map(Result::unwrap), by_pair),
        ),
    ]
    .into()
}

fn apply(field: &str, value: &Value, row: &mut Map<String, Value>) {
    match field.strip_prefix("profile.") {
        None => {
            // A column that shows an attribute changes together with the attribute.
            if let Some(profile) = row["profile"].as_object_mut()
                && matches!(field, "login" | "name")
            {
                profile.insert(field.to_owned(), value.clone());
            }
            row.insert(field.to_owned(), value.clone());
        }
        Some(name) => {
            let profile = row["profile"].as_object_mut().unwrap();
            if value.is_null() {
                profile.remove(name);
            } else {
                profile.insert(name.to_owned(), value.clone());
            }
        }
    }
}

proptest! {
    #[test]
    fn a_diff_applied_to_the_old_snapshot_gives_the_new_one(before in samples(), after in samples()) {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("old.db"), folder.path().join("new.db"));
        write(&before, &old);
        write(&after, &new);
        let (mut old, new) = (Reader::open(&old).unwrap(), Reader::open(&new).unwrap());
        let options = DiffOptions {
            fields: Fields { all: true, ..Fields::default() },
            ..DiffOptions::default()
        };
        let alone = compare_snapshots(&old, &new, &options).unwrap().summary;
        let mut diff = compare_in_parallel(&mut old, &new, &options).unwrap();
        prop_assert_eq!(&diff.summary, &alone);
        let mut applied = everything(&old);
        for (table, spool) in &mut diff.changes {
            let rows = applied.get_mut(table).unwrap();
            for change in spool.changes().unwrap() {
                let change = change.unwrap();
                match change.kind {
                    ChangeKind::Added => prop_assert_eq!(rows.insert(change.key, change.row), None),
                    ChangeKind::Removed => prop_assert_eq!(rows.remove(&change.key), Some(change.row)),
                    ChangeKind::Changed => {
                        let row = rows.get_mut(&change.key).unwrap();
                        for field in &change.fields {
                            apply(&field.field, &field.new, row);
                        }
                    }
                    ChangeKind::Unknown => panic!("every group could be read"),
                }
            }
        }
        let wanted = everything(&new);
        for table in Table::value_variants() {
            let unchanged = wanted[table].len() as u64;
            let counts = &diff.summary[table];
            prop_assert_eq!(counts.added + counts.changed + counts.unchanged, unchanged);
        }
        prop_assert_eq!(applied, wanted);
        prop_assert_eq!(diff.is_empty(), json!(everything_of(&before)) == json!(everything_of(&after)));
    }
}

/// Returns the users, groups and memberships of a sample, to compare samples without reading a snapshot.
fn everything_of(sample: &Sample) -> (Vec<String>, Vec<String>, &BTreeSet<(u8, u8)>) {
    let users = sample.users.iter().map(|user| format!("{user:?}"));
    let groups = sample.groups.iter().map(|group| format!("{group:?}"));
    (users.collect(), groups.collect(), &sample.memberships)
}

/// Returns two memberships: user 1 in group 1, and user 2 in group 2.
fn two_memberships() -> Sample {
    Sample {
        users: [(1, (false, None)), (2, (false, None))].into(),
        groups: [(1, "one".to_owned()), (2, "two".to_owned())].into(),
        memberships: [(1, 1), (2, 2)].into(),
    }
}

#[test]
fn missing_memberships_are_unknown_only_if_a_warning_says_that_they_were_not_read() {
    let whole = two_memberships();
    let none = Sample {
        memberships: BTreeSet::new(),
        ..whole.clone()
    };
    for (code, kind, id, unknown) in [
        (Warning::MEMBERS_FORBIDDEN, "group", "00g1", 1),
        (Warning::MEMBERS_CUT, "group", "00g1", 1),
        (Warning::GROUPS_FORBIDDEN, "user", "00u1", 1),
        // Warnings of other kinds, and about other objects.
        ("deleted", "user", "00u1", 0),
        (Warning::GROUPS_FORBIDDEN, "user", "00u3", 0),
    ] {
        let warning = Warning {
            code: code.to_owned(),
            kind: kind.to_owned(),
            object_id: Some(id.to_owned()),
            message: String::new(),
        };
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        write_with(&none, std::slice::from_ref(&warning), &path("limited.db"));
        write_with(&whole, &[], &path("whole.db"));
        write_with(&none, &[], &path("none.db"));
        write_with(&whole, &[warning], &path("warned.db"));
        let counts = |old: &str, new: &str| {
            let (old, new) = (Reader::open(&path(old)), Reader::open(&path(new)));
            let diff =
                compare_snapshots(&old.unwrap(), &new.unwrap(), &DiffOptions::default()).unwrap();
            let counts = &diff.summary[&Table::Memberships];
            (counts.added, counts.removed, counts.unknown)
        };
        assert_eq!(
            counts("whole.db", "limited.db"),
            (0, 2 - unknown, unknown),
            "{code} {id}"
        );
        assert_eq!(
            counts("limited.db", "whole.db"),
            (2 - unknown, 0, unknown),
            "{code} {id}"
        );
        // The snapshot that has the membership has read it, whatever its warnings are about.
        assert_eq!(counts("warned.db", "none.db"), (0, 2, 0), "{code} {id}");
        assert_eq!(counts("none.db", "warned.db"), (2, 0, 0), "{code} {id}");
    }
}

#[test]
fn an_ambiguous_name_is_not_recreated() {
    let sample = |numbers: [u8; 2]| Sample {
        users: BTreeMap::new(),
        groups: numbers.map(|number| (number, "same".to_owned())).into(),
        memberships: BTreeSet::new(),
    };
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old.db"), folder.path().join("new.db"));
    write(&sample([1, 2]), &old);
    write(&sample([3, 3]), &new);
    let (old, new) = (Reader::open(&old).unwrap(), Reader::open(&new).unwrap());
    for (old, new) in [(&old, &new), (&new, &old)] {
        let diff = compare_snapshots(old, new, &DiffOptions::default()).unwrap();
        assert_eq!(diff.recreated[&Table::Groups], []);
    }
}

/// Writes the users, groups and memberships of a file as this program would, with the columns that only it writes.
fn write_as_ours(theirs: &Reader, path: &Path) {
    let run = RunHeader {
        sync_id: "3MgMxLrNoNKUhULjIFekjnjH02n".to_owned(),
        started_at: Timestamp::UNIX_EPOCH,
    };
    let mut writer = Writer::create(path, &run).unwrap();
    let time = Some(Timestamp::UNIX_EPOCH);
    for row in theirs.users().unwrap().rows().unwrap() {
        let row = row.unwrap();
        let user = User {
            id: row.id,
            status: row.status,
            created: row.created,
            activated: time,
            status_changed: time,
            last_login: row.last_login,
            last_updated: time,
            password_changed: time,
            type_id: Some("oty1".to_owned()),
            profile: row.profile.parse().unwrap(),
        };
        writer.user(&user, MatchedBy::Login).unwrap();
    }
    let mut members: BTreeMap<GroupId, Vec<UserId>> = BTreeMap::new();
    for row in theirs.memberships().unwrap().rows().unwrap() {
        let row = row.unwrap();
        members.entry(row.group_id).or_default().push(row.user_id);
    }
    for row in theirs.groups().unwrap().rows().unwrap() {
        let row = row.unwrap();
        let members = members.remove(&row.id).unwrap_or_default();
        let mut profile = row.profile.parse().unwrap();
        profile.insert("samAccountName".to_owned(), "team".into());
        // The Go connector writes an empty text for a description that is null.
        if profile["description"] == "" {
            profile.insert("description".to_owned(), Value::Null);
        }
        let group = Group {
            id: row.id,
            kind: Some("APP_GROUP".to_owned()),
            source_id: Some("0oa1".to_owned()),
            created: time,
            last_updated: time,
            last_membership_updated: time,
            members_reported: Some(9),
            has_admin_privilege: Some(false),
            profile,
        };
        let read = GroupMembers {
            source: MembershipSource::Listed,
            listed: Some(9),
            stored: Some(members.len() as u64),
        };
        writer.group(&group, &read).unwrap();
        writer.memberships(&group.id, &members).unwrap();
    }
    let metadata = RunMetadata {
        sync_id: run.sync_id,
        ..RunMetadata::default()
    };
    writer.finish(&metadata, &[], &[]).unwrap();
}

#[test]
fn a_file_of_the_go_connector_and_one_of_ours_of_the_same_org_do_not_differ() {
    let folder = tempfile::tempdir().unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/go-connector.c1z");
    let theirs = Reader::open(&file).unwrap();
    let path = folder.path().join("ours.db");
    write_as_ours(&theirs, &path);
    let ours = Reader::open(&path).unwrap();
    let options = DiffOptions {
        fields: Fields {
            all: true,
            ..Fields::default()
        },
        ..DiffOptions::default()
    };
    for (old, new) in [(&theirs, &ours), (&ours, &theirs)] {
        let diff = compare_snapshots(old, new, &options).unwrap();
        assert!(diff.is_empty(), "{:?}", diff.summary);
        let unchanged = diff.summary.values().map(|counts| counts.unchanged);
        assert_eq!(unchanged.collect::<Vec<_>>(), [7, 4, 10]);
    }
}
