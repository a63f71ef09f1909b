//! Checks that the complete output of commands matches `tests/fixtures/transcripts`, where other tests only look for
//! parts of it.
//!
//! `UPDATE_FIXTURES=1 cargo test transcripts::` updates the fixtures.

use std::path::PathBuf;

use okta_fake::{Action, Endpoint, Fault, Options, Org};

use crate::support::{Folder, Okta};

/// Replaces the parts of a text that differ between runs, machines and versions.
fn masked(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "/.:-".contains(c);
    // A build without git has no commit.
    let lines = text.lines().filter(|line| !line.starts_with("  commit "));
    let mask = |line: &str| {
        if line.starts_with("  run by ") {
            return "  run by       USER on HOST\n".to_owned();
        }
        let mut masked = String::new();
        // The waits between attempts are random.
        let (mut rest, is_wait) = match line.split_once("; retrying in ") {
            Some((before, _)) => (before, true),
            None => (line, false),
        };
        while !rest.is_empty() {
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            masked.push_str(mask_word(word));
            let end = after.find(is_part).unwrap_or(after.len());
            masked.push_str(&after[..end]);
            rest = &after[end..];
        }
        masked
            + if is_wait {
                "; retrying in WAIT\n"
            } else {
                "\n"
            }
    };
    lines.map(mask).collect()
}

fn mask_word(word: &str) -> &str {
    let is_hash =
        matches!(word.len(), 40 | 64) && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    if word.starts_with("http://127.0.0.1:") {
        "ORIGIN"
    } else if word.parse::<jiff::Timestamp>().is_ok() {
        "TIME"
    } else if is_hash {
        "HASH"
    } else if word.starts_with("req0000") {
        "REQUEST"
    } else if word == env!("CARGO_PKG_VERSION") {
        "VERSION"
    } else {
        word
    }
}

/// Runs a command against the sample org and compares all of its output with a fixture.
#[track_caller]
fn check(name: &str, okta: &Okta, folder: &Folder, arguments: &[&str], code: i32) {
    let ran = folder
        .run(arguments)
        .env("BATON_DOMAIN", &okta.origin())
        .env("BATON_API_TOKEN", okta.token())
        .env("BATON_EMAIL_DOMAINS", "example.com,example.org")
        .end()
        .code(code);
    let transcript = masked(&format!(
        "$ okta-ciam {}\n{}stderr:\n{}exit code: {code}\n",
        arguments.join(" "),
        ran.stdout,
        *ran.stderr
    ));
    let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/transcripts");
    let file = fixtures.join(name).with_extension("txt");
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::create_dir_all(&fixtures).unwrap();
        std::fs::write(&file, &transcript).unwrap();
    }
    let recorded = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(transcript, recorded, "{name}");
}

fn sample() -> Okta {
    Okta::with_options(Org::demo(), Options::default())
}

#[test]
fn show_prints_what_was_recorded() {
    let (okta, folder) = (sample(), Folder::new());
    folder.sync(&okta, &["-f", "sync.c1z"]).ok();
    for (name, what) in [
        ("show", &[][..]),
        ("show-user", &["user", "mira.okonjo@example.com"]),
        ("show-group", &["group", "Engineering"]),
        ("show-unknown-group", &["group", "Enginering"]),
    ] {
        let code = if name == "show-unknown-group" { 2 } else { 0 };
        let arguments = [&["show"], what].concat();
        check(name, &okta, &folder, &arguments, code);
    }
}

#[test]
fn check_prints_what_was_recorded() {
    let folder = Folder::new();
    check("check", &sample(), &folder, &["check"], 0);
    for (name, endpoint, code) in [
        ("check-warning", Endpoint::Rules, 0),
        ("check-failure", Endpoint::Groups, 5),
    ] {
        let okta = sample();
        okta.fault(Fault::on(endpoint, Action::okta(403, "E0000006")));
        check(name, &okta, &folder, &["check"], code);
    }
}

#[test]
fn a_dry_run_prints_what_was_recorded() {
    let (okta, folder) = (sample(), Folder::new());
    let rows = "user,group\n\
        bram.oosterhuis@example.com,VPN users\n\
        mira.okonjo@example.com,VPN users\n\
        bram.oosterhuis@example.com,Everyone\n\
        nobody@example.com,VPN users\n";
    std::fs::write(folder.path("joiners.csv"), rows).unwrap();
    let one = [
        "grant",
        "--user",
        "bram.oosterhuis@example.com",
        "--group",
        "VPN users",
        "--dry-run",
    ];
    check("grant-dry-run", &okta, &folder, &one, 0);
    let list = ["grant", "--from", "joiners.csv", "--dry-run"];
    check("grant-list-dry-run", &okta, &folder, &list, 4);
    assert!(okta.changes().is_empty());
}

#[test]
fn a_failed_sync_prints_what_was_recorded() {
    let okta = sample();
    okta.fault(Fault::on(Endpoint::Groups, Action::okta(403, "E0000006")));
    check("sync-failure", &okta, &Folder::new(), &["sync"], 5);
}
