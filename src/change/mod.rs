//! Changes to memberships: look up, decide, confirm, send, check.
//!
//! - Everything is looked up and refused before the first change is sent. Requests contain ids, never names.
//! - The scope holds for changes as it does for snapshots. Only groups of type OKTA_GROUP can be edited.
//! - A change that is already made is not sent.
//! - A change whose response was lost is sent again only if it was seen not to have been made: whether repeating one is
//!   harmless is not documented (docs/okta-api.md, Changes to a membership).
//! - Each change is written to the audit log before it is sent, and its result after. If a record of the first kind has none of
//!   the second, the result is unknown, and the next run with that log finds out.
//!
//! [`rows`], [`sheet`] and [`decide`] are pure; [`resolve`] reads; [`send`] sends, through `okta::change`, the only file that does.

pub mod all_groups;
pub mod audit;
pub mod decide;
pub mod resolve;
pub mod rows;
pub mod send;
pub mod sheet;

use serde::Serialize;

use crate::okta::MembershipOp;

/// The change to memberships.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Adds a user to a group.
    Grant,
    /// Removes a user from a group.
    Revoke,
}

impl Action {
    /// Returns the word on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::Revoke => "revoke",
        }
    }

    /// Returns the request that makes the change.
    pub fn change(self) -> MembershipOp {
        match self {
            Self::Grant => MembershipOp::Add,
            Self::Revoke => MembershipOp::Remove,
        }
    }

    /// Returns whether nothing is left to do for a user who is, or is not, a member.
    pub fn is_done(self, member: bool) -> bool {
        member == (self == Self::Grant)
    }
}
