//! Checks that a module imports only modules of lower layers. docs/architecture.md contains the reasons.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The modules of `src/`, from the lowest layer to the highest. Modules of the same layer do not import each other.
const LAYERS: [&[&str]; 11] = [
    &[
        "mask", "model", "signal", "text", "trust", "whoami", "words",
    ],
    &["atomic_file", "filter", "near", "sheet"],
    &["okta", "snapshot"],
    &["failure"],
    &["sync"],
    &["change", "evidence"],
    &["exit"],
    &["console"],
    &["cli"],
    &["config"],
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

/// The types and traits of Rust's prelude in the edition 2024.
const PRELUDE: [&str; 39] = [
    "AsMut",
    "AsRef",
    "AsyncFn",
    "AsyncFnMut",
    "AsyncFnOnce",
    "Box",
    "Clone",
    "Copy",
    "Default",
    "DoubleEndedIterator",
    "Drop",
    "Eq",
    "ExactSizeIterator",
    "Extend",
    "Fn",
    "FnMut",
    "FnOnce",
    "From",
    "FromIterator",
    "Future",
    "Into",
    "IntoFuture",
    "IntoIterator",
    "Iterator",
    "Option",
    "Ord",
    "PartialEq",
    "PartialOrd",
    "Result",
    "Send",
    "Sized",
    "String",
    "Sync",
    "ToOwned",
    "ToString",
    "TryFrom",
    "TryInto",
    "Unpin",
    "Vec",
];

/// Returns the name of the type or trait that a line defines for other files.
fn public_type(line: &str) -> Option<&str> {
    let line = line.trim_start().strip_prefix("pub")?;
    let line = match line.strip_prefix('(') {
        Some(scope) => scope.split_once(')')?.1,
        None => line,
    };
    let (keyword, name) = line.strip_prefix(' ')?.split_once(' ')?;
    if !["struct", "enum", "union", "trait", "type"].contains(&keyword) {
        return None;
    }
    let name = name.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    name.into_iter().next().filter(|name| !name.is_empty())
}

#[test]
fn no_two_modules_define_public_types_of_one_name_and_none_shadows_the_prelude() {
    // Modules with one error type call it `Error`, like `std::io` and `std::fmt`.
    let allowed = ["Error"];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut places: BTreeMap<String, BTreeSet<PathBuf>> = BTreeMap::new();
    for file in files(&root) {
        let inside = file.strip_prefix(&root).unwrap().to_owned();
        if inside.with_extension("").iter().any(|part| part == "tests") {
            continue;
        }
        let source = fs::read_to_string(&file).unwrap();
        let code = source.split("#[cfg(test)]\nmod tests").next().unwrap();
        for name in code.lines().filter_map(public_type) {
            let found = places.entry(name.to_owned()).or_default();
            found.insert(inside.clone());
        }
    }
    assert!(places.contains_key("Reader"), "{places:?}");
    let is_wrong = |name: &str, files: &BTreeSet<PathBuf>| {
        PRELUDE.contains(&name) || files.len() > 1 && !allowed.contains(&name)
    };
    places.retain(|name, files| is_wrong(name, files));
    assert!(
        places.is_empty(),
        "these names are in Rust's prelude or defined more than once: {places:#?}"
    );
}
