//! The loop between workers and phases: it starts the workers, passes their events to the phases one by one, and commits.
//!
//! - Only the calling thread writes the checkpoint.
//! - What an event changes in the phases and in the checkpoint is committed together, so that a run that resumes from the
//!   last commit makes the same decisions.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded, unbounded};

use super::checkpoint::Checkpoint;
use super::context::Context;
use super::objects::ObjectIndex;
use super::phases::Phases;
use super::worker::{Event, Shared};
use super::{Options, OrgReadReport, Tally};
use crate::okta::{self, Client};
use crate::signal::ShutdownSignal;

/// The number of pages that may wait to be stored. Each has at most 1,000 users, most of them only as numbers.
const QUEUE: usize = 16;
/// The interval at which the loop checks for signals and redraws the progress.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Reads an org into a checkpoint: everything, or only users and groups for a plan.
///
/// # Errors
/// Returns the first error of a worker, or of a signal, a guard or the checkpoint. After an error of Okta, all pages that
/// were read are committed; after any other, those of the last fraction of a second are not.
pub fn read_org(
    options: &Options,
    client: &Arc<Client>,
    shutdown: &ShutdownSignal,
    checkpoint: &mut Checkpoint,
    mut show: impl FnMut(&Tally),
) -> anyhow::Result<OrgReadReport> {
    let (task_in, tasks) = unbounded();
    let (event_in, events) = bounded(QUEUE);
    let domains = options.scope.domains().iter();
    let shared = Arc::new(Shared {
        client: Arc::clone(client),
        scope: options.scope.clone(),
        sizes: options.page_sizes,
        users: ObjectIndex::default(),
        tasks,
        events: event_in,
        stop_cursor: AtomicBool::new(false),
        stop_ends: AtomicBool::new(false),
        used_domains: domains.map(|_| AtomicBool::new(false)).collect(),
    });
    let mut engine = Engine {
        context: Context::new(options, &shared, task_in, checkpoint)?,
        phases: Phases::new(options),
    };
    engine.phases.start(&mut engine.context)?;
    start_workers(&shared, options.concurrency)?;
    let read = loop {
        show(&engine.phases.tally(&engine.context));
        match engine.handle_next_event(&events, shutdown) {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    match read {
        Ok(()) => engine.finish(),
        Err(error) => {
            // If the checkpoint itself failed, its last transaction is incomplete, and is dropped.
            if error.chain().any(|cause| cause.is::<okta::Error>()) {
                // The first error is returned, even if this fails too.
                let _ = engine.save();
            }
            Err(error)
        }
    }
}

fn start_workers(shared: &Arc<Shared>, count: usize) -> anyhow::Result<()> {
    for number in 0..count {
        let shared = Arc::clone(shared);
        thread::Builder::new()
            .name(format!("worker-{number}"))
            .spawn(move || shared.work())
            .context("cannot start a thread")?;
    }
    Ok(())
}

struct Engine<'a> {
    context: Context<'a>,
    phases: Phases,
}

impl Engine<'_> {
    /// Handles one event, if one arrives in time. Returns whether there is more to do.
    fn handle_next_event(
        &mut self,
        events: &Receiver<Event>,
        shutdown: &ShutdownSignal,
    ) -> anyhow::Result<bool> {
        shutdown.check()?;
        match events.recv_timeout(POLL_INTERVAL) {
            Ok(event) => self.phases.on_event(event, &mut self.context)?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => anyhow::bail!("all workers have ended"),
        }
        if self.context.checkpoint.is_due(events.is_empty()) {
            self.save()?;
        }
        if self.context.open_tasks == 0 {
            self.phases.reconcile(&mut self.context)?;
        }
        if self.context.open_tasks == 0 {
            shutdown.check()?;
        }
        Ok(self.context.open_tasks > 0)
    }

    fn save(&mut self) -> anyhow::Result<()> {
        let cost = self.context.cost();
        let checkpoint = &mut *self.context.checkpoint;
        checkpoint.progress.cost = cost;
        self.phases.record(&mut checkpoint.progress);
        checkpoint.save()
    }

    fn finish(mut self) -> anyhow::Result<OrgReadReport> {
        self.phases.finish(&mut self.context)?;
        self.save()?;
        self.context.checkpoint.finish()?;
        self.phases.report(&mut self.context)
    }
}
