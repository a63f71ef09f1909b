//! `sync`: check, read, write, replace, report.
//!
//! The order matters: no request is sent before the target is known to be writable and from okta-ciam, and the target
//! is not touched before the new file is complete and on disk. The checkpoint is kept until then, so that an
//! interrupted run can be resumed.

mod checkpoint;
pub mod metrics;
mod retention;
mod summary;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::Timestamp;

use self::checkpoint::{RunCheckpoint, keep_or_remove, with_checkpoint_path};
use self::metrics::Measured;
pub(in crate::commands) use self::summary::{ScopeCount, domain_lines};
use self::summary::{SyncManifest, SyncSummary};
use super::report_waits;
use crate::config::SyncConfig;
use crate::console::Console;
use crate::exit::{self, ExitStatus};
use crate::failure::{Failure, FailureKind};
use crate::okta::Client;
use crate::signal::{NoResult, ShutdownSignal};
use crate::snapshot::target::{ReservedPath, Target};
use crate::snapshot::{self, Arguments, FileFormat, Reader, RunHeader, RunMetadata, Warning};
use crate::sync::TokenOwner;
use crate::sync::assemble::AssembledCounts;
use crate::sync::checkpoint::{Checkpoint, resume};
use crate::sync::drop_guard::{self, SnapshotSize};
use crate::sync::engine;
use crate::sync::pipeline::{Files, Packed, Published, Read};
use crate::text::{internal_error, span};
use crate::whoami;

/// Runs `sync`.
///
/// # Errors
/// Returns the error that ends the run; [`crate::exit`] assigns its exit code.
pub fn run(
    config: &SyncConfig,
    console: &Console,
    stop: &ShutdownSignal,
) -> anyhow::Result<ExitStatus> {
    run_measured(config, console, stop, &mut Measured::default())
}

/// Runs `sync`, or `sync --plan`, and collects the values for the metrics file.
///
/// # Errors
/// Returns the error that ends the run.
pub fn run_measured(
    config: &SyncConfig,
    console: &Console,
    stop: &ShutdownSignal,
    measured: &mut Measured,
) -> anyhow::Result<ExitStatus> {
    measured.start(config.run_id.as_deref());
    if config.plan {
        super::estimate::run(config, console, stop)
    } else {
        sync(config, console, stop, measured)
    }
}

fn sync(
    config: &SyncConfig,
    console: &Console,
    stop: &ShutdownSignal,
    measured: &mut Measured,
) -> anyhow::Result<ExitStatus> {
    let begun = Instant::now();
    let target = Target::lock(&config.file, config.format == FileFormat::Sqlite)?;
    let manifest = config
        .manifest
        .as_deref()
        .map(|path| ReservedPath::reserve(path, &target))
        .transpose()?;
    let before = config
        .max_drop
        .map(|percent| PreviousSnapshot::read(config, &target, percent))
        .transpose()?
        .flatten();
    let client = Arc::new(Client::new(&config.connection, stop.clone())?);
    let checkpoint_file = target.checkpoint();
    let RunCheckpoint {
        resumed,
        checkpoint,
    } = RunCheckpoint::open_or_create(config, &checkpoint_file, &target)?;
    let reader = OrgReader {
        config,
        console,
        stop,
        client,
        target: &target,
    };
    let published = reader.write(checkpoint).and_then(|(files, packed)| {
        let refusal = Refusal::of(&packed, config, before.as_ref());
        let file = refusal
            .as_ref()
            .map_or_else(|| target.path().to_owned(), |refusal| refusal.file(&target));
        // A snapshot that may not replace FILE keeps its private permissions; its owner decides about it.
        let mode = config.file_mode.filter(|_| refusal.is_none());
        Ok((files.publish(packed, file, mode)?, refusal))
    });
    let (published, refusal) =
        published.inspect_err(|error| keep_or_remove(&checkpoint_file, resumed, error))?;
    checkpoint_file.remove_all();
    measured.note(&published);
    let metadata = &published.snapshot.metadata;
    if metadata.complete && refusal.is_none() {
        target.remove_unaccepted();
    }
    let summary = SyncSummary::new(&published, begun.elapsed());
    let Some(refusal) = refusal else {
        if let Some(manifest) = manifest {
            let bytes = SyncManifest::new(&summary, metadata).to_bytes()?;
            manifest.write(&bytes, config.file_mode)?;
        }
        let printed = console.result(&summary, || summary.text());
        printed.context("the snapshot was written, but printing its summary failed")?;
        if metadata.complete {
            retention::remove_surplus(config);
        }
        console.suggest(&format!(
            "okta-ciam show -f {} memberships --status SUSPENDED,DEPROVISIONED",
            published.file.display()
        ));
        return Ok(ExitStatus::Done);
    };
    report_refusal(console, summary, refusal.to_error(&published, &target))
}

