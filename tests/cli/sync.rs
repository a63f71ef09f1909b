//! Tests the contents of the file for various orgs.

use std::os::unix::fs::PermissionsExt as _;

use okta_fake::{Distribution, Group, Options, Org, Shape, Size, User, at};

use crate::support::{Folder, Okta, assert_holds_the_truth, cell, open, rows, scope, unlimited};

const DOMAINS: &[&str] = &["example.com", "example.org"];

fn shape(
    users: usize,
    in_scope: usize,
    groups: usize,
    memberships: usize,
    largest_group: usize,
) -> Shape {
    Shape {
        users,
        in_scope,
        groups,
        memberships,
        largest_group,
        seed: 7,
        created: Distribution::Even(3),
        extra: 0,
    }
}

#[test]
fn the_file_contains_exactly_what_is_in_scope() {
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    for (arguments, filter) in [
        (vec![], None),
        (vec!["--memberships-by", "group"], None),
        (vec!["--memberships-by", "user"], None),
        (vec!["--group-name-filter", "eng"], Some("eng")),
    ] {
        for file in ["a.c1z", "b.db"] {
            folder
                .sync(&okta, &[&["-f", file], &arguments[..]].concat())
                .ok();
            assert_holds_the_truth(&folder.path(file), &okta, &scope(DOMAINS, filter));
        }
    }
}

#[test]
fn an_org_of_many_pages_is_read_completely_by_group_and_by_user() {
    let okta = Okta::with(Org::generated(&shape(2_345, 700, 260, 9_000, 2_100)));
    let folder = Folder::new();
    for by in ["group", "user"] {
        folder
            .sync(&okta, &["--memberships-by", by])
            .env("BATON_EMAIL_DOMAINS", "example.com")
            .ok();
        assert_holds_the_truth(
            &folder.path("sync.c1z"),
            &okta,
            &scope(&["example.com"], None),
        );
    }
}

#[test]
fn the_same_org_and_clock_give_the_same_bytes() {
    let okta = Okta::with(Org::generated(&shape(900, 300, 40, 3_000, 250)));
    let folder = Folder::new();
    for by in ["auto", "group", "user"] {
        for ending in ["c1z", "db"] {
            let names = [format!("one.{ending}"), format!("two.{ending}")];
            for (name, workers) in names.iter().zip(["8", "3"]) {
                let arguments = [
                    "-f",
                    name,
                    "--memberships-by",
                    by,
                    "--now",
                    "2026-01-31T12:00:00Z",
                    "--concurrency",
                    workers,
                ];
                folder.sync(&okta, &arguments).ok();
            }
            let [one, two] = names.map(|name| std::fs::read(folder.path(&name)).unwrap());
            assert!(one == two, "by {by}, {ending}");
        }
    }
}

#[test]
fn by_group_and_by_user_give_the_same_content() {
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    folder
        .sync(
            &okta,
            &[
                "-f",
                "group.db",
                "--memberships-by",
                "group",
                "--now",
                "2026-01-31T12:00:00Z",
            ],
        )
        .ok();
    folder
        .sync(
            &okta,
            &[
                "-f",
                "user.db",
                "--memberships-by",
                "user",
                "--now",
                "2026-01-31T12:00:00Z",
            ],
        )
        .ok();
    let [group, user] = ["group.db", "user.db"].map(|name| open(&folder.path(name)));
    for query in [
        "select * from users",
        "select id, name, description, type, source_id, created, last_updated, last_membership_updated,
           members_reported, members_kept, profile from groups",
        "select user_id, group_id from memberships",
        "select * from v1_resource_types",
        "select * from v1_resources",
        "select * from v1_entitlements",
        "select * from v1_grants",
    ] {
        assert_eq!(rows(&group, query), rows(&user, query), "{query}");
    }
    assert_eq!(
        rows(&group, "select distinct learned from groups"),
        ["listed"]
    );
    assert_eq!(
        rows(&user, "select distinct learned from groups"),
        ["by_user"]
    );
}

#[test]
fn a_plain_database_has_the_schema_and_rows_of_the_container() {
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    for name in ["a.c1z", "a.db", "a.sqlite", "a.SQLite3"] {
        folder
            .sync(&okta, &["-f", name, "--now", "2026-01-31T12:00:00Z"])
            .ok();
    }
    let container = std::fs::read(folder.path("a.c1z")).unwrap();
    let inside = zstd::decode_all(container.strip_prefix(b"C1ZF\0").unwrap()).unwrap();
    for name in ["a.db", "a.sqlite", "a.SQLite3"] {
        assert!(
            inside == std::fs::read(folder.path(name)).unwrap(),
            "{name}"
        );
    }
}

