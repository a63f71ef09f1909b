//! Sending changes, one at a time, and looking whether they are there.

use std::collections::HashSet;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, bounded};
use jiff::Timestamp;

use super::Action;
use super::audit::{Audit, AuditHistory, AuditResult, Sending, change_id};
use super::decide::{Pair, Reading};
use super::resolve::{Resolver, groups_of};
use crate::model::{Group, GroupId, User, UserId};
use crate::okta::http::rate_limit;
use crate::okta::{ChangeResponse, Client, Error, change, read};

/// The end of a change.
#[derive(Clone, Debug, PartialEq)]
pub enum ChangeOutcome {
    /// It is made.
    Done {
        /// Okta's response was lost, but the change could be seen.
        response_lost: bool,
        /// Okta's id of the request.
        request_id: Option<String>,
    },
    /// It is not made.
    NotDone {
        /// The reason.
        error: Error,
        /// Okta did not say so itself: the membership was read until [`READ_LAG`] was over, and was not as wanted.
        looked: bool,
    },
    /// Nobody knows.
    Unknown(Error),
}

/// Reads lag behind changes by some seconds (docs/okta-api.md, Members of a group and Changes to a membership): this
/// long a change may be invisible.
pub const READ_LAG: Duration = Duration::from_secs(10);
/// Between two looks.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);
/// The time to wait for a change in flight after a signal.
const AWAIT_IN_FLIGHT: Duration = Duration::from_secs(5);

/// One change.
#[derive(Clone, Debug)]
pub struct Item {
    /// The user.
    pub user: Arc<User>,
    /// The group.
    pub group: Arc<Group>,
    /// The line of `--from`.
    pub line: Option<u64>,
}

/// Sends one change and finds out what became of it; both go to the log.
///
/// # Errors
/// The audit log cannot be written; then nothing was sent. That the result could not be written is told beside it.
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
            ChangeOutcome::NotDone { error, looked } => {
                message = error.to_string();
                AuditResult {
                    outcome: if *looked {
                        "found not done"
                    } else {
                        "not done"
                    },
                    request_id: error.request_id(),
                    message: Some(&message),
                }
            }
            // No result says just that.
            ChangeOutcome::Unknown(_) => return Ok((ended, Ok(()))),
        };
        let recorded = audit.result(&sending.change_id, &outcome);
        return Ok((ended, recorded));
    }
    Ok((ended, Ok(())))
}

/// Sends in a thread of its own, so that a signal is heard while Okta is awaited.
fn in_flight(resolver: &Resolver, action: Action, item: &Item) -> ChangeOutcome {
    let (answer_in, answer) = bounded(1);
    let (client, user, group) = (
        Arc::clone(&resolver.client),
        item.user.id.clone(),
        item.group.id.clone(),
    );
    thread::spawn(move || {
        let _ = answer_in.send(try_until_known(&client, action, &group, &user));
    });
    let mut signalled = None;
    loop {
        match answer.recv_timeout(Duration::from_millis(50)) {
            Ok(ended) => return ended,
            Err(RecvTimeoutError::Disconnected) => {
                return ChangeOutcome::Unknown(Error::Setup(
                    "a worker is gone: this is a bug, please report it".to_owned(),
                ));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Err(interrupted) = resolver.stop.check() {
            let since = *signalled.get_or_insert_with(Instant::now);
            if since.elapsed() >= AWAIT_IN_FLIGHT {
                return ChangeOutcome::Unknown(interrupted.into());
            }
        }
    }
}

/// One change, and what it takes to find out about it.
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
            Ok(ChangeResponse::Answered { request_id }) => {
                return ChangeOutcome::Done {
                    response_lost: false,
                    request_id,
                };
            }
            Ok(ChangeResponse::Lost { problem, .. }) => problem,
            // The same proxy would refuse it again, so it is checked and not sent again.
            Ok(ChangeResponse::Doubtful(error)) => return attempt.after_proxy(error),
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
    /// Returns whether the membership is as wanted, within the time that reads lag behind.
    fn is_visible(&self) -> Result<bool, Error> {
        look_for(self.client, self.action, self.group, self.user, READ_LAG)
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
                looked: true,
            },
            Err(failed) => ChangeOutcome::Unknown(failed),
        }
    }

    /// The outcome if Okta refuses a change, perhaps one that an earlier attempt made.
    fn after_refusal(&self, error: Error, lost_before: bool) -> ChangeOutcome {
        // A revoke wants the user not to be a member; but the group may be what is missing (docs/okta-api.md, Changes to a
        // membership).
        if self.action == Action::Revoke && error.is_gone() {
            return match read::group(self.client, self.group.as_str()) {
                Ok(Some(_)) => ChangeOutcome::Done {
                    response_lost: lost_before,
                    request_id: error.request_id().map(str::to_owned),
                },
                Err(failed) if lost_before => ChangeOutcome::Unknown(failed),
                _ => ChangeOutcome::NotDone {
                    error,
                    looked: false,
                },
            };
        }
        if !lost_before {
            return ChangeOutcome::NotDone {
                error,
                looked: false,
            };
        }
        match self.is_visible() {
            Ok(true) => ChangeOutcome::Done {
                response_lost: true,
                request_id: None,
            },
            Ok(false) if error.status().is_some() => ChangeOutcome::NotDone {
                error,
                looked: true,
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

/// Looks until a membership is as wanted, or time is up.
fn look_for(
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
        client.sleep(BETWEEN_LOOKS)?;
    }
}

/// Returns which changes are not visible after the time that reads may lag behind.
///
/// # Errors
/// See [`Error`].
pub fn not_visible(
    resolver: &Resolver,
    action: Action,
    made: Vec<Pair>,
) -> Result<HashSet<(UserId, GroupId)>, Error> {
    let begun = Instant::now();
    let mut not_visible = made;
    loop {
        // A round may take long: only one that began after the lag proves anything.
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
        resolver.client.sleep(BETWEEN_LOOKS)?;
    }
}

/// Finds out about changes that an earlier run could not, and writes their results.
///
/// # Errors
/// See [`Error`]; the audit log cannot be written.
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
                "the audit log does not say what became of {who}, in another org; a run there will find out"
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
                tracing::warn!("what became of {who} cannot be found out: {refusal}");
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let outcome = if done { "found done" } else { "found not done" };
        tracing::info!("outcome of {who} from an earlier run: {outcome}");
        let message = Some("by a later run, which looked");
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

/// Returns how long a change that was sent may still be invisible. The clock may have been set back since; but a change that is
/// in a log was sent before that log was read, so no run waits longer than [`READ_LAG`] in all.
fn lag_left(sent: Timestamp, now: Timestamp, read_for: Duration) -> Duration {
    let age = Duration::try_from(now.duration_since(sent)).unwrap_or_default();
    READ_LAG.saturating_sub(age.max(read_for))
}

/// Waits until the changes of a user that the log contains can be seen, if they were made: of one group, or of all.
///
/// # Errors
/// A signal, or the deadline.
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
        crate::text::span(left)
    );
    resolver.client.sleep(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_the_past_and_of_the_future_are_waited_for_ten_seconds_at_most_a_run() {
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
