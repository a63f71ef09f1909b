//! Compares the fields of two versions of a row; pure.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{FieldChange, Table};
use crate::snapshot::{Column, JsonRow, TABLES};

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
    /// More columns and attributes (`profile.NAME`) to ignore.
    pub ignored: BTreeSet<String>,
}

impl Fields {
    fn counts(&self, table: Table, field: &str) -> bool {
        !self.ignored.contains(field) && (self.all || !LEFT_OUT.contains(&(table, field)))
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

/// Returns the names of the columns that would be compared if both files had them: those of these tables that came after
/// the version of one file, and not after that of the other.
pub fn only_in_one(
    versions: [u32; 2],
    tables: &BTreeSet<Table>,
    fields: &Fields,
) -> Vec<&'static str> {
    let [earlier, later] = [versions[0].min(versions[1]), versions[0].max(versions[1])];
    let all = tables
        .iter()
        .flat_map(|table| columns(*table).iter().map(|column| (*table, column)));
    all.filter(|(_, column)| earlier < column.since && column.since <= later)
        .filter(|(table, column)| fields.counts(*table, column.name))
        .map(|(_, column)| column.name)
        .collect()
}

/// Returns the fields that differ, without the ignored ones. `version` is that of the older tables. Newer columns are not
/// compared, since they are null in one of the rows only because its file does not have them.
pub fn differences<R: JsonRow>(
    table: Table,
    [old, new]: [&R; 2],
    fields: &Fields,
    version: u32,
) -> Vec<FieldChange> {
    let mut found = Vec::new();
    let cells = old.cells().into_iter().zip(new.cells());
    for (column, (old, new)) in R::columns().iter().zip(cells) {
        if old == new || column.since > version || !fields.counts(table, column.name) {
            continue;
        }
        let (old, new) = (unpacked(column.name, old), unpacked(column.name, new));
        match (&old, &new) {
            (Value::Object(old), Value::Object(new)) => {
                found.extend(attributes(table, old, new, fields));
            }
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
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    fields: &Fields,
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
        .filter(|change| change.old != change.new && !fields.ignored.contains(&change.field))
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
    use crate::snapshot::columns::SCHEMA_VERSION;
    use crate::snapshot::{GroupRow, ProfileText, UserRow};

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
        let by = |fields: &Fields| differences(Table::Users, [&old, &new], fields, SCHEMA_VERSION);
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
    }

    #[test]
    fn numbers_of_members_and_membership_sources_are_not_compared() {
        let mut old = GroupRow::empty("00g1");
        old.name = Some("team".to_owned());
        let mut new = old.clone();
        new.members_kept = Some(7);
        new.learned = Some("by_user".to_owned());
        assert_eq!(
            differences(
                Table::Groups,
                [&old, &new],
                &Fields::default(),
                SCHEMA_VERSION
            ),
            []
        );
        new.name = Some("crew".to_owned());
        let changes = differences(
            Table::Groups,
            [&old, &new],
            &Fields::default(),
            SCHEMA_VERSION,
        );
        assert_eq!(names(&changes), ["name"]);
    }
}
