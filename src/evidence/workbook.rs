//! Writes cells and sheets of a workbook.
//!
//! Cells have the type text, so a text that starts like a formula is not run and needs no escaping.

use jiff::Timestamp;
use rust_xlsxwriter::{ExcelDateTime, Worksheet};
use serde_json::Value;

use super::cells::{exact_float, plain};
use super::export::OrderedObject;

/// The largest number of rows in a sheet, without the header (Excel's limit).
pub const MAX_ROWS: u64 = 1_048_575;
/// The largest number of UTF-16 units in a cell (Excel's limit).
const MAX_CELL: usize = 32_767;

/// Returns a time as a workbook stores it.
///
/// # Errors
/// Returns an error for a time before 1900.
pub fn created(time: Timestamp) -> anyhow::Result<ExcelDateTime> {
    Ok(ExcelDateTime::from_timestamp(time.as_second())?)
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
