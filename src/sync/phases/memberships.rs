//! Reads memberships, by group or by user ([`plan`]).
//!
//! - If the token cannot read the members of a group, or the groups of a user (403, also when repeated), the snapshot contains
//!   that group or user without these memberships and with a warning, and is incomplete.
//! - A group or user that was deleted during the run (404) is left out and counted.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use super::groups::GroupPhase;
use super::{GROUPS_FORBIDDEN, MEMBERS_CUT, MEMBERS_FORBIDDEN};
use crate::model::{Group, GroupId, MembershipSource, UserId};
use crate::okta::Error;
use crate::sync::checkpoint::Checkpoint;
use crate::sync::context::Context;
use crate::sync::ends;
use crate::sync::listing::{ListingId, ListingKind};
use crate::sync::objects::{CopySource, LocalId};
use crate::sync::plan::{self, MembershipsBy, Strategy};
use crate::sync::worker::MemberPage;
use crate::text;

/// The phase that reads memberships.
#[derive(Default)]
pub(in crate::sync) struct MembershipPhase {
    pub strategy: Option<Strategy>,
    /// True if the members of Everyone are implied, not read.
    pub everyone_is_implied: bool,
    /// Members, or users whose groups were read, and how many there are.
    pub progress: (u64, u64),
    /// For each group whose members are listed, its id and the number of members that Okta reports.
    expected: HashMap<LocalId, (GroupId, u64)>,
    /// Groups whose members are not listed because Okta reports none.
    reported_empty: HashMap<LocalId, GroupId>,
    /// Groups whose members were listed again.
    read_again: HashSet<LocalId>,
}

impl MembershipPhase {
    /// Loads what an earlier part of the run stored, apart from its groups and its open listings.
    pub fn load(&mut self, checkpoint: &Checkpoint) -> anyhow::Result<()> {
        self.strategy = checkpoint.progress.strategy;
        self.reported_empty = checkpoint.groups_reported_empty()?.into_iter().collect();
        Ok(())
    }

    /// Loads a group that an earlier part of the run listed.
    pub fn load_group(
        &mut self,
        local_id: LocalId,
        group: &Group,
        in_scope: bool,
        requested: MembershipsBy,
    ) {
        self.everyone_is_implied |= in_scope
            && self.strategy == Some(Strategy::Group)
            && plan::membership_source(group, requested) == MembershipSource::Implied;
        if let Some(reported) = group.members_reported {
            self.expected.insert(local_id, (group.id.clone(), reported));
        }
    }

    /// Starts reading memberships with this strategy.
    pub fn start(
        &mut self,
        strategy: Strategy,
        groups: &mut GroupPhase,
        context: &mut Context<'_>,
    ) -> anyhow::Result<()> {
        let to_read = std::mem::take(&mut groups.to_read);
        match strategy {
            Strategy::Group => self.start_by_group(to_read, context),
            Strategy::User => self.start_by_user(context),
        }
    }

    fn start_by_group(
        &mut self,
        groups: HashMap<LocalId, Group>,
        context: &mut Context<'_>,
    ) -> anyhow::Result<()> {
        let mut groups: Vec<(LocalId, Group)> = groups.into_iter().collect();
        // The largest groups come first, so that the run does not end with one worker on one long listing.
        groups.sort_by_key(|(local_id, group)| (Reverse(group.members_reported), *local_id));
        for (local_id, group) in groups {
            match plan::membership_source(&group, context.options.memberships_by) {
                MembershipSource::Listed => {
                    if let Some(reported) = group.members_reported {
                        self.expected.insert(local_id, (group.id.clone(), reported));
                    }
                    self.progress.1 += group.members_reported.unwrap_or(0);
                    context.list(ListingKind::Members(local_id, group.id))?;
                }
                source => {
                    self.everyone_is_implied |= source == MembershipSource::Implied;
                    if source == MembershipSource::ReportedEmpty {
                        self.reported_empty.insert(local_id, group.id);
                    }
                    context.checkpoint.record_source(local_id, source, None)?;
                }
            }
        }
        Ok(())
    }

    fn start_by_user(&mut self, context: &mut Context<'_>) -> anyhow::Result<()> {
        let users = context.checkpoint.users_in_scope()?;
        self.progress.1 = users.len() as u64;
        for (local_id, id) in users {
            context.list(ListingKind::GroupsOf(local_id, id))?;
        }
        Ok(())
    }

