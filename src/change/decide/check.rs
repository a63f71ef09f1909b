//! The decision on each row: refused, duplicate, unchanged or to be sent; pure.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::found::{Found, one};
use super::refuse::{refuse_group, refuse_user};
use super::{Knowledge, PlannedRow, RowAction, RowRefusal};
use crate::change::Action;
use crate::change::rows::Row;
use crate::exit::Exit;
use crate::filter::Scope;
use crate::model::{GroupId, UserId};

/// Decides what each row refers to and whether it is permitted, apart from the memberships that exist.
///
/// Rows are compared by what they refer to: there are three ways to name a user, and three to name a group.
pub fn check(
    action: Action,
    rows: &[Row],
    knowledge: &Knowledge,
    scope: &Scope,
) -> Vec<PlannedRow> {
    let mut seen: HashMap<(UserId, GroupId), usize> = HashMap::new();
    let mut planned: Vec<PlannedRow> = Vec::with_capacity(rows.len());
    for row in rows {
        let mut step = check_row(action, row, knowledge, scope);
        if let Some((user, group)) = step.ids() {
            match seen.entry((user.clone(), group.clone())) {
                Entry::Vacant(first) => {
                    first.insert(planned.len());
                }
                Entry::Occupied(first) => compare(&mut planned[*first.get()], &mut step),
            }
        }
        planned.push(step);
    }
    planned.retain(|step| step.verdict != RowAction::Kept);
    protect_what_may_be_meant(&mut planned, knowledge);
    planned
}

/// Decides on one row, without the others.
fn check_row(action: Action, row: &Row, knowledge: &Knowledge, scope: &Scope) -> PlannedRow {
    let user = knowledge.users.get(&row.user).unwrap_or(&Found::Nothing);
    let group = knowledge.groups.get(&row.group).unwrap_or(&Found::Nothing);
    let refuse_user = || refuse_user(action, &row.user, user, scope);
    let refuse_group = || refuse_group(&row.group, group, scope);
    let verdict = if row.keep {
        // Nothing is sent for it, so its scope does not matter; what it refers to does.
        let unresolved = match (one(user), one(group)) {
            (None, _) => refuse_user(),
            (_, None) => refuse_group(),
            _ => None,
        };
        unresolved.map_or(RowAction::Kept, |refusal| {
            RowAction::Refused(RowRefusal {
                reason: format!("it says keep, but {}", refusal.reason),
                ..refusal
            })
        })
    } else {
        refuse_user()
            .or_else(refuse_group)
            .map_or(RowAction::Change, RowAction::Refused)
    };
    PlannedRow {
        row: row.clone(),
        user: one(user),
        group: one(group),
        verdict,
    }
}

/// Compares two rows that refer to the same membership: the second is a duplicate, or they contradict each other.
fn compare(first: &mut PlannedRow, second: &mut PlannedRow) {
    if first.row.keep != second.row.keep {
        first.verdict = contradicted_by(&second.row);
        second.verdict = contradicted_by(&first.row);
    } else if second.verdict == RowAction::Change {
        second.verdict = RowAction::Duplicate(first.row.line);
    }
}

fn contradicted_by(other: &Row) -> RowAction {
    let line = other
        .line
        .map_or(String::new(), |line| format!("line {line} "));
    RowAction::Refused(RowRefusal {
        exit: Exit::Refused,
        reason: format!("{line}says otherwise of the same user and group"),
    })
}

/// Refuses each change that a row to keep may mean where it is not clear which membership that row means: a name that
/// nothing has may be an old one of anything.
fn protect_what_may_be_meant(steps: &mut [PlannedRow], knowledge: &Knowledge) {
    let unresolved: Vec<(Option<u64>, _, _)> = steps
        .iter()
        .filter(|step| step.row.keep && step.ids().is_none())
        .map(|step| {
            let user = knowledge.users.get(&step.row.user);
            let group = knowledge.groups.get(&step.row.group);
            (step.row.line, user, group)
        })
        .collect();
    for step in steps {
        if step.verdict != RowAction::Change {
            continue;
        }
        let (Some(user), Some(group)) = (&step.user, &step.group) else {
            continue;
        };
        let keep = unresolved.iter().find(|(_, users, groups)| {
            may_mean(*users, |other| other.id == user.id)
                && may_mean(*groups, |other| other.id == group.id)
        });
        if let Some((line, ..)) = keep {
            let line = line.map_or("another row".to_owned(), |line| format!("line {line}"));
            step.verdict = RowAction::Refused(RowRefusal {
                exit: Exit::Refused,
                reason: format!(
                    "{line} says keep and may mean this membership; write ids there, or remove that line"
                ),
            });
        }
    }
}

fn may_mean<T>(found: Option<&Found<T>>, is: impl Fn(&T) -> bool) -> bool {
    match found {
        Some(Found::One(it)) => is(it),
        Some(Found::Several(several) | Found::OtherCase(several)) => {
            several.iter().any(|it| is(it))
        }
        Some(Found::Nothing | Found::Near(_) | Found::Unreadable(_)) | None => true,
    }
}

/// Marks each change that is already made as unchanged, and refuses those whose membership cannot be read.
pub fn leave_out_what_is_done(action: Action, steps: &mut [PlannedRow], knowledge: &Knowledge) {
    for step in steps {
        if step.verdict != RowAction::Change {
            continue;
        }
        let Some((user, group)) = step.ids() else {
            continue;
        };
        match knowledge.memberships.get(&(user.clone(), group.clone())) {
            Some(Err(refusal)) => step.verdict = RowAction::Refused(refusal.clone()),
            Some(Ok(member)) if action.is_done(*member) => step.verdict = RowAction::Unchanged,
            Some(Ok(_)) => {}
            None if action.is_done(false) => step.verdict = RowAction::Unchanged,
            None => {}
        }
    }
}
