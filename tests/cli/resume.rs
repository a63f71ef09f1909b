//! Tests that an interrupted run is resumed: completed pages are not requested again, and the file equals that of an
//! uninterrupted run.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use okta_fake::{
    Action, Distribution, Endpoint, Fault, Options, Org, RefuseSearch, Refused, Request, Shape,
};
use rusqlite::Connection;

use crate::support::{
    Folder, Okta, Running, assert_holds_the_truth, cell, open, rows, scope, unlimited,
    wait_for_file,
};

const DOMAINS: &[&str] = &["example.com", "example.org"];
const NOW: &[&str] = &["--now", "2026-01-31T12:00:00Z"];
const STATE: &str = ".sync.c1z.checkpoint";

/// Returns an org with several pages of users, of groups, of one group's members and of one user's groups.
fn org() -> Org {
    Org::generated(&Shape {
        users: 1_300,
        in_scope: 260,
        groups: 450,
        memberships: 6_000,
        largest_group: 1_250,
        seed: 5,
        created: Distribution::Even(2),
        extra: 0,
    })
}

/// Returns all rows that must be equal in equal runs, without those about the run.
fn content(path: &Path) -> Vec<String> {
    let db = open(path);
    let tables = [
        "select * from users",
        "select * from groups",
        "select * from memberships",
        "select * from v1_resource_types",
        "select * from v1_resources",
        "select * from v1_entitlements",
        "select * from v1_grants",
        "select sync_id, started_at, sync_type from v1_sync_runs",
    ];
    tables.iter().flat_map(|query| rows(&db, query)).collect()
}

/// Returns the content that an uninterrupted run of the same org writes, and its number of requests.
fn undisturbed(okta: &Okta, arguments: &[&str]) -> (Vec<String>, u64) {
    let folder = Folder::new();
    let before = okta.count();
    folder.sync(okta, &[NOW, arguments].concat()).ok();
    let requests = okta.count() - before;
    okta.clear_requests();
    (content(&folder.path("sync.c1z")), requests)
}

/// Waits until the server has received `count` requests of a kind, and until the responses to earlier requests were
/// stored.
fn wait_for(running: &Running, okta: &Okta, endpoint: Endpoint, count: usize) {
    let begun = Instant::now();
    let arrived = || {
        let requests = okta.requests();
        let alike = requests.iter().filter(|one| one.endpoint == endpoint);
        alike.count() >= count
    };
    while !arrived() {
        assert!(begun.elapsed() < Duration::from_secs(900));
        std::thread::sleep(Duration::from_millis(5));
    }
    running.settle();
}

/// Ends a run at the `nth` request of a kind, which has no response, and runs it again. No completed request is
/// repeated, all requests are sent in the end, and the content is correct.
fn end_and_go_on(
    okta: &Okta,
    (truth, requests): &(Vec<String>, u64),
    arguments: &[&str],
    (endpoint, nth): (Endpoint, usize),
    signal: &str,
) {
    let case = format!("{signal} at {endpoint:?} {nth} of {arguments:?}");
    okta.clear_requests();
    let hang = Action::Delay(Duration::from_secs(3_600));
    okta.fault(Fault::on(endpoint, hang).from(nth as u64));
    let folder = Folder::new();
    let arguments = [NOW, arguments].concat();
    let running = folder.sync(okta, &arguments).start();
    wait_for(&running, okta, endpoint, nth);
    running.signal(signal);
    let ended = running.end();
    match signal {
        "TERM" => drop(ended.fails(143, "interrupted")),
        _ => assert_eq!(ended.code, None, "{case}"),
    }
    let address = |one: &Request| format!("{}?{}", one.path, one.query);
    // A request without a response has no status yet.
    let answered: Vec<String> = okta
        .requests()
        .iter()
        .filter(|one| one.status != 0 && one.status != 403)
        .map(address)
        .collect();
    // Refused reads are retried, also by the run that resumes.
    let refused = okta
        .requests()
        .iter()
        .filter(|one| one.status == 403)
        .count() as u64;
    okta.clear_faults();
    okta.wait_until_closed();
    okta.clear_requests();
    let ran = folder.sync(okta, &arguments).ok();
    let went_on = ran.stderr.contains("resuming the run");
    assert!(answered.is_empty() || went_on, "{case}: {}", ran.stderr);
    let asked: Vec<String> = okta.requests().iter().map(address).collect();
    // The list of deprovisioned users is deliberately read twice.
    let is_twice = |one: &&String| answered.contains(one) && !one.contains("DEPROVISIONED");
    let again: Vec<&String> = asked.iter().filter(is_twice).collect();
    assert!(again.is_empty(), "{case}: {again:?}");
    let sent = (answered.len() + asked.len()) as u64;
    assert!(
        sent <= *requests && sent + refused >= *requests,
        "{case}: {sent} requests and {refused} refused ones instead of {requests}"
    );
    assert!(content(&folder.path("sync.c1z")) == *truth, "{case}");
    assert_eq!(folder.names(), ["sync.c1z".to_owned()].into(), "{case}");
}

