//! Tests that a sync costs what `--plan` reports.

use okta_fake::{Distribution, Endpoint, Group, Options, Org, RefuseSearch, Refused, Shape, Size};

use crate::support::{
    Folder, Okta, Run, assert_holds_the_truth, cell, open, rows, scope, unlimited,
};

fn many_groups() -> Org {
    // With 150 groups and 40 users in scope, reading by user is cheaper.
    Org::generated(&Shape {
        users: 1_000,
        in_scope: 40,
        groups: 150,
        memberships: 3_000,
        largest_group: 400,
        seed: 3,
        created: Distribution::Even(3),
        extra: 0,
    })
}

fn few_groups() -> Org {
    Org::generated(&Shape {
        users: 1_500,
        in_scope: 900,
        groups: 30,
        memberships: 6_000,
        largest_group: 1_400,
        seed: 3,
        created: Distribution::BulkImport,
        extra: 0,
    })
}

fn only_example_com(run: Run) -> Run {
    run.env("BATON_EMAIL_DOMAINS", "example.com")
}

#[test]
fn a_sync_makes_exactly_the_requests_of_its_plan_with_the_cheaper_strategy() {
    for (org, cheaper) in [(many_groups(), "user"), (few_groups(), "group")] {
        let okta = Okta::with(org);
        let folder = Folder::new();
        let plan = only_example_com(folder.sync(&okta, &["--plan", "--output", "json"]))
            .ok()
            .json();
        assert_eq!(plan["strategy"], cheaper);
        let spent = okta.count();
        assert_eq!(plan["requests_sent"], spent);
        let ways =
            ["group_strategy", "user_strategy"].map(|way| plan[way]["requests"].as_u64().unwrap());
        assert_eq!(plan["total_requests"], spent + ways[0].min(ways[1]));
        for (by, requests) in [("auto", ways[0].min(ways[1])), ("user", ways[1])] {
            okta.clear_requests();
            let before = okta.count();
            let ran =
                only_example_com(folder.sync(&okta, &["--memberships-by", by, "--output", "json"]))
                    .ok();
            assert_eq!(okta.count() - before, spent + requests, "by {by}");
            assert_eq!(ran.json()["requests"], spent + requests);
        }
    }
}

#[test]
fn a_plan_reads_no_membership_and_writes_nothing() {
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    let ran = folder.sync(&okta, &["--plan"]).ok();
    assert!(ran.stdout.contains("nothing was written"));
    assert!(folder.names().is_empty());
    let asked = okta
        .requests()
        .iter()
        .map(|request| request.endpoint)
        .collect::<Vec<_>>();
    assert!(
        asked
            .iter()
            .all(|endpoint| matches!(endpoint, Endpoint::Me | Endpoint::Users | Endpoint::Groups)),
        "{asked:?}"
    );
}

#[test]
fn sizes_that_okta_does_not_give_count_as_one_page() {
    let mut org = few_groups();
    let ids: Vec<String> = org.groups().map(|group| group.id.to_string()).collect();
    for id in &ids {
        org.edit_group(id, |group| group.size = Size::Withheld);
    }
    let okta = Okta::with(org);
    let folder = Folder::new();
    let plan = only_example_com(folder.sync(&okta, &["--plan", "--output", "json"]))
        .ok()
        .json();
    // The members of Everyone are not listed, but one user is fetched to find out if Everyone contains deprovisioned
    // users.
    assert_eq!(plan["group_strategy"]["requests"], ids.len() as u64);
}

#[test]
fn reading_by_group_on_request_ignores_counts() {
    let mut org = Org::demo();
    org.add_group(Group::new("00gsaidempty", "said to be empty").size(Size::Says(0)));
    let okta = Okta::with(org);
    let folder = Folder::new();
    folder.sync(&okta, &["--memberships-by", "group"]).ok();
    assert_eq!(
        okta.asked("/api/v1/groups/00gsaidempty/users"),
        ["/api/v1/groups/00gsaidempty/users?limit=1000"]
    );
    let everyone = okta.org().find_group("Everyone").unwrap().id.clone();
    assert_eq!(
        okta.asked(&format!("/api/v1/groups/{everyone}/users"))
            .len(),
        1
    );
}

#[test]
fn the_requests_are_the_documented_ones() {
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    folder.sync(&okta, &["--memberships-by", "user"]).ok();
    assert_eq!(
        okta.asked("/api/v1/users"),
        ["/api/v1/users?limit=200&search=status+pr"]
    );
    assert_eq!(
        okta.asked("/api/v1/groups"),
        ["/api/v1/groups?limit=200&expand=stats"]
    );
    for request in okta.requests() {
        assert_eq!(request.header("accept"), Some("application/json"));
        let agent = request.header("user-agent").unwrap();
        assert!(agent.starts_with("okta-ciam/"), "{agent}");
        let lean = request
            .header("content-type")
            .unwrap()
            .contains("omitCredentials,omitCredentialsLinks,omitTransitioningToStatus");
        assert_eq!(lean, request.endpoint == Endpoint::Users);
        if request.endpoint == Endpoint::UserGroups {
            assert_eq!(request.query, "");
        }
    }
}

#[test]
fn without_secondary_emails_only_possible_matches_are_requested() {
    let okta = Okta::with(many_groups());
    let folder = Folder::new();
    let ran =
        only_example_com(folder.sync(&okta, &["--skip-secondary-emails", "--output", "json"])).ok();
    let search = "profile.email+co+%22%40example.com%22+or+profile.login+co+%22%40example.com%22";
    assert_eq!(
        okta.asked("/api/v1/users"),
        [format!("/api/v1/users?limit=200&search={search}")]
    );
    assert_eq!(ran.json()["users"]["listed"], serde_json::Value::Null);
    let db = open(&folder.path("sync.c1z"));
    let facts =
        "select users_listed_by, users_seen, users_not_deprovisioned, users_kept from snapshot";
    assert_eq!(rows(&db, facts), ["prefilter|NULL|NULL|40"]);
    assert_holds_the_truth(
        &folder.path("sync.c1z"),
        &okta,
        &scope(&["example.com"], None),
    );
}

#[test]
fn a_refused_prefilter_falls_back_to_all_users() {
    let options = Options {
        refuse_search: Some(RefuseSearch::new(Refused::Contains)),
        ..unlimited()
    };
    let okta = Okta::with_options(many_groups(), options);
    let folder = Folder::new();
    only_example_com(folder.sync(&okta, &["--skip-secondary-emails"])).ok();
    assert_eq!(
        cell(
            &open(&folder.path("sync.c1z")),
            "select users_listed_by || users_seen from snapshot"
        ),
        "search1000"
    );
    assert_holds_the_truth(
        &folder.path("sync.c1z"),
        &okta,
        &scope(&["example.com"], None),
    );
}

#[test]
fn an_empty_prefilter_is_distinguished_from_an_org_without_visible_users() {
    let folder = Folder::new();
    let okta = Okta::with(many_groups());
    let run = folder
        .sync(&okta, &["--skip-secondary-emails"])
        .env("BATON_EMAIL_DOMAINS", "nobody.example");
    run.end().code(8).says("no address is in nobody.example");
    let empty = Okta::with(Org::new());
    folder
        .sync(&empty, &["--skip-secondary-emails"])
        .end()
        .code(5)
        .says("returned no users");
}
