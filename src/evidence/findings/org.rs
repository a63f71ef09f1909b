//! A snapshot in memory for the checks: users and groups without their attributes, and memberships as pairs of indices.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;

use super::MembershipIds;
use crate::model::{GroupId, UserId};
use crate::snapshot::{Error, GroupRow, ProfileText, Reader, UserRow};

/// The index of a user in [`Org::users`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserIndex(pub u32);

/// The index of a group in [`Org::groups`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupIndex(pub u32);

/// The source of memberships of Everyone that Okta does not list.
const IMPLIED: &str = "implied";

/// The users, groups and memberships of a snapshot.
#[derive(Clone, Debug, Default)]
pub struct Org {
    /// The end of the run.
    pub taken_at: Timestamp,
    /// True if everything in scope could be read; `None` if another program wrote the file.
    pub complete: Option<bool>,
    /// The number of members that Okta reports for Everyone, and the number of listed users who are not deprovisioned.
    pub everyone: Option<(u64, u64)>,
    /// The users, sorted by id.
    pub users: Vec<UserRow>,
    /// The groups, sorted by id.
    pub groups: Vec<GroupRow>,
    /// The memberships without implied ones, sorted by group and then by user.
    pub members: Vec<(GroupIndex, UserIndex)>,
}

impl Org {
    /// Reads a snapshot.
    ///
    /// # Errors
    /// Returns an error if the snapshot is damaged.
    pub fn read(reader: &Reader) -> Result<Self, Error> {
        let info = reader.info();
        let metadata = info.metadata.as_ref();
        let mut org = Self {
            taken_at: info.ended_at,
            complete: metadata.map(|run| run.complete),
            everyone: metadata
                .and_then(|run| run.everyone_reported.zip(run.users_not_deprovisioned)),
            ..Self::default()
        };
        let (mut users, mut groups) = (HashMap::new(), HashMap::new());
        for user in reader.users()?.rows()? {
            let profile = ProfileText::default();
            let user = UserRow { profile, ..user? };
            users.insert(user.id.clone(), UserIndex(place(org.users.len())));
            org.users.push(user);
        }
        for group in reader.groups()?.rows()? {
            let profile = ProfileText::default();
            let group = GroupRow { profile, ..group? };
            groups.insert(group.id.clone(), GroupIndex(place(org.groups.len())));
            org.groups.push(group);
        }
        for membership in reader.memberships()?.rows()? {
            let membership = membership?;
            if membership.learned.as_deref() == Some(IMPLIED) {
                continue;
            }
            let places = (
                groups.get(&membership.group_id),
                users.get(&membership.user_id),
            );
            if let (Some(group), Some(user)) = places {
                org.members.push((*group, *user));
            }
        }
        Ok(org)
    }

    /// Returns the user at an index.
    pub fn user(&self, index: UserIndex) -> &UserRow {
        &self.users[index.0 as usize]
    }

    /// Returns the group at an index.
    pub fn group(&self, index: GroupIndex) -> &GroupRow {
        &self.groups[index.0 as usize]
    }

    /// Returns the ids of a membership.
    pub fn ids(&self, (group, user): (GroupIndex, UserIndex)) -> MembershipIds {
        (self.group(group).id.clone(), self.user(user).id.clone())
    }

    /// Returns the users with their indices.
    pub fn each_user(&self) -> impl Iterator<Item = (UserIndex, &UserRow)> {
        (0..).map(UserIndex).zip(&self.users)
    }

    /// Returns the groups with their indices.
    pub fn each_group(&self) -> impl Iterator<Item = (GroupIndex, &GroupRow)> {
        (0..).map(GroupIndex).zip(&self.groups)
    }

    /// Returns the date of the end of the run, in UTC.
    pub fn taken_on(&self) -> Date {
        day(self.taken_at)
    }

    /// Returns the number of full days from a time to the end of the run; negative if the time is later.
    pub fn days_since(&self, time: Timestamp) -> i64 {
        const SECONDS: i64 = 24 * 3600;
        (self.taken_at.as_second() - time.as_second()).div_euclid(SECONDS)
    }

    /// Returns the index of a user.
    pub fn find_user(&self, id: &UserId) -> Option<UserIndex> {
        let found = self.users.binary_search_by(|user| user.id.cmp(id)).ok()?;
        Some(UserIndex(place(found)))
    }

    /// Returns the index of a group.
    pub fn find_group(&self, id: &GroupId) -> Option<GroupIndex> {
        let found = self
            .groups
            .binary_search_by(|group| group.id.cmp(id))
            .ok()?;
        Some(GroupIndex(place(found)))
    }
}

/// Returns the date of a time, in UTC.
pub fn day(time: Timestamp) -> Date {
    Offset::UTC.to_datetime(time).date()
}

/// Converts an index. A snapshot has fewer than 4,294,967,296 users, since its file would exceed a terabyte.
fn place(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
