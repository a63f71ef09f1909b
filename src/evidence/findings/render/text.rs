//! Findings for a terminal.

use std::io::{self, Write};

use super::FindingsReport;
use crate::text::{clean, count, number};

/// The largest number of rows to show for a finding.
const SHOWN: usize = 10;

pub(super) fn write(report: &FindingsReport, out: &mut dyn Write) -> io::Result<()> {
    for finding in &report.findings {
        writeln!(
            out,
            "{}  {:<24}{:<10}{}",
            finding.id,
            finding.name,
            finding.severity.word(),
            finding.result()
        )?;
        if let Some(reason) = &finding.skipped {
            writeln!(out, "         {reason}")?;
        }
        for row in finding.rows.iter().take(SHOWN) {
            writeln!(out, "         {}", clean(&row.line()))?;
        }
        let more = finding.rows.len().saturating_sub(SHOWN);
        if more > 0 {
            writeln!(
                out,
                "         and {} more; --format csv lists all",
                number(more as u64)
            )?;
        }
    }
    let rows: usize = report.findings.iter().map(|finding| finding.count).sum();
    let with_rows = report
        .findings
        .iter()
        .filter(|finding| finding.count > 0)
        .count();
    let skipped = report
        .findings
        .iter()
        .filter(|finding| finding.skipped.is_some())
        .count();
    writeln!(
        out,
        "{}: {} with {}, {} skipped",
        count(report.findings.len() as u64, "check"),
        number(with_rows as u64),
        count(rows as u64, "row"),
        number(skipped as u64)
    )
}
