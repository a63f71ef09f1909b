//! Formats and parses the times in a snapshot.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::TimeZone;

const MILLISECONDS: DateTimePrinter = DateTimePrinter::new().precision(Some(3));
const ALL_DIGITS: DateTimePrinter = DateTimePrinter::new();
const BATON: DateTimePrinter = DateTimePrinter::new().separator(b' ');

/// Returns a time as Okta writes it: `2025-01-09T08:11:02.000Z`, with more than three decimals only if it needs them.
pub fn rfc3339(time: Timestamp) -> String {
    let printer = if time.subsec_nanosecond() % 1_000_000 == 0 {
        MILLISECONDS
    } else {
        ALL_DIGITS
    };
    printer.timestamp_to_string(&time)
}

/// Returns a time as Baton's SDK writes it: `2025-01-09 08:11:02.5`, with as many decimals as needed and without a zone.
/// It is always UTC.
pub fn baton(time: Timestamp) -> String {
    BATON.datetime_to_string(&TimeZone::UTC.to_datetime(time))
}

/// Reads either format, and the variants that Baton's readers accept. A time without a zone is UTC.
pub fn parse(text: &str) -> Option<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    let civil = text.parse::<DateTime>().ok()?;
    Some(civil.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_at_least_milliseconds_in_the_plain_tables_and_no_zone_in_batons() {
        let table = [
            (
                "2025-01-09T08:11:02Z",
                "2025-01-09T08:11:02.000Z",
                "2025-01-09 08:11:02",
            ),
            (
                "2025-01-09T08:11:02.5Z",
                "2025-01-09T08:11:02.500Z",
                "2025-01-09 08:11:02.5",
            ),
            (
                "2025-01-09T08:11:02.120Z",
                "2025-01-09T08:11:02.120Z",
                "2025-01-09 08:11:02.12",
            ),
            (
                "2025-01-09T08:11:02.1234567Z",
                "2025-01-09T08:11:02.1234567Z",
                "2025-01-09 08:11:02.1234567",
            ),
            (
                "-000001-01-09T08:11:02Z",
                "-000001-01-09T08:11:02.000Z",
                "-000001-01-09 08:11:02",
            ),
            (
                "2025-01-09T10:11:02+02:00",
                "2025-01-09T08:11:02.000Z",
                "2025-01-09 08:11:02",
            ),
        ];
        for (given, plain, of_baton) in table {
            let time = parse(given).unwrap();
            assert_eq!(rfc3339(time), plain);
            assert_eq!(baton(time), of_baton);
            assert_eq!(parse(plain), Some(time));
            assert_eq!(parse(of_baton), Some(time));
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in ["", "yesterday", "1700000000", "2025-13-01 00:00:00"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
