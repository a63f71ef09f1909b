//! Runs a scenario: the tool several times, then the floors as many times.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use okta_ciam::testing::text::{number, span};
use serde::{Deserialize, Serialize};

use crate::cases::{Case, Plan};
use crate::measure::{self, Measured};
use crate::org::{self, Running};
use crate::{floors, note};

/// The fields of a sync's summary that are used here.
#[derive(Debug, Deserialize)]
pub struct Summary {
    complete: bool,
    bytes: u64,
    strategy: String,
    users: InScope,
    groups: InScope,
    memberships: Stored,
    requests: u64,
}

#[derive(Debug, Deserialize)]
struct InScope {
    in_scope: u64,
}

#[derive(Debug, Deserialize)]
struct Stored {
    stored: u64,
}

/// The result of a scenario: medians, and every run of the tool.
#[derive(Debug, Serialize)]
pub struct Report {
    pub name: String,
    pub case: Case,
    pub plan: Plan,
    /// The strategy that the tool chose for memberships.
    pub strategy: String,
    pub requests: f64,
    /// The number of these requests that list users, in the last run.
    pub user_pages: u64,
    /// The number of requests in the plan.
    pub floor_requests: u64,
    pub wall_seconds: f64,
    /// The wall time if only latency costs time; `None` without latency or with a rate limit.
    pub ideal_seconds: Option<f64>,
    pub processor_seconds: f64,
    pub floors: Floors,
    pub peak_bytes: f64,
    /// The rows of the plan's responses per second of wall time.
    pub rows_per_second: f64,
    pub users_kept: u64,
    pub groups_kept: u64,
    pub memberships_kept: u64,
    /// The size of all response bodies of the last run.
    pub fetched_bytes: u64,
    pub file_bytes: u64,
    pub database_bytes: u64,
    pub runs: Vec<Cost>,
}

/// The minimum of processor time, in seconds.
#[derive(Debug, Serialize)]
pub struct Floors {
    pub fetch: f64,
    pub insert: f64,
    pub pack: f64,
}

impl Floors {
    pub fn sum(&self) -> f64 {
        self.fetch + self.insert + self.pack
    }
}

/// The cost of one run of the tool.
#[derive(Debug, Serialize)]
pub struct Cost {
    requests: u64,
    wall_seconds: f64,
    processor_seconds: f64,
    peak_bytes: u64,
}

/// Runs the tool once, and checks that the snapshot contains what is in the org.
pub fn sync(org: &Running, case: &Case, file: &Path) -> anyhow::Result<(Measured, Summary)> {
    let environment = [
        ("BATON_DOMAIN", org.origin.as_str()),
        ("BATON_API_TOKEN", org.token.as_str()),
        ("BATON_EMAIL_DOMAINS", org::DOMAIN),
    ];
    let mut arguments = vec![
        "sync".as_ref(),
        "--quiet".as_ref(),
        "--output=json".as_ref(),
        "--file".as_ref(),
        file.as_os_str(),
    ];
    if case.prefilter {
        arguments.push("--skip-secondary-emails".as_ref());
    }
    let tool = env!("CARGO_BIN_EXE_okta-ciam");
    let measured = measure::run(tool, arguments, &environment)?;
    let summary: Summary = serde_json::from_str(&measured.stdout)?;
    let stored = [
        summary.users.in_scope,
        summary.groups.in_scope,
        summary.memberships.stored,
    ];
    let sizes = &org.sizes;
    let expected = [
        sizes.users_in_scope,
        sizes.groups,
        sizes.memberships_in_scope,
    ];
    ensure!(summary.complete, "the snapshot is incomplete");
    ensure!(
        stored == expected,
        "the snapshot contains {stored:?} users, groups and memberships, but the org contains {expected:?}"
    );
    Ok((measured, summary))
}

/// The measured runs of a scenario.
struct Syncs {
    costs: Vec<Cost>,
    /// The summary of the last run.
    summary: Summary,
    /// The number of pages of users in the last run.
    user_pages: u64,
}

