//! `review`: handles the sheets of an access review. Reads and writes files and sends no requests.

mod close;
mod evidence;
mod package;
mod start;
mod status;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::config::ReviewConfig;
use crate::console::Console;
use crate::exit::ExitStatus;
use crate::sheet::review::{self, Coverage, Opened, ReviewRow};
use crate::signal::ShutdownSignal;

/// The error message if the result cannot be printed.
const WRITTEN: &str = "the files are written, but the result cannot be printed";

/// Runs a step of `review`.
///
/// # Errors
/// Returns an error if a file cannot be read or written, if a sheet is invalid, or after a signal.
pub fn run(
    config: &ReviewConfig,
    console: &Console,
    stop: &ShutdownSignal,
) -> anyhow::Result<ExitStatus> {
    match config {
        ReviewConfig::Start(config) => start::run(config, console, stop),
        ReviewConfig::Status(sheets) => status::run(sheets, console),
        ReviewConfig::Close(config) => close::run(config, console, stop),
    }
}

/// Calls a function with each row of a sheet.
fn read_sheet(
    path: &Path,
    coverage: &mut Coverage,
    each: &mut dyn FnMut(ReviewRow) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let shown = path.display();
    let found = fs::metadata(path).with_context(|| format!("cannot open {shown}"))?;
    // The file is read again for the evidence, which is impossible with a pipe.
    if !found.is_file() {
        bail!("{shown} is not a regular file");
    }
    if found.len() == 0 {
        bail!("{shown} is empty");
    }
    let bytes = fs::read(path).with_context(|| format!("cannot open {shown}"))?;
    let opened = review::open(bytes).with_context(|| format!("cannot read {shown}"))?;
    let Opened::Review(mut file) = opened else {
        bail!("{shown} is not the sheet of a review: it lacks the columns review_id and row_check");
    };
    file.rows(coverage, each)
        .with_context(|| format!("cannot use {shown}"))
}
