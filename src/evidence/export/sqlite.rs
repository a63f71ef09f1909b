//! Exports a snapshot as plain SQLite tables: one for each sheet, and `about` with one row for each fact about the
//! snapshot.

use std::path::Path;

use anyhow::Context as _;
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, params, params_from_iter};
use serde_json::{Number, Value};

use super::{ExportPlan, OrderedObject};
use crate::evidence::cells::{exact_float, plain};
use crate::snapshot::{PRAGMAS, Reader};

/// Writes the tables to an empty file, and returns the number of rows of each.
///
/// # Errors
/// Returns an error if the snapshot is damaged, if the file cannot be written, and the first error of `check`, which is
/// called for every row.
pub fn sqlite(
    reader: &Reader,
    plans: &[ExportPlan],
    about: &OrderedObject,
    path: &Path,
    check: &dyn Fn() -> anyhow::Result<()>,
) -> anyhow::Result<Vec<u64>> {
    let db = Connection::open(path)?;
    db.execute_batch(PRAGMAS)?;
    db.execute_batch("begin; create table about (name text not null primary key, value)")?;
    for (name, value) in &about.0 {
        let add = "insert into about values (?1, ?2)";
        db.execute(add, params![name, sql(value)])?;
    }
    let mut counts = Vec::new();
    for plan in plans {
        let names: Vec<String> = plan.names().iter().map(|name| quoted(name)).collect();
        let table = plan.sheet.as_str();
        db.execute_batch(&format!("create table {table} ({})", names.join(", ")))?;
        let places = vec!["?"; names.len()].join(", ");
        let mut add = db.prepare(&format!("insert into {table} values ({places})"))?;
        let mut row = |values: &[Value]| -> anyhow::Result<()> {
            check()?;
            add.execute(params_from_iter(values.iter().map(sql)))
                .context("cannot write the database")?;
            Ok(())
        };
        counts.push(plan.rows(reader, &mut row)?);
    }
    db.execute_batch("commit")?;
    db.close().map_err(|(_, error)| error)?;
    Ok(counts)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn sql(value: &Value) -> Sql {
    match value {
        Value::Null => Sql::Null,
        Value::Bool(is_true) => Sql::Integer((*is_true).into()),
        Value::Number(number) => sql_number(number),
        other => Sql::Text(plain(other)),
    }
}

/// Returns a number as SQLite's type; a number that SQLite cannot store exactly becomes a text.
fn sql_number(number: &Number) -> Sql {
    match (number.as_i64(), exact_float(number)) {
        (Some(integer), _) => Sql::Integer(integer),
        (None, Some(real)) => Sql::Real(real),
        (None, None) => Sql::Text(number.to_string()),
    }
}
