//! The working database: where pages land as they come, in any order, beside the file to be written.
//!
//! - One row a user and a group, each with a number of its own, given as they come. Where a second copy of one comes,
//!   the later `lastUpdated` wins, then the listing's: search lags, and a user's groups can be weeks old
//!   (okta-api 1.1, 8.3).
//! - A copy that is out of scope wins too, and takes its object out of the snapshot.
//! - Memberships are pairs of numbers, packed a page a row: the owner, and the others' numbers in four bytes each.
//! - Only users in scope, or once in scope, have a row; memory holds an id and a number for each of these.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use anyhow::Context as _;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::filter::MatchedBy;
use crate::model::{Group, GroupId, Learned, User, UserId};

/// The number of a user or a group in this run.
pub type Seq = u32;

/// Where a copy came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum From {
    /// The members of a group, or the groups of a user.
    Side,
    /// The list of all users or groups.
    Listing,
}

/// How good a copy is: the greater wins.
type Rank = (Option<Timestamp>, From);

#[derive(Clone, Copy, Debug)]
struct Known {
    seq: Seq,
    rank: Rank,
    listed: bool,
    in_scope: bool,
}

/// The objects that have a number. The workers look users up in it, so that of a user in twenty groups one copy is
/// kept and nineteen are a number.
#[derive(Debug)]
pub struct Directory<Id>(RwLock<Entries<Id>>);

#[derive(Debug)]
struct Entries<Id> {
    all: HashMap<Id, Known>,
    in_scope: u64,
}

impl<Id> Default for Directory<Id> {
    fn default() -> Self {
        Self(RwLock::new(Entries {
            all: HashMap::new(),
            in_scope: 0,
        }))
    }
}

/// What to do with one more copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copy {
    /// Nothing: one as good or better is there. With its number.
    Known(Seq),
    /// It is better than the one there, whether or not it is in scope.
    Better,
    /// It is the first.
    First,
}

impl<Id: std::hash::Hash + Eq + std::borrow::Borrow<str>> Directory<Id> {
    /// What to do with a copy, by its id and rank.
    pub fn judge(&self, id: &str, last_updated: Option<Timestamp>, from: From) -> Copy {
        let known = self.read().all.get(id).copied();
        match known {
            // A listing's copy goes through even if an equal one is there: that it was listed is news.
            Some(known)
                if (last_updated, from) <= known.rank && (known.listed || from == From::Side) =>
            {
                Copy::Known(known.seq)
            }
            Some(_) => Copy::Better,
            None => Copy::First,
        }
    }

    /// Takes a copy in. Says its number, and whether it is the one to store.
    pub fn admit(
        &self,
        id: Id,
        last_updated: Option<Timestamp>,
        from: From,
        in_scope: bool,
    ) -> (Seq, bool) {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let next = Seq::try_from(entries.all.len()).unwrap_or(Seq::MAX);
        let rank = (last_updated, from);
        let listed = from == From::Listing;
        let Some(known) = entries.all.get_mut(std::borrow::Borrow::borrow(&id)) else {
            entries.all.insert(
                id,
                Known {
                    seq: next,
                    rank,
                    listed,
                    in_scope,
                },
            );
            entries.in_scope += u64::from(in_scope);
            return (next, true);
        };
        known.listed |= listed;
        let better = rank > known.rank;
        let (seq, was_in_scope) = (known.seq, known.in_scope);
        if better {
            known.rank = rank;
            known.in_scope = in_scope;
            entries.in_scope = entries.in_scope + u64::from(in_scope) - u64::from(was_in_scope);
        }
        (seq, better)
    }

    /// How many are in scope.
    pub fn in_scope(&self) -> u64 {
        self.read().in_scope
    }

    /// The ids of those that are in scope and were not in the listing, sorted.
    pub fn unlisted_ids(&self) -> Vec<Id>
    where
        Id: Clone + Ord,
    {
        let entries = self.read();
        let unlisted = entries
            .all
            .iter()
            .filter(|(_, known)| known.in_scope && !known.listed);
        let mut ids: Vec<Id> = unlisted.map(|(id, _)| id.clone()).collect();
        ids.sort();
        ids
    }

    /// How many are in scope and were not in the listing.
    pub fn unlisted(&self) -> u64 {
        let entries = self.read();
        entries
            .all
            .values()
            .filter(|known| known.in_scope && !known.listed)
            .count() as u64
    }

