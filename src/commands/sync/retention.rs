//! Finds the previous snapshot and removes old ones if file names contain the time of the run.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::atomic_file::{remove_if_there, sync_folder_of, with_ending};
use crate::config::{Retention, SyncConfig};
use crate::evidence::verify::Manifest;
use crate::snapshot::c1z::{MAGIC, SQLITE_MAGIC};
use crate::snapshot::series::{SeriesFile, surplus};
use crate::snapshot::{FileFormat, Reader};
use crate::text::one_line;

/// Returns the snapshot that the new one replaces or, if there is none, the newest one of its series.
///
/// # Errors
/// Returns an error if the folder cannot be listed.
pub fn previous(config: &SyncConfig, target: &Path) -> anyhow::Result<Option<PathBuf>> {
    if target.exists() {
        return Ok(Some(target.to_owned()));
    }
    let Some(retention) = &config.retention else {
        return Ok(None);
    };
    let newest = snapshots(config, retention)?.pop();
    Ok(newest.map(|file| file.path))
}

/// Removes the snapshots beyond `--keep` with their manifests and their `.partial` and `.rejected` files. If an old
/// snapshot cannot be removed, only a warning is printed, since the new snapshot is complete.
pub fn remove_surplus(config: &SyncConfig) {
    let Some(retention) = &config.retention else {
        return;
    };
    let Some(keep) = retention.keep else {
        return;
    };
    let files = match snapshots(config, retention) {
        Ok(files) => files,
        Err(error) => {
            tracing::warn!("cannot remove old snapshots: {}", one_line(&error));
            return;
        }
    };
    for file in surplus(files, keep, &config.file) {
        if let Err(reason) = refuse_others(&config.file, &file.path) {
            tracing::warn!("kept {}: {}", file.path.display(), one_line(&reason));
            continue;
        }
        match remove(retention, &file) {
            Ok(()) => tracing::info!("removed {}, since --keep is {keep}", file.path.display()),
            Err(error) => tracing::warn!("cannot remove an old snapshot: {}", one_line(&error)),
        }
    }
}

/// Checks that a file is a snapshot that okta-ciam took of the same org. Other files could have names of the series
/// too.
fn refuse_others(new: &Path, old: &Path) -> anyhow::Result<()> {
    let origin = |path: &Path| -> anyhow::Result<String> {
        let reader = Reader::open(path)?;
        let run = reader.info().metadata.as_ref();
        let run = run.context("it is not a snapshot of okta-ciam")?;
        Ok(run.origin.clone())
    };
    let (new, old) = (origin(new)?, origin(old)?);
    if new != old {
        bail!("it is from {old}, not from {new}");
    }
    Ok(())
}

fn remove(retention: &Retention, file: &SeriesFile) -> anyhow::Result<()> {
    for ending in [".partial", ".rejected", ""] {
        remove_if_there(&with_ending(&file.path, ending))?;
    }
    if let Some(manifests) = &retention.manifests {
        let manifest = manifests.companion(file);
        if Manifest::read(&manifest).is_ok() {
            remove_if_there(&manifest)?;
        }
    }
    sync_folder_of(&file.path);
    Ok(())
}

/// Returns the snapshots of the series, oldest first. Files that are not snapshots are ignored.
fn snapshots(config: &SyncConfig, retention: &Retention) -> anyhow::Result<Vec<SeriesFile>> {
    let mut files = retention
        .series
        .files()
        .with_context(|| format!("cannot list the folder of {}", config.file.display()))?;
    files.retain(|file| is_snapshot(&file.path, config.format));
    Ok(files)
}

fn is_snapshot(path: &Path, format: FileFormat) -> bool {
    let start: &[u8] = match format {
        FileFormat::C1z => MAGIC,
        FileFormat::Sqlite => SQLITE_MAGIC,
    };
    let mut found = Vec::new();
    let is_file = fs::symlink_metadata(path).is_ok_and(|entry| entry.is_file());
    is_file
        && File::open(path)
            .and_then(|file| file.take(start.len() as u64).read_to_end(&mut found))
            .is_ok()
        && found == start
}
