//! Reads tables that people edit: lists of changes and review sheets, as CSV or workbooks.
//!
//! - The reader accepts what spreadsheets write: other separators, quotes and encodings, and extra columns and sheets.
//! - A text with two possible meanings is an error that names its line.
//! - [`review`] reads the sheets of an access review, whose rows have check sums.

pub mod csv;
pub mod decision;
pub mod review;
pub mod row_check;
pub mod xlsx;

use std::borrow::Cow;
use std::fmt;

use thiserror::Error;

pub use self::decision::Decision;

/// A problem with a table.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// Two characters may both be the separator.
    #[error(
        "the first line contains {0} and {1}, so it is not clear which one separates the cells; write \"sep={2}\" on a line above it"
    )]
    TwoSeparators(&'static str, &'static str, char),
    /// A line is invalid.
    #[error("line {0}: {1}")]
    BadLine(u64, String),
    /// The table is invalid.
    #[error("{0}")]
    BadTable(String),
}

impl Error {
    fn line(line: u64, problem: impl fmt::Display) -> Self {
        Self::BadLine(line, problem.to_string())
    }
}

/// Characters that make a spreadsheet run a cell as a formula (OWASP, CSV injection).
pub const FORMULA_STARTS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// Characters that start an amount of money; a parenthesis starts a negative one.
const AMOUNT_STARTS: [char; 7] = ['$', '€', '£', '¥', '¢', '₹', '('];

/// Returns true if a spreadsheet that opens CSV may interpret a text as a formula, a number, a date or a truth value.
fn is_reinterpreted(text: &str) -> bool {
    let first = text.trim_start().chars().next();
    let is_word = ["true", "false"]
        .iter()
        .any(|word| text.trim().eq_ignore_ascii_case(word));
    let is_month = MONTHS.iter().any(|month| {
        let start = text
            .get(..3)
            .is_some_and(|start| start.eq_ignore_ascii_case(month));
        start && text.ends_with(|c: char| c.is_ascii_digit())
    });
    text.starts_with(FORMULA_STARTS)
        || text.starts_with(AMOUNT_STARTS)
        || first.is_some_and(|c| c.is_ascii_digit() || c == '.')
        || is_word
        || is_month
}

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];

/// Returns a text as a CSV cell; a leading apostrophe keeps a spreadsheet from interpreting it.
pub fn guarded(text: &str) -> Cow<'_, str> {
    if is_reinterpreted(text) {
        return Cow::Owned(format!("'{text}"));
    }
    Cow::Borrowed(text)
}

/// Returns a text without the apostrophe that [`guarded`] adds.
pub fn unguarded(text: &str) -> &str {
    match text.strip_prefix('\'') {
        Some(rest) if is_reinterpreted(rest) => rest,
        _ => text,
    }
}

/// A row of cells: in CSV, the cells between two line ends outside quotes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The line in which the row begins, or its number in a workbook.
    pub line: u64,
    /// The cells. Spreadsheets omit empty cells at the end.
    pub cells: Vec<Cell>,
}

impl Record {
    /// Returns true if no cell has text.
    pub fn is_empty(&self) -> bool {
        self.cells.iter().all(Cell::is_empty)
    }

    /// Returns the text of a cell; empty if the row has fewer cells.
    pub fn text(&self, place: usize) -> &str {
        self.cells.get(place).map_or("", |cell| cell.text.as_str())
    }

    /// Returns the indices of the cells with this text, ignoring case and surrounding spaces.
    pub fn places_of(&self, title: &str) -> impl Iterator<Item = usize> {
        // A file that was opened in an encoding other than UTF-8 keeps the byte order mark.
        let without_mark = |cell: &Cell| {
            let text = cell.text.trim();
            text.strip_prefix("\u{ef}\u{bb}\u{bf}")
                .unwrap_or(text)
                .to_owned()
        };
        let is_title = move |cell: &Cell| without_mark(cell).eq_ignore_ascii_case(title);
        let cells = self.cells.iter().enumerate();
        cells.filter_map(move |(place, cell)| is_title(cell).then_some(place))
    }
}

/// One cell, without its quotes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// The text.
    pub text: String,
    /// True if the text contains a line break; in CSV, each is one `\n`.
    pub is_broken: bool,
}

impl Cell {
    /// Returns true if the cell contains only spaces or nothing.
    pub fn is_empty(&self) -> bool {
        self.text.trim().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn a_text_that_a_spreadsheet_would_change_is_guarded_and_read_back() {
        for text in [
            "=1+1", "+1", "-1", "@x", "007", "1-2", "3/4", "1E5", ".5", "TRUE", "false", "Mar 1",
            "SEPT1", "12:30",
        ] {
            assert_eq!(guarded(text), format!("'{text}"));
            assert_eq!(unguarded(&guarded(text)), text);
        }
        for text in [
            "",
            "VPN users",
            "March",
            "true story",
            "'tis",
            "Zo\u{eb}",
            "x=1",
            "Decider",
        ] {
            assert_eq!(guarded(text), text);
            assert_eq!(unguarded(text), text);
        }
    }

    proptest! {
        #[test]
        fn every_text_without_an_apostrophe_in_front_is_read_back(text in "[^']?\\PC{0,12}") {
            let text = text.trim_start_matches('\'');
            let cell = guarded(text);
            prop_assert_eq!(unguarded(&cell), text);
        }
    }
}
