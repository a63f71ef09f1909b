//! The report of a `grant` or `revoke`: one row per planned row, printed as text or JSON, and converted to an exit code
//! and to records of the audit log.

use std::fmt::Write as _;
use std::io::ErrorKind;

use anyhow::Context as _;
use serde::{Serialize, Serializer};

use super::plan::ChangePlan;
use crate::change::Action;
use crate::change::audit::{Audit, Unsent};
use crate::change::decide::{PlannedRow, RowAction};
use crate::change::sheet::SheetSummary;
use crate::config::ChangeConfig;
use crate::console::{Console, FailureObject};
use crate::exit::{self, ExitStatus};
use crate::okta::{self, Error};
use crate::text::{clean, count, one_line};

/// The outcome of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowResult {
    /// The change will be sent.
    Planned,
    /// The change was sent and is visible.
    Changed,
    /// There was nothing to change.
    Unchanged,
    /// An earlier row requests the same change.
    Duplicate,
    /// The change is impossible, but was not explicitly requested.
    Skipped,
    /// okta-ciam refused the change.
    Refused,
    /// Okta refused the change.
    Failed,
    /// The change was sent, but is not visible when read back.
    NotVisible,
    /// The change was sent, and its outcome is unknown.
    Unknown,
    /// The run stopped before the row.
    NotAttempted,
}

impl RowResult {
    /// Returns the word in JSON and in the audit log.
    fn word(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Duplicate => "duplicate",
            Self::Skipped => "skipped",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::NotVisible => "not_visible",
            Self::Unknown => "unknown",
            Self::NotAttempted => "not_attempted",
        }
    }

    /// Returns the word as people read it.
    fn text(self) -> String {
        self.word().replace('_', " ")
    }

    fn is_as_wanted(self) -> bool {
        // A duplicate has the outcome of its first row.
        matches!(self, Self::Changed | Self::Unchanged | Self::Planned)
    }
}

