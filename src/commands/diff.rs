//! `diff`: reports the differences between two snapshots. Reads two files and sends no requests.

use std::collections::HashSet;
use std::io::{BufWriter, Write};

use anyhow::{Context as _, bail};

use crate::commands::lookup::{self, Unchanged};
use crate::config::{DiffConfig, RunFile};
use crate::console::Console;
use crate::evidence::diff::options::DiffOptions;
use crate::evidence::diff::render::{self, DiffFormat, Meta, Side, scope_changes};
use crate::evidence::diff::{merge, not_compared_note};
use crate::exit::ExitStatus;
use crate::model::{GroupId, UserId};
use crate::snapshot::{Reader, rfc3339};
use crate::text::count;

/// Runs `diff`.
///
/// # Errors
/// Returns an error if a snapshot cannot be read, if the orgs differ, or if the output cannot be written.
pub fn run(config: &DiffConfig, console: &Console) -> anyhow::Result<ExitStatus> {
    let (mut old, new) = (Opened::new(&config.old)?, Opened::new(&config.new)?);
    let readers = [&old.reader, &new.reader];
    let mut meta = meta(config, &old, &new)?;
    let options = DiffOptions {
        tables: config.tables.clone(),
        kinds: config.kinds.clone(),
        fields: config.fields.clone(),
        users: users(config, &readers)?,
        groups: groups(config, &readers)?,
    };
    let mut diff = merge::compare_in_parallel(&mut old.reader, &new.reader, &options)?;
    for opened in [&old, &new] {
        opened.unchanged.check()?;
    }
    if diff.unknown() > 0 {
        meta.notes.push(format!(
            "{} of groups or users that one snapshot could not read: whether they changed is unknown",
            count(diff.unknown(), "membership")
        ));
    }
    meta.notes.extend(not_compared_note(&diff.not_compared));
    meta.left_out.extend(diff.not_compared.iter().cloned());
    meta.left_out.sort();
    meta.left_out.dedup();
    let format = config.format.unwrap_or(if console.json() {
        DiffFormat::Json
    } else {
        DiffFormat::Text
    });
    let is_empty = diff.is_empty();
    let written = console.stream(|out| {
        let mut out = BufWriter::new(out);
        match format {
            DiffFormat::Text => render::text(&mut diff, &meta, config.view, &mut out),
            DiffFormat::Json => render::json(&mut diff, &meta, config.view, &mut out),
            DiffFormat::Csv => render::csv(&mut diff, config.view, &mut out),
            DiffFormat::Markdown => render::markdown(&mut diff, &meta, config.view, &mut out),
        }?;
        out.flush()
    });
    written.context("cannot write the differences")?;
    Ok(if is_empty || config.exit_zero {
        ExitStatus::Done
    } else {
        ExitStatus::Different
    })
}

/// The place of a user or group in messages about both files.
const EITHER: &str = "either snapshot";

/// An open snapshot, and the state of its file when it was opened.
struct Opened {
    file: RunFile,
    reader: Reader,
    unchanged: Unchanged,
}

impl Opened {
    fn new(run: &RunFile) -> anyhow::Result<Self> {
        let unchanged = Unchanged::of(&run.path);
        let reader = Reader::open_run(&run.path, run.sync_id.as_deref())?;
        Ok(Self {
            file: run.clone(),
            reader,
            unchanged,
        })
    }

    fn side(&self) -> Side {
        let info = self.reader.info();
        let metadata = info.metadata.as_ref();
        Side {
            file: self.file.path.display().to_string(),
            content_sha256: metadata.and_then(|run| run.content_sha256.clone()),
            sync_id: info.sync_id.clone(),
            org: metadata.map(|run| run.origin.clone()),
            started_at: rfc3339(info.started_at),
            ended_at: rfc3339(info.ended_at),
            complete: metadata.map(|run| run.complete),
        }
    }
}

fn meta(config: &DiffConfig, old: &Opened, new: &Opened) -> anyhow::Result<Meta> {
    let runs = [old, new].map(|opened| opened.reader.info().metadata.as_ref());
    let mut notes = Vec::new();
    let mut scope = Vec::new();
    match runs {
        [Some(before), Some(after)] => {
            if before.origin != after.origin {
                if !config.allow_different_org {
                    bail!(
                        "the snapshots are of different orgs ({} and {}); pass --allow-different-org to compare them",
                        before.origin,
                        after.origin
                    );
                }
                notes.push(format!(
                    "different orgs: {} and {}",
                    before.origin, after.origin
                ));
            }
            scope = scope_changes(before, after);
        }
        _ => notes
            .push("a snapshot of another program does not contain its org and scope".to_owned()),
    }
    for (name, run) in [("old", runs[0]), ("new", runs[1])] {
        if run.is_some_and(|run| !run.complete) {
            notes.push(format!(
                "the {name} snapshot is incomplete, so some of what differs may not have changed"
            ));
        }
    }
    Ok(Meta {
        old: old.side(),
        new: new.side(),
        scope,
        left_out: config
            .fields
            .left_out()
            .into_iter()
            .map(str::to_owned)
            .collect(),
        notes,
    })
}

/// Returns the users to report, searched in both snapshots.
fn users(config: &DiffConfig, readers: &[&Reader]) -> anyhow::Result<Option<HashSet<UserId>>> {
    let mut ids = HashSet::new();
    for name in &config.users {
        let found = lookup::users(readers, EITHER, name)?;
        ids.extend(found.into_iter().map(|user| user.id));
    }
    Ok((!config.users.is_empty()).then_some(ids))
}

/// Returns the groups to report, searched in both snapshots.
fn groups(config: &DiffConfig, readers: &[&Reader]) -> anyhow::Result<Option<HashSet<GroupId>>> {
    let mut ids = HashSet::new();
    for name in &config.groups {
        let found = lookup::groups(readers, EITHER, name)?;
        ids.extend(found.into_iter().map(|group| group.id));
    }
    Ok((!config.groups.is_empty()).then_some(ids))
}
