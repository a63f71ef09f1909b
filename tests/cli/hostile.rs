//! Tests `show` with malicious and damaged files. Memory, processor time and writing are limited in each run. It must
//! leave no temporary files, and end with exit code 0 or with one line that contains the file name.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use okta_fake::{Group, Org, User};
use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::support::{Folder, Okta, Ran};

const FIXTURES: [&str; 6] = [
    "crafted-levelB-2syncs.c1z",
    "crafted-minimal-2syncs.c1z",
    "go-connector-2syncs.c1z",
    "go-connector-customrole.c1z",
    "go-connector-unfinished.c1z",
    "go-connector.c1z",
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// Returns the database of a fixture, without the container and without WAL.
fn database_of(name: &str) -> Vec<u8> {
    let bytes = fs::read(fixture(name)).unwrap();
    let mut database = zstd::decode_all(&bytes[5..]).unwrap();
    database[18..20].fill(1);
    database
}

/// Writes the Go connector's database to a folder and changes it.
fn gos(folder: &Folder, name: &str, sql: &str) {
    fs::write(folder.path(name), database_of("go-connector.c1z")).unwrap();
    change(&folder.path(name), sql);
}

/// Writes a database of okta-ciam, with one user and two groups, to a folder and changes it.
fn ours(folder: &Folder, name: &str, sql: &str) {
    let mut org = Org::new();
    org.add_user(User::with_email("00u1", "ada@example.com"));
    org.add_group(Group::new("00g1", "Team"));
    org.join("00g1", "00u1");
    folder.sync(&Okta::with(org), &["-f", name]).ok();
    change(&folder.path(name), sql);
}

/// Changes a database in ways that SQLite normally prevents.
fn change(path: &Path, sql: &str) {
    let db = Connection::open(path).unwrap();
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false)
        .unwrap();
    db.execute_batch("pragma writable_schema = on").unwrap();
    db.execute_batch(sql)
        .unwrap_or_else(|error| panic!("{error}: {sql}"));
}

fn pack(database: &[u8]) -> Vec<u8> {
    let mut bytes = b"C1ZF\0".to_vec();
    bytes.extend(zstd::encode_all(database, 1).unwrap());
    bytes
}

/// Runs `show` with limits, and checks that it ends in an acceptable way.
#[track_caller]
fn shown(folder: &Folder, arguments: &[&str]) -> Ran {
    let file = arguments[arguments.iter().position(|word| *word == "-f").unwrap() + 1];
    let ran = folder.bounded(&[&["show"], arguments].concat()).end();
    match ran.code {
        Some(0) => assert_eq!(ran.stderr, ""),
        Some(2) => {
            assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
            let name = file.rsplit('/').next().unwrap();
            assert!(ran.error().contains(name), "{}", ran.stderr);
            assert!(ran.stderr.len() < 2000, "{}", ran.stderr);
            assert_eq!(ran.stdout, "");
        }
        other => panic!("{arguments:?} ended with {other:?}: {}", ran.stderr),
    }
    let hidden = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
    };
    assert!(!ran.stdout.contains(hidden), "{:?}", ran.stdout);
    assert!(!ran.stderr.contains(hidden), "{:?}", ran.stderr);
    let left: Vec<_> = fs::read_dir(folder.path("tmp")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    ran
}

/// Checks that the file is refused with a message.
#[track_caller]
fn refused(folder: &Folder, file: &str, part: &str) {
    shown(folder, &["-f", file]).code(2).says(part);
}

