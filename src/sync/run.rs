//! Who decides what is asked, and writes what comes.
//!
//! - The calling thread takes the workers' pages one by one and writes the working database, so there is one writer.
//! - Users and groups are listed side by side. Memberships start as soon as it is certain how they are read.
//! - What a page changes here and what it changes in the database is one step: a run that is interrupted goes on from the
//!   last step that was committed, with equal decisions.

mod users;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use crossbeam_channel::{RecvTimeoutError, Sender, bounded, unbounded};

use self::users::UserList;
use super::directory::{Admitted, Copy, Directory, From, Seq};
use super::ends;
use super::listing::{Listing, WalkId};
use super::plan::{self, Strategy};
use super::resume::{self, Progress};
use super::work::{UserCopy, Work};
use super::worker::{Event, Shared, Step, Task, Through, UserRow, Walk};
use super::{Options, Tally};
use crate::filter::Domain;
use crate::model::{Group, GroupId, Learned, UserId};
use crate::okta::client::Cost;
use crate::okta::page::RowKey;
use crate::okta::read::{UserListing, Users};
use crate::okta::{self, Client};
use crate::outcome::{Ending, Exit};
use crate::signal::ShutdownSignal;
use crate::snapshot::Warning;
use crate::text;

/// What was read, beside what the working database holds.
#[derive(Debug)]
pub struct Gathered {
    /// How memberships were read, or would be.
    pub strategy: Strategy,
    /// How users were listed.
    pub users_listed_by: UserListing,
    /// Different users in the listing; unknown where only possible matches were asked for.
    pub users_seen: Option<u64>,
    /// Of all users seen, those that are not deprovisioned; what Everyone's size counts.
    pub users_not_deprovisioned: Option<u64>,
    /// Users in scope.
    pub users_in_scope: u64,
    /// Users in scope that were only seen as members.
    pub users_only_as_members: u64,
    /// Users deleted during the run.
    pub users_vanished: u64,
    /// Different groups in the listing.
    pub groups_seen: u64,
    /// Groups in scope.
    pub groups_in_scope: u64,
    /// Groups in scope that were only seen as a user's.
    pub groups_only_from_users: u64,
    /// Groups deleted during the run.
    pub groups_vanished: u64,
    /// Okta's count of Everyone.
    pub everyone_reported: Option<u64>,
    /// Whether a deprovisioned user was seen to be in Everyone.
    pub deprovisioned_in_everyone: Option<bool>,
    /// Requests that reading by group takes.
    pub by_group: u64,
    /// Requests that reading by user takes.
    pub by_user: u64,
    /// What to know about the snapshot.
    pub warnings: Vec<Warning>,
    /// Why it is incomplete, if it is: one line a reason.
    pub missing: Vec<String>,
    /// Domains of the scope in which no user was met. Of a run that was interrupted this is about its last part only.
    pub domains_unmet: Vec<Domain>,
    /// What it cost, with what it had cost before it was interrupted.
    pub cost: Cost,
}

/// Pages that may wait for the writer. Each is at most 1,000 users, of which few are copies.
const QUEUE: usize = 16;
/// How often the caller looks at signals and redraws.
const GLANCE: Duration = Duration::from_millis(100);

/// The working database of a run, and how far an earlier part of the run came, if there was one.
#[derive(Debug)]
pub struct State<'a> {
    /// The database.
    pub work: &'a mut Work,
    /// How far the run is; kept up.
    pub progress: &'a mut Progress,
}

/// Reads an org into the working database; without one, only what a plan needs.
///
/// # Errors
/// The first error of a worker, a signal, or a guard. What was read until then is committed.
pub fn gather(
    options: &Options,
    client: &Arc<Client>,
    stop: &ShutdownSignal,
    state: Option<State<'_>>,
    mut show: impl FnMut(&Tally),
) -> anyhow::Result<Gathered> {
    let (task_in, tasks) = unbounded();
    let (event_in, events) = bounded(QUEUE);
    let shared = Arc::new(Shared {
        client: Arc::clone(client),
        scope: options.scope.clone(),
        sizes: options.page_sizes,
        users: Directory::default(),
        tasks,
        events: event_in,
        stop_cursor: AtomicBool::new(false),
        stop_ends: AtomicBool::new(false),
        domains_met: options
            .scope
            .domains()
            .iter()
            .map(|_| AtomicBool::new(false))
            .collect(),
    });
    let mut run = Run::new(options, &shared, task_in, state);
    run.begin()?;
    for number in 0..options.concurrency {
        let shared = Arc::clone(&shared);
        thread::Builder::new()
            .name(format!("worker-{number}"))
            .spawn(move || shared.work())
            .context("cannot start a thread")?;
    }
    let mut step = || -> anyhow::Result<bool> {
        stop.check()?;
        show(&run.tally(client));
        match events.recv_timeout(GLANCE) {
            Ok(event) => run.take(event)?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => anyhow::bail!("all workers are gone"),
        }
        run.save(events.is_empty())?;
        Ok(run.open > 0 || run.doubts_remain()?)
    };
    let read = loop {
        match step() {
            Ok(true) => {}
            Ok(false) => break stop.check().map_err(anyhow::Error::from),
            Err(error) => break Err(error),
        }
    };
    match read {
        Ok(()) => run.end(),
        Err(error) => {
            // What the working database itself failed at must not be half there: all since the last commit is let go.
            if error.chain().any(|cause| cause.is::<okta::Error>()) {
                // The first error is the one that counts.
                let _ = run.save_all();
            }
            Err(error)
        }
    }
}

