//! The workers: each takes a task, requests the pages of a listing, and reports them as events.
//!
//! - Workers share only the index of users, which they only read.
//! - A page is one event, with its rows and the cursor of the next page: the engine stores both or neither.
//! - A request may block a worker for as long as `--timeout`, but nothing waits for it: after an error or a signal, the
//!   engine drops the queues and returns, and the process ends without the workers.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender};

use super::checkpoint::UserCopy;
use super::listing::{ListingId, ListingKind, OpenListing};
use super::objects::{CopyComparison, CopySource, LocalId, ObjectIndex};
use crate::filter::{Addresses, Domain, MatchedBy, Scope};
use crate::model::{Group, GroupId, UserId};
use crate::okta::http::page::{RowKey, RowSummary};
use crate::okta::read::{self, Start, UserSet};
use crate::okta::settings::PageSizes;
use crate::okta::wire::{self, Malformed};
use crate::okta::{Client, Error};
use crate::text;

/// The tasks of a worker.
#[derive(Debug)]
pub(super) enum Task {
    /// Reads a listing, starting at its cursor.
    List(OpenListing),
    /// Reads one user by id.
    RefetchUser(UserId),
    /// Checks whether any user is visible, in a search or in the plain list.
    LookForAnyUser { plain: bool },
}

/// The listing of a page, and the cursor of the next page; none at the end of the listing.
#[derive(Debug)]
pub(super) struct PageCommit {
    pub listing: ListingId,
    pub next: Option<String>,
}

/// One row of a page of users that is in scope, or was.
#[derive(Debug)]
pub(super) enum ListedUser {
    Known(LocalId),
    Copy(Box<UserCopy>),
}

/// A page of a list of users.
#[derive(Debug)]
pub(super) struct UserPage {
    pub commit: PageCommit,
    pub set: UserSet,
    pub in_scope: Vec<ListedUser>,
    /// All rows.
    pub rows: Vec<RowSummary>,
    /// True if this is the first page of the listing, or of a restarted listing.
    pub is_first: bool,
    /// True if the page has as many rows as were requested.
    pub is_full: bool,
}

/// A page of the members of a group.
#[derive(Debug)]
pub(super) struct MemberPage {
    pub commit: PageCommit,
    pub group: LocalId,
    pub in_scope: Vec<ListedUser>,
    /// All rows, in case the listing is resumed; none on the last page.
    pub rows: Vec<RowSummary>,
    /// The number of different members that the listing has returned so far.
    pub distinct: u64,
    /// The number of different members that are new on this page.
    pub new: u64,
    /// True if the page has as many rows as were requested.
    pub is_full: bool,
    pub out_of_scope: Vec<RowKey>,
}

/// A page of the groups of a user.
#[derive(Debug)]
pub(super) struct UserGroupsPage {
    pub commit: PageCommit,
    pub user: LocalId,
    pub rows: Vec<Group>,
}

/// The reports of a worker.
#[derive(Debug)]
pub(super) enum Event {
    Users(UserPage),
    Groups {
        commit: PageCommit,
        rows: Vec<Group>,
    },
    Members(MemberPage),
    UserGroups(UserGroupsPage),
    /// A list of users ended before its last page.
    UsersEnded {
        listing: ListingId,
        set: UserSet,
        end: UserListEnd,
    },
    /// A list of the members of a group, or of the groups of a user, ended before its last page.
    MembershipsEnded {
        listing: ListingId,
        kind: ListingKind,
        end: MembershipsEnd,
    },
    UserRefetched {
        id: UserId,
        copy: Option<Box<UserCopy>>,
    },
    AnyUserVisible {
        plain: bool,
        visible: bool,
    },
    Failed(anyhow::Error),
}

/// The reason why a list of users ended before its last page.
#[derive(Debug)]
pub(super) enum UserListEnd {
    /// The engine stopped it.
    Stopped,
    /// Okta refused the search; another method may succeed.
    Refused(Error),
}

/// The reason why a list of members or groups ended before its last page.
#[derive(Debug)]
pub(super) enum MembershipsEnd {
    /// The group or user was deleted.
    Deleted,
    /// The token cannot read the list.
    Forbidden(Error),
}

