//! `export`: writes a snapshot in formats that other programs read. Reads one file and sends no requests.
//!
//! All files are complete under temporary names before the first one is renamed. `manifest.json` and `SHA256SUMS` are
//! renamed last.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;
use serde_json::Value;

use crate::atomic_file::Temporary;
use crate::commands::lookup::{Unchanged, refuse_snapshot};
use crate::config::{Destination, ExportConfig};
use crate::console::Console;
use crate::evidence::export::{
    ExportFormat, ExportManifest, ExportPlan, Exported, OrderedObject, about, check_sums, sqlite,
    xlsx,
};
use crate::evidence::tables::write::{Csv, JsonLines, WriteRows};
use crate::exit::ExitStatus;
use crate::signal::ShutdownSignal;
use crate::snapshot::{Reader, c1z};
use crate::text::{clean, count};

/// Runs `export`.
///
/// # Errors
/// Returns an error if the snapshot cannot be read, if a file cannot be written, or after a signal.
pub fn run(
    config: &ExportConfig,
    console: &Console,
    stop: &ShutdownSignal,
) -> anyhow::Result<ExitStatus> {
    let unchanged = Unchanged::of(&config.file);
    let reader = Reader::open(&config.file)?;
    let about = about(reader.info())?;
    let job = Job {
        config,
        reader: &reader,
        about: &about,
        stop,
    };
    match &config.destination {
        Destination::Stdout => {
            job.print(console)?;
            unchanged.check()?;
        }
        Destination::File(path) => {
            let file = job.write(path, &config.plans)?;
            unchanged.check()?;
            let exported = file.publish(config.format)?;
            report(console, path, &about, vec![exported])?;
        }
        Destination::Folder(folder) => {
            let exported = job.write_folder(folder, &unchanged)?;
            report(console, folder, &about, exported)?;
        }
    }
    Ok(ExitStatus::Done)
}

struct Job<'a> {
    config: &'a ExportConfig,
    reader: &'a Reader,
    about: &'a OrderedObject,
    stop: &'a ShutdownSignal,
}

/// A file that is complete under its temporary name.
struct Complete {
    temporary: Temporary,
    target: PathBuf,
    exported: Exported,
}

impl Complete {
    fn new(temporary: Temporary, target: PathBuf, rows: OrderedObject) -> anyhow::Result<Self> {
        let (bytes, sha256) = c1z::fingerprint(temporary.path())?;
        let name = target.file_name().unwrap_or_default();
        let exported = Exported {
            name: name.to_string_lossy().into_owned(),
            rows,
            bytes,
            sha256,
        };
        Ok(Self {
            temporary,
            target,
            exported,
        })
    }

    fn publish(self, format: ExportFormat) -> anyhow::Result<Exported> {
        if format == ExportFormat::Sqlite {
            self.temporary.publish_database(&self.target)?;
        } else {
            self.temporary.publish(&self.target)?;
        }
        Ok(self.exported)
    }
}