/// The caller's side.
struct Run<'a> {
    options: &'a Options,
    shared: &'a Arc<Shared>,
    tasks: Sender<Task>,
    state: Option<State<'a>>,
    /// What earlier parts of this run cost.
    cost_before: Cost,
    groups: Directory<GroupId>,
    /// Groups in scope, each by the copy that won, until the memberships start.
    listed: HashMap<Seq, Group>,
    users: UserList,
    /// Tasks that have not ended.
    open: u64,
    /// The number of the next walk, where no database gives one.
    next_walk: WalkId,
    strategy: Option<Strategy>,
    groups_listed: bool,
    guarded: bool,
    doubts: Doubts,
    /// Members who were in no scope when their group's members were read.
    strangers: HashSet<RowKey>,
    everyone: bool,
    everyone_reported: Option<u64>,
    /// Whether the members of Everyone are implied, not read.
    everyone_is_implied: bool,
    /// The deprovisioned user whose groups show whether such users are in Everyone, and whether Everyone was among them.
    probe: Option<(Seq, bool)>,
    deprovisioned_in_everyone: Option<bool>,
    /// For each group that is listed: its id and Okta's count.
    expected: HashMap<Seq, (GroupId, u64)>,
    /// Groups that Okta counts as empty, and that were not listed for that.
    reported_empty: HashMap<Seq, GroupId>,
    /// Groups that were listed once more.
    read_again: HashSet<Seq>,
    by_group: u64,
    /// Members, or users, to go through and gone through.
    steps: (u64, u64),
    warnings: Vec<Warning>,
}

/// What is looked into when all listings are at their end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubts {
    /// Nothing yet.
    Ahead,
    /// Whether deprovisioned users are in Everyone.
    Everyone,
    /// Users of whom the copies contradict each other.
    Copies,
    /// Users who came into the scope while members were read; the last.
    Late,
}

impl<'a> Run<'a> {
    fn new(
        options: &'a Options,
        shared: &'a Arc<Shared>,
        tasks: Sender<Task>,
        state: Option<State<'a>>,
    ) -> Self {
        Self {
            options,
            shared,
            tasks,
            state,
            cost_before: Cost::default(),
            groups: Directory::default(),
            listed: HashMap::new(),
            users: UserList::new(&options.scope),
            open: 0,
            next_walk: 0,
            strategy: None,
            groups_listed: false,
            guarded: false,
            doubts: Doubts::Ahead,
            strangers: HashSet::new(),
            everyone: false,
            everyone_reported: None,
            everyone_is_implied: false,
            probe: None,
            deprovisioned_in_everyone: None,
            expected: HashMap::new(),
            reported_empty: HashMap::new(),
            read_again: HashSet::new(),
            by_group: 0,
            steps: (0, 0),
            warnings: Vec::new(),
        }
    }

    /// Starts the listings, or goes on with those that are not at their end.
    fn begin(&mut self) -> anyhow::Result<()> {
        let begun_before = self
            .state
            .as_ref()
            .is_some_and(|state| state.progress.users_listed_by.is_some());
        if begun_before {
            return self.go_on().map_err(resume::unusable);
        }
        self.begin_users()?;
        self.walk(&Listing::Groups, Through::Groups)?;
        Ok(())
    }

