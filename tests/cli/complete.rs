//! Tests data that looks complete but is not: empty responses, lists that change between two requests, and wrong
//! counts.

use std::time::Duration;

use okta_fake::{
    Action, Endpoint, Fault, Group, Options, Org, RefuseSearch, Refused, Reply, Shape, Size, User,
};
use rusqlite::Connection;

use crate::support::{
    Folder, Okta, Running, assert_holds_the_truth, cell, open, rows, scope, unlimited,
    wait_for_file,
};

const DOMAINS: &[&str] = &["example.com", "example.org"];
const STATE: &str = ".sync.c1z.checkpoint";

/// Returns an org whose Everyone is large enough for reading the user list with two cursors.
fn long_list() -> Org {
    Org::generated(&Shape {
        users: 45_000,
        in_scope: 300,
        groups: 20,
        memberships: 400,
        largest_group: 60,
        ..Shape::default()
    })
}

/// Starts a sync whose second page of users is delayed, so that the size of Everyone is known by then and the user list
/// is read from both ends.
fn from_both_ends(folder: &Folder, okta: &Okta, arguments: &[&str]) -> Running {
    okta.fault(Fault::on(Endpoint::Users, Action::RateLimited(2)).nth(2));
    folder.sync(okta, arguments).start()
}

#[test]
fn an_empty_result_of_a_search_is_verified() {
    let plain = Options {
        refuse_search: Some(RefuseSearch::new(Refused::All)),
        ..unlimited()
    };
    for skip in [&[][..], &["--skip-secondary-emails"]] {
        let okta = Okta::with(Org::demo());
        let empty = Action::Reply(Reply::new(200, "application/json", "[]"));
        okta.fault(Fault::on(Endpoint::Users, empty).query("search="));
        let folder = Folder::new();
        folder
            .sync(&okta, skip)
            .ok()
            .says("reading the plain lists");
        let db = open(&folder.path("sync.c1z"));
        assert_eq!(cell(&db, "select users_listed_by from snapshot"), "plain");
        assert_eq!(rows(&db, "select code from warnings"), ["search_refused"]);
        // The result is the same if a search is refused.
        let refusing = Okta::with_options(Org::demo(), plain.clone());
        let other = Folder::new();
        other.sync(&refusing, skip).ok();
        let users = "select id from users order by id";
        assert_eq!(
            rows(&db, users),
            rows(&open(&other.path("sync.c1z")), users)
        );
    }
}

#[test]
fn a_user_whose_status_changes_between_the_plain_lists_is_in_one_of_them() {
    let options = Options {
        refuse_search: Some(RefuseSearch::new(Refused::All)),
        ..unlimited()
    };
    for nth in 2..=4 {
        let mut org = Org::demo();
        org.add_user(User::with_email("00ucomes", "comes@example.com").status("DEPROVISIONED"));
        org.add_user(User::with_email("00ugoes", "goes@example.com").status("ACTIVE"));
        let okta = Okta::with_options(org, options.clone());
        let turn = Action::run(|org| {
            org.edit_user("00ucomes", |user| user.status = "ACTIVE".into());
            org.edit_user("00ugoes", |user| user.status = "DEPROVISIONED".into());
        });
        okta.fault(Fault::on(Endpoint::Users, turn).nth(nth));
        let folder = Folder::new();
        folder.sync(&okta, &[]).ok();
        let db = open(&folder.path("sync.c1z"));
        let there = "select id from users where id in ('00ucomes', '00ugoes') order by id";
        assert_eq!(
            rows(&db, there),
            ["00ucomes", "00ugoes"],
            "at request {nth}"
        );
        assert_eq!(
            okta.asked("/api/v1/users").len(),
            4,
            "one search and three lists are sent"
        );
    }
}

#[test]
fn a_group_that_okta_counts_as_empty_is_listed_if_a_member_was_found() {
    let mut org = Org::demo();
    let gone = org
        .users()
        .filter(|user| user.is_deprovisioned())
        .find(|user| {
            user.attributes()["email"]
                .as_str()
                .unwrap_or_default()
                .ends_with("@example.com")
        });
    let gone = gone.unwrap().id.to_string();
    org.add_user(User::with_email("00uother", "other@example.com"));
    org.add_group(Group::new("00gquiet", "Quiet").size(Size::Says(0)));
    assert!(org.join("00gquiet", &gone) && org.join("00gquiet", "00uother"));
    let okta = Okta::with(org);
    let folder = Folder::new();
    folder.sync(&okta, &[]).ok();
    assert_eq!(okta.asked("/api/v1/groups/00gquiet/users").len(), 1);
    assert_holds_the_truth(&folder.path("sync.c1z"), &okta, &scope(DOMAINS, None));
}

