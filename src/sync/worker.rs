//! The workers: each takes a task, walks the listing, and says page by page what it found.
//!
//! - A worker shares nothing but the directory of users, which it only reads, and the windows, whose ends may move.
//! - A page is one message, with its rows and where the walk goes on: whoever takes it in stores both or neither.
//! - A worker may sit in a read for as long as `--timeout`; nobody waits for it. When the caller has an error or a
//!   signal, it drops the queues and goes, and the process ends without the workers.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering};

use crossbeam_channel::{Receiver, Sender};

use super::directory::{Copy, Directory, From, Seq};
use super::listing::WalkId;
use super::windows::{Reading, Window};
use super::work::UserCopy;
use crate::config::PageSizes;
use crate::filter::{Addresses, Scope};
use crate::model::{Group, GroupId, UserId};
use crate::okta::page::{Counted, RowKey};
use crate::okta::read::{self, Users};
use crate::okta::wire::{self, Malformed};
use crate::okta::{Client, Error};

/// Something to do.
#[derive(Debug)]
pub(super) enum Task {
    /// A listing to walk.
    Walk(Walk),
    /// One user, read by id.
    User(UserId),
    /// Whether any user is visible.
    Anybody,
}

impl Task {
    fn was_promised(&self) -> bool {
        matches!(
            self,
            Self::Walk(Walk {
                through: Through::Window { promised: true, .. },
                ..
            })
        )
    }
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
    Window {
        window: Arc<Window>,
        /// Whether it was cut for a worker that had nothing to do, who was counted off then.
        promised: bool,
    },
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

/// A window that was cut: its new end, and what was its end before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    pub at: i64,
    pub end: i64,
}

