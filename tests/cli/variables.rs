//! Tests that each command reads the variables that the page of options lists for it, and no others.

use std::collections::BTreeSet;

use clap::CommandFactory as _;
use okta_ciam::testing::cli::{Cli, variable, variables};
use okta_fake::Org;

use crate::support::{Folder, Okta};

/// Arguments with which each command succeeds, apart from settings.
const RUNS: [&[&str]; 12] = [
    &["sync"],
    &["grant", "--user", "a", "--group", "b"],
    &["revoke", "--user", "a", "--group", "b", "--dry-run"],
    &["check"],
    &["show"],
    &["verify"],
    &["diff", "sync.c1z", "sync.c1z"],
    &["export", "--format", "csv", "--to", "tables"],
    &["findings"],
    &["report", "-o", "report.html"],
    &["review", "start", "-o", "sheet.csv"],
    &["demo"],
];

/// Returns a value that every setting refuses: a control character, or for a token a space.
fn refused(name: &str) -> &'static str {
    match name {
        "BATON_API_TOKEN" => "a b",
        _ => "a\tb",
    }
}

/// The variables of a command, and those that each option with a value would have.
#[derive(Default)]
struct Variables {
    listed: BTreeSet<String>,
    possible: BTreeSet<String>,
}

impl Variables {
    fn add(&mut self, command: &clap::Command) {
        let arguments = command.get_arguments();
        for argument in arguments.filter(|argument| argument.get_action().takes_values()) {
            let id = argument.get_id().as_str();
            let name = argument.get_long().unwrap_or(id).to_uppercase();
            self.possible
                .insert(format!("BATON_{}", name.replace('-', "_")));
            self.listed.extend(variable(argument));
        }
    }
}

fn add_all(command: &clap::Command, all: &mut Variables) {
    all.add(command);
    command.get_subcommands().for_each(|sub| add_all(sub, all));
}

#[test]
fn a_command_reads_the_listed_variables_and_no_other() {
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    folder.sync(&okta, &[]).ok();
    let root = Cli::command();
    let mut all = Variables::default();
    add_all(&root, &mut all);
    let mut tried = BTreeSet::new();
    for words in RUNS {
        let mut own = Variables::default();
        let mut command = &root;
        own.add(command);
        for word in words {
            let Some(sub) = command.find_subcommand(word) else {
                break;
            };
            command = sub;
            own.add(command);
        }
        if words[0] == "demo" {
            own.listed.clear();
        }
        let run = |names: &[&String]| {
            let mut run = folder.run(words);
            if !["diff", "demo"].contains(&words[0]) {
                run = run
                    .env("BATON_DOMAIN", &okta.origin())
                    .env("BATON_EMAIL_DOMAINS", "example.com");
                // The other option for the token would conflict with this one.
                if !names.iter().any(|name| name.starts_with("BATON_API_TOKEN")) {
                    run = run.env("BATON_API_TOKEN", okta.token());
                }
            }
            for name in names {
                run = run.env(name, refused(name));
            }
            run.end()
        };
        for name in &own.listed {
            let ran = run(&[name]);
            let names_it =
                [":", " "].map(|next| ran.stderr.contains(&format!("error: {name}{next}")));
            let is_refused = ran.code == Some(2) && names_it.contains(&true);
            assert!(is_refused, "{words:?} {name}: {}", ran.stderr);
        }
        let others: Vec<&String> = all.possible.difference(&own.listed).collect();
        let ran = run(&others);
        for name in others {
            let about = format!("{name}: ");
            assert!(!ran.stderr.contains(&about), "{words:?}: {}", ran.stderr);
        }
        tried.extend(own.listed);
    }
    assert_eq!(tried, variables());
    assert!(tried.is_subset(&all.possible) && tried.len() < all.possible.len());
}

/// A command with a variable that no run tries would read what it likes.
#[test]
fn every_command_with_a_variable_of_its_own_is_run() {
    fn check(command: &clap::Command, names: &[&str]) {
        let has_own = command.get_arguments().any(|it| variable(it).is_some());
        let is_run = RUNS.iter().any(|words| words.starts_with(names));
        assert!(!has_own || is_run, "{names:?}");
        for sub in command.get_subcommands() {
            check(sub, &[names, &[sub.get_name()]].concat());
        }
    }
    check(&Cli::command(), &[]);
}
