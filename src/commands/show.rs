//! `show`: what a snapshot contains. Reads one file, sends no request.

mod objects;
mod summary;
mod table;

use crate::commands::lookup::Unchanged;
use crate::config::{Show, ShowWhat};
use crate::console::Console;
use crate::exit::Exit;
use crate::snapshot::Reader;
use crate::text;

/// Runs `show`.
///
/// # Errors
/// Returns an error if the file cannot be read, if the user or group is not in it, or if the output fails.
pub fn run(config: &Show, console: &Console) -> anyhow::Result<Exit> {
    let file = &config.file;
    let unchanged = Unchanged::of(file);
    let reader = Reader::open(file)?;
    let (value, text) = match &config.what {
        ShowWhat::Summary => summary::summary(&reader, file)?,
        ShowWhat::User(user) => objects::users(&reader, file, user)?,
        ShowWhat::Group(group) => objects::groups(&reader, file, group)?,
        ShowWhat::Table(table) => {
            table::print(&reader, file, table, console)?;
            unchanged.check()?;
            return Ok(Exit::Done);
        }
    };
    unchanged.check()?;
    let text = if console.json() {
        text::json(serde_json::to_string_pretty(&value)?)
    } else {
        text
    };
    console.data(&text)?;
    Ok(Exit::Done)
}
