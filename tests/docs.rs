//! What the documents say of the tests is so.

use std::path::Path;

use okta_ciam::evidence::findings::catalogue::CATALOGUE;
use okta_ciam::snapshot::{Column, TABLES};

/// Every test that the threat model names is there.
#[test]
fn the_threat_model_names_tests_that_are_there() {
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
        assert!(code.contains(&format!("fn {test}(")), "{name} is not there");
        named += 1;
    }
    assert!(named > 100, "{named}");
}

/// What the last row of a document that starts with a table's name says of it.
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
fn the_page_about_the_file_has_the_columns_of_every_table() {
    for (table, columns) in TABLES {
        let definitions: Vec<String> = columns.iter().map(Column::to_string).collect();
        assert_eq!(
            described("docs/c1z-format.md", table),
            definitions.join(", ")
        );
    }
}

/// The page of findings lists the catalogue, row by row.
#[test]
fn the_page_of_findings_has_the_catalogue() {
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
