//! Tests that `check` reports what a sync and a change would encounter, sends few requests, and changes nothing.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use okta_fake::{
    Action, Endpoint, Fault, Group, Limits, Options, Org, PageCap, RefuseSearch, Refused, Role,
    User,
};
use serde_json::Value;

use crate::support::{Folder, Okta, Ran, Run, unlimited};

fn check(folder: &Folder, okta: &Okta, arguments: &[&str]) -> Run {
    folder
        .run(&[&["check"], arguments].concat())
        .env("BATON_DOMAIN", &okta.origin())
        .env("BATON_API_TOKEN", okta.token())
        .env("BATON_EMAIL_DOMAINS", "example.com,example.org")
}

/// Returns the finding with a name.
#[track_caller]
fn found<'a>(report: &'a Value, name: &str) -> &'a Value {
    let mut checks = report["checks"].as_array().unwrap().iter();
    checks
        .find(|check| check["name"] == name)
        .unwrap_or_else(|| panic!("{name} is not in {report:#}"))
}

/// Returns the names of the findings with a state.
fn names(report: &Value, state: &str) -> Vec<String> {
    let checks = report["checks"].as_array().unwrap().iter();
    let those = checks.filter(|check| check["status"] == state);
    those
        .map(|check| check["name"].as_str().unwrap().to_owned())
        .collect()
}

#[track_caller]
fn assert_only_reads(okta: &Okta) {
    let requests = okta.requests();
    assert!(requests.iter().all(|request| request.method == "GET"));
    assert!(requests.len() <= 12, "{requests:#?}");
    assert!(okta.changes().is_empty());
}

fn as_json(folder: &Folder, okta: &Okta, arguments: &[&str], code: i32) -> Value {
    let arguments = [arguments, &["--output", "json"]].concat();
    let ran: Ran = check(folder, okta, &arguments).end().code(code);
    let report = ran.json();
    assert_eq!(report["ok"], code == 0);
    if code != 0 {
        assert_eq!(report["exit_code"], code);
        assert!(report["error"].is_string() && report["message"].is_string());
        assert!(report.get("request_id").is_some());
        ran.error();
    }
    report
}

#[test]
fn a_super_admins_token_is_sufficient_for_everything() {
    let okta = Okta::with_options(Org::demo(), Options::default());
    let folder = Folder::new();
    let ran = check(&folder, &okta, &[]).ok();
    assert_eq!(ran.stderr, "");
    for part in [
        "ok       origin          http://127.0.0.1:",
        "ok       token           belongs to mira.okonjo@example.com, ",
        "ok       users           49 of 60 in scope\n",
        "ok       groups          12 of 12 in scope, member counts visible\n",
        "ok       everyone        visible, 56 members\n",
        "ok       members         readable (tested with \"All staff\")\n",
        "ok       admin members   readable (tested with \"Okta Administrators\")\n",
        "ok       groups by user  visible, ",
        "ok       org             Kestrel & Rook (sample org)\n",
        "ok       rules           visible\n",
        "ok       changes         disabled without --provisioning; ",
        "ok       limits          every limit allows at least 450 requests per minute\n",
        "                         users            at most 450 of 600 per minute, 599 left\n",
        "ok       clock           ",
        "14 ok, 0 warnings, 0 failures; 9 requests, nothing was changed\n",
    ] {
        assert!(ran.stdout.contains(part), "{part:?}\n{}", ran.stdout);
    }
    assert_eq!(okta.count(), 9);
    assert_only_reads(&okta);
    assert!(folder.names().is_empty(), "nothing is written");
}

