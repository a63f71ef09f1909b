//! Writes a diff as text, JSON, CSV or Markdown, one change at a time.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;

use super::{Change, Counts, Diff, FieldChange, Key, Kind, Recreated, Table};
use crate::evidence::cells::{code_span, csv_text, csv_value, plain};
use crate::snapshot::RunMetadata;
use crate::text::{clean, count, number};

/// One of the two snapshots.
#[derive(Clone, Debug, Serialize)]
pub struct Side {
    /// The file, as given.
    pub file: String,
    /// The hash of its content; null if the snapshot does not contain it.
    pub content_sha256: Option<String>,
    /// The run.
    pub sync_id: String,
    /// The org; null if another program wrote the file.
    pub org: Option<String>,
    /// When the run started, RFC 3339.
    pub started_at: String,
    /// When it ended, RFC 3339.
    pub ended_at: String,
    /// Whether the run could read everything in scope; null if another program wrote the file.
    pub complete: Option<bool>,
}

/// What a diff says about itself.
#[derive(Clone, Debug, Serialize)]
pub struct Meta {
    /// The old snapshot.
    pub old: Side,
    /// The new snapshot.
    pub new: Side,
    /// In what the scopes differ.
    pub scope: Vec<FieldChange>,
    /// The fields that were not compared.
    pub left_out: Vec<String>,
    /// What limits the comparison.
    pub notes: Vec<String>,
}

/// Returns in what two scopes differ.
pub fn scope_changes(old: &RunMetadata, new: &RunMetadata) -> Vec<FieldChange> {
    let change = |field: &str, old: Value, new: Value| FieldChange {
        field: field.to_owned(),
        old,
        new,
    };
    let parts = |run: &RunMetadata| {
        [
            Value::from(run.email_domains.clone()),
            Value::from(run.skip_secondary_emails),
            Value::from(run.group_name_filter.clone()),
        ]
    };
    let names = [
        "email_domains",
        "skip_secondary_emails",
        "group_name_filter",
    ];
    let values = parts(old).into_iter().zip(parts(new));
    names
        .into_iter()
        .zip(values)
        .filter(|(_, (old, new))| old != new)
        .map(|(name, (old, new))| change(name, old, new))
        .collect()
}

/// What is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct View {
    /// Only the counts.
    pub stat: bool,
    /// At most this many rows of each table.
    pub limit: Option<u64>,
    /// At most this many bytes of Markdown.
    pub max_bytes: u64,
}

impl View {
    fn shows(&self, shown: u64) -> bool {
        !self.stat && self.limit.is_none_or(|limit| shown < limit)
    }
}

/// Writes for people at a terminal.
///
/// # Errors
/// Returns an error if the output or the temporary file of the changes fails.
pub fn text(diff: &mut Diff, meta: &Meta, view: View, out: &mut dyn Write) -> io::Result<()> {
    text_head(meta, out)?;
    let shown = shown_columns(diff);
    write!(out, "\n{:13}", "")?;
    for name in &shown {
        write!(out, "{name:>11}")?;
    }
    writeln!(out)?;
    for (table, counts) in &diff.summary {
        write!(out, "{:13}", table.as_str())?;
        for (_, number_of) in in_columns(counts, &shown) {
            write!(out, "{:>11}", number(number_of))?;
        }
        writeln!(out)?;
    }
    if view.stat {
        return Ok(());
    }
    for table in Table::ALL {
        let Some(spool) = diff.changes.get_mut(&table) else {
            continue;
        };
        let mut shown = 0;
        let mut left_out = 0;
        for change in spool.changes()? {
            let change = change?;
            if !view.shows(shown) {
                left_out += 1;
                continue;
            }
            if shown == 0 {
                writeln!(out, "\n{}", table.as_str())?;
            }
            shown += 1;
            write_text(&change, out)?;
        }
        for recreated in diff.recreated.get(&table).into_iter().flatten() {
            writeln!(out, "  {}", clean(&recreated_text(recreated)))?;
        }
        if left_out > 0 {
            writeln!(out, "  … {}", more(left_out))?;
        }
    }
    Ok(())
}

