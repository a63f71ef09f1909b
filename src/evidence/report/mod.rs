//! Renders a snapshot as one HTML page for people.
//!
//! - Most of the page is static: the origin of the snapshot, numbers, findings and charts are HTML and SVG. Scripts
//!   only add the tables of users, groups and memberships, whose rows are packed into the page (`data`).
//! - The page loads nothing. Its content security policy allows only the script and the style that are compiled in
//!   (`page`).
//! - The template escapes text from Okta, after invisible and direction-changing characters were made visible. The
//!   script inserts text only as text nodes.
//! - Nothing in the page depends on the clock or the machine, so that equal snapshots give equal pages.

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
use super::diff::{DiffCounts, FieldChange, Table};
use super::findings::org::Org;
use super::findings::{Finding, FindingOptions};
use crate::snapshot::{Counts, DomainUsers, FileInfo, Reader, Warning};
use crate::text::internal_error;

/// The size in bytes above which a page is slow to mail and to open.
pub const MAX_BYTES: usize = 20_000_000;

/// A snapshot file.
#[derive(Clone, Debug)]
pub struct File {
    /// The file name, without the folder.
    pub name: String,
    /// The size, in bytes.
    pub bytes: u64,
    /// The SHA-256, in hexadecimal.
    pub sha256: String,
}

/// The content of the page.
pub struct PageSource<'a> {
    /// The title of the page.
    pub title: String,
    /// The snapshot's file.
    pub file: File,
    /// The run that wrote the snapshot.
    pub info: &'a FileInfo,
    /// The numbers of rows in the snapshot.
    pub counts: Counts,
    /// The numbers of users by domain.
    pub domains: Vec<DomainUsers>,
    /// The warnings of the run.
    pub warnings: Vec<Warning>,
    /// The users, groups and memberships.
    pub org: Org,
    /// The order of the rows in the page.
    listing: Listing,
    /// The findings.
    pub findings: Vec<Finding>,
    /// The settings of the checks.
    pub options: FindingOptions,
    /// The changes since an older snapshot, if there is one.
    pub change: Option<ChangesSince>,
}

/// The changes since an older snapshot.
#[derive(Clone, Debug)]
pub struct ChangesSince {
    /// The file of the older snapshot.
    pub file: File,
    /// The run that wrote the older snapshot.
    pub info: FileInfo,
    /// The number of changes in each table.
    pub summary: BTreeMap<Table, DiffCounts>,
    /// The columns that are not compared, since one of the files may lack them.
    pub not_compared: Vec<String>,
    /// The differences between the scopes.
    pub scope: Vec<FieldChange>,
}

/// A rendered page.
pub struct RenderedPage {
    /// The HTML.
    pub html: String,
    /// The size that the page would have with the memberships, in bytes; `None` if they are in the page.
    pub size_with_memberships: Option<usize>,
}

impl<'a> PageSource<'a> {
    /// Reads a snapshot for a page. The findings and the changes are added later.
    ///
    /// # Errors
    /// Returns an error if the snapshot is damaged.
    pub fn read(
        reader: &'a Reader,
        file: File,
        options: FindingOptions,
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

    /// Renders the page. If it is larger than `max_bytes`, it is rendered again without the memberships.
    ///
    /// # Errors
    /// Returns an error if the page cannot be rendered, which is a bug.
    pub fn page(&self, max_bytes: Option<usize>) -> anyhow::Result<RenderedPage> {
        let bug = || internal_error("cannot create the page");
        let html = page::render(self, None).with_context(bug)?;
        let size = html.len();
        if max_bytes.is_none_or(|max| size <= max) {
            return Ok(RenderedPage {
                html,
                size_with_memberships: None,
            });
        }
        drop(html);
        Ok(RenderedPage {
            html: page::render(self, Some(size)).with_context(bug)?,
            size_with_memberships: Some(size),
        })
    }
}
