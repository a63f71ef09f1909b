//! Complete snapshots of who is in which group of an Okta org, and safe changes to memberships.
//!
//! The library is the binary's own code, split off so that the tests, the benchmark and the fuzz targets can reach it; it
//! promises nothing to other crates. `docs/architecture.md` has its layers and rules.

#![warn(clippy::too_many_lines)]
#![cfg_attr(
    test,
    allow(clippy::too_many_lines, reason = "tables of cases are long")
)]

pub mod atomic_file;
pub mod change;
pub mod cli;
pub mod commands;
pub mod config;
pub mod console;
pub mod evidence;
pub mod exit;
pub mod failure;
pub mod filter;
pub mod mask;
pub mod model;
pub mod near;
pub mod okta;

pub mod sheet;
pub mod signal;
pub mod snapshot;
pub mod sync;
pub mod text;
pub mod trust;
pub mod whoami;
