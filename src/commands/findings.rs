//! `findings`: reports risky or unusual users, groups and memberships. Reads files and sends no requests.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;

use crate::atomic_file::Temporary;
use crate::commands::lookup::{Unchanged, refuse_snapshot, require_older};
use crate::config::{FailOn, FindingsConfig};
use crate::console::Console;
use crate::evidence::export::about;
use crate::evidence::findings::catalogue::CATALOGUE;
use crate::evidence::findings::exceptions::Exceptions;
use crate::evidence::findings::org::Org;
use crate::evidence::findings::render::{FindingsFormat, FindingsReport, write};
use crate::evidence::findings::{Finding, FindingContext, MembershipIds, run as run_checks};
use crate::exit::ExitStatus;
use crate::sheet::csv::CsvText;
use crate::sheet::review::{self, Coverage, Opened};
use crate::sheet::{self, Decision};
use crate::snapshot::Reader;

/// Runs `findings`.
///
/// # Errors
/// Returns an error if a file cannot be read or written. Findings are not an error; with `--fail-on`, they lead to exit
/// code 1.
pub fn run(config: &FindingsConfig, console: &Console) -> anyhow::Result<ExitStatus> {
    if config.list {
        return list(console);
    }
    let unchanged = Unchanged::of(&config.file);
    let reader = Reader::open(&config.file)?;
    let org = Org::read(&reader)?;
    let older = config.since.as_deref().map(Reader::open).transpose()?;
    if let (Some(older), Some(path)) = (&older, &config.since) {
        require_older(older, path, &reader)?;
    }
    let context = FindingContext {
        older: older.as_ref().map(memberships).transpose()?,
        revoked: config.review.as_deref().map(revoked).transpose()?,
    };
    let exceptions = match &config.exceptions {
        Some(path) => exceptions(path)?,
        None => Exceptions::default(),
    };
    unchanged.check()?;
    let name = config
        .file
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let report = FindingsReport {
        meta: about(reader.info())?,
        file: name.into_owned(),
        findings: run_checks(&org, &context, &exceptions, &config.options),
    };
    for (format, path) in &config.outputs {
        write_file(&report, *format, path)?;
    }
    let format = config.format.unwrap_or(if console.json() {
        FindingsFormat::Json
    } else {
        FindingsFormat::Text
    });
    let written = console.stream(|out| write(&report, format, &mut BufWriter::new(out)));
    written.context("cannot write the findings")?;
    let fails = |finding: &Finding| config.fail_on.iter().any(|on| fails_on(*on, finding));
    Ok(if report.findings.iter().any(fails) {
        ExitStatus::Different
    } else {
        ExitStatus::Done
    })
}

fn fails_on(on: FailOn, finding: &Finding) -> bool {
    let is_meant = match on {
        FailOn::Id(id) => finding.id == id,
        FailOn::Severity(severity) => finding.severity >= severity,
    };
    is_meant && finding.count > 0
}

fn list(console: &Console) -> anyhow::Result<ExitStatus> {
    if console.json() {
        let checks = CATALOGUE.map(|entry| {
            serde_json::json!({
                "id": entry.id,
                "name": entry.name,
                "severity": entry.severity,
                "why": entry.definition,
            })
        });
        console.result(&checks, String::new)?;
        return Ok(ExitStatus::Done);
    }
    let mut text = String::new();
    for entry in &CATALOGUE {
        let severity = entry.severity.word();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{}  {:<24}{severity:<10}{}",
            entry.id, entry.name, entry.definition
        );
    }
    console.data(&text)?;
    Ok(ExitStatus::Done)
}

/// Returns the memberships of a snapshot.
pub(super) fn memberships(reader: &Reader) -> anyhow::Result<HashSet<MembershipIds>> {
    let mut pairs = HashSet::new();
    for membership in reader.memberships()?.rows()? {
        let membership = membership?;
        pairs.insert((membership.group_id, membership.user_id));
    }
    Ok(pairs)
}

/// Returns the exceptions in a file.
pub(super) fn exceptions(path: &Path) -> anyhow::Result<Exceptions> {
    let bytes = fs::read(path).with_context(|| format!("cannot open {}", path.display()))?;
    Exceptions::parse(&bytes).map_err(|problem| anyhow::anyhow!("{}: {problem}", path.display()))
}

/// Returns the memberships to revoke from a review sheet, or from CSV with `group_id`, `user_id` and `decision`.
fn revoked(path: &Path) -> anyhow::Result<Vec<MembershipIds>> {
    let shown = path.display();
    let bytes = fs::read(path).with_context(|| format!("cannot open {shown}"))?;
    let read = match review::open(bytes).with_context(|| format!("cannot read {shown}"))? {
        Opened::Review(mut file) => {
            let mut pairs = Vec::new();
            let read = file.rows(&mut Coverage::default(), &mut |row| {
                if row.decision == Decision::Revoke {
                    pairs.push((row.group_id.into(), row.user_id.into()));
                }
                Ok::<_, sheet::Error>(())
            });
            read.map(|()| pairs)
        }
        Opened::List(text) => revoked_in(&text),
    };
    read.with_context(|| format!("cannot read {shown}"))
}

fn revoked_in(text: &CsvText) -> Result<Vec<MembershipIds>, sheet::Error> {
    let mut records = text.records();
    let header = records.next().transpose()?.unwrap_or_default();
    let mut places = [0; 3];
    for (place, column) in places.iter_mut().zip(["group_id", "user_id", "decision"]) {
        *place = header
            .places_of(column)
            .next()
            .ok_or_else(|| sheet::Error::BadTable(format!("the column {column} is missing")))?;
    }
    let mut pairs = Vec::new();
    for record in records {
        let record = record?;
        let [group, user, decision] = places.map(|place| record.text(place).trim());
        if Decision::parse(decision) == Some(Decision::Revoke) {
            pairs.push((group.into(), user.into()));
        }
    }
    Ok(pairs)
}

fn write_file(report: &FindingsReport, format: FindingsFormat, path: &Path) -> anyhow::Result<()> {
    let (temporary, target) = Temporary::for_target(path)?;
    refuse_snapshot(&target)?;
    let mut file = BufWriter::new(temporary.create()?);
    let written = write(report, format, &mut file).and_then(|()| file.flush());
    written.with_context(|| format!("cannot write {}", target.display()))?;
    temporary.publish(&target)
}
