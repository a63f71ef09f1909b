//! The state of the org: users, groups, memberships, rules, and what the search index and slow reads do not show yet.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use serde_json::{Map, Value};

/// Milliseconds since 1970. Okta shows whole seconds, but searches by what it stores.
pub type Millis = i64;

/// The position of a user in the order of creation: the time, then the id.
type CreatedKey = (Millis, Arc<str>);

/// Parses a time in a test or in the demo's data.
///
/// # Panics
/// Panics if the text is not an RFC 3339 time.
pub fn at(text: &str) -> Millis {
    let time: Timestamp = text.parse().expect("a time in the source is well formed");
    time.as_millisecond()
}

/// A user. [`User::new`] fills in what a test does not care about.
#[derive(Clone, Debug)]
pub struct User {
    /// The id, the key of everything.
    pub id: Arc<str>,
    /// `ACTIVE`, …; anything goes.
    pub status: Cow<'static, str>,
    /// The time of creation.
    pub created: Millis,
    /// The time of activation.
    pub activated: Option<Millis>,
    /// The time of the last change of the status.
    pub status_changed: Option<Millis>,
    /// The time of the last sign-in.
    pub last_login: Option<Millis>,
    /// The time of the last change.
    pub last_updated: Millis,
    /// The time of the last change of the password.
    pub password_changed: Option<Millis>,
    /// The text of a JSON object, sent as it is.
    pub profile: Box<str>,
    /// The text of the whole user, sent as it is instead of all of the above.
    pub raw: Option<Box<str>>,
    /// Not in the search index yet: found by id and in groups, but in no listing of users.
    pub lagging: bool,
    /// Not found by creation time, for whatever reason.
    pub not_by_time: bool,
    /// Listing this user's groups is answered with 403.
    pub groups_forbidden: bool,
    /// Lower case, taken from the profile when the user is stored; searching a million users reads nothing else.
    pub(super) login: Option<Box<str>>,
    pub(super) email: Option<Box<str>>,
    /// Sorted.
    pub(super) groups: Vec<Arc<str>>,
}

impl User {
    /// Returns an active user with this profile (the text of a JSON object).
    pub fn new(id: &str, profile: impl Into<Box<str>>) -> Self {
        // 2024-03-01T08:00:00Z, as a number because a large org makes a million of these.
        let created = 1_709_280_000_000;
        Self {
            id: id.into(),
            status: "ACTIVE".into(),
            created,
            activated: Some(created),
            status_changed: Some(created),
            last_login: None,
            last_updated: created,
            password_changed: None,
            profile: profile.into(),
            raw: None,
            lagging: false,
            not_by_time: false,
            groups_forbidden: false,
            login: None,
            email: None,
            groups: Vec::new(),
        }
    }

    /// Returns an active user whose login is the email.
    pub fn with_email(id: &str, email: &str) -> Self {
        let email = Value::from(email);
        let profile = format!(
            r#"{{"firstName":"Ada","lastName":"Test","mobilePhone":null,"secondEmail":null,"login":{email},"email":{email}}}"#
        );
        Self::new(id, profile)
    }

    /// Returns a user that is sent as exactly this text. The server reads what it must know (status, login, email) from
    /// it, if it is there.
    pub fn with_raw(id: &str, text: &str) -> Self {
        let mut user = Self::new(id, "{}");
        if let Ok(Value::Object(parts)) = serde_json::from_str(text)
            && let Some(status) = parts.get("status").and_then(Value::as_str)
        {
            user.status = status.to_owned().into();
        }
        user.raw = Some(text.into());
        user
    }

    /// Sets the status.
    #[must_use]
    pub fn status(mut self, status: &'static str) -> Self {
        self.status = status.into();
        self
    }

    /// Sets the time of the last change.
    #[must_use]
    pub fn updated(mut self, last_updated: Millis) -> Self {
        self.last_updated = last_updated;
        self
    }

    /// Returns whether the user was deactivated for good.
    pub fn is_deprovisioned(&self) -> bool {
        self.status == "DEPROVISIONED"
    }

    /// Returns all attributes, from the raw text if there is one; empty if that has none.
    pub fn attributes(&self) -> Map<String, Value> {
        attributes(&self.profile, self.raw.as_deref())
    }

    fn index(&mut self) {
        let attributes = self.attributes();
        let folded = |key| text(&attributes, key).map(|text| text.to_lowercase().into());
        self.login = folded("login");
        self.email = folded("email");
    }
}

