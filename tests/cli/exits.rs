//! Tests every exit code, with its single line on stderr and the previous file unchanged.

use std::time::Duration;

use okta_fake::{Action, Endpoint, Fault, Options, Org};

use crate::support::{Folder, Okta, Ran, gate, unlimited};

const PREVIOUS: &[u8] = b"the previous snapshot, byte for byte";

/// Returns a folder with a previous snapshot.
fn with_previous() -> Folder {
    let folder = Folder::new();
    std::fs::write(folder.path("sync.c1z"), PREVIOUS).unwrap();
    folder
}

#[track_caller]
fn assert_untouched(folder: &Folder) {
    assert_eq!(std::fs::read(folder.path("sync.c1z")).unwrap(), PREVIOUS);
    assert_eq!(
        folder.names(),
        ["sync.c1z".to_owned()].into(),
        "no file is left"
    );
}

/// Checks that only a checkpoint was added, which the next run can resume.
#[track_caller]
fn assert_only_the_state_is_new(folder: &Folder) {
    assert_eq!(std::fs::read(folder.path("sync.c1z")).unwrap(), PREVIOUS);
    let mut names = folder.names();
    names.remove(".sync.c1z.checkpoint");
    assert_eq!(names, ["sync.c1z".to_owned()].into());
}

#[track_caller]
fn assert_one_line(ran: &Ran, part: &str, secrets: &[&str]) {
    let line = ran.error();
    assert_ne!(part, "", "every text contains the empty text");
    assert!(line.contains(part), "{part:?} is not in {line}");
    assert_eq!(ran.stdout, "");
    for secret in secrets {
        assert!(!ran.stderr.contains(secret), "{}", ran.stderr);
    }
}

#[test]
fn invalid_input_ends_with_2_before_any_request() {
    let okta = Okta::unasked();
    let folder = with_previous();
    for (flag, variable, value, part) in [
        (
            "--domain",
            "BATON_DOMAIN",
            "http://company.okta.com",
            "http is for this machine only",
        ),
        (
            "--domain",
            "BATON_DOMAIN",
            "company.okta.com/x",
            "contains a path",
        ),
        (
            "--domain",
            "BATON_DOMAIN",
            "company.okta.com?x",
            "more than a host",
        ),
        (
            "--domain",
            "BATON_DOMAIN",
            "me@company.okta.com",
            "user name or an email",
        ),
        (
            "--domain",
            "BATON_DOMAIN",
            "company-admin.okta.com",
            "use company.okta.com",
        ),
        ("--domain", "BATON_DOMAIN", "https://", "empty host"),
        (
            "--email-domains",
            "BATON_EMAIL_DOMAINS",
            "example.com,",
            "is empty",
        ),
        (
            "--email-domains",
            "BATON_EMAIL_DOMAINS",
            "no domain",
            "\"no domain\"",
        ),
        (
            "--email-domains",
            "BATON_EMAIL_DOMAINS",
            "mira@example.com",
            "complete address",
        ),
        (
            "--max-api-capacity",
            "BATON_MAX_API_CAPACITY",
            "0",
            "from 1 to 100",
        ),
        (
            "--max-api-capacity",
            "BATON_MAX_API_CAPACITY",
            "half",
            "from 1 to 100",
        ),
        ("--concurrency", "BATON_CONCURRENCY", "0", "from 1 to 64"),
        ("--timeout", "BATON_TIMEOUT", "never", "90s, 15m or 2h"),
        ("--deadline", "BATON_DEADLINE", "0", "90s, 15m or 2h"),
        ("--ca-file", "BATON_CA_FILE", "missing.pem", "cannot read"),
        ("--file", "BATON_FILE", "sync.csv", "ends in .c1z"),
        (
            "--memberships-by",
            "BATON_MEMBERSHIPS_BY",
            "both",
            "auto, group or user",
        ),
        ("--output", "BATON_OUTPUT", "yaml", "text or json"),
        (
            "--log-level",
            "BATON_LOG_LEVEL",
            "loud",
            "error, warn, info, debug or trace",
        ),
        ("--log-format", "BATON_LOG_FORMAT", "xml", "console or json"),
    ] {
        let by_flag = folder.sync(&okta, &[flag, value]).end().code(2);
        assert_one_line(&by_flag, part, &[okta.token()]);
        assert!(by_flag.error().contains(flag), "{}", by_flag.stderr);
        let by_variable = folder.sync(&okta, &[]).env(variable, value).end().code(2);
        assert_one_line(&by_variable, part, &[okta.token()]);
        assert!(
            by_variable.error().contains(variable),
            "{}",
            by_variable.stderr
        );
    }
    for (variable, value, part) in [
        ("BATON_SKIP_SECONDARY_EMAILS", "maybe", "true or false"),
        ("BATON_DOMAIN", "", "--domain or BATON_DOMAIN is required"),
        (
            "BATON_EMAIL_DOMAINS",
            "",
            "--email-domains or BATON_EMAIL_DOMAINS is required",
        ),
        (
            "BATON_API_TOKEN",
            "",
            "--api-token-file or BATON_API_TOKEN is required",
        ),
        ("BATON_API_TOKEN", "two words", "not part of a token"),
        (
            "BATON_API_TOKEN_FILE",
            "also.txt",
            "BATON_API_TOKEN cannot be used with BATON_API_TOKEN_FILE",
        ),
    ] {
        let ran = folder.sync(&okta, &[]).env(variable, value).end().code(2);
        assert_one_line(&ran, part, &[okta.token(), "two words"]);
    }
    for (arguments, part) in [
        (
            vec!["--api-token", "a", "--api-token-file", "b"],
            "cannot be used with",
        ),
        (vec!["--api-token-file", "missing.txt"], "cannot open"),
        (vec!["--api-token-file", "-"], "contains no token"),
        (vec!["--skip-secondary-emails=maybe"], "true or false"),
        (vec!["--group-name-filter", ""], "leave it out"),
        (vec!["--file", ""], "expected a file, such as sync.c1z"),
        (vec!["--now", "noon"], "2026-01-31T12:00:00Z"),
        (vec!["--nonsense"], "--nonsense"),
        (vec!["-f", "none/sync.c1z"], "does not exist"),
        (vec!["-f", "/dev/full.c1z/x.c1z"], "does not exist"),
        (vec!["--manifest", "none/m.json"], "does not exist"),
        (vec!["--manifest", "./sync.c1z"], "the snapshot itself"),
    ] {
        let ran = folder.sync(&okta, &arguments).end().code(2);
        assert_one_line(&ran, part, &[okta.token()]);
    }
    assert_untouched(&folder);
}

