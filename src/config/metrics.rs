//! The metrics file of `sync`. Its option is read before all others, so that a run that fails because of an invalid
//! option still writes metrics.

use std::path::PathBuf;

use super::Error;
use super::environment::Environment;
use crate::{cli, mask};

/// The metrics file and its label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsConfig {
    /// The path of the file.
    pub path: PathBuf,
    /// The host of the org, as typed; empty if not given.
    pub domain: String,
}

impl MetricsConfig {
    /// Reads the option. Returns `None` if it is not given, and for `--plan`.
    ///
    /// # Errors
    /// Returns an error if the name does not end in `.prom`, or if the manifest has the same name.
    pub fn new(typed: &cli::SyncArgs, environment: &Environment) -> Result<Option<Self>, Error> {
        let path = environment.setting("--metrics-file", typed.files.metrics_file.as_ref())?;
        let Some(path) = path.filter(|_| !typed.plan) else {
            return Ok(None);
        };
        // node_exporter's textfile collector reads only files with this extension. Neither snapshots nor SQLite's own
        // files have it.
        if std::path::Path::new(&path.value).extension() != Some("prom".as_ref()) {
            return Err(path.invalid("a file that ends in .prom, such as okta.prom"));
        }
        let manifest = environment.setting("--manifest", typed.files.manifest.as_ref())?;
        if let Some(manifest) = manifest.filter(|manifest| manifest.value == path.value) {
            return Err(path.fault(format!("is the same file as {}", manifest.name)));
        }
        let domain = environment.setting("--domain", typed.connection.domain.as_ref())?;
        let domain = domain.map_or_else(String::new, |setting| {
            // The value may be a token in the wrong place.
            host(&mask::without_tokens(&setting.value))
        });
        Ok(Some(Self {
            path: path.value.into(),
            domain,
        }))
    }
}

fn host(typed: &str) -> String {
    let lower = typed.trim().to_lowercase();
    let rest = lower.split_once("://").map_or(&*lower, |(_, rest)| rest);
    // Removes a user name and password before the host.
    let host = rest.split('/').next().unwrap_or_default();
    host.rsplit('@').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_label_is_the_host_for_all_spellings_of_the_domain() {
        for typed in [
            "company.okta.com",
            " Company.okta.com",
            "https://company.okta.com/",
            "https://ada:secret@company.okta.com/x",
        ] {
            assert_eq!(host(typed), "company.okta.com");
        }
    }
}
