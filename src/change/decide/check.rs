//! The decision on each row: refused, duplicate, unchanged or to be sent; pure.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::found::{Found, one};
use super::refuse::{refuse_group, refuse_user};
use super::{Knowledge, PlannedRow, RowAction, RowRefusal};
use crate::change::Action;
use crate::change::rows::Row;
use crate::failure::FailureKind;
use crate::filter::Scope;
use crate::model::{GroupId, UserId};

/// Finds the user and the group of each row, and decides if the change is permitted. Existing memberships are not
/// considered here.
///
/// Rows are compared by what they refer to, because a user has three names and a group has three names.
pub fn check(
    action: Action,
    rows: &[Row],
    knowledge: &Knowledge,
    scope: &Scope,
) -> Vec<PlannedRow> {
    let mut seen: HashMap<(UserId, GroupId), usize> = HashMap::new();
    let mut planned: Vec<PlannedRow> = Vec::with_capacity(rows.len());
    for row in rows {
        let mut planned_row = check_row(action, row, knowledge, scope);
        if let Some((user, group)) = planned_row.ids() {
            match seen.entry((user.clone(), group.clone())) {
                Entry::Vacant(first) => {
                    first.insert(planned.len());
                }
                Entry::Occupied(first) => compare(&mut planned[*first.get()], &mut planned_row),
            }
        }
        planned.push(planned_row);
    }
    planned.retain(|planned_row| planned_row.action != RowAction::Keep);
    protect_what_may_be_meant(&mut planned, knowledge);
    planned
}

/// Decides on one row, without the others.
fn check_row(action: Action, row: &Row, knowledge: &Knowledge, scope: &Scope) -> PlannedRow {
    let user = knowledge.users.get(&row.user).unwrap_or(&Found::Nothing);
    let group = knowledge.groups.get(&row.group).unwrap_or(&Found::Nothing);
    let refuse_user = || refuse_user(action, &row.user, user, scope);
    let refuse_group = || refuse_group(&row.group, group, scope);
    let row_action = if row.keep {
        // The scope does not apply to rows that keep a membership, but their names must be resolved.
        let unresolved = match (one(user), one(group)) {
            (None, _) => refuse_user(),
            (_, None) => refuse_group(),
            _ => None,
        };
        unresolved.map_or(RowAction::Keep, |refusal| {
            RowAction::Refused(RowRefusal {
                reason: format!("its decision is keep, but {}", refusal.reason),
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
        action: row_action,
    }
}

/// Compares two rows that refer to the same membership: the second is a duplicate, or they contradict each other.
fn compare(first: &mut PlannedRow, second: &mut PlannedRow) {
    if first.row.keep != second.row.keep {
        first.action = contradicted_by(&second.row);
        second.action = contradicted_by(&first.row);
    } else if second.action == RowAction::Change {
        second.action = RowAction::Duplicate(first.row.line);
    }
}

fn contradicted_by(other: &Row) -> RowAction {
    let line = other
        .line
        .map_or("another row".to_owned(), |line| format!("line {line}"));
    RowAction::Refused(RowRefusal {
        kind: FailureKind::Refused,
        reason: format!("{line} contradicts this decision on the same user and group"),
    })
}

/// Refuses changes that a row to keep may refer to. If a name in that row matches several objects, it may refer to any
/// of these; if it matches nothing, it may be an old name of any object.
fn protect_what_may_be_meant(planned_rows: &mut [PlannedRow], knowledge: &Knowledge) {
    let unresolved: Vec<(Option<u64>, _, _)> = planned_rows
        .iter()
        .filter(|planned_row| planned_row.row.keep && planned_row.ids().is_none())
        .map(|planned_row| {
            let user = knowledge.users.get(&planned_row.row.user);
            let group = knowledge.groups.get(&planned_row.row.group);
            (planned_row.row.line, user, group)
        })
        .collect();
    for planned_row in planned_rows {
        if planned_row.action != RowAction::Change {
            continue;
        }
        let (Some(user), Some(group)) = (&planned_row.user, &planned_row.group) else {
            continue;
        };
        let keep = unresolved.iter().find(|(_, users, groups)| {
            may_mean(*users, |other| other.id == user.id)
                && may_mean(*groups, |other| other.id == group.id)
        });
        if let Some((line, ..)) = keep {
            let line = line.map_or("another row".to_owned(), |line| format!("line {line}"));
            planned_row.action = RowAction::Refused(RowRefusal {
                kind: FailureKind::Refused,
                reason: format!(
                    "the decision of {line} is keep, and it may refer to this membership; use ids in that line, or remove it"
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

/// Marks changes that were already made as unchanged, and refuses changes whose membership cannot be read.
pub fn leave_out_what_is_done(
    action: Action,
    planned_rows: &mut [PlannedRow],
    knowledge: &Knowledge,
) {
    for planned_row in planned_rows {
        if planned_row.action != RowAction::Change {
            continue;
        }
        let Some((user, group)) = planned_row.ids() else {
            continue;
        };
        match knowledge.memberships.get(&(user.clone(), group.clone())) {
            Some(Err(refusal)) => planned_row.action = RowAction::Refused(refusal.clone()),
            Some(Ok(member)) if action.is_done(*member) => {
                planned_row.action = RowAction::Unchanged
            }
            Some(Ok(_)) => {}
            None if action.is_done(false) => planned_row.action = RowAction::Unchanged,
            None => {}
        }
    }
}
