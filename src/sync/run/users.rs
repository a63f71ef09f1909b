//! The list of users: which way it is read, and what follows when Okta refuses one.
//!
//! A search for the possible matches, where secondary emails do not count; else one for all users, by one cursor, which
//! two from both ends take over from where that is worth it ([`ends`]) and which takes over from them where they fail;
//! else the plain lists. Rows are told apart by id, so whatever was read by one way need not be read again.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;

use anyhow::Context as _;

use super::Run;
use crate::filter::Scope;
use crate::okta::Error;
use crate::okta::order::End;
use crate::okta::pace::Bucket;
use crate::okta::page::{Counted, RowKey};
use crate::okta::read::{UserListing, Users};
use crate::sync::directory::From;
use crate::sync::ends::{self, Ends, Unsorted};
use crate::sync::listing::{Listing, WalkId};
use crate::sync::worker::{Step, Task, Through, UserRow, Walk};
use crate::text;

/// How many plain lists there are.
const PLAIN_LISTS: u64 = 3;

/// How far the list of users is.
pub(super) struct UserList {
    pub(super) by: UserListing,
    /// Walks of it that have not ended.
    pub(super) open: usize,
    /// Its rows, in scope or not.
    pub(super) rows: HashSet<RowKey>,
    /// Of these, users who are not deprovisioned.
    pub(super) active: u64,
    /// The walk by the one cursor, which two from both ends may take over from.
    pub(super) cursor: Option<WalkId>,
    /// Where it is.
    pub(super) cursor_at: Option<String>,
    /// How far the cursors from both ends are, and which walk is which.
    pub(super) ends: Ends,
    pub(super) end_walks: HashMap<WalkId, End>,
    pub(super) ends_tried: bool,
    /// How many of the plain lists were started; there are three.
    pub(super) plain_lists: u64,
    /// Whether the last page of a list of all users was full: it may have been cut short.
    pub(super) ends_full: bool,
    /// Whether such a list was read once more.
    pub(super) read_again: bool,
    /// Whether a search returned nobody, though the plain list has users.
    pub(super) search_is_empty: bool,
    pub(super) done: bool,
    pub(super) anybody: Option<bool>,
    /// Whether the plain list was looked at, since a search returned nobody.
    pub(super) plain_list_was_checked: bool,
}

impl UserList {
    pub(super) fn new(scope: &Scope) -> Self {
        Self {
            by: match scope.prefilter() {
                Some(_) => UserListing::Prefilter,
                None => UserListing::Search,
            },
            open: 0,
            rows: HashSet::new(),
            active: 0,
            cursor: None,
            cursor_at: None,
            ends: Ends::default(),
            end_walks: HashMap::new(),
            ends_tried: false,
            plain_lists: 0,
            ends_full: false,
            read_again: false,
            search_is_empty: false,
            done: false,
            anybody: None,
            plain_list_was_checked: false,
        }
    }
}

