//! The file that a run replaces, and the names beside it.
//!
//! - The file itself is untouched until the new one is whole: written under a temporary name in the same folder,
//!   synced, renamed, and the folder synced.
//! - `.NAME.tmp-db` and `.NAME.tmp` are a run's own, `.NAME.lock` keeps other runs away. `.NAME.work` is the state that an
//!   interrupted run goes on from, `.NAME.work-old` one that a run did not go on from, kept until a run is whole. Globs
//!   miss all of them. `NAME.partial` and `NAME.rejected` are for people. Everything is for the owner's eyes (0600).
//! - A symlink stays one: what it points to is replaced. [`trust`] says which links are followed.
//! - A file that is replaced keeps its permissions and, where that is permitted, its group.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use rustix::fs::OFlags;
use rustix::process::{Flock, FlockOffsetType, FlockType, fcntl_getlk};
use thiserror::Error;

use super::trust::{self, Entry, resolve};

/// Another run is writing the same file.
#[derive(Debug, Error)]
#[error("{} is locked by another run; wait for it or use another file", .0.display())]
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
        let path = replaceable(typed)?;
        let (folder, name) = split(&path)?;
        if plain_sqlite {
            refuse_database_in_use(&path)?;
        }
        let lock = Lock::take(&folder.join(beside(&name, "lock")), &path)?;
        let target = Self {
            path,
            folder,
            name,
            _lock: lock,
        };
        target.refuse_taken_names()?;
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

    /// Refuses what this run will have to move out of the way and cannot: files of others in a folder like `/tmp`.
    fn refuse_taken_names(&self) -> anyhow::Result<()> {
        let folder =
            fs::metadata(&self.folder).map_err(|error| cannot_look_at(&self.folder, error))?;
        for name in ["work", "work-old", "tmp", "tmp-db"].map(|what| beside(&self.name, what)) {
            for log in LOGS {
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
        Ok(self.own_names().contains(&name))
    }

    /// Every name in the folder that is a run's: the file, what is written beside it, and what SQLite keeps beside each.
    fn own_names(&self) -> Vec<OsString> {
        let mut names = vec![self.name.clone()];
        names.extend(RUN_FILES.map(|what| beside(&self.name, what)));
        for aside in [self.partial(), self.rejected()] {
            names.extend(aside.file_name().map(OsStr::to_owned));
        }
        let with_logs = |name: &OsString| LOGS.map(|log| with_ending(Path::new(name), log).into());
        names.iter().flat_map(with_logs).collect()
    }

    /// Removes what earlier runs could not put in the place of the file: a whole new one is there now.
    pub fn remove_asides(&self) {
        for aside in [self.partial(), self.rejected()] {
            // What cannot be removed is out of date, and says so itself: it holds when it was taken.
            let _ = remove_if_there(&aside);
        }
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

/// What a run makes beside its file, by the ending of the hidden name.
const RUN_FILES: [&str; 5] = ["work", "work-old", "lock", "tmp", "tmp-db"];

/// A database, and what SQLite may leave beside it.
const LOGS: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// The state that an earlier run left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Left {
    /// None.
    Nothing,
    /// One that nobody else can have written.
    Trusted,
    /// One that somebody else may have written, and why that is possible.
    Distrusted(String),
}

impl StateFile {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What an earlier run left. The names that SQLite reads beside a state are ours from here on: in a folder that keeps
    /// users from each other's files, nobody can put anything there any more.
    ///
    /// # Errors
    /// What the file system says.
    pub fn left(&self) -> anyhow::Result<Left> {
        if !is_there(&self.path)? {
            return Ok(Left::Nothing);
        }
        self.hold_names()?;
        for log in LOGS {
            let path = with_ending(&self.path, log);
            let found = match fs::symlink_metadata(&path) {
                Ok(found) => Entry::of(&found),
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(cannot_look_at(&path, error)),
            };
            if let Some(why) = trust::distrust(&found, trust::user()) {
                return Ok(Left::Distrusted(format!("{} {why}", path.display())));
            }
        }
        Ok(Left::Trusted)
    }

    /// Makes an empty one, for the owner's eyes only.
    ///
    /// # Errors
    /// What the file system says.
    pub fn create(&self) -> anyhow::Result<()> {
        // A log without its database would be played into the new one.
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
pub fn sync_folder_of(path: &Path) {
    let _ = File::open(folder_of(path)).and_then(|folder| folder.sync_all());
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn remove_with_logs(path: &Path) -> anyhow::Result<()> {
    for log in LOGS.into_iter().rev() {
        remove_if_there(&with_ending(path, log))?;
    }
    Ok(())
}

fn remove_if_there(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// A new file for the owner's eyes only.
fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

fn is_there(path: &Path) -> anyhow::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(cannot_look_at(path, error)),
    }
}

fn cannot_look_at(path: &Path, error: io::Error) -> anyhow::Error {
    anyhow::Error::new(error).context(format!("cannot look at {}", path.display()))
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
        remove_with_logs(&path)?;
        Ok(Self { path, kept: false })
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
        create_new(&self.path).with_context(|| format!("cannot make {}", self.path.display()))
    }

    /// Makes the file durable and gives it its name.
    ///
    /// # Errors
    /// What the file system says. The whole file then stays under its temporary name, which the error tells.
    pub fn publish(self, to: &Path) -> anyhow::Result<()> {
        self.publish_if(to, |_| Ok(()))
    }

    /// The same for a plain database, whose predecessor another program may have opened meanwhile: SQLite would undo that
    /// program's changes in the new file.
    ///
    /// # Errors
    /// What the file system says, and a database that is in use.
    pub fn publish_database(self, to: &Path) -> anyhow::Result<()> {
        self.publish_if(to, refuse_database_in_use)
    }

    fn publish_if(
        mut self,
        to: &Path,
        check: impl FnOnce(&Path) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let synced = File::open(&self.path).and_then(|file| {
            if let Err(error) = keep_permissions(to, &file) {
                tracing::warn!(
                    "cannot give the new file the permissions of {} ({error}); only its owner can read it",
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

/// Gives a file the permissions of the one that it replaces, unless somebody who has no say put that one there.
fn keep_permissions(old: &Path, new: &File) -> io::Result<()> {
    let Ok(found) = fs::symlink_metadata(old) else {
        return Ok(());
    };
    let folder = fs::metadata(folder_of(old))?;
    if !found.is_file() || !trust::is_entitled(found.uid(), folder.uid(), trust::user()) {
        return Ok(());
    }
    let is_group_kept = found.gid() == new.metadata()?.gid()
        || std::os::unix::fs::fchown(new, None, Some(found.gid())).is_ok();
    new.set_permissions(Permissions::from_mode(handed_on(
        found.mode(),
        is_group_kept,
    )))
}

/// The permissions of the new file: those of the old, but where its group is another now, that group gets no more than
/// everybody does.
fn handed_on(mode: u32, is_group_kept: bool) -> u32 {
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
        let path = replaceable(typed)?;
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

/// SQLite would play a log that another program left beside the old file, or leaves when it is killed, into the new one.
fn refuse_database_in_use(path: &Path) -> anyhow::Result<()> {
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

/// Whether a program holds SQLite's lock for writing a database, which it takes before it makes a journal. A file that
/// cannot be asked about is not being written.
fn is_being_written(path: &Path) -> bool {
    // SQLite's pending and reserved bytes, which a writer locks (sqlite.org/lockingv3.html and os.h).
    const LOCK_BYTES: (u64, u64) = (0x4000_0000, 2);
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path);
    let asked = Flock {
        start: LOCK_BYTES.0,
        length: LOCK_BYTES.1,
        pid: None,
        typ: FlockType::ReadLock,
        offset_type: FlockOffsetType::Set,
    };
    opened.is_ok_and(|file| matches!(fcntl_getlk(&file, &asked), Ok(Some(_))))
}

/// The file that a path names, if it can be replaced.
fn replaceable(typed: &Path) -> anyhow::Result<PathBuf> {
    let path = resolve(typed)?;
    match fs::symlink_metadata(&path) {
        Ok(found) if found.is_dir() => bail!(
            "{} is a folder; name a file in it, such as sync.c1z",
            path.display()
        ),
        Ok(found) if !found.is_file() => bail!(
            "{} is not a regular file, so it cannot be replaced; name a file",
            path.display()
        ),
        Ok(_) if is_mount_point(&path) => bail!(
            "{} is mounted by itself, so it cannot be replaced; mount the folder it is in",
            path.display()
        ),
        Ok(_) => Ok(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path),
        Err(error) => Err(cannot_look_at(&path, error)),
    }
}

/// Whether something is mounted on this very file. Where the system has no list of mounts, the rename finds out.
fn is_mount_point(path: &Path) -> bool {
    let (Ok(mounts), Ok(path)) = (fs::read("/proc/self/mountinfo"), fs::canonicalize(path)) else {
        return false;
    };
    is_mounted(&mounts, path.as_os_str().as_bytes())
}

/// Whether a list of mounts (proc_pid_mountinfo(5)) has one on this path, which is the fifth field of a line; spaces,
/// tabs, newlines and backslashes are written as a backslash and three octal digits.
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

fn split(path: &Path) -> anyhow::Result<(PathBuf, OsString)> {
    let name = path
        .file_name()
        .with_context(|| format!("{} names no file", path.display()))?;
    let folder = folder_of(path).to_owned();
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
                opened.with_context(|| format!("cannot write beside {}", target.display()))?;
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
