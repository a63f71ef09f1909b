//! What is asked for: one pair from the command line, or many from a CSV file; pure.
//!
//! A file has a header with `user` and `group`; other columns are left alone. With a column `decision` it is a review
//! sheet: rows that say `revoke` are revoked, rows that say `keep`, `approve` or nothing are not.

use std::collections::HashMap;

use thiserror::Error;

use super::Action;

/// A pair that was asked for, as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The line in the file.
    pub line: Option<u64>,
    /// Id, login or e-mail.
    pub user: String,
    /// Id, name or entitlement, with every space in it.
    pub group: String,
    /// Nothing is done: a row of a review sheet that says so, kept to find rows that say otherwise.
    pub keep: bool,
}

/// What is wrong with a file or a grant id.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// No such header.
    #[error("the first line must name the columns user and group; it says {0:?}")]
    NoHeader(String),
    /// Two columns of one name.
    #[error("the first line names the column {0} twice")]
    TwoColumns(&'static str),
    /// A line that is no row.
    #[error("line {0}: {1}")]
    BadLine(u64, String),
    /// A sheet given to `grant`.
    #[error("the file has a column decision, so it is a review sheet; those are for revoke")]
    SheetForGrant,
    /// Nothing to do at all.
    #[error("the file has no rows")]
    Empty,
    /// Not a grant id of Baton's.
    #[error("{0:?} is no grant id; write group:GROUPID:member:user:USERID, as Baton prints it")]
    NoGrantId(String),
}

/// Reads a file.
///
/// # Errors
/// The first thing that is wrong, with its line. Nothing is done of a file that cannot be read whole.
pub fn read(bytes: &[u8], action: Action) -> Result<Vec<Row>, Error> {
    // Spreadsheets put a mark in front.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new()
        .flexible(false)
        .trim(csv::Trim::Headers)
        .from_reader(bytes);
    let mut lines = Lines {
        bytes,
        at: 0,
        line: 1,
    };
    let header = reader
        .headers()
        .map_err(|error| bad_line(&error, &mut lines))?
        .clone();
    let column = |name: &'static str| {
        let mut places = header
            .iter()
            .enumerate()
            .filter(|(_, title)| title.eq_ignore_ascii_case(name));
        let first = places.next().map(|(place, _)| place);
        if places.next().is_some() {
            Err(Error::TwoColumns(name))
        } else {
            Ok(first)
        }
    };
    let (user, group, decision) = (column("user")?, column("group")?, column("decision")?);
    let (Some(user), Some(group)) = (user, group) else {
        return Err(Error::NoHeader(header.iter().collect::<Vec<_>>().join(",")));
    };
    if decision.is_some() && action == Action::Grant {
        return Err(Error::SheetForGrant);
    }
    let mut rows = Vec::new();
    let mut decided: HashMap<(String, String), (bool, u64)> = HashMap::new();
    for record in reader.records() {
        let record = record.map_err(|error| bad_line(&error, &mut lines))?;
        let line = lines.of(record.position());
        let cell = |place: usize| record.get(place).unwrap_or_default();
        for (name, place) in [("user", user), ("group", group)] {
            if cell(place).trim().is_empty() {
                return Err(Error::BadLine(line, format!("the {name} is empty")));
            }
        }
        let mut keep = false;
        if let Some(decision) = decision {
            let revoke = match cell(decision).trim().to_ascii_lowercase().as_str() {
                "revoke" => true,
                "keep" | "approve" => false,
                "" => continue,
                other => {
                    let problem = format!(
                        "the decision {other:?} is none; write revoke, keep, approve or nothing"
                    );
                    return Err(Error::BadLine(line, problem));
                }
            };
            let pair = (cell(user).trim().to_lowercase(), cell(group).to_owned());
            let (before, first) = *decided.entry(pair).or_insert((revoke, line));
            if before != revoke {
                let problem =
                    format!("contradicts line {first}: the same user and group, another decision");
                return Err(Error::BadLine(line, problem));
            }
            keep = !revoke;
        }
        rows.push(Row {
            line: Some(line),
            user: cell(user).trim().to_owned(),
            group: cell(group).to_owned(),
            keep,
        });
    }
    if rows.iter().all(|row: &Row| row.keep) {
        // Nobody needs to look anything up to do nothing.
        rows.clear();
    }
    if rows.is_empty() && decision.is_none() {
        Err(Error::Empty)
    } else {
        Ok(rows)
    }
}

/// The lines that rows begin in. The reader's own position is that of the blank lines before a row.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    fn of(&mut self, position: Option<&csv::Position>) -> u64 {
        let from = position
            .and_then(|position| usize::try_from(position.byte()).ok())
            .unwrap_or(0);
        let blank = self.bytes[from.min(self.bytes.len())..]
            .iter()
            .take_while(|byte| matches!(byte, b'\r' | b'\n'));
        let start = (from + blank.count()).min(self.bytes.len());
        let between = &self.bytes[self.at.min(start)..start];
        // A carriage return ends a line too, but not once more what a line feed ends.
        let ends = between.iter().enumerate().filter(|(at, byte)| match byte {
            b'\n' => true,
            b'\r' => between.get(at + 1) != Some(&b'\n'),
            _ => false,
        });
        self.line += ends.count() as u64;
        self.at = start;
        self.line
    }
}

