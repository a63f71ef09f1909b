//! Stores changes in an unnamed temporary file: in memory while they are few, on disk if they are many.

use std::io::{self, BufRead, BufReader, BufWriter, Seek as _, Write as _};

use tempfile::SpooledTempFile;

use super::RowChange;

/// The number of bytes that are kept in memory before the changes go to disk.
const IN_MEMORY: usize = 4 << 20;

/// Changes that are written once and read as often as needed.
pub struct Spool {
    file: BufReader<SpooledTempFile>,
}

/// A spool that is being written.
pub(super) struct SpoolWriter(BufWriter<SpooledTempFile>);

impl SpoolWriter {
    pub(super) fn new() -> Self {
        Self(BufWriter::new(SpooledTempFile::new(IN_MEMORY)))
    }

    pub(super) fn push(&mut self, change: &RowChange) -> io::Result<()> {
        serde_json::to_writer(&mut self.0, change)?;
        self.0.write_all(b"\n")
    }

    pub(super) fn finish(self) -> io::Result<Spool> {
        let file = self
            .0
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        Ok(Spool {
            file: BufReader::new(file),
        })
    }
}

impl Spool {
    /// Returns the changes, starting at the first.
    ///
    /// # Errors
    /// Returns an error if the temporary file cannot be read.
    pub fn changes(&mut self) -> io::Result<impl Iterator<Item = io::Result<RowChange>> + '_> {
        self.file.rewind()?;
        let mut line = String::new();
        Ok(std::iter::from_fn(move || {
            line.clear();
            match self.file.read_line(&mut line) {
                Ok(0) => None,
                Ok(_) => Some(serde_json::from_str(&line).map_err(io::Error::from)),
                Err(error) => Some(Err(error)),
            }
        }))
    }
}
