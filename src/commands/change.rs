//! `grant` and `revoke`: resolve, plan, show, confirm, send, look again.
//!
//! Until `Plan::confirm` says yes, only GETs are sent; after it, one change at a time. Every row ends in the report,
//! also the rows that a stopped run did not come to.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::saying_waits;
use crate::change::audit::{Audit, Past};
use crate::change::plan::{self, Knowledge, Rules, Step, Verdict};
use crate::change::resolve::Reader;
use crate::change::run::{self, Ended, Item};
use crate::change::{Action, rows};
use crate::config::Change;
use crate::console::{Asked, Console, Failure, clean, count, one_line};
use crate::exit::{self, Ending, Exit};
use crate::model::{GroupId, UserId};
use crate::okta::{Client, Error, Stop};

/// Runs it.
///
/// # Errors
/// Whatever ends it before the first change; after that, the report tells.
pub fn run(config: &Change, console: &Console, stop: &Stop) -> anyhow::Result<Exit> {
    if !config.provisioning && !config.dry_run {
        return Err(Ending::refused(format!(
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
    let reader = Reader {
        client: Arc::new(Client::new(&config.connection, stop.clone())?),
        workers: config.connection.concurrency,
        sizes: config.connection.page_sizes,
        stop: stop.clone(),
    };
    saying_waits(&reader.client, || {
        act(config, console, stop, &reader, &origin, log)
    })
}

fn act(
    config: &Change,
    console: &Console,
    stop: &Stop,
    reader: &Reader,
    origin: &str,
    log: Option<(Audit, Past)>,
) -> anyhow::Result<Exit> {
    let (mut audit, past) = log.unzip();
    let past = past.unwrap_or_default();
    if let Some(audit) = &mut audit {
        run::settle(reader, origin, audit, &past)?;
    }
    let plan = Plan::make(config, reader, &past)?;
    let mut report = Report::new(config, &plan);
    plan.warn();
    if config.dry_run || !plan.changes_anything() {
        return report.end(console, None);
    }
    plan.confirm(config, console, stop, &report)?;
    let stopped = send(
        config,
        reader,
        origin,
        &mut audit,
        &plan,
        &mut report,
        console,
    )?;
    report.end(console, stopped)
}

/// What is to be done, and what has to be said about it.
struct Plan {
    action: Action,
    steps: Vec<Step>,
    cautions: Vec<String>,
    needs_yes: bool,
}

impl Plan {
    fn make(config: &Change, reader: &Reader, past: &Past) -> Result<Self, Error> {
        let action = config.action;
        let names = |of: fn(&rows::Row) -> &String| {
            config.rows.iter().map(of).cloned().collect::<HashSet<_>>()
        };
        let mut knowledge = Knowledge {
            users: reader.users(names(|row| &row.user))?,
            groups: reader.groups(names(|row| &row.group))?,
            memberships: HashMap::new(),
        };
        let mut steps = plan::check(action, &config.rows, &knowledge, &config.scope);
        for (user, group) in steps
            .iter()
            .filter(|step| step.verdict == Verdict::Change)
            .filter_map(Step::ids)
        {
            run::wait_out_the_lag(reader, past, user, group)?;
        }
        knowledge.memberships = reader.memberships(users_of(&steps, &Verdict::Change))?;
        let before = steps.clone();
        plan::leave_out_what_is_done(action, &mut steps, &knowledge);
        if action == Action::Revoke {
            let absent = users_of(&steps, &Verdict::Unchanged);
            if !absent.is_empty() {
                // A membership that was just granted may not be seen yet: twice absent, three seconds apart, is absent.
                reader.client.rest(Duration::from_secs(3))?;
                knowledge.memberships.extend(reader.memberships(absent)?);
                steps = before;
                plan::leave_out_what_is_done(action, &mut steps, &knowledge);
            }
        }
        let mut plan = Self {
            action,
            steps,
            cautions: Vec::new(),
            needs_yes: false,
        };
        plan.find_cautions(reader)?;
        Ok(plan)
    }

    /// The rule list is read once a run, and only if something is to be changed.
    fn find_cautions(&mut self, reader: &Reader) -> Result<(), Error> {
        let changing = self
            .steps
            .iter()
            .filter(|step| step.verdict == Verdict::Change);
        let groups: HashMap<&GroupId, _> = changing
            .filter_map(|step| step.group.as_ref())
            .map(|group| (&group.id, group))
            .collect();
        if groups.is_empty() {
            return Ok(());
        }
        let rules = reader.rules(&groups.keys().copied().cloned().collect())?;
        let mut ids: Vec<_> = groups.keys().copied().collect();
        ids.sort();
        for id in ids {
            let rules = rules.get(id).unwrap_or(&Rules::Unknown);
            let (notes, needs_yes) = plan::caution(self.action, groups[id], rules);
            self.cautions.extend(notes);
            self.needs_yes |= needs_yes;
        }
        Ok(())
    }

    fn changes(&self) -> usize {
        self.steps
            .iter()
            .filter(|step| step.verdict == Verdict::Change)
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
        stop: &Stop,
        report: &Report,
    ) -> anyhow::Result<()> {
        let asks = config.from.is_some() || self.action == Action::Revoke;
        if config.yes || !(asks || self.needs_yes) {
            console.say(&report.table(), false);
            return Ok(());
        }
        let refuse = |why: &str| {
            Err(Ending::refused(format!("not confirmed: {why}; nothing was changed")).into())
        };
        if self.needs_yes {
            return refuse(&format!("this needs --yes: {}", self.cautions.join("; ")));
        }
        if config.from.as_deref() == Some("-") {
            return refuse("standard input holds the list, so nobody can be asked; give --yes");
        }
        // Who is asked sees the plan, however quiet.
        console.say(&report.table(), true);
        let changes = self.changes() as u64;
        let question = format!("{} {}?", self.action.as_str(), count(changes, "membership"));
        match console.ask(&question, stop)? {
            Asked::Yes => Ok(()),
            Asked::No => refuse("the answer was no"),
            Asked::Nobody => refuse("there is no terminal to ask on; give --yes"),
        }
    }
}

fn users_of(steps: &[Step], verdict: &Verdict) -> HashSet<UserId> {
    let steps = steps.iter().filter(|step| step.verdict == *verdict);
    steps
        .filter_map(|step| Some(step.user.as_ref()?.id.clone()))
        .collect()
}

/// Sends what the plan says. The error is what stopped it; rows that were not come to say so in the report.
fn send(
    config: &Change,
    reader: &Reader,
    origin: &str,
    audit: &mut Option<Audit>,
    plan: &Plan,
    report: &mut Report,
    console: &Console,
) -> anyhow::Result<Option<anyhow::Error>> {
    let mut progress = console.steps(plan.changes() as u64);
    let mut made = Vec::new();
    let mut stopped: Option<anyhow::Error> = None;
    for (place, step) in plan.steps.iter().enumerate() {
        let (Verdict::Change, Some(user), Some(group)) = (&step.verdict, &step.user, &step.group)
        else {
            continue;
        };
        if stopped.is_some() {
            report.rows[place].set(
                State::NotAttempted,
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
        let ended = match run::send(reader, origin, audit, config.action, &item) {
            Ok((ended, recorded)) => {
                // Nothing more may be changed that is not on record.
                stopped = recorded.err();
                ended
            }
            Err(error) => {
                report.rows[place].set(State::NotAttempted, Some(&one_line(&error)), None);
                stopped = Some(error);
                continue;
            }
        };
        match ended {
            Ended::Done {
                answer_lost,
                request_id,
            } => {
                made.push((place, user.id.clone(), group.id.clone()));
                let message =
                    answer_lost.then_some("Okta's answer was lost; the change could be seen");
                report.rows[place].set(State::Changed, message, request_id);
            }
            Ended::NotDone(error) => {
                let stop = stops_the_rest(&error);
                let result = match error {
                    Error::Interrupted(_) | Error::Deadline { .. } => State::NotAttempted,
                    _ => State::Failed,
                };
                report.rows[place].fail(result, &error);
                stopped = stopped.or(stop.then(|| error.into()));
            }
            Ended::Unknown(error) => {
                report.rows[place].fail(State::Unknown, &error);
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
        let pairs: Vec<_> = made
            .iter()
            .map(|(_, user, group)| (user.clone(), group.clone()))
            .collect();
        match run::unseen(reader, config.action, &pairs) {
            Ok(unseen) => {
                for (place, user, group) in made {
                    if unseen.contains(&(user, group)) {
                        let message = format!(
                            "sent, but not seen in reads for {} s after",
                            run::READ_LAG.as_secs()
                        );
                        report.rows[place].set(State::Unseen, Some(&message), None);
                    }
                }
            }
            Err(error) => {
                for (place, ..) in made {
                    report.rows[place].set(
                        State::Unseen,
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
        Error::Refused(refusal) => refusal.status == 401,
        // A lock on one user or group, such as one that is still being activated (okta-api 4).
        Error::Unavailable { status, .. } => !matches!(status, Some(409 | 423)),
        _ => true,
    }
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
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

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Planned => "to do",
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Duplicate => "duplicate",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Unseen => "not seen",
            Self::Unknown => "unknown",
            Self::NotAttempted => "not tried",
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
    result: State,
    message: Option<String>,
    request_id: Option<String>,
    #[serde(skip)]
    exit: Exit,
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
    fn new(step: &Step) -> Self {
        let user = step.user.as_deref();
        let group = step.group.as_deref();
        let (result, exit, message) = match &step.verdict {
            Verdict::Change | Verdict::Kept => (State::Planned, Exit::Done, None),
            Verdict::Unchanged => (State::Unchanged, Exit::Done, None),
            Verdict::Duplicate(line) => {
                let line = line.map_or(String::new(), |line| format!("the same as line {line}"));
                (State::Duplicate, Exit::Done, Some(line))
            }
            Verdict::Refused(refusal) => {
                (State::Refused, refusal.exit, Some(refusal.reason.clone()))
            }
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
        }
    }

    fn set(&mut self, result: State, message: Option<&str>, request_id: Option<String>) {
        self.result = result;
        self.message = message.map(str::to_owned);
        self.request_id = request_id.or(self.request_id.take());
        self.exit = match result {
            State::Unseen => Exit::Unseen,
            State::Unknown | State::NotAttempted => Exit::Unavailable,
            _ => Exit::Done,
        };
    }

    fn fail(&mut self, result: State, error: &Error) {
        self.set(
            result,
            Some(&error.to_string()),
            error.request_id().map(str::to_owned),
        );
        self.exit = match error {
            // Okta's word for a group that nobody may edit here (okta-api 1.6, 4).
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
        let mut counts: Vec<(State, u64)> = Vec::new();
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
        let failed = || self.rows.iter().filter(|row| row.exit != Exit::Done);
        if failed().any(|row| row.exit == Exit::Unseen) {
            return Exit::Unseen;
        }
        if let Some(row) = failed().find(|row| (4..=8).contains(&row.exit.code())) {
            return row.exit;
        }
        match failed().next() {
            None => Exit::Done,
            Some(_) if self.rows.iter().any(|row| row.result.is_as_wanted()) => Exit::Partial,
            Some(row) => row.exit,
        }
    }

    /// Prints the report and, if it is not all good, one line that says why.
    fn end(mut self, console: &Console, stopped: Option<anyhow::Error>) -> anyhow::Result<Exit> {
        let exit = self.exit(stopped.as_ref());
        if exit == Exit::Done {
            console.result(&self, || self.table())?;
            return Ok(exit);
        }
        let bad = self.rows.iter().find(|row| row.exit != Exit::Done);
        let mut message = match (&stopped, bad) {
            (Some(error), _) => one_line(error),
            (None, Some(row)) => row.message.clone().unwrap_or_default(),
            (None, None) => String::new(),
        };
        if self.rows.len() > 1 {
            message = format!("{}; first: {message}", self.counts());
        }
        let request_id = match &stopped {
            Some(error) => exit::request_id(error).map(str::to_owned),
            None => bad.and_then(|row| row.request_id.clone()),
        };
        if console.json() {
            self.failure = Some(OwnedFailure {
                error: exit.word(),
                exit_code: exit.code(),
                message: message.clone(),
                request_id,
            });
            console.result(&self, String::new)?;
            tracing::error!("{message}");
        } else {
            if self.rows.len() > 1 {
                console.result(&self, || self.table())?;
            }
            console.failure(&Failure {
                error: exit.word(),
                exit_code: exit.code(),
                message: &message,
                request_id: request_id.as_deref(),
            });
        }
        Ok(exit)
    }
}
