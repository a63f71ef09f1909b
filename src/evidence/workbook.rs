//! Writes workbooks, and their cells and sheets.
//!
//! - Cells have the type text, so a text that starts like a formula is not run and needs no escaping.
//! - A workbook has the time of its snapshot, so that equal snapshots give equal bytes.
//! - rust_xlsxwriter panics if it cannot write the temporary files of the sheets. Here, that is an error; any other panic is
//!   a fault, and stays one.

use std::io::{self, Seek, SeekFrom, Write};
use std::panic::{self, AssertUnwindSafe, Location};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, anyhow, bail, ensure};
use jiff::Timestamp;
use rust_xlsxwriter::{DocProperties, ExcelDateTime, Workbook, Worksheet, XlsxError};
use serde_json::Value;

use super::cells::{exact_float, plain};
use super::export::OrderedObject;
use crate::atomic_file::NO_TEMPORARY_FILE;

/// The largest number of rows in a sheet, without the header (Excel's limit).
pub const MAX_ROWS: u64 = 1_048_575;
/// The largest number of UTF-16 units in a cell (Excel's limit).
const MAX_CELL: usize = 32_767;

/// Writes a workbook with the sheets that `fill` adds, and returns what it returns.
///
/// # Errors
/// Returns an error if the snapshot was taken before 1900, if the temporary files of the sheets or the output cannot be
/// written, and the error of `fill`.
pub fn write_workbook<T>(
    taken_at: Timestamp,
    out: impl Write + Seek + Send,
    fill: impl FnOnce(&mut Workbook) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let created = ExcelDateTime::from_timestamp(taken_at.as_second());
    let created = created.context("the time of the snapshot")?;
    let written = without_panic(|| {
        let mut workbook = Workbook::new();
        workbook.set_properties(&DocProperties::new().set_creation_datetime(&created));
        let filled = fill(&mut workbook)?;
        let mut out = FirstErrorOnly { out, failed: false };
        workbook
            .save_to_writer(&mut out)
            .context("cannot write the workbook")?;
        ensure!(!out.failed, "cannot write the workbook");
        Ok(filled)
    });
    written.map_err(|error| match error.downcast_ref() {
        Some(XlsxError::TempFileError(folder, cause)) => {
            anyhow!("{NO_TEMPORARY_FILE}: {}: {cause}", folder.display())
        }
        _ => error,
    })
}

/// Returns the first error of a file, and pretends to write from then on. The library for ZIP files ends the file again
/// when it is dropped, and would print a second error to stderr.
struct FirstErrorOnly<W> {
    out: W,
    failed: bool,
}

impl<W> FirstErrorOnly<W> {
    fn unless_failed<T>(
        &mut self,
        pretended: T,
        run: impl FnOnce(&mut W) -> io::Result<T>,
    ) -> io::Result<T> {
        if self.failed {
            return Ok(pretended);
        }
        let result = run(&mut self.out);
        // An interrupted call is repeated by the caller.
        let is_final = |error: &io::Error| error.kind() != io::ErrorKind::Interrupted;
        self.failed = result.as_ref().is_err_and(is_final);
        result
    }
}

impl<W: Write> Write for FirstErrorOnly<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.unless_failed(bytes.len(), |out| out.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.unless_failed((), W::flush)
    }
}

impl<W: Seek> Seek for FirstErrorOnly<W> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.unless_failed(0, |out| out.seek(to))
    }
}

/// Runs a function, and returns a failed write to a temporary file, at which rust_xlsxwriter panics, as an error. Other
/// panics go on.
fn without_panic<T>(run: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    // All threads share the hook.
    static HOOK: Mutex<()> = Mutex::new(());
    let _alone = HOOK.lock().unwrap_or_else(PoisonError::into_inner);
    let failed = Arc::new(AtomicBool::new(false));
    let usual = Arc::new(panic::take_hook());
    panic::set_hook({
        let (failed, usual) = (Arc::clone(&failed), Arc::clone(&usual));
        Box::new(move |panic| {
            let text = panic.payload().downcast_ref::<String>();
            let place = panic.location().map_or("", Location::file);
            if text.is_some_and(|text| is_failed_write(place, text)) {
                failed.store(true, Ordering::Relaxed);
            } else {
                usual(panic);
            }
        })
    });
    let ended = panic::catch_unwind(AssertUnwindSafe(run));
    drop(panic::take_hook());
    if let Some(usual) = Arc::into_inner(usual) {
        panic::set_hook(usual);
    }
    match ended {
        Ok(ended) => ended,
        Err(panic) if failed.load(Ordering::Relaxed) => {
            let text = panic.downcast_ref::<String>();
            bail!(
                "{NO_TEMPORARY_FILE}: {}",
                reason(text.map_or("", String::as_str))
            )
        }
        Err(panic) => panic::resume_unwind(panic),
    }
}

/// Returns whether a panic is that of rust_xlsxwriter after a write to a temporary file, or its last flush, failed.
fn is_failed_write(place: &str, text: &str) -> bool {
    let starts = [
        "Couldn't write to xml file",
        "called `Result::unwrap()` on an `Err` value: Os {",
    ];
    place.contains("rust_xlsxwriter") && starts.iter().any(|start| text.starts_with(start))
}

/// Returns the system's message in the text of a panic, such as `Os { code: 28, …, message: "No space left on device" }`.
fn reason(panic: &str) -> &str {
    let message = panic.split_once("message: \"");
    let message = message.and_then(|(_, rest)| rest.split_once('"'));
    message.map_or(panic, |(message, _)| message)
}

