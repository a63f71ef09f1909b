//! Counts what a run contains.

use std::collections::BTreeMap;

use super::{GROUP_ROWS, PLAIN_GROUPS, PLAIN_USERS, Reader, USER_ROWS, ValueSize, unsigned};
use crate::snapshot::{Counts, Error};

/// The word for a status or a type that the file does not contain.
const UNKNOWN: &str = "unknown";

impl Reader {
    /// Returns the numbers of objects in the run.
    ///
    /// # Errors
    /// Returns an error if the file is damaged.
    pub fn counts(&self) -> Result<Counts, Error> {
        let mut counts = Counts::default();
        let sync_id = &self.info.sync_id;
        self.each(
            ValueSize::Short,
            "select resource_type_id, count(distinct external_id) from v1_resources where sync_id = ?1
                and resource_type_id not in ('user', 'group') group by 1",
            [sync_id],
            |row| {
                counts.others.insert(row.get(0)?, unsigned(row, 1)?);
                Ok(())
            },
        )?;
        self.each(
            ValueSize::Short,
            "select count(distinct external_id) from v1_entitlements where sync_id = ?1",
            [sync_id],
            |row| {
                counts.entitlements = unsigned(row, 0)?;
                Ok(())
            },
        )?;
        let sql = format!(
            "select both_there, count(both_there) from ({}) group by 1",
            self.pairs()
        );
        self.each(ValueSize::Short, &sql, [sync_id], |row| {
            let number = match row.get(0)? {
                true => &mut counts.memberships,
                false => &mut counts.dangling,
            };
            *number = unsigned(row, 1)?;
            Ok(())
        })?;

        let sql = format!("select p.status, count(*) {PLAIN_USERS} where {USER_ROWS} group by 1");
        counts.users_by_status = self.tally(&sql, |reader, map| {
            for user in reader.users()?.rows()? {
                add(map, user?.status);
            }
            Ok(())
        })?;
        counts.users = counts.users_by_status.values().sum();
        let sql = format!("select p.type, count(*) {PLAIN_GROUPS} where {GROUP_ROWS} group by 1");
        counts.groups_by_type = self.tally(&sql, |reader, map| {
            for group in reader.groups()?.rows()? {
                add(map, group?.kind);
            }
            Ok(())
        })?;
        counts.groups = counts.groups_by_type.values().sum();
        Ok(counts)
    }

    /// Counts by a query of the plain tables, or by reading every message.
    fn tally(
        &self,
        plain: &str,
        by_message: impl FnOnce(&Self, &mut BTreeMap<String, u64>) -> Result<(), Error>,
    ) -> Result<BTreeMap<String, u64>, Error> {
        let mut map = BTreeMap::new();
        if self.info.is_ours() {
            self.each(ValueSize::Short, plain, [&self.info.sync_id], |row| {
                let word: Option<String> = row.get(0)?;
                map.insert(
                    word.unwrap_or_else(|| UNKNOWN.to_owned()),
                    unsigned(row, 1)?,
                );
                Ok(())
            })?;
        } else {
            by_message(self, &mut map)?;
        }
        Ok(map)
    }
}

fn add(map: &mut BTreeMap<String, u64>, word: Option<String>) {
    *map.entry(word.unwrap_or_else(|| UNKNOWN.to_owned()))
        .or_default() += 1;
}
