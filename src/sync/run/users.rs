//! The list of users: which way it is read, and what follows when Okta refuses one.
//!
//! A search for the possible matches, where secondary e-mails do not count; else one for all users, by one cursor, which
//! windows of creation times take over from where that is worth it ([`windows`]) and which takes over from them where
//! they fail; else the plain lists. Rows are told apart by id, so whatever was read by one way need not be read again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::Context as _;

use super::Run;
use crate::console;
use crate::filter::Scope;
use crate::okta::Error;
use crate::okta::pace::Bucket;
use crate::okta::page::{Counted, RowKey};
use crate::okta::read::{UserListing, Users};
use crate::sync::directory::From;
use crate::sync::listing::{Listing, WalkId};
use crate::sync::windows::{self, Window};
use crate::sync::worker::{Cut, Step, Task, Through, UserRow, Walk};

/// How far the list of users is.
pub(super) struct UserList {
    pub(super) by: UserListing,
    /// Walks of it that have not ended.
    pub(super) open: usize,
    /// Its rows, in scope or not.
    pub(super) rows: HashSet<RowKey>,
    /// Of these, users who are not deprovisioned.
    pub(super) active: u64,
    /// The earliest creation time seen.
    pub(super) oldest: Option<i64>,
    /// The walk by the one cursor, which windows may take over from.
    pub(super) cursor: Option<WalkId>,
    /// Where it is.
    pub(super) cursor_at: Option<String>,
    pub(super) windows: HashMap<WalkId, Arc<Window>>,
    pub(super) windows_tried: bool,
    /// Whether the second of the plain lists was begun.
    pub(super) second_list: bool,
    pub(super) done: bool,
    pub(super) anybody: Option<bool>,
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
            oldest: None,
            cursor: None,
            cursor_at: None,
            windows: HashMap::new(),
            windows_tried: false,
            second_list: false,
            done: false,
            anybody: None,
        }
    }
}

