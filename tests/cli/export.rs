//! Tests `export` with snapshots of okta-ciam and of other programs.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use okta_fake::{Group, Org, User};

use crate::support::{Folder, Okta, Ran, open, rows};

/// Returns a folder with a snapshot of the sample org as `a.c1z` and as `a.db`.
fn sample() -> Folder {
    let (okta, folder) = (Okta::with(Org::demo()), Folder::new());
    for file in ["a.c1z", "a.db"] {
        let now = ["-f", file, "--now", "2026-01-31T12:00:00Z"];
        folder.sync(&okta, &now).ok();
    }
    folder
}

fn export(folder: &Folder, arguments: &[&str]) -> Ran {
    let start = ["export", "-f", "a.c1z"];
    folder.run(&[&start, arguments].concat()).end()
}

fn csv(folder: &Folder, file: &str) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_path(folder.path(file))
        .unwrap();
    let records = reader.records().map(|record| {
        let record = record.unwrap();
        record.iter().map(str::to_owned).collect()
    });
    records.collect()
}

/// Returns the contents of the files in a folder.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        (name, std::fs::read(entry.path()).unwrap())
    });
    files.collect()
}

/// Returns the text of one file in a ZIP archive, stored or deflated, as `unzip -p` prints it.
fn unzip(archive: &Path, name: &str) -> String {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(archive).unwrap()).unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut archive.by_name(name).unwrap(), &mut text).unwrap();
    text
}

#[test]
fn a_folder_of_csv_has_every_row_and_sums_that_sha256sum_accepts() {
    let folder = sample();
    let ran = export(&folder, &["--format", "csv", "-o", "out"]).code(0);
    assert!(
        ran.stdout.contains("users.csv          49 users"),
        "{}",
        ran.stdout
    );
    let names: Vec<String> = files(&folder.path("out")).into_keys().collect();
    assert_eq!(
        names,
        [
            "SHA256SUMS",
            "domains.csv",
            "groups.csv",
            "manifest.json",
            "memberships.csv",
            "users.csv",
            "warnings.csv"
        ]
    );
    let sums = Command::new("sha256sum")
        .args(["-c", "--strict", "SHA256SUMS"])
        .current_dir(folder.path("out"))
        .output()
        .unwrap();
    assert!(
        sums.status.success(),
        "{}",
        String::from_utf8_lossy(&sums.stderr)
    );
    let db = open(&folder.path("a.db"));
    for (file, sql, cells) in [
        ("users", "select id, status, login, email, second_email from users order by id", 0..5),
        ("groups", "select id, name, description, type, source_id from groups order by id", 0..5),
        ("domains", "select domain, users, users_by_email from domains order by domain", 0..3),
        (
            "memberships",
            "select m.group_id, g.name, g.type, m.user_id, u.login from memberships m join groups g on g.id = m.group_id
                join users u on u.id = m.user_id order by m.group_id, m.user_id",
            1..6,
        ),
    ] {
        let listed = csv(&folder, &format!("out/{file}.csv"));
        let listed: Vec<String> = listed[1..].iter().map(|row| row[cells.clone()].join("|")).collect();
        let expected: Vec<String> = rows(&db, sql).iter().map(|row| row.replace("NULL", "")).collect();
        assert_eq!(listed, expected, "{file}");
    }
    let manifest: serde_json::Value =
        serde_json::from_slice(&files(&folder.path("out"))["manifest.json"]).unwrap();
    assert_eq!(
        manifest["snapshot"]["sync_id"],
        rows(&db, "select sync_id from snapshot")[0]
    );
    assert_eq!(manifest["files"][0]["rows"]["users"], 49);
    assert_eq!(manifest["files"].as_array().unwrap().len(), 5);
}

#[test]
fn equal_snapshots_give_equal_bytes_in_every_format() {
    let folder = sample();
    for format in ["csv", "jsonl", "xlsx", "sqlite"] {
        for (file, out) in [("a.c1z", "one"), ("a.db", "two"), ("a.c1z", "one")] {
            let out = format!("{out}-{format}");
            let arguments = ["export", "-f", file, "--format", format, "-o", &out];
            folder.run(&arguments).ok();
        }
        let one = files(&folder.path(&format!("one-{format}")));
        let two = files(&folder.path(&format!("two-{format}")));
        assert!(one == two, "{format}");
        assert!(one.keys().all(|name| !name.ends_with("partial")));
    }
}

#[test]
fn json_lines_and_sqlite_have_the_rows_of_the_snapshot() {
    let folder = sample();
    let lines = export(
        &folder,
        &[
            "--format",
            "jsonl",
            "--table",
            "users",
            "--columns",
            "login,profile",
            "-o",
            "-",
        ],
    )
    .code(0);
    let users: Vec<serde_json::Value> = lines
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(users.len(), 49);
    assert!(
        users
            .iter()
            .all(|user| user["profile"]["login"] == user["login"])
    );
    export(&folder, &["--format", "sqlite", "-o", "out.db"]).code(0);
    let (before, after) = (open(&folder.path("a.db")), open(&folder.path("out.db")));
    for sql in [
        "select id, name, description, type, created, members_kept, learned, profile from groups order by id",
        "select user_id, group_id, learned from memberships order by group_id, user_id",
        "select domain, users from domains order by domain",
    ] {
        assert_eq!(rows(&before, sql), rows(&after, sql));
    }
    assert_eq!(
        rows(&after, "select value from about where name = 'origin'"),
        rows(&before, "select origin from snapshot")
    );
}

