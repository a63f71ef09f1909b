//! The options of `check`.

use super::environment::Environment;
use super::{Error, change, scope};
use crate::cli;
use crate::filter::Scope;
use crate::okta::settings::Connection;

/// A checked `check`.
#[derive(Clone, Debug)]
pub struct CheckConfig {
    /// The connection to the org.
    pub connection: Connection,
    /// The scope.
    pub scope: Scope,
    /// True if changes are allowed.
    pub provisioning: bool,
}

impl CheckConfig {
    /// Reads the options, their variables, and the files with secrets.
    ///
    /// # Errors
    /// Returns an error for the first option or variable that is invalid.
    pub fn new(typed: &cli::CheckArgs, environment: &Environment) -> Result<Self, Error> {
        Ok(Self {
            provisioning: change::provisioning(&typed.provisioning, environment)?,
            scope: scope::scope(&typed.scope, environment)?,
            connection: Connection::new(&typed.connection, &typed.limits, environment)?,
        })
    }
}
