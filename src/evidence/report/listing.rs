//! The order of the rows in the page: users and groups by name, and memberships by group and then by user. The script
//! need not sort them, and similar names compress well next to each other.

use std::collections::HashMap;

use crate::evidence::findings::org::{GroupIndex, Org, UserIndex};
use crate::model::{GroupId, UserId};
use crate::snapshot::{Error, Reader};

/// Users, groups and memberships in the order of the page. An index is the number of a row in this order, starting at
/// 0.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The users, sorted by name and then by id.
    pub(super) users: Vec<UserIndex>,
    /// The groups, sorted by name and then by id.
    pub(super) groups: Vec<GroupIndex>,
    /// For each group, the sorted indices of its members, including those of Everyone.
    pub(super) members: Vec<Vec<u32>>,
    /// For each user, the number of groups of which the user is a member.
    pub(super) groups_of: Vec<u32>,
    user_places: HashMap<UserId, u32>,
    group_places: HashMap<GroupId, u32>,
    /// For each group, the number of memberships of all groups before it.
    first: Vec<u32>,
}

impl Listing {
    pub(super) fn read(reader: &Reader, org: &Org) -> Result<Self, Error> {
        let mut listing = Self::of(org);
        for membership in reader.memberships()?.rows()? {
            let membership = membership?;
            let places = (
                listing.group_places.get(&membership.group_id),
                listing.user_places.get(&membership.user_id),
            );
            if let (Some(group), Some(user)) = places {
                listing.members[*group as usize].push(*user);
            }
        }
        let mut all = 0;
        for members in &mut listing.members {
            members.sort_unstable();
            listing.first.push(all);
            all += u32::try_from(members.len()).unwrap_or(u32::MAX);
            for user in members {
                listing.groups_of[*user as usize] += 1;
            }
        }
        Ok(listing)
    }

    fn of(org: &Org) -> Self {
        let mut users: Vec<_> = org
            .each_user()
            .map(|(index, user)| (user.display_name().to_lowercase(), index))
            .collect();
        users.sort_unstable();
        let users: Vec<UserIndex> = users.into_iter().map(|(_, index)| index).collect();
        let mut groups: Vec<_> = org
            .each_group()
            .map(|(index, group)| (group.display_name().to_lowercase(), index))
            .collect();
        groups.sort_unstable();
        let groups: Vec<GroupIndex> = groups.into_iter().map(|(_, index)| index).collect();
        Self {
            user_places: (0..)
                .zip(&users)
                .map(|(place, index)| (org.user(*index).id.clone(), place))
                .collect(),
            group_places: (0..)
                .zip(&groups)
                .map(|(place, index)| (org.group(*index).id.clone(), place))
                .collect(),
            members: vec![Vec::new(); groups.len()],
            groups_of: vec![0; users.len()],
            first: Vec::with_capacity(groups.len()),
            users,
            groups,
        }
    }

    /// Returns the index of a user.
    pub(super) fn user(&self, id: &str) -> Option<u32> {
        self.user_places.get(id).copied()
    }

    /// Returns the index of a group.
    pub(super) fn group(&self, id: &str) -> Option<u32> {
        self.group_places.get(id).copied()
    }

    /// Returns the index of a membership.
    pub(super) fn membership(&self, group: u32, user: u32) -> Option<u32> {
        let members = &self.members[group as usize];
        let place = members.binary_search(&user).ok()?;
        Some(self.first[group as usize] + u32::try_from(place).ok()?)
    }
}