#[test]
fn a_listing_that_ends_early_gives_no_complete_snapshot() {
    // From now on, the token can see 40 of 60 users.
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    folder.sync(&okta, &[]).ok();
    let before = std::fs::read(folder.path("sync.c1z")).unwrap();
    let everyone = okta
        .org()
        .groups()
        .find(|group| group.is_everyone())
        .unwrap()
        .id
        .to_string();
    let users = okta.org().users().count() as u64;
    okta.org_mut()
        .edit_group(&everyone, |group| group.size = Size::Says(users * 2));
    let ran = folder.sync(&okta, &[]).end().code(3);
    assert!(
        ran.error().contains("members in Everyone"),
        "{}",
        ran.stderr
    );
    assert_eq!(std::fs::read(folder.path("sync.c1z")).unwrap(), before);
}

#[test]
fn a_page_with_an_invalid_link_is_not_the_last_one() {
    for link in [
        "</api/v1/users?after=1&limit=200; rel=\"next\"",
        "<https://company.okta.com/api/v1/users?after=\u{e9}>; rel=\"next\"",
        "</api/v1/users?after=1>; rel=\"next",
    ] {
        let okta = Okta::with(Org::demo());
        let page = r#"[{"id":"00u1","status":"ACTIVE","profile":{"login":"a@example.com","email":"a@example.com"}}]"#;
        let reply = Reply::new(200, "application/json", page).header("Link", link);
        okta.fault(Fault::on(Endpoint::Users, Action::Reply(reply)).nth(1));
        let folder = Folder::new();
        folder.sync(&okta, &[]).ok();
        assert_holds_the_truth(&folder.path("sync.c1z"), &okta, &scope(DOMAINS, None));
        let reply = Reply::new(200, "application/json", page).header("Link", link);
        okta.fault(Fault::on(Endpoint::Users, Action::Reply(reply)));
        let ran = folder.sync(&okta, &["--deadline", "10s"]).end().code(6);
        assert!(
            ran.error().contains("Link") || ran.error().contains("--deadline"),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn a_long_list_that_is_read_from_both_ends_is_complete_and_is_resumed_at_both() {
    let okta = Okta::with(long_list());
    let by_user = ["--memberships-by", "user", "--email-domains", "example.com"];
    let truth = scope(&["example.com"], None);
    let folder = Folder::new();
    from_both_ends(&folder, &okta, &by_user).end().code(0);
    let undisturbed = okta.count();
    let listed = "select users_listed_by || ' ' || users_seen from snapshot";
    assert_eq!(
        cell(&open(&folder.path("sync.c1z")), listed),
        "both_ends 45000"
    );
    assert_holds_the_truth(&folder.path("sync.c1z"), &okta, &truth);
    for nth in [60, 120] {
        okta.clear_faults();
        okta.clear_requests();
        let before = okta.count();
        let folder = Folder::new();
        okta.fault(Fault::on(Endpoint::Users, Action::Delay(Duration::from_secs(3_600))).from(nth));
        let running = from_both_ends(&folder, &okta, &by_user);
        while okta.asked("/api/v1/users").len() < nth as usize {
            std::thread::sleep(Duration::from_millis(5));
        }
        running.settle();
        running.signal("KILL");
        running.end();
        okta.clear_faults();
        folder.sync(&okta, &by_user).ok().says("resuming the run");
        assert_eq!(
            cell(&open(&folder.path("sync.c1z")), listed),
            "both_ends 45000"
        );
        assert_holds_the_truth(&folder.path("sync.c1z"), &okta, &truth);
        // The kill discards the pages of the 8 workers and the 16 pages that wait to be stored. Where the two cursors
        // meet depends on which one is faster.
        let requests = okta.count() - before;
        let most = undisturbed + 8 + 16 + 2;
        assert!(requests <= most, "{requests} of {undisturbed}");
    }
}

#[test]
fn a_finished_run_with_a_long_list_is_not_published_again() {
    let okta = Okta::with(long_list());
    let folder = Folder::new();
    let arguments = ["--email-domains", "example.com"];
    // The run was killed after the file was published and before the checkpoint was removed, which is simulated by
    // restoring the checkpoint.
    let running = from_both_ends(&folder, &okta, &arguments);
    wait_for_file(&folder.path(".sync.c1z.tmp-db"));
    let names = [STATE, ".sync.c1z.checkpoint-wal"];
    let files = names.map(|name| std::fs::read(folder.path(name)));
    running.end().code(0);
    for (name, bytes) in names.iter().zip(files) {
        std::fs::write(folder.path(name), bytes.unwrap()).unwrap();
    }
    let state = Connection::open(folder.path(STATE)).unwrap();
    let by = "select users_listed_by from run";
    assert_eq!(cell(&state, by), "both_ends");
    assert_eq!(cell(&state, "select min(done) from listings"), "1");
    drop(state);
    let asked = okta.count();
    let ran = folder.sync(&okta, &arguments).ok();
    assert!(!ran.stderr.contains("resuming the run"), "{}", ran.stderr);
    assert!(okta.count() > asked + 100, "{}", okta.count() - asked);
}
