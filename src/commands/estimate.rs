//! `sync --plan`: reports the cost of a sync. Reads no memberships and writes nothing.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::sync::{ScopeCount, token_owner};
use crate::config::Sync;
use crate::console::Console;
use crate::exit::Exit;
use crate::okta::Client;
use crate::okta::http::rate_limit::Bucket;
use crate::signal::ShutdownSignal;
use crate::snapshot::Warning;
use crate::sync::checkpoint::Checkpoint;
use crate::sync::checkpoint::resume::{ResumeKey, RunProgress};
use crate::sync::plan::{self, Strategy};
use crate::sync::{DOMAIN_UNUSED, OrgReadReport, domain_unused, engine};
use crate::text::{count, number, span};

/// Lists users and groups, and prints the cost of a sync.
///
/// # Errors
/// Returns the error that ends a listing; [`crate::exit`] assigns its exit code.
pub(super) fn run(config: &Sync, console: &Console, stop: &ShutdownSignal) -> anyhow::Result<Exit> {
    let client = Arc::new(Client::new(&config.connection, stop.clone())?);
    let mut progress = console.progress();
    let options = config.options();
    let key = ResumeKey::of(&config.connection, &options);
    let now = Timestamp::now();
    let mut checkpoint = Checkpoint::in_memory(RunProgress::new(key, now, now))?;
    let owner = token_owner(&client, &mut checkpoint)?;
    let report = engine::read_org(&options, &client, stop, &mut checkpoint, |tally| {
        progress.show(tally)
    });
    progress.clear();
    let mut plan = Plan::new(config, &client, &report?);
    plan.warnings.extend(owner.warning());
    for warning in &plan.warnings {
        if warning.code == DOMAIN_UNUSED {
            tracing::warn!("{}", warning.message);
        }
    }
    console.result(&plan, || plan.text())?;
    Ok(Exit::Done)
}

/// The cost of a sync.
#[derive(Debug, Serialize)]
struct Plan {
    users: ScopeCount,
    groups: ScopeCount,
    /// The number of requests for the token's owner, users and groups.
    spent_requests: u64,
    by_group: Way,
    by_user: Way,
    chosen: &'static str,
    /// The number of requests of the complete sync.
    total_requests: u64,
    /// The warnings that the snapshot would contain.
    warnings: Vec<Warning>,
}

#[derive(Debug, Serialize)]
struct Way {
    requests: u64,
    seconds: f64,
    /// The bucket's limit and the run's share of it, in requests per minute. If no request used the bucket yet, those
    /// of the user list's bucket.
    limit: Option<u64>,
    share: Option<u64>,
}

impl Plan {
    fn new(config: &Sync, client: &Client, report: &OrgReadReport) -> Self {
        let cost = client.cost();
        let answer = cost.answering.div_f64(cost.requests.max(1) as f64);
        let way = |requests, bucket| {
            let (limit, share) = client.limit(bucket).unzip();
            let time = plan::time(requests, share, answer, config.connection.concurrency);
            Way {
                requests,
                seconds: (time.as_secs_f64() * 10.0).round() / 10.0,
                limit,
                share,
            }
        };
        let by_group = way(report.group_requests, Bucket::Groups);
        let by_user = way(report.user_requests, Bucket::Users);
        let chosen = match report.strategy {
            Strategy::Group => &by_group,
            Strategy::User => &by_user,
        };
        let spent = cost.requests - cost.retries;
        let unmet = report.domains_unmet.iter();
        let mut warnings = report.warnings.clone();
        warnings.extend(unmet.map(|domain| domain_unused(&domain.to_string())));
        Self {
            users: ScopeCount {
                kept: report.users_in_scope,
                seen: report.users_seen,
            },
            groups: ScopeCount {
                kept: report.groups_in_scope,
                seen: Some(report.groups_seen),
            },
            spent_requests: spent,
            chosen: report.strategy.as_str(),
            total_requests: spent + chosen.requests,
            warnings,
            by_group,
            by_user,
        }
    }

    fn text(&self) -> String {
        let seen = |kept: &ScopeCount| {
            format!(
                "{} of {} in scope",
                number(kept.kept),
                kept.seen.map_or(
                    "those that the search for the domains found".to_owned(),
                    number
                )
            )
        };
        let way = |name: &str, way: &Way| {
            let limit = match (way.limit, way.share) {
                (Some(limit), Some(share)) => {
                    format!(
                        " (may use {} of {} per minute)",
                        number(share),
                        number(limit)
                    )
                }
                _ => String::new(),
            };
            let chosen = if name == self.chosen {
                "  <- chosen"
            } else {
                ""
            };
            format!(
                "  by {name:<9} {:>9}, about {}{limit}{chosen}",
                count(way.requests, "request"),
                span(Duration::from_secs_f64(way.seconds))
            )
        };
        format!(
            "users        {}\ngroups       {}\nrequests     {} sent so far\nmemberships\n{}\n{}\na sync takes {}; nothing was written\n",
            seen(&self.users),
            seen(&self.groups),
            number(self.spent_requests),
            way("group", &self.by_group),
            way("user", &self.by_user),
            count(self.total_requests, "request"),
        )
    }
}
