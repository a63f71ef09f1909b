//! The state of the org: users, groups, memberships, rules, and the changes that the search index and delayed reads do
//! not show yet.

mod objects;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Instant;

pub use self::objects::{Group, Millis, Role, Rule, Size, User, at};

/// The position of a user in the order of creation: the time, then the id.
type CreatedKey = (Millis, Arc<str>);

/// A change that reads do not show yet.
#[derive(Clone, Debug)]
struct Pending {
    due: Instant,
    group: Arc<str>,
    user: Arc<str>,
    member: bool,
}

/// The org.
#[derive(Clone, Debug, Default)]
pub struct Org {
    users: BTreeMap<Arc<str>, User>,
    /// The users by creation time. Without this index, a search by creation time would scan all users for each page.
    by_created: BTreeSet<CreatedKey>,
    groups: BTreeMap<Arc<str>, Group>,
    /// The delayed changes, in order of their due time.
    pending: Vec<Pending>,
    /// The group rules.
    pub rules: Vec<Rule>,
    /// The admin roles, by the id of the user.
    pub roles: BTreeMap<Arc<str>, Vec<Role>>,
    /// The owner of the token; `None` stands for the first active user.
    pub owner: Option<Arc<str>>,
    /// The company's name.
    pub company: String,
}

impl Org {
    /// Returns an org that contains only Everyone.
    pub fn new() -> Self {
        let mut org = Self {
            company: "Example Company".to_owned(),
            ..Self::default()
        };
        org.add_group(Group::new("00g00000000everyone0", "Everyone").kind("BUILT_IN"));
        org
    }

    /// Stores many users at once. They must be sorted by id, have no memberships, and have their keys set.
    #[cfg(feature = "testing")]
    pub(super) fn set_users(&mut self, users: Vec<User>) {
        let keys = users.iter().map(|user| (user.created, user.id.clone()));
        self.by_created = keys.collect();
        let users = users.into_iter().map(|user| (user.id.clone(), user));
        self.users = users.collect();
    }

    /// Returns all users, for changes that do not affect id, times and profile.
    pub(super) fn users_mut(&mut self) -> impl Iterator<Item = &mut User> {
        self.users.values_mut()
    }

    /// Stores a user without memberships. An existing user with the same id is replaced and keeps the memberships.
    pub fn add_user(&mut self, mut user: User) {
        user.index();
        if let Some(old) = self.users.get_mut(&user.id) {
            self.by_created.remove(&(old.created, old.id.clone()));
            user.groups = std::mem::take(&mut old.groups);
        } else {
            user.groups = Vec::new();
        }
        self.by_created.insert((user.created, user.id.clone()));
        self.users.insert(user.id.clone(), user);
    }

    /// Stores a group without members. An existing group with the same id is replaced and keeps the members.
    pub fn add_group(&mut self, mut group: Group) {
        group.index();
        let old = self.groups.get_mut(&group.id);
        group.members = old.map_or_else(Vec::new, |old| std::mem::take(&mut old.members));
        self.groups.insert(group.id.clone(), group);
    }

    /// Stores a group with members, which must be sorted. The caller must also add the group to these users.
    #[cfg(feature = "testing")]
    pub(super) fn add_group_with(&mut self, mut group: Group, members: Vec<Arc<str>>) {
        group.index();
        group.members = members;
        self.groups.insert(group.id.clone(), group);
    }

    /// Changes a user, except the id. Returns false if there is no such user.
    pub fn edit_user(&mut self, id: &str, edit: impl FnOnce(&mut User)) -> bool {
        let Some(mut user) = self.users.get(id).cloned() else {
            return false;
        };
        edit(&mut user);
        self.add_user(user);
        true
    }

    /// Changes a group, except the id. Returns false if there is no such group.
    pub fn edit_group(&mut self, id: &str, edit: impl FnOnce(&mut Group)) -> bool {
        let Some(mut group) = self.groups.remove(id) else {
            return false;
        };
        edit(&mut group);
        group.index();
        self.groups.insert(group.id.clone(), group);
        true
    }

    /// Removes a user and all of the user's memberships. Returns false if there is no such user.
    pub fn remove_user(&mut self, id: &str) -> bool {
        let Some(user) = self.users.remove(id) else {
            return false;
        };
        self.by_created.remove(&(user.created, user.id.clone()));
        self.pending.retain(|change| *change.user != *id);
        for group in &user.groups {
            if let Some(group) = self.groups.get_mut(group) {
                remove(&mut group.members, id);
            }
        }
        true
    }

