//! Tests that the documents describe the program and its tests correctly.

use std::path::Path;

use okta_ciam::testing::evidence::findings::catalogue::CATALOGUE;
use okta_ciam::testing::exit::ExitStatus;
use okta_ciam::testing::snapshot::{Column, TABLES};

/// Checks that every test that the threat model refers to exists.
#[test]
fn the_tests_in_the_threat_model_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/threat-model.md")).unwrap();
    let table = text.lines().filter(|line| line.starts_with("| "));
    let mut named = 0;
    for name in table.flat_map(|line| line.split('`').skip(1).step_by(2)) {
        let Some((file, test)) = name.split_once("::") else {
            continue;
        };
        let file = if file.starts_with("src/") {
            root.join(file)
        } else {
            root.join("tests/cli").join(file).with_extension("rs")
        };
        let code = std::fs::read_to_string(&file)
            .unwrap_or_else(|error| panic!("{name}: {}: {error}", file.display()));
        assert!(
            code.contains(&format!("fn {test}(")),
            "the test {name} does not exist"
        );
        named += 1;
    }
    assert!(named > 100, "{named}");
}

/// Returns the description of a table in the last row of a document that starts with its name.
fn described(document: &str, table: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{document}: {error}"));
    let start = format!("| `{table}` | ");
    let line = text
        .lines()
        .filter_map(|line| line.strip_prefix(&start)?.strip_suffix(" |"))
        .next_back()
        .map(str::to_owned);
    line.unwrap_or_else(|| panic!("{document} does not describe {table}"))
}

#[test]
fn the_page_about_the_file_format_lists_the_columns_of_every_table() {
    for (table, columns) in TABLES {
        let definitions: Vec<String> = columns.iter().map(Column::to_string).collect();
        assert_eq!(
            described("docs/c1z-format.md", table),
            definitions.join(", ")
        );
    }
}

/// Checks that the page of findings lists the catalogue, row by row.
#[test]
fn the_page_of_findings_lists_the_catalogue() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/findings.md");
    let text = std::fs::read_to_string(page).unwrap();
    let written: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("| OC"))
        .collect();
    let coded: Vec<String> = CATALOGUE
        .iter()
        .map(|entry| {
            let severity = entry.severity.word();
            format!(
                "| {} | {} | {severity} | {} |",
                entry.id, entry.name, entry.definition
            )
        })
        .collect();
    assert_eq!(written, coded);
    assert!(CATALOGUE.is_sorted_by(|left, right| left.id < right.id));
}

/// Splits the help of an option into the text and the marks at its end, such as `[default: 75]`.
fn marks(help: &str) -> (String, String, String) {
    let mut text = help.to_owned();
    let mut take = |start: &str| {
        let from = text.find(start)?;
        let length = text[from..].find(']')?;
        let value = text[from + start.len()..from + length].to_owned();
        text.replace_range(from..=from + length, "");
        Some(value)
    };
    let default = take("[default: ");
    take("[env: ");
    let required = take("[required").map(|_| "required".to_owned());
    let text = text.trim().replace('|', "\\|").replace('*', "\\*");
    (
        text,
        default.unwrap_or_default(),
        required.unwrap_or_default(),
    )
}

fn option_row(option: &clap::Arg) -> String {
    let names = option.get_value_names().unwrap_or_default();
    let value = match names.first() {
        Some(name) if option.get_action().takes_values() => name.replace('|', "\\|"),
        _ => String::new(),
    };
    let long = option.get_long();
    let name = match (option.get_short(), long) {
        (Some(short), Some(long)) => format!("`-{short}`, `--{long}`"),
        (None, Some(long)) => format!("`--{long}`"),
        _ => format!("`{value}`"),
    };
    let name = match (value.as_str(), long) {
        ("", _) | (_, None) => name,
        (value, Some(_)) => format!("{name} {value}"),
    };
    let variable = okta_ciam::testing::cli::variable(option);
    let variable = variable.map_or_else(String::new, |name| format!("`{name}`"));
    let help = option.get_help().map(ToString::to_string);
    let (text, default, required) = marks(&help.unwrap_or_default());
    let default = match (default.as_str(), required.as_str()) {
        ("", required) => required.to_owned(),
        ("none" | "any free port", _) => default,
        (value, _) if value.contains(' ') => default,
        (value, _) => format!("`{value}`"),
    };
    format!("| {name} | {variable} | {default} | {text} |\n")
}