    pub fn on_member_page(
        &mut self,
        page: MemberPage,
        context: &mut Context<'_>,
    ) -> anyhow::Result<()> {
        self.progress.0 += page.new;
        let members = context.store_users(page.in_scope, CopySource::MembershipPage)?;
        context.checkpoint.store_memberships(page.group, &members)?;
        if page.commit.next.is_some() {
            let listing = page.commit.listing;
            context.checkpoint.add_rows(listing, &page.rows)?;
        } else if page.is_full
            && self.read_members_again(page.commit.listing, page.group, page.distinct, context)
        {
            return Ok(());
        }
        if context.commit_page(&page.commit)? {
            let distinct = page.distinct;
            context.checkpoint.record_source(
                page.group,
                MembershipSource::Listed,
                Some(distinct),
            )?;
            self.compare_with_count(page.group, distinct, page.is_full, context)?;
        }
        Ok(())
    }

    /// Lists a group's members again if the list ended on a full page with fewer members than Okta reports: it may have
    /// been cut short. Returns whether it does so, which happens once per group.
    fn read_members_again(
        &mut self,
        listing: ListingId,
        group: LocalId,
        distinct: u64,
        context: &mut Context<'_>,
    ) -> bool {
        let Some((id, reported)) = self.expected.get(&group) else {
            return false;
        };
        if distinct >= *reported || !self.read_again.insert(group) {
            return false;
        }
        tracing::warn!(
            "group {id}: the member list ended on a full page with {distinct} of {reported}; reading it once more"
        );
        context.open_tasks -= 1;
        context.start_again(listing, ListingKind::Members(group, id.clone()));
        true
    }

    /// Compares the number of listed members with the number that Okta reports.
    fn compare_with_count(
        &self,
        group: LocalId,
        distinct: u64,
        is_full: bool,
        context: &mut Context<'_>,
    ) -> anyhow::Result<()> {
        let Some((id, reported)) = self.expected.get(&group) else {
            return Ok(());
        };
        let (code, ending) = if distinct < *reported && is_full {
            (MEMBERS_CUT, ", and the list ended on a full page")
        } else if distinct + ends::tolerance(*reported) < *reported {
            ("members_differ", "")
        } else {
            return Ok(());
        };
        let message = format!(
            "listed {} of {}{ending}",
            text::number(distinct),
            text::count(*reported, "member")
        );
        context.warn(code, "group", Some(id.as_str()), message)
    }

    /// Stores a page of the groups of a user.
    pub fn store_user_groups(
        &mut self,
        user: LocalId,
        rows: &[Group],
        groups: &GroupPhase,
        context: &mut Context<'_>,
    ) -> anyhow::Result<()> {
        if self.strategy == Some(Strategy::Group) {
            for group in rows {
                if let Some(group) = groups.index.local_id(group.id.as_str()) {
                    context.checkpoint.store_memberships(group, &[user])?;
                    self.list_after_all(group, context)?;
                }
            }
            return Ok(());
        }
        let mut local_ids = Vec::with_capacity(rows.len());
        for group in rows {
            local_ids.push(groups.store_from_user(group, context)?);
        }
        context.checkpoint.store_memberships(user, &local_ids)
    }

    /// Lists the members of a group that Okta reports as empty, because one of its members was found.
    fn list_after_all(&mut self, group: LocalId, context: &mut Context<'_>) -> anyhow::Result<()> {
        if let Some(id) = self.reported_empty.remove(&group) {
            context.list(ListingKind::Members(group, id))?;
        }
        Ok(())
    }

    /// Handles a group that was deleted during the run.
    pub fn on_group_deleted(
        group: LocalId,
        id: &GroupId,
        context: &mut Context<'_>,
    ) -> anyhow::Result<()> {
        context.checkpoint.mark_group_deleted(group)?;
        context.warn_deleted("group", id.as_str())
    }

    /// Handles a group whose members the token cannot read.
    pub fn on_members_forbidden(
        group: LocalId,
        id: &GroupId,
        error: &Error,
        context: &mut Context<'_>,
    ) -> anyhow::Result<()> {
        context
            .checkpoint
            .record_source(group, MembershipSource::Forbidden, None)?;
        let message = format!("cannot read its members: {}", error.without_id());
        context.warn(MEMBERS_FORBIDDEN, "group", Some(id.as_str()), message)
    }

    /// Handles a user whose groups the token cannot read.
    pub fn on_groups_forbidden(
        &mut self,
        user: LocalId,
        id: &UserId,
        error: &Error,
        context: &mut Context<'_>,
    ) -> anyhow::Result<()> {
        self.progress.0 += 1;
        let login = context.checkpoint.login_of(user).unwrap_or_default();
        let message = format!(
            "cannot read the groups of this user ({login}): {}",
            error.without_id()
        );
        context.warn(GROUPS_FORBIDDEN, "user", Some(id.as_str()), message)
    }
}
