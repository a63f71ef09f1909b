//! Tests the binary as users run it, over HTTP against the demo's server. All tests are one target, so that the binary
//! is linked once.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::too_many_lines, reason = "tables of cases are long")]

mod change;
mod check;
mod complete;
mod demo;
mod deploy;
mod diff;
mod exits;
mod export;
mod faults;
mod findings;
mod guards;
mod help;
mod hostile;
mod interrupts;
mod lists;
mod machine;
mod matrix;
mod metrics;
mod moving;
mod output;
mod outside;
mod pages;
mod pairs;
mod plan;
mod readme;
mod report;
mod resume;
mod review;
mod scope;
mod series;
mod show;
mod support;
mod sync;
mod tables;
mod terminal;
mod tls;
mod transcripts;
mod trust;
mod variables;
mod verify;
