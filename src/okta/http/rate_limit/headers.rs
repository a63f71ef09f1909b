//! Reads the headers of a response that pacing needs.

use std::time::Duration;

use reqwest::header::HeaderMap;

use super::STALL_LIMIT;

/// The state of a bucket and of the server's clock, according to one response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signals {
    /// Requests per rate-limit window.
    pub limit: Option<u64>,
    /// Requests left in this window.
    pub remaining: Option<u64>,
    /// The end of the window, in seconds since 1970.
    pub reset: Option<u64>,
    /// The server's clock, in seconds since 1970.
    pub date: Option<u64>,
    /// The pause that the server requests.
    pub retry_after: Option<Duration>,
}

impl Signals {
    /// Reads the headers. An invalid value counts as absent. If a header has several values, in one line or in many, the
    /// smallest is used. Fractions are rounded down.
    pub fn of(headers: &HeaderMap) -> Self {
        let number = |name| {
            headers
                .get_all(name)
                .iter()
                .filter_map(|value| value.to_str().ok())
                .flat_map(|line| line.split(','))
                .filter_map(whole_number)
                .min()
        };
        let date = seconds_of_date(headers, "date");
        Self {
            limit: number("x-rate-limit-limit"),
            remaining: number("x-rate-limit-remaining"),
            reset: number("x-rate-limit-reset"),
            date,
            retry_after: retry_after(headers),
        }
    }
}

/// Parses a number and drops its fraction.
fn whole_number(text: &str) -> Option<u64> {
    let text = text.trim();
    let (number, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_fraction = fraction.bytes().all(|byte| byte.is_ascii_digit());
    number.parse().ok().filter(|_| is_fraction)
}

fn seconds_of_date(headers: &HeaderMap, name: &str) -> Option<u64> {
    let text = headers.get(name)?.to_str().ok()?;
    let time = jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(text)
        .ok()?;
    u64::try_from(time.as_second()).ok()
}

/// Returns the pause that a `Retry-After` header requests: in seconds, or until a date by the server's own clock (RFC
/// 9110, 10.2.3). A pause that is longer than any run would wait counts as absent.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("retry-after")?.to_str().ok()?;
    let seconds = whole_number(text).or_else(|| {
        let until = seconds_of_date(headers, "retry-after")?;
        Some(until.saturating_sub(seconds_of_date(headers, "date")?))
    })?;
    Some(Duration::from_secs(seconds)).filter(|wait| *wait < STALL_LIMIT)
}