/// What a worker has to say.
#[derive(Debug)]
pub(super) enum Event {
    Users {
        step: Step,
        kept: Vec<UserRow>,
        rows: Vec<Counted>,
        cut: Option<Cut>,
    },
    /// Okta refuses this listing of users; perhaps not another.
    UsersRefused {
        walk: WalkId,
        error: Error,
    },
    /// A window does not look as asked for.
    WindowOdd {
        walk: WalkId,
        problem: &'static str,
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
    Anybody(bool),
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
    /// The one cursor through all users is to stop, since windows take over.
    pub stop_cursor: AtomicBool,
    /// All windows are to stop, since one cursor takes over.
    pub stop_windows: AtomicBool,
    /// Workers that have nothing to do, less the windows that were cut for them.
    pub idle: AtomicIsize,
    /// How many windows may still be cut for nothing.
    pub cuts_left: AtomicIsize,
}

impl Shared {
    /// A worker's life.
    pub fn work(&self) {
        loop {
            self.idle.fetch_add(1, Ordering::Relaxed);
            let Ok(task) = self.tasks.recv() else { return };
            if !task.was_promised() {
                self.idle.fetch_sub(1, Ordering::Relaxed);
            }
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
            Task::Anybody => Some(match read::anybody(&self.client) {
                Ok(visible) => Event::Anybody(visible),
                Err(error) => failed(error, "reading users"),
            }),
            Task::Walk(Walk {
                id,
                through,
                at,
                seen,
            }) => match through {
                Through::Users(which) => self.users(id, &which, at),
                Through::Window { window, promised } => self.window(id, &window, promised, at),
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
        let keep = |user: &wire::User<'_>| self.keep(user, From::Listing);
        let mut stopped = false;
        let sink = |page: read::Page<UserRow>| {
            let more = page.next.is_some();
            let sent = self.send(Event::Users {
                step: Step {
                    walk,
                    next: page.next,
                },
                kept: page.kept,
                rows: page.rows,
                cut: None,
            });
            stopped = more && *which == Users::All && self.stop_cursor.load(Ordering::Relaxed);
            sent && !stopped
        };
        match read::users(&self.client, self.sizes.users, which, at, keep, sink) {
            Ok(()) => stopped.then_some(Event::UsersStopped { walk }),
            Err(error) if read::is_refused_search(&error) => {
                Some(Event::UsersRefused { walk, error })
            }
            Err(error) => Some(failed(error, "reading users")),
        }
    }

    fn window(
        &self,
        walk: WalkId,
        window: &Window,
        promised: bool,
        at: Option<String>,
    ) -> Option<Event> {
        if self.stop_windows.load(Ordering::Relaxed) {
            return Some(Event::UsersStopped { walk });
        }
        let keep = |user: &wire::User<'_>| self.keep(user, From::Listing);
        let mut reading = Reading::default();
        let mut ended = None;
        let mut cut_off = promised;
        let sink = |page: read::Page<UserRow>| {
            if page.is_first {
                // Also where Okta lost the cursor, and all of it comes again.
                reading = Reading::default();
            }
            if std::mem::take(&mut cut_off) && !page.rows.is_empty() {
                // That cut was worth it, and may be done again.
                self.cuts_left.fetch_add(1, Ordering::Relaxed);
            }
            if let Err(problem) = reading.page(window, &page.rows) {
                ended = Some(Event::WindowOdd { walk, problem });
                return false;
            }
            // A window that was cut is at its end before its cursor is.
            let next = page.next.filter(|_| !reading.is_behind(window));
            let more = next.is_some();
            let cut = if more {
                self.cut(window, &mut reading)
            } else {
                None
            };
            let sent = self.send(Event::Users {
                step: Step { walk, next },
                kept: page.kept,
                rows: page.rows,
                cut,
            });
            if more && self.stop_windows.load(Ordering::Relaxed) {
                ended = Some(Event::UsersStopped { walk });
            }
            sent && more && ended.is_none()
        };
        let (after, before) = window.asked();
        let which = Users::Created(after, before);
        match read::users(&self.client, self.sizes.users, &which, at, keep, sink) {
            Ok(()) => ended,
            // What Okta answers to windows only is no reason to end: the one cursor may do.
            Err(error) if read::is_refused_search(&error) || error.is_about_the_request() => {
                Some(Event::UsersRefused { walk, error })
            }
            Err(error) => Some(failed(error, "reading users")),
        }
    }

    /// Cuts a window where a worker has nothing else to do.
    fn cut(&self, window: &Window, reading: &mut Reading) -> Option<Cut> {
        let take = |count: &AtomicIsize| {
            let less = |count: isize| (count > 0).then(|| count - 1);
            count
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
                .is_ok()
        };
        let give_back = |count: &AtomicIsize| count.fetch_add(1, Ordering::Relaxed);
        if !self.tasks.is_empty() || !take(&self.idle) {
            return None;
        }
        if !take(&self.cuts_left) {
            give_back(&self.idle);
            return None;
        }
        let end = window.end();
        let Some(at) = reading.cut(window, self.sizes.users) else {
            give_back(&self.idle);
            give_back(&self.cuts_left);
            return None;
        };
        Some(Cut { at, end })
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

    /// The freshest copy of a user, which is the one that Okta gives by id (okta-api 1.1).
    fn freshest(&self, id: UserId) -> Event {
        match read::user(&self.client, id.as_str()) {
            Ok(Some(user)) => {
                let addresses = Addresses {
                    email: user.email(),
                    login: user.login(),
                    second_email: user.second_email(),
                };
                let matched_by = self.scope.user(addresses);
                Event::Freshest {
                    id,
                    copy: Some(Box::new(UserCopy::new(user, matched_by))),
                }
            }
            Ok(None) => Event::Freshest { id, copy: None },
            Err(error) => failed(error, &format!("reading user {id}")),
        }
    }

    /// What to keep of a user on a page: a number, a copy, or nothing.
    fn keep(&self, user: &wire::User<'_>, from: From) -> Result<Option<UserRow>, Malformed> {
        let matched_by = || user.with_addresses(|addresses| self.scope.user(addresses));
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