#[test]
fn the_json_output_has_the_same_findings() {
    let okta = Okta::with_options(Org::demo(), Options::default());
    let folder = Folder::new();
    let report = as_json(&folder, &okta, &["--provisioning"], 0);
    assert_eq!(names(&report, "ok").len(), 14);
    assert_eq!(found(&report, "users")["fix"], Value::Null);
    let changes = found(&report, "changes")["message"].as_str().unwrap();
    assert!(
        changes
            .contains("this token can change the members of every OKTA_GROUP group (SUPER_ADMIN)"),
        "{changes}"
    );
    assert_eq!(report["clock_skew_seconds"], 0);
    assert_eq!(
        report["owner"],
        serde_json::json!({
            "id": okta.org().find_user("mira.okonjo@example.com").unwrap().id.to_string(),
            "login": "mira.okonjo@example.com",
            "status": "ACTIVE",
            "roles": ["SUPER_ADMIN"],
        })
    );
    assert_eq!(report["company"], "Kestrel & Rook (sample org)");
    for domain in report["domains"].as_array().unwrap() {
        assert_eq!(domain["is_used"], true);
        assert!(domain["users_on_first_page"].as_u64().unwrap() > 0);
    }
    assert_eq!(report["everyone"]["found_by"], "listing");
    assert_eq!(report["everyone"]["members_reported"], 56);
    assert_eq!(
        report["sample"],
        serde_json::json!({"users_on_first_page": 60, "users_in_scope": 49, "groups_on_first_page": 12, "groups_in_scope": 12})
    );
    assert_eq!(report["requests"], okta.count());
    let users = &report["limits"][0];
    assert_eq!(
        (
            &users["bucket"],
            &users["limit"],
            &users["remaining"],
            &users["request_budget"]
        ),
        (&"users".into(), &600.into(), &599.into(), &450.into())
    );
    assert!(users["reset"].as_str().unwrap().ends_with(".000Z"));
    assert_eq!(report.get("error"), None);
}

#[test]
fn a_check_sends_at_most_eleven_requests() {
    let mut org = Org::demo();
    for number in 0..5 {
        // The ids sort first, so that Everyone is not on the first page.
        let id = format!("00g0000000000000000{number}");
        org.add_group(Group::new(&id, "One of many"));
        let owner = org.owner.clone().unwrap();
        org.join(&id, &owner);
    }
    let options = Options {
        refuse_search: Some(RefuseSearch::new(Refused::All)),
        page_cap: PageCap {
            groups: 6,
            ..PageCap::default()
        },
        ..unlimited()
    };
    let okta = Okta::with_options(org, options);
    let report = as_json(&Folder::new(), &okta, &["--provisioning=1"], 0);
    assert_eq!(names(&report, "warning"), ["users"]);
    assert_eq!(report["everyone"]["found_by"], "filter");
    assert_eq!(report["everyone"]["members_reported"], 56);
    assert_eq!(
        found(&report, "groups")["message"],
        "6 of the first 6 in scope, member counts visible"
    );
    assert_eq!((okta.count(), &report["requests"]), (11, &11.into()));
    assert_only_reads(&okta);
}

#[test]
fn a_wrong_token_ends_with_5_after_one_request() {
    let options = Options {
        expect_unauthorized: true,
        ..unlimited()
    };
    let okta = Okta::with_options(Org::demo(), options);
    let folder = Folder::new();
    let wrong = |arguments: &[&str]| {
        check(&folder, &okta, arguments)
            .env("BATON_API_TOKEN", "00wrongtoken")
            .end()
            .code(5)
    };
    let ran = wrong(&["--log-level", "trace"]);
    assert!(ran.stdout.contains("ok       origin "), "{}", ran.stdout);
    assert!(ran.stdout.contains("failure  token "), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("fix: create a new token"),
        "{}",
        ran.stdout
    );
    assert!(ran.error().contains("E0000011"), "{}", ran.stderr);
    assert!(!ran.stdout.contains("00wrong") && !ran.stderr.contains("00wrong"));
    assert_eq!(okta.count(), 1);
    let report = wrong(&["--output", "json"]).json();
    assert_eq!(
        (&report["error"], &report["exit_code"]),
        (&"credentials".into(), &5.into())
    );
    assert!(report["request_id"].is_string());
    assert_eq!(names(&report, "ok"), ["origin", "limits", "clock"]);
}

