//! `sync --plan`: reports the cost of a sync. Reads no memberships and writes nothing.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::sync::{ScopeCount, token_owner};
use crate::config::SyncConfig;
use crate::console::Console;
use crate::exit::ExitStatus;
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
pub(super) fn run(
    config: &SyncConfig,
    console: &Console,
    stop: &ShutdownSignal,
) -> anyhow::Result<ExitStatus> {
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
    let mut plan = Estimate::new(config, &client, &report?);
    plan.warnings.extend(owner.warning());
    for warning in &plan.warnings {
        if warning.code == DOMAIN_UNUSED {
            tracing::warn!("{}", warning.message);
        }
    }
    console.result(&plan, || plan.text())?;
    Ok(ExitStatus::Done)
}

/// The cost of a sync.
#[derive(Debug, Serialize)]
struct Estimate {
    users: ScopeCount,
    groups: ScopeCount,
    /// The number of requests for the token's owner, users and groups.
    requests_sent: u64,
    group_strategy: StrategyCost,
    user_strategy: StrategyCost,
    strategy: &'static str,
    /// The number of requests of the complete sync.
    total_requests: u64,
    /// The warnings that the snapshot would contain.
    warnings: Vec<Warning>,
}

#[derive(Debug, Serialize)]
struct StrategyCost {
    requests: u64,
    seconds: f64,
    /// The bucket's limit and the part of it that this run may use, in requests per minute. If no request used the bucket
    /// yet, those of the user list's bucket.
    limit: Option<u64>,
    request_budget: Option<u64>,
}

impl Estimate {
    fn new(config: &SyncConfig, client: &Client, report: &OrgReadReport) -> Self {
        let cost = client.cost();
        let answer = cost.response_time.div_f64(cost.requests.max(1) as f64);
        let way = |requests, bucket| {
            let (limit, request_budget) = client.limit(bucket).unzip();
            let time = plan::time(
                requests,
                request_budget,
                answer,
                config.connection.concurrency,
            );
            StrategyCost {
                requests,
                seconds: (time.as_secs_f64() * 10.0).round() / 10.0,
                limit,
                request_budget,
            }
        };
        let group_strategy = way(report.group_requests, Bucket::Groups);
        let user_strategy = way(report.user_requests, Bucket::Users);
        let chosen = match report.strategy {
            Strategy::Group => &group_strategy,
            Strategy::User => &user_strategy,
        };
        let sent = cost.requests - cost.retries;
        let unused = report.unused_domains.iter();
        let mut warnings = report.warnings.clone();
        warnings.extend(unused.map(|domain| domain_unused(&domain.to_string())));
        Self {
            users: ScopeCount {
                in_scope: report.users_in_scope,
                listed: report.users_seen,
            },
            groups: ScopeCount {
                in_scope: report.groups_in_scope,
                listed: Some(report.groups_seen),
            },
            requests_sent: sent,
            strategy: report.strategy.as_str(),
            total_requests: sent + chosen.requests,
            warnings,
            group_strategy,
            user_strategy,
        }
    }

    fn text(&self) -> String {
        let scope = |rows: &ScopeCount| {
            format!(
                "{} of {} in scope",
                number(rows.in_scope),
                rows.listed.map_or(
                    "those that the search for the domains found".to_owned(),
                    number
                )
            )
        };
        let way = |name: &str, way: &StrategyCost| {
            let limit = match (way.limit, way.request_budget) {
                (Some(limit), Some(budget)) => {
                    format!(
                        " (at most {} of {} per minute)",
                        number(budget),
                        number(limit)
                    )
                }
                _ => String::new(),
            };
            let chosen = if name == self.strategy {
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
            "users        {}\ngroups       {}\nrequests     {} sent so far\nmemberships\n{}\n{}\na sync would need {}; nothing was written\n",
            scope(&self.users),
            scope(&self.groups),
            number(self.requests_sent),
            way("group", &self.group_strategy),
            way("user", &self.user_strategy),
            count(self.total_requests, "request"),
        )
    }
}
