//! The workers: each takes a task, walks the listing, and says page by page what it found.
//!
//! - A worker shares nothing but the directory of users, which it only reads.
//! - A page is one message, with its rows and where the walk goes on: whoever takes it in stores both or neither.
//! - A worker may sit in a read for as long as `--timeout`; nobody waits for it. When the caller has an error or a
//!   signal, it drops the queues and goes, and the process ends without the workers.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender};

use super::directory::{Copy, Directory, From, Seq};
use super::listing::WalkId;
use super::work::UserCopy;
use crate::filter::{Addresses, MatchedBy, Scope};
use crate::model::{Group, GroupId, UserId};
use crate::okta::page::{Counted, RowKey};
use crate::okta::read::{self, Users};
use crate::okta::settings::PageSizes;
use crate::okta::wire::{self, Malformed};
use crate::okta::{Client, Error};

/// Something to do.
#[derive(Debug)]
pub(super) enum Task {
    /// A listing to walk.
    Walk(Walk),
    /// One user, read by id.
    User(UserId),
    /// Whether any user is visible: to a search, or in the plain list.
    Anybody { plain: bool },
}

/// A listing to walk, from its beginning or from the page `at` on.
#[derive(Debug)]
pub(super) struct Walk {
    pub id: WalkId,
    pub through: Through,
    pub at: Option<String>,
    pub seen: Vec<RowKey>,
}

#[derive(Debug)]
pub(super) enum Through {
    Users(Users),
    Groups,
    Members(Seq, GroupId),
    GroupsOf(Seq, UserId),
}

/// Which walk a page is of, and where that goes on; with no next page, it is at its end.
#[derive(Debug)]
pub(super) struct Step {
    pub walk: WalkId,
    pub next: Option<String>,
}

/// One row of a page of users that is kept.
#[derive(Debug)]
pub(super) enum UserRow {
    Known(Seq),
    Copy(Box<UserCopy>),
}

/// What a worker has to say.
#[derive(Debug)]
pub(super) enum Event {
    Users {
        step: Step,
        kept: Vec<UserRow>,
        rows: Vec<Counted>,
        /// Whether it is the page that the listing begins with, also where that begins again.
        is_first: bool,
        /// Whether it has as many rows as were requested.
        is_full: bool,
    },
    /// Okta refuses this listing of users; perhaps not another.
    UsersRefused {
        walk: WalkId,
        error: Error,
    },
    /// The walk stopped in the middle, because it was told to.
    UsersStopped {
        walk: WalkId,
    },
    Groups {
        step: Step,
        rows: Vec<Group>,
    },
    Members {
        step: Step,
        group: Seq,
        kept: Vec<UserRow>,
        /// All rows, for whoever goes on with the walk; none where it is at its end.
        rows: Vec<Counted>,
        /// How many different members were seen.
        seen: u64,
        /// How many of them on this page.
        new: u64,
        /// Whether the page has as many rows as were requested.
        is_full: bool,
        /// Members on this page who are in no scope.
        strangers: Vec<RowKey>,
    },
    GroupsOf {
        step: Step,
        user: Seq,
        rows: Vec<Group>,
    },
    Freshest {
        id: UserId,
        copy: Option<Box<UserCopy>>,
    },
    Anybody {
        plain: bool,
        visible: bool,
    },
    GroupGone {
        walk: WalkId,
        group: Seq,
        id: GroupId,
    },
    GroupForbidden {
        walk: WalkId,
        group: Seq,
        id: GroupId,
        error: Error,
    },
    UserGone {
        walk: WalkId,
        id: UserId,
    },
    UserForbidden {
        walk: WalkId,
        user: Seq,
        id: UserId,
        error: Error,
    },
    Failed(anyhow::Error),
}

