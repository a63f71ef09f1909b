//! The findings of `check`, as JSON and as text.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Serialize;

use crate::commands::sync::{NOTABLE_SKEW, clock_ahead, skew_text};
use crate::console::{Console, FailureObject, Size};
use crate::evidence::verify::CheckStatus;
use crate::exit::{self, ExitStatus};
use crate::model::Group;
use crate::okta::http::rate_limit::Standing;
use crate::okta::{ApiError, Client, Error};
use crate::snapshot::rfc3339;
use crate::text::{clean, count, number, wrap};

pub(super) const ORIGIN: &str = "origin";
pub(super) const TOKEN: &str = "token";
pub(super) const USERS: &str = "users";
pub(super) const DOMAINS: &str = "domains";
pub(super) const GROUPS: &str = "groups";
pub(super) const EVERYONE: &str = "everyone";
pub(super) const MEMBERS: &str = "members";
pub(super) const ADMIN_MEMBERS: &str = "admin_members";
pub(super) const GROUPS_BY_USER: &str = "groups_by_user";
pub(super) const ORG: &str = "org";
pub(super) const RULES: &str = "rules";
pub(super) const CHANGES: &str = "changes";
pub(super) const LIMITS: &str = "limits";
pub(super) const CLOCK: &str = "clock";

#[derive(Debug, Serialize)]
pub(super) struct CheckResult {
    pub(super) name: &'static str,
    pub(super) status: CheckStatus,
    pub(super) message: String,
    /// The next step, unless the check is ok.
    pub(super) fix: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Limit {
    pub(super) bucket: &'static str,
    pub(super) limit: u64,
    pub(super) remaining: Option<u64>,
    pub(super) reset: Option<String>,
    /// The part of the limit that this run may use.
    pub(super) request_budget: u64,
}

impl From<Standing> for Limit {
    fn from(standing: Standing) -> Self {
        let reset = standing.reset.and_then(|reset| i64::try_from(reset).ok());
        Self {
            bucket: standing.bucket.name(),
            limit: standing.limit,
            remaining: standing.remaining,
            reset: reset
                .and_then(|reset| Timestamp::from_second(reset).ok())
                .map(rfc3339),
            request_budget: standing.request_budget,
        }
    }
}

/// The user that the token acts for.
#[derive(Debug, Serialize)]
pub(super) struct OwnerReport {
    pub(super) id: String,
    pub(super) login: Option<String>,
    pub(super) status: Option<String>,
    /// The admin roles; null if Okta does not show them.
    pub(super) roles: Option<Vec<String>>,
}

/// A domain of the scope.
#[derive(Debug, Serialize)]
pub(super) struct DomainSample {
    pub(super) domain: String,
    /// The number of users on the first page with an address in the domain.
    pub(super) users_on_first_page: u64,
    /// True if any user has an address in the domain; null if unknown.
    pub(super) is_used: Option<bool>,
}

/// The group Everyone, which contains all users.
#[derive(Debug, Serialize)]
pub(super) struct Everyone {
    pub(super) id: String,
    /// The request that found it: `listing` or `filter`.
    pub(super) found_by: &'static str,
    pub(super) members_reported: Option<u64>,
}

/// The numbers of rows on the first pages; null if there is no page.
#[derive(Debug, Default, Serialize)]
pub(super) struct Sample {
    pub(super) users_on_first_page: Option<u64>,
    pub(super) users_in_scope: Option<u64>,
    pub(super) groups_on_first_page: Option<u64>,
    pub(super) groups_in_scope: Option<u64>,
}

/// The findings of all checks.
#[derive(Debug, Default, Serialize)]
pub(super) struct CheckReport {
    pub(super) checks: Vec<CheckResult>,
    pub(super) limits: Vec<Limit>,
    pub(super) clock_skew_seconds: Option<i64>,
    /// The owner of the token; null if Okta does not show it.
    pub(super) owner: Option<OwnerReport>,
    /// The name of the company.
    pub(super) company: Option<String>,
    pub(super) domains: Vec<DomainSample>,
    pub(super) everyone: Option<Everyone>,
    pub(super) sample: Sample,
    pub(super) requests: u64,
    /// The name of the current check.
    #[serde(skip)]
    pub(super) current_check: &'static str,
    /// The exit status that each failure leads to.
    #[serde(skip)]
    pub(super) exits: Vec<ExitStatus>,
    #[serde(skip)]
    pub(super) request_id: Option<String>,
}

/// Returns Okta's refusal without the advice of the error message.
pub(super) fn describe(refusal: &ApiError) -> String {
    let mut text = format!("{}: {}", refusal.call, refusal.status);
    for part in [&refusal.code, &refusal.summary].into_iter().flatten() {
        text += &format!(" {part}");
    }
    if let Some(id) = &refusal.request_id {
        text += &format!(" [request {id}]");
    }
    text
}

/// The smallest request budget per minute without a warning. A smaller one makes every command slow.
pub(super) const SMALL_SHARE: u64 = 60;

impl CheckReport {
    pub(super) fn add(&mut self, status: CheckStatus, message: String, fix: Option<&str>) {
        self.checks.push(CheckResult {
            name: self.current_check,
            status,
            message,
            fix: fix.map(str::to_owned),
        });
    }

