//! The hash of what a snapshot contains: equal for two snapshots of an unchanged org, no matter who took them, when,
//! and with which strategy. docs/c1z-format.md defines it, so that other programs can compute it.
//!
//! The writer adds each row that it stores, and the reader each row that it reads; both add rows in the order of their ids.

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use sha2::{Digest as _, Sha256};

use super::columns::{FIRST, GroupRow, MembershipRow, TableRow, UserRow};
use super::{Error, Reader};
use crate::text::hex;

/// The start of the hashed bytes. A change to the definition needs a new number.
const DEFINITION: &[u8] = b"okta-ciam content 1\n";

/// The columns that describe how this run read the org, not what it read.
const LEFT_OUT: [(&str, &[&str]); 3] = [
    (UserRow::NAME, &["matched_by"]),
    (GroupRow::NAME, &["members_seen", "learned"]),
    (MembershipRow::NAME, &["learned"]),
];

const NULL: u8 = 0;
const TEXT: u8 = 1;
const INTEGER: u8 = 2;
/// The mark before the name of a column that was added after the first definition.
const NAMED: u8 = 3;

/// The hash of the rows that were added so far. Rows of different tables may alternate; the rows of each table must be
/// added in the order of their ids.
#[derive(Default)]
pub struct ContentHash {
    users: Sha256,
    groups: Sha256,
    memberships: Sha256,
    /// The encoding of one row; the buffer is reused.
    row: Vec<u8>,
}

impl ContentHash {
    /// Adds a user.
    pub fn user(&mut self, user: &UserRow) {
        self.user_values(&user.values());
    }

