//! Limits on the size of a snapshot and its parts. The writer and the reader share them, so that nothing is written
//! that cannot be read again. Okta's own limits are far below all of them.

/// The length of the longest value in bytes: a resource, a profile, a name.
pub(super) const MAX_VALUE: usize = 8 << 20;

/// The length of the longest value that SQLite sorts and compares, in bytes: ids, logins, addresses, words. Baton's ids
/// have at most 1024 bytes.
pub(super) const MAX_ID: usize = 4 << 10;

/// The length of the longest message of Baton's in bytes. Two bytes of a message can take a hundred bytes of memory.
pub(super) const MAX_MESSAGE: usize = 1 << 20;

/// The most values in a profile, including those in its lists and objects. A value of two bytes in the file takes a
/// hundred times more memory.
pub(super) const MAX_ELEMENTS: usize = 20_000;

/// The largest unpacked database in bytes; Baton's own readers have the same limit.
pub const MAX_DATABASE: u64 = 10 << 30;

/// The largest size of a database relative to its container, so that a small file cannot fill the disk. Real snapshots
/// have a tenth of this ratio.
const MAX_RATIO: u64 = 128;
/// The size in bytes up to which the ratio is not limited.
const ALWAYS: u64 = 64 << 20;

/// Returns the largest size of the database in a container of `container` bytes.
pub(super) fn largest_database(container: u64) -> u64 {
    container
        .saturating_mul(MAX_RATIO)
        .clamp(ALWAYS, MAX_DATABASE)
}

/// Returns the smallest size of a container with a database of `database` bytes.
pub(super) fn least_container(database: u64) -> u64 {
    if database <= ALWAYS {
        0
    } else {
        database.div_ceil(MAX_RATIO)
    }
}

/// Returns the largest number of bytes that one query may return from a database of `database` bytes. In a valid file, each
/// value is stored once, and text in UTF-16 grows by at most half in UTF-8; in a harmful one, many rows share a long value.
pub(super) fn longest_result(database: u64) -> u64 {
    (1 << 20) + 2 * database
}

/// Returns whether a profile's JSON contains few enough values. It counts the characters that precede values, so that no
/// value takes memory before the check.
pub(super) fn has_few_elements(json: &str) -> bool {
    let (mut marks, mut in_string, mut escaped) = (0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b',' | b'[' | b'{' if !in_string => marks += 1,
            _ => {}
        }
    }
    marks <= MAX_ELEMENTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_of_a_profile_are_counted_and_the_commas_in_a_text_are_not() {
        let many = |text: &str| text.repeat(MAX_ELEMENTS);
        for (json, is_few) in [
            (format!("{{\"a\":\"{}\"}}", many(",[{")), true),
            (format!("{{\"a\\\"{}\":1}}", many(",")), true),
            (format!("{{\"a\\\\\":[{}0]}}", many("0,")), false),
            (format!("{{\"a\":[{}0]}}", many("0,")), false),
            (format!("{{\"a\":{}", many("[")), false),
        ] {
            assert_eq!(has_few_elements(&json), is_few, "{}", &json[..20]);
        }
    }

    #[test]
    fn a_container_of_the_least_size_may_hold_its_database() {
        for database in [0, 1, ALWAYS, ALWAYS + 1, 128 * ALWAYS - 1, MAX_DATABASE] {
            let container = least_container(database);
            assert!(largest_database(container) >= database, "{database}");
            if database > ALWAYS {
                assert!(largest_database(container - 1) < database, "{database}");
            }
        }
    }
}