/// Checks that no command of `show` is harmed by a file.
#[track_caller]
fn survived(folder: &Folder, file: &str) {
    let all: [&[&str]; 5] = [
        &[],
        &["--output", "json"],
        &["user", "ada@example.com"],
        &["group", "Engineering"],
        &["group", "Everyone"],
    ];
    let shows = all.map(|what| [&["show", "-f", file], what].concat());
    for what in shows.into_iter().chain([vec!["verify", file]]) {
        let ran = folder.bounded(&what).end();
        assert!(
            matches!(ran.code, Some(0 | 2)),
            "{file} {what:?}: {:?} {}",
            ran.code,
            ran.stderr
        );
        assert!(ran.stderr.lines().count() <= 1, "{}", ran.stderr);
        let left: Vec<_> = fs::read_dir(folder.path("tmp")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn a_decompression_bomb_fails_fast_with_little_memory_and_disk() {
    let folder = Folder::new();
    // 20 GiB of zeros, in frames of 1 GiB that begin like a database.
    let mut head = database_of("go-connector.c1z");
    head.truncate(4096);
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..1 << 10 {
        encoder.write_all(&zeros).unwrap();
    }
    let gib = encoder.finish().unwrap();
    let mut bomb = pack(&head);
    for _ in 0..20 {
        bomb.extend_from_slice(&gib);
    }
    assert!(bomb.len() < 4 << 20, "{}", bomb.len());
    fs::write(folder.path("bomb.c1z"), &bomb).unwrap();
    refused(&folder, "bomb.c1z", "too big");

    let mut encoder = zstd::Encoder::new(b"C1ZF\0".to_vec(), 1).unwrap();
    encoder.window_log(30).unwrap();
    encoder.write_all(&head).unwrap();
    fs::write(folder.path("window.c1z"), encoder.finish().unwrap()).unwrap();
    refused(&folder, "window.c1z", "--long");
}

#[test]
fn an_unpacked_copy_is_unnamed_so_that_a_killed_run_leaves_none() {
    let folder = Folder::new();
    let mut database = database_of("go-connector.c1z");
    database.resize(48 << 20, 0);
    // SQLite ignores the data after the last page, which only takes time to unpack.
    for (at, byte) in database[1 << 20..].iter_mut().enumerate() {
        *byte = ((at * at) >> 7) as u8;
    }
    fs::write(folder.path("a.c1z"), pack(&database)).unwrap();
    let running = folder.bounded(&["show", "-f", "a.c1z"]).start();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(300) {
        for entry in fs::read_dir(folder.path("tmp")).unwrap().flatten() {
            let Ok(files) = fs::read_dir(entry.path()) else {
                continue;
            };
            for file in files.flatten() {
                let length = file.metadata().map_or(0, |metadata| metadata.len());
                assert_eq!(length, 0, "after {:?}", begun.elapsed());
            }
            let mode = entry
                .metadata()
                .map_or(0o700, |metadata| metadata.permissions().mode());
            assert_eq!(mode & 0o777, 0o700);
        }
    }
    running.end().code(0);
}

#[test]
fn a_path_that_is_not_a_regular_file_is_refused_at_once() {
    let folder = Folder::new();
    fs::write(folder.path("empty.c1z"), "").unwrap();
    refused(&folder, "empty.c1z", "no finished run");
    fs::create_dir(folder.path("folder.c1z")).unwrap();
    refused(&folder, "folder.c1z", "not a regular file");
    let fifo = folder.path("fifo.c1z");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    refused(&folder, "fifo.c1z", "not a regular file");
    for device in ["/dev/zero", "/dev/null", "/dev/full"] {
        refused(&folder, device, "not a regular file");
    }
    // Without a terminal, this cannot even be opened.
    let tty = shown(&folder, &["-f", "/dev/tty"]).code(2);
    assert!(
        tty.error().contains("not a regular file") || tty.error().contains("cannot open "),
        "{}",
        tty.stderr
    );
    symlink(folder.path("b.c1z"), folder.path("a.c1z")).unwrap();
    symlink(folder.path("a.c1z"), folder.path("b.c1z")).unwrap();
    refused(&folder, "a.c1z", "cannot open ");
    refused(&folder, "missing.c1z", "cannot open ");
    let mut line = String::from("folder.c1z");
    line += &"/x".repeat(3000);
    let long = folder.bounded(&["show", "-f", &line]).end();
    long.fails(2, "File name too long");
    // Even root cannot read this file.
    refused(&folder, "/proc/self/mem", "cannot read ");
    let closed = folder.path("closed.c1z");
    fs::copy(fixture("go-connector.c1z"), &closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o0)).unwrap();
    let mut run = folder.bounded(&["show", "-f", "closed.c1z"]);
    if File::open(&closed).is_ok() {
        // Root without the right to ignore permissions.
        run = run.under(
            "exec setpriv --bounding-set=-dac_override,-dac_read_search \
             --inh-caps=-dac_override,-dac_read_search \"$0\" \"$@\"",
        );
    }
    run.end().fails(2, "cannot open ");
}

#[test]
fn a_temporary_folder_that_does_not_exist_is_reported_with_the_file() {
    let folder = Folder::new();
    fs::copy(fixture("go-connector.c1z"), folder.path("a.c1z")).unwrap();
    let run = folder.run(&["show", "-f", "a.c1z"]);
    run.env("TMPDIR", "missing")
        .end()
        .fails(2, "must exist and be writable) of a.c1z: No such file");
}

#[test]
fn a_fifo_in_place_of_a_journal_does_not_block() {
    let folder = Folder::new();
    gos(&folder, "a.db", "");
    for beside in ["a.db-journal", "a.db-wal"] {
        let fifo = folder.path(beside);
        assert!(
            Command::new("mkfifo")
                .arg(&fifo)
                .status()
                .unwrap()
                .success()
        );
    }
    shown(&folder, &["-f", "a.db"]);
}

#[test]
fn a_sparse_file_of_a_tebibyte_is_handled_fast() {
    let folder = Folder::new();
    let sparse = |name: &str, head: &[u8]| {
        let mut file = File::create_new(folder.path(name)).unwrap();
        file.write_all(head).unwrap();
        file.set_len(1 << 40).unwrap();
    };
    sparse("zeros.c1z", b"");
    refused(&folder, "zeros.c1z", "neither like");
    sparse(
        "container.c1z",
        &fs::read(fixture("go-connector.c1z")).unwrap(),
    );
    refused(&folder, "container.c1z", "container.c1z");
    // A skippable frame of the largest size, followed by holes.
    sparse("skipped.c1z", b"C1ZF\0\x50\x2a\x4d\x18\xff\xff\xff\xff");
    refused(&folder, "skipped.c1z", "too big");
    sparse("database.db", &database_of("go-connector.c1z"));
    shown(&folder, &["-f", "database.db"]);
}

#[test]
fn other_formats_are_named() {
    let folder = Folder::new();
    let table: [(&str, &[u8], &str); 7] = [
        ("v3.c1z", b"C1Z3\0\0\0\0\x08\x0a\x06pebble", "version 3"),
        ("short.c1z", b"C1Z", "neither like"),
        ("zip.c1z", b"PK\x03\x04rest", "neither like"),
        (
            "bare.c1z",
            &pack(&database_of("go-connector.c1z"))[5..],
            "first five bytes",
        ),
        (
            "text.c1z",
            &pack(b"user,group\n"),
            "not hold a SQLite database",
        ),
        ("garbage.c1z", b"C1ZF\0garbage", "damaged"),
        ("head.db", b"SQLite format 3\0", "damaged"),
    ];
    for (name, bytes, part) in table {
        fs::write(folder.path(name), bytes).unwrap();
        refused(&folder, name, part);
    }
}

#[test]
fn newer_tables_are_refused_with_both_numbers() {
    let folder = Folder::new();
    ours(&folder, "a.db", "update snapshot set schema_version = 41");
    shown(&folder, &["-f", "a.db"])
        .code(2)
        .says("version 41")
        .says("version 3;");
    change(
        &folder.path("a.db"),
        "update snapshot set schema_version = 9223372036854775807",
    );
    refused(&folder, "a.db", "version 9223372036854775807");
    change(
        &folder.path("a.db"),
        "update snapshot set schema_version = -1",
    );
    refused(&folder, "a.db", "schema_version");
}

#[test]
fn a_file_truncated_at_any_512th_byte_is_complete_or_damaged() {
    let folder = Folder::new();
    ours(&folder, "our.db", "");
    for name in ["our.c1z", "our.db"] {
        if name == "our.c1z" {
            fs::write(
                folder.path(name),
                pack(&fs::read(folder.path("our.db")).unwrap()),
            )
            .unwrap();
        }
        let bytes = fs::read(folder.path(name)).unwrap();
        for length in (0..bytes.len()).step_by(512) {
            fs::write(folder.path("cut"), &bytes[..length]).unwrap();
            shown(&folder, &["-f", "cut"]);
        }
    }
    for name in FIXTURES {
        let bytes = fs::read(fixture(name)).unwrap();
        for length in (6..bytes.len()).step_by(512) {
            fs::write(folder.path("cut"), &bytes[..length]).unwrap();
            refused(&folder, "cut", "damaged");
        }
    }
}

#[test]
fn a_file_marked_as_wal_without_a_log_is_read() {
    let folder = Folder::new();
    let mut bytes = database_of("go-connector.c1z");
    bytes[18..20].fill(2);
    fs::write(folder.path("wal.db"), &bytes).unwrap();
    fs::write(folder.path("wal.c1z"), pack(&bytes)).unwrap();
    for name in ["wal.db", "wal.c1z"] {
        shown(&folder, &["-f", name]).code(0);
    }
    let expected = ["tmp", "wal.c1z", "wal.db"].map(str::to_owned);
    assert_eq!(folder.names(), expected.into());
    fs::write(folder.path("wal.db-wal"), "not empty").unwrap();
    refused(&folder, "wal.db", "wal.db-wal");
    bytes[18..20].fill(77);
    fs::write(folder.path("wal.db"), &bytes).unwrap();
    refused(&folder, "wal.db", "not a SQLite database");
}

/// Characters that move the cursor, set colors, or hide or turn text, and SQL.
const NASTY: &str =
    "'; drop table v1_grants; --\u{1b}[2J\u{1b}]0;x\u{7}\r\n\u{202e}\u{200b}\u{9b}31m%s{}";

#[test]
fn control_characters_in_a_file_do_not_reach_the_terminal() {
    let folder = Folder::new();
    let hex: String = NASTY.bytes().map(|byte| format!("{byte:02x}")).collect();
    let text = format!("cast(x'{hex}' as text)");
    // A database of okta-ciam with this text in every text column of every table.
    ours(
        &folder,
        "a.db",
        &format!(
            "update v1_resources set external_id = 'user:' || {text} where resource_type_id = 'user';
            update v1_resources set external_id = 'group:' || {text} where external_id = 'group:00g1';
            update v1_resources set data = x'' ;
            insert into v1_resources (resource_type_id, external_id, data, sync_id, discovered_at)
                select {text}, {text}, x'', sync_id, '' from v1_sync_runs;
            update v1_grants set resource_id = {text} where resource_id = '00g1';
            update v1_grants set principal_resource_id = {text};
            update users set id = {text}, status = {text}, login = 'ada' || {text}, email = 'ada@example.com',
                matched_by = {text}, profile = json_object('login', 'ada' || {text}, 'email', 'ada@example.com',
                    'secondEmail', {text}, 'displayName', {text});
            update groups set id = {text}, type = {text}, source_id = {text},
                profile = json_object('name', 'Team', 'description', {text}) where id = '00g1';
            update groups set learned = {text} where learned <> 'implied';
            update snapshot set origin = {text}, email_domains = {text}, tool_version = {text},
                group_name_filter = {text}, strategy = {text};
            insert into warnings values ({text}, {text}, {text}, {text});"
        ),
    );
    shown(&folder, &["-f", "a.db"]).code(0);
    let user = shown(&folder, &["-f", "a.db", "user", "ada@example.com"]).code(0);
    assert!(user.stdout.contains("\\u{1b}[2J"), "{}", user.stdout);
    shown(&folder, &["-f", "a.db", "group", "Team"]).code(0);
    shown(&folder, &["-f", "a.db", "group", "Everyone"]).code(0);
    shown(&folder, &["-f", "a.db", "user", NASTY]).code(0);
    let json = shown(&folder, &["-f", "a.db", "--output", "json"])
        .code(0)
        .json();
    assert_eq!(json["snapshot"]["origin"], NASTY);

    // This text as the name of the file.
    fs::copy(folder.path("a.db"), folder.path("\u{1b}[31m\n.db")).unwrap();
    shown(&folder, &["-f", "\u{1b}[31m\n.db"]).code(0);
    let missing = folder.bounded(&["show", "-f", "\u{1b}[31m.db"]).end();
    let said = missing.code(2).says("\\u{1b}[31m.db");
    assert!(!said.stderr.contains('\u{1b}'), "{}", said.stderr);

    // Ids of runs, times, and values that messages contain.
    let places = [
        format!("update v1_sync_runs set started_at = {text}"),
        format!("update v1_sync_runs set ended_at = {text}"),
        format!("update v1_sync_runs set ended_at = null, started_at = {text}"),
        format!("update users set created = {text}"),
        format!("update users set profile = {text}"),
        format!(
            "update v1_resources set data = x'ff', external_id = 'user:' || {text} where resource_type_id = 'user'"
        ),
    ];
    for (at, sql) in places.iter().enumerate() {
        let name = format!("{at}.db");
        fs::copy(folder.path("a.db"), folder.path(&name)).unwrap();
        change(&folder.path(&name), sql);
        for what in [&[][..], &["user", "ada@example.com"]] {
            shown(&folder, &[&["-f", name.as_str()], what].concat());
        }
    }
    gos(
        &folder,
        "go.db",
        &format!(
            "update v1_sync_runs set sync_id = {text}; update v1_resources set sync_id = {text};
            update v1_grants set sync_id = {text}"
        ),
    );
    shown(&folder, &["-f", "go.db"]).code(0);
    shown(&folder, &["-f", "go.db", "group", "Engineering"]).code(0);
}

#[test]
fn sql_in_names_changes_nothing() {
    let folder = Folder::new();
    let mut org = Org::new();
    let drop = "'; drop table v1_grants; --";
    org.add_user(User::with_email("00u1", "x'or'1'='1@example.com"));
    org.add_group(Group::new("00g1", drop));
    org.join("00g1", "00u1");
    folder.sync(&Okta::with(org), &["-f", "a.db"]).ok();
    let group = shown(&folder, &["-f", "a.db", "group", drop, "--output", "json"]).json();
    assert_eq!(group[0]["name"], drop);
    assert_eq!(group[0]["members"][0]["email"], "x'or'1'='1@example.com");
    shown(&folder, &["-f", "a.db", "user", "x' or 1=1 --"])
        .code(2)
        .says("no user of");
}

#[test]
fn dangling_and_circular_references_are_only_counted() {
    let folder = Folder::new();
    gos(
        &folder,
        "a.db",
        "update v1_resources set parent_resource_type_id = resource_type_id,
            parent_resource_id = substr(external_id, instr(external_id, ':') + 1);
        insert into v1_grants (resource_type_id, resource_id, entitlement_id, principal_resource_type_id,
            principal_resource_id, external_id, data, sync_id, discovered_at)
            select 'group', column1, column2, column3, column4, 'x' || column1 || column4, x'', sync_id, ''
            from v1_sync_runs, (values ('', '', 'user', ''), ('00gone', 'nothing', 'user', '00ugone'),
                ('00g1bbbbbbbbbbbbbbb1', 'group:00gone:member', 'user', '00ugone'),
                ('00g1bbbbbbbbbbbbbbb1', 'x', 'group', '00g1bbbbbbbbbbbbbbb1'));
        insert into v1_entitlements (resource_type_id, resource_id, external_id, data, sync_id, discovered_at)
            select 'group', '00gone', 'group:00gone:member', x'', sync_id, '' from v1_sync_runs;
        insert into v1_resources (resource_type_id, external_id, data, sync_id, discovered_at)
            select column1, column2, x'', sync_id, '' from v1_sync_runs, (values ('user', 'user:'),
                ('user', 'group:00u1'), ('group', 'group:'), ('', ''), ('user', 'user'));",
    );
    let shown_as_json = shown(&folder, &["-f", "a.db", "--output", "json"])
        .code(0)
        .json();
    assert_eq!(
        shown_as_json["counts"]["memberships"], 11,
        "the two rows with empty ids are in the file"
    );
    assert_eq!(shown_as_json["counts"]["dangling"], 2);
    survived(&folder, "a.db");
}

#[test]
fn messages_with_wrong_lengths_are_damage() {
    let folder = Folder::new();
    let blobs = [
        "ff",
        "0a",
        "0aff",
        "0affffffffffffffffffff01",
        "0affffffffffffffffffffffffffffff7f",
        "0a80808080808080808000",
        "22ffffffff0f00",
        "2280808080088080",
        "0801",
        "0d00000000",
        "0b0c",
        "0c",
        "00",
        "02",
        "f8ffffff7f01",
        "1a01ff",
        "2207fa01040a020a00",
        "220408011001",
        "4a050a030a01",
        "4affffffff07",
    ];
    for blob in blobs {
        gos(
            &folder,
            "a.db",
            &format!(
                "update v1_resources set data = x'{blob}' where resource_type_id in ('user', 'group')"
            ),
        );
        shown(&folder, &["-f", "a.db"]);
        survived(&folder, "a.db");
    }
    // 10,000 nested structs.
    let mut value = Vec::new();
    for _ in 0..10_000 {
        value = field(0x2a, &field(0x0a, &field(0x12, &value)));
    }
    let message = field(0x4a, &field(0x0a, &field(0x12, &value)));
    with_data(&folder, "deep.db", &message);
    refused(&folder, "deep.db", "does not decode");
}

/// Returns a field of a message with its length.
fn field(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    let mut length = content.len();
    while length >= 0x80 {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend(content);
    bytes
}

/// Writes the Go connector's database with this message in every resource.
fn with_data(folder: &Folder, name: &str, message: &[u8]) {
    gos(folder, name, "");
    let db = Connection::open(folder.path(name)).unwrap();
    db.execute("update v1_resources set data = ?1", [message])
        .unwrap();
}

#[test]
fn a_small_message_that_is_large_in_memory_is_refused() {
    let folder = Folder::new();
    // Millions of empty values in a list, of two bytes each in the file and a hundred in memory.
    let of = |count: usize| {
        // The levels: Resource.profile, its fields, an entry, its value, and a list.
        let values = [0x0a, 0x00].repeat(count);
        field(0x4a, &field(0x0a, &field(0x12, &field(0x32, &values))))
    };
    with_data(&folder, "some.db", &of(400_000));
    refused(&folder, "some.db", "more than 20000 values");
    let message = of(3 << 20);
    with_data(&folder, "values.db", &message);
    fs::write(
        folder.path("values.c1z"),
        pack(&fs::read(folder.path("values.db")).unwrap()),
    )
    .unwrap();
    for name in ["values.db", "values.c1z"] {
        refused(&folder, name, "too big");
    }
    // The same as JSON.
    ours(
        &folder,
        "json.db",
        "update users set profile = '{\"a\":[' || replace(hex(zeroblob(700000)), '0', '0,') || '0]}'",
    );
    shown(&folder, &["-f", "json.db", "user", "00u1"])
        .code(2)
        .says("more than 20000 values");
    shown(&folder, &["-f", "json.db", "group", "Team"])
        .code(2)
        .says("more than 20000 values");
    ours(
        &folder,
        "deep.db",
        "update users set profile = '{\"a\":' || replace(hex(zeroblob(5000)), '0', '[') || '}'",
    );
    shown(&folder, &["-f", "deep.db", "user", "00u1"])
        .code(2)
        .says("not a JSON object");
}

#[test]
fn columns_of_the_wrong_type_are_damage() {
    let folder = Folder::new();
    let changes = [
        "update v1_sync_runs set ended_at = 1700000000",
        "update v1_sync_runs set ended_at = x'00ff'",
        "update v1_sync_runs set sync_id = 7; update v1_resources set sync_id = 7; update v1_grants set sync_id = 7",
        "update v1_sync_runs set sync_id = x'ff'; update v1_resources set sync_id = x'ff'; update v1_grants set sync_id = x'ff'",
        "update v1_resources set data = 'text'",
        "update v1_resources set data = 1.5",
        "update v1_resources set external_id = cast(external_id as blob) where resource_type_id = 'user'",
        "update v1_resources set external_id = cast(external_id || x'ff' as text) where resource_type_id = 'user'",
        "update v1_resources set resource_type_id = cast(x'ff' as text)",
        "update v1_grants set resource_id = cast(x'ff' as text)",
        "update v1_grants set resource_id = x'ff', principal_resource_id = 5",
        "update v1_entitlements set external_id = cast(external_id || x'ff' as blob)",
        "update v1_sync_runs set ended_at = cast(x'ff' as text)",
        "update v1_sync_runs set ended_at = null, started_at = x'ff'",
    ];
    for sql in changes {
        gos(&folder, "a.db", sql);
        shown(&folder, &["-f", "a.db"]);
        survived(&folder, "a.db");
    }
    for sql in [
        "update users set profile = x'7b7d'",
        "update users set status = x'ff', login = 5, email = 1.5",
        "update users set status = cast(x'ff' as text)",
        "update groups set members_seen = 'many'",
        "update groups set members_kept = 1e300",
        "update groups set type = 7, learned = 7",
        "update snapshot set users_kept = -5",
        "update snapshot set waited_seconds = 'x'",
        "update snapshot set waited_seconds = 9e999",
        "update snapshot set schema_version = 'one'",
        "update warnings set message = x'ff'; insert into warnings values (x'00', 1, 2, 3)",
    ] {
        ours(&folder, "a.db", sql);
        shown(&folder, &["-f", "a.db"]);
        survived(&folder, "a.db");
    }
}

#[test]
fn a_schema_that_would_run_something_is_refused_or_left_alone() {
    let folder = Folder::new();
    let endless = "with recursive n(a) as (values (1) union all select a + 1 from n)";
    let refusals = [
        format!(
            "alter table v1_resources rename to old; create view v1_resources as {endless}
            select 'user' as resource_type_id, 'user:' || a as external_id, x'' as data, '' as sync_id from n"
        ),
        format!("alter table v1_sync_runs rename to old; create view V1_SYNC_RUNS as {endless} select * from n, old"),
        "alter table v1_grants rename to old; create virtual table v1_grants using fts5(resource_type_id, resource_id,
            principal_resource_type_id, principal_resource_id, sync_id)"
            .to_owned(),
        "alter table v1_grants rename to old; create virtual table v1_grants using dbstat".to_owned(),
        // A virtual table that claims to have its own page.
        "alter table v1_grants rename to old; create virtual table v1_grants using fts5(resource_type_id, resource_id,
            principal_resource_type_id, principal_resource_id, sync_id);
            update sqlite_schema set rootpage = 3 where name = 'v1_grants'"
            .to_owned(),
        "alter table v1_resources add column more text as (hex(zeroblob(100000000)))".to_owned(),
        "alter table v1_resources rename to old;
            create table v1_resources (external_id text primary key, resource_type_id, data, sync_id) without rowid"
            .to_owned(),
        "update sqlite_schema set sql = replace(sql, 'discovered_at', 'rowid') where name = 'v1_resources'".to_owned(),
    ];
    for sql in refusals {
        gos(&folder, "a.db", &sql);
        refused(&folder, "a.db", "damaged");
        survived(&folder, "a.db");
    }
    let harmless = [
        format!(
            "create trigger v1_t after insert on v1_grants begin {endless} select 1 from n; end"
        ),
        format!("create view v1_everything as {endless} select * from n, v1_grants"),
        "create index i on v1_resources(lower(external_id)) where length(external_id) > 3"
            .to_owned(),
        "create table t (a check (a > 3), b references t (a) on delete cascade)".to_owned(),
        "create virtual table t using fts5(a)".to_owned(),
        "analyze".to_owned(),
    ];
    for sql in harmless {
        gos(&folder, "a.db", &sql);
        shown(&folder, &["-f", "a.db"]).code(0);
        survived(&folder, "a.db");
    }
    let wide = (0..1900)
        .map(|n| format!("c{n}"))
        .collect::<Vec<_>>()
        .join(", ");
    let odd = [
        // Functions that are not defined.
        "create table t (a); insert into sqlite_schema values ('index', 'i', 'v1_resources', 3,
            'create index i on v1_resources(nobody(external_id))')"
            .to_owned(),
        "update sqlite_schema set sql = replace(sql, 'data blob not null', 'data blob check (nobody(data))')".to_owned(),
        "update sqlite_schema set sql = replace(sql, 'external_id text not null',
            'external_id text not null collate nobody')"
            .to_owned(),
        "update sqlite_schema set sql = 'create table' where name = 'v1_grants'".to_owned(),
        "update sqlite_schema set sql = replace(hex(zeroblob(3000000)), '00', 'create table ')".to_owned(),
        "update sqlite_schema set sql = sql || '-- ' || hex(zeroblob(3000000)) where name = 'v1_grants'".to_owned(),
        "update sqlite_schema set rootpage = 1 where name = 'v1_grants'".to_owned(),
        "update sqlite_schema set rootpage = 1000000 where name = 'v1_grants'".to_owned(),
        "update sqlite_schema set rootpage = (select rootpage from sqlite_schema where name = 'v1_resources')
            where name = 'v1_grants'"
            .to_owned(),
        "update sqlite_schema set name = 'v1_grants', tbl_name = 'v1_grants' where name = 'v1_resources'".to_owned(),
        "update sqlite_schema set type = 'view' where name = 'v1_grants'".to_owned(),
        "update sqlite_schema set name = cast(x'ff' as text) where name = 'v1_assets'".to_owned(),
        format!("create table wide ({wide})"),
        format!("drop table v1_grants; create table v1_grants ({wide}, sync_id)"),
        "create table more (a); insert into sqlite_schema
            with recursive n(a) as (values (1) union all select a + 1 from n where a < 20000)
            select 'table', 't' || a, 't' || a, 3, 'CREATE TABLE t' || a || '(a)' from n"
            .to_owned(),
        "pragma user_version = -1; pragma application_id = 7".to_owned(),
        "drop index idx_resources_parent_resource_id_v1; drop index idx_resources_resource_type_id_v1".to_owned(),
    ];
    for sql in odd {
        gos(&folder, "a.db", &sql);
        shown(&folder, &["-f", "a.db"]);
        survived(&folder, "a.db");
    }
}

