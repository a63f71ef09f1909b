//! Tests an access review, from the sheet to the package with the evidence.

use std::path::Path;
use std::process::Command;

use okta_fake::Org;
use serde_json::Value;

use crate::support::{Folder, Okta, Run};

const REVIEWER: &str = "auditor@example.com";

fn with_org(folder: &Folder, okta: &Okta, arguments: &[&str]) -> Run {
    folder
        .run(arguments)
        .env("BATON_DOMAIN", &okta.origin())
        .env("BATON_API_TOKEN", okta.token())
        .env("BATON_EMAIL_DOMAINS", "example.com,example.org")
        .env("BATON_PROVISIONING", "true")
}

/// A sheet as cells.
struct Sheet(Vec<Vec<String>>);

impl Sheet {
    fn read(path: &Path) -> Self {
        let text = std::fs::read(path).unwrap();
        let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap();
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(text);
        let rows = reader.records().map(|record| {
            let record = record.unwrap();
            record.iter().map(str::to_owned).collect()
        });
        Self(rows.collect())
    }

    /// Writes the sheet as a spreadsheet with decimal commas does, in reverse order.
    fn write(&self, path: &Path) {
        let mut writer = csv::WriterBuilder::new()
            .delimiter(b';')
            .from_path(path)
            .unwrap();
        writer.write_record(&self.0[0]).unwrap();
        for row in self.0[1..].iter().rev() {
            writer.write_record(row).unwrap();
        }
        writer.flush().unwrap();
    }

    fn place(&self, column: &str) -> usize {
        self.0[0].iter().position(|name| name == column).unwrap()
    }

    fn cell(&self, row: usize, column: &str) -> &str {
        &self.0[row][self.place(column)]
    }

    fn set(&mut self, row: usize, column: &str, value: &str) {
        let place = self.place(column);
        value.clone_into(&mut self.0[row][place]);
    }

    fn decide(&mut self, row: usize, decision: &str) {
        self.set(row, "decision", decision);
        self.set(row, "reviewer", REVIEWER);
    }

    /// Returns the rows of groups that can be edited in Okta.
    fn editable(&self) -> Vec<usize> {
        let rows = 1..self.0.len();
        rows.filter(|row| self.cell(*row, "group_type") == "OKTA_GROUP")
            .collect()
    }

    fn ids(&self, row: usize) -> (String, String) {
        let ids = ["group_id", "user_id"].map(|column| self.cell(row, column).to_owned());
        ids.into()
    }
}

/// Writes a snapshot of the sample org and its sheet, and returns the sheet.
fn started(okta: &Okta, folder: &Folder) -> Sheet {
    with_org(folder, okta, &["sync", "-f", "before.c1z"]).ok();
    let start = [
        "review",
        "start",
        "-f",
        "before.c1z",
        "-o",
        "sheet.csv",
        "--privileged",
        "admin",
    ];
    folder.run(&start).ok();
    Sheet::read(&folder.path("sheet.csv"))
}

fn close(folder: &Folder, sheets: &[&str]) -> Run {
    let mut arguments = vec![
        "review",
        "close",
        "--before",
        "before.c1z",
        "--after",
        "after.c1z",
        "-o",
        "evidence",
        "--output",
        "json",
        "--audit-log",
        "changes.jsonl",
    ];
    for sheet in sheets {
        arguments.extend(["--sheet", sheet]);
    }
    folder.run(&arguments)
}

fn verdict(closed: &Value, word: &str) -> u64 {
    closed["verdicts"][word].as_u64().unwrap()
}

