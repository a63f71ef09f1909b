//! Writes the sheets of a review.
//!
//! - Workbooks are not protected, because Excel does not sort protected cells. The check sums detect accidents instead.
//! - Equal snapshots and options give equal bytes.

use std::io::{Seek, Write};

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use rust_xlsxwriter::{
    Color, DataValidation, DataValidationErrorStyle, ExcelDateTime, Format, FormatAlign,
    FormatBorder, Formula, Worksheet,
};
use serde_json::Value;

use super::columns::{ColumnKind, Origin, SheetColumn, columns, values};
use super::plan::{Review, ReviewItem};
use crate::evidence::cells::{plain, write_record};
use crate::evidence::export::OrderedObject;
use crate::evidence::workbook::{MAX_ROWS, write_cell, write_facts, write_workbook};
use crate::sheet::row_check::RowPosition;
use crate::sheet::{Decision, guarded};
use crate::text::number;

/// One file of a review.
pub struct Part<'a> {
    /// The review.
    pub review: &'a Review,
    /// The org and the snapshot of the review.
    pub origin: &'a Origin,
    /// The memberships of the file.
    pub items: &'a [ReviewItem],
    /// The number of the file, starting at 1.
    pub part: u32,
    /// The number of files.
    pub parts: u32,
}

impl Part<'_> {
    fn columns(&self) -> Vec<SheetColumn> {
        columns(
            &self.review.attribute_names()[4..],
            self.review.has_previous(),
        )
    }

    /// Calls a function with the values of each row.
    fn rows(&self, row: &mut dyn FnMut(Vec<Value>) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let rows = u32::try_from(self.items.len()).context("the review has too many rows")?;
        for (number, item) in (1..).zip(self.items) {
            let position = RowPosition {
                part: self.part,
                parts: self.parts,
                row: number,
                rows,
            };
            row(values(self.review, self.origin, item, position))?;
        }
        Ok(())
    }
}

/// Writes a sheet as CSV with a byte order mark, without which Excel does not recognize UTF-8.
///
/// # Errors
/// Returns an error if the output fails, and the first error of `check`, which is called for every row.
pub fn csv(
    part: &Part<'_>,
    mut out: impl Write,
    check: &dyn Fn() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    out.write_all("\u{feff}".as_bytes())?;
    let mut out = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(out);
    let columns = part.columns();
    write_record(&mut out, columns.iter().map(|column| &column.name))?;
    part.rows(&mut |values| {
        check()?;
        let cells = columns.iter().zip(&values).map(|(column, value)| {
            let text = plain(value);
            match column.kind {
                // A NUL character in CSV could not be read back.
                ColumnKind::Text => guarded(&text).replace('\0', ""),
                _ => text,
            }
        });
        Ok(write_record(&mut out, cells)?)
    })?;
    out.flush()?;
    Ok(())
}

/// Writes a sheet as a workbook.
///
/// # Errors
/// Returns an error if there are more rows than fit into a sheet, if the output fails, and the first error of `check`.
pub fn xlsx(
    part: &Part<'_>,
    about: &OrderedObject,
    out: impl Write + Seek + Send,
    check: &dyn Fn() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if part.items.len() as u64 > MAX_ROWS {
        bail!(
            "the review has more than {} rows, for which a sheet of Excel has no room; use CSV or --split-by",
            number(MAX_ROWS)
        );
    }
    let columns = part.columns();
    write_workbook(part.review.org.taken_at, out, |workbook| {
        let mut sheet = RowSheet::new(workbook.add_worksheet_with_constant_memory()?, &columns)?;
        part.rows(&mut |values| {
            check()?;
            sheet.add(&values)
        })?;
        let rows = sheet.end()?;
        sign_off(
            workbook.add_worksheet_with_constant_memory()?,
            &columns,
            rows,
            about,
        )
    })
}

/// The formats of cells.
struct Formats {
    title: Format,
    input_title: Format,
    date: Format,
    share: Format,
    flag: Format,
    input: Format,
}

impl Formats {
    fn new() -> Self {
        let title = Format::new()
            .set_bold()
            .set_border_bottom(FormatBorder::Thin);
        Self {
            input_title: title.clone().set_background_color(Color::RGB(0xFF_E6_99)),
            title,
            date: Format::new()
                .set_num_format("yyyy-mm-dd")
                .set_align(FormatAlign::Left),
            share: Format::new().set_num_format("0%"),
            flag: Format::new().set_font_color(Color::RGB(0xB0_1E_1E)),
            input: Format::new().set_background_color(Color::RGB(0xFF_F8_E1)),
        }
    }
}

/// The sheet with the rows, while it is written.
struct RowSheet<'a> {
    sheet: &'a mut Worksheet,
    columns: &'a [SheetColumn],
    formats: Formats,
    rows: u32,
}

/// The name of the sheet with the rows.
const SHEET: &str = "Review";

