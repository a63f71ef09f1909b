//! The plan of a `grant` or `revoke`: all reads before the first change, and the confirmation.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::report::ChangeReport;
use crate::change::all_groups::RequestedUsers;
use crate::change::audit::AuditHistory;
use crate::change::decide::{self, Knowledge, Pair, PlannedRow, Reading, RowAction, Rules};
use crate::change::resolve::Resolver;
use crate::change::rows::{Request, Row};
use crate::change::{Action, all_groups, send, sheet};
use crate::config::ChangeConfig;
use crate::console::{Confirmation, Console};
use crate::failure::Failure;
use crate::model::{Group, GroupId};
use crate::okta::Error;
use crate::signal::ShutdownSignal;
use crate::text::count;

/// The planned changes and the warnings about them.
pub(super) struct ChangePlan {
    action: Action,
    pub(super) planned_rows: Vec<PlannedRow>,
    pub(super) cautions: Vec<String>,
    needs_yes: bool,
}

impl ChangePlan {
    pub(super) fn make(
        config: &ChangeConfig,
        resolver: &Resolver,
        past: &AuditHistory,
    ) -> Result<Self, Error> {
        match &config.request {
            Request::Rows(rows) => Self::of_rows(config, rows, resolver, past),
            Request::AllGroups(users) => Self::of_all_groups(config, users, resolver, past),
        }
    }

    fn of_rows(
        config: &ChangeConfig,
        rows: &[Row],
        resolver: &Resolver,
        past: &AuditHistory,
    ) -> Result<Self, Error> {
        let action = config.action;
        let names = |of: fn(&Row) -> &String| rows.iter().map(of).cloned().collect::<HashSet<_>>();
        let mut knowledge = Knowledge {
            users: resolver.users(names(|row| &row.user))?,
            groups: resolver.groups(names(|row| &row.group))?,
            memberships: HashMap::new(),
        };
        let mut planned_rows = decide::check(action, rows, &knowledge, &config.scope);
        for (user, group) in planned_rows
            .iter()
            .filter(|planned_row| planned_row.action == RowAction::Change)
            .filter_map(PlannedRow::ids)
        {
            send::wait_for_read_lag(resolver, past, user, Some(group))?;
        }
        let pairs = pairs_of(&planned_rows, &RowAction::Change);
        let reading = Reading::cheapest(&pairs, resolver.sizes.members);
        knowledge.memberships = resolver.memberships(&pairs, reading)?;
        let before = planned_rows.clone();
        decide::leave_out_what_is_done(action, &mut planned_rows, &knowledge);
        if action == Action::Revoke {
            let absent = pairs_of(&planned_rows, &RowAction::Unchanged);
            if !absent.is_empty() {
                // A new membership may not be visible yet, so an absent one is read again after three seconds. The
                // second read lists the user's groups, so that no user keeps access because a list of members was
                // incomplete.
                resolver.client.sleep(Duration::from_secs(3))?;
                let again = resolver.memberships(&absent, Reading::by_user(&absent))?;
                knowledge.memberships.extend(again);
                planned_rows = before;
                decide::leave_out_what_is_done(action, &mut planned_rows, &knowledge);
            }
        }
        let mut plan = Self {
            action,
            cautions: sheet::renamed(&planned_rows),
            planned_rows,
            needs_yes: false,
        };
        let groups = plan.groups_to_change();
        if !groups.is_empty() {
            // The rules are read once per run, and only if something changes.
            let rules = resolver.rules(&groups.keys().cloned().collect())?;
            plan.add_cautions(&groups, &rules);
        }
        Ok(plan)
    }

