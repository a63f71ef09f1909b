//! Compares two snapshots by reading both in the order of ids.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::iter::Peekable;

use anyhow::Context as _;
use crossbeam_channel::{Sender, bounded};
use serde_json::Map;

use super::compare::{self, Sources};
use super::options::DiffOptions;
use super::spool::SpoolWriter;
use super::{ChangeKind, Diff, DiffCounts, Key, Label, Recreated, RowChange, Table};
use crate::atomic_file::NO_TEMPORARY_FILE;
use crate::model::{GroupId, UserId};
use crate::snapshot::{Error, GroupRow, JsonRow, MembershipRow, Reader, UserRow, Warning};

/// A row that is in both snapshots, or in one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Sides<T> {
    Old(T),
    New(T),
    Both(T, T),
}

/// An iterator that pairs the rows of two sorted sequences by their keys. It ends after an error.
struct Merge<O: Iterator, N: Iterator, F> {
    old: Peekable<O>,
    new: Peekable<N>,
    compare: F,
}

fn merge<T, O, N, F>(old: O, new: N, compare: F) -> Merge<O, N, F>
where
    O: Iterator<Item = Result<T, Error>>,
    N: Iterator<Item = Result<T, Error>>,
    F: Fn(&T, &T) -> Ordering,
{
    Merge {
        old: old.peekable(),
        new: new.peekable(),
        compare,
    }
}

impl<T, O, N, F> Iterator for Merge<O, N, F>
where
    O: Iterator<Item = Result<T, Error>>,
    N: Iterator<Item = Result<T, Error>>,
    F: Fn(&T, &T) -> Ordering,
{
    type Item = Result<Sides<T>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let order = match (self.old.peek(), self.new.peek()) {
            (None, None) => return None,
            (Some(Err(_)), _) | (_, None) => Ordering::Less,
            (_, Some(Err(_))) | (None, _) => Ordering::Greater,
            (Some(Ok(old)), Some(Ok(new))) => (self.compare)(old, new),
        };
        match order {
            Ordering::Less => self.old.next().map(|row| row.map(Sides::Old)),
            Ordering::Greater => self.new.next().map(|row| row.map(Sides::New)),
            Ordering::Equal => {
                let (old, new) = (self.old.next()?, self.new.next()?);
                Some(old.and_then(|old| Ok(Sides::Both(old, new?))))
            }
        }
    }
}

/// Compares two snapshots.
///
/// # Errors
/// Returns an error if a snapshot is damaged, or if the temporary file of the changes cannot be written.
pub fn compare_snapshots(
    old: &Reader,
    new: &Reader,
    options: &DiffOptions,
) -> anyhow::Result<Diff> {
    let mut comparison = SnapshotComparison::of_objects(old, new, options)?;
    if options.tables.contains(&Table::Memberships) {
        let (mut old, mut new) = (old.memberships()?, new.memberships()?);
        comparison.memberships(old.rows()?, new.rows()?)?;
    }
    Ok(comparison.diff)
}

/// Compares two snapshots as [`compare_snapshots`] does, but reads the memberships of the old one in a second thread.
/// Reading them takes most of the time.
///
/// # Errors
/// Returns the errors of [`compare_snapshots`].
pub fn compare_in_parallel(
    old: &mut Reader,
    new: &Reader,
    options: &DiffOptions,
) -> anyhow::Result<Diff> {
    let mut comparison = SnapshotComparison::of_objects(old, new, options)?;
    if options.tables.contains(&Table::Memberships) {
        let (rows, old_rows) = bounded(WAITING_BATCHES);
        std::thread::scope(|scope| {
            scope.spawn(move || send_memberships(old, &rows));
            let mut new = new.memberships()?;
            comparison.memberships(old_rows.into_iter().flatten(), new.rows()?)
        })?;
    }
    Ok(comparison.diff)
}

/// The number of memberships that the reading thread hands over at once.
const BATCH: usize = 1_000;
/// The number of batches that may wait before the reading thread pauses.
const WAITING_BATCHES: usize = 4;

type Batch = Vec<Result<MembershipRow, Error>>;

/// Sends the memberships of a snapshot until an error occurs or the receiver is gone.
fn send_memberships(reader: &Reader, out: &Sender<Batch>) {
    let send = || -> Result<(), Error> {
        let mut query = reader.memberships()?;
        let mut rows = query.rows()?;
        loop {
            let batch: Batch = rows.by_ref().take(BATCH).collect();
            if batch.is_empty() || out.send(batch).is_err() {
                return Ok(());
            }
        }
    };
    if let Err(error) = send() {
        // Without a receiver, the comparison has already failed.
        let _ = out.send(vec![Err(error)]);
    }
}

