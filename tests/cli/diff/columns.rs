//! Tests the comparison of snapshots that do not have the same columns.

use std::collections::BTreeSet;

use okta_fake::{Group, Org};
use rusqlite::Connection;

use super::{Pair, diff, org, rename};
use crate::support::Folder;

/// Returns the fields that JSON output lists as not compared.
fn left_out(folder: &Folder, files: &[&str], more: &[&str]) -> BTreeSet<String> {
    let json = diff(folder, &[files, more, &["--output", "json"]].concat()).json();
    let left_out = json["meta"]["left_out"].as_array().unwrap().iter();
    left_out
        .map(|name| name.as_str().unwrap().to_owned())
        .collect()
}

/// Checks that no format names columns that only one of the files has.
fn assert_has_no_note(folder: &Folder, files: &[&str], arguments: &[&str]) {
    for format in ["text", "markdown"] {
        let all = [files, arguments, &["--format", format]].concat();
        let ran = diff(folder, &all).code(0);
        assert!(!ran.stdout.contains("not compared"), "{}", ran.stdout);
    }
    let same = [files[0], files[0]];
    assert_eq!(
        left_out(folder, files, arguments),
        left_out(folder, &same, arguments),
        "{arguments:?}"
    );
}

/// Otherwise the first comparison after an upgrade would report every user.
#[test]
fn a_column_that_the_older_file_does_not_have_is_not_compared() {
    let pair = Pair::new(org(), |_| {});
    pair.sync("earlier.db", &[]);
    let earlier = Connection::open(pair.folder.path("earlier.db")).unwrap();
    earlier
        .execute_batch(
            "alter table users drop column type_id; update snapshot set schema_version = 2",
        )
        .unwrap();
    earlier.close().unwrap();
    for files in [["earlier.db", "new.c1z"], ["new.c1z", "earlier.db"]] {
        let text = diff(&pair.folder, &[&files[..], &["--all-fields"]].concat()).code(0);
        let note = "columns that one of the snapshots may lack are not compared: type_id";
        assert!(text.stdout.contains(note), "{}", text.stdout);
        assert!(left_out(&pair.folder, &files, &[]).contains("type_id"));
        let [old, new] = files;
        let report = ["report", "-f", new, "-o", "page.html", "--since", old];
        pair.folder.run(&report).ok();
        let page = std::fs::read_to_string(pair.folder.path("page.html")).unwrap();
        assert!(page.contains(note), "{files:?}");
        for unconcerned in [
            ["--only", "memberships"],
            ["--only", "groups"],
            ["--ignore", "type_id"],
            ["--ignore", "users.type_id"],
            ["--group", "team"],
            ["--change", "added"],
            ["--change", "added,removed,unknown"],
        ] {
            assert_has_no_note(&pair.folder, &files, &unconcerned);
        }
        for concerned in [["--user", "ada@example.com"], ["--change", "changed"]] {
            let left_out = left_out(&pair.folder, &files, &concerned);
            assert!(left_out.contains("type_id"), "{concerned:?}");
        }
    }
    let both = diff(&pair.folder, &["earlier.db", "earlier.db"]).code(0);
    assert!(!both.stdout.contains("not compared"), "{}", both.stdout);
    // A file of this version must have the column.
    let newer = Connection::open(pair.folder.path("earlier.db")).unwrap();
    newer
        .execute_batch("update snapshot set schema_version = 3")
        .unwrap();
    newer.close().unwrap();
    diff(&pair.folder, &["earlier.db", "new.c1z"])
        .code(2)
        .says("no column type_id");
}

/// Drops the plain tables of a snapshot, so that it is like one that another connector wrote.
fn keep_only_batons_tables(folder: &Folder, file: &str) {
    let db = Connection::open(folder.path(file)).unwrap();
    db.execute_batch(
        "drop view memberships; drop table users; drop table groups; drop table domains; drop table snapshot;
        drop table warnings",
    )
    .unwrap();
    db.close().unwrap();
}

const ONLY_OURS_OF_USERS: &str = "activated, status_changed, password_changed, type_id, matched_by";
const ONLY_OURS_OF_GROUPS: &str = "type, source_id, groups.created, groups.profile";

