//! `report`: writes a snapshot as one HTML page. Reads files and sends no requests.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::findings::{exceptions, memberships};
use crate::atomic_file::Temporary;
use crate::commands::lookup::{Unchanged, refuse_snapshot, require_older};
use crate::config::ReportConfig;
use crate::console::Console;
use crate::evidence::diff::merge::compare_snapshots;
use crate::evidence::diff::options::DiffOptions;
use crate::evidence::diff::render::scope_changes;
use crate::evidence::findings::exceptions::Exceptions;
use crate::evidence::findings::{FindingContext, FindingOptions, run as run_checks};
use crate::evidence::report::{ChangesSince, File, MAX_BYTES, PageSource, RenderedPage};
use crate::exit::ExitStatus;
use crate::snapshot::{Reader, c1z};
use crate::text::{clean, hex, number};

/// Runs `report`.
///
/// # Errors
/// Returns an error if a file cannot be read, if the older snapshot is of another org, or if the page cannot be
/// written.
pub fn run(config: &ReportConfig, console: &Console) -> anyhow::Result<ExitStatus> {
    let files = [Some(&config.file), config.since.as_ref()];
    let files = files.into_iter().flatten();
    let unchanged: Vec<Unchanged> = files.map(|path| Unchanged::of(path)).collect();
    let reader = Reader::open(&config.file)?;
    let older = config.since.as_deref().map(Reader::open).transpose()?;
    let exceptions = match &config.exceptions {
        Some(path) => exceptions(path)?,
        None => Exceptions::default(),
    };
    let older = older.as_ref().zip(config.since.as_deref());
    let mut source = source((&reader, &config.file), older, &exceptions, &config.options)?;
    if let Some(title) = &config.title {
        source.title.clone_from(title);
    }
    unchanged.iter().try_for_each(Unchanged::check)?;
    let page = source.page((!config.full).then_some(MAX_BYTES))?;
    write(&page, &config.out)?;
    if let Some(size) = page.size_with_memberships {
        tracing::warn!(
            "with memberships, the page would have {} bytes, so they were left out; pass --full to keep them",
            number(size as u64)
        );
    }
    let printed = Printed {
        path: config.out.display().to_string(),
        bytes: page.html.len(),
        sha256: hex(&Sha256::digest(&page.html)),
        memberships: page.size_with_memberships.is_none(),
    };
    console
        .result(&printed, || {
            let bytes = number(printed.bytes as u64);
            format!("{}  {bytes} bytes\n", clean(&printed.path))
        })
        .context("the page is written, but the result cannot be printed")?;
    Ok(ExitStatus::Done)
}

/// Reads the content of a snapshot's page, including the changes since an older snapshot.
pub(super) fn source<'a>(
    (reader, path): (&'a Reader, &Path),
    older: Option<(&Reader, &Path)>,
    exceptions: &Exceptions,
    options: &FindingOptions,
) -> anyhow::Result<PageSource<'a>> {
    let mut source = PageSource::read(reader, file(path)?, options.clone())?;
    let mut context = FindingContext::default();
    if let Some((older, path)) = older {
        require_older(older, path, reader)?;
        source.change = Some(change(older, path, reader)?);
        context.older = Some(memberships(older)?);
    }
    source.findings = run_checks(&source.org, &context, exceptions, options);
    Ok(source)
}

/// The result as JSON.
#[derive(Serialize)]
struct Printed {
    path: String,
    bytes: usize,
    sha256: String,
    /// True if the page contains the memberships.
    memberships: bool,
}

fn file(path: &Path) -> anyhow::Result<File> {
    let (bytes, sha256) = c1z::fingerprint(path)?;
    let name = path.file_name().unwrap_or_default();
    Ok(File {
        name: name.to_string_lossy().into_owned(),
        bytes,
        sha256,
    })
}

fn change(older: &Reader, path: &Path, newer: &Reader) -> anyhow::Result<ChangesSince> {
    let runs = [older, newer].map(|reader| reader.info().metadata.as_ref());
    let mut scope = Vec::new();
    if let [Some(before), Some(after)] = runs {
        scope = scope_changes(before, after);
    }
    let diff = compare_snapshots(older, newer, &DiffOptions::default())?;
    Ok(ChangesSince {
        file: file(path)?,
        info: older.info().clone(),
        summary: diff.summary,
        not_compared: diff.not_compared,
        scope,
    })
}

fn write(page: &RenderedPage, path: &Path) -> anyhow::Result<()> {
    let (temporary, target) = Temporary::for_target(path)?;
    refuse_snapshot(&target)?;
    let written = temporary.create()?.write_all(page.html.as_bytes());
    written.with_context(|| format!("cannot write {}", target.display()))?;
    temporary.publish(&target)
}
