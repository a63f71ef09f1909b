//! `sync`: check what can be checked, read, write, replace, say.
//!
//! The order is the promise: nothing is asked of Okta before the target is known to be writable and ours, and the
//! target is not touched before the new file is whole and on the disk.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use crossbeam_channel::RecvTimeoutError;
use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::config::{Container, Sync};
use crate::console::{Console, clean, count, number, span};
use crate::exit::{Ending, Exit};
use crate::okta::client::Cost;
use crate::okta::{Client, Stop};
use crate::snapshot::target::{Aside, Target, Temporary};
use crate::snapshot::{self, Facts, Run, Warning, Writer, c1z};
use crate::sync::assemble::{self, Counts};
use crate::sync::plan::Strategy;
use crate::sync::run::{self, Gathered};
use crate::sync::work::Work;

/// Runs it.
///
/// # Errors
/// Whatever ends a sync; [`crate::exit`] says with which code.
pub fn run(config: &Sync, console: &Console, stop: &Stop) -> anyhow::Result<Exit> {
    if config.plan {
        super::plan::run(config, console, stop)
    } else {
        sync(config, console, stop)
    }
}

fn sync(config: &Sync, console: &Console, stop: &Stop) -> anyhow::Result<Exit> {
    let begun = Instant::now();
    let started_at = config.now.unwrap_or_else(now_in_millis);
    let target = Target::take(&config.file, config.container == Container::Sqlite)?;
    let manifest = config
        .manifest
        .as_deref()
        .map(|path| Aside::reserve(path, &target))
        .transpose()?;
    let work_file = target.work()?;
    let mut work = Work::create(work_file.path())?;
    let client = Arc::new(Client::new(&config.connection, stop.clone())?);
    let mut progress = console.progress();
    let gathered = run::gather(config, &client, stop, Some(&mut work), &mut progress);
    progress.clear();
    let mut gathered = gathered?;

    let skew = note_skew(&client, &mut gathered.warnings);
    let cost = client.cost();
    let complete = gathered.missing.is_empty();
    let ended_at = config.now.unwrap_or_else(now_in_millis);
    let run = Run {
        sync_id: sync_id(config, started_at),
        started_at,
    };
    let files = Files {
        database: target.database()?,
        container: target.container()?,
    };
    let writer = Writer::create(files.database.path(), &run)?;
    let facts = facts(config, &run, ended_at, &gathered, &cost, skew, complete);
    let written = {
        let (strategy, warnings) = (gathered.strategy, gathered.warnings.clone());
        let (database, container) = (
            files.database.path().to_owned(),
            files.container(config.container)?,
        );
        let allow_empty = config.allow_empty;
        until_stopped(stop, move || {
            write(
                &work,
                strategy,
                writer,
                facts,
                &warnings,
                &database,
                container,
                allow_empty,
            )
        })?
    };
    let (facts, counts) = (&written.facts, &written.counts);
    note_size(files.database.path(), &mut gathered.warnings)?;
    let file = if complete || config.allow_partial {
        target.path().to_owned()
    } else {
        target.partial()
    };
    files.publish(config.container, &file)?;
    drop(work_file);
    let mut summary = Summary::new(
        facts,
        counts,
        &gathered,
        &written,
        file.display().to_string(),
        begun.elapsed(),
    );
    if let Some(manifest) = manifest
        && (complete || config.allow_partial)
    {
        manifest.write(&Manifest::new(&summary, facts).to_bytes()?)?;
    }
    if complete || config.allow_partial {
        let printed = console.result(&summary, || summary.text());
        printed.context("the snapshot is written, but its summary cannot be printed")?;
        return Ok(Exit::Done);
    }
    let why = Ending {
        exit: Exit::Partial,
        message: format!(
            "the snapshot is incomplete, {} is untouched and what was read is in {}: {}; give --allow-partial to accept it",
            target.path().display(),
            file.display(),
            reasons(&gathered.missing),
        ),
    };
    if console.json() {
        summary.failure = Some(Partial {
            error: why.exit.word(),
            exit_code: why.exit.code(),
            message: why.message.clone(),
            request_id: None,
        });
        console.result(&summary, String::new)?;
        tracing::error!("{}", why.message);
        return Ok(Exit::Partial);
    }
    Err(why.into())
}

