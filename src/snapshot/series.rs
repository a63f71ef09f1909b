//! Snapshots whose names contain the time of their run, such as `okta-%Y-%m-%d.c1z`.
//!
//! - Only conversions to digits are accepted, and a date is required, so that each name contains the date of its run.
//! - A file belongs to a series if and only if formatting the time in its name gives the same name again.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::Offset;

/// The conversions that may follow a `%`.
const CONVERSIONS: &str = "YmdHMSF%";

/// The files whose names match a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    folder: PathBuf,
    pattern: String,
}

/// The reason why a path is not a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// It has a conversion that is not supported.
    #[error(
        "contains a % that is not part of %Y, %m, %d, %H, %M, %S or %F; write %% for a percent sign"
    )]
    Conversion,
    /// It has no date.
    #[error("contains no date; use %Y, %m and %d, such as okta-%Y-%m-%d.c1z")]
    NoDate,
    /// It has a conversion in a folder.
    #[error("contains a % in the name of a folder; only the name of the file may have a time")]
    Folder,
}

impl Series {
    /// Reads a path; none if it contains no percent sign.
    ///
    /// # Errors
    /// Returns an error if the path is not a valid pattern.
    pub fn parse(path: &str) -> Result<Option<Self>, InvalidPattern> {
        if !path.contains('%') {
            return Ok(None);
        }
        let (folder, pattern) = match path.rsplit_once('/') {
            Some((folder, name)) => (format!("{folder}/"), name),
            None => (String::new(), path),
        };
        if folder.contains('%') {
            return Err(InvalidPattern::Folder);
        }
        let mut rest = pattern;
        while let Some((_, after)) = rest.split_once('%') {
            let conversion = after.chars().next().ok_or(InvalidPattern::Conversion)?;
            if !CONVERSIONS.contains(conversion) {
                return Err(InvalidPattern::Conversion);
            }
            rest = &after[1..];
        }
        let series = Self {
            folder: folder.into(),
            pattern: pattern.to_owned(),
        };
        let sample = Offset::UTC.to_datetime(Timestamp::UNIX_EPOCH);
        match series.time_of(OsStr::new(&series.name_of(sample))) {
            Some(_) => Ok(Some(series)),
            None => Err(InvalidPattern::NoDate),
        }
    }

    /// Returns the file of a run that started at this time. The name contains the time in UTC.
    pub fn file_at(&self, time: Timestamp) -> PathBuf {
        self.file_of(Offset::UTC.to_datetime(time))
    }

    fn file_of(&self, time: DateTime) -> PathBuf {
        self.folder.join(self.name_of(time))
    }

    fn name_of(&self, time: DateTime) -> String {
        time.strftime(&self.pattern).to_string()
    }

    /// Returns the time in a name, if the name belongs to this series.
    fn time_of(&self, name: &OsStr) -> Option<DateTime> {
        let name = name.to_str()?;
        let time = strtime::parse(&self.pattern, name)
            .ok()?
            .to_datetime()
            .ok()?;
        (self.name_of(time) == name).then_some(time)
    }

    /// Returns the existing files of the series, sorted by their times.
    ///
    /// # Errors
    /// Returns an error if the folder cannot be listed.
    pub fn files(&self) -> io::Result<Vec<SeriesFile>> {
        let folder = match self.folder.as_os_str().is_empty() {
            true => Path::new("."),
            false => &self.folder,
        };
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if let Some(time) = self.time_of(&entry.file_name())
                && entry.file_type()?.is_file()
            {
                found.insert(time, self.folder.join(entry.file_name()));
            }
        }
        let files = found.into_iter();
        Ok(files
            .map(|(time, path)| SeriesFile { time, path })
            .collect())
    }

    /// Returns the file of this series that has the same time as a file of another series.
    pub fn companion(&self, other: &SeriesFile) -> PathBuf {
        self.file_of(other.time)
    }
}

/// A file of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesFile {
    time: DateTime,
    /// Its path.
    pub path: PathBuf,
}

