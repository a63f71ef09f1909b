use proptest::prelude::{any, prop_assert, proptest};
use reqwest::header::{HeaderMap, HeaderValue};

use super::*;

const EPOCH: u64 = 1_800_000_000;

fn at(seconds: f64) -> Moment {
    Duration::from_secs_f64(seconds)
}

fn signals(limit: u64, remaining: u64, reset_in: u64, now: u64) -> Signals {
    Signals {
        limit: Some(limit),
        remaining: Some(remaining),
        reset: Some(EPOCH + reset_in),
        date: Some(EPOCH + now),
        retry_after: None,
    }
}

fn pacing(capacity_percent: u8) -> Pacing {
    Pacing::new(capacity_percent, 8, 0.0)
}

#[test]
fn every_path_has_its_bucket() {
    for (path, bucket) in [
        ("/api/v1/users", Bucket::Users),
        ("/api/v1/users/me", Bucket::User),
        ("/api/v1/users/00u1/groups", Bucket::UserGroups),
        ("/api/v1/users/00u1/roles", Bucket::Other),
        ("/api/v1/groups", Bucket::Groups),
        ("/api/v1/groups/rules", Bucket::Groups),
        ("/api/v1/groups/00g1", Bucket::Group),
        ("/api/v1/groups/00g1/users", Bucket::Groups),
        ("/api/v1/groups/00g1/users/00u1", Bucket::Groups),
        ("/api/v1/org", Bucket::Other),
        ("/oauth2/v1/token", Bucket::Other),
    ] {
        assert_eq!(Bucket::of(path), bucket, "{path}");
    }
}

#[test]
fn a_bucket_stands_where_its_answers_said() {
    let mut pacing = pacing(75);
    assert_eq!(pacing.standing(Bucket::Users), None);
    let ticket = pacing.sent(Bucket::Users, at(0.0));
    let told = signals(600, 598, 60, 0);
    pacing.ended(ticket, ResponseClass::Useful, told, at(0.1), 0.0);
    let expected = Standing {
        bucket: Bucket::Users,
        limit: 600,
        remaining: Some(598),
        reset: Some(EPOCH + 60),
        request_budget: 450,
    };
    assert_eq!(pacing.standing(Bucket::Users), Some(expected));
    assert_eq!(pacing.standing(Bucket::Groups), None);
}

#[test]
fn headers_are_read_and_nonsense_is_absent() {
    let mut headers = HeaderMap::new();
    assert_eq!(Signals::of(&headers), Signals::default());
    for (name, value) in [
        ("x-rate-limit-limit", "600"),
        ("x-rate-limit-remaining", "minus one"),
        ("x-rate-limit-reset", "1800000060"),
        ("x-rate-limit-reset", "1800000030"),
        ("date", "Fri, 15 Jan 2027 08:00:00 GMT"),
    ] {
        headers.append(name, HeaderValue::from_static(value));
    }
    assert_eq!(
        Signals::of(&headers),
        Signals {
            limit: Some(600),
            remaining: None,
            reset: Some(1_800_000_030),
            date: Some(1_800_000_000),
            retry_after: None,
        }
    );
    headers.insert("date", HeaderValue::from_static("yesterday"));
    assert_eq!(Signals::of(&headers).date, None);
}

#[test]
fn of_joined_values_the_smallest_counts_and_fractions_are_rounded_down() {
    for (lines, expected) in [
        (&["600, 500"][..], Some(500)),
        (&["600", "500,, 700 "], Some(500)),
        (&["599.9"], Some(599)),
        (&["600, -1"], Some(600)),
        (&["1e3", "x, 7"], Some(7)),
        (&["600.x"], None),
    ] {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-rate-limit-limit", HeaderValue::from_static(line));
        }
        assert_eq!(Signals::of(&headers).limit, expected, "{lines:?}");
    }
}

#[test]
fn retry_after_is_read_in_seconds_and_as_a_date() {
    for (text, expected) in [
        ("7", Some(7)),
        ("7.9", Some(7)),
        ("Fri, 15 Jan 2027 08:00:20 GMT", Some(20)),
        ("Fri, 15 Jan 2027 07:00:00 GMT", Some(0)),
        ("86400", None),
        ("soon", None),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(
            "date",
            HeaderValue::from_static("Fri, 15 Jan 2027 08:00:00 GMT"),
        );
        headers.insert("retry-after", HeaderValue::from_static(text));
        let expected = expected.map(Duration::from_secs);
        assert_eq!(retry_after(&headers), expected, "{text}");
    }
}

