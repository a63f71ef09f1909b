//! Tests that a snapshot is complete or marked as incomplete.

use okta_fake::{Action, Endpoint, Fault, Options, Org, RefuseSearch, Refused};

use crate::support::{
    Folder, Okta, assert_holds_the_truth, cell, open, rows, scope, truth, unlimited,
};

fn with_a_forbidden_group() -> (Okta, String) {
    let mut org = Org::demo();
    let id = org
        .groups()
        .find(|group| group.kind == "OKTA_GROUP" && !org.members(&group.id).is_empty())
        .unwrap()
        .id
        .to_string();
    org.edit_group(&id, |group| group.members_forbidden = true);
    (Okta::with(org), id)
}

#[test]
fn a_group_whose_members_are_forbidden_makes_the_snapshot_partial() {
    let (okta, id) = with_a_forbidden_group();
    let folder = Folder::new();
    std::fs::write(folder.path("sync.c1z"), "previous").unwrap();
    let ran = folder.sync(&okta, &["--manifest", "m.json"]).end().code(3);
    assert!(
        ran.error()
            .contains(&format!("cannot read the members of group {id}")),
        "{}",
        ran.stderr
    );
    assert_eq!(std::fs::read(folder.path("sync.c1z")).unwrap(), b"previous");
    assert_eq!(
        folder.names(),
        ["sync.c1z", "sync.c1z.partial"].map(str::to_owned).into()
    );

    let db = open(&folder.path("sync.c1z.partial"));
    assert_eq!(cell(&db, "select complete from snapshot"), "0");
    let query = format!("select learned, members_kept, members_seen from groups where id = '{id}'");
    assert_eq!(cell(&db, &query), "forbidden|NULL|NULL");
    assert_eq!(
        cell(
            &db,
            &format!("select count(*) from v1_entitlements where resource_id = '{id}'")
        ),
        "0"
    );
    assert_eq!(
        cell(
            &db,
            &format!("select count(*) from v1_grants where resource_id = '{id}'")
        ),
        "0"
    );
    assert_eq!(
        cell(
            &db,
            &format!("select count(*) from v1_resources where external_id = 'group:{id}'")
        ),
        "1"
    );
    assert_eq!(
        cell(
            &db,
            "select code || ' ' || kind || ' ' || object_id from warnings"
        ),
        format!("members_forbidden group {id}")
    );
}

#[test]
fn a_partial_snapshot_is_written_if_allowed_and_is_marked() {
    let (okta, _) = with_a_forbidden_group();
    let folder = Folder::new();
    let ran = folder
        .sync(
            &okta,
            &[
                "--allow-partial",
                "--output",
                "json",
                "--manifest",
                "m.json",
            ],
        )
        .ok();
    assert_eq!(ran.json()["complete"], false);
    assert_eq!(
        cell(
            &open(&folder.path("sync.c1z")),
            "select complete from snapshot"
        ),
        "0"
    );
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.path("m.json")).unwrap()).unwrap();
    assert_eq!(manifest["snapshot"]["complete"], false);
    let ran = folder
        .sync(&okta, &["-f", "other.c1z", "--output", "json"])
        .end()
        .code(3);
    assert_eq!(
        (
            ran.json()["error"].as_str(),
            ran.json()["exit_code"].as_u64()
        ),
        (Some("partial"), Some(3))
    );
    assert!(
        ran.json()["file"]
            .as_str()
            .unwrap()
            .ends_with("other.c1z.partial")
    );
}

#[test]
fn a_user_whose_groups_are_forbidden_is_named_and_makes_the_snapshot_partial() {
    let mut org = Org::demo();
    let id = org
        .users()
        .find(|user| user.profile.contains("@example.com"))
        .unwrap()
        .id
        .to_string();
    org.edit_user(&id, |user| user.groups_forbidden = true);
    let okta = Okta::with(org);
    let folder = Folder::new();
    folder
        .sync(&okta, &["--memberships-by", "user"])
        .end()
        .code(3)
        .says(&id);
    let db = open(&folder.path("sync.c1z.partial"));
    assert_eq!(
        cell(&db, "select code || ' ' || object_id from warnings"),
        format!("groups_forbidden {id}")
    );
    assert_eq!(
        cell(
            &db,
            &format!("select count(*) from memberships where user_id = '{id}'")
        ),
        "0"
    );
}

#[test]
fn a_token_that_does_not_see_everyone_gives_a_partial_snapshot() {
    let okta = Okta::with_options(
        Org::demo(),
        Options {
            hide_everyone: true,
            ..unlimited()
        },
    );
    let folder = Folder::new();
    let ran = folder.sync(&okta, &[]).end().code(3);
    assert!(
        ran.error().contains("group Everyone is missing"),
        "{}",
        ran.stderr
    );
    assert_eq!(
        cell(
            &open(&folder.path("sync.c1z.partial")),
            "select code from warnings"
        ),
        "everyone_missing"
    );
}

