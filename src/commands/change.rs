//! `grant` and `revoke`: resolve, plan, show, confirm, send, look again.
//!
//! Until `Plan::confirm` says yes, only GETs are sent; after it, one change at a time. Every row ends in the report,
//! also the rows that a stopped run did not come to.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;

use super::saying_waits;
use crate::change::audit::{Audit, AuditHistory, Unsent};
use crate::change::decide::{self, Knowledge, Pair, PlannedRow, Reading, RowAction, Rules};
use crate::change::resolve::Resolver;
use crate::change::send::{self, ChangeOutcome, Item};
use crate::change::{Action, rows};
use crate::config::Change;
use crate::console::{Confirmation, Console, FailureObject};
use crate::exit::{self, Exit, ExitError};
use crate::model::GroupId;
use crate::okta::{Client, Error, probe};
use crate::signal::ShutdownSignal;
use crate::text::{clean, count, one_line};

/// Runs it.
///
/// # Errors
/// Whatever ends it before the first change; after that, the report tells.
pub fn run(config: &Change, console: &Console, stop: &ShutdownSignal) -> anyhow::Result<Exit> {
    if !config.provisioning && !config.dry_run {
        return Err(ExitError::refused(format!(
            "{} changes nothing without --provisioning (or BATON_PROVISIONING=true); --dry-run shows what it would do",
            config.action.as_str()
        ))
        .into());
    }
    let origin = config.connection.origin.origin().ascii_serialization();
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
            Box::new(move || progress.step())
        }),
    };
    saying_waits(&resolver.client, || {
        act(config, console, stop, &resolver, &origin, log)
    })
}

fn act(
    config: &Change,
    console: &Console,
    stop: &ShutdownSignal,
    resolver: &Resolver,
    origin: &str,
    log: Option<(Audit, AuditHistory)>,
) -> anyhow::Result<Exit> {
    let (mut audit, past) = log.unzip();
    let past = past.unwrap_or_default();
    if let Some(audit) = &mut audit {
        match probe::owner_if_visible(&resolver.client)? {
            Ok(owner) => audit.set_token_owner(&owner),
            Err(refusal) => tracing::debug!("the token's owner is not known: {refusal}"),
        }
        send::resolve_pending(resolver, origin, audit, &past)?;
    }
    let plan = Plan::make(config, resolver, &past)?;
    let mut report = Report::new(config, &plan);
    plan.warn();
    if config.dry_run {
        return report.end(console, None);
    }
    if plan.changes_anything() {
        plan.confirm(config, console, stop, &report)?;
    }
    // Before the first change: nothing is done that would not be on record.
    report.record(
        &[RowResult::Unchanged, RowResult::Refused],
        origin,
        &mut audit,
    )?;
    if !plan.changes_anything() {
        return report.end(console, None);
    }
    let stopped = send(
        config,
        resolver,
        origin,
        &mut audit,
        &plan,
        &mut report,
        console,
    )?;
    if let Err(error) = report.record(&[RowResult::NotAttempted], origin, &mut audit) {
        tracing::warn!("{}", one_line(&error));
    }
    report.end(console, stopped)
}

/// What is to be done, and what has to be said about it.
struct Plan {
    action: Action,
    steps: Vec<PlannedRow>,
    cautions: Vec<String>,
    needs_yes: bool,
}

impl Plan {
    fn make(config: &Change, resolver: &Resolver, past: &AuditHistory) -> Result<Self, Error> {
        let action = config.action;
        let names = |of: fn(&rows::Row) -> &String| {
            config.rows.iter().map(of).cloned().collect::<HashSet<_>>()
        };
        let mut knowledge = Knowledge {
            users: resolver.users(names(|row| &row.user))?,
            groups: resolver.groups(names(|row| &row.group))?,
            memberships: HashMap::new(),
        };
        let mut steps = decide::check(action, &config.rows, &knowledge, &config.scope);
        for (user, group) in steps
            .iter()
            .filter(|step| step.verdict == RowAction::Change)
            .filter_map(PlannedRow::ids)
        {
            send::wait_for_read_lag(resolver, past, user, group)?;
        }
        let pairs = pairs_of(&steps, &RowAction::Change);
        let reading = Reading::cheapest(&pairs, resolver.sizes.members);
        knowledge.memberships = resolver.memberships(&pairs, reading)?;
        let before = steps.clone();
        decide::leave_out_what_is_done(action, &mut steps, &knowledge);
        if action == Action::Revoke {
            let absent = pairs_of(&steps, &RowAction::Unchanged);
            if !absent.is_empty() {
                // A membership that was just granted may not be seen yet: twice absent, three seconds apart, is absent.
                // The second time by user: a list of members that lacks one must not leave anybody in.
                resolver.client.sleep(Duration::from_secs(3))?;
                let again = resolver.memberships(&absent, Reading::by_user(&absent))?;
                knowledge.memberships.extend(again);
                steps = before;
                decide::leave_out_what_is_done(action, &mut steps, &knowledge);
            }
        }
        let mut plan = Self {
            action,
            steps,
            cautions: Vec::new(),
            needs_yes: false,
        };
        plan.find_cautions(resolver)?;
        Ok(plan)
    }

