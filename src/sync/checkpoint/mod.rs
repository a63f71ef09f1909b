//! The checkpoint: a database that stores pages as they arrive, in any order, and from which an interrupted run resumes.
//!
//! - A page's rows and the cursor of its listing are stored in one transaction, so a page counts as read if and only if all
//!   of it is stored.
//! - A user or a group has one row, by its number in the [`super::objects::ObjectIndex`], which decides which copy is
//!   stored. Only users who are or were in scope have a row.
//! - Memberships have one row per page: the number of the owner (the group or the user whose page it is), and the numbers
//!   of the others in four bytes each.
//! - The database has a write-ahead log. A killed process loses the pages since the last commit (a fraction of a second), a
//!   power failure those since the last sync (two seconds), and neither damages the rest. The database contains personal
//!   data, but no secrets.

mod listings;
mod objects;
pub mod resume;
mod schema;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, Row, params};

pub use self::objects::UserCopy;
use self::resume::{ResumeKey, RunProgress};
use super::listing::ListingId;
use super::plan::Strategy;
use crate::okta::http::Cost;
use crate::okta::read::UserListMethod;

/// The pages and the progress of a run. The caller removes the file.
#[derive(Debug)]
pub struct Checkpoint {
    /// The progress of the run, apart from its pages. [`Checkpoint::save`] stores it.
    pub progress: RunProgress,
    db: Connection,
    pending: bool,
    committed: Instant,
    synced: Instant,
    next_listing: ListingId,
}

/// The time after which pages are committed even if more pages wait to be stored.
const COMMIT_AT_LATEST: Duration = Duration::from_millis(100);
/// The time after which pages are committed if no other page waits to be stored.
const COMMIT_AT_EARLIEST: Duration = Duration::from_millis(15);
/// The interval at which committed pages are synced to the disk.
const SYNC_INTERVAL: Duration = Duration::from_secs(2);

impl Checkpoint {
    /// Creates a checkpoint in an existing, empty file.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn create(path: &Path, progress: RunProgress) -> anyhow::Result<Self> {
        Self::connect(path)
            .map_err(anyhow::Error::from)
            .and_then(|db| Self::begin(db, progress))
            .with_context(|| format!("cannot create the checkpoint {}", path.display()))
    }

    /// Creates a checkpoint that ends with the process, for a run that only plans.
    ///
    /// # Errors
    /// Returns an error if SQLite is out of memory.
    pub fn in_memory(progress: RunProgress) -> anyhow::Result<Self> {
        let db = Connection::open_in_memory()?;
        db.execute_batch("begin")?;
        Self::begin(db, progress)
    }

    fn begin(db: Connection, progress: RunProgress) -> anyhow::Result<Self> {
        db.execute_batch(schema::SCHEMA)?;
        db.pragma_update(None, "user_version", schema::VERSION)?;
        db.execute(
            "insert into run (resume_key, started_at, began_at, saved_at) values (?1, ?2, ?3, ?4)",
            params![
                progress.key.to_text(),
                progress.started_at.as_millisecond(),
                progress.began_at.as_millisecond(),
                progress.saved_at.as_millisecond(),
            ],
        )?;
        Ok(Self::new(db, progress, 0))
    }

    /// Opens the checkpoint of an earlier run; none if that run ended before it created the tables.
    ///
    /// # Errors
    /// Returns an error with the reason if the checkpoint cannot be used.
    pub fn open(path: &Path) -> anyhow::Result<Option<Self>> {
        let db = Self::connect(path)?;
        let is_empty = "select count(*) = 0 from sqlite_master";
        if db.query_row(is_empty, [], |row| row.get(0))? {
            return Ok(None);
        }
        let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
        anyhow::ensure!(
            version == schema::VERSION,
            "it was written by another version"
        );
        let check: String = db.pragma_query_value(None, "quick_check", |row| row.get(0))?;
        anyhow::ensure!(check == "ok", "it is damaged");
        let progress = read_progress(&db)?;
        let next = "select coalesce(max(id), -1) + 1 from listings";
        let next_listing = db.query_row(next, [], |row| row.get(0))?;
        Ok(Some(Self::new(db, progress, next_listing)))
    }

    /// Returns whether a run that ended left any page in this file.
    pub fn has_pages(path: &Path) -> bool {
        // The file cannot be opened while a thread of this process writes the snapshot from it. Then it has all pages.
        let any = "select exists (select 1 from listings where done = 1 or cursor is not null)";
        Self::connect(path)
            .and_then(|db| db.query_row(any, [], |row| row.get(0)))
            .unwrap_or(true)
    }

    /// Connects to the database, and starts the first transaction.
    fn connect(path: &Path) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags)?;
        // Waiting would not help: only a thread of this process can have locked the file, and it does not unlock it.
        db.busy_timeout(Duration::ZERO)?;
        // The locking mode is set before the log is created, so that SQLite needs no shared memory, which some file
        // systems do not support.
        db.execute_batch(
            "pragma locking_mode = exclusive; pragma journal_mode = wal; pragma synchronous = normal;
             pragma wal_autocheckpoint = 4000; pragma temp_store = memory; begin",
        )?;
        Ok(db)
    }

    fn new(db: Connection, progress: RunProgress, next_listing: ListingId) -> Self {
        let now = Instant::now();
        Self {
            progress,
            db,
            pending: false,
            committed: now,
            synced: now,
            next_listing,
        }
    }

    /// Stores the progress of the run, and commits all pages.
    ///
    /// # Errors
    /// Returns an error if the database cannot be written.
    pub fn save(&mut self) -> anyhow::Result<()> {
        // If the disk is full, SQLite rolls back the entire transaction. The progress must not be stored without its
        // pages.
        anyhow::ensure!(
            !self.db.is_autocommit(),
            "the last pages could not be stored"
        );
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let progress = &self.progress;
        let token_owner = progress.token_owner.as_ref();
        let token_owner = token_owner.map(serde_json::to_string).transpose()?;
        self.db
            .prepare_cached(
                "update run set saved_at = ?1, interruptions = ?2, requests = ?3, retries = ?4, waits = ?5,
                   waited = ?6, users_listed_by = ?7, both_ends_tried = ?8, strategy = ?9, any_user_visible = ?10,
                   deprovisioned_in_everyone = ?11, token_owner = ?12",
            )?
            .execute(params![
                Timestamp::now().as_millisecond(),
                number(progress.interruptions),
                number(progress.cost.requests),
                number(progress.cost.retries),
                number(progress.cost.waits),
                progress.cost.waited.as_secs_f64(),
                progress.users_listed_by.map(UserListMethod::as_str),
                progress.both_ends_tried,
                progress.strategy.map(Strategy::as_str),
                progress.any_user_visible,
                progress.deprovisioned_in_everyone,
                token_owner,
            ])?;
        self.pending = true;
        self.commit()
    }

    /// Returns whether it is time for [`Checkpoint::save`]. It is sooner if no page waits to be stored (`idle`).
    pub fn is_due(&self, idle: bool) -> bool {
        let least = if idle {
            COMMIT_AT_EARLIEST
        } else {
            COMMIT_AT_LATEST
        };
        self.pending && self.committed.elapsed() >= least
    }

    /// Commits the last pages, and creates the index by which memberships are read.
    ///
    /// # Errors
    /// Returns an error if the database cannot be written.
    pub fn finish(&mut self) -> anyhow::Result<()> {
        self.db.execute_batch(
            "create index if not exists memberships_by_owner on memberships (owner)",
        )?;
        self.pending = true;
        self.commit()
    }

    fn commit(&mut self) -> anyhow::Result<()> {
        if !self.pending {
            return Ok(());
        }
        self.db.execute_batch("commit")?;
        if self.synced.elapsed() >= SYNC_INTERVAL {
            self.db
                .query_row("pragma wal_checkpoint(passive)", [], |_| Ok(()))?;
            self.synced = Instant::now();
        }
        self.db.execute_batch("begin")?;
        self.pending = false;
        self.committed = Instant::now();
        Ok(())
    }
}

