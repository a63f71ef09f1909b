//! Says what is wrong with a command line that clap cannot parse, in the words of `config`'s errors, and what to do next.
//! It reads what clap found out, not clap's text: that text repeats what was typed, and names no command after an error
//! in a value.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, Error};

use crate::{mask, words};

/// The most values that an error lists; more of them fill the line and hide the next step.
const MAX_VALUES: usize = 8;

/// Returns the error of a wrong command line, in one line. `typed` starts with the name of the program.
pub fn one_line(error: &Error, typed: impl IntoIterator<Item = OsString>) -> String {
    let mut root = super::definition();
    // Each command then has its full name and the global options.
    root.build();
    let typed = typed.into_iter().skip(1);
    let typed: Vec<String> = typed
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let command = command_in(&root, &typed);
    let run = run_help(command);
    match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            format!("no command given; {run}")
        }
        ErrorKind::UnknownArgument => unknown_argument(error, command, &typed),
        ErrorKind::InvalidSubcommand => unknown_command(error, &root, &typed),
        ErrorKind::InvalidValue => invalid_value(error, &run),
        ErrorKind::TooManyValues => format!("{} takes no value; {run}", argument(error)),
        ErrorKind::ArgumentConflict => conflict(error),
        ErrorKind::MissingRequiredArgument => missing_arguments(error, &run),
        ErrorKind::InvalidUtf8 => "an argument is not UTF-8".to_owned(),
        other => format!("{}; {run}", other.as_str().unwrap_or("invalid arguments")),
    }
}

/// Returns the first command among the words, with its subcommand, or the root if there is none. The value of an option is
/// not a command, even if the option is at a wrong place.
fn command_in<'a>(root: &'a Command, words: &[String]) -> &'a Command {
    let mut command = root;
    let mut words = words.iter().take_while(|word| *word != "--");
    while let Some(word) = words.next() {
        if word.starts_with('-') {
            if takes_next_word(command, word) {
                words.next();
            }
        } else if let Some(found) = command.find_subcommand(word) {
            command = found;
        } else if !command.has_subcommands() {
            break;
        }
    }
    command
}

fn takes_next_word(command: &Command, word: &str) -> bool {
    let options = with_option(command, word);
    let mut options = options.iter().map(|(_, option)| option);
    options.any(|option| option.get_action().takes_values() && !option.is_require_equals_set())
}

/// Returns the command and those below it that have an option, each with the option.
fn with_option<'a>(command: &'a Command, name: &str) -> Vec<(&'a Command, &'a Arg)> {
    let is_named = |option: &&Arg| match name.strip_prefix("--") {
        Some(long) => option.get_long() == Some(long),
        None => option
            .get_short()
            .is_some_and(|short| name.strip_prefix('-') == Some(short.encode_utf8(&mut [0; 4]))),
    };
    let own = command.get_arguments().find(is_named);
    let own = own.map(|option| (command, option));
    let below = command.get_subcommands();
    own.into_iter()
        .chain(below.flat_map(|sub| with_option(sub, name)))
        .collect()
}

fn unknown_argument(error: &Error, command: &Command, typed: &[String]) -> String {
    let argument = text(error, ContextKind::InvalidArg).unwrap_or_default();
    let is_value = typed
        .iter()
        .skip_while(|word| *word != "--")
        .any(|word| word == argument);
    if is_value || !argument.starts_with('-') || argument == "-" {
        let argument = mask::shown(argument);
        return format!("unexpected argument {argument}; {}", run_help(command));
    }
    if let Some(message) = misplaced(argument, command) {
        return message;
    }
    let name = match path(command) {
        "" => "okta-ciam",
        path => path,
    };
    let next = of_the_connector(argument)
        .map_or_else(|| next_step(suggestion(error), command), str::to_owned);
    format!("{name} has no option {}; {next}", shown(argument))
}

/// Returns the error for an option before its command: the Go connector's options need none. It names a command only if it
/// was typed or is the only one with the option: `sync` writes a file, and must not be the answer to every option.
fn misplaced(option: &str, command: &Command) -> Option<String> {
    let mut found = with_option(command, option);
    found.retain(|(_, option)| !option.is_hide_set());
    let (target, argument) = match found[..] {
        [] => return None,
        [only] => only,
        [first, ..] if first.0.get_name() == command.get_name() => first,
        _ => {
            let of = of_parent(command);
            let run = run_help(command);
            return Some(format!("{option} must follow a command{of}; {run}"));
        }
    };
    let names = argument.get_value_names().unwrap_or_default();
    let value = names
        .first()
        .filter(|_| argument.get_action().takes_values() && !argument.is_require_equals_set())
        .map_or_else(String::new, |name| format!(" {name}"));
    let target = path(target);
    Some(format!(
        "{option} must follow {target}; run `okta-ciam {target} {option}{value}`"
    ))
}

