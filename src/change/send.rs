//! Sends changes one at a time, and checks that they are visible.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::Action;
use super::audit::{Audit, AuditHistory, AuditResult, Sending, change_id};
use super::decide::{Pair, Reading};
use super::resolve::{Resolver, groups_of};
use crate::model::{Group, GroupId, User, UserId};
use crate::okta::http::rate_limit;
use crate::okta::{ChangeResponse, Client, Error, change, read};
use crate::signal::NoResult;
use crate::text;

/// The outcome of a change.
#[derive(Clone, Debug, PartialEq)]
pub enum ChangeOutcome {
    /// The change was made.
    Done {
        /// True if Okta's response was lost and the change was found by reading the membership.
        response_lost: bool,
        /// Okta's id of the request.
        request_id: Option<String>,
    },
    /// The change was not made.
    NotDone {
        /// The reason.
        error: Error,
        /// True if this was found by reading the membership for [`READ_LAG`], and not from Okta's response.
        confirmed: bool,
    },
    /// The outcome is unknown.
    Unknown(Error),
}

/// The time for which a change may be invisible, since reads lag behind changes by some seconds (docs/okta-api.md,
/// Members of a group and Changes to a membership).
pub const READ_LAG: Duration = Duration::from_secs(10);
/// The time between two reads of a membership.
const BETWEEN_READS: Duration = Duration::from_millis(500);
/// The time to wait for the response to a change after a signal.
const AWAIT_IN_FLIGHT: Duration = Duration::from_secs(5);

/// A change to send.
#[derive(Clone, Debug)]
pub struct Item {
    /// The user.
    pub user: Arc<User>,
    /// The group.
    pub group: Arc<Group>,
    /// The line of the row in the file of `--from`.
    pub line: Option<u64>,
}

/// Sends one change and determines its outcome. Both are recorded in the audit log.
///
/// # Errors
/// Returns an error if the change cannot be recorded; nothing was sent then. If only the result cannot be recorded, the
/// second value is the error.
pub fn send(
    resolver: &Resolver,
    origin: &str,
    audit: &mut Option<Audit>,
    action: Action,
    item: &Item,
) -> anyhow::Result<(ChangeOutcome, anyhow::Result<()>)> {
    let sending = Sending {
        change_id: change_id(),
        action: action.as_str().to_owned(),
        origin: origin.to_owned(),
        user_id: item.user.id.to_string(),
        user: item.user.login().map(str::to_owned),
        group_id: item.group.id.to_string(),
        group: item.group.name().map(str::to_owned),
        line: item.line,
    };
    if let Some(audit) = audit {
        audit.sending(&sending)?;
    }
    let ended = in_flight(resolver, action, item);
    if let Some(audit) = audit {
        let message;
        let outcome = match &ended {
            ChangeOutcome::Done {
                response_lost,
                request_id,
            } => AuditResult {
                outcome: if *response_lost {
                    "done, response lost"
                } else {
                    "done"
                },
                request_id: request_id.as_deref(),
                message: None,
            },
            ChangeOutcome::NotDone { error, confirmed } => {
                message = error.to_string();
                AuditResult {
                    outcome: if *confirmed {
                        "confirmed not done"
                    } else {
                        "not done"
                    },
                    request_id: error.request_id(),
                    message: Some(&message),
                }
            }
            // A missing result means that the outcome is unknown.
            ChangeOutcome::Unknown(_) => return Ok((ended, Ok(()))),
        };
        let recorded = audit.result(&sending.change_id, &outcome);
        return Ok((ended, recorded));
    }
    Ok((ended, Ok(())))
}

/// Sends a change in its own thread, so that a signal is noticed while waiting for Okta.
fn in_flight(resolver: &Resolver, action: Action, item: &Item) -> ChangeOutcome {
    let (client, user, group) = (
        Arc::clone(&resolver.client),
        item.user.id.clone(),
        item.group.id.clone(),
    );
    let send = move || try_until_known(&client, action, &group, &user);
    match resolver.stop.run(AWAIT_IN_FLIGHT, send) {
        Ok(outcome) => outcome,
        Err(NoResult::Interrupted(interrupted)) => ChangeOutcome::Unknown(interrupted.into()),
        Err(NoResult::Panicked) => {
            ChangeOutcome::Unknown(Error::Setup(text::internal_error("a worker panicked")))
        }
    }
}

/// A change, and the client to check it with.
struct Attempt<'a> {
    client: &'a Client,
    action: Action,
    group: &'a GroupId,
    user: &'a UserId,
}

