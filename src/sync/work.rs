//! The working database: where pages land as they come, in any order, beside the file to be written; and the state
//! that an interrupted run goes on from.
//!
//! - One row a user and a group, by its number in the [`Directory`]; which copy of one is stored is decided there.
//! - Memberships are pairs of numbers, packed a page a row: the owner, and the others' numbers in four bytes each.
//! - Only users in scope, or once in scope, have a row.
//! - `walks` has a row for each listing that was begun or is to be, and the page that it goes on with. A page's rows and
//!   the step of its walk are one transaction, so a page counts as read if and only if all of it is here.
//! - The database has a write-ahead log: a killed process loses what was not committed (a fraction of a second), a power
//!   cut what was not synced (two seconds), and neither harms the rest. Nothing in it is secret but the people.

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row, params};

use super::directory::{Directory, From, Known, Rank, Seq};
use super::listing::{Listing, Walk, WalkId};
use super::plan::Strategy;
use super::resume::{Identity, Progress};
use crate::filter::MatchedBy;
use crate::model::{Group, GroupId, Learned, User, UserId};
use crate::okta::client::Cost;
use crate::okta::order::Position;
use crate::okta::page::{Counted, RowKey};
use crate::okta::read::UserListing;
use crate::snapshot::Warning;

/// A user as the working database keeps one: the profile as canonical text, made by the worker that read the page.
#[derive(Debug)]
pub struct UserCopy {
    /// The user, without the profile.
    pub user: User,
    /// The profile's JSON, keys sorted.
    pub profile: String,
    /// How the user is in scope; `None` if this copy no longer is.
    pub matched_by: Option<MatchedBy>,
}

impl UserCopy {
    /// Packs a user.
    pub fn new(mut user: User, matched_by: Option<MatchedBy>) -> Self {
        let profile = std::mem::take(&mut user.profile);
        Self {
            user,
            profile: serde_json::Value::Object(profile).to_string(),
            matched_by,
        }
    }
}

/// The working database. Its file is the caller's to remove.
#[derive(Debug)]
pub struct Work {
    db: Connection,
    pending: bool,
    committed: Instant,
    synced: Instant,
    next_walk: WalkId,
}

/// Pages wait at most this long for their commit.
const COMMIT_AT_LAST: Duration = Duration::from_millis(100);
/// And, if nothing else is to be done meanwhile, at least this long.
const COMMIT_AT_FIRST: Duration = Duration::from_millis(15);
/// How often what was committed is synced to the disk.
const SYNC: Duration = Duration::from_secs(2);

/// The version of the tables below.
const VERSION: i64 = 4;

const SCHEMA: &str = "
create table state (identity text not null, started_at integer not null, begun_at integer not null, saved_at integer not null,
  interruptions integer not null default 0, requests integer not null default 0, retries integer not null default 0,
  waits integer not null default 0, waited real not null default 0, users_listed_by text, ends_tried integer not null default 0,
  strategy text, anybody integer, deprovisioned_in_everyone integer);
create table walks (id integer primary key, what text not null, number integer, object_id text, at text,
  done integer not null default 0);
create table pages (walk integer not null, keys blob not null);
create table strangers (keys blob not null);
create table warnings (code text not null, kind text not null, object_id text, message text not null);
create table users (seq integer primary key, id text not null, status text, created integer, activated integer,
  status_changed integer, last_login integer, last_updated integer, password_changed integer, profile text not null,
  matched_by text, from_listing integer not null, listed integer not null, gone integer not null default 0);
create table groups (seq integer primary key, id text not null, type text, source_id text, created integer,
  last_updated integer, last_membership_updated integer, members_reported integer, profile text not null,
  in_scope integer not null, from_listing integer not null, listed integer not null, learned text, members_seen integer,
  gone integer not null default 0);
create table memberships (owner integer not null, others blob not null);
";

