//! `show`: prints the contents of a snapshot. Reads one file and sends no requests.

mod objects;
mod summary;
mod table;

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use crate::commands::lookup::Unchanged;
use crate::config::{MaxAge, ShowConfig, ShowWhat};
use crate::console::Console;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::snapshot::{Reader, rfc3339};
use crate::text;

/// Runs `show`.
///
/// # Errors
/// Returns an error if the file cannot be read, if it does not contain the user or group, or if the output fails.
pub fn run(config: &ShowConfig, console: &Console) -> anyhow::Result<ExitStatus> {
    let file = &config.file;
    let unchanged = Unchanged::of(file);
    let reader = Reader::open(file)?;
    if let Some(most) = &config.max_age {
        refuse_older(&reader, file, most, Timestamp::now())?;
    }
    let (value, text) = match &config.what {
        ShowWhat::Summary => summary::summary(&reader, file)?,
        ShowWhat::User(user) => objects::users(&reader, file, user)?,
        ShowWhat::Group(group) => objects::groups(&reader, file, group)?,
        ShowWhat::Table(table) => {
            table::print(&reader, file, table, console)?;
            unchanged.check()?;
            return Ok(ExitStatus::Done);
        }
    };
    unchanged.check()?;
    let text = if console.json() {
        text::json(serde_json::to_string_pretty(&value)?)
    } else {
        text
    };
    console.data(&text)?;
    Ok(ExitStatus::Done)
}

/// Refuses a snapshot whose run ended too long ago. An end in the future, from a wrong clock, is not too old.
fn refuse_older(
    reader: &Reader,
    file: &Path,
    most: &MaxAge,
    now: Timestamp,
) -> Result<(), Failure> {
    let ended = reader.info().ended_at;
    let age = Duration::try_from(now.duration_since(ended)).unwrap_or_default();
    if age <= most.age {
        return Ok(());
    }
    Err(Failure::guard(format!(
        "{} is older than --max-age {}: its run ended {} ago, at {}",
        file.display(),
        most.typed,
        text::span(age),
        rfc3339(ended),
    )))
}