impl Job<'_> {
    fn print(&self, console: &Console) -> anyhow::Result<()> {
        let mut result = Ok(());
        let written = console.stream(|out| {
            let written = self.config.plans.iter().try_for_each(|plan| {
                let rows = self.write_rows(plan, BufWriter::new(&mut *out));
                rows.map(|_| ())
            });
            match written {
                Err(error) => match error.downcast::<io::Error>() {
                    Ok(error) => Err(error),
                    Err(error) => {
                        result = Err(error);
                        Ok(())
                    }
                },
                Ok(()) => Ok(()),
            }
        });
        written.context("cannot write the table")?;
        result
    }

    /// Writes a table as CSV or JSON lines, and returns the number of rows.
    fn write_rows(&self, plan: &ExportPlan, out: impl Write) -> anyhow::Result<u64> {
        let names = plan.names();
        let mut writer: Box<dyn WriteRows> = match self.config.format {
            ExportFormat::Csv => Box::new(Csv::new(out, &names, self.config.style)?),
            _ => Box::new(JsonLines::new(out, &names)),
        };
        let mut row = |values: &[Value]| -> anyhow::Result<()> {
            self.stop.check()?;
            Ok(writer.row(values)?)
        };
        let rows = plan.rows(self.reader, &mut row)?;
        writer.end()?;
        Ok(rows)
    }

    /// Writes one file under a temporary name.
    fn write(&self, target: &Path, plans: &[ExportPlan]) -> anyhow::Result<Complete> {
        let (temporary, target) = Temporary::for_target(target)?;
        refuse_snapshot(&target)?;
        let written = self.write_content(&temporary, plans);
        let counts = written.with_context(|| format!("cannot write {}", target.display()))?;
        let sheets = plans.iter().map(|plan| plan.sheet.as_str().to_owned());
        let rows = OrderedObject(sheets.zip(counts.into_iter().map(Value::from)).collect());
        Complete::new(temporary, target, rows)
    }

    /// Writes the content of one file, and returns the number of rows of each table.
    fn write_content(
        &self,
        temporary: &Temporary,
        plans: &[ExportPlan],
    ) -> anyhow::Result<Vec<u64>> {
        let file = temporary.create()?;
        let check = || -> anyhow::Result<()> { Ok(self.stop.check()?) };
        match self.config.format {
            ExportFormat::Csv | ExportFormat::JsonLines => {
                let rows = plans
                    .iter()
                    .map(|plan| self.write_rows(plan, BufWriter::new(&file)));
                rows.collect()
            }
            ExportFormat::Sqlite => {
                sqlite(self.reader, plans, self.about, temporary.path(), &check)
            }
            ExportFormat::Xlsx => {
                let written = xlsx(self.reader, plans, self.about, BufWriter::new(file), &check)?;
                if written.cut > 0 {
                    tracing::warn!(
                        "{} too long for a cell of Excel and truncated; the other formats contain the full text",
                        count(written.cut, "value")
                            .replace("values", "values were")
                            .replace("1 value", "1 value was")
                    );
                }
                Ok(written.rows)
            }
        }
    }

    /// Writes all files of a folder, and returns those that contain tables.
    fn write_folder(&self, folder: &Path, unchanged: &Unchanged) -> anyhow::Result<Vec<Exported>> {
        let shown = folder.display();
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {shown}"))?;
        let ending = self.config.format.ending();
        let mut complete = Vec::new();
        if self.config.format.is_one_file() {
            let path = folder.join(format!("okta-ciam.{ending}"));
            complete.push(self.write(&path, &self.config.plans)?);
        } else {
            for plan in &self.config.plans {
                let path = folder.join(format!("{}.{ending}", plan.sheet.as_str()));
                complete.push(self.write(&path, std::slice::from_ref(plan))?);
            }
        }
        let manifest = ExportManifest {
            snapshot: self.about.clone(),
            files: complete.iter().map(|file| file.exported.clone()).collect(),
        };
        let text = crate::text::json(serde_json::to_string_pretty(&manifest)?);
        let manifest = write_text(&folder.join("manifest.json"), &text)?;
        let all = complete.iter().chain([&manifest]);
        let sums = all.map(|file| (file.exported.name.as_str(), file.exported.sha256.as_str()));
        let sums = write_text(&folder.join("SHA256SUMS"), &check_sums(sums))?;
        unchanged.check()?;
        let published = complete
            .into_iter()
            .map(|file| file.publish(self.config.format));
        let exported = published.collect::<anyhow::Result<Vec<_>>>()?;
        for file in [manifest, sums] {
            file.temporary.publish(&file.target)?;
        }
        Ok(exported)
    }
}

fn write_text(target: &Path, text: &str) -> anyhow::Result<Complete> {
    let (temporary, target) = Temporary::for_target(target)?;
    let mut file = temporary.create()?;
    let cannot_write = || format!("cannot write {}", target.display());
    file.write_all(text.as_bytes()).with_context(cannot_write)?;
    Complete::new(temporary, target, OrderedObject::default())
}

/// The result as JSON.
#[derive(Serialize)]
struct Printed<'a> {
    path: String,
    #[serde(flatten)]
    manifest: &'a ExportManifest,
}

fn report(
    console: &Console,
    path: &Path,
    about: &OrderedObject,
    files: Vec<Exported>,
) -> anyhow::Result<()> {
    let manifest = ExportManifest {
        snapshot: about.clone(),
        files,
    };
    let printed = Printed {
        path: path.display().to_string(),
        manifest: &manifest,
    };
    console.result(&printed, || {
        let mut text = format!("{}\n", clean(&printed.path));
        for file in &manifest.files {
            let rows = file.rows.0.iter().map(|(table, rows)| {
                let noun = table.trim_end_matches('s');
                count(rows.as_u64().unwrap_or_default(), noun)
            });
            let rows: Vec<String> = rows.collect();
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {:<18} {}", clean(&file.name), rows.join(", "));
        }
        text
    })?;
    Ok(())
}
