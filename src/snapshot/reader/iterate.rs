//! Reads users, groups and memberships one by one, in the order of their ids, so that two snapshots of any size can be
//! compared row by row.
//!
//! - Nothing is collected. If no index has this order, SQLite sorts only the ids, on disk if there are many, and each user
//!   or group is read afterwards.
//! - Ids are compared as the bytes of their UTF-8, whatever encoding and collations the file declares. A row out of that
//!   order, such as from a damaged index, is an error.
//! - In a run that this program wrote, the users and groups are the rows of the plain tables; in other runs, those of
//!   `v1_resources`. A membership is left out if its user or group is not in the file.

use std::marker::PhantomData;
use std::time::Instant;

use rusqlite::{Row, Rows, Statement, params_from_iter};

use super::{GROUP_ROWS, Reader, USER_ROWS, ValueSize, bad_value, limit};
use crate::model::{GroupId, UserId};
use crate::snapshot::columns::TableRow;
use crate::snapshot::{Error, GroupRow, MembershipRow, UserRow};

/// A query for the rows of one kind, in the order of their ids.
pub struct SortedQuery<'r, T> {
    reader: &'r Reader,
    statement: Statement<'r>,
    parameters: Vec<String>,
    values: ValueSize,
    row: PhantomData<T>,
}

impl<T: SortedRow> SortedQuery<'_, T> {
    /// Starts reading.
    ///
    /// # Errors
    /// Returns an error if the file is damaged.
    pub fn rows(&mut self) -> Result<SortedRows<'_, T>, Error> {
        let reader = self.reader;
        reader.start();
        let rows = self.statement.query(params_from_iter(&self.parameters));
        Ok(SortedRows {
            reader,
            values: self.values,
            rows: rows.map_err(|error| reader.reading(error))?,
            last: None,
            state: T::State::default(),
            ended: false,
            left: None,
        })
    }
}

/// Iterates over the rows of a query, and ends after the first error.
pub struct SortedRows<'q, T: SortedRow> {
    reader: &'q Reader,
    values: ValueSize,
    rows: Rows<'q>,
    last: Option<T::Key>,
    state: T::State,
    ended: bool,
    left: Option<Instant>,
}

impl<T: SortedRow> SortedRows<'_, T> {
    fn advance(&mut self) -> Result<Option<T>, Error> {
        let Self { reader, .. } = *self;
        let longest = self.values.limit();
        let failed = |error| Error::reading(&reader.path, longest, error);
        loop {
            // Reading the row before may have set a higher limit.
            limit(&reader.db, longest).map_err(failed)?;
            let Some(row) = self.rows.next().map_err(failed)? else {
                return Ok(None);
            };
            let key = T::key(reader, row)?;
            match &self.last {
                // A second row with the same id is ignored.
                Some(last) if *last == key => continue,
                Some(last) if *last > key => {
                    return Err(Error::damaged(
                        &reader.path,
                        "its rows are not in the order of their ids",
                    ));
                }
                _ => {}
            }
            let read = T::read(reader, row, &key, &mut self.state)?;
            self.last = Some(key);
            if read.is_some() {
                return Ok(read);
            }
        }
    }
}

impl<T: SortedRow> Iterator for SortedRows<'_, T> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        // The time that the caller needed between two rows does not count.
        if let Some(left) = self.left {
            self.reader.time.extend(left.elapsed());
        }
        let next = self.advance().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        self.left = Some(Instant::now());
        next
    }
}

/// A kind of row that can be read in order.
pub trait SortedRow: Sized {
    /// The sort key.
    type Key: Ord;
    /// What later rows reuse from earlier ones.
    type State: Default;

    /// Reads the sort key of a row.
    fn key(reader: &Reader, row: &Row<'_>) -> Result<Self::Key, Error>;

    /// Reads the rest of a row; none if the row is to be left out.
    fn read(
        reader: &Reader,
        row: &Row<'_>,
        key: &Self::Key,
        state: &mut Self::State,
    ) -> Result<Option<Self>, Error>;
}

impl SortedRow for UserRow {
    type Key = UserId;
    type State = ();