impl Work {
    /// Makes an empty one, where an empty file is.
    ///
    /// # Errors
    /// What the folder or SQLite says.
    pub fn create(path: &Path, progress: &Progress) -> anyhow::Result<Self> {
        let make = || -> anyhow::Result<Self> {
            let work = Self::connect(path)?;
            work.db.execute_batch(SCHEMA)?;
            work.db.pragma_update(None, "user_version", VERSION)?;
            work.db.execute(
                "insert into state (identity, started_at, begun_at, saved_at) values (?1, ?2, ?3, ?4)",
                params![
                    progress.identity.to_text(),
                    progress.started_at.as_millisecond(),
                    progress.begun_at.as_millisecond(),
                    progress.saved_at.as_millisecond(),
                ],
            )?;
            Ok(work)
        };
        make().with_context(|| format!("cannot make the working file {}", path.display()))
    }

    /// Opens the one that an earlier run left; none where that run ended before it made any table.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn open(path: &Path) -> anyhow::Result<Option<(Self, Progress)>> {
        let mut work = Self::connect(path)?;
        let is_empty = "select count(*) = 0 from sqlite_master";
        if work.db.query_row(is_empty, [], |row| row.get(0))? {
            return Ok(None);
        }
        let version: i64 = work
            .db
            .pragma_query_value(None, "user_version", |row| row.get(0))?;
        anyhow::ensure!(version == VERSION, "it was written by another version");
        let whole: String = work
            .db
            .pragma_query_value(None, "quick_check", |row| row.get(0))?;
        anyhow::ensure!(whole == "ok", "it is damaged");
        let progress = work.progress()?;
        work.next_walk =
            work.db
                .query_row("select coalesce(max(id), -1) + 1 from walks", [], |row| {
                    row.get(0)
                })?;
        Ok(Some((work, progress)))
    }

    fn connect(path: &Path) -> anyhow::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags)?;
        // Whoever else has it is a thread of this process, and keeps it.
        db.busy_timeout(Duration::ZERO)?;
        // Exclusive before the log is made: then there is no shared-memory file, which some file systems do not have.
        db.execute_batch(
            "pragma locking_mode = exclusive; pragma journal_mode = wal; pragma synchronous = normal;
             pragma wal_autocheckpoint = 4000; pragma temp_store = memory; begin",
        )?;
        let now = Instant::now();
        Ok(Self {
            db,
            pending: false,
            committed: now,
            synced: now,
            next_walk: 0,
        })
    }

    fn progress(&self) -> anyhow::Result<Progress> {
        let mut select = self.db.prepare("select * from state")?;
        let mut rows = select.query([])?;
        let row = rows.next()?.context("it says nothing of its run")?;
        let time = |column| -> anyhow::Result<Timestamp> {
            Ok(Timestamp::from_millisecond(row.get(column)?)?)
        };
        let number = |column| -> rusqlite::Result<u64> { Ok(count(row, column)?.unwrap_or(0)) };
        Ok(Progress {
            identity: Identity::of_text(row.get_ref(0)?.as_str()?)?,
            started_at: time(1)?,
            begun_at: time(2)?,
            saved_at: time(3)?,
            interruptions: number(4)?,
            cost: Cost {
                requests: number(5)?,
                retries: number(6)?,
                waits: number(7)?,
                waited: Duration::try_from_secs_f64(row.get(8)?)?,
                ..Cost::default()
            },
            users_listed_by: row
                .get_ref(9)?
                .as_str_or_null()?
                .and_then(UserListing::parse),
            ends_tried: row.get(10)?,
            strategy: row.get_ref(11)?.as_str_or_null()?.and_then(Strategy::parse),
            anybody: row.get(12)?,
            deprovisioned_in_everyone: row.get(13)?,
        })
    }

    /// Notes how far the run is, beside what its pages say.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn note(&mut self, progress: &Progress) -> anyhow::Result<()> {
        // SQLite undoes the whole transaction where the disk is full; what comes after would then be alone.
        anyhow::ensure!(
            !self.db.is_autocommit(),
            "the last pages could not be stored"
        );
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.db
            .prepare_cached(
                "update state set saved_at = ?1, interruptions = ?2, requests = ?3, retries = ?4, waits = ?5, waited = ?6,
                   users_listed_by = ?7, ends_tried = ?8, strategy = ?9, anybody = ?10,
                   deprovisioned_in_everyone = ?11",
            )?
            .execute(params![
                Timestamp::now().as_millisecond(),
                number(progress.interruptions),
                number(progress.cost.requests),
                number(progress.cost.retries),
                number(progress.cost.waits),
                progress.cost.waited.as_secs_f64(),
                progress.users_listed_by.map(UserListing::as_str),
                progress.ends_tried,
                progress.strategy.map(Strategy::as_str),
                progress.anybody,
                progress.deprovisioned_in_everyone,
            ])?;
        self.wrote();
        Ok(())
    }

    /// Notes a listing to walk. Says its number.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn begin(&mut self, listing: &Listing) -> anyhow::Result<WalkId> {
        let id = self.next_walk;
        let (number, object) = listing.parts();
        self.db
            .prepare_cached("insert into walks (id, what, number, object_id) values (?1,?2,?3,?4)")?
            .execute(params![id, listing.word(), number, object])?;
        self.next_walk += 1;
        self.wrote();
        Ok(id)
    }

    /// Notes that a page of a listing was read, and which is next; with none, the listing is at its end.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn step(&mut self, walk: WalkId, next: Option<&str>) -> anyhow::Result<()> {
        self.db
            .prepare_cached("update walks set at = ?2, done = done or ?2 is null where id = ?1")?
            .execute(params![walk, next])?;
        self.wrote();
        Ok(())
    }

    /// Stores how far a listing is that is read from one end.
    ///
    /// # Errors
    /// Returns an error if the database write fails.
    pub fn reached(&mut self, walk: WalkId, reached: Option<Position>) -> anyhow::Result<()> {
        self.db
            .prepare_cached("update walks set object_id = ?2 where id = ?1")?
            .execute(params![walk, reached.map(Position::to_text)])?;
        self.wrote();
        Ok(())
    }

    /// Ends the listings from both ends: their rows stay, and nothing more is requested.
    ///
    /// # Errors
    /// Returns an error if the database write fails.
    pub fn end_both_ends(&mut self) -> anyhow::Result<()> {
        self.db.execute(
            "update walks set done = 1 where what in ('from_lowest', 'from_highest')",
            [],
        )?;
        self.wrote();
        Ok(())
    }

    /// Notes the rows of a page, kept or not, where the walk or the run has to know them again.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn rows_seen(&mut self, walk: WalkId, rows: &[Counted]) -> anyhow::Result<()> {
        let packed: Vec<u8> = rows
            .iter()
            .flat_map(|row| (row.key.to_number() | u64::from(row.active)).to_le_bytes())
            .collect();
        self.db
            .prepare_cached("insert into pages values (?1, ?2)")?
            .execute(params![walk, packed])?;
        self.wrote();
        Ok(())
    }

    /// Notes members who were in no scope when a group's members were read.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn strangers(&mut self, strangers: &[RowKey]) -> anyhow::Result<()> {
        let packed: Vec<u8> = strangers
            .iter()
            .flat_map(|key| key.to_number().to_le_bytes())
            .collect();
        self.db
            .prepare_cached("insert into strangers values (?1)")?
            .execute([packed])?;
        self.wrote();
        Ok(())
    }

    /// Hands out all that were noted.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn each_stranger(&self, mut take: impl FnMut(RowKey)) -> anyhow::Result<()> {
        self.each_key("select keys from strangers", [], |key, _| take(key))
    }

    /// The users whose groups were asked for, or are to be.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn users_asked(&self) -> anyhow::Result<HashSet<UserId>> {
        let mut select = self
            .db
            .prepare("select object_id from walks where what = 'groups_of'")?;
        let ids = select.query_map([], |row| Ok(UserId::from(row.get::<_, String>(0)?)))?;
        Ok(ids.collect::<Result<_, _>>()?)
    }

    /// How many users of the snapshot there are whose groups were not read to their end.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn users_unread(&self) -> anyhow::Result<u64> {
        let unread = self.db.query_row(
            "select count(*) from users where matched_by is not null and gone = 0
               and seq not in (select number from walks where what = 'groups_of' and done = 1)",
            [],
            |row| count(row, 0),
        )?;
        Ok(unread.unwrap_or(0))
    }

    /// The listings that are not at their end, in order of their numbers.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn open_walks(&self) -> anyhow::Result<Vec<Walk>> {
        let mut select = self.db.prepare(
            "select id, what, number, object_id, at from walks where done = 0 order by id",
        )?;
        let mut rows = select.query([])?;
        let mut walks = Vec::new();
        while let Some(row) = rows.next()? {
            let of = Listing::of_parts(row.get_ref(1)?.as_str()?, row.get(2)?, row.get(3)?);
            let mut walk = Walk {
                id: row.get(0)?,
                of: of.context("a listing of an unknown kind")?,
                at: row.get(4)?,
                seen: Vec::new(),
            };
            if walk.at.is_some() && matches!(walk.of, Listing::Members(..)) {
                let keys = "select keys from pages where walk = ?1";
                self.each_key(keys, [walk.id], |key, _| walk.seen.push(key))?;
            }
            walks.push(walk);
        }
        Ok(walks)
    }

    /// Whether a listing of this kind was read to its end.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn is_done(&self, listing: &Listing) -> anyhow::Result<bool> {
        let done = self.db.query_row(
            "select exists (select 1 from walks where what = ?1 and done = 1)",
            [listing.word()],
            |row| row.get(0),
        )?;
        Ok(done)
    }

    /// How many listings of this kind were started.
    ///
    /// # Errors
    /// Returns an error if the database read fails.
    pub fn started(&self, listing: &Listing) -> anyhow::Result<u64> {
        let query = "select count(*) from walks where what = ?1";
        let started = self
            .db
            .query_row(query, [listing.word()], |row| count(row, 0))?;
        Ok(started.unwrap_or(0))
    }

    /// The first deprovisioned user in scope, by id.
    ///
    /// # Errors
    /// Returns an error if the database read fails.
    pub fn deprovisioned_user(&self) -> anyhow::Result<Option<(Seq, UserId)>> {
        let found = self.db.query_row(
            "select seq, id from users where status = ?1 and matched_by is not null and gone = 0 order by id limit 1",
            [User::DEPROVISIONED],
            |row| Ok((row.get(0)?, UserId::from(row.get::<_, String>(1)?))),
        );
        Ok(found.optional()?)
    }

    /// The groups whose members were not listed because Okta counts none.
    ///
    /// # Errors
    /// Returns an error if the database read fails.
    pub fn groups_reported_empty(&self) -> anyhow::Result<Vec<(Seq, GroupId)>> {
        let mut select = self
            .db
            .prepare("select seq, id from groups where learned = ?1 and gone = 0")?;
        let rows = select.query_map([Learned::ReportedEmpty.as_str()], |row| {
            Ok((row.get(0)?, GroupId::from(row.get::<_, String>(1)?)))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Hands out the rows of all listings of users: the key, and whether the user is active.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn each_listed_user(&self, take: impl FnMut(RowKey, bool)) -> anyhow::Result<()> {
        self.each_key(
            "select keys from pages where walk in
               (select id from walks where what not in ('members', 'groups', 'groups_of'))",
            [],
            take,
        )
    }

    fn each_key(
        &self,
        query: &str,
        parameters: impl rusqlite::Params,
        mut take: impl FnMut(RowKey, bool),
    ) -> anyhow::Result<()> {
        let mut select = self.db.prepare_cached(query)?;
        let mut rows = select.query(parameters)?;
        while let Some(row) = rows.next()? {
            for bytes in row.get_ref(0)?.as_blob()?.as_chunks::<8>().0 {
                let number = u64::from_le_bytes(*bytes);
                take(RowKey::from_number(number), number & 1 == 1);
            }
        }
        Ok(())
    }

    /// Puts what was read before into the directories.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn restore(
        &self,
        users: &Directory<UserId>,
        groups: &Directory<GroupId>,
    ) -> anyhow::Result<()> {
        let rank = |row: &Row<'_>| -> anyhow::Result<Rank> {
            let from = if row.get(3)? {
                From::Listing
            } else {
                From::Side
            };
            Ok((time(row, 2)?, from))
        };
        let mut select = self.db.prepare(
            "select seq, id, last_updated, from_listing, matched_by is not null and gone = 0, listed from users",
        )?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let known = Known {
                seq: row.get(0)?,
                rank: rank(row)?,
                listed: row.get(5)?,
                in_scope: row.get(4)?,
            };
            users.restore(UserId::from(row.get::<_, String>(1)?), known);
        }
        let mut select = self
            .db
            .prepare("select seq, id, last_updated, from_listing, in_scope, listed from groups")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let known = Known {
                seq: row.get(0)?,
                rank: rank(row)?,
                listed: row.get(5)?,
                in_scope: row.get(4)?,
            };
            groups.restore(GroupId::from(row.get::<_, String>(1)?), known);
        }
        Ok(())
    }

    /// The groups that were listed, with whether they are in scope.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn listed_groups(&self) -> anyhow::Result<Vec<(Seq, Group, bool)>> {
        let mut select = self.db.prepare("select * from groups where listed = 1")?;
        let mut rows = select.query([])?;
        let mut groups = Vec::new();
        while let Some(row) = rows.next()? {
            groups.push((row.get(0)?, group_of(row)?, row.get(9)?));
        }
        Ok(groups)
    }

    /// Notes what to know about the snapshot.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn warning(&mut self, warning: &Warning) -> anyhow::Result<()> {
        self.db.execute(
            "insert into warnings values (?1, ?2, ?3, ?4)",
            params![
                warning.code,
                warning.kind,
                warning.object_id,
                warning.message
            ],
        )?;
        self.wrote();
        Ok(())
    }

    /// What was noted.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn warnings(&self) -> anyhow::Result<Vec<Warning>> {
        let mut select = self.db.prepare("select * from warnings")?;
        let rows = select.query_map([], |row| {
            Ok(Warning {
                code: row.get(0)?,
                kind: row.get(1)?,
                object_id: row.get(2)?,
                message: row.get(3)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How many users, and how many groups, were deleted during the run.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn gone(&self) -> anyhow::Result<(u64, u64)> {
        let gone = |table| {
            let query = format!("select count(*) from {table} where gone = 1");
            self.db.query_row(&query, [], |row| count(row, 0))
        };
        Ok((gone("users")?.unwrap_or(0), gone("groups")?.unwrap_or(0)))
    }

    /// Whether a run that ended left any page in this file.
    pub fn holds_a_page(path: &Path) -> bool {
        // While a thread of this process still has it open, it is being read from: then all pages are there.
        let any = "select exists (select 1 from walks where done = 1 or at is not null)";
        Self::connect(path)
            .and_then(|work| Ok(work.db.query_row(any, [], |row| row.get(0))?))
            .unwrap_or(true)
    }

    /// Stores the copy of a user that is the best so far.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn user(
        &mut self,
        seq: Seq,
        copy: &UserCopy,
        from: From,
        listed: bool,
    ) -> anyhow::Result<()> {
        let user = &copy.user;
        self.db
            .prepare_cached(
                "insert or replace into users values (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,0)",
            )?
            .execute(params![
                seq,
                user.id.as_str(),
                user.status,
                micros(user.created),
                micros(user.activated),
                micros(user.status_changed),
                micros(user.last_login),
                micros(user.last_updated),
                micros(user.password_changed),
                copy.profile,
                copy.matched_by.map(MatchedBy::as_str),
                from == From::Listing,
                listed,
            ])?;
        self.wrote();
        Ok(())
    }

    /// Notes that the listing held a user, of whom a better copy is stored.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn user_listed(&mut self, seq: Seq) -> anyhow::Result<()> {
        self.db
            .prepare_cached("update users set listed = 1 where seq = ?1")?
            .execute([seq])?;
        self.wrote();
        Ok(())
    }

    /// Stores the copy of a group that is the best so far.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn group(
        &mut self,
        seq: Seq,
        group: &Group,
        in_scope: bool,
        from: From,
    ) -> anyhow::Result<()> {
        // The size is the listing's alone: a better copy from a user's groups does not have it. Groups are all listed
        // before any user's are asked for, so who is not listed first never will be.
        self.db
            .prepare_cached(
                "insert into groups (seq, id, type, source_id, created, last_updated, last_membership_updated,
                   members_reported, profile, in_scope, from_listing, listed)
                   values (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?11)
                 on conflict (seq) do update set type = ?3, source_id = ?4, created = ?5, last_updated = ?6,
                   last_membership_updated = ?7, members_reported = coalesce(?8, members_reported), profile = ?9,
                   in_scope = ?10, from_listing = ?11",
            )?
            .execute(params![
                seq,
                group.id.as_str(),
                group.kind,
                group.source_id,
                micros(group.created),
                micros(group.last_updated),
                micros(group.last_membership_updated),
                group.members_reported.and_then(|count| i64::try_from(count).ok()),
                serde_json::to_string(&group.profile)?,
                in_scope,
                from == From::Listing,
            ])?;
        self.wrote();
        Ok(())
    }

    /// Stores one page of memberships: an owner, and who belongs to it.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn memberships(&mut self, owner: Seq, others: &[Seq]) -> anyhow::Result<()> {
        if others.is_empty() {
            return Ok(());
        }
        let packed: Vec<u8> = others.iter().flat_map(|seq| seq.to_le_bytes()).collect();
        self.db
            .prepare_cached("insert into memberships values (?1, ?2)")?
            .execute(params![owner, packed])?;
        self.wrote();
        Ok(())
    }

    /// Notes how a group's members were learned, and how many Okta listed.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn learned(
        &mut self,
        group: Seq,
        learned: Learned,
        members_seen: Option<u64>,
    ) -> anyhow::Result<()> {
        let seen = members_seen.and_then(|count| i64::try_from(count).ok());
        self.db
            .prepare_cached("update groups set learned = ?2, members_seen = ?3 where seq = ?1")?
            .execute(params![group, learned.as_str(), seen])?;
        self.wrote();
        Ok(())
    }

    /// Notes that a group was deleted during the run.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn group_gone(&mut self, group: Seq) -> anyhow::Result<()> {
        self.db
            .execute("update groups set gone = 1 where seq = ?1", [group])?;
        self.wrote();
        Ok(())
    }

    /// Notes that a user was deleted during the run.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn user_gone(&mut self, user: &UserId) -> anyhow::Result<()> {
        self.db
            .execute("update users set gone = 1 where id = ?1", [user.as_str()])?;
        self.wrote();
        Ok(())
    }

    /// Notes that all groups not marked otherwise were learned this way.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn all_learned(&mut self, learned: Learned) -> anyhow::Result<()> {
        self.db.execute(
            "update groups set learned = ?1 where learned is null",
            [learned.as_str()],
        )?;
        self.wrote();
        Ok(())
    }

    /// Users to ask for their groups, in order of their numbers.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn users_to_ask(&self) -> anyhow::Result<Vec<(Seq, UserId)>> {
        let mut select = self
            .db
            .prepare("select seq, id from users where matched_by is not null order by seq")?;
        let rows = select.query_map([], |row| {
            Ok((row.get(0)?, UserId::from(row.get::<_, String>(1)?)))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Hands out the users of the snapshot in the order of their ids.
    ///
    /// # Errors
    /// What SQLite or the taker says.
    pub fn each_user(
        &self,
        mut take: impl FnMut(Seq, User, MatchedBy) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut select = self
            .db
            .prepare("select * from users where matched_by is not null and gone = 0 order by id")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let user = User {
                id: UserId::from(row.get::<_, String>(1)?),
                status: row.get(2)?,
                created: time(row, 3)?,
                activated: time(row, 4)?,
                status_changed: time(row, 5)?,
                last_login: time(row, 6)?,
                last_updated: time(row, 7)?,
                password_changed: time(row, 8)?,
                profile: serde_json::from_str(row.get_ref(9)?.as_str()?)?,
            };
            let by = MatchedBy::parse(row.get_ref(10)?.as_str()?)
                .context("a user is in scope by nothing")?;
            take(row.get(0)?, user, by)?;
        }
        Ok(())
    }

    /// Hands out the groups of the snapshot in the order of their ids.
    ///
    /// # Errors
    /// What SQLite or the taker says.
    pub fn each_group(
        &self,
        mut take: impl FnMut(Seq, Group, Learned, Option<u64>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut select = self
            .db
            .prepare("select * from groups where in_scope = 1 and gone = 0 order by id")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let group = group_of(row)?;
            let learned = row.get::<_, Option<String>>(12)?;
            let learned = learned.as_deref().and_then(Learned::parse);
            let learned = learned.context("a group's members were never learned")?;
            take(row.get(0)?, group, learned, count(row, 13)?)?;
        }
        Ok(())
    }

    /// Everyone who belongs to an owner, in no order, and possibly more than once.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn others_of(&self, owner: Seq) -> anyhow::Result<Vec<Seq>> {
        let mut all = Vec::new();
        let mut select = self
            .db
            .prepare_cached("select others from memberships where owner = ?1")?;
        let mut rows = select.query([owner])?;
        while let Some(row) = rows.next()? {
            unpack(row.get_ref(0)?.as_blob()?, |seq| all.push(seq));
        }
        Ok(all)
    }

    /// Hands out every membership, in no order.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn each_membership(&self, mut take: impl FnMut(Seq, Seq)) -> anyhow::Result<()> {
        let mut select = self.db.prepare("select owner, others from memberships")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let owner = row.get(0)?;
            unpack(row.get_ref(1)?.as_blob()?, |other| take(owner, other));
        }
        Ok(())
    }

    /// A user's login, for a message.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn login_of(&self, user: Seq) -> anyhow::Result<Option<String>> {
        let login = self
            .db
            .query_row(
                "select json_extract(profile, '$.login') from users where seq = ?1",
                [user],
                |row| row.get(0),
            )
            .optional();
        // For a message only: a login that is no text is not worth the run.
        Ok(login.ok().flatten().flatten())
    }

    /// All that was stored is there, and can be found quickly by its owner.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn finish(&mut self) -> anyhow::Result<()> {
        self.db.execute_batch(
            "create index if not exists memberships_by_owner on memberships (owner)",
        )?;
        self.pending = true;
        self.commit()
    }

    fn wrote(&mut self) {
        self.pending = true;
    }

    /// Whether what was written is to be committed: soon where nothing else is to be done.
    pub fn is_due(&self, idle: bool) -> bool {
        let least = if idle {
            COMMIT_AT_FIRST
        } else {
            COMMIT_AT_LAST
        };
        self.pending && self.committed.elapsed() >= least
    }

    /// Commits what was written.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn commit(&mut self) -> anyhow::Result<()> {
        if !self.pending {
            return Ok(());
        }
        self.db.execute_batch("commit")?;
        if self.synced.elapsed() >= SYNC {
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

fn group_of(row: &Row<'_>) -> anyhow::Result<Group> {
    Ok(Group {
        id: GroupId::from(row.get::<_, String>(1)?),
        kind: row.get(2)?,
        source_id: row.get(3)?,
        created: time(row, 4)?,
        last_updated: time(row, 5)?,
        last_membership_updated: time(row, 6)?,
        members_reported: count(row, 7)?,
        has_admin_privilege: None,
        profile: serde_json::from_str(row.get_ref(8)?.as_str()?)?,
    })
}

fn unpack(packed: &[u8], mut take: impl FnMut(Seq)) {
    for bytes in packed.as_chunks::<4>().0 {
        take(Seq::from_le_bytes(*bytes));
    }
}

/// Okta's times are whole milliseconds.
fn micros(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::as_microsecond)
}

