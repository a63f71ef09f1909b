//! A diff as one JSON object, written piece by piece.

use std::io::{self, Write};

use clap::ValueEnum as _;
use serde::Serialize;
use serde_json::Value;

use super::{Meta, View};
use crate::evidence::diff::{ChangeKind, Diff, Key, RowChange, Spool, Table};

/// Writes a diff as one JSON object: `meta`, `summary`, and for each table its changes by kind.
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
    for table in Table::value_variants().iter().copied() {
        write!(out, ",\n\"{}\": {{", table.as_str())?;
        let mut shown = 0;
        for (place, kind) in ChangeKind::value_variants().iter().copied().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            write!(out, "{comma}\n\"{}\": [", kind.as_str())?;
            let mut first = true;
            let changes = diff.changes.get_mut(&table).map(Spool::changes);
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

fn change_json(change: &RowChange) -> Value {
    if change.kind != ChangeKind::Changed {
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
