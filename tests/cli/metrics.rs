//! Tests the metrics file of `sync`.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use okta_fake::{Action, Endpoint, Fault, Org};

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
        .fails(2, "for --max-drop");
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
        .fails(2, "for --max-drop");
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
        // The run fails, and must not write metrics to the path of the snapshot or the manifest.
        let arguments = ["--metrics-file", path, "--manifest", "m.prom"];
        let ran = folder
            .sync(&okta, &[&arguments[..], &["--max-drop", "x"]].concat())
            .end()
            .code(2);
        assert!(ran.error().contains("--metrics-file"), "{}", ran.stderr);
        assert!(folder.names().is_empty(), "{path}: {:?}", folder.names());
    }
}

/// Returns the log records with an event, for a run that logs JSON.
fn events(ran: &crate::support::Ran) -> Vec<serde_json::Value> {
    let lines = ran.stderr.lines();
    let lines = lines.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines.filter(|line| line["event"].is_string()).collect()
}

#[test]
fn the_log_has_a_record_when_a_run_starts_and_one_when_it_ends() {
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    let json = ["--log-format", "json", "--run-id", "nightly-7"];
    let [started, finished] = &events(&folder.sync(&okta, &json).ok())[..] else {
        panic!();
    };
    assert_eq!(
        (&started["event"], &started["run_id"]),
        (&"started".into(), &"nightly-7".into())
    );
    let expected = serde_json::json!({
        "event": "finished", "run_id": "nightly-7", "exit_code": 0, "exit": "done", "warnings": 0,
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&finished[field], value, "{field}");
    }
    for field in ["users", "groups", "memberships", "requests"] {
        assert!(
            finished[field].as_u64().is_some_and(|count| count > 0),
            "{finished}"
        );
    }
    okta.fault(Fault::on(Endpoint::Users, Action::okta(401, "E0000011")));
    let wrong = folder.sync(&okta, &json).end();
    okta.clear_faults();
    let [_, failed] = &events(&wrong)[..] else {
        panic!()
    };
    assert_eq!(
        (&failed["event"], &failed["exit_code"]),
        (&"failed".into(), &5.into())
    );
    assert!(failed["users"].is_null());
    // On a console, there are no such records, since the result is printed.
    let console = folder.sync(&okta, &[]).ok();
    assert!(
        !console.stderr.contains("the run finished"),
        "{}",
        console.stderr
    );
}

#[test]
fn interrupted_runs_and_runs_on_a_locked_file_write_metrics() {
    let okta = Okta::with(Org::demo());
    okta.fault(Fault::on(
        Endpoint::Users,
        Action::Delay(Duration::from_secs(3_600)),
    ));
    let folder = Folder::new();
    let running = folder.sync(&okta, &["--metrics-file", "one.prom"]).start();
    while okta.asked("/api/v1/users").is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    // A second run on the same file, with its own metrics file.
    let second = folder.sync(&okta, &["--metrics-file", "two.prom"]).end();
    second.fails(9, "is locked by another run");
    assert_eq!(value(&folder.path("two.prom"), "exit_code"), Some(9.0));
    running.signal("TERM");
    running.end().fails(143, "interrupted");
    assert_eq!(value(&folder.path("one.prom"), "exit_code"), Some(143.0));
}