fn syncs(org: &mut Running, case: &Case, container: &Path, times: usize) -> anyhow::Result<Syncs> {
    let name = case.name();
    let (mut costs, mut last) = (Vec::new(), None);
    for number in 1..=times {
        org.reset()?;
        let (measured, summary) = sync(org, case, container)?;
        let counts = org.request_counts()?;
        ensure!(
            counts.requests == summary.requests,
            "the tool reports {} requests, but the server counted {}",
            summary.requests,
            counts.requests
        );
        note(&format!(
            "{name}: run {number} of {times} took {}",
            span(Duration::from_secs_f64(measured.wall))
        ));
        costs.push(Cost {
            requests: counts.requests,
            wall_seconds: measured.wall,
            processor_seconds: measured.processor,
            peak_bytes: measured.peak,
        });
        last = Some((summary, counts.users));
    }
    let (summary, user_pages) = last.context("there were no runs")?;
    Ok(Syncs {
        costs,
        summary,
        user_pages,
    })
}

/// Measures a scenario.
pub fn run(case: &Case, times: usize) -> anyhow::Result<Report> {
    let name = case.name();
    let folder = tempfile::tempdir()?;
    let path = |file: &str| folder.path().join(file);
    let (container, database, targets) = (path("sync.c1z"), path("sync.db"), path("targets"));
    let mut org = Running::start(case)?;
    note(&format!("{name}: the server is ready"));
    let plan = Plan::of(&org.sizes, case.prefilter);
    let Syncs {
        costs,
        summary,
        user_pages,
    } = syncs(&mut org, case, &container, times)?;
    let count = org.write_targets(&targets)?;
    // The floors are measured without rate limits.
    org.unlimit()?;
    let mut fetched_bytes = 0;
    let fetch = median_of(times, || {
        let (seconds, bytes) = floors::fetch(&org, &targets, count)?;
        fetched_bytes = bytes;
        Ok(seconds)
    })?;
    let sizes = org.sizes.clone();
    drop(org);
    floors::unpack(&container, &database)?;
    let insert = median_of(times, || floors::insert(&database, &path("copy.db")))?;
    let pack = median_of(times, || floors::pack(&database, &path("copy.c1z")))?;
    note(&format!(
        "{name}: measured the floors with {} pages",
        number(count)
    ));
    let median = |of: &dyn Fn(&Cost) -> f64| median(costs.iter().map(of).collect());
    let wall_seconds = median(&|cost| cost.wall_seconds);
    let latency = Duration::from_millis(case.latency_ms);
    let ideal = (case.latency_ms > 0 && case.rate_limit.is_none()).then(|| plan.ideal(latency));
    Ok(Report {
        name,
        case: case.clone(),
        strategy: summary.strategy,
        requests: median(&|cost| cost.requests as f64),
        user_pages,
        floor_requests: plan.requests(),
        wall_seconds,
        ideal_seconds: ideal.map(|ideal| ideal.as_secs_f64()),
        processor_seconds: median(&|cost| cost.processor_seconds),
        floors: Floors {
            fetch,
            insert,
            pack,
        },
        peak_bytes: median(&|cost| cost.peak_bytes as f64),
        rows_per_second: plan.rows as f64 / wall_seconds,
        users_kept: sizes.users_in_scope,
        groups_kept: sizes.groups,
        memberships_kept: sizes.memberships_in_scope,
        fetched_bytes,
        file_bytes: summary.bytes,
        database_bytes: std::fs::metadata(&database)?.len(),
        plan,
        runs: costs,
    })
}

fn median_of(
    times: usize,
    mut measure: impl FnMut() -> anyhow::Result<f64>,
) -> anyhow::Result<f64> {
    let values: anyhow::Result<Vec<f64>> = (0..times).map(|_| measure()).collect();
    values.map(median)
}

/// Returns the median; 0 if there are no values.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.get(middle) {
        None => 0.0,
        Some(value) if values.len() % 2 == 1 => *value,
        Some(value) => (value + values[middle - 1]) / 2.0,
    }
}
