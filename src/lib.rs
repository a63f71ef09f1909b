//! Complete snapshots of who is in which group of an Okta org, and safe changes to memberships.
//!
//! The library is the binary's own code. Its modules are private, so that the compiler reports unused code. Tests,
//! benchmarks and fuzz targets reach what [`testing`] lists. It promises nothing to other crates. `docs/architecture.md` has
//! its layers and rules.

#![cfg_attr(
    test,
    allow(clippy::too_many_lines, reason = "tables of cases are long")
)]

mod atomic_file;
mod change;
mod cli;
mod commands;
mod config;
mod console;
mod evidence;
mod exit;
mod failure;
mod filter;
mod mask;
mod model;
mod near;
mod okta;
mod program;

mod sheet;
mod signal;
mod snapshot;
mod sync;
mod text;
mod trust;
mod whoami;
mod words;

pub use program::main;

/// The parts that tests, benchmarks and fuzz targets use.
#[doc(hidden)]
pub mod testing {
    pub mod model {
        pub use crate::model::*;
    }
    pub mod text {
        pub use crate::text::{number, span};
    }
    pub mod change {
        pub use crate::change::{Action, rows};
    }
    pub mod cli {
        pub use crate::cli::{Cli, variable, variables};
    }
    pub mod evidence {
        pub use crate::evidence::report;
        pub mod findings {
            pub use crate::evidence::findings::{FindingOptions, catalogue};
        }
    }
    pub mod exit {
        pub use crate::exit::ExitStatus;
    }
    pub mod filter {
        pub use crate::filter::{Addresses, Domain, MatchedBy, NameFilter, Scope};
    }
    pub mod okta {
        pub mod http {
            pub use crate::okta::http::page;
        }
    }
    pub mod sheet {
        pub use crate::sheet::{Error, Record, csv, xlsx};
    }
    pub mod snapshot {
        pub use crate::snapshot::{
            Column, Error, GroupMembers, PRAGMAS, Reader, RunHeader, RunMetadata, TABLES, Writer,
            c1z,
        };
    }
}
