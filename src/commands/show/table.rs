//! Prints a table of a snapshot, row by row.

use std::collections::HashSet;
use std::hash::Hash;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::Context as _;

use crate::commands::lookup;
use crate::config::ShowTable;
use crate::console::{Console, Size};
use crate::evidence::tables::Table;
use crate::evidence::tables::columns::{self, DefaultColumns, TableColumn};
use crate::evidence::tables::filter::Filter;
use crate::evidence::tables::rows::{self, Listed, Query};
use crate::evidence::tables::write::{Csv, CsvStyle, Json, TableFormat, Text, WriteRows};
use crate::snapshot::{Reader, Warning};
use crate::text::{count, number};

/// Prints a table, and reports the number of rows on stderr.
///
/// # Errors
/// Returns an error if the file does not contain a user or group of the filter, if it is damaged, or if the output
/// fails.
pub fn print(
    reader: &Reader,
    file: &Path,
    table: &ShowTable,
    console: &Console,
) -> anyhow::Result<()> {
    let format = table.format.unwrap_or(if console.json() {
        TableFormat::Json
    } else {
        TableFormat::Text
    });
    let query = Query {
        table: table.table,
        columns: chosen(table, format),
        filter: filter(reader, file, table)?,
        limit: table.limit,
    };
    let names = columns::names_of(&query.columns);
    let mut listed = Ok(Listed::default());
    let written = console.stream(|out| {
        let out = BufWriter::new(out);
        let mut writer = writer(format, out, &names)?;
        let mut row =
            |values: &[serde_json::Value]| writer.row(values).map_err(anyhow::Error::from);
        listed = rows::list(reader, &query, &mut row);
        match &listed {
            Ok(_) => writer.end(),
            // A closed stdout is not an error.
            Err(error) => match error.downcast_ref::<io::Error>() {
                Some(error) => Err(error.kind().into()),
                None => Ok(()),
            },
        }
    });
    written.context("cannot write the table")?;
    match listed {
        Ok(listed) => report(table.table, &listed),
        Err(error) if error.is::<io::Error>() => {}
        Err(error) => return Err(error),
    }
    if table.table == Table::Memberships || !table.groups.is_empty() && table.table == Table::Users
    {
        warn_of_unread(reader, file)?;
    }
    Ok(())
}

fn chosen(table: &ShowTable, format: TableFormat) -> Vec<TableColumn> {
    if !table.columns.is_empty() {
        return table.columns.clone();
    }
    let wanted = match format {
        TableFormat::Text => DefaultColumns::Few,
        TableFormat::Csv | TableFormat::Json => DefaultColumns::All,
    };
    columns::default_columns(table.table, wanted)
}

fn writer<'a>(
    format: TableFormat,
    out: impl Write + 'a,
    names: &'a [String],
) -> io::Result<Box<dyn WriteRows + 'a>> {
    Ok(match format {
        TableFormat::Text => {
            let fit = Size::of_stdout().map(|size| size.columns);
            Box::new(Text::new(out, names, fit))
        }
        TableFormat::Csv => Box::new(Csv::new(out, names, CsvStyle::default())?),
        TableFormat::Json => Box::new(Json::new(out, names)?),
    })
}

/// Returns the conditions, with the users and groups that the given texts refer to.
fn filter(reader: &Reader, file: &Path, table: &ShowTable) -> anyhow::Result<Filter> {
    let shown = file.display().to_string();
    let readers = [reader];
    let (mut users, mut groups) = (None, None);
    for name in &table.users {
        let found = lookup::users(&readers, &shown, name)?;
        let users: &mut HashSet<_> = users.get_or_insert_default();
        users.extend(found.into_iter().map(|user| user.id));
    }
    for name in &table.groups {
        let found = lookup::groups(&readers, &shown, name)?;
        let groups: &mut HashSet<_> = groups.get_or_insert_default();
        groups.extend(found.into_iter().map(|group| group.id));
    }
    // Users are selected by group, and groups by user, through their memberships.
    match table.table {
        Table::Users => {
            let mut members = None;
            for group in groups.take().into_iter().flatten() {
                let members: &mut HashSet<_> = members.get_or_insert_default();
                members.extend(reader.members_of(&group)?.into_iter().map(|user| user.id));
            }
            users = both(users, members);
        }
        Table::Groups => {
            let mut of_users = None;
            for user in users.take().into_iter().flatten() {
                let of_users: &mut HashSet<_> = of_users.get_or_insert_default();
                of_users.extend(reader.groups_of(&user)?.into_iter().map(|group| group.id));
            }
            groups = both(groups, of_users);
        }
        Table::Memberships => {}
    }
    let filter = Filter {
        statuses: table.statuses.clone(),
        types: table.types.clone(),
        users,
        groups,
        ..Filter::default()
    };
    Ok(filter.like(table.like.as_deref()))
}

/// Returns the ids that meet both conditions; `None` stands for no condition.
fn both<T: Eq + Hash>(one: Option<HashSet<T>>, other: Option<HashSet<T>>) -> Option<HashSet<T>> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.into_iter().filter(|id| other.contains(id)).collect()),
        (one, other) => one.or(other),
    }
}

/// Reports the numbers of rows and possible typing errors on stderr.
fn report(table: Table, listed: &Listed) {
    let all = count(listed.all, table.noun());
    let left_out = listed.matching - listed.listed;
    if left_out > 0 {
        tracing::info!(
            "{} of {all} shown; --limit left out {}",
            number(listed.listed),
            number(left_out)
        );
    } else if listed.matching < listed.all {
        tracing::info!("{} of {all} shown", number(listed.listed));
    } else {
        tracing::info!("{all}");
    }
    for attribute in &listed.empty_attributes {
        tracing::warn!("{attribute} is empty in every row; see whether it is spelled right");
    }
}

/// Warns about memberships that the run could not read, since their absence proves nothing.
fn warn_of_unread(reader: &Reader, file: &Path) -> anyhow::Result<()> {
    let warnings = reader.warnings()?.into_iter();
    let unread = warnings.filter(Warning::limits_memberships).count() as u64;
    if unread > 0 {
        tracing::warn!(
            "memberships of {} could not be read, so some may be missing; for the warnings, run okta-ciam show -f {}",
            if unread == 1 {
                "1 group or user".to_owned()
            } else {
                format!("{} groups or users", number(unread))
            },
            file.display()
        );
    }
    Ok(())
}
