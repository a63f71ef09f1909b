//! The summary of a snapshot: the file, the run, and the counts.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::commands::provenance::Provenance;
use crate::commands::sync::domain_lines;
use crate::snapshot::{Counts, DomainUsers, FileFormat, FileInfo, Reader, Warning, rfc3339};
use crate::text::{clean, count, number};

/// Returns the summary as JSON and as text.
///
/// # Errors
/// Returns an error if the file is damaged.
pub fn summary(reader: &Reader, file: &Path) -> anyhow::Result<(Value, String)> {
    let about = reader.info();
    let counts = reader.counts()?;
    let warnings = reader.warnings()?;
    let domains = reader.domains()?;
    let format = match about.format {
        FileFormat::C1z => "c1z",
        FileFormat::Sqlite => "sqlite",
    };
    let value = json!({
        "file": file.display().to_string(),
        "format": format,
        "sync_id": about.sync_id,
        "started_at": rfc3339(about.started_at),
        "ended_at": rfc3339(about.ended_at),
        "runs": about.runs,
        "counts": counts,
        "domains": domains,
        "snapshot": about.metadata,
        "warnings": warnings,
    });
    let mut text = String::new();
    run_text(about, file, format, &mut text)?;
    contents_text(&counts, &domains, &mut text)?;
    if about.runs > 1 {
        let runs = number(about.runs);
        writeln!(
            text,
            "  runs         {runs}; this is the newest complete one"
        )?;
    }
    warnings_text(&warnings, &mut text)?;
    Ok((value, text))
}

/// Writes the lines about the file and its run.
fn run_text(info: &FileInfo, file: &Path, format: &str, text: &mut String) -> std::fmt::Result {
    let made_by = match &info.metadata {
        Some(metadata) => format!("okta-ciam {}", clean(&metadata.tool_version)),
        None => "another connector".to_owned(),
    };
    let file = file.display().to_string();
    writeln!(
        text,
        "{}  {format} file, written by {made_by}",
        clean(&file)
    )?;
    let (started, ended) = (rfc3339(info.started_at), rfc3339(info.ended_at));
    writeln!(text, "  taken        {started} to {ended}")?;
    let Some(metadata) = &info.metadata else {
        return Ok(());
    };
    let complete = if metadata.complete {
        "complete"
    } else {
        "INCOMPLETE: see the warnings"
    };
    writeln!(text, "  state        {complete}")?;
    writeln!(text, "  org          {}", clean(&metadata.origin))?;
    let mut scope = clean(&metadata.email_domains).replace(',', ", ");
    if metadata.skip_secondary_emails {
        scope += ", secondary emails not counted";
    }
    if let Some(name) = &metadata.group_name_filter {
        write!(scope, "; groups whose name contains {:?}", clean(name))?;
    }
    writeln!(text, "  scope        {scope}")?;
    for line in Provenance::of(metadata).lines() {
        writeln!(text, "{line}")?;
    }
    Ok(())
}

/// Writes the lines about the numbers of rows.
fn contents_text(counts: &Counts, domains: &[DomainUsers], text: &mut String) -> std::fmt::Result {
    let (users, statuses) = (number(counts.users), split(&counts.users_by_status));
    writeln!(text, "  users        {users}{statuses}")?;
    for line in domain_lines(domains) {
        writeln!(text, "{line}")?;
    }
    let (groups, types) = (number(counts.groups), split(&counts.groups_by_type));
    writeln!(text, "  groups       {groups}{types}")?;
    writeln!(text, "  memberships  {}", number(counts.memberships))?;
    if counts.dangling > 0 {
        let what = "grant to an object that is not in the file";
        let dangling = count(counts.dangling, what).replace("files", "file");
        writeln!(text, "  dangling     {dangling}")?;
    }
    if !counts.others.is_empty() {
        let others = split(&counts.others);
        writeln!(text, "  also         {}", others.trim_start())?;
    }
    Ok(())
}

fn warnings_text(warnings: &[Warning], text: &mut String) -> std::fmt::Result {
    writeln!(text, "  warnings     {}", number(warnings.len() as u64))?;
    for warning in warnings {
        let object = warning.object_id.as_deref();
        let object = object.map_or(String::new(), |id| format!(" {id}"));
        let line = format!("{}{object}: {}", warning.code, warning.message);
        writeln!(text, "    {}", clean(&line))?;
    }
    Ok(())
}

/// Returns counts as a line such as `  12 ACTIVE, 3 STAGED`.
fn split(parts: &std::collections::BTreeMap<String, u64>) -> String {
    let parts: Vec<String> = parts
        .iter()
        .map(|(name, count)| format!("{} {}", number(*count), clean(name)))
        .collect();
    if parts.is_empty() {
        String::new()
    } else {
        format!("  {}", parts.join(", "))
    }
}
