//! Reads a list of changes, as `grant` and as `revoke`, and a grant id.
#![no_main]

use libfuzzer_sys::fuzz_target;
use okta_ciam::testing::change::{Action, rows};
use okta_ciam::testing::sheet::csv::CsvText;

fuzz_target!(|bytes: &[u8]| {
    let ends = bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r'));
    let lines = ends.count() as u64 + 1;
    for action in [Action::Grant, Action::Revoke] {
        let text = match CsvText::decode(bytes.to_vec()) {
            Ok(text) => text,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                continue;
            }
        };
        match rows::read(&text, action) {
            Ok(rows) => {
                for row in rows {
                    assert!(!row.user.trim().is_empty() && !row.group.trim().is_empty());
                    assert!(row.line.is_some_and(|line| (2..=lines).contains(&line)));
                    assert!(action == Action::Revoke || !row.keep);
                }
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = rows::of_grant_id(text);
    }
});
