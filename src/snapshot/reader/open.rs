//! Opens a snapshot without trusting it: locks nothing, creates nothing next to it, and runs no SQL from the file.

use std::cell::Cell;
use std::fs::{File, OpenOptions, Permissions};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};

use super::run;
use super::schema::{MAX_SCHEMA, columns, has, plain_columns};
use super::time_limit::TimeLimit;
use super::{PLAIN_GROUPS, PLAIN_USERS, Reader, limit};
use crate::snapshot::c1z::{self, Form};
use crate::snapshot::{Error, FileFormat, GroupRow, UserRow};

/// The tables that are read, with the columns that they must have.
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

/// The SQL that reads a user or a group if there are no plain tables.
const PROTO_USER: &str =
    "select substr(r.external_id, 6), r.data, null from v1_resources r where r.rowid = ?1";
const PROTO_GROUP: &str =
    "select substr(r.external_id, 7), r.data, null from v1_resources r where r.rowid = ?1";

impl Reader {
    /// Opens the newest finished full run of a snapshot. The content decides the kind of file, not the name.
    ///
    /// Unpacks a container to a private temporary file whose name is removed at once. Opens a plain database in place,
    /// and creates nothing next to it.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read, is not a snapshot, is damaged, is too new, or has no finished run.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::open_run(path, None)
    }

    /// Opens one run of a snapshot file: the one with this id, or the newest finished full one.
    ///
    /// # Errors
    /// Returns the errors of [`Self::open`], or an error if there is no finished run with this id.
    pub fn open_run(path: &Path, sync_id: Option<&str>) -> Result<Self, Error> {
        let reader = Self::open_uncounted(path, sync_id)?;
        reader.recount()?;
        Ok(reader)
    }

    pub(super) fn open_uncounted(path: &Path, sync_id: Option<&str>) -> Result<Self, Error> {
        match c1z::form(path)? {
            Form::Empty => Err(Error::NoFinishedRun {
                path: path.to_owned(),
                newest_unfinished: None,
            }),
            Form::C1z => {
                let failed = Error::io(
                    path,
                    "make a temporary copy (in the folder that TMPDIR sets, which must exist and be writable) of",
                );
                let (mut copy, name, folder) = nameless().map_err(failed)?;
                // SQLite keeps the file open and has not read it yet. So the name can be removed before the file has any
                // content that a killed run could leave behind.
                let mut time = TimeLimit::new(0);
                let db = connect(path, &name, OURS, &time)?;
                std::fs::remove_file(&name)
                    .and_then(|()| folder.close())
                    .map_err(Error::io(path, "remove the temporary copy of"))?;
                let size = c1z::unpack(path, &mut copy, c1z::cap(path)?)?;
                if size == 0 {
                    return Err(Error::NoFinishedRun {
                        path: path.to_owned(),
                        newest_unfinished: None,
                    });
                }
                time.set_size(size);
                Self::new(path, db, time, FileFormat::C1z, sync_id)
            }
            Form::Sqlite => {
                let time = TimeLimit::new(at_rest(path)?);
                let db = connect(path, path, THEIRS, &time)?;
                Self::new(path, db, time, FileFormat::Sqlite, sync_id)
            }
        }
    }

    fn new(
        path: &Path,
        db: Connection,
        time: TimeLimit,
        format: FileFormat,
        sync_id: Option<&str>,
    ) -> Result<Self, Error> {
        prepare(path, &db)?;
        let collation = collation(path, &db)?;
        let info = run::info(path, &db, format, sync_id)?;
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
            time,
            result_left: Cell::default(),
            info,
            user_query,
            group_query,
            user_columns,
            group_columns,
            collation,
        })
    }

    /// Returns an error if the numbers of rows differ from those that the run recorded.
    fn recount(&self) -> Result<(), Error> {
        let recounts = self.recounts()?;
        let Some(wrong) = recounts.iter().find(|recount| recount.is_wrong()) else {
            return Ok(());
        };
        let why = format!(
            "its run recorded {} {}, but it has {}",
            wrong.recorded, wrong.what, wrong.found
        );
        Err(Error::damaged(&self.path, why))
    }
}

/// Returns the length of a database. Refuses one with an unfinished change: SQLite would have to read, and to change, the
/// log next to it.
fn at_rest(path: &Path) -> Result<u64, Error> {
    let mut head = [0; 20];
    let (mut file, size) = c1z::open(path)?;
    file.read_exact(&mut head)
        .map_err(|_| Error::damaged(path, "it ends in its header"))?;
    for (suffix, counts) in [("-wal", head[18] == 2 || head[19] == 2), ("-journal", true)] {
        let mut log = path.as_os_str().to_owned();
        log.push(suffix);
        let log = PathBuf::from(log);
        let metadata = std::fs::metadata(&log).ok();
        let length = metadata
            .filter(std::fs::Metadata::is_file)
            .map_or(0, |metadata| metadata.len());
        // SQLite overwrites the start of a journal with zeros once its change is complete.
        let completed = || suffix == "-journal" && first_byte(&log) == Some(0);
        if counts && length > 0 && !completed() {
            return Err(Error::InUse {
                path: path.to_owned(),
                log,
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

/// The options for a plain database, which is complete when it is opened.
const THEIRS: &str = "?mode=ro&immutable=1";
/// The options for the copy of a container, which is filled after it is opened: an immutable one would stay empty.
const OURS: &str = "?mode=ro&nolock=1";

/// Creates a file in a new private folder, so that no other user can put a journal next to it. Returns it with its path
/// and folder.
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

/// Opens a database without locks, without creating files and without running SQL. Messages refer to it as `path`.
fn connect(path: &Path, database: &Path, how: &str, time: &TimeLimit) -> Result<Connection, Error> {
    let mut uri = "file:".to_owned();
    let absolute = std::path::absolute(database).map_err(Error::io(path, "open"))?;
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
        db.progress_handler(TimeLimit::EVERY, Some(time.watch()))?;
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

/// Returns the collation that compares texts as the bytes of their UTF-8. SQLite's `binary` compares the bytes of the
/// encoding that the file declares.
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

/// Checks the schema. Creates missing tables as empty temporary ones, which only this connection sees.
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
