//! Tests each finding on an org that has it and on one that does not.

use std::collections::{BTreeSet, HashSet};

use jiff::Timestamp;

use super::exceptions::Exceptions;
use super::org::{GroupIndex, Org, UserIndex};
use super::{Finding, FindingContext, FindingOptions, run};
use crate::snapshot::{GroupRow, UserRow};

/// Returns the end of the run, the first of July.
fn taken_at() -> Timestamp {
    "2026-07-01T00:00:00Z".parse().unwrap()
}

fn days_ago(days: i64) -> Option<Timestamp> {
    Timestamp::from_second(taken_at().as_second() - days * 24 * 3600).ok()
}

/// Returns a user without findings.
fn user(id: &str) -> UserRow {
    UserRow {
        status: Some("ACTIVE".to_owned()),
        login: Some(format!("{id}@example.com")),
        email: Some(format!("{id}@example.com")),
        created: days_ago(400),
        status_changed: days_ago(400),
        last_login: days_ago(1),
        matched_by: Some("email".to_owned()),
        ..UserRow::empty(id)
    }
}

fn group(id: &str, name: &str) -> GroupRow {
    GroupRow {
        name: Some(name.to_owned()),
        kind: Some("OKTA_GROUP".to_owned()),
        members_seen: Some(5),
        members_kept: Some(2),
        learned: Some("listed".to_owned()),
        ..GroupRow::empty(id)
    }
}

/// Returns an org with the users Ada and Bob, both in `team`.
fn org() -> Org {
    Org {
        taken_at: taken_at(),
        complete: Some(true),
        everyone: Some((2, 2)),
        users: vec![user("ada"), user("bob")],
        groups: vec![group("g1", "team")],
        members: vec![member(0, 0), member(0, 1)],
    }
}

fn member(group: u32, user: u32) -> (GroupIndex, UserIndex) {
    (GroupIndex(group), UserIndex(user))
}

fn options(id: &'static str) -> FindingOptions {
    FindingOptions {
        checks: BTreeSet::from([id]),
        privileged: vec!["team".to_owned()],
        ..FindingOptions::default()
    }
}

fn found(id: &'static str, org: &Org, context: &FindingContext) -> Finding {
    run(org, context, &Exceptions::default(), &options(id)).remove(0)
}

type Change = fn(&mut Org);

/// The id of a finding, its expected number of rows, and a change to the org that leads to this number.
const CASES: [(&str, usize, Change); 38] = [
    ("OC101", 1, |org| {
        org.users[0].status = Some("DEPROVISIONED".into())
    }),
    ("OC101", 0, |org| {
        org.users[0].status = Some("SUSPENDED".into())
    }),
    ("OC102", 1, |org| {
        org.users[0].status = Some("SUSPENDED".into())
    }),
    ("OC103", 1, |org| {
        org.users[0].status = Some("STAGED".into())
    }),
    ("OC103", 0, |org| {
        org.users[0].status = Some("STAGED".into());
        org.users[0].created = days_ago(30);
    }),
    ("OC104", 1, |org| org.users[0].last_login = days_ago(91)),
    ("OC104", 0, |org| org.users[0].last_login = days_ago(90)),
    ("OC104", 0, |org| {
        org.users[0].last_login = days_ago(91);
        org.users[0].status = Some("SUSPENDED".into());
    }),
    ("OC105", 1, |org| org.users[0].last_login = None),
    ("OC105", 0, |org| {
        org.users[0].last_login = None;
        org.users[0].created = days_ago(30);
    }),
    ("OC106", 1, |org| {
        org.users[0].matched_by = Some("second_email".into())
    }),
    ("OC107", 1, |org| {
        org.users[0].status = Some("SUSPENDED".into())
    }),
    ("OC107", 0, |org| {
        org.users[0].status = Some("SUSPENDED".into());
        org.groups[0].name = Some("other".into());
    }),
    ("OC201", 2, |org| {
        org.users[0].email = Some("BOB@example.com".into())
    }),
    ("OC201", 0, |org| {
        org.users[0].email = Some("bob@example.com".into());
        org.users[0].status = Some("DEPROVISIONED".into());
    }),
    ("OC202", 1, |org| {
        org.users[0].second_email = Some("Bob@example.com".into())
    }),
    ("OC202", 0, |org| {
        org.users[0].second_email = Some("ada@example.com".into())
    }),
    ("OC203", 1, |org| {
        org.users[0].status = Some("LOCKED_OUT".into())
    }),
    ("OC203", 0, |org| {
        org.users[0].status = Some("LOCKED_OUT".into());
        org.users[0].status_changed = days_ago(30);
    }),
    ("OC204", 1, |org| {
        org.users[0].last_login = days_ago(91);
        org.members.clear();
    }),
    ("OC205", 1, |org| {
        for number in 1..=20 {
            org.groups.push(group(&format!("h{number:02}"), "x"));
            org.members.push(member(number, 0));
        }
    }),
    ("OC205", 0, |org| {
        for number in 1..=19 {
            org.groups.push(group(&format!("h{number:02}"), "x"));
            org.members.push(member(number, 0));
        }
    }),
    ("OC206", 1, |org| org.members.truncate(1)),
    ("OC206", 0, |org| {
        org.members.pop();
        org.users[1].status = Some("STAGED".into());
    }),
    ("OC301", 1, |org| org.groups[0].members_seen = Some(0)),
    ("OC301", 1, |org| {
        org.groups[0].learned = Some("reported_empty".into())
    }),
    ("OC301", 0, |org| {
        org.groups[0].members_seen = Some(0);
        org.groups[0].kind = Some("APP_GROUP".into());
    }),
    ("OC302", 1, |org| org.groups[0].members_seen = Some(1)),
    ("OC302", 1, |org| {
        org.groups[0].members_seen = None;
        org.groups[0].members_kept = Some(1);
    }),
    ("OC304", 2, |org| {
        org.users.push(user("eve"));
        org.groups.push(group("g2", "crew"));
        org.members = (0..2)
            .flat_map(|group| (0..3).map(move |user| member(group, user)))
            .collect();
    }),
    ("OC304", 0, |org| {
        org.groups.push(group("g2", "crew"));
        org.members = (0..2)
            .flat_map(|group| (0..2).map(move |user| member(group, user)))
            .collect();
    }),
    ("OC305", 2, |org| org.groups.push(group("g2", "T e-am"))),
    ("OC305", 0, |org| org.groups.push(group("g2", "teams"))),
    ("OC307", 1, |org| {
        org.users = (0..16)
            .map(|number| user(&format!("u{number:02}")))
            .collect();
        org.members = (0..16).map(|number| member(0, number)).collect();
    }),
    ("OC401", 1, |org| org.groups[0].members_kept = None),
    ("OC402", 1, |org| org.complete = Some(false)),
    ("OC403", 1, |org| org.everyone = Some((3, 2))),
    ("OC403", 0, |org| org.everyone = Some((2, 2))),
];

