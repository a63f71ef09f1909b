//! Risky or unusual users, groups and memberships of a snapshot.
//!
//! - [`catalogue`] names every finding; [`checks`] has one pure function for each.
//! - Ages count from the end of the run, never from the clock, so that a snapshot always has the same findings.
//! - Memberships of Everyone that Okta does not list (`implied`) do not count: everybody has them.
//! - A check without the data that it needs is skipped with a reason; it never passes.

pub mod catalogue;
mod checks;
pub mod exceptions;
pub mod org;
pub mod render;

use std::collections::{BTreeSet, HashSet};

use serde::Serialize;

use self::catalogue::{CATALOGUE, Entry, Severity};
use self::exceptions::Exceptions;
use self::org::{GroupIndex, Org, UserIndex};
use crate::model::{GroupId, UserId};

/// What decides about findings.
#[derive(Clone, Debug)]
pub struct Options {
    /// After how many days without a sign-in a user is dormant.
    pub dormant_days: u32,
    /// Parts of the names of privileged groups, in lower case.
    pub privileged: Vec<String>,
    /// How many members a privileged group may have.
    pub privileged_max: u64,
    /// The ids of the checks to run.
    pub checks: BTreeSet<&'static str>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            dormant_days: 90,
            privileged: Vec::new(),
            privileged_max: 15,
            checks: CATALOGUE.iter().map(|entry| entry.id).collect(),
        }
    }
}

/// A pair of group and user.
pub type Pair = (GroupId, UserId);

/// What is known besides the snapshot.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// The memberships of an older snapshot.
    pub older: Option<HashSet<Pair>>,
    /// The memberships that a review decided to revoke.
    pub revoked: Option<Vec<Pair>>,
}

/// The rows of one check.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// The id in the catalogue.
    pub id: &'static str,
    /// The name in the catalogue.
    pub name: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What a row of it is.
    pub why: &'static str,
    /// How many rows there are.
    pub count: usize,
    /// How many rows an exception covers. They are not among the rows.
    pub suppressed: usize,
    /// Why the check did not run, if it did not.
    pub skipped: Option<String>,
    /// What was found.
    pub rows: Vec<Row>,
}

/// One thing that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The user.
    pub user_id: Option<String>,
    /// The user's login.
    pub user_login: Option<String>,
    /// What to call the user.
    pub user_name: Option<String>,
    /// The group.
    pub group_id: Option<String>,
    /// The group's name.
    pub group_name: Option<String>,
    /// What exactly was found.
    pub detail: String,
}

/// What a check returns: rows, or why it could not run.
type Checked = Result<Vec<Row>, String>;

/// Runs the checks, in the order of the catalogue.
pub fn run(
    org: &Org,
    context: &Context,
    exceptions: &Exceptions,
    options: &Options,
) -> Vec<Finding> {
    let mut exceptions = exceptions.clone();
    let wanted = |entry: &&Entry| options.checks.contains(entry.id);
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
    fn user_row(&self, index: UserIndex, detail: impl Into<String>) -> Row {
        let user = self.user(index);
        Row {
            user_id: Some(user.id.to_string()),
            user_login: user.login.clone(),
            user_name: Some(user.display_name()),
            detail: detail.into(),
            ..Row::default()
        }
    }

    fn group_row(&self, index: GroupIndex, detail: impl Into<String>) -> Row {
        let group = self.group(index);
        Row {
            group_id: Some(group.id.to_string()),
            group_name: group.name.clone(),
            detail: detail.into(),
            ..Row::default()
        }
    }

    fn member_row(&self, (group, user): (GroupIndex, UserIndex), detail: impl Into<String>) -> Row {
        let of_group = self.group_row(group, "");
        Row {
            group_id: of_group.group_id,
            group_name: of_group.group_name,
            ..self.user_row(user, detail)
        }
    }
}

#[cfg(test)]
mod tests;
