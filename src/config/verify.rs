//! The options of `verify`.

use std::path::PathBuf;

use super::environment::Environment;
use super::{Error, snapshot_to_read};
use crate::cli;

/// A checked `verify`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyConfig {
    /// The snapshot.
    pub file: PathBuf,
    /// The manifest to compare the snapshot with.
    pub manifest: Option<PathBuf>,
}

impl VerifyConfig {
    /// Reads the options and their variables.
    ///
    /// # Errors
    /// Returns an error for a path that is not UTF-8.
    pub fn new(typed: &cli::VerifyArgs, environment: &Environment) -> Result<Self, Error> {
        let manifest = environment.setting("--manifest", typed.manifest.as_ref())?;
        Ok(Self {
            file: snapshot_to_read(typed.file.as_ref(), environment)?,
            manifest: manifest.map(|setting| setting.value.into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_overrides_its_variable_and_there_is_a_default() {
        let given = cli::VerifyArgs {
            file: Some("a.db".to_owned()),
            manifest: None,
        };
        let variables = [("BATON_FILE", "b.c1z"), ("BATON_MANIFEST", "m.json")];
        for (typed, environment, file, manifest) in [
            (
                &cli::VerifyArgs::default(),
                Environment::default(),
                "sync.c1z",
                None,
            ),
            (
                &cli::VerifyArgs::default(),
                variables.into(),
                "b.c1z",
                Some("m.json"),
            ),
            (&given, variables.into(), "a.db", Some("m.json")),
        ] {
            let verify = VerifyConfig::new(typed, &environment).unwrap();
            assert_eq!(verify.file, PathBuf::from(file));
            assert_eq!(verify.manifest, manifest.map(PathBuf::from));
        }
    }
}
