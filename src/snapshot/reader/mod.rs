//! Reads a snapshot, whichever program wrote it.
//!
//! A file may be made to harm: its trees may lead to one page over and over, and many rows may share one long value, so
//! that what SQLite finds in it says nothing about its size. Hence:
//! - Every query has an [`Allowance`] of steps, bytes and time that grows with the file.
//! - What is sorted, compared or collected is short ([`Of::Ids`]): SQLite never spills a long value to disk. Long values
//!   are fetched row by row afterwards ([`Of::Values`]).
//! - Lists of users and groups hold their names, not their profiles.

mod iterate;
mod verify;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, Permissions};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prost::Message;
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Params, Row};
use rustix::time::{ClockId, clock_gettime};
use serde_json::Value;

pub use self::iterate::{SortedQuery, SortedRows};
pub use self::verify::{Grants, Recount};
use crate::model::{GroupId, Profile, UserId};
use crate::snapshot::c1z::{self, Form};
use crate::snapshot::columns::{BadValue, Table};
use crate::snapshot::limits::{MAX_DATABASE, MAX_ELEMENTS, MAX_ID, MAX_MESSAGE, MAX_VALUE};
use crate::snapshot::metadata::RunMetadata;
use crate::snapshot::schema::SCHEMA_VERSION;
use crate::snapshot::{
    Counts, DomainUsers, Error, FileFormat, FileInfo, GroupRow, ProfileText, UserRow, Warning,
    baton, proto, times,
};

/// How many tables, indexes, views and triggers a database may have, and how long the SQL of each may be. Baton's have
/// about 25.
const MAX_SCHEMA: (i32, usize) = (1000, 64 << 10);
/// How many users or groups one name may find.
const MAX_FOUND: usize = 100;

/// What stands in for a status or a type that the file does not say.
const UNKNOWN: &str = "unknown";

/// The tables that are read, and the columns without which they cannot be.
const TABLES: [(&str, &[&str]); 4] = [
    ("v1_sync_runs", &["sync_id", "started_at", "ended_at"]),
    (
        "v1_resources",
        &["resource_type_id", "external_id", "data", "sync_id"],
    ),
    ("v1_entitlements", &["external_id", "sync_id"]),
    (
        "v1_grants",
        &[
            "resource_type_id",
            "resource_id",
            "principal_resource_type_id",
            "principal_resource_id",
            "sync_id",
        ],
    ),
];

/// The rows that say there is a user; the id begins at the sixth character.
const USER_ROWS: &str =
    "r.sync_id = ?1 and r.resource_type_id = 'user' and substr(r.external_id, 1, 5) = 'user:'";
const GROUP_ROWS: &str =
    "r.sync_id = ?1 and r.resource_type_id = 'group' and substr(r.external_id, 1, 6) = 'group:'";

const PLAIN_USERS: &str =
    "from v1_resources r left join users p on p.id = substr(r.external_id, 6)";
const PLAIN_GROUPS: &str =
    "from v1_resources r left join groups p on p.id = substr(r.external_id, 7)";

/// A user or a group as Baton's message alone.
const PROTO_USER: &str =
    "select substr(r.external_id, 6), r.data, null from v1_resources r where r.rowid = ?1";
const PROTO_GROUP: &str =
    "select substr(r.external_id, 7), r.data, null from v1_resources r where r.rowid = ?1";

/// How long the values are that a query looks at.
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

/// How many steps SQLite may still take, how many bytes it may still return, and how long this thread may compute. A file
/// without tricks needs a fraction: every byte of it is looked at once, at half a step for each.
struct Allowance {
    size: u64,
    counted: Arc<Counted>,
    bytes: Cell<u64>,
}

/// What is counted while SQLite runs.
#[derive(Default)]
struct Counted {
    steps: AtomicU64,
    /// The time of the thread, in nanoseconds. A step may be one over a value that lies behind a very long one.
    until: AtomicU64,
}

impl Allowance {
    const LEAST: u64 = 1 << 20;
    /// Every so many steps they are counted.
    const EVERY: i32 = 1000;
    /// Six seconds, and one more for every 8 MiB: a fortieth of the speed of a slow machine that does nothing else.
    const NANOS: u64 = 6_000_000_000;
    const NANOS_A_BYTE: u64 = 120;

    fn new(size: u64) -> Self {
        let mut new = Self {
            size: 0,
            counted: Arc::default(),
            bytes: Cell::default(),
        };
        new.grow(size);
        new
    }

    fn grow(&mut self, size: u64) {
        // A hole has a size but nothing in it.
        self.size = size.min(MAX_DATABASE);
        self.renew();
    }

