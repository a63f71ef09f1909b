//! Tests problems of the machine: full disks, unusual targets, few open files, closed streams. The previous file must
//! never be harmed, and the pages that were read must not be lost.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use okta_fake::{Action, Endpoint, Fault, Org, Reply, Shape};

use crate::support::{Folder, Okta, Ran, Requirement, assert_holds_the_truth, copy_program, scope};

const DOMAINS: &[&str] = &["example.com", "example.org"];

fn org() -> Org {
    Org::generated(&Shape {
        users: 1_500,
        in_scope: 1_400,
        groups: 40,
        memberships: 9_000,
        largest_group: 1_100,
        ..Shape::default()
    })
}

fn assert_whole(folder: &Folder, okta: &Okta) {
    assert_holds_the_truth(&folder.path("sync.c1z"), okta, &scope(DOMAINS, None));
    assert_eq!(folder.names(), ["sync.c1z".to_owned()].into());
}

/// A limit on the size of files simulates a full disk.
#[test]
#[ignore = "long"]
fn a_full_disk_at_any_write_loses_no_pages_and_damages_no_file() {
    let okta = Okta::with(org());
    Folder::new().sync(&okta, &[]).ok();
    let undisturbed = okta.count();
    let (mut failed, mut all_was_read) = (0, false);
    let mut fails_under = |blocks: u32| {
        let folder = Folder::new();
        fs::write(folder.path("sync.c1z"), "previous").unwrap();
        let full = format!("trap '' XFSZ; ulimit -f {blocks}");
        let ran = folder.sync(&okta, &[]).under(&full).end();
        if ran.code == Some(0) {
            assert_whole(&folder, &okta);
            return false;
        }
        failed += 1;
        assert_eq!(ran.code, Some(2), "{blocks}: {}", ran.stderr);
        // There is one line, which contains the name of a file.
        assert!(ran.error().contains("sync.c1z"), "{blocks}: {}", ran.stderr);
        assert_eq!(fs::read(folder.path("sync.c1z")).unwrap(), b"previous");
        let leftovers: Vec<String> = folder.names().into_iter().collect();
        let of_the_state =
            |name: &String| name == "sync.c1z" || name.starts_with(".sync.c1z.checkpoint");
        assert!(
            leftovers.iter().all(of_the_state),
            "{blocks}: {leftovers:?}"
        );
        // With enough space, the same command succeeds and requests only the pages that were not stored.
        okta.wait_until_closed();
        let before = okta.count();
        let ran = folder.sync(&okta, &[]).ok();
        assert_whole(&folder, &okta);
        let asked = okta.count() - before;
        assert!(asked <= undisturbed, "{blocks}: {asked}");
        all_was_read |= asked == 0 && ran.stderr.contains("resuming the run");
        true
    };
    // The limit is in blocks of 512 bytes, from zero to more than necessary, and then as close as possible to the end
    // of reading. The size of the checkpoint's log at that time depends on which pages are committed together.
    let (mut too_few, mut enough) = (0, 20_000);
    for blocks in [0, 1, 8, 16, 40, 80, 200, 500] {
        assert!(fails_under(blocks), "{blocks}");
        too_few = blocks;
    }
    assert!(!fails_under(enough));
    while enough - too_few > 100 {
        let middle = too_few.midpoint(enough);
        *(if fails_under(middle) {
            &mut too_few
        } else {
            &mut enough
        }) = middle;
    }
    assert!(all_was_read, "{too_few} {enough}");
    assert!(failed >= 8, "{failed}");
}

/// On a file system that is really full, SQLite rolls back the entire transaction by itself.
#[test]
#[ignore = "long"]
fn a_full_file_system_leaves_a_consistent_checkpoint() {
    if !Requirement::Mount.is_met() {
        return;
    }
    let okta = Okta::with(Org::generated(&Shape {
        users: 4_000,
        in_scope: 4_000,
        groups: 20,
        memberships: 20_000,
        largest_group: 2_000,
        ..Shape::default()
    }));
    let whole = scope(DOMAINS, None);
    let (mut failed, mut went_on) = (0, 0);
    for (by, sizes) in [
        ("user", (1_700..2_300).step_by(100)),
        ("group", (600..3_000).step_by(600)),
    ] {
        for kib in sizes {
            let folder = Folder::new();
            fs::create_dir(folder.path("small")).unwrap();
            // The second run has enough space. Its file is copied out of the mount, which ends with the shell.
            let twice = format!(
                "exec unshare -m sh -c 'mount -t tmpfs -o size={kib}k none small || exit 99; \
                 \"$0\" \"$@\" && cp small/sync.db sync.db && exit 100; \
                 mount -o remount,size=200m small || exit 99; \
                 \"$0\" \"$@\" && cp small/sync.db sync.db && exit 101' \"$0\" \"$@\""
            );
            let arguments = ["-f", "small/sync.db", "--memberships-by", by];
            let ran = folder.sync(&okta, &arguments).under(&twice).end();
            assert!(
                matches!(ran.code, Some(100 | 101)),
                "{by} {kib}: {:?} {}",
                ran.code,
                ran.stderr
            );
            assert_holds_the_truth(&folder.path("sync.db"), &okta, &whole);
            failed += u32::from(ran.code == Some(101));
            went_on += u32::from(ran.stderr.contains("resuming the run"));
        }
    }
    assert!(failed >= 5 && went_on >= 3, "{failed} {went_on}");
}

