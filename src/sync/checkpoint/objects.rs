//! The users, groups and memberships in a checkpoint.

use std::collections::HashSet;

use anyhow::Context as _;
use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Row, params};

use super::{Checkpoint, count};
use crate::filter::MatchedBy;
use crate::model::{Group, GroupId, MembershipSource, User, UserId};
use crate::sync::objects::{CopySource, Known, LocalId, ObjectIndex, Rank};

/// A copy of a user in the form in which it is stored. The worker that reads the page formats the profile.
#[derive(Debug)]
pub struct UserCopy {
    /// The user, without the profile.
    pub user: User,
    /// The profile as JSON, with sorted keys.
    pub profile: String,
    /// The address that puts the user in scope; none if this copy is out of scope.
    pub matched_by: Option<MatchedBy>,
}

impl UserCopy {
    /// Returns the copy to store of a user.
    pub fn new(mut user: User, matched_by: Option<MatchedBy>) -> Self {
        let profile = std::mem::take(&mut user.profile);
        Self {
            user,
            profile: serde_json::Value::Object(profile).to_string(),
            matched_by,
        }
    }
}

/// Every method fails if the database cannot be read or written, or if the caller's function fails.
impl Checkpoint {
    /// Stores the best copy of a user so far.
    pub fn store_user(
        &mut self,
        local_id: LocalId,
        copy: &UserCopy,
        source: CopySource,
        in_listing: bool,
    ) -> anyhow::Result<()> {
        let user = &copy.user;
        self.db
            .prepare_cached("insert or replace into users values (?1,?2,?3,?4,?5,?6,?7,?8,?9,0)")?
            .execute(params![
                local_id,
                user.id.as_str(),
                user.status,
                micros(user.last_updated),
                postcard::to_allocvec(user)?,
                copy.profile,
                copy.matched_by.map(MatchedBy::as_str),
                source == CopySource::Listing,
                in_listing,
            ])?;
        self.pending = true;
        Ok(())
    }

    /// Records that the listing contained a user for whom a better copy is stored.
    pub fn mark_user_listed(&mut self, local_id: LocalId) -> anyhow::Result<()> {
        self.db
            .prepare_cached("update users set in_listing = 1 where local_id = ?1")?
            .execute([local_id])?;
        self.pending = true;
        Ok(())
    }