#[test]
fn objects_that_are_deleted_during_the_run_are_left_out_and_counted() {
    for (by, endpoint) in [("group", Endpoint::Members), ("user", Endpoint::UserGroups)] {
        let org = Org::demo();
        let group = org.find_group("Engineering").map_or_else(
            || org.groups().nth(3).unwrap().id.to_string(),
            |group| group.id.to_string(),
        );
        let user = org
            .users()
            .find(|user| user.profile.contains("@example.com") && !user.is_deprovisioned())
            .unwrap()
            .id
            .to_string();
        let okta = Okta::with(org);
        let (gone_group, gone_user) = (group.clone(), user.clone());
        let delete = Action::run(move |org| {
            org.remove_group(&gone_group);
            org.remove_user(&gone_user);
        });
        okta.fault(Fault::on(endpoint, delete).first(1));
        let folder = Folder::new();
        folder
            .sync(&okta, &["--memberships-by", by, "--concurrency", "1"])
            .ok();
        let db = open(&folder.path("sync.c1z"));
        let counts = cell(
            &db,
            "select users_vanished || ' ' || groups_vanished from snapshot",
        );
        let (object, gone, kept) = if by == "group" {
            ("group", group, "0 1")
        } else {
            ("user", user, "1 0")
        };
        assert_eq!(counts, kept, "by {by}");
        for query in [
            format!("select count(*) from v1_resources where external_id = '{object}:{gone}'"),
            format!("select count(*) from v1_grants where external_id like '%{object}:{gone}%'"),
            format!("select count(*) from {object}s where id = '{gone}'"),
        ] {
            assert_eq!(cell(&db, &query), "0", "{query}");
        }
        assert_eq!(
            rows(&db, "select code from warnings"),
            [format!("{object}_vanished")]
        );
        let dangling = "select count(*) from v1_grants where 'user:' || principal_resource_id not in (select external_id from v1_resources)
            or 'group:' || resource_id not in (select external_id from v1_resources)";
        assert_eq!(cell(&db, dangling), "0");
    }
}

#[test]
fn a_refused_search_falls_back_to_the_plain_lists_and_misses_no_user() {
    for (status, code) in [(400, "E0000031"), (409, "E0000145")] {
        let refuse = RefuseSearch {
            what: Refused::All,
            status,
            code: code.to_owned(),
        };
        let okta = Okta::with_options(
            Org::demo(),
            Options {
                refuse_search: Some(refuse),
                ..unlimited()
            },
        );
        let folder = Folder::new();
        folder.sync(&okta, &[]).ok();
        assert_holds_the_truth(
            &folder.path("sync.c1z"),
            &okta,
            &scope(&["example.com", "example.org"], None),
        );
        let db = open(&folder.path("sync.c1z"));
        assert_eq!(rows(&db, "select code from warnings"), ["search_refused"]);
        assert_eq!(
            cell(
                &db,
                "select users_listed_by || ' ' || users_seen from snapshot"
            ),
            "plain 60"
        );
        assert_eq!(
            okta.asked("/api/v1/users"),
            [
                "/api/v1/users?limit=200&search=status+pr",
                "/api/v1/users?limit=200&filter=status+eq+%22DEPROVISIONED%22",
                "/api/v1/users?limit=200",
                "/api/v1/users?limit=200&filter=status+eq+%22DEPROVISIONED%22",
            ]
        );
    }
}

#[test]
fn a_404_without_oktas_error_code_is_not_a_deletion() {
    for (action, part) in [
        (Action::okta(404, "E0000008"), "E0000008"),
        (Action::html(404), "Okta returned 404"),
    ] {
        for (by, endpoint) in [("group", Endpoint::Members), ("user", Endpoint::UserGroups)] {
            let okta = Okta::with(Org::demo());
            okta.fault(Fault::on(endpoint, action.clone()));
            let folder = Folder::new();
            folder
                .sync(&okta, &["--memberships-by", by])
                .end()
                .code(2)
                .says(part);
            assert!(folder.names().is_empty());
        }
    }
}

#[test]
fn an_org_that_is_deleted_during_the_run_leaves_no_empty_snapshot() {
    let okta = Okta::with(Org::demo());
    okta.fault(Fault::on(
        Endpoint::UserGroups,
        Action::okta(404, "E0000007"),
    ));
    let folder = Folder::new();
    folder
        .sync(&okta, &["--memberships-by", "user"])
        .end()
        .code(8)
        .says("no user in scope is left");
    assert!(folder.names().is_empty());
}

