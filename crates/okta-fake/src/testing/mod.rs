//! Parts for tests and benchmarks only: faults, large orgs, and the expected result of a sync.

pub(crate) mod fault;
mod generate;
pub(crate) mod send;
mod truth;

pub use fault::{Action, Fault, Reply};
pub use generate::{Distribution, Shape};
pub use truth::Truth;
