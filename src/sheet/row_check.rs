//! The check sum in each row of a review sheet.
//!
//! Sorting a single column of a sheet moves names to decisions on other people. The check sum covers the identity of
//! the membership, the texts by which the reviewer recognizes it, and the position of the row. A row with cells from
//! other rows is refused, and a deleted row is detected. The check sum cannot cover the decisions, which come later, so
//! sorting only that column goes unnoticed. It is not a signature: it detects accidents, not manipulation.
//!
//! Spreadsheets change texts: they add apostrophes, and merge and trim spaces. Texts are normalized before they are
//! hashed.

use std::fmt;

use icu_normalizer::ComposingNormalizerBorrowed;
use sha2::{Digest as _, Sha256};

use crate::text::hex;

/// The number of characters of a text that are hashed. Workbooks cut texts after 32,767.
const LONGEST: usize = 1_000;
/// The number of bytes of the hash in the sheet.
const HASH_BYTES: usize = 6;
/// The largest number of rows or parts in a review, which is more than fits into memory.
const MOST: u32 = 100_000_000;

/// The position of a row in a review. Numbers start at 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowPosition {
    /// The number of the file.
    pub part: u32,
    /// The number of files in the review.
    pub parts: u32,
    /// The number of the row in the file.
    pub row: u32,
    /// The number of rows in the file.
    pub rows: u32,
}

impl fmt::Display for RowPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}of{}", self.row, self.rows)?;
        if self.parts > 1 {
            write!(f, "-{}of{}", self.part, self.parts)?;
        }
        Ok(())
    }
}

impl RowPosition {
    fn parse(text: &str) -> Option<Self> {
        let pair = |text: &str| {
            let (number, of) = text.split_once("of")?;
            let (number, of) = (number.parse::<u32>().ok()?, of.parse::<u32>().ok()?);
            (1 <= number && number <= of && of <= MOST).then_some((number, of))
        };
        let (rows, parts) = match text.split_once('-') {
            Some((rows, parts)) => (pair(rows)?, pair(parts)?),
            None => (pair(text)?, (1, 1)),
        };
        Some(Self {
            part: parts.0,
            parts: parts.1,
            row: rows.0,
            rows: rows.1,
        })
    }
}

/// The texts of a row that the check sum covers.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the names are the columns'")]
pub struct Checked<'a> {
    pub org: &'a str,
    pub sync_id: &'a str,
    pub review_id: &'a str,
    pub group_id: &'a str,
    pub group_name: &'a str,
    pub user_id: &'a str,
    pub user_login: &'a str,
    pub user_email: &'a str,
    pub user_name: &'a str,
}

impl Checked<'_> {
    /// Returns the check sum of a row, which includes its position.
    pub fn row_check(&self, position: RowPosition) -> String {
        let mut hash = Sha256::new();
        let texts = [
            self.org,
            self.sync_id,
            self.review_id,
            self.group_id,
            self.group_name,
            self.user_id,
            self.user_login,
            self.user_email,
            self.user_name,
        ];
        for text in texts {
            let text = normalized(text);
            // The length comes first, so that moving text between cells changes the hash.
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        let position = position.to_string();
        hash.update(&position);
        format!("{}-{position}", hex(&hash.finalize()[..HASH_BYTES]))
    }

    /// Returns the position of the row if its check sum is correct.
    pub fn verify(&self, row_check: &str) -> Option<RowPosition> {
        let (_, position) = row_check.trim().split_once('-')?;
        let position = RowPosition::parse(position)?;
        let is_right = self
            .row_check(position)
            .eq_ignore_ascii_case(row_check.trim());
        is_right.then_some(position)
    }
}

/// Returns a text without what spreadsheets add, remove or spell differently.
fn normalized(text: &str) -> String {
    let text = without_controls(text);
    let words: Vec<&str> = text
        .trim_start_matches('\'')
        .split_whitespace()
        .filter(|word| !word.is_empty())
        .collect();
    let text: String = words.join(" ").chars().take(LONGEST).collect();
    ComposingNormalizerBorrowed::new_nfc()
        .normalize(&text)
        .into_owned()
}

