//! Tests `show users`, `show groups` and `show memberships`.

use std::ops::ControlFlow;
use std::path::Path;

use okta_ciam::testing::sheet::xlsx::Workbook;
use okta_ciam::testing::sheet::{Error, Record};
use okta_fake::{Group, Org, User};
use serde_json::Value;

use crate::support::{Folder, Okta, Ran, open, rows};

const GO: &str = "tests/fixtures/go-connector.c1z";

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    path.display().to_string()
}

/// Returns a folder with a snapshot of the sample org as `a.c1z` and as `a.db`.
fn sample() -> Folder {
    let (okta, folder) = (Okta::with(Org::demo()), Folder::new());
    for file in ["a.c1z", "a.db"] {
        let now = ["-f", file, "--now", "2026-01-31T12:00:00Z"];
        folder.sync(&okta, &now).ok();
    }
    folder
}

fn show(folder: &Folder, file: &str, arguments: &[&str]) -> Ran {
    folder
        .run(&[&["show", "-f", file], arguments].concat())
        .end()
}

/// Returns the rows of CSV, without the header.
fn csv(ran: &Ran) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_reader(ran.stdout.as_bytes());
    let records = reader.records().map(|record| {
        let record = record.unwrap();
        record.iter().map(str::to_owned).collect()
    });
    records.collect()
}

#[test]
fn a_listing_has_the_rows_that_sql_finds() {
    let folder = sample();
    let db = open(&folder.path("a.db"));
    for (arguments, sql) in [
        (
            &["users", "--columns", "id,login,status"][..],
            "select id, login, status from users order by id",
        ),
        (
            &["users", "--status", "suspended,DEPROVISIONED", "--columns", "id"],
            "select id from users where status in ('SUSPENDED', 'DEPROVISIONED') order by id",
        ),
        (
            &["users", "--like", "EXAMPLE.ORG", "--columns", "id"],
            "select id from users where lower(id || ' ' || login || ' ' || email || ' ' || coalesce(second_email, '')) like '%example.org%' order by id",
        ),
        (
            &["users", "--group", "Engineering", "--columns", "id"],
            "select user_id from memberships where group_id = (select id from groups where name = 'Engineering') order by 1",
        ),
        (
            &["groups", "--type", "app_group", "--columns", "id,name,members_kept"],
            "select id, name, members_kept from groups where type = 'APP_GROUP' order by id",
        ),
        (
            &["groups", "--user", "mira.okonjo@example.com", "--columns", "id"],
            "select group_id from memberships where user_id = (select id from users where login = 'mira.okonjo@example.com') order by 1",
        ),
        (
            &["memberships", "--columns", "grant_id,group_name,user_login,learned"],
            "select 'group:' || m.group_id || ':member:user:' || m.user_id, g.name, u.login, m.learned from memberships m
                join groups g on g.id = m.group_id join users u on u.id = m.user_id order by m.group_id, m.user_id",
        ),
        (
            &["memberships", "--status", "SUSPENDED", "--type", "OKTA_GROUP", "--columns", "group_id,user_id"],
            "select m.group_id, m.user_id from memberships m join groups g on g.id = m.group_id join users u on u.id = m.user_id
                where u.status = 'SUSPENDED' and g.type = 'OKTA_GROUP' order by 1, 2",
        ),
        (
            &["memberships", "--user", "mira.okonjo@example.com", "--group", "Engineering", "--columns", "user_login,group_name"],
            "select 'mira.okonjo@example.com', 'Engineering'",
        ),
    ] {
        let expected = rows(&db, sql);
        assert!(!expected.is_empty(), "{sql}");
        for file in ["a.c1z", "a.db"] {
            let ran = show(&folder, file, &[arguments, &["--format", "csv"]].concat()).code(0);
            let listed: Vec<String> = csv(&ran).iter().map(|row| row.join("|")).collect();
            assert_eq!(listed, expected, "{arguments:?}");
        }
    }
}

#[test]
fn every_format_has_the_same_rows() {
    let folder = sample();
    let arguments = [
        "users",
        "--like",
        "okonjo",
        "--columns",
        "login,status,profile.department",
    ];
    let in_csv = csv(&show(
        &folder,
        "a.c1z",
        &[&arguments[..], &["--format", "csv"]].concat(),
    ));
    let in_json = show(
        &folder,
        "a.c1z",
        &[&arguments[..], &["--format", "json"]].concat(),
    )
    .json();
    let by_output = show(
        &folder,
        "a.c1z",
        &[&arguments[..], &["--output", "json"]].concat(),
    )
    .json();
    assert_eq!(in_json, by_output);
    let text = show(&folder, "a.c1z", &arguments);
    let in_text: Vec<Vec<&str>> = text
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(in_text[0], ["login", "status", "profile.department"]);
    assert!(!in_csv.is_empty());
    for (number, row) in in_csv.iter().enumerate() {
        assert_eq!(
            in_text[number + 1],
            row.iter().map(String::as_str).collect::<Vec<_>>()
        );
        let object = &in_json[number];
        assert_eq!(object["login"], row[0].as_str());
        assert_eq!(object["profile.department"], row[2].as_str());
    }
    assert!(
        text.stderr.contains(" of 49 users shown"),
        "{}",
        text.stderr
    );
}

