use std::fmt::Write as _;

use rust_xlsxwriter::Workbook as Written;

use super::*;

const ORG: &str = "https://company.okta.com";
const HEADER: [&str; 13] = [
    "review_id",
    "group_name",
    "group_id",
    "user_name",
    "user_login",
    "user_email",
    "user_id",
    "reviewer",
    "decision",
    "comment",
    "org",
    "sync_id",
    "row_check",
];

/// Returns a sheet as cells. It has one membership for each of `decisions`.
fn sheet(decisions: &[&str]) -> Vec<Vec<String>> {
    let rows = u32::try_from(decisions.len()).unwrap();
    let mut table = vec![HEADER.map(str::to_owned).to_vec()];
    for (row, decision) in (1..).zip(decisions) {
        let (group, user) = (format!("00g{row}"), format!("00u{row}"));
        let login = format!("user{row}@example.com");
        let name = format!("Group {row}, \"Zoë\"");
        let review_id = format!("group:{group}:member:user:{user}");
        let checked = Checked {
            org: ORG,
            sync_id: "2abc",
            review_id: &review_id,
            group_id: &group,
            group_name: &name,
            user_id: &user,
            user_login: &login,
            user_email: &login,
            user_name: "Ada",
        };
        let position = RowPosition {
            part: 1,
            parts: 1,
            row,
            rows,
        };
        let check = checked.row_check(position);
        let cells = [
            &review_id,
            &name,
            &group,
            "Ada",
            &login,
            &login,
            &user,
            "boss@example.com",
            decision,
            "",
            ORG,
            "2abc",
            &check,
        ];
        table.push(cells.map(str::to_owned).to_vec());
    }
    table
}

fn csv(table: &[Vec<String>], separator: char) -> Vec<u8> {
    let mut text = String::new();
    for row in table {
        let cells = row
            .iter()
            .map(|cell| format!("\"{}\"", cell.replace('"', "\"\"")));
        let cells: Vec<String> = cells.collect();
        writeln!(text, "{}", cells.join(&separator.to_string())).unwrap();
    }
    text.into_bytes()
}

fn workbook(sheets: &[(&str, &[Vec<String>])]) -> Vec<u8> {
    let mut workbook = Written::new();
    for (name, table) in sheets {
        let sheet = workbook.add_worksheet().set_name(*name).unwrap();
        for (row, cells) in (0..).zip(*table) {
            for (column, cell) in (0..).zip(cells) {
                if !cell.is_empty() {
                    sheet.write_string(row, column, cell).unwrap();
                }
            }
        }
    }
    workbook.save_to_buffer().unwrap()
}

/// Reads a sheet as pairs of user and decision.
fn read(bytes: Vec<u8>) -> Result<(Vec<(String, Decision)>, Missing), Error> {
    let mut found = Vec::new();
    let mut coverage = Coverage::default();
    match open(bytes)? {
        Opened::Review(mut file) => file.rows(&mut coverage, &mut |row| {
            found.push((row.user_id, row.decision));
            Ok::<_, Error>(())
        })?,
        Opened::List(_) => return Err(Error::BadTable("a list".to_owned())),
    }
    found.sort();
    Ok((found, coverage.missing()))
}

fn expected(decisions: &[Decision]) -> Vec<(String, Decision)> {
    let users = (1..).map(|row| format!("00u{row}"));
    users.zip(decisions.iter().copied()).collect()
}

const WORDS: [&str; 3] = ["revoke", "", "Approve"];
const DECISIONS: [Decision; 3] = [Decision::Revoke, Decision::Undecided, Decision::Approve];

fn each_format(table: &[Vec<String>]) -> Vec<Vec<u8>> {
    vec![
        csv(table, ','),
        csv(table, ';'),
        csv(table, '\t'),
        workbook(&[("Review", table)]),
    ]
}

