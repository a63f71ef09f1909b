//! What is printed.

use okta_ciam::testing::text::number;
use serde::Serialize;

use crate::{limit, run};

/// Everything that was measured.
#[derive(Debug, Default, Serialize)]
pub struct Reports {
    /// Runs of which these are the medians.
    pub runs: usize,
    pub cases: Vec<run::Report>,
    pub growth: Vec<Growth>,
    pub prefilter: Vec<Prefilter>,
    pub limits: Vec<limit::Report>,
}

/// An org against a smaller one of the same kind. Where cost grows as the org does, all but the memory is 1.
#[derive(Debug, Serialize)]
pub struct Growth {
    large: String,
    small: String,
    rows: f64,
    processor_a_row: f64,
    peak: f64,
}

/// Pages of the user list, with and without the search for possible matches.
#[derive(Debug, Serialize)]
pub struct Prefilter {
    name: String,
    pages: u64,
    of: u64,
    fraction: f64,
}

impl Reports {
    /// Works out what compares two cases.
    pub fn compare(&mut self) {
        let cases = &self.cases;
        let pairs = cases
            .iter()
            .flat_map(|large| cases.iter().map(move |small| (large, small)));
        for (one, other) in pairs {
            let (case, other_case) = (&one.case, &other.case);
            if case.base == other_case.base && other_case.divisor == 10 * case.divisor {
                let a_row =
                    |report: &run::Report| report.processor_seconds / report.plan.rows as f64;
                self.growth.push(Growth {
                    large: one.name.clone(),
                    small: other.name.clone(),
                    rows: one.plan.rows as f64 / other.plan.rows as f64,
                    processor_a_row: a_row(one) / a_row(other),
                    peak: one.peak_bytes / other.peak_bytes,
                });
            }
            if case.prefilter
                && !other_case.prefilter
                && case.users == other_case.users
                && case.base.strip_suffix("-prefilter") == Some(&other_case.base)
            {
                self.prefilter.push(Prefilter {
                    name: one.name.clone(),
                    pages: one.user_pages,
                    of: other.user_pages,
                    fraction: one.user_pages as f64 / other.user_pages as f64,
                });
            }
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut parts = Vec::new();
        if !self.cases.is_empty() {
            parts.push(self.cases());
        }
        if !self.growth.is_empty() {
            let header = ["ten times the org", "rows", "cpu a row", "peak memory"];
            let rows = self.growth.iter().map(|growth| {
                vec![
                    format!("{} over {}", growth.large, growth.small),
                    times(growth.rows),
                    times(growth.processor_a_row),
                    times(growth.peak),
                ]
            });
            parts.push(table(&header, rows));
        }
        if !self.prefilter.is_empty() {
            let line = |prefilter: &Prefilter| {
                let Prefilter {
                    name,
                    pages,
                    of,
                    fraction,
                } = prefilter;
                let (pages, of) = (number(*pages), number(*of));
                let percent = fraction * 100.0;
                format!("{name}: {pages} of {of} pages of users, {percent:.2} %\n")
            };
            parts.push(self.prefilter.iter().map(line).collect());
        }
        parts.extend(self.limits.iter().map(limits));
        parts.join("\n")
    }

    fn cases(&self) -> String {
        let header = [
            "scenario", "requests", "floor", "wall s", "ideal s", "", "cpu s", "fetch", "insert",
            "pack", "", "peak MB", "rows/s", "file MB",
        ];
        let rows = self.cases.iter().map(|report| {
            let over = |ideal: f64| times(report.wall_seconds / ideal);
            vec![
                report.name.clone(),
                whole(report.requests),
                number(report.floor_requests),
                seconds(report.wall_seconds),
                report.ideal_seconds.map_or("-".to_owned(), seconds),
                report.ideal_seconds.map_or("-".to_owned(), over),
                seconds(report.processor_seconds),
                seconds(report.floors.fetch),
                seconds(report.floors.insert),
                seconds(report.floors.pack),
                times(report.processor_seconds / report.floors.sum()),
                format!("{:.1}", report.peak_bytes / 1e6),
                whole(report.rows_a_second),
                format!("{:.2}", report.file_bytes as f64 / 1e6),
            ]
        });
        let medians = match self.runs {
            1 => "One run".to_owned(),
            runs => format!("Medians of {runs} runs"),
        };
        let legend = format!(
            "{medians}. floor: requests of the plan. ideal: the longest chain of dependent requests,
or all of them eight at once, by latency alone. cpu: processor seconds of the tool, then those of
fetching the same pages, of inserting the same rows and of packing the same database, then the
tool's over their sum. rows: those of the plan's answers. MB: 1,000,000 bytes.\n"
        );
        table(&header, rows) + &legend
    }
}

fn limits(report: &limit::Report) -> String {
    let allowed = number(report.allowed);
    let header = [
        "window",
        "requests",
        &format!("of {allowed}"),
        &format!("of {}", number(report.limit)),
        "429s",
    ];
    let percent = |part: f64| format!("{:.1} %", part * 100.0);
    let rows = report.windows.iter().enumerate().map(|(at, share)| {
        vec![
            (at + 1).to_string(),
            number(share.requests),
            percent(share.of_allowed),
            percent(share.of_limit),
            number(share.refused),
        ]
    });
    format!(
        "{}: {} requests to the groups' bucket each, in {} s; 429s in all: {}; whole windows but the last:\n{}",
        report.name,
        number(report.needed),
        whole(report.wall_seconds),
        report.refused,
        table(&header, rows)
    )
}

fn times(ratio: f64) -> String {
    format!("x{ratio:.2}")
}

fn seconds(seconds: f64) -> String {
    format!("{seconds:.2}")
}

fn whole(value: f64) -> String {
    // Neither negative nor beyond 2^53.
    number(value.round() as u64)
}

/// Columns under their names: the first to the left, numbers to the right.
fn table(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let header = header.iter().map(|&name| name.to_owned()).collect();
    let lines: Vec<Vec<String>> = std::iter::once(header).chain(rows).collect();
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..lines[0].len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            match column {
                0 => text += &format!("{cell:<width$}"),
                _ => text += &format!("  {cell:>width$}"),
            }
        }
        text.push('\n');
    }
    text
}
