//! Tests `grant` and `revoke`. A bug here gives access to the wrong people: a refused change must not be sent, a change
//! must be sent once, and each change must be in the audit log.

use std::time::Duration;

use okta_fake::{Action, Endpoint, Fault, Group, Options, Org, Rule, User};
use serde_json::Value;

use crate::support::{Folder, Okta, Ran, Run, unlimited};

const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";

/// Returns an org in which Ada is in `team` and Bob is not, with one example of everything that is refused.
fn org() -> Org {
    let mut org = Org::new();
    org.add_user(User::with_email("00uada", ADA));
    org.add_user(User::with_email("00ubob", BOB));
    org.add_user(User::with_email("00uout", "out@elsewhere.example"));
    org.add_user(User::with_email("00ugone", "gone@example.com").status("DEPROVISIONED"));
    // Two users with the same email.
    org.add_user(User::new(
        "00utwin1",
        r#"{"login":"one@example.com","email":"twin@example.com"}"#,
    ));
    org.add_user(
        User::new(
            "00utwin2",
            r#"{"login":"two@example.com","email":"Twin@example.com"}"#,
        )
        .status("SUSPENDED"),
    );
    org.add_group(Group::new("00gteam", "team"));
    org.add_group(Group::new("00gother", "other"));
    org.add_group(Group::new("00gadmins", "helpers"));
    org.edit_group("00gadmins", |group| group.admin = Some(true));
    org.add_group(Group::new("00gquiet", "quiet"));
    org.edit_group("00gquiet", |group| group.admin = None);
    org.add_group(Group::new("00gapp", "from a directory").kind("APP_GROUP"));
    org.add_group(Group::new("00gsame1", "same"));
    org.add_group(Group::new("00gsame2", "same"));
    org.add_group(Group::new("00gruled", "ruled"));
    for (group, user) in [
        ("00gteam", "00uada"),
        ("00gruled", "00uada"),
        ("00gadmins", "00uada"),
        ("00gteam", "00ugone"),
    ] {
        assert!(org.join(group, user));
    }
    org.rules.push(Rule {
        id: "0pr1".to_owned(),
        name: "by department".to_owned(),
        status: "ACTIVE".to_owned(),
        expression: "true".to_owned(),
        groups: vec!["00gruled".to_owned()],
        managed: vec!["00uada".to_owned()],
        excluded: vec![],
        created: 0,
    });
    org
}

fn change(folder: &Folder, okta: &Okta, arguments: &[&str]) -> Run {
    folder
        .run(arguments)
        .env("BATON_DOMAIN", &okta.origin())
        .env("BATON_API_TOKEN", okta.token())
        .env("BATON_EMAIL_DOMAINS", "example.com")
        .env("BATON_PROVISIONING", "true")
}

fn grant(folder: &Folder, okta: &Okta, user: &str, group: &str) -> Run {
    change(
        folder,
        okta,
        &[
            "grant", "--user", user, "--group", group, "--output", "json",
        ],
    )
}

fn revoke(folder: &Folder, okta: &Okta, user: &str, group: &str) -> Run {
    change(
        folder,
        okta,
        &[
            "revoke", "--user", user, "--group", group, "--yes", "--output", "json",
        ],
    )
}

/// Adds Bob to the team, with an audit log.
fn grant_logged(folder: &Folder, okta: &Okta) -> Run {
    let arguments = [
        "grant",
        "--user",
        BOB,
        "--group",
        "team",
        "--audit-log",
        "log",
        "--output",
        "json",
    ];
    change(folder, okta, &arguments)
}

fn result(ran: &Ran) -> String {
    ran.json()["rows"][0]["result"].as_str().unwrap().to_owned()
}

/// Returns the number of PUT and DELETE requests that the server received, including those without a response.
fn changes_sent(okta: &Okta) -> usize {
    okta.requests()
        .iter()
        .filter(|request| request.method != "GET")
        .count()
}

fn records(folder: &Folder, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.path(name)).unwrap();
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

