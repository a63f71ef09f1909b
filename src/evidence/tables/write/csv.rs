//! Rows as CSV (RFC 4180).

use std::io::{self, Write};

use serde_json::Value;

use super::WriteRows;
use crate::evidence::cells::{csv_text, csv_value, plain, write_record};

/// The byte order mark by which Excel recognizes UTF-8.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The style of a CSV file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CsvStyle {
    /// True if texts that a spreadsheet would evaluate as formulas are not escaped.
    pub raw: bool,
    /// True if the file starts with a byte order mark.
    pub bom: bool,
}

/// Writes a header and rows as CSV.
pub struct Csv<W: Write> {
    out: ::csv::Writer<W>,
    raw: bool,
}

impl<W: Write> Csv<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// Returns an error if the output fails.
    pub fn new(mut out: W, names: &[String], style: CsvStyle) -> io::Result<Self> {
        if style.bom {
            out.write_all(BYTE_ORDER_MARK)?;
        }
        let mut out = ::csv::WriterBuilder::new()
            .terminator(::csv::Terminator::CRLF)
            .from_writer(out);
        let escaped = |name: &String| match style.raw {
            true => name.clone(),
            false => csv_text(name),
        };
        write_record(&mut out, names.iter().map(escaped))?;
        Ok(Self {
            out,
            raw: style.raw,
        })
    }
}

impl<W: Write> WriteRows for Csv<W> {
    fn row(&mut self, values: &[Value]) -> io::Result<()> {
        let cell = if self.raw { plain } else { csv_value };
        write_record(&mut self.out, values.iter().map(cell))
    }

    fn end(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
