//! The metrics file of `sync`. It is read before all other options, so that a run that ends with one of those has metrics.

use std::path::PathBuf;

use super::Error;
use super::environment::Environment;
use crate::{cli, mask};

/// Where metrics go, and what they are labeled with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// The file.
    pub path: PathBuf,
    /// The host of the org as typed; empty if there is none.
    pub domain: String,
}

impl Metrics {
    /// Reads the option; there are no metrics without it, and none of `--plan`.
    ///
    /// # Errors
    /// Returns an error if the name does not end in `.prom`, or if the manifest has the same name.
    pub fn new(typed: &cli::Sync, environment: &Environment) -> Result<Option<Self>, Error> {
        let path = environment.setting("--metrics-file", typed.metrics_file.as_ref())?;
        let Some(path) = path.filter(|_| !typed.plan) else {
            return Ok(None);
        };
        // The name that node_exporter's textfile collector reads. No snapshot, and nothing that SQLite keeps beside one, has it.
        if std::path::Path::new(&path.value).extension() != Some("prom".as_ref()) {
            return Err(path.invalid("a file that ends in .prom, such as okta.prom"));
        }
        let manifest = environment.setting("--manifest", typed.manifest.as_ref())?;
        if let Some(manifest) = manifest.filter(|manifest| manifest.value == path.value) {
            return Err(path.error(format!("is the same file as {}", manifest.name)));
        }
        let domain = environment.setting("--domain", typed.connection.domain.as_ref())?;
        let domain = domain.map_or_else(String::new, |setting| {
            // A token may be in the wrong place.
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
    // Never a password before the host.
    let host = rest.split('/').next().unwrap_or_default();
    host.rsplit('@').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_label_is_the_host_however_the_domain_is_written() {
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
