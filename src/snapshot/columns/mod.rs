//! The plain tables of a snapshot, each described once, in a file of its own: the names of the columns, their order, their
//! SQL types and whether they can be null. The schema, the writer, the reader, the exports and the hash of the content use
//! these descriptions.
//!
//! - The columns of a table are the fields of its row type, in this order.
//! - What Baton's messages do not contain is `None` in a row that was read from them.
//! - `[since 3]` after a column names the first version of the tables with it. The version of new files, the reading of
//!   old ones, the hash and `diff` follow from these numbers.
//! - `[in baton]` after a column means that the Go connector writes it to Baton's tables, and so does this program.
//!   Between a file of another program and one of ours, `diff` compares only these columns.
//!
//! CONTRIBUTING.md has the steps to add a column.

mod domains;
mod groups;
mod memberships;
mod users;
mod warnings;

use std::fmt;

use rusqlite::Row;
use rusqlite::types::{ToSql as _, ToSqlOutput, ValueRef};
use serde_json::Value;

use super::cell::ColumnType;
use super::metadata::RunMetadata;
use crate::model::Profile;

pub use self::domains::DomainUsers;
pub use self::groups::GroupRow;
pub use self::memberships::MembershipRow;
pub use self::users::UserRow;
pub use self::warnings::Warning;

/// One column of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// The name.
    pub name: &'static str,
    /// `text`, `integer` or `real`.
    pub sql_type: &'static str,
    /// The constraints that SQLite enforces, such as `not null`.
    pub constraints: &'static str,
    /// The first version of the tables with this column; [`FIRST`] for every column without `since`.
    pub since: u32,
    /// True if Baton's tables contain the value too, even if the Go connector wrote them.
    pub in_baton: bool,
}

/// The tables that a run is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunTables {
    /// The plain tables, in this version.
    Plain(u32),
    /// Baton's tables, since another program wrote the run.
    Baton,
}

impl RunTables {
    /// Returns whether every file with these tables contains a column.
    pub fn has(self, column: &Column) -> bool {
        match self {
            Self::Plain(version) => column.since <= version,
            Self::Baton => column.in_baton,
        }
    }
}

/// The version that columns without `since` have. Files of version 1 may lack some of them.
pub const FIRST: u32 = 2;

/// The version of the plain tables: that of the newest column. A reader refuses a newer one.
pub const SCHEMA_VERSION: u32 = newest();

const fn newest() -> u32 {
    let mut version = FIRST;
    let mut table = 0;
    while table < TABLES.len() {
        let columns = TABLES[table].1;
        let mut column = 0;
        while column < columns.len() {
            if columns[column].since > version {
                version = columns[column].since;
            }
            column += 1;
        }
        table += 1;
    }
    version
}

/// The definition of the column in SQL.
impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.sql_type)?;
        if !self.constraints.is_empty() {
            write!(f, " {}", self.constraints)?;
        }
        Ok(())
    }
}

/// Every table, in the order in which the documents describe them.
pub const TABLES: [(&str, &[Column]); 6] = [
    (UserRow::NAME, UserRow::COLUMNS),
    (GroupRow::NAME, GroupRow::COLUMNS),
    (MembershipRow::NAME, MembershipRow::COLUMNS),
    (DomainUsers::NAME, DomainUsers::COLUMNS),
    (RunMetadata::NAME, RunMetadata::COLUMNS),
    (Warning::NAME, Warning::COLUMNS),
];

/// A value that does not fit its column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadValue {
    pub(super) column: &'static str,
    /// What is wrong with the value, as the end of a sentence.
    pub(super) problem: String,
}

/// A row of one of the plain tables.
pub(super) trait TableRow: Sized {
    const NAME: &'static str;
    const COLUMNS: &'static [Column];
    /// Returns the values, one for each column.
    fn values(&self) -> Vec<ToSqlOutput<'_>>;
    /// Reads a row whose columns start at number `first`.
    fn from_row(row: &Row<'_>, first: usize) -> Result<Self, BadValue>;
}

/// A row of a table as JSON: numbers as numbers, times and profiles as text.
pub trait JsonRow {
    /// Returns the columns.
    fn columns() -> &'static [Column];
    /// Returns the values, one for each column.
    fn cells(&self) -> Vec<Value>;
}

impl<T: TableRow> JsonRow for T {
    fn columns() -> &'static [Column] {
        T::COLUMNS
    }

    fn cells(&self) -> Vec<Value> {
        let json = |value: &ToSqlOutput<'_>| match value.to_sql() {
            Ok(ToSqlOutput::Borrowed(value)) => match value {
                ValueRef::Integer(number) => Value::from(number),
                ValueRef::Real(number) => Value::from(number),
                ValueRef::Text(text) => Value::from(String::from_utf8_lossy(text).as_ref()),
                ValueRef::Null | ValueRef::Blob(_) => Value::Null,
            },
            _ => Value::Null,
        };
        self.values().iter().map(json).collect()
    }
}

/// Reads one value, and moves on to the next column.
pub(super) fn cell<T: ColumnType>(
    row: &Row<'_>,
    at: &mut usize,
    column: &'static str,
) -> Result<T, BadValue> {
    let value = row.get_ref(*at).map_err(|error| error.to_string());
    *at += 1;
    value
        .and_then(T::decode)
        .map_err(|problem| BadValue { column, problem })
}

/// Defines a row type and its table from one list of fields. A literal after a field's name is the name of the column, if
/// it is another one. Brackets after the type contain the constraints, the first version of the tables with the column, and
/// whether Baton's tables have it too.
macro_rules! table {
    (
        $(#[$meta:meta])*
        pub struct $row:ident = $table:literal {
            $($(#[$field_meta:meta])* $field:ident $($name:literal)?: $type:ty $([$constraints:literal])? $([since $since:literal])? $([in $baton:ident])?,)*
        }
    ) => {
        $(#[$meta])*
        pub struct $row {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl $crate::snapshot::columns::TableRow for $row {
            const NAME: &'static str = $table;
            const COLUMNS: &'static [$crate::snapshot::columns::Column] = &[$(
                $crate::snapshot::columns::Column {
                    name: $crate::snapshot::columns::table!(@name $field $($name)?),
                    sql_type: <$type as $crate::snapshot::cell::ColumnType>::SQL_TYPE,
                    constraints: concat!($($constraints)?),
                    since: $crate::snapshot::columns::table!(@since $($since)?),
                    in_baton: $crate::snapshot::columns::table!(@in $($baton)?),
                },
            )*];

            fn values(&self) -> Vec<rusqlite::types::ToSqlOutput<'_>> {
                vec![$($crate::snapshot::cell::ColumnType::encode(&self.$field)),*]
            }

            fn from_row(
                row: &rusqlite::Row<'_>,
                first: usize,
            ) -> Result<Self, $crate::snapshot::columns::BadValue> {
                let mut at = first;
                Ok(Self {
                    $($field: $crate::snapshot::columns::cell(
                        row,
                        &mut at,
                        $crate::snapshot::columns::table!(@name $field $($name)?),
                    )?,)*
                })
            }
        }
    };
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $name:literal) => { $name };
    (@since) => { $crate::snapshot::columns::FIRST };
    (@since $since:literal) => { $since };
    (@in) => { false };
    (@in baton) => { true };
}
pub(super) use table;

fn attribute(profile: &Profile, key: &str) -> Option<String> {
    profile.get(key)?.as_str().map(str::to_owned)
}