/// The size that a group's `_embedded.stats` contains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Size {
    /// The number of members.
    #[default]
    Real,
    /// This number, whatever the members.
    Says(u64),
    /// No `_embedded` at all.
    Withheld,
}

/// A group. [`Group::new`] fills in what a test does not care about.
#[derive(Clone, Debug)]
pub struct Group {
    /// The id, the key of everything.
    pub id: Arc<str>,
    /// `OKTA_GROUP`, `APP_GROUP`, `BUILT_IN`; anything goes.
    pub kind: Cow<'static, str>,
    /// The time of creation.
    pub created: Millis,
    /// The time of the last change of the profile.
    pub last_updated: Millis,
    /// The time of the last change of the members, according to Okta.
    pub last_membership_updated: Millis,
    /// `okta:user_group`, or AD's.
    pub object_class: Cow<'static, str>,
    /// The app that the group comes from.
    pub source: Option<Box<str>>,
    /// The text of a JSON object, sent as it is.
    pub profile: Box<str>,
    /// The size that `expand=stats` gives.
    pub size: Size,
    /// The flag for an admin role; `None` leaves it out.
    pub admin: Option<bool>,
    /// Listing the members is answered with 403.
    pub members_forbidden: bool,
    /// The text of the whole group, sent as it is instead of all of the above.
    pub raw: Option<Box<str>>,
    pub(super) name: Option<Box<str>>,
    /// Sorted. Everyone stores none: its members follow from the users.
    pub(super) members: Vec<Arc<str>>,
}

impl Group {
    /// Returns a plain group that Okta manages.
    pub fn new(id: &str, name: &str) -> Self {
        let created = at("2023-01-09T09:00:00Z");
        let name = Value::from(name);
        Self {
            id: id.into(),
            kind: "OKTA_GROUP".into(),
            created,
            last_updated: created,
            last_membership_updated: created,
            object_class: "okta:user_group".into(),
            source: None,
            profile: format!(r#"{{"name":{name},"description":null}}"#).into(),
            size: Size::Real,
            admin: Some(false),
            members_forbidden: false,
            raw: None,
            name: None,
            members: Vec::new(),
        }
    }

    /// Returns a group that is sent as exactly this text; the name and the kind are read from it, if they are there.
    pub fn with_raw(id: &str, text: &str) -> Self {
        let mut group = Self::new(id, "");
        if let Ok(Value::Object(parts)) = serde_json::from_str(text)
            && let Some(kind) = parts.get("type").and_then(Value::as_str)
        {
            group.kind = kind.to_owned().into();
        }
        group.raw = Some(text.into());
        group
    }

    /// Sets the kind.
    #[must_use]
    pub fn kind(mut self, kind: &'static str) -> Self {
        self.kind = kind.into();
        self
    }

    /// Sets the size that is sent.
    #[must_use]
    pub fn size(mut self, size: Size) -> Self {
        self.size = size;
        self
    }

    /// Sets the profile (the text of a JSON object).
    #[must_use]
    pub fn profile(mut self, profile: impl Into<Box<str>>) -> Self {
        self.profile = profile.into();
        self
    }

    /// Returns the name, once the group is stored in an org.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns whether every user who is not deprovisioned is a member, without being stored as one.
    pub fn is_everyone(&self) -> bool {
        self.kind == "BUILT_IN" && self.name() == Some("Everyone")
    }

    fn index(&mut self) {
        let attributes = attributes(&self.profile, self.raw.as_deref());
        self.name = text(&attributes, "name").map(Into::into);
    }
}

/// A group rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The id (`0pr…`).
    pub id: String,
    /// The name.
    pub name: String,
    /// `ACTIVE`, `INACTIVE` or `INVALID`.
    pub status: String,
    /// The condition, which is not evaluated here.
    pub expression: String,
    /// The groups that it fills.
    pub groups: Vec<String>,
    /// The users that it put there.
    pub managed: Vec<String>,
    /// The users that it leaves alone.
    pub excluded: Vec<String>,
    /// The time of creation and of the last change.
    pub created: Millis,
}

/// An admin role that a user has.
#[derive(Clone, Debug)]
pub struct Role {
    /// `SUPER_ADMIN`, `CUSTOM`, …; anything goes.
    pub kind: Cow<'static, str>,
    /// The name in Okta's console.
    pub label: String,
    /// `ACTIVE` or `INACTIVE`.
    pub status: Cow<'static, str>,
}