/// Ends the run with a refusal. With `--output json`, the summary contains the refusal.
fn report_refusal(
    console: &Console,
    summary: SyncSummary,
    error: Failure,
) -> anyhow::Result<ExitStatus> {
    if !console.json() {
        return Err(error.into());
    }
    console.result(&summary.refused(&error), String::new)?;
    tracing::error!("{}", error.message);
    Ok(exit::of_kind(error.kind))
}

/// The reason why a snapshot may not replace the previous one.
enum Refusal {
    /// Some data could not be read.
    Incomplete,
    /// The snapshot shrank too much; the text contains the numbers.
    Dropped(String),
}

impl Refusal {
    fn of(
        snapshot: &Packed,
        config: &SyncConfig,
        before: Option<&PreviousSnapshot>,
    ) -> Option<Self> {
        if !snapshot.metadata.complete && !config.allow_partial {
            return Some(Self::Incomplete);
        }
        before?.dropped(&snapshot.counts).map(Self::Dropped)
    }

    /// Returns the path to which the snapshot is written instead.
    fn file(&self, target: &Target) -> PathBuf {
        match self {
            Self::Incomplete => target.partial(),
            Self::Dropped(_) => target.rejected(),
        }
    }

    fn to_error(&self, published: &Published, target: &Target) -> Failure {
        let (kept, new) = (target.path().display(), published.file.display());
        match self {
            Self::Incomplete => Failure {
                kind: FailureKind::Incomplete,
                message: format!(
                    "the snapshot is incomplete ({}): {kept} is unchanged, see {new}; pass --allow-partial to accept it",
                    reasons(&published.snapshot.missing),
                ),
            },
            Self::Dropped(fell) => Failure::guard(format!(
                "the snapshot shrank by more than --max-drop ({fell}): {kept} is unchanged, see {new}; if that is right, pass a higher --max-drop, or none",
            )),
        }
    }
}

/// The data that a run needs to read an org.
struct OrgReader<'a> {
    config: &'a SyncConfig,
    console: &'a Console,
    stop: &'a ShutdownSignal,
    client: Arc<Client>,
    target: &'a Target,
}

impl OrgReader<'_> {
    /// Reads the org, and writes the snapshot under its temporary names.
    fn write(self, mut checkpoint: Checkpoint) -> anyhow::Result<(Files, Packed)> {
        let Self {
            config,
            console,
            stop,
            client,
            target,
        } = self;
        let options = config.options();
        let owner = token_owner(&client, &mut checkpoint)?;
        let mut shown = console.progress();
        let report = engine::read_org(&options, &client, stop, &mut checkpoint, |tally| {
            shown.show(tally)
        });
        shown.clear();
        let checkpoint_file = target.checkpoint();
        let mut report = report.map_err(|error| with_checkpoint_path(error, &checkpoint_file))?;
        let skew = note_skew(&client, &mut report.warnings);
        report.warnings.extend(owner.warning());
        let read = Read { checkpoint, report };
        let metadata = metadata(config, &read, skew, &owner);
        let files = Files::reserve(target, config.format)?;
        let open = files.create(&RunHeader {
            sync_id: metadata.sync_id.clone(),
            started_at: metadata.started_at,
        })?;
        let packed = until_stopped(stop, move || {
            read.assemble(open, &options, metadata)?.pack()
        })
        .map_err(|error| with_checkpoint_path(resume::after_reading(error), &checkpoint_file))?;
        Ok((files, packed))
    }
}