impl Run<'_> {
    pub(super) fn walk_users(&mut self, listing: &Listing, which: Users) -> anyhow::Result<WalkId> {
        self.users.open += 1;
        self.walk(listing, Through::Users(which))
    }

    pub(super) fn begin_users(&mut self) -> anyhow::Result<()> {
        match self.config.scope.prefilter() {
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
        cut: Option<Cut>,
    ) -> anyhow::Result<()> {
        for row in rows {
            let new = self.users.rows.insert(row.key);
            self.users.active += u64::from(new && row.active);
            self.users.oldest = match (self.users.oldest, row.created) {
                (Some(oldest), Some(created)) => Some(oldest.min(created)),
                (oldest, created) => oldest.or(created),
            };
        }
        self.store_users(kept, From::Listing)?;
        if let Some(state) = &mut self.state {
            state.work.rows_seen(step.walk, rows)?;
        }
        if let Some(cut) = cut.filter(|_| self.users.by == UserListing::Created) {
            self.take_cut(step.walk, cut)?;
        }
        let is_cursor = self.users.cursor == Some(step.walk);
        if is_cursor {
            self.users.cursor_at.clone_from(&step.next);
        }
        if self.step(&step)? {
            self.users.open -= 1;
            self.users.windows.remove(&step.walk);
            if is_cursor {
                self.users.cursor = None;
            }
            self.users_end()?;
        } else {
            self.consider_windows()?;
        }
        Ok(())
    }

    /// A walk through users ended before its last page. Whether it was a window.
    pub(super) fn user_walk_ended(&mut self, walk: WalkId) -> bool {
        self.open -= 1;
        self.users.open -= 1;
        self.users.windows.remove(&walk).is_some()
    }

    pub(super) fn users_refused(&mut self, walk: WalkId, error: Error) -> anyhow::Result<()> {
        if self.user_walk_ended(walk) {
            // Nothing happens if the windows were given up already.
            self.back_to_the_cursor(&error.to_string())?;
            return self.users_end();
        }
        match self.users.by {
            UserListing::Prefilter => {
                tracing::info!(
                    "Okta refuses to search for the domains ({error}); reading all users"
                );
                self.forget(walk)?;
                self.users.by = UserListing::Search;
                self.begin_users()
            }
            UserListing::Search | UserListing::Created => {
                tracing::warn!(
                    "Okta refuses to search for users ({error}); reading the plain lists"
                );
                self.forget(walk)?;
                self.users.cursor = None;
                self.users.by = UserListing::Plain;
                self.walk_users(&Listing::Live, Users::Live)?;
                Ok(())
            }
            UserListing::Plain => Err(anyhow::Error::new(error).context("reading users")),
        }
    }

    /// A walk that was refused is not gone on with.
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
            // That nobody was found is no proof that nobody is visible.
            UserListing::Prefilter
                if self.users.rows.is_empty() && self.users.anybody.is_none() =>
            {
                self.start(Task::Anybody);
                return Ok(());
            }
            UserListing::Plain if !self.users.second_list => {
                self.users.second_list = true;
                self.walk_users(&Listing::Deprovisioned, Users::Deprovisioned)?;
                return Ok(());
            }
            UserListing::Created => {
                if let Some(everyone) = self.everyone_reported
                    && !windows::agree(self.users.active, everyone)
                {
                    let why = format!(
                        "they held {} who are not deprovisioned, and Everyone has {}",
                        console::count(self.users.active, "user"),
                        console::number(everyone)
                    );
                    return self.back_to_the_cursor(&why);
                }
            }
            UserListing::Prefilter | UserListing::Search | UserListing::Plain => {}
        }
        self.users.done = true;
        if self.users.by == UserListing::Plain {
            self.warn(
                "search_refused",
                "run",
                None,
                "Okta refused to search for users; they were read from its plain lists".to_owned(),
            )?;
        }
        Ok(())
    }

    /// Lets windows of creation times take over from the one cursor, where that is worth it.
    pub(super) fn consider_windows(&mut self) -> anyhow::Result<()> {
        let list = &self.users;
        let (Some(everyone), Some(_)) = (self.everyone_reported, list.oldest) else {
            return Ok(());
        };
        if list.by != UserListing::Search || list.windows_tried || list.done {
            return Ok(());
        }
        let left = everyone.saturating_sub(list.rows.len() as u64);
        let pages = left / self.shared.sizes.users.max(1);
        let client = &self.shared.client;
        let cost = client.cost();
        let answer = cost.answering.div_f64(cost.requests.max(1) as f64);
        let share = client.limit(Bucket::Users).map(|(_, share)| share);
        let workers = self.config.connection.concurrency;
        if windows::are_worth_it(pages, answer, share, workers) {
            self.shared.stop_cursor.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The cursor stopped: windows go on.
    pub(super) fn open_windows(&mut self) -> anyhow::Result<()> {
        let Some(oldest) = self.users.oldest else {
            anyhow::bail!("the cursor stopped for no reason: this is a bug, please report it");
        };
        self.users.by = UserListing::Created;
        self.users.windows_tried = true;
        self.allow_cuts();
        let workers = self.config.connection.concurrency;
        for window in windows::even(oldest, self.now(), workers) {
            self.begin_window(window, false)?;
        }
        Ok(())
    }

    /// Lets so many windows be cut for nothing as the list is long.
    pub(super) fn allow_cuts(&mut self) {
        let pages = self.everyone_reported.unwrap_or(0) / self.shared.sizes.users.max(1);
        let cuts = windows::budget(pages, self.config.connection.concurrency);
        let cuts = isize::try_from(cuts).unwrap_or(isize::MAX);
        self.shared.cuts_left.store(cuts, Ordering::Relaxed);
    }

    pub(super) fn begin_window(&mut self, window: Window, promised: bool) -> anyhow::Result<()> {
        let listing = Listing::Created(window.start(), window.end());
        self.users.open += 1;
        let window = Arc::new(window);
        let through = Through::Window {
            window: Arc::clone(&window),
            promised,
        };
        let id = self.walk(&listing, through)?;
        self.users.windows.insert(id, window);
        Ok(())
    }

    pub(super) fn of_window(&mut self, walk: WalkId, window: Window, promised: bool) -> Through {
        let window = Arc::new(window);
        self.users.windows.insert(walk, Arc::clone(&window));
        Through::Window { window, promised }
    }

    pub(super) fn take_cut(&mut self, walk: WalkId, cut: Cut) -> anyhow::Result<()> {
        let latest = self.users.windows.get(&walk).map(|window| window.latest());
        if let Some(state) = &mut self.state {
            state.work.cut(walk, cut.at)?;
        }
        let latest = latest.unwrap_or_else(|| self.now());
        self.begin_window(Window::new(Some(cut.at), cut.end, latest), true)
    }

    /// Gives the windows up, and goes on by the cursor that they took over from. Rows are merged by id.
    pub(super) fn back_to_the_cursor(&mut self, why: &str) -> anyhow::Result<()> {
        if self.users.by != UserListing::Created {
            return Ok(());
        }
        tracing::warn!(
            "users cannot be read in windows of their creation ({why}); going on one page after another"
        );
        self.shared.stop_windows.store(true, Ordering::Relaxed);
        self.shared.stop_cursor.store(false, Ordering::Relaxed);
        self.users.by = UserListing::Search;
        if let Some(state) = &mut self.state {
            state.work.no_windows()?;
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

    /// The server's clock, else this machine's.
    pub(super) fn now(&self) -> i64 {
        let now = jiff::Timestamp::now().as_millisecond();
        let skew = self.shared.client.clock_skew().unwrap_or(0.0);
        now + (skew * 1000.0) as i64
    }
}
