//! Rows as JSON objects, one per line.

use std::io::{self, Write};

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::Value;

use super::WriteRows;
use crate::text;

/// A row as an object that keeps the order of the columns.
struct Row<'a> {
    names: &'a [String],
    values: &'a [Value],
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.values.len()))?;
        for (name, value) in self.names.iter().zip(self.values) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Returns a row as one line with a line break.
fn line(names: &[String], values: &[Value]) -> io::Result<String> {
    let line = serde_json::to_string(&Row { names, values })?;
    Ok(text::json(line))
}

/// Writes rows as one array of objects.
pub struct Json<'a, W> {
    out: W,
    names: &'a [String],
    is_first: bool,
}

impl<'a, W: Write> Json<'a, W> {
    /// Starts the array.
    ///
    /// # Errors
    /// Returns an error if the output fails.
    pub fn new(mut out: W, names: &'a [String]) -> io::Result<Self> {
        out.write_all(b"[")?;
        Ok(Self {
            out,
            names,
            is_first: true,
        })
    }
}

impl<W: Write> WriteRows for Json<'_, W> {
    fn row(&mut self, values: &[Value]) -> io::Result<()> {
        let line = line(self.names, values)?;
        let start = if self.is_first { "\n  " } else { ",\n  " };
        self.is_first = false;
        self.out.write_all(start.as_bytes())?;
        self.out.write_all(line.trim_end().as_bytes())
    }

    fn end(&mut self) -> io::Result<()> {
        let end = if self.is_first { "]\n" } else { "\n]\n" };
        self.out.write_all(end.as_bytes())?;
        self.out.flush()
    }
}

/// Writes rows as one object per line.
pub struct JsonLines<'a, W> {
    out: W,
    names: &'a [String],
}

impl<'a, W: Write> JsonLines<'a, W> {
    /// Creates a writer. Nothing is written before the first row.
    pub fn new(out: W, names: &'a [String]) -> Self {
        Self { out, names }
    }
}

impl<W: Write> WriteRows for JsonLines<'_, W> {
    fn row(&mut self, values: &[Value]) -> io::Result<()> {
        self.out.write_all(line(self.names, values)?.as_bytes())
    }

    fn end(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
