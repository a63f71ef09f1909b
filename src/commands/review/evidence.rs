//! The evidence of a closed review: the content of each file in the package, and the result.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::io::Write as _;

use serde::Serialize;
use serde_json::Value;

use super::close::{Sheets, Snapshot, pair};
use super::package::{Package, PackedFile};
use crate::change::audit::LoggedChange;
use crate::commands::report;
use crate::config::ReviewCloseConfig;
use crate::evidence::export::{ExportPlan, OrderedObject, Sheet};
use crate::evidence::findings::exceptions::Exceptions;
use crate::evidence::findings::{FindingOptions, MembershipIds};
use crate::evidence::report::MAX_BYTES;
use crate::evidence::review::verdict::Verdict;
use crate::evidence::tables::write::{Csv, CsvStyle, WriteRows as _};
use crate::model::GroupId;
use crate::sheet::review::ReviewRow;
use crate::signal::ShutdownSignal;
use crate::snapshot::Reader;
use crate::text::{clean, count, number};

/// A review that is being closed.
pub(super) struct Closing<'a> {
    pub(super) config: &'a ReviewCloseConfig,
    pub(super) readers: [&'a Reader; 2],
    pub(super) sheets: &'a Sheets,
    pub(super) snapshots: &'a [Snapshot; 2],
    pub(super) verdicts: BTreeMap<MembershipIds, Verdict>,
    pub(super) changes: Vec<LoggedChange>,
    pub(super) stop: &'a ShutdownSignal,
}

impl Closing<'_> {
    fn counts(&self) -> Vec<(&'static str, u64)> {
        let count = |verdict| {
            self.verdicts
                .values()
                .filter(|other| **other == verdict)
                .count()
        };
        let counts = Verdict::ALL.map(|verdict| (verdict.word(), count(verdict) as u64));
        counts.to_vec()
    }

    pub(super) fn is_final(&self) -> bool {
        !self.verdicts.values().any(|verdict| verdict.is_open())
    }

    pub(super) fn write(&self) -> anyhow::Result<Package> {
        let mut package = Package::start(&self.config.out)?;
        package.add_csv("scope.csv", &["name", "value"], self.scope())?;
        for (name, reader) in ["access-before.csv", "access-after.csv"]
            .into_iter()
            .zip(self.readers)
        {
            package.add(name, |out| self.access(reader, out).map(Some))?;
        }
        let header = [
            "review_id",
            "group_name",
            "user_login",
            "decision",
            "reviewer",
            "decided_at",
            "comment",
        ];
        package.add_csv(
            "decisions.csv",
            &header,
            self.sheets.rows.iter().map(decision),
        )?;
        package.add_csv(
            "changes.csv",
            &LoggedChange::COLUMNS,
            self.changes.iter().map(LoggedChange::cells),
        )?;
        let header = [
            "verdict",
            "group_id",
            "group_name",
            "user_id",
            "user_login",
            "decision",
            "reviewer",
            "request_id",
        ];
        package.add_csv("verdicts.csv", &header, self.verdict_rows())?;
        for path in &self.config.sheets {
            package.add_copy(path)?;
        }
        let page = self.page()?;
        package.add("report.html", |out| {
            out.write_all(page.as_bytes())?;
            Ok(None)
        })?;
        let manifest = ManifestOfReview {
            status: status_word(self.is_final()),
            verdicts: OrderedObject(values(self.counts())),
            before: &self.snapshots[0].about,
            after: &self.snapshots[1].about,
            files: package.files().to_vec(),
        };
        let text = crate::text::json(serde_json::to_string_pretty(&manifest)?);
        package.add("manifest.json", |out| {
            out.write_all(text.as_bytes())?;
            Ok(None)
        })?;
        Ok(package)
    }

    /// Returns the report on the later snapshot.
    fn page(&self) -> anyhow::Result<String> {
        let [before, after] = self.readers;
        let mut source = report::source(
            (after, &self.config.after),
            Some((before, &self.config.before)),
            &Exceptions::default(),
            &FindingOptions::default(),
        )?;
        "Access after the review".clone_into(&mut source.title);
        Ok(source.page(Some(MAX_BYTES))?.html)
    }

    fn access(&self, reader: &Reader, out: impl std::io::Write) -> anyhow::Result<u64> {
        let plan = ExportPlan::new(Sheet::Memberships, &[]);
        let mut out = Csv::new(out, &plan.names(), CsvStyle::default())?;
        let rows = plan.rows(reader, &mut |values: &[Value]| -> anyhow::Result<()> {
            self.stop.check()?;
            Ok(out.row(values)?)
        })?;
        out.end()?;
        Ok(rows)
    }

    fn scope(&self) -> Vec<Vec<Value>> {
        let status = &self.sheets.status;
        let mut rows: Vec<Vec<Value>> = vec![
            vec!["status".into(), status_word(self.is_final()).into()],
            vec!["rows".into(), status.all.rows.into()],
            vec!["self_reviews".into(), status.self_reviews.len().into()],
        ];
        let counts = self.counts().into_iter();
        rows.extend(
            counts.map(|(word, count)| vec![format!("verdict.{word}").into(), count.into()]),
        );
        for (which, snapshot) in ["before", "after"].into_iter().zip(self.snapshots) {
            let about = snapshot.about.0.iter();
            rows.extend(
                about.map(|(name, value)| vec![format!("{which}.{name}").into(), value.clone()]),
            );
        }
        rows
    }

    fn verdict_rows(&self) -> Vec<Vec<Value>> {
        let decided: HashMap<MembershipIds, &ReviewRow> = self
            .sheets
            .rows
            .iter()
            .map(|row| (pair(row), row))
            .collect();
        let requests: HashMap<(&str, &str), &LoggedChange> = self
            .changes
            .iter()
            .map(|change| ((change.group_id.as_str(), change.user_id.as_str()), change))
            .collect();
        let rows = self.verdicts.iter().map(|(pair, verdict)| {
            let (group, user) = pair;
            let row = decided.get(pair);
            let name_of = |names: fn(&Snapshot) -> &HashMap<GroupId, String>| {
                self.snapshots
                    .iter()
                    .find_map(|snapshot| names(snapshot).get(group))
            };
            let login = self
                .snapshots
                .iter()
                .find_map(|snapshot| snapshot.logins.get(user));
            // A change is an explanation only if its result is the current state of the membership.
            let is_member = self.snapshots[1].access.pairs.contains(pair);
            let change = requests
                .get(&(group.as_str(), user.as_str()))
                .filter(|change| (change.action == "grant") == is_member);
            vec![
                verdict.word().into(),
                group.as_str().into(),
                name_of(|snapshot| &snapshot.groups).cloned().into(),
                user.as_str().into(),
                login.cloned().into(),
                row.map(|row| row.decision.word()).into(),
                row.map(|row| row.reviewer.as_str()).into(),
                change
                    .and_then(|change| change.request_id.as_deref())
                    .into(),
            ]
        });
        rows.collect()
    }

    pub(super) fn result(&self, files: Vec<PackedFile>) -> Closed {
        Closed {
            status: status_word(self.is_final()),
            folder: self.config.out.display().to_string(),
            rows: self.sheets.status.all.rows,
            self_reviews: self.sheets.status.self_reviews.len(),
            verdicts: OrderedObject(values(self.counts())),
            files,
            counts: self.counts(),
        }
    }
}