impl<'a> RowSheet<'a> {
    fn new(sheet: &'a mut Worksheet, columns: &'a [SheetColumn]) -> anyhow::Result<Self> {
        let formats = Formats::new();
        sheet.set_name(SHEET)?;
        // The frozen part is the row of titles and the columns up to the group's name.
        sheet.set_freeze_panes(1, 2)?;
        sheet.set_landscape().set_print_fit_to_pages(1, 0);
        sheet.set_repeat_rows(0, 0)?;
        for (place, column) in (0..).zip(columns) {
            sheet.set_column_width(place, f64::from(column.width))?;
            if column.hidden {
                sheet.set_column_hidden(place)?;
            }
            let format = match column.kind {
                ColumnKind::Input => &formats.input_title,
                _ => &formats.title,
            };
            sheet.write_string_with_format(0, place, &column.name, format)?;
        }
        Ok(Self {
            sheet,
            columns,
            formats,
            rows: 0,
        })
    }

    fn add(&mut self, values: &[Value]) -> anyhow::Result<()> {
        self.rows += 1;
        for ((place, column), value) in (0..).zip(self.columns).zip(values) {
            let row = self.rows;
            match (column.kind, value) {
                (ColumnKind::Input, _) => {
                    self.sheet.write_blank(row, place, &self.formats.input)?;
                }
                (ColumnKind::Date, Value::String(text)) => match date(text) {
                    Some(date) => {
                        self.sheet.write_datetime_with_format(
                            row,
                            place,
                            &date,
                            &self.formats.date,
                        )?;
                    }
                    None => {
                        self.sheet.write_string(row, place, text)?;
                    }
                },
                (ColumnKind::Share, Value::Number(share)) => {
                    let share = share.as_f64().unwrap_or_default();
                    self.sheet
                        .write_number_with_format(row, place, share, &self.formats.share)?;
                }
                (ColumnKind::Exact, Value::String(text)) if column.name == "flags" => {
                    self.sheet
                        .write_string_with_format(row, place, text, &self.formats.flag)?;
                }
                (_, Value::String(text)) if text.is_empty() => {}
                _ => {
                    write_cell(self.sheet, row, place, value)?;
                }
            }
        }
        Ok(())
    }

    fn end(self) -> anyhow::Result<u32> {
        let last = u16::try_from(self.columns.len()).unwrap_or(u16::MAX) - 1;
        self.sheet.autofilter(0, 0, self.rows, last)?;
        if let Some(decision) = place_of(self.columns, "decision") {
            let words = DataValidation::new()
                .allow_list_strings(&Decision::OFFERED)?
                .set_error_title("Not a decision")?
                .set_error_message("Choose approve, revoke, modify or investigate.")?
                .set_error_style(DataValidationErrorStyle::Stop);
            self.sheet
                .add_data_validation(1, decision, self.rows.max(1), decision, &words)?;
        }
        Ok(self.rows)
    }
}

fn place_of(columns: &[SheetColumn], name: &str) -> Option<u16> {
    let place = columns.iter().position(|column| column.name == name)?;
    u16::try_from(place).ok()
}

/// Returns a time or a date for a workbook; `None` if a workbook cannot represent it.
fn date(text: &str) -> Option<ExcelDateTime> {
    let time: Timestamp = match text.parse() {
        Ok(time) => time,
        Err(_) => format!("{text}T00:00:00Z").parse().ok()?,
    };
    ExcelDateTime::from_timestamp(time.as_second()).ok()
}

/// Writes the sheet with the totals, the signature and the facts about the snapshot.
fn sign_off(
    sheet: &mut Worksheet,
    columns: &[SheetColumn],
    rows: u32,
    about: &OrderedObject,
) -> anyhow::Result<()> {
    sheet.set_name("Sign-off")?;
    let formats = Formats::new();
    let title = &formats.title;
    sheet.write_string_with_format(0, 0, "Decisions", title)?;
    let decisions = place_of(columns, "decision").unwrap_or_default();
    let column = rust_xlsxwriter::utility::column_number_to_name(decisions);
    let range = format!("{SHEET}!${column}$2:${column}${}", rows + 1);
    let mut row = 1;
    for word in Decision::OFFERED {
        sheet.write_string(row, 0, word)?;
        let count = Formula::new(format!("=COUNTIF({range},\"{word}\")")).set_result("0");
        sheet.write_formula(row, 1, count)?;
        row += 1;
    }
    sheet.write_string(row, 0, "undecided")?;
    let blank = Formula::new(format!("=COUNTBLANK({range})")).set_result(rows.to_string());
    sheet.write_formula(row, 1, blank)?;
    row += 2;
    sheet.write_string_with_format(row, 0, "Sign-off", title)?;
    sheet.write_string(
        row,
        1,
        "I reviewed every row of this sheet and decided on it myself.",
    )?;
    for label in ["Name", "Title", "Date"] {
        row += 1;
        sheet.write_string(row, 0, label)?;
        sheet.write_blank(row, 1, &formats.input)?;
    }
    row += 2;
    sheet.write_string_with_format(row, 0, "Snapshot", title)?;
    write_facts(sheet, row + 1, about)?;
    Ok(())
}
