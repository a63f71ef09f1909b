//! The two files that prove an export complete: `manifest.json` and `SHA256SUMS`.

use std::fmt::Write as _;

use super::Facts;
use serde::Serialize;

/// A file of an export.
#[derive(Clone, Debug, Serialize)]
pub struct Exported {
    /// Its name in the folder.
    pub name: String,
    /// The rows of each table in it.
    pub rows: Facts,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
}

/// What was exported, and from which snapshot.
#[derive(Clone, Debug, Serialize)]
pub struct Manifest {
    /// The facts about the snapshot.
    pub snapshot: Facts,
    /// The files.
    pub files: Vec<Exported>,
}

/// Returns a list that `sha256sum -c` reads. Names are of this program and contain nothing that would need escaping.
pub fn check_sums<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::new();
    for (name, sha256) in files {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{sha256}  {name}");
    }
    text
}
