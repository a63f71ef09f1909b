//! Reads the list of users, and changes the method if Okta refuses one.
//!
//! If secondary emails are ignored, one search returns the possible matches. Otherwise a single cursor reads a search for
//! all users. Two cursors from both ends take over if that is worth it ([`ends`]), and the single cursor resumes if they
//! fail. If Okta rejects searches, the plain lists are read. Rows are identified by id, so the pages of one method are
//! still valid for the next.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use anyhow::Context as _;

use super::Everyone;
use crate::filter::Scope;
use crate::okta::Error;
use crate::okta::http::page::{RowKey, RowSummary};
use crate::okta::http::rate_limit::Bucket;
use crate::okta::order::End;
use crate::okta::read::{UserListMethod, UserSet};
use crate::sync::checkpoint::Checkpoint;
use crate::sync::context::Context;
use crate::sync::ends::{self, Ends, Unsorted};
use crate::sync::listing::{ListingId, ListingKind, OpenListing};
use crate::sync::objects::CopySource;
use crate::sync::worker::{Task, UserListEnd, UserPage};
use crate::text;

/// The number of plain lists: the deprovisioned users, all others, and the deprovisioned ones again.
const PLAIN_LISTS: u64 = 3;

/// The phase that lists users.
pub(in crate::sync) struct UserPhase {
    pub method: UserListMethod,
    /// All rows, in scope or not.
    pub rows: HashSet<RowKey>,
    /// The number of rows that are not deprovisioned.
    pub not_deprovisioned: u64,
    pub done: bool,
    /// True if any user is visible; none if that was not checked.
    pub any_user_visible: Option<bool>,
    pub both_ends_tried: bool,
    /// The number of user listings that have not ended.
    open: usize,
    /// The single cursor, while it is in use or may be resumed.
    cursor: Option<Cursor>,
    /// The positions of the cursors from both ends.
    ends: Ends,
    plain_lists_started: u64,
    /// True if the last page of a list of all users was full: the list may have been cut short.
    ended_on_full_page: bool,
    /// True if a list that may have been cut short was read again.
    read_again: bool,
    /// True if a search returned no users, although the plain list has some.
    search_is_empty: bool,
    /// True if the plain list was requested because a search returned no users.
    plain_list_checked: bool,
}

struct Cursor {
    listing: ListingId,
    /// The page to request next; none to start with the first page.
    page: Option<String>,
}

impl UserPhase {
    pub fn new(scope: &Scope) -> Self {
        Self {
            method: match scope.prefilter() {
                Some(_) => UserListMethod::Prefilter,
                None => UserListMethod::Search,
            },
            rows: HashSet::new(),
            not_deprovisioned: 0,
            done: false,
            any_user_visible: None,
            both_ends_tried: false,
            open: 0,
            cursor: None,
            ends: Ends::default(),
            plain_lists_started: 0,
            ended_on_full_page: false,
            read_again: false,
            search_is_empty: false,
            plain_list_checked: false,
        }
    }

    /// Loads what an earlier part of the run stored, apart from its open listings.
    pub fn load(&mut self, checkpoint: &Checkpoint) -> anyhow::Result<()> {
        let progress = &checkpoint.progress;
        self.method = progress.users_listed_by.unwrap_or(self.method);
        self.both_ends_tried = progress.both_ends_tried;
        self.any_user_visible = progress.any_user_visible;
        checkpoint.each_listed_user(|key, active| {
            self.not_deprovisioned += u64::from(self.rows.insert(key) && active);
        })?;
        for set in [UserSet::Deprovisioned, UserSet::NotDeprovisioned] {
            self.plain_lists_started += checkpoint.started(&ListingKind::Users(set))?;
        }
        Ok(())
    }

    /// Starts the list with the first method.
    pub fn start(&mut self, context: &mut Context<'_>) -> anyhow::Result<()> {
        match context.options.scope.prefilter() {
            Some(search) if self.method == UserListMethod::Prefilter => {
                self.list(UserSet::Matching(search), context)?;
            }
            _ => {
                self.method = UserListMethod::Search;
                self.start_cursor(context)?;
            }
        }
        Ok(())
    }

