//! Checks what is still uncertain after all listings: whether deprovisioned users are in Everyone, users whose copies
//! contradict each other, and users who entered the scope during the run. Each stage may start requests; the next starts
//! when they have ended.

use std::collections::HashSet;

use super::memberships::MembershipPhase;
use super::users::UserPhase;
use crate::model::{Group, UserId};
use crate::okta::Error;
use crate::okta::http::page::RowKey;
use crate::sync::checkpoint::Checkpoint;
use crate::sync::context::Context;
use crate::sync::listing::ListingKind;
use crate::sync::objects::LocalId;
use crate::sync::plan::Strategy;
use crate::sync::worker::Task;

/// The last phase.
#[derive(Default)]
pub(in crate::sync) struct Reconciliation {
    pub deprovisioned_in_everyone: Option<bool>,
    stage: Stage,
    /// Members who were out of scope when the members of their groups were read.
    out_of_scope_members: HashSet<RowKey>,
    /// The deprovisioned user whose groups are being read to see whether such users are in Everyone.
    probe: Option<Probe>,
}

#[derive(Clone, Copy)]
struct Probe {
    user: LocalId,
    saw_everyone: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    NotStarted,
    ProbeEveryone,
    RefetchUsers,
    NewUsers,
}

impl Reconciliation {
    /// Loads what an earlier part of the run stored.
    pub fn load(&mut self, checkpoint: &Checkpoint) -> anyhow::Result<()> {
        self.deprovisioned_in_everyone = checkpoint.progress.deprovisioned_in_everyone;
        checkpoint.each_out_of_scope_member(|key| {
            self.out_of_scope_members.insert(key);
        })
    }

    /// Starts the next stages until one needs a request.
    pub fn advance(
        &mut self,
        users: &UserPhase,
        memberships: &MembershipPhase,
        context: &mut Context<'_>,
    ) -> anyhow::Result<()> {
        while context.open_tasks == 0 {
            self.stage = match self.stage {
                Stage::NotStarted => {
                    if memberships.everyone_is_implied && self.deprovisioned_in_everyone.is_none() {
                        self.probe_everyone(context)?;
                    }
                    Stage::ProbeEveryone
                }
                Stage::ProbeEveryone => {
                    refetch_users(users, context);
                    Stage::RefetchUsers
                }
                Stage::RefetchUsers => {
                    // The other strategy stores all memberships of every user in scope.
                    if memberships.strategy == Some(Strategy::Group) {
                        self.read_groups_of_new_users(context)?;
                    }
                    Stage::NewUsers
                }
                Stage::NewUsers => break,
            };
        }
        Ok(())
    }

    /// Reads the groups of one deprovisioned user, because Okta does not document whether such users are in Everyone.
    fn probe_everyone(&mut self, context: &mut Context<'_>) -> anyhow::Result<()> {
        if let Some((user, id)) = context.checkpoint.deprovisioned_user()? {
            self.probe = Some(Probe {
                user,
                saw_everyone: false,
            });
            context.list(ListingKind::GroupsOf(user, id))?;
        }
        Ok(())
    }

    /// Handles a page of a user's groups, which may be those of the probed user.
    pub fn on_user_groups(&mut self, user: LocalId, rows: &[Group], is_last: bool) {
        let Some(probe) = self.probe.as_mut().filter(|probe| probe.user == user) else {
            return;
        };
        probe.saw_everyone |= rows.iter().any(Group::is_everyone);
        if is_last {
            self.deprovisioned_in_everyone = Some(probe.saw_everyone);
            self.probe = None;
        }
    }

    /// Handles a user whose groups the token cannot read. Returns whether it is the probed user.
    pub fn on_groups_forbidden(
        &mut self,
        user: LocalId,
        id: &UserId,
        error: &Error,
        context: &mut Context<'_>,
    ) -> anyhow::Result<bool> {
        if self.probe.take_if(|probe| probe.user == user).is_none() {
            return Ok(false);
        }
        let message = format!(
            "cannot tell whether deprovisioned users are in Everyone: {}",
            error.without_id()
        );
        context.warn("everyone_unknown", "user", Some(id.as_str()), message)?;
        Ok(true)
    }

    /// Records members who are out of scope, because they may enter it before the run ends.
    pub fn on_out_of_scope_members(
        &mut self,
        mut members: Vec<RowKey>,
        context: &mut Context<'_>,
    ) -> anyhow::Result<()> {
        members.retain(|key| self.out_of_scope_members.insert(*key));
        if members.is_empty() {
            return Ok(());
        }
        context.checkpoint.add_out_of_scope_members(&members)
    }

    /// Reads the groups of users who are in scope now, but were not when the members of some group were read: such
    /// memberships were not stored.
    fn read_groups_of_new_users(&self, context: &mut Context<'_>) -> anyhow::Result<()> {
        if self.out_of_scope_members.is_empty() {
            return Ok(());
        }
        let requested = context.checkpoint.users_with_group_listing()?;
        let is_new = |id: &UserId, _: bool| {
            self.out_of_scope_members.contains(&RowKey::of(id.as_str())) && !requested.contains(id)
        };
        for (user, id) in context.shared.users.in_scope_where(is_new) {
            context.list(ListingKind::GroupsOf(user, id))?;
        }
        Ok(())
    }
}

/// Reads users again who are in scope only in a copy from a group's members. In the user list they were out of scope, and
/// that copy was not stored, so the two cannot be compared.
fn refetch_users(users: &UserPhase, context: &mut Context<'_>) {
    let needs_another_read = |id: &UserId, listed_in_scope: bool| {
        !listed_in_scope && users.rows.contains(&RowKey::of(id.as_str()))
    };
    for (_, id) in context.shared.users.in_scope_where(needs_another_read) {
        context.start(Task::RefetchUser(id));
    }
}
