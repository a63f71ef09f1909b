//! Finding out what names stand for and who is in which group; only GETs.
//!
//! Each user and group is looked up once, however many rows name it, and several at a time.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, unbounded};

use super::plan::{self, Found, Rules};
use crate::config::PageSizes;
use crate::model::{Group, GroupId, User, UserId};
use crate::okta::{Client, Error, Stop, read};

/// The groups of a user, or why they may not be read.
pub type Memberships = Result<HashSet<GroupId>, String>;

/// What Okta refuses of one object is that object's matter; a wrong token is everybody's.
fn readable<T>(result: Result<T, Error>) -> Result<Result<T, String>, Error> {
    match result {
        Err(Error::Refused(refusal)) if refusal.status != 401 => Ok(Err(refusal.to_string())),
        other => other.map(Ok),
    }
}

fn found<T>(result: Result<Found<T>, String>) -> Found<T> {
    result.unwrap_or_else(Found::Unreadable)
}

/// What looking things up takes.
#[derive(Clone, Debug)]
pub struct Reader {
    /// The way to Okta.
    pub client: Arc<Client>,
    /// Look-ups at once.
    pub workers: usize,
    /// Rows a page.
    pub sizes: PageSizes,
    /// Whether a signal came.
    pub stop: Stop,
}

const GLANCE: Duration = Duration::from_millis(100);

impl Reader {
    /// Users by id, login or e-mail.
    ///
    /// # Errors
    /// The first error of a look-up, or a signal.
    pub fn users(&self, names: HashSet<String>) -> Result<HashMap<String, Found<User>>, Error> {
        let size = self.sizes.users;
        self.each(names, move |client, name| {
            readable(find_user(client, size, name)).map(found)
        })
    }

    /// Groups by id, name or entitlement.
    ///
    /// # Errors
    /// The first error of a look-up, or a signal.
    pub fn groups(&self, names: HashSet<String>) -> Result<HashMap<String, Found<Group>>, Error> {
        let size = self.sizes.groups;
        self.each(names, move |client, name| {
            readable(find_group(client, size, name)).map(found)
        })
    }

    /// The groups that each user is in.
    ///
    /// # Errors
    /// The first error of a look-up, or a signal. A user who is gone is in no group; one whose groups may not be read
    /// is no error.
    pub fn memberships(
        &self,
        users: HashSet<UserId>,
    ) -> Result<HashMap<UserId, Memberships>, Error> {
        self.each(users, |client, user| readable(groups_of(client, user)))
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
        let mut found = HashMap::with_capacity(expected);
        while found.len() < expected {
            self.stop.check()?;
            match answers.recv_timeout(GLANCE) {
                Ok((key, answer)) => {
                    found.insert(key, answer?);
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

/// The groups that a user is in; none if the user is gone.
///
/// # Errors
/// See [`Error`].
pub fn groups_of(client: &Client, user: &UserId) -> Result<HashSet<GroupId>, Error> {
    let mut groups = HashSet::new();
    let read = read::groups_of(client, user, None, |page| {
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
    let mut answers = Vec::new();
    answers.extend(read::user(client, name)?);
    if name.contains('@') {
        answers.extend(read::users_by_email(client, page_size, name)?);
    }
    Ok(plan::choose_user(name, answers))
}

fn find_group(client: &Client, page_size: u64, name: &str) -> Result<Found<Group>, Error> {
    if let Some(id) = name
        .strip_prefix("group:")
        .and_then(|rest| rest.strip_suffix(":member"))
    {
        let group = read::group(client, id)?;
        let group = group
            .map(|group| with_flag(client, page_size, group))
            .transpose()?;
        return Ok(plan::choose_group(id, group.into_iter().collect()));
    }
    let mut answers = read::groups_by_name(client, page_size, name)?;
    if looks_like_an_id(name)
        && let Some(group) = read::group(client, name)?
    {
        answers.push(with_flag(client, page_size, group)?);
    }
    Ok(plan::choose_group(name, answers))
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

/// Okta's group ids start like this. Names that do too are looked up both ways.
fn looks_like_an_id(text: &str) -> bool {
    text.starts_with("00g") && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