    /// The rule list is read once a run, and only if something is to be changed.
    fn find_cautions(&mut self, resolver: &Resolver) -> Result<(), Error> {
        let changing = self
            .steps
            .iter()
            .filter(|step| step.verdict == RowAction::Change);
        let groups: HashMap<&GroupId, _> = changing
            .filter_map(|step| step.group.as_ref())
            .map(|group| (&group.id, group))
            .collect();
        if groups.is_empty() {
            return Ok(());
        }
        let rules = resolver.rules(&groups.keys().copied().cloned().collect())?;
        let mut ids: Vec<_> = groups.keys().copied().collect();
        ids.sort();
        for id in ids {
            let rules = rules.get(id).unwrap_or(&Rules::Unknown);
            let (notes, needs_yes) = decide::caution(self.action, groups[id], rules);
            self.cautions.extend(notes);
            self.needs_yes |= needs_yes;
        }
        Ok(())
    }

    fn changes(&self) -> usize {
        self.steps
            .iter()
            .filter(|step| step.verdict == RowAction::Change)
            .count()
    }

    fn changes_anything(&self) -> bool {
        self.changes() > 0
    }

    fn warn(&self) {
        for caution in &self.cautions {
            tracing::warn!("{caution}");
        }
    }

    fn confirm(
        &self,
        config: &Change,
        console: &Console,
        stop: &ShutdownSignal,
        report: &Report,
    ) -> anyhow::Result<()> {
        let asks = config.from.is_some() || self.action == Action::Revoke;
        if config.yes || !(asks || self.needs_yes) {
            console.print_notice(&report.table(), false);
            return Ok(());
        }
        let refuse = |why: &str| {
            Err(ExitError::refused(format!("not confirmed: {why}; nothing was changed")).into())
        };
        if self.needs_yes {
            return refuse(&format!("this needs --yes: {}", self.cautions.join("; ")));
        }
        if config.from.as_deref() == Some("-") {
            return refuse("--from reads standard input, so there can be no prompt; pass --yes");
        }
        // Who is asked sees the plan, however quiet.
        console.print_notice(&report.table(), true);
        let changes = self.changes() as u64;
        let question = format!("{} {}?", self.action.as_str(), count(changes, "membership"));
        match console.confirm(&question, stop)? {
            Confirmation::Yes => Ok(()),
            Confirmation::No => refuse("the answer was no"),
            Confirmation::Nobody => refuse("no terminal for a prompt; pass --yes"),
        }
    }
}

fn pairs_of(steps: &[PlannedRow], verdict: &RowAction) -> Vec<Pair> {
    let steps = steps.iter().filter(|step| step.verdict == *verdict);
    steps
        .filter_map(|step| {
            Some((
                Arc::clone(step.user.as_ref()?),
                Arc::clone(step.group.as_ref()?),
            ))
        })
        .collect()
}