#[test]
fn each_finding_is_reported_only_where_it_applies() {
    let mut found_once = BTreeSet::new();
    for (number, (id, rows, change)) in CASES.iter().enumerate() {
        let before = found(id, &org(), &FindingContext::default());
        assert_eq!((before.count, before.skipped), (0, None), "{id}");
        let mut changed = org();
        change(&mut changed);
        let finding = found(id, &changed, &FindingContext::default());
        assert_eq!(
            (finding.count, finding.skipped),
            (*rows, None),
            "{id}, case {number}"
        );
        if *rows > 0 {
            found_once.insert(*id);
        }
    }
    let others = ["OC601", "OC602", "OC603", "OC701"];
    let all = super::catalogue::CATALOGUE.iter().map(|entry| entry.id);
    let missing: Vec<&str> = all
        .filter(|id| !found_once.contains(id) && !others.contains(id))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn changes_since_an_older_snapshot_and_a_review_are_found() {
    let org = org();
    let pair = |user: &str| ("g1".into(), user.into());
    let older = |users: &[&str]| Some(users.iter().map(|user| pair(user)).collect::<HashSet<_>>());
    let revoked = |users: &[&str]| Some(users.iter().map(|user| pair(user)).collect::<Vec<_>>());
    for (id, older, revoked, rows) in [
        ("OC601", older(&["ada"]), None, 1),
        ("OC601", older(&["ada", "bob"]), None, 0),
        (
            "OC602",
            older(&["ada"]),
            revoked(&["ada", "bob", "gone"]),
            1,
        ),
        (
            "OC603",
            older(&["ada"]),
            revoked(&["ada", "bob", "gone"]),
            1,
        ),
        ("OC603", None, revoked(&["ada", "bob", "gone"]), 2),
        ("OC603", None, revoked(&[]), 0),
    ] {
        let context = FindingContext { older, revoked };
        assert_eq!(found(id, &org, &context).count, rows, "{id}");
    }
}

#[test]
fn a_check_without_its_data_is_skipped_with_a_reason() {
    let mut foreign = org();
    (foreign.complete, foreign.everyone) = (None, None);
    for id in ["OC401", "OC402", "OC403", "OC601", "OC602", "OC603"] {
        let finding = found(id, &foreign, &FindingContext::default());
        assert!(finding.skipped.is_some() && finding.count == 0, "{id}");
    }
    for id in ["OC107", "OC307", "OC601"] {
        let options = FindingOptions {
            checks: BTreeSet::from([id]),
            ..FindingOptions::default()
        };
        let finding = run(
            &org(),
            &FindingContext::default(),
            &Exceptions::default(),
            &options,
        )
        .remove(0);
        assert!(finding.skipped.unwrap().contains("--privileged"), "{id}");
    }
}