/// The groups and users whose memberships a snapshot may lack because it could not read them.
#[derive(Default)]
struct Limits {
    groups: HashSet<GroupId>,
    users: HashSet<UserId>,
}

impl Limits {
    fn of(reader: &Reader) -> Result<Self, Error> {
        let mut limits = Self::default();
        let warnings = reader.warnings()?.into_iter();
        for warning in warnings.filter(Warning::limits_memberships) {
            match (warning.kind.as_str(), warning.object_id) {
                ("group", Some(id)) => limits.groups.insert(id.into()),
                ("user", Some(id)) => limits.users.insert(id.into()),
                _ => false,
            };
        }
        Ok(limits)
    }

    fn include(&self, membership: &MembershipRow) -> bool {
        self.groups.contains(&membership.group_id) || self.users.contains(&membership.user_id)
    }
}

struct SnapshotComparison<'a> {
    options: &'a DiffOptions,
    sources: Sources,
    /// The limits of the old and of the new snapshot.
    limits: [Limits; 2],
    diff: Diff,
    logins: HashMap<UserId, Box<str>>,
    names: HashMap<GroupId, Box<str>>,
}

impl<'a> SnapshotComparison<'a> {
    /// Compares users and groups.
    fn of_objects(old: &Reader, new: &Reader, options: &'a DiffOptions) -> anyhow::Result<Self> {
        let sources = Sources {
            old: old.info().tables(),
            new: new.info().tables(),
        };
        let mut comparison = Self {
            options,
            sources,
            limits: [Limits::of(old)?, Limits::of(new)?],
            diff: Diff {
                summary: BTreeMap::new(),
                changes: BTreeMap::new(),
                recreated: BTreeMap::new(),
                not_compared: compare::only_in_one(
                    sources,
                    &options.compared_tables(),
                    &options.fields,
                ),
            },
            logins: HashMap::new(),
            names: HashMap::new(),
        };
        comparison.users(old, new)?;
        comparison.groups(old, new)?;
        Ok(comparison)
    }

    fn users(&mut self, old: &Reader, new: &Reader) -> anyhow::Result<()> {
        let mut table = Collected::new(Table::Users, self.options, self.sources);
        let (mut old_rows, mut new_rows) = (old.users()?, new.users()?);
        let rows = merge(old_rows.rows()?, new_rows.rows()?, |a: &UserRow, b| {
            a.id.cmp(&b.id)
        });
        for sides in rows {
            let sides = sides?;
            let (Sides::Old(row) | Sides::New(row) | Sides::Both(_, row)) = &sides;
            let login = row.login.as_deref().unwrap_or(row.id.as_str());
            self.logins.insert(row.id.clone(), login.into());
            let users = &self.options.users;
            let is_selected = users.as_ref().map_or_else(
                || self.options.reports_rows_of(Table::Users),
                |users| users.contains(&row.id),
            );
            if is_selected {
                let label = Label {
                    user: Some(login.to_owned()),
                    group: None,
                };
                let id = row.id.to_string();
                table.add(Key::Id { id }, label, sides)?;
            }
        }
        self.finish(table)
    }

    fn groups(&mut self, old: &Reader, new: &Reader) -> anyhow::Result<()> {
        let mut table = Collected::new(Table::Groups, self.options, self.sources);
        let (mut old_rows, mut new_rows) = (old.groups()?, new.groups()?);
        let rows = merge(old_rows.rows()?, new_rows.rows()?, |a: &GroupRow, b| {
            a.id.cmp(&b.id)
        });
        for sides in rows {
            let sides = sides?;
            let (Sides::Old(row) | Sides::New(row) | Sides::Both(_, row)) = &sides;
            let name = row.display_name().to_owned();
            self.names.insert(row.id.clone(), name.as_str().into());
            let groups = &self.options.groups;
            let is_selected = groups.as_ref().map_or_else(
                || self.options.reports_rows_of(Table::Groups),
                |groups| groups.contains(&row.id),
            );
            if is_selected {
                let label = Label {
                    user: None,
                    group: Some(name),
                };
                let id = row.id.to_string();
                table.add(Key::Id { id }, label, sides)?;
            }
        }
        self.finish(table)
    }