/// Sends what the plan says. The error is what stopped it; rows that were not come to say so in the report.
fn send(
    config: &Change,
    resolver: &Resolver,
    origin: &str,
    audit: &mut Option<Audit>,
    plan: &Plan,
    report: &mut Report,
    console: &Console,
) -> anyhow::Result<Option<anyhow::Error>> {
    let mut progress = console.change_progress(plan.changes() as u64, "changes");
    let mut made = Vec::new();
    let mut stopped: Option<anyhow::Error> = None;
    for (place, step) in plan.steps.iter().enumerate() {
        let (RowAction::Change, Some(user), Some(group)) = (&step.verdict, &step.user, &step.group)
        else {
            continue;
        };
        if stopped.is_some() {
            report.rows[place].set(
                RowResult::NotAttempted,
                Some("the run was stopped before it"),
                None,
            );
            continue;
        }
        let item = Item {
            user: Arc::clone(user),
            group: Arc::clone(group),
            line: step.row.line,
        };
        let ended = match send::send(resolver, origin, audit, config.action, &item) {
            Ok((ended, recorded)) => {
                // Nothing more may be changed that is not on record.
                stopped = recorded.err();
                report.rows[place].is_recorded = true;
                ended
            }
            Err(error) => {
                report.rows[place].set(RowResult::NotAttempted, Some(&one_line(&error)), None);
                stopped = Some(error);
                continue;
            }
        };
        match ended {
            ChangeOutcome::Done {
                answer_lost,
                request_id,
            } => {
                made.push((place, (Arc::clone(user), Arc::clone(group))));
                let message =
                    answer_lost.then_some("Okta's answer was lost; the change could be seen");
                report.rows[place].set(RowResult::Changed, message, request_id);
            }
            ChangeOutcome::NotDone { error, looked } => {
                let stop = stops_the_rest(&error);
                let result = match error {
                    Error::Interrupted(_) | Error::Deadline { .. } => RowResult::NotAttempted,
                    _ => RowResult::Failed,
                };
                report.rows[place].fail(result, &error);
                let mut error = anyhow::Error::new(error);
                if looked {
                    let seconds = send::READ_LAG.as_secs();
                    error = error.context(format!("not visible when read back for {seconds} s"));
                    report.rows[place].message = Some(one_line(&error));
                }
                stopped = stopped.or(stop.then_some(error));
            }
            ChangeOutcome::Unknown(error) => {
                report.rows[place].fail(RowResult::Unknown, &error);
                stopped = Some(error.into());
            }
        }
        progress.step();
    }
    progress.clear();
    if stopped.is_some() {
        for (place, ..) in &made {
            let row = &mut report.rows[*place];
            row.message.get_or_insert(
                "sent and answered; not looked at again, since the run was stopped".to_owned(),
            );
        }
    }
    if stopped.is_none() && !made.is_empty() {
        let pairs = made.iter().map(|(_, pair)| pair.clone()).collect();
        match send::not_visible(resolver, config.action, pairs) {
            Ok(not_visible) => {
                for (place, (user, group)) in made {
                    if not_visible.contains(&(user.id.clone(), group.id.clone())) {
                        let message = format!(
                            "sent, but not visible when read back for {} s",
                            send::READ_LAG.as_secs()
                        );
                        report.rows[place].set(RowResult::Unseen, Some(&message), None);
                    }
                }
            }
            Err(error) => {
                for (place, ..) in made {
                    report.rows[place].set(
                        RowResult::Unseen,
                        Some("sent, but reading it back failed"),
                        None,
                    );
                }
                stopped = Some(anyhow::Error::new(error).context("reading back what was changed"));
            }
        }
    }
    Ok(stopped)
}

/// What will not be better at the next row.
fn stops_the_rest(error: &Error) -> bool {
    match error {
        // What a proxy does to one change, it does to all.
        Error::Refused(refusal) => refusal.status == 401 || !refusal.has_oktas_code(),
        // A lock on one user or group, such as one that is still being activated (docs/okta-api.md, Errors).
        Error::Unavailable { status, .. } => !matches!(status, Some(409 | 423)),
        _ => true,
    }
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum RowResult {
    /// It is to be sent.
    Planned,
    /// It was sent and is there.
    Changed,
    /// It was so already.
    Unchanged,
    /// An earlier row says the same.
    Duplicate,
    /// It was refused here.
    Refused,
    /// Okta refused it.
    Failed,
    /// It was sent, and later reads do not show it.
    Unseen,
    /// It was sent, and nobody knows.
    Unknown,
    /// The run was stopped before.
    NotAttempted,
}

impl RowResult {
    fn word(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Duplicate => "duplicate",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Unseen => "not visible",
            Self::Unknown => "unknown",
            Self::NotAttempted => "not attempted",
        }
    }

    fn is_as_wanted(self) -> bool {
        // A duplicate is whatever its first row is.
        matches!(self, Self::Changed | Self::Unchanged | Self::Planned)
    }
}

#[derive(Debug, Serialize)]
struct ReportRow {
    line: Option<u64>,
    user: Named,
    group: Named,
    result: RowResult,
    message: Option<String>,
    request_id: Option<String>,
    #[serde(skip)]
    exit: Exit,
    /// Whether the audit log has its change already.
    #[serde(skip)]
    is_recorded: bool,
}

/// A user or a group, as typed and as found.
#[derive(Debug, Serialize)]
struct Named {
    asked: String,
    id: Option<String>,
    name: Option<String>,
}

