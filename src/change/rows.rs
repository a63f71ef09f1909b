//! The requested changes: one membership from the command line, or many from a file; pure.
//!
//! A list has a header with `user` and `group`; other columns are ignored. If it has a column `decision`, only rows with the
//! decision `revoke` are revoked. The sheets of an access review have check sums and are read by [`crate::sheet::review`].

use std::collections::HashMap;

use thiserror::Error;

use super::Action;
use super::sheet::Reviewed;
use crate::sheet::csv::CsvText;
use crate::sheet::decision::not_a_decision;
use crate::sheet::{self, Decision, Record};

/// A requested membership, as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The line in the file.
    pub line: Option<u64>,
    /// Id, login or email.
    pub user: String,
    /// Id, name or entitlement, with every space in it.
    pub group: String,
    /// Set if nothing is done: such a row is only compared with others that contradict it.
    pub keep: bool,
    /// The names that a reviewer read, if the row is from the sheet of a review.
    pub reviewed: Option<Reviewed>,
}

/// The changes that a command is to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// These pairs.
    Rows(Vec<Row>),
    /// The removal of these users, by id, login or email, from every group.
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
    /// A file that is not a table, or has a line that is not a row.
    #[error(transparent)]
    Table(#[from] sheet::Error),
    /// `grant` was given a list with decisions.
    #[error("the file has a column decision, so it is a review sheet; use it with revoke")]
    SheetForGrant,
    /// The list has no rows.
    #[error("the file has no rows")]
    Empty,
    /// The text is not a grant id of Baton's.
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
/// Returns an error for the first thing that is wrong, with its line: no part of such a file is used.
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
        // Nobody needs to look anything up to do nothing.
        rows.clear();
    }
    if rows.is_empty() && columns.decision.is_none() {
        Err(Error::Empty)
    } else {
        Ok(rows)
    }
}

/// The places of the columns in a record.
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

    /// Returns a record as a row, with its decision if the list has decisions; nothing if it is undecided.
    fn row(&self, record: &Record, separator: char) -> Result<Option<(Row, Option<bool>)>, Error> {
        let bad = |problem: String| Err(bad_line(record.line, problem));
        let cells = &record.cells;
        // A missing cell is an empty one: spreadsheets leave out the last.
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

    /// Returns whether a line inside a quoted cell may be a row whose quote is missing. A comment has lines and commas too, so
    /// the cells must fit: a decision, or else a user as people write them.
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

/// Reads `group:GID:member:user:UID`.
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
