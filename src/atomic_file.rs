//! Files that appear complete or not at all: written under a temporary name in the folder of the target, synced,
//! renamed, and the folder synced.
//!
//! - A temporary file is removed unless it was published. Only its owner can read it (mode 0600).
//! - A file that is replaced keeps its permissions and, where that is permitted, its group.
//! - A lock file keeps other runs away from a target.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};
use rustix::io::Errno;
use rustix::process::{Flock, FlockOffsetType, FlockType, fcntl_getlk};
use thiserror::Error;

use crate::trust::{self, resolve};

/// Another run is writing the same file.
#[derive(Debug, Error)]
#[error("{} is locked by another run; wait for it or use another file", .0.display())]
pub struct Busy(PathBuf);

impl Busy {
    /// Returns the error for a file.
    pub fn of(path: &Path) -> Self {
        Self(path.to_owned())
    }
}

/// The error for a temporary file that is in no target's folder.
pub const NO_TEMPORARY_FILE: &str = "cannot write a temporary file (in the folder that TMPDIR sets, which must exist and be writable)";

/// The endings of a database and of the files that SQLite may leave next to it.
pub(crate) const SQLITE_SUFFIXES: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// Syncs the folder of a file, which makes a new or a removed name durable. Some file systems cannot do that.
pub fn sync_folder_of(path: &Path) {
    let _ = File::open(folder_of(path)).and_then(|folder| folder.sync_all());
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

pub(crate) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

pub(crate) fn remove_with_logs(path: &Path) -> anyhow::Result<()> {
    for log in SQLITE_SUFFIXES.into_iter().rev() {
        remove_if_there(&with_ending(path, log))?;
    }
    Ok(())
}

pub(crate) fn remove_if_there(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Creates a file that only its owner can read.
pub(crate) fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

pub(crate) fn exists(path: &Path) -> anyhow::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(cannot_open(path, error)),
    }
}

pub(crate) fn cannot_open(path: &Path, error: io::Error) -> anyhow::Error {
    anyhow::Error::new(error).context(format!("cannot open {}", path.display()))
}

/// A file under a temporary name. It is removed when this is dropped, unless it was published.
#[derive(Debug)]
pub struct Temporary {
    path: PathBuf,
    kept: bool,
    mode: Option<u32>,
}

impl Temporary {
    /// Frees the name: removes what a killed run left there.
    pub(crate) fn reserve(path: PathBuf) -> anyhow::Result<Self> {
        remove_with_logs(&path)?;
        Ok(Self {
            path,
            kept: false,
            mode: None,
        })
    }

    /// Publishes the file with these permissions instead of those of the file that it replaces, if there are any.
    pub fn with_mode(mut self, mode: Option<u32>) -> Self {
        self.mode = mode;
        self
    }

    /// Reserves a name in the folder of a file that is to be written, and returns that file, symlinks resolved.
    ///
    /// # Errors
    /// Returns an error if the file cannot be replaced, or if its folder does not exist.
    pub(crate) fn for_target(typed: &Path) -> anyhow::Result<(Self, PathBuf)> {
        let target = resolve_replaceable(typed)?;
        let (folder, _) = split_path(&target)?;
        // Of this run alone: another one may write the same file. A killed run leaves its own behind.
        let name = format!(".okta-ciam-{:016x}.partial", fastrand::u64(..));
        let temporary = Self::reserve(folder.join(name))?;
        Ok((temporary, target))
    }

    /// Returns its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Creates the file; only its owner can read it.
    ///
    /// # Errors
    /// Returns an error if the file system does.
    pub fn create(&self) -> anyhow::Result<File> {
        create_new(&self.path).with_context(|| format!("cannot make {}", self.path.display()))
    }

    /// Syncs the file and renames it.
    ///
    /// # Errors
    /// Returns an error if the file cannot be renamed. The complete file then keeps its temporary name, which the error
    /// contains.
    pub fn publish(self, to: &Path) -> anyhow::Result<()> {
        self.publish_if(to, |_| Ok(()))
    }

