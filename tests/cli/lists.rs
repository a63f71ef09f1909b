//! Tests lists of changes: an unclear list sends nothing, and lists from spreadsheets can be read.

use okta_fake::{Action, Endpoint, Fault, Group, Org, User};

use crate::support::{Folder, Okta, Run};
use crate::terminal::Terminal;

/// Returns an org with six users in `team`.
fn org() -> Org {
    let mut org = Org::new();
    org.add_group(Group::new("00gteam", "team"));
    for number in 1..=6 {
        let id = format!("00u{number}");
        org.add_user(User::with_email(&id, &format!("p{number}@example.com")));
        assert!(org.join("00gteam", &id));
    }
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

fn revoke_list(folder: &Folder, okta: &Okta, list: &[u8]) -> Run {
    std::fs::write(folder.path("list.csv"), list).unwrap();
    change(folder, okta, &["revoke", "--from", "list.csv", "--yes"])
}

#[test]
fn a_list_that_could_swallow_rows_is_an_error_with_its_line_and_sends_nothing() {
    let okta = Okta::unasked();
    let folder = Folder::new();
    for (list, part) in [
        (
            "user,group\np1@example.com,\"team\np2@example.com,team\np3@example.com,team\n",
            "line 2: the quote that opens in this line is never closed",
        ),
        (
            "user,group\np1@example.com,\"team\np2@example.com,\"team\"\n",
            "line 3: there is text after a closing quote of the one in line 2",
        ),
        (
            "user,group\n\"p1@example.com\np2@example.com\",team\n",
            "line 2: the user contains a line break",
        ),
        (
            "user,group,note\np1@example.com,team,\"x\np2@example.com,team,\"\n",
            "line 2: a quoted cell contains what looks like another row",
        ),
        (
            "user,group\np1@example.com,Sales, EMEA\n",
            "line 2: \" EMEA\" is in a column without a title",
        ),
        ("user,group;note\na,b;c\n", "sep=,"),
        ("email,login,group\na,b,c\n", "both mean the user"),
    ] {
        revoke_list(&folder, &okta, list.as_bytes())
            .end()
            .fails(2, part);
    }
}

#[test]
fn a_list_from_a_spreadsheet_changes_the_memberships_in_its_rows() {
    let okta = Okta::with(org());
    let folder = Folder::new();
    let wide = "\u{feff}Email\tGroup_Name\tNote\r\np4@example.com\tteam\r\n\t\t\r\n";
    let wide: Vec<u8> = wide.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (list, left) in [
        (
            &b"sep=;\r\nuser_login;group_name;note;;\r\np1@example.com;team;\"first\nsecond\";;\r\n;;;;\r\n"[..],
            5,
        ),
        (b"\xef\xbb\xbflogin;group;decision\np2@example.com;team;revoke\np3@example.com;team\n", 4),
        (&wide, 3),
    ] {
        revoke_list(&folder, &okta, list).ok();
        let members = (1..=6).filter(|number| okta.org().is_member("00gteam", &format!("00u{number}")));
        assert_eq!(members.count(), left);
    }
}

#[test]
fn an_unresolved_row_to_keep_is_shown_and_prevents_changes_it_may_refer_to() {
    let mut org = org();
    org.add_group(Group::new("00gsame", "team"));
    org.add_group(Group::new("00gother", "other"));
    assert!(org.join("00gother", "00u1"));
    let okta = Okta::with(org);
    let folder = Folder::new();
    let list = "user,group,decision\n00u1,00gteam,revoke\n00u1,00gother,revoke\n00u2,00gteam,revoke\np1@example.com,team,keep\n";
    let ran = revoke_list(&folder, &okta, list.as_bytes())
        .end()
        .fails(4, "line 2: the decision of line 5 is keep");
    for part in [
        "line 5     refused    p1@example.com  team  its decision is keep, but \"team\" matches several groups",
        "the decision of line 5 is keep, and it may refer to this membership",
        "4 rows: 2 refused, 2 changed",
    ] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    assert!(okta.org().is_member("00gteam", "00u1"));
    assert!(!okta.org().is_member("00gother", "00u1"));
    assert!(!okta.org().is_member("00gteam", "00u2"));
}

/// Returns an audit log with changes of all six users, written with a clock that was an hour ahead.
fn log_of_the_future() -> String {
    let time = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    let lines = (1..=6).map(|number| {
        format!(
            "{{\"time\":\"{time}\",\"record\":\"sending\",\"change_id\":\"c{number}\",\"action\":\"grant\",\"origin\":\"o\",\"user_id\":\"00u{number}\",\"user\":null,\"group_id\":\"00gteam\",\"group\":null,\"line\":null}}\n{{\"record\":\"result\",\"change_id\":\"c{number}\",\"outcome\":\"done\"}}\n"
        )
    });
    lines.collect()
}

#[test]
fn after_the_clock_was_set_back_a_list_waits_once_and_not_for_each_row() {
    let okta = Okta::with(org());
    let folder = Folder::new();
    std::fs::write(folder.path("log"), log_of_the_future()).unwrap();
    let rows: String = (1..=6)
        .map(|number| format!("00u{number},00gteam\n"))
        .collect();
    std::fs::write(folder.path("list.csv"), format!("user,group\n{rows}")).unwrap();
    let arguments = [
        "revoke",
        "--from",
        "list.csv",
        "--yes",
        "--audit-log",
        "log",
    ];
    let ran = change(&folder, &okta, &arguments).ok();
    let waits = ran
        .stderr
        .matches("an earlier run changed the same membership")
        .count();
    assert_eq!(waits, 1, "{}", ran.stderr);
}

#[test]
fn if_the_report_cannot_be_written_the_change_is_reported_on_stderr() {
    let closed = "mkfifo pipe && exec 3<>pipe >pipe && exec 3<&-";
    for (stdout, reason) in [
        ("exec >/dev/full", "No space left on device"),
        (closed, "Broken pipe"),
    ] {
        for output in ["text", "json"] {
            let okta = Okta::with(org());
            let folder = Folder::new();
            let arguments = ["--yes", "--output", output];
            let one = ["revoke", "--user", "00u1", "--group", "team"];
            let run = change(&folder, &okta, &[&one[..], &arguments].concat());
            let ran = run.under(stdout).end().code(2);
            assert!(!okta.org().is_member("00gteam", "00u1"));
            assert!(ran.error().contains(reason), "{}", ran.stderr);
            ran.says("changes were sent: 1 row: 1 changed")
                .says("revoke changed");
            let list = b"user,group\n00u2,team\nnobody,team\n";
            std::fs::write(folder.path("list.csv"), list).unwrap();
            std::fs::remove_file(folder.path("pipe")).ok();
            let many = ["revoke", "--from", "list.csv"];
            let run = change(&folder, &okta, &[&many[..], &arguments].concat());
            let ran = run.under(stdout).end().code(3);
            ran.says("changes were sent: 2 rows: 1 changed, 1 refused")
                .says("revoke line 2     changed");
        }
    }
    // If nothing was sent, a closed stdout is not a failure, but a full disk is.
    let okta = Okta::with(org());
    let folder = Folder::new();
    let dry = ["revoke", "--user", "00u1", "--group", "team", "--dry-run"];
    change(&folder, &okta, &dry).under(closed).ok();
    let run = change(&folder, &okta, &dry).under("exec >/dev/full");
    run.end().code(2).says("cannot write to standard output");
}

#[test]
fn a_failing_list_prints_its_summary_once() {
    let okta = Okta::with(org());
    okta.fault(Fault::on(Endpoint::Member, Action::okta(403, "E0000006")));
    let folder = Folder::new();
    let list = b"user,group\nnobody,team\n00u2,team\n";
    for (arguments, code) in [
        (&["--dry-run"][..], 3),
        (&["--yes"], 5),
        (&["--yes", "--quiet"], 5),
    ] {
        std::fs::write(folder.path("list.csv"), list).unwrap();
        let command = ["revoke", "--from", "list.csv"];
        let ran = change(&folder, &okta, &[&command, arguments].concat())
            .end()
            .code(code);
        let all = format!("{}{}", ran.stdout, ran.stderr);
        assert_eq!(
            all.matches("2 rows: 1 refused, 1 failed").count(),
            usize::from(code == 5),
            "{all}"
        );
        assert_eq!(
            all.matches("2 rows: 1 refused, 1 planned (dry run").count(),
            usize::from(code == 3),
            "{all}"
        );
        let first = if code == 5 {
            "E0000006"
        } else {
            "line 2: no user has the id"
        };
        assert!(ran.error().contains(first), "{all}");
    }
}

#[test]
fn the_audit_log_records_the_user_and_every_row() {
    let mut org = org();
    org.add_user(User::with_email("00uowner", "owner@elsewhere.example"));
    org.owner = Some("00uowner".into());
    assert!(org.leave("00gteam", "00u3"));
    let okta = Okta::with(org);
    okta.fault(Fault::path(
        "/api/v1/groups/00gteam/users/00u4",
        Action::okta(401, "E0000011"),
    ));
    let folder = Folder::new();
    let list =
        "user,group\nnobody,team\n00u3,team\n00u2,team\n00u4,team\n00u5,team\n00u2,00gteam\n";
    std::fs::write(folder.path("list.csv"), list).unwrap();
    let arguments = [
        "revoke",
        "--from",
        "list.csv",
        "--yes",
        "--audit-log",
        "log",
    ];
    change(&folder, &okta, &arguments)
        .end()
        .fails(5, "E0000011");
    let text = std::fs::read_to_string(folder.path("log")).unwrap();
    let records: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let shown: Vec<String> = records
        .iter()
        .map(|record| {
            format!(
                "{} {} {}",
                record["record"], record["line"], record["outcome"]
            )
            .replace('"', "")
        })
        .collect();
    assert_eq!(
        shown,
        [
            "row 2 refused",
            "row 3 unchanged",
            "sending 4 null",
            "result null done",
            "sending 5 null",
            "result null not done",
            "row 6 not_attempted",
        ]
    );
    assert!(
        records[0]["message"]
            .as_str()
            .unwrap()
            .contains("no user has")
    );
    assert_eq!(records[0]["typed_user"], "nobody");
    assert_eq!(records[1]["user_id"], "00u3");
    for record in &records {
        assert_eq!(record["token_owner_id"], "00uowner");
        assert_eq!(record["token_owner"], "owner@elsewhere.example");
        assert_eq!(record["run_id"], records[0]["run_id"]);
        for key in ["run_id", "os_user", "host"] {
            assert!(
                record[key].as_str().is_some_and(|text| !text.is_empty()),
                "{record}"
            );
        }
    }
    // The owner of the token need not be visible. Another run has another id.
    okta.clear_faults();
    okta.fault(Fault::on(Endpoint::Me, Action::okta(403, "E0000006")));
    change(&folder, &okta, &arguments)
        .end()
        .fails(3, "no user has the id, login or email \"nobody\"");
    let text = std::fs::read_to_string(folder.path("log")).unwrap();
    let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert!(
        last["token_owner"].is_null() && last["token_owner_id"].is_null(),
        "{last}"
    );
    assert_ne!(last["run_id"], records[0]["run_id"]);
}

/// Returns an org of many users, half of them in `large`, and writes a list of all of them.
fn many(count: usize, folder: &Folder) -> Org {
    let mut org = org();
    org.add_group(Group::new("00glarge", "large"));
    let mut list = "user,group\n".to_owned();
    for number in 0..count {
        let id = format!("00um{number:03}");
        org.add_user(User::with_email(&id, &format!("m{number}@example.com")));
        if number % 2 == 0 {
            assert!(org.join("00glarge", &id));
        }
        list += &format!("m{number}@example.com,large\n");
    }
    std::fs::write(folder.path("many.csv"), list).unwrap();
    org
}

#[test]
fn three_hundred_users_of_one_group_are_read_with_one_list_of_its_members() {
    let folder = Folder::new();
    let okta = Okta::with(many(300, &folder));
    let count = |part: &str, method: &str| {
        let requests = okta.requests();
        requests
            .iter()
            .filter(|request| request.method == method && request.path.contains(part))
            .count()
    };
    change(&folder, &okta, &["grant", "--from", "many.csv", "--yes"]).ok();
    assert_eq!(count("/users/00um", "PUT"), 150);
    // There is one list before the changes and one after, one request per user, one for the group, and one for the
    // rules.
    assert_eq!(count("/api/v1/groups/00glarge/users", "GET"), 2);
    assert_eq!(count("", "GET"), 300 + 2 + 2);
    // Absent users are checked again by user, so that an incomplete list of members does not leave a user in the group.
    okta.org_mut().leave("00glarge", "00um000");
    change(&folder, &okta, &["revoke", "--from", "many.csv", "--yes"]).ok();
    assert_eq!(count("/users/00um", "DELETE"), 299);
    assert_eq!(count("/groups", "GET") - count("/api/v1/groups", "GET"), 1);
    assert_eq!(count("", "GET"), (300 + 2 + 2) + (300 + 2 + 2) + 1);
}

#[test]
fn a_group_that_cannot_be_listed_is_read_by_its_users() {
    let folder = Folder::new();
    let mut org = many(20, &folder);
    org.edit_group("00glarge", |group| group.members_forbidden = true);
    let okta = Okta::with(org);
    change(&folder, &okta, &["grant", "--from", "many.csv", "--yes"]).ok();
    let members = (0..20).filter(|number| {
        okta.org()
            .is_member("00glarge", &format!("00um{number:03}"))
    });
    assert_eq!(members.count(), 20);
    assert_eq!(okta.changes().len(), 10);
}

#[test]
fn the_look_up_before_a_list_shows_progress_on_a_terminal_only() {
    let folder = Folder::new();
    let okta = Okta::with(many(30, &folder));
    let arguments = ["grant", "--from", "many.csv", "--dry-run"];
    let ran = change(&folder, &okta, &arguments).ok();
    assert_eq!(ran.stderr, "");
    let (code, shown) = Terminal::start(change(&folder, &okta, &arguments), 80).end();
    assert_eq!(code, Some(0));
    assert!(
        shown.contains("users ") && shown.contains(" of 30"),
        "{shown}"
    );
}