/// Writes the facts about a snapshot, starting at row `from`, and returns the number of shortened texts.
///
/// # Errors
/// Returns an error if the sheet cannot be written.
pub fn write_facts(sheet: &mut Worksheet, from: u32, about: &OrderedObject) -> anyhow::Result<u64> {
    sheet.set_column_width(0, 28)?;
    sheet.set_column_width(1, 72)?;
    let mut cut = 0;
    for (row, (name, value)) in (from..).zip(&about.0) {
        sheet.write_string(row, 0, name)?;
        cut += u64::from(write_cell(sheet, row, 1, value)?);
    }
    Ok(cut)
}

/// Writes a cell, and returns true if its text was shortened.
///
/// # Errors
/// Returns an error if the sheet cannot be written.
pub fn write_cell(
    sheet: &mut Worksheet,
    row: u32,
    column: u16,
    value: &Value,
) -> anyhow::Result<bool> {
    match value {
        Value::Null => {}
        Value::Bool(is_true) => {
            sheet.write_boolean(row, column, *is_true)?;
        }
        Value::Number(number) => match exact_float(number) {
            Some(number) => {
                sheet.write_number(row, column, number)?;
            }
            None => {
                sheet.write_string(row, column, number.to_string())?;
            }
        },
        other => {
            let text = plain(other);
            let short = cut(&text);
            sheet.write_string(row, column, short.as_deref().unwrap_or(&text))?;
            return Ok(short.is_some());
        }
    }
    Ok(false)
}

/// Returns a shortened text if this one does not fit into a cell.
fn cut(text: &str) -> Option<String> {
    if text.len() <= MAX_CELL || text.encode_utf16().count() <= MAX_CELL {
        return None;
    }
    let mut units = 0;
    let fits = text.char_indices().find(|(_, c)| {
        units += c.len_utf16();
        units >= MAX_CELL
    });
    let end = fits.map_or(text.len(), |(place, _)| place);
    Some(format!("{}…", &text[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_error_of_a_file_is_returned_once_and_an_interrupted_write_is_repeated() {
        struct Failing(Vec<io::ErrorKind>);
        impl Write for Failing {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0
                    .pop()
                    .map_or(Ok(bytes.len()), |kind| Err(kind.into()))
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let kinds = vec![
            io::ErrorKind::StorageFull,
            io::ErrorKind::StorageFull,
            io::ErrorKind::Interrupted,
        ];
        let mut file = FirstErrorOnly {
            out: Failing(kinds),
            failed: false,
        };
        let error = file.write_all(b"a").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        file.write_all(b"b").unwrap();
        assert_eq!(file.out.0.len(), 1);
    }

    /// The library prints what fails once more to stderr, so it must not see a second error.
    #[test]
    fn a_disk_that_fills_up_anywhere_in_a_workbook_returns_one_error() {
        struct Limited {
            file: io::Cursor<Vec<u8>>,
            limit: u64,
            errors: u32,
        }
        impl Write for Limited {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                if self.file.position() + bytes.len() as u64 > self.limit {
                    self.errors += 1;
                    return Err(io::ErrorKind::StorageFull.into());
                }
                self.file.write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        impl Seek for Limited {
            fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
                self.file.seek(to)
            }
        }
        let write = |limit| {
            let mut disk = Limited {
                file: io::Cursor::default(),
                limit,
                errors: 0,
            };
            let written = write_workbook(Timestamp::UNIX_EPOCH, &mut disk, |workbook| {
                workbook.add_worksheet().write(0, 0, "a")?;
                Ok(())
            });
            assert_eq!(disk.errors, u32::from(written.is_err()), "{limit}");
            disk.file.into_inner().len() as u64
        };
        let whole = write(u64::MAX);
        for limit in (0..whole).step_by(13) {
            write(limit);
        }
    }

    #[test]
    fn the_reason_of_a_panic_is_the_message_of_the_system() {
        let error = io::Error::from_raw_os_error(28);
        let panic = format!("Couldn't write to xml file: {error:?}");
        assert_eq!(reason(&panic), "No space left on device");
        assert_eq!(reason("something else"), "something else");
    }

    #[test]
    fn only_a_failed_write_of_the_library_is_expected() {
        let library = "registry/rust_xlsxwriter-0.102.0/src/packager.rs";
        let full = io::Error::from_raw_os_error(28);
        let unwrapped = format!("called `Result::unwrap()` on an `Err` value: {full:?}");
        for (place, text, expected) in [
            (
                library,
                format!("Couldn't write to xml file: {full:?}"),
                true,
            ),
            (library, unwrapped.clone(), true),
            ("src/evidence/workbook.rs", unwrapped, false),
            (library, "index out of bounds".to_owned(), false),
        ] {
            assert_eq!(is_failed_write(place, &text), expected, "{place}: {text}");
        }
    }

    #[test]
    #[should_panic(expected = "a fault of our own")]
    fn a_panic_of_our_own_stays_a_panic() {
        drop(without_panic::<()>(|| panic!("a fault of our own")));
    }

    #[test]
    fn a_text_that_is_too_long_for_a_cell_is_cut_to_the_longest_that_fits() {
        for (text, length) in [
            ("a".repeat(MAX_CELL), None),
            ("a".repeat(MAX_CELL + 1), Some(MAX_CELL)),
            ("😀".repeat(MAX_CELL), Some(MAX_CELL)),
            ("é".repeat(MAX_CELL), None),
        ] {
            let short = cut(&text);
            let units = short.as_ref().map(|short| short.encode_utf16().count());
            assert!(units.is_none_or(|units| units <= MAX_CELL && units + 1 >= MAX_CELL));
            assert_eq!(units.is_some(), length.is_some());
        }
    }
}