#[test]
fn a_usage_error_is_one_line_that_names_the_command_that_was_typed() {
    let folder = Folder::new();
    for (arguments, message) in [
        (
            &["--max-drop", "3"][..],
            "--max-drop must follow sync; run `okta-ciam sync --max-drop PERCENT`",
        ),
        (
            &["-f", "new.c1z", "show"],
            "-f must follow show; run `okta-ciam show -f FILE`",
        ),
        (
            &["--domain", "x"],
            "--domain must follow a command; run `okta-ciam --help`",
        ),
        (
            &["verify", "-f", "a.c1z"],
            "verify has no option -f; run `okta-ciam verify --help`",
        ),
        (
            &["sync", "--fil", "a"],
            "sync has no option --fil; did you mean --file? Run `okta-ciam sync --help`",
        ),
        (
            &["none"],
            "no command is named \"none\"; run `okta-ciam --help`",
        ),
        (
            &["review"],
            "no command given; run `okta-ciam review --help`",
        ),
        (
            &["sync", "--max-drop"],
            "--max-drop requires a value; run `okta-ciam sync --help`",
        ),
        (
            &["--output"],
            "--output requires a value: text or json; run `okta-ciam --help`",
        ),
        (
            &["--Usage: okta-ciam x"],
            "okta-ciam has no option \"--Usage: okta-ciam x\"; run `okta-ciam --help`",
        ),
        (
            &["demo", "--serve", "--port", "abc"],
            "invalid value \"abc\" for --port: expected a whole number from 0 to 65535",
        ),
        (&["demo", "--port", "1"], "--port requires --serve"),
        (
            &["demo", "--serve", "--file", "x"],
            "--serve cannot be used with --file",
        ),
    ] {
        let ran = folder.run(arguments).end().code(2);
        assert_eq!(ran.stdout, "");
        assert!(
            ran.error().ends_with(&format!(" error: {message}")),
            "{arguments:?}: {}",
            ran.stderr
        );
        let json = [arguments, &["--output", "json"]].concat();
        if arguments != ["--output"] {
            let failure = folder.run(&json).end().code(2).json();
            assert_eq!(failure["exit_code"], 2, "{json:?}");
        }
    }
    assert!(folder.names().is_empty());
}

