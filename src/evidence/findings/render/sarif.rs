//! Findings as SARIF 2.1.0, for GitHub code scanning.
//!
//! GitHub rejects the entire file if one result has no physical location, so each result has one: line 1 of the
//! snapshot's file.

use std::io::{self, Write};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::FindingsReport;
use crate::evidence::findings::catalogue::Severity;
use crate::evidence::findings::{Finding, FindingRow};
use crate::text::{clean, hex, json as printed};

/// The largest number of results that GitHub shows for a run.
const MAX_RESULTS: usize = 5_000;
/// The largest number of characters in a message.
const MAX_TEXT: usize = 1_000;

pub(super) fn write(report: &FindingsReport, out: &mut dyn Write) -> io::Result<()> {
    let rules: Vec<Value> = report.findings.iter().map(rule).collect();
    let rows = report.findings.iter().enumerate();
    let rows =
        rows.flat_map(|(place, finding)| finding.rows.iter().map(move |row| (place, finding, row)));
    let all = report
        .findings
        .iter()
        .map(|finding| finding.count)
        .sum::<usize>();
    let results: Vec<Value> = rows
        .take(MAX_RESULTS)
        .map(|(place, finding, row)| result(place, finding, row, &report.file))
        .collect();
    let left_out = all - results.len();
    let sarif = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "okta-ciam",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "results": results,
            "columnKind": "unicodeCodePoints",
            "properties": {"snapshot": report.meta, "results_left_out": left_out},
        }],
    });
    out.write_all(printed(serde_json::to_string_pretty(&sarif)?).as_bytes())
}

fn rule(finding: &Finding) -> Value {
    json!({
        "id": finding.id,
        "name": finding.name,
        "shortDescription": {"text": finding.name},
        "fullDescription": {"text": finding.why},
        "help": {"text": finding.why},
        "defaultConfiguration": {"level": level(finding.severity)},
        "properties": {
            "security-severity": security_severity(finding.severity),
            "tags": ["security", "access"],
        },
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "note",
    }
}

/// Returns the number that GitHub converts to its own severity levels.
fn security_severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.5",
        Severity::Low => "2.0",
        Severity::Info => "0.0",
    }
}

fn result(place: usize, finding: &Finding, row: &FindingRow, file: &str) -> Value {
    let names = [("user", &row.user_login), ("group", &row.group_name)];
    let logical = names.iter().filter_map(|(kind, name)| {
        let name = short(name.as_deref()?);
        Some(json!({"name": name, "kind": kind}))
    });
    let logical: Vec<Value> = logical.collect();
    json!({
        "ruleId": finding.id,
        "ruleIndex": place,
        "level": level(finding.severity),
        "message": {"text": short(&row.line())},
        "locations": [{
            "physicalLocation": {
                "artifactLocation": {"uri": uri(file)},
                "region": {"startLine": 1},
            },
            "logicalLocations": logical,
        }],
        "partialFingerprints": {"oktaCiam/v1": fingerprint(finding.id, row)},
    })
}

/// Returns a hash that is the same for the same finding about the same user and group. For findings about the snapshot
/// or an exception, the hash covers the detail instead.
fn fingerprint(id: &str, row: &FindingRow) -> String {
    let mut hash = Sha256::new();
    let is_about_objects = row.user_id.is_some() || row.group_id.is_some();
    let detail = (!is_about_objects).then(|| row.detail.clone());
    for part in [
        Some(id.to_owned()),
        row.user_id.clone(),
        row.group_id.clone(),
        detail,
    ] {
        hash.update(part.unwrap_or_default());
        hash.update([0]);
    }
    hex(&hash.finalize())
}

fn short(text: &str) -> String {
    clean(text).chars().take(MAX_TEXT).collect()
}

/// Returns a file's name as a relative reference.
fn uri(file: &str) -> String {
    let encoded: String = url::form_urlencoded::byte_serialize(file.as_bytes()).collect();
    encoded.replace('+', "%20").replace("%2F", "/")
}
