//! The state of a run, on its way in and out: gone on with, set aside, kept, removed.

use jiff::Timestamp;

use super::now_in_millis;
use crate::config::Sync;
use crate::console::{count, span};
use crate::exit;
use crate::snapshot::target::StateFile;
use crate::snapshot::{self, Warning};
use crate::sync::resume::{self, Identity};
use crate::sync::work::Work;

/// The working database of this run, and how far an earlier part of it came.
pub(super) struct State {
    pub(super) work: Work,
    pub(super) progress: resume::Progress,
}

impl State {
    /// Goes on with an interrupted run, or begins a new one and says why.
    pub(super) fn open_or_begin(config: &Sync, file: &StateFile) -> anyhow::Result<Self> {
        let wanted = Identity::of(config);
        if file.is_there()? {
            let found = Work::open(file.path()).and_then(|found| {
                let Some((work, progress)) = found else {
                    return Ok(None);
                };
                match resume::obstacle(&progress, &wanted, Timestamp::now()) {
                    _ if config.fresh => anyhow::bail!("--fresh was given"),
                    Some(why) => anyhow::bail!(why),
                    None => Ok(Some((work, progress))),
                }
            });
            match found {
                Ok(Some((work, progress))) => return Self::go_on(work, progress),
                Ok(None) => {}
                Err(why) => {
                    let aside = file.set_aside()?;
                    tracing::warn!(
                        "an interrupted run is not gone on with: {why:#}; what it read is kept as {} until a run is whole",
                        aside.display()
                    );
                }
            }
        }
        file.create()?;
        let now = now_in_millis();
        let progress = resume::Progress::begun(wanted, config.now.unwrap_or(now), now);
        Ok(Self {
            work: Work::create(file.path(), &progress)?,
            progress,
        })
    }

    fn go_on(mut work: Work, mut progress: resume::Progress) -> anyhow::Result<Self> {
        progress.interruptions += 1;
        let gap = Timestamp::now().duration_since(progress.saved_at);
        let (begun_at, gap) = (
            snapshot::rfc3339(progress.begun_at),
            span(gap.unsigned_abs()),
        );
        let message = format!(
            "this run was begun at {begun_at} and interrupted for {gap}; it holds what was read before and after"
        );
        tracing::info!(
            "going on with the run that was begun at {begun_at} and interrupted {gap} ago, after {}",
            count(progress.cost.requests, "request")
        );
        let resumed = Warning {
            code: "resumed".to_owned(),
            kind: "run".to_owned(),
            object_id: None,
            message,
        };
        // Each interruption has its own line, also if there is another.
        work.warning(&resumed)?;
        Ok(Self { work, progress })
    }
}

/// Keeps what was read, where the same command can go on from it.
pub(super) fn state_file_after(file: &StateFile, error: &anyhow::Error) {
    if !exit::may_pass(error) {
        file.remove();
    } else if Work::holds_a_page(file.path()) {
        tracing::info!("what was read is kept: the same command goes on from there, for 24 hours");
    } else {
        file.remove();
    }
}

/// Names the working file in an error that is about nothing else.
pub(super) fn about_the_state(error: anyhow::Error, file: &StateFile) -> anyhow::Error {
    if error.is::<rusqlite::Error>() {
        let text = format!("{}: the disk is full, or fails", file.path().display());
        return error.context(text);
    }
    error
}