#[test]
fn a_workbook_has_every_row_as_text_or_number_with_a_header_that_stays() {
    let folder = sample();
    export(&folder, &["--format", "xlsx", "-o", "out.xlsx"]).code(0);
    let book = folder.path("out.xlsx");
    let workbook = unzip(&book, "xl/workbook.xml");
    let sheets = [
        "Users",
        "Groups",
        "Memberships",
        "Domains",
        "Warnings",
        "About",
    ];
    for sheet in sheets {
        assert!(
            workbook.contains(&format!("name=\"{sheet}\"")),
            "{workbook}"
        );
    }
    let users = unzip(&book, "xl/worksheets/sheet1.xml");
    assert_eq!(users.matches("<row ").count(), 50);
    assert!(
        users.contains("state=\"frozen\"") && users.contains("<autoFilter ref=\"A1:Q50\"/>"),
        "{users}"
    );
    assert!(!users.contains("<f>"));
    let groups = unzip(&book, "xl/worksheets/sheet2.xml");
    assert!(groups.contains("<v>46</v>"), "a number stays a number");
    assert!(users.contains("<t>mira.okonjo@example.com</t>"));
    assert!(unzip(&book, "xl/worksheets/sheet6.xml").contains("content_sha256"));
}

#[test]
fn hostile_names_stay_data_in_every_format() {
    let long = "x".repeat(1_000_000);
    let names = [
        "=HYPERLINK(\"http://x\")",
        "-1+2",
        "a\"b,c\r\nd",
        "\u{1b}[31m",
        "<b>&\u{202e}",
        &long,
    ];
    let mut org = Org::new();
    org.add_user(User::with_email("00u1", "ada@example.com"));
    for (number, name) in names.iter().enumerate() {
        let id = format!("00g{number}");
        org.add_group(Group::new(&id, name));
        assert!(org.join(&id, "00u1"));
    }
    let (okta, folder) = (Okta::with(org), Folder::new());
    folder.sync(&okta, &["-f", "a.c1z"]).ok();
    let name_of = |file: &str| -> Vec<String> {
        csv(&folder, file)[1..]
            .iter()
            .map(|row| row[1].clone())
            .collect()
    };
    export(&folder, &["--format", "csv", "-o", "out"]).code(0);
    let escaped = name_of("out/groups.csv");
    export(&folder, &["--format", "csv", "--raw", "--bom", "-o", "raw"]).code(0);
    let raw = name_of("raw/groups.csv");
    assert!(files(&folder.path("raw"))["groups.csv"].starts_with("\u{feff}".as_bytes()));
    for name in names {
        let formula = name.starts_with(['=', '-']);
        let cell = if formula {
            format!("'{name}")
        } else {
            name.to_owned()
        };
        assert!(escaped.contains(&cell) && raw.contains(&name.to_owned()));
    }
    export(&folder, &["--format", "sqlite", "-o", "out.db"]).code(0);
    let db = open(&folder.path("out.db"));
    for name in names {
        let count: i64 = db
            .query_row(
                "select count(*) from groups where name = ?1",
                [name],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(count, 1);
    }
    let ran = export(&folder, &["--format", "xlsx", "-o", "out.xlsx"]).code(0);
    assert!(
        ran.stderr.contains("too long for a cell of Excel"),
        "{}",
        ran.stderr
    );
    let groups = unzip(&folder.path("out.xlsx"), "xl/worksheets/sheet2.xml");
    assert!(!groups.contains("<f>"));
    assert!(
        groups.contains("=HYPERLINK")
            && groups.contains("_x001B_[31m")
            && groups.contains("&lt;b&gt;&amp;")
    );
}

#[test]
fn files_of_the_go_connector_are_exported() {
    let folder = Folder::new();
    let file = format!(
        "{}/tests/fixtures/go-connector.c1z",
        env!("CARGO_MANIFEST_DIR")
    );
    for format in ["csv", "jsonl", "xlsx", "sqlite"] {
        let arguments = [
            "export", "-f", &file, "--format", format, "-o", format, "--output", "json",
        ];
        let ran = folder.run(&arguments).ok().json();
        let rows: u64 = ran["files"]
            .as_array()
            .unwrap()
            .iter()
            .map(|file| file["rows"]["users"].as_u64().unwrap_or_default())
            .sum();
        assert_eq!(rows, 7, "{format}");
    }
}

#[test]
fn invalid_input_is_one_line_and_existing_files_stay() {
    let folder = sample();
    std::fs::write(folder.path("text"), "text").unwrap();
    for (arguments, part) in [
        (
            &["--format", "csv", "-o", "text"][..],
            "cannot make the folder text",
        ),
        (
            &[
                "--format",
                "csv",
                "-o",
                "missing/users.csv",
                "--table",
                "users",
            ],
            "missing",
        ),
        (&["--format", "sqlite", "-o", "a.c1z/x.db"], "a.c1z"),
        (
            &[
                "--format",
                "csv",
                "--table",
                "users",
                "--columns",
                "statsu",
                "-o",
                "-",
            ],
            "did you mean status?",
        ),
    ] {
        let ran = export(&folder, arguments).fails(2, part);
        assert_eq!(ran.stdout, "");
    }
    assert_eq!(std::fs::read(folder.path("text")).unwrap(), b"text");
    let run = |table| {
        folder.run(&[
            "export", "-f", "a.c1z", "--format", "csv", "--table", table, "-o", "-",
        ])
    };
    let full = run("memberships").under("exec >/dev/full").end().code(2);
    assert!(
        full.error().contains("cannot write the table"),
        "{}",
        full.stderr
    );
    let closed = run("memberships").under("mkfifo pipe && exec 3<>pipe >pipe && exec 3<&-");
    closed.end().code(0);
}

#[test]
fn a_full_disk_leaves_the_previous_export_unchanged() {
    let folder = sample();
    for (format, part) in [
        ("csv", "cannot write csv/users.csv"),
        ("jsonl", "cannot write jsonl/users.jsonl"),
        ("xlsx", "cannot write"),
        ("sqlite", "cannot write sqlite/okta-ciam.db"),
    ] {
        export(&folder, &["--format", format, "-o", format]).code(0);
        let before = files(&folder.path(format));
        let run = folder.run(&["export", "-f", "a.db", "--format", format, "-o", format]);
        // No file can be larger than four blocks.
        let ran = run.under("trap '' XFSZ; ulimit -f 4").end();
        assert_eq!(ran.code, Some(2), "{format}: {}", ran.stderr);
        let error = ran.error();
        assert!(error.contains(part), "{format}: {error}");
        let reason = error.rsplit(": ").next().unwrap_or_default();
        assert_eq!(error.matches(reason).count(), 1, "{error}");
        assert!(
            files(&folder.path(format)) == before,
            "{format}: {}",
            ran.stderr
        );
    }
}

/// The rows of a small sheet stay in a buffer, so that only the last flush of its temporary file fails.
#[test]
fn a_temporary_file_that_is_full_at_any_size_ends_a_workbook_with_one_error() {
    let folder = sample();
    for table in ["domains", "memberships"] {
        let mut failed = 0;
        for blocks in [0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 500] {
            let to = ["-o", "a.xlsx", "--table", table];
            let export = [&["export", "-f", "a.db", "--format", "xlsx"], &to[..]].concat();
            let ran = folder
                .run(&export)
                .under(&format!("trap '' XFSZ; ulimit -f {blocks}"))
                .end();
            assert!(matches!(ran.code, Some(0 | 2)), "{blocks}: {}", ran.stderr);
            if ran.code == Some(2) {
                failed += 1;
                let error = ran.error();
                assert!(error.contains("cannot write"), "{blocks}: {error}");
                assert_eq!(error.matches("File too large").count(), 1, "{error}");
            }
        }
        assert!((3..11).contains(&failed), "{table}: {failed}");
    }
}

#[test]
fn a_full_disk_ends_a_review_sheet_with_one_error() {
    let folder = sample();
    for sheet in ["sheet.csv", "sheet.xlsx"] {
        let run = folder.run(&["review", "start", "-f", "a.db", "-o", sheet]);
        let ran = run.under("trap '' XFSZ; ulimit -f 4").end().code(2);
        let error = ran.error();
        assert!(error.contains("cannot write"), "{error}");
        assert_eq!(error.matches("File too large").count(), 1, "{error}");
        assert!(!folder.path(sheet).exists());
    }
}

#[test]
fn a_snapshot_is_never_replaced_by_an_export_or_by_findings() {
    let folder = sample();
    std::os::unix::fs::symlink("a.db", folder.path("link.db")).unwrap();
    let before = files(&folder.path("."));
    for target in ["a.db", "link.db"] {
        for source in ["a.c1z", "a.db"] {
            let arguments = ["export", "-f", source, "--format", "sqlite", "-o", target];
            let ran = folder.run(&arguments).end().code(2);
            assert!(ran.error().contains("is a snapshot"), "{}", ran.stderr);
        }
    }
    for target in ["a.db", "a.c1z", "link.db"] {
        let out = format!("sarif={target}");
        let ran = folder
            .run(&["findings", "-f", "a.c1z", "--out", &out])
            .end()
            .code(2);
        assert!(ran.error().contains("is a snapshot"), "{}", ran.stderr);
    }
    assert!(files(&folder.path(".")) == before);
}