/// Returns the owner of the token, from the checkpoint or from Okta.
pub(super) fn token_owner(
    client: &Client,
    checkpoint: &mut Checkpoint,
) -> anyhow::Result<TokenOwner> {
    let owner = match &checkpoint.progress.token_owner {
        Some(owner) => owner.clone(),
        None => match report_waits(client, || TokenOwner::read(client)) {
            Ok(owner) => owner,
            Err(error) => {
                // A checkpoint is valid even if it contains no pages yet.
                checkpoint.save()?;
                return Err(error.into());
            }
        },
    };
    if let Some(warning) = owner.warning() {
        tracing::warn!("{}", warning.message);
    }
    checkpoint.progress.token_owner = Some(owner.clone());
    Ok(owner)
}

/// The size of the previous snapshot, and the largest accepted drop in percent.
struct PreviousSnapshot {
    size: SnapshotSize,
    percent: u8,
}

impl PreviousSnapshot {
    /// Reads the previous snapshot; `None` if there is none.
    fn read(config: &SyncConfig, target: &Target, percent: u8) -> anyhow::Result<Option<Self>> {
        let Some(path) = retention::previous(config, target.path())? else {
            return Ok(None);
        };
        let read = Reader::open(&path).and_then(|reader| {
            let counts = reader.counts()?;
            Ok((reader.info().metadata.clone(), counts))
        });
        let (found, counts) = read.context(
            "--max-drop compares with the file that is there, and that cannot be read; move it away, or leave --max-drop out",
        )?;
        let differences = found.map_or(Vec::new(), |found| {
            drop_guard::scope_differences(&found, &scope_metadata(config))
        });
        if !differences.is_empty() {
            return Err(Failure::guard(format!(
                "--max-drop compares snapshots of one scope, and {} is of another ({}); write to another file, or leave --max-drop out once",
                path.display(),
                differences.join(", "),
            ))
            .into());
        }
        let size = SnapshotSize {
            users: counts.users,
            groups: counts.groups,
            memberships: counts.memberships,
        };
        Ok(Some(Self { size, percent }))
    }

    fn dropped(&self, after: &AssembledCounts) -> Option<String> {
        let after = SnapshotSize {
            users: after.users,
            groups: after.groups,
            memberships: after.memberships,
        };
        drop_guard::too_much(self.size, after, self.percent)
    }
}

/// Returns the time in full milliseconds, as Okta's times are.
fn now_in_millis() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

/// The difference between the clocks above which a warning is printed, in seconds.
pub(super) const NOTABLE_SKEW: i64 = 60;

/// Returns how far this machine's clock is ahead of Okta's, in seconds. Headers contain full seconds, so less than two
/// is reported as 0.
pub(super) fn clock_ahead(client: &Client) -> Option<i64> {
    let ahead = -client.clock_skew()?;
    Some(if ahead.abs() < 2.0 {
        0
    } else {
        ahead.round() as i64
    })
}

/// Returns the difference between the clocks in words.
pub(super) fn skew_text(ahead: i64) -> String {
    format!(
        "this machine's clock is {} {} Okta's",
        span(Duration::from_secs(ahead.unsigned_abs())),
        if ahead > 0 { "ahead of" } else { "behind" }
    )
}

