//! `grant` and `revoke`: resolve names, plan, show, confirm, send, read back.
//!
//! Only GET requests are sent before `ChangePlan::confirm` succeeds. After it, changes are sent one at a time. The
//! report contains every row, including those that a stopped run did not reach.

mod plan;
mod report;
mod sending;

use std::sync::Arc;

use jiff::Timestamp;

use self::plan::ChangePlan;
use self::report::{ChangeReport, RowResult};
use self::sending::Sender;
use super::report_waits;
use crate::change::audit::{Audit, AuditHistory};
use crate::change::resolve::Resolver;
use crate::change::send;
use crate::change::sheet::permit;
use crate::config::ChangeConfig;
use crate::console::Console;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::okta::{Client, Error, probe};
use crate::signal::ShutdownSignal;
use crate::snapshot;
use crate::text::one_line;

/// Runs `grant` or `revoke`.
///
/// # Errors
/// Returns the error that ends the run before the first change. Later errors are part of the report.
pub fn run(
    config: &ChangeConfig,
    console: &Console,
    stop: &ShutdownSignal,
) -> anyhow::Result<ExitStatus> {
    if !config.provisioning && !config.dry_run {
        return Err(Failure::refused(format!(
            "{} changes nothing without --provisioning (or BATON_PROVISIONING=true); --dry-run shows what it would do",
            config.action.as_str()
        ))
        .into());
    }
    let origin = config.connection.origin.origin().ascii_serialization();
    if let Some(sheet) = &config.sheet {
        tracing::info!("{}", sheet.decisions.text());
        let now = Timestamp::now();
        let ages = sheet.sync_ids.iter().map(|id| days_since(id, now));
        permit(sheet, &origin, ages, config.conditions)?;
    }
    let log = match &config.audit_log {
        Some(path) if !config.dry_run => Some(Audit::open(path)?),
        _ => None,
    };
    let shown_on = *console;
    let resolver = Resolver {
        client: Arc::new(Client::new(&config.connection, stop.clone())?),
        workers: config.connection.concurrency,
        sizes: config.connection.page_sizes,
        stop: stop.clone(),
        progress: Arc::new(move |all, label| {
            let mut progress = shown_on.change_progress(all, label);
            Box::new(move || progress.advance())
        }),
    };
    report_waits(&resolver.client, || {
        let runner = Runner {
            config,
            console,
            stop,
            resolver: &resolver,
            origin: &origin,
        };
        runner.run(log)
    })
}

/// Returns the age of a run in full days; `None` if its id contains no time.
fn days_since(sync_id: &str, now: Timestamp) -> Option<i64> {
    let started = snapshot::started_at(sync_id)?;
    Some((now.as_second() - started.as_second()).div_euclid(24 * 3600))
}

struct Runner<'a> {
    config: &'a ChangeConfig,
    console: &'a Console,
    stop: &'a ShutdownSignal,
    resolver: &'a Resolver,
    origin: &'a str,
}

impl Runner<'_> {
    fn run(&self, log: Option<(Audit, AuditHistory)>) -> anyhow::Result<ExitStatus> {
        let (mut audit, past) = log.unzip();
        let past = past.unwrap_or_default();
        if let Some(audit) = &mut audit {
            self.identify(audit)?;
            send::resolve_pending(self.resolver, self.origin, audit, &past)?;
        }
        let plan = ChangePlan::make(self.config, self.resolver, &past)?;
        let mut report = ChangeReport::new(self.config, &plan);
        plan.warn();
        if self.config.dry_run {
            return report.end(self.console, None);
        }
        if plan.changes_anything() {
            plan.confirm(self.config, self.console, self.stop, &report)?;
        }
        // Recorded before the first change, so that nothing happens without a record.
        let unsent = [RowResult::Unchanged, RowResult::Skipped, RowResult::Refused];
        report.record(&unsent, self.origin, &mut audit)?;
        if !plan.changes_anything() {
            return report.end(self.console, None);
        }
        let action = self.config.action;
        let stopped = Sender::new(self.resolver, self.origin, &mut audit, action, &mut report)
            .send(&plan, self.console);
        if let Err(error) = report.record(&[RowResult::NotAttempted], self.origin, &mut audit) {
            tracing::warn!("{}", one_line(&error));
        }
        report.end(self.console, stopped)
    }

    /// Adds the owner of the token to the audit log.
    fn identify(&self, audit: &mut Audit) -> Result<(), Error> {
        match probe::owner_if_visible(&self.resolver.client)? {
            Ok(owner) => audit.set_token_owner(&owner),
            Err(refusal) => tracing::debug!("the token's owner is not known: {refusal}"),
        }
        Ok(())
    }
}
