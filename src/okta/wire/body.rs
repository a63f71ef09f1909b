//! Repairs and checks the body of a response before it is parsed.

/// Returns the body of a response with U+FFFD in place of every lone surrogate. Text that was cut off in the middle of a
/// character can contain one, and a strict parser would reject it.
pub(in crate::okta) fn repaired(body: Vec<u8>) -> Vec<u8> {
    let has_half = body
        .windows(3)
        .any(|bytes| bytes[0] == b'\\' && bytes[1] == b'u' && matches!(bytes[2], b'd' | b'D'));
    if !has_half {
        return body;
    }
    match String::from_utf8(body) {
        Ok(text) => with_whole_characters(&text).into_bytes(),
        // The parser rejects a body that is not UTF-8.
        Err(error) => error.into_bytes(),
    }
}

/// The reason why a body would take too much memory to parse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::okta) struct Unbounded {
    pub(in crate::okta) problem: String,
    /// True if a smaller page may fit.
    pub(in crate::okta) smaller: bool,
}

/// The number of rows that a page may have even if fewer were requested: a server that imitates Okta may ignore a limit.
const LEAST_ROWS: u64 = 200;
/// The largest number of rows if the request contains no limit. No page of Okta's has more.
const MOST_ROWS: u64 = 10_000;
/// The largest number of values. A page of 1,000 users with 100 attributes each has 150,000.
pub(super) const MOST_ELEMENTS: usize = 1_000_000;
/// The deepest nesting. Okta's rows have five levels.
const DEEPEST: usize = 64;

/// Checks before parsing that a body has at most twice the rows that were requested (a page may repeat those of the page
/// before), and not too many values and levels. Otherwise a few compressed bytes could take gigabytes as parsed values.
pub(in crate::okta) fn check_bounds(
    body: &[u8],
    rows_requested: Option<u64>,
) -> Result<(), Unbounded> {
    let most_rows = rows_requested.map_or(MOST_ROWS, |rows| rows.max(LEAST_ROWS) * 2);
    let (mut depth, mut elements, mut rows) = (0_usize, 0_usize, 1_u64);
    let mut quoted = false;
    let mut bytes = body.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => quoted = !quoted,
            b'\\' if quoted => drop(bytes.next()),
            _ if quoted => {}
            b'[' | b'{' => {
                depth += 1;
                elements += 1;
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => {
                elements += 1;
                rows += u64::from(depth == 1);
            }
            _ => {}
        }
        let problem = if depth > DEEPEST {
            format!("the response is nested more than {DEEPEST} deep")
        } else if elements > MOST_ELEMENTS {
            format!("the response contains more than {MOST_ELEMENTS} values")
        } else if rows > most_rows && body.first() == Some(&b'[') {
            format!("the page has more than {most_rows} rows, twice what was requested")
        } else {
            continue;
        };
        return Err(Unbounded {
            problem,
            smaller: elements > MOST_ELEMENTS,
        });
    }
    Ok(())
}

fn with_whole_characters(json: &str) -> String {
    let unit = |at: usize| {
        let text = json.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(text, 16).ok()
    };
    let mut out = String::with_capacity(json.len());
    let mut at = 0;
    while let Some(found) = json[at..].find('\\') {
        let escape = at + found;
        out.push_str(&json[at..escape]);
        let length = match unit(escape) {
            None => json[escape..].chars().take(2).map(char::len_utf8).sum(),
            Some(0xd800..=0xdbff) if matches!(unit(escape + 6), Some(0xdc00..=0xdfff)) => 12,
            Some(0xd800..=0xdfff) => {
                out.push_str("\\ufffd");
                at = escape + 6;
                continue;
            }
            Some(_) => 6,
        };
        out.push_str(&json[escape..escape + length]);
        at = escape + length;
    }
    out.push_str(&json[at..]);
    out
}
