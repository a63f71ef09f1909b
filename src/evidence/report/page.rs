//! The values for the template of the page, and the policy that allows only the page's own script and style.

use std::cmp::Reverse;

use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::PageSource;
use super::charts::{self, Chart};
use super::data;
use super::provenance::{self, Block};
use super::reconciliation::{Comparison, comparisons};
use crate::evidence::findings::catalogue::Severity;
use crate::evidence::findings::org::GroupIndex;
use crate::evidence::findings::{Finding, FindingRow};
use crate::snapshot::{DomainUsers, Warning, rfc3339};
use crate::text::{clean, count, number};

const SCRIPT: &str = include_str!("../../../templates/report.js");
const STYLE: &str = include_str!("../../../templates/report.css");

/// The largest number of rows of a finding, of warnings and of unreadable groups in the page.
const MAX_ROWS: usize = 100;

#[derive(Template)]
#[template(path = "report.html")]
struct Html<'a> {
    title: String,
    policy: String,
    style: &'a str,
    script: &'a str,
    origin: Option<String>,
    taken_at: String,
    /// The end of the run, for people.
    taken_on: String,
    taken_by: Option<String>,
    is_demo: bool,
    /// `None` if another program wrote the snapshot.
    complete: Option<bool>,
    tiles: Vec<Tile>,
    found: Vec<Shown>,
    /// The checks that ran and found nothing.
    clear: Vec<&'a Finding>,
    skipped: Vec<&'a Finding>,
    charts: Vec<Chart>,
    blocks: Vec<Block>,
    comparisons: Vec<Comparison>,
    domains: &'a [DomainUsers],
    warnings: Vec<ShownWarning>,
    more_warnings: usize,
    unreadable: Vec<(String, String)>,
    more_unreadable: usize,
    /// The size that the page would have with the memberships; `None` if they are in the page.
    too_large: Option<String>,
    data: String,
    tool_version: &'static str,
}

/// A highlighted number at the top of the page.
struct Tile {
    name: &'static str,
    value: String,
    detail: String,
}

/// A finding with its first rows.
struct Shown {
    id: &'static str,
    name: &'static str,
    severity: &'static str,
    why: &'static str,
    count: String,
    suppressed: Option<String>,
    rows: Vec<ShownRow>,
    more: Option<String>,
    has_users: bool,
    has_groups: bool,
    /// The table in which the script can show all rows of the finding.
    table: Option<&'static str>,
}

struct ShownRow {
    user: String,
    login: String,
    group: String,
    detail: String,
}

struct ShownWarning {
    code: String,
    object: String,
    message: String,
}

/// Renders the page. If `too_large` is given, the memberships are left out and the page shows this size.
pub(super) fn render(source: &PageSource<'_>, too_large: Option<usize>) -> anyhow::Result<String> {
    let run = source.info.metadata.as_ref();
    let (found, none): (Vec<&Finding>, Vec<&Finding>) = source
        .findings
        .iter()
        .partition(|finding| finding.count > 0);
    let (skipped, clear): (Vec<&Finding>, Vec<&Finding>) = none
        .into_iter()
        .partition(|finding| finding.skipped.is_some());
    let mut found = found;
    // By severity; findings of the same severity stay in the order of the catalogue.
    found.sort_by_key(|finding| Reverse(finding.severity));
    let unreadable = source.unreadable();
    let html = Html {
        title: clean(&source.title).into_owned(),
        policy: policy(),
        style: STYLE,
        script: SCRIPT,
        origin: run.map(|run| clean(&run.origin).into_owned()),
        taken_at: minute(source.info.ended_at)
            .replacen(' ', "T", 1)
            .replace(" UTC", "Z"),
        taken_on: minute(source.info.ended_at),
        taken_by: run.and_then(|run| Some(clean(run.read_as_login.as_ref()?).into_owned())),
        is_demo: run.is_some_and(|run| run.command == "demo"),
        complete: run.map(|run| run.complete),
        tiles: tiles(source),
        found: found
            .into_iter()
            .map(|finding| shown(finding, too_large.is_none()))
            .collect(),
        clear,
        skipped,
        charts: charts::all(source),
        blocks: provenance::blocks(source),
        comparisons: comparisons(source),
        domains: &source.domains,
        warnings: source.warnings.iter().take(MAX_ROWS).map(warning).collect(),
        more_warnings: source.warnings.len().saturating_sub(MAX_ROWS),
        more_unreadable: unreadable.len().saturating_sub(MAX_ROWS),
        unreadable: unreadable.into_iter().take(MAX_ROWS).collect(),
        too_large: too_large.map(|bytes| number(bytes.div_ceil(1_000_000) as u64)),
        data: data::pack(source, too_large.is_none())?,
        tool_version: env!("CARGO_PKG_VERSION"),
    };
    Ok(html.render()?)
}

/// Returns the content security policy. The script and the style are constant, and so are their hashes.
fn policy() -> String {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; img-src data:; base-uri 'none'; form-action 'none'",
        hash(SCRIPT),
        hash(STYLE)
    )
}