#[test]
fn values_over_a_limit_are_reported_with_the_limit() {
    let folder = Folder::new();
    for (sql, limit) in [
        (
            "update v1_sync_runs set sync_id = hex(zeroblob(3000))",
            "4096",
        ),
        (
            "update v1_resources set external_id = external_id || hex(zeroblob(3000))",
            "4096",
        ),
        (
            "update v1_resources set data = zeroblob(2000000)",
            "1048576",
        ),
        (
            "update v1_resources set data = zeroblob(9000000)",
            "8388608",
        ),
        (
            "update sqlite_schema set sql = sql || '-- ' || hex(zeroblob(3000000)) where name = 'v1_grants'",
            "65536",
        ),
    ] {
        gos(&folder, "a.db", sql);
        refused(
            &folder,
            "a.db",
            &format!("above the limit of {limit} bytes"),
        );
    }
}

#[test]
fn a_database_in_utf_16_is_read() {
    let folder = Folder::new();
    let db = Connection::open(folder.path("a.db")).unwrap();
    db.execute_batch(
        "pragma encoding = 'UTF-16be';
        create table v1_sync_runs (sync_id, started_at, ended_at);
        insert into v1_sync_runs values ('é', '2026-01-01 00:00:00', '2026-01-01 00:00:01');
        create table v1_resources (resource_type_id, external_id, data, sync_id);
        insert into v1_resources values ('user', 'user:00u1', x'', 'é'), ('user', 'user:😀', x'', 'é');",
    )
    .unwrap();
    drop(db);
    let json = shown(&folder, &["-f", "a.db", "--output", "json"])
        .code(0)
        .json();
    assert_eq!(json["counts"]["users"], 2);
}

