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
use crate::failure::FailureKind;
use crate::model::{Group, GroupId, User, UserId};

/// The reason for not making a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowRefusal {
    /// The kind of the failure.
    pub kind: FailureKind,
    /// The reason in words.
    pub reason: String,
}

/// The active group rules that add users to a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rules {
    /// The names of the rules; may be empty.
    Known(Vec<String>),
    /// Okta does not show the rules.
    Unknown,
}

/// The decision on a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowAction {
    /// The change is refused.
    Refused(RowRefusal),
    /// An earlier row requests the same change; contains its line.
    Duplicate(Option<u64>),
    /// The membership already is as requested.
    Unchanged,
    /// The change will be sent.
    Change,
    /// The row requests to keep the membership, so there is nothing to do.
    Keep,
    /// The change is impossible for this reason, but was not explicitly requested.
    Skipped(String),
}

/// A row with the user and the group that it refers to, and the decision on it.
#[derive(Clone, Debug)]
pub struct PlannedRow {
    /// The row as typed.
    pub row: Row,
    /// The user, if found.
    pub user: Option<Arc<User>>,
    /// The group, if found.
    pub group: Option<Arc<Group>>,
    /// The decision on the row.
    pub action: RowAction,
}

impl PlannedRow {
    /// Returns the ids of the membership, if both the user and the group were found.
    pub fn ids(&self) -> Option<(&UserId, &GroupId)> {
        Some((&self.user.as_ref()?.id, &self.group.as_ref()?.id))
    }
}

/// Everything that is read before the first change.
#[derive(Debug)]
pub struct Knowledge {
    /// The users that the typed names refer to.
    pub users: HashMap<String, Found<User>>,
    /// The groups that the typed names refer to.
    pub groups: HashMap<String, Found<Group>>,
    /// For each membership that may be changed, true if it exists, or the reason why that cannot be read.
    pub memberships: Memberships,
}

/// A membership that may be changed.
pub type Pair = (Arc<User>, Arc<Group>);

/// For each membership, true if it exists, or the reason why that cannot be read.
pub type Memberships = HashMap<(UserId, GroupId), Result<bool, RowRefusal>>;

#[cfg(test)]
mod tests;
