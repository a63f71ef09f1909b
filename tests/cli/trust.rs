//! Tests files that another user may have created, and files that are in use: they are not read, followed or damaged.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, lchown, symlink};
use std::path::Path;
use std::process::Command;

use okta_fake::{Action, Endpoint, Fault, Options, Org, PageCap, Reply};
use rusqlite::Connection;

use crate::support::{
    Folder, Okta, Requirement, assert_holds_the_truth, copy_program, gate, scope, unlimited,
};

const DOMAINS: &[&str] = &["example.com", "example.org"];
const STATE: &str = ".sync.c1z.checkpoint";
/// The id of another user.
const OTHER: u32 = 54_321;

fn many_pages() -> Options {
    Options {
        page_cap: PageCap {
            users: 7,
            groups: 5,
            members: 9,
            user_groups: 9,
        },
        ..unlimited()
    }
}

/// Leaves the checkpoint of a run that was killed while it listed users.
fn interrupted(okta: &Okta, folder: &Folder) {
    okta.fault(
        Fault::on(
            Endpoint::Users,
            Action::Delay(std::time::Duration::from_secs(3_600)),
        )
        .from(4),
    );
    let running = folder.sync(okta, &["--concurrency", "1"]).start();
    while okta.asked("/api/v1/users").len() < 4 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    running.settle();
    running.signal("KILL");
    running.end();
    okta.clear_faults();
    okta.clear_requests();
    assert!(folder.path(STATE).exists());
}

#[test]
fn every_request_goes_to_the_configured_origin_whatever_the_checkpoint_contains() {
    let elsewhere = Okta::unasked();
    let evil = elsewhere.origin();
    let host = evil.strip_prefix("http://").unwrap();
    for position in [
        format!("{evil}/api/v1/users?limit=200"),
        format!("//{host}/api/v1/users?limit=200"),
        format!("\\\\{host}\\api\\v1\\users"),
        format!("/\\{host}/api/v1/users"),
        format!("@{host}/api/v1/users"),
        format!("/api/v1/users/../../..//{host}/"),
        "/api/v1/groups?limit=200".to_owned(),
        "/api/v1/users/me".to_owned(),
        String::new(),
        "\u{0}".to_owned(),
    ] {
        let okta = Okta::with_options(Org::demo(), many_pages());
        let folder = Folder::new();
        interrupted(&okta, &folder);
        let state = Connection::open(folder.path(STATE)).unwrap();
        let changed = state
            .execute(
                "update listings set cursor = ?1 where done = 0",
                [&position],
            )
            .unwrap();
        assert!(changed > 0, "no listing was open");
        drop(state);
        folder.sync(&okta, &[]).ok().says("resuming the run");
        assert_holds_the_truth(&folder.path("sync.c1z"), &okta, &scope(DOMAINS, None));
    }
    assert_eq!(elsewhere.count(), 0);
}

#[test]
fn a_checkpoint_that_others_may_have_written_is_set_aside_with_a_reason() {
    type Spoil = fn(&Path);
    let mut cases: Vec<(Spoil, &str)> = vec![
        (
            |state| fs::set_permissions(state, Permissions::from_mode(0o620)).unwrap(),
            "can be written by others",
        ),
        (
            |state| fs::hard_link(state, state.with_file_name("second")).unwrap(),
            "has a second name",
        ),
        (
            |state| {
                fs::rename(state, state.with_file_name("moved")).unwrap();
                symlink("moved", state).unwrap();
            },
            "is a link",
        ),
        (
            |state| {
                let log = state.with_file_name(".sync.c1z.checkpoint-wal");
                fs::rename(&log, state.with_file_name("moved")).unwrap();
                symlink("moved", log).unwrap();
            },
            ".checkpoint-wal is a link",
        ),
        (
            |state| {
                let journal = state.with_file_name(".sync.c1z.checkpoint-journal");
                let _ = fs::remove_file(&journal);
                assert!(
                    Command::new("mkfifo")
                        .arg(journal)
                        .status()
                        .unwrap()
                        .success()
                );
            },
            ".checkpoint-journal is not a regular file",
        ),
    ];
    if Requirement::Root.is_met() {
        cases.push((
            |state| chown(state, Some(OTHER), None).unwrap(),
            "belongs to another user",
        ));
        cases.push((
            |state| {
                chown(
                    state.with_file_name(".sync.c1z.checkpoint-wal"),
                    Some(OTHER),
                    None,
                )
                .unwrap()
            },
            ".checkpoint-wal belongs to another user",
        ));
    }
    for (spoil, reason) in cases {
        let okta = Okta::with_options(Org::demo(), many_pages());
        let folder = Folder::new();
        interrupted(&okta, &folder);
        spoil(&folder.path(STATE));
        let ran = folder.sync(&okta, &[]).ok().says(reason);
        assert!(ran.stderr.contains("starting over: "), "{}", ran.stderr);
        assert!(!ran.stderr.contains("resuming the run"), "{}", ran.stderr);
        assert_holds_the_truth(&folder.path("sync.c1z"), &okta, &scope(DOMAINS, None));
        let left: Vec<String> = folder
            .names()
            .into_iter()
            .filter(|name| name.starts_with('.'))
            .collect();
        assert!(left.is_empty(), "{reason}: {left:?}");
    }
}

