//! A diff as text for a terminal.

use std::io::{self, Write};

use clap::ValueEnum as _;

use super::{Meta, View, in_columns, shown_columns};
use crate::evidence::diff::{ChangeKind, Diff, FieldChange, Key, Recreated, RowChange, Table};
use crate::text::{clean, count, number};

/// Writes a diff as text for a terminal.
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
    for table in Table::value_variants().iter().copied() {
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

fn more(left_out: u64) -> String {
    format!("{} more; pass a higher --limit", count(left_out, "change"))
}

fn sign(kind: ChangeKind) -> char {
    match kind {
        ChangeKind::Added => '+',
        ChangeKind::Removed => '-',
        ChangeKind::Changed => '~',
        ChangeKind::Unknown => '?',
    }
}

/// Returns the description of a row: a name with its id, or a user and a group.
fn row_text(change: &RowChange) -> String {
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

fn write_text(change: &RowChange, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "  {} {}", sign(change.kind), clean(&row_text(change)))?;
    for field in &change.fields {
        writeln!(out, "      {}", clean(&field_text(field)))?;
    }
    Ok(())
}
