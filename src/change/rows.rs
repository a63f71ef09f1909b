//! The requested changes: one membership from the command line, or many from a file; pure.
//!
//! A list has a header with `user` and `group`; other columns are ignored. If it has a column `decision`, only rows
//! with the decision `revoke` become changes. Review sheets have check sums and are read by `sheet::review`.

use std::collections::HashMap;

use thiserror::Error;

use super::Action;
use super::sheet::Reviewed;
use crate::sheet::csv::CsvText;
use crate::sheet::decision::not_a_decision;
use crate::sheet::{self, Decision, Record};

/// A requested membership, as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The line in the file of `--from`.
    pub line: Option<u64>,
    /// The user's id, login or email.
    pub user: String,
    /// The group's id, name or entitlement, with all spaces as typed.
    pub group: String,
    /// True if the membership is kept. Such a row is only compared with rows that contradict it.
    pub keep: bool,
    /// The names that the reviewer saw, if the row is from a review sheet.
    pub reviewed: Option<Reviewed>,
}

/// The requested changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// The memberships in these rows.
    Rows(Vec<Row>),
    /// All memberships of these users, given by id, login or email.
    AllGroups(Vec<String>),
}

/// A problem with a list or a grant id.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// The header lacks a column.
    #[error(
        "the first line must contain the titles user and group, separated by commas, semicolons or tabs; it is {0:?}"
    )]
    NoHeader(String),
    /// Two titles have the same meaning.
    #[error(
        "the first line contains {0:?} and {1:?}, which both mean the {2}; remove or rename one"
    )]
    TwoColumns(String, String, &'static str),
    /// The file is not a table, or one of its lines is invalid.
    #[error(transparent)]
    Table(#[from] sheet::Error),
    /// `grant` was given a list with decisions.
    #[error("the file has a column decision, so it is a review sheet; use it with revoke")]
    SheetForGrant,
    /// The list has no rows.
    #[error("the file has no rows")]
    Empty,
    /// The text is not a grant id from Baton.
    #[error("{0:?} is not a grant id; write group:GROUPID:member:user:USERID, as Baton prints it")]
    NoGrantId(String),
}

/// Titles of the column that identifies the user.
const USER_TITLES: [&str; 4] = ["user", "email", "login", "user_login"];
/// Titles of the column that identifies the group.
const GROUP_TITLES: [&str; 2] = ["group", "group_name"];

/// Reads a list.
///
/// # Errors
/// Returns an error for the first problem, with its line. No part of such a file is used.
pub fn read(text: &CsvText, action: Action) -> Result<Vec<Row>, Error> {
    text.require_utf8()?;
    let mut records = text.records();
    let header = loop {
        match records.next() {
            None => return Err(Error::NoHeader(String::new())),
            Some(record) => {
                let record = record?;
                if !record.is_empty() {
                    break record;
                }
            }
        }
    };
    let columns = Columns::of(&header)?;
    if columns.decision.is_some() && action == Action::Grant {
        return Err(Error::SheetForGrant);
    }
    let mut rows = Vec::new();
    let mut decided: HashMap<(String, String), (bool, u64)> = HashMap::new();
    for record in records {
        let record = record?;
        if record.is_empty() {
            continue;
        }
        let Some((row, decision)) = columns.row(&record, text.separator())? else {
            continue;
        };
        if let Some(revoke) = decision {
            let pair = (row.user.to_lowercase(), row.group.clone());
            let (before, first) = *decided.entry(pair).or_insert((revoke, record.line));
            if before != revoke {
                let problem =
                    format!("contradicts line {first}: the same user and group, another decision");
                return Err(bad_line(record.line, problem));
            }
        }
        rows.push(row);
    }
    if rows.iter().all(|row: &Row| row.keep) {
        // Rows to keep need no look-ups if there is nothing to change.
        rows.clear();
    }
    if rows.is_empty() && columns.decision.is_none() {
        Err(Error::Empty)
    } else {
        Ok(rows)
    }
}

/// The positions of the columns in a record.
struct Columns {
    user: usize,
    group: usize,
    decision: Option<usize>,
    /// The number of columns up to the last one with a title.
    titled: usize,
}

impl Columns {
    fn of(header: &Record) -> Result<Self, Error> {
        if header.cells.iter().any(|cell| cell.is_broken) {
            let problem = "a column title contains a line break; is a closing quote missing?";
            return Err(bad_line(header.line, problem.to_owned()));
        }
        let titles: Vec<&str> = header.cells.iter().map(|cell| cell.text.trim()).collect();
        let column = |meaning: &'static str, names: &[&str]| {
            let is = |title: &str| names.iter().any(|name| title.eq_ignore_ascii_case(name));
            let mut places = (0..titles.len()).filter(|place| is(titles[*place]));
            match (places.next(), places.next()) {
                (Some(first), Some(second)) => Err(Error::TwoColumns(
                    titles[first].to_owned(),
                    titles[second].to_owned(),
                    meaning,
                )),
                (place, _) => Ok(place),
            }
        };
        let user = column("user", &USER_TITLES)?;
        let group = column("group", &GROUP_TITLES)?;
        let decision = column("decision", &["decision"])?;
        let (Some(user), Some(group)) = (user, group) else {
            let shown: String = titles.join(" | ").chars().take(200).collect();
            return Err(Error::NoHeader(shown));
        };
        let titled = titles.iter().rposition(|title| !title.is_empty());
        Ok(Self {
            user,
            group,
            decision,
            titled: titled.map_or(0, |last| last + 1),
        })
    }

    /// Returns the row of a record, and its decision if the list has decisions; `None` if it is undecided.
    fn row(&self, record: &Record, separator: char) -> Result<Option<(Row, Option<bool>)>, Error> {
        let bad = |problem: String| Err(bad_line(record.line, problem));
        let cells = &record.cells;
        // Spreadsheets omit empty cells at the end of a line.
        let cell = |place: usize| cells.get(place).map_or("", |cell| cell.text.as_str());
        if let Some(extra) = cells.iter().skip(self.titled).find(|cell| !cell.is_empty()) {
            return bad(format!(
                "{:?} is in a column without a title; write a cell that contains the separator in quotes",
                extra.text
            ));
        }
        let named = [
            ("user", Some(self.user)),
            ("group", Some(self.group)),
            ("decision", self.decision),
        ];
        for (name, place) in named {
            if place.is_some_and(|place| cells.get(place).is_some_and(|cell| cell.is_broken)) {
                return bad(format!(
                    "the {name} contains a line break; is a closing quote missing?"
                ));
            }
        }
        let swallowed = cells
            .iter()
            .filter(|cell| cell.is_broken)
            .flat_map(|cell| cell.text.split('\n').skip(1))
            .any(|line| self.looks_like_a_row(line, separator));
        if swallowed {
            return bad(
                "a quoted cell contains what looks like another row; add the closing quote that is missing, or take the line breaks out of the cell"
                    .to_owned(),
            );
        }
        for (name, place) in [("user", self.user), ("group", self.group)] {
            if cell(place).trim().is_empty() {
                return bad(format!("the {name} is empty"));
            }
        }
        let decision = match self.decision.map(cell) {
            None => None,
            Some(word) => match Decision::parse(word) {
                Some(Decision::Revoke) => Some(true),
                Some(Decision::Approve) => Some(false),
                Some(_) => return Ok(None),
                None => return bad(not_a_decision(word)),
            },
        };
        let row = Row {
            line: Some(record.line),
            user: cell(self.user).trim().to_owned(),
            group: cell(self.group).to_owned(),
            keep: decision == Some(false),
            reviewed: None,
        };
        Ok(Some((row, decision)))
    }

    /// Returns true if a line inside a quoted cell may be a row that was swallowed because a closing quote is missing.
    /// Comments contain lines and commas too, so the cells must look like a decision, or like a user if the list has no
    /// decisions.
    fn looks_like_a_row(&self, line: &str, separator: char) -> bool {
        let cells: Vec<&str> = line
            .split(separator)
            .map(|cell| cell.trim_matches(['"', ' ']))
            .collect();
        let cell = |place: usize| cells.get(place).copied().unwrap_or_default();
        let (user, group) = (cell(self.user), cell(self.group));
        if user.is_empty() || user.contains(' ') || group.is_empty() {
            return false;
        }
        match self.decision {
            Some(place) => Decision::parse(cell(place)).is_some_and(Decision::is_final),
            None => user.contains('@') || user.starts_with("00u"),
        }
    }
}

fn bad_line(line: u64, problem: String) -> Error {
    Error::Table(sheet::Error::BadLine(line, problem))
}

/// Parses `group:GID:member:user:UID`.
///
/// # Errors
/// Returns an error for any other text.
pub fn of_grant_id(text: &str) -> Result<Row, Error> {
    let parts: Vec<&str> = text.split(':').collect();
    match parts[..] {
        ["group", group, "member", "user", user] if !group.is_empty() && !user.is_empty() => {
            Ok(Row {
                line: None,
                user: user.to_owned(),
                group: format!("group:{group}:member"),
                keep: false,
                reviewed: None,
            })
        }
        _ => Err(Error::NoGrantId(text.to_owned())),
    }
}

#[cfg(test)]
mod tests;
