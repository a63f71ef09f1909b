//! Records the options and variables that were given to a `sync` and can affect the contents or the acceptance of its
//! snapshot.
//!
//! If an option is given, its variable is not recorded, since it has no effect. The token is left out. Options for
//! speed and output are left out too, because they do not affect the contents: equal runs give equal bytes, no matter
//! how fast they were and how the file is called.

use super::environment::{Environment, ROOT_VARIABLES, Setting, variable_of};
use super::{Error, proxy};
use crate::cli;
use crate::okta::settings::Connection;

/// The options that are not recorded.
#[cfg(test)]
const NOT_RECORDED: [&str; 14] = [
    "plan",
    "file",
    "file-mode",
    "keep",
    "manifest",
    "metrics-file",
    "max-api-capacity",
    "concurrency",
    "timeout",
    "deadline",
    "output",
    "quiet",
    "log-level",
    "log-format",
];

/// Returns the arguments of a `sync`, in a fixed order.
pub(super) fn of_sync(
    typed: &cli::Sync,
    environment: &Environment,
    connection: &Connection,
) -> Result<Vec<String>, Error> {
    let domains = &typed.scope.email_domains;
    let domains = (!domains.is_empty()).then(|| domains.join(","));
    let mut arguments = Vec::new();
    for (flag, value) in [
        ("--domain", &typed.connection.domain),
        ("--ca-file", &typed.connection.ca_file),
        ("--email-domains", &domains),
        (
            "--skip-secondary-emails",
            &typed.scope.skip_secondary_emails,
        ),
        ("--group-name-filter", &typed.scope.group_name_filter),
        ("--memberships-by", &typed.memberships_by),
        ("--max-drop", &typed.max_drop),
        ("--run-id", &typed.run_id),
        ("--note", &typed.note),
    ] {
        let setting = environment.setting(flag, value.as_ref())?;
        arguments.extend(setting.map(|Setting { name, value }| format!("{name}={value}")));
    }
    for (flag, is_given) in [
        ("--fresh", typed.fresh),
        ("--allow-partial", typed.allow_partial),
        ("--allow-empty", typed.allow_empty),
    ] {
        arguments.extend(is_given.then(|| flag.to_owned()));
    }
    arguments.extend(typed.now.as_ref().map(|now| format!("--now={now}")));
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

/// Returns the source of the token: the name of the option or variable, with the path if it is a file.
fn token(typed: &cli::Connection, environment: &Environment) -> Result<Option<String>, Error> {
    let flags = ["--api-token", "--api-token-file"];
    let typed = [&typed.api_token, &typed.api_token_file];
    let by_flag = typed.iter().any(|value| value.is_some());
    let mut found = None;
    for (flag, typed) in flags.into_iter().zip(typed) {
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
    use clap::CommandFactory as _;

    use super::*;
    use crate::config::Sync;

    const TOKEN: &str = "00aTokenOfFortyTwoCharacters0123456789abcd";

    fn typed(arguments: &[&str]) -> cli::Sync {
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
        let sync = Sync::new(
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
                "BATON_DOMAIN=company.okta.com",
                "--email-domains=a.example,b.example",
                "--note=***",
                "--fresh",
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

    /// Fails for a new option until it is recorded or added to the list.
    #[test]
    fn every_option_of_sync_is_recorded_unless_it_is_listed() {
        let command = cli::Cli::command();
        let sync = command.find_subcommand("sync").unwrap();
        let source = include_str!("arguments.rs");
        let mut found = 0;
        for option in sync
            .get_arguments()
            .chain(command.get_arguments())
            .filter_map(clap::Arg::get_long)
        {
            if !NOT_RECORDED.contains(&option) {
                let flag = format!("\"--{option}");
                assert!(source.contains(&flag), "{flag} is not recorded");
                found += 1;
            }
        }
        assert!(found > 12, "{found}");
    }
}
