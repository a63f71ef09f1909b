//! The list of groups.

use std::collections::HashMap;

use super::{EVERYONE_MISSING, Everyone, NO_EVERYONE};
use crate::model::{Group, GroupId, MembershipSource};
use crate::sync::context::Context;
use crate::sync::listing::ListingKind;
use crate::sync::objects::{CopyComparison, CopySource, LocalId, ObjectIndex};
use crate::sync::plan;
use crate::sync::worker::PageCommit;

/// The phase that lists groups.
#[derive(Default)]
pub(in crate::sync) struct GroupPhase {
    pub index: ObjectIndex<GroupId>,
    /// The groups in scope, until reading memberships starts.
    pub to_read: HashMap<LocalId, Group>,
    pub done: bool,
    /// The number of requests to read memberships by group; set at the end of the list.
    pub requests: u64,
    /// The number of members that Okta reports for Everyone.
    pub everyone_members: Option<u64>,
    everyone_listed: bool,
}

impl GroupPhase {
    pub fn everyone(&self) -> Everyone {
        Everyone {
            members: self.everyone_members,
            is_final: self.done,
        }
    }

    pub fn start(&self, context: &mut Context<'_>) -> anyhow::Result<()> {
        context.list(ListingKind::Groups)?;
        Ok(())
    }

    /// Loads a group that an earlier part of the run listed.
    pub fn load(&mut self, local_id: LocalId, group: Group, is_to_read: bool) {
        self.record_everyone(&group);
        if is_to_read {
            self.to_read.insert(local_id, group);
        }
    }

    /// Handles a page of the list. Returns whether it was the last.
    pub fn on_page(
        &mut self,
        commit: &PageCommit,
        rows: Vec<Group>,
        context: &mut Context<'_>,
    ) -> anyhow::Result<bool> {
        for group in rows {
            self.store_listed(group, context)?;
        }
        let is_last = context.commit_page(commit)?;
        if is_last {
            self.finish(context);
            if !self.everyone_listed {
                context.warn(EVERYONE_MISSING, "run", None, NO_EVERYONE.to_owned())?;
            }
        }
        Ok(is_last)
    }

    /// Ends the list, and counts the requests to read its groups.
    pub fn finish(&mut self, context: &Context<'_>) {
        self.done = true;
        let (requested, sizes) = (context.options.memberships_by, context.shared.sizes);
        let groups = self.to_read.values();
        let requests = |group| plan::requests_by_group(group, requested, sizes);
        self.requests = groups.clone().map(requests).sum();
        // One more request reads the groups of a deprovisioned user, to see whether such users are in Everyone.
        let is_implied =
            |group: &Group| plan::membership_source(group, requested) == MembershipSource::Implied;
        self.requests += u64::from(groups.clone().any(is_implied));
    }

    fn record_everyone(&mut self, group: &Group) {
        if group.is_everyone() {
            self.everyone_listed = true;
            self.everyone_members = group.members_reported;
        }
    }

    fn store_listed(&mut self, group: Group, context: &mut Context<'_>) -> anyhow::Result<()> {
        self.record_everyone(&group);
        let in_scope = context.options.scope.group(group.name());
        let upserted = self.index.upsert(
            group.id.clone(),
            group.last_updated,
            CopySource::Listing,
            in_scope,
        );
        if !upserted.stored {
            return Ok(());
        }
        let local_id = upserted.local_id;
        context
            .checkpoint
            .store_group(local_id, &group, in_scope, CopySource::Listing)?;
        // If a group is renamed between two pages, it can be listed twice. The newer copy decides.
        if in_scope {
            self.to_read.insert(local_id, group);
        } else {
            self.to_read.remove(&local_id);
        }
        Ok(())
    }

    /// Stores a group from a page of a user's groups, in scope or not, because it may enter the scope before the run ends.
    /// Returns its number.
    pub fn store_from_user(
        &self,
        group: &Group,
        context: &mut Context<'_>,
    ) -> anyhow::Result<LocalId> {
        let source = CopySource::MembershipPage;
        let known = self
            .index
            .compare(group.id.as_str(), group.last_updated, source);
        if let CopyComparison::Known(local_id) = known {
            return Ok(local_id);
        }
        let in_scope = context.options.scope.group(group.name());
        let upserted = self
            .index
            .upsert(group.id.clone(), group.last_updated, source, in_scope);
        let local_id = upserted.local_id;
        if upserted.stored {
            context
                .checkpoint
                .store_group(local_id, group, in_scope, source)?;
        }
        Ok(local_id)
    }
}
