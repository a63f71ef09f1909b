//! `diff`: what differs between two snapshots. Reads two files, sends nothing.

use std::collections::HashSet;
use std::fs::Metadata;
use std::io::{BufWriter, Write};
use std::os::unix::fs::MetadataExt as _;

use anyhow::{Context as _, bail};

use crate::config::{Diff, DiffFormat, RunFile};
use crate::console::Console;
use crate::evidence::diff::render::{self, Meta, Side, scope_changes};
use crate::evidence::diff::walk::{self, Options};
use crate::exit::Exit;
use crate::model::{GroupId, UserId};
use crate::snapshot::{Reader, rfc3339};
use crate::text::count;

/// Runs `diff`.
///
/// # Errors
/// Returns an error if a snapshot cannot be read, if the orgs differ, or if the output cannot be written.
pub fn run(config: &Diff, console: &Console) -> anyhow::Result<Exit> {
    let (old, new) = (Opened::new(&config.old)?, Opened::new(&config.new)?);
    let mut meta = meta(config, &old, &new)?;
    let options = Options {
        tables: config.tables.clone(),
        kinds: config.kinds.clone(),
        fields: config.fields.clone(),
        users: users(config, &old, &new)?,
        groups: groups(config, &old, &new)?,
    };
    let mut diff = walk::walk(&old.reader, &new.reader, &options)?;
    for opened in [&old, &new] {
        opened.check_unchanged()?;
    }
    if diff.unknown() > 0 {
        meta.notes.push(format!(
            "{} of groups or users that one snapshot could not read: whether they changed is unknown",
            count(diff.unknown(), "membership")
        ));
    }
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
        Exit::Done
    } else {
        Exit::Different
    })
}

/// A snapshot that is open, and what its file was like then.
struct Opened {
    file: RunFile,
    reader: Reader,
    metadata: Metadata,
}

impl Opened {
    fn new(run: &RunFile) -> anyhow::Result<Self> {
        let shown = run.path.display();
        let cannot_read = || format!("cannot open {shown}");
        let metadata = std::fs::metadata(&run.path).with_context(cannot_read)?;
        let reader = Reader::open_run(&run.path, run.sync_id.as_deref())?;
        Ok(Self {
            file: run.clone(),
            reader,
            metadata,
        })
    }

    /// A file that was written to while it was read gives a diff of nothing that ever existed.
    fn check_unchanged(&self) -> anyhow::Result<()> {
        let state = |metadata: &Metadata| {
            let modified = (metadata.mtime(), metadata.mtime_nsec());
            (metadata.dev(), metadata.ino(), metadata.len(), modified)
        };
        let now = std::fs::metadata(&self.file.path).ok();
        if now.is_none_or(|now| state(&now) != state(&self.metadata)) {
            bail!(
                "{} changed while it was read; run diff again",
                self.file.path.display()
            );
        }
        Ok(())
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

fn meta(config: &Diff, old: &Opened, new: &Opened) -> anyhow::Result<Meta> {
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

/// Returns the users to report, as found in either snapshot.
fn users(config: &Diff, old: &Opened, new: &Opened) -> anyhow::Result<Option<HashSet<UserId>>> {
    if config.users.is_empty() {
        return Ok(None);
    }
    let mut ids = HashSet::new();
    for name in &config.users {
        let found = old.reader.find_users(name)?.into_iter();
        let mut found: Vec<_> = found.chain(new.reader.find_users(name)?).collect();
        if found.is_empty() {
            bail!("no user of either snapshot has the id, login or email {name:?}");
        }
        ids.extend(found.drain(..).map(|user| user.id));
    }
    Ok(Some(ids))
}

/// Returns the groups to report, as found in either snapshot.
fn groups(config: &Diff, old: &Opened, new: &Opened) -> anyhow::Result<Option<HashSet<GroupId>>> {
    if config.groups.is_empty() {
        return Ok(None);
    }
    let mut ids = HashSet::new();
    for name in &config.groups {
        let found = old.reader.find_groups(name)?.into_iter();
        let mut found: Vec<_> = found.chain(new.reader.find_groups(name)?).collect();
        if found.is_empty() {
            bail!("no group of either snapshot has the id or the name {name:?}");
        }
        ids.extend(found.drain(..).map(|group| group.id));
    }
    Ok(Some(ids))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_file_that_changes_while_it_is_read_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.c1z");
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/go-connector.c1z");
        let change: [fn(&Path); 3] = [
            |path| std::fs::remove_file(path).unwrap(),
            |path| {
                let bytes = std::fs::read(path).unwrap();
                std::fs::write(path, [&bytes[..], b"x"].concat()).unwrap();
            },
            |path| {
                let copy = path.with_extension("new");
                std::fs::copy(path, &copy).unwrap();
                std::fs::rename(copy, path).unwrap();
            },
        ];
        for change in change {
            std::fs::copy(&fixture, &path).unwrap();
            let run = RunFile {
                path: path.clone(),
                sync_id: None,
            };
            let opened = Opened::new(&run).unwrap();
            opened.check_unchanged().unwrap();
            change(&path);
            let error = opened.check_unchanged().unwrap_err().to_string();
            assert!(error.contains("changed while it was read"), "{error}");
        }
    }
}
