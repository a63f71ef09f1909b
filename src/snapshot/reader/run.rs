//! Selects the run to read, and reads its metadata.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};

use super::schema::{columns, expected, has, selected};
use super::{bad_value, limit, unsigned};
use crate::snapshot::columns::TableRow;
use crate::snapshot::columns::{FIRST, SCHEMA_VERSION};
use crate::snapshot::limits::{MAX_ID, MAX_VALUE};
use crate::snapshot::metadata::RunMetadata;
use crate::snapshot::{Error, FileFormat, FileInfo, Warning, times};

/// Selects the run with the id `wanted`, or the newest finished full run, and describes it.
pub(super) fn info(
    path: &Path,
    db: &Connection,
    format: FileFormat,
    wanted: Option<&str>,
) -> Result<FileInfo, Error> {
    let failed = |error| Error::reading(path, MAX_ID, error);
    let known = columns(path, db, "v1_sync_runs")?.unwrap_or_default();
    limit(db, MAX_ID).map_err(failed)?;
    // Older files have only full runs, and no column for the type.
    let full = if known.iter().any(|column| column == "sync_type") {
        "sync_type = 'full'"
    } else {
        "true"
    };
    let runs = db
        // SQLite runs `count(*)` as one instruction, which the time limit cannot stop.
        .query_row("select count(sync_id) from v1_sync_runs", [], |row| {
            unsigned(row, 0)
        })
        .map_err(failed)?;
    let newest = format!(
        "select sync_id, started_at, ended_at from v1_sync_runs where ended_at is not null
            and iif(?1 is null, {full}, sync_id = ?1) order by ended_at desc, sync_id desc limit 1"
    );
    let run: Option<(String, String, String)> = db
        .query_row(&newest, [wanted], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()
        .map_err(failed)?;
    let Some((sync_id, started_at, ended_at)) = run else {
        if let Some(sync_id) = wanted {
            return Err(Error::NoSuchRun {
                path: path.to_owned(),
                sync_id: sync_id.to_owned(),
            });
        }
        let unfinished = "select max(started_at) from v1_sync_runs where ended_at is null";
        return Err(Error::NoFinishedRun {
            path: path.to_owned(),
            newest_unfinished: db
                .query_row(unfinished, [], |row| row.get(0))
                .map_err(failed)?,
        });
    };
    let time = |text: &str| {
        times::parse(text).ok_or_else(|| {
            Error::damaged(
                path,
                format!("{text:?} is not a time, but run {sync_id} has it as one"),
            )
        })
    };
    Ok(FileInfo {
        format,
        started_at: time(&started_at)?,
        ended_at: time(&ended_at)?,
        runs,
        metadata: metadata(path, db, &sync_id)?,
        sync_id,
    })
}

/// Returns the metadata, if the plain tables describe the run.
fn metadata(path: &Path, db: &Connection, sync_id: &str) -> Result<Option<RunMetadata>, Error> {
    limit(db, MAX_VALUE).map_err(|error| Error::reading(path, MAX_VALUE, error))?;
    let Some(known) = columns(path, db, "snapshot")? else {
        return Ok(None);
    };
    if has(path, "snapshot", &known, ["sync_id", "schema_version"]).is_err() {
        return Ok(None);
    }
    let failed = |error| Error::reading(path, MAX_VALUE, error);
    let version: Option<i64> = db
        .query_row(
            "select schema_version from snapshot where sync_id = ?1 limit 1",
            [sync_id],
            |row| row.get(0),
        )
        .optional()
        .map_err(failed)?;
    let Some(version) = version else {
        return Ok(None);
    };
    if version > SCHEMA_VERSION.into() {
        return Err(Error::Unsupported {
            path: path.to_owned(),
            why: format!(
                "its tables are version {version}, and this program knows them up to version {SCHEMA_VERSION}; \
                 use the version that wrote it, or a newer one"
            ),
        });
    }
    let warnings = columns(path, db, Warning::NAME)?
        .ok_or_else(|| Error::damaged(path, "the table warnings is missing"))?;
    let tables = u32::try_from(version).unwrap_or_default().max(FIRST);
    has(path, Warning::NAME, &warnings, expected::<Warning>(tables))?;
    // Columns that an earlier version did not have are null.
    let sql = format!(
        "select {} from snapshot where sync_id = ?1 limit 1",
        selected::<RunMetadata>(&known, "")
    );
    db.query_row(&sql, [sync_id], |row| Ok(RunMetadata::from_row(row, 0)))
        .map_err(failed)?
        .map(Some)
        .map_err(|bad| bad_value::<RunMetadata>(path, None, &bad))
}