/// The parts that all workers share.
pub(super) struct Shared {
    pub client: Arc<Client>,
    pub scope: Scope,
    pub sizes: PageSizes,
    pub users: ObjectIndex<UserId>,
    pub tasks: Receiver<Task>,
    pub events: Sender<Event>,
    /// Set when the single cursor is to stop, because two from both ends take over.
    pub stop_cursor: AtomicBool,
    /// Set when the cursors from both ends are to stop, because they have met or are given up.
    pub stop_ends: AtomicBool,
    /// For each domain of the scope, whether a user in it was read.
    pub used_domains: Vec<AtomicBool>,
}

impl Shared {
    /// Returns the domains of the scope in which no user was read.
    pub fn unused_domains(&self) -> Vec<Domain> {
        let domains = self.scope.domains().iter().zip(&self.used_domains);
        domains
            .filter(|(_, used)| !used.load(Ordering::Relaxed))
            .map(|(domain, _)| domain.clone())
            .collect()
    }

    /// Handles tasks until the engine drops the queue.
    pub fn work(&self) {
        while let Ok(task) = self.tasks.recv() {
            let result =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.handle(task)));
            let event = result.unwrap_or_else(|_| {
                Some(Event::Failed(anyhow::Error::msg(text::internal_error(
                    "a worker panicked",
                ))))
            });
            if event.is_some_and(|event| self.events.send(event).is_err()) {
                return;
            }
        }
    }

    /// Handles a task, and returns its last event; none if a listing was read to its last page.
    fn handle(&self, task: Task) -> Option<Event> {
        let listing = match task {
            Task::List(listing) => listing,
            Task::RefetchUser(id) => return Some(self.refetch(id)),
            Task::LookForAnyUser { plain } => {
                return Some(match read::any_user(&self.client, plain) {
                    Ok(visible) => Event::AnyUserVisible { plain, visible },
                    Err(error) => failed(error, "reading users".to_owned()),
                });
            }
        };
        let OpenListing {
            id,
            kind,
            cursor,
            listed,
            ..
        } = listing;
        let start = |page_size| Start {
            page_size,
            cursor,
            listed,
        };
        let event = match &kind {
            ListingKind::Users(set) => self.users(id, set, start(self.sizes.users)),
            ListingKind::Groups => self.groups(id, start(self.sizes.groups)),
            ListingKind::Members(group, object) => {
                let result = self.members(id, *group, object, start(self.sizes.members));
                memberships_ended(result, id, &kind)
            }
            ListingKind::GroupsOf(user, object) => {
                // Okta chooses the size of these pages.
                memberships_ended(self.groups_of(id, *user, object, start(0)), id, &kind)
            }
        };
        event.unwrap_or_else(|error| Some(failed(error, kind.activity())))
    }

    /// Reports an event. Returns false if the engine has returned, so that the listing ends too.
    fn send(&self, event: Event) -> bool {
        self.events.send(event).is_ok()
    }

    fn users(
        &self,
        listing: ListingId,
        set: &UserSet,
        start: Start,
    ) -> Result<Option<Event>, Error> {
        let ended = |end| {
            Some(Event::UsersEnded {
                listing,
                set: set.clone(),
                end,
            })
        };
        let is_from_an_end = matches!(set, UserSet::From(_));
        let stop = match set {
            UserSet::All => Some(&self.stop_cursor),
            UserSet::From(_) => Some(&self.stop_ends),
            _ => None,
        };
        let is_to_stop = || stop.is_some_and(|stop| stop.load(Ordering::Relaxed));
        if is_from_an_end && is_to_stop() {
            return Ok(ended(UserListEnd::Stopped));
        }
        let keep = |user: &wire::WireUser<'_>| self.keep(user, CopySource::Listing);
        let mut stopped = false;
        let sink = |page: read::Page<ListedUser>| {
            let has_more = page.next.is_some();
            let is_full = page.rows.len() as u64 >= self.sizes.users;
            let sent = self.send(Event::Users(UserPage {
                commit: PageCommit {
                    listing,
                    next: page.next,
                },
                set: set.clone(),
                in_scope: page.in_scope,
                rows: page.rows,
                is_first: page.is_first,
                is_full,
            }));
            stopped = has_more && is_to_stop();
            sent && !stopped
        };
        match read::users(&self.client, set, start, keep, sink) {
            Ok(()) if stopped => Ok(ended(UserListEnd::Stopped)),
            Ok(()) => Ok(None),
            // An error that only a sorted search causes does not end the run: the single cursor may succeed.
            Err(error)
                if read::is_refused_search(&error)
                    || is_from_an_end && error.is_about_the_request() =>
            {
                Ok(ended(UserListEnd::Refused(error)))
            }
            Err(error) => Err(error),
        }
    }

    fn groups(&self, listing: ListingId, start: Start) -> Result<Option<Event>, Error> {
        read::groups(&self.client, start, |page| {
            self.send(Event::Groups {
                commit: PageCommit {
                    listing,
                    next: page.next,
                },
                rows: page.in_scope,
            })
        })
        .map(|()| None)
    }

    fn members(
        &self,
        listing: ListingId,
        group: LocalId,
        id: &GroupId,
        start: Start,
    ) -> Result<(), Error> {
        let out_of_scope = RefCell::new(Vec::new());
        let keep = |user: &wire::WireUser<'_>| {
            let row = self.keep(user, CopySource::MembershipPage)?;
            if row.is_none() {
                out_of_scope.borrow_mut().push(RowKey::of(user.id()));
            }
            Ok(row)
        };
        let mut before = start.listed.len() as u64;
        let sink = |page: read::Page<ListedUser>| {
            let new = page.distinct.saturating_sub(before);
            before = page.distinct;
            let has_more = page.next.is_some();
            let is_full = page.rows.len() as u64 >= self.sizes.members;
            self.send(Event::Members(MemberPage {
                commit: PageCommit {
                    listing,
                    next: page.next,
                },
                group,
                in_scope: page.in_scope,
                rows: if has_more { page.rows } else { Vec::new() },
                distinct: page.distinct,
                new,
                is_full,
                out_of_scope: out_of_scope.take(),
            }))
        };
        read::members(&self.client, id, start, keep, sink)
    }

    fn groups_of(
        &self,
        listing: ListingId,
        user: LocalId,
        id: &UserId,
        start: Start,
    ) -> Result<(), Error> {
        let sink = |page: read::Page<Group>| {
            self.send(Event::UserGroups(UserGroupsPage {
                commit: PageCommit {
                    listing,
                    next: page.next,
                },
                user,
                rows: page.in_scope,
            }))
        };
        read::groups_of(&self.client, id, start, sink)
    }

    /// Reads a user by id, which returns the most recent copy (docs/okta-api.md, Users).
    fn refetch(&self, id: UserId) -> Event {
        match read::user(&self.client, id.as_str()) {
            Ok(Some(user)) => {
                let addresses = Addresses {
                    email: user.email(),
                    login: user.login(),
                    second_email: user.second_email(),
                };
                let matched_by = self.match_user(addresses);
                Event::UserRefetched {
                    id,
                    copy: Some(Box::new(UserCopy::new(user, matched_by))),
                }
            }
            Ok(None) => Event::UserRefetched { id, copy: None },
            Err(error) => failed(error, format!("reading user {id}")),
        }
    }

    /// Returns the address that puts a user in scope, if there is one, and records the domains.
    fn match_user(&self, addresses: Addresses<'_>) -> Option<MatchedBy> {
        let matched_by = self.scope.user(addresses)?;
        for (domain, _) in self.scope.domains_of(addresses) {
            self.used_domains[domain].store(true, Ordering::Relaxed);
        }
        Some(matched_by)
    }

    /// Returns what the engine needs of a user on a page: a number, a copy, or nothing.
    fn keep(
        &self,
        user: &wire::WireUser<'_>,
        source: CopySource,
    ) -> Result<Option<ListedUser>, Malformed> {
        let matched_by = || user.with_addresses(|addresses| self.match_user(addresses));
        let copy = |matched_by| {
            let user = user.to_model()?;
            Ok(Some(ListedUser::Copy(Box::new(UserCopy::new(
                user, matched_by,
            )))))
        };
        match self.users.compare(user.id(), user.last_updated(), source) {
            CopyComparison::Known(local_id) => Ok(Some(ListedUser::Known(local_id))),
            CopyComparison::Better => copy(matched_by()?),
            CopyComparison::First => matched_by()?.map_or(Ok(None), |by| copy(Some(by))),
        }
    }
}

fn memberships_ended(
    result: Result<(), Error>,
    listing: ListingId,
    kind: &ListingKind,
) -> Result<Option<Event>, Error> {
    let end = match result {
        Ok(()) => return Ok(None),
        Err(error) if error.is_gone() => MembershipsEnd::Deleted,
        Err(error) if error.status() == Some(403) => MembershipsEnd::Forbidden(error),
        Err(error) => return Err(error),
    };
    Ok(Some(Event::MembershipsEnded {
        listing,
        kind: kind.clone(),
        end,
    }))
}

fn failed(error: Error, activity: String) -> Event {
    Event::Failed(anyhow::Error::new(error).context(activity))
}