    /// Adds a user, given the values of all columns.
    pub(super) fn user_values(&mut self, values: &[ToSqlOutput<'_>]) {
        encode::<UserRow>(values, &mut self.row);
        self.users.update(&self.row);
    }

    /// Adds a group.
    pub fn group(&mut self, group: &GroupRow) {
        self.group_values(&group.values());
    }

    /// Adds a group, given the values of all columns.
    pub(super) fn group_values(&mut self, values: &[ToSqlOutput<'_>]) {
        encode::<GroupRow>(values, &mut self.row);
        self.groups.update(&self.row);
    }

    /// Adds a membership.
    pub fn membership(&mut self, user_id: &str, group_id: &str) {
        self.row.clear();
        text(user_id.as_bytes(), &mut self.row);
        text(group_id.as_bytes(), &mut self.row);
        self.memberships.update(&self.row);
    }

    /// Returns the hash, in lowercase hexadecimal.
    pub fn finish(self) -> String {
        let mut all = Sha256::new();
        all.update(DEFINITION);
        for table in [self.users, self.groups, self.memberships] {
            all.update(table.finalize());
        }
        hex(&all.finalize())
    }
}

/// A row that the hash covers.
#[derive(Clone, Copy, Debug)]
pub enum ContentRow<'r> {
    /// A user.
    User(&'r UserRow),
    /// A group.
    Group(&'r GroupRow),
    /// A membership.
    Membership(&'r MembershipRow),
}

/// Replaces `into` with the encoding of a row. A column that was added later is encoded with its name, and only if it has
/// a value, so that the hash of an older file stays the same.
fn encode<T: TableRow>(values: &[ToSqlOutput<'_>], into: &mut Vec<u8>) {
    into.clear();
    let left_out = LEFT_OUT.iter().find(|(table, _)| *table == T::NAME);
    let left_out = left_out.map_or::<&[_], _>(&[], |(_, columns)| columns);
    for (column, value) in T::COLUMNS.iter().zip(values) {
        if left_out.contains(&column.name) {
            continue;
        }
        if column.since > FIRST {
            if is_null(value) {
                continue;
            }
            into.push(NAMED);
            text(column.name.as_bytes(), into);
        }
        encode_value(value, into);
    }
}

fn is_null(value: &ToSqlOutput<'_>) -> bool {
    matches!(
        value,
        ToSqlOutput::Borrowed(ValueRef::Null) | ToSqlOutput::Owned(Value::Null)
    )
}

fn encode_value(value: &ToSqlOutput<'_>, into: &mut Vec<u8>) {
    let value = match value {
        ToSqlOutput::Borrowed(value) => *value,
        ToSqlOutput::Owned(value) => ValueRef::from(value),
        _ => ValueRef::Null,
    };
    match value {
        ValueRef::Text(value) => text(value, into),
        ValueRef::Integer(number) => {
            into.push(INTEGER);
            into.extend(number.to_be_bytes());
        }
        // These tables contain no fractions and no blobs.
        ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_) => into.push(NULL),
    }
}

fn text(value: &[u8], into: &mut Vec<u8>) {
    into.push(TEXT);
    into.extend((value.len() as u64).to_be_bytes());
    into.extend(value);
}

impl Reader {
    /// Computes the content hash of the run, even if another program wrote it.
    ///
    /// # Errors
    /// Returns an error if the file is damaged.
    pub fn content_sha256(&self) -> Result<String, Error> {
        self.content(|_| {})
    }

    /// Computes the content hash, and calls `handle` with every row.
    ///
    /// # Errors
    /// Returns an error if the file is damaged.
    pub fn content(&self, mut handle: impl FnMut(ContentRow<'_>)) -> Result<String, Error> {
        let mut hash = ContentHash::default();
        for user in self.users()?.rows()? {
            let user = user?;
            hash.user(&user);
            handle(ContentRow::User(&user));
        }
        for group in self.groups()?.rows()? {
            let group = group?;
            hash.group(&group);
            handle(ContentRow::Group(&group));
        }
        for membership in self.memberships()?.rows()? {
            let membership = membership?;
            hash.membership(membership.user_id.as_str(), membership.group_id.as_str());
            handle(ContentRow::Membership(&membership));
        }
        Ok(hash.finish())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    use jiff::Timestamp;
    use proptest::collection::{btree_map, btree_set, vec};
    use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};
    use rusqlite::Connection;

    use super::*;
    use crate::filter::MatchedBy;
    use crate::model::{Group, GroupId, MembershipSource, Profile, User, UserId};
    use crate::snapshot::{GroupMembers, RunHeader, RunMetadata, Writer};

    type Attributes = Vec<(String, String)>;
    /// For each id of a group, its attributes, and the source of its memberships as a number.
    type Groups = BTreeMap<String, (Attributes, usize)>;

    fn profile(attributes: &Attributes) -> Profile {
        const KEYS: [&str; 4] = ["login", "email", "name", "other"];
        let keys = KEYS.iter().cycle();
        let pairs = keys.zip(attributes);
        pairs
            .map(|(key, (more, value))| (format!("{key}{more}"), value.as_str().into()))
            .collect()
    }

    fn user(id: &str, attributes: &Attributes) -> User {
        let seconds = attributes.iter().map(|(_, value)| value.len() as i64).sum();
        User {
            status: attributes.first().map(|(_, status)| status.clone()),
            created: Timestamp::from_millisecond(seconds).ok(),
            profile: profile(attributes),
            ..User::new(id.into())
        }
    }

    fn group(id: &str, attributes: &Attributes) -> Group {
        Group {
            id: id.into(),
            kind: attributes.first().map(|(kind, _)| kind.clone()),
            source_id: None,
            created: None,
            last_updated: None,
            last_membership_updated: None,
            members_reported: Some(attributes.len() as u64),
            has_admin_privilege: None,
            profile: profile(attributes),
        }
    }

    /// Writes a snapshot, and returns the hash that the writer recorded.
    fn write(
        path: &Path,
        users: &BTreeMap<String, Attributes>,
        groups: &Groups,
        pairs: &BTreeSet<(usize, usize)>,
    ) -> String {
        let run = RunHeader {
            sync_id: "run".to_owned(),
            started_at: Timestamp::UNIX_EPOCH,
        };
        let mut writer = Writer::create(path, &run).unwrap();
        for (id, attributes) in users {
            let user = user(id, attributes);
            writer.user(&user, MatchedBy::Email).unwrap();
        }
        let ids: Vec<UserId> = users.keys().map(|id| UserId::from(id.as_str())).collect();
        for (place, (id, (attributes, source))) in groups.iter().enumerate() {
            let source = MembershipSource::ALL[source % MembershipSource::ALL.len()];
            let members = pairs.iter().filter(|(group, _)| *group == place);
            let members = members.filter_map(|(_, user)| ids.get(*user));
            let members: Vec<&UserId> = members
                .filter(|_| source != MembershipSource::Forbidden)
                .collect();
            let read = GroupMembers {
                source,
                listed: Some(7),
                stored: Some(members.len() as u64),
            };
            writer.group(&group(id, attributes), &read).unwrap();
            let group = GroupId::from(id.as_str());
            writer.memberships(&group, members).unwrap();
        }
        let metadata = RunMetadata {
            sync_id: run.sync_id,
            ..RunMetadata::default()
        };
        let written = writer.finish(&metadata, &[], &[]).unwrap();
        written.content_sha256.unwrap()
    }

    fn example(path: &Path) -> String {
        let attributes = vec![
            ("".to_owned(), "ACTIVE".to_owned()),
            ("".to_owned(), "a".to_owned()),
        ];
        let users = ["00u1", "00u2"].map(|id| (id.to_owned(), attributes.clone()));
        let groups = [("00g1".to_owned(), (attributes, 0))];
        write(path, &users.into(), &groups.into(), &[(0, 0)].into())
    }

    fn of(path: &Path) -> String {
        Reader::open(path).unwrap().content_sha256().unwrap()
    }

    /// If this hash changes, the definition has changed and needs a new number.
    #[test]
    fn the_hash_of_an_example_is_that_of_the_versions_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        assert_eq!(
            example(&path),
            "73e83696b5d51b25c573064269e1cf6f923e6cd911bcff36767561a3c59cabab"
        );
    }

    #[test]
    fn every_column_counts_but_those_that_say_how_the_org_was_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let before = example(&path);
        let mut changed = 0;
        for (table, columns) in [
            (UserRow::NAME, UserRow::COLUMNS),
            (GroupRow::NAME, GroupRow::COLUMNS),
        ] {
            // A row with another id is another object.
            for column in columns.iter().filter(|column| column.name != "id") {
                let value = match (column.sql_type, column.name) {
                    ("integer", _) => "99",
                    (_, "profile") => "'{\"x\":1}'",
                    _ => "'2020-01-01T00:00:00.000Z'",
                };
                let other = folder.path().join("b.db");
                std::fs::copy(&path, &other).unwrap();
                let db = Connection::open(&other).unwrap();
                let change = format!("update {table} set {} = {value}", column.name);
                db.execute_batch(&change).unwrap();
                db.close().unwrap();
                let left_out = ["matched_by", "members_seen", "learned"].contains(&column.name);
                assert_eq!(of(&other) == before, left_out, "{change}");
                changed += 1;
            }
        }
        assert_eq!(changed, 28);
    }

    #[test]
    fn a_value_cannot_pass_for_two_nor_for_none() {
        let encoded = |values: &[Option<&str>]| {
            let mut bytes = Vec::new();
            for value in values {
                let value = value.map_or(ToSqlOutput::Borrowed(ValueRef::Null), |text| {
                    ToSqlOutput::Borrowed(text.into())
                });
                encode_value(&value, &mut bytes);
            }
            bytes
        };
        let all = [
            encoded(&[Some("ab"), Some("c")]),
            encoded(&[Some("a"), Some("bc")]),
            encoded(&[Some("abc"), Some("")]),
            encoded(&[Some("abc"), None]),
            encoded(&[None, Some("abc")]),
        ];
        let different: BTreeSet<&Vec<u8>> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn the_writer_and_the_reader_compute_the_same_hash(
            users in btree_map("00u[a-zA-Z0-9]{1,4}", vec(any::<(String, String)>(), 0..4), 0..6),
            groups in btree_map("00g[a-zA-Z0-9]{1,4}", (vec(any::<(String, String)>(), 0..4), 0..5_usize), 0..6),
            pairs in btree_set((0..6_usize, 0..6_usize), 0..20),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.db");
            let written = write(&path, &users, &groups, &pairs);
            prop_assert_eq!(&written, &of(&path));
            let recorded = Reader::open(&path).unwrap().info().metadata.clone().unwrap();
            prop_assert_eq!(Some(written), recorded.content_sha256);
        }
    }
}
