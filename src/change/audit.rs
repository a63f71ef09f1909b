//! The audit log: a line of JSON before each change, on the disk before the request leaves, and one after.
//!
//! A log is only ever appended to, by one run at a time. A last line without its end is what a killed run was writing;
//! it is left as it is.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Action;
use crate::snapshot::target::Busy;

/// What was about to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sending {
    /// Names both lines of a change.
    pub change_id: String,
    /// `grant` or `revoke`.
    pub action: String,
    /// The org.
    pub origin: String,
    /// The user's id.
    pub user_id: String,
    /// The user's login, for people.
    pub user: Option<String>,
    /// The group's id.
    pub group_id: String,
    /// The group's name, for people.
    pub group: Option<String>,
    /// The line of `--from`.
    pub line: Option<u64>,
}

impl Sending {
    /// What it was about to do.
    pub fn action(&self) -> Option<Action> {
        [Action::Grant, Action::Revoke]
            .into_iter()
            .find(|action| action.as_str() == self.action)
    }
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome<'a> {
    /// `done`, `done, answer lost`, `not done`, `found done`, `found not done`.
    pub outcome: &'a str,
    /// Okta's id of the request.
    pub request_id: Option<&'a str>,
    /// Why it was not done, or what happened to the answer.
    pub message: Option<&'a str>,
}

#[derive(Serialize)]
struct Line<'a, T: Serialize> {
    time: String,
    record: &'static str,
    tool: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    change_id: Option<&'a str>,
    #[serde(flatten)]
    rest: &'a T,
}

#[derive(Deserialize)]
struct Read {
    record: String,
    change_id: String,
    time: Option<String>,
}

const TOOL: &str = concat!("okta-ciam ", env!("CARGO_PKG_VERSION"));

/// A log that is open, and no other run's.
#[derive(Debug)]
pub struct Audit {
    file: File,
    path: PathBuf,
}

impl Audit {
    /// Opens a log, makes it if need be, and says what an earlier run left in it.
    ///
    /// # Errors
    /// What the file system says; [`Busy`] where another run has it.
    pub fn open(path: &Path) -> anyhow::Result<(Self, Past)> {
        // Opening a pipe would wait for its other end, and reading a device might never end.
        if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            bail!(
                "the audit log {} is no regular file; name one",
                path.display()
            );
        }
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .with_context(|| format!("cannot open the audit log {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Busy::of(path).into()),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        let mut text = Vec::new();
        file.read_to_end(&mut text)
            .with_context(|| format!("cannot read the audit log {}", path.display()))?;
        let mut audit = Self {
            file,
            path: path.to_owned(),
        };
        if text.is_empty()
            && let Some(folder) = path.parent()
        {
            // A new log must still be there after a power cut. Some file systems cannot sync a folder.
            let folder = if folder.as_os_str().is_empty() {
                Path::new(".")
            } else {
                folder
            };
            let _ = File::open(folder).and_then(|folder| folder.sync_all());
        }
        if !text.is_empty() && !text.ends_with(b"\n") {
            audit.write(b"\n")?;
        }
        Ok((audit, past(&text)))
    }

    /// Writes what is about to be sent, to the disk.
    ///
    /// # Errors
    /// What the file system says. Then nothing may be sent.
    pub fn sending(&mut self, sending: &Sending) -> anyhow::Result<()> {
        self.line(&Line {
            time: now(),
            record: "sending",
            tool: TOOL,
            change_id: None,
            rest: sending,
        })
    }

    /// Writes what became of it.
    ///
    /// # Errors
    /// What the file system says.
    pub fn result(&mut self, change_id: &str, outcome: &Outcome<'_>) -> anyhow::Result<()> {
        self.line(&Line {
            time: now(),
            record: "result",
            tool: TOOL,
            change_id: Some(change_id),
            rest: outcome,
        })
    }

    fn line(&mut self, line: &impl Serialize) -> anyhow::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        self.write(&bytes)
    }

    /// One write a line, so that a line is there whole or, after a crash, as the last.
    fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let written = self
            .file
            .write_all(bytes)
            .and_then(|()| self.file.sync_data());
        written.with_context(|| format!("cannot write the audit log {}", self.path.display()))
    }
}

/// A name for a change that no other has.
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

/// What earlier runs left in a log.
#[derive(Debug, Default)]
pub struct Past {
    /// Changes without a result.
    pub open: Vec<Sending>,
    /// When each membership was last sent, by user and group.
    pub sent: HashMap<(String, String), Timestamp>,
}

/// Reads a log. A line that is no record of ours counts as none.
fn past(text: &[u8]) -> Past {
    let mut past = Past::default();
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
    fn a_change_without_a_result_is_found_by_the_next_run_also_behind_a_torn_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let (mut audit, past) = Audit::open(&path).unwrap();
        assert!(past.open.is_empty());
        let done = Outcome {
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