#[test]
fn a_grant_and_a_revoke_send_one_change_each_and_nothing_if_it_is_already_made() {
    let okta = Okta::with(org());
    let folder = Folder::new();
    for (user, group) in [
        (BOB, "team"),
        ("00ubob", "00gother"),
        ("BOB@Example.COM", "group:00gquiet:member"),
    ] {
        let mut run = grant(&folder, &okta, user, group);
        if group.contains("quiet") {
            run = change(
                &folder,
                &okta,
                &[
                    "grant", "--user", user, "--group", group, "--yes", "--output", "json",
                ],
            );
        }
        assert_eq!(result(&run.ok()), "changed");
    }
    assert_eq!(changes_sent(&okta), 3);
    for group in ["00gteam", "00gother", "00gquiet"] {
        assert!(okta.org().is_member(group, "00ubob"), "{group}");
    }
    assert_eq!(
        result(&grant(&folder, &okta, BOB, "team").ok()),
        "unchanged"
    );
    assert_eq!(changes_sent(&okta), 3);
    assert_eq!(result(&revoke(&folder, &okta, BOB, "team").ok()), "changed");
    assert_eq!(changes_sent(&okta), 4);
    assert!(!okta.org().is_member("00gteam", "00ubob"));
    let ran = revoke(&folder, &okta, BOB, "team").ok();
    assert_eq!(result(&ran), "unchanged");
    assert!(
        ran.took > Duration::from_secs(3),
        "an absent membership is read twice, three seconds apart"
    );
    assert_eq!(changes_sent(&okta), 4);
}

#[test]
fn every_refusal_sends_nothing() {
    let okta = Okta::with(org());
    let folder = Folder::new();
    for (user, group, code, part) in [
        (
            "out@elsewhere.example",
            "team",
            4,
            "out of scope: no address in example.com",
        ),
        ("gone@example.com", "other", 4, "DEPROVISIONED"),
        (
            "twin@example.com",
            "other",
            4,
            "several users: 00utwin1 (one@example.com, ACTIVE), 00utwin2 (two@example.com, SUSPENDED)",
        ),
        ("nobody@example.com", "team", 2, "no user has"),
        ("bob", "team", 2, "no user has"),
        ("me", "team", 2, "no user has"),
        ("..", "team", 2, "no user has"),
        (BOB, "from a directory", 4, "APP_GROUP"),
        (BOB, "Everyone", 4, "BUILT_IN"),
        (BOB, "same", 4, "several groups"),
        (BOB, "TEAM", 4, "did you mean \"team\""),
        (BOB, "no such group", 2, "no group has"),
        (BOB, "group:00gnone:member", 2, "no group has"),
        (BOB, "group:00g/none:member", 2, "no group has"),
        (BOB, "helpers", 4, "--yes"),
        (BOB, "quiet", 4, "--yes"),
    ] {
        let ran = change(&folder, &okta, &["grant", "--user", user, "--group", group])
            .end()
            .fails(code, part);
        assert_eq!(ran.stdout, "");
    }
    let filtered = change(
        &folder,
        &okta,
        &[
            "grant",
            "--user",
            BOB,
            "--group",
            "team",
            "--group-name-filter",
            "vpn",
        ],
    );
    filtered.end().code(4).says("does not contain \"vpn\"");
    // `revoke` prompts, but there is no terminal; with a group rule, it needs the flag.
    for (group, part) in [("team", "no terminal"), ("ruled", "needs --yes")] {
        change(&folder, &okta, &["revoke", "--user", ADA, "--group", group])
            .end()
            .fails(4, part);
    }
    std::fs::write(folder.path("list.csv"), format!("user,group\n{BOB},team\n")).unwrap();
    change(&folder, &okta, &["grant", "--from", "list.csv"])
        .end()
        .code(4)
        .says("no terminal");
    let piped = change(&folder, &okta, &["grant", "--from", "-"])
        .stdin(format!("user,group\n{BOB},team\n").as_bytes());
    piped.end().code(4).says("--from reads standard input");
    assert_eq!(changes_sent(&okta), 0);
    assert!(okta.changes().is_empty());
}