    /// Resumes a listing of an interrupted run.
    pub fn resume(&mut self, listing: OpenListing, set: &UserSet, context: &mut Context<'_>) {
        match set {
            UserSet::All => {
                self.cursor = Some(Cursor {
                    listing: listing.id,
                    page: listing.cursor.clone(),
                });
                if self.method != UserListMethod::Search {
                    // Another method has taken over from the single cursor.
                    return;
                }
            }
            UserSet::From(end) => self.ends.resume(*end, listing.reached),
            UserSet::Matching(_) | UserSet::NotDeprovisioned | UserSet::Deprovisioned => {}
        }
        self.open += 1;
        context.start(Task::List(listing));
    }

    /// Ends the phase if the interrupted run had read all its listings.
    pub fn finish_resumed(
        &mut self,
        everyone: Everyone,
        context: &mut Context<'_>,
    ) -> anyhow::Result<()> {
        if self.open == 0 {
            self.finish(everyone, context)?;
        }
        Ok(())
    }

    fn list(&mut self, set: UserSet, context: &mut Context<'_>) -> anyhow::Result<ListingId> {
        self.open += 1;
        context.list(ListingKind::Users(set))
    }

    fn start_cursor(&mut self, context: &mut Context<'_>) -> anyhow::Result<()> {
        let listing = self.list(UserSet::All, context)?;
        self.cursor = Some(Cursor {
            listing,
            page: None,
        });
        Ok(())
    }

    pub fn on_page(
        &mut self,
        page: UserPage,
        everyone: Everyone,
        context: &mut Context<'_>,
    ) -> anyhow::Result<()> {
        for row in &page.rows {
            let is_new = self.rows.insert(row.key);
            self.not_deprovisioned += u64::from(is_new && row.active);
        }
        context.store_users(page.in_scope, CopySource::Listing)?;
        let listing = page.commit.listing;
        context.checkpoint.add_rows(listing, &page.rows)?;
        let is_last = page.commit.next.is_none();
        if let UserSet::From(end) = page.set
            && self.method == UserListMethod::BothEnds
        {
            if page.is_first {
                self.ends.restart(end);
            }
            self.on_page_from_end(listing, end, &page.rows, is_last, context)?;
        }
        let cursor = self.cursor.as_mut();
        let cursor = cursor.filter(|cursor| cursor.listing == listing);
        let is_cursor = cursor.is_some();
        if let Some(cursor) = cursor {
            cursor.page.clone_from(&page.commit.next);
        }
        let is_second_plain_list =
            self.method == UserListMethod::Plain && self.plain_lists_started == 2;
        if is_last && (is_cursor || is_second_plain_list) {
            self.ended_on_full_page = page.is_full;
        }
        if context.commit_page(&page.commit)? {
            self.open -= 1;
            if is_cursor {
                self.cursor = None;
            }
            self.finish(everyone, context)
        } else {
            self.consider_both_ends(everyone, context);
            Ok(())
        }
    }

    pub fn on_early_end(
        &mut self,
        listing: ListingId,
        set: &UserSet,
        end: UserListEnd,
        everyone: Everyone,
        context: &mut Context<'_>,
    ) -> anyhow::Result<()> {
        context.open_tasks -= 1;
        self.open -= 1;
        let error = match end {
            UserListEnd::Stopped if *set == UserSet::All => return self.start_both_ends(context),
            UserListEnd::Stopped => return self.finish(everyone, context),
            UserListEnd::Refused(error) => error,
        };
        if matches!(set, UserSet::From(_)) {
            // This does nothing if the two cursors were already given up.
            self.return_to_cursor(&error.to_string(), context)?;
            return self.finish(everyone, context);
        }
        self.on_refusal(listing, error, context)
    }

    /// Lists users with the next method after Okta refused a search.
    fn on_refusal(
        &mut self,
        listing: ListingId,
        error: Error,
        context: &mut Context<'_>,
    ) -> anyhow::Result<()> {
        match self.method {
            UserListMethod::Prefilter => {
                tracing::info!(
                    "Okta rejected the search by domain ({error}); listing all users instead"
                );
                context.checkpoint.advance(listing, None)?;
                self.method = UserListMethod::Search;
                self.start(context)
            }
            UserListMethod::Search | UserListMethod::BothEnds => {
                tracing::warn!(
                    "Okta rejected the search for users ({error}); listing users without a search"
                );
                context.checkpoint.advance(listing, None)?;
                self.cursor = None;
                self.start_plain_list(context)
            }
            UserListMethod::Plain => Err(anyhow::Error::new(error).context("reading users")),
        }
    }