    pub(super) fn ok(&mut self, message: String) {
        self.add(CheckStatus::Ok, message, None);
    }

    pub(super) fn warning(&mut self, message: String, fix: &str) {
        self.add(CheckStatus::Warning, message, Some(fix));
    }

    pub(super) fn failure(&mut self, message: String, fix: &str, exit: ExitStatus) {
        self.add(CheckStatus::Failure, message, Some(fix));
        self.exits.push(exit);
    }

    /// Reports that Okta refused a request that a sync needs.
    pub(super) fn refused(&mut self, refusal: &ApiError, fix: &str) {
        self.request_id = self
            .request_id
            .take()
            .or_else(|| refusal.request_id.clone());
        let (fix, exit) = if refusal.status == 403 {
            (fix, ExitStatus::Credentials)
        } else {
            (
                "contact Okta's support with the id of the request",
                ExitStatus::Failed,
            )
        };
        self.failure(format!("refused ({})", describe(refusal)), fix, exit);
    }

    pub(super) fn gone(&mut self, group: &Group) {
        self.warning(
            format!("not tested: group {} was deleted in the meantime", group.id),
            "run `okta-ciam check` again",
        );
    }

    /// Reports an error that ends the checks.
    pub(super) fn broke_off(&mut self, error: Error) {
        let request_id = error.request_id().map(str::to_owned);
        self.request_id = self.request_id.take().or(request_id);
        let message = error.to_string();
        let exit = exit::of_error(&error.into());
        let fix = match exit {
            ExitStatus::Credentials => {
                "create a new token in Okta under Security, API, Tokens, as an active admin"
            }
            ExitStatus::Unavailable => {
                "check --domain and whether the network lets it through, or try again later"
            }
            _ => "fix this and run `okta-ciam check` again",
        };
        let fix = format!("{fix}; the remaining checks were skipped");
        self.failure(message, &fix, exit);
    }

    /// Reports the rate limits and the clock from the headers of all responses.
    pub(super) fn measure(&mut self, client: &Client) {
        self.requests = client.cost().requests;
        self.limits = client.standings().into_iter().map(Limit::from).collect();
        self.current_check = LIMITS;
        if let Some(least) = self.limits.iter().min_by_key(|limit| limit.request_budget) {
            let message = format!(
                "every limit allows at least {} requests per minute",
                number(least.request_budget)
            );
            if least.request_budget < SMALL_SHARE {
                let fix = "raise --max-api-capacity, or the token's own share in Okta under Security, API, Tokens";
                self.warning(message, fix);
            } else {
                self.ok(message);
            }
        }
        self.current_check = CLOCK;
        self.clock_skew_seconds = clock_ahead(client);
        match self.clock_skew_seconds {
            None => {}
            Some(0) => self.ok("this machine's clock agrees with Okta's".to_owned()),
            Some(ahead) if ahead.abs() > NOTABLE_SKEW => {
                self.warning(skew_text(ahead), "set this machine's clock");
            }
            Some(ahead) => self.ok(skew_text(ahead)),
        }
    }

