//! `review close`: compares the decisions with a later snapshot, and writes the evidence for an auditor.

use std::collections::{BTreeSet, HashMap};
use std::fs;

use anyhow::{Context as _, bail};

use super::evidence::Closing;
use super::start::origin;
use super::{WRITTEN, read_sheet};
use crate::change::audit::{LoggedChange, is_log, logged_changes};
use crate::commands::lookup::Unchanged;
use crate::config::ReviewCloseConfig;
use crate::console::Console;
use crate::evidence::export::{OrderedObject, about};
use crate::evidence::findings::MembershipIds;
use crate::evidence::review::is_everyone;
use crate::evidence::review::status::ReviewStatus;
use crate::evidence::review::verdict::{Access, Decided, judge};
use crate::exit::ExitStatus;
use crate::model::{GroupId, UserId};
use crate::sheet::review::{Coverage, ReviewRow};
use crate::signal::ShutdownSignal;
use crate::snapshot::{FileInfo, Reader};
use crate::text::count;

pub(super) fn run(
    config: &ReviewCloseConfig,
    console: &Console,
    stop: &ShutdownSignal,
) -> anyhow::Result<ExitStatus> {
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
    let changes = changes(config, before.info(), after.info())?;
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
    console.result(&result, || result.text()).context(WRITTEN)?;
    Ok(if result.is_final() {
        ExitStatus::Done
    } else {
        ExitStatus::Different
    })
}

/// Checks that the later snapshot is comparable with the earlier one.
fn compare_runs(
    config: &ReviewCloseConfig,
    before: &FileInfo,
    after: &FileInfo,
) -> anyhow::Result<()> {
    let (old, new) = (config.before.display(), config.after.display());
    let (from, to) = (origin(before), origin(after));
    if from.org != to.org {
        bail!("{old} is from {}, and {new} from {}", from.org, to.org);
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
pub(super) struct Sheets {
    pub(super) rows: Vec<ReviewRow>,
    pub(super) status: ReviewStatus,
}

impl Sheets {
    fn read(config: &ReviewCloseConfig, before: &FileInfo) -> anyhow::Result<Self> {
        let expected = origin(before);
        let mut sheets = Self {
            rows: Vec::new(),
            status: ReviewStatus::default(),
        };
        let mut coverage = Coverage::default();
        for path in &config.sheets {
            read_sheet(path, &mut coverage, &mut |row| {
                if (row.org.as_str(), row.sync_id.as_str()) != (&expected.org, &expected.sync_id) {
                    bail!(
                        "line {}: it was made from a snapshot other than {}",
                        row.line,
                        config.before.display()
                    );
                }
                sheets.status.add(&row);
                sheets.rows.push(row);
                Ok(())
            })?;
        }
        if coverage.is_empty() {
            bail!("the sheets have no rows, so there is nothing to close");
        }
        let missing = coverage.missing();
        if missing.parts > 0 {
            bail!(
                "{} of the review not given; pass every file of it with --sheet",
                count(missing.parts, "sheet")
            );
        }
        if missing.rows > 0 {
            bail!(
                "the sheets lack {}; copy the deleted rows back from the original sheet",
                count(missing.rows, "row")
            );
        }
        sheets.status.end(&missing);
        sheets.rows.sort_by_key(|row| row.position);
        Ok(sheets)
    }

    fn decisions(&self) -> HashMap<MembershipIds, Decided> {
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

pub(super) fn pair(row: &ReviewRow) -> MembershipIds {
    (row.group_id.as_str().into(), row.user_id.as_str().into())
}

/// The data of a snapshot that the verdicts need.
pub(super) struct Snapshot {
    pub(super) access: Access,
    pub(super) logins: HashMap<UserId, String>,
    pub(super) groups: HashMap<GroupId, String>,
    pub(super) about: OrderedObject,
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

/// Returns the changes from the audit logs between the two snapshots, each once.
fn changes(
    config: &ReviewCloseConfig,
    before: &FileInfo,
    after: &FileInfo,
) -> anyhow::Result<Vec<LoggedChange>> {
    let org = origin(before).org;
    let mut changes = Vec::new();
    for path in &config.audit_logs {
        let text = fs::read(path).with_context(|| format!("cannot open {}", path.display()))?;
        if !is_log(&text) {
            bail!("{} is not an audit log of okta-ciam", path.display());
        }
        let between = before.started_at..=after.ended_at;
        let logged = logged_changes(&text).into_iter();
        changes.extend(logged.filter(|change| {
            change.origin == org && change.at().is_some_and(|time| between.contains(&time))
        }));
    }
    changes.sort_by(|a, b| (&a.time, &a.change_id).cmp(&(&b.time, &b.change_id)));
    changes.dedup_by(|a, b| a.change_id == b.change_id);
    Ok(changes)
}