#[test]
fn the_tables_have_exactly_the_promised_columns() {
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    folder.sync(&okta, &["-f", "a.db"]).ok();
    let db = open(&folder.path("a.db"));
    for (table, columns) in [
        (
            "users",
            "id status login email second_email first_name last_name display_name created activated status_changed last_login last_updated password_changed type_id matched_by profile",
        ),
        (
            "groups",
            "id name description type source_id created last_updated last_membership_updated members_reported members_seen members_kept learned profile",
        ),
        ("memberships", "user_id group_id learned"),
        (
            "domains",
            "domain users users_by_email users_by_login users_by_second_email",
        ),
        ("warnings", "code kind object_id message"),
    ] {
        let query = format!("select group_concat(name, ' ') from pragma_table_info('{table}')");
        assert_eq!(cell(&db, &query), columns);
    }
    assert_eq!(cell(&db, "select count(*) from snapshot"), "1");
    assert_eq!(
        cell(
            &db,
            "select type from sqlite_master where name = 'memberships'"
        ),
        "view"
    );
}

#[test]
fn unusual_profiles_are_stored_unchanged() {
    let mut org = Org::new();
    let odd = r#"{"login":"odd@example.com","email":["not","a","text"],"firstName":null,"secondEmail":7,
        "big":12345678901234567890,"exact":1.50,"huge":1e400,"nested":{"b":[null,{"a":1}]},"name":"Zoë \u202e日本","yes":true}"#;
    org.add_user(User::new("00u1", odd));
    org.add_user(User::with_raw(
        "00u2",
        r#"{"id":"00u2","profile":{"email":"bare@example.com"}}"#,
    ));
    org.add_user(User::with_raw("00u3", r#"{"id":"00u3","status":"ASCENDED","created":null,"extra":[1],"profile":{"login":"x@EXAMPLE.com"}}"#));
    org.add_user(User::with_raw(
        "00u4",
        r#"{"id":"00u4","status":null,"profile":null}"#,
    ));
    org.add_group(Group::with_raw(
        "00g1",
        r#"{"id":"00g1","type":"NEW_KIND","profile":{"name":"odd one","n":1.0}}"#,
    ));
    org.add_group(Group::with_raw("00g2", r#"{"id":"00g2"}"#));
    for user in ["00u1", "00u2", "00u3", "00u4"] {
        org.join("00g1", user);
    }
    let okta = Okta::with(org);
    let folder = Folder::new();
    for by in ["group", "user"] {
        folder
            .sync(&okta, &["-f", "a.db", "--memberships-by", by])
            .ok();
        let db = open(&folder.path("a.db"));
        assert_eq!(
            rows(
                &db,
                "select id, status, login, email, matched_by from users"
            ),
            [
                "00u1|ACTIVE|odd@example.com|NULL|login",
                "00u2|NULL|NULL|bare@example.com|email",
                "00u3|ASCENDED|x@EXAMPLE.com|NULL|login",
            ]
        );
        let profile = cell(&db, "select profile from users where id = '00u1'");
        let expected = r#"{"big":12345678901234567890,"email":["not","a","text"],"exact":1.50,"firstName":null,"huge":1e400,"login":"odd@example.com","name":"Zoë @@日本","nested":{"b":[null,{"a":1}]},"secondEmail":7,"yes":true}"#;
        assert_eq!(
            profile.replace("1e+400", "1e400").replace('\u{202e}', "@@"),
            expected
        );
        assert_eq!(
            rows(
                &db,
                "select id, name, type from groups where id <> '00g00000000everyone0'"
            ),
            ["00g1|odd one|NEW_KIND", "00g2|NULL|NULL"]
        );
        assert_eq!(
            rows(
                &db,
                "select user_id from memberships where group_id = '00g1'"
            ),
            ["00u1", "00u2", "00u3"]
        );
    }
}

#[test]
fn a_user_found_only_as_a_member_is_stored_and_counted() {
    let mut org = Org::demo();
    let mut late = User::with_email("00u9late", "late@example.com");
    late.lagging = true;
    org.add_user(late);
    let group = org
        .groups()
        .find(|group| group.kind == "OKTA_GROUP")
        .unwrap()
        .id
        .to_string();
    org.join(&group, "00u9late");
    let okta = Okta::with(org);
    let folder = Folder::new();
    folder.sync(&okta, &["-f", "a.db"]).ok();
    let db = open(&folder.path("a.db"));
    assert_eq!(cell(&db, "select users_only_as_members from snapshot"), "1");
    assert_eq!(
        cell(
            &db,
            &format!(
                "select count(*) from memberships where user_id = '00u9late' and group_id = '{group}'"
            )
        ),
        "1"
    );
}

#[test]
fn the_newer_of_two_copies_of_a_user_wins() {
    let mut org = Org::new();
    org.add_user(User::with_email("00u1", "old@example.com"));
    org.add_user(User::with_email("00u2", "moves.out@example.com"));
    org.add_user(User::with_email("00u3", "stays@example.com"));
    org.add_group(Group::new("00g1", "team"));
    for user in ["00u1", "00u2", "00u3"] {
        org.join("00g1", user);
    }
    let okta = Okta::with(org);
    // Two users change after the listing was read and before the members are read.
    okta.fault(
        okta_fake::Fault::on(
            okta_fake::Endpoint::Members,
            okta_fake::Action::run(|org| {
                let newer = at("2027-01-01T00:00:00Z");
                org.edit_user("00u1", |user| {
                    *user = User::with_email("00u1", "new@example.com").updated(newer);
                });
                org.edit_user("00u2", |user| {
                    *user = User::with_email("00u2", "moved.out@elsewhere.example").updated(newer);
                });
            }),
        )
        .first(1),
    );
    let folder = Folder::new();
    folder
        .sync(
            &okta,
            &[
                "-f",
                "a.db",
                "--memberships-by",
                "group",
                "--concurrency",
                "1",
            ],
        )
        .ok();
    let db = open(&folder.path("a.db"));
    assert_eq!(
        rows(&db, "select id, email from users"),
        ["00u1|new@example.com", "00u3|stays@example.com"]
    );
    assert_eq!(
        rows(
            &db,
            "select user_id from memberships where group_id = '00g1'"
        ),
        ["00u1", "00u3"]
    );
    assert_eq!(
        cell(
            &db,
            "select members_seen || ' ' || members_kept from groups where id = '00g1'"
        ),
        "3 2"
    );
}

#[test]
fn every_group_has_a_membership_source() {
    let mut org = Org::new();
    for number in 0..5 {
        org.add_user(User::with_email(
            &format!("00u{number}"),
            &format!("u{number}@example.com"),
        ));
    }
    org.add_user(User::with_email("00u5", "u5@elsewhere.example"));
    org.add_user(User::with_email("00u6", "gone@example.com").status("DEPROVISIONED"));
    org.add_group(Group::new("00g1", "some"));
    org.add_group(Group::new("00g2", "empty"));
    org.add_group(Group::new("00g3", "unknown size").size(Size::Withheld));
    org.add_group(Group::new("00g4", "said to be empty").size(Size::Says(0)));
    for (group, user) in [
        ("00g1", "00u0"),
        ("00g1", "00u5"),
        ("00g1", "00u6"),
        ("00g3", "00u1"),
        ("00g4", "00u2"),
    ] {
        org.join(group, user);
    }
    let okta = Okta::with(org);
    let folder = Folder::new();
    let query = "select name, members_reported, members_seen, members_kept, learned from groups order by name";
    folder.sync(&okta, &["-f", "a.db"]).ok();
    assert_eq!(
        rows(&open(&folder.path("a.db")), query),
        [
            "Everyone|6|NULL|5|implied",
            "empty|0|NULL|0|reported_empty",
            "said to be empty|0|NULL|0|reported_empty",
            "some|3|3|2|listed",
            "unknown size|NULL|1|1|listed",
        ]
    );
    folder
        .sync(&okta, &["-f", "a.db", "--memberships-by", "group"])
        .ok();
    assert_eq!(
        rows(&open(&folder.path("a.db")), query),
        [
            "Everyone|6|6|5|listed",
            "empty|0|0|0|listed",
            "said to be empty|0|1|1|listed",
            "some|3|3|2|listed",
            "unknown size|NULL|1|1|listed",
        ]
    );
}

#[test]
fn duplicate_rows_on_several_pages_are_stored_once() {
    let okta = Okta::with(Org::generated(&shape(900, 900, 3, 1_500, 1_000)));
    for endpoint in [okta_fake::Endpoint::Users, okta_fake::Endpoint::Members] {
        okta.fault(okta_fake::Fault::on(
            endpoint,
            okta_fake::Action::RepeatRows(5),
        ));
    }
    let folder = Folder::new();
    folder.sync(&okta, &["-f", "a.db"]).ok();
    assert_holds_the_truth(&folder.path("a.db"), &okta, &scope(DOMAINS, None));
    let db = open(&folder.path("a.db"));
    assert_eq!(cell(&db, "select users_seen from snapshot"), "900");
    assert_eq!(cell(&db, "select sum(members_seen) from groups"), "1500");
}

#[test]
fn the_file_and_the_manifest_are_for_the_owner_only_and_the_manifest_names_the_file() {
    use sha2::Digest as _;
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    let ran = folder
        .sync(&okta, &["--manifest", "m.json", "--output", "json"])
        .ok();
    for name in ["sync.c1z", "m.json"] {
        let mode = std::fs::metadata(folder.path(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.path("m.json")).unwrap()).unwrap();
    let bytes = std::fs::read(folder.path("sync.c1z")).unwrap();
    let hash: String = sha2::Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(manifest["sha256"], hash);
    assert_eq!(manifest["bytes"], bytes.len());
    assert_eq!(
        manifest["snapshot"]["users_kept"],
        ran.json()["users"]["in_scope"]
    );
    assert_eq!(
        folder.names(),
        ["m.json", "sync.c1z"].map(str::to_owned).into()
    );
}

#[test]
fn trailing_empty_pages_and_foreign_link_hosts_change_nothing() {
    let options = Options {
        trailing_empty_page: true,
        link_host: Some("https://company-admin.okta.example".to_owned()),
        ..unlimited()
    };
    let okta = Okta::with_options(Org::generated(&shape(600, 400, 200, 1_000, 400)), options);
    let folder = Folder::new();
    folder.sync(&okta, &[]).ok();
    assert_holds_the_truth(&folder.path("sync.c1z"), &okta, &scope(DOMAINS, None));
}

#[test]
fn a_previous_file_is_replaced_and_a_link_to_it_stays() {
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    std::fs::write(folder.path("real.c1z"), "the old one").unwrap();
    std::os::unix::fs::symlink("real.c1z", folder.path("latest.c1z")).unwrap();
    folder.sync(&okta, &["-f", "latest.c1z"]).ok();
    assert!(
        std::fs::symlink_metadata(folder.path("latest.c1z"))
            .unwrap()
            .is_symlink()
    );
    assert_holds_the_truth(&folder.path("real.c1z"), &okta, &scope(DOMAINS, None));
}

#[test]
fn a_group_renamed_between_two_pages_counts_by_its_newer_copy() {
    use okta_fake::{Action, Endpoint, Fault};
    let mut org = Org::new();
    org.add_user(User::with_email("00u1", "u1@example.com"));
    for number in 0..201 {
        org.add_group(Group::new(
            &format!("00g1{number:03}"),
            &format!("other {number}"),
        ));
    }
    org.add_group(Group::new("00g1000", "not yet").size(Size::Says(0)));
    org.join("00g1000", "00u1");
    let okta = Okta::with(org);
    okta.fault(Fault::on(Endpoint::Groups, Action::RepeatRows(3)).nth(2));
    okta.fault(
        Fault::on(
            Endpoint::Groups,
            Action::run(|org| {
                org.edit_group("00g1000", |group| {
                    *group = Group::new("00g1000", "team red");
                    group.last_updated = at("2027-01-01T00:00:00Z");
                });
                org.join("00g1000", "00u1");
            }),
        )
        .nth(2),
    );
    let folder = Folder::new();
    folder
        .sync(
            &okta,
            &[
                "-f",
                "a.db",
                "--group-name-filter",
                "team",
                "--memberships-by",
                "auto",
            ],
        )
        .ok();
    let db = open(&folder.path("a.db"));
    assert_eq!(
        rows(&db, "select name, members_kept, learned from groups"),
        ["team red|1|listed"]
    );
}

#[test]
fn a_user_listed_out_of_scope_is_fetched_again_if_an_older_copy_is_in_scope() {
    // The copy of a user among the members is older than the one in the listing, which is out of scope.
    for first in ["listing", "members"] {
        let mut org = Org::new();
        for number in 0..250 {
            org.add_user(User::with_email(
                &format!("00u1{number:03}"),
                &format!("u{number}@example.com"),
            ));
        }
        let newer = at("2027-01-01T00:00:00Z");
        org.add_user(User::with_email("00u1249", "left@elsewhere.example").updated(newer));
        org.add_group(Group::new("00g1", "team"));
        org.join("00g1", "00u1000");
        let okta = Okta::with(org);
        use okta_fake::{Action, Endpoint, Fault, Reply};
        let stale = r#"[{"id":"00u1249","status":"ACTIVE","lastUpdated":"2020-01-01T00:00:00.000Z","profile":{"login":"stale@example.com","email":"stale@example.com"}}]"#;
        okta.fault(Fault::on(
            Endpoint::Members,
            Action::Reply(Reply::new(200, "application/json", stale)),
        ));
        let slow = if first == "listing" {
            Endpoint::Members
        } else {
            Endpoint::Users
        };
        okta.fault(Fault::on(
            slow,
            Action::Delay(std::time::Duration::from_millis(300)),
        ));
        let folder = Folder::new();
        folder
            .sync(&okta, &["-f", "a.db", "--memberships-by", "group"])
            .ok();
        let db = open(&folder.path("a.db"));
        assert_eq!(
            cell(&db, "select count(*) from users where id = '00u1249'"),
            "0",
            "{first} first"
        );
        assert_eq!(
            cell(&db, "select users_only_as_members from snapshot"),
            "0",
            "{first} first"
        );
    }
}
