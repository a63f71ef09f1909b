//! Findings as JUnit XML, with one test case for each check, including those that passed.

use std::io::{self, Write};

use super::FindingsReport;
use crate::text::{clean, count, number};

/// The largest number of rows in a failure.
const SHOWN: usize = 50;

pub(super) fn write(report: &FindingsReport, out: &mut dyn Write) -> io::Result<()> {
    let all = &report.findings;
    let failures = all.iter().filter(|finding| finding.count > 0).count();
    let skipped = all
        .iter()
        .filter(|finding| finding.skipped.is_some())
        .count();
    let tests = all.len();
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(
        out,
        "<testsuites>\n  <testsuite name=\"okta-ciam findings\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\">"
    )?;
    for finding in all {
        let name = format!("{} {}", finding.id, finding.name);
        let start = format!("    <testcase classname=\"okta-ciam.findings\" name=\"{name}\"");
        if let Some(reason) = &finding.skipped {
            writeln!(
                out,
                "{start}>\n      <skipped>{}</skipped>\n    </testcase>",
                escaped(reason)
            )?;
        } else if finding.rows.is_empty() {
            writeln!(out, "{start}/>")?;
        } else {
            let rows = count(finding.count as u64, "row");
            let severity = finding.severity.word();
            writeln!(
                out,
                "{start}>\n      <failure type=\"{severity}\" message=\"{rows}: {}\">",
                escaped(finding.why)
            )?;
            for row in finding.rows.iter().take(SHOWN) {
                writeln!(out, "{}", escaped(&row.line()))?;
            }
            let more = finding.rows.len().saturating_sub(SHOWN);
            if more > 0 {
                writeln!(out, "and {} more", number(more as u64))?;
            }
            writeln!(out, "      </failure>\n    </testcase>")?;
        }
    }
    writeln!(out, "  </testsuite>\n</testsuites>")
}

/// Returns a text for XML. Control characters, which XML 1.0 does not allow, become visible escapes.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in clean(text).chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}
