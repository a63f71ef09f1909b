//! The threads of a sync: workers that walk listings, and the one thread that decides and writes.
//!
//! - A worker takes a task (one listing), walks it, and sends what it keeps through a bounded queue. It shares nothing
//!   else but the directory of users, which it only reads.
//! - The calling thread writes the working database, so there is one writer, and decides what is asked next.
//! - Users and groups are listed side by side. Memberships start as soon as it is certain how they are read.
//! - A worker may sit in a read for as long as `--timeout`; nobody waits for it. When the caller has an error or a
//!   signal, it drops the queues and goes, and the process ends without the workers.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};

use super::plan::{self, Strategy};
use super::work::{Copy, Directory, From, Seq, UserCopy, Work};
use crate::config::{PageSizes, Sync};
use crate::console::{self, Progress, Tally};
use crate::exit::{Ending, Exit};
use crate::filter::{Addresses, Scope};
use crate::model::{Group, GroupId, Learned, UserId};
use crate::okta::page::RowKey;
use crate::okta::read::{self, UserListing};
use crate::okta::wire::{self, Malformed};
use crate::okta::{Client, Error, Stop};
use crate::snapshot::Warning;

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
    /// Requests that reading by group takes.
    pub by_group: u64,
    /// Requests that reading by user takes.
    pub by_user: u64,
    /// What to know about the snapshot.
    pub warnings: Vec<Warning>,
    /// Why it is incomplete, if it is: one line a reason.
    pub missing: Vec<String>,
}

/// A listing to walk.
#[derive(Debug)]
enum Task {
    Users,
    Groups,
    Members(Seq, GroupId),
    GroupsOf(Seq, UserId),
    /// One user, read by id.
    User(UserId),
}

/// One row of a page of users.
#[derive(Debug)]
enum UserRow {
    Known(Seq),
    Copy(Box<UserCopy>),
}

/// What a worker has to say.
#[derive(Debug)]
enum Event {
    Users {
        rows: Vec<UserRow>,
        seen: u64,
        active: u64,
    },
    UsersEnd {
        listing: UserListing,
        rows: HashSet<RowKey>,
        visible: bool,
    },
    Freshest {
        id: UserId,
        copy: Option<Box<UserCopy>>,
    },
    Groups {
        rows: Vec<Group>,
        seen: u64,
    },
    GroupsEnd,
    Members {
        group: Seq,
        rows: Vec<UserRow>,
        seen: u64,
    },
    MembersEnd {
        group: Seq,
        distinct: u64,
    },
    GroupsOf {
        user: Seq,
        rows: Vec<Group>,
    },
    GroupsOfEnd,
    GroupGone {
        group: Seq,
        id: GroupId,
    },
    GroupForbidden {
        group: Seq,
        id: GroupId,
        error: Error,
    },
    UserGone {
        id: UserId,
    },
    UserForbidden {
        user: Seq,
        id: UserId,
        error: Error,
    },
    Failed(anyhow::Error),
}

/// What every worker has.
struct Shared {
    client: Arc<Client>,
    scope: Scope,
    sizes: PageSizes,
    users: Directory<UserId>,
    tasks: Receiver<Task>,
    events: Sender<Event>,
}

/// Pages that may wait for the writer. Each is at most 1,000 users, of which few are copies.
const QUEUE: usize = 16;
/// How often the caller looks at signals and redraws.
const GLANCE: Duration = Duration::from_millis(100);

/// Reads an org into the working database; without one, only what a plan needs.
///
/// # Errors
/// The first error of a worker, a signal, or a guard.
pub fn gather(
    config: &Sync,
    client: &Arc<Client>,
    stop: &Stop,
    work: Option<&mut Work>,
    progress: &mut Progress,
) -> anyhow::Result<Gathered> {
    let (task_in, tasks) = unbounded();
    let (event_in, events) = bounded(QUEUE);
    let shared = Arc::new(Shared {
        client: Arc::clone(client),
        scope: config.scope.clone(),
        sizes: config.connection.page_sizes,
        users: Directory::default(),
        tasks,
        events: event_in,
    });
    for number in 0..config.connection.concurrency {
        let shared = Arc::clone(&shared);
        thread::Builder::new()
            .name(format!("worker-{number}"))
            .spawn(move || shared.work())
            .context("cannot start a thread")?;
    }
    let mut run = Run::new(config, &shared, task_in, work);
    run.start(Task::Users);
    run.start(Task::Groups);
    while run.open > 0 || run.doubts_remain() {
        stop.check()?;
        progress.show(&run.tally(client));
        match events.recv_timeout(GLANCE) {
            Ok(event) => run.take(event)?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => anyhow::bail!("all workers are gone"),
        }
    }
    stop.check()?;
    run.end()
}