    /// Ends the phase once no listing is left, unless users may be missing.
    pub fn finish(&mut self, everyone: Everyone, context: &mut Context<'_>) -> anyhow::Result<()> {
        if self.open > 0 || self.done {
            return Ok(());
        }
        match self.method {
            // An empty result does not prove that no user is visible: the index of the search may not be ready.
            UserListMethod::Prefilter
                if self.rows.is_empty() && self.any_user_visible.is_none() =>
            {
                context.start(Task::LookForAnyUser { plain: false });
                return Ok(());
            }
            UserListMethod::Prefilter | UserListMethod::Search
                if self.rows.is_empty()
                    && self.any_user_visible != Some(true)
                    && !self.plain_list_checked =>
            {
                self.plain_list_checked = true;
                context.start(Task::LookForAnyUser { plain: true });
                return Ok(());
            }
            UserListMethod::Plain if self.plain_lists_started < PLAIN_LISTS => {
                return self.start_plain_list(context);
            }
            UserListMethod::Search | UserListMethod::Plain if self.ended_on_full_page => {
                if everyone.members.is_none() && !everyone.is_final {
                    // Only the size of Everyone shows whether users are missing.
                    return Ok(());
                }
                if self.lacks_users(everyone) && !self.read_again {
                    self.read_again = true;
                    return self.read_list_again(everyone, context);
                }
            }
            UserListMethod::Prefilter
            | UserListMethod::Search
            | UserListMethod::BothEnds
            | UserListMethod::Plain => {}
        }
        self.done = true;
        if self.method == UserListMethod::BothEnds
            && let Some(cursor) = self.cursor.take()
        {
            // The single cursor has nothing left to read.
            context.checkpoint.advance(cursor.listing, None)?;
        }
        if self.method == UserListMethod::Plain {
            let message = if self.search_is_empty {
                "Okta's search returned no users, but its plain list has some; users were read from the plain lists"
            } else {
                "Okta refused to search for users; they were read from its plain lists"
            };
            context.warn("search_refused", "run", None, message.to_owned())?;
        }
        Ok(())
    }

    /// Ends the phase if it only waited for the size of Everyone.
    pub fn on_everyone_known(
        &mut self,
        everyone: Everyone,
        context: &mut Context<'_>,
    ) -> anyhow::Result<()> {
        if self.ended_on_full_page {
            self.finish(everyone, context)?;
        }
        Ok(())
    }

    /// Starts the next of the plain lists. Even a user who is deactivated or reactivated in between is in one of them.
    fn start_plain_list(&mut self, context: &mut Context<'_>) -> anyhow::Result<()> {
        self.method = UserListMethod::Plain;
        self.plain_lists_started += 1;
        let set = if self.plain_lists_started == 2 {
            UserSet::NotDeprovisioned
        } else {
            UserSet::Deprovisioned
        };
        self.list(set, context)?;
        Ok(())
    }

    /// Handles the response that shows whether any user is visible, after a search returned none.
    pub fn on_any_user_visible(
        &mut self,
        plain: bool,
        visible: bool,
        everyone: Everyone,
        context: &mut Context<'_>,
    ) -> anyhow::Result<()> {
        context.open_tasks -= 1;
        if plain && visible {
            tracing::warn!(
                "Okta's search returned no users, but its plain list has some; reading the plain lists"
            );
            self.search_is_empty = true;
            self.cursor = None;
            return self.start_plain_list(context);
        }
        if !plain {
            self.any_user_visible = Some(visible);
        }
        self.finish(everyone, context)
    }

    /// Returns whether fewer users were listed than Okta reports for Everyone.
    fn lacks_users(&self, everyone: Everyone) -> bool {
        everyone
            .members
            .is_some_and(|members| (self.rows.len() as u64) < members)
    }

    /// Restarts the list of all users, because it ended on a full page and without all users.
    fn read_list_again(
        &mut self,
        everyone: Everyone,
        context: &mut Context<'_>,
    ) -> anyhow::Result<()> {
        tracing::warn!(
            "the user list ended on a full page with {} of {}; reading it once more",
            text::number(self.rows.len() as u64),
            text::count(everyone.members.unwrap_or(0), "user"),
        );
        self.ended_on_full_page = false;
        if self.method == UserListMethod::Plain {
            self.plain_lists_started = 1;
            return self.start_plain_list(context);
        }
        self.both_ends_tried = true;
        self.start_cursor(context)
    }

