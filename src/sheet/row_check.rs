//! The check sum in each row of a review sheet.
//!
//! Sorting one column of a sheet moves names to the decisions on other people. The check sum covers what identifies the
//! membership and what the reviewer reads to recognize it, and where the row belongs, so that a row whose cells were moved
//! apart is refused, and a deleted row is missed. It cannot cover the decisions, which come later: sorting that column alone stays
//! unnoticed. It is no signature: it finds accidents.
//!
//! Spreadsheets change texts on the way: they add apostrophes, and merge and trim spaces. Texts are hashed without that.

use std::fmt;

use icu_normalizer::ComposingNormalizerBorrowed;
use sha2::{Digest as _, Sha256};

use crate::text::hex;

/// How many characters of a text count. Workbooks cut texts after 32,767.
const LONGEST: usize = 1_000;
/// How many bytes of the hash are in the sheet.
const HASH_BYTES: usize = 6;
/// How many rows and parts a review can have: more than memory has room for.
const MOST: u32 = 100_000_000;

/// Where a row belongs. Numbers start at 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// The file of the review.
    pub part: u32,
    /// How many files the review has.
    pub parts: u32,
    /// The row of the file.
    pub row: u32,
    /// How many rows the file has.
    pub rows: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}of{}", self.row, self.rows)?;
        if self.parts > 1 {
            write!(f, "-{}of{}", self.part, self.parts)?;
        }
        Ok(())
    }
}

impl Position {
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

/// The texts of a row that belong together.
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
    /// Returns the check sum of a row.
    pub fn row_check(&self, position: Position) -> String {
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
            // The length first, so that texts that moved between two cells are noticed.
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        let position = position.to_string();
        hash.update(&position);
        format!("{}-{position}", hex(&hash.finalize()[..HASH_BYTES]))
    }

    /// Returns where the row belongs, if its check sum is right.
    pub fn verify(&self, row_check: &str) -> Option<Position> {
        let (_, position) = row_check.trim().split_once('-')?;
        let position = Position::parse(position)?;
        let is_right = self
            .row_check(position)
            .eq_ignore_ascii_case(row_check.trim());
        is_right.then_some(position)
    }
}

/// Returns a text without what spreadsheets add, drop or spell differently.
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

/// Returns a text without control characters, which workbooks spell as `_x0001_`. Line breaks and tabs are spaces.
fn without_controls(text: &str) -> String {
    let is_code = |text: &str| {
        let code = text
            .get(2..6)
            .and_then(|code| u32::from_str_radix(code, 16).ok());
        text.starts_with("_x")
            && text.get(6..7) == Some("_")
            && code.is_some_and(|code| code < 0x20)
    };
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if is_code(rest) {
            rest = &rest[7..];
            continue;
        }
        if c.is_whitespace() {
            kept.push(' ');
        } else if !c.is_control() {
            kept.push(c);
        }
        rest = &rest[c.len_utf8()..];
    }
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::*;

    const POSITION: Position = Position {
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
    fn what_spreadsheets_do_to_texts_does_not_matter() {
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
            let position = Position { part, parts: part + parts, row, rows: row + more };
            prop_assert_eq!(Position::parse(&position.to_string()), Some(position));
        }

        #[test]
        fn no_text_makes_the_check_panic(text in "\\PC{0,40}") {
            prop_assert!(checked().verify(&text).is_none());
        }
    }
}