    /// Puts back what an earlier part of this run knew, and starts what it had not ended.
    fn go_on(&mut self) -> anyhow::Result<()> {
        let Some(state) = &mut self.state else {
            return Ok(());
        };
        let (work, progress) = (&mut *state.work, &*state.progress);
        self.cost_before = progress.cost;
        self.users.by = progress.users_listed_by.unwrap_or(self.users.by);
        self.users.ends_tried = progress.ends_tried;
        self.users.anybody = progress.anybody;
        self.strategy = progress.strategy;
        self.deprovisioned_in_everyone = progress.deprovisioned_in_everyone;
        self.warnings = work.warnings()?;
        let users = &mut self.users;
        work.each_listed_user(|key, active| {
            users.active += u64::from(users.rows.insert(key) && active);
        })?;
        work.restore(&self.shared.users, &self.groups)?;
        work.each_stranger(|key| {
            self.strangers.insert(key);
        })?;
        self.reported_empty = work.groups_reported_empty()?.into_iter().collect();
        for (seq, group, in_scope) in work.listed_groups()? {
            if group.is_everyone() {
                self.everyone = true;
                self.everyone_reported = group.members_reported;
                self.everyone_is_implied = in_scope
                    && self.strategy == Some(Strategy::Group)
                    && plan::way_by_group(&group, self.options.memberships_by) == Learned::Implied;
            }
            if let Some(reported) = group.members_reported {
                self.expected.insert(seq, (group.id.clone(), reported));
            }
            if in_scope && self.strategy.is_none() {
                self.listed.insert(seq, group);
            }
        }
        let groups_were_listed = work.is_done(&Listing::Groups)?;
        let walks = work.open_walks()?;
        users.plain_lists =
            work.started(&Listing::Deprovisioned)? + work.started(&Listing::Live)?;
        for walk in walks {
            let (id, at, seen) = (walk.id, walk.at, walk.seen);
            let through = match walk.of {
                Listing::Prefilter => Through::Users(Users::Matching(
                    self.options.scope.prefilter().unwrap_or_default(),
                )),
                Listing::Users => {
                    (self.users.cursor, self.users.cursor_at) = (Some(id), at.clone());
                    if self.users.by != UserListing::Search {
                        // Two from both ends took over from it, or the plain lists.
                        continue;
                    }
                    Through::Users(Users::All)
                }
                Listing::From(end, reached) => {
                    self.users.ends.resume(end, reached);
                    self.users.end_walks.insert(id, end);
                    Through::Users(Users::From(end))
                }
                Listing::Live => Through::Users(Users::Live),
                Listing::Deprovisioned => Through::Users(Users::Deprovisioned),
                Listing::Groups => Through::Groups,
                Listing::Members(group, id) => Through::Members(group, id),
                Listing::GroupsOf(user, id) => Through::GroupsOf(user, id),
            };
            self.users.open += usize::from(matches!(through, Through::Users(_)));
            if matches!(through, Through::Members(..) | Through::GroupsOf(..)) {
                self.steps.1 += 1;
            }
            self.start(Task::Walk(Walk {
                id,
                through,
                at,
                seen,
            }));
        }
        if groups_were_listed {
            self.groups_end();
        }
        if self.users.open == 0 {
            self.users_end()?;
        }
        self.decide()
    }

    fn start(&mut self, task: Task) {
        self.open += 1;
        // The workers hold the other end for as long as this side lives.
        let _ = self.tasks.send(task);
    }

    /// Starts a listing.
    fn walk(&mut self, listing: &Listing, through: Through) -> anyhow::Result<WalkId> {
        let id = match &mut self.state {
            Some(state) => state.work.begin(listing)?,
            None => self.next_walk,
        };
        self.next_walk += 1;
        self.start(Task::Walk(Walk {
            id,
            through,
            at: None,
            seen: Vec::new(),
        }));
        Ok(id)
    }

