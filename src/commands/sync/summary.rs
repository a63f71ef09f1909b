//! The results of a sync: the summary on stdout, and the manifest.

use std::time::Duration;

use serde::Serialize;

use crate::commands::provenance::Provenance;
use crate::console::FailureObject;
use crate::exit;
use crate::failure::Failure;
use crate::snapshot::{DomainUsers, RunMetadata, Warning};
use crate::sync::pipeline::Published;
use crate::text::{clean, count, number, span};

/// The result of a sync, printed as text or JSON.
#[derive(Debug, Serialize)]
pub(super) struct SyncSummary {
    #[serde(flatten)]
    failure: Option<FailureObject>,
    file: String,
    bytes: u64,
    sha256: String,
    sync_id: String,
    #[serde(flatten)]
    provenance: Provenance,
    complete: bool,
    strategy: String,
    users: ScopeCount,
    domains: Vec<DomainUsers>,
    groups: ScopeCount,
    memberships: Memberships,
    requests: u64,
    retries: u64,
    waits: u64,
    waited_seconds: f64,
    interruptions: u64,
    seconds: f64,
    warnings: Vec<Warning>,
}

/// The number of objects in scope, and of all listed objects.
#[derive(Debug, Serialize)]
pub(in crate::commands) struct ScopeCount {
    pub(in crate::commands) in_scope: u64,
    pub(in crate::commands) listed: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Memberships {
    stored: u64,
    listed: Option<u64>,
    hidden: u64,
    hidden_is_estimate: bool,
}

impl SyncSummary {
    pub(super) fn new(published: &Published, took: Duration) -> Self {
        let snapshot = &published.snapshot;
        let (metadata, counts) = (&snapshot.metadata, &snapshot.counts);
        Self {
            failure: None,
            file: published.file.display().to_string(),
            bytes: snapshot.bytes,
            sha256: snapshot.sha256.clone(),
            sync_id: metadata.sync_id.clone(),
            provenance: Provenance::of(metadata),
            complete: metadata.complete,
            strategy: metadata.strategy.clone(),
            users: ScopeCount {
                in_scope: counts.users,
                listed: metadata
                    .users_seen
                    .map(|listed| listed + metadata.users_only_as_members),
            },
            domains: counts.domains.clone(),
            groups: ScopeCount {
                in_scope: counts.groups,
                listed: Some(metadata.groups_seen + metadata.groups_only_from_users),
            },
            memberships: Memberships {
                stored: counts.memberships,
                listed: metadata.memberships_seen,
                hidden: counts.hidden,
                hidden_is_estimate: counts.hidden_is_estimate,
            },
            requests: metadata.requests,
            retries: metadata.retries,
            waits: metadata.waits,
            waited_seconds: metadata.waited_seconds,
            interruptions: metadata.interruptions,
            seconds: (took.as_secs_f64() * 1000.0).round() / 1000.0,
            warnings: snapshot.warnings.clone(),
        }
    }

    /// Adds the reason why the snapshot did not replace the previous one.
    pub(super) fn refused(mut self, error: &Failure) -> Self {
        let exit = exit::of_kind(error.kind);
        self.failure = Some(FailureObject {
            error: exit.word(),
            exit_code: exit.code(),
            message: error.message.clone(),
            request_id: None,
        });
        self
    }

    pub(super) fn text(&self) -> String {
        let state = if self.complete {
            "complete"
        } else {
            "INCOMPLETE"
        };
        let mut lines = vec![format!("{}  {state}", clean(&self.file))];
        lines.extend(self.contents());
        lines.extend(self.course());
        let warnings = number(self.warnings.len() as u64);
        lines.push(format!("  warnings     {warnings}"));
        lines.extend(self.warnings.iter().map(|warning| {
            let object = warning.object_id.as_deref();
            let object = object.map_or(String::new(), |id| format!(" {id}"));
            let line = format!("{}{object}: {}", warning.code, warning.message);
            format!("    {}", clean(&line))
        }));
        lines.join("\n") + "\n"
    }

    /// Returns the lines about the contents of the snapshot.
    fn contents(&self) -> Vec<String> {
        let of = |rows: &ScopeCount| match rows.listed {
            Some(listed) => format!("{} of {}", number(rows.in_scope), number(listed)),
            None => number(rows.in_scope),
        };
        let memberships = &self.memberships;
        let about = if memberships.hidden_is_estimate {
            "about "
        } else {
            ""
        };
        let mut lines = vec![format!("  users        {}", of(&self.users))];
        lines.extend(domain_lines(&self.domains));
        lines.push(format!("  groups       {}", of(&self.groups)));
        lines.push(format!(
            "  memberships  {}, plus {about}{} out of scope",
            number(memberships.stored),
            number(memberships.hidden)
        ));
        lines.extend(self.provenance.content_line());
        lines
    }

    /// Returns the lines about the cost of the run.
    fn course(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "  requests     {}{}, memberships read by {}",
            number(self.requests),
            retried(self.retries),
            self.strategy
        )];
        if self.waits > 0 {
            lines.push(format!(
                "  waited       {} for rate limits, {}",
                count(self.waits, "time"),
                span(Duration::from_secs_f64(self.waited_seconds))
            ));
        }
        if self.interruptions > 0 {
            lines.push(format!(
                "  interrupted  {}, then resumed",
                count(self.interruptions, "time")
            ));
        }
        lines.push(format!(
            "  took         {}",
            span(Duration::from_secs_f64(self.seconds))
        ));
        lines.push(format!("  size         {} bytes", number(self.bytes)));
        lines
    }
}

/// Returns a line for each domain. A single domain has no line, since it would repeat the line of all users.
pub(in crate::commands) fn domain_lines(domains: &[DomainUsers]) -> Vec<String> {
    if domains.len() < 2 {
        return Vec::new();
    }
    let line = |row: &DomainUsers| {
        let ways = [
            (row.users_by_email, "email"),
            (row.users_by_login, "login"),
            (row.users_by_second_email, "secondary email"),
        ];
        let ways: Vec<String> = ways
            .iter()
            .filter(|(users, _)| *users > 0)
            .map(|(users, way)| format!("{} by {way}", number(*users)))
            .collect();
        let ways = if ways.is_empty() {
            String::new()
        } else {
            format!(": {}", ways.join(", "))
        };
        format!("    {}  {}{ways}", clean(&row.domain), number(row.users))
    };
    domains.iter().map(line).collect()
}

fn retried(retries: u64) -> String {
    if retries == 0 {
        String::new()
    } else {
        format!(", {} of them again", number(retries))
    }
}

/// The manifest, with which a pipeline can identify the snapshot later.
#[derive(Debug, Serialize)]
pub(super) struct SyncManifest<'a> {
    file: &'a str,
    bytes: u64,
    sha256: &'a str,
    snapshot: &'a RunMetadata,
    domains: &'a [DomainUsers],
    warnings: &'a [Warning],
}

impl<'a> SyncManifest<'a> {
    pub(super) fn new(summary: &'a SyncSummary, metadata: &'a RunMetadata) -> Self {
        Self {
            file: &summary.file,
            bytes: summary.bytes,
            sha256: &summary.sha256,
            snapshot: metadata,
            domains: &summary.domains,
            warnings: &summary.warnings,
        }
    }

    pub(super) fn to_bytes(&self) -> anyhow::Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}