fn bad_line(error: &csv::Error, lines: &mut Lines<'_>) -> Error {
    let line = lines.of(error.position());
    let problem = match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "it is not UTF-8".to_owned(),
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => {
            format!("it has {len} cells where the first line has {expected_len}")
        }
        _ => error.to_string(),
    };
    Error::BadLine(line, problem)
}

/// Reads `group:GID:member:user:UID`.
///
/// # Errors
/// Anything else.
pub fn of_grant_id(text: &str) -> Result<Row, Error> {
    let parts: Vec<&str> = text.split(':').collect();
    match parts[..] {
        ["group", group, "member", "user", user] if !group.is_empty() && !user.is_empty() => {
            Ok(Row {
                line: None,
                user: user.to_owned(),
                group: format!("group:{group}:member"),
                keep: false,
            })
        }
        _ => Err(Error::NoGrantId(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, proptest};

    use super::*;

    fn pairs(text: &str, action: Action) -> Result<Vec<(u64, String, String)>, String> {
        let rows = read(text.as_bytes(), action).map_err(|error| error.to_string())?;
        Ok(rows
            .into_iter()
            .filter(|row| !row.keep)
            .map(|row| (row.line.unwrap(), row.user, row.group))
            .collect())
    }

    #[test]
    fn a_list_is_read_with_its_lines() {
        let expected = vec![
            (2, "a@x.com".to_owned(), "Team, A".to_owned()),
            (4, "b".to_owned(), "c".to_owned()),
        ];
        for text in [
            "user,group\na@x.com,\"Team, A\"\n\nb,c\n",
            "\u{feff}User , GROUP\r\n a@x.com ,\"Team, A\"\r\n\r\nb,c",
        ] {
            assert_eq!(pairs(text, Action::Grant), Ok(expected.clone()), "{text:?}");
        }
        // A line may end in a carriage return alone, as it once did on one kind of machine.
        let text = "user,group\ra@x.com,\"Team, A\"\r\rb,c\r";
        assert_eq!(pairs(text, Action::Grant), Ok(expected.clone()));
        let text = "note,group,user\nx,\"Team, A\",a@x.com\n\ny,c,b\n";
        assert_eq!(pairs(text, Action::Revoke), Ok(expected));
    }

    #[test]
    fn a_review_sheet_revokes_what_it_says() {
        let sheet = "user,group,decision\na,g,revoke\nb,g,keep\nc,g,\nd,g,Approve\ne,g,REVOKE\n";
        let lines: Vec<u64> = pairs(sheet, Action::Revoke)
            .unwrap()
            .into_iter()
            .map(|row| row.0)
            .collect();
        assert_eq!(lines, [2, 6]);
        assert!(
            pairs(sheet, Action::Grant)
                .unwrap_err()
                .contains("review sheet")
        );
        assert_eq!(
            pairs("user,group,decision\na,g,\n", Action::Revoke),
            Ok(vec![])
        );
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_its_line() {
        for (text, part) in [
            ("", "must name the columns user and group"),
            ("name,team\na,b\n", "it says \"name,team\""),
            ("user,group,user\na,b,c\n", "the column user twice"),
            ("user,group\n", "no rows"),
            ("user,group\na\n", "line 2: it has 1 cells"),
            ("user,group\na,b\n,b\n", "line 3: the user is empty"),
            ("user,group\na,\n", "line 2: the group is empty"),
            (
                "user,group,decision\na,g,perhaps\n",
                "line 2: the decision \"perhaps\"",
            ),
            (
                "user,group,decision\na,g,revoke\nA,g,keep\n",
                "line 3: contradicts line 2",
            ),
        ] {
            let said = pairs(text, Action::Revoke).unwrap_err();
            assert!(said.contains(part), "{text:?}: {said}");
        }
        let not_utf8 = read(b"user,group\n\xff,b\n", Action::Grant)
            .unwrap_err()
            .to_string();
        assert!(not_utf8.contains("line 2: it is not UTF-8"), "{not_utf8}");
    }

    #[test]
    fn a_grant_id_is_read_as_baton_prints_it() {
        let row = of_grant_id("group:00g1:member:user:00u1").unwrap();
        assert_eq!(
            (row.user.as_str(), row.group.as_str()),
            ("00u1", "group:00g1:member")
        );
        for text in [
            "",
            "group:00g1:member",
            "role:A:assigned:user:00u1",
            "group::member:user:00u1",
            "group:a:member:user:b:c",
        ] {
            assert!(of_grant_id(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_row_of_any_bytes_after_a_header_has_a_user_a_group_and_a_line(
            bytes in proptest::collection::vec(any::<u8>(), 0..200), sheet in any::<bool>(),
        ) {
            let header: &[u8] = if sheet { b"user,group,decision\n" } else { b"user,group\n" };
            let ends = bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r'));
            let lines = ends.count() as u64 + 2;
            for row in read(&[header, &bytes].concat(), Action::Revoke).unwrap_or_default() {
                prop_assert!(!row.user.trim().is_empty() && !row.group.trim().is_empty());
                prop_assert!((2..=lines).contains(&row.line.unwrap()));
            }
        }

        #[test]
        fn no_file_makes_the_reader_panic(bytes in any::<Vec<u8>>()) {
            let _ = read(&bytes, Action::Revoke);
        }

        #[test]
        fn no_text_after_a_header_makes_the_reader_panic(text in "[user,groupdecision\"\\n\\r a-z]{0,80}") {
            let _ = read(format!("user,group,decision\n{text}").as_bytes(), Action::Revoke);
        }
    }
}