impl Serialize for RowResult {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

#[derive(Debug, Serialize)]
pub(super) struct ReportRow {
    line: Option<u64>,
    user: Named,
    group: Named,
    result: RowResult,
    pub(super) message: Option<String>,
    request_id: Option<String>,
    #[serde(skip)]
    exit: ExitStatus,
    /// True if the audit log already contains the change.
    #[serde(skip)]
    pub(super) is_recorded: bool,
}

/// A user or a group, as typed and as found.
#[derive(Debug, Serialize)]
struct Named {
    typed: String,
    id: Option<String>,
    name: Option<String>,
}

impl Named {
    fn text(&self) -> &str {
        self.name
            .as_deref()
            .or(self.id.as_deref())
            .unwrap_or(&self.typed)
    }
}

impl ReportRow {
    fn new(planned_row: &PlannedRow) -> Self {
        let user = planned_row.user.as_deref();
        let group = planned_row.group.as_deref();
        let (result, exit, message) = match &planned_row.action {
            RowAction::Change | RowAction::Keep => (RowResult::Planned, ExitStatus::Done, None),
            RowAction::Unchanged => (RowResult::Unchanged, ExitStatus::Done, None),
            RowAction::Skipped(reason) => {
                (RowResult::Skipped, ExitStatus::Done, Some(reason.clone()))
            }
            RowAction::Duplicate(line) => {
                let first = line.map_or("an earlier row".to_owned(), |line| format!("line {line}"));
                let message = format!("the same as {first}");
                (RowResult::Duplicate, ExitStatus::Done, Some(message))
            }
            RowAction::Refused(refusal) => (
                RowResult::Refused,
                exit::of_kind(refusal.kind),
                Some(refusal.reason.clone()),
            ),
        };
        Self {
            line: planned_row.row.line,
            user: Named {
                typed: planned_row.row.user.clone(),
                id: user.map(|user| user.id.to_string()),
                name: user.and_then(|user| user.login()).map(str::to_owned),
            },
            group: Named {
                typed: planned_row.row.group.clone(),
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

    pub(super) fn set(
        &mut self,
        result: RowResult,
        message: Option<&str>,
        request_id: Option<String>,
    ) {
        self.result = result;
        self.message = message.map(str::to_owned);
        self.request_id = request_id.or(self.request_id.take());
        self.exit = match result {
            RowResult::NotVisible => ExitStatus::NotVisible,
            RowResult::Unknown | RowResult::NotAttempted => ExitStatus::Unavailable,
            _ => ExitStatus::Done,
        };
    }

    pub(super) fn fail(&mut self, result: RowResult, error: &Error) {
        self.set(
            result,
            Some(&error.to_string()),
            error.request_id().map(str::to_owned),
        );
        self.exit = match error {
            // Okta's error code for a group that cannot be edited (docs/okta-api.md, Changes to a membership and
            // Errors).
            Error::Refused(refusal)
                if refusal.status == 501 || refusal.code.as_deref() == Some("E0000060") =>
            {
                ExitStatus::Refused
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
            self.result.text(),
            self.user.text(),
            self.group.text()
        );
        clean(&text).into_owned()
    }
}

/// The outcomes of all rows.
#[derive(Debug, Serialize)]
pub(super) struct ChangeReport {
    #[serde(flatten)]
    failure: Option<FailureObject>,
    action: Action,
    dry_run: bool,
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sheet: Option<SheetSummary>,
    pub(super) rows: Vec<ReportRow>,
}

impl ChangeReport {
    pub(super) fn new(config: &ChangeConfig, plan: &ChangePlan) -> Self {
        Self {
            failure: None,
            action: config.action,
            dry_run: config.dry_run,
            warnings: plan.cautions.clone(),
            sheet: config.sheet.clone(),
            rows: plan.planned_rows.iter().map(ReportRow::new).collect(),
        }
    }

    /// Records the rows with these outcomes in the audit log. Nothing was sent for them.
    pub(super) fn record(
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
                typed_user: &row.user.typed,
                user_id: row.user.id.as_deref(),
                user: row.user.name.as_deref(),
                typed_group: &row.group.typed,
                group_id: row.group.id.as_deref(),
                group: row.group.name.as_deref(),
                line: row.line,
                message: row.message.as_deref(),
            })
            .collect();
        audit.unsent(&unsent)
    }

    /// Returns one line per row and, if there are several, the counts.
    pub(super) fn table(&self) -> String {
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
            .map(|(result, count)| format!("{count} {}", result.text()))
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

    /// Returns the exit code from the first of these that applies: the error that stopped the run, a change that is not
    /// visible, the first row with an exit code from 4 to 8, `Partial` if some rows succeeded, and the first failed
    /// row.
    fn exit(&self, stopped: Option<&anyhow::Error>) -> ExitStatus {
        if let Some(error) = stopped {
            return exit::of_error(error);
        }
        match self.decisive() {
            None => ExitStatus::Done,
            Some(row) if row.exit.outranks_partial() => row.exit,
            Some(_) if self.rows.iter().any(|row| row.result.is_as_wanted()) => ExitStatus::Partial,
            Some(row) => row.exit,
        }
    }

    /// Returns the row that decides the exit code; `None` if all rows succeeded.
    fn decisive(&self) -> Option<&ReportRow> {
        let failed = || self.rows.iter().filter(|row| row.exit != ExitStatus::Done);
        let first = |is: fn(ExitStatus) -> bool| failed().find(|row| is(row.exit));
        first(|exit| exit == ExitStatus::NotVisible)
            .or_else(|| first(ExitStatus::outranks_partial))
            .or_else(|| failed().next())
    }

    /// Prints the report and, unless all rows succeeded, one line with the reason.
    pub(super) fn end(
        mut self,
        console: &Console,
        stopped: Option<anyhow::Error>,
    ) -> anyhow::Result<ExitStatus> {
        let exit = self.exit(stopped.as_ref());
        let mut message = self.message(stopped.as_ref());
        // The table ends with the counts, which are not repeated.
        if self.rows.len() > 1 && console.is_quiet() {
            message = format!("{}; {message}", self.counts());
        }
        let request_id = match &stopped {
            Some(error) => okta::request_id_of(error).map(str::to_owned),
            None => self.decisive().and_then(|row| row.request_id.clone()),
        };
        if exit != ExitStatus::Done && console.json() {
            self.failure = Some(FailureObject {
                error: exit.word(),
                exit_code: exit.code(),
                message: message.clone(),
                request_id,
            });
        }
        if let Some(lost) = self.print(console, exit)? {
            return Ok(lost);
        }
        if exit != ExitStatus::Done {
            tracing::error!("{message}");
        }
        Ok(exit)
    }

    /// Returns the line with the reason why the run did not succeed.
    fn message(&self, stopped: Option<&anyhow::Error>) -> String {
        match (stopped, self.decisive()) {
            (Some(error), _) => one_line(error),
            (None, Some(row)) => {
                let line = row
                    .line
                    .map_or(String::new(), |line| format!("line {line}: "));
                line + row.message.as_deref().unwrap_or_default()
            }
            (None, None) => String::new(),
        }
    }

    /// Prints the rows to stdout. If that fails after changes were sent, prints them to stderr and returns the exit
    /// code.
    fn print(&self, console: &Console, exit: ExitStatus) -> anyhow::Result<Option<ExitStatus>> {
        if exit != ExitStatus::Done && !console.json() && self.rows.len() <= 1 {
            return Ok(None);
        }
        let is_sent = |row: &ReportRow| {
            matches!(
                row.result,
                RowResult::Changed | RowResult::NotVisible | RowResult::Unknown
            )
        };
        match console.report(self, || self.table()) {
            Ok(()) => Ok(None),
            Err(error) if self.rows.iter().any(is_sent) => {
                // Changes were sent, so the report must be visible somewhere.
                console.print_notice(&self.table(), true);
                tracing::error!(
                    "cannot write the report to standard output ({error}), but changes were sent: {}",
                    self.counts()
                );
                Ok(Some(if exit == ExitStatus::Done {
                    ExitStatus::Failed
                } else {
                    exit
                }))
            }
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(None),
            Err(error) => Err(error).context("cannot write to standard output"),
        }
    }
}
