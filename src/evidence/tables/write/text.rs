//! Rows as an aligned table for people.
//!
//! - The widths depend on the first rows only, so that the others need not be kept in memory.
//! - If there is a width limit, the widest columns shrink, and a cell that is too long ends in an ellipsis. Without a
//!   limit, as in a pipe, cells are never cut.
//! - Widths are in terminal cells: a wide character takes two, and a combining character none.

use std::io::{self, Write};

use serde_json::Value;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::WriteRows;
use crate::evidence::cells::plain;
use crate::text::clean;

/// The number of rows that determine the widths of the columns.
const MEASURED_ROWS: usize = 1000;
/// The largest width to which cells are padded, so that one long name does not shift all other rows.
const MAX_PADDING: usize = 60;
/// The width below which a column does not shrink.
const MIN_WIDTH: usize = 8;
/// The space between two columns.
const GAP: &str = "  ";
/// The text in a cell without a value.
const NOTHING: &str = "-";

/// Writes a header and rows as an aligned table.
pub struct Text<W> {
    out: W,
    fit: Option<usize>,
    header: Vec<String>,
    waiting: Vec<Vec<Cell>>,
    widths: Vec<usize>,
}

struct Cell {
    text: String,
    is_number: bool,
}

impl Cell {
    fn of(value: &Value) -> Self {
        let text = plain(value);
        let shown = if text.is_empty() {
            NOTHING.to_owned()
        } else {
            clean(&text).into_owned()
        };
        Self {
            text: shown,
            is_number: value.is_number(),
        }
    }
}

impl<W: Write> Text<W> {
    /// Creates a writer that fits the table into `fit` terminal cells, if given.
    pub fn new(out: W, names: &[String], fit: Option<usize>) -> Self {
        let names = names.iter().map(|name| clean(name).into_owned());
        Self {
            out,
            fit,
            header: names.collect(),
            waiting: Vec::new(),
            widths: Vec::new(),
        }
    }

    /// Computes the widths, and writes the header and the rows that waited for them.
    fn start(&mut self) -> io::Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        let mut widths: Vec<usize> = self.header.iter().map(|name| name.width()).collect();
        for row in &waiting {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.width().min(MAX_PADDING));
            }
        }
        if let Some(fit) = self.fit {
            shrink(&mut widths, fit);
        }
        self.widths = widths;
        let header = self.header.iter().map(|name| Cell {
            text: name.clone(),
            is_number: false,
        });
        let header: Vec<Cell> = header.collect();
        self.line(&header)?;
        waiting.iter().try_for_each(|row| self.line(row))
    }

    fn line(&mut self, row: &[Cell]) -> io::Result<()> {
        let mut line = String::new();
        for (place, (cell, width)) in row.iter().zip(&self.widths).enumerate() {
            if place > 0 {
                line += GAP;
            }
            let text = match self.fit {
                Some(_) => cut(&cell.text, *width),
                None => cell.text.clone(),
            };
            let padding = " ".repeat(width.saturating_sub(text.width()));
            if cell.is_number {
                line += &padding;
                line += &text;
            } else {
                line += &text;
                line += &padding;
            }
        }
        writeln!(self.out, "{}", line.trim_end())
    }
}

impl<W: Write> WriteRows for Text<W> {
    fn row(&mut self, values: &[Value]) -> io::Result<()> {
        let row: Vec<Cell> = values.iter().map(Cell::of).collect();
        if !self.widths.is_empty() {
            return self.line(&row);
        }
        self.waiting.push(row);
        if self.waiting.len() == MEASURED_ROWS {
            self.start()?;
        }
        Ok(())
    }

    /// Writes the waiting rows. The output stays empty if there was no row.
    fn end(&mut self) -> io::Result<()> {
        if self.widths.is_empty() && !self.waiting.is_empty() {
            self.start()?;
        }
        self.out.flush()
    }
}

/// Shrinks the widest columns until the table fits or no column can shrink further.
fn shrink(widths: &mut [usize], fit: usize) {
    let gaps = GAP.len() * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > fit {
        let Some(widest) = widths.iter_mut().max() else {
            return;
        };
        if *widest <= MIN_WIDTH {
            return;
        }
        *widest -= 1;
    }
}

/// Shortens a text to a number of terminal cells.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut used = 0;
    for c in text.chars() {
        let cells = c.width().unwrap_or(0);
        if used + cells + 1 > width {
            break;
        }
        used += cells;
        short.push(c);
    }
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(fit: Option<usize>, rows: &[[&str; 2]]) -> String {
        let columns = ["login", "status"].map(str::to_owned);
        let mut out = Vec::new();
        let mut text = Text::new(&mut out, &columns, fit);
        for row in rows {
            text.row(&row.map(Value::from)).unwrap();
        }
        text.end().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_are_aligned_also_with_wide_and_combining_characters() {
        let rows = [
            ["ada", "ACTIVE"],
            ["日本", "STAGED"],
            ["e\u{301}va", ""],
            ["", "ACTIVE"],
        ];
        assert_eq!(
            written(None, &rows),
            "login  status\n\
             ada    ACTIVE\n\
             日本   STAGED\n\
             e\u{301}va    -\n\
             -      ACTIVE\n"
        );
    }

    #[test]
    fn a_table_fits_a_terminal_and_is_complete_in_a_pipe() {
        let rows = [["maximiliana.oberhuber@example.com", "DEPROVISIONED"]];
        let fitted = written(Some(30), &rows);
        assert_eq!(
            fitted,
            "login            status\nmaximiliana.ob…  DEPROVISIONED\n"
        );
        assert!(fitted.lines().all(|line| line.width() <= 30));
        assert!(written(None, &rows).contains("maximiliana.oberhuber@example.com  DEPROVISIONED"));
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        for (text, width, short) in [
            ("abcdef", 6, "abcdef"),
            ("abcdef", 5, "abcd…"),
            ("日本語です", 6, "日本…"),
            ("日本語です", 5, "日本…"),
        ] {
            assert_eq!(cut(text, width), short);
            assert!(cut(text, width).width() <= width);
        }
    }

    #[test]
    fn control_characters_are_visible_and_a_table_without_rows_has_no_output() {
        assert!(written(Some(80), &[["\u{1b}[31m", "a\nb"]]).contains("\\u{1b}[31m  a\\u{a}b"));
        assert_eq!(written(Some(80), &[]), "");
    }
}
