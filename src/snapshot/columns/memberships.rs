//! The columns of the view `memberships`, which `schema.rs` defines over Baton's grants.

use super::table;
use crate::model::{GroupId, UserId};

table! {
    /// A membership, as a row of the view `memberships`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct MembershipRow = "memberships" {
        /// The member.
        user_id: UserId ["not null"] [in baton],
        /// The group.
        group_id: GroupId ["not null"] [in baton],
        /// The source of the group's memberships.
        learned: Option<String> ["not null"],
    }
}

impl MembershipRow {
    /// Returns the id of the membership's grant in Baton's tables.
    pub fn grant_id(&self) -> String {
        format!("group:{}:member:user:{}", self.group_id, self.user_id)
    }
}