fn status_word(is_final: bool) -> &'static str {
    if is_final { "final" } else { "draft" }
}

fn values(counts: Vec<(&'static str, u64)>) -> Vec<(String, Value)> {
    let counts = counts.into_iter();
    counts
        .map(|(word, count)| (word.to_owned(), count.into()))
        .collect()
}

fn decision(row: &ReviewRow) -> Vec<Value> {
    let texts = [
        row.review_id.as_str(),
        &row.group_name,
        &row.user_login,
        row.decision.word(),
        &row.reviewer,
        &row.decided_at,
        &row.comment,
    ];
    texts.map(Value::from).to_vec()
}

/// The content of `manifest.json`.
#[derive(Serialize)]
struct ManifestOfReview<'a> {
    status: &'static str,
    verdicts: OrderedObject,
    before: &'a OrderedObject,
    after: &'a OrderedObject,
    files: Vec<PackedFile>,
}

/// The result as JSON.
#[derive(Serialize)]
pub(super) struct Closed {
    /// `final`, or `draft` if something remains to be done.
    status: &'static str,
    folder: String,
    rows: u64,
    self_reviews: usize,
    verdicts: OrderedObject,
    files: Vec<PackedFile>,
    #[serde(skip)]
    counts: Vec<(&'static str, u64)>,
}

impl Closed {
    pub(super) fn is_final(&self) -> bool {
        self.status == "final"
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!(
            "{}  {} reviewed\n",
            clean(&self.folder),
            count(self.rows, "membership")
        );
        for (word, count) in self.counts.iter().filter(|(_, count)| *count > 0) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {word:<20} {}", number(*count));
        }
        let end = if self.is_final() {
            "the review is complete"
        } else {
            "the package is a draft; verdicts.csv lists what is left"
        };
        let _ = writeln!(text, "{end}");
        text
    }
}