/// A database as bytes, to be damaged page by page.
struct Pages {
    bytes: Vec<u8>,
}

const PAGE: usize = 4096;

impl Pages {
    /// Creates a database with one row in each table, whose ids and run id are `1`.
    fn new(folder: &Folder) -> Self {
        Self::with(folder, "sync_id, data")
    }

    /// Creates the same database with these last columns in the resources.
    fn with(folder: &Folder, last: &str) -> Self {
        let path = folder.path("pages.db");
        let _ = fs::remove_file(&path);
        let db = Connection::open(&path).unwrap();
        db.execute_batch(&format!(
            "pragma page_size = {PAGE};
            create table v1_sync_runs (sync_id, started_at, ended_at);
            insert into v1_sync_runs values ('1', '2026-01-01 00:00:00', '2026-01-01 00:00:01');
            create table v1_resources (resource_type_id, external_id, {last});
            insert into v1_resources (resource_type_id, external_id, sync_id, data) values ('user', 'user:1', '1', x'');
            create table v1_entitlements (external_id, sync_id);
            insert into v1_entitlements values ('1', '1');
            create table v1_grants (resource_type_id, resource_id, principal_resource_type_id,
                principal_resource_id, sync_id);
            insert into v1_grants values ('group', '1', 'user', '1', '1');"
        ))
        .unwrap();
        drop(db);
        let bytes = fs::read(path).unwrap();
        Self { bytes }
    }