#[test]
fn a_limited_bucket_waits_at_least_as_long_as_retry_after_asks() {
    for (retry_after, reset_in, until) in [(100, 30, 100.0), (5, 30, 31.0)] {
        let mut pacing = pacing(75);
        let ticket = pacing.sent(Bucket::Users, at(0.0));
        let signals = Signals {
            retry_after: Some(Duration::from_secs(retry_after)),
            ..signals(600, 0, reset_in, 0)
        };
        pacing.ended(ticket, ResponseClass::Limited, signals, at(0.0), 0.0);
        let Permit::Wait {
            until: Some(wait), ..
        } = pacing.request_permit(Bucket::Users, at(0.0))
        else {
            panic!("the bucket does not wait");
        };
        assert!(
            (wait.as_secs_f64() - until).abs() < 0.01,
            "{wait:?} for {retry_after}"
        );
    }
}

#[test]
fn the_first_request_of_a_bucket_goes_alone() {
    let mut pacing = pacing(75);
    assert_eq!(pacing.request_permit(Bucket::Users, at(0.0)), Permit::Go);
    let ticket = pacing.sent(Bucket::Users, at(0.0));
    assert!(matches!(
        pacing.request_permit(Bucket::Users, at(0.0)),
        Permit::Wait {
            until: None,
            why: WaitReason::Turn
        }
    ));
    assert_eq!(pacing.request_permit(Bucket::Groups, at(0.0)), Permit::Go);
    pacing.ended(
        ticket,
        ResponseClass::Useful,
        signals(600, 599, 60, 0),
        at(0.1),
        0.0,
    );
    assert_eq!(pacing.request_permit(Bucket::Users, at(0.1)), Permit::Go);
}

#[test]
fn no_more_requests_are_in_flight_than_there_are_workers() {
    let mut pacing = pacing(75);
    let first = pacing.sent(Bucket::Users, at(0.0));
    pacing.ended(
        first,
        ResponseClass::Useful,
        Signals::default(),
        at(0.1),
        0.0,
    );
    for _ in 0..8 {
        assert_eq!(pacing.request_permit(Bucket::Users, at(0.2)), Permit::Go);
        pacing.sent(Bucket::Users, at(0.2));
    }
    assert!(matches!(
        pacing.request_permit(Bucket::Users, at(0.2)),
        Permit::Wait {
            until: None,
            why: WaitReason::Turn
        }
    ));
}

/// Sends one request after another until the pacing requires a wait. Returns the number of requests and the decision.
fn spend(
    pacing: &mut Pacing,
    now: f64,
    mut remaining: u64,
    limit: u64,
    reset_in: u64,
) -> (u64, Permit) {
    let mut sent = 0;
    loop {
        match pacing.request_permit(Bucket::Groups, at(now)) {
            Permit::Go => {
                let ticket = pacing.sent(Bucket::Groups, at(now));
                sent += 1;
                remaining = remaining.saturating_sub(1);
                pacing.ended(
                    ticket,
                    ResponseClass::Useful,
                    signals(limit, remaining, reset_in, now as u64),
                    at(now),
                    0.0,
                );
            }
            permit => return (sent, permit),
        }
    }
}

#[test]
fn a_run_uses_its_share_of_a_window_to_the_last_request_and_waits_for_the_next() {
    let mut pacing = pacing(75);
    let (sent, permit) = spend(&mut pacing, 10.0, 100, 100, 60);
    assert_eq!(sent, 75);
    // The wait ends a second after the reset: 60 - 10 + 1.
    let Permit::Wait {
        until: Some(until),
        why: WaitReason::Share,
    } = permit
    else {
        panic!("{permit:?}")
    };
    assert_eq!(until, at(61.0));
    assert!(matches!(
        pacing.request_permit(Bucket::Groups, at(60.9)),
        Permit::Wait { .. }
    ));
    let (sent, _) = spend(&mut pacing, 61.0, 100, 100, 121);
    assert_eq!(sent, 75);
}

#[test]
fn what_others_use_is_left_out_of_the_share() {
    let mut pacing = pacing(75);
    let (sent, permit) = spend(&mut pacing, 0.0, 35, 100, 60);
    assert_eq!(sent, 10, "25 of 100 stay free");
    assert!(matches!(
        permit,
        Permit::Wait {
            until: Some(_),
            why: WaitReason::Share
        }
    ));
}