#[test]
#[ignore = "long"]
fn a_killed_run_is_resumed_without_repeating_completed_pages() {
    let stages = [
        ("group", Endpoint::Users, 1),
        ("group", Endpoint::Users, 3),
        ("group", Endpoint::Users, 7),
        ("group", Endpoint::Groups, 2),
        ("group", Endpoint::Groups, 3),
        ("group", Endpoint::Members, 1),
        ("group", Endpoint::Members, 2),
        ("group", Endpoint::Members, 200),
        ("user", Endpoint::UserGroups, 1),
        ("user", Endpoint::UserGroups, 150),
    ];
    let okta = Okta::with(org());
    let truth: HashMap<&str, (Vec<String>, u64)> = ["group", "user"]
        .map(|by| (by, undisturbed(&okta, &["--memberships-by", by])))
        .into();
    for signal in ["KILL", "TERM"] {
        for (by, endpoint, nth) in stages {
            let arguments = ["--memberships-by", by];
            end_and_go_on(&okta, &truth[by], &arguments, (endpoint, nth), signal);
        }
    }
}

#[test]
#[ignore = "long"]
fn a_run_with_refused_requests_is_resumed_with_its_results() {
    // In one org, the plain lists must be read; in another one, the members of some groups are hidden.
    let mut secretive = org();
    let some: Vec<String> = secretive
        .groups()
        .step_by(50)
        .map(|group| group.id.to_string())
        .collect();
    for id in &some {
        secretive.edit_group(id, |group| group.members_forbidden = true);
    }
    let refusing = Options {
        refuse_search: Some(RefuseSearch::new(Refused::All)),
        ..unlimited()
    };
    let no_search = Okta::with_options(org(), refusing);
    let refuses_co = Options {
        refuse_search: Some(RefuseSearch::new(Refused::Contains)),
        ..unlimited()
    };
    let no_contains = Okta::with_options(org(), refuses_co);
    let secretive = Okta::with(secretive);
    let by_group = ["--memberships-by", "group", "--allow-partial"];
    let few = ["--skip-secondary-emails", "--memberships-by", "user"];
    let nobody = [
        "--skip-secondary-emails",
        "--email-domains",
        "nowhere.example",
        "--allow-empty",
    ];
    for (okta, arguments, stages) in [
        // The refused search, then seven pages of the first list and one of the second.
        (
            &no_search,
            &by_group[..],
            &[
                (Endpoint::Users, 2),
                (Endpoint::Users, 5),
                (Endpoint::Users, 8),
            ][..],
        ),
        (
            &no_contains,
            &few,
            &[
                (Endpoint::Users, 2),
                (Endpoint::Users, 4),
                (Endpoint::UserGroups, 9),
            ],
        ),
        (
            &secretive,
            &by_group,
            &[(Endpoint::Members, 9), (Endpoint::Members, 300)],
        ),
        (
            &secretive,
            &few,
            &[(Endpoint::Users, 2), (Endpoint::UserGroups, 100)],
        ),
        (
            &secretive,
            &nobody,
            &[(Endpoint::Users, 2), (Endpoint::Groups, 2)],
        ),
    ] {
        let truth = undisturbed(okta, arguments);
        for stage in stages {
            end_and_go_on(okta, &truth, arguments, *stage, "KILL");
        }
    }
}

