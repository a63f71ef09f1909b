//! Runs a query within its time limit, and reads objects and values from its rows.

use prost::Message;
use rusqlite::types::ValueRef;
use rusqlite::{Params, Row};
use serde_json::Value;

use super::{Reader, ValueSize, bad_value, limit};
use crate::model::Profile;
use crate::snapshot::columns::TableRow;
use crate::snapshot::limits::{MAX_ELEMENTS, MAX_MESSAGE, MAX_VALUE};
use crate::snapshot::{Error, GroupRow, UserRow, baton, proto};

impl Reader {
    /// Reads the user in a row of `v1_resources`.
    pub(super) fn user(&self, row: i64) -> Result<UserRow, Error> {
        self.one(&self.user_query, row, |row| {
            self.object(row, |id, resource| {
                let user = baton::user_of(id.into(), resource);
                self.small(&user.profile, user.id.as_str())?;
                UserRow::of(&user).map_err(|error| self.no_json(user.id.as_str(), &error))
            })
        })
    }

    /// Reads the group in a row of `v1_resources`.
    pub(super) fn group(&self, row: i64) -> Result<GroupRow, Error> {
        self.one(&self.group_query, row, |row| {
            self.object(row, |id, resource| {
                let group = baton::group_of(id.into(), resource);
                self.small(&group.profile, group.id.as_str())?;
                GroupRow::of(&group).map_err(|error| self.no_json(group.id.as_str(), &error))
            })
        })
    }

    /// Reads a row of [`Self::user_query`] or [`Self::group_query`], from its plain table or else from its message.
    fn object<T: TableRow>(
        &self,
        row: &Row<'_>,
        of_message: impl FnOnce(String, proto::Resource) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let id = self.text(row, 0)?;
        if self.optional_text(row, 2)?.is_some() {
            return T::from_row(row, 3).map_err(|bad| bad_value::<T>(&self.path, Some(&id), &bad));
        }
        let resource = self.message(row, 1, &id)?;
        of_message(id, resource)
    }

    /// Reads a row that another query found, within the time limit of that query.
    fn one<T>(
        &self,
        sql: &str,
        row: i64,
        read: impl Fn(&Row<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut found = None;
        self.more::<Error>(ValueSize::Long, sql, [row], |row| {
            found = Some(read(row)?);
            Ok(())
        })?;
        found.ok_or_else(|| Error::damaged(&self.path, format!("row {row} is there and is not")))
    }

    fn message(&self, row: &Row<'_>, column: usize, id: &str) -> Result<proto::Resource, Error> {
        let bytes = row.get_ref(column).map_err(|error| self.reading(error))?;
        let bytes = bytes
            .as_blob()
            .map_err(|_| Error::damaged(&self.path, format!("the resource {id} has no data")))?;
        if bytes.len() > MAX_MESSAGE {
            return Err(Error::message_too_big(&self.path));
        }
        proto::Resource::decode(bytes).map_err(|error| {
            Error::damaged(
                &self.path,
                format!("the resource {id} does not decode ({error})"),
            )
        })
    }

    /// Returns an error if a profile has too many values.
    fn small(&self, profile: &Profile, id: &str) -> Result<(), Error> {
        fn elements(value: &Value) -> usize {
            match value {
                Value::Array(list) => list.iter().map(|value| 1 + elements(value)).sum(),
                Value::Object(map) => map.values().map(|value| 1 + elements(value)).sum(),
                _ => 0,
            }
        }
        let count: usize = profile.values().map(|value| 1 + elements(value)).sum();
        if count > MAX_ELEMENTS {
            let why = format!("the profile of {id} contains more than {MAX_ELEMENTS} values");
            return Err(Error::damaged(&self.path, why));
        }
        Ok(())
    }

    fn no_json(&self, id: &str, error: &serde_json::Error) -> Error {
        let why = format!("the profile of {id} is not a JSON object ({error})");
        Error::damaged(&self.path, why)
    }

    pub(super) fn number(&self, row: &Row<'_>, column: usize) -> Result<i64, Error> {
        row.get(column).map_err(|error| self.reading(error))
    }

    pub(super) fn text(&self, row: &Row<'_>, column: usize) -> Result<String, Error> {
        row.get(column).map_err(|error| self.reading(error))
    }

    pub(super) fn optional_text(
        &self,
        row: &Row<'_>,
        column: usize,
    ) -> Result<Option<String>, Error> {
        row.get(column).map_err(|error| self.reading(error))
    }

    /// Calls `f` with every row of a query that has its own time limit; `f` returns only errors of SQLite.
    pub(super) fn each(
        &self,
        values: ValueSize,
        sql: &str,
        params: impl Params,
        mut f: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), Error> {
        self.rows(values, sql, params, |row| {
            f(row).map_err(|error| self.reading(error))
        })
    }

    /// Calls `f` with every row of a query that has its own time limit.
    pub(super) fn rows<E: From<Error>>(
        &self,
        values: ValueSize,
        sql: &str,
        params: impl Params,
        f: impl FnMut(&Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.start();
        self.more(values, sql, params, f)
    }

    /// Calls `f` with every row of a query that shares the time limit of the query before.
    pub(super) fn more<E: From<Error>>(
        &self,
        values: ValueSize,
        sql: &str,
        params: impl Params,
        mut f: impl FnMut(&Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let failed = |error| E::from(Error::reading(&self.path, values.limit(), error));
        let mut statement = self.db.prepare_cached(sql).map_err(failed)?;
        let mut rows = statement.query(params).map_err(failed)?;
        loop {
            // The callback may have set another limit.
            limit(&self.db, values.limit()).map_err(failed)?;
            let Some(row) = rows.next().map_err(failed)? else {
                return Ok(());
            };
            self.check_length(row)?;
            f(row)?;
        }
    }

    /// Subtracts the length of a row from what the result may still have. Returns an error if the row is longer.
    pub(super) fn check_length(&self, row: &Row<'_>) -> Result<(), Error> {
        let mut left = Some(self.result_left.get());
        for column in 0..row.as_ref().column_count() {
            let value = row.get_ref(column).map_err(|error| self.reading(error))?;
            if let ValueRef::Text(bytes) | ValueRef::Blob(bytes) = value {
                left = left.and_then(|left| left.checked_sub(bytes.len() as u64));
            }
        }
        let why = "its rows contain more bytes than the entire file";
        let left = left.ok_or_else(|| Error::damaged(&self.path, why))?;
        self.result_left.set(left);
        Ok(())
    }

    pub(super) fn reading(&self, error: rusqlite::Error) -> Error {
        Error::reading(&self.path, MAX_VALUE, error)
    }
}