#[test]
fn without_provisioning_no_request_is_sent() {
    let okta = Okta::unasked();
    let folder = Folder::new();
    for value in ["", "false", "0"] {
        let run = change(&folder, &okta, &["grant", "--user", BOB, "--group", "team"])
            .env("BATON_PROVISIONING", value);
        run.end().code(4).says("without --provisioning");
    }
    change(&folder, &okta, &["grant", "--user", BOB, "--group", "team"])
        .env("BATON_PROVISIONING", "yes")
        .end()
        .fails(2, "invalid value \"yes\" for BATON_PROVISIONING");
}

#[test]
fn invalid_arguments_and_lists_are_reported_before_any_request() {
    let okta = Okta::unasked();
    let folder = Folder::new();
    std::fs::write(folder.path("bad.csv"), "user,group\na@example.com\n").unwrap();
    std::fs::write(folder.path("empty.csv"), "user,group\n").unwrap();
    for (arguments, part) in [
        (
            vec!["grant"],
            "requires exactly one of these: --user and --group",
        ),
        (vec!["grant", "--user", BOB], "must be used together"),
        (
            vec!["grant", "--user", BOB, "--group", "x", "--from", "y"],
            "requires exactly one of these",
        ),
        (
            vec!["grant", "--user", "", "--group", "x"],
            "must not be empty",
        ),
        (
            vec!["grant", "--grant-id", "group:a:member:user:b"],
            "--grant-id",
        ),
        (
            vec!["revoke", "--grant-id", "role:a:assigned:user:b"],
            "is not a grant id",
        ),
        (
            vec!["grant", "--from", "bad.csv"],
            "line 2: the group is empty",
        ),
        (vec!["grant", "--from", "empty.csv"], "no rows"),
        (vec!["grant", "--from", "missing.csv"], "cannot read"),
        (
            vec!["grant", "--from", "-", "--api-token-file", "-"],
            "--from - cannot be used with --api-token-file -",
        ),
        (
            vec![
                "grant",
                "--user",
                BOB,
                "--group",
                "x",
                "--audit-log",
                "none/log",
            ],
            "cannot open the audit log",
        ),
    ] {
        change(&folder, &okta, &arguments).end().fails(2, part);
    }
}

#[test]
fn a_dry_run_shows_the_plan_and_sends_no_change() {
    let okta = Okta::with(org());
    let folder = Folder::new();
    let ran = change(
        &folder,
        &okta,
        &[
            "grant",
            "--user",
            BOB,
            "--group",
            "team",
            "--dry-run",
            "--audit-log",
            "log",
        ],
    )
    .without("BATON_PROVISIONING")
    .ok();
    assert!(
        ran.stdout.contains("planned") && ran.stdout.contains(BOB),
        "{}",
        ran.stdout
    );
    assert_eq!(changes_sent(&okta), 0);
    assert!(folder.names().is_empty());
}

#[test]
fn rules_and_admin_roles_are_printed_and_confirmed() {
    let okta = Okta::with(org());
    let folder = Folder::new();
    revoke(&folder, &okta, ADA, "ruled")
        .ok()
        .says("\"by department\"")
        .says("exclusion list");
    change(
        &folder,
        &okta,
        &["grant", "--user", BOB, "--group", "helpers", "--yes"],
    )
    .ok()
    .says("admin role");
    assert_eq!(okta.org().rules[0].excluded, ["00uada"]);
    okta.change_options(|options| options.forbid_rules = true);
    let ran = change(
        &folder,
        &okta,
        &["revoke", "--user", ADA, "--group", "team"],
    )
    .end()
    .code(4);
    ran.says("cannot read the group rules");
    revoke(&folder, &okta, ADA, "team").ok();
    assert_eq!(changes_sent(&okta), 3);
}

