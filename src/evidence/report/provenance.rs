//! The origin of a snapshot as lines for people: who took it, when, from where, and with which scope. Where an auditor
//! looks for a fact that was not recorded, the line says so.

use std::time::Duration;

use serde_json::Value;

use super::PageSource;
use crate::snapshot::{RunMetadata, rfc3339};
use crate::text::{clean, count, number, span};

const NOT_RECORDED: &str = "not recorded";
const OTHER_PROGRAM: &str = "not recorded: another program wrote the snapshot";

/// A fact.
pub(super) struct Line {
    pub(super) name: &'static str,
    pub(super) value: String,
    /// True if the value is a hash or an id.
    pub(super) is_code: bool,
}

/// A group of facts with a title.
pub(super) struct Block {
    pub(super) title: &'static str,
    pub(super) lines: Vec<Line>,
}

fn line(name: &'static str, value: impl AsRef<str>) -> Line {
    Line {
        name,
        value: clean(value.as_ref()).into_owned(),
        is_code: false,
    }
}

fn code(name: &'static str, value: &str) -> Line {
    Line {
        is_code: true,
        ..line(name, value)
    }
}

fn recorded(name: &'static str, value: Option<String>) -> Line {
    line(name, value.as_deref().unwrap_or(NOT_RECORDED))
}

/// Returns the facts about a snapshot.
pub(super) fn blocks(source: &PageSource<'_>) -> Vec<Block> {
    let block = |title, lines| Block { title, lines };
    let mut blocks = vec![block("Snapshot", snapshot(source))];
    match &source.info.metadata {
        Some(run) => {
            blocks.push(block("Who and where", who(run)));
            blocks.push(block("How it was read", how(run)));
            blocks.push(block("Scope, and what it hides", scope(run)));
        }
        None => {
            let names = ["Organization", "Token owner", "Run by"];
            let lines = names.map(|name| line(name, OTHER_PROGRAM));
            blocks.push(block("Who and where", lines.into()));
            let lines = vec![line("Email domains", OTHER_PROGRAM)];
            blocks.push(block("Scope, and what it hides", lines));
        }
    }
    if let Some(change) = &source.change {
        let run = change.info.metadata.as_ref();
        let hash = run.and_then(|run| run.content_sha256.as_deref());
        let mut lines = vec![
            line("File", &change.file.name),
            code("SHA-256 of the file", &change.file.sha256),
            code("Sync id", &change.info.sync_id),
            code("Content SHA-256", hash.unwrap_or(NOT_RECORDED)),
            line("Taken", rfc3339(change.info.ended_at)),
        ];
        if run.is_some_and(|run| !run.complete) {
            lines.push(line("State", "incomplete"));
        }
        let shown = |value: &Value| match value {
            Value::Null => "none".to_owned(),
            other => other.to_string(),
        };
        for field in &change.scope {
            let text = format!(
                "{}: {} before, now {}",
                field.field,
                shown(&field.old),
                shown(&field.new)
            );
            lines.push(line("Other scope", text));
        }
        blocks.push(block("Older snapshot", lines));
    }
    blocks
}

fn snapshot(source: &PageSource<'_>) -> Vec<Line> {
    let info = source.info;
    let run = info.metadata.as_ref();
    let state = match run.map(|run| run.complete) {
        Some(true) => "complete",
        Some(false) => "incomplete: see the warnings",
        None => "not recorded: another program wrote the snapshot",
    };
    let written_by = match run {
        Some(run) => format!("okta-ciam {}", run.tool_version),
        None => "another program".to_owned(),
    };
    let hash = run.and_then(|run| run.content_sha256.as_deref());
    let mut lines = vec![
        line("State", state),
        line("Started", rfc3339(info.started_at)),
        line("Ended", rfc3339(info.ended_at)),
        line("File", &source.file.name),
        line("Size", count(source.file.bytes, "byte")),
        code("SHA-256 of the file", &source.file.sha256),
        code("Sync id", &info.sync_id),
        code("Content SHA-256", hash.unwrap_or(NOT_RECORDED)),
        line("Written by", written_by),
    ];
    let commit = run.and_then(|run| run.tool_commit.as_deref());
    lines.extend(commit.map(|commit| code("Commit of the program", commit)));
    if info.runs > 1 {
        let runs = number(info.runs);
        lines.push(line(
            "Runs in the file",
            format!("{runs}; this is the newest complete one"),
        ));
    }
    lines
}