#[test]
fn csv_and_json_contain_every_column_of_the_file() {
    let folder = sample();
    let users = show(&folder, "a.c1z", &["users", "--format", "json"])
        .code(0)
        .json();
    let first = users[0].as_object().unwrap();
    let db = open(&folder.path("a.db"));
    let mut columns = rows(&db, "select name from pragma_table_info('users')");
    let mut listed: Vec<String> = first.keys().cloned().collect();
    columns.sort();
    listed.sort();
    assert_eq!(listed, columns);
    assert!(first["profile"]["login"].is_string());
}

#[test]
fn a_limit_reports_the_omitted_rows_and_an_empty_result_is_not_a_failure() {
    let folder = sample();
    let ran = show(&folder, "a.c1z", &["users", "--limit", "3"]).code(0);
    assert_eq!(ran.stdout.lines().count(), 4);
    assert!(
        ran.stderr
            .contains("3 of 49 users shown; --limit left out 46"),
        "{}",
        ran.stderr
    );
    let ran = show(&folder, "a.c1z", &["users", "--like", "nothing-like-this"]).code(0);
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.contains("0 of 49 users shown"), "{}", ran.stderr);
    let ran = show(
        &folder,
        "a.c1z",
        &["users", "--like", "nothing-like-this", "--output", "json"],
    );
    assert_eq!(ran.json(), Value::Array(Vec::new()));
}

#[test]
fn an_attribute_that_no_row_has_is_a_warning() {
    let folder = sample();
    let ran = show(
        &folder,
        "a.c1z",
        &["users", "--columns", "login,profile.departmnet"],
    )
    .code(0);
    assert!(
        ran.stderr
            .contains("profile.departmnet is empty in every row"),
        "{}",
        ran.stderr
    );
}

#[test]
fn mistyped_users_groups_and_columns_are_refused_with_the_nearest_name() {
    let folder = sample();
    for (arguments, hint) in [
        (
            &["user", "mira.okonjo@exampel.com"][..],
            "did you mean \"mira.okonjo@example.com\"?",
        ),
        (
            &["user", "okonjo"],
            "did you mean \"mira.okonjo@example.com\"?",
        ),
        (&["group", "Enginering"], "did you mean \"Engineering\"?"),
        (
            &["users", "--group", "engin"],
            "did you mean \"Engineering\"?",
        ),
        (
            &["memberships", "--user", "mira.okonj"],
            "did you mean \"mira.okonjo@example.com\"?",
        ),
        (&["users", "--columns", "statsu"], "did you mean status?"),
        (&["groups", "--format", "xml"], "table, csv or json"),
        (&["groups", "--limit", "0"], "a whole number above 0"),
        (&["users", "--like", ""], "--like"),
        (&["user", "zzzzzzz"], "only a full match counts"),
    ] {
        let ran = show(&folder, "a.c1z", arguments).fails(2, hint);
        assert_eq!(ran.stdout, "");
    }
    let old = show(&folder, "missing.c1z", &["users"]).code(2);
    assert!(old.error().contains("missing.c1z"), "{}", old.stderr);
}

#[test]
fn a_user_is_found_by_secondary_email() {
    let mut org = Org::new();
    let mut user = User::with_email("00u1", "ada@example.com");
    user.profile =
        r#"{"login":"ada@example.com","email":"ada@example.com","secondEmail":"Ada@Home.example"}"#
            .into();
    org.add_user(user);
    org.add_group(Group::new("00g1", "team"));
    let (okta, folder) = (Okta::with(org), Folder::new());
    for file in ["a.c1z", "a.db"] {
        folder.sync(&okta, &["-f", file]).ok();
        let ran = show(
            &folder,
            file,
            &["user", "ada@home.example", "--output", "json"],
        )
        .code(0);
        assert_eq!(ran.json()[0]["id"], "00u1");
    }
}

#[test]
fn hostile_names_stay_data_in_every_format() {
    let names = [
        "=HYPERLINK(\"http://x\")",
        "+1",
        "a\"b,c\r\nd",
        "\u{1b}[31mred",
        "\u{202e}txet",
        "`|<b>",
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
    let arguments = ["memberships", "--columns", "group_name"];
    let text = show(&folder, "a.c1z", &arguments).code(0).stdout;
    assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}') && !text.contains('\r'));
    let listed = csv(&show(
        &folder,
        "a.c1z",
        &[&arguments[..], &["--format", "csv"]].concat(),
    ));
    let in_json = show(
        &folder,
        "a.c1z",
        &[&arguments[..], &["--format", "json"]].concat(),
    );
    assert!(!in_json.stdout.contains('\u{1b}') && !in_json.stdout.contains('\u{202e}'));
    let in_json = in_json.json();
    for name in names {
        let is_formula = name.starts_with(['=', '+']);
        let cell = if is_formula {
            format!("'{name}")
        } else {
            name.to_owned()
        };
        assert!(listed.contains(&vec![cell.clone()]), "{cell:?}");
        let found = in_json.as_array().unwrap().iter();
        assert_eq!(
            found.filter(|row| row["group_name"] == name).count(),
            1,
            "{name:?}"
        );
    }
}