#[test]
fn a_token_that_sees_no_users_ends_with_5() {
    // The owner has no admin role: a look-up by id finds the owner, but lists are empty.
    let mut org = Org::new();
    let mut owner = User::with_email("00u1", "mira@example.com");
    owner.lagging = true;
    org.add_user(owner);
    let okta = Okta::with(org);
    let folder = Folder::new();
    let report = as_json(&folder, &okta, &[], 5);
    assert_eq!(names(&report, "failure"), ["users"]);
    let message = found(&report, "users")["message"].as_str().unwrap();
    assert!(message.contains("sees an empty org"), "{message}");
    // Even the owner is missing, and Everyone is empty; all requests are sent nevertheless.
    let nobody = Okta::with(Org::new());
    let report = as_json(&folder, &nobody, &["--provisioning"], 5);
    assert_eq!(names(&report, "failure"), ["users"]);
    assert_eq!(
        names(&report, "warning"),
        ["token", "members", "groups_by_user", "changes"]
    );
}

#[test]
fn each_missing_permission_has_its_own_finding() {
    let forbidden = || Action::okta(403, "E0000006");
    let fault = |endpoint| Fault::on(endpoint, forbidden());
    for (fault, name, state, code) in [
        (fault(Endpoint::Me), "token", "warning", 0),
        (fault(Endpoint::Users), "users", "failure", 5),
        (fault(Endpoint::Groups), "groups", "failure", 5),
        (fault(Endpoint::Members).first(3), "members", "failure", 5),
        (
            fault(Endpoint::Members).from(2),
            "admin_members",
            "warning",
            0,
        ),
        (fault(Endpoint::UserGroups), "groups_by_user", "failure", 5),
        (fault(Endpoint::Org), "org", "warning", 0),
        (fault(Endpoint::Rules), "rules", "warning", 0),
        (fault(Endpoint::UserRoles), "changes", "ok", 0),
    ] {
        let okta = Okta::with(Org::demo());
        okta.fault(fault);
        let report = as_json(&Folder::new(), &okta, &[], code);
        let check = found(&report, name);
        assert_eq!(check["status"], state, "{report:#}");
        assert_eq!(check["fix"].is_string(), state != "ok", "{check}");
        let not_ok = names(&report, "failure").len() + names(&report, "warning").len();
        assert_eq!(not_ok, usize::from(state != "ok"), "{name}: {report:#}");
        assert_only_reads(&okta);
    }
}

#[test]
fn what_the_org_hides_by_its_options_is_a_warning() {
    let options = Options {
        hide_everyone: true,
        forbid_rules: true,
        forbid_org: true,
        forbid_roles: true,
        ..unlimited()
    };
    let okta = Okta::with_options(Org::demo(), options);
    let ran = check(&Folder::new(), &okta, &["--provisioning"]).ok();
    for part in [
        "warning  everyone        missing: ",
        "warning  org             hidden (GET /api/v1/org: 403 E0000006 You do not have permission to perform the requested action [request req",
        "warning  rules           hidden, ",
        "revoke requires --yes unless the token can read group rules",
        "warning  changes         it is unknown which memberships this token can change (the owner's roles are hidden, ",
        "10 ok, 4 warnings, 0 failures; ",
    ] {
        assert!(ran.stdout.contains(part), "{part:?}\n{}", ran.stdout);
    }
}