    fn take(&mut self, event: Event) -> anyhow::Result<()> {
        match event {
            Event::Failed(error) => return Err(error),
            Event::Users {
                step,
                kept,
                rows,
                is_first,
                is_full,
            } => self.take_users(step, kept, &rows, is_first, is_full)?,
            Event::UsersRefused { walk, error } => self.users_refused(walk, error)?,
            Event::UsersStopped { walk } => {
                self.user_walk_ended(walk);
                if self.users.cursor == Some(walk) {
                    self.open_both_ends()?;
                } else {
                    self.users_end()?;
                }
            }
            Event::Anybody { plain, visible } => self.anybody_is_visible(plain, visible)?,
            Event::Groups { step, rows } => {
                for group in rows {
                    self.take_listed_group(group)?;
                }
                if self.step(&step)? {
                    self.groups_end();
                    self.warn_of_no_everyone()?;
                    // It may have waited for the size of Everyone.
                    self.users_end_if_read()?;
                }
                self.consider_both_ends()?;
            }
            Event::Members {
                step,
                group,
                kept,
                rows,
                seen,
                new,
                is_full,
                strangers,
            } => {
                self.steps.0 += new;
                self.take_strangers(strangers)?;
                let members = self.store_users(kept, From::Side)?;
                if let Some(state) = &mut self.state {
                    state.work.memberships(group, &members)?;
                    if step.next.is_some() {
                        state.work.rows_seen(step.walk, &rows)?;
                    }
                }
                if step.next.is_none() && is_full && self.read_members_again(&step, group, seen) {
                    return self.decide();
                }
                if self.step(&step)? {
                    self.learned(group, Learned::Listed, Some(seen))?;
                    self.compare_members(group, seen, is_full)?;
                }
            }
            Event::GroupsOf { step, user, rows } => {
                if let Some((probe, saw_everyone)) = &mut self.probe
                    && *probe == user
                {
                    *saw_everyone |= rows.iter().any(Group::is_everyone);
                }
                self.take_groups_of(user, rows)?;
                if step.next.is_none()
                    && let Some((probe, saw_everyone)) = self.probe
                    && probe == user
                {
                    self.deprovisioned_in_everyone = Some(saw_everyone);
                    self.probe = None;
                }
                if self.step(&step)? {
                    self.steps.0 += 1;
                }
            }
            Event::Freshest { id, copy } => {
                self.open -= 1;
                match copy {
                    Some(copy) => {
                        self.store_users(vec![UserRow::Copy(copy)], From::Listing)?;
                    }
                    None => self.user_gone(&id)?,
                }
            }
            Event::GroupGone { walk, group, id } => {
                self.end_of(walk)?;
                if let Some(state) = &mut self.state {
                    state.work.group_gone(group)?;
                }
                self.warn_gone("group", id.as_str())?;
            }
            Event::GroupForbidden {
                walk,
                group,
                id,
                error,
            } => {
                self.end_of(walk)?;
                self.learned(group, Learned::Forbidden, None)?;
                let message = format!("cannot read its members: {}", error.without_id());
                self.warn(MEMBERS_FORBIDDEN, "group", Some(id.as_str()), message)?;
            }
            Event::UserGone { walk, id } => {
                self.end_of(walk)?;
                self.steps.0 += 1;
                self.user_gone(&id)?;
            }
            Event::UserForbidden {
                walk,
                user,
                id,
                error,
            } => {
                self.end_of(walk)?;
                self.steps.0 += 1;
                if self.probe.is_some_and(|(probe, _)| probe == user) {
                    self.probe = None;
                    let message = format!(
                        "cannot tell whether deprovisioned users are in Everyone: {}",
                        error.without_id()
                    );
                    self.warn("everyone_unknown", "user", Some(id.as_str()), message)?;
                    return self.decide();
                }
                let login = match &self.state {
                    Some(state) => state.work.login_of(user)?.unwrap_or_default(),
                    None => String::new(),
                };
                let message = format!(
                    "the groups of this user ({login}) may not be read: {}",
                    error.without_id()
                );
                self.warn(GROUPS_FORBIDDEN, "user", Some(id.as_str()), message)?;
            }
        }
        self.decide()
    }

    /// Notes where a walk is after a page. Whether that was its last.
    fn step(&mut self, step: &Step) -> anyhow::Result<bool> {
        if let Some(state) = &mut self.state {
            state.work.step(step.walk, step.next.as_deref())?;
        }
        let ended = step.next.is_none();
        self.open -= u64::from(ended);
        Ok(ended)
    }

    /// Lists a group's members once more where the list ended on a full page with fewer than Okta counts: it may have been
    /// cut short. Whether it does.
    fn read_members_again(&mut self, step: &Step, group: Seq, seen: u64) -> bool {
        let Some((id, reported)) = self.expected.get(&group) else {
            return false;
        };
        if seen >= *reported || !self.read_again.insert(group) {
            return false;
        }
        tracing::warn!(
            "group {id}: the member list ended on a full page with {seen} of {reported}; reading it once more"
        );
        let through = Through::Members(group, id.clone());
        self.open -= 1;
        self.start(Task::Walk(Walk {
            id: step.walk,
            through,
            at: None,
            seen: Vec::new(),
        }));
        true
    }

    /// Compares how many members were listed with Okta's count.
    fn compare_members(&mut self, group: Seq, seen: u64, is_full: bool) -> anyhow::Result<()> {
        let Some((id, reported)) = self.expected.get(&group).cloned() else {
            return Ok(());
        };
        let (code, ending) = if seen < reported && is_full {
            (MEMBERS_CUT, ", and the list ended on a full page")
        } else if seen + ends::tolerance(reported) < reported {
            ("members_differ", "")
        } else {
            return Ok(());
        };
        let message = format!(
            "listed {} of {}{ending}",
            text::number(seen),
            text::count(reported, "member")
        );
        self.warn(code, "group", Some(id.as_str()), message)
    }

    /// Notes that a walk ended without a last page.
    fn end_of(&mut self, walk: WalkId) -> anyhow::Result<()> {
        self.step(&Step { walk, next: None })?;
        Ok(())
    }

    fn groups_end(&mut self) {
        self.groups_listed = true;
        let (wish, sizes) = (self.options.memberships_by, self.shared.sizes);
        let requests = |group| plan::requests_by_group(group, wish, sizes);
        self.by_group = self.listed.values().map(requests).sum();
        let implied = |group: &Group| plan::way_by_group(group, wish) == Learned::Implied;
        // One more for a deprovisioned user, who shows whether such users are in Everyone.
        self.by_group += u64::from(self.listed.values().any(implied));
    }

