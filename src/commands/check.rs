//! `check`: tests whether the configuration is sufficient for a sync and for changes.
//!
//! Sends each kind of request that these commands need once, and a search for each of up to ten domains: at most 21 GET
//! requests, apart from retries. A refusal is a finding, and the checks continue. If there is no response or the token is
//! invalid, they end.

mod groups;
mod report;
mod rights;
mod users;

use jiff::Timestamp;

use self::groups::groups;
use self::report::{CheckReport, ORIGIN, OwnerReport, TOKEN, describe};
use self::rights::{changes, groups_by_user, org, rules};
use self::users::users;
use super::report_waits;
use crate::config::CheckConfig;
use crate::console::Console;
use crate::exit::ExitStatus;
use crate::model::User;
use crate::okta::probe::{self, split_refusal};
use crate::okta::{ApiError, Client, Error};
use crate::signal::ShutdownSignal;
use crate::text::number;

/// Runs `check`.
///
/// # Errors
/// Returns an error after a signal, and if the client cannot be created. All responses and refusals of Okta are
/// findings.
pub fn run(
    config: &CheckConfig,
    console: &Console,
    stop: &ShutdownSignal,
) -> anyhow::Result<ExitStatus> {
    let client = Client::new(&config.connection, stop.clone())?;
    let mut report = CheckReport::default();
    match report_waits(&client, || run_checks(config, &client, &mut report)) {
        Ok(()) | Err(Halt::Said) => {}
        Err(Halt::Because(error @ (Error::Interrupted(_) | Error::Setup(_)))) => {
            return Err(error.into());
        }
        Err(Halt::Because(error)) => report.broke_off(error),
    }
    report.measure(&client);
    report.print(console)
}

/// The reason why the checks end early.
enum Halt {
    /// The report already contains the reason.
    Said,
    /// An error that is not in the report yet.
    Because(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Because(error)
    }
}

const ASSIGN_A_ROLE: &str =
    "assign the token's owner the admin role Read-Only Administrator or higher";

fn run_checks(config: &CheckConfig, client: &Client, report: &mut CheckReport) -> Result<(), Halt> {
    let owner = first_contact(config, client, report)?;
    let someone = users(config, client, report)?;
    groups(config, client, report)?;
    let user = owner.as_ref().map(|owner| owner.id.clone()).or(someone);
    groups_by_user(user.as_ref(), client, report)?;
    org(client, report)?;
    rules(client, report)?;
    changes(config, owner.as_ref(), client, report)
}

/// Tests with one request that this is Okta, and reads the owner of the token.
fn first_contact(
    config: &CheckConfig,
    client: &Client,
    report: &mut CheckReport,
) -> Result<Option<User>, Halt> {
    report.current_check = ORIGIN;
    let origin = config.connection.origin.origin().ascii_serialization();
    let answer = probe::owner(client);
    let by_okta = match &answer {
        Ok(owner) => owner.by_okta,
        Err(Error::Refused(refusal)) => refusal.request_id.is_some() && !is_no_path(refusal),
        // This is Okta, although unavailable, since other servers do not send rate limits.
        Err(Error::Unavailable { .. } | Error::Stuck { .. } | Error::Deadline { .. })
            if !client.standings().is_empty() =>
        {
            true
        }
        // The server was not reached, or its certificate is not trusted.
        Err(error) => return Err(error.clone().into()),
    };
    match &answer {
        _ if by_okta => {
            let clock = client.clock_skew().and_then(|skew| {
                let now = Timestamp::now().as_millisecond() as f64 / 1000.0 + skew;
                Timestamp::from_second(now.round() as i64).ok()
            });
            let clock = clock.map_or("unknown".to_owned(), |clock| {
                clock.strftime("%FT%TZ").to_string()
            });
            report.ok(format!("{origin} responds; Okta's clock: {clock}"));
        }
        Ok(_) => report.warning(
            format!("{origin} responds like Okta, but without a request id"),
            "if there is a proxy in between, let it pass Okta's headers",
        ),
        Err(_) => {
            let said = answer
                .as_ref()
                .err()
                .map_or(String::new(), ToString::to_string);
            report.failure(
                format!("{origin} responds, but not as an Okta org ({said})"),
                "set --domain to the org's own host, such as company.okta.com",
                ExitStatus::Failed,
            );
            return Err(Halt::Said);
        }
    }
    owner(answer.map(|owner| owner.user), report)
}

/// Reports the owner of the token, and returns the owner if Okta shows it.
fn owner(answer: Result<User, Error>, report: &mut CheckReport) -> Result<Option<User>, Halt> {
    report.current_check = TOKEN;
    match split_refusal(answer)? {
        Ok(owner) => {
            let login = owner.login().unwrap_or("an admin without a login");
            let status = owner.status.as_deref().unwrap_or("without a status");
            report.ok(format!("belongs to {login}, {}, {status}", owner.id));
            report.owner = Some(OwnerReport {
                id: owner.id.to_string(),
                login: owner.login().map(str::to_owned),
                status: owner.status.clone(),
                roles: None,
            });
            Ok(Some(owner))
        }
        Err(refusal) => {
            report.warning(
                format!(
                    "accepted, but Okta does not show its owner ({})",
                    describe(&refusal)
                ),
                "no action needed if the token does not belong to a person",
            );
            Ok(None)
        }
    }
}

/// Returns true if the server does not know the path, which means that it is not an Okta org (docs/okta-api.md,
/// Errors).
fn is_no_path(refusal: &ApiError) -> bool {
    refusal.status == 404 && matches!(refusal.code.as_deref(), Some("E0000008") | None)
}

/// Returns a phrase for a part of a page's rows. If more pages follow, the page is only a sample.
fn of(part: u64, listed: u64, more: bool) -> String {
    let first = if more { "the first " } else { "" };
    format!("{} of {first}{}", number(part), number(listed))
}
