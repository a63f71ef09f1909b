//! `review close`: the decisions compared with a later snapshot, and the evidence for an auditor.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;

use anyhow::{Context as _, bail};
use serde::Serialize;
use serde_json::Value;

use super::package::{Package, PackedFile};
use super::read_sheet;
use super::start::origin;
use crate::change::audit::{LoggedChange, logged_changes};
use crate::commands::lookup::Unchanged;
use crate::commands::report;
use crate::config::ReviewClose;
use crate::console::Console;
use crate::evidence::export::{Facts, Plan, Sheet, about};
use crate::evidence::findings::exceptions::Exceptions;
use crate::evidence::findings::{Options, Pair};
use crate::evidence::report::MAX_BYTES;
use crate::evidence::review::is_everyone;
use crate::evidence::review::status::Status;
use crate::evidence::review::verdict::{Access, Decided, Verdict, judge};
use crate::evidence::tables::write::{Csv, CsvStyle, WriteRows as _};
use crate::exit::Exit;
use crate::model::{GroupId, UserId};
use crate::sheet::review::{Coverage, ReviewRow};
use crate::signal::ShutdownSignal;
use crate::snapshot::{FileInfo, Reader};
use crate::text::{clean, count, number};

pub(super) fn run(
    config: &ReviewClose,
    console: &Console,
    stop: &ShutdownSignal,
) -> anyhow::Result<Exit> {
    let files = [&config.before, &config.after]
        .into_iter()
        .chain(&config.sheets);
    let unchanged: Vec<Unchanged> = files.map(|path| Unchanged::of(path)).collect();
    let before = Reader::open(&config.before)?;
    let after = Reader::open(&config.after)?;
    compare_runs(config, before.info(), after.info())?;
    let sheets = Sheets::read(config, before.info())?;
    let snapshots = [
        Snapshot::read(&before, &sheets)?,
        Snapshot::read(&after, &sheets)?,
    ];
    let decisions = sheets.decisions();
    if let Some(row) = sheets
        .rows
        .iter()
        .find(|row| !snapshots[0].access.pairs.contains(&pair(row)))
    {
        bail!(
            "the sheet has {:?} in {:?}, a membership that {} does not have",
            row.user_login,
            row.group_name,
            config.before.display()
        );
    }
    let verdicts = judge(&decisions, &snapshots[0].access, &snapshots[1].access);
    let changes = changes(config, before.info())?;
    let closing = Closing {
        config,
        readers: [&before, &after],
        sheets: &sheets,
        snapshots: &snapshots,
        verdicts: verdicts.into_iter().collect(),
        changes,
        stop,
    };
    let package = closing.write()?;
    for file in unchanged {
        file.check()?;
    }
    let result = closing.result(package.files().to_vec());
    package.publish()?;
    console.result(&result, || result.text())?;
    Ok(if result.is_final() {
        Exit::Done
    } else {
        Exit::Different
    })
}

/// Checks that the later snapshot can prove something about the earlier one.
fn compare_runs(config: &ReviewClose, before: &FileInfo, after: &FileInfo) -> anyhow::Result<()> {
    let (old, new) = (config.before.display(), config.after.display());
    let (from, to) = (origin(before), origin(after));
    if from.org != to.org {
        bail!("{old} is of {}, and {new} of {}", from.org, to.org);
    }
    if after.started_at < before.ended_at || from.sync_id == to.sync_id {
        bail!("{new} was not taken after {old}; sync again, and close with that snapshot");
    }
    let scope = |info: &FileInfo| {
        let run = info.metadata.as_ref()?;
        let filter = run.group_name_filter.clone();
        Some((run.email_domains.clone(), filter, run.skip_secondary_emails))
    };
    if scope(before) != scope(after) {
        bail!("{old} and {new} have different scopes, so missing memberships prove nothing");
    }
    if after.metadata.as_ref().is_some_and(|run| !run.complete) {
        tracing::warn!(
            "{new} is incomplete; memberships of groups that cannot be read are unknown"
        );
    }
    Ok(())
}

/// The rows of all sheets.
struct Sheets {
    rows: Vec<ReviewRow>,
    status: Status,
}

impl Sheets {
    fn read(config: &ReviewClose, before: &FileInfo) -> anyhow::Result<Self> {
        let expected = origin(before);
        let mut sheets = Self {
            rows: Vec::new(),
            status: Status::default(),
        };
        let mut coverage = Coverage::default();
        for path in &config.sheets {
            read_sheet(path, &mut coverage, &mut |row| {
                if (row.org.as_str(), row.sync_id.as_str()) != (&expected.org, &expected.sync_id) {
                    bail!(
                        "line {}: it was made from another snapshot than {}",
                        row.line,
                        config.before.display()
                    );
                }
                sheets.status.add(&row);
                sheets.rows.push(row);
                Ok(())
            })?;
        }
        let missing = coverage.missing();
        if missing.parts > 0 {
            bail!(
                "{} of the review missing; pass every file of it with --sheet",
                count(missing.parts, "sheet")
            );
        }
        if missing.rows > 0 {
            bail!(
                "{} missing from the sheets; take the deleted rows from the original sheet again",
                count(missing.rows, "row")
            );
        }
        sheets.status.end(&missing);
        sheets.rows.sort_by_key(|row| row.position);
        Ok(sheets)
    }