    /// Ends the list of users, if all of it was read.
    fn users_end_if_read(&mut self) -> anyhow::Result<()> {
        if self.users.ends_full {
            self.users_end()?;
        }
        Ok(())
    }

    fn warn_of_no_everyone(&mut self) -> anyhow::Result<()> {
        if self.everyone {
            return Ok(());
        }
        self.warn(EVERYONE_MISSING, "run", None, NO_EVERYONE.to_owned())
    }

    fn user_gone(&mut self, id: &UserId) -> anyhow::Result<()> {
        self.shared.users.gone(id.as_str());
        if let Some(state) = &mut self.state {
            state.work.user_gone(id)?;
        }
        self.warn_gone("user", id.as_str())
    }

    /// Starts reading memberships, once it is certain how.
    fn decide(&mut self) -> anyhow::Result<()> {
        if !self.groups_listed {
            return Ok(());
        }
        let users_listed = self.users.done;
        if users_listed && !self.guarded {
            // Also where memberships are being read already: an empty scope may look cheap.
            self.guarded = true;
            self.guard()?;
        }
        if self.strategy.is_some() {
            return Ok(());
        }
        let wish = self.options.memberships_by;
        // A plan is about numbers, which are certain at the end only.
        let early = if self.options.plan {
            None
        } else {
            plan::choose_early(self.by_group, self.shared.users.in_scope(), wish)
        };
        let strategy = match early {
            Some(strategy) => strategy,
            None if users_listed => plan::choose(self.by_group, self.shared.users.in_scope(), wish),
            None => return Ok(()),
        };
        self.strategy = Some(strategy);
        if self.options.plan {
            return Ok(());
        }
        match strategy {
            Strategy::Group => self.start_by_group(),
            Strategy::User => self.start_by_user(),
        }
    }

    fn start_by_group(&mut self) -> anyhow::Result<()> {
        let mut groups: Vec<(Seq, Group)> = std::mem::take(&mut self.listed).into_iter().collect();
        // The largest first: the run must not end with one worker on one long listing.
        groups.sort_by_key(|(seq, group)| (std::cmp::Reverse(group.members_reported), *seq));
        for (seq, group) in groups {
            match plan::way_by_group(&group, self.options.memberships_by) {
                Learned::Listed => {
                    if let Some(reported) = group.members_reported {
                        self.expected.insert(seq, (group.id.clone(), reported));
                    }
                    self.steps.1 += group.members_reported.unwrap_or(0);
                    let listing = Listing::Members(seq, group.id.clone());
                    self.walk(&listing, Through::Members(seq, group.id))?;
                }
                known => {
                    self.everyone_is_implied |= known == Learned::Implied;
                    if known == Learned::ReportedEmpty {
                        self.reported_empty.insert(seq, group.id);
                    }
                    self.learned(seq, known, None)?;
                }
            }
        }
        Ok(())
    }

    /// Lists a group that Okta counts as empty, since somebody was seen in it.
    fn list_after_all(&mut self, group: Seq) -> anyhow::Result<()> {
        if let Some(id) = self.reported_empty.remove(&group) {
            let listing = Listing::Members(group, id.clone());
            self.walk(&listing, Through::Members(group, id))?;
        }
        Ok(())
    }

    fn start_by_user(&mut self) -> anyhow::Result<()> {
        self.listed.clear();
        let users = match &self.state {
            Some(state) => state.work.users_to_ask()?,
            None => Vec::new(),
        };
        self.steps.1 = users.len() as u64;
        for (seq, id) in users {
            let listing = Listing::GroupsOf(seq, id.clone());
            self.walk(&listing, Through::GroupsOf(seq, id))?;
        }
        Ok(())
    }

    /// Looks into what remains doubtful once all listings are at their end. Whether anything has to be asked for that.
    fn doubts_remain(&mut self) -> anyhow::Result<bool> {
        while self.open == 0 && !self.options.plan {
            match self.doubts {
                Doubts::Ahead => {
                    self.doubts = Doubts::Everyone;
                    self.ask_for_everyone()?;
                }
                Doubts::Everyone => {
                    self.doubts = Doubts::Copies;
                    self.ask_for_copies();
                }
                Doubts::Copies => {
                    self.doubts = Doubts::Late;
                    self.ask_for_groups_of_the_late()?;
                }
                Doubts::Late => break,
            }
        }
        Ok(self.open > 0)
    }

    /// Whether a deprovisioned user is in Everyone is not documented, so one is looked at, where the members of Everyone
    /// are implied.
    fn ask_for_everyone(&mut self) -> anyhow::Result<()> {
        if !self.everyone_is_implied || self.deprovisioned_in_everyone.is_some() {
            return Ok(());
        }
        let found = match &self.state {
            Some(state) => state.work.deprovisioned_user()?,
            None => None,
        };
        if let Some((seq, id)) = found {
            self.probe = Some((seq, false));
            let listing = Listing::GroupsOf(seq, id.clone());
            self.walk(&listing, Through::GroupsOf(seq, id))?;
        }
        Ok(())
    }

