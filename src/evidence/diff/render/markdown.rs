//! A diff as Markdown, for a comment on a pull request.

use std::io::{self, Write};

use clap::ValueEnum as _;
use serde_json::Value;

use super::{Meta, View, in_columns, shown_columns};
use crate::evidence::cells::{code_span, plain};
use crate::evidence::diff::{Diff, Key, Recreated, RowChange, Table};
use crate::text::{count, number};

/// Writes a diff as Markdown, for a comment on a pull request. The output stays below `max_bytes`, and its last line
/// counts the changes that did not fit.
///
/// # Errors
/// Returns an error if the output or the temporary file of the changes fails.
pub fn markdown(diff: &mut Diff, meta: &Meta, view: View, out: &mut dyn Write) -> io::Result<()> {
    let mut text = markdown_head(diff, meta);
    // Leaves room for the last line and the end of a section.
    let room = usize::try_from(view.max_bytes)
        .unwrap_or(usize::MAX)
        .saturating_sub(160);
    let mut left_out = 0;
    for table in Table::value_variants().iter().copied() {
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

fn markdown_line(change: &RowChange) -> String {
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
