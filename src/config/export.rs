//! The options of `export`.

use std::path::{Path, PathBuf};

use clap::ValueEnum as _;

use super::environment::Setting;
use super::show::chosen_columns;
use super::{Environment, Error, snapshot_to_read};
use crate::cli;
use crate::evidence::export::{ExportFormat, ExportPlan, Sheet};
use crate::evidence::tables::write::CsvStyle;
use crate::words;

/// A checked `export`.
#[derive(Clone, Debug)]
pub struct ExportConfig {
    /// The snapshot.
    pub file: PathBuf,
    /// The format.
    pub format: ExportFormat,
    /// The destination.
    pub destination: Destination,
    /// The tables and their columns.
    pub plans: Vec<ExportPlan>,
    /// The style of CSV.
    pub style: CsvStyle,
}

/// The destination of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Standard output, for one table.
    Stdout,
    /// One file.
    File(PathBuf),
    /// A folder with a manifest.
    Folder(PathBuf),
}

impl ExportConfig {
    /// Checks the options.
    ///
    /// # Errors
    /// Returns an error for the first invalid option.
    pub fn new(typed: &cli::ExportArgs, environment: &Environment) -> Result<Self, Error> {
        let file = snapshot_to_read(typed.file.as_ref(), environment)?;
        let missing =
            |flag: &str, expected: &str| Error(format!("{flag} is required; pass {expected}"));
        let format = typed.format.as_ref();
        let format = format.ok_or_else(|| missing("--format", &words::list::<ExportFormat>()))?;
        let format = Setting::new("--format", format).word()?;
        let out = typed.out.as_ref().filter(|out| !out.is_empty());
        let out = out.ok_or_else(|| missing("-o", "a folder, a file, or - for standard output"))?;
        let plans = plans(typed)?;
        let style = CsvStyle {
            raw: typed.raw,
            bom: typed.bom,
        };
        if format != ExportFormat::Csv && style != CsvStyle::default() {
            let flag = if typed.raw { "--raw" } else { "--bom" };
            return Err(Error(format!("{flag} requires --format csv")));
        }
        Ok(Self {
            destination: destination(out, format, &plans)?,
            file,
            format,
            plans,
            style,
        })
    }
}

fn plans(typed: &cli::ExportArgs) -> Result<Vec<ExportPlan>, Error> {
    let sheets = if typed.table.is_empty() {
        Sheet::value_variants().to_vec()
    } else {
        let words = typed.table.iter();
        let words = words.map(|text| Setting::new("--table", text).word());
        let mut sheets: Vec<Sheet> = words.collect::<Result<_, _>>()?;
        sheets.sort_unstable();
        sheets.dedup();
        sheets
    };
    if typed.columns.is_empty() {
        return Ok(sheets
            .iter()
            .map(|sheet| ExportPlan::new(*sheet, &[]))
            .collect());
    }
    let [sheet] = sheets[..] else {
        return Err(Error(
            "--columns requires one --table, whose columns they are".to_owned(),
        ));
    };
    let table = sheet.table().ok_or_else(|| {
        let name = sheet.as_str();
        Error(format!("--columns cannot be used with --table {name}"))
    })?;
    let columns = chosen_columns(table, &typed.columns)?;
    Ok(vec![ExportPlan::new(sheet, &columns)])
}

/// Returns the destination. A path is a file if it has an extension of the format and is not a folder.
fn destination(
    out: &str,
    format: ExportFormat,
    plans: &[ExportPlan],
) -> Result<Destination, Error> {
    let path = Path::new(out);
    let is_one_table = plans.len() == 1;
    if out == "-" {
        if format.is_one_file() {
            let ending = format.ending();
            return Err(Error(format!(
                "-o - is for csv and jsonl; use a file, such as okta-ciam.{ending}"
            )));
        }
        return match is_one_table {
            true => Ok(Destination::Stdout),
            false => Err(Error(
                "-o - takes one table; choose it with --table, such as --table users".to_owned(),
            )),
        };
    }
    if path.is_dir() || out.ends_with('/') || !format.is_ending_of(path) {
        return Ok(Destination::Folder(path.to_owned()));
    }
    if !format.is_one_file() && !is_one_table {
        return Err(Error(format!(
            "{out} is one file, and there are {} tables; use a folder, or choose one with --table",
            plans.len()
        )));
    }
    Ok(Destination::File(path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn export(arguments: &[(&str, &str)]) -> Result<ExportConfig, Error> {
        let mut typed = cli::ExportArgs::default();
        for (name, value) in arguments {
            let value = (*value).to_owned();
            match *name {
                "format" => typed.format = Some(value),
                "out" => typed.out = Some(value),
                "table" => typed.table.push(value),
                "columns" => typed.columns.push(value),
                "raw" => typed.raw = true,
                other => panic!("{other}"),
            }
        }
        ExportConfig::new(&typed, &Environment::default())
    }

    #[test]
    fn a_path_is_a_file_if_it_has_a_matching_extension() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.xlsx");
        std::fs::create_dir(&path).unwrap();
        let path = path.to_str().unwrap();
        for (format, out, expected) in [
            ("xlsx", "a.xlsx", Destination::File("a.xlsx".into())),
            ("xlsx", "a", Destination::Folder("a".into())),
            ("xlsx", path, Destination::Folder(path.into())),
            ("sqlite", "a.sqlite3", Destination::File("a.sqlite3".into())),
            ("csv", "a.csv", Destination::File("a.csv".into())),
            ("csv", "a.csv/", Destination::Folder("a.csv/".into())),
            ("jsonl", "-", Destination::Stdout),
        ] {
            let found = export(&[("format", format), ("out", out), ("table", "users")]).unwrap();
            assert_eq!(found.destination, expected, "{format} {out}");
        }
    }

    #[test]
    fn conflicting_options_are_refused_with_what_to_write_instead() {
        for (arguments, part) in [
            (&[("out", "a")][..], "--format is required"),
            (&[("format", "csv")], "-o is required"),
            (
                &[("format", "pdf"), ("out", "a")],
                "csv, jsonl, xlsx or sqlite",
            ),
            (&[("format", "csv"), ("out", "-")], "--table users"),
            (
                &[("format", "xlsx"), ("out", "-"), ("table", "users")],
                "okta-ciam.xlsx",
            ),
            (&[("format", "csv"), ("out", "a.csv")], "use a folder"),
            (
                &[("format", "csv"), ("out", "a"), ("table", "user")],
                "users, groups",
            ),
            (
                &[("format", "csv"), ("out", "a"), ("columns", "id")],
                "requires one --table",
            ),
            (
                &[
                    ("format", "csv"),
                    ("out", "a"),
                    ("table", "domains"),
                    ("columns", "id"),
                ],
                "cannot be used with --table domains",
            ),
            (
                &[("format", "xlsx"), ("out", "a"), ("raw", "")],
                "--raw requires --format csv",
            ),
        ] {
            let error = export(arguments).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