impl Named {
    fn text(&self) -> &str {
        self.name
            .as_deref()
            .or(self.id.as_deref())
            .unwrap_or(&self.asked)
    }
}

impl ReportRow {
    fn new(step: &PlannedRow) -> Self {
        let user = step.user.as_deref();
        let group = step.group.as_deref();
        let (result, exit, message) = match &step.verdict {
            RowAction::Change | RowAction::Kept => (RowResult::Planned, Exit::Done, None),
            RowAction::Unchanged => (RowResult::Unchanged, Exit::Done, None),
            RowAction::Duplicate(line) => {
                let line = line.map_or(String::new(), |line| format!("the same as line {line}"));
                (RowResult::Duplicate, Exit::Done, Some(line))
            }
            RowAction::Refused(refusal) => (
                RowResult::Refused,
                refusal.exit,
                Some(refusal.reason.clone()),
            ),
        };
        Self {
            line: step.row.line,
            user: Named {
                asked: step.row.user.clone(),
                id: user.map(|user| user.id.to_string()),
                name: user.and_then(|user| user.login()).map(str::to_owned),
            },
            group: Named {
                asked: step.row.group.clone(),
                id: group.map(|group| group.id.to_string()),
                name: group.and_then(|group| group.name()).map(str::to_owned),
            },
            result,
            message,
            request_id: None,
            exit,
            is_recorded: false,
        }
    }

    fn set(&mut self, result: RowResult, message: Option<&str>, request_id: Option<String>) {
        self.result = result;
        self.message = message.map(str::to_owned);
        self.request_id = request_id.or(self.request_id.take());
        self.exit = match result {
            RowResult::Unseen => Exit::Unseen,
            RowResult::Unknown | RowResult::NotAttempted => Exit::Unavailable,
            _ => Exit::Done,
        };
    }

    fn fail(&mut self, result: RowResult, error: &Error) {
        self.set(
            result,
            Some(&error.to_string()),
            error.request_id().map(str::to_owned),
        );
        self.exit = match error {
            // Okta's word for a group that nobody may edit here (docs/okta-api.md, Changes to a membership and Errors).
            Error::Refused(refusal)
                if refusal.status == 501 || refusal.code.as_deref() == Some("E0000060") =>
            {
                Exit::Refused
            }
            error => exit::of_okta(error),
        };
    }

    fn line_of_text(&self) -> String {
        let line = self
            .line
            .map_or(String::new(), |line| format!("line {line:<5} "));
        let message = self
            .message
            .as_ref()
            .map_or(String::new(), |message| format!("  {message}"));
        let text = format!(
            "{line}{:<9}  {}  {}{message}",
            self.result.word(),
            self.user.text(),
            self.group.text()
        );
        clean(&text).into_owned()
    }
}

fn may_not_be_passed_over(exit: Exit) -> bool {
    (4..=8).contains(&exit.code())
}

/// What became of everything.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    failure: Option<OwnedFailure>,
    action: Action,
    dry_run: bool,
    warnings: Vec<String>,
    rows: Vec<ReportRow>,
}

/// A failure that is a part of a larger object.
#[derive(Debug, Serialize)]
struct OwnedFailure {
    error: &'static str,
    exit_code: u8,
    message: String,
    request_id: Option<String>,
}

impl Report {
    fn new(config: &Change, plan: &Plan) -> Self {
        Self {
            failure: None,
            action: config.action,
            dry_run: config.dry_run,
            warnings: plan.cautions.clone(),
            rows: plan.steps.iter().map(ReportRow::new).collect(),
        }
    }

    /// Writes the rows that nothing was sent for to the audit log: those of some states.
    fn record(
        &self,
        states: &[RowResult],
        origin: &str,
        audit: &mut Option<Audit>,
    ) -> anyhow::Result<()> {
        let Some(audit) = audit else {
            return Ok(());
        };
        let is_wanted = |row: &&ReportRow| states.contains(&row.result) && !row.is_recorded;
        let rows = self.rows.iter().filter(is_wanted);
        let unsent: Vec<Unsent<'_>> = rows
            .map(|row| Unsent {
                outcome: row.result.word(),
                action: self.action.as_str(),
                origin,
                asked_user: &row.user.asked,
                user_id: row.user.id.as_deref(),
                user: row.user.name.as_deref(),
                asked_group: &row.group.asked,
                group_id: row.group.id.as_deref(),
                group: row.group.name.as_deref(),
                line: row.line,
                message: row.message.as_deref(),
            })
            .collect();
        audit.unsent(&unsent)
    }

