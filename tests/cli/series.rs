//! Tests `sync -f okta-%Y-%m-%d.c1z --keep N`, which writes one file per day and removes only surplus files.

use std::collections::BTreeSet;

use okta_fake::{Action, Endpoint, Fault, Org, Reply};

use crate::support::{Folder, Okta, Run, cell, open};

fn on_day(folder: &Folder, okta: &Okta, day: &str, arguments: &[&str]) -> Run {
    let now = format!("{day}T23:30:00-01:00");
    let all = [&["--now", &now, "--manifest", "m-%F.json"], arguments].concat();
    folder.sync(okta, &all)
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn each_day_has_a_file_and_the_newest_are_kept_with_their_manifests() {
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    let foreign = [
        // The name matches the pattern, but the file is not a snapshot.
        "okta-2020-01-01.c1z",
        "okta-2020-1-1.c1z",
        "okta-2020-01-02.c1z.bak",
        "okta-2020-01-02.db",
        "m-2020-01-01.json",
    ];
    for name in foreign {
        std::fs::write(folder.path(name), "not ours").unwrap();
    }
    let keep = ["-f", "okta-%Y-%m-%d.c1z", "--keep", "2"];
    for day in ["2026-01-30", "2026-01-31", "2026-02-01"] {
        let ran = on_day(&folder, &okta, day, &keep).ok();
        assert_eq!(ran.stderr.contains("removed "), day == "2026-02-01");
        std::fs::write(
            folder.path("okta-2026-01-31.c1z.partial"),
            "of a failed run",
        )
        .unwrap();
    }
    // The dates are in UTC; in this case, it is the next day there.
    let mut expected = set(&foreign);
    expected.extend(set(&[
        "okta-2026-02-01.c1z",
        "okta-2026-02-02.c1z",
        "m-2026-02-01.json",
        "m-2026-02-02.json",
        // Written again after its snapshot was removed.
        "okta-2026-01-31.c1z.partial",
    ]));
    assert_eq!(folder.names(), expected);
    let db = open(&folder.path("okta-2026-02-02.c1z"));
    assert_eq!(
        cell(&db, "select substr(started_at, 1, 10) from snapshot"),
        "2026-02-02"
    );
    // A second run on the same day replaces the file; without --keep, all files stay.
    on_day(&folder, &okta, "2026-02-01", &keep).ok();
    assert_eq!(folder.names(), expected);
    on_day(&folder, &okta, "2026-02-02", &keep[..2]).ok();
    expected.extend(set(&["okta-2026-02-03.c1z", "m-2026-02-03.json"]));
    assert_eq!(folder.names(), expected);
    // After the clock was set back, the file of the run is kept too.
    on_day(
        &folder,
        &okta,
        "2025-06-30",
        &["-f", "okta-%Y-%m-%d.c1z", "--keep", "1"],
    )
    .ok();
    let left: BTreeSet<String> = folder
        .names()
        .into_iter()
        .filter(|name| name.starts_with("okta-202") && !foreign.contains(&&**name))
        .collect();
    assert_eq!(
        left,
        set(&["okta-2025-07-01.c1z", "okta-2026-01-31.c1z.partial"])
    );
}

#[test]
fn a_failed_or_incomplete_run_removes_nothing_and_a_drop_is_relative_to_the_last_day() {
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    let keep = ["-f", "okta-%F.c1z", "--keep", "1", "--max-drop", "10"];
    on_day(&folder, &okta, "2026-01-30", &keep).ok();
    let before = folder.names();
    // Most users of the last day are gone.
    let narrow = [&keep[..], &["--allow-partial"]].concat();
    let ids: Vec<String> = okta
        .org()
        .users()
        .skip(5)
        .map(|user| user.id.to_string())
        .collect();
    let members = |okta: &Okta| {
        let org = okta.org();
        let groups = org.groups().map(|group| group.id.to_string());
        groups.collect::<Vec<String>>()
    };
    for group in members(&okta) {
        for id in &ids {
            okta.org_mut().leave(&group, id);
        }
    }
    on_day(&folder, &okta, "2026-01-31", &narrow)
        .end()
        .fails(8, "shrank by more than --max-drop");
    let mut expected = before;
    expected.insert("okta-2026-02-01.c1z.rejected".to_owned());
    assert_eq!(folder.names(), expected);
    okta.fault(Fault::on(
        Endpoint::Members,
        Action::Reply(Reply::new(403, "application/json", "{}")),
    ));
    let arguments = [
        "-f",
        "okta-%F.c1z",
        "--keep",
        "1",
        "--memberships-by",
        "group",
    ];
    on_day(&folder, &okta, "2026-02-01", &arguments)
        .end()
        .fails(3, "the snapshot is incomplete");
    expected.insert("okta-2026-02-02.c1z.partial".to_owned());
    assert_eq!(folder.names(), expected);
    // The snapshot is accepted but incomplete, so the last complete one is kept.
    let arguments = [&arguments[..], &["--allow-partial"]].concat();
    on_day(&folder, &okta, "2026-02-02", &arguments).ok();
    assert!(
        folder.names().contains("okta-2026-01-31.c1z"),
        "{:?}",
        folder.names()
    );
    assert!(folder.names().contains("okta-2026-02-03.c1z"));
}

#[test]
fn ambiguous_date_patterns_are_refused_before_any_request() {
    let okta = Okta::unasked();
    let folder = Folder::new();
    for (arguments, expected) in [
        (
            &["--keep", "3"][..],
            "--keep needs a date in the name of --file",
        ),
        (&["--keep", "0", "-f", "%F.c1z"], "a whole number above 0"),
        (
            &["--manifest", "%F.json"],
            "--manifest needs a date in the name of --file",
        ),
        (&["-f", "okta-%Y.c1z"], "--file contains no date"),
        (
            &["-f", "okta-%Q.c1z"],
            "--file contains a % that is not part of",
        ),
        (&["-f", "%Y/okta-%F.c1z"], "name of a folder"),
        (&["-f", "okta-%F.txt"], "expected a name that ends in .c1z"),
    ] {
        folder.sync(&okta, arguments).end().fails(2, expected);
    }
    assert!(folder.names().is_empty());
}

#[test]
fn only_snapshots_of_the_same_org_and_their_manifests_are_removed() {
    let (okta, other) = (Okta::with(Org::demo()), Okta::with(Org::demo()));
    let folder = Folder::new();
    let fixture = |name: &str| format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    folder.sync(&other, &["-f", "okta-2020-01-01.c1z"]).ok();
    let files = [
        ("go-connector.c1z", "okta-2020-01-02.c1z"),
        ("go-connector-unfinished.c1z", "okta-2020-01-03.c1z"),
    ];
    for (from, to) in files {
        std::fs::copy(fixture(from), folder.path(to)).unwrap();
    }
    std::fs::write(folder.path("okta-2020-01-04.c1z"), b"C1ZF\0damaged").unwrap();
    let keep = ["-f", "okta-%Y-%m-%d.c1z", "--keep", "1"];
    on_day(&folder, &okta, "2026-01-30", &keep).ok();
    // A file with the name of a manifest that is not a manifest.
    std::fs::write(folder.path("m-2026-01-31.json"), "{\"mine\": true}").unwrap();
    let ran = on_day(&folder, &okta, "2026-01-31", &keep).ok();
    for reason in ["is from http://127.0.0.1", "not a snapshot of okta-ciam"] {
        assert!(ran.stderr.contains(reason), "{}", ran.stderr);
    }
    let names = folder.names();
    for day in 1..=4 {
        assert!(
            names.contains(&format!("okta-2020-01-0{day}.c1z")),
            "{names:?}"
        );
    }
    assert!(names.contains("m-2026-01-31.json"));
    assert!(!names.contains("okta-2026-01-31.c1z"), "{names:?}");
}