    /// Syncs the file and gives it its name, unless there is something of that name already.
    ///
    /// # Errors
    /// Returns an error if there is, or if the file cannot be renamed; the file is removed then.
    pub fn publish_new(mut self, to: &Path) -> anyhow::Result<()> {
        File::open(&self.path)
            .and_then(|file| file.sync_all())
            .with_context(|| format!("cannot write {} to the disk", self.path.display()))?;
        rename_new(&self.path, to).with_context(|| format!("cannot write {}", to.display()))?;
        self.kept = true;
        sync_folder_of(to);
        Ok(())
    }

    /// Does the same for a plain database. Another program may have opened the old one in the meantime, and SQLite
    /// would then roll back that program's changes in the new file.
    ///
    /// # Errors
    /// Returns an error if the old database is in use, or if the file cannot be renamed.
    pub fn publish_database(self, to: &Path) -> anyhow::Result<()> {
        self.publish_if(to, refuse_database_in_use)
    }

    fn publish_if(
        mut self,
        to: &Path,
        check: impl FnOnce(&Path) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let synced = File::open(&self.path).and_then(|file| {
            let kept = keep_group(to, &file);
            if let Some(mode) = self.mode {
                file.set_permissions(Permissions::from_mode(mode))?;
            } else if let Err(error) = kept.and_then(|old| keep_mode(old, &file)) {
                tracing::warn!(
                    "cannot copy the permissions of {} to the new file ({error}); only its owner can read it",
                    to.display()
                );
            }
            file.sync_all()
        });
        synced.with_context(|| format!("cannot write {} to the disk", self.path.display()))?;
        self.kept = true;
        check(to)
            .and_then(|()| Ok(fs::rename(&self.path, to)?))
            .with_context(|| {
                format!(
                    "cannot replace {}; the new file is complete at {}",
                    to.display(),
                    self.path.display()
                )
            })?;
        sync_folder_of(to);
        Ok(())
    }
}

/// Renames a file, unless there is something of the new name.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // The file system cannot do that in one step.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            if fs::symlink_metadata(to).is_ok() {
                return Err(Errno::EXIST.into());
            }
            fs::rename(from, to)
        }
        renamed => Ok(renamed?),
    }
}

/// The permissions of a file that is replaced, and whether the new file has its group.
struct OldFile {
    mode: u32,
    is_group_kept: bool,
}

/// Gives a file the group of the one that it replaces, unless an untrusted user put that one there.
fn keep_group(old: &Path, new: &File) -> io::Result<Option<OldFile>> {
    let Ok(found) = fs::symlink_metadata(old) else {
        return Ok(None);
    };
    let folder = fs::metadata(folder_of(old))?;
    if !found.is_file() || !trust::is_entitled(found.uid(), folder.uid(), trust::user()) {
        return Ok(None);
    }
    let is_group_kept = found.gid() == new.metadata()?.gid()
        || std::os::unix::fs::fchown(new, None, Some(found.gid())).is_ok();
    Ok(Some(OldFile {
        mode: found.mode(),
        is_group_kept,
    }))
}

fn keep_mode(old: Option<OldFile>, new: &File) -> io::Result<()> {
    let Some(OldFile {
        mode,
        is_group_kept,
    }) = old
    else {
        return Ok(());
    };
    new.set_permissions(Permissions::from_mode(mode_to_keep(mode, is_group_kept)))
}

/// Returns the permissions of the new file: those of the old one. If its group is another one now, that group gets no more
/// than everybody.
fn mode_to_keep(mode: u32, is_group_kept: bool) -> u32 {
    let mode = mode & 0o777;
    if is_group_kept {
        return mode;
    }
    let everybody = (mode & 0o007) << 3;
    (mode & 0o707) | (mode & everybody)
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Refuses a database that another program uses: SQLite would apply its log to the new file.
pub(crate) fn refuse_database_in_use(path: &Path) -> anyhow::Result<()> {
    for ending in ["-wal", "-journal"] {
        let leftover = with_ending(path, ending);
        if fs::symlink_metadata(&leftover).is_ok_and(|found| found.len() > 0) {
            bail!(
                "{} is there: a program has the old database open, or died with it; close it, or remove that file",
                leftover.display()
            );
        }
    }
    if is_being_written(path) {
        bail!(
            "another program is changing the old database {}; wait for it, or close it",
            path.display()
        );
    }
    Ok(())
}

/// Returns whether a program holds SQLite's lock for writing a database, which it takes before it creates a journal. A
/// file whose locks cannot be read is not being written.
fn is_being_written(path: &Path) -> bool {
    // SQLite's pending and reserved bytes, which a writer locks (sqlite.org/lockingv3.html and os.h).
    const LOCK_BYTES: (u64, u64) = (0x4000_0000, 2);
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path);
    let request = Flock {
        start: LOCK_BYTES.0,
        length: LOCK_BYTES.1,
        pid: None,
        typ: FlockType::ReadLock,
        offset_type: FlockOffsetType::Set,
    };
    opened.is_ok_and(|file| matches!(fcntl_getlk(&file, &request), Ok(Some(_))))
}