impl Role {
    /// Returns a role that counts.
    pub fn new(kind: &'static str, label: &str) -> Self {
        Self {
            kind: kind.into(),
            label: label.to_owned(),
            status: "ACTIVE".into(),
        }
    }
}

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
    /// For searches by `created`: reading a million users in date windows must not scan them all for each page.
    by_created: BTreeSet<CreatedKey>,
    groups: BTreeMap<Arc<str>, Group>,
    /// In order of due time.
    pending: Vec<Pending>,
    /// The group rules.
    pub rules: Vec<Rule>,
    /// The admin roles, by the id of the user.
    pub roles: BTreeMap<Arc<str>, Vec<Role>>,
    /// The owner of the token; without one, the first active user.
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

    /// Stores many users at once whose keys are set already, in id order, without memberships.
    #[cfg(feature = "testing")]
    pub(super) fn set_users(&mut self, users: Vec<User>) {
        let keys = users.iter().map(|user| (user.created, user.id.clone()));
        self.by_created = keys.collect();
        let users = users.into_iter().map(|user| (user.id.clone(), user));
        self.users = users.collect();
    }

    /// Returns every user, for changes that leave id, times and profile alone.
    #[cfg(feature = "testing")]
    pub(super) fn users_mut(&mut self) -> impl Iterator<Item = &mut User> {
        self.users.values_mut()
    }

    /// Stores a user, in no group yet (or in the same as before, if the id is there).
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

    /// Stores a group, without members (or with those it had, if the id is there).
    pub fn add_group(&mut self, mut group: Group) {
        group.index();
        let old = self.groups.get_mut(&group.id);
        group.members = old.map_or_else(Vec::new, |old| std::mem::take(&mut old.members));
        self.groups.insert(group.id.clone(), group);
    }

    /// Stores a group with these members, sorted; the caller adds the group to its users.
    #[cfg(feature = "testing")]
    pub(super) fn add_group_with(&mut self, mut group: Group, members: Vec<Arc<str>>) {
        group.index();
        group.members = members;
        self.groups.insert(group.id.clone(), group);
    }

    /// Changes a user, but for the id. False if there is none.
    pub fn edit_user(&mut self, id: &str, edit: impl FnOnce(&mut User)) -> bool {
        let Some(mut user) = self.users.get(id).cloned() else {
            return false;
        };
        edit(&mut user);
        self.add_user(user);
        true
    }

    /// Changes a group, but for the id. False if there is none.
    pub fn edit_group(&mut self, id: &str, edit: impl FnOnce(&mut Group)) -> bool {
        let Some(mut group) = self.groups.remove(id) else {
            return false;
        };
        edit(&mut group);
        group.index();
        self.groups.insert(group.id.clone(), group);
        true
    }

    /// Removes a user with all memberships. False if there is none.
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

    /// Removes a group with all memberships. False if there is none.
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

    /// Puts a user into a group, at once. False if either is missing or the membership is there.
    pub fn join(&mut self, group: &str, user: &str) -> bool {
        self.set(group, user, true)
    }

    /// Removes a user from a group at once. Returns false if the user was not a member.
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

    /// Stores a change that reads show only later; everything else shows it at once.
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

    /// Forgets the delayed changes of one membership, because a change at once follows.
    pub(super) fn settle_pair(&mut self, group: &str, user: &str) {
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

    /// Returns whether a delayed change has become visible.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.pending.first().is_some_and(|change| change.due <= now)
    }

    /// Makes the delayed changes visible whose time has come.
    pub(super) fn settle(&mut self, now: Instant) {
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

    /// Returns the user that a path refers to: by id, by login without case, or by the part of the login before the
    /// `@`, if only one user has it.
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

    /// Returns every user, by id.
    pub fn users(&self) -> impl DoubleEndedIterator<Item = &User> {
        self.users.values()
    }

    /// Returns every group, by id.
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

    /// Returns the users in a range of creation times and, within a time, of ids.
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

    /// Returns the members of a group, as reads show them, after an id.
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

    /// Returns the groups of a user, as reads show them, by id.
    pub(super) fn groups_shown<'a>(&'a self, user: &'a User) -> Vec<&'a Group> {
        let stored = user.groups.iter().filter_map(|id| self.groups.get(id));
        let mut groups: Vec<&Group> = stored.collect();
        if !user.is_deprovisioned() {
            groups.extend(self.groups.values().filter(|group| group.is_everyone()));
        }
        groups.sort_by(|a, b| a.id.cmp(&b.id));
        groups
    }

    /// Returns the number of members that reads show.
    pub(super) fn size(&self, group: &Group) -> u64 {
        let size = if group.is_everyone() {
            let users = self.users.values();
            users.filter(|user| !user.is_deprovisioned()).count()
        } else {
            group.members.len()
        };
        size as u64
    }

    /// Returns whether a user is in a group, delayed changes counted.
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

    /// Returns the ids of a group's members, sorted, delayed changes included.
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

    /// Returns the user that the token acts for.
    pub fn token_owner(&self) -> Option<&User> {
        match &self.owner {
            Some(id) => self.users.get(id),
            None => self.users.values().find(|user| user.status == "ACTIVE"),
        }
    }
}

