//! Notes about unknown variables, which may be misspelled or meant for another program.

use super::Environment;
use super::environment::variable_of;
use crate::text;

/// All variables that a command reads.
const KNOWN: [&str; 26] = [
    "BATON_API_TOKEN",
    "BATON_API_TOKEN_FILE",
    "BATON_AUDIT_LOG",
    "BATON_CA_FILE",
    "BATON_CONCURRENCY",
    "BATON_DEADLINE",
    "BATON_DOMAIN",
    "BATON_EMAIL_DOMAINS",
    "BATON_FILE",
    "BATON_FILE_MODE",
    "BATON_GROUP_NAME_FILTER",
    "BATON_KEEP",
    "BATON_LOG_FORMAT",
    "BATON_LOG_LEVEL",
    "BATON_MANIFEST",
    "BATON_MAX_API_CAPACITY",
    "BATON_MAX_DROP",
    "BATON_MAX_SHEET_AGE",
    "BATON_MEMBERSHIPS_BY",
    "BATON_METRICS_FILE",
    "BATON_NOTE",
    "BATON_OUTPUT",
    "BATON_PROVISIONING",
    "BATON_RUN_ID",
    "BATON_SKIP_SECONDARY_EMAILS",
    "BATON_TIMEOUT",
];

/// Commands that read only the variables for output and logging.
const WITHOUT_VARIABLES: [&str; 3] = ["demo", "completions", "man"];

/// Returns the variable of an option or argument of a command, if it has one.
pub fn variable(command: &str, name: &str) -> Option<&'static str> {
    let variable = variable_of(name);
    let known = KNOWN.into_iter().find(|known| *known == variable)?;
    // A review does not read the audit log from its variable, because each call uses other logs.
    let is_read = match command.split(' ').next() {
        Some("review") => !["BATON_AUDIT_LOG"].contains(&known),
        _ => true,
    };
    (is_read && !WITHOUT_VARIABLES.contains(&command)).then_some(known)
}

/// The credentials with which the Go connectors upload to ConductorOne.
const UPLOAD: [&str; 2] = ["BATON_CLIENT_ID", "BATON_CLIENT_SECRET"];

/// Returns a note for each variable that no command reads. Notes do not contain values.
pub fn notes(environment: &Environment) -> Vec<String> {
    let names = environment
        .names()
        .filter(|name| name.starts_with("BATON_"));
    let unknown: Vec<&str> = names.filter(|name| !KNOWN.contains(name)).collect();
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
        let hint = nearest(name).map_or(String::new(), |known| format!("; did you mean {known}?"));
        notes.push(format!("{name} is not a variable of okta-ciam{hint}"));
    }
    notes
}

/// Returns the known name that was probably meant.
fn nearest(name: &str) -> Option<&'static str> {
    let without = |name: &'static str| name.trim_start_matches("BATON_");
    let near = text::closest(name.trim_start_matches("BATON_"), KNOWN.map(without))?;
    KNOWN.into_iter().find(|known| without(known) == near)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(notes(&Environment::of_pairs(&KNOWN.map(|name| (name, "x")))).is_empty());
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

    /// The help states this rule.
    #[test]
    fn every_option_with_a_value_has_a_variable_of_its_name() {
        use clap::CommandFactory as _;
        const WITHOUT: [&str; 7] = [
            "now", "user", "group", "from", "grant-id", "port", "max-age",
        ];
        let command = crate::cli::Cli::command();
        let arguments = command
            .get_subcommands()
            // These commands have variables only for the snapshot, because each call reads and writes other files.
            .filter(|command| {
                let various = ["diff", "export", "findings", "man", "report", "review"];
                !various.contains(&command.get_name())
            })
            .chain([&command])
            .flat_map(clap::Command::get_arguments);
        let mut found = 0;
        for argument in arguments.filter(|argument| argument.get_action().takes_values()) {
            let Some(name) = argument.get_long().filter(|name| !WITHOUT.contains(name)) else {
                continue;
            };
            let variable = format!("BATON_{}", name.to_uppercase().replace('-', "_"));
            assert!(KNOWN.contains(&variable.as_str()), "{variable}");
            found += 1;
        }
        assert!(found > 40, "{found}");
    }
}
