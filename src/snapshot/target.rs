//! The file that a run replaces, and the names beside it.
//!
//! - The file itself is untouched until the new one is whole: written under a temporary name in the same folder,
//!   synced, renamed, and the folder synced.
//! - `.NAME.tmp-db` and `.NAME.tmp` are a run's own, `.NAME.lock` keeps other runs away. `.NAME.work` is the state that an
//!   interrupted run goes on from, `.NAME.work-old` one that a run did not go on from, kept until a run is whole. Globs
//!   miss all of them. `NAME.partial` and `NAME.rejected` are for people. Everything is for the owner's eyes (0600).
//! - A symlink stays one: what it points to is replaced.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use thiserror::Error;

/// Another run is writing the same file.
#[derive(Debug, Error)]
#[error("another run is writing {}; wait for it, or name another file", .0.display())]
pub struct Busy(PathBuf);

impl Busy {
    /// Of this file.
    pub fn of(path: &Path) -> Self {
        Self(path.to_owned())
    }
}

/// A file to be replaced; while this lives, no other run may replace it.
#[derive(Debug)]
pub struct Target {
    path: PathBuf,
    folder: PathBuf,
    name: OsString,
    _lock: Lock,
}

impl Target {
    /// Finds out what is to be replaced, whether it may be, and keeps other runs away.
    ///
    /// # Errors
    /// [`Busy`]; and whatever cannot be replaced: a folder, a device, a file in a folder that cannot be written.
    pub fn take(typed: &Path, plain_sqlite: bool) -> anyhow::Result<Self> {
        let path = resolve(typed)?;
        let (folder, name) = split(&path)?;
        if plain_sqlite {
            refuse_leftovers_of_sqlite(&path)?;
        }
        let lock = Lock::take(&folder.join(beside(&name, "lock")), &path)?;
        let target = Self {
            path,
            folder,
            name,
            _lock: lock,
        };
        for aside in [target.partial(), target.rejected()] {
            if aside.is_dir() {
                bail!(
                    "{} is a folder; a snapshot that may not replace the old one would go there",
                    aside.display()
                );
            }
        }
        Ok(target)
    }

    /// The file, symlinks resolved.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of the working database.
    pub fn state(&self) -> StateFile {
        StateFile {
            path: self.folder.join(beside(&self.name, "work")),
            old: self.folder.join(beside(&self.name, "work-old")),
        }
    }

    /// Whether a path is this file, or one that a run makes beside it.
    fn owns(&self, path: &Path) -> anyhow::Result<bool> {
        let (folder, name) = split(path)?;
        if std::path::absolute(&folder)? != std::path::absolute(&self.folder)?
            && fs::canonicalize(&folder)? != fs::canonicalize(&self.folder)?
        {
            return Ok(false);
        }
        let mut own = vec![self.name.clone()];
        own.extend(["work", "lock", "tmp", "tmp-db"].map(|what| beside(&self.name, what)));
        for aside in [self.partial(), self.rejected()] {
            own.extend(aside.file_name().map(OsStr::to_owned));
        }
        // The log of the state too, and what was set aside.
        let state = beside(&self.name, "work-");
        Ok(own.contains(&name) || name.as_bytes().starts_with(state.as_bytes()))
    }

    /// A new, empty temporary file for the snapshot's database.
    pub fn database(&self) -> anyhow::Result<Temporary> {
        Temporary::reserve(self.folder.join(beside(&self.name, "tmp-db")))
    }

    /// A new, empty temporary file for the container.
    pub fn container(&self) -> anyhow::Result<Temporary> {
        Temporary::reserve(self.folder.join(beside(&self.name, "tmp")))
    }

    /// Where an incomplete snapshot goes.
    pub fn partial(&self) -> PathBuf {
        self.named("partial")
    }

    /// Where a snapshot goes that lost too much to replace the old one.
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

/// The file of the working database, with SQLite's log beside it. It outlives the run that made it, unless that is whole.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    old: PathBuf,
}

/// What SQLite may leave beside a database.
const LOGS: [&str; 4] = ["", "-wal", "-shm", "-journal"];

impl StateFile {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether an earlier run left one.
    ///
    /// # Errors
    /// Something else of this name, such as a link: it is not followed.
    pub fn is_there(&self) -> anyhow::Result<bool> {
        match fs::symlink_metadata(&self.path) {
            Ok(found) if found.is_file() => Ok(true),
            Ok(_) => bail!(
                "{} is no regular file; the state of a run goes there, remove it",
                self.path.display()
            ),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => {
                Err(error).with_context(|| format!("cannot look at {}", self.path.display()))
            }
        }
    }

