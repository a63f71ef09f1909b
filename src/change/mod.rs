//! Changing membership: resolve, plan, show, confirm, send, look again.
//!
//! Rules that hold in here:
//! - Everything is found out and refused before the first change is sent. Ids are sent, never names.
//! - Scope holds for changes as for snapshots. Only OKTA_GROUP can be edited.
//! - What is so already is not sent.
//! - A change whose answer was lost is sent again only if it can be seen not to have been made: whether a repeated one
//!   is harmless is not documented (docs/okta-api.md, Changes to a membership).
//! - Each change is written to the audit log before it leaves, and its result after; a record of the first kind without
//!   one of the second means that nobody knows, and the next run with that log finds out.
//!
//! [`rows`] and [`plan`] are pure; [`resolve`] reads; [`run`] sends, through `okta::change`, the only file that does.

pub mod all_groups;
pub mod audit;
pub mod decide;
pub mod resolve;
pub mod rows;
pub mod send;
pub mod sheet;

use serde::Serialize;

use crate::okta::MembershipOp;

/// What is done to memberships.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// A user gets into a group.
    Grant,
    /// A user gets out of a group.
    Revoke,
}

impl Action {
    /// The word on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::Revoke => "revoke",
        }
    }

    /// The request that does it.
    pub fn change(self) -> MembershipOp {
        match self {
            Self::Grant => MembershipOp::Add,
            Self::Revoke => MembershipOp::Remove,
        }
    }

    /// Whether a user who is, or is not, a member is as wanted.
    pub fn is_done(self, member: bool) -> bool {
        member == (self == Self::Grant)
    }
}
