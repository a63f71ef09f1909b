//! The changes in an audit log, for people and auditors.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::Read;

/// A recorded change and its result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names are those of the log")]
pub struct LoggedChange {
    pub time: String,
    pub change_id: String,
    pub run_id: String,
    pub os_user: Option<String>,
    pub token_owner: Option<String>,
    pub action: String,
    pub origin: String,
    pub group_id: String,
    pub group: Option<String>,
    pub user_id: String,
    pub user: Option<String>,
    /// The outcome; `None` if there is no record of it.
    pub outcome: Option<String>,
    pub request_id: Option<String>,
}

impl LoggedChange {
    /// The titles of [`Self::cells`].
    pub const COLUMNS: [&str; 12] = [
        "time",
        "action",
        "group_id",
        "group_name",
        "user_id",
        "user_login",
        "outcome",
        "request_id",
        "token_owner",
        "os_user",
        "run_id",
        "change_id",
    ];

    /// Returns the values of a table row.
    pub fn cells(&self) -> Vec<Value> {
        let outcome = self.outcome.as_deref().unwrap_or("unknown");
        vec![
            self.time.as_str().into(),
            self.action.as_str().into(),
            self.group_id.as_str().into(),
            self.group.as_deref().into(),
            self.user_id.as_str().into(),
            self.user.as_deref().into(),
            outcome.into(),
            self.request_id.as_deref().into(),
            self.token_owner.as_deref().into(),
            self.os_user.as_deref().into(),
            self.run_id.as_str().into(),
            self.change_id.as_str().into(),
        ]
    }

    /// Returns the time at which the change was sent.
    pub fn at(&self) -> Option<Timestamp> {
        self.time.parse().ok()
    }
}

/// Returns the changes in a log with their results. Lines that are not records are ignored.
pub fn logged_changes(text: &[u8]) -> Vec<LoggedChange> {
    let mut changes: Vec<LoggedChange> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for line in text.split(|byte| *byte == b'\n') {
        let Ok(kind) = serde_json::from_slice::<Read>(line) else {
            continue;
        };
        let Ok(record) = serde_json::from_slice::<LoggedChange>(line) else {
            continue;
        };
        match kind.record.as_str() {
            "sending" => {
                places.insert(record.change_id.clone(), changes.len());
                changes.push(record);
            }
            "result" => {
                if let Some(place) = places.get(&record.change_id) {
                    changes[*place].outcome = record.outcome.map(current_outcome);
                    changes[*place].request_id = record.request_id;
                }
            }
            _ => {}
        }
    }
    changes
}

/// Returns the word of today for an outcome. Logs that were written before the first release contain two other words.
fn current_outcome(outcome: String) -> String {
    match outcome.as_str() {
        "found done" => "confirmed done".to_owned(),
        "found not done" => "confirmed not done".to_owned(),
        _ => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_of_a_log_of_an_earlier_version_get_the_words_of_today() {
        for (logged, expected) in [
            ("found done", "confirmed done"),
            ("found not done", "confirmed not done"),
            ("confirmed done", "confirmed done"),
            ("not done", "not done"),
        ] {
            let log = format!(
                "{{\"record\":\"sending\",\"change_id\":\"one\",\"action\":\"grant\"}}\n{{\"record\":\"row\",\"asked_user\":\"bob\",\"outcome\":\"not attempted\"}}\n{{\"record\":\"result\",\"change_id\":\"one\",\"outcome\":\"{logged}\"}}\n"
            );
            let changes = logged_changes(log.as_bytes());
            assert_eq!(changes.len(), 1, "{changes:?}");
            assert_eq!(changes[0].outcome.as_deref(), Some(expected));
        }
    }

    #[test]
    fn changes_have_their_results_and_other_lines_are_ignored() {
        let sending = |id: &str, time: &str| {
            format!(
                "{{\"time\":\"{time}\",\"record\":\"sending\",\"tool\":\"okta-ciam 0.1.0\",\"run_id\":\"r\",\"change_id\":\"{id}\",\"action\":\"revoke\",\"origin\":\"https://company.okta.com\",\"user_id\":\"00u1\",\"group_id\":\"00g1\"}}\n"
            )
        };
        let log = [
            sending("one", "2026-01-31T12:00:00.000Z"),
            "{\"record\":\"row\",\"outcome\":\"refused\",\"change_id\":\"x\"}\n".to_owned(),
            sending("two", "2026-01-31T12:00:01.000Z"),
            "{\"time\":\"2026-01-31T12:00:02.000Z\",\"record\":\"result\",\"change_id\":\"one\",\"outcome\":\"done\",\"request_id\":\"req1\"}\n".to_owned(),
            "{\"record\":\"result\",\"change_id\":\"never sent\",\"outcome\":\"done\"}\n".to_owned(),
            "{\"time\":\"2026".to_owned(),
        ];
        let changes = logged_changes(log.concat().as_bytes());
        let [one, two] = &changes[..] else {
            panic!("{changes:?}")
        };
        assert_eq!(one.outcome.as_deref(), Some("done"));
        assert_eq!(one.request_id.as_deref(), Some("req1"));
        assert_eq!(one.at(), "2026-01-31T12:00:00Z".parse().ok());
        assert_eq!(two.outcome, None);
        assert_eq!(two.cells()[6], "unknown");
        assert_eq!(two.cells().len(), LoggedChange::COLUMNS.len());
    }
}