#[test]
fn a_snapshot_records_that_its_run_was_interrupted_and_when_it_began() {
    let okta = Okta::with(org());
    let slow = Action::Delay(Duration::from_secs(3_600));
    okta.fault(Fault::on(Endpoint::Members, slow).from(20));
    let folder = Folder::new();
    for count in [20, 1] {
        let running = folder.sync(&okta, &[]).start();
        wait_for(&running, &okta, Endpoint::Members, count);
        running.signal("INT");
        running.end().code(130).says("checkpoint saved");
        okta.wait_until_closed();
        okta.clear_requests();
    }
    let state = Connection::open(folder.path(STATE)).unwrap();
    let begun = cell(
        &state,
        "select strftime('%Y-%m-%dT%H:%M:%S', started_at / 1000, 'unixepoch') from run",
    );
    drop(state);
    okta.clear_faults();
    let ran = folder.sync(&okta, &["--output", "json"]).ok();
    assert_eq!(ran.json()["interruptions"], 2);
    let db = open(&folder.path("sync.c1z"));
    assert_eq!(cell(&db, "select interruptions from snapshot"), "2");
    assert_eq!(
        rows(&db, "select code from warnings"),
        ["resumed", "resumed"]
    );
    assert!(cell(&db, "select started_at from snapshot").starts_with(&begun));
    let requests: u64 = cell(&db, "select requests from snapshot").parse().unwrap();
    // The requests of all parts; current requests may be missing after a signal.
    assert!(
        requests.abs_diff(okta.count()) <= 32,
        "{requests} of {}",
        okta.count()
    );
    assert_holds_the_truth(&folder.path("sync.c1z"), &okta, &scope(DOMAINS, None));
}

/// Leaves the checkpoint of a run that ended in the middle of the memberships.
fn interrupted(okta: &Okta, folder: &Folder) {
    let slow = Action::Delay(Duration::from_secs(3_600));
    okta.fault(Fault::on(Endpoint::Members, slow).from(20));
    let running = folder.sync(okta, &[]).start();
    wait_for(&running, okta, Endpoint::Members, 20);
    running.signal("KILL");
    running.end();
    okta.clear_faults();
    okta.wait_until_closed();
    okta.clear_requests();
    assert!(folder.path(STATE).exists());
}

