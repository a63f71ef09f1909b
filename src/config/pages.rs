//! The options of `completions` and `man`. They have no variables.

use std::path::PathBuf;

use clap_complete::Shell;

use super::Error;
use super::environment::Setting;
use crate::cli;
use crate::{mask, text};

/// Returns the shell to write a completion script for.
///
/// # Errors
/// Returns an error for a shell that is not supported.
pub fn shell(typed: &cli::CompletionsArgs) -> Result<Shell, Error> {
    Setting::new("SHELL", &typed.shell).word_in_any_case()
}

/// A checked `man`.
#[derive(Clone, Debug)]
pub enum ManConfig {
    /// Prints the page of one command.
    Page(Box<clap::Command>),
    /// Writes all pages to this folder.
    Folder(PathBuf),
}

impl ManConfig {
    /// Checks the options.
    ///
    /// # Errors
    /// Returns an error for a command that does not exist, with the nearest one.
    pub fn new(typed: &cli::ManArgs) -> Result<Self, Error> {
        if let Some(folder) = &typed.to {
            if folder.is_empty() {
                return Err(Setting::new("--to", folder).fault("is empty; set it to a folder"));
            }
            return Ok(Self::Folder(folder.into()));
        }
        // The root command is built first, so that its subcommands have their full names and the global options.
        let mut root = cli::definition();
        root.build();
        let mut command = &root;
        for word in &typed.command {
            let names = command.get_subcommands().map(clap::Command::get_name);
            command = command.find_subcommand(word).ok_or_else(|| {
                let hint = text::closest(word, names)
                    .map_or_else(String::new, |name| format!("; did you mean {name}?"));
                Error(format!("no command is named {}{hint}", mask::shown(word)))
            })?;
        }
        Ok(Self::Page(Box::new(command.clone())))
    }
}
