//! Reads an org and writes its snapshot.
//!
//! - [`plan`] and [`ends`] decide how to read with the fewest requests, [`drop_guard`] whether a snapshot lost too much.
//!   They do no I/O.
//! - [`engine`] passes the pages that the threads of `worker` read to the `phases`, which store them in the [`checkpoint`]
//!   and start what follows.
//! - [`assemble`] writes the snapshot from the checkpoint, sorted; [`pipeline`] packs and publishes it.

pub mod assemble;
pub mod checkpoint;
mod context;
pub mod drop_guard;
pub mod ends;
pub mod engine;
pub mod listing;
pub mod objects;
mod owner;
mod phases;
pub mod pipeline;
pub mod plan;
mod report;
mod worker;

pub use self::owner::TokenOwner;
use self::plan::MembershipsBy;
pub use self::report::{DOMAIN_UNUSED, OrgReadReport, domain_unused};
use crate::filter::Scope;
use crate::okta::settings::PageSizes;

/// The options for reading an org.
#[derive(Clone, Debug)]
pub struct Options {
    /// The users and groups to include.
    pub scope: Scope,
    /// The requested strategy.
    pub memberships_by: MembershipsBy,
    /// The largest number of requests at a time.
    pub concurrency: usize,
    /// The number of rows to request per page.
    pub page_sizes: PageSizes,
    /// True to end before any membership is read.
    pub plan: bool,
    /// True to accept a snapshot without users or without groups.
    pub allow_empty: bool,
}

/// The progress of a sync.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Users read, and how many there are, if Okta reports it.
    pub users: (u64, Option<u64>),
    /// True if the user list was read to its end.
    pub users_done: bool,
    /// Groups read.
    pub groups: u64,
    /// True if the group list was read to its end.
    pub groups_done: bool,
    /// Members, or users whose groups were read, and how many there are; none before the strategy is decided.
    pub memberships: (u64, Option<u64>),
    /// The unit of `memberships`.
    pub unit: &'static str,
    /// The reason for waiting.
    pub waiting: Option<String>,
}

#[cfg(test)]
mod tests;