    /// Makes an empty one, for the owner's eyes only.
    ///
    /// # Errors
    /// What the file system says.
    pub fn create(&self) -> anyhow::Result<()> {
        // A log without its database would be played into the new one.
        remove_with_logs(&self.path)?;
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.path)
            .with_context(|| format!("cannot make {}", self.path.display()))?;
        Ok(())
    }

    /// Gives it another name, in the place of what was set aside before. Says which.
    ///
    /// # Errors
    /// What the file system says.
    pub fn set_aside(&self) -> anyhow::Result<&Path> {
        remove_with_logs(&self.old)?;
        for log in LOGS.into_iter().rev() {
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

    /// Removes it, and nothing that was set aside.
    pub fn remove(&self) {
        // What cannot be removed now, the next run finds and looks at.
        let _ = remove_with_logs(&self.path);
        sync_folder_of(&self.path);
    }

    /// Removes it, and what was set aside.
    pub fn remove_all(&self) {
        self.remove();
        let _ = remove_with_logs(&self.old);
    }
}

/// A name is durable, or gone for good, once its folder is synced. Some file systems cannot do that.
fn sync_folder_of(path: &Path) {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn remove_with_logs(path: &Path) -> anyhow::Result<()> {
    for log in LOGS.into_iter().rev() {
        let path = with_ending(path, log);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", path.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// A file under a temporary name; removed when dropped, unless it was published or kept.
#[derive(Debug)]
pub struct Temporary {
    path: PathBuf,
    kept: bool,
}

impl Temporary {
    /// Frees the name: what a killed run left there is gone.
    fn reserve(path: PathBuf) -> anyhow::Result<Self> {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", path.display()))
            }
            _ => Ok(Self { path, kept: false }),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the file, for the owner's eyes only.
    ///
    /// # Errors
    /// What the file system says.
    pub fn create(&self) -> anyhow::Result<File> {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.path)
            .with_context(|| format!("cannot make {}", self.path.display()))
    }

    /// Makes the file durable and gives it its name.
    ///
    /// # Errors
    /// What the file system says. The whole file then stays under its temporary name, which the error tells.
    pub fn publish(mut self, to: &Path) -> anyhow::Result<()> {
        let synced = File::open(&self.path).and_then(|file| file.sync_all());
        synced.with_context(|| format!("cannot write {} to the disk", self.path.display()))?;
        self.kept = true;
        fs::rename(&self.path, to).with_context(|| {
            format!(
                "cannot put the new file in the place of {}; it is whole, as {}",
                to.display(),
                self.path.display()
            )
        })?;
        sync_folder_of(to);
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A small file beside others that is written in one go, such as a manifest.
#[derive(Debug)]
pub struct Aside {
    path: PathBuf,
    temporary: Temporary,
    _lock: Lock,
}

impl Aside {
    /// Checks beforehand that it can be written, and that it is not the target.
    ///
    /// # Errors
    /// What [`Target::take`] refuses too.
    pub fn reserve(typed: &Path, target: &Target) -> anyhow::Result<Self> {
        let path = resolve(typed)?;
        if target.owns(&path)? {
            bail!(
                "{} is the snapshot itself, or a file of its run; name another",
                typed.display()
            );
        }
        let (folder, name) = split(&path)?;
        let lock = Lock::take(&folder.join(beside(&name, "lock")), &path)?;
        let temporary = Temporary::reserve(folder.join(beside(&name, "tmp-aside")))?;
        drop(temporary.create()?);
        Ok(Self {
            path,
            temporary,
            _lock: lock,
        })
    }

    /// Writes it.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write(self, bytes: &[u8]) -> anyhow::Result<()> {
        let path = self.temporary.path();
        OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(path)
            .and_then(|mut file| file.write_all(bytes))
            .with_context(|| format!("cannot write {}", path.display()))?;
        self.temporary.publish(&self.path)
    }
}

/// SQLite would play a log that another program left beside the old file into the new one.
fn refuse_leftovers_of_sqlite(path: &Path) -> anyhow::Result<()> {
    for ending in ["-wal", "-journal"] {
        let leftover = with_ending(path, ending);
        if fs::symlink_metadata(&leftover).is_ok_and(|found| found.len() > 0) {
            bail!(
                "{} is there: a program has the old database open, or died with it; close it, or remove that file",
                leftover.display()
            );
        }
    }
    Ok(())
}

/// Follows symlinks, also to a name that is still free, and refuses what is not a file.
fn resolve(typed: &Path) -> anyhow::Result<PathBuf> {
    let mut path = typed.to_owned();
    // As many as Linux follows.
    for _ in 0..40 {
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_symlink() => {
                let to = fs::read_link(&path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                path = path.parent().unwrap_or(Path::new("")).join(to);
            }
            Ok(found) if found.is_file() => return Ok(path),
            Ok(found) if found.is_dir() => {
                bail!(
                    "{} is a folder; name a file in it, such as sync.c1z",
                    path.display()
                )
            }
            Ok(_) => bail!(
                "{} is no regular file, so it cannot be replaced; name a file",
                path.display()
            ),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(path),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot look at {}", path.display()));
            }
        }
    }
    bail!("{} is a chain of links without an end", typed.display())
}

fn split(path: &Path) -> anyhow::Result<(PathBuf, OsString)> {
    let name = path
        .file_name()
        .with_context(|| format!("{} names no file", path.display()))?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    if !folder.is_dir() {
        bail!(
            "the folder {} does not exist; make it first",
            folder.display()
        );
    }
    Ok((folder, name.to_owned()))
}

fn beside(name: &OsStr, what: &str) -> OsString {
    let mut beside = OsString::from(".");
    beside.push(name);
    beside.push(".");
    beside.push(what);
    beside
}

/// A lock file that is held; removed at the end.
#[derive(Debug)]
struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    fn take(path: &Path, target: &Path) -> anyhow::Result<Self> {
        loop {
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(path)
                .with_context(|| format!("cannot write beside {}", target.display()))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(Busy(target.to_owned()).into()),
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("cannot lock {}", path.display()));
                }
            }
            // The run before may have removed the file between our opening and locking it.
            let held = file.metadata()?;
            if fs::metadata(path)
                .is_ok_and(|there| (there.dev(), there.ino()) == (held.dev(), held.ino()))
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
        // While still locked: whoever opened it before sees that it is gone and makes a new one.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_held_by_one_run_and_free_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sync.c1z");
        let first = Target::take(&path, false).unwrap();
        assert!(Target::take(&path, false).unwrap_err().is::<Busy>());
        drop(first);
        drop(Target::take(&path, false).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_link_stays_and_what_it_points_to_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("data")).unwrap();
        let link = folder.path().join("latest.c1z");
        std::os::unix::fs::symlink("data/new.c1z", &link).unwrap();
        let target = Target::take(&link, false).unwrap();
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
        let refused = |path: &Path| Target::take(path, false).unwrap_err().to_string();
        assert!(refused(folder.path()).contains("is a folder"));
        assert!(refused(Path::new("/dev/null")).contains("no regular file"));
        assert!(refused(&folder.path().join("none/sync.c1z")).contains("does not exist"));
        let circle = folder.path().join("circle.c1z");
        std::os::unix::fs::symlink("circle.c1z", &circle).unwrap();
        assert!(refused(&circle).contains("without an end"));
    }

    #[test]
    fn a_file_aside_is_never_the_target_however_it_is_spelled() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sync.db");
        let target = Target::take(&path, true).unwrap();
        std::os::unix::fs::symlink("sync.db", folder.path().join("link.json")).unwrap();
        std::os::unix::fs::symlink(".", folder.path().join("here")).unwrap();
        for name in [
            "sync.db",
            "./sync.db",
            "here/sync.db",
            "link.json",
            ".sync.db.tmp",
            ".sync.db.work-wal",
            "sync.db.partial",
            "sync.db.rejected",
        ] {
            let error = Aside::reserve(&folder.path().join(name), &target).unwrap_err();
            assert!(
                error.to_string().contains("the snapshot itself"),
                "{name}: {error}"
            );
        }
        let manifest = Aside::reserve(&folder.path().join("m.json"), &target).unwrap();
        assert!(
            Aside::reserve(&folder.path().join("m.json"), &target)
                .unwrap_err()
                .is::<Busy>()
        );
        manifest.write(b"{}").unwrap();
        assert_eq!(fs::read(folder.path().join("m.json")).unwrap(), b"{}");
    }

    #[test]
    fn a_log_beside_a_plain_database_would_be_played_into_the_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sync.db");
        fs::write(folder.path().join("sync.db-wal"), "old rows").unwrap();
        assert!(
            Target::take(&path, true)
                .unwrap_err()
                .to_string()
                .contains("sync.db-wal is there")
        );
        Target::take(&path, false).unwrap();
        fs::write(folder.path().join("sync.db-wal"), "").unwrap();
        Target::take(&path, true).unwrap();
    }

    #[test]
    fn what_is_not_published_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let target = Target::take(&folder.path().join("sync.c1z"), false).unwrap();
        let temporary = target.database().unwrap();
        temporary.create().unwrap();
        let path = temporary.path().to_owned();
        drop(temporary);
        assert!(!path.exists());
    }
}
