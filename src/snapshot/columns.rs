//! The plain tables of a snapshot, each described once: the names of the columns, their order, their SQL types and whether
//! they may be null. The schema, the writer and the reader take them from here.
//!
//! - The columns of a table are the fields of its row type, in this order. `memberships` is a view over Baton's grants, and
//!   its row type describes what the view returns.
//! - A new column is one field here, and one line in the row's constructor that sets its value.
//! - What Baton's messages do not contain is `None` in a row that was read from them.

use std::fmt;

use jiff::Timestamp;
use rusqlite::Row;
use rusqlite::types::{ToSql as _, ToSqlOutput, ValueRef};
use serde::Serialize;
use serde_json::Value;

use super::cell::{Cell, ProfileText};
use super::metadata::RunMetadata;
use crate::filter::{Domain, MatchedBy};
use crate::model::{self, Group, GroupId, Profile, User, UserId};

/// One column of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// The name.
    pub name: &'static str,
    /// `text`, `integer` or `real`.
    pub sql_type: &'static str,
    /// The constraints that SQLite enforces, such as `not null`.
    pub constraints: &'static str,
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

impl Column {
    /// Returns whether the table may contain a null here.
    pub fn is_nullable(&self) -> bool {
        self.constraints.is_empty()
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
    /// The end of a sentence.
    pub(super) problem: String,
}

/// A row of one of the plain tables.
pub(super) trait Table: Sized {
    const NAME: &'static str;
    const COLUMNS: &'static [Column];
    /// Returns the values, one for each column.
    fn values(&self) -> Vec<ToSqlOutput<'_>>;
    /// Reads a row whose columns start at number `first`.
    fn from_row(row: &Row<'_>, first: usize) -> Result<Self, BadValue>;
}

/// A row of a table, with its values as JSON: numbers as numbers, times and profiles as text.
pub trait Record {
    /// Returns the columns.
    fn columns() -> &'static [Column];
    /// Returns the values, one for each column.
    fn cells(&self) -> Vec<Value>;
}

impl<T: Table> Record for T {
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
pub(super) fn cell<T: Cell>(
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

/// Makes a row type and its table from one list of fields. A literal after a field's name is the column's name where they
/// differ, and one in brackets after its type is what SQLite enforces.
macro_rules! table {
    (
        $(#[$meta:meta])*
        pub struct $row:ident = $table:literal {
            $($(#[$field_meta:meta])* $field:ident $($name:literal)?: $type:ty $([$constraints:literal])?,)*
        }
    ) => {
        $(#[$meta])*
        pub struct $row {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl $crate::snapshot::columns::Table for $row {
            const NAME: &'static str = $table;
            const COLUMNS: &'static [$crate::snapshot::columns::Column] = &[$(
                $crate::snapshot::columns::Column {
                    name: $crate::snapshot::columns::table!(@name $field $($name)?),
                    sql_type: <$type as $crate::snapshot::cell::Cell>::SQL_TYPE,
                    constraints: concat!($($constraints)?),
                },
            )*];

            fn values(&self) -> Vec<rusqlite::types::ToSqlOutput<'_>> {
                vec![$($crate::snapshot::cell::Cell::encode(&self.$field)),*]
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
}
pub(super) use table;

table! {
    /// A user, as a row of the table `users`.
    #[derive(Clone, Debug, PartialEq)]
    pub struct UserRow = "users" {
        /// Okta's id.
        id: UserId ["not null primary key"],
        /// See [`User::status`].
        status: Option<String>,
        /// The attribute `login`.
        login: Option<String>,
        /// The attribute `email`.
        email: Option<String>,
        /// The attribute `secondEmail`.
        second_email: Option<String>,
        /// The attribute `firstName`.
        first_name: Option<String>,
        /// The attribute `lastName`.
        last_name: Option<String>,
        /// The attribute `displayName`.
        display_name: Option<String>,
        /// See [`User::created`].
        created: Option<Timestamp>,
        /// See [`User::activated`].
        activated: Option<Timestamp>,
        /// See [`User::status_changed`].
        status_changed: Option<Timestamp>,
        /// See [`User::last_login`].
        last_login: Option<Timestamp>,
        /// See [`User::last_updated`].
        last_updated: Option<Timestamp>,
        /// See [`User::password_changed`].
        password_changed: Option<Timestamp>,
        /// The address that put the user in scope.
        matched_by: Option<String>,
        /// All attributes.
        profile: ProfileText ["not null"],
    }
}

impl UserRow {
    /// Returns a row of which only the id is known.
    pub fn empty(id: impl Into<UserId>) -> Self {
        Self {
            id: id.into(),
            status: None,
            login: None,
            email: None,
            second_email: None,
            first_name: None,
            last_name: None,
            display_name: None,
            created: None,
            activated: None,
            status_changed: None,
            last_login: None,
            last_updated: None,
            password_changed: None,
            matched_by: None,
            profile: ProfileText::default(),
        }
    }

    /// Returns the row of a user, without what only the run knows.
    pub(super) fn of(user: &User) -> serde_json::Result<Self> {
        let attribute = |key| attribute(&user.profile, key);
        Ok(Self {
            status: user.status.clone(),
            login: attribute("login"),
            email: attribute("email"),
            second_email: attribute("secondEmail"),
            first_name: attribute("firstName"),
            last_name: attribute("lastName"),
            display_name: attribute("displayName"),
            created: user.created,
            activated: user.activated,
            status_changed: user.status_changed,
            last_login: user.last_login,
            last_updated: user.last_updated,
            password_changed: user.password_changed,
            profile: ProfileText::of(&user.profile)?,
            ..Self::empty(user.id.clone())
        })
    }

    /// Returns what to call the user; see [`User::display_name`].
    pub fn display_name(&self) -> String {
        let names = [&self.display_name, &self.first_name, &self.last_name];
        let names = names.map(Option::as_deref);
        model::display_name(names, self.login.as_deref(), &self.id)
    }
}

table! {
    /// A group, as a row of the table `groups`.
    #[derive(Clone, Debug, PartialEq)]
    pub struct GroupRow = "groups" {
        /// Okta's id.
        id: GroupId ["not null primary key"],
        /// The attribute `name`.
        name: Option<String>,
        /// The attribute `description`.
        description: Option<String>,
        /// See [`Group::kind`].
        kind "type": Option<String>,
        /// See [`Group::source_id`].
        source_id: Option<String>,
        /// See [`Group::created`].
        created: Option<Timestamp>,
        /// See [`Group::last_updated`].
        last_updated: Option<Timestamp>,
        /// See [`Group::last_membership_updated`].
        last_membership_updated: Option<Timestamp>,
        /// See [`Group::members_reported`].
        members_reported: Option<u64>,
        /// The number of different members that Okta listed.
        members_seen: Option<u64>,
        /// The number of members in scope; unknown if Okta denied access to the members.
        members_kept: Option<u64>,
        /// The source of the memberships; see [`model::Learned`].
        learned: Option<String> ["not null"],
        /// All attributes.
        profile: ProfileText ["not null"],
    }
}

impl GroupRow {
    /// Returns a row of which only the id is known.
    pub fn empty(id: impl Into<GroupId>) -> Self {
        Self {
            id: id.into(),
            name: None,
            description: None,
            kind: None,
            source_id: None,
            created: None,
            last_updated: None,
            last_membership_updated: None,
            members_reported: None,
            members_seen: None,
            members_kept: None,
            learned: None,
            profile: ProfileText::default(),
        }
    }

    /// Returns the row of a group, without what only the run knows.
    pub(super) fn of(group: &Group) -> serde_json::Result<Self> {
        Ok(Self {
            name: attribute(&group.profile, "name"),
            description: attribute(&group.profile, "description"),
            kind: group.kind.clone(),
            source_id: group.source_id.clone(),
            created: group.created,
            last_updated: group.last_updated,
            last_membership_updated: group.last_membership_updated,
            members_reported: group.members_reported,
            profile: ProfileText::of(&group.profile)?,
            ..Self::empty(group.id.clone())
        })
    }

    /// Returns what to call the group: the name, else the id.
    pub fn display_name(&self) -> &str {
        let name = self.name.as_deref().filter(|name| !name.is_empty());
        name.unwrap_or(self.id.as_str())
    }
}

table! {
    /// A membership, as a row of the view `memberships`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct MembershipRow = "memberships" {
        /// The member.
        user_id: UserId ["not null"],
        /// The group.
        group_id: GroupId ["not null"],
        /// The source of the group's memberships.
        learned: Option<String> ["not null"],
    }
}

impl MembershipRow {
    /// Returns the id that Baton gives the membership.
    pub fn grant_id(&self) -> String {
        format!("group:{}:member:user:{}", self.group_id, self.user_id)
    }
}

table! {
    /// The number of users with an address in a domain of the scope. Each user counts by the first address that
    /// matches.
    #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
    pub struct DomainUsers = "domains" {
        /// The domain, as the scope spells it.
        domain: String ["not null primary key"],
        /// All of them.
        users: u64 ["not null"],
        /// By the primary email.
        users_by_email: u64 ["not null"],
        /// By the login.
        users_by_login: u64 ["not null"],
        /// By the secondary email.
        users_by_second_email: u64 ["not null"],
    }
}

impl DomainUsers {
    /// Returns the row of a domain before any user is counted.
    pub fn none_of(domain: &Domain) -> Self {
        Self {
            domain: domain.to_string(),
            ..Self::default()
        }
    }

    /// Counts a user.
    pub fn add(&mut self, by: MatchedBy) {
        self.users += 1;
        match by {
            MatchedBy::Email => self.users_by_email += 1,
            MatchedBy::Login => self.users_by_login += 1,
            MatchedBy::SecondEmail => self.users_by_second_email += 1,
        }
    }
}

table! {
    /// Something that limits the snapshot.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize)]
    pub struct Warning = "warnings" {
        /// A word for programs.
        code: String ["not null"],
        /// The subject: `run`, `user` or `group`.
        kind: String ["not null"],
        /// The user or group.
        object_id: Option<String>,
        /// A sentence for people.
        message: String ["not null"],
    }
}

impl Warning {
    /// The code of a group whose members the token cannot read.
    pub const MEMBERS_FORBIDDEN: &str = "members_forbidden";
    /// The code of a group whose listing ended early, twice.
    pub const MEMBERS_CUT: &str = "members_cut";
    /// The code of a user whose groups the token cannot read.
    pub const GROUPS_FORBIDDEN: &str = "groups_forbidden";

    /// Returns whether the snapshot may lack memberships of the group or user that the warning is about.
    pub fn limits_memberships(&self) -> bool {
        [
            Self::MEMBERS_FORBIDDEN,
            Self::MEMBERS_CUT,
            Self::GROUPS_FORBIDDEN,
        ]
        .contains(&self.code.as_str())
    }
}

fn attribute(profile: &Profile, key: &str) -> Option<String> {
    profile.get(key)?.as_str().map(str::to_owned)
}
