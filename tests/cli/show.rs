//! Tests `show` with snapshots of okta-ciam and of other programs.

use okta_fake::{Group, Org, User};

use crate::support::{Folder, Okta};

fn fixture(name: &str) -> String {
    format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_summary_of_a_snapshot_is_shown() {
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    let synced = folder
        .sync(&okta, &["-f", "a.db", "--output", "json"])
        .ok()
        .json();
    for file in ["a.db"] {
        let shown = folder
            .run(&["show", "-f", file, "--output", "json"])
            .ok()
            .json();
        for (name, key) in [
            ("users", "in_scope"),
            ("groups", "in_scope"),
            ("memberships", "stored"),
        ] {
            assert!(synced[name][key].is_u64(), "{synced:#}");
            assert_eq!(shown["counts"][name], synced[name][key]);
        }
        assert_eq!(shown["snapshot"]["origin"], okta.origin());
        let text = folder.run(&["show", "-f", file]).ok();
        assert!(
            text.stdout.contains("complete") && text.stdout.contains("example.com, example.org"),
            "{}",
            text.stdout
        );
        assert_eq!(text.stderr, "");
    }
}

#[test]
fn a_user_is_found_by_id_login_or_email_and_shown_with_the_groups() {
    let mut org = Org::new();
    org.add_user(User::with_email("00uMixedCase", "Ada@Example.com"));
    org.add_group(Group::new("00g1", "team \u{1b}[31mred\u{202e}"));
    org.join("00g1", "00uMixedCase");
    let okta = Okta::with(org);
    let folder = Folder::new();
    folder.sync(&okta, &[]).ok();
    for name in ["00uMixedCase", "ada@example.COM"] {
        let shown = folder
            .run(&["show", "user", name, "--output", "json"])
            .ok()
            .json();
        assert_eq!(shown[0]["id"], "00uMixedCase");
        assert_eq!(shown[0]["matched_by"], "email");
        let groups: Vec<&str> = shown[0]["groups"]
            .as_array()
            .unwrap()
            .iter()
            .map(|group| group["id"].as_str().unwrap())
            .collect();
        assert_eq!(groups.len(), 2);
        assert!(groups.contains(&"00g1"));
    }
    let text = folder.run(&["show", "user", "00uMixedCase"]).ok().stdout;
    assert!(text.contains("team \\u{1b}[31mred\\u{202e}"), "{text}");
    assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'));
    folder
        .run(&["show", "user", "ada"])
        .end()
        .code(2)
        .says("no user of sync.c1z");
}

#[test]
fn a_group_is_found_by_id_name_or_entitlement_and_shown_with_its_members() {
    let okta = Okta::with(Org::demo());
    let everyone = okta.org().find_group("Everyone").unwrap().id.to_string();
    let folder = Folder::new();
    folder.sync(&okta, &[]).ok();
    for name in [
        everyone.clone(),
        "Everyone".to_owned(),
        format!("group:{everyone}:member"),
    ] {
        let shown = folder
            .run(&["show", "group", &name, "--output", "json"])
            .ok()
            .json();
        assert_eq!(shown[0]["name"], "Everyone");
        assert_eq!(shown[0]["learned"], "implied");
        assert_eq!(
            shown[0]["members"].as_array().unwrap().len() as u64,
            shown[0]["members_kept"].as_u64().unwrap()
        );
    }
    folder
        .run(&["show", "group", "Every"])
        .end()
        .code(2)
        .says("no group of sync.c1z");
}

#[test]
fn files_of_the_go_connector_are_shown() {
    let folder = Folder::new();
    let file = fixture("go-connector.c1z");
    let shown = folder
        .run(&["show", "-f", &file, "--output", "json"])
        .ok()
        .json();
    assert_eq!(shown["counts"]["users"], 7);
    assert_eq!(shown["counts"]["groups"], 4);
    assert_eq!(shown["snapshot"], serde_json::Value::Null);
    let text = folder.run(&["show", "-f", &file]).ok().stdout;
    assert!(
        text.contains("by another connector") && text.contains("custom-role"),
        "{text}"
    );
    let group = folder
        .run(&["show", "-f", &file, "group", "Engineering"])
        .ok()
        .stdout;
    assert!(
        group.contains("Engineering") && group.contains("in scope"),
        "{group}"
    );
    folder
        .run(&["show", "-f", &fixture("go-connector-unfinished.c1z")])
        .end()
        .code(2)
        .says("no finished run");
}

#[test]
fn files_other_than_snapshots_are_refused_in_one_line() {
    let folder = Folder::new();
    std::fs::write(folder.path("text.c1z"), "hello").unwrap();
    std::fs::write(folder.path("empty.c1z"), "").unwrap();
    std::fs::write(folder.path("v3.c1z"), b"C1Z3\0\0\0\0\0").unwrap();
    for file in ["text.c1z", "empty.c1z", "v3.c1z", "missing.c1z", "."] {
        let ran = folder.run(&["show", "-f", file]).end().fails(2, file);
        assert_eq!(ran.stdout, "");
    }
}

#[test]
fn a_snapshot_that_is_older_than_the_maximum_is_refused_and_nothing_is_shown() {
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    let hours_ago = |hours: i64| {
        let time = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(hours);
        time.to_string()
    };
    folder.sync(&okta, &["--now", &hours_ago(27)]).ok();
    for what in [
        &["--max-age", "26h"][..],
        &["--max-age", "26h", "users"],
        &["--max-age", "1620m", "user", "mira.okonjo@example.com"],
    ] {
        let ran = folder.run(&[&["show"], what].concat()).end().code(8);
        assert!(
            ran.error().contains("sync.c1z is older than --max-age")
                && ran.error().contains("its run ended 27 h 0 min ago, at "),
            "{}",
            ran.stderr
        );
        assert_eq!(ran.stdout, "");
    }
    let ran = folder.run(&["show", "--max-age", "26h", "--output", "json"]);
    assert_eq!(ran.end().code(8).json()["error"], "guard");
    let shown = folder.run(&["show"]).ok().stdout;
    let ran = folder.run(&["show", "--max-age", "28h"]).ok();
    assert_eq!(ran.stdout, shown);
    // A snapshot with a time in the future is not too old.
    folder.sync(&okta, &["--now", &hours_ago(-5)]).ok();
    folder.run(&["show", "--max-age", "1s"]).ok();
    for wrong in ["0", "1d", "", "soon"] {
        let ran = folder.run(&["show", "--max-age", wrong]).end().code(2);
        assert!(ran.error().contains("--max-age"), "{}", ran.stderr);
    }
}
