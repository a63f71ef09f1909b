//! Tests options and variables of all commands.

use std::path::Path;
use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::environment::read_duration;
use super::*;
use crate::cli;
use crate::okta::settings::Connection;
use crate::snapshot::FileFormat;

const WHOLE: [(&str, &str); 3] = [
    ("BATON_DOMAIN", "company.okta.com"),
    ("BATON_API_TOKEN", "00token"),
    ("BATON_EMAIL_DOMAINS", "example.com"),
];

fn with(name: &str, value: &str) -> Environment {
    let mut environment = Environment::from(WHOLE);
    if value.is_empty() {
        environment.0.remove(name);
    } else {
        environment.0.insert(name.to_owned(), value.into());
    }
    environment
}

fn token_of(connection: &Connection) -> &str {
    connection.credentials.secret().expose_secret()
}

fn problem(name: &str, value: &str) -> String {
    match SyncConfig::new(&cli::SyncArgs::default(), &with(name, value)) {
        Ok(_) => panic!("{name}={value:?} was accepted"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn three_variables_are_enough() {
    let sync = SyncConfig::new(&cli::SyncArgs::default(), &WHOLE.into()).unwrap();
    assert_eq!(sync.connection.origin.as_str(), "https://company.okta.com/");
    assert_eq!(token_of(&sync.connection), "00token");
    assert_eq!(sync.connection.capacity_percent, 75);
    assert_eq!(sync.connection.concurrency, 8);
    assert_eq!(sync.connection.timeout, Duration::from_secs(60));
    assert_eq!(sync.connection.deadline, None);
    assert_eq!(sync.file, Path::new("sync.c1z"));
    assert_eq!(sync.format, FileFormat::C1z);
    assert!(!sync.scope.skip_secondary());
}

#[test]
fn debug_texts_do_not_contain_the_token() {
    let sync = SyncConfig::new(&cli::SyncArgs::default(), &WHOLE.into()).unwrap();
    assert!(!format!("{sync:?}").contains("00token"));
}

#[test]
fn a_domain_is_read_with_or_without_scheme_slash_and_port() {
    for (typed, origin) in [
        ("company.okta.com", "https://company.okta.com/"),
        (" company.okta.com ", "https://company.okta.com/"),
        ("HTTPS://Company.Okta.com/", "https://company.okta.com/"),
        (
            "login.company.example:8443",
            "https://login.company.example:8443/",
        ),
        ("https://company.okta.com:443", "https://company.okta.com/"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/"),
        ("http://localhost:1", "http://localhost:1/"),
        ("http://[::1]:8080/", "http://[::1]:8080/"),
        ("my-admin.example.com", "https://my-admin.example.com/"),
    ] {
        let sync =
            SyncConfig::new(&cli::SyncArgs::default(), &with("BATON_DOMAIN", typed)).unwrap();
        assert_eq!(sync.connection.origin.as_str(), origin, "{typed}");
    }
}

#[test]
fn every_invalid_value_is_refused_with_its_name_and_a_next_step() {
    for (name, value, part) in [
        ("BATON_DOMAIN", "", "--domain or BATON_DOMAIN is required"),
        ("BATON_DOMAIN", "http://company.okta.com", "in the clear"),
        ("BATON_DOMAIN", "http://10.0.0.1", "in the clear"),
        ("BATON_DOMAIN", "ftp://company.okta.com", "scheme"),
        ("BATON_DOMAIN", "company.okta.com/admin", "contains a path"),
        ("BATON_DOMAIN", "company.okta.com?x=1", "more than a host"),
        ("BATON_DOMAIN", "company.okta.com#x", "more than a host"),
        (
            "BATON_DOMAIN",
            "mira@company.okta.com",
            "user name or an email",
        ),
        (
            "BATON_DOMAIN",
            "https://a:secret@company.okta.com",
            "user name or an email",
        ),
        (
            "BATON_DOMAIN",
            "company-admin.okta.com",
            "use company.okta.com",
        ),
        (
            "BATON_DOMAIN",
            "company-admin.oktapreview.com",
            "use company.oktapreview.com",
        ),
        ("BATON_DOMAIN", "comp any.okta.com", "more than one host"),
        ("BATON_DOMAIN", "${OKTA_DOMAIN}", "was not replaced"),
        ("BATON_DOMAIN", "%OKTA_DOMAIN%", "was not replaced"),
        ("BATON_DOMAIN", "https://$OKTA_DOMAIN/", "was not replaced"),
        ("BATON_DOMAIN", "{{ .Values.domain }}", "was not replaced"),
        ("BATON_DOMAIN", "*.okta.com", "wildcard"),
        (
            "BATON_DOMAIN",
            "a.okta.com,b.okta.com",
            "more than one host",
        ),
        (
            "BATON_DOMAIN",
            "a.okta.com b.okta.com",
            "more than one host",
        ),
        ("BATON_DOMAIN", "<your domain>", "placeholder"),
        ("BATON_DOMAIN", "\"company.okta.com\"", "quote"),
        ("BATON_FILE", "s3://bucket/okta.c1z", "aws s3 cp"),
        ("BATON_FILE", "x\u{1b}.c1z", "control character"),
        ("BATON_CA_FILE", "ca\n.pem", "control character"),
        ("BATON_DOMAIN", "company.okta.com:99999", "port"),
        (
            "BATON_API_TOKEN",
            "",
            "--api-token-file or BATON_API_TOKEN is required",
        ),
        ("BATON_API_TOKEN", " ", "contains no token"),
        ("BATON_API_TOKEN", "\u{feff}", "contains no token"),
        ("BATON_API_TOKEN", "OKTA_TOKEN=00token", "NAME=value"),
        ("BATON_API_TOKEN", "{\"token\":\"00token\"}", "JSON"),
        ("BATON_API_TOKEN", "\"00token", "not part of a token"),
        ("BATON_API_TOKEN", "$OKTA_TOKEN", "not part of a token"),
        ("BATON_API_TOKEN", "SSWS 00token", "not part of a token"),
        ("BATON_API_TOKEN", "00token\nx", "not part of a token"),
        (
            "BATON_API_TOKEN_FILE",
            "/does/not/exist",
            "cannot be used with",
        ),
        (
            "BATON_EMAIL_DOMAINS",
            "",
            "--email-domains or BATON_EMAIL_DOMAINS is required",
        ),
        ("BATON_EMAIL_DOMAINS", "example.com,", "is empty"),
        (
            "BATON_EMAIL_DOMAINS",
            "example.com,,example.org",
            "is empty",
        ),
        (
            "BATON_EMAIL_DOMAINS",
            "example.com, exam ple",
            "\"exam ple\"",
        ),
        ("BATON_SKIP_SECONDARY_EMAILS", "yes", "true or false"),
        ("BATON_MAX_API_CAPACITY", "0", "1 to 100"),
        ("BATON_MAX_API_CAPACITY", "101", "1 to 100"),
        ("BATON_MAX_API_CAPACITY", "75%", "1 to 100"),
        ("BATON_CONCURRENCY", "0", "1 to 64"),
        ("BATON_CONCURRENCY", "many", "1 to 64"),
        ("BATON_TIMEOUT", "0", "90s, 15m or 2h"),
        ("BATON_TIMEOUT", "1d", "90s, 15m or 2h"),
        ("BATON_TIMEOUT", "-5", "90s, 15m or 2h"),
        ("BATON_TIMEOUT", "1.5s", "90s, 15m or 2h"),
        ("BATON_TIMEOUT", "h", "90s, 15m or 2h"),
        ("BATON_DEADLINE", "soon", "90s, 15m or 2h"),
        ("BATON_CA_FILE", "/does/not/exist", "cannot read"),
        ("BATON_CA_FILE", "Cargo.toml", "no PEM certificate"),
        ("BATON_FILE", "out.json", "ends in .c1z"),
        ("BATON_FILE", "out", "ends in .c1z"),
        ("BATON_MEMBERSHIPS_BY", "groups", "auto, group or user"),
    ] {
        let said = problem(name, value);
        assert!(said.contains(part), "{name}={value:?}: {said}");
        let flag = format!(
            "--{}",
            name["BATON_".len()..].to_lowercase().replace('_', "-")
        );
        assert!(
            said.contains(name) || said.contains(&flag),
            "{name}={value:?}: {said}"
        );
        assert!(
            !said.contains("secret") && !said.contains("00token"),
            "{said}"
        );
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn an_option_overrides_its_variable_even_an_invalid_one() {
    let typed = cli::SyncArgs {
        connection: cli::ConnectionArgs {
            domain: Some("other.okta.com".to_owned()),
            api_token: Some("00other".to_owned()),
            ..cli::ConnectionArgs::default()
        },
        ..cli::SyncArgs::default()
    };
    let mut environment = with("BATON_DOMAIN", "not a domain");
    environment
        .0
        .insert("BATON_API_TOKEN_FILE".to_owned(), "/x".into());
    let sync = SyncConfig::new(&typed, &environment).unwrap();
    assert_eq!(sync.connection.origin.as_str(), "https://other.okta.com/");
    assert_eq!(token_of(&sync.connection), "00other");
}

#[test]
fn a_token_file_may_end_with_a_line_break() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "00filed\n").unwrap();
    let mut environment = with("BATON_API_TOKEN", "");
    let path = file.path().as_os_str().to_owned();
    environment
        .0
        .insert("BATON_API_TOKEN_FILE".to_owned(), path);
    let sync = SyncConfig::new(&cli::SyncArgs::default(), &environment).unwrap();
    assert_eq!(token_of(&sync.connection), "00filed");
}

#[test]
fn lists_are_split_and_trimmed_and_booleans_are_parsed() {
    let mut environment = with(
        "BATON_EMAIL_DOMAINS",
        " Example.com , @example.org,*.example.net",
    );
    environment
        .0
        .insert("BATON_SKIP_SECONDARY_EMAILS".to_owned(), "1".into());
    let sync = SyncConfig::new(&cli::SyncArgs::default(), &environment).unwrap();
    let domains: Vec<String> = sync
        .scope
        .domains()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(domains, ["example.com", "*.example.net", "example.org"]);
    assert!(sync.scope.skip_secondary());
}

#[test]
fn changes_are_off_by_default() {
    let read = |flag: Option<&str>, variable: &str| {
        let typed = cli::CheckArgs {
            provisioning: cli::ProvisioningArgs {
                provisioning: flag.map(str::to_owned),
            },
            ..cli::CheckArgs::default()
        };
        let mut environment = Environment::from(WHOLE);
        if !variable.is_empty() {
            environment
                .0
                .insert("BATON_PROVISIONING".to_owned(), variable.into());
        }
        CheckConfig::new(&typed, &environment).map(|check| check.provisioning)
    };
    for (flag, variable, on) in [
        (None, "", false),
        (Some("true"), "", true),
        (Some("0"), "1", false),
        (None, "1", true),
        (None, "False", false),
    ] {
        assert_eq!(read(flag, variable), Ok(on), "{flag:?} {variable:?}");
    }
    let error = read(None, "yes").unwrap_err().to_string();
    assert!(error.contains("BATON_PROVISIONING"), "{error}");
}

#[test]
fn times_are_read_with_and_without_a_unit() {
    for (typed, seconds) in [("90s", 90), ("90", 90), ("15m", 900), ("2h", 7200)] {
        assert_eq!(
            read_duration(typed),
            Some(Duration::from_secs(seconds)),
            "{typed}"
        );
    }
}

#[test]
fn a_recorded_time_is_for_this_machine_only() {
    let typed = cli::SyncArgs {
        now: Some("2026-01-31T12:00:00Z".to_owned()),
        ..cli::SyncArgs::default()
    };
    let error = SyncConfig::new(&typed, &WHOLE.into()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("--now is for orgs on this machine only")
    );
    let sync = SyncConfig::new(&typed, &with("BATON_DOMAIN", "http://127.0.0.1:1")).unwrap();
    assert_eq!(sync.now.unwrap().to_string(), "2026-01-31T12:00:00Z");
}