#[test]
fn a_target_that_cannot_be_written_is_refused_before_any_request() {
    let okta = Okta::unasked();
    let folder = Folder::new();
    fs::create_dir(folder.path("sub")).unwrap();
    fs::create_dir(folder.path("here.c1z.partial")).unwrap();
    fs::create_dir(folder.path("there.c1z.rejected")).unwrap();
    symlink("nowhere/at-all.c1z", folder.path("dangling.c1z")).unwrap();
    for (file, part) in [
        ("sub", "expected a name that ends in .c1z"),
        ("none/sync.c1z", "does not exist"),
        ("/proc/self/sync.c1z", "cannot write next to"),
        ("/dev/null", "expected a name that ends in .c1z"),
        ("here.c1z", "is a folder"),
        ("there.c1z", "is a folder"),
        ("dangling.c1z", "does not exist"),
    ] {
        folder.sync(&okta, &["-f", file]).end().fails(2, part);
    }
}

#[test]
fn a_link_to_a_file_in_another_folder_stays_and_the_checkpoint_is_next_to_the_file() {
    let okta = Okta::with(org());
    let folder = Folder::new();
    fs::create_dir(folder.path("data")).unwrap();
    symlink("data/real.c1z", folder.path("sync.c1z")).unwrap();
    folder.sync(&okta, &[]).ok();
    assert!(
        fs::symlink_metadata(folder.path("sync.c1z"))
            .unwrap()
            .is_symlink()
    );
    assert_holds_the_truth(&folder.path("data/real.c1z"), &okta, &scope(DOMAINS, None));
    assert_eq!(fs::read_dir(folder.path("data")).unwrap().count(), 1);
}

#[test]
fn a_mounted_file_is_refused_before_any_request() {
    if !Requirement::Mount.is_met() {
        return;
    }
    let okta = Okta::unasked();
    let folder = Folder::new();
    fs::write(folder.path("sync.c1z"), "previous").unwrap();
    fs::write(folder.path("other"), "previous").unwrap();
    let mount =
        "exec unshare -m sh -c 'mount --bind other sync.c1z && exec \"$0\" \"$@\"' \"$0\" \"$@\"";
    let ran = folder.sync(&okta, &[]).under(mount).end().code(2);
    assert!(
        ran.error().contains("sync.c1z is mounted by itself"),
        "{}",
        ran.stderr
    );
    assert_eq!(fs::read(folder.path("other")).unwrap(), b"previous");
    assert_eq!(
        folder.names(),
        ["other", "sync.c1z"].map(str::to_owned).into()
    );
}

#[test]
#[ignore = "long"]
fn a_machine_with_only_one_writable_folder_is_sufficient() {
    if !Requirement::Mount.is_met() {
        return;
    }
    // The indexes are large enough that SQLite sorts them in temporary files.
    let okta = Okta::with(Org::generated(&Shape {
        users: 3_000,
        in_scope: 3_000,
        groups: 300,
        memberships: 600_000,
        largest_group: 2_999,
        ..Shape::default()
    }));
    let folder = Folder::new();
    // Only the folder is visible, as /mnt, and is not the current folder. It contains a copy of the program, since the
    // build folder may be hidden.
    copy_program(&folder.path("okta-ciam"));
    let read_only = "exec unshare -m sh -c 'mount --bind . /mnt; \
        for other in /tmp /var/tmp /usr/tmp /dev/shm; do test ! -d $other || mount -t tmpfs -o ro none $other; done; \
        cd /proc; exec /mnt/okta-ciam \"$@\"' \"$0\" \"$@\"";
    folder
        .sync(&okta, &["-f", "/mnt/sync.c1z"])
        .under(read_only)
        .ok();
    fs::remove_file(folder.path("okta-ciam")).unwrap();
    assert_whole(&folder, &okta);
}

#[test]
fn sixty_four_open_files_are_sufficient() {
    let okta = Okta::with(org());
    let folder = Folder::new();
    folder
        .sync(&okta, &["--concurrency", "16"])
        .under("ulimit -n 64")
        .ok();
    assert_whole(&folder, &okta);
}

