//! A complete, trustworthy picture of who is in which group of an Okta org, and safe changes to it.
//!
//! The library is the binary's own code, split off so that the tests, the benchmark and the fuzz targets can reach it;
//! it promises nothing to other crates. Arrows point down: `commands` know everything below, `okta` knows no SQL,
//! `snapshot` knows no HTTP, and `filter` and `model` know neither.

pub mod demo;
pub mod filter;
pub mod model;
pub mod snapshot;