    fn memberships(
        &mut self,
        old: impl Iterator<Item = Result<MembershipRow, Error>>,
        new: impl Iterator<Item = Result<MembershipRow, Error>>,
    ) -> anyhow::Result<()> {
        let mut table = Collected::new(Table::Memberships, self.options, self.sources);
        let key = |row: &MembershipRow| (row.group_id.clone(), row.user_id.clone());
        let rows = merge(old, new, |a: &MembershipRow, b| {
            (&a.group_id, &a.user_id).cmp(&(&b.group_id, &b.user_id))
        });
        for sides in rows {
            let sides = sides?;
            let (Sides::Old(row) | Sides::New(row) | Sides::Both(_, row)) = &sides;
            let DiffOptions { users, groups, .. } = self.options;
            if users
                .as_ref()
                .is_some_and(|ids| !ids.contains(&row.user_id))
                || groups
                    .as_ref()
                    .is_some_and(|ids| !ids.contains(&row.group_id))
            {
                continue;
            }
            // Most memberships are in both snapshots, and need no key and no names.
            if let Sides::Both(old, new) = &sides
                && (old == new || !self.options.fields.all)
            {
                table.counts.unchanged += 1;
                continue;
            }
            let (group, user) = key(row);
            let [of_old, of_new] = &self.limits;
            table.is_limited = match &sides {
                Sides::Old(row) => of_new.include(row),
                Sides::New(row) => of_old.include(row),
                Sides::Both(..) => false,
            };
            let label = Label {
                user: self
                    .logins
                    .get(&user)
                    .map(|login| login.as_ref().to_owned()),
                group: self.names.get(&group).map(|name| name.as_ref().to_owned()),
            };
            let key = Key::Pair {
                group_id: group.to_string(),
                user_id: user.to_string(),
            };
            table.add(key, label, sides)?;
        }
        self.finish(table)
    }

    fn finish(&mut self, table: Collected<'_>) -> anyhow::Result<()> {
        let name = table.table;
        if !self.options.tables.contains(&name) {
            return Ok(());
        }
        let recreated = table.recreated();
        let mut counts = table.counts;
        counts.recreated = recreated.len() as u64;
        self.diff.summary.insert(name, counts);
        let spool = table.spool.finish().context(NO_TEMPORARY_FILE)?;
        self.diff.changes.insert(name, spool);
        self.diff.recreated.insert(name, recreated);
        Ok(())
    }
}

/// The changes of one table.
struct Collected<'a> {
    table: Table,
    options: &'a DiffOptions,
    sources: Sources,
    counts: DiffCounts,
    spool: SpoolWriter,
    /// True if the snapshot without the current membership could not read it.
    is_limited: bool,
    /// The names of rows that are only in the old snapshot, with their ids; `None` if several rows share the name.
    only_old: BTreeMap<String, Option<String>>,
    only_new: BTreeMap<String, Option<String>>,
}

impl<'a> Collected<'a> {
    fn new(table: Table, options: &'a DiffOptions, sources: Sources) -> Self {
        Self {
            table,
            options,
            sources,
            counts: DiffCounts::default(),
            spool: SpoolWriter::new(),
            is_limited: false,
            only_old: BTreeMap::new(),
            only_new: BTreeMap::new(),
        }
    }

    fn add<R: JsonRow + PartialEq>(
        &mut self,
        key: Key,
        label: Label,
        sides: Sides<R>,
    ) -> anyhow::Result<()> {
        let (kind, row, fields) = match sides {
            Sides::Old(row) => (
                self.missing(ChangeKind::Removed),
                compare::object(&row),
                Vec::new(),
            ),
            Sides::New(row) => (
                self.missing(ChangeKind::Added),
                compare::object(&row),
                Vec::new(),
            ),
            Sides::Both(old, new) => {
                let fields = if old == new {
                    Vec::new()
                } else {
                    compare::differences(
                        self.table,
                        [&old, &new],
                        &self.options.fields,
                        self.sources,
                    )
                };
                if fields.is_empty() {
                    self.counts.unchanged += 1;
                    return Ok(());
                }
                (ChangeKind::Changed, Map::new(), fields)
            }
        };
        self.remember(kind, &key, &label);
        if !self.options.kinds.contains(&kind) {
            return Ok(());
        }
        self.counts.add(kind);
        let change = RowChange {
            kind,
            key,
            label,
            row,
            fields,
        };
        self.spool.push(&change).context(NO_TEMPORARY_FILE)
    }

    fn missing(&self, kind: ChangeKind) -> ChangeKind {
        if self.is_limited {
            ChangeKind::Unknown
        } else {
            kind
        }
    }

    fn remember(&mut self, kind: ChangeKind, key: &Key, label: &Label) {
        let (Key::Id { id }, Some(name)) = (key, label.user.as_ref().or(label.group.as_ref()))
        else {
            return;
        };
        let names = match kind {
            ChangeKind::Added => &mut self.only_new,
            ChangeKind::Removed => &mut self.only_old,
            _ => return,
        };
        names
            .entry(name.clone())
            .and_modify(|id| *id = None)
            .or_insert_with(|| Some(id.clone()));
    }

    fn recreated(&self) -> Vec<Recreated> {
        let both = self.only_old.iter().filter_map(|(name, old_id)| {
            Some(Recreated {
                name: name.clone(),
                old_id: old_id.clone()?,
                new_id: self.only_new.get(name)?.clone()?,
            })
        });
        both.collect()
    }
}
