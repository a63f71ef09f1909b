//! Findings as Markdown, for a CI job summary.

use std::io::{self, Write};

use super::FindingsReport;
use crate::evidence::cells::code_span;
use crate::text::number;

/// The largest number of rows to show for a finding.
const SHOWN: usize = 50;

pub(super) fn write(report: &FindingsReport, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "## Findings\n")?;
    writeln!(out, "| Id | Finding | Severity | Rows |\n|---|---|---|---|")?;
    for finding in &report.findings {
        let result = finding.result();
        writeln!(
            out,
            "| {} | {} | {} | {result} |",
            finding.id,
            finding.name,
            finding.severity.word()
        )?;
    }
    for finding in report
        .findings
        .iter()
        .filter(|finding| !finding.rows.is_empty())
    {
        writeln!(
            out,
            "\n<details><summary>{} {}: {}</summary>\n",
            finding.id,
            finding.name,
            finding.result()
        )?;
        writeln!(out, "{}\n", finding.why)?;
        for row in finding.rows.iter().take(SHOWN) {
            writeln!(out, "- {}", code_span(&row.line()))?;
        }
        let more = finding.rows.len().saturating_sub(SHOWN);
        if more > 0 {
            writeln!(out, "- and {} more", number(more as u64))?;
        }
        writeln!(out, "\n</details>")?;
    }
    Ok(())
}
