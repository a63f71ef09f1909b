//! `sync`: check, read, write, replace, report.
//!
//! The order is the promise: no request is sent before the target is known to be writable and ours, and the target is not
//! touched before the new file is complete and on the disk. The checkpoint is kept until then, so that an interrupted run
//! can be resumed.

mod checkpoint;
mod summary;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use crossbeam_channel::RecvTimeoutError;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use self::checkpoint::{RunCheckpoint, keep_or_remove, with_checkpoint_path};
use self::summary::{Manifest, Refusal, Summary};
pub(in crate::commands) use self::summary::{ScopeCount, domain_lines};
use crate::config::{Container, Sync};
use crate::console::Console;
use crate::exit::{Exit, ExitError};
use crate::filter::Scope;
use crate::okta::Client;
use crate::signal::ShutdownSignal;
use crate::snapshot::target::{Aside, Target, Temporary};
use crate::snapshot::{self, Facts, Reader, Run, Warning, Writer, c1z};
use crate::sync::assemble::{self, Counts};
use crate::sync::checkpoint::{Checkpoint, resume};
use crate::sync::drop_guard::{self, SnapshotSize};
use crate::sync::plan::Strategy;
use crate::sync::{OrgReadReport, domain_unused, engine};
use crate::text::{number, span};

/// Runs it.
///
/// # Errors
/// Whatever ends a sync; [`crate::exit`] says with which code.
pub fn run(config: &Sync, console: &Console, stop: &ShutdownSignal) -> anyhow::Result<Exit> {
    if config.plan {
        super::estimate::run(config, console, stop)
    } else {
        sync(config, console, stop)
    }
}

fn sync(config: &Sync, console: &Console, stop: &ShutdownSignal) -> anyhow::Result<Exit> {
    let begun = Instant::now();
    let target = Target::take(&config.file, config.container == Container::Sqlite)?;
    let manifest = config
        .manifest
        .as_deref()
        .map(|path| Aside::reserve(path, &target))
        .transpose()?;
    let before = config
        .max_drop
        .map(|percent| PreviousSnapshot::read(config, &target, percent))
        .transpose()?
        .flatten();
    let client = Arc::new(Client::new(&config.connection, stop.clone())?);
    let state_file = target.state();
    let checkpoint = RunCheckpoint::open_or_create(config, &state_file, &target)?;
    let resumed = checkpoint.resumed;
    let written = read_and_write(config, console, stop, &client, &target, checkpoint);
    let (files, written) = match written {
        Ok(written) => written,
        Err(error) => {
            keep_or_remove(&state_file, resumed, &error);
            return Err(error);
        }
    };
    let (facts, counts) = (&written.facts, &written.counts);
    let accepted = facts.complete || config.allow_partial;
    let dropped = before
        .filter(|_| accepted)
        .and_then(|before| before.dropped(counts));
    let file = match (accepted, &dropped) {
        (true, None) => target.path().to_owned(),
        (true, Some(_)) => target.rejected(),
        (false, _) => target.partial(),
    };
    if let Err(error) = files.publish(config.container, &file) {
        keep_or_remove(&state_file, resumed, &error);
        return Err(error);
    }
    state_file.remove_all();
    if facts.complete && dropped.is_none() {
        target.remove_asides();
    }
    let mut summary = Summary::new(&written, file.display().to_string(), begun.elapsed());
    let why = match dropped {
        None if accepted => {
            if let Some(manifest) = manifest {
                manifest.write(&Manifest::new(&summary, facts).to_bytes()?)?;
            }
            let printed = console.result(&summary, || summary.text());
            printed.context("the snapshot was written, but printing its summary failed")?;
            return Ok(Exit::Done);
        }
        None => ExitError {
            exit: Exit::Partial,
            message: format!(
                "the snapshot is incomplete ({2}): {0} is unchanged, see {1}; pass --allow-partial to accept it",
                target.path().display(),
                file.display(),
                reasons(&written.missing),
            ),
        },
        Some(fell) => ExitError::guard(format!(
            "the snapshot shrank by more than --max-drop ({fell}): {} is unchanged, see {}; if that is right, pass a higher --max-drop, or none",
            target.path().display(),
            file.display(),
        )),
    };
    if console.json() {
        summary.failure = Some(Refusal {
            error: why.exit.word(),
            exit_code: why.exit.code(),
            message: why.message.clone(),
            request_id: None,
        });
        console.result(&summary, String::new)?;
        tracing::error!("{}", why.message);
        return Ok(why.exit);
    }
    Err(why.into())
}