fn try_until_known(
    client: &Client,
    action: Action,
    group: &GroupId,
    user: &UserId,
) -> ChangeOutcome {
    let attempt = Attempt {
        client,
        action,
        group,
        user,
    };
    let mut lost = 0;
    loop {
        let problem = match change::membership(client, action.change(), group, user) {
            Ok(ChangeResponse::Confirmed { request_id }) => {
                return ChangeOutcome::Done {
                    response_lost: false,
                    request_id,
                };
            }
            Ok(ChangeResponse::Lost { problem, .. }) => problem,
            // A proxy that refused the change would refuse it again, so the membership is read and the change is not
            // repeated.
            Ok(ChangeResponse::OutcomeUnknown(error)) => return attempt.after_proxy(error),
            Err(error) => return attempt.after_refusal(error, lost > 0),
        };
        tracing::warn!(
            "the response to a change was lost ({problem}); checking whether the change was applied"
        );
        match attempt.is_visible() {
            Ok(true) => {
                return ChangeOutcome::Done {
                    response_lost: true,
                    request_id: None,
                };
            }
            Ok(false) => {}
            Err(error) => return ChangeOutcome::Unknown(error),
        }
        lost += 1;
        if lost >= rate_limit::ATTEMPTS {
            return ChangeOutcome::Unknown(attempt.unavailable(problem));
        }
        if let Err(error) = client.sleep(rate_limit::backoff(lost, fastrand::f64())) {
            return ChangeOutcome::Unknown(error);
        }
    }
}

impl Attempt<'_> {
    /// Returns true if the membership becomes as requested within [`READ_LAG`].
    fn is_visible(&self) -> Result<bool, Error> {
        wait_until_visible(self.client, self.action, self.group, self.user, READ_LAG)
    }

    fn after_proxy(&self, error: Error) -> ChangeOutcome {
        tracing::warn!(
            "a change was refused without an error code of Okta's, so it may have been made ({error}); checking the membership"
        );
        match self.is_visible() {
            Ok(true) => ChangeOutcome::Done {
                response_lost: true,
                request_id: error.request_id().map(str::to_owned),
            },
            Ok(false) => ChangeOutcome::NotDone {
                error,
                confirmed: true,
            },
            Err(failed) => ChangeOutcome::Unknown(failed),
        }
    }

    /// Returns the outcome if Okta refuses a change, which may already have been made by an earlier attempt.
    fn after_refusal(&self, error: Error, lost_before: bool) -> ChangeOutcome {
        // After a 404, the user is not a member, as requested. However, the group may be what is missing
        // (docs/okta-api.md, Changes to a membership).
        if self.action == Action::Revoke && error.is_gone() {
            return match read::group(self.client, self.group.as_str()) {
                Ok(Some(_)) => ChangeOutcome::Done {
                    response_lost: lost_before,
                    request_id: error.request_id().map(str::to_owned),
                },
                Err(failed) if lost_before => ChangeOutcome::Unknown(failed),
                _ => ChangeOutcome::NotDone {
                    error,
                    confirmed: false,
                },
            };
        }
        if !lost_before {
            return ChangeOutcome::NotDone {
                error,
                confirmed: false,
            };
        }
        match self.is_visible() {
            Ok(true) => ChangeOutcome::Done {
                response_lost: true,
                request_id: None,
            },
            Ok(false) if error.status().is_some() => ChangeOutcome::NotDone {
                error,
                confirmed: true,
            },
            _ => ChangeOutcome::Unknown(error),
        }
    }

    fn unavailable(&self, problem: String) -> Error {
        Error::Unavailable {
            call: crate::okta::Call {
                method: "PUT or DELETE",
                path: format!("/api/v1/groups/{}/users/{}", self.group, self.user),
            },
            problem,
            attempts: rate_limit::ATTEMPTS,
            status: None,
            too_slow: false,
            request_id: None,
        }
    }
}

/// Reads a membership until it is as requested or the time is up.
fn wait_until_visible(
    client: &Client,
    action: Action,
    group: &GroupId,
    user: &UserId,
    longest: Duration,
) -> Result<bool, Error> {
    let begun = Instant::now();
    loop {
        if action.is_done(groups_of(client, user)?.contains(group)) {
            return Ok(true);
        }
        if begun.elapsed() >= longest {
            return Ok(false);
        }
        client.sleep(BETWEEN_READS)?;
    }
}