    /// Stores the best copy of a group so far.
    pub fn store_group(
        &mut self,
        local_id: LocalId,
        group: &Group,
        in_scope: bool,
        source: CopySource,
    ) -> anyhow::Result<()> {
        // Only the listing returns the size, so it stays if a better copy comes from a user's groups. All groups are listed
        // before the groups of any user are requested, so the row of a listed group comes from the listing first.
        self.db
            .prepare_cached(
                "insert into groups (local_id, id, type, source_id, created, last_updated, last_membership_updated,
                   members_reported, profile, in_scope, from_listing, in_listing)
                   values (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?11)
                 on conflict (local_id) do update set type = ?3, source_id = ?4, created = ?5, last_updated = ?6,
                   last_membership_updated = ?7, members_reported = coalesce(?8, members_reported), profile = ?9,
                   in_scope = ?10, from_listing = ?11",
            )?
            .execute(params![
                local_id,
                group.id.as_str(),
                group.kind,
                group.source_id,
                micros(group.created),
                micros(group.last_updated),
                micros(group.last_membership_updated),
                group.members_reported.and_then(|count| i64::try_from(count).ok()),
                serde_json::to_string(&group.profile)?,
                in_scope,
                source == CopySource::Listing,
            ])?;
        self.pending = true;
        Ok(())
    }

    /// Stores one page of memberships: a group and its members, or a user and the user's groups.
    pub fn store_memberships(&mut self, owner: LocalId, others: &[LocalId]) -> anyhow::Result<()> {
        if others.is_empty() {
            return Ok(());
        }
        let packed: Vec<u8> = others
            .iter()
            .flat_map(|other| other.to_le_bytes())
            .collect();
        self.db
            .prepare_cached("insert into memberships values (?1, ?2)")?
            .execute(params![owner, packed])?;
        self.pending = true;
        Ok(())
    }

    /// Records the source of a group's memberships, and how many different members Okta listed.
    pub fn record_source(
        &mut self,
        group: LocalId,
        source: MembershipSource,
        members_listed: Option<u64>,
    ) -> anyhow::Result<()> {
        let listed = members_listed.and_then(|count| i64::try_from(count).ok());
        self.db
            .prepare_cached(
                "update groups set membership_source = ?2, members_listed = ?3 where local_id = ?1",
            )?
            .execute(params![group, source.as_str(), listed])?;
        self.pending = true;
        Ok(())
    }

    /// Records the source of the memberships of all groups that have none yet.
    pub fn record_source_of_the_rest(&mut self, source: MembershipSource) -> anyhow::Result<()> {
        self.db.execute(
            "update groups set membership_source = ?1 where membership_source is null",
            [source.as_str()],
        )?;
        self.pending = true;
        Ok(())
    }

    /// Records that a group was deleted during the run.
    pub fn mark_group_deleted(&mut self, group: LocalId) -> anyhow::Result<()> {
        let update = "update groups set deleted = 1 where local_id = ?1";
        self.db.execute(update, [group])?;
        self.pending = true;
        Ok(())
    }

    /// Records that a user was deleted during the run.
    pub fn mark_user_deleted(&mut self, user: &UserId) -> anyhow::Result<()> {
        let update = "update users set deleted = 1 where id = ?1";
        self.db.execute(update, [user.as_str()])?;
        self.pending = true;
        Ok(())
    }

    /// Returns the numbers of users and of groups that were deleted during the run.
    pub fn deleted(&self) -> anyhow::Result<(u64, u64)> {
        let deleted = |table| {
            let query = format!("select count(*) from {table} where deleted = 1");
            self.db.query_row(&query, [], |row| count(row, 0))
        };
        let (users, groups) = (deleted("users")?, deleted("groups")?);
        Ok((users.unwrap_or(0), groups.unwrap_or(0)))
    }

    /// Adds all stored objects to the indexes of a run that resumes.
    pub fn restore(
        &self,
        users: &ObjectIndex<UserId>,
        groups: &ObjectIndex<GroupId>,
    ) -> anyhow::Result<()> {
        let query = "select local_id, id, last_updated, from_listing,
              matched_by is not null and deleted = 0, in_listing from users";
        self.each_known(query, |id, known| users.restore(UserId::from(id), known))?;
        let query =
            "select local_id, id, last_updated, from_listing, in_scope, in_listing from groups";
        self.each_known(query, |id, known| groups.restore(GroupId::from(id), known))
    }

    fn each_known(&self, query: &str, handle: impl Fn(String, Known)) -> anyhow::Result<()> {
        let mut select = self.db.prepare(query)?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let source = if row.get(3)? {
                CopySource::Listing
            } else {
                CopySource::MembershipPage
            };
            let rank: Rank = (time(row, 2)?, source);
            let known = Known {
                local_id: row.get(0)?,
                rank,
                in_listing: row.get(5)?,
                in_scope: row.get(4)?,
            };
            handle(row.get(1)?, known);
        }
        Ok(())
    }

    /// Returns the groups that the listing contained, and whether they are in scope.
    pub fn listed_groups(&self) -> anyhow::Result<Vec<(LocalId, Group, bool)>> {
        let mut select = self
            .db
            .prepare("select * from groups where in_listing = 1")?;
        let mut rows = select.query([])?;
        let mut groups = Vec::new();
        while let Some(row) = rows.next()? {
            groups.push((row.get(0)?, group_of(row)?, row.get(9)?));
        }
        Ok(groups)
    }

    /// Returns the groups whose members were not listed because Okta reports none.
    pub fn groups_reported_empty(&self) -> anyhow::Result<Vec<(LocalId, GroupId)>> {
        let mut select = self.db.prepare(
            "select local_id, id from groups where membership_source = ?1 and deleted = 0",
        )?;
        let rows = select.query_map([MembershipSource::ReportedEmpty.as_str()], |row| {
            Ok((row.get(0)?, GroupId::from(row.get::<_, String>(1)?)))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Returns the first deprovisioned user in scope, by id.
    pub fn deprovisioned_user(&self) -> anyhow::Result<Option<(LocalId, UserId)>> {
        let found = self.db.query_row(
            "select local_id, id from users where status = ?1 and matched_by is not null and deleted = 0
               order by id limit 1",
            [User::DEPROVISIONED],
            |row| Ok((row.get(0)?, UserId::from(row.get::<_, String>(1)?))),
        );
        Ok(found.optional()?)
    }

    /// Returns all users in scope, in the order of their numbers.
    pub fn users_in_scope(&self) -> anyhow::Result<Vec<(LocalId, UserId)>> {
        let mut select = self.db.prepare(
            "select local_id, id from users where matched_by is not null order by local_id",
        )?;
        let rows = select.query_map([], |row| {
            Ok((row.get(0)?, UserId::from(row.get::<_, String>(1)?)))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Returns the users for whom a listing of their groups was started.
    pub fn users_with_group_listing(&self) -> anyhow::Result<HashSet<UserId>> {
        let mut select = self
            .db
            .prepare("select subject from listings where kind = 'groups_of'")?;
        let ids = select.query_map([], |row| Ok(UserId::from(row.get::<_, String>(0)?)))?;
        Ok(ids.collect::<Result<_, _>>()?)
    }

    /// Returns the number of users of the snapshot whose groups were not read to the end.
    pub fn users_without_groups_read(&self) -> anyhow::Result<u64> {
        let unread = self.db.query_row(
            "select count(*) from users where matched_by is not null and deleted = 0
               and local_id not in (select object from listings where kind = 'groups_of' and done = 1)",
            [],
            |row| count(row, 0),
        )?;
        Ok(unread.unwrap_or(0))
    }

    /// Calls `handle` with the users of the snapshot, in the order of their ids.
    pub fn each_user(
        &self,
        mut handle: impl FnMut(LocalId, User, MatchedBy) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        // Sorting numbers, not rows, saves the memory of a second copy of all users.
        let mut in_order = self.db.prepare(
            "select local_id from users where matched_by is not null and deleted = 0 order by id",
        )?;
        let in_order: Vec<LocalId> = in_order
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let mut select = self
            .db
            .prepare("select fields, profile, matched_by from users where local_id = ?1")?;
        for local_id in in_order {
            let mut rows = select.query([local_id])?;
            let row = rows.next()?.context("a user is not in the checkpoint")?;
            let user = User {
                profile: serde_json::from_str(row.get_ref(1)?.as_str()?)?,
                ..postcard::from_bytes(row.get_ref(0)?.as_blob()?)?
            };
            let matched_by = MatchedBy::parse(row.get_ref(2)?.as_str()?)
                .context("a user in scope matched by nothing")?;
            handle(local_id, user, matched_by)?;
        }
        Ok(())
    }

    /// Calls `handle` with the groups of the snapshot, in the order of their ids: the group, the source of its memberships,
    /// and how many different members Okta listed.
    pub fn each_group(
        &self,
        mut handle: impl FnMut(LocalId, Group, MembershipSource, Option<u64>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut select = self
            .db
            .prepare("select * from groups where in_scope = 1 and deleted = 0 order by id")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let group = group_of(row)?;
            let source = row.get::<_, Option<String>>(12)?;
            let source = source.as_deref().and_then(MembershipSource::parse);
            let source = source.context("a group's members were never read")?;
            handle(row.get(0)?, group, source, count(row, 13)?)?;
        }
        Ok(())
    }

    /// Returns the stored members of a group, or the stored groups of a user, in no order, possibly more than once.
    pub fn others_of(&self, owner: LocalId) -> anyhow::Result<Vec<LocalId>> {
        let mut all = Vec::new();
        let mut select = self
            .db
            .prepare_cached("select others from memberships where owner = ?1")?;
        let mut rows = select.query([owner])?;
        while let Some(row) = rows.next()? {
            unpack(row.get_ref(0)?.as_blob()?, |other| all.push(other));
        }
        Ok(all)
    }

    /// Calls `handle` with every stored membership, in no order: the owner of its page, and the other object.
    pub fn each_membership(&self, mut handle: impl FnMut(LocalId, LocalId)) -> anyhow::Result<()> {
        let mut select = self.db.prepare("select owner, others from memberships")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let owner = row.get(0)?;
            unpack(row.get_ref(1)?.as_blob()?, |other| handle(owner, other));
        }
        Ok(())
    }

    /// Returns a user's login, for a message.
    pub fn login_of(&self, user: LocalId) -> Option<String> {
        // The run does not end because a login is not a text.
        self.db
            .query_row(
                "select json_extract(profile, '$.login') from users where local_id = ?1",
                [user],
                |row| row.get(0),
            )
            .ok()
            .flatten()
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

fn unpack(packed: &[u8], mut handle: impl FnMut(LocalId)) {
    for bytes in packed.as_chunks::<4>().0 {
        handle(LocalId::from_le_bytes(*bytes));
    }
}

/// Returns a time in microseconds. Okta's times have no more than three decimals.
fn micros(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::as_microsecond)
}

fn time(row: &Row<'_>, column: usize) -> anyhow::Result<Option<Timestamp>> {
    let micros: Option<i64> = row.get(column)?;
    Ok(micros.map(Timestamp::from_microsecond).transpose()?)
}