    /// Users that were kept because a group's members held them in scope, although the listing held them out of scope:
    /// of those the listing's copy is not known any more, so they are asked for again.
    fn ask_for_copies(&mut self) {
        let listed = &self.users.rows;
        let is_doubtful = |id: &UserId, listed_in_scope: bool| {
            !listed_in_scope && listed.contains(&RowKey::of(id.as_str()))
        };
        for (_, id) in self.shared.users.in_scope_where(is_doubtful) {
            self.start(Task::User(id));
        }
    }

    /// Users who are in scope now and were not when some group's members were read: those memberships were let go, so
    /// their groups are asked for. By user, nothing is let go.
    fn ask_for_groups_of_the_late(&mut self) -> anyhow::Result<()> {
        if self.strategy != Some(Strategy::Group) || self.strangers.is_empty() {
            return Ok(());
        }
        let asked = match &self.state {
            Some(state) => state.work.users_asked()?,
            None => HashSet::new(),
        };
        let strangers = &self.strangers;
        let is_late = |id: &UserId, _: bool| strangers.contains(&RowKey::of(id.as_str()));
        let late = self.shared.users.in_scope_where(is_late);
        for (seq, id) in late.into_iter().filter(|(_, id)| !asked.contains(id)) {
            let listing = Listing::GroupsOf(seq, id.clone());
            self.walk(&listing, Through::GroupsOf(seq, id))?;
        }
        Ok(())
    }

    /// A page of the groups of a user.
    fn take_groups_of(&mut self, user: Seq, rows: Vec<Group>) -> anyhow::Result<()> {
        if self.strategy == Some(Strategy::Group) {
            for group in rows {
                let known = self.groups.seq(group.id.as_str());
                if let (Some(group), Some(state)) = (known, &mut self.state) {
                    state.work.memberships(group, &[user])?;
                    self.list_after_all(group)?;
                }
            }
            return Ok(());
        }
        let mut groups = Vec::with_capacity(rows.len());
        for group in rows {
            groups.push(self.take_group_of_user(&group)?);
        }
        match &mut self.state {
            Some(state) => state.work.memberships(user, &groups),
            None => Ok(()),
        }
    }

    /// Members who are in no scope, perhaps only not yet.
    fn take_strangers(&mut self, mut strangers: Vec<RowKey>) -> anyhow::Result<()> {
        strangers.retain(|key| self.strangers.insert(*key));
        match &mut self.state {
            Some(state) if !strangers.is_empty() => state.work.strangers(&strangers),
            _ => Ok(()),
        }
    }

    /// Whether it is worth going on.
    fn guard(&self) -> anyhow::Result<()> {
        if self.users.rows.is_empty() && self.users.anybody != Some(true) {
            return Err(Ending {
                exit: Exit::Credentials,
                message: "Okta returned no users; the token's owner has no admin role that can read users; Read-Only Administrator is enough".to_owned(),
            }
            .into());
        }
        if self.options.allow_empty {
            return Ok(());
        }
        if self.shared.users.in_scope() == 0 {
            let seen = match self.users.by {
                UserListing::Prefilter => "the users that Okta's search found".to_owned(),
                _ => text::count(self.users.rows.len() as u64, "user"),
            };
            let domains: Vec<String> = self
                .options
                .scope
                .domains()
                .iter()
                .map(ToString::to_string)
                .collect();
            return Err(Ending::guard(format!(
                "none of {} is in scope: no address is in {}; check --email-domains, or pass --allow-empty",
                seen,
                domains.join(", ")
            ))
            .into());
        }
        if self.groups.in_scope() == 0 {
            let filter = self
                .options
                .scope
                .group_name()
                .map_or(String::new(), |text| {
                    format!(": no name contains {:?}", text.to_string())
                });
            return Err(Ending::guard(format!(
                "none of {} is in scope{filter}; check --group-name-filter, or pass --allow-empty",
                text::count(self.groups.listed(), "group"),
            ))
            .into());
        }
        Ok(())
    }

    fn store_users(&mut self, rows: Vec<UserRow>, from: From) -> anyhow::Result<Vec<Seq>> {
        let mut seqs = Vec::with_capacity(rows.len());
        for row in rows {
            seqs.push(match row {
                UserRow::Known(seq) => seq,
                UserRow::Copy(copy) => self.store_user(&copy, from)?,
            });
        }
        Ok(seqs)
    }