/// Returns the files to remove so that the newest `keep` are left, given files sorted by time. `own`, the file of the run
/// itself, is one of those and is never removed, even if a clock was wrong.
pub fn surplus(mut files: Vec<SeriesFile>, keep: usize, own: &Path) -> Vec<SeriesFile> {
    files.retain(|file| file.path != own);
    let others = keep.saturating_sub(1);
    files.truncate(files.len().saturating_sub(others));
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_without_a_percent_sign_is_no_pattern_and_one_without_a_date_is_refused() {
        assert_eq!(Series::parse("okta.c1z"), Ok(None));
        for (path, expected) in [
            ("okta-%Q.c1z", InvalidPattern::Conversion),
            ("okta-%-d.c1z", InvalidPattern::Conversion),
            ("100%", InvalidPattern::Conversion),
            ("okta-%Y.c1z", InvalidPattern::NoDate),
            ("okta-%Y-%m.c1z", InvalidPattern::NoDate),
            ("okta-%H%M.c1z", InvalidPattern::NoDate),
            ("100%%.c1z", InvalidPattern::NoDate),
            ("%Y/okta-%m-%d.c1z", InvalidPattern::Folder),
        ] {
            assert_eq!(Series::parse(path), Err(expected), "{path}");
        }
    }

    #[test]
    fn a_name_has_the_time_in_utc_and_only_such_names_belong_to_the_series() {
        for (path, expected) in [
            ("a/okta-%Y-%m-%d.c1z", "a/okta-2026-03-01.c1z"),
            ("okta-%F.db", "okta-2026-03-01.db"),
            ("/b/%Y%m%dT%H%M%S.c1z", "/b/20260301T043000.c1z"),
            ("%%%F.c1z", "%2026-03-01.c1z"),
        ] {
            let series = Series::parse(path).unwrap().unwrap();
            let file = series.file_at(time("2026-03-01T05:30:00+01:00"));
            assert_eq!(file, Path::new(expected), "{path}");
            assert!(
                series.time_of(file.file_name().unwrap()).is_some(),
                "{path}"
            );
        }
        let series = Series::parse("okta-%Y-%m-%d.c1z").unwrap().unwrap();
        for name in [
            "okta-2026-3-1.c1z",
            "okta-2026-03-01.c1z.partial",
            "okta-2026-02-30.c1z",
            " okta-2026-03-01.c1z",
            "okta-02026-03-01.c1z",
            "okta-today.c1z",
            "okta-%Y-%m-%d.c1z",
        ] {
            assert_eq!(series.time_of(OsStr::new(name)), None, "{name}");
        }
    }

    #[test]
    fn the_newest_stay_and_so_does_the_file_of_the_run() {
        let series = Series::parse("%F.c1z").unwrap().unwrap();
        let days = ["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04"];
        let files: Vec<SeriesFile> = days
            .iter()
            .map(|day| {
                let path = PathBuf::from(format!("{day}.c1z"));
                let time = series.time_of(path.as_os_str()).unwrap();
                SeriesFile { time, path }
            })
            .collect();
        let left = |keep, own: &str| -> Vec<String> {
            let surplus = surplus(files.clone(), keep, Path::new(own));
            surplus
                .iter()
                .map(|file| file.path.display().to_string())
                .collect()
        };
        assert_eq!(
            left(1, "2026-01-04.c1z"),
            ["2026-01-01.c1z", "2026-01-02.c1z", "2026-01-03.c1z"]
        );
        assert_eq!(
            left(2, "2026-01-04.c1z"),
            ["2026-01-01.c1z", "2026-01-02.c1z"]
        );
        assert_eq!(left(4, "2026-01-04.c1z"), [""; 0]);
        assert_eq!(left(99, "2026-01-04.c1z"), [""; 0]);
        // The clock was set back.
        assert_eq!(
            left(2, "2026-01-01.c1z"),
            ["2026-01-02.c1z", "2026-01-03.c1z"]
        );
    }
}
