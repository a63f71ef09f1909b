//! The options of `diff`. They have no variables, because each call compares something else.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::Error;
use super::environment::Setting;
use crate::cli;
use crate::evidence::diff::compare::{self, Fields};
use crate::evidence::diff::render::{DiffFormat, View};
use crate::evidence::diff::{ChangeKind, Table};

/// A checked `diff`.
#[derive(Clone, Debug)]
pub struct DiffConfig {
    /// The earlier snapshot.
    pub old: RunFile,
    /// The later snapshot.
    pub new: RunFile,
    /// The tables to compare.
    pub tables: BTreeSet<Table>,
    /// The kinds of change to report.
    pub kinds: BTreeSet<ChangeKind>,
    /// The fields to compare.
    pub fields: Fields,
    /// The users to report, as typed; all users if empty.
    pub users: Vec<String>,
    /// The groups to report, as typed; all groups if empty.
    pub groups: Vec<String>,
    /// True if the snapshots may be of different orgs.
    pub allow_different_org: bool,
    /// The format, if given. It overrides `--output`.
    pub format: Option<DiffFormat>,
    /// Limits of the output.
    pub view: View,
    /// True if the exit code is 0 even if there are differences.
    pub exit_zero: bool,
}

/// A run in a snapshot file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFile {
    /// The file.
    pub path: PathBuf,
    /// The id of the run; the newest finished run if not given.
    pub sync_id: Option<String>,
}

const DEFAULT_MAX_BYTES: u64 = 60_000;

impl DiffConfig {
    /// Checks the options.
    ///
    /// # Errors
    /// Returns an error for the first invalid option.
    pub fn new(typed: &cli::DiffArgs) -> Result<Self, Error> {
        let number = |flag: &str, typed: &Option<String>| {
            let setting = typed.as_ref().map(|value| Setting::new(flag, value));
            let number = setting.map(|setting| {
                let read = |text: &str| text.parse().ok().filter(|number| *number > 0);
                setting.parse(read, "a whole number above 0")
            });
            number.transpose()
        };
        let format = typed.format.as_ref();
        let format = format.map(|value| Setting::new("--format", value).word());
        Ok(Self {
            old: run_file(&typed.old),
            new: run_file(&typed.new),
            tables: chosen("--only", &typed.only)?,
            kinds: chosen("--change", &typed.change)?,
            fields: Fields {
                all: typed.all_fields,
                ignored: ignored(&typed.ignore)?,
            },
            users: typed.user.clone(),
            groups: typed.group.clone(),
            allow_different_org: typed.allow_different_org,
            format: format.transpose()?,
            view: View {
                stat: typed.stat,
                limit: number("--limit", &typed.limit)?,
                max_bytes: number("--max-bytes", &typed.max_bytes)?.unwrap_or(DEFAULT_MAX_BYTES),
            },
            exit_zero: typed.exit_zero,
        })
    }
}

/// Splits `FILE#SYNC_ID`, unless a file has this complete name.
fn run_file(typed: &str) -> RunFile {
    match typed.rsplit_once('#') {
        Some((file, sync_id)) if !Path::new(typed).exists() && !file.is_empty() => RunFile {
            path: file.into(),
            sync_id: Some(sync_id.to_owned()),
        },
        _ => RunFile {
            path: typed.into(),
            sync_id: None,
        },
    }
}

/// Returns the values with the given names, or all values if none is given.
fn chosen<T: ValueEnum + Ord>(flag: &str, typed: &[String]) -> Result<BTreeSet<T>, Error> {
    if typed.is_empty() {
        return Ok(T::value_variants().iter().cloned().collect());
    }
    let words = typed.iter().map(|text| Setting::new(flag, text).word());
    words.collect()
}

/// Returns the fields to ignore: columns and attributes (`profile.NAME`), of all tables or of one (`groups.NAME`).
fn ignored(typed: &[String]) -> Result<BTreeSet<String>, Error> {
    let tables = Table::value_variants();
    let columns = |table: Table| compare::columns(table).iter().map(|column| column.name);
    let is_column = |name: &str, table: Table| {
        columns(table).any(|column| match name.strip_prefix(column) {
            Some("") => true,
            Some(rest) => column == "profile" && rest.starts_with('.'),
            None => false,
        })
    };
    let is_field = |name: &str| {
        tables.iter().any(|table| {
            is_column(name, *table)
                || compare::in_table(*table, name).is_some_and(|name| is_column(name, *table))
        })
    };
    for name in typed {
        if !is_field(name) {
            let all = tables.iter().flat_map(|table| columns(*table));
            let hint = crate::text::closest(name, all).map_or_else(
                || "a column, TABLE.COLUMN or profile.ATTRIBUTE".to_owned(),
                |near| format!("a column, TABLE.COLUMN or profile.ATTRIBUTE; did you mean {near}?"),
            );
            return Err(Setting::new("--ignore", name).invalid(hint));
        }
    }
    Ok(typed.iter().cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_id_follows_a_number_sign_unless_a_file_has_that_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a#b.c1z");
        std::fs::write(&path, "").unwrap();
        let path = path.to_str().unwrap();
        for (typed, path, sync_id) in [
            ("a.c1z", "a.c1z", None),
            ("a.c1z#2x", "a.c1z", Some("2x")),
            ("#2x", "#2x", None),
            (path, path, None),
        ] {
            let run = run_file(typed);
            assert_eq!(run.path, Path::new(path));
            assert_eq!(run.sync_id.as_deref(), sync_id);
        }
    }

    #[test]
    fn unknown_words_are_refused_with_the_valid_ones() {
        let with = |change: fn(&mut cli::DiffArgs)| {
            let mut typed = cli::DiffArgs::default();
            change(&mut typed);
            DiffConfig::new(&typed).unwrap_err().to_string()
        };
        assert!(
            with(|diff| diff.only = vec!["user".into()]).contains("users, groups or memberships")
        );
        assert!(with(|diff| diff.change = vec!["new".into()]).contains("added, removed, changed"));
        assert!(with(|diff| diff.ignore = vec!["statuss".into()]).contains("did you mean status?"));
        assert!(
            with(|diff| diff.format = Some("xml".into())).contains("text, json, csv or markdown")
        );
        assert!(with(|diff| diff.limit = Some("0".into())).contains("a whole number above 0"));
    }
}
