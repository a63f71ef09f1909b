//! The benchmark: `cargo bench`, or `cargo bench -- c/10 d`.
//!
//! - Measures the program that users run: the release build, over HTTP, against an org that is the same each time. Each
//!   snapshot must contain exactly what is in the org.
//! - The org's server, the tool and each floor are separate processes, for which this program starts itself again. Only
//!   the processor time of the tool and of the floors counts.
//! - Costs are printed next to the theoretical minimum (`cases.rs`, `floors.rs`), since a number alone means nothing on
//!   another machine.

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

/// Measure syncs of sample orgs with the release build.
#[derive(Debug, Parser)]
#[command(
    bin_name = "cargo bench --",
    after_help = "Scenarios (users / in scope / groups / memberships / largest group):
  a            20,000 / all / 2,000 / 100,000 / 5,000, latency 50 ms
  b            1,000,000 / 500 / 2,000 / 3,000,000 / 200,000, latency 50 ms, without and with --skip-secondary-emails
  b-prefilter  the latter alone
  c            100,000 / all / 2,000 / 2,000,000 / 50,000, no latency
  d            10,000 / all / 200 / 191,062 / 5,000, no latency
  own          the sizes in --users and the following options
  limit        about 1,500 requests to a bucket of 600 per minute: one run, then two at once; takes 10 minutes
NAME/10 divides every size by 10; other numbers work too. Default: a a/10 b b/10 c c/10 d."
)]
struct Typed {
    /// Scenarios to run, in this order
    #[arg(value_name = "SCENARIO")]
    scenarios: Vec<String>,
    /// Run the tool and each floor N times and print medians
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Print the results as JSON
    #[arg(long)]
    json: bool,
    /// Latency of the server, instead of the scenario's
    #[arg(long, value_name = "MS")]
    latency: Option<u64>,
    /// Rate limit of every bucket in requests per minute, instead of the scenario's
    #[arg(long, value_name = "N")]
    rate_limit: Option<u64>,
    #[command(flatten)]
    own: Own,
    /// The flag that `cargo bench` passes to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// The sizes of the org in the scenario `own`.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Scenario own")]
struct Own {
    /// Number of users
    #[arg(long, value_name = "N")]
    users: Option<usize>,
    /// Number of users with an address in the domain
    #[arg(long, value_name = "N")]
    in_scope: Option<usize>,
    /// Number of groups, without Everyone
    #[arg(long, value_name = "N")]
    groups: Option<usize>,
    /// Number of memberships, without those of Everyone
    #[arg(long, value_name = "N")]
    memberships: Option<usize>,
    /// Number of members of the largest group
    #[arg(long, value_name = "N")]
    largest_group: Option<usize>,
    /// Search only for users that can match
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
        [role, ..] if role.starts_with("__") => bail!("unknown role {role:?}"),
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
    let with_options = |case: Case| Case {
        latency_ms: typed.latency.unwrap_or(case.latency_ms),
        rate_limit: typed.rate_limit.or(case.rate_limit),
        ..case
    };
    // All names are checked before anything runs for minutes.
    let mut cases = Vec::new();
    let mut limit = false;
    for name in names {
        if name == "limit" {
            limit = true;
        } else {
            cases.extend(cases::named(name, &own)?.into_iter().map(with_options));
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
        reports.limits = limit::run(&with_options(Case::limit()))?;
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

/// Prints a line about the progress to stderr.
fn note(text: &str) {
    // A closed stderr is not an error.
    let _ = writeln!(io::stderr(), "{text}");
}