#[test]
fn the_whole_limit_is_used_at_a_capacity_of_100() {
    let (sent, _) = spend(&mut pacing(100), 0.0, 40, 40, 60);
    assert_eq!(sent, 40);
}

#[test]
fn a_share_is_never_less_than_one_request() {
    let (sent, _) = spend(&mut pacing(1), 0.0, 10, 10, 60);
    assert_eq!(sent, 1);
}

#[test]
fn a_reset_an_hour_away_is_asked_about_after_75_seconds() {
    let mut pacing = pacing(75);
    let (_, permit) = spend(&mut pacing, 0.0, 0, 100, 3600);
    assert_eq!(
        permit,
        Permit::Wait {
            until: Some(at(75.0)),
            why: WaitReason::Share
        }
    );
    assert_eq!(pacing.request_permit(Bucket::Groups, at(75.0)), Permit::Go);
    pacing.sent(Bucket::Groups, at(75.0));
    assert!(matches!(
        pacing.request_permit(Bucket::Groups, at(75.0)),
        Permit::Wait { until: None, .. }
    ));
}

#[test]
fn one_reset_that_no_window_has_does_not_hide_what_the_other_answers_say() {
    let mut pacing = pacing(75);
    let mut respond = |remaining, reset_in| {
        let ticket = pacing.sent(Bucket::Users, at(1.0));
        let told = signals(100, remaining, reset_in, 1);
        pacing.ended(ticket, ResponseClass::Useful, told, at(1.0), 0.0);
        pacing.standing(Bucket::Users).unwrap()
    };
    // The first response has the wrong reset, and so has one between the others.
    assert_eq!(respond(99, 3600).remaining, Some(99));
    let standing = respond(60, 50);
    assert_eq!(
        (standing.remaining, standing.reset),
        (Some(60), Some(EPOCH + 50))
    );
    assert_eq!(respond(1, u64::MAX / 2).remaining, Some(60));
    assert_eq!(respond(58, 50).remaining, Some(58));
}

#[test]
fn a_429_waits_for_the_reset_by_the_servers_clock() {
    let mut pacing = pacing(75);
    let ticket = pacing.sent(Bucket::Users, at(5.0));
    // This machine's clock shows 1970; the server's date decides.
    pacing.ended(
        ticket,
        ResponseClass::Limited,
        signals(600, 0, 30, 10),
        at(5.0),
        0.5,
    );
    let permit = pacing.request_permit(Bucket::Users, at(5.0));
    assert_eq!(
        permit,
        Permit::Wait {
            until: Some(at(26.5)),
            why: WaitReason::Limit
        }
    );
    assert_eq!(pacing.request_permit(Bucket::Users, at(26.5)), Permit::Go);
}

#[test]
fn one_date_that_is_wrong_changes_nothing_and_three_that_agree_are_the_clock() {
    let mut pacing = pacing(75);
    let mut respond = |now: f64, date: u64| {
        let ticket = pacing.sent(Bucket::Users, at(now));
        pacing.ended(
            ticket,
            ResponseClass::Useful,
            signals(600, 500, 60, date),
            at(now),
            0.0,
        );
        pacing.server_time(at(now)).unwrap() - EPOCH as f64
    };
    assert_eq!(respond(10.0, 10), 10.0);
    assert_eq!(respond(11.0, 131), 11.0);
    assert_eq!(respond(12.0, 12), 12.0);
    assert_eq!(respond(13.0, 133), 13.0);
    assert_eq!(respond(14.0, 134), 14.0);
    assert_eq!(respond(15.0, 135), 135.0);
}

#[test]
fn a_429_without_headers_waits_longer_each_time() {
    let mut pacing = pacing(75);
    let mut now = 0.0;
    for expected in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
        let ticket = pacing.sent(Bucket::Users, at(now));
        pacing.ended(
            ticket,
            ResponseClass::Limited,
            Signals::default(),
            at(now),
            1.0,
        );
        let Permit::Wait {
            until: Some(until), ..
        } = pacing.request_permit(Bucket::Users, at(now))
        else {
            panic!()
        };
        assert!((until.as_secs_f64() - now - expected).abs() < 0.001);
        now = until.as_secs_f64();
        assert_eq!(pacing.request_permit(Bucket::Users, at(now)), Permit::Go);
    }
}

