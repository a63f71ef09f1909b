//! The options of `demo`. They have no variables.

use std::path::PathBuf;

use super::Error;
use super::environment::{Setting, or_default};
use crate::cli;

/// A checked `demo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoConfig {
    /// The snapshot to write.
    pub file: PathBuf,
    /// Whether to only run the sample org.
    pub serve: bool,
    /// The port to listen on; 0 is any free port.
    pub port: u16,
}

impl DemoConfig {
    /// Checks the options.
    ///
    /// # Errors
    /// Returns an error for an invalid port, and for a port without `--serve`.
    pub fn new(typed: &cli::DemoArgs) -> Result<Self, Error> {
        let typed_port = typed.port.as_ref();
        let setting = typed_port.map(|value| Setting::new("--port", value));
        let read = |text: &str| text.parse().ok();
        let port = or_default(setting, 0, read, "a whole number from 0 to 65535")?;
        if typed_port.is_some() && !typed.serve {
            return Err(Error("--port requires --serve".to_owned()));
        }
        Ok(Self {
            file: typed.file.as_deref().unwrap_or("demo.c1z").into(),
            serve: typed.serve,
            port,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_a_number_and_needs_serve() {
        let invalid = "for --port: expected a whole number from 0 to 65535";
        for (serve, port, expected) in [
            (false, None, Ok(0)),
            (true, None, Ok(0)),
            (true, Some("8080"), Ok(8080)),
            (
                true,
                Some("abc"),
                Err(format!("invalid value \"abc\" {invalid}")),
            ),
            (
                true,
                Some("99999"),
                Err(format!("invalid value \"99999\" {invalid}")),
            ),
            (true, Some(""), Err(format!("invalid value \"\" {invalid}"))),
            (
                false,
                Some("abc"),
                Err(format!("invalid value \"abc\" {invalid}")),
            ),
            (
                false,
                Some("8080"),
                Err("--port requires --serve".to_owned()),
            ),
        ] {
            let typed = cli::DemoArgs {
                file: None,
                serve,
                port: port.map(str::to_owned),
            };
            let found = DemoConfig::new(&typed);
            let found = found
                .map(|demo| demo.port)
                .map_err(|error| error.to_string());
            assert_eq!(found, expected);
        }
    }
}