#[test]
fn files_of_the_go_connector_are_listed() {
    let folder = Folder::new();
    let file = fixture(GO);
    let users = show(&folder, &file, &["users", "--output", "json"])
        .code(0)
        .json();
    assert_eq!(users.as_array().unwrap().len(), 7);
    let groups = show(&folder, &file, &["groups"]).code(0);
    assert_eq!(groups.stdout.lines().count(), 5);
    let memberships = show(&folder, &file, &["memberships", "--format", "csv"]).code(0);
    assert!(
        csv(&memberships)
            .iter()
            .all(|row| !row[2].is_empty() && !row[5].is_empty())
    );
}

#[test]
fn a_closed_stdout_ends_a_listing_without_an_error() {
    let folder = sample();
    let tool = env!("CARGO_BIN_EXE_okta-ciam");
    for format in ["table", "csv", "json"] {
        let script = format!(
            "{tool} show -f a.c1z memberships --format {format} | head -n 1; echo \"${{PIPESTATUS[0]}}\""
        );
        let ran = std::process::Command::new("bash")
            .args(["-c", &script])
            .current_dir(folder.path("."))
            .output()
            .unwrap();
        let (out, errors) = (
            String::from_utf8_lossy(&ran.stdout),
            String::from_utf8_lossy(&ran.stderr),
        );
        assert_eq!(out.lines().last(), Some("0"), "{errors}");
        assert!(!errors.contains("error:"), "{errors}");
    }
}

/// Uses snapshots of okta-ciam and of the Go connector that do not change. `UPDATE_FIXTURES=1 cargo test tables::`
/// updates the results.
#[test]
fn every_format_of_fixed_snapshots_matches_its_fixture() {
    let folder = Folder::new();
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tables");
    for snapshot in ["go-connector", "okta-ciam-schema-1"] {
        let file = fixture(&format!("tests/fixtures/{snapshot}.c1z"));
        for table in ["users", "groups", "memberships"] {
            for format in ["table", "csv", "json", "jsonl"] {
                let shown = ["show", "-f", &file, table, "--format", format];
                let exported = [
                    "export", "-f", &file, "--format", "jsonl", "--table", table, "-o", "-",
                ];
                let arguments = if format == "jsonl" {
                    &exported[..]
                } else {
                    &shown
                };
                let text = folder.run(arguments).ok().stdout;
                golden(
                    &recorded.join(format!("{snapshot}-{table}.{format}")),
                    &text,
                );
            }
        }
    }
}

fn golden(file: &Path, text: &str) {
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::write(file, text).unwrap();
    }
    let recorded = std::fs::read_to_string(file).unwrap();
    assert_eq!(text, recorded, "{}", file.display());
}

/// Compares cells as text, since the bytes depend on the libraries that write them.
#[test]
fn the_cells_of_workbooks_and_databases_of_fixed_snapshots_match_the_fixtures() {
    let folder = Folder::new();
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tables");
    for snapshot in ["go-connector", "okta-ciam-schema-1"] {
        let file = fixture(&format!("tests/fixtures/{snapshot}.c1z"));
        for ending in ["xlsx", "db"] {
            let format = if ending == "db" { "sqlite" } else { ending };
            let out = format!("{snapshot}.{ending}");
            let export = ["export", "-f", &file, "--format", format, "-o", &out];
            folder.run(&export).ok();
            let text = match ending {
                "db" => cells_of_database(&folder.path(&out)),
                _ => cells_of_workbook(&folder.path(&out)),
            };
            golden(&recorded.join(format!("{out}.txt")), &text);
        }
    }
}

fn cells_of_workbook(path: &Path) -> String {
    let mut text = String::new();
    let mut workbook = Workbook::open(std::fs::read(path).unwrap()).unwrap();
    for sheet in workbook.sheets() {
        text += &format!("[{sheet}]\n");
        let each = &mut |record: Record| {
            let cells: Vec<String> = record
                .cells
                .iter()
                .map(|cell| format!("{:?}", cell.text))
                .collect();
            text += &format!("{}: {}\n", record.line, cells.join(" "));
            Ok::<_, Error>(ControlFlow::Continue(()))
        };
        workbook.records(&sheet, each).unwrap();
    }
    text
}

fn cells_of_database(path: &Path) -> String {
    let db = open(path);
    let names = "select name from sqlite_schema where type = 'table' order by name";
    let mut text = String::new();
    for table in rows(&db, names) {
        text += &format!("[{table}]\n");
        for row in rows(&db, &format!("select * from {table} order by rowid")) {
            text += &format!("{row:?}\n");
        }
    }
    text
}