/// Okta's times, and so ours, are whole milliseconds.
fn now_in_millis() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

/// Baton's readers before their version 0.9.1 unpack no more than this (c1z-format 1).
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

fn scope_text(config: &Sync) -> String {
    let scope = &config.scope;
    let domains: Vec<String> = scope.domains().iter().map(ToString::to_string).collect();
    let name = scope.group_name().map(ToString::to_string);
    serde_json::json!([domains, scope.skip_secondary(), name]).to_string()
}

fn sync_id(config: &Sync, started_at: Timestamp) -> String {
    snapshot::sync_id(
        &config.connection.origin.origin().ascii_serialization(),
        &scope_text(config),
        started_at,
    )
}

fn facts(
    config: &Sync,
    run: &Run,
    ended_at: Timestamp,
    gathered: &Gathered,
    cost: &Cost,
    skew: Option<i64>,
    complete: bool,
) -> Facts {
    let domains: Vec<String> = config
        .scope
        .domains()
        .iter()
        .map(ToString::to_string)
        .collect();
    Facts {
        sync_id: run.sync_id.clone(),
        origin: config.connection.origin.origin().ascii_serialization(),
        email_domains: domains.join(","),
        skip_secondary_emails: config.scope.skip_secondary(),
        group_name_filter: config.scope.group_name().map(ToString::to_string),
        command: config.command.to_owned(),
        started_at: run.started_at,
        ended_at,
        complete,
        strategy: gathered.strategy.as_str().to_owned(),
        memberships_by: config.memberships_by.as_str().to_owned(),
        users_listed_by: gathered.users_listed_by.as_str().to_owned(),
        users_seen: gathered.users_seen,
        groups_seen: gathered.groups_seen,
        users_only_as_members: gathered.users_only_as_members,
        groups_only_from_users: gathered.groups_only_from_users,
        users_vanished: gathered.users_vanished,
        groups_vanished: gathered.groups_vanished,
        everyone_reported: gathered.everyone_reported,
        users_not_deprovisioned: gathered.users_not_deprovisioned,
        requests: cost.requests,
        retries: cost.retries,
        waits: cost.waits,
        waited_seconds: (cost.waited.as_secs_f64() * 1000.0).round() / 1000.0,
        clock_skew_seconds: skew,
        allow_partial: config.allow_partial,
        allow_empty: config.allow_empty,
        ..Facts::default()
    }
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
            Container::Sqlite => self.database.publish(file),
        }
    }
}

/// A snapshot that is written, under its temporary name.
struct Written {
    facts: Facts,
    counts: Counts,
    bytes: u64,
    sha256: String,
}

/// Writes the snapshot and packs it.
#[expect(
    clippy::too_many_arguments,
    reason = "it is the body of a thread, which takes what it needs with it"
)]
fn write(
    work: &Work,
    strategy: Strategy,
    mut writer: Writer,
    mut facts: Facts,
    warnings: &[Warning],
    database: &Path,
    container: Option<File>,
    allow_empty: bool,
) -> anyhow::Result<Written> {
    let counts = assemble::assemble(work, strategy, &mut writer)?;
    if !allow_empty && (counts.users == 0 || counts.groups == 0) {
        let what = if counts.users == 0 { "user" } else { "group" };
        return Err(Ending::guard(format!(
            "no {what} in scope is left at the end of the run; if that is right, give --allow-empty"
        ))
        .into());
    }
    facts.users_kept = counts.users;
    facts.groups_kept = counts.groups;
    facts.memberships_kept = counts.memberships;
    facts.memberships_seen = Some(counts.memberships_seen);
    writer.finish(&facts, warnings)?;
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
    })
}

/// Does something that cannot be interrupted in a thread of its own, so that a signal is heard at once. The thread then
/// ends with the process; the files that it writes have temporary names, which are removed here.
fn until_stopped<T: Send + 'static>(
    stop: &Stop,
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

/// What a sync did, for a program and for a person.
#[derive(Debug, Serialize)]
struct Summary {
    #[serde(flatten)]
    failure: Option<Partial>,
    file: String,
    bytes: u64,
    sha256: String,
    sync_id: String,
    complete: bool,
    strategy: String,
    users: Kept,
    groups: Kept,
    memberships: Memberships,
    requests: u64,
    retries: u64,
    waits: u64,
    waited_seconds: f64,
    seconds: f64,
    warnings: Vec<Warning>,
}