    fn count(&self) -> u32 {
        u32::try_from(self.bytes.len() / PAGE).unwrap()
    }

    fn page(&mut self, number: u32) -> &mut [u8] {
        let start = (number as usize - 1) * PAGE;
        &mut self.bytes[start..start + PAGE]
    }

    fn root(&self, folder: &Folder, table: &str) -> u32 {
        let db = Connection::open(folder.path("pages.db")).unwrap();
        let sql = "select rootpage from sqlite_schema where name = ?1";
        db.query_row(sql, [table], |row| row.get(0)).unwrap()
    }

    /// Adds a page and returns its number.
    fn push(&mut self, page: &[u8]) -> u32 {
        self.bytes.extend_from_slice(page);
        let count = self.count();
        self.bytes[28..32].copy_from_slice(&count.to_be_bytes());
        count
    }

    /// Returns a page of a table's tree all of whose children are the same page.
    fn fan(child: u32) -> Vec<u8> {
        let cells = (PAGE - 12) / 7;
        let mut page = vec![0; PAGE];
        page[0] = 5;
        page[3..5].copy_from_slice(&u16::try_from(cells).unwrap().to_be_bytes());
        let start = PAGE - cells * 5;
        page[5..7].copy_from_slice(&u16::try_from(start).unwrap().to_be_bytes());
        page[8..12].copy_from_slice(&child.to_be_bytes());
        for cell in 0..cells {
            let at = start + cell * 5;
            page[at..at + 4].copy_from_slice(&child.to_be_bytes());
            page[at + 4] = 1;
            let pointer = 12 + cell * 2;
            page[pointer..pointer + 2].copy_from_slice(&u16::try_from(at).unwrap().to_be_bytes());
        }
        page
    }