#[test]
fn hints_are_the_same_whatever_the_file_of_the_program_is_called() {
    let folder = Folder::new();
    let program = folder.path("renamed");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_okta-ciam"), &program).unwrap();
    for (arguments, hint) in [
        (
            &["verify", "-f", "a.c1z"][..],
            "run `okta-ciam verify --help`",
        ),
        (&["review"], "run `okta-ciam review --help`"),
        (&["--none"], "run `okta-ciam --help`"),
    ] {
        let mut command = std::process::Command::new(&program);
        let ran = command.args(arguments).env_clear().output().unwrap();
        let stderr = String::from_utf8(ran.stderr).unwrap();
        assert!(stderr.trim_end().ends_with(hint), "{stderr}");
    }
}

#[test]
fn a_folder_or_a_device_is_not_a_target() {
    let okta = Okta::unasked();
    let folder = with_previous();
    std::fs::create_dir(folder.path("folder.c1z")).unwrap();
    std::os::unix::fs::symlink("/dev/null", folder.path("device.c1z")).unwrap();
    for (file, part) in [
        ("folder.c1z", "is a folder"),
        ("device.c1z", "not a regular file"),
    ] {
        let ran = folder.sync(&okta, &["-f", file]).end().code(2);
        assert_one_line(&ran, part, &[]);
    }
}

#[test]
fn a_wrong_token_ends_with_5_and_is_not_repeated() {
    let options = Options {
        expect_unauthorized: true,
        ..unlimited()
    };
    let okta = Okta::with_options(Org::demo(), options);
    let folder = with_previous();
    let ran = folder
        .sync(&okta, &["--log-level", "trace"])
        .env("BATON_API_TOKEN", "00wrongtoken")
        .end()
        .code(5);
    assert_one_line(&ran, "E0000011", &["00wrongtoken"]);
    assert_untouched(&folder);
    assert!(okta.count() <= 2, "401 is not retried");
}

#[test]
fn a_missing_permission_ends_with_5_and_names_the_request() {
    let okta = Okta::with(Org::demo());
    okta.fault(Fault::on(Endpoint::Groups, Action::okta(403, "E0000006")));
    let folder = with_previous();
    let ran = folder.sync(&okta, &[]).end().code(5);
    assert_one_line(
        &ran,
        "GET /api/v1/groups: Okta returned 403 E0000006",
        &[okta.token()],
    );
    assert!(ran.error().contains("[request "), "{}", ran.error());
    assert_only_the_state_is_new(&folder);
}

#[test]
fn an_org_without_visible_users_ends_with_5() {
    let okta = Okta::with(Org::new());
    let folder = with_previous();
    for arguments in [vec![], vec!["--allow-empty"], vec!["--plan"]] {
        let ran = folder.sync(&okta, &arguments).end().code(5);
        assert_one_line(&ran, "returned no users", &[]);
    }
    assert_untouched(&folder);
}

#[test]
fn exhausted_retries_end_with_6() {
    let okta = Okta::with(Org::demo());
    okta.fault(Fault::on(Endpoint::Users, Action::okta(503, "E0000010")));
    let folder = with_previous();
    let ran = folder.sync(&okta, &[]).end().code(6);
    assert_one_line(
        &ran,
        "GET /api/v1/users: gave up after 8 attempts: Okta returned 503 E0000010",
        &[],
    );
    assert!(
        ran.error().contains("gave up after 8 attempts"),
        "{}",
        ran.error()
    );
    assert_eq!(okta.asked("/api/v1/users").len(), 8);
    assert!(
        ran.took > Duration::from_secs(20),
        "0.5 s doubling to 30 s, jittered: {:?}",
        ran.took
    );
    assert_only_the_state_is_new(&folder);
}

#[test]
fn a_deadline_ends_a_wait_at_once_with_6() {
    let okta = Okta::with(Org::demo());
    okta.fault(Fault::on(Endpoint::Users, Action::RateLimited(3_000)));
    let folder = with_previous();
    let ran = folder.sync(&okta, &["--deadline", "70s"]).end().code(6);
    assert_one_line(
        &ran,
        "--deadline is over before the wait for Okta's rate limit (users) ends",
        &[],
    );
    assert!(ran.took < Duration::from_secs(70), "{:?}", ran.took);
    assert_only_the_state_is_new(&folder);
}

