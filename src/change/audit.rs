//! The audit log. It has a line of JSON before each change, which is on disk before the request is sent, a line after
//! the change, and a line for each row for which nothing is sent. Every line contains the run, the user and host of the
//! operating system, and the owner of the token.
//!
//! Lines are only appended, by one run at a time. An incomplete last line is from a killed run and stays unchanged.

mod logged;

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

pub use self::logged::{LoggedChange, logged_changes};
use super::Action;
use crate::atomic_file::{Busy, sync_folder_of};
use crate::model::User;
use crate::{trust, whoami};

/// A change that is about to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sending {
    /// The id that connects both lines of a change.
    pub change_id: String,
    /// `grant` or `revoke`.
    pub action: String,
    /// The URL of the org.
    pub origin: String,
    /// The user's id.
    pub user_id: String,
    /// The user's login, for people.
    pub user: Option<String>,
    /// The group's id.
    pub group_id: String,
    /// The group's name, for people.
    pub group: Option<String>,
    /// The line of the row in the file of `--from`.
    pub line: Option<u64>,
}

impl Sending {
    /// Parses the action.
    pub fn action(&self) -> Option<Action> {
        [Action::Grant, Action::Revoke]
            .into_iter()
            .find(|action| action.as_str() == self.action)
    }
}

/// The result of a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditResult<'a> {
    /// `done`, `done, response lost`, `not done`, `confirmed done` or `confirmed not done`. The outcomes with "confirmed"
    /// come from reading the membership, not from Okta's response.
    pub outcome: &'a str,
    /// Okta's id of the request, for Okta's support.
    pub request_id: Option<&'a str>,
    /// The reason for not making the change, or for the loss of the response.
    pub message: Option<&'a str>,
}

/// A row for which nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unsent<'a> {
    /// `unchanged`, `skipped`, `refused` or `not_attempted`.
    pub outcome: &'a str,
    /// `grant` or `revoke`.
    pub action: &'a str,
    /// The URL of the org.
    pub origin: &'a str,
    /// The user as typed.
    pub typed_user: &'a str,
    /// The user's id, if the user was found.
    pub user_id: Option<&'a str>,
    /// The user's login, for people.
    pub user: Option<&'a str>,
    /// The group as typed.
    pub typed_group: &'a str,
    /// The group's id, if the group was found.
    pub group_id: Option<&'a str>,
    /// The group's name, for people.
    pub group: Option<&'a str>,
    /// The line of the row in the file of `--from`.
    pub line: Option<u64>,
    /// The reason.
    pub message: Option<&'a str>,
}

/// The run, the user and the machine behind a change; null where unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Who {
    run_id: String,
    os_user: Option<String>,
    host: Option<String>,
    token_owner_id: Option<String>,
    token_owner: Option<String>,
}

impl Who {
    fn of_process() -> Self {
        Self {
            run_id: change_id(),
            os_user: Some(whoami::os_user()),
            host: whoami::host(),
            token_owner_id: None,
            token_owner: None,
        }
    }
}

#[derive(Serialize)]
struct Line<'a, T: Serialize> {
    time: String,
    record: &'static str,
    tool: &'static str,
    #[serde(flatten)]
    who: &'a Who,
    #[serde(skip_serializing_if = "Option::is_none")]
    change_id: Option<&'a str>,
    #[serde(flatten)]
    rest: &'a T,
}

/// Reads the text of a log. Returns `None` without reading more than the beginning if the file is something else.
fn read(file: &mut File) -> std::io::Result<Option<Vec<u8>>> {
    let mut text = Vec::new();
    (&*file).take(LONGEST_FIRST_LINE).read_to_end(&mut text)?;
    if !is_log(&text) {
        return Ok(None);
    }
    file.read_to_end(&mut text)?;
    Ok(Some(text))
}

/// The largest length of the first line. Okta's limits for names and messages are far below it.
const LONGEST_FIRST_LINE: u64 = 1 << 20;

