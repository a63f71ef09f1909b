//! Notes about unknown variables, which may be misspelled or meant for another program.

use std::collections::BTreeSet;

use super::Environment;
use crate::{cli, text};

/// What every variable of ours starts with.
const PREFIX: &str = "BATON_";

/// The credentials with which the Go connectors upload to ConductorOne.
const UPLOAD: [&str; 2] = ["BATON_CLIENT_ID", "BATON_CLIENT_SECRET"];

/// Returns a note for each variable that no command reads. Notes do not contain values.
pub fn notes(environment: &Environment) -> Vec<String> {
    let names = environment.names().filter(|name| name.starts_with(PREFIX));
    let known = cli::variables();
    let unknown: Vec<&str> = names.filter(|name| !known.contains(*name)).collect();
    let mut notes = Vec::new();
    let upload: Vec<&str> = unknown
        .iter()
        .copied()
        .filter(|name| UPLOAD.contains(name))
        .collect();
    if !upload.is_empty() {
        let verb = if upload.len() == 1 { "has" } else { "have" };
        notes.push(format!(
            "{} {verb} no effect: okta-ciam does not upload snapshots; ConductorOne imports the file as a file upload or from a data source such as S3",
            upload.join(" and ")
        ));
    }
    for name in unknown {
        if UPLOAD.contains(&name) {
            continue;
        }
        let hint =
            nearest(name, &known).map_or(String::new(), |known| format!("; did you mean {known}?"));
        notes.push(format!("{name} is not a variable of okta-ciam{hint}"));
    }
    notes
}

/// Returns the known name that was probably meant.
fn nearest(name: &str, known: &BTreeSet<String>) -> Option<String> {
    let without = known.iter().filter_map(|known| known.strip_prefix(PREFIX));
    let near = text::closest(name.strip_prefix(PREFIX)?, without)?;
    Some(format!("{PREFIX}{near}"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::config::environment::variable_of;

    #[test]
    fn an_unknown_variable_is_reported_with_the_nearest_known_one() {
        for (name, expected) in [
            ("BATON_EMAIL_DOMAIN", Some("BATON_EMAIL_DOMAINS")),
            ("BATON_APITOKEN", Some("BATON_API_TOKEN")),
            ("BATON_GROUPS_NAME_FILTER", Some("BATON_GROUP_NAME_FILTER")),
            ("BATON_C1Z_TEMP_DIR", None),
            ("BATON_X", None),
        ] {
            let notes = notes(&Environment::of_pairs(&[(name, "secret")]));
            let hint = expected.map_or(String::new(), |known| format!("; did you mean {known}?"));
            assert_eq!(
                notes,
                [format!("{name} is not a variable of okta-ciam{hint}")]
            );
        }
        let known = cli::variables();
        let known: Vec<(&str, &str)> = known.iter().map(|name| (name.as_str(), "x")).collect();
        assert!(notes(&Environment::of_pairs(&known)).is_empty());
        assert!(
            notes(&Environment::of_pairs(&[
                ("TERM", "x"),
                ("HTTPS_PROXY", "y")
            ]))
            .is_empty()
        );
    }

    #[test]
    fn the_credentials_for_an_upload_get_one_note() {
        let both = [
            ("BATON_CLIENT_ID", "secret"),
            ("BATON_CLIENT_SECRET", "secret"),
        ];
        let notes = notes(&Environment::of_pairs(&both));
        assert_eq!(notes.len(), 1);
        assert!(notes[0].contains("does not upload") && !notes[0].contains("secret "));
        assert!(!notes[0].contains("\"secret\""));
    }

    /// `Environment::setting` reads the variable of this name.
    #[test]
    fn the_variable_of_an_option_has_its_name() {
        fn check(command: &clap::Command, found: &mut usize) {
            for argument in command.get_arguments() {
                let id = argument.get_id().as_str();
                let name = argument.get_long().unwrap_or(id);
                if let Some(variable) = cli::variable(argument) {
                    assert_eq!(variable, variable_of(name));
                    *found += 1;
                }
            }
            command.get_subcommands().for_each(|sub| check(sub, found));
        }
        let mut found = 0;
        check(&cli::Cli::command(), &mut found);
        assert!(found >= cli::variables().len(), "{found}");
    }

    /// The options with a value but without a variable are those that the help of the command names.
    #[test]
    fn the_help_says_which_options_have_a_variable() {
        const RULE: &str = "Every option that takes a value";
        let root = cli::Cli::command();
        for command in root.get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string);
            let help = help.unwrap_or_default();
            let Some((_, rule)) = help.split_once(RULE) else {
                continue;
            };
            let rule = rule.split("variable:").next().unwrap();
            for option in command
                .get_arguments()
                .filter(|option| !option.is_hide_set())
            {
                let flag = format!("--{}", option.get_long().unwrap());
                let words = rule.split(|c: char| c.is_whitespace() || c == ',');
                let is_without = words.into_iter().any(|word| word == flag);
                let has_variable = cli::variable(option).is_some();
                if option.get_action().takes_values() {
                    assert_eq!(has_variable, !is_without, "{} {flag}", command.get_name());
                }
            }
        }
        let with_rule = root.get_subcommands().filter(|command| {
            let help = command.get_after_help().map(ToString::to_string);
            help.is_some_and(|help| help.contains(RULE))
        });
        let names: Vec<&str> = with_rule.map(clap::Command::get_name).collect();
        assert_eq!(names, ["sync", "grant", "revoke", "check"]);
    }

    /// Where the help states no rule, an option names its variable, or the text after the options does.
    #[test]
    fn the_help_of_other_commands_names_each_variable() {
        fn check(command: &clap::Command) {
            let after = command.get_after_help().map(ToString::to_string);
            let after = after.unwrap_or_default();
            for option in command.get_arguments() {
                let help = option.get_help().map(ToString::to_string);
                let help = help.unwrap_or_default();
                match cli::variable(option) {
                    Some(name) => assert!(
                        help.contains(&format!("[env: {name}]"))
                            || after.contains(&name)
                            || after.contains("Every option that takes a value"),
                        "{} {name}",
                        command.get_name()
                    ),
                    None => assert!(!help.contains("[env:"), "{help}"),
                }
            }
            command.get_subcommands().for_each(check);
        }
        cli::Cli::command().get_subcommands().for_each(check);
    }
}