fn text_head(meta: &Meta, out: &mut dyn Write) -> io::Result<()> {
    for (name, side) in [("old", &meta.old), ("new", &meta.new)] {
        let state = match side.complete {
            Some(true) => "complete",
            Some(false) => "INCOMPLETE",
            None => "written by another program",
        };
        writeln!(
            out,
            "{name}  {}  {}  {state}",
            clean(&side.file),
            side.ended_at
        )?;
    }
    for change in &meta.scope {
        writeln!(out, "scope  {}", clean(&field_text(change)))?;
    }
    for note in &meta.notes {
        writeln!(out, "note: {}", clean(note))?;
    }
    Ok(())
}

fn columns(counts: &Counts) -> [(&'static str, u64); 6] {
    [
        ("added", counts.added),
        ("removed", counts.removed),
        ("changed", counts.changed),
        ("unknown", counts.unknown),
        ("recreated", counts.recreated),
        ("unchanged", counts.unchanged),
    ]
}

/// Returns the counts to show: the usual ones, and others if they occur.
fn shown_columns(diff: &Diff) -> Vec<&'static str> {
    let occurs = |name: &str| {
        let all = diff.summary.values().flat_map(columns);
        all.into_iter()
            .any(|(other, count)| other == name && count > 0)
    };
    let names = columns(&Counts::default()).map(|(name, _)| name);
    let is_usual = |name: &&str| !matches!(*name, "unknown" | "recreated") || occurs(name);
    names.into_iter().filter(is_usual).collect()
}

fn in_columns(counts: &Counts, shown: &[&str]) -> Vec<(&'static str, u64)> {
    let all = columns(counts).into_iter();
    all.filter(|(name, _)| shown.contains(name)).collect()
}

fn more(left_out: u64) -> String {
    format!("{} more; pass a higher --limit", count(left_out, "change"))
}

fn sign(kind: Kind) -> char {
    match kind {
        Kind::Added => '+',
        Kind::Removed => '-',
        Kind::Changed => '~',
        Kind::Unknown => '?',
    }
}

/// Returns what to call a row: a name with its id, or a user and a group.
fn row_text(change: &Change) -> String {
    let name = |name: &Option<String>, id: &str| name.as_deref().unwrap_or(id).to_owned();
    match &change.key {
        Key::Id { id } => {
            let label = &change.label;
            let called = label.user.as_ref().or(label.group.as_ref());
            format!("{}  {id}", called.unwrap_or(id))
        }
        Key::Pair { group_id, user_id } => format!(
            "{} in {}",
            name(&change.label.user, user_id),
            name(&change.label.group, group_id)
        ),
    }
}

fn field_text(change: &FieldChange) -> String {
    format!("{}  {} -> {}", change.field, change.old, change.new)
}

fn recreated_text(recreated: &Recreated) -> String {
    format!(
        "recreated: {} was {} and is {}",
        recreated.name, recreated.old_id, recreated.new_id
    )
}

fn write_text(change: &Change, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "  {} {}", sign(change.kind), clean(&row_text(change)))?;
    for field in &change.fields {
        writeln!(out, "      {}", clean(&field_text(field)))?;
    }
    Ok(())
}

/// Writes one JSON object: `meta`, `summary`, and for each table its changes by kind.
///
/// # Errors
/// Returns an error if the output or the temporary file of the changes fails.
pub fn json(diff: &mut Diff, meta: &Meta, view: View, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{{\n\"meta\": {},\n\"summary\": {{", json_text(meta)?)?;
    for (place, (table, counts)) in diff.summary.iter().enumerate() {
        let comma = if place > 0 { ", " } else { "" };
        write!(out, "{comma}\"{}\": {}", table.as_str(), json_text(counts)?)?;
    }
    write!(out, "}}")?;
    for table in Table::ALL {
        write!(out, ",\n\"{}\": {{", table.as_str())?;
        let mut shown = 0;
        for (place, kind) in Kind::ALL.into_iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            write!(out, "{comma}\n\"{}\": [", kind.as_str())?;
            let mut first = true;
            let changes = diff.changes.get_mut(&table).map(super::Spool::changes);
            for change in changes.transpose()?.into_iter().flatten() {
                let change = change?;
                if change.kind == kind && view.shows(shown) {
                    shown += 1;
                    let comma = if first { "" } else { "," };
                    first = false;
                    write!(out, "{comma}\n{}", json_text(&change_json(&change))?)?;
                }
            }
            write!(out, "]")?;
        }
        let recreated = diff.recreated.get(&table).map_or(&[][..], Vec::as_slice);
        write!(out, ",\n\"recreated\": {}}}", json_text(&recreated)?)?;
    }
    writeln!(out, "\n}}")
}

