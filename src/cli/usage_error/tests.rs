use super::*;
use crate::cli::Cli;

fn message(arguments: &[&str]) -> String {
    let words = ["okta-ciam"].iter().chain(arguments);
    let words: Vec<OsString> = words.map(OsString::from).collect();
    let error = Cli::read(&words).unwrap_err();
    assert!(error.use_stderr(), "{arguments:?}");
    one_line(&error, words)
}

#[track_caller]
fn check(rows: &[(&[&str], &str)]) {
    for (arguments, expected) in rows {
        assert_eq!(message(arguments), *expected, "{arguments:?}");
    }
}

#[test]
fn an_option_before_its_command_names_the_command_that_was_typed() {
    check(&[
        (
            &["--domain", "x", "check"],
            "--domain must follow check; run `okta-ciam check --domain HOST`",
        ),
        (
            &["-f", "new.c1z", "show"],
            "-f must follow show; run `okta-ciam show -f FILE`",
        ),
        (
            &["--file=new.c1z", "show", "users"],
            "--file must follow show users; run `okta-ciam show users --file FILE`",
        ),
        (
            &["--email-domains", "example.com", "grant"],
            "--email-domains must follow grant; run `okta-ciam grant --email-domains DOMAINS`",
        ),
        (
            &["-p", "grant", "--user", "x"],
            "-p must follow grant; run `okta-ciam grant -p`",
        ),
        (
            &["-qp", "revoke"],
            "-p must follow revoke; run `okta-ciam revoke -p`",
        ),
        (
            &["--privileged", "admin", "review", "start"],
            "--privileged must follow review start; run `okta-ciam review start --privileged TEXT`",
        ),
        // A value can be the name of a command.
        (
            &["--group", "sync", "--user", "check", "grant"],
            "--group must follow grant; run `okta-ciam grant --group GROUP`",
        ),
        (
            &["--output", "json", "-f", "sync", "verify"],
            "verify has no option -f; run `okta-ciam verify --help`",
        ),
    ]);
}

#[test]
fn an_option_without_a_command_names_one_only_if_no_other_has_it() {
    check(&[
        (
            &["--domain", "x", "--api-token", "y"],
            "--domain must follow a command; run `okta-ciam --help`",
        ),
        (
            &["-f", "a.c1z"],
            "-f must follow a command; run `okta-ciam --help`",
        ),
        (&["-p"], "-p must follow a command; run `okta-ciam --help`"),
        (
            &["--max-drop", "3"],
            "--max-drop must follow sync; run `okta-ciam sync --max-drop PERCENT`",
        ),
        (
            &["--all-groups"],
            "--all-groups must follow revoke; run `okta-ciam revoke --all-groups`",
        ),
        (
            &["show", "--columns", "login"],
            "--columns must follow a command of show; run `okta-ciam show --help`",
        ),
        (
            &["review", "--only-flagged"],
            "--only-flagged must follow review start; run `okta-ciam review start --only-flagged`",
        ),
    ]);
}

#[test]
fn a_wrong_option_or_argument_names_the_help_of_its_command() {
    check(&[
        (
            &["sync", "-"],
            "unexpected argument \"-\"; run `okta-ciam sync --help`",
        ),
        // The value of a hidden option is no command either.
        (
            &["--now", "check", "sync"],
            "sync has no option --now; run `okta-ciam sync --help`",
        ),
        (
            &["--nonsense"],
            "okta-ciam has no option --nonsense; run `okta-ciam --help`",
        ),
        (
            &["--nonsense", "sync"],
            "sync has no option --nonsense; run `okta-ciam sync --help`",
        ),
        (
            &["show", "--max-drop", "3"],
            "show has no option --max-drop; run `okta-ciam show --help`",
        ),
        (
            &["review", "start", "--none"],
            "review start has no option --none; run `okta-ciam review start --help`",
        ),
        (
            &["sync", "-x"],
            "sync has no option -x; run `okta-ciam sync --help`",
        ),
        (
            &["sync", "x"],
            "unexpected argument \"x\"; run `okta-ciam sync --help`",
        ),
        (
            &["sync", "--", "--domain"],
            "unexpected argument \"--domain\"; run `okta-ciam sync --help`",
        ),
        (
            &["--", "sync"],
            "unexpected argument \"sync\"; run `okta-ciam --help`",
        ),
        (
            &["--Usage: okta-ciam x"],
            "okta-ciam has no option \"--Usage: okta-ciam x\"; run `okta-ciam --help`",
        ),
        (
            &["sync", "--a\nb"],
            "sync has no option \"--a\\nb\"; run `okta-ciam sync --help`",
        ),
    ]);
}