    /// Removes a group and all of its memberships. Returns false if there is no such group.
    pub fn remove_group(&mut self, id: &str) -> bool {
        let Some(group) = self.groups.remove(id) else {
            return false;
        };
        self.pending.retain(|change| *change.group != *id);
        for user in &group.members {
            if let Some(user) = self.users.get_mut(user) {
                remove(&mut user.groups, id);
            }
        }
        true
    }

    /// Adds a user to a group without a delay. Returns false if either does not exist or the user already is a member.
    pub fn join(&mut self, group: &str, user: &str) -> bool {
        self.set(group, user, true)
    }

    /// Removes a user from a group without a delay. Returns false if the user was not a member.
    pub fn leave(&mut self, group: &str, user: &str) -> bool {
        self.set(group, user, false)
    }

    fn set(&mut self, group: &str, user: &str, member: bool) -> bool {
        let (Some(group), Some(user)) = (self.groups.get_mut(group), self.users.get_mut(user))
        else {
            return false;
        };
        if group.is_everyone() {
            return false;
        }
        if member {
            insert(&mut group.members, &user.id) && insert(&mut user.groups, &group.id)
        } else {
            remove(&mut group.members, &user.id) && remove(&mut user.groups, &group.id)
        }
    }

    /// Stores a change that reads show only after `due`.
    pub(super) fn set_later(&mut self, group: &str, user: &str, member: bool, due: Instant) {
        let (Some(group), Some(user)) = (self.groups.get(group), self.users.get(user)) else {
            return;
        };
        let change = Pending {
            due,
            group: group.id.clone(),
            user: user.id.clone(),
            member,
        };
        let place = self.pending.partition_point(|other| other.due <= due);
        self.pending.insert(place, change);
    }

    /// Discards the delayed changes of a membership, because a change without a delay follows.
    pub(super) fn discard_pending(&mut self, group: &str, user: &str) {
        self.pending
            .retain(|change| *change.group != *group || *change.user != *user);
    }

    /// Adds a user to the exclusion lists of the active rules of a group, as Okta does when a user is removed from it.
    pub(super) fn exclude(&mut self, group: &str, user: &str) {
        let rules = self.rules.iter_mut().filter(|rule| {
            rule.status == "ACTIVE"
                && rule.groups.iter().any(|id| id == group)
                && rule.managed.iter().any(|id| id == user)
        });
        for rule in rules {
            rule.managed.retain(|id| id != user);
            rule.excluded.push(user.to_owned());
        }
    }

