//! Parts that only tests and benchmarks need: faults, large orgs, and what a sync must find.

pub(crate) mod fault;
mod generate;
pub(crate) mod send;
mod truth;

pub use fault::{Action, Fault, Reply};
pub use generate::{Distribution, Shape};
pub use truth::Truth;
