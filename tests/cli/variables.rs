//! Tests that each command reads the variables that the page of options lists for it, and no others.

use std::collections::BTreeSet;

use clap::CommandFactory as _;
use okta_ciam::testing::cli::Cli;
use okta_ciam::testing::config::variable;
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

#[test]
fn a_command_reads_the_listed_variables_and_no_other() {
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    folder.sync(&okta, &[]).ok();
    let root = Cli::command();
    let mut all = BTreeSet::new();
    let listed = RUNS.map(|words| {
        let command = words
            .iter()
            .map_while({
                let mut command = &root;
                move |word| {
                    command = command.find_subcommand(word)?;
                    Some(command)
                }
            })
            .last()
            .unwrap();
        let arguments = command.get_arguments().chain(root.get_arguments());
        let names = arguments.filter_map(|argument| {
            let name = argument
                .get_long()
                .unwrap_or_else(|| argument.get_id().as_str());
            let is_of_demo = words[0] == "demo";
            variable(words[0], name).filter(|_| !is_of_demo)
        });
        let names: BTreeSet<&str> = names.collect();
        all.extend(names.iter().copied());
        names
    });
    assert_eq!(all.len(), 26, "{all:?}");
    for (words, listed) in RUNS.iter().zip(listed) {
        for name in &all {
            let mut run = folder.run(words);
            if !["diff", "demo"].contains(&words[0]) {
                run = run
                    .env("BATON_DOMAIN", &okta.origin())
                    .env("BATON_EMAIL_DOMAINS", "example.com");
                // The other option for the token would conflict with this one.
                if !name.starts_with("BATON_API_TOKEN") {
                    run = run.env("BATON_API_TOKEN", okta.token());
                }
            }
            let ran = run.env(name, refused(name)).end();
            let is_refused = ran.code == Some(2) && ran.stderr.contains(&format!("{name}: "));
            assert_eq!(
                is_refused,
                listed.contains(name),
                "{words:?} {name}: {}",
                ran.stderr
            );
        }
    }
}
