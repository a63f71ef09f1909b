//! The columns that a table can have, and their values; pure.
//!
//! - Columns of the file keep their names. `profile.NAME` is one attribute, and `profile` is all of them.
//! - A user's `name` and a membership's `grant_id` are computed.
//! - A membership has every column of its user as `user_NAME` and every column of its group as `group_NAME`.
//!   `profile.NAME` is an attribute of the user.

use serde_json::Value;

use super::Table;
use crate::evidence::cells::plain;
use crate::snapshot::{Column as Stored, GroupRow, JsonRow, UserRow};
use crate::text::closest;

/// The column that contains all attributes.
const PROFILE: &str = "profile";
const ATTRIBUTE: &str = "profile.";

/// A column of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableColumn {
    /// The name, as it is typed and printed.
    pub name: String,
    /// The source of the values.
    pub source: ColumnSource,
}

/// The source of a column's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnSource {
    /// The user, or the user of the membership.
    User(Field),
    /// The group, or the group of the membership.
    Group(Field),
    /// Baton's id of the membership.
    GrantId,
    /// The membership source.
    Learned,
}

/// A value of a user or a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// A column of the file, by its index.
    Stored(usize),
    /// The user's name for display.
    Name,
    /// All attributes.
    Profile,
    /// One attribute.
    Attribute(String),
}

impl Field {
    fn is_of_profile(&self) -> bool {
        matches!(self, Self::Profile | Self::Attribute(_))
    }
}

/// The columns of a table if none is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultColumns {
    /// The columns that matter most to people.
    Few,
    /// All columns of the file.
    All,
}

/// Returns the columns of a table if none is chosen.
pub fn default_columns(table: Table, wanted: DefaultColumns) -> Vec<TableColumn> {
    let few: &[&str] = match table {
        Table::Users => &["login", "name", "status", "id"],
        Table::Groups => &["name", "type", "members_kept", "id"],
        Table::Memberships => &["group_name", "user_login", "user_name", "user_status"],
    };
    let of_membership: &[&str] = &[
        "grant_id",
        "group_id",
        "group_name",
        "group_type",
        "user_id",
        "user_login",
        "user_email",
        "user_name",
        "user_status",
        "learned",
    ];
    let names: Vec<&str> = match (wanted, table) {
        (DefaultColumns::Few, _) => few.to_vec(),
        (DefaultColumns::All, Table::Users) => stored_names::<UserRow>(),
        (DefaultColumns::All, Table::Groups) => stored_names::<GroupRow>(),
        (DefaultColumns::All, Table::Memberships) => of_membership.to_vec(),
    };
    names.iter().filter_map(|name| find(table, name)).collect()
}

fn stored_names<R: JsonRow>() -> Vec<&'static str> {
    R::columns().iter().map(|column| column.name).collect()
}

/// Returns a column by its name.
///
/// # Errors
/// Returns a hint if the table does not have the column: the nearest name, or some of the names.
pub fn named(table: Table, name: &str) -> Result<TableColumn, String> {
    if let Some(column) = find(table, name) {
        return Ok(column);
    }
    let names = names(table);
    let near = closest(name, names.iter().map(String::as_str));
    Err(match near {
        Some(near) => format!("a column of {}; did you mean {near}?", table.as_str()),
        None => format!(
            "a column of {} ({}) or profile.ATTRIBUTE",
            table.as_str(),
            names.join(", ")
        ),
    })
}

/// Returns the names of columns.
pub fn names_of(columns: &[TableColumn]) -> Vec<String> {
    columns.iter().map(|column| column.name.clone()).collect()
}

/// Returns the names of all columns of a table, without attributes.
pub fn names(table: Table) -> Vec<String> {
    let own = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
    let user = || [stored_names::<UserRow>(), vec!["name"]].concat();
    match table {
        Table::Users => own(user()),
        Table::Groups => own(stored_names::<GroupRow>()),
        Table::Memberships => {
            let of = |kind: &str, names: Vec<&str>| -> Vec<String> {
                let names = names.iter();
                names.map(|name| format!("{kind}_{name}")).collect()
            };
            let parts = [
                own(vec!["grant_id", "learned"]),
                of("group", stored_names::<GroupRow>()),
                of("user", user()),
            ];
            parts.concat()
        }
    }
}

fn find(table: Table, name: &str) -> Option<TableColumn> {
    let source = match table {
        Table::Users => ColumnSource::User(user_field(name)?),
        Table::Groups => ColumnSource::Group(field(GroupRow::columns(), name)?),
        Table::Memberships => match name {
            "grant_id" => ColumnSource::GrantId,
            "learned" => ColumnSource::Learned,
            _ if name.starts_with(ATTRIBUTE) => ColumnSource::User(user_field(name)?),
            _ => match name.split_once('_')? {
                ("user", rest) => ColumnSource::User(user_field(rest)?),
                ("group", rest) => ColumnSource::Group(field(GroupRow::columns(), rest)?),
                _ => return None,
            },
        },
    };
    Some(TableColumn {
        name: name.to_owned(),
        source,
    })
}

fn user_field(name: &str) -> Option<Field> {
    if name == "name" {
        return Some(Field::Name);
    }
    field(UserRow::columns(), name)
}

fn field(stored: &[Stored], name: &str) -> Option<Field> {
    if name == PROFILE {
        return Some(Field::Profile);
    }
    if let Some(attribute) = name.strip_prefix(ATTRIBUTE) {
        return (!attribute.is_empty()).then(|| Field::Attribute(attribute.to_owned()));
    }
    let place = stored.iter().position(|column| column.name == name)?;
    Some(Field::Stored(place))
}

/// Returns the values of some fields of a row. A profile that is not valid JSON is one text, as in `diff`.
pub fn values<R: JsonRow>(row: &R, name: impl FnOnce() -> String, fields: &[Field]) -> Vec<Value> {
    let cells = row.cells();
    let profile = fields
        .iter()
        .any(Field::is_of_profile)
        .then(|| profile::<R>(&cells));
    let name = fields.contains(&Field::Name).then(name);
    let value = |field: &Field| match field {
        Field::Stored(place) => cells.get(*place).cloned(),
        Field::Name => name.clone().map(Value::from),
        Field::Profile => profile.clone(),
        Field::Attribute(attribute) => {
            let profile = profile.as_ref()?;
            profile.get(attribute).cloned()
        }
    };
    let values = fields.iter().map(value);
    values.map(Option::unwrap_or_default).collect()
}

fn profile<R: JsonRow>(cells: &[Value]) -> Value {
    let mut columns = R::columns().iter().zip(cells);
    let text = columns.find(|(column, _)| column.name == PROFILE);
    let text = text.and_then(|(_, value)| value.as_str()).unwrap_or("{}");
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

/// Returns true if a value is shown as empty: null, or a text without characters.
pub fn is_empty(value: &Value) -> bool {
    plain(value).is_empty()
}