/// Returns the changes that are not visible after [`READ_LAG`].
///
/// # Errors
/// Returns an [`Error`] if a request fails.
pub fn not_visible(
    resolver: &Resolver,
    action: Action,
    made: Vec<Pair>,
) -> Result<HashSet<(UserId, GroupId)>, Error> {
    let begun = Instant::now();
    let mut not_visible = made;
    loop {
        // Reading may take long. The result counts only if reading began after the lag.
        let last = begun.elapsed() >= READ_LAG;
        let reading = Reading::cheapest(&not_visible, resolver.sizes.members);
        let memberships = resolver.memberships(&not_visible, reading)?;
        let ids = |(user, group): &Pair| (user.id.clone(), group.id.clone());
        not_visible.retain(|pair| match memberships.get(&ids(pair)) {
            Some(Ok(member)) => !action.is_done(*member),
            _ => true,
        });
        if not_visible.is_empty() || last {
            return Ok(not_visible.iter().map(ids).collect());
        }
        resolver.client.sleep(BETWEEN_READS)?;
    }
}

/// Determines the outcomes of changes that earlier runs left open, and records them.
///
/// # Errors
/// Returns an [`Error`] if a request fails, and an error if the audit log cannot be written.
pub fn resolve_pending(
    resolver: &Resolver,
    origin: &str,
    audit: &mut Audit,
    past: &AuditHistory,
) -> anyhow::Result<()> {
    for sending in &past.open {
        let who = format!(
            "the {} of {} in {}",
            sending.action,
            sending.user.as_deref().unwrap_or(&sending.user_id),
            sending.group.as_deref().unwrap_or(&sending.group_id)
        );
        let (Some(action), true) = (sending.action(), sending.origin == origin) else {
            tracing::warn!(
                "the outcome of {who} is unknown (another org); run okta-ciam against that org to record it"
            );
            continue;
        };
        let (group, user) = (
            GroupId::from(sending.group_id.as_str()),
            UserId::from(sending.user_id.as_str()),
        );
        wait_for_read_lag(resolver, past, &user, Some(&group))?;
        let done = match groups_of(&resolver.client, &user) {
            Ok(groups) => action.is_done(groups.contains(&group)),
            Err(Error::Refused(refusal)) if refusal.status != 401 => {
                tracing::warn!("cannot determine the outcome of {who}: {refusal}");
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let outcome = if done {
            "confirmed done"
        } else {
            "confirmed not done"
        };
        tracing::info!("outcome of {who} from an earlier run: {outcome}");
        let message = Some("checked by a later run");
        audit.result(
            &sending.change_id,
            &AuditResult {
                outcome,
                request_id: None,
                message,
            },
        )?;
    }
    Ok(())
}

/// Returns the time for which a change may still be invisible. The clock may have been set back since the change was
/// sent. However, the change was sent before the log was read, so a run never waits longer than [`READ_LAG`] in total.
fn lag_left(sent: Timestamp, now: Timestamp, read_for: Duration) -> Duration {
    let age = Duration::try_from(now.duration_since(sent)).unwrap_or_default();
    READ_LAG.saturating_sub(age.max(read_for))
}

/// Waits until recorded changes of a user are visible if they were made. With a group, only the membership in this
/// group counts.
///
/// # Errors
/// Returns an error after a signal or at the deadline.
pub fn wait_for_read_lag(
    resolver: &Resolver,
    past: &AuditHistory,
    user: &UserId,
    group: Option<&GroupId>,
) -> Result<(), Error> {
    let is_one = |(of_user, of_group): &(String, String)| {
        of_user == user.as_str() && group.is_none_or(|group| of_group == group.as_str())
    };
    let sent = past.sent.iter().filter(|(pair, _)| is_one(pair));
    let Some(sent) = sent.map(|(_, sent)| sent).max() else {
        return Ok(());
    };
    let read_for = past.read.map_or(Duration::ZERO, |read| read.elapsed());
    let left = lag_left(*sent, Timestamp::now(), read_for);
    if left.is_zero() {
        return Ok(());
    }
    tracing::info!(
        "an earlier run changed the same membership; checking again in {}",
        text::span(left)
    );
    resolver.client.sleep(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_waits_at_most_ten_seconds_for_past_and_future_records() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        for (sent, read_for, left) in [
            ("2026-01-31T11:59:57Z", 0, 7),
            ("2026-01-31T11:59:57Z", 2, 7),
            ("2026-01-31T11:59:57Z", 9, 1),
            ("2026-01-31T11:59:00Z", 0, 0),
            ("2026-01-31T12:00:00Z", 4, 6),
            ("2026-01-31T12:30:00Z", 0, 10),
            ("2026-01-31T12:30:00Z", 4, 6),
            ("2036-01-31T12:30:00Z", 10, 0),
            ("2036-01-31T12:30:00Z", 500, 0),
        ] {
            let wait = lag_left(sent.parse().unwrap(), now, Duration::from_secs(read_for));
            assert_eq!(wait, Duration::from_secs(left), "{sent} {read_for}");
        }
    }
}
