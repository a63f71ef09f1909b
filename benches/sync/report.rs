//! Formats the results.

use okta_ciam::testing::text::number;
use serde::Serialize;

use crate::{limit, run};

/// All results.
#[derive(Debug, Default, Serialize)]
pub struct Reports {
    /// The number of runs; the values are medians of them.
    pub runs: usize,
    pub cases: Vec<run::Report>,
    pub growth: Vec<Growth>,
    pub prefilter: Vec<Prefilter>,
    pub limits: Vec<limit::Report>,
}

/// The ratios between an org and a smaller one of the same kind. If the cost is proportional to the size, all ratios
/// except that of the memory are 1.
#[derive(Debug, Serialize)]
pub struct Growth {
    large: String,
    small: String,
    rows: f64,
    processor_per_row: f64,
    peak: f64,
}

/// The pages of the user list, with and without the search for users that can match.
#[derive(Debug, Serialize)]
pub struct Prefilter {
    name: String,
    pages: u64,
    of: u64,
    fraction: f64,
}

impl Reports {
    /// Computes the comparisons between scenarios.
    pub fn compare(&mut self) {
        let cases = &self.cases;
        let pairs = cases
            .iter()
            .flat_map(|large| cases.iter().map(move |small| (large, small)));
        for (one, other) in pairs {
            let (case, other_case) = (&one.case, &other.case);
            if case.base == other_case.base && other_case.divisor == 10 * case.divisor {
                let per_row =
                    |report: &run::Report| report.processor_seconds / report.plan.rows as f64;
                self.growth.push(Growth {
                    large: one.name.clone(),
                    small: other.name.clone(),
                    rows: one.plan.rows as f64 / other.plan.rows as f64,
                    processor_per_row: per_row(one) / per_row(other),
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

    /// Returns the results as text.
    pub fn text(&self) -> String {
        let mut parts = Vec::new();
        if !self.cases.is_empty() {
            parts.push(self.cases());
        }
        if !self.growth.is_empty() {
            let header = [
                "org of 10 times the size",
                "rows",
                "cpu per row",
                "peak memory",
            ];
            let rows = self.growth.iter().map(|growth| {
                vec![
                    format!("{} over {}", growth.large, growth.small),
                    times(growth.rows),
                    times(growth.processor_per_row),
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
                format!("{name}: {pages} of {of} pages of users ({percent:.2} %)\n")
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
                whole(report.rows_per_second),
                format!("{:.2}", report.file_bytes as f64 / 1e6),
            ]
        });
        let medians = match self.runs {
            1 => "One run".to_owned(),
            runs => format!("Medians of {runs} runs"),
        };
        let legend = format!(
            "{medians}. floor: requests of the plan. ideal: wall time if only latency counts, for the longest
chain of dependent requests or for all requests, eight at a time. cpu: processor seconds of the tool,
then of fetching the same pages, inserting the same rows and packing the same database, and the
tool's divided by their sum. rows: rows in the plan's responses. MB: 1,000,000 bytes.\n"
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
        "{}: {} requests per run to the bucket of the groups, in {} s; 429s in total: {}; rate-limit windows without the last:\n{}",
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
    // The value is not negative and not above 2^53.
    number(value.round() as u64)
}

/// Returns a table: the first column is aligned left, the others right.
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
