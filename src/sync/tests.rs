//! Tests that the engine reads a user list over HTTP from both ends without losing a user.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{
    Just, ProptestConfig, any, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use secrecy::SecretString;
use url::Url;

use super::checkpoint::Checkpoint;
use super::checkpoint::resume::{ResumeKey, RunProgress};
use super::plan::MembershipsBy;
use super::{OrgReadReport, engine};
use crate::filter::{Domain, Scope};
use crate::okta::Client;
use crate::okta::auth::Credentials;
use crate::okta::read::UserListMethod;
use crate::okta::settings::{Connection, PageSizes};
use crate::signal::ShutdownSignal;
use okta_fake::{Action, Endpoint, Fault, Limits, Options, Org, Server, Size, User};

const USERS_PER_PAGE: u64 = 4;

fn config(server: &Server) -> (Connection, super::Options) {
    let connection = Connection {
        origin: Url::parse(&server.origin()).unwrap(),
        credentials: Credentials::ApiToken(SecretString::from(server.token().to_owned())),
        capacity_percent: 75,
        concurrency: 4,
        timeout: Duration::from_secs(60),
        deadline: None,
        ca_pem: None,
        proxy: None,
        page_sizes: PageSizes {
            users: USERS_PER_PAGE,
            ..PageSizes::default()
        },
    };
    let options = super::Options {
        scope: Scope::new(vec![Domain::parse("example.com").unwrap()], false, None),
        memberships_by: MembershipsBy::Auto,
        concurrency: connection.concurrency,
        page_sizes: connection.page_sizes,
        plan: false,
        allow_empty: true,
    };
    (connection, options)
}

fn unlimited() -> Options {
    Options {
        limits: Limits::all(None),
        latency: Duration::from_millis(1),
        ..Options::default()
    }
}

/// Returns an org with the group Everyone and users who were created at these times, in milliseconds.
fn org(created: &[i64]) -> Org {
    let mut org = Org::new();
    for (number, created) in created.iter().enumerate() {
        // The order of the ids differs from that of the times.
        let id = format!("00u{:05}", (number * 7919) % 100_003);
        let mut user = User::with_email(&id, &format!("p{number}@example.com"));
        user.created = *created;
        org.add_user(user);
    }
    org
}

/// Reads the org, and returns the report and the users in the checkpoint.
fn read(server: &Server) -> (OrgReadReport, BTreeSet<String>) {
    let (connection, options) = config(server);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    std::fs::write(&path, "").unwrap();
    let now = jiff::Timestamp::now();
    let progress = RunProgress::new(ResumeKey::of(&connection, &options), now, now);
    let mut checkpoint = Checkpoint::create(&path, progress).unwrap();
    let shutdown = ShutdownSignal::default();
    let client = Arc::new(Client::new(&connection, shutdown.clone()).unwrap());
    let report = engine::read_org(&options, &client, &shutdown, &mut checkpoint, |_| {});
    let mut ids = BTreeSet::new();
    checkpoint
        .each_user(|_, user, _| {
            ids.insert(user.id.as_str().to_owned());
            Ok(())
        })
        .unwrap();
    (report.unwrap(), ids)
}

fn ids(server: &Server) -> BTreeSet<String> {
    let org = server.org();
    org.users().map(|user| user.id.to_string()).collect()
}

/// Returns an org with this many users, created a day apart.
fn even(users: i64) -> Org {
    org(&(0..users).map(|n| n * 86_400_000).collect::<Vec<_>>())
}

/// The number of users in a list that is long enough for two cursors.
const LONG: i64 = 4000;

#[test]
fn a_long_list_is_read_from_both_ends_and_a_short_one_is_not() {
    for (users, by) in [
        (LONG, UserListMethod::BothEnds),
        (400, UserListMethod::Search),
    ] {
        let server = Server::start(even(users), unlimited()).unwrap();
        let (report, found) = read(&server);
        assert_eq!(report.users_listed_by, by, "{users}");
        assert_eq!(found, ids(&server));
        assert_eq!(report.users_seen, u64::try_from(users).ok());
        assert!(report.warnings.is_empty(), "{:?}", report.warnings);
        assert_eq!(server.unexpected(), [""; 0]);
        let requests = server.requests();
        let pages = requests.iter().filter(|one| one.path == "/api/v1/users");
        let least = users as usize / USERS_PER_PAGE as usize;
        let pages = pages.count();
        assert!(
            pages <= least + least * 3 / 100,
            "{pages} pages, not {least}"
        );
    }
}

