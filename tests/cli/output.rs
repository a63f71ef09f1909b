//! Tests that data goes to stdout and messages to stderr, and that secrets are not printed.

use okta_fake::{Action, Endpoint, Fault, Org};

use crate::support::{Folder, Okta};

#[test]
fn quiet_prints_nothing_but_errors() {
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    let ran = folder.sync(&okta, &["-q"]).ok();
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
    let ran = folder.sync(&okta, &["-q", "--output", "json"]).ok();
    assert_eq!(ran.json()["complete"], true);
    assert_eq!(ran.stderr, "");
    folder
        .sync(&okta, &["-q"])
        .env("BATON_EMAIL_DOMAINS", "nobody.example")
        .end()
        .code(8)
        .says("error: ");
}

#[test]
fn the_token_is_never_printed() {
    let okta = Okta::with(Org::demo());
    okta.fault(Fault::on(Endpoint::Users, Action::okta(503, "E0000010")).first(1));
    let folder = Folder::new();
    for format in ["console", "json"] {
        let ran = folder
            .sync(&okta, &["--log-level", "trace", "--log-format", format])
            .ok();
        assert!(ran.stderr.contains("GET /api/v1/users"), "{}", ran.stderr);
        assert!(!ran.stderr.contains(okta.token()) && !ran.stdout.contains(okta.token()));
    }
    for name in folder.names() {
        let bytes = std::fs::read(folder.path(&name)).unwrap();
        let token = okta.token().as_bytes();
        assert!(
            !bytes.windows(token.len()).any(|window| window == token),
            "{name}"
        );
    }
}

#[test]
fn every_log_line_is_json_with_log_format_json() {
    let okta = Okta::with(Org::demo());
    okta.fault(Fault::on(Endpoint::Users, Action::okta(503, "E0000010")).first(1));
    let folder = Folder::new();
    let ran = folder
        .sync(&okta, &["--log-format", "json"])
        .env("BATON_LOG_LEVEL", "debug")
        .ok();
    assert!(ran.stderr.lines().count() > 5);
    for line in ran.stderr.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(
            line["message"].is_string()
                && line["level"].is_string()
                && line["timestamp"].is_string(),
            "{line}"
        );
    }
}

#[test]
fn the_token_may_come_from_a_file_or_from_standard_input() {
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    std::fs::write(folder.path("token"), format!("{}\n", okta.token())).unwrap();
    folder
        .sync(&okta, &["--api-token-file", "token"])
        .without("BATON_API_TOKEN")
        .ok();
    folder
        .sync(&okta, &["--api-token-file", "-"])
        .without("BATON_API_TOKEN")
        .stdin(format!("{}\r\n", okta.token()).as_bytes())
        .ok();
    // An option overrides the variable of the other option for the token.
    folder
        .sync(&okta, &["--api-token", okta.token()])
        .without("BATON_API_TOKEN")
        .env("BATON_API_TOKEN_FILE", "missing")
        .ok();
}

#[test]
fn a_proxy_gets_no_requests_to_this_machine() {
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    folder
        .sync(&okta, &[])
        .env("HTTP_PROXY", "http://127.0.0.1:1")
        .env("http_proxy", "http://127.0.0.1:1")
        .env("ALL_PROXY", "http://127.0.0.1:1")
        .ok();
}

#[test]
fn help_has_examples_and_the_exit_codes() {
    let folder = Folder::new();
    let help = folder.run(&["--help"]).ok();
    assert!(help.stdout.contains("Exit codes:") && help.stderr.is_empty());
    for command in ["sync", "check", "show", "verify", "demo"] {
        let help = folder.run(&[command, "--help"]).ok();
        assert!(help.stdout.contains("Examples:"), "{}", help.stdout);
    }
    assert!(
        folder
            .run(&["--version"])
            .ok()
            .stdout
            .starts_with("okta-ciam ")
    );
    folder.run(&[]).end().fails(2, "no command given");
}

#[test]
fn a_closed_stdout_is_not_an_error() {
    use std::process::{Command, Stdio};
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    folder.sync(&okta, &[]).ok();
    let shell = |script: &str| {
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(script)
            .current_dir(folder.path("."))
            .env_clear();
        command
            .env("TOOL", env!("CARGO_BIN_EXE_okta-ciam"))
            .env("PATH", "/usr/bin:/bin");
        command
            .env("BATON_DOMAIN", okta.origin())
            .env("BATON_API_TOKEN", okta.token());
        command
            .env("BATON_EMAIL_DOMAINS", "example.com")
            .stdout(Stdio::null())
            .status()
            .unwrap()
            .code()
    };
    assert_eq!(
        shell("{ \"$TOOL\" show group Everyone; echo $? > code; } | true; exit $(cat code)"),
        Some(0)
    );
    assert_eq!(
        shell("{ \"$TOOL\" sync; echo $? > code; } | true; exit $(cat code)"),
        Some(0)
    );
}