fn who(run: &RunMetadata) -> Vec<Line> {
    let owner = joined([run.read_as_login.as_deref(), run.read_as_id.as_deref()]);
    let by = match (&run.os_user, &run.host) {
        (Some(user), Some(host)) => Some(format!("{user} on {host}")),
        (user, host) => user.clone().or_else(|| host.clone()),
    };
    let mut lines = vec![
        line("Organization", &run.origin),
        recorded("Token owner", owner),
        recorded("Run by", by),
    ];
    lines.extend(run.run_id.as_ref().map(|id| line("Run id", id)));
    lines.extend(run.note.as_ref().map(|note| line("Note", note)));
    lines
}

fn joined(parts: [Option<&str>; 2]) -> Option<String> {
    let parts: Vec<&str> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn how(run: &RunMetadata) -> Vec<Line> {
    let arguments = run.arguments.as_ref().map(|list| list.0.join(" "));
    let arguments = arguments.map(|text| match text.is_empty() {
        true => "none".to_owned(),
        false => text,
    });
    let mut requests = format!("{} sent", number(run.requests));
    if run.retries > 0 {
        requests += &format!(", {} of them again", number(run.retries));
    }
    if run.waits > 0 {
        let waited = Duration::from_secs_f64(run.waited_seconds.clamp(0.0, 1e9));
        let waits = count(run.waits, "wait");
        requests += &format!(", {waits} for rate limits, {} together", span(waited));
    }
    let mut lines = vec![
        line("Command", format!("okta-ciam {}", run.command)),
        recorded("Options", arguments),
        line("Memberships read by", &run.strategy),
        line("Users listed by", &run.users_listed_by),
        line("Requests", requests),
    ];
    if run.interruptions > 0 {
        let times = count(run.interruptions, "time");
        lines.push(line("Interrupted and resumed", times));
    }
    if let Some(skew) = run.clock_skew_seconds {
        lines.push(line("Clock", clock(skew)));
    }
    lines
}

fn clock(skew: i64) -> String {
    let seconds = count(skew.unsigned_abs(), "second");
    match skew {
        0 => "agrees with Okta's, to the second".to_owned(),
        1.. => format!("{seconds} ahead of Okta's"),
        _ => format!("{seconds} behind Okta's"),
    }
}

fn scope(run: &RunMetadata) -> Vec<Line> {
    let second = if run.skip_secondary_emails {
        "ignored"
    } else {
        "put a user in scope too"
    };
    let groups = match &run.group_name_filter {
        Some(text) => format!("groups whose name contains \"{text}\""),
        None => "all groups".to_owned(),
    };
    vec![
        line("Email domains", run.email_domains.replace(',', ", ")),
        line("Secondary emails", second),
        line("Group names", groups),
        line("Users", hidden(run.users_seen, run.users_kept)),
        line("Groups", hidden(Some(run.groups_seen), run.groups_kept)),
        line(
            "Memberships",
            hidden(run.memberships_seen, run.memberships_kept),
        ),
    ]
}

/// Returns a text with the numbers of objects that Okta listed, that are in scope, and that the scope hides.
fn hidden(listed: Option<u64>, in_scope: u64) -> String {
    match listed {
        None => format!(
            "{} in scope; how many are out of scope is not recorded",
            number(in_scope)
        ),
        Some(listed) => format!(
            "{} listed, {} in scope, {} hidden",
            number(listed),
            number(in_scope),
            number(listed.saturating_sub(in_scope))
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_ahead_behind_or_agrees() {
        assert_eq!(clock(0), "agrees with Okta's, to the second");
        assert_eq!(clock(1), "1 second ahead of Okta's");
        assert_eq!(clock(-90), "90 seconds behind Okta's");
    }

    #[test]
    fn the_number_of_hidden_objects_is_shown_or_unknown() {
        assert_eq!(
            hidden(Some(1_500), 1_200),
            "1,500 listed, 1,200 in scope, 300 hidden"
        );
        assert!(hidden(None, 7).starts_with("7 in scope; how many are out of scope is not"));
    }
}
