use std::collections::BTreeSet;

use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};
use serde_json::Value;

use super::*;
use crate::org::{Group, Millis, Role, Rule, Size, User};
use crate::query::to_cursor;
use crate::server::{RefuseSearch, Refused};

const BASE: &str = "http://127.0.0.1:1";

fn get(org: &Org, options: &Options, target: &str) -> Response {
    respond(org, options, BASE, &incoming("GET", target))
}

fn incoming(method: &str, target: &str) -> Incoming {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Incoming {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        authorized: true,
        has_length: true,
        omit_credentials: false,
    }
}

fn ids(response: &Response) -> Vec<String> {
    assert_eq!(
        response.status,
        200,
        "{}",
        String::from_utf8_lossy(&response.body)
    );
    let rows: Vec<Value> = serde_json::from_slice(&response.body).unwrap();
    let id = |row: &Value| row["id"].as_str().unwrap().to_owned();
    rows.iter().map(id).collect()
}

/// Returns all ids in a listing. `between` is called after each page.
fn list_all(
    org: &mut Org,
    options: &Options,
    target: &str,
    mut between: impl FnMut(&mut Org, usize),
) -> Vec<String> {
    let mut found = Vec::new();
    let mut target = target.to_owned();
    for page in 0..10_000 {
        let response = get(org, options, &target);
        assert_eq!(response.unexpected, None);
        found.extend(ids(&response));
        between(org, page);
        match response.next {
            None => return found,
            Some(next) => target = next.strip_prefix(BASE).unwrap().to_owned(),
        }
    }
    panic!("the listing does not end");
}

const LISTINGS: [&str; 9] = [
    "/api/v1/users?",
    "/api/v1/users?search=status+pr&",
    "/api/v1/users?search=status%20pr&sortBy=id&sortOrder=desc&",
    "/api/v1/users?search=status%20pr&sortBy=created&",
    "/api/v1/users?search=status%20pr&sortBy=created&sortOrder=desc&",
    "/api/v1/users?search=created%20lt%20%222100-01-01T00:00:00Z%22&",
    "/api/v1/users?search=profile.email%20co%20%22mple%22&",
    "/api/v1/groups/g/users?",
    "/api/v1/groups?expand=stats&",
];

fn many(users: usize) -> Org {
    let mut org = Org::new();
    org.add_group(Group::new("g", "All"));
    for number in 0..users {
        let id = format!("u{number:03}");
        let mut user = User::with_email(&id, &format!("{id}@example.com"));
        // The times contain duplicates and are not in the order of the ids.
        user.created = Millis::try_from(number * 7 % 10).unwrap();
        org.add_user(user);
        org.join("g", &id);
        org.add_group(Group::new(&format!("h{number:03}"), "One of many"));
    }
    org
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn a_listing_returns_each_row_once_for_any_page_size(
        users in 0_usize..60, limit in 1_usize..70, trailing in 0..2,
    ) {
        let mut org = many(users);
        let options = Options { trailing_empty_page: trailing == 1, ..Options::default() };
        for listing in LISTINGS {
            let found = list_all(&mut org, &options, &format!("{listing}limit={limit}"), |_, _| {});
            let once: BTreeSet<_> = found.iter().collect();
            prop_assert_eq!(once.len(), found.len());
            let more = if listing.contains("groups?") { 2 } else { 0 };
            prop_assert_eq!(found.len(), users + more, "{}", listing);
        }
    }

    #[test]
    fn a_listing_neither_misses_nor_repeats_rows_while_others_are_removed(
        limit in 1_usize..20, victims in proptest::collection::vec(0_usize..60, 0..30),
    ) {
        for listing in LISTINGS {
            let mut org = many(60);
            let found = list_all(&mut org, &Options::default(), &format!("{listing}limit={limit}"), |org, page| {
                if let Some(victim) = victims.get(page) {
                    org.remove_user(&format!("u{victim:03}"));
                    org.remove_group(&format!("h{victim:03}"));
                }
            });
            let once: BTreeSet<_> = found.iter().cloned().collect();
            prop_assert_eq!(once.len(), found.len());
            let stay = if listing.contains("groups?") {
                org.groups().map(|group| group.id.to_string()).collect::<Vec<_>>()
            } else {
                org.users().map(|user| user.id.to_string()).collect()
            };
            prop_assert!(stay.iter().all(|id| once.contains(id)), "{}", listing);
        }
    }
}