    /// Adds this many levels of fans between the root of a table and its only page.
    fn fold(&mut self, root: u32, floors: usize) {
        let leaf = self.page(root).to_vec();
        let mut child = self.push(&leaf);
        for _ in 1..floors {
            child = self.push(&Self::fan(child));
        }
        let fan = Self::fan(child);
        self.page(root).copy_from_slice(&fan);
    }

    fn write(&self, folder: &Folder, name: &str) {
        fs::write(folder.path(name), &self.bytes).unwrap();
        fs::write(folder.path(&format!("{name}.c1z")), pack(&self.bytes)).unwrap();
    }
}

#[test]
fn a_tree_with_a_billion_references_to_one_page_is_damage() {
    let folder = Folder::new();
    for table in [
        "v1_sync_runs",
        "v1_resources",
        "v1_entitlements",
        "v1_grants",
    ] {
        let mut pages = Pages::new(&folder);
        let root = pages.root(&folder, table);
        pages.fold(root, 6);
        let name = format!("{table}.db");
        pages.write(&folder, &name);
        for name in [name.clone(), format!("{name}.c1z")] {
            shown(&folder, &["-f", &name]).code(2).says("damaged");
            survived(&folder, &name);
        }
    }
    // The schema's page is the first one, and its header is at another offset.
    let mut pages = Pages::new(&folder);
    let fan = Pages::fan(1);
    let inner = pages.push(&fan);
    pages.page(inner)[8..12].copy_from_slice(&1_u32.to_be_bytes());
    let outer = pages.push(&Pages::fan(inner));
    let outer = pages.push(&Pages::fan(outer));
    let head = &mut pages.page(1)[100..112];
    head[0] = 5;
    head[3..5].fill(0);
    head[8..12].copy_from_slice(&outer.to_be_bytes());
    pages.write(&folder, "schema.db");
    survived(&folder, "schema.db");
}