impl Shared {
    /// A worker's life.
    fn work(&self) {
        while let Ok(task) = self.tasks.recv() {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.walk(task)));
            let event = result.unwrap_or_else(|_| {
                Event::Failed(anyhow::anyhow!(
                    "a worker panicked: this is a bug, please report it"
                ))
            });
            if self.events.send(event).is_err() {
                return;
            }
        }
    }

    /// Walks one listing, and says how it ended.
    fn walk(&self, task: Task) -> Event {
        let client = &self.client;
        // A send fails when the caller is gone: then the walk ends too.
        let send = |event| self.events.send(event).is_ok();
        match task {
            Task::Users => {
                let keep = |user: &wire::User<'_>| self.keep(user, From::Listing);
                let sink = |page: read::Page<UserRow>| {
                    send(Event::Users {
                        rows: page.kept,
                        seen: page.seen,
                        active: page.active,
                    })
                };
                let prefilter = self.scope.prefilter();
                let listed =
                    read::users(client, self.sizes.users, prefilter.as_deref(), keep, sink);
                let listed = listed.and_then(|(listing, rows)| {
                    // That nobody was found is no proof that nobody is visible.
                    let visible = !rows.is_empty()
                        || listing == UserListing::Prefilter && read::anybody(client)?;
                    Ok(Event::UsersEnd {
                        listing,
                        rows,
                        visible,
                    })
                });
                listed.unwrap_or_else(|error| failed(error, "reading users"))
            }
            Task::Groups => {
                let sink = |page: read::Page<Group>| {
                    send(Event::Groups {
                        rows: page.kept,
                        seen: page.seen,
                    })
                };
                match read::groups(client, self.sizes.groups, sink) {
                    Ok(()) => Event::GroupsEnd,
                    Err(error) => failed(error, "reading groups"),
                }
            }
            Task::Members(group, id) => {
                let keep = |user: &wire::User<'_>| self.keep(user, From::Side);
                let mut before = 0;
                let sink = |page: read::Page<UserRow>| {
                    let seen = page.seen - before;
                    before = page.seen;
                    send(Event::Members {
                        group,
                        rows: page.kept,
                        seen,
                    })
                };
                match read::members(client, &id, self.sizes.members, keep, sink) {
                    Ok(distinct) => Event::MembersEnd { group, distinct },
                    Err(error) if error.is_gone() => Event::GroupGone { group, id },
                    Err(error) if error.status() == Some(403) => {
                        Event::GroupForbidden { group, id, error }
                    }
                    Err(error) => failed(error, &format!("reading the members of group {id}")),
                }
            }
            Task::User(id) => self.freshest(id),
            Task::GroupsOf(user, id) => {
                let sink = |page: read::Page<Group>| {
                    send(Event::GroupsOf {
                        user,
                        rows: page.kept,
                    })
                };
                match read::groups_of(client, &id, sink) {
                    Ok(()) => Event::GroupsOfEnd,
                    Err(error) if error.is_gone() => Event::UserGone { id },
                    Err(error) if error.status() == Some(403) => {
                        Event::UserForbidden { user, id, error }
                    }
                    Err(error) => failed(error, &format!("reading the groups of user {id}")),
                }
            }
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

/// The caller's side.
struct Run<'a> {
    config: &'a Sync,
    shared: &'a Shared,
    tasks: Sender<Task>,
    work: Option<&'a mut Work>,
    groups: Directory<GroupId>,
    /// Groups in scope, each by the copy that won, until the memberships start.
    listed: HashMap<Seq, Group>,
    /// The rows of the user listing, in scope or not.
    listed_users: HashSet<RowKey>,
    /// Tasks that have not ended.
    open: u64,
    strategy: Option<Strategy>,
    users_listed_by: Option<UserListing>,
    groups_listed: bool,
    guarded: bool,
    doubts_settled: bool,
    anybody_visible: bool,
    users_seen: u64,
    active_seen: u64,
    groups_seen: u64,
    everyone: bool,
    everyone_reported: Option<u64>,
    by_group: u64,
    /// Members, or users, to go through and gone through.
    steps: (u64, u64),
    users_vanished: u64,
    groups_vanished: u64,
    warnings: Vec<Warning>,
    missing: Vec<String>,
}

impl<'a> Run<'a> {
    fn new(
        config: &'a Sync,
        shared: &'a Shared,
        tasks: Sender<Task>,
        work: Option<&'a mut Work>,
    ) -> Self {
        Self {
            config,
            shared,
            tasks,
            work,
            groups: Directory::default(),
            listed: HashMap::new(),
            listed_users: HashSet::new(),
            open: 0,
            strategy: None,
            users_listed_by: None,
            groups_listed: false,
            guarded: false,
            doubts_settled: false,
            anybody_visible: false,
            users_seen: 0,
            active_seen: 0,
            groups_seen: 0,
            everyone: false,
            everyone_reported: None,
            by_group: 0,
            steps: (0, 0),
            users_vanished: 0,
            groups_vanished: 0,
            warnings: Vec::new(),
            missing: Vec::new(),
        }
    }

    fn start(&mut self, task: Task) {
        self.open += 1;
        // The workers hold the other end for as long as this side lives.
        let _ = self.tasks.send(task);
    }

    fn take(&mut self, event: Event) -> anyhow::Result<()> {
        match event {
            Event::Failed(error) => return Err(error),
            Event::Users { rows, seen, active } => {
                self.users_seen = seen;
                self.active_seen = active;
                self.store_users(rows, From::Listing)?;
            }
            Event::Groups { rows, seen } => {
                self.groups_seen = seen;
                for group in rows {
                    self.take_listed_group(group)?;
                }
            }
            Event::UsersEnd {
                listing,
                rows,
                visible,
            } => {
                self.open -= 1;
                self.anybody_visible = visible;
                self.listed_users = rows;
                self.users_listed_by = Some(listing);
                if listing == UserListing::Plain {
                    self.warn(
                        "search_refused",
                        "run",
                        None,
                        "Okta refused to search for users; they were read from its plain lists"
                            .to_owned(),
                    );
                }
            }
            Event::GroupsEnd => {
                self.open -= 1;
                self.groups_listed = true;
                let (wish, sizes) = (self.config.memberships_by, self.shared.sizes);
                let requests = |group| plan::requests_by_group(group, wish, sizes);
                self.by_group = self.listed.values().map(requests).sum();
                if !self.everyone {
                    self.missing.push(
                        "the group list lacks Everyone: the token sees only a part of the org"
                            .to_owned(),
                    );
                    self.warn(
                        "everyone_missing",
                        "run",
                        None,
                        "the group list lacks Everyone: the token sees only a part of the org"
                            .to_owned(),
                    );
                }
            }
            Event::Members { group, rows, seen } => {
                self.steps.0 += seen;
                let members = self.store_users(rows, From::Side)?;
                if let Some(work) = &mut self.work {
                    work.memberships(group, &members)?;
                }
            }
            Event::MembersEnd { group, distinct } => {
                self.open -= 1;
                self.learned(group, Learned::Listed, Some(distinct))?;
            }
            Event::GroupsOf { user, rows } => {
                let mut groups = Vec::with_capacity(rows.len());
                for group in rows {
                    groups.extend(self.take_group_of_user(&group)?);
                }
                if let Some(work) = &mut self.work {
                    work.memberships(user, &groups)?;
                }
            }
            Event::Freshest { id, copy } => {
                self.open -= 1;
                match (copy, &mut self.work) {
                    (Some(copy), _) => {
                        self.store_users(vec![UserRow::Copy(copy)], From::Listing)?;
                    }
                    (None, Some(work)) => {
                        self.users_vanished += 1;
                        work.user_gone(&id)?;
                        self.warn_gone("user", id.as_str());
                    }
                    (None, None) => {}
                }
            }
            Event::GroupsOfEnd => self.user_done(),
            Event::GroupGone { group, id } => {
                self.open -= 1;
                self.groups_vanished += 1;
                if let Some(work) = &mut self.work {
                    work.group_gone(group)?;
                }
                self.warn_gone("group", id.as_str());
            }
            Event::GroupForbidden { group, id, error } => {
                self.open -= 1;
                self.learned(group, Learned::Forbidden, None)?;
                self.missing
                    .push(format!("the members of group {id} may not be read"));
                let message = format!(
                    "the members of this group may not be read: {}",
                    error.without_id()
                );
                self.warn("members_forbidden", "group", Some(id.as_str()), message);
            }
            Event::UserGone { id } => {
                self.user_done();
                self.users_vanished += 1;
                if let Some(work) = &mut self.work {
                    work.user_gone(&id)?;
                }
                self.warn_gone("user", id.as_str());
            }
            Event::UserForbidden { user, id, error } => {
                self.user_done();
                let login = match &self.work {
                    Some(work) => work.login_of(user)?.unwrap_or_default(),
                    None => String::new(),
                };
                self.missing
                    .push(format!("the groups of user {id} may not be read"));
                let message = format!(
                    "the groups of this user ({login}) may not be read: {}",
                    error.without_id()
                );
                self.warn("groups_forbidden", "user", Some(id.as_str()), message);
            }
        }
        self.decide()
    }

    fn user_done(&mut self) {
        self.open -= 1;
        self.steps.0 += 1;
    }

    /// Starts reading memberships, once it is certain how.
    fn decide(&mut self) -> anyhow::Result<()> {
        if !self.groups_listed {
            return Ok(());
        }
        let users_listed = self.users_listed_by.is_some();
        if users_listed && !self.guarded {
            // Also where memberships are being read already: an empty scope may look cheap.
            self.guarded = true;
            self.guard()?;
        }
        if self.strategy.is_some() {
            return Ok(());
        }
        let wish = self.config.memberships_by;
        // A plan is about numbers, which are certain at the end only.
        let early = if self.config.plan {
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
        if self.config.plan {
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
            match plan::way_by_group(&group, self.config.memberships_by) {
                Learned::Listed => {
                    self.steps.1 += group.members_reported.unwrap_or(0);
                    self.start(Task::Members(seq, group.id));
                }
                known => self.learned(seq, known, None)?,
            }
        }
        Ok(())
    }

    fn start_by_user(&mut self) -> anyhow::Result<()> {
        self.listed.clear();
        let users = match &self.work {
            Some(work) => work.users_to_ask()?,
            None => Vec::new(),
        };
        self.steps.1 = users.len() as u64;
        for (seq, id) in users {
            self.start(Task::GroupsOf(seq, id));
        }
        Ok(())
    }

    /// Users that were kept because a group's members held them in scope, although the listing held them out of scope:
    /// of those the listing's copy is not known any more, so they are asked for again. Whether any were found.
    fn doubts_remain(&mut self) -> bool {
        if self.doubts_settled || self.config.plan {
            return false;
        }
        self.doubts_settled = true;
        let unlisted = self.shared.users.unlisted_ids();
        let doubtful: Vec<UserId> = unlisted
            .into_iter()
            .filter(|id| self.listed_users.contains(&RowKey::of(id.as_str())))
            .collect();
        self.listed_users = HashSet::new();
        for id in doubtful {
            self.start(Task::User(id));
        }
        self.open > 0
    }

    /// Whether it is worth going on.
    fn guard(&self) -> anyhow::Result<()> {
        if !self.anybody_visible {
            return Err(Ending {
                exit: Exit::Credentials,
                message: "Okta shows no user at all: the token's owner has no admin role that may read users; Read-Only Administrator is enough".to_owned(),
            }
            .into());
        }
        if self.config.allow_empty {
            return Ok(());
        }
        if self.shared.users.in_scope() == 0 {
            let seen = match self.users_listed_by {
                Some(UserListing::Prefilter) => "the users that Okta's search found".to_owned(),
                _ => console::count(self.users_seen, "user"),
            };
            let domains: Vec<String> = self
                .config
                .scope
                .domains()
                .iter()
                .map(ToString::to_string)
                .collect();
            return Err(Ending::guard(format!(
                "none of {} is in scope: no address ends with {}; check --email-domains, or give --allow-empty",
                seen,
                domains.join(", ")
            ))
            .into());
        }
        if self.groups.in_scope() == 0 {
            let filter = self
                .config
                .scope
                .group_name()
                .map_or(String::new(), |text| {
                    format!(": no name contains {:?}", text.to_string())
                });
            return Err(Ending::guard(format!(
                "none of {} is in scope{filter}; check --group-name-filter, or give --allow-empty",
                console::count(self.groups_seen, "group"),
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
                UserRow::Copy(copy) => {
                    let user = &copy.user;
                    let in_scope = copy.matched_by.is_some();
                    let (seq, stored) =
                        self.shared
                            .users
                            .admit(user.id.clone(), user.last_updated, from, in_scope);
                    if let (Some(work), true) = (&mut self.work, stored) {
                        work.user(seq, &copy)?;
                    }
                    seq
                }
            });
        }
        Ok(seqs)
    }

    fn take_listed_group(&mut self, group: Group) -> anyhow::Result<()> {
        if group.is_everyone() {
            self.everyone = true;
            self.everyone_reported = group.members_reported;
        }
        let in_scope = self.config.scope.group(group.name());
        let (seq, stored) = self.groups.admit(
            group.id.clone(),
            group.last_updated,
            From::Listing,
            in_scope,
        );
        if !stored {
            return Ok(());
        }
        if let Some(work) = &mut self.work {
            work.group(seq, &group, in_scope)?;
        }
        // A group that is there twice, renamed between two pages, counts by its newer copy.
        if in_scope {
            self.listed.insert(seq, group);
        } else {
            self.listed.remove(&seq);
        }
        Ok(())
    }

    /// A group on a page of a user's groups: its number, if it is one to keep.
    fn take_group_of_user(&mut self, group: &Group) -> anyhow::Result<Option<Seq>> {
        let in_scope = self.config.scope.group(group.name());
        match self
            .groups
            .judge(group.id.as_str(), group.last_updated, From::Side)
        {
            Copy::Known(seq) => Ok(Some(seq)),
            Copy::First if !in_scope => Ok(None),
            Copy::First | Copy::Better => {
                let (seq, stored) =
                    self.groups
                        .admit(group.id.clone(), group.last_updated, From::Side, in_scope);
                if let (Some(work), true) = (&mut self.work, stored) {
                    work.group(seq, group, in_scope)?;
                }
                Ok(Some(seq))
            }
        }
    }

    fn learned(&mut self, group: Seq, learned: Learned, seen: Option<u64>) -> anyhow::Result<()> {
        match &mut self.work {
            Some(work) => work.learned(group, learned, seen),
            None => Ok(()),
        }
    }

    fn warn_gone(&mut self, kind: &str, id: &str) {
        let message = format!("this {kind} was deleted during the run and is left out");
        self.warn(&format!("{kind}_vanished"), kind, Some(id), message);
    }

    fn warn(&mut self, code: &str, kind: &str, object: Option<&str>, message: String) {
        let name = object.map_or(String::new(), |id| format!("{kind} {id}: "));
        tracing::warn!("{name}{message}");
        self.warnings.push(Warning {
            code: code.to_owned(),
            kind: kind.to_owned(),
            object_id: object.map(str::to_owned),
            message,
        });
    }

    fn tally(&self, client: &Client) -> Tally {
        Tally {
            users: (
                self.users_seen,
                // With a prefilter Everyone's size says nothing of how many come.
                self.everyone_reported
                    .filter(|_| !self.config.scope.skip_secondary()),
            ),
            users_done: self.users_listed_by.is_some(),
            groups: self.groups_seen,
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

    fn end(mut self) -> anyhow::Result<Gathered> {
        let strategy = self.strategy.context("the listings ended without a plan")?;
        let users_listed_by = self
            .users_listed_by
            .context("the users were never listed")?;
        if let Some(work) = &mut self.work {
            if strategy == Strategy::User {
                work.all_learned(Learned::ByUser)?;
            }
            work.finish()?;
        }
        // The same run gives the same warnings in the same order, whichever worker was first.
        self.warnings
            .sort_by(|a, b| (&a.code, &a.object_id).cmp(&(&b.code, &b.object_id)));
        self.missing.sort();
        let users = &self.shared.users;
        let whole_list = users_listed_by != UserListing::Prefilter;
        Ok(Gathered {
            strategy,
            users_listed_by,
            users_seen: whole_list.then_some(self.users_seen),
            users_not_deprovisioned: whole_list.then_some(self.active_seen),
            users_in_scope: users.in_scope(),
            users_only_as_members: users.unlisted(),
            users_vanished: self.users_vanished,
            groups_seen: self.groups_seen,
            groups_in_scope: self.groups.in_scope(),
            groups_only_from_users: self.groups.unlisted(),
            groups_vanished: self.groups_vanished,
            everyone_reported: self.everyone_reported,
            by_group: self.by_group,
            by_user: users.in_scope(),
            warnings: self.warnings,
            missing: self.missing,
        })
    }
}
