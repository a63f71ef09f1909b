//! The parts that the phases of a run share: the checkpoint in which they store pages, the queue with which they start
//! tasks, and the warnings that they report.

use std::sync::Arc;

use crossbeam_channel::Sender;

use super::Options;
use super::checkpoint::{Checkpoint, UserCopy};
use super::listing::{ListingId, ListingKind, OpenListing};
use super::objects::{CopySource, LocalId};
use super::worker::{ListedUser, PageCommit, Shared, Task};
use crate::model::UserId;
use crate::okta::http::Cost;
use crate::snapshot::Warning;

/// The parts that the phases of a run share.
pub(super) struct Context<'a> {
    pub options: &'a Options,
    pub shared: &'a Arc<Shared>,
    pub checkpoint: &'a mut Checkpoint,
    pub warnings: Vec<Warning>,
    /// Tasks that have not ended.
    pub open_tasks: u64,
    tasks: Sender<Task>,
    cost_before: Cost,
}

impl<'a> Context<'a> {
    pub fn new(
        options: &'a Options,
        shared: &'a Arc<Shared>,
        tasks: Sender<Task>,
        checkpoint: &'a mut Checkpoint,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            options,
            shared,
            warnings: checkpoint.warnings()?,
            open_tasks: 0,
            tasks,
            cost_before: checkpoint.progress.cost,
            checkpoint,
        })
    }

    pub fn start(&mut self, task: Task) {
        self.open_tasks += 1;
        // This cannot fail: the other end of the queue exists as long as `shared`.
        let _ = self.tasks.send(task);
    }

    /// Starts a listing from its first page.
    pub fn list(&mut self, kind: ListingKind) -> anyhow::Result<ListingId> {
        let id = self.checkpoint.add_listing(&kind)?;
        self.start_again(id, kind);
        Ok(id)
    }

    /// Restarts a listing from its first page.
    pub fn start_again(&mut self, id: ListingId, kind: ListingKind) {
        self.start(Task::List(OpenListing {
            id,
            kind,
            cursor: None,
            listed: Vec::new(),
            reached: None,
        }));
    }

    /// Moves the cursor of a listing past a page. Returns whether that was its last page.
    pub fn commit_page(&mut self, commit: &PageCommit) -> anyhow::Result<bool> {
        self.checkpoint
            .advance(commit.listing, commit.next.as_deref())?;
        let is_last = commit.next.is_none();
        self.open_tasks -= u64::from(is_last);
        Ok(is_last)
    }

    /// Ends a listing before its last page.
    pub fn end_listing(&mut self, listing: ListingId) -> anyhow::Result<()> {
        self.open_tasks -= 1;
        self.checkpoint.advance(listing, None)
    }

    /// Stores users of a page, and returns their numbers.
    pub fn store_users(
        &mut self,
        rows: Vec<ListedUser>,
        source: CopySource,
    ) -> anyhow::Result<Vec<LocalId>> {
        rows.into_iter()
            .map(|row| match row {
                ListedUser::Known(local_id) => Ok(local_id),
                ListedUser::Copy(copy) => self.store_user(&copy, source),
            })
            .collect()
    }

    pub fn store_user(&mut self, copy: &UserCopy, source: CopySource) -> anyhow::Result<LocalId> {
        let (user, in_scope) = (&copy.user, copy.matched_by.is_some());
        let users = &self.shared.users;
        let upserted = users.upsert(user.id.clone(), user.last_updated, source, in_scope);
        let local_id = upserted.local_id;
        if upserted.stored {
            self.checkpoint
                .store_user(local_id, copy, source, upserted.in_listing)?;
        } else if upserted.newly_listed {
            self.checkpoint.mark_user_listed(local_id)?;
        }
        Ok(local_id)
    }

    /// Removes a user who was deleted during the run from the snapshot.
    pub fn user_deleted(&mut self, id: &UserId) -> anyhow::Result<()> {
        self.shared.users.mark_deleted(id.as_str());
        self.checkpoint.mark_user_deleted(id)?;
        self.warn_deleted("user", id.as_str())
    }

    /// Warns that an object was deleted during the run.
    pub fn warn_deleted(&mut self, kind: &str, id: &str) -> anyhow::Result<()> {
        let message = "deleted during the run; left out of the snapshot".to_owned();
        self.warn(&format!("{kind}_vanished"), kind, Some(id), message)
    }

    /// Stores and logs a warning about an object of this kind, or about the run. Does nothing if the run, or the part of it
    /// before an interruption, has already reported it.
    pub fn warn(
        &mut self,
        code: &str,
        kind: &str,
        object: Option<&str>,
        message: String,
    ) -> anyhow::Result<()> {
        let is_this =
            |warning: &Warning| warning.code == code && warning.object_id.as_deref() == object;
        if self.warnings.iter().any(is_this) {
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
        self.checkpoint.add_warning(&warning)?;
        self.warnings.push(warning);
        Ok(())
    }

    /// Returns the requests and waits of the run, including those before an interruption.
    pub fn cost(&self) -> Cost {
        self.cost_before + self.shared.client.cost()
    }
}
