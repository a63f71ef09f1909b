//! Compares the fields of two versions of a row, without I/O.

use std::collections::BTreeSet;

use clap::ValueEnum as _;
use serde_json::{Map, Value};

use super::{FieldChange, Table};
use crate::snapshot::{Column, JsonRow, RunTables, TABLES, as_baton_stores};

/// The column that holds all attributes; its attributes are compared one by one.
const PROFILE: &str = "profile";

/// Columns that change while access stays the same: times of use, and how the snapshot was read.
const LEFT_OUT: [(Table, &str); 9] = [
    (Table::Users, "last_login"),
    (Table::Users, "last_updated"),
    (Table::Groups, "last_updated"),
    (Table::Groups, "last_membership_updated"),
    (Table::Groups, "members_reported"),
    (Table::Groups, "members_seen"),
    (Table::Groups, "members_kept"),
    (Table::Groups, "learned"),
    (Table::Memberships, "learned"),
];

/// The fields to compare.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// True if the fields that are ignored by default are compared too.
    pub all: bool,
    /// More columns and attributes (`profile.NAME`) to ignore, in all tables, or in one as `groups.NAME`.
    pub ignored: BTreeSet<String>,
}

impl Fields {
    fn counts(&self, table: Table, field: &str) -> bool {
        !self.ignore(table, field) && (self.all || !LEFT_OUT.contains(&(table, field)))
    }

    fn ignore(&self, table: Table, field: &str) -> bool {
        let mut ignored = self.ignored.iter();
        ignored.any(|name| name == field || in_table(table, name) == Some(field))
    }

    /// Returns the names of the ignored fields, for a message.
    pub fn left_out(&self) -> Vec<&str> {
        let by_default = LEFT_OUT.iter().filter(|_| !self.all).map(|(_, name)| *name);
        let all: BTreeSet<&str> = by_default
            .chain(self.ignored.iter().map(String::as_str))
            .collect();
        all.into_iter().collect()
    }
}

/// The tables that the two rows of a comparison come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sources {
    /// The source of the old row.
    pub old: RunTables,
    /// The source of the new row.
    pub new: RunTables,
}

impl Sources {
    /// Returns whether a difference in the column is a change. A column that one of the files does not have is null there,
    /// whatever the org contains.
    fn compare(self, column: &Column) -> bool {
        let is_in_both = self.old.has(column) && self.new.has(column);
        is_in_both || (self.old, self.new) == (RunTables::Baton, RunTables::Baton)
    }

    /// Returns whether exactly one of the files has the column.
    fn differ_in(self, column: &Column) -> bool {
        self.old.has(column) != self.new.has(column)
    }

    /// Returns whether exactly one of the rows comes from Baton's tables.
    fn are_mixed(self) -> bool {
        (self.old == RunTables::Baton) != (self.new == RunTables::Baton)
    }

    /// Returns whether two values mean the same. Baton's tables contain numbers as doubles only, and an empty text for a
    /// description that Okta does not have.
    fn equal(self, old: &Value, new: &Value) -> bool {
        let in_baton = |value: &Value| match value {
            Value::String(text) if text.is_empty() => Value::Null,
            other => as_baton_stores(other),
        };
        old == new || self.are_mixed() && in_baton(old) == in_baton(new)
    }
}

/// Returns the name after the table and a dot, such as `created` of `groups.created`; none if the table is another one.
pub fn in_table(table: Table, name: &str) -> Option<&str> {
    name.strip_prefix(table.as_str())?.strip_prefix('.')
}

/// Returns the columns of a table.
pub fn columns(table: Table) -> &'static [Column] {
    let found = TABLES.iter().find(|(name, _)| *name == table.as_str());
    found.map_or(&[], |(_, columns)| columns)
}

/// Returns a row as a JSON object, with the profile as an object.
pub fn object<R: JsonRow>(row: &R) -> Map<String, Value> {
    let cells = R::columns().iter().zip(row.cells());
    cells
        .map(|(column, value)| (column.name.to_owned(), unpacked(column.name, value)))
        .collect()
}

fn unpacked(name: &str, value: Value) -> Value {
    match value {
        // A profile that is not JSON stays one text and is compared as such.
        Value::String(text) if name == PROFILE => {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        }
        other => other,
    }
}

