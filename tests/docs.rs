//! What the documents say of the tests is so.

use std::path::Path;

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