    /// Another query begins.
    fn renew(&self) {
        let all = Self::LEAST + 2 * self.size;
        self.counted.steps.store(all, Ordering::Relaxed);
        self.bytes.set(all);
        let until = thread_time() + Self::NANOS + Self::NANOS_A_BYTE * self.size;
        self.counted.until.store(until, Ordering::Relaxed);
    }

    /// What SQLite calls every [`Self::EVERY`] steps; true stops it.
    fn counter(&self) -> impl FnMut() -> bool + Send + 'static {
        let counted = Arc::clone(&self.counted);
        move || {
            let left = counted.steps.load(Ordering::Relaxed);
            let rest = left.saturating_sub(Self::EVERY as u64);
            counted.steps.store(rest, Ordering::Relaxed);
            left == 0 || thread_time() > counted.until.load(Ordering::Relaxed)
        }
    }

    /// Adds what the caller spent on something else than the file.
    fn extend(&self, spent: Duration) {
        let nanos = u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX / 2);
        self.counted.until.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Takes the bytes of a row; false if there are more than the file can hold.
    fn take(&self, row: &Row<'_>, columns: usize) -> rusqlite::Result<bool> {
        let mut bytes = 0;
        for column in 0..columns {
            bytes += match row.get_ref(column)? {
                ValueRef::Text(value) | ValueRef::Blob(value) => value.len() as u64,
                _ => 0,
            };
        }
        let left = self.bytes.get().checked_sub(bytes);
        self.bytes.set(left.unwrap_or(0));
        Ok(left.is_some())
    }
}

/// How long this thread has computed, in nanoseconds: waiting for a slow disk is no fault of a file.
fn thread_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