fn note_skew(client: &Client, warnings: &mut Vec<Warning>) -> Option<i64> {
    let ahead = clock_ahead(client)?;
    if ahead.abs() > NOTABLE_SKEW {
        let message = skew_text(ahead);
        tracing::warn!("{message}");
        warnings.push(Warning {
            code: "clock_skew".to_owned(),
            kind: "run".to_owned(),
            object_id: None,
            message,
        });
    }
    Some(ahead)
}

fn sync_id(config: &SyncConfig, started_at: Timestamp) -> String {
    snapshot::sync_id(
        &config.connection.origin.origin().ascii_serialization(),
        &config.scope.to_text(),
        started_at,
    )
}

/// Returns the metadata of the run, without the numbers of rows.
fn metadata(
    config: &SyncConfig,
    read: &Read,
    skew: Option<i64>,
    owner: &TokenOwner,
) -> RunMetadata {
    let (report, progress) = (&read.report, &read.checkpoint.progress);
    let cost = &report.cost;
    RunMetadata {
        sync_id: sync_id(config, progress.started_at),
        command: config.command.to_owned(),
        read_as_id: owner.id().map(str::to_owned),
        read_as_login: owner.login().map(str::to_owned),
        os_user: Some(whoami::os_user()),
        host: whoami::host(),
        run_id: config.run_id.clone(),
        note: config.note.clone(),
        arguments: Some(Arguments(config.arguments.clone())),
        started_at: progress.started_at,
        ended_at: config.now.unwrap_or_else(now_in_millis),
        complete: report.missing.is_empty(),
        strategy: report.strategy.as_str().to_owned(),
        memberships_by: config.memberships_by.as_str().to_owned(),
        users_listed_by: report.users_listed_by.as_str().to_owned(),
        users_seen: report.users_seen,
        groups_seen: report.groups_seen,
        users_only_as_members: report.users_only_as_members,
        groups_only_from_users: report.groups_only_from_users,
        users_vanished: report.users_vanished,
        groups_vanished: report.groups_vanished,
        everyone_reported: report.everyone_reported,
        users_not_deprovisioned: report.users_not_deprovisioned,
        deprovisioned_in_everyone: report.deprovisioned_in_everyone,
        requests: cost.requests,
        retries: cost.retries,
        waits: cost.waits,
        waited_seconds: (cost.waited.as_secs_f64() * 1000.0).round() / 1000.0,
        interruptions: progress.interruptions,
        clock_skew_seconds: skew,
        allow_partial: config.allow_partial,
        allow_empty: config.allow_empty,
        ..scope_metadata(config)
    }
}

/// Returns the metadata about the scope.
fn scope_metadata(config: &SyncConfig) -> RunMetadata {
    let domains: Vec<String> = config
        .scope
        .domains()
        .iter()
        .map(ToString::to_string)
        .collect();
    RunMetadata {
        origin: config.connection.origin.origin().ascii_serialization(),
        email_domains: domains.join(","),
        skip_secondary_emails: config.scope.skip_secondary(),
        group_name_filter: config.scope.group_name().map(ToString::to_string),
        ..RunMetadata::default()
    }
}

/// Calls a function that cannot be interrupted in its own thread, so that a signal is noticed at once. The thread then
/// ends with the process, and its files, which have temporary names, are removed by the caller.
fn until_stopped<T: Send + 'static>(
    stop: &ShutdownSignal,
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    match stop.run(Duration::ZERO, work) {
        Ok(result) => result,
        Err(NoResult::Interrupted(interrupted)) => Err(interrupted.into()),
        Err(NoResult::Panicked) => anyhow::bail!(internal_error("the writer panicked")),
    }
}

fn reasons(missing: &[String]) -> String {
    const SHOWN: usize = 3;
    let mut text = missing
        .iter()
        .take(SHOWN)
        .cloned()
        .collect::<Vec<_>>()
        .join("; ");
    if missing.len() > SHOWN {
        text += &format!("; and {} more", missing.len() - SHOWN);
    }
    text
}
