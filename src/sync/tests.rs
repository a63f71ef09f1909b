//! The user list in parallel, against the server over HTTP: nobody is lost, whenever they were created.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{
    Just, ProptestConfig, any, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use secrecy::SecretString;
use url::Url;

use super::run::{self, Gathered, State};
use super::work::Work;
use crate::config::{Connection, Container, MembershipsBy, PageSizes, Sync};
use crate::demo::{
    Action, Endpoint, Fault, Limits, Options, Org, RefuseSearch, Refused, Server, Size, User,
};
use crate::filter::{Domain, Scope};
use crate::okta::read::UserListing;
use crate::okta::{Client, Stop};
use crate::sync::resume::{Identity, Progress};

const USERS_A_PAGE: u64 = 4;

fn config(server: &Server) -> Sync {
    let domain = Domain::parse("example.com").unwrap();
    Sync {
        connection: Connection {
            origin: Url::parse(&server.origin()).unwrap(),
            token: SecretString::from(server.token().to_owned()),
            capacity: 75,
            concurrency: 4,
            timeout: Duration::from_secs(60),
            deadline: None,
            ca_pem: None,
            proxy: None,
            page_sizes: PageSizes {
                users: USERS_A_PAGE,
                ..PageSizes::default()
            },
        },
        scope: Scope::new(vec![domain], false, None),
        container: Container::Sqlite,
        file: PathBuf::from("unused.db"),
        manifest: None,
        memberships_by: MembershipsBy::Auto,
        plan: false,
        allow_partial: false,
        allow_empty: true,
        max_drop: None,
        fresh: false,
        now: None,
        command: "sync",
    }
}

fn unlimited() -> Options {
    Options {
        limits: Limits::all(None),
        latency: Duration::from_millis(1),
        ..Options::default()
    }
}

/// Users created at these milliseconds, and Everyone.
fn org(created: &[i64]) -> Org {
    let mut org = Org::new();
    for (number, created) in created.iter().enumerate() {
        // Their order by id has nothing to do with that by time.
        let id = format!("00u{:05}", (number * 7919) % 100_003);
        let mut user = User::with_email(&id, &format!("p{number}@example.com"));
        user.created = *created;
        org.add_user(user);
    }
    org
}

/// Reads the users, and says which ones are in the working database.
fn read(server: &Server) -> (Gathered, BTreeSet<String>) {
    let config = config(server);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("work");
    std::fs::write(&path, "").unwrap();
    let now = jiff::Timestamp::now();
    let mut progress = Progress::begun(Identity::of(&config), now, now);
    let mut work = Work::create(&path, &progress).unwrap();
    let client = Arc::new(Client::new(&config.connection, Stop::default()).unwrap());
    let state = State {
        work: &mut work,
        progress: &mut progress,
    };
    let gathered = run::gather(&config, &client, &Stop::default(), Some(state), |_| {});
    let mut ids = BTreeSet::new();
    work.each_user(|_, user, _| {
        ids.insert(user.id.as_str().to_owned());
        Ok(())
    })
    .unwrap();
    (gathered.unwrap(), ids)
}

fn ids(server: &Server) -> BTreeSet<String> {
    let org = server.org();
    org.users().map(|user| user.id.to_string()).collect()
}

#[test]
fn a_long_list_is_read_in_windows_and_a_short_one_is_not() {
    let even = |count: i64| (0..count).map(|n| n * 86_400_000).collect::<Vec<_>>();
    for (users, by) in [(400, UserListing::Created), (200, UserListing::Search)] {
        let server = Server::start(org(&even(users)), unlimited()).unwrap();
        let (gathered, found) = read(&server);
        assert_eq!(gathered.users_listed_by, by, "{users}");
        assert_eq!(found, ids(&server));
        assert_eq!(gathered.users_seen, u64::try_from(users).ok());
        assert!(gathered.warnings.is_empty(), "{:?}", gathered.warnings);
        assert_eq!(server.unexpected(), [""; 0]);
        let most = users as u64 / USERS_A_PAGE + 40;
        assert!(server.count() < most, "{} requests", server.count());
    }
}

