//! Checks which tables and columns a file has, and that they are ordinary tables.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};

use crate::snapshot::Error;
use crate::snapshot::columns::{FIRST, TableRow};
use crate::snapshot::metadata::RunMetadata;

/// The largest number of tables, indexes, views and triggers in a database, and the length in bytes of the longest SQL of
/// one of them. Baton's databases have about 25.
pub(super) const MAX_SCHEMA: (i32, usize) = (1000, 64 << 10);

pub(super) fn names<T: TableRow>() -> impl Iterator<Item = &'static str> {
    T::COLUMNS.iter().map(|column| column.name)
}

/// Returns the columns that a file with this version of the tables has.
pub(super) fn expected<T: TableRow>(version: u32) -> impl Iterator<Item = &'static str> {
    let columns = T::COLUMNS.iter();
    columns
        .filter(move |column| column.since <= version)
        .map(|column| column.name)
}

/// Returns the columns of a plain table for a `select`, with `p` as the table. Columns that the file's version does not
/// have are null.
pub(super) fn plain_columns<T: TableRow>(
    path: &Path,
    db: &Connection,
    metadata: &RunMetadata,
) -> Result<String, Error> {
    let known = columns(path, db, T::NAME)?
        .ok_or_else(|| Error::damaged(path, format!("the table {} is missing", T::NAME)))?;
    let version = metadata.schema_version;
    // Version 1 got columns without a new number.
    if version >= FIRST {
        has(path, T::NAME, &known, expected::<T>(version))?;
    }
    Ok(selected::<T>(&known, "p."))
}

/// Returns all columns of a table for a `select`, with null for those that the file does not have.
pub(super) fn selected<T: TableRow>(known: &[String], prefix: &str) -> String {
    let is_known = |name: &str| known.iter().any(|column| column == name);
    let selected = names::<T>().map(|name| match is_known(name) {
        true => format!("{prefix}{name}"),
        false => "null".to_owned(),
    });
    selected.collect::<Vec<_>>().join(", ")
}

pub(super) fn has(
    path: &Path,
    table: &str,
    columns: &[String],
    needed: impl IntoIterator<Item = &'static str>,
) -> Result<(), Error> {
    let missing = needed
        .into_iter()
        .find(|name| !columns.iter().any(|column| column == name));
    missing.map_or(Ok(()), |name| {
        Err(Error::damaged(
            path,
            format!("the table {table} has no column {name}"),
        ))
    })
}

/// Returns the columns of a table; none if there is no such table. Refuses views, virtual tables and generated columns,
/// because they would run SQL from the file.
pub(super) fn columns(
    path: &Path,
    db: &Connection,
    table: &str,
) -> Result<Option<Vec<String>>, Error> {
    let columns = || -> rusqlite::Result<Option<(bool, Vec<String>)>> {
        // SQLite writes the first words of the SQL itself; they tell a table from a virtual table.
        let sql = "select type = 'table' and rootpage > 0 and sql like 'create table %' from main.sqlite_schema
            where name = ?1 collate nocase and type in ('table', 'view')";
        let plain: Option<bool> = db.query_row(sql, [table], |row| row.get(0)).optional()?;
        let Some(mut plain) = plain else {
            return Ok(None);
        };
        let mut statement = db.prepare("select name, hidden from pragma_table_xinfo(?1)")?;
        let mut rows = statement.query([table])?;
        let mut names = Vec::new();
        while let Some(row) = rows.next()? {
            plain &= row.get::<_, i64>(1)? == 0;
            names.push(row.get::<_, String>(0)?);
        }
        // A column with this name would hide the number of the row.
        plain &= !names.iter().any(|name| name.eq_ignore_ascii_case("rowid"));
        Ok(Some((plain, names)))
    };
    match columns().map_err(|error| Error::reading(path, MAX_SCHEMA.1, error))? {
        Some((false, _)) => Err(Error::damaged(
            path,
            format!("{table} is not an ordinary table"),
        )),
        Some((true, names)) => Ok(Some(names)),
        None => Ok(None),
    }
}