#[test]
fn an_attempt_that_hangs_ends_at_the_deadline() {
    let okta = Okta::with(Org::demo());
    okta.fault(Fault::on(
        Endpoint::Groups,
        Action::Delay(Duration::from_secs(3_600)),
    ));
    let folder = with_previous();
    let ran = folder.sync(&okta, &["--deadline", "10s"]).end();
    ran.fails(6, "--deadline");
    assert_only_the_state_is_new(&folder);
}

#[test]
fn an_unreachable_host_ends_with_6() {
    let folder = with_previous();
    // Binding a port and closing it gives a port on which no process listens.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let okta = Okta::unasked();
    let ran = folder
        .sync(&okta, &["--deadline", "10s"])
        .env("BATON_DOMAIN", &format!("http://127.0.0.1:{port}"))
        .end()
        .code(6);
    assert_one_line(&ran, "cannot connect", &[]);
    assert_untouched(&folder);
}

#[test]
fn no_user_in_scope_ends_with_8_unless_allowed() {
    let okta = Okta::with(Org::demo());
    let folder = with_previous();
    let ran = folder
        .sync(&okta, &[])
        .env("BATON_EMAIL_DOMAINS", "nobody.example")
        .end()
        .code(8);
    assert_one_line(&ran, "no address is in nobody.example", &[]);
    let ran = folder
        .sync(&okta, &["--group-name-filter", "no such name"])
        .end()
        .code(8);
    assert_one_line(&ran, "no name contains \"no such name\"", &[]);
    assert_untouched(&folder);
    let ran = folder
        .sync(
            &okta,
            &["--allow-empty", "-f", "empty.c1z", "--output", "json"],
        )
        .env("BATON_EMAIL_DOMAINS", "nobody.example")
        .ok();
    assert_eq!(ran.json()["users"]["in_scope"], 0);
}

#[test]
fn a_second_run_on_the_same_file_ends_with_9() {
    let okta = Okta::with(Org::demo());
    let (open, closed) = gate();
    okta.fault(Fault::on(Endpoint::Groups, closed));
    let folder = with_previous();
    let first = folder.sync(&okta, &[]).start();
    while okta.count() == 0 {
        std::thread::sleep(Duration::from_millis(10));
    }
    let second = folder.sync(&okta, &[]).end().code(9);
    assert_one_line(&second, "is locked by another run", &[]);
    let second = folder.sync(&okta, &["--output", "json"]).end().code(9);
    assert_eq!(second.json()["error"], "locked");
    drop(open);
    first.end().code(0);
    assert_eq!(folder.names(), ["sync.c1z".to_owned()].into());
}

#[test]
fn a_redirect_is_not_followed() {
    let okta = Okta::with(Org::demo());
    let elsewhere = Okta::unasked();
    okta.fault(Fault::on(
        Endpoint::Users,
        Action::Redirect(format!("{}/api/v1/users", elsewhere.origin())),
    ));
    let folder = with_previous();
    let ran = folder.sync(&okta, &[]).end().code(2);
    assert_one_line(&ran, "redirect to 127.0.0.1", &[okta.token()]);
    assert_only_the_state_is_new(&folder);
}

#[test]
fn a_failure_as_json_is_one_object_on_stdout() {
    let okta = Okta::with(Org::demo());
    okta.fault(Fault::on(Endpoint::Users, Action::okta(403, "E0000006")));
    let folder = with_previous();
    let ran = folder.sync(&okta, &["--output", "json"]).end().code(5);
    let failure = ran.json();
    assert_eq!(failure["error"], "credentials");
    assert_eq!(failure["exit_code"], 5);
    assert!(failure["message"].as_str().unwrap().contains("E0000006"));
    assert!(failure["request_id"].is_string());
    let usage = folder
        .run(&["sync", "--nonsense", "--output", "json"])
        .end()
        .code(2);
    assert_eq!(usage.json()["exit_code"], 2);
    assert_eq!(usage.json()["request_id"], serde_json::Value::Null);
    let missing = folder
        .run(&["sync"])
        .env("BATON_OUTPUT", "json")
        .end()
        .code(2);
    assert_eq!(missing.json()["error"], "failed");
}
