//! Writes the log records of a run for programs, and the metrics file of `sync`. The file contains gauges in
//! Prometheus's text format, and is replaced at the end of every run, including failed ones.
//!
//! The time of the last success and the numbers of users, groups and memberships describe the snapshot in FILE. A run
//! that does not replace FILE keeps these values from the previous metrics file.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, bail};
use jiff::Timestamp;

use crate::atomic_file::{Temporary, hidden_name, resolve_replaceable, split_path};
use crate::config::MetricsConfig;
use crate::console::RECORDS;
use crate::exit::{self, ExitStatus};
use crate::sync::pipeline::Published;
use crate::text::one_line;

/// The measurements of a run; empty if the run ended early.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    snapshot: Option<Snapshot>,
    run_id: Option<String>,
}

#[derive(Clone, Copy, Debug)]
struct Snapshot {
    users: u64,
    groups: u64,
    memberships: u64,
    requests: u64,
    waited_seconds: f64,
    warnings: usize,
}

impl Measured {
    /// Logs that a run starts.
    pub(super) fn start(&mut self, run_id: Option<&str>) {
        self.run_id = run_id.map(str::to_owned);
        tracing::info!(target: RECORDS, event = "started", run_id, "the run started");
    }

    /// Logs that a run ended.
    fn end(&self, exit: ExitStatus, seconds: f64) {
        let event = match exit {
            ExitStatus::Done => "finished",
            _ => "failed",
        };
        let snapshot = self.snapshot.as_ref();
        tracing::info!(
            target: RECORDS,
            event,
            run_id = self.run_id,
            exit_code = exit.code(),
            exit = exit.word(),
            seconds,
            users = snapshot.map(|snapshot| snapshot.users),
            groups = snapshot.map(|snapshot| snapshot.groups),
            memberships = snapshot.map(|snapshot| snapshot.memberships),
            requests = snapshot.map(|snapshot| snapshot.requests),
            waited_seconds = snapshot.map(|snapshot| snapshot.waited_seconds),
            warnings = snapshot.map(|snapshot| snapshot.warnings),
            "the run {event}"
        );
    }

    pub(super) fn note(&mut self, published: &Published) {
        let snapshot = &published.snapshot;
        self.snapshot = Some(Snapshot {
            users: snapshot.counts.users,
            groups: snapshot.counts.groups,
            memberships: snapshot.counts.memberships,
            requests: snapshot.metadata.requests,
            waited_seconds: snapshot.metadata.waited_seconds,
            warnings: snapshot.warnings.len(),
        });
    }
}

/// Runs a sync, including its configuration, and writes the metrics file if requested. If writing the metrics file
/// fails, only a warning is printed, since the snapshot matters more.
///
/// # Errors
/// Returns the error of the run.
pub fn recorded(
    metrics: Option<&MetricsConfig>,
    run: impl FnOnce(&mut Measured) -> anyhow::Result<ExitStatus>,
) -> anyhow::Result<ExitStatus> {
    let begun = Instant::now();
    let mut measured = Measured::default();
    let ended = run(&mut measured);
    let exit = ended.as_ref().map_or_else(exit::of_error, |exit| *exit);
    let seconds = begun.elapsed().as_secs_f64();
    measured.end(exit, seconds);
    if let Some(metrics) = metrics {
        let run = Ended {
            domain: &metrics.domain,
            at: Timestamp::now().as_second(),
            exit,
            seconds,
            measured,
        };
        if let Err(error) = write(&metrics.path, &run) {
            tracing::warn!("cannot write the metrics file: {}", one_line(&error));
        }
    }
    ended
}

/// A completed run.
struct Ended<'a> {
    domain: &'a str,
    at: i64,
    exit: ExitStatus,
    seconds: f64,
    measured: Measured,
}

fn write(typed: &Path, run: &Ended<'_>) -> anyhow::Result<()> {
    let path = resolve_replaceable(typed)?;
    let old = match fs::read(&path) {
        Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            return Err(error).with_context(|| format!("cannot open {}", path.display()));
        }
    };
    let before = old.as_deref().unwrap_or_default();
    if !before.is_empty() && !before.starts_with("# HELP okta_ciam_") {
        bail!(
            "{} is not a metrics file of okta-ciam; use another name, or remove it",
            path.display()
        );
    }
    let (folder, name) = split_path(&path)?;
    let temporary = Temporary::reserve(folder.join(hidden_name(&name, "tmp-metrics")))?;
    let mut file = temporary.create()?;
    // The collector runs as another user. If the file is replaced, it keeps its permissions.
    file.set_permissions(Permissions::from_mode(0o644))
        .and_then(|()| file.write_all(render(run, before).as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))?;
    temporary.publish(&path)
}

/// A metric with its value.
struct Gauge {
    name: &'static str,
    help: &'static str,
    value: Option<f64>,
    /// True if the value of the previous file is kept when there is no new one.
    is_kept: bool,
}

