//! Reads the sheets of an access review, with a row, a decision and a check sum for each membership.
//!
//! - Rows may be sorted, filtered, copied and deleted, columns may be moved, hidden and added, and the header may have
//!   rows above it.
//! - The entire file is invalid if the cells of a row no longer belong together, a word is not a decision, or a
//!   membership has two different decisions. Each of these could revoke the wrong person's access.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;

use sha2::{Digest as _, Sha256};

use super::csv::CsvText;
use super::decision::{Decision, not_a_decision};
use super::row_check::{Checked, RowPosition};
use super::xlsx::Workbook;
use super::{Error, Record, unguarded};

/// The number of rows from the top in which the header may be.
const HEADER_WITHIN: usize = 50;

/// The columns that a sheet must have, because the check sum covers them.
const REQUIRED: [&str; 11] = [
    "review_id",
    "group_name",
    "group_id",
    "user_name",
    "user_login",
    "user_email",
    "user_id",
    "decision",
    "org",
    "sync_id",
    "row_check",
];
/// The columns that identify a sheet even if others were deleted. As a plain list, its rows would not be checked.
const MARKS: [&str; 6] = [
    "review_id",
    "row_check",
    "first_seen",
    "peer_share",
    "days_since_login",
    "previous_decision",
];

/// A row of a sheet whose check sum is correct.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the columns'")]
pub struct ReviewRow {
    /// The line in the file, or the row in the workbook.
    pub line: u64,
    pub review_id: String,
    pub group_id: String,
    pub group_name: String,
    pub user_id: String,
    pub user_login: String,
    pub user_email: String,
    pub user_name: String,
    pub org: String,
    pub sync_id: String,
    /// The position of the row in the review.
    pub position: RowPosition,
    pub decision: Decision,
    pub reviewer: String,
    pub comment: String,
    pub decided_at: String,
    pub first_seen: String,
}

impl ReviewRow {
    /// Returns true if the reviewer is the user whose membership it is.
    pub fn is_self_review(&self) -> bool {
        let reviewer = self.reviewer.trim().to_lowercase();
        let names = [
            &self.user_login,
            &self.user_email,
            &self.user_name,
            &self.user_id,
        ];
        !reviewer.is_empty() && names.iter().any(|name| name.to_lowercase() == reviewer)
    }
}

/// A file that was opened.
pub enum Opened {
    /// A sheet of a review.
    Review(Box<ReviewFile>),
    /// Another table.
    List(CsvText),
}

/// Opens a sheet or another table.
///
/// # Errors
/// Returns an error if the file is neither, or if a sheet lacks columns.
pub fn open(bytes: Vec<u8>) -> Result<Opened, Error> {
    if Workbook::is_workbook(&bytes) {
        let file = open_workbook(Workbook::open(bytes)?)?;
        return Ok(Opened::Review(Box::new(file)));
    }
    let text = CsvText::decode(bytes)?;
    let mut found = None;
    for record in text.records().take(HEADER_WITHIN) {
        // Problems below the header are reported by the reader that the header selects.
        let Ok(record) = record else { break };
        found = Columns::of(&record).map_err(|problem| Error::line(record.line, problem))?;
        if found.is_some() {
            break;
        }
    }
    Ok(match found {
        Some(columns) => Opened::Review(Box::new(ReviewFile {
            source: Source::Csv(text),
            columns,
        })),
        None => Opened::List(text),
    })
}