    /// The rows, a line each, and below a list the counts.
    fn table(&self) -> String {
        let mut text = String::new();
        for row in &self.rows {
            let _ = writeln!(text, "{} {}", self.action.as_str(), row.line_of_text());
        }
        if self.rows.is_empty() {
            text += "nothing to do\n";
        } else if self.rows.len() > 1 {
            let _ = writeln!(text, "{}", self.counts());
        }
        text
    }

    fn counts(&self) -> String {
        let mut counts: Vec<(RowResult, u64)> = Vec::new();
        for row in &self.rows {
            match counts.iter_mut().find(|(result, _)| *result == row.result) {
                Some((_, count)) => *count += 1,
                None => counts.push((row.result, 1)),
            }
        }
        let parts: Vec<String> = counts
            .iter()
            .map(|(result, count)| format!("{count} {}", result.word()))
            .collect();
        let dry = if self.dry_run {
            " (dry run: nothing was sent)"
        } else {
            ""
        };
        format!(
            "{}: {}{dry}",
            count(self.rows.len() as u64, "row"),
            parts.join(", ")
        )
    }

    /// How it ended: what stopped it; else a change that cannot be seen; else what no row may pass over (4 to 8), by the
    /// first row that met it; else partial, if some rows are as wanted and some are not; else the first row's failure.
    fn exit(&self, stopped: Option<&anyhow::Error>) -> Exit {
        if let Some(error) = stopped {
            return exit::of(error);
        }
        match self.decisive() {
            None => Exit::Done,
            Some(row) if may_not_be_passed_over(row.exit) => row.exit,
            Some(_) if self.rows.iter().any(|row| row.result.is_as_wanted()) => Exit::Partial,
            Some(row) => row.exit,
        }
    }

    /// The row that decides how it ended, if not all rows are as wanted.
    fn decisive(&self) -> Option<&ReportRow> {
        let failed = || self.rows.iter().filter(|row| row.exit != Exit::Done);
        let first = |is: fn(Exit) -> bool| failed().find(|row| is(row.exit));
        first(|exit| exit == Exit::Unseen)
            .or_else(|| first(may_not_be_passed_over))
            .or_else(|| failed().next())
    }

    /// Prints the report and, if it is not all good, one line that says why.
    fn end(mut self, console: &Console, stopped: Option<anyhow::Error>) -> anyhow::Result<Exit> {
        let exit = self.exit(stopped.as_ref());
        let bad = self.decisive();
        let mut message = match (&stopped, bad) {
            (Some(error), _) => one_line(error),
            (None, Some(row)) => {
                let line = row
                    .line
                    .map_or(String::new(), |line| format!("line {line}: "));
                line + row.message.as_deref().unwrap_or_default()
            }
            (None, None) => String::new(),
        };
        // The table ends with the counts; they are not printed twice.
        if self.rows.len() > 1 && console.is_quiet() {
            message = format!("{}; {message}", self.counts());
        }
        let request_id = match &stopped {
            Some(error) => exit::request_id(error).map(str::to_owned),
            None => bad.and_then(|row| row.request_id.clone()),
        };
        if exit != Exit::Done && console.json() {
            self.failure = Some(OwnedFailure {
                error: exit.word(),
                exit_code: exit.code(),
                message: message.clone(),
                request_id: request_id.clone(),
            });
        }
        let printed = if exit == Exit::Done || console.json() || self.rows.len() > 1 {
            console.report(&self, || self.table())
        } else {
            Ok(())
        };
        let is_sent = |row: &ReportRow| {
            matches!(
                row.result,
                RowResult::Changed | RowResult::Unseen | RowResult::Unknown
            )
        };
        match printed {
            Ok(()) => {}
            Err(error) if self.rows.iter().any(is_sent) => {
                // A reader who does not get the report must not think that the changes were not made.
                console.print_notice(&self.table(), true);
                tracing::error!(
                    "cannot write the report to standard output ({error}), but changes were sent: {}",
                    self.counts()
                );
                return Ok(if exit == Exit::Done {
                    Exit::Failed
                } else {
                    exit
                });
            }
            // A reader who has seen enough is nobody's failure.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            Err(error) => return Err(error).context("cannot write to standard output"),
        }
        if exit == Exit::Done {
            return Ok(exit);
        }
        if console.json() {
            tracing::error!("{message}");
        } else {
            console.failure(&FailureObject {
                error: exit.word(),
                exit_code: exit.code(),
                message: &message,
                request_id: request_id.as_deref(),
            });
        }
        Ok(exit)
    }
}
