//! Decides which files of a shared folder can be trusted.
//!
//! - A symlink is followed only if its owner could have put the file there anyway: the effective user, root, or the owner
//!   of the folder that holds the link. This is what Linux does with `fs.protected_symlinks`, which may be off.
//! - A checkpoint is read only if no one else can have written it.
//! - A file that is replaced hands on its permissions only if it was not planted.
//!
//! The decisions are pure; only [`resolve`] follows a path.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// Facts about a name in the file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The kind of object.
    pub kind: FileKind,
    /// The number of the user who owns it.
    pub owner: u32,
    /// The permissions, without the kind.
    pub mode: u32,
    /// The number of its names.
    pub names: u64,
}

/// The kind of object that a name refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A symlink.
    Link,
    /// A folder, a pipe, a device.
    Other,
}

impl Entry {
    /// Reads the facts from the result of `lstat`.
    pub fn of(found: &Metadata) -> Self {
        Self {
            kind: if found.is_symlink() {
                FileKind::Link
            } else if found.is_file() {
                FileKind::File
            } else {
                FileKind::Other
            },
            owner: found.uid(),
            mode: found.mode() & 0o7777,
            names: found.nlink(),
        }
    }
}

/// Returns the effective user, as a number.
pub fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Returns the reason why another user may have written a file that `user` left; `None` if there is none. An access
/// list shows in the group's permissions.
pub fn distrust(file: &Entry, user: u32) -> Option<&'static str> {
    match file.kind {
        FileKind::Link => Some("is a link"),
        FileKind::Other => Some("is not a regular file"),
        FileKind::File if file.owner != user => Some("belongs to another user"),
        FileKind::File if file.mode & 0o022 != 0 => Some("can be written by others"),
        FileKind::File if file.names > 1 => Some("has a second name"),
        FileKind::File => None,
    }
}

/// Returns whether the owner of a name may decide what is written in its place: only the effective user, root and the
/// owner of the folder may.
pub fn is_entitled(owner: u32, folder_owner: u32, user: u32) -> bool {
    [user, 0, folder_owner].contains(&owner)
}

/// Returns whether a user may remove or rename a file, by the owners of the file and its folder and the folder's
/// permissions. In a folder with the sticky bit, only the owner of either may.
pub fn may_remove((owner, folder_owner): (u32, u32), folder_mode: u32, user: u32) -> bool {
    folder_mode & 0o1000 == 0 || user == 0 || owner == user || folder_owner == user
}

/// Follows the symlinks in every part of a path, also to a name that is still free. A relative path stays relative.
///
/// # Errors
/// Returns an error for a link that another user owns, for too many links, or for a path that cannot be read.
pub fn resolve(typed: &Path) -> anyhow::Result<PathBuf> {
    /// As many as Linux follows.
    const MAX_LINKS: u32 = 40;
    let parts = |path: &Path| -> Vec<OsString> {
        let parts = path.components().rev();
        parts.map(|part| part.as_os_str().to_owned()).collect()
    };
    let mut path = PathBuf::new();
    let mut left = parts(typed);
    let mut links = 0;
    while let Some(part) = left.pop() {
        let next = path.join(&part);
        match fs::symlink_metadata(&next) {
            Ok(found) if found.is_symlink() => {
                links += 1;
                if links > MAX_LINKS {
                    bail!("{} is a symlink loop", typed.display());
                }
                let folder = if path.as_os_str().is_empty() {
                    Path::new(".")
                } else {
                    &path
                };
                let folder = fs::metadata(folder)
                    .with_context(|| format!("cannot open {}", folder.display()))?;
                if !is_entitled(found.uid(), folder.uid(), user()) {
                    bail!(
                        "{} is a link that belongs to another user, so it is not followed; use the path of the file itself",
                        next.display()
                    );
                }
                let to = fs::read_link(&next)
                    .with_context(|| format!("cannot read {}", next.display()))?;
                left.extend(parts(&to));
            }
            Ok(_) => path = next,
            Err(error) if error.kind() == io::ErrorKind::NotFound => path = next,
            Err(error) => {
                return Err(error).with_context(|| format!("cannot open {}", next.display()));
            }
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: u32 = 1000;
    const OTHER: u32 = 1001;

    #[test]
    fn a_checkpoint_that_somebody_else_may_have_written_is_not_believed() {
        let mine = Entry {
            kind: FileKind::File,
            owner: ME,
            mode: 0o600,
            names: 1,
        };
        for (entry, why) in [
            (mine, None),
            (
                Entry {
                    mode: 0o644,
                    ..mine
                },
                None,
            ),
            (
                Entry {
                    mode: 0o620,
                    ..mine
                },
                Some("can be written by others"),
            ),
            (
                Entry {
                    mode: 0o602,
                    ..mine
                },
                Some("can be written by others"),
            ),
            (
                Entry {
                    owner: OTHER,
                    ..mine
                },
                Some("belongs to another user"),
            ),
            // Root reads nothing that others left, either.
            (Entry { owner: 0, ..mine }, Some("belongs to another user")),
            (Entry { names: 2, ..mine }, Some("has a second name")),
            (
                Entry {
                    kind: FileKind::Link,
                    ..mine
                },
                Some("is a link"),
            ),
            (
                Entry {
                    kind: FileKind::Other,
                    ..mine
                },
                Some("is not a regular file"),
            ),
        ] {
            assert_eq!(distrust(&entry, ME), why, "{entry:?}");
        }
    }

    #[test]
    fn a_link_is_followed_for_its_user_for_root_and_for_the_owner_of_the_folder() {
        for (owner, folder, entitled) in [
            (ME, 0, true),
            (0, OTHER, true),
            (OTHER, OTHER, true),
            (OTHER, 0, false),
            (OTHER, ME, false),
        ] {
            assert_eq!(is_entitled(owner, folder, ME), entitled, "{owner} {folder}");
        }
    }

    #[test]
    fn in_a_sticky_folder_only_the_owner_of_the_file_or_the_folder_may_remove_a_file() {
        for (owner, folder, mode, user, may) in [
            (OTHER, 0, 0o1777, ME, false),
            (OTHER, 0, 0o0777, ME, true),
            (ME, 0, 0o1777, ME, true),
            (OTHER, ME, 0o1777, ME, true),
            (OTHER, ME, 0o1777, 0, true),
        ] {
            assert_eq!(
                may_remove((owner, folder), mode, user),
                may,
                "{owner} {folder} {mode:o}"
            );
        }
    }

    #[test]
    fn links_in_any_part_of_a_path_are_followed_also_to_a_name_that_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        fs::create_dir(root.join("data")).unwrap();
        for (to, name) in [
            ("data", "here"),
            ("here", "again"),
            ("again/free.c1z", "latest.c1z"),
            ("../here/up.c1z", "data/up.c1z.link"),
            ("loop", "loop"),
        ] {
            std::os::unix::fs::symlink(to, root.join(name)).unwrap();
        }
        for (typed, file) in [
            ("here/sync.c1z", "data/sync.c1z"),
            ("again/sync.c1z", "data/sync.c1z"),
            ("latest.c1z", "data/free.c1z"),
            ("data/up.c1z.link", "data/../data/up.c1z"),
            ("none/sync.c1z", "none/sync.c1z"),
        ] {
            assert_eq!(resolve(&root.join(typed)).unwrap(), root.join(file));
        }
        let error = resolve(&root.join("loop")).unwrap_err().to_string();
        assert!(error.contains("is a symlink loop"), "{error}");
        assert_eq!(
            resolve(Path::new("sync.c1z")).unwrap(),
            Path::new("sync.c1z")
        );
    }
}