#[test]
fn warnings_about_groups_with_an_admin_role_depend_on_the_scope() {
    let okta = Okta::with(Org::demo());
    // Each request is retried twice.
    for nth in [2, 3, 4, 6, 7, 8] {
        okta.fault(Fault::on(Endpoint::Members, Action::okta(403, "E0000006")).nth(nth));
    }
    let folder = Folder::new();
    let ran = check(&folder, &okta, &[]).ok();
    assert!(
        ran.stdout
            .contains("it is in scope, so the snapshot is incomplete"),
        "{}",
        ran.stdout
    );
    let ran = check(&folder, &okta, &["--group-name-filter", "staff"]).ok();
    assert!(
        ran.stdout
            .contains("if one is in scope, the snapshot is incomplete"),
        "{}",
        ran.stdout
    );
}

#[test]
fn roles_decide_if_changes_are_possible_when_they_are_enabled() {
    for (kind, state, code) in [
        ("SUPER_ADMIN", "ok", 0),
        ("GROUP_MEMBERSHIP_ADMIN", "ok", 0),
        ("CUSTOM", "warning", 0),
        ("READ_ONLY_ADMIN", "failure", 5),
    ] {
        let mut org = Org::demo();
        let owner = org.owner.clone().unwrap();
        org.roles.insert(owner, vec![Role::new(kind, "Made up")]);
        let okta = Okta::with(org);
        let folder = Folder::new();
        let report = as_json(&folder, &okta, &["--provisioning"], code);
        assert_eq!(found(&report, "changes")["status"], state, "{kind}");
        let off = as_json(&folder, &okta, &["--provisioning=false"], 0);
        let message = found(&off, "changes")["message"].as_str().unwrap();
        assert!(
            message.starts_with("disabled without --provisioning"),
            "{message}"
        );
        assert!(message.contains(kind), "{message}");
    }
    let okta = Okta::unasked();
    check(&Folder::new(), &okta, &[])
        .env("BATON_PROVISIONING", "maybe")
        .end()
        .code(2)
        .says("BATON_PROVISIONING");
}

#[test]
fn an_empty_scope_fails_only_if_the_first_page_is_the_entire_list() {
    let folder = Folder::new();
    for (variable, value, name) in [
        ("BATON_EMAIL_DOMAINS", "nobody.example", "users"),
        ("BATON_GROUP_NAME_FILTER", "no such name", "groups"),
    ] {
        let okta = Okta::with(Org::demo());
        let run = |code| {
            check(&folder, &okta, &["--output", "json"])
                .env(variable, value)
                .end()
                .code(code)
                .json()
        };
        let report = run(8);
        assert_eq!(names(&report, "failure"), [name]);
        assert_eq!(report["error"], "guard");
        okta.change_options(|options| {
            options.page_cap.users = 10;
            options.page_cap.groups = 10;
        });
        assert_eq!(names(&run(0), "warning"), [name]);
    }
}

#[test]
fn a_wrong_clock_is_a_warning() {
    let options = Options {
        clock_offset_seconds: 300,
        ..unlimited()
    };
    let okta = Okta::with_options(Org::demo(), options);
    let report = as_json(&Folder::new(), &okta, &[], 0);
    assert_eq!(names(&report, "warning"), ["clock"]);
    let skew = report["clock_skew_seconds"].as_i64().unwrap();
    assert!((-301..=-299).contains(&skew), "{skew}");
    let message = found(&report, "clock")["message"].as_str().unwrap();
    assert!(message.contains("behind Okta's"), "{message}");
}

#[test]
fn a_small_share_of_a_limit_is_a_warning() {
    let options = Options {
        limits: Limits {
            groups: Some(70),
            ..Limits::default()
        },
        ..Options::default()
    };
    let okta = Okta::with_options(Org::demo(), options);
    let ran = check(&Folder::new(), &okta, &[]).ok();
    for part in [
        "warning  limits          every limit allows at least 52 requests per minute\n",
        "groups           at most 52 of 70 per minute, ",
        "fix: raise --max-api-capacity",
    ] {
        assert!(ran.stdout.contains(part), "{part:?}\n{}", ran.stdout);
    }
}

