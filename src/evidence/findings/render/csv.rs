//! Findings as CSV, one line for each row.

use std::io::{self, Write};

use super::FindingsReport;
use crate::evidence::cells::{csv_text, write_record};

const COLUMNS: [&str; 9] = [
    "finding",
    "name",
    "severity",
    "user_id",
    "user_login",
    "user_name",
    "group_id",
    "group_name",
    "detail",
];

pub(super) fn write(report: &FindingsReport, out: &mut dyn Write) -> io::Result<()> {
    let mut out = ::csv::WriterBuilder::new()
        .terminator(::csv::Terminator::CRLF)
        .from_writer(out);
    write_record(&mut out, COLUMNS)?;
    for finding in &report.findings {
        for row in &finding.rows {
            let ids = [
                &row.user_id,
                &row.user_login,
                &row.user_name,
                &row.group_id,
                &row.group_name,
            ];
            let ids = ids.map(|text| csv_text(text.as_deref().unwrap_or_default()));
            let start = [finding.id, finding.name, finding.severity.word()].map(str::to_owned);
            let cells = start.into_iter().chain(ids).chain([csv_text(&row.detail)]);
            write_record(&mut out, cells)?;
        }
    }
    out.flush()
}
