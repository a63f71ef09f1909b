//! Exports a snapshot as a workbook, with one sheet for each table and one about the snapshot.
//!
//! Rows are buffered in temporary files, not in memory.

use std::io::{Seek, Write};

use anyhow::bail;
use rust_xlsxwriter::{Format, Worksheet};
use serde_json::Value;

use super::{ExportPlan, OrderedObject};
use crate::evidence::workbook::{MAX_ROWS, write_cell, write_facts, write_workbook};
use crate::snapshot::Reader;
use crate::text::number;

/// The numbers of rows and of shortened cells in a workbook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The number of rows of each sheet.
    pub rows: Vec<u64>,
    /// The number of cells that were too long for Excel and end in an ellipsis.
    pub cut: u64,
}

/// Writes a workbook.
///
/// # Errors
/// Returns an error if a table has more rows than a sheet has room for, if the snapshot is damaged, if the output fails,
/// and the first error of `check`, which is called for every row.
pub fn xlsx(
    reader: &Reader,
    plans: &[ExportPlan],
    about: &OrderedObject,
    out: impl Write + Seek + Send,
    check: &dyn Fn() -> anyhow::Result<()>,
) -> anyhow::Result<Written> {
    write_workbook(reader.info().ended_at, out, |workbook| {
        let mut written = Written::default();
        for plan in plans {
            let mut sheet = Sheet::new(workbook.add_worksheet_with_constant_memory()?, plan)?;
            let mut row = |values: &[Value]| {
                check()?;
                sheet.add(values)
            };
            plan.rows(reader, &mut row)?;
            written.rows.push(u64::from(sheet.rows));
            written.cut += sheet.cut;
            sheet.end()?;
        }
        let facts = workbook.add_worksheet_with_constant_memory()?;
        facts.set_name("About")?;
        written.cut += write_facts(facts, 0, about)?;
        Ok(written)
    })
}

/// A sheet that is being written.
struct Sheet<'a> {
    sheet: &'a mut Worksheet,
    name: &'static str,
    columns: u16,
    rows: u32,
    cut: u64,
}

impl<'a> Sheet<'a> {
    fn new(sheet: &'a mut Worksheet, plan: &ExportPlan) -> anyhow::Result<Self> {
        let names = plan.names();
        let name = plan.sheet.as_str();
        sheet.set_name(capitalized(name))?;
        sheet.set_freeze_panes(1, 0)?;
        let bold = Format::new().set_bold();
        let mut columns = 0;
        for name in &names {
            sheet.set_column_width(columns, width(name))?;
            sheet.write_string_with_format(0, columns, name, &bold)?;
            columns += 1;
        }
        Ok(Self {
            sheet,
            name,
            columns,
            rows: 0,
            cut: 0,
        })
    }

    fn add(&mut self, values: &[Value]) -> anyhow::Result<()> {
        if u64::from(self.rows) == MAX_ROWS {
            bail!(
                "the {} have more than {} rows, for which a sheet of Excel has no room; use --format csv",
                self.name,
                number(MAX_ROWS)
            );
        }
        self.rows += 1;
        for (column, value) in (0..).zip(values) {
            self.cut += u64::from(write_cell(self.sheet, self.rows, column, value)?);
        }
        Ok(())
    }

    fn end(self) -> anyhow::Result<()> {
        if self.columns > 0 {
            self.sheet.autofilter(0, 0, self.rows, self.columns - 1)?;
        }
        Ok(())
    }
}

fn capitalized(name: &str) -> String {
    let mut chars = name.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

/// Returns the width of a column, in characters. It depends only on the name, because the values are not known before
/// they are written.
fn width(name: &str) -> f64 {
    if name == "grant_id" {
        return 62.0;
    }
    let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    if ends(&["email", "login", "description", "message", "profile"]) {
        36.0
    } else if ends(&["name"]) || name.starts_with("profile.") {
        26.0
    } else if ends(&["id", "created", "updated", "activated", "changed", "at"]) {
        24.0
    } else {
        16.0
    }
}