#[test]
fn a_checkpoint_that_cannot_be_resumed_is_set_aside_with_a_reason() {
    type Spoil = fn(&Folder);
    let nothing: Spoil = |_| {};
    let cases: Vec<(&str, Vec<&str>, Spoil, &str)> = vec![
        (
            "another scope",
            vec!["--email-domains", "example.com"],
            nothing,
            "the scope changed",
        ),
        (
            "another filter",
            vec!["--group-name-filter", "a"],
            nothing,
            "the scope changed",
        ),
        (
            "another way",
            vec!["--memberships-by", "user"],
            nothing,
            "--memberships-by changed",
        ),
        ("--fresh", vec!["--fresh"], nothing, "--fresh was given"),
        (
            "another version of the program",
            vec![],
            |folder| {
                sql(
                    folder,
                    "update run set resume_key = json_set(resume_key, '$.program', '0.0.9')",
                )
            },
            "this program's version changed",
        ),
        (
            "another token",
            vec![],
            |folder| {
                sql(
                    folder,
                    "update run set resume_key = json_set(resume_key, '$.credentials', 'ff')",
                )
            },
            "the token changed",
        ),
        (
            "a day old",
            vec![],
            |folder| sql(folder, "update run set began_at = began_at - 86401000"),
            "the limit of 24 hours",
        ),
        (
            "of another format",
            vec![],
            |folder| sql(folder, "pragma user_version = 77"),
            "another version",
        ),
        (
            "no database",
            vec![],
            |folder| overwrite(folder, "scribble"),
            "not a database",
        ),
        ("cut short", vec![], cut, "malformed"),
    ];
    for (name, arguments, spoil, reason) in cases {
        let okta = Okta::with(org());
        let folder = Folder::new();
        interrupted(&okta, &folder);
        spoil(&folder);
        // The run ends early, so that the old checkpoint is still there.
        okta.fault(Fault::on(Endpoint::Groups, Action::okta(400, "E0000003")));
        let arguments = [NOW, &arguments].concat();
        let ran = folder.sync(&okta, &arguments).end();
        assert_eq!(ran.code, Some(2), "{name}: {}", ran.stderr);
        assert!(
            ran.stderr.contains("starting over: ") && ran.stderr.matches(reason).count() == 1,
            "{name}: {}",
            ran.stderr
        );
        assert!(folder.path(".sync.c1z.checkpoint-old").exists(), "{name}");
        assert!(!folder.path(STATE).exists(), "{name}");
        okta.clear_faults();
        let ran = folder.sync(&okta, &[]).ok();
        assert!(!ran.stderr.contains("going on"), "{name}: {}", ran.stderr);
        assert_holds_the_truth(&folder.path("sync.c1z"), &okta, &scope(DOMAINS, None));
        assert_eq!(folder.names(), ["sync.c1z".to_owned()].into(), "{name}");
    }
}

#[test]
fn the_checkpoint_of_a_published_run_is_not_resumed() {
    let okta = Okta::with(org());
    let folder = Folder::new();
    // The run was killed after the file was published and before the checkpoint was removed, which is simulated by
    // restoring the checkpoint.
    let running = folder.sync(&okta, &[]).start();
    wait_for_file(&folder.path(".sync.c1z.tmp-db"));
    let names = [STATE, ".sync.c1z.checkpoint-wal"];
    let files = names.map(|name| std::fs::read(folder.path(name)));
    running.end().code(0);
    for (name, bytes) in names.iter().zip(files) {
        std::fs::write(folder.path(name), bytes.unwrap()).unwrap();
    }
    let checkpoint = Connection::open(folder.path(STATE)).unwrap();
    let all_done = "select min(done) from listings";
    assert_eq!(cell(&checkpoint, all_done), "1");
    drop(checkpoint);
    let user = okta.org().users().next().unwrap().id.to_string();
    okta.org_mut().remove_user(&user);
    let ran = folder.sync(&okta, &[]).ok();
    assert!(!ran.stderr.contains("resuming the run"), "{}", ran.stderr);
    assert_holds_the_truth(&folder.path("sync.c1z"), &okta, &scope(DOMAINS, None));
}

#[test]
fn an_empty_checkpoint_is_ignored_silently() {
    let okta = Okta::with(org());
    let folder = Folder::new();
    std::fs::write(folder.path(STATE), "").unwrap();
    let ran = folder.sync(&okta, &[]).ok();
    assert_eq!(ran.stderr, "");
    assert_eq!(folder.names(), ["sync.c1z".to_owned()].into());
}

fn sql(folder: &Folder, statement: &str) {
    let db = Connection::open(folder.path(STATE)).unwrap();
    db.execute_batch(statement).unwrap();
}

fn overwrite(folder: &Folder, text: &str) {
    // The log is removed first, since it would repair the database.
    std::fs::remove_file(folder.path(".sync.c1z.checkpoint-wal")).unwrap();
    std::fs::write(folder.path(STATE), text).unwrap();
}

