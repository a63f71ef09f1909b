//! Changes to memberships: look up, decide, confirm, send, check.
//!
//! - Names are resolved and rows are refused before the first change is sent. Requests contain ids, never names.
//! - The scope of snapshots also applies to changes. Only groups of type OKTA_GROUP can be edited.
//! - A change that is already made is not sent.
//! - A change whose response was lost is sent again only after a read showed that it was not made. Okta does not
//!   document whether repeating a change is harmless (docs/okta-api.md, Changes to a membership).
//! - Each change is recorded in the audit log before it is sent, and its result after. If the second record is missing,
//!   the result is unknown, and the next run with that log determines it.
//!
//! [`rows`], [`sheet`] and [`decide`] are pure; [`resolve`] only reads; [`send`] sends changes through `okta::change`,
//! the only module that can.

pub mod all_groups;
pub mod audit;
pub mod decide;
pub mod resolve;
pub mod rows;
pub mod send;
pub mod sheet;

use serde::Serialize;

use crate::okta::MembershipOp;

/// The kind of change to a membership.
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

    /// Returns the kind of request that makes the change.
    pub fn change(self) -> MembershipOp {
        match self {
            Self::Grant => MembershipOp::Add,
            Self::Revoke => MembershipOp::Remove,
        }
    }

    /// Returns true if the membership already is as requested.
    pub fn is_done(self, member: bool) -> bool {
        member == (self == Self::Grant)
    }
}