    /// Compares the number of listed users with the size of Everyone. Only too few users prove that some are missing: every
    /// member of Everyone is a user, but Okta does not document whether it counts deprovisioned users.
    pub fn compare_with_everyone(
        &self,
        everyone: Everyone,
        context: &mut Context<'_>,
    ) -> anyhow::Result<()> {
        let Some(members) = everyone.members else {
            return Ok(());
        };
        let (all, active) = (self.rows.len() as u64, self.not_deprovisioned);
        let cut_short = self.ended_on_full_page && self.read_again && all < members;
        if cut_short || all + ends::tolerance(members) < members {
            let message = super::users_missing(all, members);
            return context.warn(super::USERS_MISSING, "run", None, message);
        }
        if active > members + ends::tolerance(members) {
            let message = format!(
                "listed {} that are not deprovisioned, but Okta reports {} members in Everyone",
                text::count(active, "user"),
                text::number(members)
            );
            context.warn("everyone_differs", "run", None, message)?;
        }
        Ok(())
    }

    /// Stops the single cursor if two from both ends are worth it; they start once it has stopped.
    pub fn consider_both_ends(&self, everyone: Everyone, context: &Context<'_>) {
        let Some(members) = everyone.members else {
            return;
        };
        if self.method != UserListMethod::Search
            || self.both_ends_tried
            || self.done
            || self.rows.is_empty()
        {
            return;
        }
        let shared = context.shared;
        let size = shared.sizes.users.max(1);
        let read = (self.rows.len() as u64).div_ceil(size);
        let cost = shared.client.cost();
        let response = cost.response_time.div_f64(cost.requests.max(1) as f64);
        let budget = shared.client.limit(Bucket::Users).map(|(_, budget)| budget);
        let workers = context.options.concurrency;
        if ends::are_worth_it(members / size, read, response, budget, workers) {
            shared.stop_cursor.store(true, Ordering::Relaxed);
        }
    }

    fn start_both_ends(&mut self, context: &mut Context<'_>) -> anyhow::Result<()> {
        self.method = UserListMethod::BothEnds;
        self.both_ends_tried = true;
        for end in End::BOTH {
            self.list(UserSet::From(end), context)?;
        }
        Ok(())
    }

    /// Handles a page of one of the two cursors. Both stop once they have met.
    fn on_page_from_end(
        &mut self,
        listing: ListingId,
        end: End,
        rows: &[RowSummary],
        is_last: bool,
        context: &mut Context<'_>,
    ) -> anyhow::Result<()> {
        if self.ends.page(end, rows) == Err(Unsorted) {
            return self.return_to_cursor("they do not come sorted by id", context);
        }
        let reached = self.ends.reached(end);
        context.checkpoint.reached(listing, reached)?;
        // A cursor that reached the last page has read all users alone.
        if is_last || self.ends.have_met() {
            stop_both_ends(context)?;
        }
        Ok(())
    }

    /// Gives up the two cursors, and resumes the single one. Rows are merged by id.
    fn return_to_cursor(&mut self, why: &str, context: &mut Context<'_>) -> anyhow::Result<()> {
        if self.method != UserListMethod::BothEnds {
            return Ok(());
        }
        tracing::warn!("cannot read the user list from both ends ({why}); continuing page by page");
        stop_both_ends(context)?;
        context.shared.stop_cursor.store(false, Ordering::Relaxed);
        self.method = UserListMethod::Search;
        let cursor = self.cursor.as_ref().context("no cursor to return to")?;
        self.open += 1;
        context.start(Task::List(OpenListing {
            id: cursor.listing,
            kind: ListingKind::Users(UserSet::All),
            cursor: cursor.page.clone(),
            listed: Vec::new(),
            reached: None,
        }));
        Ok(())
    }
}

fn stop_both_ends(context: &mut Context<'_>) -> anyhow::Result<()> {
    context.shared.stop_ends.store(true, Ordering::Relaxed);
    for end in End::BOTH {
        let kind = ListingKind::Users(UserSet::From(end));
        context.checkpoint.end_listings(&kind)?;
    }
    Ok(())
}
