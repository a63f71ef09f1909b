//! Resolves names of users and groups, and reads memberships. Sends only GET requests.
//!
//! Each user and group is looked up once, no matter how many rows contain it. Several look-ups run at a time.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, unbounded};

use super::all_groups::GroupsOfUsers;
use super::decide::{self, Found, Memberships, Pair, Reading, RowRefusal, Rules};
use crate::failure::FailureKind;
use crate::model::{Group, GroupId, User, UserId};
use crate::near::Near;
use crate::okta::read::Start;
use crate::okta::settings::PageSizes;
use crate::okta::{Client, Error, read, wire};
use crate::signal::ShutdownSignal;
use crate::text;

/// Converts a refusal that concerns one object to a result for this object. An invalid token remains an error.
fn readable<T>(result: Result<T, Error>) -> Result<Result<T, RowRefusal>, Error> {
    match result {
        Err(error @ Error::Refused(_)) if error.status() != Some(401) => Ok(Err(RowRefusal {
            kind: if error.status() == Some(403) {
                FailureKind::Credentials
            } else {
                FailureKind::Other
            },
            reason: error.to_string(),
        })),
        other => other.map(Ok),
    }
}

fn found<T>(result: Result<Found<T>, RowRefusal>) -> Found<T> {
    result.unwrap_or_else(Found::Unreadable)
}