/// Truncates the database.
fn cut(folder: &Folder) {
    // Opening and closing the database applies the log.
    sql(folder, "pragma user_version");
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(folder.path(STATE))
        .unwrap();
    let length = file.metadata().unwrap().len();
    file.set_len(length / 4096 / 2 * 4096).unwrap();
}

#[test]
fn a_checkpoint_whose_log_was_truncated_is_resumed_from_the_rest() {
    let okta = Okta::with(org());
    let (content_of_truth, _) = undisturbed(&okta, &[]);
    let log = ".sync.c1z.checkpoint-wal";
    for part in [0, 1, 30, 55, 80, 99] {
        okta.clear_requests();
        let folder = Folder::new();
        let slow = Action::Delay(Duration::from_secs(3_600));
        okta.fault(Fault::on(Endpoint::Members, slow).from(60));
        let running = folder.sync(&okta, NOW).start();
        wait_for(&running, &okta, Endpoint::Members, 60);
        running.signal("KILL");
        running.end();
        okta.clear_faults();
        let file = std::fs::OpenOptions::new()
            .write(true)
            .open(folder.path(log))
            .unwrap();
        let length = file.metadata().unwrap().len();
        assert!(length > 10_000, "{length}");
        file.set_len(length * part / 100).unwrap();
        drop(file);
        folder.sync(&okta, NOW).ok();
        assert!(
            content(&folder.path("sync.c1z")) == content_of_truth,
            "{part} % of the log"
        );
        assert_eq!(folder.names(), ["sync.c1z".to_owned()].into());
    }
}

#[test]
fn a_run_that_was_killed_while_writing_the_file_repeats_no_request() {
    let shape = Shape {
        users: 3_000,
        in_scope: 3_000,
        groups: 60,
        memberships: 120_000,
        largest_group: 2_900,
        ..Shape::default()
    };
    let okta = Okta::with(Org::generated(&shape));
    let folder = Folder::new();
    let running = folder.sync(&okta, &[]).start();
    wait_for_file(&folder.path(".sync.c1z.tmp-db"));
    running.signal("KILL");
    running.end();
    let asked = okta.count();
    folder.sync(&okta, &[]).ok();
    assert_eq!(okta.count(), asked);
    assert_holds_the_truth(&folder.path("sync.c1z"), &okta, &scope(DOMAINS, None));
    assert_eq!(folder.names(), ["sync.c1z".to_owned()].into());
}

#[test]
fn a_cursor_that_okta_lost_restarts_only_its_listing() {
    let okta = Okta::with(org());
    let (content_of_truth, _) = undisturbed(&okta, &[]);
    let folder = Folder::new();
    let slow = Action::Delay(Duration::from_secs(3_600));
    okta.fault(Fault::on(Endpoint::Users, slow).from(4));
    let running = folder.sync(&okta, NOW).start();
    wait_for(&running, &okta, Endpoint::Users, 4);
    running.signal("KILL");
    running.end();
    okta.clear_faults();
    okta.wait_until_closed();
    okta.clear_requests();
    okta.fault(Fault::on(Endpoint::Users, Action::okta(400, "E0000031")).first(1));
    folder.sync(&okta, NOW).ok().says("restarting the listing");
    assert_eq!(
        okta.asked("/api/v1/users").len(),
        8,
        "one refused request and seven pages"
    );
    assert!(okta.asked("/api/v1/groups").is_empty());
    assert!(content(&folder.path("sync.c1z")) == content_of_truth);
    let db = open(&folder.path("sync.c1z"));
    assert_eq!(cell(&db, "select users_seen from snapshot"), "1300");
}

