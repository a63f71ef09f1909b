//! Converts a review sheet to a list of changes; pure.
//!
//! Only rows with the decision `revoke` become changes. Requests contain ids, and the current names are compared with
//! those that the reviewer saw.

use std::collections::BTreeSet;

use serde::Serialize;

use super::decide::PlannedRow;
use super::rows::Row;
use crate::failure::Failure;
use crate::sheet::decision::DecisionTally;
use crate::sheet::review::{Coverage, ReviewFile, ReviewRow};
use crate::sheet::{Decision, Error};
use crate::text::count;

/// The names of the user and the group when the sheet was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reviewed {
    /// The user's login.
    pub user_login: String,
    /// The group's name.
    pub group_name: String,
}

/// The counts of a sheet, and the origin of its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SheetSummary {
    /// The number of rows with each decision.
    #[serde(flatten)]
    pub decisions: DecisionTally,
    /// The number of rows that were deleted from the sheet.
    pub missing_rows: u64,
    /// The URLs of the orgs in the rows.
    #[serde(skip)]
    pub orgs: BTreeSet<String>,
    /// The ids of the runs that wrote the sheet's snapshots.
    #[serde(skip)]
    pub sync_ids: BTreeSet<String>,
}

impl SheetSummary {
    fn add(&mut self, row: &ReviewRow) {
        self.decisions.add(row.decision);
        if !self.orgs.contains(&row.org) {
            self.orgs.insert(row.org.clone());
        }
        if !self.sync_ids.contains(&row.sync_id) {
            self.sync_ids.insert(row.sync_id.clone());
        }
    }
}

/// Reads the rows to revoke, and counts all rows.
///
/// # Errors
/// Returns an error for the first invalid row. No part of such a sheet is used.
pub fn read(file: &mut ReviewFile) -> Result<(Vec<Row>, SheetSummary), Error> {
    let mut rows = Vec::new();
    let mut summary = SheetSummary::default();
    let mut coverage = Coverage::default();
    file.rows(&mut coverage, &mut |row| {
        summary.add(&row);
        if row.decision == Decision::Revoke {
            rows.push(Row {
                line: Some(row.line),
                user: row.user_id,
                group: row.group_id,
                keep: false,
                reviewed: Some(Reviewed {
                    user_login: row.user_login,
                    group_name: row.group_name,
                }),
            });
        }
        Ok::<_, Error>(())
    })?;
    summary.missing_rows = coverage.missing().rows;
    Ok((rows, summary))
}

/// The conditions for applying a sheet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// True if every row needs a final decision.
    pub require_decisions: bool,
    /// The largest age of the sheet's snapshot, in days.
    pub max_days: u32,
}

/// Checks that a sheet may be applied to an org. `ages` contains the age of each of the sheet's snapshots in days, or
/// `None` if it is unknown.
///
/// # Errors
/// Returns a refusal if a condition is not met.
pub fn permit(
    summary: &SheetSummary,
    origin: &str,
    ages: impl IntoIterator<Item = Option<i64>>,
    conditions: Conditions,
) -> Result<(), Failure> {
    if let Some(other) = summary.orgs.iter().find(|org| org.as_str() != origin) {
        return Err(Failure::refused(if other.is_empty() {
            "the sheet does not record its org; create a sheet from a snapshot that okta-ciam sync wrote".to_owned()
        } else {
            format!("the sheet is from {other}, not from {origin}")
        }));
    }
    if conditions.require_decisions && summary.decisions.open() > 0 {
        return Err(Failure::refused(format!(
            "{} no final decision; --require-decisions permits none",
            has(summary.decisions.open())
        )));
    }
    if conditions.require_decisions && summary.missing_rows > 0 {
        return Err(Failure::refused(format!(
            "{} deleted from the sheet; --require-decisions needs a decision on each",
            count(summary.missing_rows, "row")
                .replace("rows", "rows were")
                .replace("1 row", "1 row was")
        )));
    }
    for age in ages {
        let is_too_old = age.is_none_or(|days| days > i64::from(conditions.max_days));
        if is_too_old {
            let age = age.map_or("at an unknown time".to_owned(), |days| {
                format!("{} ago", count(days.unsigned_abs(), "day"))
            });
            return Err(Failure::refused(format!(
                "the snapshot of the sheet was taken {age}; start a new review, or permit it with --max-sheet-age"
            )));
        }
    }
    Ok(())
}

fn has(rows: u64) -> String {
    let verb = if rows == 1 { "has" } else { "have" };
    format!("{} {verb}", count(rows, "row"))
}

/// Returns a note for each row whose user or group was renamed after the sheet was made.
pub fn renamed(planned_rows: &[PlannedRow]) -> Vec<String> {
    let notes = planned_rows.iter().filter_map(|planned_row| {
        let reviewed = planned_row.row.reviewed.as_ref()?;
        let line = planned_row
            .row
            .line
            .map_or(String::new(), |line| format!("line {line}: "));
        let note = |kind: &str, now: Option<&str>, then: &str| {
            let now = now.filter(|now| *now != then)?;
            Some(format!(
                "{line}the {kind} is {now:?} now and was {then:?} when the sheet was made"
            ))
        };
        let login = planned_row.user.as_ref().and_then(|user| user.login());
        let name = planned_row.group.as_ref().and_then(|group| group.name());
        note("user", login, &reviewed.user_login)
            .or_else(|| note("group", name, &reviewed.group_name))
    });
    notes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: &str = "https://company.okta.com";

    fn summary(org: &str, undecided: u64) -> SheetSummary {
        SheetSummary {
            decisions: DecisionTally {
                rows: 3 + undecided,
                revoke: 1,
                approve: 2,
                undecided,
                ..DecisionTally::default()
            },
            orgs: [org.to_owned()].into(),
            ..SheetSummary::default()
        }
    }

    #[test]
    fn a_sheet_of_another_org_an_old_one_and_an_undecided_one_are_refused() {
        let strict = Conditions {
            require_decisions: true,
            max_days: 30,
        };
        let lenient = Conditions {
            require_decisions: false,
            max_days: 30,
        };
        let other = "https://other.okta.com";
        for (org, undecided, age, conditions, part) in [
            (ORIGIN, 0, Some(30), strict, None),
            (ORIGIN, 4, Some(0), lenient, None),
            (ORIGIN, 0, Some(-1), strict, None),
            (ORIGIN, 1, Some(0), strict, Some("1 row has no final")),
            (ORIGIN, 2, Some(0), strict, Some("2 rows have no final")),
            (ORIGIN, 0, Some(31), lenient, Some("taken 31 days ago")),
            (ORIGIN, 0, None, lenient, Some("at an unknown time")),
            (other, 0, Some(0), lenient, Some("is from https://other")),
            ("", 0, Some(0), lenient, Some("does not record its org")),
        ] {
            let permitted = permit(&summary(org, undecided), ORIGIN, [age], conditions);
            match part {
                None => assert!(permitted.is_ok(), "{permitted:?}"),
                Some(part) => {
                    let message = permitted.unwrap_err().message;
                    assert!(message.contains(part), "{message}");
                }
            }
        }
    }
}
