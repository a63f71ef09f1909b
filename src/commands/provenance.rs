//! Prints the origin of a snapshot, for `sync` and `show`.

use serde::Serialize;

use crate::snapshot::{Arguments, RunMetadata};
use crate::text::clean;

/// The origin of a snapshot, as recorded in it; null if not recorded.
#[derive(Debug, Serialize)]
pub(super) struct Provenance {
    read_as_id: Option<String>,
    read_as_login: Option<String>,
    os_user: Option<String>,
    host: Option<String>,
    run_id: Option<String>,
    note: Option<String>,
    tool_version: String,
    tool_commit: Option<String>,
    arguments: Option<Arguments>,
    content_sha256: Option<String>,
}

impl Provenance {
    pub(super) fn of(metadata: &RunMetadata) -> Self {
        Self {
            read_as_id: metadata.read_as_id.clone(),
            read_as_login: metadata.read_as_login.clone(),
            os_user: metadata.os_user.clone(),
            host: metadata.host.clone(),
            run_id: metadata.run_id.clone(),
            note: metadata.note.clone(),
            tool_version: metadata.tool_version.clone(),
            tool_commit: metadata.tool_commit.clone(),
            arguments: metadata.arguments.clone(),
            content_sha256: metadata.content_sha256.clone(),
        }
    }

    /// Returns a line for each recorded fact.
    pub(super) fn lines(&self) -> Vec<String> {
        let by = [
            self.os_user.clone(),
            self.host.as_ref().map(|host| format!("on {host}")),
        ];
        let arguments = self.arguments.as_ref().map(|list| list.0.join(" "));
        let facts = [
            (
                "token owner",
                joined([&self.read_as_login, &self.read_as_id], ", "),
            ),
            ("run by", joined([&by[0], &by[1]], " ")),
            ("run", self.run_id.clone()),
            ("note", self.note.clone()),
            ("commit", self.tool_commit.clone()),
            ("arguments", arguments.filter(|list| !list.is_empty())),
        ];
        let lines = facts
            .into_iter()
            .filter_map(|(name, fact)| Some(line(name, &fact?)));
        lines.chain(self.content_line()).collect()
    }

    /// Returns the line with the hash of the content.
    pub(super) fn content_line(&self) -> Option<String> {
        let hash = self.content_sha256.as_ref()?;
        Some(line("content", &format!("SHA-256 {hash}")))
    }
}

fn line(name: &str, fact: &str) -> String {
    format!("  {name:<13}{}", clean(fact))
}

fn joined(parts: [&Option<String>; 2], by: &str) -> Option<String> {
    let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
    (!parts.is_empty()).then(|| parts.join(by))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_that_were_not_recorded_have_no_line_and_hidden_characters_are_visible() {
        let metadata = RunMetadata {
            tool_commit: None,
            ..RunMetadata::default()
        };
        assert!(Provenance::of(&metadata).lines().is_empty());
        let metadata = RunMetadata {
            read_as_id: Some("00u1".to_owned()),
            host: Some("ci".to_owned()),
            note: Some("\u{1b}[31mred".to_owned()),
            arguments: Some(Arguments(vec![
                "--fresh".to_owned(),
                "--file=a.db".to_owned(),
            ])),
            content_sha256: Some("ab".to_owned()),
            ..metadata
        };
        assert_eq!(
            Provenance::of(&metadata).lines(),
            [
                "  token owner  00u1",
                "  run by       on ci",
                "  note         \\u{1b}[31mred",
                "  arguments    --fresh --file=a.db",
                "  content      SHA-256 ab",
            ]
        );
    }
}