#[test]
fn a_link_of_another_user_is_refused_and_its_target_stays() {
    if !Requirement::Root.is_met() {
        return;
    }
    let okta = Okta::unasked();
    for (name, arguments) in [
        ("sync.c1z", &["sync"][..]),
        ("sync.db", &["sync", "-f", "sync.db"]),
        ("m.json", &["sync", "--manifest", "m.json"]),
        ("folder", &["sync", "-f", "folder/sync.c1z"]),
        (".sync.c1z.lock", &["sync"]),
        (".m.json.lock", &["sync", "--manifest", "m.json"]),
        (
            "log",
            &[
                "grant",
                "--user",
                "00u1",
                "--group",
                "00g1",
                "--provisioning",
                "--audit-log",
                "log",
            ],
        ),
    ] {
        let folder = Folder::new();
        fs::create_dir(folder.path("precious")).unwrap();
        let to = if name == "folder" {
            "precious"
        } else {
            "precious/file"
        };
        fs::write(folder.path("precious/file"), "precious").unwrap();
        symlink(to, folder.path(name)).unwrap();
        lchown(folder.path(name), Some(OTHER), Some(OTHER)).unwrap();
        let ran = folder
            .run(arguments)
            .env("BATON_DOMAIN", &okta.origin())
            .env("BATON_API_TOKEN", okta.token())
            .env("BATON_EMAIL_DOMAINS", "example.com")
            .end()
            .code(2);
        let error = ran.error();
        assert!(
            error.contains("is a link that belongs to another user")
                || error.contains("is not a regular file"),
            "{name}: {error}"
        );
        assert_eq!(fs::read(folder.path("precious/file")).unwrap(), b"precious");
        assert_eq!(fs::read_dir(folder.path("precious")).unwrap().count(), 1);
    }
}

/// In a folder such as `/tmp`, only the owner of a file can remove it. Tests run as root, who can always remove files,
/// so the program runs as another user.
#[test]
fn a_name_in_use_by_another_user_is_refused_before_any_request() {
    if !Requirement::Root.is_met() {
        return;
    }
    let okta = Okta::unasked();
    for name in [
        ".sync.db.checkpoint",
        ".sync.db.checkpoint-wal",
        ".sync.db.tmp-db",
        ".sync.db.tmp-db-journal",
        ".sync.db.tmp",
    ] {
        let folder = Folder::new();
        fs::set_permissions(folder.path("."), Permissions::from_mode(0o1777)).unwrap();
        fs::write(folder.path(name), "theirs").unwrap();
        let tool = folder.path("okta-ciam");
        copy_program(&tool);
        let ran = Command::new("setpriv")
            .args(["--reuid", &OTHER.to_string(), "--clear-groups"])
            .arg(tool)
            .args(["sync", "-f", "sync.db"])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("BATON_DOMAIN", okta.origin())
            .env("BATON_API_TOKEN", okta.token())
            .env("BATON_EMAIL_DOMAINS", "example.com")
            .current_dir(folder.path("."))
            .output()
            .unwrap();
        let stderr = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(ran.status.code(), Some(2), "{name}: {stderr}");
        assert!(
            stderr.contains("belongs to another user, and a sync needs that name"),
            "{name}: {stderr}"
        );
        assert_eq!(fs::read(folder.path(name)).unwrap(), b"theirs");
    }
}