/// Returns a text without control characters, which workbooks write as `_x0001_`. Line breaks and tabs become spaces.
fn without_controls(text: &str) -> String {
    let is_code = |text: &str| {
        let code = text
            .get(2..6)
            .and_then(|code| u32::from_str_radix(code, 16).ok());
        text.starts_with("_x")
            && text.get(6..7) == Some("_")
            && code.is_some_and(|code| code < 0x20)
    };
    let mut cleaned = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if is_code(rest) {
            rest = &rest[7..];
            continue;
        }
        if c.is_whitespace() {
            cleaned.push(' ');
        } else if !c.is_control() {
            cleaned.push(c);
        }
        rest = &rest[c.len_utf8()..];
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::*;

    const POSITION: RowPosition = RowPosition {
        part: 1,
        parts: 1,
        row: 7,
        rows: 120,
    };

    fn checked<'a>() -> Checked<'a> {
        Checked {
            org: "https://company.okta.com",
            sync_id: "2abc",
            review_id: "group:00g1:member:user:00u1",
            group_id: "00g1",
            group_name: "VPN  users",
            user_id: "00u1",
            user_login: "ada@example.com",
            user_email: "ada@example.com",
            user_name: "Ada Lovelace",
        }
    }

    #[test]
    fn a_row_whose_cells_moved_apart_fails_its_check() {
        let right = checked();
        let check = right.row_check(POSITION);
        assert!(check.ends_with("-7of120"), "{check}");
        assert_eq!(right.verify(&check), Some(POSITION));
        assert_eq!(
            right.verify(&check.to_uppercase()),
            None,
            "OF is no part of it"
        );
        let moved: [Checked<'_>; 9] = [
            Checked {
                org: "https://other.okta.com",
                ..right
            },
            Checked {
                sync_id: "2abd",
                ..right
            },
            Checked {
                review_id: "group:00g1:member:user:00u2",
                ..right
            },
            Checked {
                group_id: "00g2",
                ..right
            },
            Checked {
                group_name: "VPN admins",
                ..right
            },
            Checked {
                user_id: "00u2",
                ..right
            },
            Checked {
                user_login: "bob@example.com",
                ..right
            },
            Checked {
                user_email: "",
                ..right
            },
            Checked {
                user_name: "Bob",
                ..right
            },
        ];
        for moved in moved {
            assert_eq!(moved.verify(&check), None, "{moved:?}");
        }
        for other in [
            check.replace("7of", "8of"),
            check.replace("of120", "of121"),
            format!("{check}-1of2"),
            check.split_once('-').unwrap().0.to_owned(),
            String::new(),
        ] {
            assert_eq!(right.verify(&other), None, "{other}");
        }
    }

    #[test]
    fn changes_of_texts_by_spreadsheets_do_not_matter() {
        let check = checked().row_check(POSITION);
        for name in [
            " VPN users ",
            "VPN\u{a0}users",
            "'VPN users",
            "VPN\r\nusers",
        ] {
            let read = Checked {
                group_name: name,
                ..checked()
            };
            assert_eq!(read.verify(&check), Some(POSITION), "{name:?}");
        }
        let composed = Checked {
            user_name: "Zo\u{eb}",
            ..checked()
        };
        let apart = Checked {
            user_name: "Zoe\u{308}",
            ..checked()
        };
        assert_eq!(apart.verify(&composed.row_check(POSITION)), Some(POSITION));
    }

    proptest! {
        #[test]
        fn every_position_is_read_back(row in 1_u32..1000, more in 0_u32..1000, part in 1_u32..50, parts in 0_u32..50) {
            let position = RowPosition { part, parts: part + parts, row, rows: row + more };
            prop_assert_eq!(RowPosition::parse(&position.to_string()), Some(position));
        }

        #[test]
        fn no_text_causes_a_panic(text in "\\PC{0,40}") {
            prop_assert!(checked().verify(&text).is_none());
        }
    }
}
