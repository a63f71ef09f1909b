//! Tests that the texts of `completions` and `man` contain every command and option, and that shells and man accept
//! them.

use std::collections::BTreeSet;
use std::process::Command;

use clap::CommandFactory as _;
use okta_ciam::testing::cli::Cli;

use crate::support::{Folder, Ran, Requirement};

const SHELLS: [&str; 5] = ["bash", "elvish", "fish", "powershell", "zsh"];

/// Returns every command with its options, such as `show users` and `--like`.
fn commands() -> Vec<(String, Vec<String>)> {
    fn add(command: &clap::Command, prefix: &str, all: &mut Vec<(String, Vec<String>)>) {
        for sub in command.get_subcommands() {
            let name = format!("{prefix}{}", sub.get_name());
            let options = sub.get_arguments().filter(|option| !option.is_hide_set());
            let options = options
                .filter_map(clap::Arg::get_long)
                .map(|long| format!("--{long}"));
            all.push((name.clone(), options.collect()));
            add(sub, &format!("{name} "), all);
        }
    }
    let mut root = Cli::command();
    root.build();
    let mut all = Vec::new();
    add(&root, "", &mut all);
    all
}

/// Converts roff to the visible text, as far as a search for words needs it.
fn shown(roff: &str) -> String {
    let plain = roff.replace("\\-", "-").replace("\\fB", "");
    plain.replace("\\fI", "").replace("\\fR", "")
}

#[test]
fn the_script_of_each_shell_contains_every_command_and_option() {
    let folder = Folder::new();
    for shell in SHELLS {
        let script = folder.run(&["completions", shell]).ok().stdout;
        for (command, options) in commands() {
            for word in command.split(' ') {
                assert!(script.contains(word), "{shell}: {command}");
            }
            for option in options {
                // fish writes an option as `-l sync`.
                let word = match shell {
                    "fish" => format!("-l {}", option.trim_start_matches('-')),
                    _ => option,
                };
                assert!(script.contains(&word), "{shell}: {command} {word}");
            }
        }
    }
    assert!(folder.names().is_empty());
}

