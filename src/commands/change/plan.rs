//! The plan of a `grant` or `revoke`: what is read before the first change, and the confirmation.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::report::Report;
use crate::change::audit::AuditHistory;
use crate::change::decide::{self, Knowledge, Pair, PlannedRow, Reading, RowAction, Rules};
use crate::change::resolve::Resolver;
use crate::change::{Action, rows, send};
use crate::config::Change;
use crate::console::{Confirmation, Console};
use crate::exit::ExitError;
use crate::model::GroupId;
use crate::okta::Error;
use crate::signal::ShutdownSignal;
use crate::text::count;

/// The planned changes, and the warnings about them.
pub(super) struct Plan {
    action: Action,
    pub(super) steps: Vec<PlannedRow>,
    pub(super) cautions: Vec<String>,
    needs_yes: bool,
}

impl Plan {
    pub(super) fn make(
        config: &Change,
        resolver: &Resolver,
        past: &AuditHistory,
    ) -> Result<Self, Error> {
        let action = config.action;
        let names = |of: fn(&rows::Row) -> &String| {
            config.rows.iter().map(of).cloned().collect::<HashSet<_>>()
        };
        let mut knowledge = Knowledge {
            users: resolver.users(names(|row| &row.user))?,
            groups: resolver.groups(names(|row| &row.group))?,
            memberships: HashMap::new(),
        };
        let mut steps = decide::check(action, &config.rows, &knowledge, &config.scope);
        for (user, group) in steps
            .iter()
            .filter(|step| step.verdict == RowAction::Change)
            .filter_map(PlannedRow::ids)
        {
            send::wait_for_read_lag(resolver, past, user, group)?;
        }
        let pairs = pairs_of(&steps, &RowAction::Change);
        let reading = Reading::cheapest(&pairs, resolver.sizes.members);
        knowledge.memberships = resolver.memberships(&pairs, reading)?;
        let before = steps.clone();
        decide::leave_out_what_is_done(action, &mut steps, &knowledge);
        if action == Action::Revoke {
            let absent = pairs_of(&steps, &RowAction::Unchanged);
            if !absent.is_empty() {
                // A membership that was just granted may not be seen yet: twice absent, three seconds apart, is absent.
                // The second time by user: a list of members that lacks one must not leave anybody in.
                resolver.client.sleep(Duration::from_secs(3))?;
                let again = resolver.memberships(&absent, Reading::by_user(&absent))?;
                knowledge.memberships.extend(again);
                steps = before;
                decide::leave_out_what_is_done(action, &mut steps, &knowledge);
            }
        }
        let mut plan = Self {
            action,
            steps,
            cautions: Vec::new(),
            needs_yes: false,
        };
        plan.find_cautions(resolver)?;
        Ok(plan)
    }

    /// Reads the group rules, once a run, and only if there is something to change.
    fn find_cautions(&mut self, resolver: &Resolver) -> Result<(), Error> {
        let changing = self
            .steps
            .iter()
            .filter(|step| step.verdict == RowAction::Change);
        let groups: HashMap<&GroupId, _> = changing
            .filter_map(|step| step.group.as_ref())
            .map(|group| (&group.id, group))
            .collect();
        if groups.is_empty() {
            return Ok(());
        }
        let rules = resolver.rules(&groups.keys().copied().cloned().collect())?;
        let mut ids: Vec<_> = groups.keys().copied().collect();
        ids.sort();
        for id in ids {
            let rules = rules.get(id).unwrap_or(&Rules::Unknown);
            let (notes, needs_yes) = decide::caution(self.action, groups[id], rules);
            self.cautions.extend(notes);
            self.needs_yes |= needs_yes;
        }
        Ok(())
    }

    pub(super) fn changes(&self) -> usize {
        self.steps
            .iter()
            .filter(|step| step.verdict == RowAction::Change)
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
        config: &Change,
        console: &Console,
        stop: &ShutdownSignal,
        report: &Report,
    ) -> anyhow::Result<()> {
        let asks = config.from.is_some() || self.action == Action::Revoke;
        if config.yes || !(asks || self.needs_yes) {
            console.print_notice(&report.table(), false);
            return Ok(());
        }
        let refuse = |why: &str| {
            Err(ExitError::refused(format!("not confirmed: {why}; nothing was changed")).into())
        };
        if self.needs_yes {
            return refuse(&format!("this needs --yes: {}", self.cautions.join("; ")));
        }
        if config.from.as_deref() == Some("-") {
            return refuse("--from reads standard input, so there can be no prompt; pass --yes");
        }
        // The plan is shown before the question, even with --quiet.
        console.print_notice(&report.table(), true);
        let changes = self.changes() as u64;
        let question = format!("{} {}?", self.action.as_str(), count(changes, "membership"));
        match console.confirm(&question, stop)? {
            Confirmation::Yes => Ok(()),
            Confirmation::No => refuse("the answer was no"),
            Confirmation::Nobody => refuse("no terminal for a prompt; pass --yes"),
        }
    }
}

fn pairs_of(steps: &[PlannedRow], verdict: &RowAction) -> Vec<Pair> {
    let steps = steps.iter().filter(|step| step.verdict == *verdict);
    steps
        .filter_map(|step| {
            Some((
                Arc::clone(step.user.as_ref()?),
                Arc::clone(step.group.as_ref()?),
            ))
        })
        .collect()
}
