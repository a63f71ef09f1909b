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

use serde::{Deserialize, Serialize};

/// A table that can be listed, compared or exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names are the tables'")]
pub enum Table {
    Users,
    Groups,
    Memberships,
}

impl Table {
    /// All tables, in the order of the output.
    pub const ALL: [Self; 3] = [Self::Users, Self::Groups, Self::Memberships];

    /// Returns the table's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Groups => "groups",
            Self::Memberships => "memberships",
        }
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
