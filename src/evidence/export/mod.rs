//! Exports a snapshot in formats that other programs read: CSV, JSON lines, a workbook, and plain SQLite tables.
//!
//! - Every format has the same sheets, columns and rows, sorted by id, and equal snapshots give equal bytes.
//! - Users, groups and memberships have the columns of [`tables`](super::tables); domains and warnings have the columns
//!   of the file.
//! - Rows are written as they are read.

mod about;
mod manifest;
mod sqlite;
mod xlsx;

use std::path::Path;

use clap::ValueEnum;
use serde_json::Value;

pub use self::about::{OrderedObject, about};
pub use self::manifest::{ExportManifest, Exported, check_sums};
pub use self::sqlite::sqlite;
pub use self::xlsx::xlsx;
use super::tables::Table;
use super::tables::columns::{self, DefaultColumns, TableColumn};
use super::tables::filter::Filter;
use super::tables::rows::{self, Query};
use crate::snapshot::{DomainUsers, Error, JsonRow, Reader, Warning};
use crate::words::Words;

/// A table of an export, in the order of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
#[allow(missing_docs, reason = "the names are the tables'")]
pub enum Sheet {
    Users,
    Groups,
    Memberships,
    Domains,
    Warnings,
}

impl Sheet {
    /// Returns the name for options and file names.
    pub fn as_str(self) -> &'static str {
        static WORDS: Words<Sheet> = Words::new();
        WORDS.of(self)
    }

    /// Returns the table whose columns can be chosen, or `None` for the other sheets.
    pub fn table(self) -> Option<Table> {
        match self {
            Self::Users => Some(Table::Users),
            Self::Groups => Some(Table::Groups),
            Self::Memberships => Some(Table::Memberships),
            Self::Domains | Self::Warnings => None,
        }
    }
}

/// The format of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "the names say it")]
pub enum ExportFormat {
    Csv,
    #[value(name = "jsonl")]
    JsonLines,
    Xlsx,
    Sqlite,
}

impl ExportFormat {
    /// Returns the file extension.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::JsonLines => "jsonl",
            Self::Xlsx => "xlsx",
            Self::Sqlite => "db",
        }
    }

    /// Returns true if one file contains all tables.
    pub fn is_one_file(self) -> bool {
        matches!(self, Self::Xlsx | Self::Sqlite)
    }

    /// Returns true if a path has an extension of this format.
    pub fn is_ending_of(self, path: &Path) -> bool {
        let ending = path
            .extension()
            .map(|ending| ending.to_string_lossy().to_lowercase());
        match (self, ending.as_deref()) {
            (Self::Sqlite, Some(ending)) => matches!(ending, "db" | "sqlite" | "sqlite3"),
            (format, ending) => ending == Some(format.ending()),
        }
    }
}

/// A sheet and the columns to export.
#[derive(Clone, Debug)]
pub struct ExportPlan {
    /// The sheet.
    pub sheet: Sheet,
    /// The columns to export; empty for domains and warnings, which always have all columns.
    columns: Vec<TableColumn>,
}

impl ExportPlan {
    /// Returns a plan with the chosen columns, or with all columns if none is chosen.
    pub fn new(sheet: Sheet, chosen: &[TableColumn]) -> Self {
        let columns = match sheet.table() {
            Some(table) if chosen.is_empty() => {
                columns::default_columns(table, DefaultColumns::All)
            }
            _ => chosen.to_vec(),
        };
        Self { sheet, columns }
    }

    /// Returns the names of the columns.
    pub fn names(&self) -> Vec<String> {
        let stored = match self.sheet {
            Sheet::Domains => DomainUsers::columns(),
            Sheet::Warnings => Warning::columns(),
            _ => return columns::names_of(&self.columns),
        };
        stored.iter().map(|column| column.name.to_owned()).collect()
    }

    /// Calls `row` for each row, and returns the number of rows.
    ///
    /// # Errors
    /// Returns an error if the snapshot is damaged, and the first error of `row`.
    pub fn rows<E: From<Error>>(
        &self,
        reader: &Reader,
        row: &mut dyn FnMut(&[Value]) -> Result<(), E>,
    ) -> Result<u64, E> {
        let Some(table) = self.sheet.table() else {
            let rows = if self.sheet == Sheet::Domains {
                cells(&reader.domains()?)
            } else {
                cells(&reader.warnings()?)
            };
            rows.iter().try_for_each(|cells| row(cells))?;
            return Ok(rows.len() as u64);
        };
        let query = Query {
            table,
            columns: self.columns.clone(),
            filter: Filter::default(),
            limit: None,
        };
        Ok(rows::list(reader, &query, row)?.listed)
    }
}

fn cells<R: JsonRow>(rows: &[R]) -> Vec<Vec<Value>> {
    rows.iter().map(JsonRow::cells).collect()
}
