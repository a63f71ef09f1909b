//! `review status`: reports the progress of a review.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::read_sheet;
use crate::console::Console;
use crate::evidence::review::status::ReviewStatus;
use crate::exit::ExitStatus;
use crate::sheet::review::Coverage;
use crate::text::{clean, count};

pub(super) fn run(sheets: &[PathBuf], console: &Console) -> anyhow::Result<ExitStatus> {
    let mut status = ReviewStatus::default();
    let mut coverage = Coverage::default();
    for path in sheets {
        read_sheet(path, &mut coverage, &mut |row| {
            status.add(&row);
            Ok(())
        })?;
    }
    status.end(&coverage.missing());
    console.result(&status, || text(&status))?;
    Ok(if status.is_decided() {
        ExitStatus::Done
    } else {
        ExitStatus::Different
    })
}

fn text(status: &ReviewStatus) -> String {
    let mut text = format!(
        "{}
",
        status.all.text()
    );
    let mut line = |line: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", clean(&line));
    };
    if status.all.rows == 0 {
        line("the sheet has no rows: they were deleted".to_owned());
    }
    for (reviewer, decided) in &status.reviewers {
        let name = match reviewer.as_str() {
            "" => "no reviewer",
            name => name,
        };
        let percent = decided.approved_percent();
        let share = percent.map_or(String::new(), |percent| format!("; {percent}% approved"));
        line(format!("  {name}: {}{share}", decided.text()));
    }
    for review in &status.self_reviews {
        line(format!(
            "self-review: {} decided {} on their own membership in {}",
            review.reviewer,
            review.decision.word(),
            review.group_name
        ));
    }
    for reviewer in &status.approved_everything {
        line(format!("{reviewer} approved every row"));
    }
    if status.without_reviewer > 0 {
        line(format!(
            "{} decided without a reviewer",
            count(status.without_reviewer, "row")
        ));
    }
    if status.missing_rows > 0 {
        line(format!(
            "{} missing: rows were deleted from the sheet",
            count(status.missing_rows, "row")
        ));
    }
    if status.missing_sheets > 0 {
        line(format!(
            "{} of the review not read",
            count(status.missing_sheets, "sheet")
        ));
    }
    text
}
