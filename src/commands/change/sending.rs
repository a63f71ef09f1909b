//! Sends the planned changes one at a time, and adds their outcomes to the report.

use std::sync::Arc;

use super::plan::ChangePlan;
use super::report::{ChangeReport, RowResult};
use crate::change::Action;
use crate::change::audit::Audit;
use crate::change::decide::{Pair, PlannedRow, RowAction};
use crate::change::resolve::Resolver;
use crate::change::send::{self, ChangeOutcome, Item};
use crate::console::Console;
use crate::okta::Error;
use crate::text::one_line;

/// Sends changes, and keeps track of those that were made.
pub(super) struct Sender<'a> {
    pub(super) resolver: &'a Resolver,
    pub(super) origin: &'a str,
    pub(super) audit: &'a mut Option<Audit>,
    pub(super) action: Action,
    pub(super) report: &'a mut ChangeReport,
    /// The changes that were made, with the indices of their rows in the report.
    made: Vec<(usize, Pair)>,
    /// The error after which no more changes are sent.
    stopped: Option<anyhow::Error>,
}

impl<'a> Sender<'a> {
    pub(super) fn new(
        resolver: &'a Resolver,
        origin: &'a str,
        audit: &'a mut Option<Audit>,
        action: Action,
        report: &'a mut ChangeReport,
    ) -> Self {
        Self {
            resolver,
            origin,
            audit,
            action,
            report,
            made: Vec::new(),
            stopped: None,
        }
    }

    /// Sends the planned changes. Returns the error that stopped the run; the report then contains the rows that were
    /// not attempted.
    pub(super) fn send(mut self, plan: &ChangePlan, console: &Console) -> Option<anyhow::Error> {
        let mut progress = console.change_progress(plan.changes() as u64, "changes");
        for (place, planned_row) in plan.planned_rows.iter().enumerate() {
            if planned_row.action != RowAction::Change {
                continue;
            }
            if self.stopped.is_some() {
                self.report.rows[place].set(
                    RowResult::NotAttempted,
                    Some("the run was stopped before it"),
                    None,
                );
                continue;
            }
            self.send_one(place, planned_row);
            progress.advance();
        }
        progress.clear();
        self.read_back();
        self.stopped
    }

    fn send_one(&mut self, place: usize, planned_row: &PlannedRow) {
        let (Some(user), Some(group)) = (&planned_row.user, &planned_row.group) else {
            return;
        };
        let item = Item {
            user: Arc::clone(user),
            group: Arc::clone(group),
            line: planned_row.row.line,
        };
        let row = &mut self.report.rows[place];
        match send::send(self.resolver, self.origin, self.audit, self.action, &item) {
            Ok((outcome, recorded)) => {
                // Without a record, no more changes are permitted.
                self.stopped = recorded.err();
                row.is_recorded = true;
                self.enter(place, (item.user, item.group), outcome);
            }
            Err(error) => {
                row.set(RowResult::NotAttempted, Some(&one_line(&error)), None);
                self.stopped = Some(error);
            }
        }
    }

    fn enter(&mut self, place: usize, pair: Pair, outcome: ChangeOutcome) {
        let row = &mut self.report.rows[place];
        match outcome {
            ChangeOutcome::Done {
                response_lost,
                request_id,
            } => {
                self.made.push((place, pair));
                let message =
                    response_lost.then_some("Okta's response was lost, but the change is visible");
                row.set(RowResult::Changed, message, request_id);
            }
            ChangeOutcome::NotDone { error, confirmed } => {
                let stop = stops_the_rest(&error);
                let result = match error {
                    Error::Interrupted(_) | Error::Deadline { .. } => RowResult::NotAttempted,
                    _ => RowResult::Failed,
                };
                row.fail(result, &error);
                let mut error = anyhow::Error::new(error);
                if confirmed {
                    let seconds = send::READ_LAG.as_secs();
                    error = error.context(format!("not visible when read back for {seconds} s"));
                    row.message = Some(one_line(&error));
                }
                if stop && self.stopped.is_none() {
                    self.stopped = Some(error);
                }
            }
            ChangeOutcome::Unknown(error) => {
                row.fail(RowResult::Unknown, &error);
                self.stopped = Some(error.into());
            }
        }
    }

    /// Checks that the changes are visible, unless the run was stopped.
    fn read_back(&mut self) {
        let made = std::mem::take(&mut self.made);
        if self.stopped.is_some() {
            for (place, _) in made {
                self.report.rows[place].message.get_or_insert(
                    "sent and confirmed; not read back, because the run was stopped".to_owned(),
                );
            }
            return;
        }
        if made.is_empty() {
            return;
        }
        let pairs = made.iter().map(|(_, pair)| pair.clone()).collect();
        let (message, not_visible) = match send::not_visible(self.resolver, self.action, pairs) {
            Ok(not_visible) => {
                let seconds = send::READ_LAG.as_secs();
                let message = format!("sent, but not visible when read back for {seconds} s");
                (message, Some(not_visible))
            }
            Err(error) => {
                self.stopped =
                    Some(anyhow::Error::new(error).context("reading back what was changed"));
                ("sent, but reading it back failed".to_owned(), None)
            }
        };
        for (place, (user, group)) in made {
            let key = (user.id.clone(), group.id.clone());
            if not_visible.as_ref().is_none_or(|keys| keys.contains(&key)) {
                self.report.rows[place].set(RowResult::NotVisible, Some(&message), None);
            }
        }
    }
}

/// Returns true if an error would affect the next change too.
fn stops_the_rest(error: &Error) -> bool {
    match error {
        // A proxy would treat all changes alike.
        Error::Refused(refusal) => refusal.status == 401 || !refusal.has_oktas_code(),
        // Okta may lock one user or group, such as a user who is being activated (docs/okta-api.md, Errors).
        Error::Unavailable { status, .. } => !matches!(status, Some(409 | 423)),
        _ => true,
    }
}