fn open_workbook(mut workbook: Workbook) -> Result<ReviewFile, Error> {
    let mut found: Vec<(String, Columns)> = Vec::new();
    let mut problem = None;
    for sheet in workbook.sheets() {
        let mut columns = Ok(None);
        let mut rows = 0;
        workbook.records(&sheet, &mut |record| {
            rows += 1;
            columns = Columns::of(&record).map_err(|problem| {
                Error::BadTable(format!(
                    "row {} of the sheet {sheet:?}: {problem}",
                    record.line
                ))
            });
            Ok::<_, Error>(if rows == HEADER_WITHIN || !matches!(columns, Ok(None)) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        })?;
        match columns {
            Ok(columns) => found.extend(columns.map(|columns| (sheet, columns))),
            // Sheets that a user added may have some of the columns too.
            Err(error) => problem = Some(error),
        }
    }
    match (found.pop(), found.pop()) {
        (Some((sheet, columns)), None) => Ok(ReviewFile {
            source: Source::Workbook(Box::new(workbook), sheet),
            columns,
        }),
        (Some((second, _)), Some((first, _))) => Err(Error::BadTable(format!(
            "the sheets {first:?} and {second:?} both contain a review; remove one"
        ))),
        (None, _) => Err(problem.unwrap_or_else(|| {
            let problem = "no sheet of the workbook has the columns review_id and row_check; save other lists as CSV";
            Error::BadTable(problem.to_owned())
        })),
    }
}

enum Source {
    Csv(CsvText),
    Workbook(Box<Workbook>, String),
}

/// A file that contains a review sheet.
pub struct ReviewFile {
    source: Source,
    columns: Columns,
}

impl ReviewFile {
    /// Calls a function with each row, and records the rows in `coverage`. A repeated row is passed once.
    ///
    /// # Errors
    /// Returns an error for the first row that is invalid or contradicts another, and the first error of `each`.
    pub fn rows<E: From<Error>>(
        &mut self,
        coverage: &mut Coverage,
        each: &mut dyn FnMut(ReviewRow) -> Result<(), E>,
    ) -> Result<(), E> {
        let columns = &self.columns;
        let mut read = |record: &Record| -> Result<(), Problem<E>> {
            if record.line <= columns.header {
                return Ok(());
            }
            let row = columns.row(record).map_err(Problem::OfRow)?;
            let Some(row) = row else { return Ok(()) };
            if coverage.add(&row).map_err(Problem::OfRow)? {
                each(row).map_err(Problem::OfCaller)?;
            }
            Ok(())
        };
        match &mut self.source {
            Source::Csv(text) => {
                for record in text.records() {
                    let record = record?;
                    read(&record).map_err(|problem| {
                        problem.into_error(|problem| Error::line(record.line, problem))
                    })?;
                }
                Ok(())
            }
            Source::Workbook(workbook, sheet) => {
                let name = sheet.clone();
                workbook.records(sheet, &mut |record| {
                    read(&record).map_err(|problem| {
                        problem.into_error(|problem| {
                            Error::BadTable(format!(
                                "row {} of the sheet {name:?}: {problem}",
                                record.line
                            ))
                        })
                    })?;
                    Ok(ControlFlow::Continue(()))
                })
            }
        }
    }
}

/// An error that ends the reading of rows.
enum Problem<E> {
    OfRow(String),
    OfCaller(E),
}

impl<E: From<Error>> Problem<E> {
    fn into_error(self, with_place: impl FnOnce(String) -> Error) -> E {
        match self {
            Self::OfRow(problem) => with_place(problem).into(),
            Self::OfCaller(error) => error,
        }
    }
}

/// The positions of the columns of a sheet.
struct Columns {
    /// The line of the header.
    header: u64,
    required: [usize; REQUIRED.len()],
    reviewer: Option<usize>,
    comment: Option<usize>,
    decided_at: Option<usize>,
    first_seen: Option<usize>,
}

impl Columns {
    /// Returns the columns if the record is the header of a sheet.
    fn of(record: &Record) -> Result<Option<Self>, String> {
        let is_there = |title: &&str| record.places_of(title).next().is_some();
        if !MARKS.iter().any(is_there) {
            return Ok(None);
        }
        let missing: Vec<&str> = REQUIRED
            .into_iter()
            .filter(|title| !is_there(title))
            .collect();
        if !missing.is_empty() {
            return Err(format!(
                "this review sheet lacks the column {}, which row_check covers; hide columns instead of deleting them",
                missing.join(", ")
            ));
        }
        let place = |title: &str| {
            let mut places = record.places_of(title);
            match (places.next(), places.next()) {
                (Some(_), Some(_)) => Err(format!(
                    "the column {title} is there twice; remove or rename one"
                )),
                (place, _) => Ok(place),
            }
        };
        let mut required = [0; REQUIRED.len()];
        for (found, title) in required.iter_mut().zip(REQUIRED) {
            *found = place(title)?.unwrap_or_default();
        }
        Ok(Some(Self {
            header: record.line,
            required,
            reviewer: place("reviewer")?,
            comment: place("comment")?,
            decided_at: place("decided_at")?,
            first_seen: place("first_seen")?,
        }))
    }

    /// Returns the texts that the check sum covers, the decision, and the check sum.
    fn texts<'a>(&self, record: &'a Record) -> (Checked<'a>, &'a str, &'a str) {
        let [
            review_id,
            group_name,
            group_id,
            user_name,
            user_login,
            user_email,
            user_id,
            decision,
            org,
            sync_id,
            row_check,
        ] = self.required.map(|place| record.text(place));
        let checked = Checked {
            org: org.trim(),
            sync_id: sync_id.trim(),
            review_id: review_id.trim(),
            group_id: group_id.trim(),
            group_name,
            user_id: user_id.trim(),
            user_login,
            user_email,
            user_name,
        };
        (checked, decision, row_check.trim())
    }

    /// Reads a row. Rows without any cell from the original sheet, such as totals below the table, are ignored.
    fn row(&self, record: &Record) -> Result<Option<ReviewRow>, String> {
        let (texts, word, row_check) = self.texts(record);
        let marks = [
            texts.review_id,
            texts.group_id,
            texts.user_id,
            texts.user_login,
            row_check,
        ];
        let is_repeated_header = texts.review_id.eq_ignore_ascii_case("review_id");
        // The total of a column may be in the column of decisions.
        let decides = Decision::parse(word).is_some_and(|decision| decision != Decision::Undecided);
        let is_empty = marks.iter().all(|text| text.trim().is_empty());
        if is_repeated_header || (is_empty && !decides) {
            return Ok(None);
        }
        let Some(position) = texts.verify(row_check) else {
            return Err(format!(
                "row_check does not fit the cells of the row of {:?} in {:?}, which were changed or moved apart, as when one column is sorted alone or the file is not in UTF-8; copy these columns back from the original sheet",
                texts.user_login, texts.group_name
            ));
        };
        let decision = Decision::parse(word).ok_or_else(|| not_a_decision(word))?;
        let optional = |place: Option<usize>| {
            let text = place.map_or("", |place| record.text(place)).trim();
            unguarded(text).to_owned()
        };
        Ok(Some(ReviewRow {
            line: record.line,
            review_id: texts.review_id.to_owned(),
            group_id: texts.group_id.to_owned(),
            group_name: unguarded(texts.group_name).to_owned(),
            user_id: texts.user_id.to_owned(),
            user_login: unguarded(texts.user_login).to_owned(),
            user_email: unguarded(texts.user_email).to_owned(),
            user_name: unguarded(texts.user_name).to_owned(),
            org: texts.org.to_owned(),
            sync_id: texts.sync_id.to_owned(),
            position,
            decision,
            reviewer: optional(self.reviewer),
            comment: optional(self.comment),
            decided_at: optional(self.decided_at),
            first_seen: optional(self.first_seen),
        }))
    }
}

