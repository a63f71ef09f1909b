//! The options of `grant` and `revoke`.

use std::io::Read as _;
use std::path::PathBuf;

use super::environment::{Environment, Setting, or_default, read_switch};
use super::{Error, scope};
use crate::change::Action;
use crate::change::rows::{self, Row};
use crate::cli;
use crate::filter::Scope;
use crate::mask;
use crate::okta::settings::Connection;

/// A checked `grant` or `revoke`.
#[derive(Clone, Debug)]
pub struct Change {
    /// Which of the two.
    pub action: Action,
    /// The org.
    pub connection: Connection,
    /// The scope.
    pub scope: Scope,
    /// Whether changes are allowed.
    pub provisioning: bool,
    /// The requested changes.
    pub rows: Vec<Row>,
    /// The file that the rows are from.
    pub from: Option<String>,
    /// Whether only to show the planned changes.
    pub dry_run: bool,
    /// Whether to skip the confirmation prompt.
    pub yes: bool,
    /// The audit log.
    pub audit_log: Option<PathBuf>,
}

/// The largest list, in bytes: a hundred thousand rows are about five megabytes.
const LARGEST_LIST: u64 = 64 << 20;

impl Change {
    /// Reads the options, their variables, the list of `--from`, and the files of secrets.
    ///
    /// # Errors
    /// Returns an error for the first option, variable or line of the list that is invalid.
    pub fn new(
        action: Action,
        typed: &cli::Change,
        grant_id: Option<&String>,
        environment: &Environment,
    ) -> Result<Self, Error> {
        let scope = scope::scope(&typed.scope, environment)?;
        let provisioning = provisioning(&typed.provisioning, environment)?;
        let audit_log = environment.setting("--audit-log", typed.audit_log.as_ref())?;
        if typed.from.as_deref() == Some("-")
            && typed.connection.api_token_file.as_deref() == Some("-")
        {
            return Err(Error::about(
                "--from and --api-token-file",
                "cannot both be standard input",
            ));
        }
        let connection = Connection::new(&typed.connection, &typed.limits, environment)?;
        Ok(Self {
            action,
            connection,
            scope,
            provisioning,
            rows: rows(action, typed, grant_id)?,
            from: typed.from.clone(),
            dry_run: typed.dry_run,
            yes: typed.yes,
            audit_log: audit_log.map(|setting| setting.value.into()),
        })
    }
}

fn rows(action: Action, typed: &cli::Change, grant_id: Option<&String>) -> Result<Vec<Row>, Error> {
    let ways = [
        typed.user.is_some() || typed.group.is_some(),
        typed.from.is_some(),
        grant_id.is_some(),
    ];
    let ask = match action {
        Action::Grant => "pass --user and --group, or --from",
        Action::Revoke => "pass --user and --group, or --from, or --grant-id",
    };
    if ways.iter().filter(|way| **way).count() != 1 {
        return Err(Error::about(action.as_str(), format!("{ask}; one of them")));
    }
    if let Some(id) = grant_id {
        return Ok(vec![
            rows::of_grant_id(id).map_err(|error| Error::about("--grant-id", error))?,
        ]);
    }
    if let Some(from) = &typed.from {
        return list(action, &Setting::new("--from", from));
    }
    match (&typed.user, &typed.group) {
        (Some(user), Some(group)) if !user.trim().is_empty() && !group.is_empty() => {
            Ok(vec![Row {
                line: None,
                user: user.trim().to_owned(),
                group: group.clone(),
                keep: false,
            }])
        }
        (Some(_), Some(_)) => Err(Error::about("--user and --group", "must not be empty")),
        _ => Err(Error::about(
            "--user and --group",
            format!("go together; {ask}"),
        )),
    }
}

fn list(action: Action, from: &Setting) -> Result<Vec<Row>, Error> {
    let mut bytes = Vec::new();
    let read = if from.value == "-" {
        std::io::stdin().take(LARGEST_LIST).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(&from.value)
            .and_then(|opened| opened.take(LARGEST_LIST).read_to_end(&mut bytes))
    };
    read.map_err(|error| from.error(format!("cannot read {}: {error}", mask::shown(&from.value))))?;
    if bytes.len() as u64 == LARGEST_LIST {
        return Err(from.error(format!(
            "{} is larger than {LARGEST_LIST} bytes",
            mask::shown(&from.value)
        )));
    }
    rows::read(&bytes, action)
        .map_err(|error| from.error(format!("{}: {error}", mask::shown(&from.value))))
}

/// Whether changes are allowed.
///
/// # Errors
/// Returns an error for anything other than a boolean.
pub(super) fn provisioning(
    typed: &cli::Provisioning,
    environment: &Environment,
) -> Result<bool, Error> {
    let setting = environment.setting("--provisioning", typed.provisioning.as_ref())?;
    or_default(setting, false, read_switch, "true or false")
}
