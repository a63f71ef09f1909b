//! Tests `verify`, and the metadata in a snapshot.

use std::io::Write as _;
use std::path::Path;

use okta_fake::{Action, Endpoint, Fault, Org};
use rusqlite::Connection;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::support::{Folder, Okta, cell, open, rows};

const NOW: [&str; 2] = ["--now", "2026-01-31T12:00:00Z"];

fn fixture(name: &str) -> String {
    format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Returns a folder with a snapshot of the sample org and its manifest.
fn synced() -> Folder {
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    folder.sync(&okta, &["--manifest", "m.json"]).ok();
    folder
}

/// Returns the status and the message of a check.
fn check<'a>(result: &'a Value, name: &str) -> (&'a str, &'a str) {
    let checks = result["checks"].as_array().unwrap();
    let found = checks.iter().find(|check| check["name"] == name).unwrap();
    let text = |key: &str| found[key].as_str().unwrap();
    (text("status"), text("message"))
}

/// Returns the names of the checks that failed.
fn failed(result: &Value) -> Vec<&str> {
    let checks = result["checks"].as_array().unwrap();
    let failures = checks.iter().filter(|check| check["status"] == "failure");
    failures
        .map(|check| check["name"].as_str().unwrap())
        .collect()
}

fn unpack(file: &Path) -> Vec<u8> {
    let bytes = std::fs::read(file).unwrap();
    zstd::decode_all(bytes.strip_prefix(b"C1ZF\0").unwrap()).unwrap()
}

/// Changes a snapshot as a forger would: with SQLite, and packs it again.
fn edit(folder: &Folder, change: &str) {
    let (file, plain) = (folder.path("sync.c1z"), folder.path("edit.db"));
    std::fs::write(&plain, unpack(&file)).unwrap();
    let db = Connection::open(&plain).unwrap();
    db.execute_batch(change).unwrap();
    db.close().unwrap();
    let packed = zstd::encode_all(std::fs::read(&plain).unwrap().as_slice(), 3).unwrap();
    let mut out = std::fs::File::create(&file).unwrap();
    out.write_all(b"C1ZF\0").unwrap();
    out.write_all(&packed).unwrap();
    std::fs::remove_file(plain).unwrap();
}

#[test]
fn an_unchanged_snapshot_passes_every_check() {
    let folder = synced();
    let ran = folder.run(&["verify", "--manifest", "m.json"]).ok();
    assert_eq!(ran.stderr, "");
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 10, "{}", ran.stdout);
    for line in &lines[..9] {
        assert!(line.starts_with("ok       "), "{line}");
    }
    assert_eq!(lines[0], "ok       database       SQLite finds no damage");
    assert_eq!(lines[1], "ok       users          49, as recorded");
    assert_eq!(lines[9], "sync.c1z: 9 ok, 0 failures, 0 skipped");
    let result = folder
        .run(&["verify", "sync.c1z", "--output", "json"])
        .ok()
        .json();
    assert_eq!(result["ok"], true);
    assert_eq!(result["format"], "c1z");
    let bytes = std::fs::read(folder.path("sync.c1z")).unwrap();
    assert_eq!(result["bytes"], bytes.len());
    let hashes = &result["content_sha256"];
    assert_eq!(hashes["recorded"], hashes["computed"]);
    assert_eq!(check(&result, "manifest").0, "skipped");
    // The variables have the same effect as the arguments.
    let by_variable = folder
        .run(&["verify", "--output", "json"])
        .env("BATON_FILE", "sync.c1z")
        .env("BATON_MANIFEST", "m.json")
        .ok()
        .json();
    assert_eq!(check(&by_variable, "manifest").0, "ok");
}

#[test]
fn a_plain_database_passes_too() {
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    let arguments = ["-f", "a.db", "--manifest", "m.json"];
    folder.sync(&okta, &arguments).ok();
    folder.run(&["verify", "a.db", "--manifest", "m.json"]).ok();
    let names = ["a.db", "m.json"].map(str::to_owned);
    assert_eq!(folder.names(), names.into());
}