/// Reads the org and writes the snapshot under its temporary names.
fn read_and_write(
    config: &Sync,
    console: &Console,
    stop: &ShutdownSignal,
    client: &Arc<Client>,
    target: &Target,
    checkpoint: RunCheckpoint,
) -> anyhow::Result<(Files, Written)> {
    let RunCheckpoint { mut checkpoint, .. } = checkpoint;
    let mut shown = console.progress();
    let options = config.options();
    let report = engine::read_org(&options, client, stop, &mut checkpoint, |tally| {
        shown.show(tally)
    });
    shown.clear();
    let mut report = report.map_err(|error| with_checkpoint_path(error, &target.state()))?;
    let skew = note_skew(client, &mut report.warnings);
    let progress = &checkpoint.progress;
    let ended_at = config.now.unwrap_or_else(now_in_millis);
    let run = Run {
        sync_id: sync_id(config, progress.started_at),
        started_at: progress.started_at,
    };
    let files = Files {
        database: target.database()?,
        container: target.container()?,
    };
    let writer = Writer::create(files.database.path(), &run)?;
    let facts = Facts {
        interruptions: progress.interruptions,
        ..facts(config, &run, ended_at, &report, skew)
    };
    let mut written = {
        let (strategy, warnings) = (report.strategy, report.warnings);
        let (database, container) = (
            files.database.path().to_owned(),
            files.container(config.container)?,
        );
        let allow_empty = config.allow_empty;
        let scope = config.scope.clone();
        until_stopped(stop, move || {
            write(
                &checkpoint,
                strategy,
                writer,
                facts,
                warnings,
                &scope,
                &database,
                container,
                allow_empty,
            )
        })
        .map_err(|error| with_checkpoint_path(resume::after_reading(error), &target.state()))?
    };
    note_size(files.database.path(), &mut written.warnings)?;
    written.missing = report.missing;
    Ok((files, written))
}

/// How much FILE contained before the run, where that must not fall too far.
struct PreviousSnapshot {
    size: SnapshotSize,
    percent: u8,
}