impl Run<'_> {
    pub(super) fn walk_users(&mut self, listing: &Listing, which: Users) -> anyhow::Result<WalkId> {
        self.users.open += 1;
        self.walk(listing, Through::Users(which))
    }

    pub(super) fn begin_users(&mut self) -> anyhow::Result<()> {
        match self.options.scope.prefilter() {
            Some(search) if self.users.by == UserListing::Prefilter => {
                self.walk_users(&Listing::Prefilter, Users::Matching(search))?;
            }
            _ => {
                self.users.by = UserListing::Search;
                self.users.cursor = Some(self.walk_users(&Listing::Users, Users::All)?);
            }
        }
        Ok(())
    }

    pub(super) fn take_users(
        &mut self,
        step: Step,
        kept: Vec<UserRow>,
        rows: &[Counted],
        is_first: bool,
        is_full: bool,
    ) -> anyhow::Result<()> {
        for row in rows {
            let new = self.users.rows.insert(row.key);
            self.users.active += u64::from(new && row.active);
        }
        self.store_users(kept, From::Listing)?;
        if let Some(state) = &mut self.state {
            state.work.rows_seen(step.walk, rows)?;
        }
        if let Some(end) = self.users.end_walks.get(&step.walk).copied()
            && self.users.by == UserListing::BothEnds
        {
            self.page_of_end(step.walk, end, rows, is_first, step.next.is_none())?;
        }
        let is_cursor = self.users.cursor == Some(step.walk);
        if step.next.is_none()
            && (is_cursor || self.users.by == UserListing::Plain && self.users.plain_lists == 2)
        {
            self.users.ends_full = is_full;
        }
        if is_cursor {
            self.users.cursor_at.clone_from(&step.next);
        }
        if self.step(&step)? {
            self.users.open -= 1;
            self.users.end_walks.remove(&step.walk);
            if is_cursor {
                self.users.cursor = None;
            }
            self.users_end()?;
        } else {
            self.consider_both_ends()?;
        }
        Ok(())
    }

    /// A walk through users ended before its last page. Whether it was one from an end.
    pub(super) fn user_walk_ended(&mut self, walk: WalkId) -> bool {
        self.open -= 1;
        self.users.open -= 1;
        self.users.end_walks.remove(&walk).is_some()
    }

    pub(super) fn users_refused(&mut self, walk: WalkId, error: Error) -> anyhow::Result<()> {
        if self.user_walk_ended(walk) {
            // Nothing happens if the two cursors were given up already.
            self.back_to_the_cursor(&error.to_string())?;
            return self.users_end();
        }
        match self.users.by {
            UserListing::Prefilter => {
                tracing::info!(
                    "Okta rejected the search by domain ({error}); listing all users instead"
                );
                self.forget(walk)?;
                self.users.by = UserListing::Search;
                self.begin_users()
            }
            UserListing::Search | UserListing::BothEnds => {
                tracing::warn!(
                    "Okta rejected the search for users ({error}); listing users without a search"
                );
                self.forget(walk)?;
                self.users.cursor = None;
                self.next_plain_list()
            }
            UserListing::Plain => Err(anyhow::Error::new(error).context("reading users")),
        }
    }

    /// A listing that Okta refused is not resumed.
    pub(super) fn forget(&mut self, walk: WalkId) -> anyhow::Result<()> {
        match &mut self.state {
            Some(state) => state.work.step(walk, None),
            None => Ok(()),
        }
    }

    /// Looks whether the users are all there, once no walk through them is left.
    pub(super) fn users_end(&mut self) -> anyhow::Result<()> {
        if self.users.open > 0 || self.users.done {
            return Ok(());
        }
        match self.users.by {
            // That nobody was found is no proof that nobody is visible: the index of a search may not be ready.
            UserListing::Prefilter
                if self.users.rows.is_empty() && self.users.anybody.is_none() =>
            {
                self.start(Task::Anybody { plain: false });
                return Ok(());
            }
            UserListing::Prefilter | UserListing::Search
                if self.users.rows.is_empty()
                    && self.users.anybody != Some(true)
                    && !self.users.plain_list_was_checked =>
            {
                self.users.plain_list_was_checked = true;
                self.start(Task::Anybody { plain: true });
                return Ok(());
            }
            UserListing::Plain if self.users.plain_lists < PLAIN_LISTS => {
                return self.next_plain_list();
            }
            UserListing::Search | UserListing::Plain if self.users.ends_full => {
                if self.everyone_reported.is_none() && !self.groups_listed {
                    // Whether users are missing is known once Everyone is.
                    return Ok(());
                }
                if self.lacks_users() && !self.users.read_again {
                    self.users.read_again = true;
                    return self.read_users_again();
                }
            }
            UserListing::Prefilter
            | UserListing::Search
            | UserListing::BothEnds
            | UserListing::Plain => {}
        }
        self.users.done = true;
        if self.users.by == UserListing::BothEnds
            && let Some(cursor) = self.users.cursor.take()
        {
            // Nothing is left for it to read.
            self.forget(cursor)?;
        }
        if self.users.by == UserListing::Plain {
            self.warn(
                "search_refused",
                "run",
                None,
                if self.users.search_is_empty {
                    "Okta's search returned no users, but its plain list has some; users were read from the plain lists"
                } else {
                    "Okta refused to search for users; they were read from its plain lists"
                }
                .to_owned(),
            )?;
        }
        Ok(())
    }

    /// Starts the next of the plain lists: the deprovisioned users, all others, and the deprovisioned ones again. Whoever
    /// is deactivated or reactivated in between is in one of them.
    fn next_plain_list(&mut self) -> anyhow::Result<()> {
        self.users.by = UserListing::Plain;
        self.users.plain_lists += 1;
        let (listing, users) = if self.users.plain_lists == 2 {
            (Listing::Live, Users::Live)
        } else {
            (Listing::Deprovisioned, Users::Deprovisioned)
        };
        self.walk_users(&listing, users)?;
        Ok(())
    }

    /// Whether any user is visible, where a search returned nobody.
    pub(super) fn anybody_is_visible(&mut self, plain: bool, visible: bool) -> anyhow::Result<()> {
        self.open -= 1;
        if plain && visible {
            tracing::warn!(
                "Okta's search returned no users, but its plain list has some; reading the plain lists"
            );
            self.users.search_is_empty = true;
            self.users.cursor = None;
            return self.next_plain_list();
        }
        if !plain {
            self.users.anybody = Some(visible);
        }
        self.users_end()
    }

    /// Whether fewer users of all statuses were listed than Okta counts in Everyone.
    pub(super) fn lacks_users(&self) -> bool {
        self.everyone_reported
            .is_some_and(|everyone| (self.users.rows.len() as u64) < everyone)
    }

    /// Reads the list of all users from its beginning: it ended on a full page, and without all users.
    fn read_users_again(&mut self) -> anyhow::Result<()> {
        tracing::warn!(
            "the user list ended on a full page with {} of {}; reading it once more",
            text::number(self.users.rows.len() as u64),
            text::count(self.everyone_reported.unwrap_or(0), "user"),
        );
        self.users.ends_full = false;
        if self.users.by == UserListing::Plain {
            self.users.plain_lists = 1;
            return self.next_plain_list();
        }
        self.users.ends_tried = true;
        self.users.cursor = Some(self.walk_users(&Listing::Users, Users::All)?);
        Ok(())
    }

    /// Lets cursors from both ends take over from the one, where that is worth it.
    pub(super) fn consider_both_ends(&mut self) -> anyhow::Result<()> {
        let list = &self.users;
        let Some(everyone) = self.everyone_reported else {
            return Ok(());
        };
        if list.by != UserListing::Search || list.ends_tried || list.done || list.rows.is_empty() {
            return Ok(());
        }
        let size = self.shared.sizes.users.max(1);
        let read = (list.rows.len() as u64).div_ceil(size);
        let client = &self.shared.client;
        let cost = client.cost();
        let response = cost.answering.div_f64(cost.requests.max(1) as f64);
        let share = client.limit(Bucket::Users).map(|(_, share)| share);
        let workers = self.options.concurrency;
        if ends::are_worth_it(everyone / size, read, response, share, workers) {
            self.shared.stop_cursor.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The cursor stopped: two continue.
    pub(super) fn open_both_ends(&mut self) -> anyhow::Result<()> {
        self.users.by = UserListing::BothEnds;
        self.users.ends_tried = true;
        for end in End::BOTH {
            let walk = self.walk_users(&Listing::From(end, None), Users::From(end))?;
            self.users.end_walks.insert(walk, end);
        }
        Ok(())
    }

    /// Counts a page of one of the two cursors. Both stop once they have met.
    fn page_of_end(
        &mut self,
        walk: WalkId,
        end: End,
        rows: &[Counted],
        is_first: bool,
        is_last: bool,
    ) -> anyhow::Result<()> {
        if is_first {
            self.users.ends.restart(end);
        }
        if self.users.ends.page(end, rows) == Err(Unsorted) {
            return self.back_to_the_cursor("they do not come sorted by id");
        }
        let reached = self.users.ends.reached(end);
        if let Some(state) = &mut self.state {
            state.work.reached(walk, reached)?;
        }
        // A cursor at its own end has read all of them alone.
        if is_last || self.users.ends.have_met() {
            self.shared.stop_ends.store(true, Ordering::Relaxed);
            if let Some(state) = &mut self.state {
                state.work.end_both_ends()?;
            }
        }
        Ok(())
    }

    /// Gives the two cursors up, and resumes the one that they took over from. Rows are merged by id.
    pub(super) fn back_to_the_cursor(&mut self, why: &str) -> anyhow::Result<()> {
        if self.users.by != UserListing::BothEnds {
            return Ok(());
        }
        tracing::warn!("cannot read the user list from both ends ({why}); continuing page by page");
        self.shared.stop_ends.store(true, Ordering::Relaxed);
        self.shared.stop_cursor.store(false, Ordering::Relaxed);
        self.users.by = UserListing::Search;
        if let Some(state) = &mut self.state {
            state.work.end_both_ends()?;
        }
        let id = self.users.cursor.context("no cursor to go back to")?;
        self.users.open += 1;
        let at = self.users.cursor_at.clone();
        self.start(Task::Walk(Walk {
            id,
            through: Through::Users(Users::All),
            at,
            seen: Vec::new(),
        }));
        Ok(())
    }
}