#[test]
fn a_review_goes_from_the_sheet_to_a_package_that_proves_it() {
    let (okta, folder) = (Okta::with(Org::demo()), Folder::new());
    let mut sheet = started(&okta, &folder);
    let rows = sheet.0.len() - 1;
    assert_eq!(
        sheet.cell(1, "privileged"),
        "yes",
        "privileged rows come first"
    );
    folder.run(&["review", "status", "sheet.csv"]).end().code(1);
    let revoked: Vec<usize> = sheet.editable().into_iter().take(3).collect();
    for row in 1..=rows {
        let decision = if revoked.contains(&row) {
            "Revoke"
        } else {
            "keep"
        };
        sheet.decide(row, decision);
    }
    let own = (1..=rows).find(|row| !revoked.contains(row)).unwrap();
    let login = sheet.cell(own, "user_login").to_owned();
    sheet.set(own, "reviewer", &login.to_uppercase());
    sheet.write(&folder.path("decided.csv"));
    let status = folder
        .run(&["review", "status", "decided.csv", "--output", "json"])
        .ok()
        .json();
    assert_eq!(status["all"]["revoke"], 3);
    assert_eq!(
        status["self_reviews"][0]["group_name"],
        sheet.cell(own, "group_name")
    );
    assert_eq!(status["approved_everything"], serde_json::json!([]));

    let revoke = [
        "revoke",
        "--from",
        "decided.csv",
        "--require-decisions",
        "--yes",
        "--audit-log",
        "changes.jsonl",
        "--output",
        "json",
    ];
    let report = with_org(&folder, &okta, &revoke).ok();
    assert!(report.stderr.contains(&format!(
        "{rows} rows: 3 revoke, {} approve, 0 undecided",
        rows - 3
    )));
    let report = report.json();
    assert_eq!(report["sheet"]["revoke"], 3);
    assert_eq!(report["rows"].as_array().unwrap().len(), 3);
    with_org(&folder, &okta, &["sync", "-f", "after.c1z"]).ok();

    let closed = close(&folder, &["decided.csv"]).ok().json();
    assert_eq!(closed["status"], "final");
    assert_eq!(verdict(&closed, "removed"), 3);
    assert_eq!(verdict(&closed, "self_review"), 1);
    assert_eq!(verdict(&closed, "kept"), rows as u64 - 4);
    let checked = Command::new("sha256sum")
        .args(["-c", "SHA256SUMS"])
        .current_dir(folder.path("evidence"))
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
    let verdicts = std::fs::read_to_string(folder.path("evidence/verdicts.csv")).unwrap();
    let removed: Vec<&str> = verdicts
        .lines()
        .filter(|line| line.starts_with("removed,"))
        .collect();
    assert_eq!(removed.len(), 3);
    // Okta's request id, from the audit log.
    assert!(
        removed
            .iter()
            .all(|line| line.rsplit(',').next().unwrap().len() > 5),
        "{removed:?}"
    );
    for row in revoked {
        let (group, user) = sheet.ids(row);
        assert!(
            removed
                .iter()
                .any(|line| line.contains(&group) && line.contains(&user))
        );
    }
    let changes = std::fs::read_to_string(folder.path("evidence/changes.csv")).unwrap();
    assert_eq!(changes.matches(",done,").count(), 3, "{changes}");
    for (name, rows) in [("access-before.csv", 0), ("access-after.csv", 3)] {
        let text = std::fs::read_to_string(folder.path("evidence").join(name)).unwrap();
        let before = std::fs::read_to_string(folder.path("evidence/access-before.csv")).unwrap();
        assert_eq!(
            text.lines().count(),
            before.lines().count() - rows,
            "{name}"
        );
    }
    let page = std::fs::read_to_string(folder.path("evidence/report.html")).unwrap();
    assert!(page.contains("Access after the review"));
    // The evidence contains the completed sheet.
    assert_eq!(
        std::fs::read(folder.path("evidence/sheet-decided.csv")).unwrap(),
        std::fs::read(folder.path("decided.csv")).unwrap()
    );
    close(&folder, &["decided.csv"])
        .end()
        .code(2)
        .says("not an empty folder");
}

