//! Checks that a module imports only modules of lower layers. docs/architecture.md contains the reasons.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules of `src/`, from the lowest layer to the highest. Modules of the same layer do not import each other.
const LAYERS: [&[&str]; 11] = [
    &[
        "mask", "model", "signal", "text", "trust", "whoami", "words",
    ],
    &["atomic_file", "filter", "near", "sheet"],
    &["okta", "snapshot"],
    &["exit"],
    &["sync"],
    &["change", "evidence"],
    &["console"],
    &["cli"],
    &["config"],
    &["failure"],
    &["commands"],
];

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}

/// Returns the modules that a source file imports as `crate::…`, without its tests.
fn imports(source: &str) -> BTreeSet<String> {
    let code = source.split("#[cfg(test)]\nmod tests").next().unwrap();
    let code = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let code: Vec<&str> = code.collect();
    let code = code.join("\n");
    let is_word = |c: char| c.is_ascii_lowercase() || c == '_';
    let mut found = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        if let Some(list) = after.strip_prefix('{') {
            let list = list.split(';').next().unwrap();
            let names = list.split([',', '{']).map(str::trim);
            found.extend(names.map(|name| name.chars().take_while(|c| is_word(*c)).collect()));
        } else {
            found.insert(after.chars().take_while(|c| is_word(*c)).collect());
        }
    }
    found
        .into_iter()
        .filter(|name: &String| layer(name).is_some())
        .collect()
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

#[test]
fn no_module_imports_one_of_its_own_layer_or_above() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut seen = BTreeSet::new();
    for file in files(&root) {
        let inside = file.strip_prefix(&root).unwrap().with_extension("");
        let module = inside.iter().next().unwrap().to_str().unwrap().to_owned();
        let is_test = inside.iter().any(|part| part == "tests");
        if ["main", "lib", "program"].contains(&module.as_str()) || is_test {
            continue;
        }
        let own = layer(&module).unwrap_or_else(|| panic!("{module} is in no layer"));
        for imported in imports(&fs::read_to_string(&file).unwrap()) {
            assert!(
                imported == module || layer(&imported).unwrap() < own,
                "{} imports {imported}, which is not below {module}",
                file.display()
            );
        }
        seen.insert(module);
    }
    assert_eq!(seen.len(), LAYERS.concat().len(), "{seen:?}");
}
