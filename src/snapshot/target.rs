//! The file that a run replaces, and the names next to it.
//!
//! - `.NAME.tmp-db` and `.NAME.tmp` are temporary files of a run, `.NAME.lock` keeps other runs away. `.NAME.checkpoint` is
//!   the checkpoint of an interrupted run, `.NAME.checkpoint-old` one that could not be resumed, kept until a run completes.
//!   Globs skip all of them, because their names start with a dot. `NAME.partial` and `NAME.rejected` are for people. Only
//!   the owner can read any of them (mode 0600).
//! - A symlink stays: the file that it points to is replaced. [`trust`] decides which links are followed.

use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::atomic_file::{
    Lock, SQLITE_SUFFIXES, Temporary, cannot_open, create_new, exists, hidden_name,
    refuse_database_in_use, remove_if_there, remove_with_logs, resolve_replaceable, split_path,
    sync_folder_of, with_ending,
};
use crate::trust::{self, Entry};

/// A file to be replaced. While this value exists, no other run can replace the file.
#[derive(Debug)]
pub struct Target {
    path: PathBuf,
    folder: PathBuf,
    name: OsString,
    _lock: Lock,
}

impl Target {
    /// Resolves a path and locks the file.
    ///
    /// # Errors
    /// Returns [`Busy`](crate::atomic_file::Busy) if another run has locked the file, or an error if it cannot be replaced:
    /// a folder, a device, a file in a folder that cannot be written.
    pub fn lock(typed: &Path, plain_sqlite: bool) -> anyhow::Result<Self> {
        let path = resolve_replaceable(typed)?;
        let (folder, name) = split_path(&path)?;
        if plain_sqlite {
            refuse_database_in_use(&path)?;
        }
        let lock = Lock::acquire(&folder.join(hidden_name(&name, "lock")), &path)?;
        let target = Self {
            path,
            folder,
            name,
            _lock: lock,
        };
        target.refuse_taken_names()?;
        for unaccepted in [target.partial(), target.rejected()] {
            if unaccepted.is_dir() {
                bail!(
                    "{} is a folder; a snapshot that may not replace the old one would go there",
                    unaccepted.display()
                );
            }
        }
        Ok(target)
    }

    /// Returns the path of the file, with symlinks resolved.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns an error if a name that the run needs belongs to a file that it cannot remove: another user's file in a folder
    /// such as `/tmp`.
    fn refuse_taken_names(&self) -> anyhow::Result<()> {
        let folder =
            fs::metadata(&self.folder).map_err(|error| cannot_open(&self.folder, error))?;
        for name in ["checkpoint", "checkpoint-old", "tmp", "tmp-db"]
            .map(|what| hidden_name(&self.name, what))
        {
            for log in SQLITE_SUFFIXES {
                let path = with_ending(&self.folder.join(&name), log);
                let Ok(found) = fs::symlink_metadata(&path) else {
                    continue;
                };
                let owners = (found.uid(), folder.uid());
                if !trust::may_remove(owners, folder.mode(), trust::user()) {
                    bail!(
                        "{} belongs to another user, and a sync needs that name; use another folder or file name",
                        path.display()
                    );
                }
            }
        }
        Ok(())
    }

    /// Returns the file of the checkpoint.
    pub fn checkpoint(&self) -> CheckpointFile {
        CheckpointFile {
            path: self.folder.join(hidden_name(&self.name, "checkpoint")),
            old: self.folder.join(hidden_name(&self.name, "checkpoint-old")),
        }
    }

    /// Returns whether a path is this file, or one that a run creates next to it.
    fn owns(&self, path: &Path) -> anyhow::Result<bool> {
        let (folder, name) = split_path(path)?;
        if std::path::absolute(&folder)? != std::path::absolute(&self.folder)?
            && fs::canonicalize(&folder)? != fs::canonicalize(&self.folder)?
        {
            return Ok(false);
        }
        Ok(self.own_names().contains(&name))
    }

    /// Returns every name in the folder that a run uses: the file, those next to it, and those that SQLite keeps next
    /// to each.
    fn own_names(&self) -> Vec<OsString> {
        let mut names = vec![self.name.clone()];
        names.extend(RUN_FILES.map(|what| hidden_name(&self.name, what)));
        for unaccepted in [self.partial(), self.rejected()] {
            names.extend(unaccepted.file_name().map(OsStr::to_owned));
        }
        let with_logs =
            |name: &OsString| SQLITE_SUFFIXES.map(|log| with_ending(Path::new(name), log).into());
        names.iter().flat_map(with_logs).collect()
    }