/// Starts showing progress for a number of things; the label is their plural. The returned function is called after
/// each of them, and dropped at the end.
pub type StartProgress = dyn Fn(u64, &'static str) -> Box<dyn FnMut()> + Send + Sync;

/// The client and limits for looking things up.
#[derive(Clone)]
pub struct Resolver {
    /// The client for requests.
    pub client: Arc<Client>,
    /// The number of concurrent look-ups.
    pub workers: usize,
    /// The numbers of rows per page.
    pub sizes: PageSizes,
    /// Set when a signal arrives.
    pub stop: ShutdownSignal,
    /// Starts showing progress.
    pub progress: Arc<StartProgress>,
}

/// The largest number of unknown names for which similar names are searched, with one request per name.
const MAX_SUGGESTED: usize = 5;

const POLL_INTERVAL: Duration = Duration::from_millis(100);

impl Resolver {
    /// Looks up users by id, login or email.
    ///
    /// # Errors
    /// Returns the first error that concerns more than one user, and an error after a signal.
    pub fn users(&self, names: HashSet<String>) -> Result<HashMap<String, Found<User>>, Error> {
        let size = self.sizes.users;
        let found = self.each("users", names, move |client, name| {
            readable(find_user(client, size, name)).map(found)
        })?;
        self.with_suggestions("users", found, near_users)
    }

    /// Looks up groups by id, name or entitlement.
    ///
    /// # Errors
    /// Returns the first error that concerns more than one group, and an error after a signal.
    pub fn groups(&self, names: HashSet<String>) -> Result<HashMap<String, Found<Group>>, Error> {
        let size = self.sizes.groups;
        let found = self.each("groups", names, move |client, name| {
            readable(find_group(client, size, name)).map(found)
        })?;
        self.with_suggestions("groups", found, near_groups)
    }

    /// Adds suggestions for unknown names if there are few. If there are many, the entire list is probably wrong.
    fn with_suggestions<T: Send + Sync + 'static>(
        &self,
        label: &'static str,
        mut found: HashMap<String, Found<T>>,
        request: fn(&Client, &str) -> Result<Near, Error>,
    ) -> Result<HashMap<String, Found<T>>, Error> {
        let missing = found
            .iter()
            .filter(|(_, found)| matches!(found, Found::Nothing));
        let missing: HashSet<String> = missing.map(|(name, _)| name.clone()).collect();
        if missing.len() > MAX_SUGGESTED {
            return Ok(found);
        }
        let near = self.each(label, missing, move |client, name| {
            match request(client, name) {
                // A failed search for a suggestion is ignored.
                Err(error) if error.is_about_the_request() || error.status().is_some() => Ok(None),
                other => other.map(|near| near.question()),
            }
        })?;
        for (name, question) in near {
            if let Some(question) = question {
                found.insert(name, Found::Near(question));
            }
        }
        Ok(found)
    }

    /// Returns all groups of users.
    ///
    /// # Errors
    /// Returns the first error that concerns more than one user.
    pub fn groups_of_users(&self, users: &[Arc<User>]) -> Result<GroupsOfUsers, Error> {
        let ids = users.iter().map(|user| user.id.clone()).collect();
        self.each("groups", ids, |client, user| {
            let mut groups = Vec::new();
            let read = read::groups_of(client, user, Start::default(), |page| {
                groups.extend(page.in_scope.into_iter().map(Arc::new));
                true
            });
            match read {
                // A user who was deleted has no groups.
                Err(error) if error.is_gone() => Ok(Ok(Vec::new())),
                read => readable(read.map(|()| groups)),
            }
        })
    }

    /// Reads whether each of these memberships exists. If a group cannot be listed, the groups of its users are listed
    /// instead.
    ///
    /// # Errors
    /// Returns the first error that concerns more than one object, and an error after a signal. A deleted user has no
    /// groups. Denied access to one user's groups becomes a result for this user.
    pub fn memberships(&self, pairs: &[Pair], reading: Reading) -> Result<Memberships, Error> {
        let Reading { groups, mut users } = reading;
        let size = self.sizes.members;
        let wanted: HashSet<UserId> = pairs.iter().map(|(user, _)| user.id.clone()).collect();
        let listed = self.each(
            "memberships",
            groups,
            move |client, group| match members_of(client, group, size, &wanted) {
                Err(error) if error.is_about_the_request() => Ok(None),
                other => readable(other).map(Result::ok),
            },
        )?;
        let unlisted = |group: &GroupId| listed.get(group).is_some_and(Option::is_none);
        let left = pairs.iter().filter(|(_, group)| unlisted(&group.id));
        users.extend(left.map(|(user, _)| user.id.clone()));
        let requested = self.each("memberships", users, |client, user| {
            readable(groups_of(client, user))
        })?;
        let mut memberships = Memberships::with_capacity(pairs.len());
        for (user, group) in pairs {
            let is_member = match (requested.get(&user.id), listed.get(&group.id)) {
                (Some(Ok(groups)), _) => Ok(groups.contains(&group.id)),
                (Some(Err(refusal)), _) => Err(refusal.clone()),
                (None, Some(Some(members))) => Ok(members.contains(&user.id)),
                (None, _) => continue,
            };
            memberships.insert((user.id.clone(), group.id.clone()), is_member);
        }
        Ok(memberships)
    }

    /// Reads the active rules of each group.
    ///
    /// # Errors
    /// Returns an [`Error`], unless access to the rules is denied: then they are unknown.
    pub fn rules(&self, groups: &HashSet<GroupId>) -> Result<HashMap<GroupId, Rules>, Error> {
        let rules = match read::rules(&self.client) {
            Ok(rules) => Some(rules),
            Err(Error::Refused(refusal)) if refusal.status != 401 => None,
            Err(error) => return Err(error),
        };
        let filling = |group: &GroupId| match &rules {
            None => Rules::Unknown,
            Some(rules) => {
                let filling = rules
                    .iter()
                    .filter(|rule| rule.active && rule.groups.contains(group));
                Rules::Known(filling.map(|rule| rule.name.clone()).collect())
            }
        };
        Ok(groups
            .iter()
            .map(|group| (group.clone(), filling(group)))
            .collect())
    }

    /// Calls a function for each key in several threads. After a signal, it does not wait for threads that wait for
    /// Okta.
    fn each<K, V>(
        &self,
        label: &'static str,
        keys: HashSet<K>,
        request: impl Fn(&Client, &K) -> Result<V, Error> + Send + Sync + 'static,
    ) -> Result<HashMap<K, V>, Error>
    where
        K: std::hash::Hash + Eq + Send + 'static,
        V: Send + 'static,
    {
        let (task_in, tasks) = unbounded::<K>();
        let (answer_in, answers) = unbounded();
        let request = Arc::new(request);
        let expected = keys.len();
        for key in keys {
            let _ = task_in.send(key);
        }
        drop(task_in);
        for _ in 0..self.workers.min(expected) {
            let (tasks, answers) = (tasks.clone(), answer_in.clone());
            let (client, request) = (Arc::clone(&self.client), Arc::clone(&request));
            thread::spawn(move || {
                for key in tasks {
                    let answer = request(&client, &key);
                    if answers.send((key, answer)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(answer_in);
        let mut advance = (self.progress)(expected as u64, label);
        let mut found = HashMap::with_capacity(expected);
        while found.len() < expected {
            self.stop.check()?;
            match answers.recv_timeout(POLL_INTERVAL) {
                Ok((key, answer)) => {
                    found.insert(key, answer?);
                    advance();
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::Setup(text::internal_error("a worker panicked")));
                }
            }
        }
        Ok(found)
    }
}

/// Returns those of some users who are members of a group; empty if the group no longer exists.
fn members_of(
    client: &Client,
    group: &GroupId,
    page_size: u64,
    wanted: &HashSet<UserId>,
) -> Result<HashSet<UserId>, Error> {
    let mut members = HashSet::new();
    let keep = |user: &wire::WireUser<'_>| {
        let id = UserId::from(user.id());
        Ok(wanted.contains(&id).then_some(id))
    };
    let start = Start {
        page_size,
        ..Start::default()
    };
    let read = read::members(client, group, start, keep, |page| {
        members.extend(page.in_scope);
        // Later pages are irrelevant once all users were found.
        members.len() < wanted.len()
    });
    match read {
        Ok(()) => Ok(members),
        Err(error) if error.is_gone() => Ok(HashSet::new()),
        Err(error) => Err(error),
    }
}

/// Returns the groups of a user; empty if the user no longer exists.
///
/// # Errors
/// Returns an [`Error`] if the request fails.
pub fn groups_of(client: &Client, user: &UserId) -> Result<HashSet<GroupId>, Error> {
    let mut groups = HashSet::new();
    let read = read::groups_of(client, user, Start::default(), |page| {
        groups.extend(page.in_scope.into_iter().map(|group| group.id));
        true
    });
    match read {
        Ok(()) => Ok(groups),
        Err(error) if error.is_gone() => Ok(HashSet::new()),
        Err(error) => Err(error),
    }
}

fn find_user(client: &Client, page_size: u64, name: &str) -> Result<Found<User>, Error> {
    let mut answers = match read::user(client, name) {
        Ok(user) => Vec::from_iter(user),
        // Okta has no path for some logins, mainly for those with a slash (docs/okta-api.md, Users).
        Err(error) if has_no_path(&error, name) => {
            read::users_by(client, page_size, "profile.login", name)?
        }
        Err(error) => return Err(error),
    };
    let is_decided = answers
        .iter()
        .any(|user| decide::is_id_or_login(name, user));
    if name.contains('@') && !is_decided {
        answers.extend(read::users_by(client, page_size, "profile.email", name)?);
    }
    Ok(decide::choose_user(name, answers))
}

/// Returns true if an error is about the path that contains the name, and not about the user.
fn has_no_path(error: &Error, name: &str) -> bool {
    match error.status() {
        Some(400 | 405) => true,
        Some(404) => name.contains('/'),
        _ => false,
    }
}

fn find_group(client: &Client, page_size: u64, name: &str) -> Result<Found<Group>, Error> {
    if let Some(id) = name
        .strip_prefix("group:")
        .and_then(|rest| rest.strip_suffix(":member"))
    {
        // Okta has no path for an id with a slash, so there is no such group.
        let group = if id.contains('/') {
            None
        } else {
            read::group(client, id)?
        };
        let group = group
            .map(|group| with_flag(client, page_size, group))
            .transpose()?;
        return Ok(decide::choose_group(id, group.into_iter().collect()));
    }
    let mut answers = read::groups_by_name(client, page_size, name)?;
    if looks_like_an_id(name)
        && let Some(group) = read::group(client, name)?
    {
        answers.push(with_flag(client, page_size, group)?);
    }
    Ok(decide::choose_group(name, answers))
}

/// Adds the statistics, which the group list has and a group read by id may lack.
fn with_flag(client: &Client, page_size: u64, mut group: Group) -> Result<Group, Error> {
    if group.has_admin_privilege.is_none()
        && let Some(name) = group.name()
    {
        let listed = read::groups_by_name(client, page_size, name)?;
        let same = listed.into_iter().find(|other| other.id == group.id);
        group.has_admin_privilege = same.and_then(|other| other.has_admin_privilege);
    }
    Ok(group)
}

fn near_users(client: &Client, name: &str) -> Result<Near, Error> {
    let mut near = Near::to(name);
    let local = name.split('@').next().unwrap_or_default();
    if let Some(part) = first_half(local) {
        for user in read::users_like(client, &part)? {
            let login = user.login().unwrap_or(user.id.as_str());
            near.offer([user.login(), user.email()].into_iter().flatten(), login);
        }
    }
    Ok(near)
}

fn near_groups(client: &Client, name: &str) -> Result<Near, Error> {
    let mut near = Near::to(name);
    if let Some(part) = first_half(name) {
        for group in read::groups_like(client, &part)? {
            near.offer(group.name(), group.name().unwrap_or(group.id.as_str()));
        }
    }
    Ok(near)
}

/// Returns the first half of a text, which is less likely to contain a typo; `None` if the text is too short for a
/// search.
fn first_half(text: &str) -> Option<String> {
    const LEAST: usize = 3;
    let length = text.chars().count();
    (length >= LEAST).then(|| text.chars().take(length.div_ceil(2).max(LEAST)).collect())
}

/// Returns true if a text has the form of a group id. Such a text is looked up as an id and as a name.
fn looks_like_an_id(text: &str) -> bool {
    text.starts_with("00g") && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