fn time(row: &Row<'_>, column: usize) -> anyhow::Result<Option<Timestamp>> {
    let micros: Option<i64> = row.get(column)?;
    Ok(micros.map(Timestamp::from_microsecond).transpose()?)
}

fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    let count: Option<i64> = row.get(column)?;
    Ok(count.and_then(|count| u64::try_from(count).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::resume::Identity;

    #[test]
    fn what_sqlite_undid_is_not_followed_by_a_note_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("work");
        std::fs::write(&path, "").unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let identity =
            r#"{"origin":"","scope":"","memberships_by":"","program":"","credential":""}"#;
        let mut progress = Progress::begun(Identity::of_text(identity).unwrap(), now, now);
        let mut work = Work::create(&path, &progress).unwrap();
        work.begin(&Listing::Users).unwrap();
        work.commit().unwrap();
        // As SQLite does by itself where the disk is full.
        work.begin(&Listing::Groups).unwrap();
        work.db.execute_batch("rollback").unwrap();
        progress.strategy = Some(Strategy::User);
        assert!(work.note(&progress).is_err());
        drop(work);
        let (work, found) = Work::open(&path).unwrap().unwrap();
        assert_eq!(found.strategy, None);
        let walks = work.open_walks().unwrap();
        assert_eq!(walks.len(), 1);
        assert_eq!(walks[0].of, Listing::Users);
    }
}
