//! Tests faults of the only request that changes something. The membership is as requested or the exit code reports the
//! reason, and the audit log contains one line before the change and one true line after it.

use std::time::Duration;

use okta_fake::{Action, Endpoint, Fault, Options, Reply};
use serde_json::Value;

use super::{Cell, LAST_GROUP, all, headers, in_an_hour, options, shape, small};
use crate::support::{Folder, Okta};

/// The end of a run.
#[derive(Clone, Copy, Debug)]
enum End {
    /// The membership is as requested after this number of requests, with this outcome in the log.
    Done(&'static str, usize),
    /// The run fails with this exit code and this text in the error after this number of requests, with this outcome in
    /// the log (`None` if it is unknown), and the membership is unchanged.
    Code(i32, &'static str, usize, Option<&'static str>),
}

use End::{Code, Done};

/// Okta responded, at once or after responses that the change was not made.
const ONCE: End = Done("done", 1);
const TWICE: End = Done("done", 2);
/// The response was lost, and the change was found.
const LOST: End = Done("done, response lost", 1);

struct Case {
    name: &'static str,
    actions: Vec<Action>,
    arguments: &'static [&'static str],
    options: fn(&mut Options),
    forever: bool,
    end: End,
}

fn case(name: &'static str, actions: impl Into<Vec<Action>>, end: End) -> Case {
    Case {
        name,
        actions: actions.into(),
        arguments: &[],
        options: |_| {},
        forever: false,
        end,
    }
}

fn cases() -> Vec<Case> {
    let refusal = |status, code| Action::okta(status, code);
    let page = |status, kind: &str, body: &[u8]| Action::Reply(Reply::new(status, kind, body));
    let unmade = |status| page(status, "text/html", b"<html>Please sign in</html>");
    let hour = in_an_hour();
    let deadline: &[&str] = &["--deadline", "70s"];
    vec![
        case("429 with a reset", [Action::RateLimited(1)], TWICE),
        case("429 of concurrency", [Action::Concurrency], TWICE),
        case(
            "429 without headers",
            [Action::RateLimited(1), Action::NoLimitHeaders],
            TWICE,
        ),
        Case {
            arguments: deadline,
            ..case(
                "429 with a reset an hour away",
                [Action::RateLimited(3600)],
                Code(6, "--deadline is over", 1, Some("not done")),
            )
        },
        case("500", [refusal(500, "E0000009")], TWICE),
        case("502 with HTML", [Action::html(502)], TWICE),
        case("503", [refusal(503, "E0000010")], TWICE),
        case("504 with HTML", [Action::html(504)], TWICE),
        case("408", [Action::html(408)], TWICE),
        case("423", [refusal(423, "E0000239")], TWICE),
        case("409 that passes", [refusal(409, "E0000112")], TWICE),
        case("500, made", [Action::Status(500)], LOST),
        case("504, made", [Action::Status(504)], LOST),
        case(
            "connection refused",
            [Action::Refuse(Duration::from_millis(400))],
            TWICE,
        ),
        case("connection reset, made", [Action::Reset], LOST),
        case(
            "connection reset",
            [Action::html(503), Action::Reset],
            TWICE,
        ),
        case("connection closed, made", [Action::ApplyThenClose], LOST),
        case("connection closed", [Action::Close], TWICE),
        // There is no body to cut.
        case("cut short", [Action::CutBody], ONCE),
        case("HTML with 200", [unmade(200)], TWICE),
        case(
            "HTML with 200, made",
            [Action::Status(200), Action::NotJson],
            LOST,
        ),
        case("202", [page(202, "application/json", b"{}")], TWICE),
        case(
            "a body that never ends",
            [Action::Endless(Duration::from_millis(20))],
            ONCE,
        ),
        Case {
            arguments: &["--timeout", "3s"],
            ..case(
                "an error that never ends, made",
                [
                    Action::Status(500),
                    Action::Endless(Duration::from_millis(20)),
                ],
                LOST,
            )
        },
        Case {
            arguments: &["--timeout", "3s"],
            ..case(
                "no answer in time",
                [Action::Delay(Duration::from_secs(3_600))],
                LOST,
            )
        },
        case(
            "slow drips",
            [Action::Drip(Duration::from_millis(40))],
            ONCE,
        ),
        case(
            "a content type",
            [Action::ContentType("text/html".to_owned())],
            ONCE,
        ),
        case("a body that is not UTF-8", [Action::NotUtf8], ONCE),
        case("a body that is not JSON", [Action::NotJson], ONCE),
        case("a body of another shape", shape("{\"users\":[]}"), ONCE),
        case("gzip", [Action::Gzip], ONCE),
        case(
            "a next page",
            [Action::NextPath("/api/v1/apps".to_owned())],
            ONCE,
        ),
        case(
            "a redirect",
            [Action::Redirect("https://other.example/".to_owned())],
            Code(
                2,
                "a redirect to other.example",
                1,
                Some("confirmed not done"),
            ),
        ),
        case("a redirect, made", [Action::Status(302)], LOST),
        case(
            "403 of a proxy",
            [Action::html(403)],
            Code(
                5,
                "not visible when read back",
                1,
                Some("confirmed not done"),
            ),
        ),
        case("403 of a proxy, made", [Action::Status(403)], LOST),
        case(
            "403 of a proxy in JSON",
            [page(
                403,
                "application/json",
                b"{\"errorCode\":\"blocked\"}",
            )],
            Code(
                5,
                "not visible when read back",
                1,
                Some("confirmed not done"),
            ),
        ),
        case(
            "407 of a proxy",
            [Action::html(407)],
            Code(
                2,
                "not visible when read back",
                1,
                Some("confirmed not done"),
            ),
        ),
        case(
            "404 of a proxy",
            [Action::html(404)],
            Code(
                2,
                "not visible when read back",
                1,
                Some("confirmed not done"),
            ),
        ),
        case("404 of a proxy, made", [Action::Status(404)], LOST),
        case("501 of a proxy, made", [Action::Status(501)], LOST),
        case("429 of a proxy, made", [Action::Status(429)], LOST),
        case("423 of a proxy, made", [Action::Status(423)], LOST),
        case(
            "403",
            [refusal(403, "E0000006")],
            Code(5, "E0000006", 1, Some("not done")),
        ),
        case(
            "401",
            [refusal(401, "E0000011")],
            Code(5, "E0000011", 1, Some("not done")),
        ),
        case(
            "501",
            [refusal(501, "E0000060")],
            Code(4, "E0000060", 1, Some("not done")),
        ),
        case(
            "404 of a wrong path",
            [refusal(404, "E0000008")],
            Code(2, "E0000008", 1, Some("not done")),
        ),
        case("no rate-limit headers", [Action::NoLimitHeaders], ONCE),
        case(
            "nonsense in the headers",
            headers("many", "-1", "1e99"),
            ONCE,
        ),
        case("a reset an hour away", headers("600", "599", &hour), ONCE),
        case("two resets", [Action::TwoResets(3600)], ONCE),
        case("a date two hours ahead", [Action::DateOff(7200)], ONCE),
        case("a date two hours behind", [Action::DateOff(-7200)], ONCE),
        Case {
            options: |options| options.clock_offset_seconds = 7200,
            ..case(
                "429 by a clock two hours ahead",
                [Action::RateLimited(1)],
                TWICE,
            )
        },
        Case {
            options: |options| options.clock_offset_seconds = -7200,
            ..case(
                "429 by a clock two hours behind",
                [Action::RateLimited(1)],
                TWICE,
            )
        },
        Case {
            forever: true,
            // There are ten seconds of reads between two requests.
            arguments: &["--deadline", "60s"],
            ..case(
                "503 for ever",
                [refusal(503, "E0000010")],
                Code(6, "--deadline is over", 6, None),
            )
        },
        Case {
            forever: true,
            ..case("connection reset for ever, made", [Action::Reset], LOST)
        },
        Case {
            forever: true,
            arguments: &["--deadline", "60s"],
            ..case(
                "429 for ever",
                [Action::RateLimited(30)],
                Code(6, "--deadline is over", 2, Some("not done")),
            )
        },
    ]
}

