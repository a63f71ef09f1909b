use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::*;

const SEPARATORS: [char; 3] = [',', ';', '\t'];

fn read(bytes: &[u8], action: Action) -> Result<Vec<Row>, Error> {
    super::read(&CsvText::decode(bytes.to_vec())?, action)
}

fn pairs(text: &str, action: Action) -> Result<Vec<(u64, String, String)>, String> {
    let rows = read(text.as_bytes(), action).map_err(|error| error.to_string())?;
    Ok(rows
        .into_iter()
        .filter(|row| !row.keep)
        .map(|row| (row.line.unwrap(), row.user, row.group))
        .collect())
}

#[test]
fn a_list_is_read_with_its_lines() {
    let expected = vec![
        (2, "a@x.com".to_owned(), "Team, A".to_owned()),
        (4, "b".to_owned(), "c".to_owned()),
    ];
    for text in [
        "user,group\na@x.com,\"Team, A\"\n\nb,c\n",
        "\u{feff}User , GROUP\r\n a@x.com ,\"Team, A\"\r\n\r\nb,c",
    ] {
        assert_eq!(pairs(text, Action::Grant), Ok(expected.clone()), "{text:?}");
    }
    // A line may end in a single carriage return, as on old Macs.
    let text = "user,group\ra@x.com,\"Team, A\"\r\rb,c\r";
    assert_eq!(pairs(text, Action::Grant), Ok(expected.clone()));
    let text = "note,group,user\nx,\"Team, A\",a@x.com\n\ny,c,b\n";
    assert_eq!(pairs(text, Action::Revoke), Ok(expected));
}

#[test]
fn what_spreadsheets_write_is_read() {
    let expected = Ok(vec![
        (2, "a@x.com".to_owned(), "Team, A".to_owned()),
        (4, "b".to_owned(), "c".to_owned()),
    ]);
    let wide = |unit: fn(u16) -> [u8; 2]| {
        let text = "\u{feff}user;group\r\na@x.com;Team, A\r\n;\r\nb;c\r\n";
        text.encode_utf16().flat_map(unit).collect::<Vec<u8>>()
    };
    let files: [&[u8]; 12] = [
        b"user,group,decision\na@x.com,\"Team, A\",revoke\n,,\nb,c,revoke",
        b"user;group\na@x.com;Team, A\n;\nb;c\n",
        b"user\tgroup\na@x.com\tTeam, A\n\t\nb\tc\n",
        b"user,group,note\na@x.com,\"Team, A\"\n \nb,c,x\n",
        b"user,group,note,,\na@x.com,\"Team, A\",x,,\n,,,,\nb,c,,,,,,\n",
        b"group_name;Email\n\"Team, A\";a@x.com\n\"\";\"\"\nc;b\n",
        b"\"note;x\";login;group\n;a@x.com;Team, A\n\n;b;c\n",
        b"USER_LOGIN,Group_Name\na@x.com,\"Team, A\"\n\nb,c\n",
        b"user,group,note\na@x.com,\"Team, A\",\"two\nlines, and a comma\"\nb,c,\"\"\n",
        b",user,group\n0,a@x.com,\"Team, A\"\n,,\n2,b,c\n",
        &wide(u16::to_le_bytes),
        &wide(u16::to_be_bytes),
    ];
    for file in files {
        let shown = String::from_utf8_lossy(file);
        let pairs = read(file, Action::Revoke).map(|rows| {
            rows.into_iter()
                .map(|row| (row.line.unwrap(), row.user, row.group))
                .collect()
        });
        assert_eq!(pairs, expected, "{shown}");
    }
    // The line with the separator counts as a line of the file.
    for text in [
        "sep=;\na;Team, A\n",
        "SEP=;\r\nuser;group,note\r\n",
        "\"sep=;\"\nuser;group\na;b\n",
    ] {
        let read = pairs(text, Action::Grant).map(|rows| rows.len());
        assert_eq!(read.is_ok(), text.ends_with("b\n"), "{text:?}: {read:?}");
    }
    assert_eq!(
        pairs("sep=;\n\nuser;group;a,b\na;Team, A;\n", Action::Grant),
        Ok(vec![(4, "a".to_owned(), "Team, A".to_owned())])
    );
    // A quote inside an unquoted cell is text, and a quote inside quotes is doubled.
    let texts = "user,group\na,5\" drives\nb,\"5\"\" drives\"\n";
    let groups: Vec<String> = pairs(texts, Action::Grant)
        .unwrap()
        .into_iter()
        .map(|row| row.2)
        .collect();
    assert_eq!(groups, ["5\" drives"; 2]);
}