    fn key(reader: &Reader, row: &Row<'_>) -> Result<UserId, Error> {
        reader.text(row, 0).map(UserId::from)
    }

    fn read(
        reader: &Reader,
        row: &Row<'_>,
        _: &UserId,
        (): &mut (),
    ) -> Result<Option<Self>, Error> {
        reader
            .plain_row(row)?
            .map_or_else(|| reader.user(reader.number(row, 1)?), Ok)
            .map(Some)
    }
}

impl SortedRow for GroupRow {
    type Key = GroupId;
    type State = ();

    fn key(reader: &Reader, row: &Row<'_>) -> Result<GroupId, Error> {
        reader.text(row, 0).map(GroupId::from)
    }

    fn read(
        reader: &Reader,
        row: &Row<'_>,
        _: &GroupId,
        (): &mut (),
    ) -> Result<Option<Self>, Error> {
        reader
            .plain_row(row)?
            .map_or_else(|| reader.group(reader.number(row, 1)?), Ok)
            .map(Some)
    }
}

impl SortedRow for MembershipRow {
    type Key = (GroupId, UserId);
    /// The last group.
    type State = Option<GroupOfRows>;

    fn key(reader: &Reader, row: &Row<'_>) -> Result<Self::Key, Error> {
        Ok((reader.text(row, 0)?.into(), reader.text(row, 1)?.into()))
    }

    fn read(
        reader: &Reader,
        row: &Row<'_>,
        (group_id, user_id): &Self::Key,
        state: &mut Self::State,
    ) -> Result<Option<Self>, Error> {
        let group = match state {
            Some(last) if last.id == *group_id => last,
            _ => state.insert(reader.group_of_rows(group_id)?),
        };
        // In stored order, all users were found before, so only the group can be missing.
        let both_there = if row.as_ref().column_count() == STORED_PAIR {
            group.is_there
        } else {
            reader.number(row, 2)? != 0
        };
        Ok(both_there.then(|| Self {
            user_id: user_id.clone(),
            group_id: group_id.clone(),
            learned: group.learned.clone(),
        }))
    }
}

/// The number of columns of a membership that is read in stored order.
const STORED_PAIR: usize = 2;

/// What all memberships of one group have in common.
pub struct GroupOfRows {
    id: GroupId,
    /// True if the plain tables have the group.
    is_there: bool,
    /// The source of the memberships, if a plain table contains it.
    learned: Option<String>,
}

impl Reader {
    /// Returns the query for all users.
    ///
    /// # Errors
    /// Returns an error if the file is damaged.
    pub fn users(&self) -> Result<SortedQuery<'_, UserRow>, Error> {
        if self.info.is_ours() {
            return self.in_stored_order(UserRow::NAME, &self.user_columns);
        }
        self.users_where("true", &[])
    }

