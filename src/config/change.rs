//! The options of `grant` and `revoke`.

use std::io::Read as _;
use std::path::PathBuf;

use super::environment::{Environment, Setting, or_default, parse_bool};
use super::{Error, scope};
use crate::change::Action;
use crate::change::rows::{self, Request, Row};
use crate::change::sheet::{self, Conditions, SheetSummary};
use crate::cli;
use crate::filter::Scope;
use crate::mask;
use crate::okta::settings::Connection;
use crate::sheet::review::{self, Opened};

/// A checked `grant` or `revoke`.
#[derive(Clone, Debug)]
pub struct ChangeConfig {
    /// The kind of change.
    pub action: Action,
    /// The connection to the org.
    pub connection: Connection,
    /// The scope.
    pub scope: Scope,
    /// True if changes are allowed.
    pub provisioning: bool,
    /// The requested changes.
    pub request: Request,
    /// The counts of the review sheet, if the changes are from one.
    pub sheet: Option<SheetSummary>,
    /// The conditions on that review sheet.
    pub conditions: Conditions,
    /// The file with the rows, if there is one.
    pub from: Option<String>,
    /// True if the planned changes are only shown.
    pub dry_run: bool,
    /// True if the confirmation prompt is skipped.
    pub yes: bool,
    /// The audit log.
    pub audit_log: Option<PathBuf>,
}

/// The largest size of a list or sheet, in bytes. A review of 300,000 memberships has about 120 MB.
const LARGEST_LIST: u64 = 512 << 20;
/// The default for the largest age of a sheet's snapshot, in days.
const MAX_SHEET_DAYS: u32 = 30;

impl ChangeConfig {
    /// Reads the options, their variables, the list of `--from`, and the files with secrets.
    ///
    /// # Errors
    /// Returns an error for the first option, variable or line of the list that is invalid.
    pub fn new(
        action: Action,
        typed: &cli::ChangeArgs,
        revoke: RevokeOnly<'_>,
        environment: &Environment,
    ) -> Result<Self, Error> {
        let scope = scope::scope(&typed.scope, environment)?;
        let provisioning = provisioning(&typed.provisioning, environment)?;
        let audit_log = environment.setting("--audit-log", typed.audit_log.as_ref())?;
        if typed.from.as_deref() == Some("-")
            && typed.connection.api_token_file.as_deref() == Some("-")
        {
            return Err(Error(
                "--from - cannot be used with --api-token-file -".to_owned(),
            ));
        }
        let connection = Connection::new(&typed.connection, &typed.limits, environment)?;
        let conditions = match action {
            Action::Grant => Conditions::default(),
            Action::Revoke => conditions(typed, revoke, environment)?,
        };
        let (request, sheet) = request(action, typed, revoke)?;
        if sheet.is_none()
            && let Some(flag) = revoke.sheet_option()
        {
            return Err(Error(format!(
                "{flag} requires --from with the sheet of a review"
            )));
        }
        Ok(Self {
            action,
            connection,
            scope,
            provisioning,
            request,
            sheet,
            conditions,
            from: typed.from.clone(),
            dry_run: typed.dry_run,
            yes: typed.yes,
            audit_log: audit_log.map(|setting| setting.value.into()),
        })
    }
}

/// Options of `revoke` that `grant` does not have.
#[derive(Clone, Copy, Debug, Default)]
pub struct RevokeOnly<'a> {
    /// `--grant-id`.
    pub grant_id: Option<&'a String>,
    /// `--all-groups`.
    pub all_groups: bool,
    /// `--require-decisions`.
    pub require_decisions: bool,
    /// `--max-sheet-age`.
    pub max_sheet_age: Option<&'a String>,
}

impl RevokeOnly<'_> {
    /// Returns an option that was given and applies only to review sheets.
    fn sheet_option(&self) -> Option<&'static str> {
        if self.require_decisions {
            return Some("--require-decisions");
        }
        self.max_sheet_age.map(|_| "--max-sheet-age")
    }
}