#[test]
fn an_unreachable_host_ends_with_6() {
    // Binding a port and closing it gives a port on which no process listens.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let okta = Okta::unasked();
    let folder = Folder::new();
    let ran = check(&folder, &okta, &["--deadline", "10s", "--output", "json"])
        .env("BATON_DOMAIN", &format!("http://127.0.0.1:{port}"))
        .end()
        .code(6);
    let report = ran.json();
    assert_eq!(names(&report, "failure"), ["origin"]);
    assert_eq!(report["checks"].as_array().unwrap().len(), 1);
    assert_eq!(report["limits"], serde_json::json!([]));
    assert_eq!(report["clock_skew_seconds"], Value::Null);
    assert!(ran.error().contains("cannot connect"), "{}", ran.stderr);
}

#[test]
fn if_okta_stops_responding_check_ends_with_6_and_keeps_its_findings() {
    let okta = Okta::with(Org::demo());
    okta.fault(Fault::on(
        Endpoint::Groups,
        Action::Delay(Duration::from_secs(3_600)),
    ));
    let report = as_json(&Folder::new(), &okta, &["--deadline", "10s"], 6);
    assert_eq!(names(&report, "ok")[..3], ["origin", "token", "users"]);
    assert_eq!(names(&report, "failure"), ["groups"]);
}

#[test]
fn a_wait_for_a_rate_limit_is_reported() {
    let okta = Okta::with(Org::demo());
    okta.fault(Fault::on(Endpoint::Users, Action::RateLimited(2)).first(1));
    let ran = check(&Folder::new(), &okta, &[])
        .ok()
        .says("note: waiting ")
        .says("Okta's rate limit (users)");
    assert!(ran.took > Duration::from_secs(2), "{:?}", ran.took);
    assert!(ran.stdout.contains("10 requests"), "{}", ran.stdout);
}

#[test]
fn an_unavailable_okta_is_recognized_as_okta() {
    let okta = Okta::with(Org::demo());
    okta.fault(Fault::on(Endpoint::Me, Action::okta(503, "E0000010")));
    let report = as_json(&Folder::new(), &okta, &["--deadline", "10s"], 6);
    assert_eq!(names(&report, "ok")[0], "origin");
    assert_eq!(names(&report, "failure"), ["token"]);
    let fix = found(&report, "token")["fix"].as_str().unwrap();
    assert!(fix.ends_with("the remaining checks were skipped"), "{fix}");
}

#[test]
fn a_server_that_is_not_an_okta_org_ends_with_2() {
    let folder = Folder::new();
    let okta = Okta::with(Org::demo());
    let elsewhere = format!("{}/login", Okta::unasked().origin());
    for action in [Action::okta(404, "E0000008"), Action::Redirect(elsewhere)] {
        okta.clear_faults();
        okta.fault(Fault::on(Endpoint::Me, action));
        let report = as_json(&folder, &okta, &[], 2);
        assert_eq!(names(&report, "failure"), ["origin"]);
    }
    // A web server that is not Okta and would refuse every token.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        let answer = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        stream.write_all(answer.as_bytes()).unwrap();
    });
    let ran = check(&folder, &okta, &[])
        .env("BATON_DOMAIN", &origin)
        .end()
        .fails(2, "not as an Okta org");
    server.join().unwrap();
    assert!(ran.stdout.contains("not as an Okta org"), "{}", ran.stdout);
}

#[test]
fn the_token_is_never_printed_and_quiet_prints_nothing() {
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    for output in ["text", "json"] {
        let ran = check(
            &folder,
            &okta,
            &["--log-level", "trace", "--output", output],
        )
        .ok();
        assert!(
            ran.stderr.contains("GET /api/v1/users/me"),
            "{}",
            ran.stderr
        );
        assert!(!ran.stderr.contains(okta.token()) && !ran.stdout.contains(okta.token()));
    }
    let ran = check(&folder, &okta, &["-q"]).ok();
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
}
