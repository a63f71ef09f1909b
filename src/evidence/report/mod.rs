//! A snapshot as one HTML page for people.
//!
//! - The page is static first: where the snapshot comes from, numbers, findings and charts are HTML and SVG. Scripts add only
//!   the tables of users, groups and memberships, whose rows are packed into the page ([`data`]).
//! - The page loads nothing. Its policy allows exactly the script and the style that are compiled in ([`page`]).
//! - Text from Okta is escaped by the template, and what would hide or turn text is made visible first. The script puts text
//!   into the page only as text.
//! - Nothing in the page depends on the clock or on where it is made, so that equal snapshots give equal pages.

mod charts;
mod data;
mod listing;
mod numbers;
mod page;
mod provenance;
mod reconciliation;

use std::collections::BTreeMap;

use anyhow::Context as _;

use self::listing::Listing;
use super::diff::{Counts as ChangeCounts, FieldChange, Table};
use super::findings::org::Org;
use super::findings::{Finding, Options};
use crate::snapshot::{Counts, DomainUsers, FileInfo, Reader, Warning};

/// The size from which a page is slow to mail and to open.
pub const MAX_BYTES: usize = 20_000_000;

/// The snapshot's file.
#[derive(Clone, Debug)]
pub struct File {
    /// The name, without its folder.
    pub name: String,
    /// The size.
    pub bytes: u64,
    /// The SHA-256, in hexadecimal.
    pub sha256: String,
}

/// What the page shows.
pub struct Source<'a> {
    /// The title.
    pub title: String,
    /// The file.
    pub file: File,
    /// Its run.
    pub info: &'a FileInfo,
    /// How much it contains.
    pub counts: Counts,
    /// The users of each domain.
    pub domains: Vec<DomainUsers>,
    /// What limits it.
    pub warnings: Vec<Warning>,
    /// Its users and groups.
    pub org: Org,
    /// The order of its rows in the page.
    listing: Listing,
    /// The findings.
    pub findings: Vec<Finding>,
    /// What decided about findings.
    pub options: Options,
    /// What changed since an older snapshot.
    pub change: Option<Change>,
}

/// What changed since an older snapshot.
#[derive(Clone, Debug)]
pub struct Change {
    /// The file of the older snapshot.
    pub file: File,
    /// Its run.
    pub info: FileInfo,
    /// How many rows of each table changed in which way.
    pub summary: BTreeMap<Table, ChangeCounts>,
    /// In what the scopes differ.
    pub scope: Vec<FieldChange>,
}

/// A page.
pub struct Page {
    /// Its HTML.
    pub html: String,
    /// The size that it would have had with the memberships, if they were left out.
    pub size_with_memberships: Option<usize>,
}

impl<'a> Source<'a> {
    /// Reads a snapshot for a page, apart from the findings and the change.
    ///
    /// # Errors
    /// Returns an error if the snapshot is damaged.
    pub fn read(
        reader: &'a Reader,
        file: File,
        options: Options,
    ) -> Result<Self, crate::snapshot::Error> {
        let org = Org::read(reader)?;
        Ok(Self {
            title: "Access report".to_owned(),
            file,
            info: reader.info(),
            counts: reader.counts()?,
            domains: reader.domains()?,
            warnings: reader.warnings()?,
            listing: Listing::read(reader, &org)?,
            org,
            findings: Vec::new(),
            options,
            change: None,
        })
    }

    /// Makes the page. If it is larger than a limit, it is made without the memberships.
    ///
    /// # Errors
    /// Returns an error if the page cannot be made, which is a bug.
    pub fn page(&self, max_bytes: Option<usize>) -> anyhow::Result<Page> {
        const BUG: &str = "internal error: cannot make the page; please report this bug";
        let html = page::render(self, None).context(BUG)?;
        let size = html.len();
        if max_bytes.is_none_or(|max| size <= max) {
            return Ok(Page {
                html,
                size_with_memberships: None,
            });
        }
        drop(html);
        Ok(Page {
            html: page::render(self, Some(size)).context(BUG)?,
            size_with_memberships: Some(size),
        })
    }
}