    fn decisions(&self) -> HashMap<Pair, Decided> {
        let decided = self.rows.iter().map(|row| {
            let decided = Decided {
                decision: row.decision,
                is_self_review: row.is_self_review(),
            };
            (pair(row), decided)
        });
        decided.collect()
    }
}

fn pair(row: &ReviewRow) -> Pair {
    (row.group_id.as_str().into(), row.user_id.as_str().into())
}

/// What the verdicts need of a snapshot.
struct Snapshot {
    access: Access,
    logins: HashMap<UserId, String>,
    groups: HashMap<GroupId, String>,
    about: Facts,
}

impl Snapshot {
    fn read(reader: &Reader, sheets: &Sheets) -> anyhow::Result<Self> {
        let reviewed: BTreeSet<&str> = sheets
            .rows
            .iter()
            .map(|row| row.group_id.as_str())
            .collect();
        let mut snapshot = Self {
            access: Access::default(),
            logins: HashMap::new(),
            groups: HashMap::new(),
            about: about(reader.info())?,
        };
        for user in reader.users()?.rows()? {
            let user = user?;
            snapshot
                .logins
                .insert(user.id, user.login.unwrap_or_default());
        }
        let mut left_out = BTreeSet::new();
        let is_ours = reader.info().is_ours();
        for group in reader.groups()?.rows()? {
            let group = group?;
            if is_everyone(&group) && !reviewed.contains(group.id.as_str()) {
                left_out.insert(group.id.clone());
            }
            if is_ours && group.members_kept.is_none() {
                snapshot.access.unreadable.insert(group.id.clone());
            }
            let name = group.display_name().to_owned();
            snapshot.groups.insert(group.id, name);
        }
        for membership in reader.memberships()?.rows()? {
            let membership = membership?;
            if !left_out.contains(&membership.group_id) {
                let pair = (membership.group_id, membership.user_id);
                snapshot.access.pairs.insert(pair);
            }
        }
        Ok(snapshot)
    }
}

/// Returns the changes that the audit logs record since the earlier snapshot.
fn changes(config: &ReviewClose, before: &FileInfo) -> anyhow::Result<Vec<LoggedChange>> {
    let org = origin(before).org;
    let mut changes = Vec::new();
    for path in &config.audit_logs {
        let text = fs::read(path).with_context(|| format!("cannot open {}", path.display()))?;
        let since = before.started_at;
        let logged = logged_changes(&text).into_iter();
        changes.extend(logged.filter(|change| {
            change.origin == org && change.at().is_some_and(|time| time >= since)
        }));
    }
    changes.sort_by(|a, b| a.time.cmp(&b.time));
    Ok(changes)
}

/// A review that is closed.
struct Closing<'a> {
    config: &'a ReviewClose,
    readers: [&'a Reader; 2],
    sheets: &'a Sheets,
    snapshots: &'a [Snapshot; 2],
    verdicts: BTreeMap<Pair, Verdict>,
    changes: Vec<LoggedChange>,
    stop: &'a ShutdownSignal,
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

    fn is_final(&self) -> bool {
        !self.verdicts.values().any(|verdict| verdict.is_open())
    }

    fn write(&self) -> anyhow::Result<Package> {
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
            verdicts: Facts(facts(self.counts())),
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

    /// Returns the report of the later snapshot.
    fn page(&self) -> anyhow::Result<String> {
        let [before, after] = self.readers;
        let mut source = report::source(
            (after, &self.config.after),
            Some((before, &self.config.before)),
            &Exceptions::default(),
            &Options::default(),
        )?;
        "Access after the review".clone_into(&mut source.title);
        Ok(source.page(Some(MAX_BYTES))?.html)
    }

    fn access(&self, reader: &Reader, out: impl std::io::Write) -> anyhow::Result<u64> {
        let plan = Plan::new(Sheet::Memberships, &[]);
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
            let facts = snapshot.about.0.iter();
            rows.extend(
                facts.map(|(name, value)| vec![format!("{which}.{name}").into(), value.clone()]),
            );
        }
        rows
    }

    fn verdict_rows(&self) -> Vec<Vec<Value>> {
        let decided: HashMap<Pair, &ReviewRow> = self
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
            let change = requests.get(&(group.as_str(), user.as_str()));
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

    fn result(&self, files: Vec<PackedFile>) -> Closed {
        Closed {
            status: status_word(self.is_final()),
            folder: self.config.out.display().to_string(),
            rows: self.sheets.status.all.rows,
            self_reviews: self.sheets.status.self_reviews.len(),
            verdicts: Facts(facts(self.counts())),
            files,
            counts: self.counts(),
        }
    }
}

fn status_word(is_final: bool) -> &'static str {
    if is_final { "final" } else { "draft" }
}

fn facts(counts: Vec<(&'static str, u64)>) -> Vec<(String, Value)> {
    let facts = counts.into_iter();
    facts
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

/// What `manifest.json` says.
#[derive(Serialize)]
struct ManifestOfReview<'a> {
    status: &'static str,
    verdicts: Facts,
    before: &'a Facts,
    after: &'a Facts,
    files: Vec<PackedFile>,
}

/// The result.
#[derive(Serialize)]
struct Closed {
    /// `final`, or `draft` if something is left to do.
    status: &'static str,
    folder: String,
    rows: u64,
    self_reviews: usize,
    verdicts: Facts,
    files: Vec<PackedFile>,
    #[serde(skip)]
    counts: Vec<(&'static str, u64)>,
}

impl Closed {
    fn is_final(&self) -> bool {
        self.status == "final"
    }

    fn text(&self) -> String {
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