#[test]
fn a_review_sheet_revokes_the_rows_with_that_decision() {
    let sheet = "user,group,decision\na,g,revoke\nb,g,keep\nc,g,\nd,g,Approve\ne,g,REVOKE\n";
    let lines: Vec<u64> = pairs(sheet, Action::Revoke)
        .unwrap()
        .into_iter()
        .map(|row| row.0)
        .collect();
    assert_eq!(lines, [2, 6]);
    assert!(
        pairs(sheet, Action::Grant)
            .unwrap_err()
            .contains("review sheet")
    );
    assert_eq!(
        pairs("user,group,decision\na,g,\n", Action::Revoke),
        Ok(vec![])
    );
}

#[test]
fn a_problem_with_a_file_is_reported_with_its_line() {
    for (text, part) in [
        ("", "must contain the titles user and group"),
        ("name,team\na,b\n", "it is \"name | team\""),
        ("user|group\na|b\n", "it is \"user|group\""),
        ("user,group,user\na,b,c\n", "which both mean the user"),
        (
            "Login,group,email\na,b,c\n",
            "\"Login\" and \"email\", which both mean the user",
        ),
        ("group,group_name,user\na,b,c\n", "both mean the group"),
        ("user,group\n", "no rows"),
        ("user,group\n,\n\n", "no rows"),
        ("user,group\na\n", "line 2: the group is empty"),
        (
            "user,group\na,Team, A\n",
            "line 2: \" A\" is in a column without",
        ),
        (
            "user,group,\na,Team, A\n",
            "line 2: \" A\" is in a column without",
        ),
        ("user;group,note\na;b,c\n", "write \"sep=;\" on a line"),
        ("sep=|\nuser|group\na|b\n", "line 1: sep= must be followed"),
        ("user\0,group\na,b\n", "line 1: it contains a NUL character"),
        ("user,group\na,\"b\nc,d\n", "line 2: the quote that opens"),
        (
            "user,group\na,\"b\nc,\"d\"\n",
            "line 3: there is text after a closing quote of the one in line 2",
        ),
        ("user,group\na,\"b\"c\n", "line 2: there is text after"),
        (
            "user,group\na, \"b, c\"\n",
            "line 2: there is a space before",
        ),
        (
            "user,group\na,\"b\nc\"\n",
            "line 2: the group contains a line",
        ),
        (
            "user,group\n\"a\rb\",c\n",
            "line 2: the user contains a line",
        ),
        (
            "user,group,decision\na,g,\"revoke\n\"\n",
            "line 2: the decision contains a line",
        ),
        ("user,group,\"x\na,g,\"\nb,g,y\n", "line 1: a column title"),
        (
            "user,group,note\na@x.com,g,\"x\nb@x.com,g,\"\nc@x.com,g,y\n",
            "line 2: a quoted cell contains what looks like another row",
        ),
        (
            "user,group,decision,note\na,g,revoke,\"x\nb,g,revoke,\"\n",
            "line 2: a quoted cell contains what looks like another row",
        ),
        ("user,group\na,b\n,b\n", "line 3: the user is empty"),
        ("user,group\na,\n", "line 2: the group is empty"),
        (
            "user,group,decision\na,g,perhaps\n",
            "line 2: \"perhaps\" is not a decision",
        ),
        (
            "user,group,decision\na,g,revoke\nA,g,keep\n",
            "line 3: contradicts line 2",
        ),
    ] {
        let said = pairs(text, Action::Revoke).unwrap_err();
        assert!(said.contains(part), "{text:?}: {said}");
    }
    let not_utf8 = read(b"user,group\n\xff,b\n", Action::Grant)
        .unwrap_err()
        .to_string();
    assert!(not_utf8.contains("line 2: it is not UTF-8"), "{not_utf8}");
    for (bytes, part) in [
        (
            &b"\xff\xfeu\0s\0\n\0\x00\xd8a\0"[..],
            "line 2: it is not valid UTF-16",
        ),
        (b"\xfe\xff\0u\0", "line 1: it is not valid UTF-16"),
        (b"u\0s\0e\0r\0", "line 1: it contains a NUL"),
    ] {
        let said = read(bytes, Action::Grant).unwrap_err().to_string();
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn a_grant_id_is_read_as_baton_prints_it() {
    let row = of_grant_id("group:00g1:member:user:00u1").unwrap();
    assert_eq!(
        (row.user.as_str(), row.group.as_str()),
        ("00u1", "group:00g1:member")
    );
    for text in [
        "",
        "group:00g1:member",
        "role:A:assigned:user:00u1",
        "group::member:user:00u1",
        "group:a:member:user:b:c",
    ] {
        assert!(of_grant_id(text).is_err(), "{text}");
    }
}

/// Returns a cell as a spreadsheet writes it.
fn written(text: &str, separator: char, always: bool) -> String {
    let needs = text.starts_with('"') || text.contains([separator, '\n', '\r']);
    // A space before a quote is ambiguous, so such a cell is quoted.
    if always || needs || text.trim_start().starts_with('"') {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

proptest! {
    #[test]
    fn rows_are_read_back_with_any_quoting_separator_and_encoding(
        rows in proptest::collection::vec(
            ("[a-z\"é@.;,\t]{1,8}", "[a-z\"é;, \t]{0,8}[a-z]", "[a-z\"é;, \t\r\n]{0,12}", any::<bool>()),
            1..8,
        ),
        separator in 0..3_usize, ending in 0..3_usize, encoding in 0..4_usize, announce in any::<bool>(),
        blank in 0..3_usize,
    ) {
        let separator = SEPARATORS[separator];
        let ending = ["\n", "\r\n", "\r"][ending];
        let mut file = String::new();
        let mut expected = Vec::new();
        let mut lines = Vec::new();
        if announce {
            file += &format!("sep={separator}{ending}");
        }
        file += &["note", "user", "group"].join(&separator.to_string());
        file += ending;
        for (user, group, note, quoted) in rows {
            if user.trim().is_empty() {
                continue;
            }
            for _ in 0..blank {
                file += &separator.to_string();
                file += ending;
            }
            let before = file.replace("\r\n", "\n").replace('\r', "\n");
            lines.push(before.matches('\n').count() as u64 + 1);
            let cells = [&note, &user, &group].map(|cell| written(cell, separator, quoted));
            file += &cells.join(&separator.to_string());
            file += ending;
            expected.push((user.trim().to_owned(), group));
        }
        let bytes = match encoding {
            0 => file.clone().into_bytes(),
            1 => format!("\u{feff}{file}").into_bytes(),
            2 => format!("\u{feff}{file}").encode_utf16().flat_map(u16::to_le_bytes).collect(),
            _ => format!("\u{feff}{file}").encode_utf16().flat_map(u16::to_be_bytes).collect(),
        };
        let read = read(&bytes, Action::Grant);
        if expected.is_empty() {
            prop_assert_eq!(read, Err(Error::Empty));
        } else {
            let read = read.map_err(|error| proptest::test_runner::TestCaseError::fail(format!("{error}: {file:?}")))?;
            prop_assert_eq!(read.iter().map(|row| row.line.unwrap()).collect::<Vec<_>>(), lines);
            let pairs: Vec<_> = read.into_iter().map(|row| (row.user, row.group)).collect();
            prop_assert_eq!(pairs, expected);
        }
    }

    #[test]
    fn a_file_from_another_library_is_read_correctly(
        rows in proptest::collection::vec(("[ -~é]{0,6}[!-~]", "[ -~é]{0,6}[!-~]", "[ -~\n]{0,9}"), 1..9),
        separator in 0..3_usize,
    ) {
        let separator = SEPARATORS[separator];
        let mut writer = csv::WriterBuilder::new().delimiter(separator as u8).from_writer(Vec::new());
        writer.write_record(["user", "group", "note"]).unwrap();
        for (user, group, note) in &rows {
            // A cell that begins with spaces and a quote is ambiguous and refused by the reader, so it is not
            // generated.
            let [user, group] = [user, group].map(|text| text.trim_start());
            writer.write_record([user, group, note.trim_start()]).unwrap();
        }
        let bytes = writer.into_inner().unwrap();
        // Notes with words that look like a row are refused, and are generated only by chance.
        if rows.iter().any(|(.., note)| note.contains('@') || note.contains("00u")) {
            return Ok(());
        }
        let read = read(&bytes, Action::Grant);
        let read: Vec<_> = read.unwrap().into_iter().map(|row| (row.user, row.group)).collect();
        let expected: Vec<_> = rows.into_iter()
            .map(|(user, group, _)| (user.trim().to_owned(), group.trim_start().to_owned()))
            .collect();
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn rows_from_arbitrary_bytes_have_a_user_a_group_and_a_line(
        bytes in proptest::collection::vec(any::<u8>(), 0..200), sheet in any::<bool>(),
    ) {
        let header: &[u8] = if sheet { b"user,group,decision\n" } else { b"user,group\n" };
        let ends = bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r'));
        let lines = ends.count() as u64 + 2;
        for row in read(&[header, &bytes].concat(), Action::Revoke).unwrap_or_default() {
            prop_assert!(!row.user.trim().is_empty() && !row.group.trim().is_empty());
            prop_assert!((2..=lines).contains(&row.line.unwrap()));
        }
    }

    #[test]
    fn no_file_causes_a_panic(bytes in any::<Vec<u8>>()) {
        let _ = read(&bytes, Action::Revoke);
    }

    #[test]
    fn no_text_after_a_header_causes_a_panic(text in "[user,groupdecision\"\\n\\r a-z]{0,80}") {
        let _ = read(format!("user,group,decision\n{text}").as_bytes(), Action::Revoke);
    }
}
