//! Evaluates snapshots offline. Nothing here sends a request, prints or reads environment variables, and all decisions
//! are pure functions over rows.

pub mod cells;
pub mod diff;
pub mod export;
pub mod findings;
pub mod report;
pub mod review;
pub mod tables;
pub mod verify;
mod workbook;
