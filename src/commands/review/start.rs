//! `review start`: writes the sheets for the reviewers.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::Serialize;

use super::{WRITTEN, read_sheet};
use crate::atomic_file::Temporary;
use crate::commands::lookup::{self, Unchanged};
use crate::config::{ReviewStartConfig, SheetFormat};
use crate::console::Console;
use crate::evidence::export::{OrderedObject, about};
use crate::evidence::findings::org::day;
use crate::evidence::review::columns::Origin;
use crate::evidence::review::plan::{History, Previous, Review, ReviewItem};
use crate::evidence::review::sheet::{Part, csv, xlsx};
use crate::exit::ExitStatus;
use crate::sheet::review::Coverage;
use crate::signal::ShutdownSignal;
use crate::snapshot::{FileInfo, Reader, c1z};
use crate::text::{clean, count, number};

/// The largest size in bytes of the group, department or manager in a file name.
const LONGEST_NAME: usize = 100;

pub(super) fn run(
    config: &ReviewStartConfig,
    console: &Console,
    stop: &ShutdownSignal,
) -> anyhow::Result<ExitStatus> {
    let unchanged = Unchanged::of(&config.file);
    let reader = Reader::open(&config.file)?;
    let origin = origin(reader.info());
    if origin.org.is_empty() {
        tracing::warn!(
            "{} does not record its org, so revoke --from will refuse the sheet",
            config.file.display()
        );
    }
    let review = Review::read(&reader, &config.options, history(config, &origin, &reader)?)?;
    if review.items.is_empty() {
        tracing::warn!("no membership meets the conditions, so there is nothing to review");
        return report(console, &Started::nothing(&origin)).map(|()| ExitStatus::Done);
    }
    let about = about(reader.info())?;
    let mut files = vec![(config.out.clone(), review.items.clone())];
    if let Some(by) = config.split_by {
        let mut taken = BTreeSet::new();
        let parts = review.split(by).into_iter();
        let named = parts.map(|(key, items)| (named(&config.out, &key, &mut taken), items));
        files = named.collect();
    }
    for (path, _) in &files {
        if path.symlink_metadata().is_ok() {
            bail!(
                "{} exists and may contain decisions; use another file, or remove it",
                path.display()
            );
        }
    }
    let job = Job {
        config,
        review: &review,
        origin: &origin,
        about: &about,
        stop,
    };
    let written = job.write(&files)?;
    unchanged.check()?;
    let published = written.into_iter().map(|(temporary, path, sheet)| {
        temporary.publish_new(&path)?;
        Ok(sheet)
    });
    let sheets = published.collect::<anyhow::Result<Vec<_>>>()?;
    let (flagged, privileged) = review.counts();
    report(
        console,
        &Started {
            origin: &origin.org,
            sync_id: &origin.sync_id,
            rows: review.items.len() as u64,
            privileged,
            flagged,
            sheets,
        },
    )?;
    Ok(ExitStatus::Done)
}

pub(super) fn origin(info: &FileInfo) -> Origin {
    Origin {
        org: info
            .metadata
            .as_ref()
            .map_or(String::new(), |run| run.origin.clone()),
        sync_id: info.sync_id.clone(),
    }
}

fn history(config: &ReviewStartConfig, origin: &Origin, newer: &Reader) -> anyhow::Result<History> {
    let mut older = None;
    if let Some(path) = &config.changed_since {
        let reader = Reader::open(path)?;
        let mut pairs = HashSet::new();
        for membership in reader.memberships()?.rows()? {
            let membership = membership?;
            pairs.insert((membership.group_id, membership.user_id));
        }
        lookup::require_older(&reader, path, newer)?;
        older = Some((pairs, day(reader.info().ended_at)));
    }
    let mut previous = HashMap::new();
    for path in &config.previous {
        read_sheet(path, &mut Coverage::default(), &mut |row| {
            if row.org != origin.org {
                bail!("it is from {}, not from {}", row.org, origin.org);
            }
            let decision = Previous {
                decision: row.decision,
                reviewer: row.reviewer,
                decided_at: row.decided_at,
                first_seen: row.first_seen,
            };
            previous.insert((row.group_id.into(), row.user_id.into()), decision);
            Ok(())
        })?;
    }
    Ok(History { older, previous })
}

