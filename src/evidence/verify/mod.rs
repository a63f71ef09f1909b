//! Verifies that a snapshot still is what its run wrote. Every check is a pure function over the data that was read. A
//! check that finds the file unreadable fails, and the others continue.

mod checks;
mod manifest;

use std::path::Path;

use serde::Serialize;

use self::checks::{Recounted, Sizes};
use self::manifest::FileFacts;
pub use self::manifest::Manifest;
use crate::snapshot::{ContentRow, Error, FileFormat, Reader, c1z};

/// The status of a check, of `verify` and of `check`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    /// Everything is as expected.
    Ok,
    /// Everything is usable, but something deserves attention.
    Warning,
    /// Something differs.
    Failure,
    /// The file lacks the data for the check.
    Skipped,
}

impl CheckStatus {
    /// Returns the word for people and programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failure => "failure",
            Self::Skipped => "skipped",
        }
    }
}

/// A check that ran, or was skipped with a reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The name, one word of lowercase letters and `_`.
    pub name: &'static str,
    /// The status.
    pub status: CheckStatus,
    /// The details. Text from the file is not escaped.
    pub message: String,
}

impl Check {
    fn new(name: &'static str, (status, message): (CheckStatus, String)) -> Self {
        Self {
            name,
            status,
            message,
        }
    }
}

/// The recorded and the computed hash of the content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ContentHashes {
    /// The hash that the run recorded.
    pub recorded: Option<String>,
    /// The hash of the rows; `None` if they cannot be read.
    pub computed: Option<String>,
}

/// The result of verifying a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// The path, as given on the command line.
    pub file: String,
    /// The format of the file.
    pub format: FileFormat,
    /// The size of the file, in bytes.
    pub bytes: u64,
    /// The SHA-256 of the file.
    pub sha256: String,
    /// The id of the run that was verified.
    pub sync_id: String,
    /// The hash of the content.
    pub content_sha256: ContentHashes,
    /// The checks, in the order in which they are printed.
    pub checks: Vec<Check>,
}

impl Verification {
    /// Returns the checks that failed.
    pub fn failures(&self) -> impl Iterator<Item = &Check> {
        let checks = self.checks.iter();
        checks.filter(|check| check.status == CheckStatus::Failure)
    }
}

/// Values that need all rows.
struct Content {
    sha256: String,
    recounted: Recounted,
    sizes: Sizes,
}

/// Verifies a snapshot, and compares it with a manifest if one is given.
///
/// # Errors
/// Returns an error if the file cannot be opened as a snapshot. Other problems become failed checks.
pub fn verify(file: &Path, manifest: Option<&Path>) -> Result<Verification, Error> {
    let reader = Reader::open_to_verify(file)?;
    let (bytes, sha256) = c1z::fingerprint(file)?;
    let info = reader.info();
    let metadata = info.metadata.as_ref();
    let mut checks = vec![Check::new("database", checks::database(reader.integrity()))];
    let recounts = reader.recounts();
    for name in ["users", "groups", "memberships"] {
        checks.push(Check::new(name, checks::rows(name, recounts.as_ref())));
    }
    checks.push(Check::new("grants", checks::grants(reader.grants())));
    let content = content(&reader);
    let content = content.as_ref();
    let (sizes, recounted) = (
        content.map(|content| &content.sizes),
        content.map(|content| &content.recounted),
    );
    let hashes = ContentHashes {
        recorded: metadata.and_then(|metadata| metadata.content_sha256.clone()),
        computed: content.ok().map(|content| content.sha256.clone()),
    };
    checks.extend([
        Check::new(
            "group_sizes",
            checks::sizes(info.is_ours(), sizes, &reader.entitlements()),
        ),
        Check::new("domains", checks::domains(&reader.domains(), recounted)),
        Check::new(
            "content",
            checks::content(
                hashes.recorded.as_deref(),
                content.map(|content| content.sha256.as_str()),
            ),
        ),
    ]);
    let facts = FileFacts {
        bytes,
        sha256: &sha256,
        sync_id: &info.sync_id,
        metadata,
        content_sha256: hashes.computed.as_deref(),
    };
    checks.push(Check::new("manifest", compared(manifest, &facts)));
    Ok(Verification {
        file: file.display().to_string(),
        format: info.format,
        bytes,
        sha256,
        sync_id: info.sync_id.clone(),
        content_sha256: hashes,
        checks,
    })
}

/// Compares the file with a manifest, if one is given.
fn compared(manifest: Option<&Path>, facts: &FileFacts<'_>) -> (CheckStatus, String) {
    let Some(path) = manifest else {
        let message = "no --manifest to compare with";
        return (CheckStatus::Skipped, message.to_owned());
    };
    match Manifest::read(path) {
        Ok(manifest) => manifest.compare(&path.display().to_string(), facts),
        Err(problem) => (CheckStatus::Failure, problem),
    }
}

/// Reads all rows once.
fn content(reader: &Reader) -> Result<Content, Error> {
    let mut recounted = Recounted::of(reader.info().metadata.as_ref());
    let mut sizes = Sizes::default();
    let sha256 = reader.content(|row| match row {
        ContentRow::User(user) => recounted.add(user),
        ContentRow::Group(group) => sizes.add_group(group),
        ContentRow::Membership(membership) => sizes.add_membership(membership),
    })?;
    Ok(Content {
        sha256,
        recounted,
        sizes,
    })
}