#[derive(Debug, Serialize)]
struct Partial {
    error: &'static str,
    exit_code: u8,
    message: String,
    request_id: Option<String>,
}

/// How many are in scope, and of how many.
#[derive(Debug, Serialize)]
pub(super) struct Kept {
    pub(super) kept: u64,
    pub(super) seen: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Memberships {
    kept: u64,
    seen: Option<u64>,
    hidden: u64,
    hidden_is_estimate: bool,
}

impl Summary {
    fn new(
        facts: &Facts,
        counts: &Counts,
        gathered: &Gathered,
        written: &Written,
        file: String,
        took: Duration,
    ) -> Self {
        Self {
            failure: None,
            file,
            bytes: written.bytes,
            sha256: written.sha256.clone(),
            sync_id: facts.sync_id.clone(),
            complete: facts.complete,
            strategy: facts.strategy.clone(),
            users: Kept {
                kept: counts.users,
                seen: facts
                    .users_seen
                    .map(|seen| seen + facts.users_only_as_members),
            },
            groups: Kept {
                kept: counts.groups,
                seen: Some(facts.groups_seen + facts.groups_only_from_users),
            },
            memberships: Memberships {
                kept: counts.memberships,
                seen: facts.memberships_seen,
                hidden: counts.hidden,
                hidden_is_estimate: counts.hidden_is_estimate,
            },
            requests: facts.requests,
            retries: facts.retries,
            waits: facts.waits,
            waited_seconds: facts.waited_seconds,
            seconds: (took.as_secs_f64() * 1000.0).round() / 1000.0,
            warnings: gathered.warnings.clone(),
        }
    }

    fn text(&self) -> String {
        let of = |kept: &Kept| match kept.seen {
            Some(seen) => format!("{} of {}", number(kept.kept), number(seen)),
            None => number(kept.kept),
        };
        let memberships = &self.memberships;
        let about = if memberships.hidden_is_estimate {
            "about "
        } else {
            ""
        };
        let mut lines = vec![
            format!(
                "{}  {}",
                clean(&self.file),
                if self.complete {
                    "complete"
                } else {
                    "INCOMPLETE"
                }
            ),
            format!("  users        {}", of(&self.users)),
            format!("  groups       {}", of(&self.groups)),
            format!(
                "  memberships  {}, {about}{} hidden by the scope",
                number(memberships.kept),
                number(memberships.hidden)
            ),
            format!(
                "  requests     {}{}, memberships read by {}",
                number(self.requests),
                retried(self.retries),
                self.strategy
            ),
        ];
        if self.waits > 0 {
            lines.push(format!(
                "  waited       {} for rate limits, {}",
                count(self.waits, "time"),
                span(Duration::from_secs_f64(self.waited_seconds))
            ));
        }
        lines.push(format!(
            "  took         {}",
            span(Duration::from_secs_f64(self.seconds))
        ));
        lines.push(format!("  size         {} bytes", number(self.bytes)));
        lines.push(format!(
            "  warnings     {}",
            number(self.warnings.len() as u64)
        ));
        lines.extend(self.warnings.iter().map(|warning| {
            let object = warning.object_id.as_deref().unwrap_or_default();
            clean(&format!(
                "    {} {object} {}",
                warning.code, warning.message
            ))
            .replace("  ", " ")
        }));
        lines.join("\n") + "\n"
    }
}

fn retried(retries: u64) -> String {
    if retries == 0 {
        String::new()
    } else {
        format!(", {} of them again", number(retries))
    }
}

/// What is written beside the snapshot, so that a pipeline can tell later which file it was.
#[derive(Debug, Serialize)]
struct Manifest<'a> {
    file: &'a str,
    bytes: u64,
    sha256: &'a str,
    snapshot: &'a Facts,
    warnings: &'a [Warning],
}

impl<'a> Manifest<'a> {
    fn new(summary: &'a Summary, facts: &'a Facts) -> Self {
        Self {
            file: &summary.file,
            bytes: summary.bytes,
            sha256: &summary.sha256,
            snapshot: facts,
            warnings: &summary.warnings,
        }
    }

    fn to_bytes(&self) -> anyhow::Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}