/// Returns the name of the file for a group, a department or a manager.
fn named(sheet: &Path, key: &str, taken: &mut BTreeSet<String>) -> PathBuf {
    let mut slug = String::new();
    for c in key.to_lowercase().chars() {
        if c.is_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let end = (0..=LONGEST_NAME.min(slug.len())).rev();
    slug.truncate(
        end.into_iter()
            .find(|end| slug.is_char_boundary(*end))
            .unwrap_or(0),
    );
    slug.truncate(slug.trim_end_matches('-').len());
    if slug.is_empty() {
        "none".clone_into(&mut slug);
    }
    let mut name = slug.clone();
    let mut number = 2;
    while !taken.insert(name.clone()) {
        name = format!("{slug}-{number}");
        number += 1;
    }
    let text =
        |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let (stem, ending) = (text(sheet.file_stem()), text(sheet.extension()));
    sheet.with_file_name(format!("{stem}-{name}.{ending}"))
}

struct Job<'a> {
    config: &'a ReviewStartConfig,
    review: &'a Review,
    origin: &'a Origin,
    about: &'a OrderedObject,
    stop: &'a ShutdownSignal,
}

impl Job<'_> {
    /// Writes every file under a temporary name.
    fn write(
        &self,
        files: &[(PathBuf, Vec<ReviewItem>)],
    ) -> anyhow::Result<Vec<(Temporary, PathBuf, Sheet)>> {
        let parts = u32::try_from(files.len()).context("the review has too many files")?;
        let written = (1..).zip(files).map(|(part, (path, items))| {
            let (temporary, target) = Temporary::for_target(path)?;
            let part = Part {
                review: self.review,
                origin: self.origin,
                items,
                part,
                parts,
            };
            self.write_part(&part, &temporary)
                .with_context(|| format!("cannot write {}", path.display()))?;
            let (_, sha256) = c1z::fingerprint(temporary.path())?;
            let sheet = Sheet {
                path: path.display().to_string(),
                rows: items.len() as u64,
                sha256,
            };
            Ok((temporary, target, sheet))
        });
        written.collect()
    }

    fn write_part(&self, part: &Part<'_>, temporary: &Temporary) -> anyhow::Result<()> {
        let out = BufWriter::new(temporary.create()?);
        let check = || Ok(self.stop.check()?);
        match self.config.format {
            SheetFormat::Csv => csv(part, out, &check),
            SheetFormat::Xlsx => xlsx(part, self.about, out, &check),
        }
    }
}

/// The result as JSON.
#[derive(Serialize)]
struct Started<'a> {
    origin: &'a str,
    sync_id: &'a str,
    rows: u64,
    privileged: u64,
    flagged: u64,
    sheets: Vec<Sheet>,
}

#[derive(Serialize)]
struct Sheet {
    path: String,
    rows: u64,
    sha256: String,
}

impl<'a> Started<'a> {
    fn nothing(origin: &'a Origin) -> Self {
        Self {
            origin: &origin.org,
            sync_id: &origin.sync_id,
            rows: 0,
            privileged: 0,
            flagged: 0,
            sheets: Vec::new(),
        }
    }
}

fn report(console: &Console, started: &Started<'_>) -> anyhow::Result<()> {
    console
        .result(started, || {
            let mut text = String::new();
            for sheet in &started.sheets {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "{}  {}", clean(&sheet.path), count(sheet.rows, "row"));
            }
            let _ = writeln!(
                text,
                "{}: {} privileged, {} with flags",
                count(started.rows, "membership"),
                number(started.privileged),
                number(started.flagged)
            );
            text
        })
        .context(WRITTEN)?;
    if let [only] = &started.sheets[..] {
        console.suggest(&format!("okta-ciam review status {}", only.path));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_come_from_the_rows_and_are_unique() {
        let mut taken = BTreeSet::new();
        let mut name = |key: &str| {
            let path = named(Path::new("out/sheet.csv"), key, &mut taken);
            path.display().to_string()
        };
        assert_eq!(
            name("Human Resources (EU)"),
            "out/sheet-human-resources-eu.csv"
        );
        assert_eq!(
            name("human resources/EU"),
            "out/sheet-human-resources-eu-2.csv"
        );
        assert_eq!(name(""), "out/sheet-none.csv");
        assert_eq!(name("../../etc/passwd"), "out/sheet-etc-passwd.csv");
        assert_eq!(name("Größe"), "out/sheet-größe.csv");
        assert!(name(&"x".repeat(500)).len() < 120);
        assert!(name(&"\u{20000}".repeat(100)).len() < 120);
    }
}
