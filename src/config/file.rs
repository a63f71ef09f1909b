//! `--file`, the snapshot.

use std::path::{Path, PathBuf};

use super::Error;
use super::environment::{Environment, Setting};
use crate::snapshot::FileFormat;

/// Returns the path of the snapshot that an offline command reads.
///
/// # Errors
/// Returns an error for a path that is not UTF-8.
pub fn snapshot_to_read(
    typed: Option<&String>,
    environment: &Environment,
) -> Result<PathBuf, Error> {
    let file = environment.setting("--file", typed)?;
    Ok(file
        .map_or_else(|| "sync.c1z".to_owned(), |file| file.value)
        .into())
}

/// Returns the format for the extension of a file.
///
/// # Errors
/// Returns an error for any other extension.
pub fn format_of(file: &Path) -> Result<FileFormat, Error> {
    format(&Setting::new("--file", &file.to_string_lossy()))
}

/// Returns the setting with the path of the snapshot that a command writes.
pub(super) fn to_write(
    typed: Option<&String>,
    environment: &Environment,
    default: &str,
) -> Result<Setting, Error> {
    let file = environment
        .setting("--file", typed)?
        .unwrap_or_else(|| Setting::new("--file", default));
    if file.value.is_empty() {
        return Err(file.invalid("a file, such as sync.c1z"));
    }
    Ok(file)
}

pub(super) fn format(file: &Setting) -> Result<FileFormat, Error> {
    if let Some((scheme, _)) = file.value.split_once("://") {
        let copy = match scheme {
            "s3" => "aws s3 cp FILE s3://...",
            "gs" => "gcloud storage cp FILE gs://...",
            _ => "a tool that uploads it",
        };
        return Err(file.invalid(format!(
            "a local file; to upload it, run okta-ciam sync -f FILE && {copy}"
        )));
    }
    let ending = Path::new(&file.value)
        .extension()
        .map(|ending| ending.to_string_lossy().to_lowercase());
    match ending.as_deref() {
        Some("c1z") => Ok(FileFormat::C1z),
        Some("db" | "sqlite" | "sqlite3") => Ok(FileFormat::Sqlite),
        _ => Err(file
            .invalid("a name that ends in .c1z, or in .db, .sqlite or .sqlite3 for plain SQLite")),
    }
}
