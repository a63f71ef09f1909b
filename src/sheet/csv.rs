//! Reads CSV as spreadsheets write it, but strictly: with a lenient reader, one missing quote makes rows disappear
//! unnoticed.

use std::iter::Peekable;
use std::str::Chars;

use encoding_rs::WINDOWS_1252;

use super::{Cell, Error, Record};

/// The characters that may separate cells, and their names.
const SEPARATORS: [(char, &str); 3] = [(',', "commas"), (';', "semicolons"), ('\t', "tabs")];

/// A CSV file, decoded.
#[derive(Clone, Debug)]
pub struct CsvText {
    text: String,
    /// The offset of the first record, after a line that announces the separator.
    start: usize,
    first_line: u64,
    separator: char,
    not_utf8: Option<Error>,
}

impl CsvText {
    /// Decodes a file: UTF-8, UTF-16 with a byte order mark, or otherwise Windows-1252, which Excel writes in many
    /// countries. See [`Self::require_utf8`].
    ///
    /// # Errors
    /// Returns an error for damaged UTF-16, and for a header whose separator is not clear.
    pub fn decode(bytes: Vec<u8>) -> Result<Self, Error> {
        let (text, not_utf8) = decode(bytes)?;
        let (start, first_line, separator) = match announced(&text)? {
            Some((separator, start)) => (start, 2, separator),
            None => match separator_of_review(&text) {
                Some(separator) => (0, 1, separator),
                None => (0, 1, separator(&text)?),
            },
        };
        Ok(Self {
            text,
            start,
            first_line,
            separator,
            not_utf8,
        })
    }

    /// Checks that the encoding was not guessed: text in an encoding other than Windows-1252 would contain wrong names.
    ///
    /// # Errors
    /// Returns an error with the first line that is not UTF-8.
    pub fn require_utf8(&self) -> Result<(), Error> {
        self.not_utf8.clone().map_or(Ok(()), Err)
    }

    /// Returns the character that separates cells.
    pub fn separator(&self) -> char {
        self.separator
    }

    /// Returns the records, including the header.
    pub fn records(&self) -> Records<'_> {
        Records {
            chars: self.text[self.start..].chars().peekable(),
            line: self.first_line,
            separator: self.separator,
        }
    }
}

/// Decodes a file. The second value is the first invalid line of a file that is not UTF-8 and was read as Windows-1252.
fn decode(bytes: Vec<u8>) -> Result<(String, Option<Error>), Error> {
    let text = match bytes.as_slice() {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes)?,
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes)?,
        _ => match String::from_utf8(bytes) {
            Ok(mut text) => {
                if text.starts_with('\u{feff}') {
                    text.drain(..'\u{feff}'.len_utf8());
                }
                text
            }
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let bytes = error.into_bytes();
                let before = String::from_utf8_lossy(&bytes[..valid]);
                let problem = bad_text(before.trim_start_matches('\u{feff}'), "it is not UTF-8");
                let (text, _) = WINDOWS_1252.decode_without_bom_handling(&bytes);
                refuse_nul(&text)?;
                return Ok((text.into_owned(), Some(problem)));
            }
        },
    };
    refuse_nul(&text)?;
    Ok((text, None))
}

