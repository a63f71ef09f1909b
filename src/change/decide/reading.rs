//! Chooses requests that read the memberships, so that there are few; pure.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::Pair;
use crate::model::{GroupId, UserId};
use crate::sync::plan::pages;

/// The lists to read: the members of some groups, and the groups of some users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The groups whose members are listed.
    pub groups: HashSet<GroupId>,
    /// The users whose groups are listed.
    pub users: HashSet<UserId>,
}

impl Reading {
    /// Lists the groups of every user.
    pub fn by_user(pairs: &[Pair]) -> Self {
        Self {
            groups: HashSet::new(),
            users: pairs.iter().map(|(user, _)| user.id.clone()).collect(),
        }
    }

    /// Minimizes the number of requests: one per user, or the pages of a group's members if that replaces more
    /// requests.
    ///
    /// The members of a group of unknown size are not listed, and the groups of a deprovisioned user are always listed,
    /// because Okta does not document whether member lists contain such users (docs/okta-api.md, Members of a group).
    pub fn cheapest(pairs: &[Pair], page_size: u64) -> Self {
        let by_user = Self::by_user(pairs);
        let mut members: BTreeMap<&GroupId, (Option<u64>, HashSet<&UserId>)> = BTreeMap::new();
        // The number of groups that require listing each user's groups.
        let mut open: HashMap<&UserId, usize> = HashMap::new();
        for (user, group) in pairs {
            let cost = group
                .members_reported
                .map(|count| pages(Some(count), page_size));
            let (_, users) = members.entry(&group.id).or_insert((cost, HashSet::new()));
            if users.insert(&user.id) {
                *open.entry(&user.id).or_default() += 1;
            }
            if user.is_deprovisioned() {
                *open.entry(&user.id).or_default() += 1;
            }
        }
        let mut groups: Vec<_> = members
            .into_iter()
            .filter_map(|(id, (cost, users))| Some((cost?, id, users)))
            .collect();
        groups.sort_by_key(|(cost, id, _)| (*cost, *id));
        let everything = Self::listing(&groups, open.clone(), |_, _| true);
        let worthwhile = Self::listing(&groups, open, |cost, saved| saved > cost);
        let cost = |reading: &Self| {
            let listed = groups
                .iter()
                .filter(|(_, id, _)| reading.groups.contains(*id));
            listed.map(|(cost, ..)| cost).sum::<u64>() + reading.users.len() as u64
        };
        // If the costs are equal, the first of these wins: by user.
        [by_user, worthwhile, everything]
            .into_iter()
            .min_by_key(cost)
            .unwrap_or_default()
    }

    /// Lists each group for which `is_worth` is true, given its number of pages and the number of users whose groups
    /// need not be listed then.
    fn listing<'a>(
        groups: &[(u64, &GroupId, HashSet<&'a UserId>)],
        mut open: HashMap<&'a UserId, usize>,
        is_worth: impl Fn(u64, u64) -> bool,
    ) -> Self {
        let mut listed = HashSet::new();
        // Listing one group can make listing another one worthwhile.
        for _ in 0..3 {
            for (cost, id, users) in groups {
                let saved = users.iter().filter(|user| open.get(*user) == Some(&1));
                if !listed.contains(*id) && is_worth(*cost, saved.count() as u64) {
                    listed.insert((*id).clone());
                    for user in users {
                        if let Some(groups) = open.get_mut(user) {
                            *groups -= 1;
                        }
                    }
                }
            }
        }
        let users = open.into_iter().filter(|(_, groups)| *groups > 0);
        Self {
            users: users.map(|(user, _)| user.clone()).collect(),
            groups: listed,
        }
    }
}