    /// Removes the partial and rejected snapshots of earlier runs, once a complete snapshot replaces them.
    pub fn remove_unaccepted(&self) {
        for unaccepted in [self.partial(), self.rejected()] {
            // A file that cannot be removed contains the time at which it was taken, so no one mistakes it for a new
            // one.
            let _ = remove_if_there(&unaccepted);
        }
    }

    /// Reserves the temporary name of the snapshot's database.
    pub fn database(&self) -> anyhow::Result<Temporary> {
        Temporary::reserve(self.folder.join(hidden_name(&self.name, "tmp-db")))
    }

    /// Reserves the temporary name of the container.
    pub fn container(&self) -> anyhow::Result<Temporary> {
        Temporary::reserve(self.folder.join(hidden_name(&self.name, "tmp")))
    }

    /// Returns the path for an incomplete snapshot.
    pub fn partial(&self) -> PathBuf {
        self.named("partial")
    }

    /// Returns the path for a snapshot that the drop guard rejects.
    pub fn rejected(&self) -> PathBuf {
        self.named("rejected")
    }

    fn named(&self, ending: &str) -> PathBuf {
        let mut name = self.name.clone();
        name.push(".");
        name.push(ending);
        self.folder.join(name)
    }
}

/// The file of a checkpoint, with SQLite's logs next to it. It stays until a run completes.
#[derive(Debug)]
pub struct CheckpointFile {
    path: PathBuf,
    old: PathBuf,
}

/// The endings of the hidden names that a run uses next to its file.
const RUN_FILES: [&str; 5] = ["checkpoint", "checkpoint-old", "lock", "tmp", "tmp-db"];

/// Whether an earlier run left a checkpoint, and whether it can be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeftBehind {
    /// There is no checkpoint.
    Nothing,
    /// Only this user can have written the checkpoint.
    Trusted,
    /// Another user may have written the checkpoint, for this reason.
    Distrusted(String),
}

impl CheckpointFile {
    /// Returns its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Looks for the checkpoint of an earlier run. If there is one, also creates the logs that SQLite would read with it,
    /// so that another user cannot plant them in a folder such as `/tmp`.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read or created.
    pub fn left(&self) -> anyhow::Result<LeftBehind> {
        if !exists(&self.path)? {
            return Ok(LeftBehind::Nothing);
        }
        self.hold_names()?;
        for log in SQLITE_SUFFIXES {
            let path = with_ending(&self.path, log);
            let found = match fs::symlink_metadata(&path) {
                Ok(found) => Entry::of(&found),
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(cannot_open(&path, error)),
            };
            if let Some(why) = trust::distrust(&found, trust::user()) {
                return Ok(LeftBehind::Distrusted(format!("{} {why}", path.display())));
            }
        }
        Ok(LeftBehind::Trusted)
    }

    /// Creates an empty checkpoint that only its owner can read.
    ///
    /// # Errors
    /// Returns an error if a file cannot be removed or created.
    pub fn create(&self) -> anyhow::Result<()> {
        // SQLite would apply the log of an old checkpoint to the new database.
        remove_with_logs(&self.path)?;
        create_new(&self.path).with_context(|| format!("cannot make {}", self.path.display()))?;
        self.hold_names()
    }

