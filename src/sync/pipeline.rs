//! The stages from the pages that a run read to a published snapshot: `Read`, `Assembled`, `Packed`, `Published`.
//!
//! - Each stage consumes the value of the stage before, so no stage can be skipped or repeated, and no value is half filled.
//! - No file has its final name before [`Files::publish`].

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::assemble::{self, AssembledCounts};
use super::checkpoint::Checkpoint;
use super::{Options, OrgReadReport, domain_unused};
use crate::atomic_file::Temporary;
use crate::failure::Failure;
use crate::snapshot::target::Target;
use crate::snapshot::{FileFormat, RunHeader, RunMetadata, Warning, Writer, c1z};
use crate::text::{hex, number};

/// An org that was read.
pub struct Read {
    /// The users, groups and memberships.
    pub checkpoint: Checkpoint,
    /// The report of how they were read.
    pub report: OrgReadReport,
}

/// The temporary files of a snapshot. They are removed unless they are published.
pub struct Files {
    format: FileFormat,
    database: Temporary,
    packed: Temporary,
}

/// The open files, for the thread that writes them.
pub struct OpenFiles {
    path: PathBuf,
    writer: Writer,
    /// The file of the container, unless the snapshot is a plain database.
    packed: Option<File>,
}

/// A snapshot in a plain database.
pub struct Assembled {
    database: PathBuf,
    packed: Option<File>,
    metadata: RunMetadata,
    counts: AssembledCounts,
    warnings: Vec<Warning>,
    missing: Vec<String>,
}

/// A snapshot in its final form, under a temporary name.
#[derive(Debug)]
pub struct Packed {
    /// The run metadata of the snapshot.
    pub metadata: RunMetadata,
    /// The numbers of users, groups and memberships.
    pub counts: AssembledCounts,
    /// The size of the file, in bytes.
    pub bytes: u64,
    /// The SHA-256 of the file, in lowercase hexadecimal.
    pub sha256: String,
    /// The limitations of the snapshot.
    pub warnings: Vec<Warning>,
    /// The reasons why the snapshot is incomplete, one line each.
    pub missing: Vec<String>,
}

/// A snapshot under its final name.
#[derive(Debug)]
pub struct Published {
    /// The snapshot.
    pub snapshot: Packed,
    /// The path of the file.
    pub file: PathBuf,
}

impl Files {
    /// Reserves the temporary names next to a target.
    ///
    /// # Errors
    /// Returns an error if a file that an earlier run left cannot be removed.
    pub fn reserve(target: &Target, format: FileFormat) -> anyhow::Result<Self> {
        Ok(Self {
            format,
            database: target.database()?,
            packed: target.container()?,
        })
    }

    /// Creates and opens the files.
    ///
    /// # Errors
    /// Returns an error if a file cannot be created.
    pub fn create(&self, run: &RunHeader) -> anyhow::Result<OpenFiles> {
        Ok(OpenFiles {
            path: self.database.path().to_owned(),
            writer: Writer::create(self.database.path(), run)?,
            packed: match self.format {
                FileFormat::C1z => Some(self.packed.create()?),
                FileFormat::Sqlite => None,
            },
        })
    }

    /// Syncs the snapshot and renames it to `file`, with these permissions or else those of the old file.
    ///
    /// # Errors
    /// Returns an error if the file cannot be replaced. The complete snapshot then keeps its temporary name, which the error
    /// contains.
    pub fn publish(
        self,
        snapshot: Packed,
        file: PathBuf,
        mode: Option<u32>,
    ) -> anyhow::Result<Published> {
        match self.format {
            FileFormat::C1z => self.packed.with_mode(mode).publish(&file)?,
            FileFormat::Sqlite => self.database.with_mode(mode).publish_database(&file)?,
        }
        Ok(Published { snapshot, file })
    }
}

impl Read {
    /// Writes users, groups and memberships into the database. `metadata` is complete except for the numbers of rows.
    ///
    /// # Errors
    /// Returns an error if a database fails, or if no user or no group is left and `options` do not permit that.
    pub fn assemble(
        self,
        files: OpenFiles,
        options: &Options,
        metadata: RunMetadata,
    ) -> anyhow::Result<Assembled> {
        let Self { checkpoint, report } = self;
        let mut writer = files.writer;
        let everyone = report.deprovisioned_in_everyone == Some(true);
        let counts = assemble::assemble(
            &checkpoint,
            report.strategy,
            everyone,
            &options.scope,
            &mut writer,
        )?;
        let mut warnings = report.warnings;
        for unused in counts.domains.iter().filter(|domain| domain.users == 0) {
            warn(&mut warnings, domain_unused(&unused.domain));
        }
        if !options.allow_empty && (counts.users == 0 || counts.groups == 0) {
            let what = if counts.users == 0 { "user" } else { "group" };
            return Err(Failure::guard(format!(
                "no {what} in scope is left at the end of the run; if that is right, pass --allow-empty"
            ))
            .into());
        }
        let metadata = RunMetadata {
            memberships_seen: Some(counts.memberships_seen),
            ..metadata
        };
        let metadata = writer.finish(&metadata, &counts.domains, &warnings)?;
        Ok(Assembled {
            database: files.path,
            packed: files.packed,
            metadata,
            counts,
            warnings,
            missing: report.missing,
        })
    }
}

impl Assembled {
    /// Packs the database into its container, unless the snapshot is a plain database.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read or written.
    pub fn pack(self) -> anyhow::Result<Packed> {
        let mut warnings = self.warnings;
        if let Some(warning) = too_large_for_old_readers(&self.database)? {
            warn(&mut warnings, warning);
        }
        let (bytes, sha256) = match self.packed {
            Some(mut file) => {
                let packed = c1z::pack(&self.database, &mut file)?;
                (packed.bytes, hex(&packed.sha256))
            }
            None => c1z::fingerprint(&self.database)?,
        };
        Ok(Packed {
            metadata: self.metadata,
            counts: self.counts,
            bytes,
            sha256,
            warnings,
            missing: self.missing,
        })
    }
}

/// Logs a warning, and adds it to those of the snapshot.
fn warn(warnings: &mut Vec<Warning>, warning: Warning) {
    tracing::warn!("{}", warning.message);
    warnings.push(warning);
}

/// Baton's readers before version 0.9.1 unpack no more than this many bytes (docs/c1z-format.md, Container).
const MAX_FOR_OLD_READERS: u64 = 3 << 30;

fn too_large_for_old_readers(database: &Path) -> anyhow::Result<Option<Warning>> {
    let bytes = std::fs::metadata(database)
        .with_context(|| format!("cannot open {}", database.display()))?
        .len();
    Ok((bytes > MAX_FOR_OLD_READERS).then(|| Warning {
        code: "large".to_owned(),
        kind: "run".to_owned(),
        object_id: None,
        message: format!(
            "the database has {} bytes; older Baton readers refuse more than 3 GiB",
            number(bytes)
        ),
    }))
}