/// Returns true if a file that begins like this can be an audit log: if it is empty, or begins with a record, possibly
/// an incomplete one from a killed run.
pub fn is_log(text: &[u8]) -> bool {
    const BEGINNING: &[u8] = b"{\"time\":\"";
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or(text);
    if line.len() == text.len() {
        return BEGINNING.starts_with(line) || line.starts_with(BEGINNING);
    }
    // An incomplete first record was ended by the next run, so it may be a line that is not valid JSON.
    let is_ours = |first: First| first.tool.starts_with("okta-ciam ");
    serde_json::from_slice(line).map_or(line.starts_with(BEGINNING), is_ours)
}

/// The field of the first record that identifies a log.
#[derive(Deserialize)]
struct First {
    tool: String,
}

#[derive(Deserialize)]
struct Read {
    record: String,
    change_id: String,
    time: Option<String>,
}

const TOOL: &str = concat!("okta-ciam ", env!("CARGO_PKG_VERSION"));

/// An open audit log, locked against other runs.
#[derive(Debug)]
pub struct Audit {
    file: File,
    path: PathBuf,
    who: Who,
}

impl Audit {
    /// Opens a log, or creates it, and returns what earlier runs recorded.
    ///
    /// # Errors
    /// Returns an error if the file cannot be opened or read, and [`Busy`] if another run has locked the log.
    pub fn open(path: &Path) -> anyhow::Result<(Self, AuditHistory)> {
        let path = &trust::resolve(path)?;
        // The path was resolved, so a link is new and not trusted. A pipe must not block.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(flags.bits().cast_signed())
            .open(path);
        if std::fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
            bail!(
                "the audit log {} is not a regular file; use one that is",
                path.display()
            );
        }
        let mut file =
            file.with_context(|| format!("cannot open the audit log {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Busy::of(path).into()),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        let text = read(&mut file)
            .with_context(|| format!("cannot read the audit log {}", path.display()))?;
        let Some(text) = text else {
            bail!(
                "{} is not an audit log of okta-ciam; use another file for --audit-log",
                path.display()
            );
        };
        let mut audit = Self {
            file,
            path: path.to_owned(),
            who: Who::of_process(),
        };
        if text.is_empty() {
            sync_folder_of(path);
        }
        if !text.is_empty() && !text.ends_with(b"\n") {
            audit.write(b"\n")?;
        }
        Ok((audit, past(&text)))
    }

    /// Adds the owner of the token to all later lines.
    pub fn set_token_owner(&mut self, owner: &User) {
        self.who.token_owner_id = Some(owner.id.to_string());
        self.who.token_owner = owner.login().map(str::to_owned);
    }

    /// Records a change that is about to be sent, on disk.
    ///
    /// # Errors
    /// Returns an error if writing fails. The change must not be sent then.
    pub fn sending(&mut self, sending: &Sending) -> anyhow::Result<()> {
        let line = self.line("sending", None, sending)?;
        self.write(&line)
    }

    /// Records rows for which nothing is sent, in a single write.
    ///
    /// # Errors
    /// Returns an error if writing fails.
    pub fn unsent(&mut self, rows: &[Unsent<'_>]) -> anyhow::Result<()> {
        let mut lines = Vec::new();
        for row in rows {
            lines.extend(self.line("row", None, row)?);
        }
        if lines.is_empty() {
            return Ok(());
        }
        self.write(&lines)
    }

    /// Records the result of a change.
    ///
    /// # Errors
    /// Returns an error if writing fails.
    pub fn result(&mut self, change_id: &str, outcome: &AuditResult<'_>) -> anyhow::Result<()> {
        let line = self.line("result", Some(change_id), outcome)?;
        self.write(&line)
    }

    fn line(
        &self,
        record: &'static str,
        change_id: Option<&str>,
        rest: &impl Serialize,
    ) -> anyhow::Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(&Line {
            time: now(),
            record,
            tool: TOOL,
            who: &self.who,
            change_id,
            rest,
        })?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Writes lines at once, so that a crash leaves at most one incomplete line, at the end.
    fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let written = self
            .file
            .write_all(bytes)
            .and_then(|()| self.file.sync_data());
        written.with_context(|| format!("cannot write the audit log {}", self.path.display()))
    }
}

/// Returns a unique id for a change.
pub fn change_id() -> String {
    format!(
        "{:012x}{:016x}",
        Timestamp::now().as_millisecond(),
        fastrand::u64(..)
    )
}

fn now() -> String {
    format!("{:.3}", Timestamp::now())
}

/// The records of earlier runs.
#[derive(Debug, Default)]
pub struct AuditHistory {
    /// The changes without a result.
    pub open: Vec<Sending>,
    /// The time of the last change of each membership, by user and group.
    pub sent: HashMap<(String, String), Timestamp>,
    /// The time at which the log was read. All of its records are older.
    pub read: Option<Instant>,
}

/// Parses a log. Lines that are not records are ignored.
fn past(text: &[u8]) -> AuditHistory {
    let mut past = AuditHistory {
        read: Some(Instant::now()),
        ..AuditHistory::default()
    };
    for line in text.split(|byte| *byte == b'\n') {
        let Ok(read) = serde_json::from_slice::<Read>(line) else {
            continue;
        };
        match read.record.as_str() {
            "sending" => {
                let Ok(sending) = serde_json::from_slice::<Sending>(line) else {
                    continue;
                };
                if let Some(time) = read.time.and_then(|time| time.parse().ok()) {
                    past.sent
                        .insert((sending.user_id.clone(), sending.group_id.clone()), time);
                }
                past.open.push(sending);
            }
            "result" => past
                .open
                .retain(|sending| sending.change_id != read.change_id),
            _ => {}
        }
    }
    past
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sending(change_id: &str) -> Sending {
        Sending {
            change_id: change_id.to_owned(),
            action: "grant".to_owned(),
            origin: "https://company.okta.com".to_owned(),
            user_id: "00u1".to_owned(),
            user: Some("ada@example.com".to_owned()),
            group_id: "00g1".to_owned(),
            group: None,
            line: Some(2),
        }
    }

    #[test]
    fn a_log_of_an_earlier_version_is_read_and_unsent_rows_are_not_pending_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let old = "{\"time\":\"2026-01-31T12:00:00.000Z\",\"record\":\"sending\",\"tool\":\"okta-ciam 0.1.0\",\"change_id\":\"one\",\"action\":\"grant\",\"origin\":\"https://company.okta.com\",\"user_id\":\"00u1\",\"user\":\"ada@example.com\",\"group_id\":\"00g1\",\"group\":null,\"line\":2}\n";
        std::fs::write(&path, old).unwrap();
        let (mut audit, past) = Audit::open(&path).unwrap();
        assert_eq!(past.open, [sending("one")]);
        let row = Unsent {
            outcome: "refused",
            action: "grant",
            origin: "https://company.okta.com",
            typed_user: "bob",
            user_id: None,
            user: None,
            typed_group: "00g1",
            group_id: Some("00g1"),
            group: None,
            line: Some(3),
            message: Some("no user"),
        };
        audit.unsent(&[row.clone(), row]).unwrap();
        drop(audit);
        let (_, past) = Audit::open(&path).unwrap();
        assert_eq!((past.open.len(), past.sent.len()), (1, 1));
    }

    #[test]
    fn a_change_without_a_result_is_found_by_the_next_run_even_after_an_incomplete_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let (mut audit, past) = Audit::open(&path).unwrap();
        assert!(past.open.is_empty());
        let done = AuditResult {
            outcome: "done",
            request_id: Some("req1"),
            message: None,
        };
        audit.sending(&sending("one")).unwrap();
        audit.result("one", &done).unwrap();
        audit.sending(&sending("two")).unwrap();
        assert!(Audit::open(&path).unwrap_err().is::<Busy>());
        drop(audit);
        let mut torn = std::fs::read(&path).unwrap();
        torn.extend_from_slice(b"{\"time\":\"2026-01-31T12:00:00Z\",\"record\":\"resu");
        std::fs::write(&path, &torn).unwrap();
        let (mut audit, past) = Audit::open(&path).unwrap();
        assert_eq!(past.open, [sending("two")]);
        assert!(
            past.sent
                .contains_key(&("00u1".to_owned(), "00g1".to_owned()))
        );
        audit.result("two", &done).unwrap();
        drop(audit);
        assert!(Audit::open(&path).unwrap().1.open.is_empty());
        assert!(
            std::fs::read(&path).unwrap().starts_with(&torn),
            "a log is only appended to"
        );
    }
}