/// Writes a sparse database in which each user has a row with a value of `length` bytes, all in one overflow page that
/// refers to itself. The value is followed by `x`.
fn with_a_long_row(folder: &Folder, name: &str, last: &str, length: u64, size: u32) {
    let mut pages = Pages::with(folder, last);
    let root = pages.root(folder, "v1_resources");
    let long = varint_big_endian(length * 2 + 12);
    let text = |length: u8| vec![13 + 2 * length];
    let (types, start): (Vec<u8>, &[u8]) = if last == "sync_id, data" {
        ([text(4), text(6), text(1), long].concat(), b"useruser:11")
    } else {
        ([text(4), text(6), long, text(1)].concat(), b"useruser:1")
    };
    let mut record = varint_big_endian(types.len() as u64 + 1);
    record.extend(types);
    record.extend(start);
    let behind = u64::from(last != "sync_id, data");
    let payload = record.len() as u64 + length + behind;
    // The size of the value's part in the page of the row, according to SQLite's file format.
    let (least, usable) = (((PAGE - 12) * 32 / 255 - 23) as u64, PAGE as u64 - 4);
    let wanted = least + (payload - least) % usable;
    let local = if wanted <= PAGE as u64 - 35 {
        wanted
    } else {
        least
    };
    record.resize(usize::try_from(local).unwrap(), b'x');
    let mut leaf = vec![0; PAGE];
    let mut cell = varint_big_endian(payload);
    cell.push(1);
    cell.extend(&record);
    let overflow = pages.count() + 1;
    cell.extend(overflow.to_be_bytes());
    let at = PAGE - cell.len();
    leaf[0] = 13;
    leaf[3..5].copy_from_slice(&1_u16.to_be_bytes());
    leaf[5..7].copy_from_slice(&u16::try_from(at).unwrap().to_be_bytes());
    leaf[8..10].copy_from_slice(&u16::try_from(at).unwrap().to_be_bytes());
    leaf[at..].copy_from_slice(&cell);
    let mut page = vec![b'x'; PAGE];
    page[..4].copy_from_slice(&overflow.to_be_bytes());
    assert_eq!(pages.push(&page), overflow);
    pages.page(root).copy_from_slice(&leaf);
    // SQLite rejects rows that are longer than the file.
    while pages.count() < size {
        pages.push(&[0; PAGE]);
    }
    pages.fold(root, 3);
    pages.write(folder, name);
}

