//! Checks that help texts match `tests/fixtures/help`, and that their examples work as printed.
//!
//! `UPDATE_FIXTURES=1 cargo test help::` updates the fixtures.

use std::path::PathBuf;
use std::process::Command;

use okta_fake::Org;

use crate::support::{Folder, Okta};

const COMMANDS: [&str; 21] = [
    "",
    "sync",
    "grant",
    "revoke",
    "check",
    "show",
    "show users",
    "show groups",
    "show memberships",
    "verify",
    "diff",
    "export",
    "findings",
    "report",
    "review",
    "review start",
    "review status",
    "review close",
    "demo",
    "completions",
    "man",
];

fn help(command: &str) -> String {
    let folder = Folder::new();
    let words = command.split_whitespace();
    let arguments: Vec<&str> = words.chain(["--help"]).collect();
    let ran = folder.run(&arguments).ok();
    assert_eq!(ran.stderr, "");
    ran.stdout
}

#[test]
fn every_help_text_matches_its_fixture() {
    let recorded = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/help");
    for command in COMMANDS {
        let name = if command.is_empty() {
            "okta-ciam".to_owned()
        } else {
            command.replace(' ', "-")
        };
        let file = recorded.join(&name).with_extension("txt");
        let text = help(command);
        if std::env::var_os("UPDATE_FIXTURES").is_some() {
            std::fs::create_dir_all(&recorded).unwrap();
            std::fs::write(&file, &text).unwrap();
        }
        assert_eq!(text, std::fs::read_to_string(&file).unwrap(), "{name}");
    }
}

#[test]
fn no_line_of_an_example_is_longer_than_80_columns() {
    for command in COMMANDS {
        let text = help(command);
        let examples = text.lines().skip_while(|line| *line != "Examples:");
        for line in examples {
            assert!(line.chars().count() <= 80, "{command}: {line}");
        }
    }
}

/// Runs each example in a shell, in order, against the sample org instead of company.okta.com.
#[test]
fn every_example_in_the_help_works_as_printed() {
    for command in COMMANDS {
        let text = help(command);
        let examples = text.lines().skip_while(|line| *line != "Examples:");
        let lines: Vec<&str> = examples
            .filter_map(|line| line.strip_prefix("    "))
            // `demo --serve` runs until it is interrupted.
            .filter(|line| !line.contains("--serve"))
            .collect();
        let first = command.split_whitespace().next().unwrap_or_default();
        let offline = matches!(
            first,
            "show"
                | "verify"
                | "export"
                | "findings"
                | "report"
                | "review"
                | "demo"
                | "completions"
                | "man"
                | ""
        ) && command != "review close";
        let okta = if offline {
            Okta::unasked()
        } else {
            Okta::with(Org::demo())
        };
        let folder = Folder::new();
        std::fs::write(folder.path("token.txt"), okta.token()).unwrap();
        let list = "user,group\nmira.okonjo@example.com,VPN users\n";
        for name in ["joiners.csv", "leavers.csv"] {
            std::fs::write(folder.path(name), list).unwrap();
        }
        // The examples of the subcommands of `show` use the snapshot from the examples of `show`.
        if command.contains(' ') {
            folder.run(&["demo"]).ok();
        }
        let tool = PathBuf::from(env!("CARGO_BIN_EXE_okta-ciam"));
        let script = lines.join("\n").replace("company.okta.com", &okta.origin());
        let ran = Command::new("/bin/sh")
            .args(["-e", "-c", &script])
            .env_clear()
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", tool.parent().unwrap().display()),
            )
            .current_dir(folder.path("."))
            .output()
            .unwrap();
        assert!(
            ran.status.success(),
            "{command}\n{script}\n{}",
            String::from_utf8_lossy(&ran.stderr)
        );
        assert!(
            command.is_empty() || !lines.is_empty(),
            "{command} has no examples"
        );
    }
}