    fn read(&self) -> RwLockReadGuard<'_, Entries<Id>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

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

/// Rows written before they are committed.
const BATCH: u32 = 10_000;

/// The working database. Its file is the caller's to remove.
#[derive(Debug)]
pub struct Work {
    db: Connection,
    pending: u32,
}

const SCHEMA: &str = "
create table users (seq integer primary key, id text not null, status text, created integer, activated integer,
  status_changed integer, last_login integer, last_updated integer, password_changed integer, profile text not null,
  matched_by text, gone integer not null default 0);
create table groups (seq integer primary key, id text not null, type text, source_id text, created integer,
  last_updated integer, last_membership_updated integer, members_reported integer, profile text not null,
  in_scope integer not null, learned text, members_seen integer, gone integer not null default 0);
create table memberships (owner integer not null, others blob not null);
";

impl Work {
    /// Makes an empty one, where nothing is yet.
    ///
    /// # Errors
    /// What the folder or SQLite says.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let open = || -> anyhow::Result<Connection> {
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)?;
            let db = Connection::open(path)?;
            db.execute_batch(
                "pragma journal_mode = off; pragma synchronous = off; pragma temp_store = memory;",
            )?;
            db.execute_batch(SCHEMA)?;
            db.execute_batch("begin")?;
            Ok(db)
        };
        let db =
            open().with_context(|| format!("cannot make the working file {}", path.display()))?;
        Ok(Self { db, pending: 0 })
    }

    /// Stores the copy of a user that is the best so far.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn user(&mut self, seq: Seq, copy: &UserCopy) -> anyhow::Result<()> {
        let user = &copy.user;
        self.db
            .prepare_cached(
                "insert or replace into users values (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,0)",
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
            ])?;
        self.wrote()
    }

    /// Stores the copy of a group that is the best so far.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn group(&mut self, seq: Seq, group: &Group, in_scope: bool) -> anyhow::Result<()> {
        // The size is the listing's alone: a better copy from a user's groups does not have it.
        self.db
            .prepare_cached(
                "insert into groups (seq, id, type, source_id, created, last_updated, last_membership_updated,
                   members_reported, profile, in_scope) values (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)
                 on conflict (seq) do update set type = ?3, source_id = ?4, created = ?5, last_updated = ?6,
                   last_membership_updated = ?7, members_reported = coalesce(?8, members_reported), profile = ?9,
                   in_scope = ?10",
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
            ])?;
        self.wrote()
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
        self.wrote()
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
        self.wrote()
    }

    /// Notes that a group was deleted during the run.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn group_gone(&mut self, group: Seq) -> anyhow::Result<()> {
        self.db
            .execute("update groups set gone = 1 where seq = ?1", [group])?;
        self.wrote()
    }

    /// Notes that a user was deleted during the run.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn user_gone(&mut self, user: &UserId) -> anyhow::Result<()> {
        self.db
            .execute("update users set gone = 1 where id = ?1", [user.as_str()])?;
        self.wrote()
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
        self.wrote()
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
            let group = Group {
                id: GroupId::from(row.get::<_, String>(1)?),
                kind: row.get(2)?,
                source_id: row.get(3)?,
                created: time(row, 4)?,
                last_updated: time(row, 5)?,
                last_membership_updated: time(row, 6)?,
                members_reported: count(row, 7)?,
                has_admin_privilege: None,
                profile: serde_json::from_str(row.get_ref(8)?.as_str()?)?,
            };
            let learned = row.get::<_, Option<String>>(10)?;
            let learned = learned.as_deref().and_then(Learned::parse);
            let learned = learned.context("a group's members were never learned")?;
            take(row.get(0)?, group, learned, count(row, 11)?)?;
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
            "create index memberships_by_owner on memberships (owner); commit; begin",
        )?;
        Ok(())
    }

    fn wrote(&mut self) -> anyhow::Result<()> {
        self.pending += 1;
        if self.pending >= BATCH {
            self.pending = 0;
            self.db.execute_batch("commit; begin")?;
        }
        Ok(())
    }
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

fn count(row: &Row<'_>, column: usize) -> anyhow::Result<Option<u64>> {
    let count: Option<i64> = row.get(column)?;
    Ok(count.and_then(|count| u64::try_from(count).ok()))
}