#[test]
fn a_similar_name_is_suggested_with_one_semicolon() {
    check(&[
        (
            &["export", "--fil=a"],
            "export has no option --fil; did you mean --file? Run `okta-ciam export --help`",
        ),
        (
            &["--outpt", "json", "sync"],
            "sync has no option --outpt; did you mean --output? Run `okta-ciam sync --help`",
        ),
        (
            &["snyc"],
            "no command is named \"snyc\"; did you mean sync? Run `okta-ciam --help`",
        ),
        (
            &["show", "-f", "a.c1z", "usr", "users"],
            "no command of show is named \"usr\"; did you mean user? Run `okta-ciam show --help`",
        ),
    ]);
}

#[test]
fn an_option_of_the_go_connector_gets_its_replacement() {
    check(&[
        (
            &["--grant-entitlement", "x", "--grant-principal", "y"],
            "okta-ciam has no option --grant-entitlement; to add a user to a group, run \
             `okta-ciam grant --user USER --group GROUP`",
        ),
        (
            &["--revoke-grant=x"],
            "okta-ciam has no option --revoke-grant; to revoke a Baton grant, run \
             `okta-ciam revoke --grant-id ID`",
        ),
        (
            &["sync", "--client-id", "x"],
            "sync has no option --client-id; okta-ciam does not upload snapshots: \
             ConductorOne imports the file",
        ),
    ]);
}

#[test]
fn a_missing_or_unknown_command_names_the_help_that_lists_commands() {
    check(&[
        (&[], "no command given; run `okta-ciam --help`"),
        (&["-q"], "no command given; run `okta-ciam --help`"),
        (
            &["--output", "sync"],
            "no command given; run `okta-ciam --help`",
        ),
        (
            &["review"],
            "no command given; run `okta-ciam review --help`",
        ),
        (
            &["zzz", "sync"],
            "no command is named \"zzz\"; run `okta-ciam --help`",
        ),
        (
            &["review", "zzz"],
            "no command of review is named \"zzz\"; run `okta-ciam review --help`",
        ),
        (&[""], "no command is named \"\"; run `okta-ciam --help`"),
    ]);
}

#[test]
fn a_missing_value_or_argument_is_named_with_the_help_of_its_command() {
    check(&[
        (
            &["sync", "--max-drop"],
            "--max-drop requires a value; run `okta-ciam sync --help`",
        ),
        (
            &["show", "-f"],
            "--file requires a value; run `okta-ciam show --help`",
        ),
        (
            &["grant", "--user"],
            "--user requires a value; run `okta-ciam grant --help`",
        ),
        (
            &["--output"],
            "--output requires a value: text or json; run `okta-ciam --help`",
        ),
        (
            &["sync", "--output"],
            "--output requires a value: text or json; run `okta-ciam sync --help`",
        ),
        (
            &["findings", "--check"],
            "--check requires a value; run `okta-ciam findings --help`",
        ),
        (
            &["sync", "--fresh=yes"],
            "--fresh takes no value; run `okta-ciam sync --help`",
        ),
        (
            &["diff"],
            "OLD and NEW are required; run `okta-ciam diff --help`",
        ),
        (
            &["review", "status"],
            "SHEET is required; run `okta-ciam review status --help`",
        ),
        (
            &["show", "user"],
            "USER is required; run `okta-ciam show user --help`",
        ),
    ]);
}

#[test]
fn options_that_exclude_each_other_are_both_named() {
    check(&[
        (
            &["demo", "--serve", "--file", "x"],
            "--serve cannot be used with --file",
        ),
        (
            &["man", "sync", "--to", "x"],
            "COMMAND cannot be used with --to",
        ),
        (
            &["sync", "-f", "a", "-f", "b"],
            "--file cannot be used more than once",
        ),
        (
            &["sync", "--fresh", "--fresh"],
            "--fresh cannot be used more than once",
        ),
    ]);
}

#[cfg(unix)]
#[test]
fn an_argument_that_is_not_utf_8_is_refused() {
    use std::os::unix::ffi::OsStringExt as _;
    let bad = OsString::from_vec(b"-f\xff".to_vec());
    let words = ["okta-ciam".into(), "sync".into(), bad];
    let error = Cli::read(&words).unwrap_err();
    assert_eq!(one_line(&error, words), "an argument is not UTF-8");
}