#[test]
fn a_group_is_found_by_name_if_okta_refuses_the_search() {
    let okta = Okta::with(org());
    okta.fault(Fault::on(Endpoint::Groups, Action::okta(400, "E0000031")).query("search="));
    let folder = Folder::new();
    grant(&folder, &okta, BOB, "team").ok();
    assert!(okta.org().is_member("00gteam", "00ubob"));
    assert_eq!(changes_sent(&okta), 1);
}

#[test]
fn a_user_is_found_with_any_login_and_if_okta_refuses_a_search() {
    let mut org = org();
    org.add_user(User::new(
        "00uslash",
        r#"{"login":"EXAMPLE/dora","email":"dora@example.com"}"#,
    ));
    // The login of one user is the email of another.
    org.add_user(User::new(
        "00uothers",
        r#"{"login":"else@example.com","email":"bob@example.com"}"#,
    ));
    let okta = Okta::with(org);
    let folder = Folder::new();
    grant(&folder, &okta, "example/DORA", "team").ok();
    assert!(okta.org().is_member("00gteam", "00uslash"));
    grant(&folder, &okta, "example/nobody", "team")
        .end()
        .code(2)
        .says("no user has the id");
    // A refused search does not mean that the token is invalid, and a user who is found by path needs no search.
    for (status, code) in [(400, "E0000031"), (400, "E0000001")] {
        okta.clear_faults();
        okta.fault(Fault::on(Endpoint::Users, Action::okta(status, code)).query("search="));
        let before = okta.asked("/api/v1/users").len();
        grant(&folder, &okta, BOB, "team").ok();
        assert_eq!(okta.asked("/api/v1/users").len(), before);
        revoke(&folder, &okta, BOB, "team").ok();
        assert!(!okta.org().is_member("00gteam", "00uothers"));
        grant(&folder, &okta, "dora@example.com", "other").ok();
        revoke(&folder, &okta, "EXAMPLE/dora", "other").ok();
    }
    okta.clear_faults();
    okta.fault(Fault::on(Endpoint::Users, Action::okta(400, "E0000031")));
    let ran = grant(&folder, &okta, "dora@example.com", "other")
        .end()
        .code(2);
    assert!(ran.error().contains("E0000031"), "{}", ran.stderr);
}

#[test]
fn a_grant_id_of_baton_is_revoked() {
    let okta = Okta::with(org());
    let folder = Folder::new();
    change(
        &folder,
        &okta,
        &[
            "revoke",
            "--yes",
            "--grant-id",
            "group:00gteam:member:user:00uada",
        ],
    )
    .ok();
    assert!(!okta.org().is_member("00gteam", "00uada"));
}

#[test]
fn a_deprovisioned_user_can_be_revoked() {
    let okta = Okta::with(org());
    let folder = Folder::new();
    revoke(&folder, &okta, "gone@example.com", "team").ok();
    assert!(!okta.org().is_member("00gteam", "00ugone"));
}