fn conditions(
    typed: &cli::ChangeArgs,
    revoke: RevokeOnly<'_>,
    environment: &Environment,
) -> Result<Conditions, Error> {
    if let Some(flag) = revoke.sheet_option().filter(|_| typed.from.is_none()) {
        return Err(Error(format!("{flag} requires --from")));
    }
    let max_age = environment.setting("--max-sheet-age", revoke.max_sheet_age)?;
    let read = |text: &str| text.parse().ok();
    let max_days = or_default(max_age, MAX_SHEET_DAYS, read, "a whole number of days")?;
    Ok(Conditions {
        require_decisions: revoke.require_decisions,
        max_days,
    })
}

fn request(
    action: Action,
    typed: &cli::ChangeArgs,
    revoke: RevokeOnly<'_>,
) -> Result<(Request, Option<SheetSummary>), Error> {
    let ways = [
        !typed.user.is_empty() || !typed.group.is_empty() || revoke.all_groups,
        typed.from.is_some(),
        revoke.grant_id.is_some(),
    ];
    let ask = match action {
        Action::Grant => "--user and --group, or --from",
        Action::Revoke => {
            "--user and --group, or --user and --all-groups, or --from, or --grant-id"
        }
    };
    if ways.iter().filter(|way| **way).count() != 1 {
        return Err(Error(format!(
            "{} requires exactly one of these: {ask}",
            action.as_str()
        )));
    }
    if let Some(id) = revoke.grant_id {
        let row = rows::of_grant_id(id).map_err(|error| Error::about("--grant-id", error))?;
        return Ok((Request::Rows(vec![row]), None));
    }
    if let Some(from) = &typed.from {
        let (rows, sheet) = list(action, &Setting::new("--from", from))?;
        return Ok((Request::Rows(rows), sheet));
    }
    let users: Vec<String> = typed
        .user
        .iter()
        .map(|user| user.trim().to_owned())
        .collect();
    if users.iter().chain(&typed.group).any(String::is_empty) {
        return Err(Error("--user and --group must not be empty".to_owned()));
    }
    let request = match (revoke.all_groups, users.is_empty(), typed.group.is_empty()) {
        (true, false, true) => Ok(Request::AllGroups(users)),
        (true, true, _) => Err(Error("--all-groups requires --user".to_owned())),
        (true, false, false) => Err(Error("--all-groups cannot be used with --group".to_owned())),
        (false, false, false) => Ok(Request::Rows(pairs(&users, &typed.group))),
        (false, ..) => Err(Error(format!(
            "--user and --group must be used together; pass {ask}"
        ))),
    };
    Ok((request?, None))
}

/// Returns a row for every pair of user and group.
fn pairs(users: &[String], groups: &[String]) -> Vec<Row> {
    let rows_of = |user: &String| {
        let user = user.clone();
        groups.iter().map(move |group| Row {
            line: None,
            user: user.clone(),
            group: group.clone(),
            keep: false,
            reviewed: None,
        })
    };
    users.iter().flat_map(rows_of).collect()
}

fn list(action: Action, from: &Setting) -> Result<(Vec<Row>, Option<SheetSummary>), Error> {
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
    let invalid = |error: rows::Error| from.error(format!("{}: {error}", mask::shown(&from.value)));
    match review::open(bytes).map_err(|error| invalid(error.into()))? {
        Opened::List(text) => Ok((rows::read(&text, action).map_err(invalid)?, None)),
        Opened::Review(_) if action == Action::Grant => Err(invalid(rows::Error::SheetForGrant)),
        Opened::Review(mut file) => {
            let (rows, sheet) = sheet::read(&mut file).map_err(|error| invalid(error.into()))?;
            Ok((rows, Some(sheet)))
        }
    }
}

/// Returns true if changes are allowed.
///
/// # Errors
/// Returns an error for anything other than a boolean.
pub(super) fn provisioning(
    typed: &cli::ProvisioningArgs,
    environment: &Environment,
) -> Result<bool, Error> {
    let setting = environment.setting("--provisioning", typed.provisioning.as_ref())?;
    or_default(setting, false, parse_bool, "true or false")
}