#[test]
fn many_rows_that_share_one_long_value_are_damage() {
    let folder = Folder::new();
    with_a_long_row(&folder, "long.db", "sync_id, data", 6 << 20, 2000);
    for name in ["long.db", "long.db.c1z"] {
        refused(&folder, name, "damaged");
        survived(&folder, name);
    }
}

#[test]
fn many_rows_whose_ids_lie_behind_a_long_value_are_damage() {
    let folder = Folder::new();
    with_a_long_row(&folder, "far.db", "data, sync_id", 30 << 20, 8000);
    refused(&folder, "far.db.c1z", "damaged");
}

#[test]
fn a_list_that_repeats_one_long_row_is_damage() {
    let folder = Folder::new();
    ours(
        &folder,
        "pages.db",
        "insert into warnings values ('a', 'run', null, hex(zeroblob(1800)))",
    );
    let mut pages = Pages {
        bytes: fs::read(folder.path("pages.db")).unwrap(),
    };
    let root = pages.root(&folder, "warnings");
    pages.fold(root, 4);
    pages.write(&folder, "warnings.db");
    refused(&folder, "warnings.db", "more bytes than the entire file");
    survived(&folder, "warnings.db");
}

#[test]
fn an_index_and_a_generated_column_compute_nothing_long() {
    let folder = Folder::new();
    // Looking for the one text in the other takes hours.
    let long = "update t set a = replace(hex(zeroblob(3000000)), '0', 'a'),
        b = replace(hex(zeroblob(1500000)), '0', 'a') || 'b'";
    let table = "create table t (a, b, c); insert into t values ('a', 'b', 1)";
    for sql in [
        format!(
            "{table}; {long}; create table u (a, b); create index i on u (instr(a, b));
            update sqlite_schema set tbl_name = 't', sql = 'CREATE INDEX i on t (instr(a, b))' where name = 'i'"
        ),
        format!(
            "{table}; {long}; update sqlite_schema
                set sql = 'CREATE TABLE t (a, b, c not null as (instr(a, b)))' where name = 't'"
        ),
    ] {
        gos(&folder, "a.db", &sql);
        survived(&folder, "a.db");
    }
}

/// Encodes a number as SQLite's varint.
fn varint_big_endian(number: u64) -> Vec<u8> {
    let mut bytes = vec![(number & 0x7f) as u8];
    let mut rest = number >> 7;
    while rest > 0 {
        bytes.insert(0, (rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    bytes
}
