//! A diff as CSV.

use std::io::{self, Write};

use clap::ValueEnum as _;

use super::{View, columns};
use crate::evidence::cells::{csv_text, csv_value, write_record};
use crate::evidence::diff::{Diff, Key, Recreated, RowChange, Table};

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

/// Writes a diff as CSV, with one line for each row that was added or removed and for each field that changed. With
/// `stat`, writes one line for each count.
///
/// # Errors
/// Returns an error if the output or the temporary file of the changes fails.
pub fn csv(diff: &mut Diff, view: View, out: &mut dyn Write) -> io::Result<()> {
    let mut out = ::csv::WriterBuilder::new()
        .terminator(::csv::Terminator::CRLF)
        .from_writer(out);
    if view.stat {
        write_record(&mut out, ["table", "op", "count"])?;
        for (table, counts) in &diff.summary {
            for (name, number) in columns(counts) {
                write_record(&mut out, [table.as_str(), name, &number.to_string()])?;
            }
        }
        return out.flush();
    }
    write_record(&mut out, CSV_COLUMNS)?;
    for table in Table::value_variants().iter().copied() {
        let Some(spool) = diff.changes.get_mut(&table) else {
            continue;
        };
        for (shown, change) in (0..).zip(spool.changes()?) {
            if !view.shows(shown) {
                break;
            }
            for record in csv_records(table, &change?) {
                write_record(&mut out, record)?;
            }
        }
        for recreated in diff.recreated.get(&table).into_iter().flatten() {
            write_record(&mut out, csv_recreated(table, recreated))?;
        }
    }
    out.flush()
}

/// Returns the lines of a change: one for each field of a changed row, and one for any other row.
fn csv_records(table: Table, change: &RowChange) -> Vec<Vec<String>> {
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
fn csv_start(table: Table, change: &RowChange) -> [String; 7] {
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
