//! Findings that someone accepted, with a reason and an end date.
//!
//! An exception that has expired or covers nothing is itself a finding.

use std::collections::BTreeSet;

use jiff::civil::Date;

use super::FindingRow;
use super::catalogue::{CATALOGUE, CatalogueEntry};

/// The id of the finding about exceptions.
pub(super) const ID: &str = "OC701";

const COLUMNS: [&str; 6] = ["finding", "user", "group", "until", "reason", "approved_by"];

/// The rows of an exceptions file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exceptions(Vec<Exception>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Exception {
    line: u64,
    entry: &'static str,
    user: Option<String>,
    group: Option<String>,
    until: Date,
    is_used: bool,
}

impl Exceptions {
    /// Reads a CSV file.
    ///
    /// # Errors
    /// Returns an error that names the line if a column is missing, a field is empty or a value is unknown.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_reader(bytes);
        let header = reader.headers().map_err(|error| error.to_string())?.clone();
        let mut places = [0; COLUMNS.len()];
        for (place, column) in places.iter_mut().zip(COLUMNS) {
            *place = header
                .iter()
                .position(|name| name == column)
                .ok_or_else(|| {
                    format!(
                        "the column {column} is missing; the columns are {}",
                        COLUMNS.join(",")
                    )
                })?;
        }
        let mut exceptions = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|error| error.to_string())?;
            let line = record.position().map_or(0, csv::Position::line);
            let cells = places.map(|place| record.get(place).unwrap_or_default());
            let exception =
                exception(line, cells).map_err(|problem| format!("line {line}: {problem}"))?;
            exceptions.push(exception);
        }
        Ok(Self(exceptions))
    }

    /// Removes the rows that an exception covers.
    pub(super) fn remaining(
        &mut self,
        entry: &CatalogueEntry,
        mut rows: Vec<FindingRow>,
        today: Date,
    ) -> Vec<FindingRow> {
        let covering = self
            .0
            .iter_mut()
            .filter(|exception| exception.entry == entry.id);
        for exception in covering {
            rows.retain(|row| {
                let is_covered = exception.covers(row);
                exception.is_used |= is_covered;
                !is_covered || exception.until < today
            });
        }
        rows
    }

    /// Returns a row for each exception that has expired or covered nothing. Exceptions to checks that did not run are
    /// left out.
    pub(super) fn findings(&self, today: Date, checks: &BTreeSet<&'static str>) -> Vec<FindingRow> {
        let of_checks = self
            .0
            .iter()
            .filter(|exception| checks.contains(exception.entry));
        let row = |exception: &Exception| {
            let problem = if exception.until < today {
                format!("expired on {}", exception.until)
            } else if !exception.is_used {
                "covers nothing".to_owned()
            } else {
                return None;
            };
            Some(FindingRow {
                user_login: exception.user.clone(),
                group_name: exception.group.clone(),
                detail: format!(
                    "line {}: the exception from {} {problem}",
                    exception.line, exception.entry
                ),
                ..FindingRow::default()
            })
        };
        of_checks.filter_map(row).collect()
    }
}

fn exception(line: u64, cells: [&str; 6]) -> Result<Exception, String> {
    let [finding, user, group, until, reason, approved_by] = cells;
    let entry = find(finding).ok_or_else(|| {
        format!("no finding has the id or name {finding:?}; findings --list prints them")
    })?;
    if user.is_empty() && group.is_empty() {
        return Err("the user and the group are empty; name at least one".to_owned());
    }
    for (name, value) in [("reason", reason), ("approved_by", approved_by)] {
        if value.is_empty() {
            return Err(format!("{name} is empty"));
        }
    }
    let until = until
        .parse()
        .map_err(|_| format!("until is {until:?}; write a day, such as 2026-12-31"))?;
    let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Ok(Exception {
        line,
        entry: entry.id,
        user: filled(user),
        group: filled(group),
        until,
        is_used: false,
    })
}

/// Returns the entry with an id or a name, ignoring case.
pub fn find(text: &str) -> Option<&'static CatalogueEntry> {
    let is_it = |entry: &&CatalogueEntry| {
        entry.id.eq_ignore_ascii_case(text) || entry.name.eq_ignore_ascii_case(text)
    };
    CATALOGUE.iter().find(is_it)
}

impl Exception {
    fn covers(&self, row: &FindingRow) -> bool {
        let user = self.user.as_deref().is_none_or(|user| {
            row.user_id.as_deref() == Some(user)
                || row
                    .user_login
                    .as_ref()
                    .is_some_and(|login| login.to_lowercase() == user.to_lowercase())
        });
        let group = self.group.as_deref();
        let group = group.is_none_or(|group| {
            [&row.group_id, &row.group_name]
                .into_iter()
                .any(|known| known.as_deref() == Some(group))
        });
        user && group
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "finding,user,group,until,reason,approved_by\n";

    fn row(login: &str, group: &str) -> FindingRow {
        FindingRow {
            user_login: Some(login.to_owned()),
            group_name: Some(group.to_owned()),
            ..FindingRow::default()
        }
    }

    #[test]
    fn an_exception_covers_its_user_and_group_until_its_last_day() {
        let text = format!("{HEADER}dormant-member,ADA@example.com,,2026-01-31,on leave,Eve\n");
        let exceptions = Exceptions::parse(text.as_bytes()).unwrap();
        let entry = find("OC104").unwrap();
        let rows = vec![row("ada@example.com", "a"), row("bob@example.com", "a")];
        for (today, left, findings) in [("2026-01-31", 1, 0), ("2026-02-01", 2, 1)] {
            let today = today.parse().unwrap();
            let mut exceptions = exceptions.clone();
            assert_eq!(exceptions.remaining(entry, rows.clone(), today).len(), left);
            let checks = BTreeSet::from(["OC104"]);
            assert_eq!(exceptions.findings(today, &checks).len(), findings);
            assert_eq!(exceptions.findings(today, &BTreeSet::new()).len(), 0);
        }
        let unused = exceptions.findings("2026-01-01".parse().unwrap(), &BTreeSet::from(["OC104"]));
        assert!(unused[0].detail.contains("covers nothing"));
    }

    #[test]
    fn a_bad_file_is_an_error_that_names_the_line() {
        for (text, part) in [
            ("finding,user\n", "the column group is missing"),
            (
                &format!("{HEADER}x,a,,2026-01-31,r,e\n"),
                "line 2: no finding",
            ),
            (
                &format!("{HEADER}OC101,,,2026-01-31,r,e\n"),
                "line 2: the user and the group are empty",
            ),
            (&format!("{HEADER}OC101,a,,soon,r,e\n"), "2026-12-31"),
            (
                &format!("{HEADER}OC101,a,,2026-01-31,,e\n"),
                "reason is empty",
            ),
            (
                &format!("{HEADER}OC101,a,,2026-01-31,r,\n"),
                "approved_by is empty",
            ),
        ] {
            let error = Exceptions::parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