fn option_table(title: &str, options: &[&clap::Arg]) -> String {
    if options.is_empty() {
        return String::new();
    }
    let rows: String = options.iter().map(|option| option_row(option)).collect();
    format!("\n### {title}\n\n| Option | Variable | Default | |\n|---|---|---|---|\n{rows}")
}

/// Returns the options of all commands, as the page of options lists them.
fn all_options() -> String {
    fn add(command: &clap::Command, prefix: &str, text: &mut String) {
        for sub in command.get_subcommands() {
            let name = format!("{prefix}{}", sub.get_name());
            let options: Vec<&clap::Arg> = sub
                .get_arguments()
                .filter(|option| !option.is_hide_set())
                .collect();
            text.push_str(&option_table(&name, &options));
            add(sub, &format!("{name} "), text);
        }
    }
    // The command is not built, so that global options belong only to the command that defines them.
    let root = <okta_ciam::testing::cli::Cli as clap::CommandFactory>::command();
    let global: Vec<&clap::Arg> = root.get_arguments().collect();
    let mut text = option_table("All commands", &global);
    add(&root, "", &mut text);
    text
}

/// Checks that the page of options is complete. `UPDATE_FIXTURES=1 cargo test --test docs` updates it.
#[test]
fn the_page_of_options_lists_every_option_with_its_variable_and_default() {
    const START: &str =
        "<!-- From here on, UPDATE_FIXTURES=1 cargo test --test docs writes the page. -->\n";
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/options.md");
    let text = std::fs::read_to_string(&page).unwrap();
    let (before, listed) = text.split_once(START).unwrap();
    let options = all_options();
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::write(&page, format!("{before}{START}{options}")).unwrap();
    } else {
        assert_eq!(listed, options);
    }
    assert!(options.matches("\n| ").count() > 130, "{options}");
}

/// README's table of exit codes has the codes of the program, in their order.
#[test]
fn the_readme_lists_every_exit_code() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = std::fs::read_to_string(readme).unwrap();
    let (_, section) = text.split_once("\n## Exit codes\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| "));
    let listed: Vec<&str> = rows
        .skip(1)
        .filter_map(|row| row.split('|').nth(1).map(str::trim))
        .collect();
    let mut codes: Vec<String> = ExitStatus::all()
        .map(|exit| exit.code().to_string())
        .collect();
    codes.push("130, 143".to_owned());
    assert_eq!(listed, codes);
}

/// A path in backticks that starts with a top folder of the repository is there.
#[test]
fn the_paths_in_the_documents_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [
        "src/",
        "tests/",
        "docs/",
        "crates/",
        "benches/",
        "fuzz/",
        "deploy/",
        "templates/",
        ".ci/",
        ".github/",
    ];
    let mut documents = vec![root.join("README.md"), root.join("CONTRIBUTING.md")];
    for entry in std::fs::read_dir(root.join("docs")).unwrap() {
        let path = entry.unwrap().path();
        documents.extend(
            path.extension()
                .is_some_and(|ending| ending == "md")
                .then_some(path),
        );
    }
    let mut found = 0;
    for document in documents {
        let text = std::fs::read_to_string(&document).unwrap();
        for line in text.lines() {
            for word in line.split('`').skip(1).step_by(2) {
                // A test's name may follow.
                let path = word.split("::").next().unwrap();
                let is_path = folders.iter().any(|folder| path.starts_with(folder));
                // Patterns such as `src/*` and names with placeholders are not paths.
                let is_placeholder =
                    path.contains(['*', ' ', '<', '{', '%', '…']) || path == "tests/cli/a.rs";
                if !is_path || is_placeholder {
                    continue;
                }
                let there = root.join(path).exists();
                let target = Path::new("fuzz/fuzz_targets").join(path.trim_start_matches("fuzz/"));
                let is_target = root.join(target).with_extension("rs").exists();
                assert!(there || is_target, "{}: {path}", document.display());
                found += 1;
            }
        }
    }
    assert!(found > 100, "{found}");
}