fn attributes(profile: &str, raw: Option<&str>) -> Map<String, Value> {
    let parsed = match raw {
        None => serde_json::from_str(profile).ok(),
        Some(raw) => serde_json::from_str(raw)
            .ok()
            .and_then(|mut whole: Map<String, Value>| whole.remove("profile")),
    };
    match parsed {
        Some(Value::Object(attributes)) => attributes,
        _ => Map::new(),
    }
}

fn text<'a>(attributes: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    attributes.get(key).and_then(Value::as_str)
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
mod tests {
    use std::time::Duration;

    use super::*;

    fn org() -> Org {
        let mut org = Org::new();
        org.add_user(User::with_email("00u1", "A.Person@example.com"));
        org.add_user(User::with_email("00u2", "b@example.org").status("DEPROVISIONED"));
        org.add_group(Group::new("00g1", "One"));
        org.join("00g1", "00u1");
        org.join("00g1", "00u2");
        org
    }

    #[test]
    fn everyone_holds_all_but_the_deprovisioned_and_stores_none() {
        let mut org = org();
        let everyone = org.find_group("Everyone").unwrap().id.clone();
        assert_eq!(org.members(&everyone), ["00u1".into()]);
        assert!(!org.join(&everyone, "00u2"));
        org.edit_user("00u2", |user| user.status = "ACTIVE".into());
        assert_eq!(org.members(&everyone).len(), 2);
    }

    #[test]
    fn what_is_removed_leaves_no_membership_behind() {
        let mut org = org();
        assert!(org.remove_user("00u1") && !org.remove_user("00u1"));
        assert_eq!(org.members("00g1"), ["00u2".into()]);
        assert!(org.remove_group("00g1"));
        assert!(org.user("00u2").unwrap().groups.is_empty());
    }

    #[test]
    fn an_edit_keeps_memberships_and_renews_the_index() {
        let mut org = org();
        org.edit_user("00u1", |user| {
            user.profile = r#"{"login":"New@example.com"}"#.into();
            user.created = 5;
        });
        assert_eq!(org.find_user("NEW@example.com").unwrap().id, "00u1".into());
        assert!(org.is_member("00g1", "00u1"));
        assert_eq!(org.by_created.len(), 2);
        org.edit_group("00g1", |group| group.profile = r#"{"name":"Uno"}"#.into());
        assert_eq!(org.members(&org.find_group("Uno").unwrap().id).len(), 2);
    }

    #[test]
    fn a_user_is_found_by_id_login_and_an_unambiguous_short_login() {
        let mut org = org();
        for name in ["00u1", "a.person@EXAMPLE.com", "A.person"] {
            assert_eq!(org.find_user(name).unwrap().id, "00u1".into(), "{name}");
        }
        org.add_user(User::with_email("00u3", "a.person@example.org"));
        assert!(org.find_user("a.person").is_none());
    }

    #[test]
    fn a_delayed_change_is_known_at_once_and_shown_when_it_is_due() {
        let mut org = org();
        let now = Instant::now();
        org.set_later("00g1", "00u1", false, now + Duration::from_secs(5));
        assert!(!org.is_member("00g1", "00u1") && org.members("00g1").len() == 1);
        assert_eq!(org.size(org.group("00g1").unwrap()), 2);
        assert!(!org.is_due(now));
        org.settle(now + Duration::from_secs(6));
        assert_eq!(org.size(org.group("00g1").unwrap()), 1);
    }

    #[test]
    fn a_raw_user_is_read_for_what_the_server_must_know() {
        let mut org = Org::new();
        let text = r#"{"status":"NEW_ONE","profile":{"login":"x@example.com","email":7}}"#;
        org.add_user(User::with_raw("00u9", text));
        let user = org.find_user("x@example.com").unwrap();
        assert_eq!(
            (user.status.as_ref(), user.email.as_deref()),
            ("NEW_ONE", None)
        );
    }
}