/// Returns a pair of snapshots of the sample org, and `baton.db`, the old one as another connector would write it.
fn sample(change: impl FnOnce(&mut Org)) -> Pair {
    let mut org = Org::demo();
    // Baton's tables contain an empty description for this group.
    org.add_group(Group::new("00gplain", "no description"));
    rename(&mut org, "00gplain", "no description");
    let (folder, okta) = (Folder::new(), crate::support::Okta::with(org));
    let pair = Pair { folder, okta };
    pair.sync("old.c1z", &[]);
    pair.sync("baton.db", &[]);
    keep_only_batons_tables(&pair.folder, "baton.db");
    change(&mut pair.okta.org_mut());
    pair.sync("new.c1z", &[]);
    pair
}

#[test]
fn an_unchanged_org_has_no_differences_in_the_file_of_another_connector() {
    let pair = sample(|_| {});
    let note = format!(
        "columns that one of the snapshots may lack are not compared: {ONLY_OURS_OF_USERS}, {ONLY_OURS_OF_GROUPS}"
    );
    for files in [["baton.db", "new.c1z"], ["new.c1z", "baton.db"]] {
        for format in ["text", "markdown"] {
            let ran = diff(&pair.folder, &[&files[..], &["--format", format]].concat()).code(0);
            assert!(ran.stdout.contains(&note), "{}", ran.stdout);
        }
        let ours = left_out(&pair.folder, &["new.c1z", "new.c1z"], &[]);
        let mixed = left_out(&pair.folder, &files, &[]);
        let more: BTreeSet<&str> = mixed.difference(&ours).map(String::as_str).collect();
        let all = [ONLY_OURS_OF_USERS, ONLY_OURS_OF_GROUPS];
        assert_eq!(
            more,
            all.iter().flat_map(|names| names.split(", ")).collect()
        );
        // The columns on the use of groups and on the run are only in our tables too.
        let text = diff(&pair.folder, &[&files[..], &["--all-fields"]].concat()).code(0);
        assert!(text.stdout.contains("members_kept"), "{}", text.stdout);
        for unconcerned in [["--only", "memberships"], ["--change", "removed"]] {
            assert_has_no_note(&pair.folder, &files, &unconcerned);
        }
    }
    for (arguments, names) in [
        (["--user", "mira.okonjo@example.com"], ONLY_OURS_OF_USERS),
        (["--only", "users"], ONLY_OURS_OF_USERS),
        (["--group", "All staff"], ONLY_OURS_OF_GROUPS),
        (["--only", "groups"], ONLY_OURS_OF_GROUPS),
    ] {
        let ran = diff(
            &pair.folder,
            &[&["baton.db", "new.c1z"], &arguments[..]].concat(),
        )
        .code(0);
        let end = format!("are not compared: {names}\n");
        assert!(ran.stdout.contains(&end), "{arguments:?}: {}", ran.stdout);
    }
    assert_has_no_note(&pair.folder, &["baton.db", "baton.db"], &[]);
}

#[test]
fn a_change_of_a_column_that_another_connector_writes_is_reported() {
    let pair = sample(|org| {
        let mira = org.users().next().unwrap().id.clone();
        org.edit_user(&mira, |user| user.status = "SUSPENDED".into());
        rename(org, "00gplain", "renamed");
    });
    let columns = |files: [&str; 2]| {
        let ran = diff(&pair.folder, &[&files[..], &["--format", "csv"]].concat()).code(1);
        let mut csv = csv::Reader::from_reader(ran.stdout.as_bytes());
        let cells = csv.records().map(|record| {
            let record = record.unwrap();
            [7, 8, 9].map(|cell| record[cell].to_owned()).join(" ")
        });
        cells.collect::<Vec<_>>()
    };
    assert_eq!(
        columns(["baton.db", "new.c1z"]),
        ["status ACTIVE SUSPENDED", "name no description renamed"]
    );
    assert_eq!(
        columns(["new.c1z", "baton.db"]),
        ["status SUSPENDED ACTIVE", "name renamed no description"]
    );
    assert_eq!(
        columns(["baton.db", "new.c1z"]),
        columns(["old.c1z", "new.c1z"])
    );
    pair.sync("later.db", &[]);
    keep_only_batons_tables(&pair.folder, "later.db");
    assert_eq!(
        columns(["baton.db", "later.db"]),
        columns(["old.c1z", "new.c1z"])
    );
}