#[test]
fn changed_rows_are_detected_and_the_manifest_differs() {
    let user = "(select min(id) from users)";
    for (change, expected) in [
        (
            format!("update users set last_login = '2026-01-30T00:00:00.000Z' where id = {user}"),
            &["content"][..],
        ),
        (
            "update groups set name = 'Renamed' where name = 'VPN users'".to_owned(),
            &["content"],
        ),
        (
            format!("delete from users where id = {user}"),
            &["users", "content", "domains"],
        ),
        (
            format!("delete from v1_resources where external_id = 'user:' || {user}"),
            &["users", "grants"],
        ),
        (
            "delete from v1_grants where id = (select max(id) from v1_grants)".to_owned(),
            &["memberships", "group_sizes", "content"],
        ),
        (
            "update v1_grants set entitlement_id = 'group:x:member' where id = 1".to_owned(),
            &["grants"],
        ),
        (
            "update domains set users = users + 1, users_by_email = users_by_email + 1".to_owned(),
            &["domains"],
        ),
        (
            "update groups set members_kept = 3 where name = 'VPN users'".to_owned(),
            &["group_sizes", "content"],
        ),
        (
            "delete from v1_entitlements where id = 1".to_owned(),
            &["grants", "group_sizes"],
        ),
        (
            "update snapshot set content_sha256 = 'no hash'".to_owned(),
            &["content"],
        ),
    ] {
        let folder = synced();
        edit(&folder, &change);
        let ran = folder
            .run(&["verify", "--manifest", "m.json", "--output", "json"])
            .end()
            .code(2);
        let result = ran.json();
        let mut found = failed(&result);
        assert_eq!(found.pop(), Some("manifest"), "{change}: {result:#}");
        let (mut found, mut expected) = (found, expected.to_vec());
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{change}: {result:#}");
        assert_eq!(
            (&result["ok"], &result["exit_code"]),
            (&false.into(), &2.into())
        );
        assert!(ran.error().contains("sync.c1z: "), "{}", ran.stderr);
    }
}

#[test]
fn a_damaged_index_is_found_by_sqlites_own_check() {
    let folder = synced();
    // The index is hidden while the row changes, so that it does not match the row afterwards.
    edit(
        &folder,
        "create temp table hidden as select * from sqlite_schema where name = 'idx_grants_principal_id_v1';
        pragma writable_schema = on;
        delete from sqlite_schema where name = 'idx_grants_principal_id_v1';
        pragma writable_schema = reset;
        update v1_grants set principal_resource_id = '00unobody' where id = 1;
        pragma writable_schema = on;
        insert into sqlite_schema select * from hidden;
        pragma writable_schema = reset;",
    );
    let ran = folder.run(&["verify", "--output", "json"]).end().code(2);
    let result = ran.json();
    let (state, message) = check(&result, "database");
    assert_eq!(state, "failure");
    assert!(message.contains("idx_grants_principal_id_v1"), "{message}");
}

#[test]
fn a_file_that_cannot_be_opened_is_one_line_and_exit_code_2() {
    let folder = synced();
    let whole = std::fs::read(folder.path("sync.c1z")).unwrap();
    std::fs::write(folder.path("cut.c1z"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(
        folder.path("cut.db"),
        &unpack(&folder.path("sync.c1z"))[..9000],
    )
    .unwrap();
    std::fs::write(folder.path("text.c1z"), "hello").unwrap();
    for (file, part) in [
        ("missing.c1z", "cannot open"),
        ("cut.c1z", "is damaged"),
        ("cut.db", "is damaged"),
        ("text.c1z", "is not a snapshot"),
        (".", "is not a regular file"),
    ] {
        let ran = folder.run(&["verify", file]).end().code(2);
        let error = ran.error();
        assert!(error.contains(file) && error.contains(part), "{error}");
        assert_eq!(ran.stdout, "");
        let ran = folder
            .run(&["verify", file, "--output", "json"])
            .end()
            .code(2);
        assert_eq!(ran.json()["error"], "failed");
    }
}

#[test]
fn a_wrong_or_invalid_manifest_is_one_failed_check() {
    let folder = synced();
    let manifest = std::fs::read_to_string(folder.path("m.json")).unwrap();
    let mut other: Value = serde_json::from_str(&manifest).unwrap();
    other["snapshot"]["users_kept"] = 50.into();
    std::fs::write(folder.path("other.json"), other.to_string()).unwrap();
    std::fs::write(folder.path("cut.json"), &manifest[..100]).unwrap();
    std::fs::write(folder.path("list.json"), "[]").unwrap();
    for (name, part) in [
        (
            "other.json",
            "other.json describes another file: users_kept is 49 instead of 50",
        ),
        ("cut.json", "cut.json is not JSON"),
        ("list.json", "list.json is not a manifest"),
        ("missing.json", "cannot read missing.json"),
        (".", ". is not a regular file"),
    ] {
        let ran = folder
            .run(&["verify", "--manifest", name, "--output", "json"])
            .end()
            .code(2);
        let result = ran.json();
        assert_eq!(failed(&result), ["manifest"]);
        let (_, message) = check(&result, "manifest");
        assert!(message.contains(part), "{message}");
        let text = folder.run(&["verify", "--manifest", name]).end();
        let text = text.fails(2, part);
        let lines = text
            .stdout
            .lines()
            .filter(|line| line.starts_with("failure  manifest"));
        assert_eq!(lines.count(), 1, "{}", text.stdout);
    }
}

#[test]
fn the_files_of_the_go_connector_are_verified_as_far_as_they_go() {
    let folder = Folder::new();
    let ran = folder
        .run(&["verify", &fixture("go-connector.c1z"), "--output", "json"])
        .ok();
    let result = ran.json();
    for name in [
        "users",
        "groups",
        "memberships",
        "group_sizes",
        "domains",
        "content",
    ] {
        let (state, message) = check(&result, name);
        assert_eq!(state, "skipped", "{name}");
        assert!(message.contains("recorded"), "{message}");
    }
    assert_eq!(check(&result, "grants").0, "ok");
    assert_eq!(result["content_sha256"]["recorded"], Value::Null);
    assert_eq!(
        result["content_sha256"]["computed"].as_str().unwrap().len(),
        64
    );
    // The Go connector wrote a grant without its resource.
    let ran = folder
        .run(&["verify", &fixture("go-connector-customrole.c1z")])
        .end()
        .code(2);
    assert!(ran.error().contains("grants: 1 of "), "{}", ran.stderr);
}

#[test]
fn a_snapshot_of_the_previous_version_is_shown_and_verified_without_newer_fields() {
    let folder = Folder::new();
    let file = fixture("okta-ciam-schema-1.c1z");
    let result = folder
        .run(&["verify", &file, "--output", "json"])
        .ok()
        .json();
    assert_eq!(check(&result, "users"), ("ok", "49, as recorded"));
    assert_eq!(check(&result, "content").0, "skipped");
    let shown = folder
        .run(&["show", "-f", &file, "--output", "json"])
        .ok()
        .json();
    assert_eq!(shown["counts"]["memberships"], 155);
    for key in [
        "read_as_id",
        "host",
        "tool_commit",
        "arguments",
        "content_sha256",
    ] {
        assert_eq!(shown["snapshot"][key], Value::Null, "{key}");
    }
    let text = folder.run(&["show", "-f", &file]).ok().stdout;
    assert!(
        !text.contains("run by") && !text.contains("content"),
        "{text}"
    );
    // This version, reading the same org, gives the same content except for the columns that came later.
    let okta = Okta::with(Org::demo());
    folder
        .sync(&okta, &[&NOW[..], &["-f", "now.db"]].concat())
        .ok();
    let db = Connection::open(folder.path("now.db")).unwrap();
    db.execute_batch("update users set type_id = null").unwrap();
    db.close().unwrap();
    let now = folder
        .run(&["verify", "now.db", "--output", "json"])
        .end()
        .json();
    let hash = |result: &Value| result["content_sha256"]["computed"].clone();
    assert_eq!(hash(&now), hash(&result));
}

#[test]
fn control_characters_in_a_file_do_not_reach_the_terminal() {
    let folder = synced();
    edit(
        &folder,
        "update snapshot set content_sha256 = char(27) || '[31mred' || char(8238)",
    );
    let ran = folder.run(&["verify"]).end().code(2);
    for text in [&ran.stdout, &ran.stderr] {
        assert!(text.contains("\\u{1b}[31mred\\u{202e}"), "{text}");
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'));
    }
}

/// Computes the hash as docs/c1z-format.md defines it, with SQL only.
fn hash_by_definition(db: &Connection) -> String {
    let mut all = Sha256::new();
    all.update(b"okta-ciam content 1\n");
    for query in [
        "select id, status, login, email, second_email, first_name, last_name, display_name, created, activated,
            status_changed, last_login, last_updated, password_changed, type_id as later, profile
            from users order by id",
        "select id, name, description, type, source_id, created, last_updated, last_membership_updated,
            members_reported, members_kept, profile from groups order by id",
        "select user_id, group_id from memberships order by group_id, user_id",
    ] {
        let mut table = Sha256::new();
        let mut select = db.prepare(query).unwrap();
        let columns = select.column_count();
        let mut rows = select.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            for column in 0..columns {
                use rusqlite::types::ValueRef;
                let value = row.get_ref(column).unwrap();
                if row.as_ref().column_name(column).unwrap() == "later" {
                    if value == ValueRef::Null {
                        continue;
                    }
                    table.update([3, 1]);
                    table.update(7_u64.to_be_bytes());
                    table.update("type_id");
                }
                match value {
                    ValueRef::Null => table.update([0]),
                    ValueRef::Text(text) => {
                        table.update([1]);
                        table.update((text.len() as u64).to_be_bytes());
                        table.update(text);
                    }
                    ValueRef::Integer(number) => {
                        table.update([2]);
                        table.update(number.to_be_bytes());
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        all.update(table.finalize());
    }
    let digest = all.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_hash_is_as_defined_and_equal_for_every_snapshot_of_an_unchanged_org() {
    let okta = Okta::with(Org::demo());
    let mut hashes = Vec::new();
    for arguments in [
        &["--memberships-by", "group"][..],
        &["--memberships-by", "user", "--note", "another"],
        &["--memberships-by", "auto", "-f", "sync.db", "--run-id", "7"],
    ] {
        let folder = Folder::new();
        let summary = folder
            .sync(&okta, &[arguments, &["--output", "json"]].concat())
            .ok()
            .json();
        let db = open(&folder.path(summary["file"].as_str().unwrap()));
        let hash = summary["content_sha256"].as_str().unwrap().to_owned();
        assert_eq!(hash, hash_by_definition(&db));
        assert_eq!(hash, cell(&db, "select content_sha256 from snapshot"));
        hashes.push(hash);
    }
    hashes.dedup();
    assert_eq!(hashes.len(), 1, "{hashes:?}");
    let mut org = Org::demo();
    let user = org.users().next().unwrap().id.to_string();
    let group = org.find_group("VPN users").unwrap().id.to_string();
    if !org.leave(&group, &user) {
        org.join(&group, &user);
    }
    let folder = Folder::new();
    let changed = folder
        .sync(&Okta::with(org), &["--output", "json"])
        .ok()
        .json();
    assert_ne!(changed["content_sha256"], hashes[0].as_str());
}

#[test]
fn a_snapshot_records_its_origin() {
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    let summary = folder
        .sync(
            &okta,
            &[
                "--note",
                "Q3 review",
                "--manifest",
                "m.json",
                "--output",
                "json",
            ],
        )
        .env("GITHUB_RUN_ID", "123")
        .env("BUILD_ID", "456")
        .ok()
        .json();
    let manifest: Value =
        serde_json::from_slice(&std::fs::read(folder.path("m.json")).unwrap()).unwrap();
    let shown = folder.run(&["show", "--output", "json"]).ok().json();
    let owner = okta.org().token_owner().unwrap().id.to_string();
    for said in [&summary, &manifest["snapshot"], &shown["snapshot"]] {
        assert_eq!(said["read_as_id"], owner.as_str());
        assert_eq!(said["read_as_login"], "mira.okonjo@example.com");
        assert_eq!(
            (&said["run_id"], &said["note"]),
            (&"123".into(), &"Q3 review".into())
        );
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        assert_eq!(said["host"], host.trim());
        assert!(!said["os_user"].as_str().unwrap().is_empty());
        let commit = said["tool_commit"].as_str();
        assert!(commit.is_none_or(|commit| commit.len() >= 40), "{commit:?}");
        assert_eq!(
            said["arguments"],
            serde_json::json!([
                format!("BATON_DOMAIN={}", okta.origin()),
                "BATON_EMAIL_DOMAINS=example.com,example.org",
                "--note=Q3 review",
                "BATON_API_TOKEN",
            ])
        );
        assert_eq!(said["content_sha256"], summary["content_sha256"]);
    }
    let text = folder.run(&["show"]).ok().stdout;
    for part in [
        format!("  token owner  mira.okonjo@example.com, {owner}\n"),
        "  run          123\n".to_owned(),
        "  note         Q3 review\n".to_owned(),
        "  arguments    BATON_DOMAIN=http".to_owned(),
        format!(
            "  content      SHA-256 {}\n",
            summary["content_sha256"].as_str().unwrap()
        ),
    ] {
        assert!(text.contains(&part), "{part}: {text}");
    }
    // An option overrides the id from the CI system, and invalid ids are refused before the first request.
    let ran = folder
        .sync(&okta, &["--run-id", "mine", "--output", "json"])
        .env("CI_JOB_ID", "789");
    assert_eq!(ran.ok().json()["run_id"], "mine");
    let asked = okta.count();
    let long = "x".repeat(1_001);
    for (arguments, part) in [
        (["--note", "a\nb"], "--note contains a control character"),
        (
            ["--run-id", long.as_str()],
            "--run-id is longer than 1000 characters",
        ),
    ] {
        folder.sync(&okta, &arguments).end().code(2).says(part);
    }
    assert_eq!(okta.count(), asked);
}

#[test]
fn a_token_whose_owner_okta_does_not_show_is_a_warning() {
    let okta = Okta::with(Org::demo());
    okta.fault(Fault::on(Endpoint::Me, Action::okta(403, "E0000006")));
    let folder = Folder::new();
    let ran = folder.sync(&okta, &["--output", "json"]).ok();
    let summary = ran.json();
    assert_eq!(
        (&summary["complete"], &summary["read_as_id"]),
        (&true.into(), &Value::Null)
    );
    assert_eq!(summary["warnings"][0]["code"], "owner_unknown");
    let message = "Okta does not show whose token this is (GET /api/v1/users/me: 403 E0000006)";
    let ran = ran.says(message);
    assert_eq!(ran.stderr.matches(message).count(), 1, "{}", ran.stderr);
    let db = open(&folder.path("sync.c1z"));
    let warnings = rows(&db, "select code, kind, object_id from warnings");
    assert_eq!(warnings, ["owner_unknown|run|NULL"]);
    let plan = folder.sync(&okta, &["--plan", "--output", "json"]).ok();
    assert_eq!(plan.json()["warnings"][0]["code"], "owner_unknown");
    okta.clear_faults();
    okta.fault(Fault::on(Endpoint::Me, Action::okta(401, "E0000011")));
    folder.sync(&okta, &[]).end().fails(5, "E0000011");
}