fn tiles(source: &PageSource<'_>) -> Vec<Tile> {
    let counts = &source.counts;
    let by = |status: &str| counts.users_by_status.get(status).copied().unwrap_or(0);
    let tile = |name, value: u64, detail: String| Tile {
        name,
        value: number(value),
        detail,
    };
    let editable = counts.groups_by_type.get("OKTA_GROUP").copied();
    let severe = source.findings.iter();
    let severe = severe.filter(|finding| finding.severity >= Severity::High);
    let severe: usize = severe.map(|finding| finding.count).sum();
    let all: usize = source.findings.iter().map(|finding| finding.count).sum();
    let dormant = source
        .findings
        .iter()
        .find(|finding| finding.id == "OC204")
        .map_or(0, |finding| finding.count + finding.suppressed);
    let days = source.options.dormant_days;
    let mut tiles = vec![
        tile(
            "Users",
            counts.users,
            format!("{} active", number(by("ACTIVE"))),
        ),
        tile(
            "Groups",
            counts.groups,
            format!("{} of type OKTA_GROUP", number(editable.unwrap_or(0))),
        ),
        tile(
            "Memberships",
            counts.memberships,
            per_user(counts.memberships, counts.users),
        ),
        tile(
            "Findings",
            all as u64,
            format!("{} high or critical", number(severe as u64)),
        ),
        tile(
            "Dormant users",
            dormant as u64,
            format!("no sign-in for {}", count(days.into(), "day")),
        ),
    ];
    if let Some(change) = &source.change {
        let changed = change.summary.values().map(|counts| counts.different());
        let since = minute(change.info.ended_at);
        tiles.push(tile("Changes", changed.sum(), format!("since {since}")));
    }
    tiles
}

/// Returns a time to the minute, such as 2026-06-30 12:00 UTC.
fn minute(time: Timestamp) -> String {
    let text = rfc3339(time).replacen('T', " ", 1);
    let minute = text.rsplit_once(':').map_or("", |(minute, _)| minute);
    format!("{minute} UTC")
}

fn per_user(memberships: u64, users: u64) -> String {
    let tenths = memberships
        .saturating_mul(10)
        .checked_div(users)
        .unwrap_or(0);
    format!("{}.{} per user", number(tenths / 10), tenths % 10)
}

fn shown(finding: &Finding, has_memberships: bool) -> Shown {
    let text = |text: &Option<String>| clean(text.as_deref().unwrap_or_default()).into_owned();
    let row = |row: &FindingRow| ShownRow {
        user: text(&row.user_name),
        login: text(&row.user_login.clone().or_else(|| row.user_id.clone())),
        group: text(&row.group_name.clone().or_else(|| row.group_id.clone())),
        detail: clean(&row.detail).into_owned(),
    };
    let has_users = finding.rows.iter().any(|row| row.user_id.is_some());
    let has_groups = finding.rows.iter().any(|row| row.group_id.is_some());
    let more = finding.count.saturating_sub(MAX_ROWS);
    Shown {
        id: finding.id,
        name: finding.name,
        severity: finding.severity.word(),
        why: finding.why,
        count: count(finding.count as u64, "row"),
        suppressed: (finding.suppressed > 0).then(|| number(finding.suppressed as u64)),
        rows: finding.rows.iter().take(MAX_ROWS).map(row).collect(),
        more: (more > 0).then(|| number(more as u64)),
        has_users,
        has_groups,
        table: match (has_users, has_groups) {
            (true, true) => has_memberships.then_some("memberships"),
            (true, false) => Some("users"),
            (false, true) => Some("groups"),
            (false, false) => None,
        },
    }
}

fn warning(warning: &Warning) -> ShownWarning {
    let object = warning.object_id.as_deref().unwrap_or_default();
    ShownWarning {
        code: clean(&warning.code).into_owned(),
        object: clean(object).into_owned(),
        message: clean(&warning.message).into_owned(),
    }
}

impl PageSource<'_> {
    /// Returns true if the members of a group could not be read.
    pub(super) fn is_unreadable(&self, group: GroupIndex) -> bool {
        // Other programs do not record the number of members.
        self.org.complete.is_some() && self.org.group(group).members_kept.is_none()
    }

    /// Returns the names and ids of the groups whose members could not be read.
    fn unreadable(&self) -> Vec<(String, String)> {
        let groups = self.listing.groups.iter();
        let unreadable = groups.filter(|group| self.is_unreadable(**group));
        let named = unreadable.map(|group| {
            let group = self.org.group(*group);
            let name = clean(group.display_name()).into_owned();
            (name, clean(group.id.as_str()).into_owned())
        });
        named.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_to_the_minute() {
        for (text, shown) in [
            ("2026-11-23T15:04:11.883918632Z", "2026-11-23 15:04 UTC"),
            ("2026-01-31T12:00:00Z", "2026-01-31 12:00 UTC"),
        ] {
            let time: Timestamp = text.parse().unwrap();
            assert_eq!(minute(time), shown);
        }
    }
}
