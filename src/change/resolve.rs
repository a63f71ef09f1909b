//! Finding out what names stand for and who is in which group; only GETs.
//!
//! Each user and group is looked up once, however many rows name it, and several at a time.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, unbounded};

use super::all_groups::GroupsOfUsers;
use super::decide::{self, Found, Memberships, Pair, Reading, RowRefusal, Rules};
use crate::exit;
use crate::model::{Group, GroupId, User, UserId};
use crate::near::Near;
use crate::okta::read::Start;
use crate::okta::settings::PageSizes;
use crate::okta::{Client, Error, read, wire};
use crate::signal::ShutdownSignal;

/// Turns a refusal about one object into that object's result; a wrong token ends the run.
fn readable<T>(result: Result<T, Error>) -> Result<Result<T, RowRefusal>, Error> {
    match result {
        Err(error @ Error::Refused(_)) if error.status() != Some(401) => Ok(Err(RowRefusal {
            exit: exit::of_okta(&error),
            reason: error.to_string(),
        })),
        other => other.map(Ok),
    }
}

fn found<T>(result: Result<Found<T>, RowRefusal>) -> Found<T> {
    result.unwrap_or_else(Found::Unreadable)
}

/// Shows the progress of a number of things, which the label names in the plural. The function that it returns is called
/// once for each thing done, and dropped at the end.
pub type StartProgress = dyn Fn(u64, &'static str) -> Box<dyn FnMut()> + Send + Sync;

/// The client and limits for looking things up.
#[derive(Clone)]
pub struct Resolver {
    /// The way to Okta.
    pub client: Arc<Client>,
    /// Look-ups at once.
    pub workers: usize,
    /// Rows a page.
    pub sizes: PageSizes,
    /// Set when a signal arrives.
    pub stop: ShutdownSignal,
    /// Shows progress.
    pub progress: Arc<StartProgress>,
}

/// For how many names that refer to nothing suggestions are looked for, with one request each.
const MAX_SUGGESTED: usize = 5;

const POLL_INTERVAL: Duration = Duration::from_millis(100);

impl Resolver {
    /// Users by id, login or email.
    ///
    /// # Errors
    /// The first error of a look-up, or a signal.
    pub fn users(&self, names: HashSet<String>) -> Result<HashMap<String, Found<User>>, Error> {
        let size = self.sizes.users;
        let found = self.each("users", names, move |client, name| {
            readable(find_user(client, size, name)).map(found)
        })?;
        self.with_suggestions("users", found, near_users)
    }

    /// Groups by id, name or entitlement.
    ///
    /// # Errors
    /// The first error of a look-up, or a signal.
    pub fn groups(&self, names: HashSet<String>) -> Result<HashMap<String, Found<Group>>, Error> {
        let size = self.sizes.groups;
        let found = self.each("groups", names, move |client, name| {
            readable(find_group(client, size, name)).map(found)
        })?;
        self.with_suggestions("groups", found, near_groups)
    }

    /// Adds suggestions for names that refer to nothing, if they are few: in a long list, the list is wrong, not a name.
    fn with_suggestions<T: Send + Sync + 'static>(
        &self,
        label: &'static str,
        mut found: HashMap<String, Found<T>>,
        look: fn(&Client, &str) -> Result<Near, Error>,
    ) -> Result<HashMap<String, Found<T>>, Error> {
        let missing = found
            .iter()
            .filter(|(_, found)| matches!(found, Found::Nothing));
        let missing: HashSet<String> = missing.map(|(name, _)| name.clone()).collect();
        if missing.len() > MAX_SUGGESTED {
            return Ok(found);
        }
        let near = self.each(label, missing, move |client, name| {
            match look(client, name) {
                // A suggestion is worth no failure.
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
    /// Returns the first error of a look-up that concerns more than one user.
    pub fn groups_of_users(&self, users: &[Arc<User>]) -> Result<GroupsOfUsers, Error> {
        let ids = users.iter().map(|user| user.id.clone()).collect();
        self.each("groups", ids, |client, user| {
            let mut groups = Vec::new();
            let read = read::groups_of(client, user, Start::default(), |page| {
                groups.extend(page.kept.into_iter().map(Arc::new));
                true
            });
            match read {
                // A user who was deleted is in no group.
                Err(error) if error.is_gone() => Ok(Ok(Vec::new())),
                read => readable(read.map(|()| groups)),
            }
        })
    }

    /// Returns whether each of these memberships exists. If a group cannot be listed, the groups of its users are read.
    ///
    /// # Errors
    /// The first error of a look-up, or a signal. A user who is gone is in no group; one whose groups may not be read
    /// is no error.
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
        let asked = self.each("memberships", users, |client, user| {
            readable(groups_of(client, user))
        })?;
        let mut memberships = Memberships::with_capacity(pairs.len());
        for (user, group) in pairs {
            let is_member = match (asked.get(&user.id), listed.get(&group.id)) {
                (Some(Ok(groups)), _) => Ok(groups.contains(&group.id)),
                (Some(Err(refusal)), _) => Err(refusal.clone()),
                (None, Some(Some(members))) => Ok(members.contains(&user.id)),
                (None, _) => continue,
            };
            memberships.insert((user.id.clone(), group.id.clone()), is_member);
        }
        Ok(memberships)
    }

    /// The active rules that fill each group.
    ///
    /// # Errors
    /// See [`Error`]; rules that may not be read are no error.
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

    /// Does one thing for each of many, several at a time. A worker that waits for Okta is left behind at a signal.
    fn each<K, V>(
        &self,
        label: &'static str,
        keys: HashSet<K>,
        look: impl Fn(&Client, &K) -> Result<V, Error> + Send + Sync + 'static,
    ) -> Result<HashMap<K, V>, Error>
    where
        K: std::hash::Hash + Eq + Send + 'static,
        V: Send + 'static,
    {
        let (task_in, tasks) = unbounded::<K>();
        let (answer_in, answers) = unbounded();
        let look = Arc::new(look);
        let expected = keys.len();
        for key in keys {
            let _ = task_in.send(key);
        }
        drop(task_in);
        for _ in 0..self.workers.min(expected) {
            let (tasks, answers) = (tasks.clone(), answer_in.clone());
            let (client, look) = (Arc::clone(&self.client), Arc::clone(&look));
            thread::spawn(move || {
                for key in tasks {
                    let answer = look(&client, &key);
                    if answers.send((key, answer)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(answer_in);
        let mut step = (self.progress)(expected as u64, label);
        let mut found = HashMap::with_capacity(expected);
        while found.len() < expected {
            self.stop.check()?;
            match answers.recv_timeout(POLL_INTERVAL) {
                Ok((key, answer)) => {
                    found.insert(key, answer?);
                    step();
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::Setup(
                        "a worker is gone: this is a bug, please report it".to_owned(),
                    ));
                }
            }
        }
        Ok(found)
    }
}

/// Returns which of some users are in a group; none if the group no longer exists.
fn members_of(
    client: &Client,
    group: &GroupId,
    page_size: u64,
    wanted: &HashSet<UserId>,
) -> Result<HashSet<UserId>, Error> {
    let mut members = HashSet::new();
    let keep = |user: &wire::User<'_>| {
        let id = UserId::from(user.id());
        Ok(wanted.contains(&id).then_some(id))
    };
    let start = Start {
        page_size,
        ..Start::default()
    };
    let read = read::members(client, group, start, keep, |page| {
        members.extend(page.kept);
        // The pages after the last of them tell nothing.
        members.len() < wanted.len()
    });
    match read {
        Ok(()) => Ok(members),
        Err(error) if error.is_gone() => Ok(HashSet::new()),
        Err(error) => Err(error),
    }
}

/// The groups that a user is in; none if the user is gone.
///
/// # Errors
/// See [`Error`].
pub fn groups_of(client: &Client, user: &UserId) -> Result<HashSet<GroupId>, Error> {
    let mut groups = HashSet::new();
    let read = read::groups_of(client, user, Start::default(), |page| {
        groups.extend(page.kept.into_iter().map(|group| group.id));
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
        // Okta has no path for it: a login with a slash, above all (docs/okta-api.md, Users).
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

/// Returns whether an error is about the path that a name makes, and not about the user.
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

/// A group read by id may come without its statistics; the list has them.
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

/// Returns the first half of a text, in which fewer letters are wrong; none if the text is too short to search for.
fn first_half(text: &str) -> Option<String> {
    const LEAST: usize = 3;
    let length = text.chars().count();
    (length >= LEAST).then(|| text.chars().take(length.div_ceil(2).max(LEAST)).collect())
}

/// Okta's group ids start like this. Names that do too are looked up both ways.
fn looks_like_an_id(text: &str) -> bool {
    text.starts_with("00g") && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
