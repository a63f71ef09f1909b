//! The benchmark: `cargo bench`, or `cargo bench -- c/10 d`.
//!
//! - What is measured is the program that users run: the release build, over HTTP, against an org that is the same each
//!   time. Each run must end with exactly what the org holds.
//! - The org's server, the tool and each floor are processes of their own; this program starts itself again to be one of
//!   them. Only the tool's and the floors' processor time count.
//! - Costs stand beside what nobody can beat (`cases.rs`, `floors.rs`): a number alone says nothing on another machine.

mod cases;
mod floors;
mod limit;
mod measure;
mod org;
mod report;
mod run;

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use clap::Parser;

use cases::Case;

/// Measures syncs of made-up orgs with the release build.
#[derive(Debug, Parser)]
#[command(
    bin_name = "cargo bench --",
    after_help = "Scenarios (users / in scope / groups / memberships / largest group):
  a            20,000 / all / 2,000 / 100,000 / 5,000, latency 50 ms
  b            1,000,000 / 500 / 2,000 / 3,000,000 / 200,000, latency 50 ms, without and with --skip-secondary-emails
  b-prefilter  the latter alone
  c            100,000 / all / 2,000 / 2,000,000 / 50,000, no latency
  d            10,000 / all / 200 / 191,062 / 5,000, no latency
  own          as --users and so on say
  limit        about 1,500 requests to a bucket of 600 a minute: one run, then two at once; takes minutes
NAME/10 divides every size by 10; any other number will do too. Without names: a a/10 b b/10 c c/10 d."
)]
struct Typed {
    /// What to run, in this order
    #[arg(value_name = "SCENARIO")]
    scenarios: Vec<String>,
    /// How often the tool and each floor are run; medians are printed
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Instead of the scenarios' latency
    #[arg(long, value_name = "MS")]
    latency: Option<u64>,
    /// Requests a minute of every bucket, instead of none, or of limit's 600
    #[arg(long, value_name = "N")]
    rate_limit: Option<u64>,
    #[command(flatten)]
    own: Own,
    /// What cargo says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// The org of `own`.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "The scenario own")]
struct Own {
    /// All of them
    #[arg(long, value_name = "N")]
    users: Option<usize>,
    /// Users with an address in the domain
    #[arg(long, value_name = "N")]
    in_scope: Option<usize>,
    /// Everyone not counted
    #[arg(long, value_name = "N")]
    groups: Option<usize>,
    /// Everyone's not counted
    #[arg(long, value_name = "N")]
    memberships: Option<usize>,
    /// Members of the largest group
    #[arg(long, value_name = "N")]
    largest_group: Option<usize>,
    /// Ask for possible matches only
    #[arg(long)]
    skip_secondary_emails: bool,
}

impl Own {
    fn case(&self) -> Case {
        let case = Case::own();
        Case {
            users: self.users.unwrap_or(case.users),
            in_scope: self.in_scope.unwrap_or(case.in_scope),
            groups: self.groups.unwrap_or(case.groups),
            memberships: self.memberships.unwrap_or(case.memberships),
            largest_group: self.largest_group.unwrap_or(case.largest_group),
            prefilter: self.skip_secondary_emails,
            ..case
        }
    }
}

fn main() -> ExitCode {
    match act() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn act() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let parts: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match parts[..] {
        ["__server", case] => org::serve(case),
        ["__measure", ..] => measure::measure(&arguments[1..]),
        ["__floor-fetch", origin, targets] => floors::fetch_role(origin, Path::new(targets)),
        ["__floor-read", from] => floors::insert_role(Path::new(from), None),
        ["__floor-insert", from, to] => floors::insert_role(Path::new(from), Some(Path::new(to))),
        ["__floor-pack", from, to] => floors::pack_role(Path::new(from), Path::new(to)),
        [role, ..] if role.starts_with("__") => bail!("{role}: no such role"),
        _ => bench(&Typed::parse()),
    }
}

fn bench(typed: &Typed) -> anyhow::Result<()> {
    let names: Vec<&str> = if typed.scenarios.is_empty() {
        cases::DEFAULT.to_vec()
    } else {
        typed.scenarios.iter().map(String::as_str).collect()
    };
    let own = typed.own.case();
    let as_told = |case: Case| Case {
        latency_ms: typed.latency.unwrap_or(case.latency_ms),
        rate_limit: typed.rate_limit.or(case.rate_limit),
        ..case
    };
    // A wrong name is said before anything runs for minutes.
    let mut cases = Vec::new();
    let mut limit = false;
    for name in names {
        if name == "limit" {
            limit = true;
        } else {
            cases.extend(cases::named(name, &own)?.into_iter().map(as_told));
        }
    }
    let runs = usize::from(typed.runs);
    let mut reports = report::Reports {
        runs,
        ..report::Reports::default()
    };
    for case in &cases {
        reports.cases.push(run::run(case, runs)?);
    }
    if limit {
        reports.limits = limit::run(&as_told(Case::limit()))?;
    }
    reports.compare();
    let text = if typed.json {
        serde_json::to_string_pretty(&reports)? + "\n"
    } else {
        reports.text()
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// A word on how far it is, to stderr.
fn note(text: &str) {
    // A closed stderr is no failure.
    let _ = writeln!(io::stderr(), "{text}");
}