/// Returns the names of the columns of these tables that only one of the files has, without the ignored ones. A name has
/// the table in front, as in `groups.created`, if both files have a column of that name in another table.
pub fn only_in_one(sources: Sources, tables: &BTreeSet<Table>, fields: &Fields) -> Vec<String> {
    let is_compared_elsewhere = |table: Table, name: &str| {
        let others = Table::value_variants()
            .iter()
            .filter(|other| **other != table);
        let mut columns = others.flat_map(|other| columns(*other));
        columns.any(|column| column.name == name && sources.compare(column))
    };
    let mut names = Vec::new();
    for table in tables.iter().copied() {
        let missing = columns(table)
            .iter()
            .filter(|column| sources.differ_in(column) && fields.counts(table, column.name));
        for column in missing {
            let name = if is_compared_elsewhere(table, column.name) {
                format!("{}.{}", table.as_str(), column.name)
            } else {
                column.name.to_owned()
            };
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

/// Returns the fields that differ, without the ignored ones and those that only one of the files has.
pub fn differences<R: JsonRow>(
    table: Table,
    [old, new]: [&R; 2],
    fields: &Fields,
    sources: Sources,
) -> Vec<FieldChange> {
    let mut found = Vec::new();
    let cells = old.cells().into_iter().zip(new.cells());
    for (column, (old, new)) in R::columns().iter().zip(cells) {
        if old == new || !sources.compare(column) || !fields.counts(table, column.name) {
            continue;
        }
        let (old, new) = (unpacked(column.name, old), unpacked(column.name, new));
        match (&old, &new) {
            (Value::Object(old), Value::Object(new)) => {
                found.extend(attributes(table, [old, new], fields, sources));
            }
            _ if sources.equal(&old, &new) => {}
            _ => found.push(FieldChange {
                field: column.name.to_owned(),
                old,
                new,
            }),
        }
    }
    found
}

fn attributes(
    table: Table,
    [old, new]: [&Map<String, Value>; 2],
    fields: &Fields,
    sources: Sources,
) -> Vec<FieldChange> {
    // Okta omits attributes that are null.
    let value = |profile: &Map<String, Value>, name: &str| {
        profile.get(name).cloned().unwrap_or(Value::Null)
    };
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    names
        .into_iter()
        .filter(|name| !has_column(table, name))
        .map(|name| FieldChange {
            field: format!("{PROFILE}.{name}"),
            old: value(old, name),
            new: value(new, name),
        })
        .filter(|change| !sources.equal(&change.old, &change.new))
        .filter(|change| !fields.ignore(table, &change.field))
        .collect()
}

/// Returns true if an attribute has its own column, so that one change is not reported twice.
fn has_column(table: Table, attribute: &str) -> bool {
    match table {
        Table::Users => matches!(
            attribute,
            "login" | "email" | "secondEmail" | "firstName" | "lastName" | "displayName"
        ),
        Table::Groups => matches!(attribute, "name" | "description"),
        Table::Memberships => false,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::snapshot::columns::{FIRST, SCHEMA_VERSION};
    use crate::snapshot::{GroupRow, ProfileText, UserRow};

    const NEWEST: RunTables = RunTables::Plain(SCHEMA_VERSION);
    const OURS: Sources = Sources {
        old: NEWEST,
        new: NEWEST,
    };

    fn user(status: &str, last_login: i64, profile: &str) -> UserRow {
        let mut row = UserRow::empty("00u1");
        row.status = Some(status.to_owned());
        row.last_login = Timestamp::from_second(last_login).ok();
        row.profile = ProfileText::from_json(profile);
        row
    }

    fn names(changes: &[FieldChange]) -> Vec<&str> {
        changes.iter().map(|change| change.field.as_str()).collect()
    }

    #[test]
    fn times_of_use_are_compared_only_on_request_and_attributes_one_by_one() {
        let old = user(
            "ACTIVE",
            1,
            r#"{"login":"a","department":"Sales","tags":["x"],"gone":1}"#,
        );
        let new = user(
            "SUSPENDED",
            2,
            r#"{"login":"b","department":"HR","tags":["x","y"],"new":null}"#,
        );
        let by = |fields: &Fields| differences(Table::Users, [&old, &new], fields, OURS);
        let usual = by(&Fields::default());
        assert_eq!(
            names(&usual),
            [
                "status",
                "profile.department",
                "profile.gone",
                "profile.tags"
            ]
        );
        assert_eq!(usual[2].old, 1);
        assert_eq!(usual[2].new, Value::Null);
        let all = Fields {
            all: true,
            ignored: ["status", "profile.tags"].map(str::to_owned).into(),
        };
        assert_eq!(
            names(&by(&all)),
            ["last_login", "profile.department", "profile.gone"]
        );
        let of_one_table = Fields {
            all: false,
            ignored: ["users.profile.tags", "groups.status", "groups.profile.gone"]
                .map(str::to_owned)
                .into(),
        };
        assert_eq!(
            names(&by(&of_one_table)),
            ["status", "profile.department", "profile.gone"]
        );
    }

    #[test]
    fn numbers_of_members_and_membership_sources_are_not_compared() {
        let mut old = GroupRow::empty("00g1");
        old.name = Some("team".to_owned());
        let mut new = old.clone();
        new.members_kept = Some(7);
        new.learned = Some("by_user".to_owned());
        assert_eq!(
            differences(Table::Groups, [&old, &new], &Fields::default(), OURS),
            []
        );
        new.name = Some("crew".to_owned());
        let changes = differences(Table::Groups, [&old, &new], &Fields::default(), OURS);
        assert_eq!(names(&changes), ["name"]);
    }

    /// Returns both orders of two sources.
    fn both_ways(one: RunTables, other: RunTables) -> [Sources; 2] {
        [(one, other), (other, one)].map(|(old, new)| Sources { old, new })
    }

    #[test]
    fn columns_that_only_one_file_has_are_named() {
        use RunTables::{Baton, Plain};
        use Table::{Groups, Memberships, Users};
        let of_users = [
            "activated",
            "status_changed",
            "password_changed",
            "type_id",
            "matched_by",
        ];
        let of_groups = ["type", "source_id", "groups.created", "groups.profile"];
        let of_both = [&of_users[..], &of_groups].concat();
        let earlier = of_both.iter().copied().filter(|name| *name != "type_id");
        let earlier: Vec<&str> = earlier.collect();
        let (usual, mut all) = (Fields::default(), Fields::default());
        all.all = true;
        let some = Fields {
            ignored: ["type_id", "profile", "created"].map(str::to_owned).into(),
            ..Fields::default()
        };
        for (one, other, tables, fields, names) in [
            (NEWEST, NEWEST, &[Users, Groups][..], &usual, &[][..]),
            (Baton, Baton, &[Users, Groups], &usual, &[]),
            (Plain(FIRST), Plain(FIRST), &[Users, Groups], &usual, &[]),
            (Plain(FIRST), NEWEST, &[Users, Groups], &usual, &["type_id"]),
            (Plain(FIRST), NEWEST, &[Groups], &usual, &[]),
            (Plain(FIRST), NEWEST, &[Users], &some, &[]),
            (Baton, NEWEST, &[], &usual, &[]),
            (Baton, NEWEST, &[Users], &usual, &of_users),
            (Baton, NEWEST, &[Groups], &usual, &of_groups),
            (Baton, NEWEST, &[Memberships], &usual, &[]),
            (Baton, NEWEST, &[Memberships], &all, &["learned"]),
            (
                Baton,
                NEWEST,
                &[Users, Groups, Memberships],
                &usual,
                &of_both,
            ),
            (Baton, Plain(FIRST), &[Users, Groups], &usual, &earlier),
            (Baton, NEWEST, &[Groups], &some, &of_groups[..2]),
        ] {
            let tables: BTreeSet<Table> = tables.iter().copied().collect();
            for sources in both_ways(one, other) {
                let found = only_in_one(sources, &tables, fields);
                assert_eq!(found, names, "{sources:?} {tables:?}");
            }
        }
    }

    #[test]
    fn values_that_batons_tables_cannot_contain_are_no_change_between_two_programs() {
        let baton = RunTables::Baton;
        for (ours, theirs, is_equal) in [
            ("null", "\"\"", true),
            ("\"\"", "null", true),
            ("1.50", "1.5", true),
            ("12345678901234567890.50", "1.2345678901234567e+19", true),
            ("[1.0,{\"a\":2.0}]", "[1,{\"a\":2}]", true),
            ("null", "\"x\"", false),
            ("0", "null", false),
            ("false", "null", false),
            ("1.5", "2", false),
            ("\"1\"", "1", false),
        ] {
            let [ours, theirs] = [ours, theirs].map(|text| serde_json::from_str(text).unwrap());
            for sources in both_ways(NEWEST, baton) {
                assert_eq!(sources.equal(&ours, &theirs), is_equal, "{ours} {theirs}");
                assert_eq!(sources.equal(&theirs, &ours), is_equal, "{ours} {theirs}");
            }
            for source in [NEWEST, baton] {
                let [sources, _] = both_ways(source, source);
                assert!(!sources.equal(&ours, &theirs), "{ours} {theirs}");
            }
        }
    }

    #[test]
    fn between_two_files_of_other_programs_all_columns_are_compared() {
        let mut old = GroupRow::empty("00g1");
        old.kind = Some("OKTA_GROUP".to_owned());
        let mut new = old.clone();
        new.kind = Some("APP_GROUP".to_owned());
        let changed = |old_source, new_source| {
            let sources = Sources {
                old: old_source,
                new: new_source,
            };
            !differences(Table::Groups, [&old, &new], &Fields::default(), sources).is_empty()
        };
        assert!(changed(RunTables::Baton, RunTables::Baton));
        assert!(changed(NEWEST, NEWEST));
        assert!(!changed(RunTables::Baton, NEWEST));
        assert!(!changed(NEWEST, RunTables::Baton));
    }
}
