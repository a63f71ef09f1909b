//! The names of `--file` and `--manifest` if they contain the time of the run, and the number of files to keep.

use std::path::PathBuf;

use jiff::Timestamp;

use super::Error;
use super::environment::{Environment, Setting};
use crate::cli;
use crate::snapshot::series::Series;

/// The names and the number of snapshots to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// The names of the snapshots.
    pub series: Series,
    /// The names of the manifests, if they contain the time too.
    pub manifests: Option<Series>,
    /// The number of snapshots to keep; all if not given.
    pub keep: Option<usize>,
}

/// Reads the patterns. Returns `None` if the name of `--file` contains no time.
pub(super) fn retention(
    typed: &cli::SyncArgs,
    environment: &Environment,
    file: &Setting,
    manifest: Option<&Setting>,
) -> Result<Option<Retention>, Error> {
    let series = pattern(file)?;
    let manifests = manifest.map(pattern).transpose()?.flatten();
    let setting = environment.setting("--keep", typed.files.keep.as_ref())?;
    let read = |text: &str| text.parse().ok().filter(|count| *count > 0);
    let keep = setting
        .as_ref()
        .map(|setting| setting.parse(read, "a whole number above 0"))
        .transpose()?;
    let Some(series) = series else {
        let needs = [setting.as_ref(), manifest.filter(|_| manifests.is_some())];
        return match needs.into_iter().flatten().next() {
            Some(setting) => {
                Err(setting.fault("needs a date in the name of --file, such as okta-%Y-%m-%d.c1z"))
            }
            None => Ok(None),
        };
    };
    Ok(Some(Retention {
        series,
        manifests,
        keep,
    }))
}

fn pattern(setting: &Setting) -> Result<Option<Series>, Error> {
    Series::parse(&setting.value).map_err(|error| setting.fault(error))
}

impl Retention {
    /// Returns the path of the snapshot of a run that started at this time.
    pub(super) fn file_at(&self, time: Timestamp) -> PathBuf {
        self.series.file_at(time)
    }
}