#[test]
fn ten_minutes_of_nothing_but_limits_are_enough() {
    let mut pacing = pacing(75);
    let mut now = 0.0;
    loop {
        match pacing.request_permit(Bucket::Users, at(now)) {
            Permit::Go => {
                let ticket = pacing.sent(Bucket::Users, at(now));
                pacing.ended(
                    ticket,
                    ResponseClass::Limited,
                    Signals::default(),
                    at(now),
                    1.0,
                );
            }
            Permit::Wait { until, .. } => now = (until.unwrap().as_secs_f64()).min(now + 1.0),
            Permit::Stuck(waited) => {
                assert!(waited >= STALL_LIMIT && waited < STALL_LIMIT + MAX_WAIT);
                return;
            }
        }
        assert!(now < 700.0);
    }
}

#[test]
fn too_many_at_once_halves_the_workers_once_and_good_answers_bring_them_back() {
    let mut pacing = pacing(75);
    let first = pacing.sent(Bucket::Users, at(0.0));
    pacing.ended(
        first,
        ResponseClass::Useful,
        signals(600, 599, 60, 0),
        at(0.1),
        0.0,
    );
    let tickets: Vec<Ticket> = (0..8)
        .map(|_| pacing.sent(Bucket::Users, at(0.2)))
        .collect();
    for ticket in tickets {
        pacing.ended(
            ticket,
            ResponseClass::Limited,
            signals(0, 0, 110, 0),
            at(0.3),
            1.0,
        );
    }
    assert_eq!(pacing.workers, 4);
    let permit = pacing.request_permit(Bucket::Users, at(0.4));
    let Permit::Wait {
        until: Some(until),
        why: WaitReason::Busy,
    } = permit
    else {
        panic!("{permit:?}")
    };
    assert!(until < at(10.0), "the reset of 110 s is not believed");
    assert_eq!(
        pacing.limit(Bucket::Users),
        Some(600),
        "limit 0 is no limit"
    );
    for round in 0..400 {
        let now = at(20.0 + f64::from(round));
        let ticket = pacing.sent(Bucket::Groups, now);
        pacing.ended(ticket, ResponseClass::Useful, Signals::default(), now, 0.0);
    }
    assert_eq!(pacing.workers, 8);
}

#[test]
fn backoff_doubles_to_thirty_seconds() {
    let pauses: Vec<f64> = (1..=8)
        .map(|attempts| backoff(attempts, 1.0).as_secs_f64())
        .collect();
    assert_eq!(pauses, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]);
    assert_eq!(backoff(1, 0.0), Duration::from_millis(250));
}

#[test]
fn what_passes_is_tried_again_and_nothing_else() {
    for (status, code, passing) in [
        (500, None, true),
        (502, None, true),
        (503, Some("E0000010"), true),
        (504, None, true),
        (408, None, true),
        (423, Some("E0000239"), true),
        (409, Some("E0000112"), true),
        (409, Some("E0000249"), true),
        (409, Some("E0000145"), false),
        (400, None, false),
        (401, None, false),
        (403, None, false),
        (404, None, false),
        (501, Some("E0000060"), false),
        (411, None, false),
    ] {
        assert_eq!(is_retryable(status, code), passing, "{status} {code:?}");
    }
}

proptest! {
    /// Whatever the headers contain, no wait lasts forever, and nothing overflows.
    #[test]
    fn no_header_stops_a_bucket_for_good(
        limit in any::<Option<u64>>(), remaining in any::<Option<u64>>(), reset in any::<Option<u64>>(),
        date in any::<Option<u64>>(), limited in any::<bool>(), capacity_percent in 1u8..=100,
    ) {
        let limit = limit.map(|limit| limit % 10_000);
        let mut pacing = Pacing::new(capacity_percent, 8, EPOCH as f64);
        let ticket = pacing.sent(Bucket::Users, at(0.0));
        let outcome = if limited { ResponseClass::Limited } else { ResponseClass::Useful };
        pacing.ended(ticket, outcome, Signals { limit, remaining, reset, date, retry_after: None }, at(0.1), 0.5);
        let mut now = 0.1;
        loop {
            match pacing.request_permit(Bucket::Users, at(now)) {
                Permit::Go => break,
                Permit::Wait { until: Some(until), .. } => now = until.as_secs_f64().max(now + 0.01),
                permit => prop_assert!(false, "{:?}", permit),
            }
            prop_assert!(now < 76.0);
        }
    }
}
