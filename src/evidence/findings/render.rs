//! Writes findings as text, JSON, CSV, Markdown, SARIF or JUnit.

mod csv;
mod junit;
mod markdown;
mod sarif;
mod text;

use std::io::{self, Write};

use clap::ValueEnum;
use serde::Serialize;

use super::Finding;
use crate::evidence::export::OrderedObject;

/// The format of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
#[allow(missing_docs, reason = "the names say it")]
pub enum FindingsFormat {
    Text,
    Json,
    Csv,
    Markdown,
    Sarif,
    Junit,
}

/// Findings and the snapshot that they are about.
#[derive(Clone, Debug, Serialize)]
pub struct FindingsReport {
    /// The facts about the snapshot.
    pub meta: OrderedObject,
    /// The name of the snapshot's file.
    #[serde(skip)]
    pub file: String,
    /// The findings.
    pub findings: Vec<Finding>,
}

/// Writes a report.
///
/// # Errors
/// Returns an error if the output fails.
pub fn write(
    report: &FindingsReport,
    format: FindingsFormat,
    out: &mut dyn Write,
) -> io::Result<()> {
    match format {
        FindingsFormat::Text => text::write(report, out),
        FindingsFormat::Json => {
            let text = serde_json::to_string_pretty(report)?;
            out.write_all(crate::text::json(text).as_bytes())
        }
        FindingsFormat::Csv => csv::write(report, out),
        FindingsFormat::Markdown => markdown::write(report, out),
        FindingsFormat::Sarif => sarif::write(report, out),
        FindingsFormat::Junit => junit::write(report, out),
    }?;
    out.flush()
}

impl Finding {
    /// Returns the number of rows, or `skipped`.
    fn result(&self) -> String {
        match (&self.skipped, self.suppressed) {
            (Some(_), _) => "skipped".to_owned(),
            (None, 0) => crate::text::number(self.count as u64),
            (None, suppressed) => format!("{}, {suppressed} suppressed", self.count),
        }
    }
}

impl super::FindingRow {
    /// Returns the user, the group or the membership that the row is about, for people.
    fn subject(&self) -> String {
        let user = self
            .user_login
            .as_ref()
            .or(self.user_name.as_ref())
            .or(self.user_id.as_ref());
        let group = self.group_name.as_ref().or(self.group_id.as_ref());
        match (user, group) {
            (Some(user), Some(group)) => format!("{user} in {group}"),
            (one, other) => one.or(other).cloned().unwrap_or_default(),
        }
    }

    /// Returns the row in one line, for people.
    fn line(&self) -> String {
        let subject = self.subject();
        if subject.is_empty() {
            return self.detail.clone();
        }
        format!("{subject}: {}", self.detail)
    }
}
