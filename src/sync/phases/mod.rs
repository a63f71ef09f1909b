//! The phases of a run. Each is a state machine that owns its fields: it handles the events of the workers, stores their
//! pages, and starts what follows. [`Phases`] passes each event to the phases that need it, and makes the decisions that
//! depend on several of them: when reading memberships starts, and whether the run is worth continuing.

mod groups;
mod memberships;
mod reconciliation;
mod users;

use self::groups::GroupPhase;
use self::memberships::MembershipPhase;
use self::reconciliation::Reconciliation;
use self::users::UserPhase;
use super::checkpoint::resume::{self, RunProgress};
use super::context::Context;
use super::listing::{ListingId, ListingKind};
use super::objects::CopySource;
use super::plan::{self, Strategy};
use super::worker::{Event, MembershipsEnd, Task, UserGroupsPage};
use super::{Options, OrgReadReport, Tally};
use crate::failure::{Failure, FailureKind};
use crate::model::MembershipSource;
use crate::okta::read::UserListMethod;
use crate::snapshot::Warning;
use crate::text;

/// The size of the group Everyone, of which every user is a member.
#[derive(Clone, Copy, Debug)]
struct Everyone {
    /// The number of members that Okta reports, once the group was listed.
    members: Option<u64>,
    /// True if the list of groups was read to its end.
    is_final: bool,
}

/// All phases of a run.
pub(super) struct Phases {
    users: UserPhase,
    groups: GroupPhase,
    memberships: MembershipPhase,
    reconciliation: Reconciliation,
    guarded: bool,
}

impl Phases {
    pub fn new(options: &Options) -> Self {
        Self {
            users: UserPhase::new(&options.scope),
            groups: GroupPhase::default(),
            memberships: MembershipPhase::default(),
            reconciliation: Reconciliation::default(),
            guarded: false,
        }
    }

    /// Starts the lists of users and groups, or resumes the listings of an interrupted run.
    pub fn start(&mut self, context: &mut Context<'_>) -> anyhow::Result<()> {
        if context.checkpoint.progress.users_listed_by.is_some() {
            return self.resume(context).map_err(resume::unusable);
        }
        self.users.start(context)?;
        self.groups.start(context)
    }

    fn resume(&mut self, context: &mut Context<'_>) -> anyhow::Result<()> {
        let requested = context.options.memberships_by;
        self.users.load(context.checkpoint)?;
        self.memberships.load(context.checkpoint)?;
        self.reconciliation.load(context.checkpoint)?;
        let checkpoint = &*context.checkpoint;
        checkpoint.restore(&context.shared.users, &self.groups.index)?;
        for (local_id, group, in_scope) in checkpoint.listed_groups()? {
            self.memberships
                .load_group(local_id, &group, in_scope, requested);
            let is_to_read = in_scope && self.memberships.strategy.is_none();
            self.groups.load(local_id, group, is_to_read);
        }
        let groups_were_listed = checkpoint.is_done(&ListingKind::Groups)?;
        for listing in checkpoint.open_listings()? {
            match listing.kind.clone() {
                ListingKind::Users(set) => self.users.resume(listing, &set, context),
                ListingKind::Groups => context.start(Task::List(listing)),
                ListingKind::Members(..) | ListingKind::GroupsOf(..) => {
                    self.memberships.progress.1 += 1;
                    context.start(Task::List(listing));
                }
            }
        }
        if groups_were_listed {
            self.groups.finish(context);
        }
        self.users.finish_resumed(self.groups.everyone(), context)?;
        self.start_memberships(context)
    }

    /// Handles an event of a worker.
    pub fn on_event(&mut self, event: Event, context: &mut Context<'_>) -> anyhow::Result<()> {
        let everyone = self.groups.everyone();
        match event {
            Event::Failed(error) => return Err(error),
            Event::Users(page) => self.users.on_page(page, everyone, context)?,
            Event::UsersEnded { listing, set, end } => {
                self.users
                    .on_early_end(listing, &set, end, everyone, context)?;
            }
            Event::AnyUserVisible { plain, visible } => {
                self.users
                    .on_any_user_visible(plain, visible, everyone, context)?;
            }
            Event::Groups { commit, rows } => {
                let is_last = self.groups.on_page(&commit, rows, context)?;
                let everyone = self.groups.everyone();
                if is_last {
                    self.users.on_everyone_known(everyone, context)?;
                }
                self.users.consider_both_ends(everyone, context);
            }
            Event::Members(mut page) => {
                let members = std::mem::take(&mut page.out_of_scope);
                self.reconciliation
                    .on_out_of_scope_members(members, context)?;
                self.memberships.on_member_page(page, context)?;
            }
            Event::UserGroups(page) => self.on_user_groups(&page, context)?,
            Event::UserRefetched { id, copy } => {
                context.open_tasks -= 1;
                match copy {
                    Some(copy) => {
                        context.store_user(&copy, CopySource::Listing)?;
                    }
                    None => context.user_deleted(&id)?,
                }
            }
            Event::MembershipsEnded { listing, kind, end } => {
                self.on_memberships_ended(listing, &kind, &end, context)?;
            }
        }
        self.start_memberships(context)
    }