#[test]
fn a_list_is_processed_row_by_row_and_a_second_run_changes_nothing() {
    let okta = Okta::with(org());
    let folder = Folder::new();
    let list = format!(
        "user,group\n{BOB},team\nnobody@example.com,team\n{BOB},other\n00ubob,team\n{ADA},team\n{BOB},Everyone\n"
    );
    std::fs::write(folder.path("list.csv"), list).unwrap();
    let arguments = [
        "grant",
        "--from",
        "list.csv",
        "--yes",
        "--output",
        "json",
        "--audit-log",
        "log",
    ];
    // The refusal of line 7 (4) takes precedence over partial (3).
    let ran = change(&folder, &okta, &arguments).end().code(4);
    let results = |ran: &Ran| -> Vec<String> {
        let json = ran.json();
        let rows = json["rows"].as_array().unwrap().iter();
        rows.map(|row| format!("{} {}", row["line"], row["result"].as_str().unwrap()))
            .collect()
    };
    assert_eq!(
        results(&ran),
        [
            "2 changed",
            "3 refused",
            "4 changed",
            "5 duplicate",
            "6 unchanged",
            "7 refused"
        ]
    );
    assert_eq!(ran.json()["error"], "refused");
    assert_eq!(changes_sent(&okta), 2);
    let again = change(&folder, &okta, &arguments).end().code(4);
    assert_eq!(
        results(&again),
        [
            "2 unchanged",
            "3 refused",
            "4 unchanged",
            "5 duplicate",
            "6 unchanged",
            "7 refused"
        ]
    );
    assert_eq!(changes_sent(&okta), 2);
    // Two lines per change and one per refused or unchanged row, in both runs.
    assert_eq!(records(&folder, "log").len(), 4 + 3 + 5);
    std::fs::write(
        folder.path("bad.csv"),
        "user,group
nobody@example.com,team
",
    )
    .unwrap();
    change(&folder, &okta, &["grant", "--from", "bad.csv", "--yes"])
        .end()
        .fails(
            2,
            "line 2: no user has the id, login or email \"nobody@example.com\"",
        );
    let piped = change(&folder, &okta, &["revoke", "--from", "-", "--yes"])
        .stdin(b"user,group\nbob@example.com,team\n");
    piped.ok();
    assert!(!okta.org().is_member("00gteam", "00ubob"));
}

#[test]
fn a_review_sheet_revokes_the_rows_with_that_decision() {
    let okta = Okta::with(org());
    let folder = Folder::new();
    std::fs::write(
        folder.path("sheet.csv"),
        format!("user,group,decision\n{ADA},team,revoke\n{ADA},helpers,keep\n"),
    )
    .unwrap();
    change(&folder, &okta, &["revoke", "--from", "sheet.csv", "--yes"]).ok();
    assert!(!okta.org().is_member("00gteam", "00uada"));
    assert!(okta.org().is_member("00gadmins", "00uada"));
}

#[test]
fn a_thousand_rows_look_each_user_and_group_up_once() {
    let mut org = org();
    for number in 0..50 {
        org.add_group(Group::new(
            &format!("00gmany{number:03}"),
            &format!("many {number}"),
        ));
    }
    for number in 0..20 {
        org.add_user(User::with_email(
            &format!("00umany{number:03}"),
            &format!("many{number}@example.com"),
        ));
    }
    let okta = Okta::with(org);
    let folder = Folder::new();
    let mut list = "user,group\n".to_owned();
    for user in 0..20 {
        for group in 0..50 {
            list += &format!("many{user}@example.com,many {group}\n");
        }
    }
    std::fs::write(folder.path("list.csv"), list).unwrap();
    change(&folder, &okta, &["grant", "--from", "list.csv", "--yes"]).ok();
    assert_eq!(changes_sent(&okta), 1_000);
    let gets = okta.requests().len() - 1_000;
    // Per user one look-up and two listings of groups, per group one look-up, and one list of rules.
    assert_eq!(gets, 20 * 3 + 50 + 1);
}

#[test]
fn a_change_whose_response_was_lost_is_checked_for_the_read_lag_and_not_sent_again() {
    let options = Options {
        read_lag: Duration::from_secs(6),
        ..unlimited()
    };
    let okta = Okta::with_options(org(), options);
    okta.fault(Fault::on(Endpoint::Member, Action::ApplyThenClose).nth(1));
    let folder = Folder::new();
    grant_logged(&folder, &okta).ok();
    assert_eq!(changes_sent(&okta), 1);
    assert_eq!(records(&folder, "log")[1]["outcome"], "done, response lost");
}

#[test]
fn a_refusal_after_a_lost_response_is_verified() {
    let options = Options {
        read_lag: Duration::from_secs(14),
        ..unlimited()
    };
    let okta = Okta::with_options(org(), options);
    okta.fault(Fault::on(Endpoint::Member, Action::ApplyThenClose).nth(1));
    okta.fault(Fault::on(Endpoint::Member, Action::okta(403, "E0000006")).from(2));
    let folder = Folder::new();
    let ran = grant_logged(&folder, &okta).ok();
    assert_eq!(result(&ran), "changed");
    assert_eq!(records(&folder, "log")[1]["outcome"], "done, response lost");
}