/// The rows of a review that were read, from one or more files.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    /// The ids of the runs in the rows; the maps contain their indices.
    sync_ids: Vec<String>,
    memberships: HashMap<(usize, Hash), Decision>,
    positions: HashMap<(usize, RowPosition), Hash>,
}

/// A hash of a review id, since the ids of 300,000 rows would take too much memory.
type Hash = [u8; 16];

/// The parts of a review that are missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// The number of files of the review that were not given.
    pub parts: u64,
    /// The number of rows that the given files lack.
    pub rows: u64,
}

impl Coverage {
    /// Records a row, and returns true if its membership is new.
    fn add(&mut self, row: &ReviewRow) -> Result<bool, String> {
        let run = self.sync_ids.iter().position(|known| *known == row.sync_id);
        let run = run.unwrap_or_else(|| {
            self.sync_ids.push(row.sync_id.clone());
            self.sync_ids.len() - 1
        });
        let digest = Sha256::digest(&row.review_id);
        let mut hash = Hash::default();
        for (byte, of_digest) in hash.iter_mut().zip(digest) {
            *byte = of_digest;
        }
        let of_position = self.positions.entry((run, row.position)).or_insert(hash);
        if *of_position != hash {
            return Err(format!(
                "the row of {:?} in {:?} is from another review of the same snapshot; use the sheets of one",
                row.user_login, row.group_name
            ));
        }
        match self.memberships.insert((run, hash), row.decision) {
            None => Ok(true),
            Some(before) if before == row.decision => Ok(false),
            Some(before) => Err(format!(
                "{:?} contradicts {:?} in another row of {:?} in {:?}",
                row.decision.word(),
                before.word(),
                row.user_login,
                row.group_name
            )),
        }
    }

    /// Returns true if no row was read.
    pub fn is_empty(&self) -> bool {
        self.memberships.is_empty()
    }

    /// Returns what is missing from the reviews to which the rows belong.
    pub fn missing(&self) -> Missing {
        let mut files: BTreeMap<(usize, u32, u32, u32), u64> = BTreeMap::new();
        for (run, position) in self.positions.keys() {
            let file = (*run, position.parts, position.part, position.rows);
            *files.entry(file).or_default() += 1;
        }
        let mut reviews: BTreeMap<(usize, u32), BTreeSet<u32>> = BTreeMap::new();
        for (run, parts, part, _) in files.keys() {
            reviews.entry((*run, *parts)).or_default().insert(*part);
        }
        let parts = reviews
            .iter()
            .map(|((_, parts), found)| u64::from(*parts) - found.len() as u64);
        let rows = files
            .iter()
            .map(|((.., rows), found)| u64::from(*rows) - found);
        Missing {
            parts: parts.sum(),
            rows: rows.sum(),
        }
    }
}

#[cfg(test)]
mod tests;
