//! The single sorted write from the checkpoint to the snapshot: everything is written in the order of the ids, so that
//! equal content gives equal bytes, in whatever order the pages arrived.

use anyhow::Context as _;

use super::checkpoint::Checkpoint;
use super::objects::LocalId;
use super::plan::Strategy;
use crate::filter::{Addresses, Scope};
use crate::model::{MembershipSource, UserId};
use crate::snapshot::{DomainUsers, GroupMembers, Writer};

/// The numbers of objects in the snapshot, counted while it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AssembledCounts {
    /// Users.
    pub users: u64,
    /// Groups.
    pub groups: u64,
    /// Memberships.
    pub memberships: u64,
    /// Memberships that Okta listed or counted, in scope or not.
    pub memberships_seen: u64,
    /// Those of them that are out of scope.
    pub hidden: u64,
    /// True if a part of `hidden` comes from Okta's counts, which may be stale, and not from listings.
    pub hidden_is_estimate: bool,
    /// The users of each domain of the scope.
    pub domains: Vec<DomainUsers>,
}

/// The users of the snapshot. The place of a user is its index in the order of ids.
#[derive(Default)]
struct Places {
    /// The place of each user, by the user's number; none if the user is left out.
    by_local_id: Vec<Option<u32>>,
    ids: Vec<UserId>,
    active: Vec<bool>,
}

impl Places {
    fn add(&mut self, local_id: LocalId, id: UserId, active: bool) {
        let local_id = local_id as usize;
        if self.by_local_id.len() <= local_id {
            self.by_local_id.resize(local_id + 1, None);
        }
        self.by_local_id[local_id] = u32::try_from(self.ids.len()).ok();
        self.ids.push(id);
        self.active.push(active);
    }

    fn of(&self, local_id: LocalId) -> Option<u32> {
        self.by_local_id.get(local_id as usize).copied().flatten()
    }

    /// Returns the members of Everyone: all users, or all but the deprovisioned ones.
    fn of_everyone(&self, with_deprovisioned: bool) -> Vec<u32> {
        let all = 0..self.ids.len() as u32;
        all.filter(|place| with_deprovisioned || self.active[*place as usize])
            .collect()
    }
}

impl AssembledCounts {
    fn add_group(
        &mut self,
        stored: u64,
        source: MembershipSource,
        listed: Option<u64>,
        reported: Option<u64>,
    ) {
        self.groups += 1;
        self.memberships += stored;
        if source != MembershipSource::Forbidden
            && let Some(total) = listed.or(reported)
        {
            self.memberships_seen += total.max(stored);
            self.hidden += total.saturating_sub(stored);
            self.hidden_is_estimate |= listed.is_none() && total > stored;
        }
    }
}

/// Writes users, groups and memberships. If `all_in_everyone` is true, deprovisioned users are members of Everyone too.
///
/// # Errors
/// Returns an error if either database fails.
pub fn assemble(
    checkpoint: &Checkpoint,
    strategy: Strategy,
    all_in_everyone: bool,
    scope: &Scope,
    writer: &mut Writer,
) -> anyhow::Result<AssembledCounts> {
    let mut counts = AssembledCounts {
        domains: scope.domains().iter().map(DomainUsers::none_of).collect(),
        ..AssembledCounts::default()
    };
    let mut places = Places::default();
    checkpoint.each_user(|local_id, user, matched_by| {
        counts.users += 1;
        writer
            .user(&user, matched_by)
            .with_context(|| format!("cannot write user {}", user.id))?;
        let addresses = Addresses {
            email: user.email(),
            login: user.login(),
            second_email: user.second_email(),
        };
        for (place, by) in scope.domains_of(addresses) {
            counts.domains[place].add(by);
        }
        let active = !user.is_deprovisioned();
        places.add(local_id, user.id, active);
        Ok(())
    })?;
    let mut by_user = match strategy {
        Strategy::Group => ByUser::default(),
        Strategy::User => ByUser::load(checkpoint, &places)?,
    };
    checkpoint.each_group(|local_id, group, source, members_listed| {
        let members: Vec<u32> = match source {
            MembershipSource::Listed => {
                let listed = checkpoint.others_of(local_id)?.into_iter();
                in_order(listed.filter_map(|user| places.of(user)).collect())
            }
            MembershipSource::ByUser => by_user.take(local_id),
            MembershipSource::Implied => places.of_everyone(all_in_everyone),
            MembershipSource::ReportedEmpty | MembershipSource::Forbidden => Vec::new(),
        };
        let stored = members.len() as u64;
        counts.add_group(stored, source, members_listed, group.members_reported);
        let read = GroupMembers {
            source,
            listed: members_listed,
            stored: Some(stored),
        };
        writer
            .group(&group, &read)
            .with_context(|| format!("cannot write group {}", group.id))?;
        let users = members.iter().map(|place| &places.ids[*place as usize]);
        writer.memberships(&group.id, users)?;
        Ok(())
    })?;
    Ok(counts)
}

fn in_order(mut places: Vec<u32>) -> Vec<u32> {
    places.sort_unstable();
    // Rows may repeat, because pages overlap when the org changes, and because a listing may have been read again.
    places.dedup();
    places
}

/// Memberships that were read by user, sorted by group: the upper half of each number is the group's number, the lower half
/// the place of the user.
#[derive(Default)]
struct ByUser(Vec<u64>);

impl ByUser {
    fn load(checkpoint: &Checkpoint, places: &Places) -> anyhow::Result<Self> {
        let mut pairs = Vec::new();
        checkpoint.each_membership(|user, group| {
            if let Some(place) = places.of(user) {
                pairs.push(u64::from(group) << 32 | u64::from(place));
            }
        })?;
        pairs.sort_unstable();
        pairs.dedup();
        Ok(Self(pairs))
    }

    fn take(&mut self, group: LocalId) -> Vec<u32> {
        let first = self.0.partition_point(|pair| pair >> 32 < u64::from(group));
        let last = self
            .0
            .partition_point(|pair| pair >> 32 <= u64::from(group));
        self.0[first..last]
            .iter()
            .map(|pair| *pair as u32)
            .collect()
    }
}