    /// Plans the removal of users from all groups in scope that can be edited and that no rule fills.
    fn of_all_groups(
        config: &ChangeConfig,
        names: &[String],
        resolver: &Resolver,
        past: &AuditHistory,
    ) -> Result<Self, Error> {
        let found = resolver.users(names.iter().cloned().collect())?;
        let requested = RequestedUsers {
            names,
            found: &found,
        };
        let (mut planned_rows, users) = requested.check(&config.scope);
        for user in &users {
            send::wait_for_read_lag(resolver, past, &user.id, None)?;
        }
        let groups = resolver.groups_of_users(&users)?;
        let editable: HashSet<GroupId> = all_groups::editable(&groups, &config.scope)
            .into_iter()
            .cloned()
            .collect();
        let rules = if editable.is_empty() {
            HashMap::new()
        } else {
            resolver.rules(&editable)?
        };
        let mut cautions = Vec::new();
        for user in &users {
            let Some(groups) = groups.get(&user.id) else {
                continue;
            };
            let (rows, note) = all_groups::plan(user, groups, &rules, &config.scope);
            planned_rows.extend(rows);
            cautions.extend(note);
        }
        let mut plan = Self {
            action: config.action,
            planned_rows,
            cautions,
            needs_yes: false,
        };
        let groups = plan.groups_to_change();
        plan.add_cautions(&groups, &rules);
        Ok(plan)
    }

    fn groups_to_change(&self) -> HashMap<GroupId, Arc<Group>> {
        let changing = self
            .planned_rows
            .iter()
            .filter(|planned_row| planned_row.action == RowAction::Change);
        changing
            .filter_map(|planned_row| planned_row.group.as_ref())
            .map(|group| (group.id.clone(), Arc::clone(group)))
            .collect()
    }

    fn add_cautions(
        &mut self,
        groups: &HashMap<GroupId, Arc<Group>>,
        rules: &HashMap<GroupId, Rules>,
    ) {
        let mut ids: Vec<_> = groups.keys().collect();
        ids.sort();
        for id in ids {
            let rules = rules.get(id).unwrap_or(&Rules::Unknown);
            let (notes, needs_yes) = decide::caution(self.action, &groups[id], rules);
            self.cautions.extend(notes);
            self.needs_yes |= needs_yes;
        }
    }

    pub(super) fn changes(&self) -> usize {
        self.planned_rows
            .iter()
            .filter(|planned_row| planned_row.action == RowAction::Change)
            .count()
    }

    pub(super) fn changes_anything(&self) -> bool {
        self.changes() > 0
    }

    pub(super) fn warn(&self) {
        for caution in &self.cautions {
            tracing::warn!("{caution}");
        }
    }

    pub(super) fn confirm(
        &self,
        config: &ChangeConfig,
        console: &Console,
        stop: &ShutdownSignal,
        report: &ChangeReport,
    ) -> anyhow::Result<()> {
        let asks = config.from.is_some() || self.action == Action::Revoke;
        if config.yes || !(asks || self.needs_yes) {
            console.print_notice(&report.table(), false);
            return Ok(());
        }
        let refuse =
            |why: &str| Err(Failure::refused(format!("nothing was changed: {why}")).into());
        if self.needs_yes {
            return refuse(&format!("this needs --yes ({})", self.cautions.join(", ")));
        }
        if config.from.as_deref() == Some("-") {
            return refuse("--from reads standard input, so there can be no prompt; pass --yes");
        }
        // The plan is shown before the prompt, even with --quiet.
        console.print_notice(&report.table(), true);
        let changes = self.changes() as u64;
        let question = format!("{} {}?", self.action.as_str(), count(changes, "membership"));
        match console.confirm(&question, stop)? {
            Confirmation::Yes => Ok(()),
            Confirmation::No => refuse("not confirmed"),
            Confirmation::Nobody => refuse("no terminal for a prompt; pass --yes"),
        }
    }
}

fn pairs_of(planned_rows: &[PlannedRow], action: &RowAction) -> Vec<Pair> {
    let planned_rows = planned_rows
        .iter()
        .filter(|planned_row| planned_row.action == *action);
    planned_rows
        .filter_map(|planned_row| {
            Some((
                Arc::clone(planned_row.user.as_ref()?),
                Arc::clone(planned_row.group.as_ref()?),
            ))
        })
        .collect()
}