#[test]
fn a_sorted_search_that_is_refused_leaves_the_list_to_the_cursor_which_repeats_no_page() {
    for refused in [
        Action::okta(400, "E0000031"),
        Action::OtherShape("[]".to_owned()),
    ] {
        let server = Server::start(even(LONG), unlimited()).unwrap();
        server.fault(Fault::on(Endpoint::Users, refused).query("sortBy=id"));
        let (report, found) = read(&server);
        assert_eq!(found, ids(&server));
        let pages: Vec<String> = server
            .requests()
            .iter()
            .filter(|one| one.path == "/api/v1/users" && !one.query.contains("sortBy"))
            .map(|one| one.query.clone())
            .collect();
        let different: BTreeSet<&String> = pages.iter().collect();
        assert_eq!(pages.len(), different.len(), "no page twice");
        assert_eq!(report.users_seen, Some(LONG as u64));
    }
}

#[test]
fn users_without_a_creation_time_and_deprovisioned_ones_are_all_there() {
    let mut org = even(LONG);
    let all: Vec<String> = org.users().map(|user| user.id.to_string()).collect();
    for id in all.iter().step_by(9) {
        org.edit_user(id, |user| user.not_by_time = true);
    }
    for id in all.iter().step_by(2) {
        org.edit_user(id, |user| user.status = "DEPROVISIONED".into());
    }
    let server = Server::start(org, unlimited()).unwrap();
    let (report, found) = read(&server);
    assert_eq!(found, ids(&server));
    assert_eq!(report.users_listed_by, UserListMethod::BothEnds);
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
}

#[test]
fn cursors_that_come_in_no_order_are_given_up() {
    let options = Options {
        ignore_sort: true,
        ..unlimited()
    };
    let server = Server::start(even(LONG), options).unwrap();
    let (report, found) = read(&server);
    assert_eq!(report.users_listed_by, UserListMethod::Search);
    assert_eq!(found, ids(&server));
}

#[test]
fn fewer_users_than_everyone_has_make_the_snapshot_partial() {
    let mut org = org(&(0..400).map(|n| n * 86_400_000).collect::<Vec<_>>());
    let everyone = org.find_group("Everyone").unwrap().id.to_string();
    org.edit_group(&everyone, |group| group.size = Size::Says(450));
    let server = Server::start(org, unlimited()).unwrap();
    let (report, found) = read(&server);
    assert_eq!(found, ids(&server));
    let codes: Vec<&str> = report.warnings.iter().map(|w| w.code.as_str()).collect();
    assert_eq!(codes, ["users_missing"]);
    assert_eq!(report.missing.len(), 1);
    assert_eq!(report.everyone_reported, Some(450));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn every_user_is_there_once_whatever_the_creation_times(
        bursts in vec((
            // 2019 to 2027, so also in the future.
            1_546_300_800_000_i64..1_800_000_000_000,
            prop_oneof![Just(1_i64), Just(999), Just(3_000), Just(86_400_000), Just(40_000_000_000)],
            1..400_usize,
        ), 1..6),
        seed in any::<u64>(),
    ) {
        let mut state = seed | 1;
        let mut random = |below: i64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            i64::try_from(state >> 33).unwrap() % below
        };
        let created: Vec<i64> = bursts.iter()
            .flat_map(|(at, width, count)| vec![(*at, *width); *count])
            .map(|(at, width)| at + random(width))
            .collect();
        let server = Server::start(org(&created), unlimited()).unwrap();
        let (report, found) = read(&server);
        prop_assert_eq!(found, ids(&server));
        prop_assert_eq!(report.users_seen, Some(created.len() as u64));
        prop_assert!(report.warnings.is_empty());
    }
}