#[test]
fn a_second_run_right_after_the_first_sends_nothing_again_if_reads_lag() {
    let options = Options {
        read_lag: Duration::from_secs(5),
        ..unlimited()
    };
    let okta = Okta::with_options(org(), options);
    let folder = Folder::new();
    let running = grant_logged(&folder, &okta).start();
    while okta.changes().is_empty() || records(&folder, "log").len() < 2 {
        std::thread::sleep(Duration::from_millis(5));
    }
    running.signal("KILL");
    running.end();
    assert_eq!(result(&grant_logged(&folder, &okta).ok()), "unchanged");
    assert_eq!(changes_sent(&okta), 1);
}

#[test]
fn a_row_that_okta_refuses_does_not_stop_the_others() {
    let okta = Okta::with(org());
    okta.fault(Fault::path(
        "/api/v1/users/00uada",
        Action::okta(403, "E0000006"),
    ));
    okta.fault(Fault::path(
        "/api/v1/groups/00gother/users/00ubob",
        Action::okta(403, "E0000006"),
    ));
    let folder = Folder::new();
    let list = "user,group\n00uada,other\n00ubob,other\n00ubob,team\n00ubob,other\n";
    std::fs::write(folder.path("list.csv"), list).unwrap();
    let arguments = ["grant", "--from", "list.csv", "--yes", "--output", "json"];
    let ran = change(&folder, &okta, &arguments).end().code(5);
    let rows = ran.json()["rows"].clone();
    let results: Vec<&str> = (0..4)
        .map(|row| rows[row]["result"].as_str().unwrap())
        .collect();
    assert_eq!(results, ["refused", "failed", "changed", "duplicate"]);
}

#[test]
fn a_row_to_keep_protects_a_membership_in_any_spelling() {
    let okta = Okta::with(org());
    let folder = Folder::new();
    let sheet =
        format!("user,group,decision\n{ADA},team,revoke\n00uada,group:00gteam:member,keep\n");
    std::fs::write(folder.path("sheet.csv"), sheet).unwrap();
    let ran = change(&folder, &okta, &["revoke", "--from", "sheet.csv", "--yes"])
        .end()
        .fails(4, "line 2: line 3 ");
    assert!(
        ran.stdout.contains("line 3 contradicts this decision"),
        "{}",
        ran.stdout
    );
    assert_eq!(changes_sent(&okta), 0);
}

#[test]
fn spaces_in_group_names_matter() {
    let mut org = org();
    org.add_group(Group::new("00gspace", " team"));
    let okta = Okta::with(org);
    let folder = Folder::new();
    std::fs::write(
        folder.path("list.csv"),
        format!("user,group\n{BOB},\" team\"\n"),
    )
    .unwrap();
    change(&folder, &okta, &["grant", "--from", "list.csv", "--yes"]).ok();
    assert!(okta.org().is_member("00gspace", "00ubob"));
    assert!(!okta.org().is_member("00gteam", "00ubob"));
}

#[test]
fn an_audit_log_that_is_not_a_regular_file_is_refused_at_once() {
    let okta = Okta::unasked();
    let folder = Folder::new();
    for path in ["/dev/full", "/dev/zero", "."] {
        let run = change(
            &folder,
            &okta,
            &[
                "grant",
                "--user",
                BOB,
                "--group",
                "team",
                "--audit-log",
                path,
            ],
        );
        run.end().code(2).says("not a regular file");
    }
}