fn json_text(value: &impl Serialize) -> io::Result<String> {
    let mut text = crate::text::json(serde_json::to_string(value)?);
    text.pop();
    Ok(text)
}

fn change_json(change: &Change) -> Value {
    if change.kind != Kind::Changed {
        let mut row = change.row.clone();
        for (name, label) in [
            ("user_login", &change.label.user),
            ("group_name", &change.label.group),
        ] {
            if let (Key::Pair { .. }, Some(label)) = (&change.key, label) {
                row.insert(name.to_owned(), label.as_str().into());
            }
        }
        return Value::Object(row);
    }
    let fields = change.fields.iter();
    let changes = fields.map(|field| {
        let values = Value::Array(vec![field.old.clone(), field.new.clone()]);
        (field.field.clone(), values)
    });
    let changes: serde_json::Map<String, Value> = changes.collect();
    serde_json::json!({"key": change.key, "label": change.label, "changes": changes})
}

/// The columns of the CSV.
const CSV_COLUMNS: [&str; 10] = [
    "op",
    "table",
    "id",
    "user_id",
    "user_login",
    "group_id",
    "group_name",
    "field",
    "old",
    "new",
];

/// Writes CSV, one line for each row that was added or removed, and for each field that changed. With `stat`, one line for
/// each count.
///
/// # Errors
/// Returns an error if the output or the temporary file of the changes fails.
pub fn csv(diff: &mut Diff, view: View, out: &mut dyn Write) -> io::Result<()> {
    let mut out = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(out);
    if view.stat {
        out.write_record(["table", "op", "count"])?;
        for (table, counts) in &diff.summary {
            for (name, number) in columns(counts) {
                out.write_record([table.as_str(), name, &number.to_string()])?;
            }
        }
        return out.flush();
    }
    out.write_record(CSV_COLUMNS)?;
    for table in Table::ALL {
        let Some(spool) = diff.changes.get_mut(&table) else {
            continue;
        };
        for (shown, change) in (0..).zip(spool.changes()?) {
            if !view.shows(shown) {
                break;
            }
            for record in csv_records(table, &change?) {
                out.write_record(record)?;
            }
        }
        for recreated in diff.recreated.get(&table).into_iter().flatten() {
            out.write_record(csv_recreated(table, recreated))?;
        }
    }
    out.flush()
}

/// Returns one line for each field that changed, or one for a row that was added or removed.
fn csv_records(table: Table, change: &Change) -> Vec<Vec<String>> {
    let start = csv_start(table, change);
    let line = |end: [String; 3]| start.iter().cloned().chain(end).collect();
    if change.fields.is_empty() {
        return vec![line(Default::default())];
    }
    let fields = change.fields.iter().map(|field| {
        let (old, new) = (csv_value(&field.old), csv_value(&field.new));
        line([csv_text(&field.field), old, new])
    });
    fields.collect()
}

fn csv_recreated(table: Table, recreated: &Recreated) -> [String; 10] {
    let (id, name) = (csv_text(&recreated.new_id), csv_text(&recreated.name));
    let none = [String::new(), String::new()];
    let called = [id.clone(), name];
    let ([user_id, user], [group_id, group]) = match table {
        Table::Users => (called, none),
        _ => (none, called),
    };
    [
        "recreated".to_owned(),
        table.as_str().to_owned(),
        id.clone(),
        user_id,
        user,
        group_id,
        group,
        "id".to_owned(),
        csv_text(&recreated.old_id),
        id,
    ]
}

/// Returns the cells before the field.
fn csv_start(table: Table, change: &Change) -> [String; 7] {
    let label = |label: &Option<String>| label.as_deref().map(csv_text).unwrap_or_default();
    let (id, user_id, group_id) = match &change.key {
        Key::Id { id } if table == Table::Users => (id.clone(), id.clone(), String::new()),
        Key::Id { id } => (id.clone(), String::new(), id.clone()),
        Key::Pair { group_id, user_id } => (
            format!("group:{group_id}:member:user:{user_id}"),
            user_id.clone(),
            group_id.clone(),
        ),
    };
    [
        change.kind.as_str().to_owned(),
        table.as_str().to_owned(),
        csv_text(&id),
        csv_text(&user_id),
        label(&change.label.user),
        csv_text(&group_id),
        label(&change.label.group),
    ]
}