/// Returns the completions of bash after these words.
fn offered(folder: &Folder, words: &[&str]) -> BTreeSet<String> {
    let script = folder.run(&["completions", "bash"]).ok().stdout;
    // compopt works only during interactive completion.
    let asked = format!(
        "{script}\ncompopt() {{ :; }}\nCOMP_WORDS=({}); COMP_CWORD={}\n_okta__ciam okta-ciam '{}' '{}'\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words.join(" "),
        words.len() - 1,
        words[words.len() - 1],
        words[words.len() - 2],
    );
    let ran = Command::new("/bin/bash")
        .args(["--norc", "--noprofile", "-c", &asked])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .current_dir(folder.path("."))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && errors.is_empty(), "{errors}");
    let text = String::from_utf8(ran.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_and_files() {
    let folder = Folder::new();
    std::fs::write(folder.path("okta.c1z"), "").unwrap();
    let set = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    assert_eq!(offered(&folder, &["okta-ciam", "sy"]), set(&["sync"]));
    assert_eq!(
        offered(&folder, &["okta-ciam", "show", "m"]),
        set(&["memberships"])
    );
    assert_eq!(
        offered(&folder, &["okta-ciam", "sync", "--max"]),
        set(&["--max-drop", "--max-api-capacity"])
    );
    assert_eq!(
        offered(&folder, &["okta-ciam", "sync", "--file", "ok"]),
        set(&["okta.c1z"])
    );
    for (words, expected) in [
        (&["check", "--output", ""][..], &["text", "json"][..]),
        (
            &["sync", "--memberships-by", ""],
            &["auto", "group", "user"],
        ),
        (
            &["show", "users", "--format", ""],
            &["table", "csv", "json"],
        ),
        (&["findings", "--fail-on", "hi"], &["high"]),
        (&["findings", "--skip", "deprov"], &["deprovisioned-member"]),
        (&["completions", "z"], &["zsh"]),
    ] {
        let mut typed = vec!["okta-ciam"];
        typed.extend(
            words
                .iter()
                .map(|word| if word.is_empty() { "''" } else { word }),
        );
        assert_eq!(offered(&folder, &typed), set(expected), "{words:?}");
    }
}

/// The texts of the help are written by hand; the words of an option are not.
#[test]
fn the_help_of_an_option_lists_all_of_its_words_or_refers_to_names() {
    fn check(command: &clap::Command, found: &mut usize) {
        for option in command.get_arguments() {
            let words = option.get_possible_values();
            let names = option.get_value_names().unwrap_or_default();
            let is_finding = names
                .iter()
                .any(|name| ["CHECKS", "CHECK|SEVERITY"].contains(&name.as_str()));
            if words.is_empty() || !option.get_action().takes_values() || is_finding {
                continue;
            }
            let help = option.get_help().unwrap().to_string();
            for word in words {
                let mut parts = help.split(|c: char| !c.is_alphanumeric());
                assert!(
                    parts.any(|part| part == word.get_name()),
                    "{help}: {}",
                    word.get_name()
                );
            }
            *found += 1;
        }
        command.get_subcommands().for_each(|sub| check(sub, found));
    }
    let mut found = 0;
    check(&Cli::command(), &mut found);
    assert!(found >= 10, "{found}");
}

/// Returns an error without its time.
fn message(ran: &Ran) -> &str {
    let error = ran.error();
    error.split_once("error: ").unwrap().1
}

#[test]
fn an_unknown_shell_or_command_is_refused_with_the_valid_ones() {
    let folder = Folder::new();
    let ran = folder.run(&["completions", "tcsh"]).end().code(2);
    assert_eq!(
        message(&ran),
        "invalid value \"tcsh\" for SHELL: expected bash, elvish, fish, powershell or zsh"
    );
    let ran = folder.run(&["man", "snyc"]).end().code(2);
    assert_eq!(
        message(&ran),
        "no command is named \"snyc\"; did you mean sync?"
    );
    let ran = folder.run(&["man", "show", "zzzzzz"]).end().code(2);
    assert_eq!(message(&ran), "no command is named \"zzzzzz\"");
    let both = folder.run(&["man", "sync", "--to", "x"]).end();
    both.fails(2, "COMMAND cannot be used with --to");
    let empty = folder.run(&["man", "--to", ""]).end();
    empty.fails(2, "--to is empty");
    assert!(folder.names().is_empty());
}

#[test]
fn the_folder_of_pages_has_one_for_each_command_with_all_its_options() {
    let folder = Folder::new();
    let printed = folder.run(&["man", "--to", "a/man1"]).ok().stdout;
    let mut expected = BTreeSet::from(["okta-ciam.1".to_owned()]);
    for (command, options) in commands() {
        let name = format!("okta-ciam-{}.1", command.replace(' ', "-"));
        let page = std::fs::read_to_string(folder.path("a/man1").join(&name)).unwrap();
        let text = shown(&page);
        for option in options {
            assert!(text.contains(&option), "{name} {option}");
        }
        assert!(text.contains(&format!("okta-ciam {command}")), "{name}");
        assert!(!text.contains("--now"), "{name} has a hidden option");
        let alone: Vec<&str> = ["man"].into_iter().chain(command.split(' ')).collect();
        assert_eq!(folder.run(&alone).ok().stdout, page, "{name}");
        expected.insert(name);
    }
    assert_eq!(printed, format!("a/man1  {} pages\n", expected.len()));
    let found = std::fs::read_dir(folder.path("a/man1")).unwrap();
    let found = found.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(found.collect::<BTreeSet<_>>(), expected);
    let root = std::fs::read_to_string(folder.path("a/man1/okta-ciam.1")).unwrap();
    assert_eq!(folder.run(&["man"]).ok().stdout, root);
    assert!(shown(&root).contains(".SH \"EXIT CODES\""), "{root}");
}

#[test]
fn groff_renders_every_page_without_a_warning_and_keeps_the_lines_of_examples() {
    if !Requirement::Groff.is_met() {
        return;
    }
    let folder = Folder::new();
    folder.run(&["man", "--to", "man1"]).ok();
    for (command, _) in commands() {
        let name = format!("okta-ciam-{}.1", command.replace(' ', "-"));
        let ran = Command::new("groff")
            .args(["-man", "-Tutf8", "-ww", "-rLL=100n"])
            .env("GROFF_NO_SGR", "1")
            .arg(folder.path("man1").join(&name))
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&ran.stderr);
        assert!(
            ran.status.success() && errors.is_empty(),
            "{name}: {errors}"
        );
        let page = String::from_utf8(ran.stdout).unwrap();
        // A bold or italic character is printed as a character, a backspace and the character again.
        let page: Vec<&str> = page.split('\u{8}').collect();
        let page = page.concat();
        let words: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let help = folder.run(&words).ok().stdout;
        let example = help.lines().skip_while(|line| *line != "Examples:");
        for line in example.filter(|line| line.starts_with("    ")) {
            assert!(page.contains(line.trim()), "{name}: {line}\n{page}");
        }
    }
}
