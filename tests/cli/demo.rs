//! Tests `demo`, the first command that new users run.

use crate::support::Folder;

#[test]
fn the_demo_writes_a_file_and_a_summary_whatever_variables_are_set() {
    let folder = Folder::new();
    let ran = folder
        .run(&["demo"])
        .env("BATON_DOMAIN", "company.okta.com")
        .env("BATON_FILE", "other.c1z")
        .env("BATON_OUTPUT", "nonsense")
        .env("BATON_EMAIL_DOMAINS", "nobody.example")
        .env("HTTP_PROXY", "http://127.0.0.1:1")
        .ok();
    assert!(
        ran.stdout.contains("demo.c1z  complete") && ran.stdout.contains("memberships"),
        "{}",
        ran.stdout
    );
    assert_eq!(folder.names(), ["demo.c1z".to_owned()].into());
    let shown = folder
        .run(&["show", "-f", "demo.c1z", "--output", "json"])
        .ok()
        .json();
    assert_eq!(shown["snapshot"]["command"], "demo");
    assert_eq!(shown["counts"]["groups"], 12);
}

#[test]
fn the_demo_replaces_only_files_of_a_demo() {
    let folder = Folder::new();
    folder.run(&["demo"]).ok();
    folder.run(&["demo"]).ok();
    std::fs::write(folder.path("mine.c1z"), "mine").unwrap();
    folder
        .run(&["demo", "-f", "mine.c1z"])
        .end()
        .code(2)
        .says("was not written by demo");
    assert_eq!(std::fs::read(folder.path("mine.c1z")).unwrap(), b"mine");
    folder.run(&["demo", "-f", "plain.db"]).ok();
    folder
        .run(&["demo", "-f", "demo.txt"])
        .end()
        .code(2)
        .says("ends in .c1z");
}

#[test]
fn a_served_demo_can_be_synced_with_the_variables_that_it_prints() {
    use std::io::{BufRead as _, BufReader};
    let folder = Folder::new();
    let mut server = std::process::Command::new(env!("CARGO_BIN_EXE_okta-ciam"))
        .args(["demo", "--serve"])
        .env_clear()
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(server.stdout.take().unwrap())
        .lines()
        .take(3)
        .map(Result::unwrap);
    let mut run = folder.run(&["sync"]);
    for line in lines {
        let (name, value) = line
            .strip_prefix("export ")
            .unwrap()
            .split_once('=')
            .unwrap();
        run = run.env(name, value);
    }
    run.ok();
    let killed = std::process::Command::new("kill")
        .arg(server.id().to_string())
        .status()
        .unwrap();
    assert!(killed.success());
    assert_eq!(server.wait().unwrap().code(), Some(0));
    assert_eq!(folder.names(), ["sync.c1z".to_owned()].into());
}
