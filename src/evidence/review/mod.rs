//! A review of access, from sheet to proof: [`plan`] selects and sorts the memberships, [`sheet`] writes them, [`status`] counts
//! decisions, and [`verdict`] compares the decisions with a snapshot that was taken later.
//!
//! [`crate::sheet::review`] reads the sheets that come back.

pub mod columns;
pub mod plan;
pub mod sheet;
pub mod status;
pub mod verdict;

use crate::snapshot::GroupRow;

/// Returns whether everybody is in a group, so that no reviewer can decide on its memberships.
pub fn is_everyone(group: &GroupRow) -> bool {
    group.kind.as_deref() == Some("BUILT_IN") && group.name.as_deref() == Some("Everyone")
}