    fn on_user_groups(
        &mut self,
        page: &UserGroupsPage,
        context: &mut Context<'_>,
    ) -> anyhow::Result<()> {
        let is_last = page.commit.next.is_none();
        self.reconciliation
            .on_user_groups(page.user, &page.rows, is_last);
        self.memberships
            .store_user_groups(page.user, &page.rows, &self.groups, context)?;
        if context.commit_page(&page.commit)? {
            self.memberships.progress.0 += 1;
        }
        Ok(())
    }

    fn on_memberships_ended(
        &mut self,
        listing: ListingId,
        kind: &ListingKind,
        end: &MembershipsEnd,
        context: &mut Context<'_>,
    ) -> anyhow::Result<()> {
        context.end_listing(listing)?;
        match (kind, end) {
            (ListingKind::Members(group, id), MembershipsEnd::Deleted) => {
                MembershipPhase::on_group_deleted(*group, id, context)
            }
            (ListingKind::Members(group, id), MembershipsEnd::Forbidden(error)) => {
                MembershipPhase::on_members_forbidden(*group, id, error, context)
            }
            (ListingKind::GroupsOf(_, id), MembershipsEnd::Deleted) => {
                self.memberships.progress.0 += 1;
                context.user_deleted(id)
            }
            (ListingKind::GroupsOf(user, id), MembershipsEnd::Forbidden(error)) => {
                let reconciliation = &mut self.reconciliation;
                if reconciliation.on_groups_forbidden(*user, id, error, context)? {
                    return Ok(());
                }
                self.memberships
                    .on_groups_forbidden(*user, id, error, context)
            }
            (ListingKind::Users(_) | ListingKind::Groups, _) => Ok(()),
        }
    }

    /// Starts reading memberships once the strategy is certain.
    fn start_memberships(&mut self, context: &mut Context<'_>) -> anyhow::Result<()> {
        if !self.groups.done {
            return Ok(());
        }
        if self.users.done && !self.guarded {
            // This also runs if memberships are already being read: with an empty scope, the strategy is certain early.
            self.guarded = true;
            self.guard(context)?;
        }
        if self.memberships.strategy.is_some() {
            return Ok(());
        }
        let options = context.options;
        let (requests, users) = (self.groups.requests, context.shared.users.in_scope());
        // A plan reports the number of users, which is final only at the end of the list.
        let early = if options.plan {
            None
        } else {
            plan::choose_early(requests, users, options.memberships_by)
        };
        let strategy = match early {
            Some(strategy) => strategy,
            None if self.users.done => plan::choose(requests, users, options.memberships_by),
            None => return Ok(()),
        };
        self.memberships.strategy = Some(strategy);
        if options.plan {
            return Ok(());
        }
        self.memberships.start(strategy, &mut self.groups, context)
    }

    /// Starts the checks that follow when no task is left. If it starts nothing, the run is over.
    pub fn reconcile(&mut self, context: &mut Context<'_>) -> anyhow::Result<()> {
        if context.options.plan {
            return Ok(());
        }
        self.reconciliation
            .advance(&self.users, &self.memberships, context)
    }

    /// Returns an error if the run is not worth continuing.
    fn guard(&self, context: &Context<'_>) -> anyhow::Result<()> {
        if self.users.rows.is_empty() && self.users.any_user_visible != Some(true) {
            return Err(Failure {
                kind: FailureKind::Credentials,
                message: "Okta returned no users; assign the token's owner an admin role that can read users, such as Read-Only Administrator".to_owned(),
            }
            .into());
        }
        let options = context.options;
        if options.allow_empty {
            return Ok(());
        }
        if context.shared.users.in_scope() == 0 {
            let listed = match self.users.method {
                UserListMethod::Prefilter => "the users that Okta's search found".to_owned(),
                _ => text::count(self.users.rows.len() as u64, "user"),
            };
            let domains = options.scope.domains().iter();
            let domains: Vec<String> = domains.map(ToString::to_string).collect();
            return Err(Failure::guard(format!(
                "none of {listed} is in scope: no address is in {}; check --email-domains, or pass --allow-empty",
                domains.join(", ")
            ))
            .into());
        }
        if self.groups.index.in_scope() == 0 {
            let filter = options.scope.group_name();
            let filter = filter.map_or(String::new(), |text| {
                format!(": no name contains {:?}", text.to_string())
            });
            return Err(Failure::guard(format!(
                "none of {} is in scope{filter}; check --group-name-filter, or pass --allow-empty",
                text::count(self.groups.index.listed(), "group"),
            ))
            .into());
        }
        Ok(())
    }

