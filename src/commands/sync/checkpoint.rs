//! Handles the checkpoint at the start and at the end of a run: resumes, creates, sets aside, keeps or removes it.

use std::path::PathBuf;

use jiff::Timestamp;
use rusqlite::ErrorCode;

use super::{now_in_millis, sync_id};
use crate::config::SyncConfig;
use crate::snapshot::target::{CheckpointFile, LeftBehind, Target};
use crate::snapshot::{self, Reader, Warning};
use crate::sync::checkpoint::Checkpoint;
use crate::sync::checkpoint::resume::{self, ResumeKey, RunProgress};
use crate::text::{count, one_line, span};

/// The checkpoint of this run.
pub(super) struct RunCheckpoint {
    /// True if an earlier part of the run created it.
    pub(super) resumed: bool,
    pub(super) checkpoint: Checkpoint,
}

impl RunCheckpoint {
    /// Resumes an interrupted run, or starts a new one and logs why.
    pub(super) fn open_or_create(
        config: &SyncConfig,
        file: &CheckpointFile,
        target: &Target,
    ) -> anyhow::Result<Self> {
        let key = ResumeKey::of(&config.connection, &config.options());
        match resumable(config, file, target, &key) {
            Ok(Some(checkpoint)) => return Self::resume(checkpoint),
            Ok(None) => {}
            Err(why) => {
                let old = file.set_aside()?;
                tracing::warn!(
                    "starting over: {}; the old checkpoint is kept as {} until a sync completes",
                    one_line(&why),
                    old.display()
                );
            }
        }
        file.create()?;
        let now = now_in_millis();
        let progress = RunProgress::new(key, config.now.unwrap_or(now), now);
        Ok(Self {
            resumed: false,
            checkpoint: Checkpoint::create(file.path(), progress)?,
        })
    }

    fn resume(mut checkpoint: Checkpoint) -> anyhow::Result<Self> {
        let progress = &mut checkpoint.progress;
        progress.interruptions += 1;
        let gap = Timestamp::now().duration_since(progress.saved_at);
        let (began_at, gap) = (
            snapshot::rfc3339(progress.began_at),
            span(gap.unsigned_abs()),
        );
        tracing::info!(
            "resuming the run started at {began_at}, interrupted {gap} ago after {}",
            count(progress.cost.requests, "request")
        );
        // Each interruption has its own warning.
        checkpoint.add_warning(&Warning {
            code: "resumed".to_owned(),
            kind: "run".to_owned(),
            object_id: None,
            message: format!(
                "resumed after {gap}: the run started at {began_at}, so the data spans both parts"
            ),
        })?;
        Ok(Self {
            resumed: true,
            checkpoint,
        })
    }
}

/// Returns the checkpoint to resume; `None` if there is none, or if its run has already published its snapshot.
///
/// # Errors
/// Returns an error with the reason if the checkpoint cannot be resumed.
fn resumable(
    config: &SyncConfig,
    file: &CheckpointFile,
    target: &Target,
    key: &ResumeKey,
) -> anyhow::Result<Option<Checkpoint>> {
    match file.left()? {
        LeftBehind::Nothing => return Ok(None),
        LeftBehind::Distrusted(why) => anyhow::bail!(why),
        LeftBehind::Trusted => {}
    }
    let Some(checkpoint) = Checkpoint::open(file.path())? else {
        return Ok(None);
    };
    let progress = &checkpoint.progress;
    anyhow::ensure!(!config.fresh, "--fresh was given");
    if let Some(why) = resume::reason_not_to_resume(progress, key, Timestamp::now()) {
        anyhow::bail!(why);
    }
    let sync_id = sync_id(config, progress.started_at);
    Ok((!is_published(&checkpoint, &sync_id, target)?).then_some(checkpoint))
}

/// Returns true if the run of this checkpoint published its snapshot and was killed before it removed the checkpoint.
/// Then there is nothing to resume, and the pages are outdated.
fn is_published(checkpoint: &Checkpoint, sync_id: &str, target: &Target) -> anyhow::Result<bool> {
    if !checkpoint.open_listings()?.is_empty() {
        return Ok(false);
    }
    let files = [
        target.path().to_owned(),
        target.partial(),
        target.rejected(),
    ];
    let is_of_the_run = |file: &PathBuf| {
        let metadata = Reader::open(file).ok()?.info().metadata.clone()?;
        Some(metadata.sync_id == sync_id)
    };
    Ok(files.iter().any(|file| is_of_the_run(file) == Some(true)))
}

/// After an error, keeps the checkpoint if the same command can resume it, and sets it aside if it may contain hours of
/// reading.
pub(super) fn keep_or_remove(file: &CheckpointFile, resumed: bool, error: &anyhow::Error) {
    if !Checkpoint::has_pages(file.path()) {
        file.remove();
    } else if resume::is_resumable(error) {
        tracing::info!(
            "checkpoint saved; run the same command to resume (possible for 24 hours after the start)"
        );
    } else if resumed || error.is::<resume::Unwritable>() {
        match file.set_aside() {
            Ok(old) => tracing::info!("the checkpoint is kept as {}", old.display()),
            Err(error) => tracing::warn!("{}", one_line(&error)),
        }
    } else {
        file.remove();
    }
}

/// Adds the path of the checkpoint to an error of its database.
pub(super) fn with_checkpoint_path(error: anyhow::Error, file: &CheckpointFile) -> anyhow::Error {
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