/// What every worker has.
pub(super) struct Shared {
    pub client: Arc<Client>,
    pub scope: Scope,
    pub sizes: PageSizes,
    pub users: Directory<UserId>,
    pub tasks: Receiver<Task>,
    pub events: Sender<Event>,
    /// The one cursor through all users is to stop, since two from both ends take over.
    pub stop_cursor: AtomicBool,
    /// The cursors from both ends are to stop: they have met, or are given up.
    pub stop_ends: AtomicBool,
    /// For each domain of the scope, whether a user in it was met.
    pub domains_met: Vec<AtomicBool>,
}

impl Shared {
    /// A worker's life.
    pub fn work(&self) {
        loop {
            let Ok(task) = self.tasks.recv() else { return };
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.go(task)));
            let event = result.unwrap_or_else(|_| {
                Some(Event::Failed(anyhow::anyhow!(
                    "a worker panicked: this is a bug, please report it"
                )))
            });
            if event.is_some_and(|event| self.events.send(event).is_err()) {
                return;
            }
        }
    }

    /// Does a task, and says how it ended, unless its last page says so.
    fn go(&self, task: Task) -> Option<Event> {
        match task {
            Task::User(id) => Some(self.freshest(id)),
            Task::Anybody { plain } => Some(match read::anybody(&self.client, plain) {
                Ok(visible) => Event::Anybody { plain, visible },
                Err(error) => failed(error, "reading users"),
            }),
            Task::Walk(Walk {
                id,
                through,
                at,
                seen,
            }) => match through {
                Through::Users(which) => self.users(id, &which, at),
                Through::Groups => self.groups(id, at),
                Through::Members(group, object) => self.members(id, group, object, at, seen),
                Through::GroupsOf(user, object) => self.groups_of(id, user, object, at),
            },
        }
    }

    /// A send fails when the caller is gone: then the walk ends too.
    fn send(&self, event: Event) -> bool {
        self.events.send(event).is_ok()
    }

    fn users(&self, walk: WalkId, which: &Users, at: Option<String>) -> Option<Event> {
        let stop = match which {
            Users::All => Some(&self.stop_cursor),
            Users::From(_) => Some(&self.stop_ends),
            _ => None,
        };
        let is_to_stop = || stop.is_some_and(|stop| stop.load(Ordering::Relaxed));
        if matches!(which, Users::From(_)) && is_to_stop() {
            return Some(Event::UsersStopped { walk });
        }
        let keep = |user: &wire::User<'_>| self.keep(user, From::Listing);
        let mut stopped = false;
        let sink = |page: read::Page<UserRow>| {
            let more = page.next.is_some();
            let is_full = page.rows.len() as u64 >= self.sizes.users;
            let sent = self.send(Event::Users {
                step: Step {
                    walk,
                    next: page.next,
                },
                kept: page.kept,
                rows: page.rows,
                is_first: page.is_first,
                is_full,
            });
            stopped = more && is_to_stop();
            sent && !stopped
        };
        match read::users(&self.client, self.sizes.users, which, at, keep, sink) {
            Ok(()) => stopped.then_some(Event::UsersStopped { walk }),
            Err(error) if read::is_refused_search(&error) => {
                Some(Event::UsersRefused { walk, error })
            }
            // What Okta answers to a sorted search only is no reason to end: the one cursor may do.
            Err(error) if matches!(which, Users::From(_)) && error.is_about_the_request() => {
                Some(Event::UsersRefused { walk, error })
            }
            Err(error) => Some(failed(error, "reading users")),
        }
    }

    fn groups(&self, walk: WalkId, at: Option<String>) -> Option<Event> {
        let sink = |page: read::Page<Group>| {
            self.send(Event::Groups {
                step: Step {
                    walk,
                    next: page.next,
                },
                rows: page.kept,
            })
        };
        let read = read::groups(&self.client, self.sizes.groups, at, sink);
        read.err().map(|error| failed(error, "reading groups"))
    }

    fn members(
        &self,
        walk: WalkId,
        group: Seq,
        id: GroupId,
        at: Option<String>,
        seen: Vec<RowKey>,
    ) -> Option<Event> {
        let strangers = RefCell::new(Vec::new());
        let keep = |user: &wire::User<'_>| {
            let kept = self.keep(user, From::Side)?;
            if kept.is_none() {
                strangers.borrow_mut().push(RowKey::of(user.id()));
            }
            Ok(kept)
        };
        let mut before = seen.len() as u64;
        let sink = |page: read::Page<UserRow>| {
            let new = page.seen.saturating_sub(before);
            before = page.seen;
            let more = page.next.is_some();
            let is_full = page.rows.len() as u64 >= self.sizes.members;
            self.send(Event::Members {
                step: Step {
                    walk,
                    next: page.next,
                },
                group,
                kept: page.kept,
                rows: if more { page.rows } else { Vec::new() },
                seen: page.seen,
                new,
                is_full,
                strangers: strangers.take(),
            })
        };
        let size = self.sizes.members;
        match read::members(&self.client, &id, size, at, seen, keep, sink) {
            Ok(()) => None,
            Err(error) if error.is_gone() => Some(Event::GroupGone { walk, group, id }),
            Err(error) if error.status() == Some(403) => Some(Event::GroupForbidden {
                walk,
                group,
                id,
                error,
            }),
            Err(error) => Some(failed(error, &format!("reading the members of group {id}"))),
        }
    }

    fn groups_of(&self, walk: WalkId, user: Seq, id: UserId, at: Option<String>) -> Option<Event> {
        let sink = |page: read::Page<Group>| {
            self.send(Event::GroupsOf {
                step: Step {
                    walk,
                    next: page.next,
                },
                user,
                rows: page.kept,
            })
        };
        match read::groups_of(&self.client, &id, at, sink) {
            Ok(()) => None,
            Err(error) if error.is_gone() => Some(Event::UserGone { walk, id }),
            Err(error) if error.status() == Some(403) => Some(Event::UserForbidden {
                walk,
                user,
                id,
                error,
            }),
            Err(error) => Some(failed(error, &format!("reading the groups of user {id}"))),
        }
    }

    /// The freshest copy of a user, which is the one that Okta gives by id (docs/okta-api.md, Users).
    fn freshest(&self, id: UserId) -> Event {
        match read::user(&self.client, id.as_str()) {
            Ok(Some(user)) => {
                let addresses = Addresses {
                    email: user.email(),
                    login: user.login(),
                    second_email: user.second_email(),
                };
                let matched_by = self.match_user(addresses);
                Event::Freshest {
                    id,
                    copy: Some(Box::new(UserCopy::new(user, matched_by))),
                }
            }
            Ok(None) => Event::Freshest { id, copy: None },
            Err(error) => failed(error, &format!("reading user {id}")),
        }
    }

    /// Whether a user is in scope, and by which address. Notes in which domains.
    fn match_user(&self, addresses: Addresses<'_>) -> Option<MatchedBy> {
        let matched_by = self.scope.user(addresses)?;
        for (place, _) in self.scope.domains_of(addresses) {
            self.domains_met[place].store(true, Ordering::Relaxed);
        }
        Some(matched_by)
    }

    /// What to keep of a user on a page: a number, a copy, or nothing.
    fn keep(&self, user: &wire::User<'_>, from: From) -> Result<Option<UserRow>, Malformed> {
        let matched_by = || user.with_addresses(|addresses| self.match_user(addresses));
        let copy = |matched_by| {
            let user = user.to_model()?;
            Ok(Some(UserRow::Copy(Box::new(UserCopy::new(
                user, matched_by,
            )))))
        };
        match self.users.judge(user.id(), user.last_updated(), from) {
            Copy::Known(seq) => Ok(Some(UserRow::Known(seq))),
            Copy::Better => copy(matched_by()?),
            Copy::First => matched_by()?.map_or(Ok(None), |by| copy(Some(by))),
        }
    }
}

fn failed(error: Error, what: &str) -> Event {
    Event::Failed(anyhow::Error::new(error).context(what.to_owned()))
}