fn check(case: &Case, action: &str) {
    let small = small();
    let mut org = small.org.clone();
    let group = org.find_group(LAST_GROUP).unwrap().id.to_string();
    let grants = action == "grant";
    if grants {
        assert!(org.leave(&group, &small.user));
    }
    let mut options = options();
    (case.options)(&mut options);
    let okta = Okta::with_options(org, options);
    for action in &case.actions {
        let fault = Fault::on(Endpoint::Member, action.clone());
        okta.fault(if case.forever { fault } else { fault.nth(1) });
    }
    let folder = Folder::new();
    let change = [
        action,
        "--user",
        &small.user,
        "--group",
        LAST_GROUP,
        "--yes",
        "--provisioning",
        "--output",
        "json",
        "--audit-log",
        "log",
    ];
    let ran = folder
        .run(&[&change, case.arguments].concat())
        .env("BATON_DOMAIN", &okta.origin())
        .env("BATON_API_TOKEN", okta.token())
        .env("BATON_EMAIL_DOMAINS", "example.com")
        .end();
    let sent = okta.requests();
    let sent = sent
        .iter()
        .filter(|request| request.method != "GET")
        .count();
    let log = std::fs::read_to_string(folder.path("log")).unwrap();
    let log: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let is_member = okta.org().is_member(&group, &small.user);
    let ran_out = ran.code == Some(6);
    let (outcome, expected, member) = match case.end {
        Done(outcome, sent) => {
            let ran = ran.code(0);
            assert_eq!(ran.json()["rows"][0]["result"], "changed", "{}", ran.stdout);
            (Some(outcome), sent, grants)
        }
        Code(code, part, sent, outcome) => {
            ran.fails(code, part);
            (outcome, sent, !grants)
        }
    };
    assert_eq!(is_member, member, "{log:#?}");
    // The number of requests before a deadline depends on the machine, but has an upper limit.
    if case.forever && ran_out {
        assert!((1..=expected).contains(&sent), "{sent} requests; {log:#?}");
    } else {
        assert_eq!(sent, expected, "requests; {log:#?}");
    }
    assert_eq!(log[0]["record"], "sending");
    let results: Vec<&Value> = log[1..].iter().map(|line| &line["outcome"]).collect();
    assert_eq!(results, outcome.iter().collect::<Vec<_>>(), "{log:#?}");
    assert!(
        log.iter()
            .all(|line| line["change_id"] == log[0]["change_id"])
    );
}

#[test]
#[ignore = "long"]
fn every_fault_of_a_change_ends_in_one_true_record() {
    let cases = cases();
    let mut cells: Vec<Cell<'_>> = Vec::new();
    for action in ["grant", "revoke"] {
        for case in &cases {
            let name = format!("{} of a {action}", case.name);
            cells.push((name, Box::new(move || check(case, action))));
        }
    }
    // Many tests run in parallel, since a change that was not made is checked for the entire read lag.
    let count = all(cells, 48);
    assert!(count >= 96, "only {count} cells were tested");
}