    fn store_user(&mut self, copy: &UserCopy, from: From) -> anyhow::Result<Seq> {
        let (user, in_scope) = (&copy.user, copy.matched_by.is_some());
        let users = &self.shared.users;
        let admitted = users.admit(user.id.clone(), user.last_updated, from, in_scope);
        match &mut self.state {
            Some(state) if admitted.stored => {
                state.work.user(admitted.seq, copy, from, admitted.listed)?;
            }
            Some(state) if admitted.newly_listed => state.work.user_listed(admitted.seq)?,
            _ => {}
        }
        Ok(admitted.seq)
    }

    fn take_listed_group(&mut self, group: Group) -> anyhow::Result<()> {
        if group.is_everyone() {
            self.everyone = true;
            self.everyone_reported = group.members_reported;
        }
        let in_scope = self.options.scope.group(group.name());
        let Admitted { seq, stored, .. } = self.groups.admit(
            group.id.clone(),
            group.last_updated,
            From::Listing,
            in_scope,
        );
        if !stored {
            return Ok(());
        }
        if let Some(state) = &mut self.state {
            state.work.group(seq, &group, in_scope, From::Listing)?;
        }
        // A group that is there twice, renamed between two pages, counts by its newer copy.
        if in_scope {
            self.listed.insert(seq, group);
        } else {
            self.listed.remove(&seq);
        }
        Ok(())
    }

    /// A group on a page of a user's groups: its number. One that is in no scope has one too, since it may come into it
    /// before the run is over.
    fn take_group_of_user(&mut self, group: &Group) -> anyhow::Result<Seq> {
        let in_scope = self.options.scope.group(group.name());
        let known = self
            .groups
            .judge(group.id.as_str(), group.last_updated, From::Side);
        if let Copy::Known(seq) = known {
            return Ok(seq);
        }
        let Admitted { seq, stored, .. } =
            self.groups
                .admit(group.id.clone(), group.last_updated, From::Side, in_scope);
        if let (Some(state), true) = (&mut self.state, stored) {
            state.work.group(seq, group, in_scope, From::Side)?;
        }
        Ok(seq)
    }

    fn learned(&mut self, group: Seq, learned: Learned, seen: Option<u64>) -> anyhow::Result<()> {
        match &mut self.state {
            Some(state) => state.work.learned(group, learned, seen),
            None => Ok(()),
        }
    }

    fn warn_gone(&mut self, kind: &str, id: &str) -> anyhow::Result<()> {
        let message = "deleted during the run; left out of the snapshot".to_owned();
        self.warn(&format!("{kind}_vanished"), kind, Some(id), message)
    }

    fn warn(
        &mut self,
        code: &str,
        kind: &str,
        object: Option<&str>,
        message: String,
    ) -> anyhow::Result<()> {
        let is_this =
            |warning: &Warning| warning.code == code && warning.object_id.as_deref() == object;
        if self.warnings.iter().any(is_this) {
            // Said before the run was interrupted.
            return Ok(());
        }
        let name = object.map_or(String::new(), |id| format!("{kind} {id}: "));
        tracing::warn!("{name}{message}");
        let warning = Warning {
            code: code.to_owned(),
            kind: kind.to_owned(),
            object_id: object.map(str::to_owned),
            message,
        };
        if let Some(state) = &mut self.state {
            state.work.warning(&warning)?;
        }
        self.warnings.push(warning);
        Ok(())
    }

    /// Commits what is there, if that is due.
    fn save(&mut self, idle: bool) -> anyhow::Result<()> {
        if self
            .state
            .as_ref()
            .is_some_and(|state| state.work.is_due(idle))
        {
            self.save_all()?;
        }
        Ok(())
    }

    fn save_all(&mut self) -> anyhow::Result<()> {
        let Some(state) = &mut self.state else {
            return Ok(());
        };
        let cost = self.cost_before + self.shared.client.cost();
        let progress = &mut *state.progress;
        progress.cost = cost;
        progress.users_listed_by = Some(self.users.by);
        progress.ends_tried = self.users.ends_tried;
        progress.anybody = self.users.anybody;
        progress.strategy = self.strategy;
        progress.deprovisioned_in_everyone = self.deprovisioned_in_everyone;
        state.work.note(progress)?;
        state.work.commit()
    }

    fn tally(&self, client: &Client) -> Tally {
        Tally {
            users: (
                self.users.rows.len() as u64,
                // With a prefilter Everyone's size says nothing of how many come.
                self.everyone_reported
                    .filter(|_| !self.options.scope.skip_secondary()),
            ),
            users_done: self.users.done,
            groups: self.groups.listed(),
            groups_done: self.groups_listed,
            memberships: (self.steps.0, self.strategy.map(|_| self.steps.1)),
            unit: if self.strategy == Some(Strategy::User) {
                "users' groups"
            } else {
                "members"
            },
            waiting: client.waiting(),
        }
    }