/// A snapshot that is open for reading: one run of it, the newest finished full one.
pub struct Reader {
    path: PathBuf,
    db: Connection,
    allowance: Allowance,
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
    /// Opens a snapshot. What kind of file it is says its content, not its name.
    ///
    /// A container is unpacked to a private temporary file, which has no name any more when this returns. A plain database
    /// is opened where it is, and nothing is made beside it.
    ///
    /// # Errors
    /// A file that cannot be read, is not a snapshot, is damaged, is too new, or holds no finished run.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::open_run(path, None)
    }

    /// Opens one run of a snapshot file: the one with this id, or the newest finished full one.
    ///
    /// # Errors
    /// As [`Self::open`]; also if there is no finished run with this id.
    pub fn open_run(path: &Path, sync_id: Option<&str>) -> Result<Self, Error> {
        let reader = Self::open_uncounted(path, sync_id)?;
        reader.recount()?;
        Ok(reader)
    }

    fn open_uncounted(path: &Path, sync_id: Option<&str>) -> Result<Self, Error> {
        match c1z::form(path)? {
            Form::Empty => Err(Error::NoFinishedRun {
                path: path.to_owned(),
                newest_unfinished: None,
            }),
            Form::C1z => {
                let failed = Error::io(
                    path,
                    "make a temporary copy of it (TMPDIR names the folder; it must exist and be writable)",
                );
                let (mut copy, name, folder) = nameless().map_err(failed)?;
                // SQLite has the file open from here on and looks at nothing of it yet, so its name can go before there
                // is anything that a killed run could leave behind.
                let mut allowance = Allowance::new(0);
                let db = connect(path, &name, OURS, &allowance)?;
                std::fs::remove_file(&name)
                    .and_then(|()| folder.close())
                    .map_err(Error::io(path, "remove the temporary copy of it"))?;
                let size = c1z::unpack(path, &mut copy, c1z::cap(path)?)?;
                if size == 0 {
                    return Err(Error::NoFinishedRun {
                        path: path.to_owned(),
                        newest_unfinished: None,
                    });
                }
                allowance.grow(size);
                Self::new(path, db, allowance, FileFormat::C1z, sync_id)
            }
            Form::Sqlite => {
                let allowance = Allowance::new(at_rest(path)?);
                let db = connect(path, path, THEIRS, &allowance)?;
                Self::new(path, db, allowance, FileFormat::Sqlite, sync_id)
            }
        }
    }

    fn new(
        path: &Path,
        db: Connection,
        allowance: Allowance,
        format: FileFormat,
        sync_id: Option<&str>,
    ) -> Result<Self, Error> {
        prepare(path, &db)?;
        let collation = collation(path, &db)?;
        let info = info(path, &db, format, sync_id)?;
        let (user_columns, group_columns) = match &info.metadata {
            Some(metadata) => (
                plain_columns::<UserRow>(path, &db, metadata)?,
                plain_columns::<GroupRow>(path, &db, metadata)?,
            ),
            None => Default::default(),
        };
        let (user_query, group_query) = match &info.metadata {
            Some(_) => (
                format!(
                    "select substr(r.external_id, 6), iif(p.id is null, r.data, null), p.id, {} {PLAIN_USERS}
                        where r.rowid = ?1 limit 1",
                    user_columns
                ),
                format!(
                    "select substr(r.external_id, 7), iif(p.id is null, r.data, null), p.id, {} {PLAIN_GROUPS}
                        where r.rowid = ?1 limit 1",
                    group_columns
                ),
            ),
            None => (PROTO_USER.to_owned(), PROTO_GROUP.to_owned()),
        };
        Ok(Self {
            path: path.to_owned(),
            db,
            allowance,
            info,
            user_query,
            group_query,
            user_columns,
            group_columns,
            collation,
        })
    }

    /// Compares the rows with what the run recorded, where this program wrote it: a file that lost some is damaged.
    fn recount(&self) -> Result<(), Error> {
        let recounts = self.recounts()?;
        let Some(wrong) = recounts.iter().find(|recount| recount.is_wrong()) else {
            return Ok(());
        };
        let why = format!(
            "its run recorded {} {}, and it holds {}",
            wrong.recorded, wrong.what, wrong.found
        );
        Err(Error::damaged(&self.path, why))
    }

    /// What the file is, and which of its runs is read.
    pub fn info(&self) -> &FileInfo {
        &self.info
    }

    /// How much of what there is.
    ///
    /// # Errors
    /// A damaged file.
    pub fn counts(&self) -> Result<Counts, Error> {
        let mut counts = Counts::default();
        let sync_id = &self.info.sync_id;
        self.each(
            Of::Ids,
            "select resource_type_id, count(distinct external_id) from v1_resources where sync_id = ?1
                and resource_type_id not in ('user', 'group') group by 1",
            [sync_id],
            |row| {
                counts.others.insert(row.get(0)?, unsigned(row, 1)?);
                Ok(())
            },
        )?;
        self.each(
            Of::Ids,
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
        self.each(Of::Ids, &sql, [sync_id], |row| {
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

    /// Counts by a query of the plain tables, or by looking at every message.
    fn tally(
        &self,
        plain: &str,
        by_message: impl FnOnce(&Self, &mut BTreeMap<String, u64>) -> Result<(), Error>,
    ) -> Result<BTreeMap<String, u64>, Error> {
        let mut map = BTreeMap::new();
        if self.info.is_ours() {
            self.each(Of::Ids, plain, [&self.info.sync_id], |row| {
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

    /// What the run warned of; nothing where another connector wrote it.
    ///
    /// # Errors
    /// A damaged file.
    pub fn warnings(&self) -> Result<Vec<Warning>, Error> {
        if self.info.is_ours() {
            self.table(Of::Values, "rowid")
        } else {
            Ok(Vec::new())
        }
    }

    /// The users of each domain of the scope; nothing where another connector wrote it, or an early version.
    ///
    /// # Errors
    /// A damaged file.
    pub fn domains(&self) -> Result<Vec<DomainUsers>, Error> {
        let known = columns(&self.path, &self.db, DomainUsers::NAME)?;
        let (true, Some(known)) = (self.info.is_ours(), known) else {
            return Ok(Vec::new());
        };
        has(
            &self.path,
            DomainUsers::NAME,
            &known,
            names::<DomainUsers>(),
        )?;
        self.table(Of::Ids, "domain")
    }

    /// A small plain table as a whole.
    fn table<T: Table>(&self, of: Of, order: &str) -> Result<Vec<T>, Error> {
        let names: Vec<&str> = names::<T>().collect();
        let sql = format!(
            "select {} from {} order by {order}",
            names.join(", "),
            T::NAME
        );
        let mut rows = Vec::new();
        self.rows::<Error>(of, &sql, [], |row| {
            rows.push(T::from_row(row, 0).map_err(|bad| bad_value::<T>(&self.path, None, &bad))?);
            Ok(())
        })?;
        Ok(rows)
    }

    /// Returns the users whose id, login, email or secondary email equals a text, ignoring case, in the order of ids.
    ///
    /// If one has exactly that id, nobody is found for an id that differs in case.
    ///
    /// # Errors
    /// A damaged file, or more than 100 users.
    pub fn find_users(&self, text: &str) -> Result<Vec<UserRow>, Error> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let mut found: Vec<(i64, String, bool)> = Vec::new();
        let mut look = |row: i64, id: &str, names: [Option<&str>; 3]| {
            let named = names.into_iter().flatten().any(|name| same(name, text));
            let known = found.last().is_some_and(|(_, last, _)| last == id);
            if (named || same(id, text)) && !known {
                found.push((row, id.to_owned(), named));
            }
        };
        let (names, from) = if self.info.is_ours() {
            ("p.id, p.login, p.email, p.second_email", PLAIN_USERS)
        } else {
            ("null, null, null, null", "from v1_resources r")
        };
        let sql = format!(
            "select r.rowid, substr(r.external_id, 6), {names} {from} where {USER_ROWS}
                order by r.external_id collate {}, r.rowid",
            self.collation
        );
        self.rows(Of::Ids, &sql, [&self.info.sync_id], |row| {
            let (number, id) = (self.number(row, 0)?, self.text(row, 1)?);
            let names = if self.optional_text(row, 2)?.is_some() {
                let text = |column| self.optional_text(row, column);
                [text(3)?, text(4)?, text(5)?]
            } else {
                let user = self.user(number)?;
                [user.login, user.email, user.second_email]
            };
            look(number, &id, names.each_ref().map(Option::as_deref));
            Ok::<(), Error>(())
        })?;
        if found.iter().any(|(_, id, _)| id == text) {
            found.retain(|(_, id, named)| *named || id == text);
        }
        self.few(found.len(), "users")?;
        found.into_iter().map(|(row, ..)| self.user(row)).collect()
    }

    /// The groups that a text names: by id, by exact name, or by the id of Baton's entitlement (`group:ID:member`); if
    /// there is none, those whose names differ from it in case only. In the order of ids.
    ///
    /// # Errors
    /// A damaged file, or more than 100 groups.
    pub fn find_groups(&self, text: &str) -> Result<Vec<GroupRow>, Error> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let id = baton::group_of_entitlement(text).unwrap_or(text);
        let (mut exact, mut folded) = (Found::default(), Found::default());
        for group in self.groups()?.rows()? {
            let group = group?;
            let name = group.name.as_deref();
            if group.id.as_str() == id || name == Some(text) {
                exact.add(group);
            } else if name.is_some_and(|name| same(name, text)) {
                folded.add(group);
            }
        }
        let found = if exact.count == 0 { folded } else { exact };
        self.few(found.count, "groups")?;
        Ok(found.rows)
    }

    /// The groups that a user is in, sorted by name, then id. Their profiles are left out.
    ///
    /// # Errors
    /// A damaged file.
    pub fn groups_of(&self, user: &UserId) -> Result<Vec<GroupRow>, Error> {
        let condition = "r.external_id in (select 'group:' || resource_id from v1_grants
                where sync_id = ?1 and resource_type_id = 'group'
                and principal_resource_type_id = 'user' and principal_resource_id = ?2)
            and exists (select 1 from v1_resources where sync_id = ?1 and resource_type_id = 'user'
                and external_id = 'user:' || ?2)";
        let mut groups = Vec::new();
        for group in self.groups_where(condition, &[user.as_str()])?.rows()? {
            let profile = ProfileText::default();
            groups.push(GroupRow { profile, ..group? });
        }
        groups.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        Ok(groups)
    }

    /// The users that are in a group, sorted by login, then id. Their profiles are left out.
    ///
    /// # Errors
    /// A damaged file.
    pub fn members_of(&self, group: &GroupId) -> Result<Vec<UserRow>, Error> {
        let condition = "r.external_id in (select 'user:' || principal_resource_id from v1_grants
                where sync_id = ?1 and resource_type_id = 'group' and resource_id = ?2
                and principal_resource_type_id = 'user')
            and exists (select 1 from v1_resources where sync_id = ?1 and resource_type_id = 'group'
                and external_id = 'group:' || ?2)";
        let mut users = Vec::new();
        for user in self.users_where(condition, &[group.as_str()])?.rows()? {
            let profile = ProfileText::default();
            users.push(UserRow { profile, ..user? });
        }
        users.sort_by(|a, b| (&a.login, &a.id).cmp(&(&b.login, &b.id)));
        Ok(users)
    }

    /// The user in a row of `v1_resources`.
    fn user(&self, row: i64) -> Result<UserRow, Error> {
        self.one(&self.user_query, row, |row| {
            self.object(row, |id, resource| {
                let user = baton::user_of(id.into(), resource);
                self.small(&user.profile, user.id.as_str())?;
                UserRow::of(&user).map_err(|error| self.no_json(user.id.as_str(), &error))
            })
        })
    }

    /// The group in a row of `v1_resources`.
    fn group(&self, row: i64) -> Result<GroupRow, Error> {
        self.one(&self.group_query, row, |row| {
            self.object(row, |id, resource| {
                let group = baton::group_of(id.into(), resource);
                self.small(&group.profile, group.id.as_str())?;
                GroupRow::of(&group).map_err(|error| self.no_json(group.id.as_str(), &error))
            })
        })
    }

    /// A row of [`Self::user_query`] or [`Self::group_query`], from its plain table or else from its message.
    fn object<T: Table>(
        &self,
        row: &Row<'_>,
        of_message: impl FnOnce(String, proto::Resource) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let id = self.text(row, 0)?;
        if self.optional_text(row, 2)?.is_some() {
            return T::from_row(row, 3).map_err(|bad| bad_value::<T>(&self.path, Some(&id), &bad));
        }
        let resource = self.message(row, 1, &id)?;
        of_message(id, resource)
    }

    /// A row that was there before; it takes from the allowance of the query that found it.
    fn one<T>(
        &self,
        sql: &str,
        row: i64,
        read: impl Fn(&Row<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut found = None;
        self.more::<Error>(Of::Values, sql, [row], |row| {
            found = Some(read(row)?);
            Ok(())
        })?;
        found.ok_or_else(|| Error::damaged(&self.path, format!("row {row} is there and is not")))
    }

    /// Refuses a name that finds more objects than anyone would read.
    fn few(&self, count: usize, what: &'static str) -> Result<(), Error> {
        if count <= MAX_FOUND {
            return Ok(());
        }
        Err(Error::TooMany {
            path: self.path.clone(),
            what,
            count,
            limit: MAX_FOUND,
        })
    }

    fn message(&self, row: &Row<'_>, column: usize, id: &str) -> Result<proto::Resource, Error> {
        let bytes = row.get_ref(column).map_err(|error| self.reading(error))?;
        let bytes = bytes
            .as_blob()
            .map_err(|_| Error::damaged(&self.path, format!("the resource {id} has no data")))?;
        if bytes.len() > MAX_MESSAGE {
            return Err(Error::message_too_big(&self.path));
        }
        proto::Resource::decode(bytes).map_err(|error| {
            Error::damaged(
                &self.path,
                format!("the resource {id} does not decode ({error})"),
            )
        })
    }

    /// Refuses a profile of too many values.
    fn small(&self, profile: &Profile, id: &str) -> Result<(), Error> {
        fn elements(value: &Value) -> usize {
            match value {
                Value::Array(list) => list.iter().map(|value| 1 + elements(value)).sum(),
                Value::Object(map) => map.values().map(|value| 1 + elements(value)).sum(),
                _ => 0,
            }
        }
        let count: usize = profile.values().map(|value| 1 + elements(value)).sum();
        if count > MAX_ELEMENTS {
            let why = format!("the profile of {id} holds more than {MAX_ELEMENTS} values");
            return Err(Error::damaged(&self.path, why));
        }
        Ok(())
    }

    fn no_json(&self, id: &str, error: &serde_json::Error) -> Error {
        let why = format!("the profile of {id} is no JSON object ({error})");
        Error::damaged(&self.path, why)
    }

    fn number(&self, row: &Row<'_>, column: usize) -> Result<i64, Error> {
        row.get(column).map_err(|error| self.reading(error))
    }

    fn text(&self, row: &Row<'_>, column: usize) -> Result<String, Error> {
        row.get(column).map_err(|error| self.reading(error))
    }

    fn optional_text(&self, row: &Row<'_>, column: usize) -> Result<Option<String>, Error> {
        row.get(column).map_err(|error| self.reading(error))
    }

    /// Calls back with every row, where only SQLite can fail.
    fn each(
        &self,
        of: Of,
        sql: &str,
        params: impl Params,
        mut f: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), Error> {
        self.rows(of, sql, params, |row| {
            f(row).map_err(|error| self.reading(error))
        })
    }

    /// Calls back with every row of a query with an allowance of its own.
    fn rows<E: From<Error>>(
        &self,
        of: Of,
        sql: &str,
        params: impl Params,
        f: impl FnMut(&Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.allowance.renew();
        self.more(of, sql, params, f)
    }

    /// Calls back with every row.
    fn more<E: From<Error>>(
        &self,
        of: Of,
        sql: &str,
        params: impl Params,
        mut f: impl FnMut(&Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let failed = |error| E::from(Error::reading(&self.path, of.limit(), error));
        let mut statement = self.db.prepare_cached(sql).map_err(failed)?;
        let columns = statement.column_count();
        let mut rows = statement.query(params).map_err(failed)?;
        loop {
            // Before every row: the callback may have asked for something else.
            limit(&self.db, of.limit()).map_err(failed)?;
            let Some(row) = rows.next().map_err(failed)? else {
                return Ok(());
            };
            if !self.allowance.take(row, columns).map_err(failed)? {
                let why = "its rows hold more bytes than the whole file";
                return Err(Error::damaged(&self.path, why).into());
            }
            f(row)?;
        }
    }

    fn reading(&self, error: rusqlite::Error) -> Error {
        Error::reading(&self.path, MAX_VALUE, error)
    }
}

/// The objects that one name finds: how many, and as many of them as are ever shown.
struct Found<T> {
    rows: Vec<T>,
    count: usize,
}

impl<T> Default for Found<T> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            count: 0,
        }
    }
}

impl<T> Found<T> {
    fn add(&mut self, row: T) {
        self.count += 1;
        if self.rows.len() < MAX_FOUND {
            self.rows.push(row);
        }
    }
}

/// A number of rows.
fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

fn add(map: &mut BTreeMap<String, u64>, word: Option<String>) {
    *map.entry(word.unwrap_or_else(|| UNKNOWN.to_owned()))
        .or_default() += 1;
}

/// Whether two texts are equal without case.
fn same(a: &str, b: &str) -> bool {
    let fold = |text: &str| {
        text.chars()
            .flat_map(char::to_lowercase)
            .collect::<String>()
    };
    a == b || fold(a) == fold(b)
}

/// Refuses a database that someone is changing, or that was left in the middle of a change: what is in the files beside
/// it belongs to it, and looking at them would change them. Returns the length of the file.
fn at_rest(path: &Path) -> Result<u64, Error> {
    let mut head = [0; 20];
    let (mut file, size) = c1z::open(path)?;
    file.read_exact(&mut head)
        .map_err(|_| Error::damaged(path, "it ends in its header"))?;
    for (suffix, counts) in [("-wal", head[18] == 2 || head[19] == 2), ("-journal", true)] {
        let mut beside = path.as_os_str().to_owned();
        beside.push(suffix);
        let beside = PathBuf::from(beside);
        let metadata = std::fs::metadata(&beside).ok();
        let length = metadata
            .filter(std::fs::Metadata::is_file)
            .map_or(0, |metadata| metadata.len());
        // A journal whose first byte is 0 was used up.
        let used_up = || suffix == "-journal" && first_byte(&beside) == Some(0);
        if counts && length > 0 && !used_up() {
            return Err(Error::InUse {
                path: path.to_owned(),
                beside,
            });
        }
    }
    Ok(size)
}

fn first_byte(path: &Path) -> Option<u8> {
    let mut byte = [0];
    let mut file = File::open(path).ok()?;
    file.read_exact(&mut byte).ok()?;
    Some(byte[0])
}

/// How long a value may be that SQLite looks at from now on.
fn limit(db: &Connection, bytes: usize) -> rusqlite::Result<()> {
    let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
    db.set_limit(Limit::SQLITE_LIMIT_LENGTH, bytes).map(drop)
}

/// How a database is opened that is whole, and that SQLite may look at at once.
const THEIRS: &str = "?mode=ro&immutable=1";
/// How one is opened that is still to be filled: as immutable it would stay empty.
const OURS: &str = "?mode=ro&nolock=1";

/// A file that only this program can reach, in a folder of its own, where nobody else can put a journal beside it.
fn nameless() -> std::io::Result<(File, PathBuf, tempfile::TempDir)> {
    let folder = tempfile::Builder::new()
        .prefix("okta-ciam-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir()?;
    let name = folder.path().join("copy");
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&name)?;
    Ok((file, name, folder))
}

/// Opens a database that nobody changes, without locks and without files beside it, and runs no SQL yet. `path` is its
/// name in messages.
fn connect(
    path: &Path,
    database: &Path,
    how: &str,
    allowance: &Allowance,
) -> Result<Connection, Error> {
    let mut uri = "file:".to_owned();
    let absolute = std::path::absolute(database).map_err(Error::io(path, "open it"))?;
    for byte in absolute.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(byte) {
            uri.push(char::from(*byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri.push_str(how);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || -> rusqlite::Result<Connection> {
        let mut db = Connection::open_with_flags(&uri, flags)?;
        db.progress_handler(Allowance::EVERY, Some(allowance.counter()))?;
        db.set_limit(Limit::SQLITE_LIMIT_SCHEMA, MAX_SCHEMA.0)?;
        limit(&db, MAX_SCHEMA.1)?;
        db.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        Ok(db)
    };
    open().map_err(|error| Error::reading(path, MAX_SCHEMA.1, error))
}

/// Returns the collation that compares texts as the bytes of their UTF-8: SQLite's own compares the bytes of the encoding
/// that the file declares.
fn collation(path: &Path, db: &Connection) -> Result<&'static str, Error> {
    let of_the_file = || -> rusqlite::Result<&'static str> {
        let encoding: String = db.query_row("pragma encoding", [], |row| row.get(0))?;
        if encoding == "UTF-8" {
            return Ok("binary");
        }
        db.create_collation("utf_8", str::cmp)?;
        Ok("utf_8")
    };
    of_the_file().map_err(|error| Error::reading(path, MAX_SCHEMA.1, error))
}

/// Looks at the schema: what is missing is made, empty, where only this connection sees it.
fn prepare(path: &Path, db: &Connection) -> Result<(), Error> {
    db.execute_batch(
        "pragma cell_size_check = on; pragma cache_size = -16384; pragma automatic_index = off;",
    )
    .map_err(|error| Error::reading(path, MAX_SCHEMA.1, error))?;
    for (table, needed) in TABLES {
        match columns(path, db, table)? {
            Some(columns) => has(path, table, &columns, needed.iter().copied())?,
            None if table == "v1_sync_runs" => {
                return Err(Error::NotASnapshot {
                    path: path.to_owned(),
                    why: "it is a SQLite database without the tables of a snapshot".to_owned(),
                });
            }
            None => {
                let sql = format!("create temp table {table} ({})", needed.join(", "));
                db.execute_batch(&sql)
                    .map_err(|error| Error::reading(path, MAX_SCHEMA.1, error))?;
            }
        }
    }
    Ok(())
}

fn names<T: Table>() -> impl Iterator<Item = &'static str> {
    T::COLUMNS.iter().map(|column| column.name)
}

/// What is wrong with a value of a plain table, and of whose row.
fn bad_value<T: Table>(path: &Path, id: Option<&str>, bad: &BadValue) -> Error {
    let of = id.map_or_else(String::new, |id| format!(" of {id}"));
    let BadValue { column, problem } = bad;
    Error::damaged(path, format!("{}.{column}{of} {problem}", T::NAME))
}

/// The columns of a plain table in a list to select, `p` being the table. A column that an earlier version did not have yet
/// is null.
fn plain_columns<T: Table>(
    path: &Path,
    db: &Connection,
    metadata: &RunMetadata,
) -> Result<String, Error> {
    let known = columns(path, db, T::NAME)?
        .ok_or_else(|| Error::damaged(path, format!("the table {} is missing", T::NAME)))?;
    if metadata.schema_version == SCHEMA_VERSION {
        has(path, T::NAME, &known, names::<T>())?;
    }
    let is_known = |name: &str| known.iter().any(|column| column == name);
    let selected = names::<T>().map(|name| match is_known(name) {
        true => format!("p.{name}"),
        false => "null".to_owned(),
    });
    Ok(selected.collect::<Vec<_>>().join(", "))
}

fn has(
    path: &Path,
    table: &str,
    columns: &[String],
    needed: impl IntoIterator<Item = &'static str>,
) -> Result<(), Error> {
    let missing = needed
        .into_iter()
        .find(|name| !columns.iter().any(|column| column == name));
    missing.map_or(Ok(()), |name| {
        Err(Error::damaged(
            path,
            format!("the table {table} has no column {name}"),
        ))
    })
}

/// The columns of a table; none if there is no such table. A view, a virtual table or a generated column is not
/// read: the author of the file would decide what runs here.
fn columns(path: &Path, db: &Connection, table: &str) -> Result<Option<Vec<String>>, Error> {
    let columns = || -> rusqlite::Result<Option<(bool, Vec<String>)>> {
        // SQLite writes the first words itself, so what they say is so: a virtual table is none that holds rows.
        let sql = "select type = 'table' and rootpage > 0 and sql like 'create table %' from main.sqlite_schema
            where name = ?1 collate nocase and type in ('table', 'view')";
        let plain: Option<bool> = db.query_row(sql, [table], |row| row.get(0)).optional()?;
        let Some(mut plain) = plain else {
            return Ok(None);
        };
        let mut statement = db.prepare("select name, hidden from pragma_table_xinfo(?1)")?;
        let mut rows = statement.query([table])?;
        let mut names = Vec::new();
        while let Some(row) = rows.next()? {
            plain &= row.get::<_, i64>(1)? == 0;
            names.push(row.get::<_, String>(0)?);
        }
        // A column of that name would stand where the number of the row should.
        plain &= !names.iter().any(|name| name.eq_ignore_ascii_case("rowid"));
        Ok(Some((plain, names)))
    };
    match columns().map_err(|error| Error::reading(path, MAX_SCHEMA.1, error))? {
        Some((false, _)) => Err(Error::damaged(
            path,
            format!("{table} is not a table that simply holds its rows"),
        )),
        Some((true, names)) => Ok(Some(names)),
        None => Ok(None),
    }
}

/// Picks the run.
fn info(
    path: &Path,
    db: &Connection,
    format: FileFormat,
    wanted: Option<&str>,
) -> Result<FileInfo, Error> {
    let failed = |error| Error::reading(path, MAX_ID, error);
    let known = columns(path, db, "v1_sync_runs")?.unwrap_or_default();
    limit(db, MAX_ID).map_err(failed)?;
    // Files from before there were other types of run.
    let full = if known.iter().any(|column| column == "sync_type") {
        "sync_type = 'full'"
    } else {
        "true"
    };
    let runs = db
        // Not `count(*)`: that is one step, however long it takes.
        .query_row("select count(sync_id) from v1_sync_runs", [], |row| {
            unsigned(row, 0)
        })
        .map_err(failed)?;
    let newest = format!(
        "select sync_id, started_at, ended_at from v1_sync_runs where ended_at is not null
            and iif(?1 is null, {full}, sync_id = ?1) order by ended_at desc, sync_id desc limit 1"
    );
    let run: Option<(String, String, String)> = db
        .query_row(&newest, [wanted], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()
        .map_err(failed)?;
    let Some((sync_id, started_at, ended_at)) = run else {
        if let Some(sync_id) = wanted {
            return Err(Error::NoSuchRun {
                path: path.to_owned(),
                sync_id: sync_id.to_owned(),
            });
        }
        let unfinished = "select max(started_at) from v1_sync_runs where ended_at is null";
        return Err(Error::NoFinishedRun {
            path: path.to_owned(),
            newest_unfinished: db
                .query_row(unfinished, [], |row| row.get(0))
                .map_err(failed)?,
        });
    };
    let time = |text: &str| {
        times::parse(text).ok_or_else(|| {
            Error::damaged(
                path,
                format!("{text:?} is no time, but stands for one at run {sync_id}"),
            )
        })
    };
    Ok(FileInfo {
        format,
        started_at: time(&started_at)?,
        ended_at: time(&ended_at)?,
        runs,
        metadata: metadata(path, db, &sync_id)?,
        sync_id,
    })
}

/// The metadata, if the plain tables describe the run.
fn metadata(path: &Path, db: &Connection, sync_id: &str) -> Result<Option<RunMetadata>, Error> {
    limit(db, MAX_VALUE).map_err(|error| Error::reading(path, MAX_VALUE, error))?;
    let Some(known) = columns(path, db, "snapshot")? else {
        return Ok(None);
    };
    if has(path, "snapshot", &known, ["sync_id", "schema_version"]).is_err() {
        return Ok(None);
    }
    let failed = |error| Error::reading(path, MAX_VALUE, error);
    let version: Option<i64> = db
        .query_row(
            "select schema_version from snapshot where sync_id = ?1 limit 1",
            [sync_id],
            |row| row.get(0),
        )
        .optional()
        .map_err(failed)?;
    let Some(version) = version else {
        return Ok(None);
    };
    if version > SCHEMA_VERSION.into() {
        return Err(Error::Unsupported {
            path: path.to_owned(),
            why: format!(
                "its tables are version {version}, and this program knows them up to version {SCHEMA_VERSION}; \
                 use the version that wrote it, or a newer one"
            ),
        });
    }
    let warnings = columns(path, db, Warning::NAME)?
        .ok_or_else(|| Error::damaged(path, "the table warnings is missing"))?;
    has(path, Warning::NAME, &warnings, names::<Warning>())?;
    // What an earlier version did not know yet is null.
    let is_known = |name: &str| known.iter().any(|column| column == name);
    let selected: Vec<&str> = names::<RunMetadata>()
        .map(|name| if is_known(name) { name } else { "null" })
        .collect();
    let sql = format!(
        "select {} from snapshot where sync_id = ?1 limit 1",
        selected.join(", ")
    );
    db.query_row(&sql, [sync_id], |row| Ok(RunMetadata::from_row(row, 0)))
        .map_err(failed)?
        .map(Some)
        .map_err(|bad| bad_value::<RunMetadata>(path, None, &bad))
}