/// Returns the file that a path names, symlinks resolved.
///
/// # Errors
/// Returns an error if it cannot be replaced, such as a folder or a device.
pub(crate) fn resolve_replaceable(typed: &Path) -> anyhow::Result<PathBuf> {
    let path = resolve(typed)?;
    match fs::symlink_metadata(&path) {
        Ok(found) if found.is_dir() => bail!(
            "{} is a folder; use a file in it, such as sync.c1z",
            path.display()
        ),
        Ok(found) if !found.is_file() => bail!(
            "{} is not a regular file, so it cannot be replaced; use a regular file",
            path.display()
        ),
        Ok(_) if is_mount_point(&path) => bail!(
            "{} is mounted by itself, so it cannot be replaced; mount the folder it is in",
            path.display()
        ),
        Ok(_) => Ok(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path),
        Err(error) => Err(cannot_open(&path, error)),
    }
}

/// Returns whether something is mounted on this very file. Without a list of mounts, the rename finds out.
fn is_mount_point(path: &Path) -> bool {
    let (Ok(mounts), Ok(path)) = (fs::read("/proc/self/mountinfo"), fs::canonicalize(path)) else {
        return false;
    };
    is_mounted(&mounts, path.as_os_str().as_bytes())
}

/// Returns whether a list of mounts (proc_pid_mountinfo(5)) has one on this path, which is the fifth field of a line;
/// spaces, tabs, newlines and backslashes are written as a backslash and three octal digits.
fn is_mounted(mounts: &[u8], path: &[u8]) -> bool {
    let mut escaped = Vec::new();
    for byte in path {
        match byte {
            b' ' | b'\t' | b'\n' | b'\\' => escaped.extend(format!("\\{byte:03o}").bytes()),
            other => escaped.push(*other),
        }
    }
    let mut lines = mounts.split(|byte| *byte == b'\n');
    lines.any(|line| line.split(|byte| *byte == b' ').nth(4) == Some(&escaped[..]))
}

pub(crate) fn split_path(path: &Path) -> anyhow::Result<(PathBuf, OsString)> {
    let name = path
        .file_name()
        .with_context(|| format!("{} is not the path of a file", path.display()))?;
    let folder = folder_of(path).to_owned();
    if !folder.is_dir() {
        bail!(
            "the folder {} does not exist; make it first",
            folder.display()
        );
    }
    Ok((folder, name.to_owned()))
}

pub(crate) fn hidden_name(name: &OsStr, ending: &str) -> OsString {
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(".");
    hidden.push(ending);
    hidden
}

/// A lock file, removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    /// Takes the lock of a target.
    ///
    /// # Errors
    /// Returns [`Busy`] if another run has it, or an error if its file cannot be made.
    pub(crate) fn acquire(path: &Path, target: &Path) -> anyhow::Result<Self> {
        loop {
            // Neither through a link, nor waiting for the other end of a pipe.
            let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
            let opened = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .custom_flags(flags.bits().cast_signed())
                .open(path);
            if fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
                bail!(
                    "{} is not a regular file; runs lock each other out with a file of this name, so remove it",
                    path.display()
                );
            }
            let file =
                opened.with_context(|| format!("cannot write next to {}", target.display()))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(Busy(target.to_owned()).into()),
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("cannot lock {}", path.display()));
                }
            }
            // The run before may have removed the file between our opening and locking it.
            let locked = file.metadata()?;
            if fs::metadata(path)
                .is_ok_and(|there| (there.dev(), there.ino()) == (locked.dev(), locked.ino()))
            {
                return Ok(Self {
                    path: path.to_owned(),
                    _file: file,
                });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is still locked, so that a process that has it open sees that it is gone, and makes a new one.
        let _ = fs::remove_file(&self.path);
    }
}