#[test]
fn windows_that_are_refused_leave_the_list_to_the_cursor_which_asks_for_no_page_again() {
    let created: Vec<i64> = (0..400).map(|n| n * 86_400_000).collect();
    let options = Options {
        refuse_search: Some(RefuseSearch::new(Refused::Created)),
        ..unlimited()
    };
    let server = Server::start(org(&created), options).unwrap();
    let (gathered, found) = read(&server);
    assert_eq!(gathered.users_listed_by, UserListing::Search);
    assert_eq!(found, ids(&server));
    let asked = server.requests();
    let cursor = |query: &&str| query.contains("status+pr") || query.contains("status%20pr");
    let pages: Vec<&str> = asked
        .iter()
        .map(|one| one.query.as_str())
        .filter(cursor)
        .collect();
    let different: BTreeSet<&str> = pages.iter().copied().collect();
    assert_eq!(pages.len(), different.len(), "no page twice");
    assert_eq!(pages.len(), 100);
}

#[test]
fn windows_that_okta_cannot_answer_leave_the_list_to_the_cursor() {
    let created: Vec<i64> = (0..400).map(|n| n * 86_400_000).collect();
    let server = Server::start(org(&created), unlimited()).unwrap();
    // A page that has no new row and says that more follow.
    let odd = Action::OtherShape("[]".to_owned());
    server.fault(Fault::on(Endpoint::Users, odd).query("sortBy=created"));
    let (gathered, found) = read(&server);
    assert_eq!(gathered.users_listed_by, UserListing::Search);
    assert_eq!(found, ids(&server));
}

#[test]
fn windows_that_lack_users_are_noticed_by_everyones_size_and_the_cursor_makes_up_for_them() {
    let mut org = org(&(0..400).map(|n| n * 86_400_000).collect::<Vec<_>>());
    let hidden: Vec<String> = org
        .users()
        .step_by(9)
        .map(|user| user.id.to_string())
        .collect();
    for id in &hidden {
        org.edit_user(id, |user| user.not_by_time = true);
    }
    let server = Server::start(org, unlimited()).unwrap();
    let (gathered, found) = read(&server);
    assert_eq!(found, ids(&server));
    assert_eq!(gathered.users_listed_by, UserListing::Search);
    assert_eq!(gathered.users_not_deprovisioned, Some(400));
    assert!(gathered.warnings.is_empty(), "{:?}", gathered.warnings);
}

#[test]
fn windows_that_come_in_no_order_are_given_up() {
    let created: Vec<i64> = (0..400).map(|n| n * 86_400_000).collect();
    let options = Options {
        ignore_sort: true,
        ..unlimited()
    };
    let server = Server::start(org(&created), options).unwrap();
    let (gathered, found) = read(&server);
    assert_eq!(gathered.users_listed_by, UserListing::Search);
    assert_eq!(found, ids(&server));
}

#[test]
fn a_difference_that_remains_is_a_warning() {
    let mut org = org(&(0..400).map(|n| n * 86_400_000).collect::<Vec<_>>());
    let everyone = org.find_group("Everyone").unwrap().id.to_string();
    org.edit_group(&everyone, |group| group.size = Size::Says(450));
    let server = Server::start(org, unlimited()).unwrap();
    let (gathered, found) = read(&server);
    assert_eq!(found, ids(&server));
    let codes: Vec<&str> = gathered.warnings.iter().map(|w| w.code.as_str()).collect();
    assert_eq!(codes, ["everyone_differs"]);
    assert_eq!(gathered.everyone_reported, Some(450));
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
        let (gathered, found) = read(&server);
        prop_assert_eq!(found, ids(&server));
        prop_assert_eq!(gathered.users_seen, Some(created.len() as u64));
        prop_assert!(gathered.warnings.is_empty());
    }
}