    /// Returns true if a delayed change is due.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.pending.first().is_some_and(|change| change.due <= now)
    }

    /// Applies the delayed changes that are due.
    pub(super) fn apply_due(&mut self, now: Instant) {
        let due = self.pending.partition_point(|change| change.due <= now);
        for change in self.pending.drain(..due).collect::<Vec<_>>() {
            self.set(&change.group, &change.user, change.member);
        }
    }

    /// Returns a user by id.
    pub fn user(&self, id: &str) -> Option<&User> {
        self.users.get(id)
    }

    /// Returns a group by id.
    pub fn group(&self, id: &str) -> Option<&Group> {
        self.groups.get(id)
    }

    /// Returns the user that a path refers to by id, by login (ignoring case), or by the part of the login before the
    /// `@`, if it is unique.
    pub fn find_user(&self, name: &str) -> Option<&User> {
        if let Some(user) = self.users.get(name) {
            return Some(user);
        }
        let name = name.to_lowercase();
        let whole = |user: &&User| user.login.as_deref() == Some(name.as_str());
        if let Some(user) = self.users.values().find(whole) {
            return Some(user);
        }
        let mut short = self.users.values().filter(|user| {
            let login = user
                .login
                .as_deref()
                .and_then(|login| login.split_once('@'));
            login.is_some_and(|(part, _)| part == name)
        });
        short.next().filter(|_| short.next().is_none())
    }

    /// Returns the first group with exactly this name.
    pub fn find_group(&self, name: &str) -> Option<&Group> {
        self.groups
            .values()
            .find(|group| group.name() == Some(name))
    }

    /// Returns all users, sorted by id.
    pub fn users(&self) -> impl DoubleEndedIterator<Item = &User> {
        self.users.values()
    }

    /// Returns all groups, sorted by id.
    pub fn groups(&self) -> impl DoubleEndedIterator<Item = &Group> {
        self.groups.values()
    }

    /// Returns the users in a range of ids.
    pub(super) fn users_between<'a>(
        &'a self,
        range: (Bound<&str>, Bound<&str>),
    ) -> impl DoubleEndedIterator<Item = &'a User> + use<'a> {
        self.users.range::<str, _>(range).map(|(_, user)| user)
    }

    /// Returns the users in a range of creation times. Users with the same time are limited by their ids.
    pub(super) fn users_created(
        &self,
        range: (Bound<CreatedKey>, Bound<CreatedKey>),
    ) -> impl DoubleEndedIterator<Item = &User> {
        let keys = self.by_created.range(range);
        keys.filter_map(|(_, id)| self.users.get(id))
    }

    /// Returns the groups after an id.
    pub(super) fn groups_after<'a>(
        &'a self,
        after: &str,
    ) -> impl Iterator<Item = &'a Group> + use<'a> {
        let range = (Bound::Excluded(after), Bound::Unbounded);
        self.groups.range::<str, _>(range).map(|(_, group)| group)
    }

    /// Returns the members of a group after an id, without changes that reads do not show yet.
    pub(super) fn members_after<'a>(
        &'a self,
        group: &'a Group,
        after: &'a str,
    ) -> Box<dyn Iterator<Item = &'a User> + 'a> {
        if group.is_everyone() {
            let users = self.users_between((Bound::Excluded(after), Bound::Unbounded));
            return Box::new(users.filter(|user| !user.is_deprovisioned()));
        }
        let start = group.members.partition_point(|id| **id <= *after);
        let ids = &group.members[start..];
        Box::new(ids.iter().filter_map(|id| self.users.get(id)))
    }

    /// Returns the groups of a user, sorted by id, without changes that reads do not show yet.
    pub(super) fn groups_shown<'a>(&'a self, user: &'a User) -> Vec<&'a Group> {
        let stored = user.groups.iter().filter_map(|id| self.groups.get(id));
        let mut groups: Vec<&Group> = stored.collect();
        if !user.is_deprovisioned() {
            groups.extend(self.groups.values().filter(|group| group.is_everyone()));
        }
        groups.sort_by(|a, b| a.id.cmp(&b.id));
        groups
    }

    /// Returns the number of members, without changes that reads do not show yet.
    pub(super) fn size(&self, group: &Group) -> u64 {
        let size = if group.is_everyone() {
            let users = self.users.values();
            users.filter(|user| !user.is_deprovisioned()).count()
        } else {
            group.members.len()
        };
        size as u64
    }

    /// Returns true if a user is in a group, including delayed changes.
    pub fn is_member(&self, group: &str, user: &str) -> bool {
        let (Some(group), Some(user)) = (self.groups.get(group), self.users.get(user)) else {
            return false;
        };
        let mut changes = self.pending.iter().rev();
        let change = changes.find(|change| change.group == group.id && change.user == user.id);
        match change {
            _ if group.is_everyone() => !user.is_deprovisioned(),
            Some(change) => change.member,
            None => group.members.binary_search(&user.id).is_ok(),
        }
    }

    /// Returns the ids of a group's members, sorted, including delayed changes.
    pub fn members(&self, group: &str) -> Vec<Arc<str>> {
        let Some(found) = self.groups.get(group) else {
            return Vec::new();
        };
        let shown = self.members_after(found, "").map(|user| user.id.clone());
        let mut changed = self
            .pending
            .iter()
            .filter(|change| *change.group == *group)
            .peekable();
        if changed.peek().is_none() {
            return shown.collect();
        }
        let mut ids: Vec<_> = shown
            .chain(changed.map(|change| change.user.clone()))
            .collect();
        ids.sort();
        ids.dedup();
        ids.retain(|id| self.is_member(group, id));
        ids
    }

    /// Returns the owner of the token.
    pub fn token_owner(&self) -> Option<&User> {
        match &self.owner {
            Some(id) => self.users.get(id),
            None => self.users.values().find(|user| user.status == "ACTIVE"),
        }
    }
}

fn insert(ids: &mut Vec<Arc<str>>, id: &Arc<str>) -> bool {
    match ids.binary_search(id) {
        Ok(_) => false,
        Err(place) => {
            ids.insert(place, id.clone());
            true
        }
    }
}

fn remove(ids: &mut Vec<Arc<str>>, id: &str) -> bool {
    match ids.binary_search_by(|other| (**other).cmp(id)) {
        Ok(place) => {
            ids.remove(place);
            true
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests;