#[test]
fn a_change_that_okta_refuses_is_not_repeated() {
    let okta = Okta::with_options(
        org(),
        Options {
            forbid_changes: true,
            ..unlimited()
        },
    );
    let folder = Folder::new();
    let ran = change(
        &folder,
        &okta,
        &[
            "grant",
            "--user",
            BOB,
            "--group",
            "team",
            "--audit-log",
            "log",
        ],
    )
    .end()
    .code(5);
    assert!(ran.error().contains("E0000006"), "{}", ran.stderr);
    assert_eq!(changes_sent(&okta), 1);
    assert_eq!(records(&folder, "log")[1]["outcome"], "not done");
    let okta = Okta::with(org());
    okta.fault(Fault::on(Endpoint::Member, Action::okta(501, "E0000060")));
    change(&folder, &okta, &["grant", "--user", BOB, "--group", "team"])
        .end()
        .fails(4, "E0000060");
    assert_eq!(changes_sent(&okta), 1);
}

#[test]
fn a_proxy_that_refuses_a_change_stops_the_run_after_the_membership_was_read() {
    let okta = Okta::with(org());
    okta.fault(Fault::on(Endpoint::Member, Action::html(403)));
    let folder = Folder::new();
    let list = "user,group\n00ubob,team\n00ubob,other\n";
    std::fs::write(folder.path("list.csv"), list).unwrap();
    let arguments = [
        "grant",
        "--from",
        "list.csv",
        "--yes",
        "--output",
        "json",
        "--audit-log",
        "log",
    ];
    let ran = change(&folder, &okta, &arguments).end().code(5);
    let rows = ran.json()["rows"].clone();
    assert_eq!(rows[0]["result"], "failed");
    let message = rows[0]["message"].as_str().unwrap();
    assert!(
        message.starts_with("not visible when read back for 10 s: "),
        "{message}"
    );
    assert_eq!(rows[1]["result"], "not_attempted");
    assert_eq!(changes_sent(&okta), 1);
    let records = records(&folder, "log");
    assert_eq!(records[1]["outcome"], "confirmed not done");
}

#[test]
fn a_404_to_a_revoke_is_success_if_the_group_still_exists() {
    let okta = Okta::with(org());
    okta.fault(Fault::on(
        Endpoint::Member,
        Action::run(|org| {
            org.leave("00gteam", "00uada");
        }),
    ));
    okta.change_options(|options| options.absent_delete_returns_404 = true);
    let folder = Folder::new();
    revoke(&folder, &okta, ADA, "team").ok();
    let okta = Okta::with(org());
    okta.fault(Fault::on(
        Endpoint::Member,
        Action::run(|org| {
            org.remove_group("00gteam");
        }),
    ));
    let ran = revoke(&folder, &okta, ADA, "team").end();
    ran.fails(2, "E0000007");
}

#[test]
fn a_run_waits_for_the_read_lag_and_a_change_that_is_never_visible_ends_with_7() {
    let okta = Okta::with_options(
        org(),
        Options {
            read_lag: Duration::from_secs(2),
            ..unlimited()
        },
    );
    let folder = Folder::new();
    let ran = grant(&folder, &okta, BOB, "team").ok();
    assert!(ran.took > Duration::from_secs(2), "{:?}", ran.took);
    okta.change_options(|options| options.read_lag = Duration::from_secs(60));
    let ran = grant(&folder, &okta, BOB, "other").end().code(7);
    assert_eq!(result(&ran), "not_visible");
    assert_eq!(changes_sent(&okta), 2);
}

#[test]
fn a_change_without_a_result_is_resolved_by_the_next_run() {
    for (applied, found) in [(true, "confirmed done"), (false, "confirmed not done")] {
        let okta = Okta::with(org());
        let folder = Folder::new();
        // The run is killed while the server delays the response.
        okta.fault(Fault::on(Endpoint::Member, Action::Delay(Duration::from_secs(2))).nth(1));
        let running = change(
            &folder,
            &okta,
            &[
                "grant",
                "--user",
                BOB,
                "--group",
                "team",
                "--audit-log",
                "log",
            ],
        )
        .start();
        while changes_sent(&okta) == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        running.signal("KILL");
        running.end();
        if !applied {
            okta.org_mut().leave("00gteam", "00ubob");
        }
        assert_eq!(records(&folder, "log").len(), 1);
        okta.clear_faults();
        change(
            &folder,
            &okta,
            &[
                "grant",
                "--user",
                BOB,
                "--group",
                "team",
                "--audit-log",
                "log",
            ],
        )
        .ok();
        let records = records(&folder, "log");
        assert_eq!(records[1]["outcome"], found);
        assert_eq!(records[1]["change_id"], records[0]["change_id"]);
        assert!(okta.org().is_member("00gteam", "00ubob"));
    }
}

