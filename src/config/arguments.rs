//! Records the options and variables that were given to a `sync` and can affect the contents or the acceptance of its
//! snapshot.
//!
//! If an option is given, its variable is not recorded, since it has no effect. The token is left out. The options of
//! [`cli::LimitsArgs`] and [`cli::FileArgs`] are left out too, because they do not affect the contents: equal runs give
//! equal bytes, no matter how fast they were and how the file is called.

use clap::{Arg, Args as _, Command, CommandFactory as _};

use super::environment::{Environment, ROOT_VARIABLES, Setting, variable_of};
use super::{Error, proxy};
use crate::cli;
use crate::okta::settings::Connection;

/// The options for the token: itself, or its file.
const TOKEN_OPTIONS: [&str; 2] = ["--api-token", "--api-token-file"];

/// Returns the arguments of a `sync`, in the order of its options.
pub(super) fn of_sync(
    typed: &cli::SyncArgs,
    environment: &Environment,
    connection: &Connection,
) -> Result<Vec<String>, Error> {
    let mut arguments = Vec::new();
    for option in recorded() {
        let flag = format!("--{}", option.get_long().unwrap_or_default());
        let given = typed.given.values(option.get_id().as_str());
        if !option.get_action().takes_values() {
            arguments.extend(given.map(|_| flag));
            continue;
        }
        let setting = match given {
            Some(values) => Some(Setting::new(&flag, &values.join(","))),
            None => match cli::variable(&option) {
                Some(variable) => environment.get(&variable)?,
                None => None,
            },
        };
        arguments.extend(setting.map(|Setting { name, value }| format!("{name}={value}")));
    }
    arguments.extend(token(&typed.connection, environment)?);
    if let (Some(proxy), Some(variable)) = (&connection.proxy, proxy::variable(environment)) {
        // The shown value has no user name and password.
        arguments.push(format!("{variable}={}", proxy.shown));
    }
    for name in ROOT_VARIABLES {
        let setting = environment.get(name)?;
        arguments.extend(setting.map(|setting| format!("{name}={}", setting.value)));
    }
    let mask = connection.credentials.mask();
    Ok(arguments.into_iter().map(|text| mask.text(text)).collect())
}

/// Returns the options that are recorded: those of `sync` without the token, and without [`cli::FileArgs`] and
/// [`cli::LimitsArgs`].
fn recorded() -> Vec<Arg> {
    let command = cli::Cli::command();
    let Some(sync) = command.find_subcommand("sync") else {
        return Vec::new();
    };
    let left_out = cli::LimitsArgs::augment_args(cli::FileArgs::augment_args(Command::new("")));
    let options = sync.get_arguments().filter(|option| {
        let is_token = |flag: &str| option.get_long() == Some(flag.trim_start_matches('-'));
        let mut left_out = left_out.get_arguments();
        !left_out.any(|other| other.get_id() == option.get_id())
            && !TOKEN_OPTIONS.into_iter().any(is_token)
    });
    options.cloned().collect()
}

/// Returns the source of the token: the name of the option or variable, with the path if it is a file.
fn token(typed: &cli::ConnectionArgs, environment: &Environment) -> Result<Option<String>, Error> {
    let typed = [&typed.api_token, &typed.api_token_file];
    let by_flag = typed.iter().any(|value| value.is_some());
    let mut found = None;
    for (flag, typed) in TOKEN_OPTIONS.into_iter().zip(typed) {
        let setting = match typed {
            Some(value) => Some(Setting::new(flag, value)),
            None if by_flag => None,
            None => environment.get(&variable_of(flag))?,
        };
        found = found.or(setting.map(|Setting { name, value }| match flag {
            "--api-token" => name,
            _ => format!("{name}={value}"),
        }));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SyncConfig;

    const TOKEN: &str = "00aTokenOfFortyTwoCharacters0123456789abcd";

    fn typed(arguments: &[&str]) -> cli::SyncArgs {
        let all = ["okta-ciam", "sync"].iter().chain(arguments);
        match cli::Cli::read(all).unwrap().command {
            cli::Command::Sync(sync) => *sync,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn given_options_and_variables_are_recorded_and_options_override_variables() {
        let environment = Environment::from([
            ("BATON_DOMAIN", "company.okta.com"),
            ("BATON_API_TOKEN", TOKEN),
            ("BATON_EMAIL_DOMAINS", "example.com"),
            ("BATON_CONCURRENCY", "3"),
            ("HTTPS_PROXY", "http://ada:secret@proxy.example:3128"),
            ("SSL_CERT_FILE", "/etc/roots.pem"),
            ("BATON_FILE", "a.db"),
            ("BATON_MAX_DROP", ""),
        ]);
        let sync = SyncConfig::new(
            &typed(&[
                "--email-domains=a.example",
                "--email-domains=b.example",
                "--fresh",
                "--deadline=2h",
                "--note",
                TOKEN,
            ]),
            &environment,
        );
        assert_eq!(
            sync.unwrap().arguments,
            [
                "--fresh",
                "BATON_DOMAIN=company.okta.com",
                "--email-domains=a.example,b.example",
                "--note=***",
                "BATON_API_TOKEN",
                "HTTPS_PROXY=proxy.example:3128",
                "SSL_CERT_FILE=/etc/roots.pem",
            ]
        );
    }

    #[test]
    fn a_token_is_recorded_by_the_name_of_its_option_or_file() {
        let environment = Environment::from([("BATON_API_TOKEN_FILE", "/run/token")]);
        for (arguments, expected) in [
            (&[][..], "BATON_API_TOKEN_FILE=/run/token"),
            (&["--api-token", TOKEN][..], "--api-token"),
            (&["--api-token-file=-"][..], "--api-token-file=-"),
        ] {
            let sync = typed(arguments);
            let found = token(&sync.connection, &environment).unwrap();
            assert_eq!(found.as_deref(), Some(expected));
        }
    }

    #[test]
    fn every_option_of_sync_is_recorded_unless_it_is_a_token_a_file_or_a_limit() {
        let command = cli::Cli::command();
        let sync = command.find_subcommand("sync").unwrap();
        let all: Vec<&str> = sync.get_arguments().filter_map(Arg::get_long).collect();
        let recorded = recorded();
        let recorded: Vec<&str> = recorded.iter().filter_map(Arg::get_long).collect();
        for name in all {
            let option = sync.get_arguments().find(|it| it.get_long() == Some(name));
            // The help shows files and limits under headings of their own, and two texts under that of the files. A hidden
            // option has the heading of the one before it.
            let heading = option.and_then(Arg::get_help_heading);
            let is_other = ["run-id", "note", "now"].contains(&name);
            let is_left_out = TOKEN_OPTIONS.contains(&&*format!("--{name}"))
                || (matches!(heading, Some("Output" | "Limits")) && !is_other);
            assert_eq!(recorded.contains(&name), !is_left_out, "{name}");
        }
        assert!(recorded.len() > 12, "{recorded:?}");
    }
}
