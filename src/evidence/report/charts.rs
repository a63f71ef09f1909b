//! Charts of horizontal bars: computes the position of each bar. The template draws them as SVG, next to a table with
//! the same numbers.

use clap::ValueEnum as _;

use super::numbers::{NamedCount, group_sizes, sign_in_ages};
use super::{ChangesSince, PageSource};
use crate::evidence::diff::{Table, not_compared_note};
use crate::text::{clean, number};

/// The width of the area for labels, which fits about 18 characters.
const LABELS: u64 = 150;
/// The width of the longest bar.
const LONGEST: u64 = 136;
const ROW: u64 = 26;
const MAX_LABEL: usize = 19;

pub(super) struct Chart {
    /// The prefix of the element ids in the chart.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// A sentence about what is counted.
    pub(super) about: String,
    /// The title of the table's first column.
    pub(super) noun: &'static str,
    pub(super) height: u64,
    pub(super) bars: Vec<Bar>,
}

/// A bar with its label and its number.
pub(super) struct Bar {
    pub(super) label: String,
    /// The label, cut if it is too long for its area.
    pub(super) short: String,
    pub(super) value: String,
    pub(super) percent: String,
    pub(super) x: u64,
    pub(super) y: u64,
    pub(super) text_y: u64,
    pub(super) width: u64,
    pub(super) value_x: u64,
}

/// Returns the charts of a page.
pub(super) fn all(source: &PageSource<'_>) -> Vec<Chart> {
    let mut status: Vec<NamedCount> = source
        .counts
        .users_by_status
        .iter()
        .map(|(name, count)| (name.clone(), *count))
        .collect();
    status.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    let sizes = source.listing.groups.iter().zip(&source.listing.members);
    let sizes = sizes.map(|(group, members)| {
        let is_unreadable = source.is_unreadable(*group);
        (!is_unreadable).then_some(members.len() as u64)
    });
    let mut charts = vec![
        chart(
            ("status", "Users by status", "Status"),
            "Every user in the snapshot, by the status in Okta.",
            status,
        ),
        chart(
            ("signin", "Last sign-in", "Last sign-in before the snapshot"),
            "Users who are not deprovisioned, by the time between their last sign-in and the snapshot.",
            sign_in_ages(&source.org),
        ),
        chart(
            ("sizes", "Groups by size", "Members in scope"),
            "Every group in the snapshot, by the number of members in scope.",
            group_sizes(sizes),
        ),
    ];
    charts.extend(source.change.as_ref().map(change));
    charts
}

fn change(change: &ChangesSince) -> Chart {
    let mut tallies = Vec::new();
    for table in Table::value_variants().iter().copied() {
        let counts = change.summary.get(&table).cloned().unwrap_or_default();
        let name = table.as_str();
        tallies.push((format!("{name} added"), counts.added));
        tallies.push((format!("{name} removed"), counts.removed));
        if table != Table::Memberships {
            tallies.push((format!("{name} changed"), counts.changed));
        }
        if counts.unknown > 0 {
            tallies.push((format!("{name} unknown"), counts.unknown));
        }
    }
    let mut about = "Users, groups and memberships that were added, removed or changed.".to_owned();
    if !change.scope.is_empty() {
        about +=
            " The snapshots have different scopes, so some of these may not have changed in Okta.";
    }
    if change
        .info
        .metadata
        .as_ref()
        .is_some_and(|run| !run.complete)
    {
        about += " The older snapshot is incomplete.";
    }
    if let Some(note) = not_compared_note(&change.not_compared) {
        about += &format!(" Note: {note}.");
    }
    let mut chart = chart(
        ("change", "Change since the older snapshot", "Change"),
        &about,
        tallies,
    );
    // The values do not add up to one total, so percentages make no sense.
    for bar in &mut chart.bars {
        bar.percent.clear();
    }
    chart
}

fn chart(
    (id, title, noun): (&'static str, &'static str, &'static str),
    about: &str,
    tallies: Vec<NamedCount>,
) -> Chart {
    let most = tallies.iter().map(|(_, count)| *count).max();
    let most = most.unwrap_or(0).max(1);
    let all = tallies.iter().map(|(_, count)| count).sum::<u64>().max(1);
    let mut y = 0;
    let mut bars = Vec::new();
    for (label, count) in tallies {
        let label = clean(&label).into_owned();
        // A count above zero is always visible.
        let width = (scaled(count, LONGEST, most)).max(u64::from(count > 0) * 2);
        bars.push(Bar {
            short: short(&label),
            label,
            value: number(count),
            percent: percent(count, all),
            x: LABELS,
            y: y + 5,
            text_y: y + 18,
            width,
            value_x: LABELS + width + 8,
        });
        y += ROW;
    }
    Chart {
        id,
        title,
        about: about.to_owned(),
        noun,
        height: y.max(ROW),
        bars,
    }
}

fn scaled(count: u64, length: u64, most: u64) -> u64 {
    let scaled = u128::from(count) * u128::from(length) / u128::from(most);
    u64::try_from(scaled).unwrap_or(length)
}

fn percent(count: u64, all: u64) -> String {
    match scaled(count, 1000, all) {
        0 if count > 0 => "< 0.1 %".to_owned(),
        tenths => format!("{}.{} %", tenths / 10, tenths % 10),
    }
}

fn short(label: &str) -> String {
    if label.chars().count() <= MAX_LABEL {
        return label.to_owned();
    }
    let start: String = label.chars().take(MAX_LABEL - 1).collect();
    format!("{start}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_proportional_and_fit_their_area() {
        let tallies = [("A", 1_000_000), ("B", 500_000), ("C", 1), ("D", 0)];
        let tallies = tallies.map(|(name, count)| (name.to_owned(), count));
        let chart = chart(("x", "X", "x"), "", tallies.into());
        let widths: Vec<u64> = chart.bars.iter().map(|bar| bar.width).collect();
        assert_eq!(widths, [136, 68, 2, 0]);
        let percents: Vec<&str> = chart.bars.iter().map(|bar| bar.percent.as_str()).collect();
        assert_eq!(percents, ["66.6 %", "33.3 %", "< 0.1 %", "0.0 %"]);
        assert_eq!(chart.height, 4 * ROW);
    }

    #[test]
    fn empty_charts_and_charts_of_huge_numbers_have_a_size() {
        assert_eq!(chart(("x", "X", "x"), "", Vec::new()).height, ROW);
        let huge = chart(("x", "X", "x"), "", vec![("A".to_owned(), u64::MAX)]);
        assert_eq!(huge.bars[0].width, LONGEST);
    }

    #[test]
    fn long_labels_are_cut_in_the_picture_only() {
        let chart = chart(("x", "X", "x"), "", vec![("é".repeat(40), 1)]);
        assert_eq!(chart.bars[0].short.chars().count(), MAX_LABEL);
        assert_eq!(chart.bars[0].label.chars().count(), 40);
    }
}
