//! Tests several users and groups in one command, and the removal of a user from all groups.

use okta_fake::{Action, Endpoint, Fault, Group, Org, Rule, User};
use serde_json::Value;

use crate::support::{Folder, Okta, Run};

const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";

/// Returns an org in which Ada is in every group and Bob in one.
fn org() -> Org {
    let mut org = Org::new();
    org.add_user(User::with_email("00uada", ADA));
    org.add_user(User::with_email("00ubob", BOB));
    org.add_user(User::with_email("00uout", "out@elsewhere.example"));
    org.add_group(Group::new("00gteam", "team"));
    org.add_group(Group::new("00gvpn", "vpn users"));
    org.add_group(Group::new("00gapp", "from a directory").kind("APP_GROUP"));
    org.add_group(Group::new("00gruled", "ruled"));
    for group in ["00gteam", "00gvpn", "00gapp", "00gruled"] {
        assert!(org.join(group, "00uada"));
    }
    assert!(org.join("00gteam", "00ubob"));
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

/// Returns the user, the group and the result of each row.
fn results(report: &Value) -> Vec<(String, String, String)> {
    let rows = report["rows"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    rows.map(|row| {
        (
            text(&row["user"]["name"]),
            text(&row["group"]["name"]),
            text(&row["result"]),
        )
    })
    .collect()
}

#[test]
fn every_pair_of_the_users_and_groups_is_granted_and_revoked() {
    let folder = Folder::new();
    let okta = Okta::with(org());
    let pairs = |action: &str| {
        let arguments = [
            action,
            "--user",
            ADA,
            "--user",
            BOB,
            "--group",
            "team",
            "--group",
            "vpn users",
            "--yes",
            "--output",
            "json",
        ];
        results(&change(&folder, &okta, &arguments).ok().json())
    };
    let row = |user: &str, group: &str, result: &str| {
        (user.to_owned(), group.to_owned(), result.to_owned())
    };
    assert_eq!(
        pairs("grant"),
        [
            row(ADA, "team", "unchanged"),
            row(ADA, "vpn users", "unchanged"),
            row(BOB, "team", "unchanged"),
            row(BOB, "vpn users", "changed"),
        ]
    );
    assert!(
        pairs("revoke")
            .iter()
            .all(|(.., result)| result == "changed")
    );
    let org = okta.org();
    for (group, user) in [
        ("00gteam", "00uada"),
        ("00gvpn", "00uada"),
        ("00gvpn", "00ubob"),
    ] {
        assert!(!org.is_member(group, user));
    }
    assert!(org.is_member("00gruled", "00uada"));
}

#[test]
fn a_user_is_removed_from_every_group_that_can_be_edited_and_the_others_are_named() {
    let folder = Folder::new();
    let okta = Okta::with(org());
    let arguments = ["revoke", "--user", ADA, "--all-groups", "--output", "json"];
    let dry = change(&folder, &okta, &[&arguments[..], &["--dry-run"]].concat()).ok();
    let planned: Vec<String> = results(&dry.json())
        .into_iter()
        .map(|(_, group, result)| format!("{group}: {result}"))
        .collect();
    assert_eq!(
        planned,
        [
            "Everyone: skipped",
            "from a directory: skipped",
            "ruled: skipped",
            "team: planned",
            "vpn users: planned",
        ]
    );
    assert!(okta.changes().is_empty());
    change(&folder, &okta, &arguments)
        .end()
        .code(4)
        .says("no terminal");
    assert!(okta.changes().is_empty());
    let log = ["--yes", "--audit-log", "log.jsonl"];
    let ran = change(&folder, &okta, &[&arguments[..], &log].concat()).ok();
    let reason = |place: usize| {
        ran.json()["rows"][place]["message"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert!(reason(1).contains("APP_GROUP"), "{}", reason(1));
    assert!(reason(2).contains("\"by department\""), "{}", reason(2));
    {
        let org = okta.org();
        assert!(!org.is_member("00gteam", "00uada") && !org.is_member("00gvpn", "00uada"));
        assert!(org.is_member("00gapp", "00uada") && org.is_member("00gruled", "00uada"));
        assert!(org.is_member("00gteam", "00ubob"));
    }
    let log = std::fs::read_to_string(folder.path("log.jsonl")).unwrap();
    assert_eq!(log.matches("\"skipped\"").count(), 3, "{log}");
    // In a second run nothing is left to change, which is not a failure.
    let ran = change(&folder, &okta, &[&arguments[..4], &["--yes"]].concat()).ok();
    assert!(ran.stdout.contains("3 rows: 3 skipped"), "{}", ran.stdout);
    assert_eq!(okta.changes().len(), 2);
}

#[test]
fn only_groups_in_scope_are_left_and_the_rest_is_counted() {
    let folder = Folder::new();
    let okta = Okta::with(org());
    let arguments = [
        "revoke",
        "--user",
        "00uada",
        "--user",
        ADA,
        "--all-groups",
        "--yes",
        "--group-name-filter",
        "VPN",
    ];
    let ran = change(&folder, &okta, &arguments).ok();
    assert!(
        ran.stderr.contains("also in 4 groups out of scope"),
        "{}",
        ran.stderr
    );
    assert_eq!(okta.changes().len(), 1);
    assert!(okta.org().is_member("00gteam", "00uada"));
}

#[test]
fn users_who_cannot_be_removed_are_refused_and_the_others_are_removed() {
    let folder = Folder::new();
    let okta = Okta::with(org());
    let arguments = [
        "revoke",
        "--user",
        "out@elsewhere.example",
        "--user",
        "nobody@example.com",
        "--user",
        BOB,
        "--all-groups",
        "--yes",
    ];
    let ran = change(&folder, &okta, &arguments)
        .end()
        .fails(4, "(00uout) is out of scope");
    assert!(ran.stdout.contains("out of scope"), "{}", ran.stdout);
    assert!(ran.stdout.contains("no user has the id"), "{}", ran.stdout);
    assert!(!okta.org().is_member("00gteam", "00ubob"));
    // Without the groups of the user, the memberships to remove are unknown.
    okta.fault(Fault::on(
        Endpoint::UserGroups,
        Action::okta(403, "E0000006"),
    ));
    let ran = change(
        &folder,
        &okta,
        &["revoke", "--user", ADA, "--all-groups", "--yes"],
    );
    ran.end().fails(5, "E0000006");
    assert!(okta.org().is_member("00gteam", "00uada"));
}

#[test]
fn options_that_contradict_each_other_are_refused_before_anything_is_sent() {
    let folder = Folder::new();
    let okta = Okta::unasked();
    for (arguments, part) in [
        (
            ["--all-groups", "--yes"].as_slice(),
            "--all-groups requires --user",
        ),
        (
            &["--all-groups", "--user", ADA, "--group", "team"],
            "--all-groups cannot be used with --group",
        ),
        (
            &["--all-groups", "--user", ADA, "--from", "list.csv"],
            "requires exactly one of these",
        ),
        (&["--user", ADA, "--user", BOB], "must be used together"),
        (
            &["--user", ADA, "--group", "team", "--group", ""],
            "must not be empty",
        ),
    ] {
        let arguments = [&["revoke"], arguments].concat();
        change(&folder, &okta, &arguments).end().fails(2, part);
    }
}

#[test]
fn misspelled_names_get_a_suggestion_with_one_request_each() {
    let (okta, folder) = (Okta::with(Org::demo()), Folder::new());
    for (user, group, hint) in [
        (
            "mira.okonjo@exampel.com",
            "Engineering",
            "did you mean \"mira.okonjo@example.com\"?",
        ),
        (
            "mira.okonj@example.com",
            "Engineering",
            "did you mean \"mira.okonjo@example.com\"?",
        ),
        (
            "mira.okonjo@example.com",
            "Enginering",
            "did you mean \"Engineering\"?",
        ),
    ] {
        let arguments = ["grant", "--dry-run", "--user", user, "--group", group];
        let ran = change(&folder, &okta, &arguments).end().code(2);
        let all = format!("{}{}", ran.stdout, ran.stderr);
        assert!(all.contains(hint), "{user}, {group}: {all}");
    }
    let requests = okta.requests().len();
    let arguments = [
        "grant",
        "--dry-run",
        "--user",
        "zzz@example.com",
        "--group",
        "Engineering",
    ];
    let ran = change(&folder, &okta, &arguments).end();
    let ran = ran.fails(2, "no user has the id, login or email \"zzz@example.com\"");
    assert!(!ran.stdout.contains("did you mean"), "{}", ran.stdout);
    assert!(!ran.stderr.contains("did you mean"), "{}", ran.stderr);
    let unknown = okta.requests().len() - requests;
    let requests = okta.requests().len();
    // If many names in a list are unknown, the list is probably wrong.
    let many: Vec<String> = (0..6)
        .map(|number| format!("zzz{number}@example.com"))
        .collect();
    let mut arguments = vec!["grant", "--dry-run", "--group", "Engineering"];
    for user in &many {
        arguments.extend(["--user", user]);
    }
    let ran = change(&folder, &okta, &arguments).end();
    ran.fails(2, "no user has the id, login or email \"zzz0@example.com\"");
    let many = okta.requests().len() - requests;
    // An unknown user costs two requests, and a third one only if there are few.
    assert_eq!((unknown, many), (4, 13));
}
