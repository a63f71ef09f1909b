//! Lists and exports the tables of a snapshot: users, groups and memberships, with chosen columns and filters.
//!
//! - [`columns`] defines the columns and their values; [`filter`] selects rows. Both are pure.
//! - [`rows`] reads the rows one at a time, sorted by id. For memberships, the chosen columns of users and groups are
//!   kept in memory, but the memberships are not.
//! - [`mod@write`] writes rows as an aligned table, CSV or JSON.

pub mod columns;
pub mod filter;
pub mod rows;
pub mod write;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::words::Words;

/// A table that can be listed, compared or exported, in the order of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names are the tables'")]
pub enum Table {
    Users,
    Groups,
    Memberships,
}

impl Table {
    /// Returns the table's name.
    pub fn as_str(self) -> &'static str {
        static WORDS: Words<Table> = Words::new();
        WORDS.of(self)
    }

    /// Returns the noun for one row.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Users => "user",
            Self::Groups => "group",
            Self::Memberships => "membership",
        }
    }
}

#[cfg(test)]
mod tests;