#[test]
fn sorting_and_editing_a_sheet_does_not_change_its_decisions() {
    type Edit = fn(&mut Vec<Vec<String>>);
    let edits: [(&str, Edit); 13] = [
        ("nothing", |_| {}),
        ("sorted", |table| table[1..].reverse()),
        ("columns moved", |table| {
            table.iter_mut().for_each(|row| row.reverse());
        }),
        ("a column added", |table| {
            table
                .iter_mut()
                .for_each(|row| row.insert(2, "x, y".to_owned()));
        }),
        ("a column without a title", |table| {
            table[2].push("ask Bob".to_owned());
        }),
        ("rows above the header", |table| {
            table.insert(0, vec!["Review of Q3".to_owned(); 13]);
        }),
        ("a sum below", |table| {
            table.push(vec![String::new(); 13]);
            table.push(vec![String::new(), "Total: 3".to_owned()]);
        }),
        ("a row twice", |table| {
            let copy = table[1].clone();
            table.push(copy);
        }),
        ("the header again further down", |table| {
            let header = table[0].clone();
            table.insert(2, header);
        }),
        ("a sum under the decisions", |table| {
            let mut sum = vec![String::new(); 13];
            sum[1] = "Total".to_owned();
            sum[8] = "3".to_owned();
            table.push(sum);
        }),
        ("a title with a separator in it", |table| {
            table.insert(0, vec!["Q3; review, of all".to_owned()]);
        }),
        ("a column whose title has a separator", |table| {
            table
                .iter_mut()
                .for_each(|row| row.insert(2, "ok; not ok".to_owned()));
        }),
        ("capital titles", |table| {
            table[0]
                .iter_mut()
                .for_each(|title| *title = format!(" {} ", title.to_uppercase()));
        }),
    ];
    for (name, edit) in edits {
        let mut table = sheet(&WORDS);
        edit(&mut table);
        for bytes in each_format(&table) {
            let (rows, missing) = read(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(rows, expected(&DECISIONS), "{name}");
            assert_eq!(missing, Missing::default(), "{name}");
        }
    }
    let table = sheet(&WORDS);
    let notes = [vec!["my notes".to_owned()]];
    let lookup = [vec!["review_id".to_owned(), "note".to_owned()]];
    let more = workbook(&[
        ("Notes", &notes),
        ("Renamed", &table),
        ("Empty", &[]),
        ("Lookup", &lookup),
    ]);
    assert_eq!(read(more).unwrap().0, expected(&DECISIONS));
    let text = String::from_utf8(csv(&table, ';')).unwrap();
    let wide = format!("\u{feff}{text}")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(read(wide).unwrap().0, expected(&DECISIONS));
    let western = text.chars().map(|c| u8::try_from(c).unwrap()).collect();
    assert_eq!(read(western).unwrap().0, expected(&DECISIONS));
}

#[test]
fn a_mistake_that_could_revoke_the_wrong_access_makes_the_sheet_invalid() {
    type Edit = fn(&mut Vec<Vec<String>>);
    let swap = |column: usize| {
        move |table: &mut Vec<Vec<String>>| {
            let (first, second) = (table[1][column].clone(), table[2][column].clone());
            table[1][column] = second;
            table[2][column] = first;
        }
    };
    for column in [0, 1, 2, 4, 5, 6, 12] {
        let mut table = sheet(&WORDS);
        swap(column)(&mut table);
        for bytes in each_format(&table) {
            let error = read(bytes).unwrap_err().to_string();
            assert!(
                error.contains("row_check does not fit"),
                "{}: {error}",
                HEADER[column]
            );
        }
    }
    let edits: [(Edit, &str); 7] = [
        (
            |table| table[3][8] = "maybe".to_owned(),
            "\"maybe\" is not a decision",
        ),
        (
            |table| table[1][10] = "https://other.okta.com".to_owned(),
            "row_check does not fit",
        ),
        (|table| table[1][12].clear(), "row_check does not fit"),
        (
            |table| {
                let mut copy = table[1].clone();
                copy[8] = "approve".to_owned();
                table.push(copy);
            },
            "\"approve\" contradicts \"revoke\"",
        ),
        (
            |table| table.iter_mut().for_each(|row| drop(row.remove(12))),
            "lacks the column row_check",
        ),
        (
            |table| table.iter_mut().for_each(|row| drop(row.remove(8))),
            "lacks the column decision",
        ),
        (
            |table| table[0][9] = "Decision".to_owned(),
            "the column decision is there twice",
        ),
    ];
    for (edit, part) in edits {
        let mut table = sheet(&WORDS);
        edit(&mut table);
        for bytes in each_format(&table) {
            let error = read(bytes).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
    let table = sheet(&WORDS);
    // A sheet without its check sums is not accepted as a plain list.
    let mut bare = sheet(&WORDS);
    for row in &mut bare {
        row.truncate(10);
        row.drain(..1);
        row.push("peer_share".to_owned());
    }
    let error = read(csv(&bare, ',')).unwrap_err().to_string();
    assert!(error.contains("lacks the column review_id"), "{error}");
    let twice = read(workbook(&[("One", &table), ("Two", &table)])).unwrap_err();
    assert!(
        twice
            .to_string()
            .contains("\"One\" and \"Two\" both contain")
    );
}

#[test]
fn deleted_rows_and_missing_files_are_noticed() {
    let mut table = sheet(&WORDS);
    table.remove(2);
    for bytes in each_format(&table) {
        let (rows, missing) = read(bytes).unwrap();
        assert_eq!((rows.len(), missing), (2, Missing { parts: 0, rows: 1 }));
    }
    let row = |part, row| ReviewRow {
        review_id: format!("{part} {row}"),
        position: RowPosition {
            part,
            parts: 3,
            row,
            rows: 2,
        },
        ..ReviewRow::of_test()
    };
    let mut coverage = Coverage::default();
    for row in [row(1, 1), row(1, 2), row(3, 2)] {
        coverage.add(&row).unwrap();
    }
    assert_eq!(coverage.missing(), Missing { parts: 1, rows: 1 });
}

impl ReviewRow {
    fn of_test() -> Self {
        let text = String::new;
        Self {
            line: 2,
            review_id: text(),
            group_id: text(),
            group_name: text(),
            user_id: "00u1".to_owned(),
            user_login: "ada@example.com".to_owned(),
            user_email: "ada.l@example.com".to_owned(),
            user_name: "Ada Lovelace".to_owned(),
            org: text(),
            sync_id: text(),
            position: RowPosition {
                part: 1,
                parts: 1,
                row: 1,
                rows: 1,
            },
            decision: Decision::Approve,
            reviewer: text(),
            comment: text(),
            decided_at: text(),
            first_seen: text(),
        }
    }
}

#[test]
fn sheets_of_two_reviews_of_one_snapshot_are_not_mixed() {
    let row = |review_id: &str, row, rows, decision| ReviewRow {
        review_id: review_id.to_owned(),
        position: RowPosition {
            part: 1,
            parts: 1,
            row,
            rows,
        },
        decision,
        ..ReviewRow::of_test()
    };
    let mut coverage = Coverage::default();
    assert!(coverage.is_empty());
    assert_eq!(coverage.add(&row("a", 1, 2, Decision::Revoke)), Ok(true));
    assert_eq!(coverage.add(&row("a", 1, 2, Decision::Revoke)), Ok(false));
    // Another membership at the same position.
    let error = coverage
        .add(&row("b", 1, 2, Decision::Approve))
        .unwrap_err();
    assert!(error.contains("from another review"), "{error}");
    // The same membership in the sheet of another review.
    let error = coverage
        .add(&row("a", 9, 9, Decision::Approve))
        .unwrap_err();
    assert!(
        error.contains("\"approve\" contradicts \"revoke\""),
        "{error}"
    );
}

#[test]
fn a_workbook_that_would_exhaust_memory_is_refused() {
    let bomb: Vec<Vec<String>> = (0..700)
        .map(|row| vec![format!("{row}{}", "x".repeat(30_000)); 1])
        .collect();
    let error = read(workbook(&[("Bomb", &bomb)])).unwrap_err().to_string();
    assert!(error.contains("too large when unpacked"), "{error}");
    let far = |reference: &str| {
        let bytes = workbook(&[("Review", &sheet(&WORDS))]);
        let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
        let mut out = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for place in 0..archive.len() {
            let mut file = archive.by_index(place).unwrap();
            let name = file.name().unwrap().into_owned();
            let mut text = String::new();
            std::io::Read::read_to_string(&mut file, &mut text).unwrap();
            let text = text.replace("r=\"B2\"", &format!("r=\"{reference}\""));
            out.start_file(name, zip::write::SimpleFileOptions::default())
                .unwrap();
            std::io::Write::write_all(&mut out, text.as_bytes()).unwrap();
        }
        read(out.finish().unwrap().into_inner())
    };
    for reference in ["FXSHRXW1", "ZZZZ1", "A99999999999", "XFE2", "B1048577"] {
        assert!(far(reference).is_err(), "{reference}");
    }
    assert!(far("B2").is_ok());
}

#[test]
fn self_reviews_are_detected_by_every_name_of_the_user() {
    for (reviewer, is_self) in [
        ("", false),
        ("Ada@Example.com ", true),
        ("ada.l@example.com", true),
        ("ada lovelace", true),
        ("bob@example.com", false),
    ] {
        let row = ReviewRow {
            reviewer: reviewer.to_owned(),
            ..ReviewRow::of_test()
        };
        assert_eq!(row.is_self_review(), is_self, "{reviewer:?}");
    }
}

#[test]
fn a_damaged_workbook_gives_an_error_in_one_line() {
    let bytes = workbook(&[("Review", &sheet(&WORDS))]);
    for length in (4..bytes.len()).step_by(97) {
        let error = read(bytes[..length].to_vec()).unwrap_err().to_string();
        assert!(error.contains("cannot be read"), "{error}");
    }
    for place in (4..bytes.len()).step_by(13) {
        let mut damaged = bytes.clone();
        damaged[place] ^= 0x55;
        // Damage to some bytes has no effect; no damage may cause a panic or change a decision.
        if let Ok((rows, _)) = read(damaged) {
            assert!(
                rows.iter().all(|row| expected(&DECISIONS).contains(row)),
                "{place}"
            );
        }
    }
    let list = workbook(&[("Leavers", &[vec!["user".to_owned(), "group".to_owned()]])]);
    assert!(
        read(list)
            .unwrap_err()
            .to_string()
            .contains("save other lists as CSV")
    );
}
