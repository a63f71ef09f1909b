//! Reads a snapshot, whichever program wrote it.
//!
//! A file may be harmful: its trees may lead to one page over and over, and many rows may share one long value, so that
//! what SQLite finds in it does not limit its size. Hence:
//! - Every query has a [`TimeLimit`], and its result a greatest length ([`longest_result`]). Both grow with the file. The
//!   time alone would not do: in a second, SQLite returns more than fits in memory.
//! - What is sorted, compared or collected is short ([`Of::Ids`]): SQLite never spills a long value to disk. Long values
//!   are fetched row by row afterwards ([`Of::Values`]).
//! - Lists of users and groups hold their names, not their profiles.

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

/// The condition of rows that are users; the id begins at the sixth character.
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
enum Of {
    /// Ids, names, words and counts.
    Ids,
    /// Messages and profiles.
    Values,
}

impl Of {
    fn limit(self) -> usize {
        match self {
            Self::Ids => MAX_ID,
            Self::Values => MAX_VALUE,
        }
    }
}

/// A snapshot that is open for reading: one run of it, the newest finished full one.
pub struct Reader {
    path: PathBuf,
    db: Connection,
    time: TimeLimit,
    /// The number of bytes that the query may still return.
    result_left: Cell<u64>,
    info: FileInfo,
    /// Reads a user, and a group, from a row of `v1_resources`: its id, the message unless a plain table has the object,
    /// and the columns of that table if it does.
    user_query: String,
    group_query: String,
    /// The columns of the plain tables, null where an older version lacks one; only where this program wrote the run.
    user_columns: String,
    group_columns: String,
    /// The collation that compares texts as the bytes of their UTF-8.
    collation: &'static str,
}

impl Reader {
    /// Returns facts about the file and the run in it that is read.
    pub fn info(&self) -> &FileInfo {
        &self.info
    }

    /// Returns the warnings of the run; none if another connector wrote it.
    ///
    /// # Errors
    /// Returns an error if the file is damaged.
    pub fn warnings(&self) -> Result<Vec<Warning>, Error> {
        if self.info.is_ours() {
            self.table(Of::Values, "rowid")
        } else {
            Ok(Vec::new())
        }
    }

    /// Returns the number of users of each domain of the scope; nothing if another connector wrote the run, or an early
    /// version.
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
        self.table(Of::Ids, "domain")
    }

    /// Restores the time and the length of the result, for another query.
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
    fn table<T: TableRow>(&self, of: Of, order: &str) -> Result<Vec<T>, Error> {
        let known = self.columns(T::NAME)?.unwrap_or_default();
        let sql = format!(
            "select {} from {} order by {order}",
            selected::<T>(&known, ""),
            T::NAME
        );
        let mut rows = Vec::new();
        self.rows::<Error>(of, &sql, [], |row| {
            rows.push(T::from_row(row, 0).map_err(|bad| bad_value::<T>(&self.path, None, &bad))?);
            Ok(())
        })?;
        Ok(rows)
    }
}

/// Reads a number of rows.
fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

/// Sets the length of the longest value that SQLite accepts from now on.
fn limit(db: &Connection, bytes: usize) -> rusqlite::Result<()> {
    let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
    db.set_limit(Limit::SQLITE_LIMIT_LENGTH, bytes).map(drop)
}

/// Returns an error about a value of a plain table, with the id of its row.
fn bad_value<T: TableRow>(path: &Path, id: Option<&str>, bad: &BadValue) -> Error {
    let of = id.map_or_else(String::new, |id| format!(" of {id}"));
    let BadValue { column, problem } = bad;
    Error::damaged(path, format!("{}.{column}{of} {problem}", T::NAME))
}