#[test]
fn sorted_listings_come_in_their_order() {
    let mut org = many(30);
    let mut created = |order: &str| {
        let target =
            format!("/api/v1/users?search=status%20pr&sortBy=created&sortOrder={order}&limit=7");
        let found = list_all(&mut org, &Options::default(), &target, |_, _| {});
        found
            .into_iter()
            .map(|id| (org.user(&id).unwrap().created, id))
            .collect::<Vec<_>>()
    };
    let up = created("asc");
    assert!(up.is_sorted());
    let mut down = created("desc");
    down.reverse();
    assert_eq!(up, down);
}

#[test]
fn links_are_complete_addresses_with_every_parameter() {
    let org = many(9);
    let target = "/api/v1/users?search=profile.email%20co%20%22%40example.com%22&limit=4";
    let page = get(&org, &Options::default(), target);
    let search = "search=profile.email+co+%22%40example.com%22";
    let own = format!("{BASE}/api/v1/users?{search}&limit=4");
    assert_eq!(page.this, Some(own));
    let cursor = to_cursor("u003");
    let next = format!("{BASE}/api/v1/users?{search}&after={cursor}&limit=4");
    assert_eq!(page.next, Some(next));
    let exact = get(&org, &Options::default(), "/api/v1/users?limit=9");
    assert_eq!(exact.next, None, "there is no page after a full last page");
    let large = get(&org, &Options::default(), "/api/v1/users?limit=5000");
    assert!(large.this.unwrap().ends_with("limit=200"));
    let forged = get(&org, &Options::default(), "/api/v1/users?after=u003");
    assert_eq!(forged.status, 400);
}

#[test]
fn listings_of_users_differ_in_the_deprovisioned_and_share_the_lag() {
    let mut org = many(3);
    org.edit_user("u001", |user| user.status = "DEPROVISIONED".into());
    org.edit_user("u002", |user| user.lagging = true);
    let options = Options::default();
    let found = |target: &str| ids(&get(&org, &options, target)).join(" ");
    assert_eq!(found("/api/v1/users"), "u000");
    assert_eq!(found("/api/v1/users?search=status%20pr"), "u000 u001");
    assert_eq!(
        found("/api/v1/users?filter=status%20eq%20%22DEPROVISIONED%22"),
        "u001"
    );
    assert_eq!(found("/api/v1/groups/g/users"), "u000 u001 u002");
    let everyone = org.find_group("Everyone").unwrap().id.clone();
    assert_eq!(
        found(&format!("/api/v1/groups/{everyone}/users")),
        "u000 u002"
    );
    assert_eq!(get(&org, &options, "/api/v1/users/u002").status, 200);
    assert_eq!(found("/api/v1/users/u001/groups"), "g");
    assert_eq!(
        found("/api/v1/users/U000%40EXAMPLE.com/groups"),
        format!("{everyone} g")
    );
}

fn code(response: &Response) -> (u16, String) {
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    (
        response.status,
        body["errorCode"].as_str().unwrap_or_default().to_owned(),
    )
}

#[test]
fn errors_are_those_of_okta_and_unexpected_requests_are_recorded() {
    let mut org = many(1);
    org.edit_group("g", |group| group.members_forbidden = true);
    org.edit_user("u000", |user| user.groups_forbidden = true);
    let options = Options {
        forbid_org: true,
        ..Options::default()
    };
    let table = [
        ("GET", "/api/v1/users/nobody", 404, "E0000007", false),
        ("GET", "/api/v1/groups/none", 404, "E0000007", false),
        ("GET", "/api/v1/groups/none/users", 404, "E0000007", false),
        ("GET", "/api/v1/groups/g/users", 403, "E0000006", false),
        ("GET", "/api/v1/users/u000/groups", 403, "E0000006", false),
        ("GET", "/api/v1/org", 403, "E0000006", false),
        (
            "GET",
            "/api/v1/users?search=profile.email%20co%20%22ab%22",
            400,
            "E0000031",
            false,
        ),
        (
            "GET",
            "/api/v1/users?search=email%20ew%20%22ab%22",
            400,
            "E0000031",
            true,
        ),
        (
            "GET",
            "/api/v1/users?search=status%20pr&filter=x",
            400,
            "E0000033",
            true,
        ),
        ("GET", "/api/v1/users?limit=0", 400, "E0000029", true),
        ("GET", "/api/v1/users?page=2", 200, "", true),
        ("GET", "/api/v1/users?limit=1&limit=2", 200, "", true),
        ("GET", "/api/v1/groups?expand=app", 200, "", true),
        ("POST", "/api/v1/users", 405, "E0000022", true),
        ("DELETE", "/api/v1/groups/g", 405, "E0000022", true),
        ("GET", "/api/v2/users", 404, "E0000008", true),
        ("GET", "/api/v1/logs", 404, "E0000008", true),
    ];
    for (method, target, status, expected, noticed) in table {
        let response = respond(&org, &options, BASE, &incoming(method, target));
        assert_eq!(code(&response), (status, expected.to_owned()), "{target}");
        assert_eq!(response.unexpected.is_some(), noticed, "{target}");
    }
    let without_token = Incoming {
        authorized: false,
        ..incoming("GET", "/api/v1/users")
    };
    let refused = respond(&org, &options, BASE, &without_token);
    assert_eq!(code(&refused), (401, "E0000011".to_owned()));
    assert!(refused.unexpected.is_some());
}

