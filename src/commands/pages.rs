//! `completions` and `man`: texts that are generated from the definition of the command line.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::Context as _;
use clap::ValueHint;
use clap::builder::StyledStr;
use clap_complete::Shell;
use clap_mangen::roff::{Roff, roman};
use serde::Serialize;

use crate::cli::definition;
use crate::config::ManConfig;
use crate::console::Console;
use crate::exit::ExitStatus;
use crate::text::{clean, count};

/// Runs `completions`.
///
/// # Errors
/// Returns an error if stdout cannot be written to.
pub fn completions(shell: Shell, console: &Console) -> anyhow::Result<ExitStatus> {
    let mut script = Vec::new();
    let mut command = completing_files(definition());
    clap_complete::generate(shell, &mut command, "okta-ciam", &mut script);
    let script = String::from_utf8(script)?;
    // clap_complete writes a name with a hyphen in two ways, so that bash completes nothing after a command (clap issue
    // 6421). Once this is fixed, nothing is replaced.
    console.data(&script.replace("okta__subcmd__ciam", "okta__ciam"))?;
    Ok(ExitStatus::Done)
}

/// Adds the hints that shells need to complete the names of files and folders.
fn completing_files(command: clap::Command) -> clap::Command {
    let command = command.mut_args(|argument| {
        if !argument.get_action().takes_values() {
            return argument;
        }
        let name = argument.get_value_names().and_then(|names| names.first());
        let hint = match name.map(|name| name.as_str()) {
            Some("FILE" | "OLD" | "NEW") => ValueHint::FilePath,
            Some("PATH") => ValueHint::AnyPath,
            Some("FOLDER") => ValueHint::DirPath,
            Some(_) => ValueHint::Other,
            None => return argument,
        };
        argument.value_hint(hint)
    });
    command.mut_subcommands(completing_files)
}

/// Runs `man`.
///
/// # Errors
/// Returns an error if a page cannot be written.
pub fn man(config: &ManConfig, console: &Console) -> anyhow::Result<ExitStatus> {
    match config {
        ManConfig::Page(command) => console.data(&page(command)?)?,
        ManConfig::Folder(folder) => {
            let pages = write_all(folder)?;
            let written = Written {
                path: folder.display().to_string(),
                pages: &pages,
            };
            console.result(&written, || {
                let pages = count(pages.len() as u64, "page");
                format!("{}  {pages}\n", clean(&written.path))
            })?;
        }
    }
    Ok(ExitStatus::Done)
}

#[derive(Serialize)]
struct Written<'a> {
    path: String,
    pages: &'a [String],
}

/// Writes the page of each command. Pages are not secret and can be generated again, so they need no temporary files
/// and have the default permissions.
fn write_all(folder: &Path) -> anyhow::Result<Vec<String>> {
    let shown = folder.display();
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {shown}"))?;
    let mut root = definition();
    root.build();
    let mut commands = vec![&root];
    let mut names = Vec::new();
    while let Some(command) = commands.pop() {
        commands.extend(command.get_subcommands());
        let name = format!("{}.1", full_name(command));
        let path = folder.join(&name);
        fs::write(&path, page(command)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
        names.push(name);
    }
    names.sort();
    Ok(names)
}

/// Returns the name of a command's page, such as `okta-ciam-show-users`.
fn full_name(command: &clap::Command) -> &str {
    command
        .get_display_name()
        .unwrap_or_else(|| command.get_name())
}

/// Renders one page. The text after the options in the help becomes separate sections.
fn page(command: &clap::Command) -> io::Result<String> {
    let after = command.get_after_help().map(StyledStr::to_string);
    let manual = clap_mangen::Man::new(command.clone().after_help(None::<&str>))
        .source(format!("okta-ciam {}", env!("CARGO_PKG_VERSION")))
        .manual("okta-ciam manual");
    let mut page = Vec::new();
    manual.render(&mut page)?;
    sections(&after.unwrap_or_default()).to_writer(&mut page)?;
    String::from_utf8(page).map_err(io::Error::other)
}

/// Renders the text after the options: a line such as `Examples:` becomes a heading, indented lines stay unchanged, and
/// other lines are filled.
fn sections(text: &str) -> Roff {
    let mut roff = Roff::default();
    let mut verbatim = false;
    let mut has_heading = false;
    for line in text.lines() {
        let is_indented = line.starts_with(' ');
        if verbatim && !is_indented && !line.is_empty() {
            roff.control("fi", []);
            verbatim = false;
        }
        if line.is_empty() {
            roff.control(if verbatim { "sp" } else { "PP" }, []);
        } else if let Some(heading) = line.strip_suffix(':').filter(|_| !is_indented) {
            roff.control("SH", [heading.to_uppercase().as_str()]);
            has_heading = true;
        } else {
            if !has_heading {
                roff.control("SH", ["NOTES"]);
                has_heading = true;
            }
            if is_indented && !verbatim {
                roff.control("nf", []);
                verbatim = true;
            }
            roff.text([roman(line)]);
        }
    }
    if verbatim {
        roff.control("fi", []);
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_become_sections_and_examples_keep_their_lines() {
        let text = "Said first,\nin two lines.\n\nExamples:\n  Do it:\n    run \\\n      --it\n\nSaid last.";
        let rendered = sections(text).to_roff();
        assert_eq!(
            rendered,
            ".SH NOTES\nSaid first,\nin two lines.\n.PP\n.SH EXAMPLES\n.nf\n  Do it:\n    run \\\\\n      \\-\\-it\n.sp\n.fi\nSaid last.\n"
        );
    }
}