#[test]
fn unremediated_and_undecided_rows_keep_the_review_open() {
    let (okta, folder) = (Okta::with(Org::demo()), Folder::new());
    let mut sheet = started(&okta, &folder);
    for row in 1..sheet.0.len() {
        sheet.decide(row, "approve");
    }
    let editable = sheet.editable();
    let [ignored, vanished, open] = editable[..3] else {
        panic!()
    };
    sheet.decide(ignored, "revoke");
    sheet.decide(open, "investigate");
    sheet.write(&folder.path("decided.csv"));
    folder
        .run(&["review", "status", "decided.csv"])
        .end()
        .code(1);
    let refused = with_org(
        &folder,
        &okta,
        &[
            "revoke",
            "--from",
            "decided.csv",
            "--require-decisions",
            "--yes",
        ],
    );
    refused.end().code(4).says("1 row has no final decision");
    let (group, user) = sheet.ids(vanished);
    assert!(okta.org_mut().leave(&group, &user));
    // A user in scope who is not in the group of the row that was not remediated.
    let (group, _) = sheet.ids(ignored);
    let members: Vec<String> = (1..sheet.0.len())
        .map(|row| sheet.ids(row))
        .filter(|(other, _)| *other == group)
        .map(|(_, user)| user)
        .collect();
    let newcomer = (1..sheet.0.len())
        .map(|row| sheet.ids(row).1)
        .find(|user| !members.contains(user))
        .unwrap();
    assert!(okta.org_mut().join(&group, &newcomer));
    with_org(&folder, &okta, &["sync", "-f", "after.c1z"]).ok();
    std::fs::write(folder.path("changes.jsonl"), "").unwrap();
    let closed = close(&folder, &["decided.csv"]).end().code(1).json();
    assert_eq!(closed["status"], "draft");
    for word in [
        "not_remediated",
        "unexplained_removal",
        "unexplained_grant",
        "undecided",
    ] {
        assert_eq!(verdict(&closed, word), 1, "{word}: {closed}");
    }
    let manifest = std::fs::read(folder.path("evidence/manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["status"], "draft");
    // `findings` reads the same sheet.
    let findings = [
        "findings",
        "-f",
        "after.c1z",
        "--review",
        "decided.csv",
        "--check",
        "not-remediated",
        "--output",
        "json",
    ];
    assert_eq!(folder.run(&findings).ok().json()["findings"][0]["count"], 1);
}

#[test]
fn altered_old_and_foreign_sheets_change_nothing() {
    let (okta, folder) = (Okta::with(Org::demo()), Folder::new());
    let mut sheet = started(&okta, &folder);
    let [first, second] = sheet.editable()[..2] else {
        panic!()
    };
    sheet.decide(first, "revoke");
    sheet.write(&folder.path("good.csv"));
    let revoke = |name: &str, more: &[&str]| {
        let arguments = [&["revoke", "--from", name, "--yes"], more].concat();
        with_org(&folder, &okta, &arguments)
    };
    // A single column is sorted, so that decisions are next to other people.
    let mut sorted = Sheet(sheet.0.clone());
    for column in ["user_login", "user_name", "user_email"] {
        let (one, other) = (sheet.cell(first, column), sheet.cell(second, column));
        sorted.set(first, column, other);
        sorted.set(second, column, one);
    }
    sorted.write(&folder.path("sorted.csv"));
    revoke("sorted.csv", &[])
        .end()
        .code(2)
        .says("row_check does not fit");
    with_org(&folder, &okta, &["sync", "-f", "after.c1z"]).ok();
    std::fs::write(folder.path("changes.jsonl"), "").unwrap();
    close(&folder, &["sorted.csv"])
        .end()
        .code(2)
        .says("row_check does not fit");
    let mut fewer = Sheet(sheet.0.clone());
    fewer.0.remove(second);
    fewer.write(&folder.path("fewer.csv"));
    close(&folder, &["fewer.csv"])
        .end()
        .code(2)
        .says("the sheets lack 1 row");
    let mut unknown = Sheet(sheet.0.clone());
    unknown.set(second, "decision", "perhaps");
    unknown.write(&folder.path("unknown.csv"));
    revoke("unknown.csv", &[])
        .end()
        .code(2)
        .says("\"perhaps\" is not a decision");

    let other = Okta::unasked();
    let elsewhere = with_org(&folder, &other, &["revoke", "--from", "good.csv", "--yes"]);
    elsewhere
        .end()
        .code(4)
        .says("the sheet is from http://127.0.0.1:");
    let old = ["sync", "-f", "old.c1z", "--now", "2026-01-02T00:00:00Z"];
    with_org(&folder, &okta, &old).ok();
    folder
        .run(&["review", "start", "-f", "old.c1z", "-o", "old.csv"])
        .ok();
    let mut aged = Sheet::read(&folder.path("old.csv"));
    let row = aged.editable()[0];
    aged.decide(row, "revoke");
    aged.write(&folder.path("aged.csv"));
    revoke("aged.csv", &[])
        .end()
        .code(4)
        .says("start a new review");
    let preview = revoke(
        "aged.csv",
        &["--max-sheet-age", "36500", "--dry-run", "--output", "json"],
    );
    assert_eq!(preview.ok().json()["rows"][0]["result"], "planned");
    // Nothing was sent until now.
    revoke("good.csv", &[]).ok();
    assert!(!folder.names().contains("evidence"));
    revoke("good.csv", &["--max-sheet-age", "x"])
        .end()
        .code(2)
        .says("whole number of days");
    let arguments = [
        "revoke",
        "--user",
        "a",
        "--group",
        "b",
        "--require-decisions",
    ];
    with_org(&folder, &okta, &arguments)
        .end()
        .code(2)
        .says("requires --from");
    let grant = ["grant", "--from", "good.csv", "--yes"];
    with_org(&folder, &okta, &grant)
        .end()
        .code(2)
        .says("use it with revoke");
}

#[test]
fn a_review_in_several_files_is_closed_with_all_of_them() {
    let (okta, folder) = (Okta::with(Org::demo()), Folder::new());
    let whole = started(&okta, &folder);
    let start = [
        "review",
        "start",
        "-f",
        "before.c1z",
        "-o",
        "part.csv",
        "--split-by",
        "group",
        "--output",
        "json",
    ];
    let split = folder.run(&start).ok().json();
    let sheets = split["sheets"].as_array().unwrap().clone();
    assert!(sheets.len() > 2);
    let mut names = Vec::new();
    let mut rows = 0;
    for sheet in &sheets {
        let name = sheet["path"].as_str().unwrap().to_owned();
        let mut part = Sheet::read(&folder.path(&name));
        rows += part.0.len() - 1;
        for row in 1..part.0.len() {
            part.decide(row, "approve");
        }
        let decided = name.replace("part-", "decided-");
        part.write(&folder.path(&decided));
        names.push(decided);
    }
    assert_eq!(rows, whole.0.len() - 1);
    with_org(&folder, &okta, &["sync", "-f", "after.c1z"]).ok();
    std::fs::write(folder.path("changes.jsonl"), "").unwrap();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    close(&folder, &names[1..])
        .end()
        .code(2)
        .says("1 sheet of the review not given");
    // A single file is complete in itself.
    folder.run(&["review", "status", names[0]]).ok();
    let closed = close(&folder, &names).ok().json();
    assert_eq!(verdict(&closed, "kept"), rows as u64);
    // The next review shows the decisions of this one.
    let again = [
        "review",
        "start",
        "-f",
        "after.c1z",
        "-o",
        "next.csv",
        "--previous",
        names[0],
        "--changed-since",
        "before.c1z",
    ];
    folder.run(&again).ok().says("there is nothing to review");
    assert!(
        !folder.names().contains("next.csv"),
        "there are no new memberships"
    );
    let swapped = [
        "review",
        "start",
        "-f",
        "before.c1z",
        "-o",
        "next.csv",
        "--changed-since",
        "after.c1z",
    ];
    folder
        .run(&swapped)
        .end()
        .code(2)
        .says("after.c1z is newer");
    for command in ["findings", "report"] {
        let swapped = [
            command,
            "-f",
            "before.c1z",
            "-o",
            "page.html",
            "--since",
            "after.c1z",
        ];
        let arguments = if command == "report" {
            &swapped[..]
        } else {
            &[command, "-f", "before.c1z", "--since", "after.c1z"]
        };
        folder
            .run(arguments)
            .end()
            .code(2)
            .says("after.c1z is newer");
    }
    let again = [
        "review",
        "start",
        "-f",
        "after.c1z",
        "-o",
        "all.csv",
        "--previous",
        names[0],
    ];
    folder.run(&again).ok();
    let next = Sheet::read(&folder.path("all.csv"));
    let known = (1..next.0.len()).filter(|row| next.cell(*row, "previous_decision") == "approve");
    let of_first = Sheet::read(&folder.path(sheets[0]["path"].as_str().unwrap()));
    assert_eq!(known.count(), of_first.0.len() - 1);
}

#[test]
fn a_sheet_has_the_columns_of_the_contract_and_never_replaces_a_file() {
    let (okta, folder) = (Okta::with(Org::demo()), Folder::new());
    let sheet = started(&okta, &folder);
    let columns = "review_id,group_name,group_id,group_type,group_description,privileged,user_name,user_login,user_email,user_id,user_status,matched_by,title,department,manager,user_type,created,last_login,days_since_login,source,first_seen,group_members,user_groups,peer_share,flags,previous_decision,previous_reviewer,previous_date,reviewer,decision,comment,decided_at,org,sync_id,row_check";
    assert_eq!(sheet.0[0].join(","), columns);
    let before = std::fs::read(folder.path("sheet.csv")).unwrap();
    let again = ["review", "start", "-f", "before.c1z", "-o", "sheet.csv"];
    folder
        .run(&again)
        .end()
        .code(2)
        .says("may contain decisions");
    assert_eq!(std::fs::read(folder.path("sheet.csv")).unwrap(), before);
    for name in ["one.xlsx", "two.xlsx", "one.csv", "two.csv"] {
        folder
            .run(&["review", "start", "-f", "before.c1z", "-o", name])
            .ok();
    }
    let bytes = |name: &str| std::fs::read(folder.path(name)).unwrap();
    assert_eq!(bytes("one.xlsx"), bytes("two.xlsx"));
    assert_eq!(bytes("one.csv"), bytes("two.csv"));
    let status = |name: &str| {
        let ran = folder
            .run(&["review", "status", name, "--output", "json"])
            .end();
        ran.code(1).json()
    };
    assert_eq!(status("one.xlsx"), status("one.csv"));
    let bad = ["review", "start", "-f", "before.c1z", "-o", "sheet.ods"];
    folder.run(&bad).end().code(2).says(".csv or .xlsx");
    std::fs::write(folder.path("list.csv"), "user,group\na,b\n").unwrap();
    folder
        .run(&["review", "status", "list.csv"])
        .end()
        .code(2)
        .says("is not the sheet of a review");
    folder
        .run(&["review", "status", "none.csv"])
        .end()
        .code(2)
        .says("cannot open none.csv");
}

#[test]
fn incomparable_or_contradictory_sheets_cannot_close_a_review() {
    let (okta, folder) = (Okta::with(Org::demo()), Folder::new());
    let mut sheet = started(&okta, &folder);
    for row in 1..sheet.0.len() {
        sheet.decide(row, "approve");
    }
    sheet.decide(1, "revoke");
    sheet.write(&folder.path("decided.csv"));
    let split = [
        "review",
        "start",
        "-f",
        "before.c1z",
        "-o",
        "part.csv",
        "--split-by",
        "group",
        "--output",
        "json",
    ];
    let mut names = vec!["decided.csv".to_owned()];
    for part in folder.run(&split).ok().json()["sheets"].as_array().unwrap() {
        let name = part["path"].as_str().unwrap().to_owned();
        let mut part = Sheet::read(&folder.path(&name));
        for row in 1..part.0.len() {
            part.decide(row, "approve");
        }
        part.write(&folder.path(&name));
        names.push(name);
    }
    with_org(&folder, &okta, &["sync", "-f", "after.c1z"]).ok();
    std::fs::write(folder.path("changes.jsonl"), "").unwrap();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    close(&folder, &all).end().code(2).says("contradicts");
    let header = Sheet(sheet.0[..1].to_vec());
    header.write(&folder.path("header.csv"));
    folder
        .run(&["review", "status", "header.csv"])
        .end()
        .code(1);
    close(&folder, &["header.csv"])
        .end()
        .code(2)
        .says("have no rows");
    std::fs::write(folder.path("empty.csv"), "").unwrap();
    close(&folder, &["empty.csv"])
        .end()
        .code(2)
        .says("empty.csv is empty");
    let pipe = Command::new("mkfifo")
        .arg(folder.path("pipe.csv"))
        .status()
        .unwrap();
    assert!(pipe.success());
    close(&folder, &["pipe.csv"])
        .end()
        .code(2)
        .says("not a regular file");
    std::fs::write(folder.path("changes.jsonl"), "{\"a\":1}\n").unwrap();
    close(&folder, &["decided.csv"])
        .end()
        .code(2)
        .says("changes.jsonl is not an audit log");
    assert!(!folder.names().iter().any(|name| name.contains("evidence")));
    // A file name that a list of check sums would have to escape, and a folder behind a link.
    std::fs::write(folder.path("changes.jsonl"), "").unwrap();
    let odd = "line\nbreak\\.csv";
    std::fs::copy(folder.path("decided.csv"), folder.path(odd)).unwrap();
    std::fs::create_dir(folder.path("there")).unwrap();
    std::os::unix::fs::symlink("there", folder.path("evidence")).unwrap();
    close(&folder, &[odd]).end().code(1);
    let checked = Command::new("sha256sum")
        .args(["-c", "SHA256SUMS"])
        .current_dir(folder.path("there"))
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
}

#[test]
fn if_two_runs_write_the_same_package_one_succeeds_and_its_package_is_complete() {
    let (okta, folder) = (Okta::with(Org::demo()), Folder::new());
    let mut sheet = started(&okta, &folder);
    for row in 1..sheet.0.len() {
        sheet.decide(row, "approve");
    }
    sheet.write(&folder.path("decided.csv"));
    with_org(&folder, &okta, &["sync", "-f", "after.c1z"]).ok();
    std::fs::write(folder.path("changes.jsonl"), "").unwrap();
    for round in 0..8 {
        let name = format!("race-{round}.csv");
        let start = [
            "review",
            "start",
            "-f",
            "before.c1z",
            "-o",
            &name,
            "--output",
            "json",
        ];
        let running = [folder.run(&start).start(), folder.run(&start).start()];
        let ended = running.map(|running| running.end());
        let (won, lost): (Vec<_>, Vec<_>) = ended.iter().partition(|ran| ran.code == Some(0));
        assert!(lost[0].error().contains(&name), "{}", lost[0].stderr);
        let [won] = won[..] else { panic!("{round}") };
        let printed = won.json()["sheets"][0]["sha256"]
            .as_str()
            .unwrap()
            .to_owned();
        let sum = Command::new("sha256sum")
            .arg(folder.path(&name))
            .output()
            .unwrap();
        assert!(String::from_utf8(sum.stdout).unwrap().starts_with(&printed));
        let running = [0, 1].map(|_| close(&folder, &["decided.csv"]).start());
        let ended = running.map(|running| running.end());
        let (won, lost): (Vec<_>, Vec<_>) = ended.iter().partition(|ran| ran.code == Some(0));
        assert_eq!(won.len(), 1);
        assert!(lost[0].error().contains("evidence"), "{}", lost[0].stderr);
        let checked = Command::new("sha256sum")
            .args(["-c", "SHA256SUMS"])
            .current_dir(folder.path("evidence"))
            .output()
            .unwrap();
        assert!(checked.status.success(), "{checked:?}");
        std::fs::remove_dir_all(folder.path("evidence")).unwrap();
    }
    assert!(
        !folder
            .names()
            .iter()
            .any(|name| name.starts_with(".okta-ciam"))
    );
}

#[test]
fn the_evidence_contains_each_change_between_the_snapshots_once() {
    let (okta, folder) = (Okta::with(Org::demo()), Folder::new());
    let mut sheet = started(&okta, &folder);
    let [early, late] = sheet.editable()[..2] else {
        panic!()
    };
    for row in 1..sheet.0.len() {
        sheet.decide(row, "approve");
    }
    sheet.decide(early, "revoke");
    sheet.write(&folder.path("decided.csv"));
    let revoke = |from: &str| {
        let arguments = [
            "revoke",
            "--from",
            from,
            "--yes",
            "--audit-log",
            "changes.jsonl",
        ];
        with_org(&folder, &okta, &arguments)
    };
    revoke("decided.csv").ok();
    with_org(&folder, &okta, &["sync", "-f", "after.c1z"]).ok();
    sheet.decide(late, "revoke");
    sheet.write(&folder.path("later.csv"));
    revoke("later.csv").ok();
    let twice = [
        "review",
        "close",
        "--sheet",
        "decided.csv",
        "--before",
        "before.c1z",
        "--after",
        "after.c1z",
        "-o",
        "evidence",
        "--audit-log",
        "changes.jsonl",
        "--audit-log",
        "changes.jsonl",
    ];
    folder.run(&twice).ok();
    let changes = std::fs::read_to_string(folder.path("evidence/changes.csv")).unwrap();
    assert_eq!(changes.lines().count(), 2, "{changes}");
    assert!(changes.contains(&sheet.ids(early).1));
    // A deleted row counts as undecided.
    sheet.0.remove(late);
    sheet.write(&folder.path("fewer.csv"));
    let strict = [
        "revoke",
        "--from",
        "fewer.csv",
        "--yes",
        "--require-decisions",
    ];
    with_org(&folder, &okta, &strict)
        .end()
        .code(4)
        .says("1 row was deleted");
}

#[test]
fn a_sheet_without_its_technical_columns_is_not_a_list_of_changes() {
    let (okta, folder) = (Okta::with(Org::demo()), Folder::new());
    let mut sheet = started(&okta, &folder);
    let row = sheet.editable()[0];
    sheet.decide(row, "revoke");
    let hidden = [
        "review_id",
        "group_id",
        "user_id",
        "org",
        "sync_id",
        "row_check",
    ];
    let places = hidden.map(|column| sheet.place(column));
    for cells in &mut sheet.0 {
        let mut place = 0;
        cells.retain(|_| {
            place += 1;
            !places.contains(&(place - 1))
        });
    }
    sheet.write(&folder.path("bare.csv"));
    let revoke = with_org(&folder, &okta, &["revoke", "--from", "bare.csv", "--yes"]);
    revoke.end().code(2).says("lacks the column review_id");
    // Options about sheets have no effect on a plain list, so they are refused.
    std::fs::write(folder.path("list.csv"), "user,group\na,b\n").unwrap();
    for option in [&["--require-decisions"][..], &["--max-sheet-age", "1"]] {
        let arguments = [&["revoke", "--from", "list.csv", "--yes"], option].concat();
        let refused = with_org(&folder, &okta, &arguments).end().code(2);
        assert!(
            refused
                .error()
                .contains("requires --from with the sheet of a review"),
            "{}",
            refused.stderr
        );
    }
}

/// Returns the code blocks of a page with their languages.
fn blocks(page: &str) -> Vec<(String, String)> {
    let mut blocks: Vec<(String, String)> = Vec::new();
    let mut is_open = false;
    for line in page.lines() {
        match (line.strip_prefix("```"), is_open) {
            (Some(language), false) => blocks.push((language.to_owned(), String::new())),
            (None, true) => {
                let (_, text) = blocks.last_mut().unwrap();
                text.push_str(line);
                text.push('\n');
            }
            _ => {}
        }
        is_open ^= line.starts_with("```");
    }
    blocks
}

#[test]
fn the_tutorial_in_the_documentation_works_as_printed() {
    let (okta, folder) = (Okta::with(Org::demo()), Folder::new());
    let tool = Path::new(env!("CARGO_BIN_EXE_okta-ciam"));
    let path = format!("{}:/usr/bin:/bin", tool.parent().unwrap().display());
    let mut printed = String::new();
    let mut compared = 0;
    for (language, text) in blocks(include_str!("../../docs/access-review.md")) {
        if language == "text" {
            assert_eq!(printed, text);
            compared += 1;
            continue;
        }
        if text.contains("--serve") {
            continue;
        }
        let ran = Command::new("/bin/sh")
            .args(["-e", "-c", &text])
            .env_clear()
            .env("PATH", &path)
            .env("BATON_DOMAIN", okta.origin())
            .env("BATON_API_TOKEN", okta.token())
            .env("BATON_EMAIL_DOMAINS", "example.com,example.org")
            .current_dir(folder.path("."))
            .output()
            .unwrap();
        assert!(ran.status.success(), "{text}\n{ran:?}");
        printed = String::from_utf8(ran.stdout).unwrap();
    }
    assert_eq!(compared, 2);
}