/// No matter how and how often a run with 200 rows is ended, running it again leads to the requested memberships, and
/// the log contains every change that the server received.
#[test]
fn a_list_that_is_interrupted_anywhere_can_be_run_again() {
    let mut org = org();
    for number in 0..200 {
        org.add_user(User::with_email(
            &format!("00urow{number:03}"),
            &format!("row{number}@example.com"),
        ));
    }
    let okta = Okta::with_options(
        org,
        Options {
            latency: Duration::from_millis(4),
            ..unlimited()
        },
    );
    let folder = Folder::new();
    let rows: String = (0..200)
        .map(|number| format!("row{number}@example.com,team\n"))
        .collect();
    std::fs::write(folder.path("list.csv"), format!("user,group\n{rows}")).unwrap();
    let arguments = ["grant", "--from", "list.csv", "--yes", "--audit-log", "log"];
    for (signal, changes_before, code) in [
        ("INT", 20, Some(130)),
        ("TERM", 60, Some(143)),
        ("KILL", 110, None),
        ("INT", 0, Some(130)),
        ("KILL", 150, None),
    ] {
        let running = change(&folder, &okta, &arguments).start();
        let before = okta.count();
        while (changes_before > 0 && changes_sent(&okta) < changes_before)
            || okta.count() < before + 30
        {
            std::thread::sleep(Duration::from_millis(1));
        }
        running.signal(signal);
        let ran = running.end();
        assert_eq!(ran.code, code, "{signal}");
        // A killed run prints nothing.
        if code.is_some() {
            ran.says("error: interrupted");
        }
    }
    change(&folder, &okta, &arguments).ok();
    for number in 0..200 {
        assert!(
            okta.org()
                .is_member("00gteam", &format!("00urow{number:03}"))
        );
    }
    let seen = okta.changes();
    let records = records(&folder, "log");
    let sent: Vec<&str> = records
        .iter()
        .filter(|record| record["record"] == "sending")
        .map(|record| record["user_id"].as_str().unwrap())
        .collect();
    for change in &seen {
        assert!(
            sent.contains(&change.user.as_str()),
            "{} is not in the audit log",
            change.user
        );
    }
    let ids: Vec<&Value> = records
        .iter()
        .filter(|record| record["record"] == "sending")
        .map(|record| &record["change_id"])
        .collect();
    for id in ids {
        let results = records
            .iter()
            .filter(|record| record["record"] == "result" && record["change_id"] == *id)
            .count();
        assert_eq!(results, 1, "{id}");
    }
    // Only the last change of each killed run may be sent twice, if the read of its membership lagged.
    assert!(seen.len() <= 202, "{}", seen.len());
}

#[test]
fn the_log_and_the_output_contain_no_secrets() {
    let okta = Okta::with(org());
    okta.fault(Fault::on(Endpoint::Member, Action::ApplyThenClose).nth(1));
    let folder = Folder::new();
    let ran = change(
        &folder,
        &okta,
        &[
            "grant",
            "--user",
            BOB,
            "--group",
            "team",
            "--audit-log",
            "log",
            "--log-level",
            "trace",
        ],
    )
    .ok();
    let log = std::fs::read_to_string(folder.path("log")).unwrap();
    for text in [&ran.stdout, &ran.stderr, &log] {
        assert!(!text.contains(okta.token()), "{text}");
    }
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(
        std::fs::metadata(folder.path("log"))
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o600
    );
}