#[test]
fn refused_searches_are_refused_as_the_options_say() {
    let org = many(2);
    let status = |what, search: &str| {
        let options = Options {
            refuse_search: Some(RefuseSearch {
                status: 409,
                code: "E0000145".to_owned(),
                ..RefuseSearch::new(what)
            }),
            ..Options::default()
        };
        get(&org, &options, &format!("/api/v1/users?search={search}")).status
    };
    let co = "profile.email%20co%20%22mple%22";
    let created = "status%20pr%20and%20(created%20gt%20%222000-01-01T00:00:00Z%22)";
    assert_eq!(
        (
            status(Refused::Contains, co),
            status(Refused::Contains, created)
        ),
        (409, 200)
    );
    assert_eq!(
        (
            status(Refused::Created, co),
            status(Refused::Created, created)
        ),
        (200, 409)
    );
    assert_eq!(status(Refused::All, "status%20pr"), 409);
    let filter = "/api/v1/users?filter=status%20eq%20%22ACTIVE%22";
    let options = Options {
        refuse_search: Some(RefuseSearch::new(Refused::All)),
        ..Options::default()
    };
    assert_eq!(get(&org, &options, filter).status, 200);
}

#[test]
fn groups_are_found_by_prefix_search_and_type_and_include_their_size() {
    let mut org = many(3);
    org.add_group(Group::new("v", "VPN users"));
    org.edit_group("h000", |group| group.size = Size::Says(77));
    org.edit_group("h001", |group| group.size = Size::Withheld);
    org.edit_group("h002", |group| group.admin = None);
    let options = Options::default();
    let by_prefix = get(&org, &options, "/api/v1/groups?q=vpn&limit=200");
    assert_eq!(ids(&by_prefix), ["v"]);
    assert_eq!((by_prefix.this, by_prefix.next), (None, None));
    let found = |query: &str| ids(&get(&org, &options, &format!("/api/v1/groups?{query}"))).len();
    assert_eq!(found("q=users"), 0);
    assert_eq!(found("search=profile.name%20co%20%22USERS%22"), 1);
    assert_eq!(found("search=profile.name%20sw%20%22One%22"), 3);
    assert_eq!(found("filter=type%20eq%20%22BUILT_IN%22"), 1);
    let page = get(&org, &options, "/api/v1/groups?expand=stats");
    let rows: Vec<Value> = serde_json::from_slice(&page.body).unwrap();
    let row = |id| rows.iter().find(|row| row["id"] == id).unwrap();
    assert_eq!(row("g")["_embedded"]["stats"]["usersCount"], 3);
    assert_eq!(row("h000")["_embedded"]["stats"]["usersCount"], 77);
    assert_eq!(row("h001").get("_embedded"), None);
    assert_eq!(
        row("h002")["_embedded"]["stats"].get("hasAdminPrivilege"),
        None
    );
    let hidden = Options {
        hide_everyone: true,
        ..Options::default()
    };
    assert_eq!(ids(&get(&org, &hidden, "/api/v1/groups")).len(), 5);
}

