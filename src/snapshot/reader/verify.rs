//! Reads what `verify` needs beyond the rows: the numbers of rows, even if they are wrong, and the result of SQLite's
//! own check.

use std::path::Path;

use rusqlite::params_from_iter;

use super::{Reader, ValueSize, unsigned};
use crate::snapshot::Error;

/// A number of rows that the run recorded, and the number in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recount {
    /// `users`, `groups` or `memberships`.
    pub what: &'static str,
    /// The table that was counted.
    pub table: &'static str,
    /// The number that the run recorded.
    pub recorded: u64,
    /// The number of rows in the table.
    pub found: u64,
}

impl Recount {
    /// Returns whether rows were lost or added.
    pub fn is_wrong(&self) -> bool {
        self.recorded != self.found
    }
}

/// The grants of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// All grants, including those of other connectors' roles.
    pub all: u64,
    /// Grants whose principal, resource or entitlement is not in the file.
    pub unjoined: u64,
}

impl Reader {
    /// Opens a snapshot like [`Reader::open`], even if its numbers of rows differ from those that its run recorded.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read, is not a snapshot, is damaged, is too new, or has no finished run.
    pub fn open_to_verify(path: &Path) -> Result<Self, Error> {
        Self::open_uncounted(path, None)
    }

    /// Compares the numbers of rows with those that the run recorded; returns none if another program wrote the run.
    ///
    /// # Errors
    /// Returns an error if the file is damaged.
    pub fn recounts(&self) -> Result<Vec<Recount>, Error> {
        let Some(metadata) = &self.info.metadata else {
            return Ok(Vec::new());
        };
        let resources =
            "select count(external_id) from v1_resources where sync_id = ?1 and resource_type_id =";
        let (users, groups) = (
            format!("{resources} 'user'"),
            format!("{resources} 'group'"),
        );
        let grants = "select count(sync_id) from v1_grants where sync_id = ?1";
        let id = Some(&self.info.sync_id);
        let mut recounts = Vec::new();
        for (what, table, recorded, sql, parameter) in [
            ("users", "v1_resources", metadata.users_kept, &*users, id),
            (
                "users",
                "users",
                metadata.users_kept,
                "select count(id) from users",
                None,
            ),
            ("groups", "v1_resources", metadata.groups_kept, &groups, id),
            (
                "groups",
                "groups",
                metadata.groups_kept,
                "select count(id) from groups",
                None,
            ),
            (
                "memberships",
                "v1_grants",
                metadata.memberships_kept,
                grants,
                id,
            ),
        ] {
            let mut found = 0;
            self.each(ValueSize::Short, sql, params_from_iter(parameter), |row| {
                found = unsigned(row, 0)?;
                Ok(())
            })?;
            recounts.push(Recount {
                what,
                table,
                recorded,
                found,
            });
        }
        Ok(recounts)
    }

    /// Runs SQLite's integrity check. Returns at most ten problems, one per line.
    ///
    /// The check computes generated columns and the expressions of indexes. A single function of two long values can take
    /// hours, and nothing could stop it, so the check only accepts short values. It needs no others.
    ///
    /// # Errors
    /// Returns an error if the file is too damaged to be checked.
    pub fn integrity(&self) -> Result<Vec<String>, Error> {
        let mut found = Vec::new();
        self.each(ValueSize::Short, "pragma integrity_check(10)", [], |row| {
            found.push(row.get::<_, String>(0)?);
            Ok(())
        })?;
        found.retain(|line| line != "ok");
        Ok(found)
    }

    /// Counts the grants of the run, and those that refer to something that is not in the file.
    ///
    /// # Errors
    /// Returns an error if the file is damaged.
    pub fn grants(&self) -> Result<Grants, Error> {
        let known = self.columns("v1_grants")?.unwrap_or_default();
        let entitlement = if known.iter().any(|column| column == "entitlement_id") {
            "entitlement_id collate binary in (select external_id from v1_entitlements where sync_id = ?1)"
        } else {
            "true"
        };
        let resources = "(select external_id from v1_resources where sync_id = ?1)";
        let sql = format!(
            "select count(sync_id), count(iif(
                    (resource_type_id || ':' || resource_id) collate binary in {resources}
                    and (principal_resource_type_id || ':' || principal_resource_id) collate binary in {resources}
                    and {entitlement}, null, 1))
                from v1_grants not indexed where sync_id = ?1"
        );
        let mut grants = Grants::default();
        self.each(ValueSize::Short, &sql, [&self.info.sync_id], |row| {
            grants = Grants {
                all: unsigned(row, 0)?,
                unjoined: unsigned(row, 1)?,
            };
            Ok(())
        })?;
        Ok(grants)
    }

    /// Counts the entitlements of the run.
    ///
    /// # Errors
    /// Returns an error if the file is damaged.
    pub fn entitlements(&self) -> Result<u64, Error> {
        let sql = "select count(external_id) from v1_entitlements where sync_id = ?1";
        let mut found = 0;
        self.each(ValueSize::Short, sql, [&self.info.sync_id], |row| {
            found = unsigned(row, 0)?;
            Ok(())
        })?;
        Ok(found)
    }
}
