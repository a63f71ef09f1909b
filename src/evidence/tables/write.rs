//! Writes rows as an aligned table, CSV or JSON, one at a time.

mod csv;
mod json;
mod text;

use std::io;

use serde_json::Value;

pub use self::csv::{Csv, CsvStyle};
pub use self::json::{Json, JsonLines};
pub use self::text::Text;

/// Writes the rows of one table.
pub trait WriteRows {
    /// Writes a row: one value for every column.
    ///
    /// # Errors
    /// Returns an error if the output fails.
    fn row(&mut self, values: &[Value]) -> io::Result<()>;

    /// Writes what follows the last row.
    ///
    /// # Errors
    /// Returns an error if the output fails.
    fn end(&mut self) -> io::Result<()>;
}
