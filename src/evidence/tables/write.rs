//! Writes rows one at a time, as an aligned table, CSV or JSON.

mod csv;
mod json;
mod text;

use std::io;

use clap::ValueEnum;
use serde_json::Value;

pub use self::csv::{Csv, CsvStyle};
pub use self::json::{Json, JsonLines};
pub use self::text::Text;

/// The format of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "the names say it")]
pub enum TableFormat {
    /// Also `text`, as in other commands.
    #[value(name = "table", alias = "text")]
    Text,
    Csv,
    Json,
}

/// A writer for the rows of one table.
pub trait WriteRows {
    /// Writes a row with one value for each column.
    ///
    /// # Errors
    /// Returns an error if the output fails.
    fn row(&mut self, values: &[Value]) -> io::Result<()>;

    /// Finishes the output after the last row.
    ///
    /// # Errors
    /// Returns an error if the output fails.
    fn end(&mut self) -> io::Result<()>;
}
