//! Formats the values of a snapshot for CSV, Markdown and text.
//!
//! Names come from Okta, where anyone may have written them: a spreadsheet must not run them, Markdown must not render
//! them, and a terminal must not obey them.

use std::io::{self, Write};

use serde_json::{Number, Value};

use crate::sheet::FORMULA_STARTS;

/// Returns a text as a CSV cell; a leading apostrophe keeps a spreadsheet from running it.
pub fn csv_text(text: &str) -> String {
    if text.starts_with(FORMULA_STARTS) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

/// Returns a value as text: nothing for null, a string unchanged, and anything else as JSON.
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Returns a value as a CSV cell. Only texts can be formulas, so a negative number stays a number.
pub fn csv_value(value: &Value) -> String {
    match value {
        Value::String(text) => csv_text(text),
        other => plain(other),
    }
}

/// Returns a number as a float if that loses no digits.
pub fn exact_float(number: &Number) -> Option<f64> {
    let text = number.to_string();
    let real = number.as_f64().filter(|real| real.is_finite())?;
    let shortest = Number::from_f64(real)?.to_string();
    (text == shortest || text == real.to_string()).then_some(real)
}

/// Writes one CSV record.
///
/// # Errors
/// Returns the error of the output unchanged, so that the caller recognizes a closed pipe.
pub fn write_record<W: Write, T: AsRef<[u8]>>(
    out: &mut csv::Writer<W>,
    cells: impl IntoIterator<Item = T>,
) -> io::Result<()> {
    out.write_record(cells)
        .map_err(|error| match error.into_kind() {
            csv::ErrorKind::Io(error) => error,
            other => io::Error::other(format!("{other:?}")),
        })
}

/// Returns a text as a Markdown code span on one line, in which nothing is markup. Pipes are escaped too, since the
/// span may be in a table.
pub fn code_span(text: &str) -> String {
    let text = crate::text::clean(text).replace('|', "\\|");
    if text.is_empty() {
        return String::new();
    }
    let mut longest = 0;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest + 1);
    // A space separates backticks at the ends from the fence; Markdown removes it again.
    let pad = if text.starts_with('`') || text.ends_with('`') {
        " "
    } else {
        ""
    };
    format!("{fence}{pad}{text}{pad}{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spreadsheet_runs_no_text_and_numbers_stay_numbers() {
        for (text, cell) in [
            ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@x", "'@x"),
            ("\tx", "'\tx"),
            ("\rx", "'\rx"),
            ("a=b", "a=b"),
            ("'x", "'x"),
            ("", ""),
        ] {
            assert_eq!(csv_text(text), cell);
            assert_eq!(csv_value(&Value::from(text)), cell);
        }
        assert_eq!(csv_value(&Value::from(-7)), "-7");
        assert_eq!(csv_value(&Value::Null), "");
        assert_eq!(csv_value(&Value::from(vec!["=a"])), "[\"=a\"]");
    }

    #[test]
    fn a_number_that_a_float_cannot_represent_is_none() {
        for (text, number) in [
            ("7", Some(7.0)),
            ("-2.5", Some(-2.5)),
            ("0.0", Some(0.0)),
            ("12345678901234567890", None),
            ("0.10", None),
        ] {
            let parsed: Number = serde_json::from_str(text).unwrap();
            assert_eq!(exact_float(&parsed), number, "{text}");
        }
    }

    #[test]
    fn nothing_in_a_code_span_is_markup() {
        for (text, span) in [
            ("plain", "`plain`"),
            ("a`b", "``a`b``"),
            ("``", "``` `` ```"),
            ("a|b", "`a\\|b`"),
            ("a\nb", "`a\\u{a}b`"),
            ("", ""),
        ] {
            assert_eq!(code_span(text), span);
        }
    }
}