#[test]
fn equal_partial_runs_give_equal_bytes() {
    let (okta, _) = with_a_forbidden_group();
    let folder = Folder::new();
    for name in ["one.db", "two.db"] {
        folder
            .sync(
                &okta,
                &[
                    "-f",
                    name,
                    "--allow-partial",
                    "--now",
                    "2026-01-31T12:00:00Z",
                ],
            )
            .ok();
    }
    let [one, two] = ["one.db", "two.db"].map(|name| std::fs::read(folder.path(name)).unwrap());
    assert!(one == two);
}

#[test]
fn a_snapshot_that_shrank_too_much_is_written_next_to_the_old_one() {
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    for file in ["sync.c1z", "sync.db"] {
        folder
            .sync(
                &okta,
                &["-f", file, "--max-drop", "0", "--manifest", "m.json"],
            )
            .ok();
    }
    let before = |file: &str| std::fs::read(folder.path(file)).unwrap();
    let (c1z, db, manifest) = (before("sync.c1z"), before("sync.db"), before("m.json"));
    // Every second user in scope leaves.
    let leavers: Vec<String> = {
        let org = okta.org();
        let truth = truth(&org, &scope(&["example.com", "example.org"], None));
        truth
            .users
            .iter()
            .step_by(2)
            .map(ToString::to_string)
            .collect()
    };
    for id in &leavers {
        okta.org_mut().remove_user(id);
    }
    for (file, old) in [("sync.c1z", &c1z), ("sync.db", &db)] {
        let arguments = ["-f", file, "--manifest", "m.json", "--max-drop", "49"];
        let ran = folder.sync(&okta, &arguments).end().code(8);
        let line = ran.error();
        assert!(line.contains("from 49 users to 24"), "{line}");
        assert!(line.contains(&format!("{file}.rejected")), "{line}");
        assert_eq!(&std::fs::read(folder.path(file)).unwrap(), old);
        assert_eq!(std::fs::read(folder.path("m.json")).unwrap(), manifest);
        assert_holds_the_truth(
            &folder.path(&format!("{file}.rejected")),
            &okta,
            &scope(&["example.com", "example.org"], None),
        );
    }
    let ran = folder
        .sync(&okta, &["--output", "json"])
        .env("BATON_MAX_DROP", "10")
        .end()
        .code(8);
    let json = ran.json();
    assert_eq!(
        (&json["error"], &json["exit_code"]),
        (&"guard".into(), &8.into())
    );
    assert!(
        json["file"]
            .as_str()
            .unwrap()
            .ends_with("sync.c1z.rejected")
    );
    // An accepted snapshot replaces the file, and the rejected one is outdated and removed.
    folder.sync(&okta, &["--max-drop", "80"]).ok();
    assert_ne!(std::fs::read(folder.path("sync.c1z")).unwrap(), c1z);
    assert!(!folder.path("sync.c1z.rejected").exists());
}

#[test]
fn a_snapshot_with_another_scope_is_not_compared() {
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    folder.sync(&okta, &[]).ok();
    let before = std::fs::read(folder.path("sync.c1z")).unwrap();
    let asked = okta.count();
    for (arguments, what) in [
        (&["--email-domains", "example.com"][..], "--email-domains"),
        (&["--group-name-filter", "VPN"], "--group-name-filter"),
        (&["--skip-secondary-emails"], "--skip-secondary-emails"),
    ] {
        let arguments = [&["--max-drop", "100"], arguments].concat();
        let ran = folder.sync(&okta, &arguments).end().code(8);
        let part = format!("is of another ({what})");
        assert!(ran.error().contains(&part), "{}", ran.stderr);
    }
    assert_eq!(okta.count(), asked);
    assert_eq!(std::fs::read(folder.path("sync.c1z")).unwrap(), before);
    // A scope with another spelling is the same scope.
    let arguments = [
        "--max-drop",
        "0",
        "--email-domains",
        "EXAMPLE.org., @example.com",
    ];
    folder.sync(&okta, &arguments).ok();
}

#[test]
fn a_file_that_cannot_be_compared_is_refused_before_any_request() {
    let okta = Okta::unasked();
    let folder = Folder::new();
    std::fs::write(folder.path("sync.c1z"), "no snapshot").unwrap();
    let ran = folder.sync(&okta, &["--max-drop", "10"]).end().code(2);
    assert!(
        ran.error().contains("--max-drop compares with the file"),
        "{}",
        ran.stderr
    );
    for bad in ["101", "-1", "ten", "10%"] {
        let argument = format!("--max-drop={bad}");
        let ran = folder.sync(&okta, &[&argument]).end().code(2);
        assert!(ran.error().contains("--max-drop"), "{}", ran.stderr);
    }
}

#[test]
fn the_drop_guard_reads_files_of_the_go_connector() {
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    let fixture = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/go-connector.c1z"
    );
    std::fs::copy(fixture, folder.path("sync.c1z")).unwrap();
    folder.sync(&okta, &["--max-drop", "0"]).ok();
}