#[test]
fn closed_streams_do_not_fail_a_sync() {
    let okta = Okta::with(org());
    for closed in ["exec <&-", "exec >&-", "exec 2>&-", "exec <&- >&- 2>&-"] {
        let folder = Folder::new();
        let ran = folder
            .sync(&okta, &["--manifest", "m.json"])
            .under(closed)
            .end();
        assert_eq!(ran.code, Some(0), "{closed}: {}", ran.stderr);
        assert_holds_the_truth(&folder.path("sync.c1z"), &okta, &scope(DOMAINS, None));
        assert!(
            fs::read(folder.path("m.json")).unwrap().starts_with(b"{"),
            "{closed}"
        );
    }
}

fn modes(folder: &Folder) -> Vec<(String, u32)> {
    let mode = |name: &String| {
        let path = folder.path(name);
        // A file that is renamed between listing and reading is missing.
        fs::symlink_metadata(&path)
            .ok()
            .map(|found| found.permissions().mode() & 0o777)
    };
    let names = folder.names();
    names
        .iter()
        .filter_map(|name| Some((name.clone(), mode(name)?)))
        .collect()
}

#[test]
fn every_file_of_a_run_is_private_and_contains_no_token() {
    let okta = Okta::with(org());
    let folder = Folder::new();
    let mut seen = std::collections::BTreeSet::new();
    okta.change_options(|options| options.latency = std::time::Duration::from_millis(30));
    let running = folder
        .sync(&okta, &["--manifest", "m.json", "--log-level", "trace"])
        .under("umask 0")
        .start();
    let token = okta.token().as_bytes().to_owned();
    let holds_token = |path: &Path| {
        let bytes = fs::read(path).unwrap_or_default();
        bytes.windows(token.len()).any(|part| part == token)
    };
    let begun = std::time::Instant::now();
    while !folder.path("m.json").exists() {
        assert!(begun.elapsed() < std::time::Duration::from_secs(900));
        for (name, mode) in modes(&folder) {
            assert_eq!(mode, 0o600, "{name}");
            assert!(!holds_token(&folder.path(&name)), "{name}");
            seen.insert(name);
        }
    }
    let ran: Ran = running.end().code(0);
    assert!(!ran.stderr.contains(okta.token()));
    for name in [
        ".sync.c1z.lock",
        ".sync.c1z.checkpoint",
        ".sync.c1z.checkpoint-wal",
    ] {
        assert!(seen.contains(name), "{name} was not seen: {seen:?}");
    }
}

#[test]
fn names_from_okta_do_not_control_the_terminal() {
    let evil = "\u{1b}[31mred\u{1b}[2J\u{7}\u{202e}\r\nerror: forged";
    let mut org = Org::demo();
    let group = org.find_group("Engineering").unwrap().id.to_string();
    let name = serde_json::to_string(&format!("Engineering{evil}")).unwrap();
    org.edit_group(&group, |group| {
        group.profile = format!(r#"{{"name":{name}}}"#).into();
        group.members_forbidden = true;
    });
    let okta = Okta::with(org);
    let body = serde_json::json!({"errorCode": format!("E0000006{evil}"), "errorSummary": evil});
    let folder = Folder::new();
    let check = |ran: &Ran| {
        let text = format!("{}{}", ran.stdout, ran.stderr);
        let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!text.contains(bad), "{text:?}");
        assert!(
            !text.lines().any(|line| line.starts_with("error: forged")),
            "{text}"
        );
    };
    let partial = [
        "--allow-partial",
        "--memberships-by",
        "group",
        "--log-level",
        "trace",
    ];
    check(&folder.sync(&okta, &partial).ok());
    for arguments in [&["show"][..], &["show", "group", &group]] {
        check(&folder.run(&[arguments, &["-f", "sync.c1z"]].concat()).ok());
    }
    let reply = Reply::new(400, "application/json", body.to_string());
    let action = Action::Reply(reply);
    okta.fault(Fault::on(Endpoint::Groups, action));
    check(&folder.sync(&okta, &["--log-level", "trace"]).end().code(2));
}

#[test]
fn a_response_that_unpacks_to_a_gibibyte_is_refused_with_little_memory() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut left = 1_usize << 30;
    while left > 0 {
        packed.write_all(&[b' '; 1 << 16]).unwrap();
        left -= 1 << 16;
    }
    let bomb = packed.finish().unwrap();
    assert!(bomb.len() < 16 << 20, "{}", bomb.len());
    let reply = Reply::new(200, "application/json", bomb).header("Content-Encoding", "gzip");
    let okta = Okta::with(Org::demo());
    okta.fault(Fault::on(Endpoint::Groups, Action::Reply(reply)).first(2));
    let folder = Folder::new();
    // The limit in KiB has room for the program, its stacks and the 64 MiB of a page, but not for 1 GiB.
    let ran = folder.sync(&okta, &[]).under("ulimit -v 900000").ok();
    ran.says("larger than 64 MiB");
    assert_whole(&folder, &okta);
}