impl Gauge {
    /// Creates a gauge that describes only this run.
    fn new(name: &'static str, help: &'static str, value: Option<f64>) -> Self {
        Self {
            name,
            help,
            value,
            is_kept: false,
        }
    }

    fn kept(self) -> Self {
        Self {
            is_kept: true,
            ..self
        }
    }
}

fn gauges(run: &Ended<'_>) -> [Gauge; 10] {
    let snapshot = run.measured.snapshot;
    let done = run.exit == ExitStatus::Done;
    let of = |value: fn(Snapshot) -> f64| snapshot.map(value);
    let published = |value: fn(Snapshot) -> u64| {
        let accepted = snapshot.filter(|_| done);
        accepted.map(|of| value(of) as f64)
    };
    let (at, code) = (run.at as f64, f64::from(run.exit.code()));
    let success = done.then_some(at);
    let new = Gauge::new;
    [
        new(
            "last_run_timestamp_seconds",
            "When the last sync ended.",
            Some(at),
        ),
        new(
            "last_success_timestamp_seconds",
            "When the last successful sync ended.",
            success,
        )
        .kept(),
        new("exit_code", "Exit code of the last sync.", Some(code)),
        new(
            "duration_seconds",
            "Duration of the last sync.",
            Some(run.seconds),
        ),
        new("users", "Users in the snapshot.", published(|of| of.users)).kept(),
        new(
            "groups",
            "Groups in the snapshot.",
            published(|of| of.groups),
        )
        .kept(),
        new(
            "memberships",
            "Memberships in the snapshot.",
            published(|of| of.memberships),
        )
        .kept(),
        new(
            "requests",
            "Requests of the last sync that read the complete org.",
            of(|of| of.requests as f64),
        ),
        new(
            "rate_limit_wait_seconds",
            "Time that it waited for rate limits.",
            of(|of| of.waited_seconds),
        ),
        new(
            "warnings",
            "Warnings in its snapshot.",
            of(|of| of.warnings as f64),
        ),
    ]
}

/// Returns the content of the new file, given the content of the previous one.
fn render(run: &Ended<'_>, before: &str) -> String {
    let domain = label(run.domain);
    let mut text = String::new();
    for Gauge {
        name,
        help,
        value,
        is_kept,
    } in gauges(run)
    {
        let series = format!("okta_ciam_{name}{{domain=\"{domain}\"}}");
        let old = || is_kept.then(|| kept(before, &series)).flatten();
        if let Some(value) = value.or_else(old) {
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "# HELP okta_ciam_{name} {help}\n# TYPE okta_ciam_{name} gauge\n{series} {value}\n"
            );
        }
    }
    text
}

/// Returns the value of a series in the previous file.
fn kept(before: &str, series: &str) -> Option<f64> {
    let value = before
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    value.parse().ok().filter(|value: &f64| value.is_finite())
}

/// Escapes the value of a label.
fn label(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(exit: ExitStatus, at: i64, users: Option<u64>) -> String {
        render(&run(exit, at, users), "")
    }

    fn run(exit: ExitStatus, at: i64, users: Option<u64>) -> Ended<'static> {
        let snapshot = users.map(|users| Snapshot {
            users,
            groups: 2,
            memberships: 3,
            requests: 4,
            waited_seconds: 0.5,
            warnings: 1,
        });
        Ended {
            domain: "a\"b\\c\nd",
            at,
            exit,
            seconds: 1.5,
            measured: Measured {
                snapshot,
                run_id: None,
            },
        }
    }

    const DOMAIN: &str = r#"{domain="a\"b\\c\nd"}"#;

    #[test]
    fn a_failure_keeps_the_last_success_and_the_counts_of_the_snapshot() {
        let success = ended(ExitStatus::Done, 100, Some(7));
        for (exit, users) in [
            (ExitStatus::Unavailable, None),
            (ExitStatus::Guard, Some(9)),
        ] {
            let text = render(&run(exit, 200, users), &success);
            for (name, value) in [
                ("last_run_timestamp_seconds", "200".to_owned()),
                ("last_success_timestamp_seconds", "100".to_owned()),
                ("users", "7".to_owned()),
                ("exit_code", exit.code().to_string()),
            ] {
                let line = format!("\nokta_ciam_{name}{DOMAIN} {value}\n");
                assert!(text.contains(&line), "{line}{text}");
            }
            assert_eq!(text.contains("okta_ciam_requests"), users.is_some());
        }
    }

    #[test]
    fn a_first_failure_has_no_success_and_a_damaged_file_has_none_to_keep() {
        for before in ["", "# HELP okta_ciam_x", "okta_ciam_users NaN"] {
            let text = render(&run(ExitStatus::Failed, 200, None), before);
            assert!(!text.contains("last_success") && !text.contains("_users"));
            assert!(text.contains(&format!("okta_ciam_exit_code{DOMAIN} 2\n")));
        }
    }
}
