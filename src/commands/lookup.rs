//! Finds users and groups by name in snapshots, and detects files that change while they are read.

use std::fs::Metadata;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::near::Near;
use crate::snapshot::{GroupRow, Reader, UserRow};

/// Returns the users that a text refers to in any of the snapshots; at least one.
///
/// # Errors
/// Returns an error with the nearest logins if there is no such user, or if a file is damaged.
pub fn users(readers: &[&Reader], place: &str, text: &str) -> anyhow::Result<Vec<UserRow>> {
    let mut found = Vec::new();
    for reader in readers {
        found.extend(reader.find_users(text)?);
    }
    if !found.is_empty() {
        return Ok(found);
    }
    let mut near = Near::to(text);
    for reader in readers {
        for user in reader.users()?.rows()? {
            let user = user?;
            let name = user.display_name();
            let texts = [&user.login, &user.email, &user.second_email];
            let texts = texts.into_iter().filter_map(|text| text.as_deref());
            let call = user.login.as_deref().filter(|login| !login.is_empty());
            near.offer(
                texts.chain([name.as_str()]),
                call.unwrap_or(user.id.as_str()),
            );
        }
    }
    bail!(
        "no user of {place} has the id, login or email {text:?}{}",
        hint(&near)
    );
}

/// Returns the groups that a text refers to in any of the snapshots; at least one.
///
/// # Errors
/// Returns an error with the nearest names if there is no such group, or if a file is damaged.
pub fn groups(readers: &[&Reader], place: &str, text: &str) -> anyhow::Result<Vec<GroupRow>> {
    let mut found = Vec::new();
    for reader in readers {
        found.extend(reader.find_groups(text)?);
    }
    if !found.is_empty() {
        return Ok(found);
    }
    let mut near = Near::to(text);
    for reader in readers {
        for group in reader.groups()?.rows()? {
            let group = group?;
            near.offer(group.name.as_deref(), group.display_name());
        }
    }
    bail!(
        "no group of {place} has the id or name {text:?}{}",
        hint(&near)
    );
}

/// Returns the end of an error message: suggestions, or the accepted kinds of text.
fn hint(near: &Near) -> String {
    match near.question() {
        Some(question) => format!("; {question}"),
        None => "; only a full match counts".to_owned(),
    }
}

/// Checks that a snapshot is older than another one and of the same org.
///
/// # Errors
/// Returns an error if it is not. The orgs are not compared if another program wrote one of the files.
pub fn require_older(older: &Reader, path: &Path, newer: &Reader) -> anyhow::Result<()> {
    let shown = path.display();
    let (old, new) = (older.info(), newer.info());
    if let (Some(before), Some(after)) = (&old.metadata, &new.metadata)
        && before.origin != after.origin
    {
        bail!(
            "{shown} is from another org ({}, not {}); name an older snapshot of the same org",
            before.origin,
            after.origin
        );
    }
    if old.started_at > new.started_at {
        bail!("{shown} is newer than the snapshot that it is compared with; swap the two");
    }
    Ok(())
}

/// Refuses to overwrite a snapshot with other output, since it is evidence.
///
/// # Errors
/// Returns an error if the file is a snapshot, even a damaged one.
pub fn refuse_snapshot(target: &Path) -> anyhow::Result<()> {
    let is_container = || {
        let bytes = std::fs::File::open(target).ok().and_then(|mut file| {
            let mut start = [0; 4];
            file.read_exact(&mut start).ok().map(|()| start)
        });
        bytes.is_some_and(|start| start.starts_with(b"C1Z"))
    };
    let is_file = std::fs::metadata(target).is_ok_and(|found| found.is_file());
    if is_file && (is_container() || Reader::open(target).is_ok()) {
        bail!(
            "{} is a snapshot, which would be lost; use another file",
            target.display()
        );
    }
    Ok(())
}

/// The state of a file when it was opened.
pub struct Unchanged {
    path: PathBuf,
    /// The file's metadata; `None` if there is no file, which the reader reports.
    metadata: Option<Metadata>,
}

impl Unchanged {
    /// Records the state of a file.
    pub fn of(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            metadata: std::fs::metadata(path).ok(),
        }
    }

    /// Checks that the file did not change. If it was written to while it was read, the result mixes two states.
    ///
    /// # Errors
    /// Returns an error if the file changed.
    pub fn check(&self) -> anyhow::Result<()> {
        let state = |metadata: &Metadata| {
            let modified = (metadata.mtime(), metadata.mtime_nsec());
            (metadata.dev(), metadata.ino(), metadata.len(), modified)
        };
        let now = std::fs::metadata(&self.path).ok();
        if now.as_ref().map(state) != self.metadata.as_ref().map(state) {
            bail!(
                "{} changed while it was read; run the command again",
                self.path.display()
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changes_while_it_is_read_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.c1z");
        let change: [fn(&Path); 3] = [
            |path| std::fs::remove_file(path).unwrap(),
            |path| std::fs::write(path, "longer").unwrap(),
            |path| {
                let copy = path.with_extension("new");
                std::fs::copy(path, &copy).unwrap();
                std::fs::rename(copy, path).unwrap();
            },
        ];
        for change in change {
            std::fs::write(&path, "short").unwrap();
            let unchanged = Unchanged::of(&path);
            unchanged.check().unwrap();
            change(&path);
            let error = unchanged.check().unwrap_err().to_string();
            assert!(error.contains("changed while it was read"), "{error}");
        }
    }
}