/// Returns the next step for an option of the Go connector that no command has.
fn of_the_connector(option: &str) -> Option<&'static str> {
    match option.trim_start_matches('-') {
        "grant-entitlement" | "grant-principal" | "grant-principal-type" => {
            Some("to add a user to a group, run `okta-ciam grant --user USER --group GROUP`")
        }
        "revoke-grant" => Some("to revoke a Baton grant, run `okta-ciam revoke --grant-id ID`"),
        "client-id" | "client-secret" => {
            Some("okta-ciam does not upload snapshots: ConductorOne imports the file")
        }
        _ => None,
    }
}

fn unknown_command(error: &Error, root: &Command, typed: &[String]) -> String {
    let name = text(error, ContextKind::InvalidSubcommand).unwrap_or_default();
    // A command may follow the wrong one.
    let before = typed.iter().position(|word| word == name).unwrap_or(0);
    let parent = command_in(root, &typed[..before]);
    let of = of_parent(parent);
    let next = next_step(suggestion(error), parent);
    format!("no command{of} is named {}; {next}", mask::shown(name))
}

/// Returns what follows "command" for those of a command, such as ` of review`; empty for the root.
fn of_parent(parent: &Command) -> String {
    match path(parent) {
        "" => String::new(),
        path => format!(" of {path}"),
    }
}

fn invalid_value(error: &Error, run: &str) -> String {
    let argument = argument(error);
    let value = text(error, ContextKind::InvalidValue).unwrap_or_default();
    if !value.is_empty() {
        return format!("invalid value {} for {argument}; {run}", mask::shown(value));
    }
    match &texts(error, ContextKind::ValidValue)[..] {
        few @ [_, ..] if few.len() <= MAX_VALUES => {
            let few = words::either(few);
            format!("{argument} requires a value: {few}; {run}")
        }
        _ => format!("{argument} requires a value; {run}"),
    }
}

fn conflict(error: &Error) -> String {
    let argument = argument(error);
    let others = texts(error, ContextKind::PriorArg);
    let others: Vec<&str> = others.into_iter().map(label).collect();
    if others == [argument] {
        return format!("{argument} cannot be used more than once");
    }
    let others = words::either(&others);
    format!("{argument} cannot be used with {others}")
}

fn missing_arguments(error: &Error, run: &str) -> String {
    let missing = texts(error, ContextKind::InvalidArg);
    let missing: Vec<&str> = missing.into_iter().map(label).collect();
    let verb = if missing.len() == 1 { "is" } else { "are" };
    format!("{} {verb} required; {run}", missing.join(" and "))
}

fn next_step(suggestion: Option<&str>, command: &Command) -> String {
    let help = help(command);
    match suggestion {
        Some(name) => format!("did you mean {name}? Run `{help}`"),
        None => format!("run `{help}`"),
    }
}

fn run_help(command: &Command) -> String {
    next_step(None, command)
}

fn help(command: &Command) -> String {
    match path(command) {
        "" => "okta-ciam --help".to_owned(),
        path => format!("okta-ciam {path} --help"),
    }
}

/// Returns the name of a command with those above it, such as `review start`; empty for the root.
fn path(command: &Command) -> &str {
    let full = command.get_bin_name().unwrap_or_default();
    full.strip_prefix("okta-ciam").unwrap_or(full).trim_start()
}

/// Returns an option as typed, quoted if it is more than a name.
fn shown(option: &str) -> String {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if option.bytes().all(is_name) {
        option.to_owned()
    } else {
        mask::shown(option)
    }
}

fn suggestion(error: &Error) -> Option<&str> {
    // The last command is the most similar one.
    text(error, ContextKind::SuggestedArg).or(text(error, ContextKind::SuggestedSubcommand))
}

/// Returns the name of the argument that an error is about.
fn argument(error: &Error) -> &str {
    label(text(error, ContextKind::InvalidArg).unwrap_or_default())
}

/// Returns the name of an argument in clap's notation: `--file` of `--file <FILE>`, `SHEET` of `<SHEET>...`.
fn label(argument: &str) -> &str {
    let name = argument.split([' ', '=']).next().unwrap_or_default();
    name.trim_matches(['<', '>', '[', ']', '.'])
}

fn text(error: &Error, kind: ContextKind) -> Option<&str> {
    texts(error, kind).pop()
}

fn texts(error: &Error, kind: ContextKind) -> Vec<&str> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text],
        Some(ContextValue::Strings(texts)) => texts.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
