//! Writes the folder with the evidence of a review. It gets its name when it is complete, and never replaces anything
//! but an empty folder.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::Serialize;
use tempfile::TempDir;

use crate::atomic_file::sync_folder_of;
use crate::evidence::cells::{csv_value, write_record};
use crate::evidence::export::check_sums;
use crate::snapshot::c1z;

/// A folder that is being written, under a temporary name.
pub(super) struct Package {
    target: PathBuf,
    folder: TempDir,
    files: Vec<PackedFile>,
}

/// A file of the package.
#[derive(Clone, Debug, Serialize)]
pub(super) struct PackedFile {
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rows: Option<u64>,
    bytes: u64,
    sha256: String,
}

impl Package {
    /// Starts a package.
    ///
    /// # Errors
    /// Returns an error if the name is in use, except by an empty folder.
    pub(super) fn start(target: &Path) -> anyhow::Result<Self> {
        let shown = target.display();
        if target.symlink_metadata().is_ok() {
            let is_empty = fs::read_dir(target).is_ok_and(|mut entries| entries.next().is_none());
            if !is_empty {
                bail!("{shown} exists and is not an empty folder; use a new one");
            }
        }
        // The name of an empty folder may be a link.
        let resolved = target.canonicalize().unwrap_or_else(|_| target.to_owned());
        let target = resolved.as_path();
        if target.file_name().is_none() {
            bail!("{shown} is not the name of a folder");
        }
        let parent = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        // The temporary name is unique, since another run may write the same package.
        let folder = tempfile::Builder::new()
            .prefix(".okta-ciam-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(parent)
            .with_context(|| format!("cannot make the folder {shown}"))?;
        Ok(Self {
            target: target.to_owned(),
            folder,
            files: Vec::new(),
        })
    }

    /// Adds a file. `write` returns the number of rows in it.
    pub(super) fn add(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut BufWriter<File>) -> anyhow::Result<Option<u64>>,
    ) -> anyhow::Result<()> {
        let path = self.folder.path().join(name);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        let mut out = BufWriter::new(file.with_context(|| format!("cannot make {name}"))?);
        let cannot_write = || format!("cannot write {name}");
        let rows = write(&mut out).with_context(cannot_write)?;
        let file = out.into_inner().with_context(cannot_write)?;
        file.sync_all().with_context(cannot_write)?;
        let (bytes, sha256) = c1z::fingerprint(&path)?;
        self.files.push(PackedFile {
            name: name.to_owned(),
            rows,
            bytes,
            sha256,
        });
        Ok(())
    }

    /// Adds a table as CSV. Texts that a spreadsheet would evaluate as formulas get an apostrophe.
    pub(super) fn add_csv<'a>(
        &mut self,
        name: &str,
        header: &[&str],
        rows: impl IntoIterator<Item = Vec<serde_json::Value>> + 'a,
    ) -> anyhow::Result<()> {
        self.add(name, |out| {
            let mut out = csv::Writer::from_writer(out);
            write_record(&mut out, header)?;
            let mut count = 0;
            for row in rows {
                write_record(&mut out, row.iter().map(csv_value))?;
                count += 1;
            }
            out.flush()?;
            Ok(Some(count))
        })
    }

    /// Copies a file, with a number in its name if the name is in use.
    pub(super) fn add_copy(&mut self, path: &Path) -> anyhow::Result<()> {
        let name = plain_name(path);
        let mut unique = format!("sheet-{name}");
        let mut number = 2;
        while self.files.iter().any(|file| file.name == unique) {
            unique = format!("sheet-{number}-{name}");
            number += 1;
        }
        let bytes = fs::read(path).with_context(|| format!("cannot open {}", path.display()))?;
        self.add(&unique, |out| {
            out.write_all(&bytes)?;
            Ok(None)
        })
    }

    /// Returns the files that were added.
    pub(super) fn files(&self) -> &[PackedFile] {
        &self.files
    }

    /// Adds the check sums, and renames the folder to its final name.
    pub(super) fn publish(mut self) -> anyhow::Result<()> {
        let names = self.files.iter();
        let sums = check_sums(names.map(|file| (file.name.as_str(), file.sha256.as_str())));
        self.add("SHA256SUMS", |out| {
            out.write_all(sums.as_bytes())?;
            Ok(None)
        })?;
        // Renaming replaces an empty folder, but fails if another run has filled it in the meantime.
        fs::rename(self.folder.path(), &self.target)
            .with_context(|| format!("cannot make the folder {}", self.target.display()))?;
        let _ = self.folder.keep();
        sync_folder_of(&self.target);
        Ok(())
    }
}

/// Returns the file name without characters that a list of check sums would have to escape.
fn plain_name(path: &Path) -> String {
    const LONGEST: usize = 100;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let skipped = name.chars().count().saturating_sub(LONGEST);
    let plain = name.chars().skip(skipped).map(|c| {
        let is_plain = !c.is_control() && c != '\\';
        if is_plain { c } else { '_' }
    });
    plain.collect()
}