/// Writes Markdown for the comment of a pull request. It ends before `max_bytes`, and its last line counts what is left out.
///
/// # Errors
/// Returns an error if the output or the temporary file of the changes fails.
pub fn markdown(diff: &mut Diff, meta: &Meta, view: View, out: &mut dyn Write) -> io::Result<()> {
    let mut text = markdown_head(diff, meta);
    // Room for the last line and the end of a section.
    let room = usize::try_from(view.max_bytes)
        .unwrap_or(usize::MAX)
        .saturating_sub(160);
    let mut left_out = 0;
    for table in Table::ALL {
        let Some(spool) = diff.changes.get_mut(&table) else {
            continue;
        };
        let recreated = diff.recreated.get(&table).into_iter().flatten();
        let recreated: String = recreated.map(markdown_recreated).collect();
        let mut shown = 0;
        for change in spool.changes()? {
            let change = change?;
            let mut line = if shown == 0 {
                let title = table.as_str();
                format!("\n<details><summary>{title}</summary>\n\n")
            } else {
                String::new()
            };
            line += &markdown_line(&change);
            if view.shows(shown) && text.len() + line.len() <= room {
                text += &line;
                shown += 1;
            } else if !view.stat {
                left_out += 1;
            }
        }
        if shown > 0 {
            if text.len() + recreated.len() <= room {
                text += &recreated;
            }
            text += "\n</details>\n";
        }
    }
    if left_out > 0 {
        text += &format!("\n{} left out.\n", count(left_out, "change"));
    } else {
        text += "\n0 changes left out.\n";
    }
    out.write_all(text.as_bytes())
}

fn markdown_head(diff: &Diff, meta: &Meta) -> String {
    let mut text = format!(
        "### Changes from {} to {}\n\n",
        code_span(&meta.old.ended_at),
        code_span(&meta.new.ended_at)
    );
    for change in &meta.scope {
        text += &format!(
            "- scope: {} was {} and is {}\n",
            change.field,
            markdown_value(&change.old),
            markdown_value(&change.new)
        );
    }
    for note in &meta.notes {
        text += &format!("- {}\n", code_span(note));
    }
    if !(meta.scope.is_empty() && meta.notes.is_empty()) {
        text.push('\n');
    }
    let shown = shown_columns(diff);
    let line = "---:|".repeat(shown.len());
    text += &format!("| | {} |\n|---|{line}\n", shown.join(" | "));
    for (table, counts) in &diff.summary {
        let numbers = in_columns(counts, &shown);
        let numbers: Vec<String> = numbers.iter().map(|(_, count)| number(*count)).collect();
        text += &format!("| {} | {} |\n", table.as_str(), numbers.join(" | "));
    }
    text
}

fn markdown_line(change: &Change) -> String {
    let name = |name: &Option<String>, id: &str| code_span(name.as_deref().unwrap_or(id));
    let called = match &change.key {
        Key::Id { id } => {
            let label = &change.label;
            let called = label.user.as_ref().or(label.group.as_ref());
            format!("{} ({})", code_span(called.unwrap_or(id)), code_span(id))
        }
        Key::Pair { group_id, user_id } => format!(
            "{} in {}",
            name(&change.label.user, user_id),
            name(&change.label.group, group_id)
        ),
    };
    let mut line = format!("- {} {called}", change.kind.as_str());
    for field in &change.fields {
        line += &format!(
            "\n  - {}: {} → {}",
            code_span(&field.field),
            markdown_value(&field.old),
            markdown_value(&field.new)
        );
    }
    line.push('\n');
    line
}

fn markdown_value(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        value => code_span(&plain(value)),
    }
}

fn markdown_recreated(recreated: &Recreated) -> String {
    let (name, old, new) = (&recreated.name, &recreated.old_id, &recreated.new_id);
    format!(
        "- recreated {}: was {}, is {}\n",
        code_span(name),
        code_span(old),
        code_span(new)
    )
}