/// Returns an error if a text contains NUL characters, as UTF-16 without a byte order mark does.
fn refuse_nul(text: &str) -> Result<(), Error> {
    match text.split_once('\0') {
        Some((before, _)) => Err(bad_text(before, "it contains a NUL character")),
        None => Ok(()),
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, Error> {
    let units = bytes.chunks(2).map(|pair| match pair {
        [first, second] => unit([*first, *second]),
        // Half a unit at the end becomes a lone surrogate, which is an error below.
        _ => 0xd800,
    });
    let mut text = String::with_capacity(bytes.len());
    for read in char::decode_utf16(units) {
        let Ok(read) = read else {
            return Err(bad_text(&text, "it is not valid UTF-16"));
        };
        text.push(read);
    }
    Ok(text)
}

/// Returns an error for the character after some text, with its line.
fn bad_text(before: &str, problem: &str) -> Error {
    let mut records = Records {
        chars: before.chars().peekable(),
        line: 1,
        separator: ',',
    };
    while records.next_char().is_some() {}
    Error::line(
        records.line,
        format!("{problem}; save the file as CSV in UTF-8"),
    )
}

/// Returns the separator that a first line like `sep=;` announces, and the offset of the text after that line.
fn announced(text: &str) -> Result<Option<(char, usize)>, Error> {
    let end = text.find(['\r', '\n']).unwrap_or(text.len());
    let (first, rest) = text.split_at(end);
    let first = first.strip_prefix('"').unwrap_or(first);
    let first = first.strip_suffix('"').unwrap_or(first);
    let is_announced = first
        .get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case("sep="));
    if !is_announced {
        return Ok(None);
    }
    let mut after = first[4..].chars();
    match (after.next(), after.next()) {
        (Some(separator), None) if SEPARATORS.iter().any(|(known, _)| *known == separator) => {
            let rest = rest.strip_prefix('\r').unwrap_or(rest);
            let rest = rest.strip_prefix('\n').unwrap_or(rest);
            Ok(Some((separator, text.len() - rest.len())))
        }
        _ => Err(Error::line(
            1,
            "sep= must be followed by one comma, semicolon or tab",
        )),
    }
}

/// The number of lines from the top in which the header of a review sheet may be.
const HEADER_WITHIN: usize = 60;

/// Returns the character that separates the titles of a review sheet, whose header may have lines above it. The most
/// frequent candidate is safe, because the check sums of the rows reveal a wrong one.
fn separator_of_review(text: &str) -> Option<char> {
    let has = |line: &str, title: &str| line.to_ascii_lowercase().contains(title);
    let mut lines = text.split(['\r', '\n']).take(2 * HEADER_WITHIN);
    let header = lines.find(|line| has(line, "review_id") && has(line, "row_check"))?;
    let count = |separator: char| header.matches(separator).count();
    let separators = SEPARATORS.map(|(separator, _)| separator);
    separators
        .into_iter()
        .max_by_key(|separator| count(*separator))
}

/// Returns the character that separates the cells of the header: the only one of [`SEPARATORS`] outside quotes.
fn separator(text: &str) -> Result<char, Error> {
    // Rows of empty cells may precede the header.
    let header = text.trim_start_matches([' ', '\t', ',', ';', '\r', '\n']);
    let mut quoted = false;
    let mut found: Vec<(char, &'static str)> = Vec::new();
    for c in header.chars() {
        match c {
            '"' => quoted = !quoted,
            '\r' | '\n' if !quoted => break,
            _ if quoted => {}
            _ => {
                let known = SEPARATORS.iter().find(|(known, _)| *known == c);
                found.extend(known.filter(|known| !found.contains(known)));
            }
        }
    }
    match found[..] {
        [] => Ok(','),
        [(only, _)] => Ok(only),
        [(first, one), (_, other), ..] => {
            let example = if first == '\t' { ',' } else { first };
            Err(Error::TwoSeparators(one, other, example))
        }
    }
}

/// An iterator over the records of a text.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    chars: Peekable<Chars<'a>>,
    /// The line of the next character.
    line: u64,
    separator: char,
}

impl Iterator for Records<'_> {
    type Item = Result<Record, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.chars.peek()?;
        Some(self.record())
    }
}

impl Records<'_> {
    fn record(&mut self) -> Result<Record, Error> {
        let line = self.line;
        let mut cells = Vec::new();
        loop {
            let (cell, is_last) = match self.chars.next_if_eq(&'"') {
                Some(_) => self.quoted()?,
                None => self.plain()?,
            };
            cells.push(cell);
            if is_last {
                return Ok(Record { line, cells });
            }
        }
    }

    /// Reads the rest of a cell without quotes. Returns true if it is the last one of the record.
    fn plain(&mut self) -> Result<(Cell, bool), Error> {
        let mut cell = Cell::default();
        loop {
            match self.next_char() {
                None | Some('\n') => return Ok((cell, true)),
                Some(c) if c == self.separator => return Ok((cell, false)),
                Some('"') if !cell.text.is_empty() && cell.is_empty() => {
                    let problem = "there is a space before a quote; remove it";
                    return Err(Error::line(self.line, problem));
                }
                Some(c) => cell.text.push(c),
            }
        }
    }

    /// Reads the rest of a cell that began with a quote. Returns true if it is the last one of the record.
    fn quoted(&mut self) -> Result<(Cell, bool), Error> {
        let opened = self.line;
        let mut cell = Cell::default();
        loop {
            match self.next_char() {
                None => {
                    let problem = "the quote that opens in this line is never closed";
                    return Err(Error::line(opened, problem));
                }
                Some('"') if self.chars.next_if_eq(&'"').is_none() => break,
                Some(c) => {
                    cell.is_broken |= c == '\n';
                    cell.text.push(c);
                }
            }
        }
        match self.next_char() {
            None | Some('\n') => Ok((cell, true)),
            Some(c) if c == self.separator => Ok((cell, false)),
            Some(_) => {
                let opening = if opened == self.line {
                    String::new()
                } else {
                    format!(" of the one in line {opened}")
                };
                let problem = format!(
                    "there is text after a closing quote{opening}; double a quote that is part of the text, and close each one"
                );
                Err(Error::line(self.line, problem))
            }
        }
    }

    /// Returns the next character; any kind of line end becomes one `\n`.
    fn next_char(&mut self) -> Option<char> {
        let c = match self.chars.next()? {
            '\r' => {
                let _ = self.chars.next_if_eq(&'\n');
                '\n'
            }
            c => c,
        };
        self.line += u64::from(c == '\n');
        Some(c)
    }
}
