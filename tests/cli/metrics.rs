//! The metrics file of `sync`.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use okta_fake::Org;

use crate::support::{Folder, Okta};

/// Returns the value of a metric, which has one series.
fn value(file: &Path, name: &str) -> Option<f64> {
    let text = std::fs::read_to_string(file).unwrap();
    let start = format!("okta_ciam_{name}{{domain=\"127.0.0.1:");
    let line = text.lines().find(|line| line.starts_with(&start))?;
    Some(line.rsplit(' ').next().unwrap().parse().unwrap())
}

#[test]
fn metrics_are_written_after_success_and_after_failure_and_keep_the_last_success() {
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    let file = folder.path("okta.prom");
    let options = ["--metrics-file", "okta.prom"];
    folder.sync(&okta, &options).ok();
    let success = value(&file, "last_success_timestamp_seconds").unwrap();
    let users = value(&file, "users").unwrap();
    assert!(success > 1.7e9 && users > 0.0 && value(&file, "requests").unwrap() > 0.0);
    assert_eq!(value(&file, "exit_code"), Some(0.0));
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);

    folder
        .sync(&okta, &[&options[..], &["--max-drop", "x"]].concat())
        .end()
        .code(2);
    assert_eq!(value(&file, "exit_code"), Some(2.0));
    assert_eq!(
        value(&file, "last_success_timestamp_seconds"),
        Some(success)
    );
    assert!(value(&file, "last_run_timestamp_seconds").unwrap() >= success);
    assert_eq!(value(&file, "users"), Some(users));
    assert_eq!(value(&file, "requests"), None);
    assert!(
        folder
            .names()
            .iter()
            .all(|name| !name.contains("tmp-metrics"))
    );
}

#[test]
fn a_first_failure_has_metrics_without_a_success() {
    let okta = Okta::unasked();
    let folder = Folder::new();
    folder
        .sync(&okta, &["--max-drop", "x"])
        .env("BATON_METRICS_FILE", "okta.prom")
        .end()
        .code(2);
    let file = folder.path("okta.prom");
    assert_eq!(value(&file, "exit_code"), Some(2.0));
    assert_eq!(value(&file, "last_success_timestamp_seconds"), None);
}

#[test]
fn a_metrics_file_that_cannot_be_written_is_a_warning_and_no_other_file_is_replaced() {
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    std::fs::write(folder.path("notes.prom"), "mine").unwrap();
    for path in ["notes.prom", "missing/okta.prom"] {
        let done = folder.sync(&okta, &["--metrics-file", path]).ok();
        assert!(
            done.stderr.contains("cannot write the metrics file"),
            "{path}"
        );
    }
    let notes = std::fs::read_to_string(folder.path("notes.prom")).unwrap();
    assert_eq!(notes, "mine");
}

#[test]
fn metrics_never_take_the_name_of_a_snapshot_or_of_the_manifest() {
    let okta = Okta::unasked();
    let folder = Folder::new();
    for path in [
        "sync.c1z",
        "a.db",
        "sync.db-wal",
        "sync.c1z.partial",
        "okta",
        "m.prom",
    ] {
        // The run fails anyway, and must not write metrics where the snapshot or the manifest belongs.
        let arguments = ["--metrics-file", path, "--manifest", "m.prom"];
        let ran = folder
            .sync(&okta, &[&arguments[..], &["--max-drop", "x"]].concat())
            .end()
            .code(2);
        assert!(ran.error().contains("--metrics-file"), "{}", ran.stderr);
        assert!(folder.names().is_empty(), "{path}: {:?}", folder.names());
    }
}
