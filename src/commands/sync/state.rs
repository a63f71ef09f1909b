//! The state of a run, on its way in and out: gone on with, set aside, kept, removed.

use std::path::PathBuf;

use jiff::Timestamp;
use rusqlite::ErrorCode;

use super::{now_in_millis, sync_id};
use crate::config::Sync;
use crate::exit;
use crate::snapshot::target::{Left, StateFile, Target};
use crate::snapshot::{self, Reader, Warning};
use crate::sync::resume::{self, Identity};
use crate::sync::work::Work;
use crate::text::{count, span};

/// The working database of this run, and how far an earlier part of it came.
pub(super) struct State {
    /// Whether an earlier part of the run left it.
    pub(super) gone_on_with: bool,
    pub(super) work: Work,
    pub(super) progress: resume::Progress,
}

impl State {
    /// Goes on with an interrupted run, or begins a new one and says why.
    pub(super) fn open_or_begin(
        config: &Sync,
        file: &StateFile,
        target: &Target,
    ) -> anyhow::Result<Self> {
        let wanted = Identity::of(&config.connection, &config.options());
        let left = file.left()?;
        if left != Left::Nothing {
            let found = trusted(left)
                .and_then(|()| Work::open(file.path()))
                .and_then(|found| {
                    let Some((work, progress)) = found else {
                        return Ok(None);
                    };
                    match resume::obstacle(&progress, &wanted, Timestamp::now()) {
                        _ if config.fresh => anyhow::bail!("--fresh was given"),
                        Some(why) => anyhow::bail!(why),
                        None if is_whole(&work, &sync_id(config, progress.started_at), target)? => {
                            Ok(None)
                        }
                        None => Ok(Some((work, progress))),
                    }
                });
            match found {
                Ok(Some((work, progress))) => return Self::go_on(work, progress),
                Ok(None) => {}
                Err(why) => {
                    let aside = file.set_aside()?;
                    tracing::warn!(
                        "starting over: {why:#}; the old checkpoint is kept as {} until a sync completes",
                        aside.display()
                    );
                }
            }
        }
        file.create()?;
        let now = now_in_millis();
        let progress = resume::Progress::begun(wanted, config.now.unwrap_or(now), now);
        Ok(Self {
            gone_on_with: false,
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
            "resumed after {gap}: the run started at {begun_at}, so the data spans both parts"
        );
        tracing::info!(
            "resuming the run started at {begun_at}, interrupted {gap} ago after {}",
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
        Ok(Self {
            gone_on_with: true,
            work,
            progress,
        })
    }
}

fn trusted(left: Left) -> anyhow::Result<()> {
    match left {
        Left::Distrusted(why) => Err(anyhow::anyhow!(why)),
        Left::Nothing | Left::Trusted => Ok(()),
    }
}

/// Whether the run that left this state put its file in place, and was ended before it could remove the state: then
/// there is nothing to go on with, and its pages are old.
fn is_whole(work: &Work, sync_id: &str, target: &Target) -> anyhow::Result<bool> {
    if !work.open_walks()?.is_empty() {
        return Ok(false);
    }
    let files = [
        target.path().to_owned(),
        target.partial(),
        target.rejected(),
    ];
    let holds_it = |file: &PathBuf| {
        let facts = Reader::open(file).ok()?.about().facts.clone()?;
        Some(facts.sync_id == sync_id)
    };
    Ok(files.iter().any(|file| holds_it(file) == Some(true)))
}

/// Keeps what was read, where the same command can go on from it.
pub(super) fn state_file_after(file: &StateFile, gone_on_with: bool, error: &anyhow::Error) {
    if !Work::holds_a_page(file.path()) {
        file.remove();
    } else if exit::may_pass(error) {
        tracing::info!(
            "checkpoint saved; run the same command to resume (possible for 24 hours after the start)"
        );
    } else if gone_on_with || error.is::<resume::Unwritable>() {
        // It may have been worth hours, and the next command may be another.
        match file.set_aside() {
            Ok(aside) => tracing::info!("the checkpoint is kept as {}", aside.display()),
            Err(error) => tracing::warn!("{error:#}"),
        }
    } else {
        file.remove();
    }
}

/// Names the working file in an error that is about nothing else.
pub(super) fn about_the_state(error: anyhow::Error, file: &StateFile) -> anyhow::Error {
    let code = error
        .downcast_ref::<rusqlite::Error>()
        .and_then(rusqlite::Error::sqlite_error_code);
    let what = match code {
        Some(ErrorCode::DiskFull) => "the disk is full",
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::ReadOnly) => {
            "the disk is full, or fails"
        }
        Some(_) => "the database failed",
        None => return error,
    };
    let text = format!("{}: {what}", file.path().display());
    error.context(text)
}