    /// Returns the query for all groups.
    ///
    /// # Errors
    /// Returns an error if the file is damaged.
    pub fn groups(&self) -> Result<SortedQuery<'_, GroupRow>, Error> {
        if self.info.is_ours() {
            return self.in_stored_order(GroupRow::NAME, &self.group_columns);
        }
        self.groups_where("true", &[])
    }

    /// Returns the query for all memberships whose user and group are in the file, sorted by the group's id, then by the
    /// user's.
    ///
    /// # Errors
    /// Returns an error if the file is damaged.
    pub fn memberships(&self) -> Result<SortedQuery<'_, MembershipRow>, Error> {
        if self.info.is_ours() && self.all_members_are_users()? {
            // This program writes memberships in this order, and sorting a million of them would make the query take five
            // times as long.
            let sql = "select resource_id, principal_resource_id from v1_grants not indexed
                where sync_id = ?1 and resource_type_id = 'group' and principal_resource_type_id = 'user' order by rowid";
            return self.query(sql, &[], ValueSize::Short);
        }
        self.query(
            &format!("{} order by 1, 2", self.pairs()),
            &[],
            ValueSize::Short,
        )
    }

    pub(super) fn users_where(
        &self,
        condition: &str,
        parameters: &[&str],
    ) -> Result<SortedQuery<'_, UserRow>, Error> {
        let sql = format!(
            "select substr(r.external_id, 6), r.rowid from v1_resources r where {USER_ROWS} and {condition}
                order by r.external_id collate {}, r.rowid",
            self.collation
        );
        self.query(&sql, parameters, ValueSize::Short)
    }

    pub(super) fn groups_where(
        &self,
        condition: &str,
        parameters: &[&str],
    ) -> Result<SortedQuery<'_, GroupRow>, Error> {
        let sql = format!(
            "select substr(r.external_id, 7), r.rowid from v1_resources r where {GROUP_ROWS} and {condition}
                order by r.external_id collate {}, r.rowid",
            self.collation
        );
        self.query(&sql, parameters, ValueSize::Short)
    }

    /// Returns the SQL for the distinct pairs of group and user that grants contain, and whether both are in the file.
    /// Scanning the table and sorting is several times faster than using an index.
    pub(super) fn pairs(&self) -> String {
        format!(
            "select distinct resource_id collate {0}, principal_resource_id collate {0},
                resource_id collate binary in (select substr(r.external_id, 7) from v1_resources r where {GROUP_ROWS})
                and principal_resource_id collate binary
                    in (select substr(r.external_id, 6) from v1_resources r where {USER_ROWS}) as both_there
            from v1_grants not indexed
            where sync_id = ?1 and resource_type_id = 'group' and principal_resource_type_id = 'user'",
            self.collation
        )
    }

    /// Returns the query for a plain table of a run that this program wrote: its rows are stored in the order of their ids.
    /// When the file was opened, their number was compared with that of Baton's tables.
    fn in_stored_order<T: SortedRow>(
        &self,
        table: &str,
        columns: &str,
    ) -> Result<SortedQuery<'_, T>, Error> {
        // The limit keeps SQLite from merging the two queries, so that it sorts ids and not entire rows if the index of
        // the ids is missing.
        let sql = format!(
            "select p.id, ?1, {columns}
                from (select rowid as place from {table} order by id limit -1) o
                cross join {table} p on p.rowid = o.place"
        );
        self.query(&sql, &[], ValueSize::Long)
    }

    /// Reads a row of [`Self::in_stored_order`]; none if it is a row of another query.
    fn plain_row<T: TableRow>(&self, row: &Row<'_>) -> Result<Option<T>, Error> {
        const FIRST: usize = 2;
        let columns = row.as_ref().column_count();
        if columns <= FIRST {
            return Ok(None);
        }
        self.check_length(row)?;
        let id = self.text(row, 0)?;
        let read = T::from_row(row, FIRST);
        read.map(Some)
            .map_err(|bad| bad_value::<T>(&self.path, Some(&id), &bad))
    }

    fn query<T: SortedRow>(
        &self,
        sql: &str,
        parameters: &[&str],
        values: ValueSize,
    ) -> Result<SortedQuery<'_, T>, Error> {
        let statement = self.db.prepare(sql).map_err(|error| self.reading(error))?;
        let mut all = vec![self.info.sync_id.clone()];
        all.extend(parameters.iter().map(|text| (*text).to_owned()));
        Ok(SortedQuery {
            reader: self,
            statement,
            parameters: all,
            values,
            row: PhantomData,
        })
    }

    fn group_of_rows(&self, group: &GroupId) -> Result<GroupOfRows, Error> {
        let mut found = GroupOfRows {
            id: group.clone(),
            is_there: false,
            learned: None,
        };
        if self.info.is_ours() {
            let sql = "select learned from groups where id = ?1 limit 1";
            self.more::<Error>(ValueSize::Short, sql, [group.as_str()], |row| {
                found.is_there = true;
                found.learned = self.optional_text(row, 0)?;
                Ok(())
            })?;
        }
        Ok(found)
    }

    /// Returns whether the plain table has every user that a grant contains.
    fn all_members_are_users(&self) -> Result<bool, Error> {
        let sql =
            "select count(id) from (select distinct principal_resource_id as id from v1_grants
                where principal_resource_type_id = 'user')
            where id not in (select id from users)";
        let mut missing = 0;
        self.rows::<Error>(ValueSize::Short, sql, [], |row| {
            missing = self.number(row, 0)?;
            Ok(())
        })?;
        Ok(missing == 0)
    }
}
