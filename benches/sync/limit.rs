//! Measures how much of a rate limit is used in real rate-limit windows, by one run and by two runs at the same time.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::anyhow;
use okta_ciam::testing::text::span;
use serde::Serialize;

use crate::cases::{Case, Plan};
use crate::note;
use crate::org::{RequestCounts, Running, Window};
use crate::run;

/// The percentage of a limit that a run may use; the tool's default.
const CAPACITY: u64 = 75;

/// The use of the bucket of the groups by concurrent runs.
#[derive(Debug, Serialize)]
pub struct Report {
    pub name: &'static str,
    pub tools: usize,
    /// The number of requests in this bucket that one run needs.
    pub needed: u64,
    pub limit: u64,
    /// The number of requests per window that the runs may use, for one run and for all of them together.
    pub allowed: u64,
    /// The rate-limit windows, without the last one, in which the runs ended.
    pub windows: Vec<Share>,
    /// The number of responses with 429, in all buckets and rate-limit windows.
    pub refused: u64,
    pub wall_seconds: f64,
}

/// The use of a rate-limit window.
#[derive(Debug, Serialize)]
pub struct Share {
    pub requests: u64,
    pub refused: u64,
    pub of_allowed: f64,
    pub of_limit: f64,
}

/// Measures one run, then two runs at the same time.
pub fn run(case: &Case) -> anyhow::Result<Vec<Report>> {
    let limit = case.rate_limit.unwrap_or(600);
    let case = Case {
        rate_limit: Some(limit),
        ..case.clone()
    };
    Ok(vec![
        measure("limit", &case, limit, 1)?,
        measure("limit, two runs at once", &case, limit, 2)?,
    ])
}

fn measure(name: &'static str, case: &Case, limit: u64, tools: usize) -> anyhow::Result<Report> {
    let folder = tempfile::tempdir()?;
    // A new server, so that its rate-limit windows contain only these runs.
    let mut org = Running::start(case)?;
    let plan = Plan::of(&org.sizes, case.prefilter);
    let needed = match plan.by {
        "group" => plan.group_pages + plan.membership_requests,
        _ => plan.group_pages,
    };
    note(&format!("{name}: the server is ready"));
    let walls = together(&org, case, folder.path(), tools)?;
    let wall_seconds = walls.into_iter().fold(0.0, f64::max);
    note(&format!(
        "{name}: took {}",
        span(Duration::from_secs_f64(wall_seconds))
    ));
    let RequestCounts { refused, .. } = org.request_counts()?;
    let windows = org.windows()?;
    let mut windows: Vec<&Window> = windows
        .iter()
        .filter(|window| window.bucket == "Groups")
        .collect();
    windows.pop();
    let allowed = limit * CAPACITY / 100;
    let share = |window: &&Window| Share {
        requests: window.requests,
        refused: window.refused,
        of_allowed: window.requests as f64 / allowed as f64,
        of_limit: window.requests as f64 / limit as f64,
    };
    Ok(Report {
        name,
        tools,
        needed,
        limit,
        allowed,
        windows: windows.iter().map(share).collect(),
        refused,
        wall_seconds,
    })
}

/// Runs the tool `tools` times in parallel with separate files, and returns the wall time of each run.
fn together(org: &Running, case: &Case, folder: &Path, tools: usize) -> anyhow::Result<Vec<f64>> {
    std::thread::scope(|scope| {
        let files = (0..tools).map(|number| folder.join(format!("{number}.c1z")));
        let start = |file: PathBuf| scope.spawn(move || run::sync(org, case, &file));
        let threads: Vec<_> = files.map(start).collect();
        let ended = threads.into_iter().map(|thread| {
            let ended = thread.join().map_err(|_| anyhow!("a thread panicked"))?;
            ended.map(|(measured, _)| measured.wall)
        });
        ended.collect()
    })
}
