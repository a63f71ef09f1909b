//! Reads a snapshot that this or another program wrote.
//!
//! A file may be harmful: its trees may lead to the same page again and again, and many rows may share one long value, so
//! that a small file returns any number of rows and bytes. Hence:
//! - Each query has a [`TimeLimit`], and the length of its result is limited ([`longest_result`]). Both limits grow with
//!   the file. The time limit alone would not be enough: in a second, SQLite returns more than fits in memory.
//! - Only short values ([`ValueSize::Short`]) are sorted, compared or collected, so that SQLite never spills a long value
//!   to disk. Long values ([`ValueSize::Long`]) are read row by row afterwards.
//! - Lists of users and groups contain their names, not their profiles.

mod counts;
mod find;
mod iterate;
mod open;
mod rows;
mod run;
mod schema;
mod time_limit;
mod verify;

use std::cell::Cell;
use std::path::{Path, PathBuf};

use rusqlite::limits::Limit;
use rusqlite::{Connection, Row};

use self::schema::{expected, has, selected};
use self::time_limit::TimeLimit;
pub use self::verify::{Grants, Recount};
use crate::snapshot::columns::{BadValue, TableRow};
use crate::snapshot::limits::{MAX_ID, MAX_VALUE, longest_result};
use crate::snapshot::{DomainUsers, Error, FileInfo, Warning};

/// The condition of rows that are users; the id starts at the sixth character.
const USER_ROWS: &str =
    "r.sync_id = ?1 and r.resource_type_id = 'user' and substr(r.external_id, 1, 5) = 'user:'";
const GROUP_ROWS: &str =
    "r.sync_id = ?1 and r.resource_type_id = 'group' and substr(r.external_id, 1, 6) = 'group:'";

const PLAIN_USERS: &str =
    "from v1_resources r left join users p on p.id = substr(r.external_id, 6)";
const PLAIN_GROUPS: &str =
    "from v1_resources r left join groups p on p.id = substr(r.external_id, 7)";

/// The length of the values that a query reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ValueSize {
    /// Ids, names, words and counts.
    Short,
    /// Messages and profiles.
    Long,
}

impl ValueSize {
    fn limit(self) -> usize {
        match self {
            Self::Short => MAX_ID,
            Self::Long => MAX_VALUE,
        }
    }
}

/// One run of a snapshot that is open for reading.
pub struct Reader {
    path: PathBuf,
    db: Connection,
    time: TimeLimit,
    /// The number of bytes that the query may still return.
    result_left: Cell<u64>,
    info: FileInfo,
    /// The SQL that reads a user or a group from a row of `v1_resources`: its id, then the columns of its plain table if
    /// that has the object, or else the message.
    user_query: String,
    group_query: String,
    /// The columns of the plain tables, with null for those that an older version lacks; empty if another program wrote
    /// the run.
    user_columns: String,
    group_columns: String,
    /// The collation that compares texts as the bytes of their UTF-8.
    collation: &'static str,
}

impl Reader {
    /// Returns the description of the file and of the run that is read.
    pub fn info(&self) -> &FileInfo {
        &self.info
    }

    /// Returns the warnings of the run; none if another program wrote it.
    ///
    /// # Errors
    /// Returns an error if the file is damaged.
    pub fn warnings(&self) -> Result<Vec<Warning>, Error> {
        if self.info.is_ours() {
            self.table(ValueSize::Long, "rowid")
        } else {
            Ok(Vec::new())
        }
    }

    /// Returns the number of users of each domain of the scope; none if another program or an early version wrote the run.
    ///
    /// # Errors
    /// Returns an error if the file is damaged.
    pub fn domains(&self) -> Result<Vec<DomainUsers>, Error> {
        let known = self.columns(DomainUsers::NAME)?;
        let (true, Some(known)) = (self.info.is_ours(), known) else {
            return Ok(Vec::new());
        };
        has(
            &self.path,
            DomainUsers::NAME,
            &known,
            expected::<DomainUsers>(self.info.tables_version()),
        )?;
        self.table(ValueSize::Short, "domain")
    }

    /// Resets the time limit and the length of the result for the next query.
    fn start(&self) {
        self.time.start();
        self.result_left.set(longest_result(self.time.size()));
    }

    /// Returns the columns of a table; none if there is no such table.
    fn columns(&self, table: &str) -> Result<Option<Vec<String>>, Error> {
        self.start();
        schema::columns(&self.path, &self.db, table)
    }

    /// Reads all rows of a small plain table.
    fn table<T: TableRow>(&self, values: ValueSize, order: &str) -> Result<Vec<T>, Error> {
        let known = self.columns(T::NAME)?.unwrap_or_default();
        let sql = format!(
            "select {} from {} order by {order}",
            selected::<T>(&known, ""),
            T::NAME
        );
        let mut rows = Vec::new();
        self.rows::<Error>(values, &sql, [], |row| {
            rows.push(T::from_row(row, 0).map_err(|bad| bad_value::<T>(&self.path, None, &bad))?);
            Ok(())
        })?;
        Ok(rows)
    }
}

/// Reads a column that must not be negative, such as a count.
fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

/// Sets the length in bytes of the longest value that SQLite accepts from now on.
fn limit(db: &Connection, bytes: usize) -> rusqlite::Result<()> {
    let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
    db.set_limit(Limit::SQLITE_LIMIT_LENGTH, bytes).map(drop)
}

/// Returns the error for a value of a plain table that does not fit its column.
fn bad_value<T: TableRow>(path: &Path, id: Option<&str>, bad: &BadValue) -> Error {
    let of = id.map_or_else(String::new, |id| format!(" of {id}"));
    let BadValue { column, problem } = bad;
    Error::damaged(path, format!("{}.{column}{of} {problem}", T::NAME))
}