#[test]
fn a_link_of_the_folders_owner_is_followed() {
    if !Requirement::Root.is_met() {
        return;
    }
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    fs::create_dir(folder.path("theirs")).unwrap();
    symlink("real.c1z", folder.path("theirs/sync.c1z")).unwrap();
    lchown(folder.path("theirs/sync.c1z"), Some(OTHER), None).unwrap();
    chown(folder.path("theirs"), Some(OTHER), None).unwrap();
    folder.sync(&okta, &["-f", "theirs/sync.c1z"]).ok();
    assert_holds_the_truth(
        &folder.path("theirs/real.c1z"),
        &okta,
        &scope(DOMAINS, None),
    );
}

#[test]
fn a_pipe_in_place_of_a_lock_does_not_block() {
    let okta = Okta::unasked();
    for (pipe, arguments) in [
        (".sync.c1z.lock", &["sync"][..]),
        (".m.json.lock", &["sync", "--manifest", "m.json"]),
        ("m.json", &["sync", "--manifest", "m.json"]),
        (
            "log",
            &[
                "grant",
                "--user",
                "00u1",
                "--group",
                "00g1",
                "--provisioning",
                "--audit-log",
                "log",
            ],
        ),
    ] {
        let folder = Folder::new();
        assert!(
            Command::new("mkfifo")
                .arg(folder.path(pipe))
                .status()
                .unwrap()
                .success()
        );
        let ran = folder
            .run(arguments)
            .env("BATON_DOMAIN", &okta.origin())
            .env("BATON_API_TOKEN", okta.token())
            .env("BATON_EMAIL_DOMAINS", "example.com")
            .end()
            .code(2);
        assert!(
            ran.error().contains("not a regular file"),
            "{pipe}: {}",
            ran.stderr
        );
    }
}

#[test]
fn an_audit_log_is_appended_only_to_an_audit_log() {
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    folder.sync(&okta, &[]).ok();
    folder.sync(&okta, &["-f", "sync.db"]).ok();
    fs::write(folder.path("notes.txt"), "notes\n").unwrap();
    fs::write(
        folder.path("other.jsonl"),
        "{\"time\":\"2026-01-01\",\"tool\":\"other 1\"}\n",
    )
    .unwrap();
    fs::write(folder.path("object.json"), "{}").unwrap();
    fs::write(folder.path("zeros"), [0; 10]).unwrap();
    let asked = okta.count();
    let names = [
        "sync.c1z",
        "sync.db",
        "notes.txt",
        "other.jsonl",
        "object.json",
        "zeros",
    ];
    for name in names {
        let before = fs::read(folder.path(name)).unwrap();
        let ran = folder
            .run(&[
                "grant",
                "--user",
                "mira.okonjo@example.com",
                "--group",
                "VPN users",
                "--provisioning",
                "--audit-log",
                name,
            ])
            .env("BATON_DOMAIN", &okta.origin())
            .env("BATON_API_TOKEN", okta.token())
            .env("BATON_EMAIL_DOMAINS", "example.com")
            .end()
            .code(2);
        assert!(
            ran.error().contains("is not an audit log of okta-ciam"),
            "{name}: {}",
            ran.stderr
        );
        assert!(fs::read(folder.path(name)).unwrap() == before, "{name}");
    }
    assert_eq!(okta.count(), asked);
}

