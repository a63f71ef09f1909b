//! The decision on every row of a change, and the reasons for refusals; pure.

mod check;
mod found;
mod reading;
mod refuse;

use std::collections::HashMap;
use std::sync::Arc;

pub use check::{check, leave_out_what_is_done};
pub(super) use found::one;
pub use found::{Found, choose_group, choose_user, is_id_or_login};
pub use reading::Reading;
pub use refuse::caution;
pub(super) use refuse::refuse_user;

use super::rows::Row;
use crate::exit::Exit;
use crate::model::{Group, GroupId, User, UserId};

/// The reason for not making a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowRefusal {
    /// The exit code, if nothing else is done.
    pub exit: Exit,
    /// In words.
    pub reason: String,
}

/// The active rules that assign users to a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rules {
    /// These, by name; possibly none.
    Known(Vec<String>),
    /// Okta does not show them.
    Unknown,
}

/// The decision on a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowAction {
    /// It is not done.
    Refused(RowRefusal),
    /// An earlier line says the same.
    Duplicate(Option<u64>),
    /// There is nothing to change.
    Unchanged,
    /// The change will be sent.
    Change,
    /// Nothing is done, as the row says.
    Kept,
    /// Nothing can be done, for this reason, and nobody asked for this membership in particular.
    Skipped(String),
}

/// A row, what it stands for, and what becomes of it.
#[derive(Clone, Debug)]
pub struct PlannedRow {
    /// As it was typed.
    pub row: Row,
    /// The user, where there is one.
    pub user: Option<Arc<User>>,
    /// The group, where there is one.
    pub group: Option<Arc<Group>>,
    /// The decision on it.
    pub verdict: RowAction,
}

impl PlannedRow {
    /// The ids to send, where both are known.
    pub fn ids(&self) -> Option<(&UserId, &GroupId)> {
        Some((&self.user.as_ref()?.id, &self.group.as_ref()?.id))
    }
}

/// Everything that is known before the first change.
#[derive(Debug)]
pub struct Knowledge {
    /// The users that the typed names refer to.
    pub users: HashMap<String, Found<User>>,
    /// The groups that the typed names refer to.
    pub groups: HashMap<String, Found<Group>>,
    /// Memberships that may be changed: whether each exists, or why that cannot be read.
    pub memberships: Memberships,
}

/// A membership that may be changed.
pub type Pair = (Arc<User>, Arc<Group>);

/// Memberships: whether each exists, or why that cannot be read.
pub type Memberships = HashMap<(UserId, GroupId), Result<bool, RowRefusal>>;

#[cfg(test)]
mod tests;