impl PreviousSnapshot {
    /// Reads it; none where there is no file yet.
    fn read(config: &Sync, target: &Target, percent: u8) -> anyhow::Result<Option<Self>> {
        let path = target.path();
        if !path.exists() {
            return Ok(None);
        }
        let read = Reader::open(path).and_then(|reader| {
            let counts = reader.counts()?;
            Ok((reader.about().facts.clone(), counts))
        });
        let (found, counts) = read.context(
            "--max-drop compares with the file that is there, and that cannot be read; move it away, or leave --max-drop out",
        )?;
        let others = found.map_or(Vec::new(), |found| {
            other_scope(&found, &scope_facts(config))
        });
        if !others.is_empty() {
            return Err(ExitError::guard(format!(
                "--max-drop compares snapshots of one scope, and {} is of another ({}); write to another file, or leave --max-drop out once",
                path.display(),
                others.join(", "),
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

    fn dropped(&self, after: &Counts) -> Option<String> {
        let after = SnapshotSize {
            users: after.users,
            groups: after.groups,
            memberships: after.memberships,
        };
        drop_guard::too_much(self.size, after, self.percent)
    }
}

/// Okta's times, and so ours, are whole milliseconds.
fn now_in_millis() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

/// Baton's readers before their version 0.9.1 unpack no more than this (docs/c1z-format.md, Container).
const LARGEST_FOR_OLD_READERS: u64 = 3 << 30;

/// Too late for the snapshot itself, but not for whoever reads the summary.
fn note_size(database: &Path, warnings: &mut Vec<Warning>) -> anyhow::Result<()> {
    let bytes = std::fs::metadata(database)
        .context("cannot look at the new database")?
        .len();
    if bytes > LARGEST_FOR_OLD_READERS {
        let message = format!(
            "the database has {} bytes; older Baton readers refuse more than 3 GiB",
            number(bytes)
        );
        tracing::warn!("{message}");
        warnings.push(Warning {
            code: "large".to_owned(),
            kind: "run".to_owned(),
            object_id: None,
            message,
        });
    }
    Ok(())
}

/// The clocks may differ this much before anyone is told, in seconds.
pub(super) const NOTABLE_SKEW: i64 = 60;

/// How far this machine's clock is ahead of Okta's. Headers are in whole seconds: less than two is nothing.
pub(super) fn clock_ahead(client: &Client) -> Option<i64> {
    let ahead = -client.clock_skew()?;
    Some(if ahead.abs() < 2.0 {
        0
    } else {
        ahead.round() as i64
    })
}

/// The same in words.
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

fn sync_id(config: &Sync, started_at: Timestamp) -> String {
    snapshot::sync_id(
        &config.connection.origin.origin().ascii_serialization(),
        &config.scope.to_text(),
        started_at,
    )
}

fn facts(
    config: &Sync,
    run: &Run,
    ended_at: Timestamp,
    report: &OrgReadReport,
    skew: Option<i64>,
) -> Facts {
    let cost = &report.cost;
    Facts {
        sync_id: run.sync_id.clone(),
        command: config.command.to_owned(),
        started_at: run.started_at,
        ended_at,
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
        clock_skew_seconds: skew,
        allow_partial: config.allow_partial,
        allow_empty: config.allow_empty,
        ..scope_facts(config)
    }
}

/// What a snapshot says of its scope.
fn scope_facts(config: &Sync) -> Facts {
    let domains: Vec<String> = config
        .scope
        .domains()
        .iter()
        .map(ToString::to_string)
        .collect();
    Facts {
        origin: config.connection.origin.origin().ascii_serialization(),
        email_domains: domains.join(","),
        skip_secondary_emails: config.scope.skip_secondary(),
        group_name_filter: config.scope.group_name().map(ToString::to_string),
        ..Facts::default()
    }
}

/// In what two scopes differ, in words.
fn other_scope(found: &Facts, wanted: &Facts) -> Vec<&'static str> {
    [
        ("the org", found.origin != wanted.origin),
        (
            "--email-domains",
            found.email_domains != wanted.email_domains,
        ),
        (
            "--skip-secondary-emails",
            found.skip_secondary_emails != wanted.skip_secondary_emails,
        ),
        (
            "--group-name-filter",
            found.group_name_filter != wanted.group_name_filter,
        ),
    ]
    .into_iter()
    .filter(|(_, differs)| *differs)
    .map(|(name, _)| name)
    .collect()
}

/// The temporary files of the writing.
struct Files {
    database: Temporary,
    container: Temporary,
}

impl Files {
    /// The container's file, where there is to be one.
    fn container(&self, container: Container) -> anyhow::Result<Option<File>> {
        match container {
            Container::C1z => self.container.create().map(Some),
            Container::Sqlite => Ok(None),
        }
    }

    fn publish(self, container: Container, file: &Path) -> anyhow::Result<()> {
        match container {
            Container::C1z => self.container.publish(file),
            Container::Sqlite => self.database.publish_database(file),
        }
    }
}

/// A snapshot that is written, under its temporary name.
struct Written {
    facts: Facts,
    counts: Counts,
    bytes: u64,
    sha256: String,
    warnings: Vec<Warning>,
    /// Why it is incomplete, if it is.
    missing: Vec<String>,
}

/// Writes the snapshot and packs it.
#[expect(
    clippy::too_many_arguments,
    reason = "it is the body of a thread, which takes what it needs with it"
)]
fn write(
    checkpoint: &Checkpoint,
    strategy: Strategy,
    mut writer: Writer,
    mut facts: Facts,
    mut warnings: Vec<Warning>,
    scope: &Scope,
    database: &Path,
    container: Option<File>,
    allow_empty: bool,
) -> anyhow::Result<Written> {
    let everyone = facts.deprovisioned_in_everyone == Some(true);
    let counts = assemble::assemble(checkpoint, strategy, everyone, scope, &mut writer)?;
    for unused in counts.domains.iter().filter(|domain| domain.users == 0) {
        let warning = domain_unused(&unused.domain);
        tracing::warn!("{}", warning.message);
        warnings.push(warning);
    }
    if !allow_empty && (counts.users == 0 || counts.groups == 0) {
        let what = if counts.users == 0 { "user" } else { "group" };
        return Err(ExitError::guard(format!(
            "no {what} in scope is left at the end of the run; if that is right, pass --allow-empty"
        ))
        .into());
    }
    facts.users_kept = counts.users;
    facts.groups_kept = counts.groups;
    facts.memberships_kept = counts.memberships;
    facts.memberships_seen = Some(counts.memberships_seen);
    writer.finish(&facts, &counts.domains, &warnings)?;
    let (bytes, sha256) = match container {
        Some(mut file) => {
            let packed = c1z::pack(database, &mut file)?;
            (packed.bytes, hex(&packed.sha256))
        }
        None => {
            let mut hash = Sha256::new();
            let mut from = File::open(database).context("cannot read the new database")?;
            let bytes = std::io::copy(&mut from, &mut HashWriter(&mut hash))
                .context("cannot read the new database")?;
            (bytes, hex(&hash.finalize()))
        }
    };
    Ok(Written {
        facts,
        counts,
        bytes,
        sha256,
        warnings,
        missing: Vec::new(),
    })
}

/// Does something that cannot be interrupted in a thread of its own, so that a signal is heard at once. The thread then
/// ends with the process; the files that it writes have temporary names, which are removed here.
fn until_stopped<T: Send + 'static>(
    stop: &ShutdownSignal,
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let (result_in, result) = crossbeam_channel::bounded(1);
    std::thread::spawn(move || {
        let _ = result_in.send(work());
    });
    loop {
        stop.check()?;
        match result.recv_timeout(Duration::from_millis(50)) {
            Ok(result) => return result,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                anyhow::bail!("the writer is gone: this is a bug, please report it")
            }
        }
    }
}

/// `io::copy` into a hash.
struct HashWriter<'a>(&'a mut Sha256);

impl std::io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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