#[test]
fn users_have_oktas_shape_and_raw_rows_are_sent_as_they_are() {
    let mut org = many(1);
    org.add_user(User::with_raw("u999", r#"{"id":null,"status":1e400}"#));
    let listing = Incoming {
        omit_credentials: true,
        ..incoming("GET", "/api/v1/users")
    };
    let body = |incoming: &Incoming| {
        String::from_utf8(respond(&org, &Options::default(), BASE, incoming).body)
    };
    let listed = body(&listing).unwrap();
    assert!(
        listed.ends_with(r#",{"id":null,"status":1e400}]"#),
        "{listed}"
    );
    assert!(!listed.contains("credentials") && listed.contains(r#""lastLogin":null"#));
    assert!(
        body(&incoming("GET", "/api/v1/users"))
            .unwrap()
            .contains("\"credentials\"")
    );
    let one: Value =
        serde_json::from_str(&body(&incoming("GET", "/api/v1/users/me")).unwrap()).unwrap();
    assert_eq!(one["created"], "1970-01-01T00:00:00.000Z");
    assert_eq!(
        one["_links"]["self"]["href"],
        format!("{BASE}/api/v1/users/u000")
    );
    assert_eq!(one["_links"]["suspend"]["method"], "POST");
}

#[test]
fn a_users_roles_are_a_bare_array_and_may_be_forbidden() {
    let mut org = many(1);
    let target = "/api/v1/users/u000/roles";
    let options = Options::default();
    assert_eq!(get(&org, &options, target).body, b"[]");
    org.roles.insert(
        "u000".into(),
        vec![
            Role::new("USER_ADMIN", "Group Administrator"),
            Role::new("CUSTOM", "Only groups"),
        ],
    );
    let response = get(&org, &options, target);
    assert_eq!(
        (response.this.as_ref(), response.next.as_ref()),
        (None, None)
    );
    let roles: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(roles[0]["type"], "USER_ADMIN");
    assert_eq!(roles[0]["status"], "ACTIVE");
    assert_eq!(roles[0]["assignmentType"], "USER");
    assert_eq!(roles[0].get("resource-set"), None);
    assert!(roles[1]["resource-set"].is_string());
    let me = get(&org, &options, "/api/v1/users/me/roles");
    assert_eq!(code(&me), (404, "E0000007".to_owned()));
    let forbidden = Options {
        forbid_roles: true,
        ..Options::default()
    };
    assert_eq!(
        code(&get(&org, &forbidden, target)),
        (403, "E0000006".to_owned())
    );
}

fn send(org: &mut Org, options: &Options, method: &str, target: &str) -> u16 {
    change(org, options, &incoming(method, target), Instant::now())
        .unwrap()
        .1
        .status
}

#[test]
fn a_membership_is_put_and_deleted() {
    let mut org = many(2);
    let options = Options::default();
    let target = "/api/v1/groups/h000/users/u001";
    assert_eq!(send(&mut org, &options, "PUT", target), 204);
    assert_eq!(send(&mut org, &options, "PUT", target), 204);
    assert!(org.is_member("h000", "u001"));
    assert_eq!(send(&mut org, &options, "DELETE", target), 204);
    assert_eq!(send(&mut org, &options, "DELETE", target), 204);
    assert!(!org.is_member("h000", "u001"));
    assert_eq!(send(&mut org, &options, "GET", target), 405);
    assert_eq!(
        send(&mut org, &options, "PUT", "/api/v1/groups/h000/users/no"),
        404
    );
    assert_eq!(
        send(&mut org, &options, "PUT", "/api/v1/groups/no/users/u001"),
        404
    );
    let strict = Options {
        absent_delete_returns_404: true,
        ..Options::default()
    };
    assert_eq!(send(&mut org, &strict, "DELETE", target), 404);
    let everyone = "/api/v1/groups/00g00000000everyone0/users/u001";
    assert_eq!(send(&mut org, &options, "PUT", everyone), 403);
    let old = Options {
        read_only_groups_return_501: true,
        ..Options::default()
    };
    assert_eq!(send(&mut org, &old, "PUT", everyone), 501);
    let without = Incoming {
        has_length: false,
        ..incoming("PUT", target)
    };
    let (response, _) = change(&mut org, &options, &without, Instant::now()).unwrap();
    assert_eq!(response.status, 411);
    assert!(!org.is_member("h000", "u001"));
}

#[test]
fn a_user_who_was_added_by_a_rule_is_excluded_from_it_when_removed() {
    let mut org = many(1);
    org.rules.push(Rule {
        id: "0pr1".to_owned(),
        name: "All".to_owned(),
        status: "ACTIVE".to_owned(),
        expression: "true".to_owned(),
        groups: vec!["g".to_owned()],
        managed: vec!["u000".to_owned()],
        excluded: Vec::new(),
        created: 0,
    });
    send(
        &mut org,
        &Options::default(),
        "DELETE",
        "/api/v1/groups/g/users/u000",
    );
    let page = get(&org, &Options::default(), "/api/v1/groups/rules?limit=50");
    let rules: Value = serde_json::from_slice(&page.body).unwrap();
    assert_eq!(
        rules[0]["conditions"]["people"]["users"]["exclude"][0],
        "u000"
    );
    assert_eq!(
        rules[0]["actions"]["assignUserToGroups"]["groupIds"][0],
        "g"
    );
}
