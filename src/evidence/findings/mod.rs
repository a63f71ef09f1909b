//! Finds risky or unusual users, groups and memberships in a snapshot.
//!
//! - [`catalogue`] lists every finding; `checks` has one pure function for each.
//! - Ages are relative to the end of the run, not to the clock, so that a snapshot always has the same findings.
//! - Memberships of Everyone that Okta does not list (`implied`) are ignored, since every user has one.
//! - A check that lacks data is skipped with a reason. It never passes.

pub mod catalogue;
mod checks;
pub mod exceptions;
pub mod org;
pub mod render;

use std::collections::{BTreeSet, HashSet};

use serde::Serialize;

use self::catalogue::{CATALOGUE, CatalogueEntry, Severity};
use self::exceptions::Exceptions;
use self::org::{GroupIndex, Org, UserIndex};
use crate::model::{GroupId, UserId};

/// Settings of the checks.
#[derive(Clone, Debug)]
pub struct FindingOptions {
    /// The number of days without a sign-in after which a user is dormant.
    pub dormant_days: u32,
    /// Lower-case texts; a group is privileged if its name contains one of them.
    pub privileged: Vec<String>,
    /// The largest number of members that a privileged group may have.
    pub privileged_max: u64,
    /// The ids of the checks to run.
    pub checks: BTreeSet<&'static str>,
}

impl Default for FindingOptions {
    fn default() -> Self {
        Self {
            dormant_days: 90,
            privileged: Vec::new(),
            privileged_max: 15,
            checks: CATALOGUE.iter().map(|entry| entry.id).collect(),
        }
    }
}

/// A membership, as the ids of its group and its user.
pub type MembershipIds = (GroupId, UserId);

/// Data from outside the snapshot.
#[derive(Clone, Debug, Default)]
pub struct FindingContext {
    /// The memberships of an older snapshot.
    pub older: Option<HashSet<MembershipIds>>,
    /// The memberships that a review decided to revoke.
    pub revoked: Option<Vec<MembershipIds>>,
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// The id of the finding in the catalogue.
    pub id: &'static str,
    /// The name of the finding in the catalogue.
    pub name: &'static str,
    /// The severity.
    pub severity: Severity,
    /// The definition of the finding in the catalogue.
    pub why: &'static str,
    /// The number of rows.
    pub count: usize,
    /// The number of rows that were removed because an exception covers them.
    pub suppressed: usize,
    /// The reason for skipping the check; `None` if it ran.
    pub skipped: Option<String>,
    /// The rows.
    pub rows: Vec<FindingRow>,
}

/// A user, a group or a membership with a finding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FindingRow {
    /// The user's id.
    pub user_id: Option<String>,
    /// The user's login.
    pub user_login: Option<String>,
    /// The user's name for display.
    pub user_name: Option<String>,
    /// The group's id.
    pub group_id: Option<String>,
    /// The group's name.
    pub group_name: Option<String>,
    /// The details of the finding.
    pub detail: String,
}

/// The rows that a check found, or the reason for skipping it.
type Checked = Result<Vec<FindingRow>, String>;

/// Runs the checks in the order of the catalogue.
pub fn run(
    org: &Org,
    context: &FindingContext,
    exceptions: &Exceptions,
    options: &FindingOptions,
) -> Vec<Finding> {
    let mut exceptions = exceptions.clone();
    let wanted = |entry: &&CatalogueEntry| options.checks.contains(entry.id);
    let mut findings = Vec::new();
    for entry in CATALOGUE.iter().filter(wanted) {
        let checked = if entry.id == exceptions::ID {
            Ok(exceptions.findings(org.taken_on(), &options.checks))
        } else {
            checks::check(entry.id, org, context, options)
        };
        let (rows, skipped) = match checked {
            Ok(rows) => (rows, None),
            Err(reason) => (Vec::new(), Some(reason)),
        };
        let found = rows.len();
        let rows = exceptions.remaining(entry, rows, org.taken_on());
        findings.push(Finding {
            id: entry.id,
            name: entry.name,
            severity: entry.severity,
            why: entry.definition,
            count: rows.len(),
            suppressed: found - rows.len(),
            skipped,
            rows,
        });
    }
    findings
}

impl Org {
    fn user_row(&self, index: UserIndex, detail: impl Into<String>) -> FindingRow {
        let user = self.user(index);
        FindingRow {
            user_id: Some(user.id.to_string()),
            user_login: user.login.clone(),
            user_name: Some(user.display_name()),
            detail: detail.into(),
            ..FindingRow::default()
        }
    }

    fn group_row(&self, index: GroupIndex, detail: impl Into<String>) -> FindingRow {
        let group = self.group(index);
        FindingRow {
            group_id: Some(group.id.to_string()),
            group_name: group.name.clone(),
            detail: detail.into(),
            ..FindingRow::default()
        }
    }

    fn member_row(
        &self,
        (group, user): (GroupIndex, UserIndex),
        detail: impl Into<String>,
    ) -> FindingRow {
        let of_group = self.group_row(group, "");
        FindingRow {
            group_id: of_group.group_id,
            group_name: of_group.group_name,
            ..self.user_row(user, detail)
        }
    }
}

#[cfg(test)]
mod tests;