fn read_progress(db: &Connection) -> anyhow::Result<RunProgress> {
    let mut select = db.prepare("select * from run")?;
    let mut rows = select.query([])?;
    let row = rows.next()?.context("it does not describe its run")?;
    let time = |column| -> anyhow::Result<Timestamp> {
        Ok(Timestamp::from_millisecond(row.get(column)?)?)
    };
    let number = |column| -> rusqlite::Result<u64> { Ok(count(row, column)?.unwrap_or(0)) };
    let method = row.get_ref(9)?.as_str_or_null()?;
    let strategy = row.get_ref(11)?.as_str_or_null()?;
    let token_owner = row.get_ref(14)?.as_str_or_null()?;
    Ok(RunProgress {
        key: ResumeKey::parse(row.get_ref(0)?.as_str()?)?,
        started_at: time(1)?,
        began_at: time(2)?,
        saved_at: time(3)?,
        interruptions: number(4)?,
        cost: Cost {
            requests: number(5)?,
            retries: number(6)?,
            waits: number(7)?,
            waited: Duration::try_from_secs_f64(row.get(8)?)?,
            ..Cost::default()
        },
        token_owner: token_owner.map(serde_json::from_str).transpose()?,
        users_listed_by: method.and_then(UserListMethod::parse),
        both_ends_tried: row.get(10)?,
        strategy: strategy.and_then(Strategy::parse),
        any_user_visible: row.get(12)?,
        deprovisioned_in_everyone: row.get(13)?,
    })
}

fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    let count: Option<i64> = row.get(column)?;
    Ok(count.and_then(|count| u64::try_from(count).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::okta::read::UserSet;
    use crate::sync::listing::ListingKind;

    #[test]
    fn what_sqlite_undid_is_not_followed_by_progress_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        std::fs::write(&path, "").unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let key = r#"{"origin":"","scope":"","memberships_by":"","program":"","credentials":""}"#;
        let progress = RunProgress::new(ResumeKey::parse(key).unwrap(), now, now);
        let mut checkpoint = Checkpoint::create(&path, progress).unwrap();
        let all_users = ListingKind::Users(UserSet::All);
        checkpoint.add_listing(&all_users).unwrap();
        checkpoint.commit().unwrap();
        // SQLite rolls back by itself if the disk is full.
        checkpoint.add_listing(&ListingKind::Groups).unwrap();
        checkpoint.db.execute_batch("rollback").unwrap();
        checkpoint.progress.strategy = Some(Strategy::User);
        assert!(checkpoint.save().is_err());
        drop(checkpoint);
        let checkpoint = Checkpoint::open(&path).unwrap().unwrap();
        assert_eq!(checkpoint.progress.strategy, None);
        let listings = checkpoint.open_listings().unwrap();
        assert_eq!(listings.len(), 1);
        assert_eq!(listings[0].kind, all_users);
    }
}
