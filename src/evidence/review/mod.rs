//! An access review, from the sheets to the proof: [`plan`] selects and sorts the memberships, [`sheet`] writes them,
//! [`status`] counts decisions, and [`verdict`] compares the decisions with a later snapshot.
//!
//! [`crate::sheet::review`] reads the completed sheets.

pub mod columns;
pub mod plan;
pub mod sheet;
pub mod status;
pub mod verdict;

use crate::snapshot::GroupRow;

/// Returns true if a group contains every user, so that no reviewer can decide on its memberships.
pub fn is_everyone(group: &GroupRow) -> bool {
    group.kind.as_deref() == Some("BUILT_IN") && group.name.as_deref() == Some("Everyone")
}