    fn hold_names(&self) -> anyhow::Result<()> {
        for log in ["-wal", "-journal"] {
            let path = with_ending(&self.path, log);
            match create_new(&path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(error).with_context(|| format!("cannot make {}", path.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Renames the checkpoint, which replaces one that was set aside before, and returns the new path.
    ///
    /// # Errors
    /// Returns an error if a file cannot be removed or renamed.
    pub fn set_aside(&self) -> anyhow::Result<&Path> {
        remove_with_logs(&self.old)?;
        for log in SQLITE_SUFFIXES.into_iter().rev() {
            let (from, to) = (with_ending(&self.path, log), with_ending(&self.old, log));
            match fs::rename(&from, &to) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot rename {}", from.display()));
                }
                _ => {}
            }
        }
        Ok(&self.old)
    }

    /// Removes the checkpoint, but not one that was set aside.
    pub fn remove(&self) {
        // If this fails, the next run finds the file and checks it.
        let _ = remove_with_logs(&self.path);
        sync_folder_of(&self.path);
    }

    /// Removes the checkpoint and one that was set aside.
    pub fn remove_all(&self) {
        self.remove();
        let _ = remove_with_logs(&self.old);
    }
}

/// The path of a small file that is written at once at the end of a run, such as a manifest. It is checked and locked
/// before the run starts.
#[derive(Debug)]
pub struct ReservedPath {
    path: PathBuf,
    temporary: Temporary,
    _lock: Lock,
}

impl ReservedPath {
    /// Locks the path, and checks that it can be written and is not the target.
    ///
    /// # Errors
    /// Returns the errors of [`Target::lock`], or an error if the path is one that the run uses itself.
    pub fn reserve(typed: &Path, target: &Target) -> anyhow::Result<Self> {
        let path = resolve_replaceable(typed)?;
        if target.owns(&path)? {
            bail!(
                "{} is the snapshot itself, or a file of its run; use another file",
                typed.display()
            );
        }
        let (folder, name) = split_path(&path)?;
        let lock = Lock::acquire(&folder.join(hidden_name(&name, "lock")), &path)?;
        let temporary = Temporary::reserve(folder.join(hidden_name(&name, "tmp-aside")))?;
        drop(temporary.create()?);
        Ok(Self {
            path,
            temporary,
            _lock: lock,
        })
    }

    /// Writes and publishes the file, with these permissions or else those of the old file.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written or renamed.
    pub fn write(self, bytes: &[u8], mode: Option<u32>) -> anyhow::Result<()> {
        let path = self.temporary.path();
        OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(path)
            .and_then(|mut file| file.write_all(bytes))
            .with_context(|| format!("cannot write {}", path.display()))?;
        self.temporary.with_mode(mode).publish(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atomic_file::Busy;

    #[test]
    fn a_file_is_held_by_one_run_and_free_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sync.c1z");
        let first = Target::lock(&path, false).unwrap();
        assert!(Target::lock(&path, false).unwrap_err().is::<Busy>());
        drop(first);
        drop(Target::lock(&path, false).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_link_stays_and_what_it_points_to_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("data")).unwrap();
        let link = folder.path().join("latest.c1z");
        std::os::unix::fs::symlink("data/new.c1z", &link).unwrap();
        let target = Target::lock(&link, false).unwrap();
        let temporary = target.container().unwrap();
        temporary.create().unwrap().write_all(b"whole").unwrap();
        temporary.publish(target.path()).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(
            fs::read(folder.path().join("data/new.c1z")).unwrap(),
            b"whole"
        );
        assert_eq!(
            fs::metadata(folder.path().join("data/new.c1z"))
                .unwrap()
                .mode()
                & 0o777,
            0o600
        );
    }

    #[test]
    fn what_cannot_be_replaced_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |path: &Path| Target::lock(path, false).unwrap_err().to_string();
        assert!(refused(folder.path()).contains("is a folder"));
        assert!(refused(Path::new("/dev/null")).contains("not a regular file"));
        assert!(refused(&folder.path().join("none/sync.c1z")).contains("does not exist"));
        let circle = folder.path().join("circle.c1z");
        std::os::unix::fs::symlink("circle.c1z", &circle).unwrap();
        assert!(refused(&circle).contains("is a symlink loop"));
    }

    #[test]
    fn a_file_aside_is_never_the_target_however_it_is_spelled() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sync.db");
        let target = Target::lock(&path, true).unwrap();
        std::os::unix::fs::symlink("sync.db", folder.path().join("link.json")).unwrap();
        std::os::unix::fs::symlink(".", folder.path().join("here")).unwrap();
        for name in [
            "sync.db",
            "./sync.db",
            "here/sync.db",
            "link.json",
            ".sync.db.tmp",
            ".sync.db.checkpoint-wal",
            "sync.db.partial",
            "sync.db.rejected",
        ] {
            let error = ReservedPath::reserve(&folder.path().join(name), &target).unwrap_err();
            assert!(
                error.to_string().contains("the snapshot itself"),
                "{name}: {error}"
            );
        }
        let manifest = ReservedPath::reserve(&folder.path().join("m.json"), &target).unwrap();
        assert!(
            ReservedPath::reserve(&folder.path().join("m.json"), &target)
                .unwrap_err()
                .is::<Busy>()
        );
        manifest.write(b"{}", None).unwrap();
        assert_eq!(fs::read(folder.path().join("m.json")).unwrap(), b"{}");
    }

    #[test]
    fn a_log_beside_a_plain_database_would_be_played_into_the_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sync.db");
        fs::write(folder.path().join("sync.db-wal"), "old rows").unwrap();
        assert!(
            Target::lock(&path, true)
                .unwrap_err()
                .to_string()
                .contains("sync.db-wal is there")
        );
        Target::lock(&path, false).unwrap();
        fs::write(folder.path().join("sync.db-wal"), "").unwrap();
        Target::lock(&path, true).unwrap();
    }

    #[test]
    fn what_is_not_published_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let target = Target::lock(&folder.path().join("sync.c1z"), false).unwrap();
        let temporary = target.database().unwrap();
        temporary.create().unwrap();
        let path = temporary.path().to_owned();
        drop(temporary);
        assert!(!path.exists());
    }
}
