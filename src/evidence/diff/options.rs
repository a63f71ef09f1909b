//! Describes what to compare and report, without I/O.

use std::collections::{BTreeSet, HashSet};

use clap::ValueEnum as _;

use super::compare::Fields;
use super::{ChangeKind, Table};
use crate::model::{GroupId, UserId};

/// What to compare and report.
#[derive(Clone, Debug)]
pub struct DiffOptions {
    /// The tables to compare.
    pub tables: BTreeSet<Table>,
    /// The kinds of change to report.
    pub kinds: BTreeSet<ChangeKind>,
    /// The fields to compare.
    pub fields: Fields,
    /// The users to report, with their memberships; all users if this is `None`.
    pub users: Option<HashSet<UserId>>,
    /// The groups to report, with their memberships; all groups if this is `None`.
    pub groups: Option<HashSet<GroupId>>,
}

impl Default for DiffOptions {
    fn default() -> Self {
        Self {
            tables: Table::value_variants().iter().copied().collect(),
            kinds: ChangeKind::value_variants().iter().copied().collect(),
            fields: Fields::default(),
            users: None,
            groups: None,
        }
    }
}

impl DiffOptions {
    /// Returns whether the filters leave any row of a table. With a filter for groups only, users themselves are not
    /// reported, and the reverse.
    pub fn reports_rows_of(&self, table: Table) -> bool {
        let (users, groups) = (self.users.is_some(), self.groups.is_some());
        self.tables.contains(&table)
            && match table {
                Table::Users => users || !groups,
                Table::Groups => groups || !users,
                Table::Memberships => true,
            }
    }

    /// Returns the tables whose changed rows are reported, so that it matters which of their columns are compared.
    pub fn compared_tables(&self) -> BTreeSet<Table> {
        let all = Table::value_variants().iter().copied();
        all.filter(|table| {
            self.kinds.contains(&ChangeKind::Changed) && self.reports_rows_of(*table)
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_matter_only_in_tables_whose_changed_rows_are_reported() {
        use ChangeKind::{Added, Changed, Removed, Unknown};
        use Table::{Groups, Memberships, Users};
        let (every_table, every_kind) = (
            [Users, Groups, Memberships],
            [Added, Removed, Changed, Unknown],
        );
        for (tables, kinds, has_users, has_groups, compared) in [
            (
                &every_table[..],
                &every_kind[..],
                false,
                false,
                &every_table[..],
            ),
            (&every_table, &every_kind, true, true, &every_table),
            (
                &every_table,
                &every_kind,
                true,
                false,
                &[Users, Memberships],
            ),
            (
                &every_table,
                &every_kind,
                false,
                true,
                &[Groups, Memberships],
            ),
            (&every_table, &[Changed], false, false, &every_table),
            (&every_table, &[Added], false, false, &[]),
            (&every_table, &[Added, Removed, Unknown], true, true, &[]),
            (&[Groups], &every_kind, false, false, &[Groups]),
            (&[Users, Groups], &every_kind, true, false, &[Users]),
            (&[Users], &every_kind, false, true, &[]),
        ] {
            let options = DiffOptions {
                tables: tables.iter().copied().collect(),
                kinds: kinds.iter().copied().collect(),
                users: has_users.then(HashSet::new),
                groups: has_groups.then(HashSet::new),
                ..DiffOptions::default()
            };
            let found: Vec<Table> = options.compared_tables().into_iter().collect();
            assert_eq!(found, compared, "{options:?}");
        }
    }
}
