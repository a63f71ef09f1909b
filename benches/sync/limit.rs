//! How much of a rate limit is used, in real windows: by one run, and by two at once.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::anyhow;
use okta_ciam::testing::text::span;
use serde::Serialize;

use crate::cases::{Case, Plan};
use crate::note;
use crate::org::{Asked, Running, Window};
use crate::run;

/// Percent of a limit that a run may use; the tool's default.
const CAPACITY: u64 = 75;

/// What some runs at once made of the groups' bucket.
#[derive(Debug, Serialize)]
pub struct Report {
    pub name: &'static str,
    pub tools: usize,
    /// Requests of this bucket that one run needs.
    pub needed: u64,
    pub limit: u64,
    /// What the runs may use of it, each and together.
    pub allowed: u64,
    /// Whole windows but the last, in which the work ended.
    pub windows: Vec<Share>,
    /// 429s in all buckets and windows.
    pub refused: u64,
    pub wall_seconds: f64,
}

/// What was used of a window.
#[derive(Debug, Serialize)]
pub struct Share {
    pub requests: u64,
    pub refused: u64,
    pub of_allowed: f64,
    pub of_limit: f64,
}

/// One run, then two at once.
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
    // A server of its own: its windows are those of these runs alone.
    let mut org = Running::start(case)?;
    let plan = Plan::of(&org.facts, case.prefilter);
    let needed = match plan.by {
        "group" => plan.group_pages + plan.membership_requests,
        _ => plan.group_pages,
    };
    note(&format!("{name}: the org is up"));
    let walls = together(&org, case, folder.path(), tools)?;
    let wall_seconds = walls.into_iter().fold(0.0, f64::max);
    note(&format!(
        "{name}: took {}",
        span(Duration::from_secs_f64(wall_seconds))
    ));
    let Asked { refused, .. } = org.asked()?;
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

/// Runs the tool so many times at once, each into a file of its own; how long each took.
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
