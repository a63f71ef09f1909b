//! The options of `show`. Only the file has a variable, because each call looks for something else.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::environment::{Setting, read_duration};
use super::{Environment, Error, snapshot_to_read};
use crate::cli;
use crate::evidence::tables::Table;
use crate::evidence::tables::columns::{self, TableColumn};
use crate::evidence::tables::write::TableFormat;

/// A checked `show`.
#[derive(Clone, Debug)]
pub struct ShowConfig {
    /// The snapshot.
    pub file: PathBuf,
    /// The largest age of the snapshot, if given.
    pub max_age: Option<MaxAge>,
    /// The part of the snapshot to show.
    pub what: What,
}

/// The largest age of a snapshot.
#[derive(Clone, Debug)]
pub struct MaxAge {
    /// The age.
    pub age: Duration,
    /// The age as typed.
    pub typed: String,
}

/// The part of a snapshot to show.
#[derive(Clone, Debug)]
pub enum What {
    /// The summary.
    Summary,
    /// The users that a text refers to.
    User(String),
    /// The groups that a text refers to.
    Group(String),
    /// A table.
    Table(Box<ShowTable>),
}

/// A table to show.
#[derive(Clone, Debug)]
pub struct ShowTable {
    /// The table.
    pub table: Table,
    /// The chosen columns; those of the format's default if empty.
    pub columns: Vec<TableColumn>,
    /// The format, if given. It overrides `--output`.
    pub format: Option<TableFormat>,
    /// The largest number of rows to print.
    pub limit: Option<u64>,
    /// The text that rows must contain.
    pub like: Option<String>,
    /// The statuses of users, in upper case; any status if empty.
    pub statuses: BTreeSet<String>,
    /// The types of groups, in upper case; any type if empty.
    pub types: BTreeSet<String>,
    /// The users, as typed; any user if empty.
    pub users: Vec<String>,
    /// The groups, as typed; any group if empty.
    pub groups: Vec<String>,
}

impl ShowConfig {
    /// Checks the options.
    ///
    /// # Errors
    /// Returns an error for the first invalid option.
    pub fn new(typed: &cli::ShowArgs, environment: &Environment) -> Result<Self, Error> {
        use cli::ShowWhat;
        let file = snapshot_to_read(typed.file.as_ref(), environment)?;
        let what = match &typed.what {
            None => What::Summary,
            Some(ShowWhat::User { user }) => What::User(user.clone()),
            Some(ShowWhat::Group { group }) => What::Group(group.clone()),
            Some(ShowWhat::Users(list)) => What::Table(Box::new(ShowTable {
                like: like(list.like.as_ref())?,
                statuses: words("--status", &list.status)?,
                users: list.user.clone(),
                groups: list.group.clone(),
                ..ShowTable::new(Table::Users, &list.table)?
            })),
            Some(ShowWhat::Groups(list)) => What::Table(Box::new(ShowTable {
                like: like(list.like.as_ref())?,
                types: words("--type", &list.kind)?,
                users: list.user.clone(),
                groups: list.group.clone(),
                ..ShowTable::new(Table::Groups, &list.table)?
            })),
            Some(ShowWhat::Memberships(list)) => What::Table(Box::new(ShowTable {
                like: like(list.like.as_ref())?,
                statuses: words("--status", &list.status)?,
                types: words("--type", &list.kind)?,
                users: list.user.clone(),
                groups: list.group.clone(),
                ..ShowTable::new(Table::Memberships, &list.table)?
            })),
        };
        let max_age = typed.max_age.as_ref().map(|value| {
            let age = Setting::new("--max-age", value)
                .parse(read_duration, "a duration such as 26h or 90m")?;
            let typed = value.trim().to_owned();
            Ok(MaxAge { age, typed })
        });
        Ok(Self {
            file,
            max_age: max_age.transpose()?,
            what,
        })
    }
}

impl ShowTable {
    fn new(table: Table, typed: &cli::TableArgs) -> Result<Self, Error> {
        let format = typed.format.as_ref();
        let format = format.map(|value| Setting::new("--format", value).word());
        let limit = typed.limit.as_ref().map(|value| {
            let read = |text: &str| text.parse().ok().filter(|number| *number > 0);
            Setting::new("--limit", value).parse(read, "a whole number above 0")
        });
        Ok(Self {
            table,
            columns: chosen_columns(table, &typed.columns)?,
            format: format.transpose()?,
            limit: limit.transpose()?,
            like: None,
            statuses: BTreeSet::new(),
            types: BTreeSet::new(),
            users: Vec::new(),
            groups: Vec::new(),
        })
    }
}

/// Returns the columns of `--columns`. Repeated columns are refused, because a JSON object cannot have two equal keys.
pub(super) fn chosen_columns(table: Table, typed: &[String]) -> Result<Vec<TableColumn>, Error> {
    let mut chosen: Vec<TableColumn> = Vec::new();
    for name in typed {
        let setting = Setting::new("--columns", name);
        let column = columns::named(table, name.trim()).map_err(|hint| setting.invalid(hint))?;
        if chosen.contains(&column) {
            return Err(setting.invalid("each column once"));
        }
        chosen.push(column);
    }
    Ok(chosen)
}

/// Returns the text to search for. An empty text, as an unset variable in a script gives, is refused, since it would
/// match every row.
fn like(typed: Option<&String>) -> Result<Option<String>, Error> {
    match typed {
        Some(text) if text.trim().is_empty() => {
            Err(Setting::new("--like", text).fault("is empty; give it a text, or leave it out"))
        }
        typed => Ok(typed.cloned()),
    }
}

fn words(flag: &str, typed: &[String]) -> Result<BTreeSet<String>, Error> {
    let word = |text: &String| {
        let read = |text: &str| (!text.is_empty()).then(|| text.to_uppercase());
        Setting::new(flag, text).parse(read, "a word, or several with commas")
    };
    typed.iter().map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_no_table_has_are_refused_with_the_nearest() {
        let error = |table, names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            chosen_columns(table, &names).unwrap_err().to_string()
        };
        for (table, names, hint) in [
            (Table::Users, &["statsu"][..], "did you mean status?"),
            (
                Table::Memberships,
                &["user_emial"],
                "did you mean user_email?",
            ),
            (Table::Groups, &["zzz"], "members_kept"),
            (Table::Users, &["profile."], "did you mean profile?"),
            (Table::Users, &["id", "id"], "each column once"),
        ] {
            let error = error(table, names);
            assert!(error.contains(hint), "{error}");
            assert!(error.contains("--columns"), "{error}");
        }
    }
}
