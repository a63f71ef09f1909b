//! Reads workbooks row by row, since an entire sheet in memory takes a kilobyte per row.

use std::io::Cursor;
use std::ops::ControlFlow;

use calamine::{Cell as Read, DataRef, ExcelDateTime, Reader as _, SheetType, Xlsx};

use super::{Cell, Error, Record};

/// The largest unpacked size of all files in a workbook, in bytes.
const LARGEST: u64 = 2 << 30;
/// The largest unpacked size of the file with the texts, in bytes. This file is read into memory.
const LARGEST_TEXTS: u64 = 256 << 20;
/// Files of at least this unpacked size, in bytes, may have a compression ratio of at most `TIGHTEST`. Rows of a table
/// reach about 15.
const LARGE: u64 = 16 << 20;
const TIGHTEST: u64 = 100;
/// The largest numbers of rows and columns in a sheet (Excel's limits).
const MAX_ROWS: u32 = 1_048_576;
const MAX_COLUMNS: u32 = 16_384;

/// An open workbook.
pub struct Workbook(Xlsx<Cursor<Vec<u8>>>);

impl Workbook {
    /// Returns true if a file begins like a ZIP file, as all workbooks do.
    pub fn is_workbook(bytes: &[u8]) -> bool {
        bytes.starts_with(b"PK\x03\x04")
    }

    /// Opens a workbook.
    ///
    /// # Errors
    /// Returns an error if the file is not a workbook, or if it would exhaust memory.
    pub fn open(bytes: Vec<u8>) -> Result<Self, Error> {
        let mut file = Cursor::new(bytes);
        refuse_large(&mut file)?;
        let workbook = Xlsx::new(file).map_err(bad)?;
        Ok(Self(workbook))
    }

    /// Returns the names of the worksheets.
    pub fn sheets(&self) -> Vec<String> {
        let sheets = self.0.sheets_metadata().iter();
        let tables = sheets.filter(|sheet| sheet.typ == SheetType::WorkSheet);
        tables.map(|sheet| sheet.name.clone()).collect()
    }

    /// Calls a function with each row that has a cell, until the function returns `Break`.
    ///
    /// # Errors
    /// Returns an error if the sheet is damaged, and the first error of `each`.
    pub fn records<E: From<Error>>(
        &mut self,
        sheet: &str,
        each: &mut dyn FnMut(Record) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        let mut cells = self.0.worksheet_cells_reader(sheet).map_err(bad)?;
        let mut record = Record::default();
        while let Some(cell) = cells.next_cell().map_err(bad)? {
            let (row, column) = cell.get_position();
            if row >= MAX_ROWS || column >= MAX_COLUMNS {
                return Err(bad("a cell is outside of the sheet").into());
            }
            let line = u64::from(row) + 1;
            if line != record.line {
                if record.line > 0 && each(std::mem::take(&mut record))?.is_break() {
                    return Ok(());
                }
                record.line = line;
            }
            add(&mut record, &cell);
        }
        if record.line > 0 {
            let _ = each(record)?;
        }
        Ok(())
    }
}

fn bad(error: impl std::fmt::Display) -> Error {
    Error::BadTable(format!(
        "the workbook cannot be read ({error}); save it as XLSX or CSV again"
    ))
}

fn refuse_large(file: &mut Cursor<Vec<u8>>) -> Result<(), Error> {
    let mut archive = zip::ZipArchive::new(file).map_err(bad)?;
    let mut all: u64 = 0;
    for place in 0..archive.len() {
        let entry = archive.by_index_raw(place).map_err(bad)?;
        all = all.saturating_add(entry.size());
        let name = entry.name().map_err(bad)?;
        let is_texts = name.ends_with("sharedStrings.xml");
        let packed = entry.compressed_size().max(1);
        let is_bomb = entry.size() >= LARGE && entry.size() / packed > TIGHTEST;
        if all > LARGEST || is_bomb || (is_texts && entry.size() > LARGEST_TEXTS) {
            return Err(bad("it is too large when unpacked"));
        }
    }
    Ok(())
}

fn add(record: &mut Record, read: &Read<DataRef<'_>>) {
    let text = text(read.get_value());
    if text.is_empty() {
        return;
    }
    let place = read.get_position().1 as usize;
    if record.cells.len() <= place {
        record.cells.resize_with(place + 1, Cell::default);
    }
    record.cells[place] = Cell {
        is_broken: text.contains(['\n', '\r']),
        text,
    };
}

fn text(value: &DataRef<'_>) -> String {
    match value {
        DataRef::Empty => String::new(),
        DataRef::Error(error) => error.to_string(),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => {
            text.clone()
        }
        DataRef::SharedString(text) => (*text).to_owned(),
        DataRef::Int(number) => number.to_string(),
        DataRef::Float(number) => number.to_string(),
        DataRef::Bool(is_true) => is_true.to_string(),
        DataRef::DateTime(time) => date(time),
    }
}

fn date(time: &ExcelDateTime) -> String {
    if !time.is_datetime() {
        return time.as_f64().to_string();
    }
    let (year, month, day, hour, minute, second, _) = time.to_ymd_hms_milli();
    if (hour, minute, second) == (0, 0, 0) {
        return format!("{year:04}-{month:02}-{day:02}");
    }
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}