    /// Records the progress of the phases, apart from their pages.
    pub fn record(&self, progress: &mut RunProgress) {
        progress.users_listed_by = Some(self.users.method);
        progress.both_ends_tried = self.users.both_ends_tried;
        progress.any_user_visible = self.users.any_user_visible;
        progress.strategy = self.memberships.strategy;
        progress.deprovisioned_in_everyone = self.reconciliation.deprovisioned_in_everyone;
    }

    /// Returns the progress of the run for a display.
    pub fn tally(&self, context: &Context<'_>) -> Tally {
        let (done, all) = self.memberships.progress;
        let strategy = self.memberships.strategy;
        Tally {
            users: (
                self.users.rows.len() as u64,
                // A search by domain returns only a part of Everyone.
                self.groups
                    .everyone_members
                    .filter(|_| !context.options.scope.skip_secondary()),
            ),
            users_done: self.users.done,
            groups: self.groups.index.listed(),
            groups_done: self.groups.done,
            memberships: (done, strategy.map(|_| all)),
            unit: match strategy {
                Some(Strategy::User) => "users' groups",
                Some(Strategy::Group) | None => "members",
            },
            waiting: context.shared.client.waiting(),
        }
    }

    /// Compares the numbers of listed objects with Okta's counts, and checks that nothing was left out.
    pub fn finish(&self, context: &mut Context<'_>) -> anyhow::Result<()> {
        if self.users.method != UserListMethod::Prefilter {
            self.users
                .compare_with_everyone(self.groups.everyone(), context)?;
        }
        if self.memberships.strategy == Some(Strategy::User) && !context.options.plan {
            let unread = context.checkpoint.users_without_groups_read()?;
            anyhow::ensure!(
                unread == 0,
                "{}",
                text::internal_error(format_args!(
                    "the groups of {} were not read",
                    text::count(unread, "user")
                ))
            );
            context
                .checkpoint
                .record_source_of_the_rest(MembershipSource::ByUser)?;
        }
        Ok(())
    }

    /// Returns the report of the run.
    pub fn report(self, context: &mut Context<'_>) -> anyhow::Result<OrgReadReport> {
        let strategy = self.memberships.strategy;
        let strategy =
            strategy.ok_or_else(|| anyhow::anyhow!("the listings ended without a plan"))?;
        let (users_vanished, groups_vanished) = context.checkpoint.deleted()?;
        let cost = context.cost();
        let users = &context.shared.users;
        let lists_all_users = self.users.method != UserListMethod::Prefilter;
        let mut warnings = std::mem::take(&mut context.warnings);
        // The order of the warnings must not depend on which worker was first.
        warnings.sort_by(|a, b| (&a.code, &a.object_id).cmp(&(&b.code, &b.object_id)));
        let mut missing: Vec<String> = warnings.iter().filter_map(missing).collect();
        missing.sort();
        Ok(OrgReadReport {
            strategy,
            users_listed_by: self.users.method,
            users_seen: lists_all_users.then_some(self.users.rows.len() as u64),
            users_not_deprovisioned: lists_all_users.then_some(self.users.not_deprovisioned),
            users_in_scope: users.in_scope(),
            users_only_as_members: users.unlisted(),
            users_vanished,
            groups_seen: self.groups.index.listed(),
            groups_in_scope: self.groups.index.in_scope(),
            groups_only_from_users: self.groups.index.unlisted(),
            groups_vanished,
            everyone_reported: self.groups.everyone_members,
            deprovisioned_in_everyone: self.reconciliation.deprovisioned_in_everyone,
            group_requests: self.groups.requests,
            user_requests: users.in_scope(),
            warnings,
            missing,
            unused_domains: context.shared.unused_domains(),
            cost,
        })
    }
}

const MEMBERS_FORBIDDEN: &str = Warning::MEMBERS_FORBIDDEN;
const GROUPS_FORBIDDEN: &str = Warning::GROUPS_FORBIDDEN;
const MEMBERS_CUT: &str = Warning::MEMBERS_CUT;
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

/// Returns the reason why the snapshot is incomplete, if the warning is one.
fn missing(warning: &Warning) -> Option<String> {
    let id = warning.object_id.as_deref().unwrap_or_default();
    match warning.code.as_str() {
        MEMBERS_FORBIDDEN => Some(format!("cannot read the members of group {id}")),
        GROUPS_FORBIDDEN => Some(format!("cannot read the groups of user {id}")),
        MEMBERS_CUT => Some(format!("group {id}: {}", warning.message)),
        USERS_MISSING => Some(warning.message.clone()),
        EVERYONE_MISSING => Some(NO_EVERYONE.to_owned()),
        _ => None,
    }
}