#[test]
fn a_list_too_short_for_two_cursors_is_resumed_by_one() {
    let org = Org::generated(&Shape {
        users: 14_000,
        in_scope: 300,
        groups: 30,
        memberships: 400,
        largest_group: 60,
        ..Shape::default()
    });
    let by_user = ["--memberships-by", "user", "--email-domains", "example.com"];
    let arguments = [NOW, &by_user].concat();
    let okta = Okta::with(org);
    let (content_of_truth, requests) = undisturbed(&okta, &arguments[2..]);
    let folder = Folder::new();
    let slow = Action::Delay(Duration::from_secs(3_600));
    okta.fault(Fault::on(Endpoint::Users, slow).from(40));
    let running = folder.sync(&okta, &arguments).start();
    wait_for(&running, &okta, Endpoint::Users, 40);
    running.signal("KILL");
    running.end();
    okta.clear_faults();
    folder.sync(&okta, &arguments).ok().says("resuming the run");
    assert!(content(&folder.path("sync.c1z")) == content_of_truth);
    let db = open(&folder.path("sync.c1z"));
    let listed = "select users_listed_by || ' ' || users_seen from snapshot";
    assert_eq!(cell(&db, listed), "search 14000");
    // Where date windows are split depends on which workers are idle. Eight requests were in flight when the run was
    // killed.
    let asked = okta.count() - requests;
    assert!(asked <= requests + 40, "{asked} of {requests}");
}

/// Random faults in a fifth of all requests, and kill -9 at random, fifty times.
#[test]
#[ignore = "long"]
fn a_sync_with_faults_that_is_killed_fifty_times_ends_as_an_uninterrupted_one() {
    const KILLS: u32 = 50;
    let okta = Okta::with(Org::generated(&Shape {
        users: 2_600,
        in_scope: 1_500,
        groups: 1_500,
        memberships: 12_000,
        largest_group: 2_500,
        seed: 11,
        created: Distribution::Even(2),
        extra: 0,
    }));
    let by_group = ["--memberships-by", "group"];
    let (content_of_truth, requests) = undisturbed(&okta, &by_group);
    okta.change_options(|options| options.latency = Duration::from_millis(20));
    let faults = [
        Action::okta(500, "E0000009"),
        Action::html(502),
        Action::okta(503, "E0000010"),
        Action::Close,
        Action::CutBody,
        Action::NotJson,
        Action::EmptyBody,
        Action::NullId,
    ];
    let share = 0.2 / faults.len() as f64;
    for (seed, action) in faults.into_iter().enumerate() {
        okta.fault(Fault::any(action).random(share, seed as u64 + 1));
    }
    let folder = Folder::new();
    std::fs::write(folder.path("sync.c1z"), "previous").unwrap();
    let arguments = [NOW, &by_group, &["--concurrency", "2"]].concat();
    let mut random = 7_u32;
    for kill in 1..=KILLS {
        let before = okta.count();
        let running = folder.sync(&okta, &arguments).start();
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // Some runs are killed before the first request.
        while okta.count() < before + u64::from(random >> 28) {
            std::thread::sleep(Duration::from_millis(1));
        }
        running.signal("KILL");
        assert_eq!(running.end().code, None, "the run ended before kill {kill}");
        assert_eq!(std::fs::read(folder.path("sync.c1z")).unwrap(), b"previous");
    }
    okta.change_options(|options| options.latency = Duration::ZERO);
    let arguments = [NOW, &by_group, &["--output", "json"]].concat();
    let ran = folder.sync(&okta, &arguments).ok();
    assert!(content(&folder.path("sync.c1z")) == content_of_truth);
    assert_eq!(folder.names(), ["sync.c1z".to_owned()].into());
    let log = okta.requests();
    let faulty = log.iter().filter(|request| request.faulty).count() as u64;
    let whole = log.len() as u64 - faulty;
    // A completed response is requested again only if the kill came before it was stored: at most the responses of two
    // workers, and those that had just arrived.
    assert!(
        whole <= requests + u64::from(KILLS) * 6,
        "{whole} of {requests}"
    );
    assert!(
        faulty * 100 > log.len() as u64 * 15,
        "{faulty} of {}",
        log.len()
    );
    let interruptions = ran.json()["interruptions"].as_u64().unwrap();
    // A run that is killed before its first commit is not recorded.
    assert!(interruptions >= 10, "{interruptions}");
}
