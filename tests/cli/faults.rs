//! Tests how a run handles faults, beyond its end: which requests are repeated, how fast, and what the snapshot
//! contains about it. The end of each fault at each stage and on each page is tested in `matrix`.

use std::time::Duration;

use okta_fake::{Action, Distribution, Endpoint, Fault, Limits, Options, Org, Reply, Shape};

use crate::support::{Folder, Okta, assert_holds_the_truth, cell, open, scope, unlimited};

const DOMAINS: &[&str] = &["example.com", "example.org"];

/// Returns an org with several pages of users, groups and members.
fn org() -> Org {
    Org::generated(&Shape {
        users: 900,
        in_scope: 500,
        groups: 450,
        memberships: 2_500,
        largest_group: 880,
        seed: 5,
        created: Distribution::Even(2),
        extra: 0,
    })
}

#[test]
fn a_page_that_times_out_is_requested_again_with_half_the_size() {
    let okta = Okta::with(org());
    okta.fault(Fault::on(Endpoint::Users, Action::okta(504, "E0000009")).first(2));
    let folder = Folder::new();
    folder.sync(&okta, &[]).ok();
    let asked = okta.asked("/api/v1/users");
    assert_eq!(
        asked[..3],
        [
            "/api/v1/users?limit=200&search=status+pr",
            "/api/v1/users?limit=100&search=status+pr",
            "/api/v1/users?limit=50&search=status+pr",
        ]
    );
    assert_holds_the_truth(&folder.path("sync.c1z"), &okta, &scope(DOMAINS, None));
}

#[test]
fn a_lost_cursor_restarts_the_listing_once() {
    for code in ["E0000029", "E0000031", "E0000054"] {
        let okta = Okta::with(org());
        okta.fault(Fault::on(Endpoint::Groups, Action::okta(400, code)).nth(3));
        let folder = Folder::new();
        folder.sync(&okta, &[]).ok().says("restarting the listing");
        assert_holds_the_truth(&folder.path("sync.c1z"), &okta, &scope(DOMAINS, None));
        let db = open(&folder.path("sync.c1z"));
        assert_eq!(cell(&db, "select groups_seen from snapshot"), "451");
        okta.clear_faults();
        okta.fault(Fault::on(Endpoint::Groups, Action::okta(400, code)).query("after="));
        folder.sync(&okta, &[]).end().code(2).says(code);
    }
}

#[test]
fn a_page_above_64_mib_is_requested_again_with_half_the_size() {
    let okta = Okta::with(org());
    okta.fault(Fault::on(Endpoint::Users, Action::Endless(Duration::ZERO)).nth(1));
    let folder = Folder::new();
    folder.sync(&okta, &[]).ok().says("larger than 64 MiB");
    assert_eq!(
        okta.asked("/api/v1/users")[1],
        "/api/v1/users?limit=100&search=status+pr"
    );
}

#[test]
fn refused_requests_are_not_repeated() {
    for (status, code) in [(400, "E0000003"), (404, "E0000008"), (501, "E0000060")] {
        let okta = Okta::with(org());
        okta.fault(Fault::on(
            Endpoint::Groups,
            Action::Reply(Reply::okta(status, code)),
        ));
        let folder = Folder::new();
        folder.sync(&okta, &[]).end().code(2).says(code);
        assert_eq!(okta.asked("/api/v1/groups").len(), 1, "{status}");
    }
}

#[test]
fn a_run_stays_within_its_share_of_a_window_and_never_meets_a_429() {
    let limits = Limits {
        groups: Some(40),
        ..Limits::all(None)
    };
    let options = Options {
        limits,
        window: Duration::from_secs(2),
        ..unlimited()
    };
    let shape = Shape {
        users: 300,
        in_scope: 300,
        groups: 100,
        memberships: 2_000,
        largest_group: 60,
        seed: 5,
        created: Distribution::Even(2),
        extra: 0,
    };
    let okta = Okta::with_options(Org::generated(&shape), options);
    let folder = Folder::new();
    let ran = folder
        .sync(
            &okta,
            &[
                "--max-api-capacity",
                "50",
                "--memberships-by",
                "group",
                "--output",
                "json",
            ],
        )
        .ok();
    assert_holds_the_truth(&folder.path("sync.c1z"), &okta, &scope(DOMAINS, None));
    for window in okta.windows() {
        assert_eq!(window.refused, 0);
        if window.limit == Some(40) {
            assert!(window.requests <= 20, "{window:?}");
        }
    }
    assert!(ran.json()["waits"].as_u64().unwrap() >= 4, "{}", ran.stdout);
    ran.says("waiting").says("rate-limit window (groups)");
}

#[test]
fn a_concurrency_limit_lowers_the_number_of_requests_in_flight() {
    let options = Options {
        concurrency_limit: Some(3),
        latency: Duration::from_millis(5),
        ..unlimited()
    };
    let okta = Okta::with_options(org(), options);
    let folder = Folder::new();
    folder.sync(&okta, &[]).ok();
    assert_holds_the_truth(&folder.path("sync.c1z"), &okta, &scope(DOMAINS, None));
    let requests = okta.requests();
    let refused = requests
        .iter()
        .filter(|request| request.status == 429)
        .count();
    assert!(
        refused > 0 && refused < requests.len() / 10,
        "{refused} of {}",
        requests.len()
    );
}

#[test]
fn a_clock_that_is_two_hours_off_is_reported_and_has_no_effect() {
    let options = Options {
        clock_offset_seconds: 7200,
        limits: Limits {
            groups: Some(100),
            ..Limits::all(None)
        },
        window: Duration::from_secs(2),
        ..unlimited()
    };
    let okta = Okta::with_options(org(), options);
    let folder = Folder::new();
    let ran = folder.sync(&okta, &[]).ok();
    ran.says("behind Okta's");
    let db = open(&folder.path("sync.c1z"));
    let skew: i64 = cell(&db, "select clock_skew_seconds from snapshot")
        .parse()
        .unwrap();
    assert!((-7202..=-7198).contains(&skew), "{skew}");
    assert_eq!(cell(&db, "select code from warnings"), "clock_skew");
}