#[test]
fn a_manifest_cannot_have_a_name_that_sqlite_or_a_run_uses() {
    let okta = Okta::unasked();
    let folder = Folder::new();
    for name in [
        "sync.db-journal",
        "sync.db-wal",
        "sync.db-shm",
        "sync.db.partial",
        "sync.db.partial-wal",
        "sync.db.rejected-journal",
        ".sync.db.checkpoint",
        ".sync.db.checkpoint-old-wal",
        ".sync.db.tmp-db",
        ".sync.db.tmp-db-journal",
        ".sync.db.lock",
    ] {
        let ran = folder
            .sync(&okta, &["-f", "sync.db", "--manifest", name])
            .end()
            .code(2);
        assert!(
            ran.error()
                .contains("the snapshot itself, or a file of its run"),
            "{name}: {}",
            ran.stderr
        );
    }
}

#[test]
fn a_database_that_another_program_changes_at_the_end_is_not_replaced() {
    for (statement, part) in [
        (
            "begin immediate; create table mine (a); insert into mine values (1)",
            "-journal is there",
        ),
        (
            "begin immediate",
            "another program is changing the old database",
        ),
    ] {
        let okta = Okta::with(Org::demo());
        let folder = Folder::new();
        let path = folder.path("sync.db");
        let old = Connection::open(&path).unwrap();
        old.execute_batch("create table yours (a); insert into yours values (7)")
            .unwrap();
        let (open, closed) = gate();
        okta.fault(Fault::on(Endpoint::Groups, closed));
        let running = folder.sync(&okta, &["-f", "sync.db"]).start();
        while okta.count() == 0 {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        old.execute_batch(statement).unwrap();
        drop(open);
        let ran = running.end().fails(2, part);
        assert!(
            ran.error()
                .contains("the new file is complete at ./.sync.db.tmp-db")
                || ran
                    .error()
                    .contains("the new file is complete at .sync.db.tmp-db"),
            "{}",
            ran.stderr
        );
        assert_holds_the_truth(
            &folder.path(".sync.db.tmp-db"),
            &okta,
            &scope(DOMAINS, None),
        );
        old.execute_batch("rollback").unwrap();
        let there: i64 = old
            .query_row("select a from yours", [], |row| row.get(0))
            .unwrap();
        assert_eq!(there, 7);
        // It is also refused before the first request.
        old.execute_batch(statement).unwrap();
        let asked = okta.count();
        folder.sync(&okta, &["-f", "sync.db"]).end().fails(2, part);
        assert_eq!(okta.count(), asked);
        old.execute_batch("rollback").unwrap();
        drop(old);
        // The pages that were read are not lost.
        folder.sync(&okta, &["-f", "sync.db"]).ok();
        assert_eq!(okta.count(), asked);
        assert_holds_the_truth(&path, &okta, &scope(DOMAINS, None));
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn a_replaced_file_keeps_its_mode_and_its_group_and_a_new_one_is_the_owners() {
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    let (file, manifest) = (folder.path("sync.c1z"), folder.path("m.json"));
    let sync = || {
        folder
            .sync(&okta, &["--manifest", "m.json"])
            .under("umask 0")
            .ok()
    };
    sync();
    assert_eq!((mode(&file), mode(&manifest)), (0o600, 0o600));
    fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
    fs::set_permissions(&manifest, Permissions::from_mode(0o444)).unwrap();
    let has_other_group = Requirement::Root.is_met();
    if has_other_group {
        chown(&file, None, Some(OTHER)).unwrap();
    }
    sync();
    assert_eq!((mode(&file), mode(&manifest)), (0o640, 0o444));
    if has_other_group {
        assert_eq!(fs::metadata(&file).unwrap().gid(), OTHER);
    }
}

#[test]
fn the_permissions_of_a_planted_file_are_not_kept() {
    if !Requirement::Root.is_met() {
        return;
    }
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    let file = folder.path("sync.c1z");
    fs::write(&file, "planted").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o666)).unwrap();
    chown(&file, Some(OTHER), Some(OTHER)).unwrap();
    folder.sync(&okta, &[]).ok();
    assert_eq!(mode(&file), 0o600);
}

#[test]
fn a_complete_run_removes_files_that_earlier_runs_set_aside() {
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    for name in ["sync.c1z.partial", "sync.c1z.rejected"] {
        fs::write(folder.path(name), "old").unwrap();
    }
    let group = okta.org().find_group("Engineering").unwrap().id.to_string();
    okta.org_mut()
        .edit_group(&group, |group| group.members_forbidden = true);
    folder.sync(&okta, &["--allow-partial"]).ok();
    assert!(
        folder.path("sync.c1z.partial").exists(),
        "an incomplete snapshot keeps the partial file"
    );
    okta.org_mut()
        .edit_group(&group, |group| group.members_forbidden = false);
    folder.sync(&okta, &[]).ok();
    assert_eq!(folder.names(), ["sync.c1z".to_owned()].into());
}

#[test]
fn data_that_could_not_be_written_is_read_again_after_the_problem_is_fixed() {
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    let login = "x".repeat(5_000) + "@example.com";
    okta.org_mut()
        .add_user(okta_fake::User::with_email("00ulong", &login));
    for _ in 0..2 {
        let asked = okta.count();
        let ran = folder.sync(&okta, &[]).end().code(2);
        assert!(
            ran.error().contains("cannot write user 00ulong"),
            "{}",
            ran.stderr
        );
        assert!(ran.error().contains("--fresh"), "{}", ran.stderr);
        assert!(okta.count() > asked, "the run sends requests again");
        assert!(!folder.path(STATE).exists());
        assert!(folder.path(".sync.c1z.checkpoint-old").exists());
    }
    okta.org_mut().remove_user("00ulong");
    folder.sync(&okta, &[]).ok();
    assert_holds_the_truth(&folder.path("sync.c1z"), &okta, &scope(DOMAINS, None));
    assert_eq!(folder.names(), ["sync.c1z".to_owned()].into());
}

#[test]
fn a_file_that_lost_rows_is_not_marked_complete() {
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    folder.sync(&okta, &["-f", "sync.db"]).ok();
    folder.run(&["show", "-f", "sync.db"]).ok();
    let db = Connection::open(folder.path("sync.db")).unwrap();
    db.execute_batch("delete from v1_grants where id % 2 = 0")
        .unwrap();
    drop(db);
    for arguments in [
        &["show", "-f", "sync.db"][..],
        &["show", "-f", "sync.db", "group", "VPN users"],
    ] {
        let ran = folder.run(arguments).end().code(2);
        assert!(
            ran.error()
                .contains("its run recorded 155 memberships, but it has "),
            "{}",
            ran.stderr
        );
        assert_eq!(ran.stdout, "");
    }
    let ran = folder
        .sync(&okta, &["-f", "sync.db", "--max-drop", "50"])
        .end()
        .code(2);
    assert!(ran.error().contains("is damaged"), "{}", ran.stderr);
}

#[test]
fn a_requested_mode_applies_to_new_and_replaced_files_but_not_to_a_refused_snapshot() {
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    let files = ["a.c1z", "a.db", "m.json"].map(|name| folder.path(name));
    for (wanted, expected) in [("0640", 0o640), ("600", 0o600), ("0664", 0o664)] {
        for file in ["a.c1z", "a.db"] {
            let arguments = ["-f", file, "--manifest", "m.json", "--file-mode", wanted];
            folder.sync(&okta, &arguments).ok();
        }
        for file in &files {
            assert_eq!(mode(file), expected, "{}", file.display());
        }
    }
    // Without the option, a file keeps its permissions.
    folder.sync(&okta, &["-f", "a.c1z"]).ok();
    assert_eq!(mode(&files[0]), 0o664);
    okta.fault(Fault::on(
        Endpoint::Members,
        Action::Reply(Reply::new(403, "application/json", "{}")),
    ));
    let arguments = [
        "-f",
        "a.c1z",
        "--memberships-by",
        "group",
        "--file-mode",
        "0644",
    ];
    folder
        .sync(&okta, &arguments)
        .end()
        .fails(3, "the snapshot is incomplete");
    assert_eq!(mode(&folder.path("a.c1z.partial")), 0o600);
    assert_eq!(mode(&files[0]), 0o664);
    for wrong in [
        "0400", "0777", "0666", "0700", "4640", "64", "rw", "0x1a0", "+640", "",
    ] {
        let ran = folder.sync(&okta, &["--file-mode", wrong]).end().code(2);
        assert!(ran.error().contains("--file-mode"), "{}", ran.stderr);
    }
}
