//! The two files that let others verify an export: `manifest.json` and `SHA256SUMS`.

use std::fmt::Write as _;

use super::OrderedObject;
use serde::Serialize;

/// A file of an export.
#[derive(Clone, Debug, Serialize)]
pub struct Exported {
    /// The file's name in the folder of the export.
    pub name: String,
    /// The number of rows of each table in the file.
    pub rows: OrderedObject,
    /// The size, in bytes.
    pub bytes: u64,
    /// The SHA-256, in hexadecimal.
    pub sha256: String,
}

/// The content of `manifest.json`.
#[derive(Clone, Debug, Serialize)]
pub struct ExportManifest {
    /// The facts about the snapshot.
    pub snapshot: OrderedObject,
    /// The exported files.
    pub files: Vec<Exported>,
}

/// Returns a list for `sha256sum -c`. The file names are chosen by this program and need no escaping.
pub fn check_sums<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::new();
    for (name, sha256) in files {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{sha256}  {name}");
    }
    text
}