    pub(super) fn print(&self, console: &Console) -> anyhow::Result<ExitStatus> {
        let exit = ending(&self.exits);
        let message = self.summary();
        let failure = (exit != ExitStatus::Done).then(|| FailureObject {
            error: exit.word(),
            exit_code: exit.code(),
            message: message.clone(),
            request_id: self.request_id.clone(),
        });
        let printed = Printed {
            failed: failure.as_ref(),
            ok: exit == ExitStatus::Done,
            report: self,
        };
        console.result(&printed, || self.text())?;
        if failure.is_some() {
            tracing::error!("{message}");
        }
        Ok(exit)
    }

    /// Returns the failures in one line.
    pub(super) fn summary(&self) -> String {
        let failed: Vec<String> = self
            .checks
            .iter()
            .filter(|check| check.status == CheckStatus::Failure)
            .map(|check| format!("{}: {}", spoken(check.name), check.message))
            .collect();
        format!(
            "{} of {} failed; {}",
            number(failed.len() as u64),
            count(self.checks.len() as u64, "check"),
            failed.join("; ")
        )
    }

    pub(super) fn text(&self) -> String {
        let width = Size::of_stdout().map_or(usize::MAX, |size| size.columns);
        let mut text = String::new();
        let mut line = |first: &str, second: &str, third: &str| {
            let third = clean(third);
            let mut start = format!("{first:<9}{second:<16}");
            for part in wrap(&third, width.saturating_sub(start.len())) {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "{}", format!("{start}{part}").trim_end());
                start = " ".repeat(start.len());
            }
        };
        for check in &self.checks {
            line(
                check.status.as_str(),
                spoken(check.name).as_str(),
                &check.message,
            );
            if check.name == LIMITS {
                for limit in &self.limits {
                    let left = limit
                        .remaining
                        .map_or(String::new(), |left| format!(", {} left", number(left)));
                    let what = format!(
                        "{:<16} at most {} of {} per minute{left}",
                        limit.bucket,
                        number(limit.request_budget),
                        number(limit.limit)
                    );
                    line("", "", &what);
                }
            }
            if let Some(fix) = &check.fix {
                line("", "", &format!("fix: {fix}"));
            }
        }
        let counted = |status| {
            let those = self.checks.iter().filter(|check| check.status == status);
            those.count() as u64
        };
        let end = format!(
            "{} ok, {}, {}; {}, nothing was changed",
            number(counted(CheckStatus::Ok)),
            count(counted(CheckStatus::Warning), "warning"),
            count(counted(CheckStatus::Failure), "failure"),
            count(self.requests, "request"),
        );
        for part in wrap(&end, width) {
            let _ = writeln!(text, "{part}");
        }
        text
    }
}

/// Returns the name of a check for people.
pub(super) fn spoken(name: &str) -> String {
    name.replace('_', " ")
}

/// Returns the exit status for these failures. A failure of the token takes precedence over one of the network, and
/// both over all others.
pub(super) fn ending(exits: &[ExitStatus]) -> ExitStatus {
    if exits.is_empty() {
        return ExitStatus::Done;
    }
    [
        ExitStatus::Credentials,
        ExitStatus::Unavailable,
        ExitStatus::Guard,
    ]
    .into_iter()
    .find(|exit| exits.contains(exit))
    .unwrap_or(ExitStatus::Failed)
}

/// The report as JSON. After failures, it begins with the keys of a failure object.
#[derive(Serialize)]
pub(super) struct Printed<'a> {
    #[serde(flatten)]
    failed: Option<&'a FailureObject>,
    ok: bool,
    #[serde(flatten)]
    report: &'a CheckReport,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_failures_take_precedence_over_network_failures_and_both_over_others() {
        let (credentials, unavailable) = (ExitStatus::Credentials, ExitStatus::Unavailable);
        let table: [(&[ExitStatus], ExitStatus); 5] = [
            (&[], ExitStatus::Done),
            (&[ExitStatus::Failed], ExitStatus::Failed),
            (&[ExitStatus::Failed, unavailable], unavailable),
            (&[unavailable, ExitStatus::Failed, credentials], credentials),
            (&[credentials], credentials),
        ];
        for (exits, expected) in table {
            assert_eq!(ending(exits), expected, "{exits:?}");
        }
    }
}