    /// Compares how many users were listed with Okta's count of Everyone. Only one direction is proof: whether Okta counts
    /// deprovisioned users is not documented, but nobody can be in Everyone who is in no list.
    fn compare_users(&mut self) -> anyhow::Result<()> {
        let Some(everyone) = self.everyone_reported else {
            return Ok(());
        };
        let (all, active) = (self.users.rows.len() as u64, self.users.active);
        let cut_short = self.users.ends_full && self.users.read_again && all < everyone;
        if cut_short || all + ends::tolerance(everyone) < everyone {
            let message = users_missing(all, everyone);
            return self.warn(USERS_MISSING, "run", None, message);
        }
        if active > everyone + ends::tolerance(everyone) {
            let message = format!(
                "listed {} that are not deprovisioned, but Okta reports {} members in Everyone",
                text::count(active, "user"),
                text::number(everyone)
            );
            self.warn("everyone_differs", "run", None, message)?;
        }
        Ok(())
    }

    fn end(mut self) -> anyhow::Result<Gathered> {
        let strategy = self.strategy.context("the listings ended without a plan")?;
        let users = &self.shared.users;
        let whole_list = self.users.by != UserListing::Prefilter;
        if whole_list {
            self.compare_users()?;
        }
        let (mut users_vanished, mut groups_vanished) = (0, 0);
        if let Some(state) = &mut self.state {
            if strategy == Strategy::User {
                let unread = state.work.users_unread()?;
                anyhow::ensure!(
                    unread == 0,
                    "the groups of {} were not read; this is a bug, please report it",
                    text::count(unread, "user")
                );
                state.work.all_learned(Learned::ByUser)?;
            }
            (users_vanished, groups_vanished) = state.work.gone()?;
        }
        self.save_all()?;
        if let Some(state) = &mut self.state {
            state.work.finish()?;
        }
        // The same run gives the same warnings in the same order, whichever worker was first.
        self.warnings
            .sort_by(|a, b| (&a.code, &a.object_id).cmp(&(&b.code, &b.object_id)));
        let mut missing: Vec<String> = self.warnings.iter().filter_map(missing).collect();
        missing.sort();
        Ok(Gathered {
            strategy,
            users_listed_by: self.users.by,
            users_seen: whole_list.then_some(self.users.rows.len() as u64),
            users_not_deprovisioned: whole_list.then_some(self.users.active),
            users_in_scope: users.in_scope(),
            users_only_as_members: users.unlisted(),
            users_vanished,
            groups_seen: self.groups.listed(),
            groups_in_scope: self.groups.in_scope(),
            groups_only_from_users: self.groups.unlisted(),
            groups_vanished,
            everyone_reported: self.everyone_reported,
            deprovisioned_in_everyone: self.deprovisioned_in_everyone,
            by_group: self.by_group,
            by_user: users.in_scope(),
            warnings: self.warnings,
            missing,
            domains_unmet: domains_unmet(self.shared),
            cost: self.cost_before + self.shared.client.cost(),
        })
    }
}

fn domains_unmet(shared: &Shared) -> Vec<Domain> {
    let domains = shared.scope.domains().iter().zip(&shared.domains_met);
    domains
        .filter(|(_, met)| !met.load(Ordering::Relaxed))
        .map(|(domain, _)| domain.clone())
        .collect()
}

/// The code of a warning about a domain of the scope.
pub const DOMAIN_UNUSED: &str = "domain_unused";

/// A domain that nobody is in is often a typing error.
pub fn domain_unused(domain: &str) -> Warning {
    Warning {
        code: DOMAIN_UNUSED.to_owned(),
        kind: "run".to_owned(),
        object_id: None,
        message: format!(
            "no user has an address in {domain}; see whether --email-domains is spelled right"
        ),
    }
}

const MEMBERS_FORBIDDEN: &str = "members_forbidden";
const GROUPS_FORBIDDEN: &str = "groups_forbidden";
const MEMBERS_CUT: &str = "members_cut";
const USERS_MISSING: &str = "users_missing";
const EVERYONE_MISSING: &str = "everyone_missing";
const NO_EVERYONE: &str = "the group Everyone is missing: the token can see only part of the org";

fn users_missing(listed: u64, everyone: u64) -> String {
    format!(
        "listed {} of all statuses, but Okta reports {} members in Everyone: the token can see only part of the org, or the list was cut short",
        text::count(listed, "user"),
        text::number(everyone)
    )
}

/// What a warning says is missing from the snapshot, if it does.
fn missing(warning: &Warning) -> Option<String> {
    let id = warning.object_id.as_deref().unwrap_or_default();
    match warning.code.as_str() {
        MEMBERS_FORBIDDEN => Some(format!("the members of group {id} may not be read")),
        GROUPS_FORBIDDEN => Some(format!("the groups of user {id} may not be read")),
        MEMBERS_CUT => Some(format!("group {id}: {}", warning.message)),
        USERS_MISSING => Some(warning.message.clone()),
        EVERYONE_MISSING => Some(NO_EVERYONE.to_owned()),
        _ => None,
    }
}
