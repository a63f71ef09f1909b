//! Sends requests and changes, and retries them.
//!
//! A [`Client`] is created once and passed by reference; code without one cannot reach the network. `rate_limit/wait.rs`
//! waits until a request may be sent, and `attempt.rs` sends it.

use std::time::Duration;

use url::Url;

use super::attempt::{AttemptError, Transport, Verb};
use super::error::{Call, Error};
use super::page;
use super::rate_limit::wait::{Cost, RateLimiter};
use super::rate_limit::{self, Bucket, ResponseClass, Signals, Standing};
use super::response::Response;
use crate::okta::settings::Connection;
use crate::okta::wire::Malformed;
use crate::signal::ShutdownSignal;
use crate::text;

/// A page of a listing to request.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// The path and query.
    pub target: String,
    /// True if Okta may leave out credentials, which halves the size of a user (docs/okta-api.md, Users).
    pub lean: bool,
}

/// A change of one membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MembershipOp {
    /// Adds the user to the group, with PUT.
    Add,
    /// Removes the user from the group, with DELETE.
    Remove,
}

impl MembershipOp {
    fn name(self) -> &'static str {
        match self {
            Self::Add => "PUT",
            Self::Remove => "DELETE",
        }
    }
}

/// The result of a change that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeResponse {
    /// Okta confirmed the change.
    Confirmed {
        /// Okta's id of the request.
        request_id: Option<String>,
    },
    /// A proxy refused the change, but may have passed it on to Okta before.
    OutcomeUnknown(Error),
    /// The response was lost, so the change may or may not have been made.
    Lost {
        /// The reason why there is no response.
        problem: String,
        /// Okta's id of the request, if a response contained one.
        request_id: Option<String>,
    },
}

/// Access to one org.
#[derive(Debug)]
pub struct Client {
    transport: Transport,
    limiter: RateLimiter,
}

/// The number of attempts to look up an unknown host. The pauses between them take two seconds at most.
const ATTEMPTS_TO_RESOLVE: u32 = 3;
/// The number of times that a 403 to a GET is retried: Okta sends some for reads that it permits.
const FORBIDDEN_RETRIES: u32 = 2;
/// No change is sent if less time than this is left before the deadline.
const TIME_FOR_A_CHANGE: Duration = Duration::from_secs(5);

/// The attempts at one request so far.
#[derive(Debug, Default)]
struct Tries {
    sent: u32,
    /// Failures for a reason other than a rate limit.
    failed: u32,
    /// Responses with 403.
    forbidden: u32,
    /// True if the credentials were renewed.
    renewed: bool,
}

impl Client {
    /// Returns a client for one org.
    ///
    /// # Errors
    /// Returns [`Error::Setup`] if TLS or the token cannot be used.
    pub fn new(connection: &Connection, stop: ShutdownSignal) -> Result<Self, Error> {
        Ok(Self {
            transport: Transport::new(connection)?,
            limiter: RateLimiter::new(connection, stop),
        })
    }

    /// Returns the cost of the run so far.
    pub fn cost(&self) -> Cost {
        self.limiter.cost()
    }

    /// Returns how far the server's clock is ahead of ours, in seconds; none before the first response.
    pub fn clock_skew(&self) -> Option<f64> {
        self.limiter.clock_skew()
    }

    /// Returns the limit of a bucket and the run's share of it, in requests per minute; none before its first response.
    pub fn limit(&self, bucket: Bucket) -> Option<(u64, u64)> {
        self.limiter.limit(bucket)
    }

    /// Returns the rate limits of every bucket that had a response.
    pub fn standings(&self) -> Vec<Standing> {
        self.limiter.standings()
    }

    /// Describes what threads are waiting for.
    pub fn waiting(&self) -> Option<String> {
        self.limiter.waiting()
    }

    /// Sleeps until the time is over or a signal arrives. Does not start to sleep past the deadline.
    ///
    /// # Errors
    /// Returns [`Error::Interrupted`] or [`Error::Deadline`].
    pub fn sleep(&self, time: Duration) -> Result<(), Error> {
        self.limiter.sleep(time)
    }

    /// Requests a page until `read` accepts the response, or until a retry is of no use.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn get<T>(
        &self,
        request: &PageRequest,
        read: impl Fn(&Response, &Url) -> Result<T, Malformed>,
    ) -> Result<T, Error> {
        let mut target = request.target.clone();
        let mut tries = Tries::default();
        loop {
            let url = self.transport.url(&target)?;
            let call = call_of("GET", &url);
            let verb = Verb::Get { lean: request.lean };
            let failure = match self.once(verb, &url, &call, &mut tries, |response| {
                read(response, &url)
            })? {
                Ok(page) => return Ok(page),
                // The next attempt waits for the limit.
                Err(failure) if failure.outcome == ResponseClass::Limited => continue,
                Err(failure) => failure,
            };
            if self.renew(&failure, &mut tries) {
                continue;
            }
            if let Some(last) = failure.last {
                tries.forbidden += 1;
                if failure.status != Some(403) || tries.forbidden > FORBIDDEN_RETRIES {
                    return Err(*last);
                }
                tries.failed += 1;
                let time = rate_limit::backoff(tries.failed, fastrand::f64());
                self.pause_for(call, &failure.problem, time)?;
                continue;
            }
            if failure.smaller
                && let Some(smaller) = page::halved(&target)
            {
                target = smaller;
            }
            self.pause(call, failure, &mut tries)?;
        }
    }

    /// Sends a change until Okta responds, or until its outcome is unknown.
    ///
    /// The request is retried only if the change was certainly not made: it was never sent, or Okta reports a rate limit or
    /// a lock. Whether a repeated change is harmless is not documented (docs/okta-api.md, Changes to a membership), so the
    /// caller checks whether a change was made whose response was lost.
    ///
    /// # Errors
    /// See [`Error`]. After an error, the change was not made.
    pub fn change(&self, change: MembershipOp, target: &str) -> Result<ChangeResponse, Error> {
        let url = self.transport.url(target)?;
        let mut tries = Tries::default();
        loop {
            let call = call_of(change.name(), &url);
            // Without time for its response, the outcome of the change would be unknown.
            if self.limiter.ends_within(TIME_FOR_A_CHANGE) {
                return Err(Error::Deadline {
                    call,
                    waiting: None,
                });
            }
            let id = |response: &Response| Ok(response.request_id());
            let failure = match self.once(Verb::Change(change), &url, &call, &mut tries, id)? {
                Ok(request_id) => return Ok(ChangeResponse::Confirmed { request_id }),
                Err(failure) => failure,
            };
            // A response without Okta's own code proves nothing, whatever its status: it may come from a proxy that passed
            // the change on.
            let proves = failure.by_okta && failure.status != Some(408);
            if proves && self.renew(&failure, &mut tries) {
                continue;
            }
            if let Some(last) = failure.last {
                return if proves || failure.status.is_none() {
                    Err(*last)
                } else {
                    Ok(ChangeResponse::OutcomeUnknown(*last))
                };
            }
            match failure.outcome {
                ResponseClass::Limited if proves => {}
                // Okta reports a lock, so it has not made the change.
                ResponseClass::Useful if proves => self.pause(call, failure, &mut tries)?,
                ResponseClass::Lost if failure.unsent => self.pause(call, failure, &mut tries)?,
                ResponseClass::Limited
                | ResponseClass::Useful
                | ResponseClass::ServerError
                | ResponseClass::Lost => {
                    return Ok(ChangeResponse::Lost {
                        problem: failure.problem,
                        request_id: failure.request_id,
                    });
                }
            }
        }
    }

    /// Renews the credentials after a 401, once per request: after a second 401, renewing does not help. Returns whether
    /// to send the request again.
    fn renew(&self, failure: &AttemptError, tries: &mut Tries) -> bool {
        if failure.status != Some(401) || tries.renewed {
            return false;
        }
        tries.renewed = true;
        self.transport.credentials.renew()
    }

    /// Waits for the rate limit, sends once, and records the cost. The inner error is that of the attempt.
    fn once<T>(
        &self,
        verb: Verb,
        url: &Url,
        call: &Call,
        tries: &mut Tries,
        read: impl FnOnce(&Response) -> Result<T, Malformed>,
    ) -> Result<Result<T, AttemptError>, Error> {
        let turn = self.limiter.wait(call, Bucket::of(url.path()))?;
        let sent = turn.sent;
        let mut signals = Signals::default();
        let timeout = self.limiter.time_for_attempt(self.transport.timeout);
        let result = self
            .transport
            .attempt(verb, url, call, timeout, &mut signals)
            .and_then(|response| {
                read(&response).map_err(|malformed| {
                    AttemptError::malformed(malformed.to_string(), response.request_id())
                })
            });
        let outcome = result
            .as_ref()
            .map_or_else(|failure| failure.outcome, |_| ResponseClass::Useful);
        self.limiter.ended(turn, outcome, signals, tries.sent > 0);
        tries.sent += 1;
        let took = sent.elapsed().as_millis();
        match &result {
            Ok(_) => tracing::debug!("{call}: response after {took} ms"),
            Err(failure) => tracing::debug!("{call} failed after {took} ms: {}", failure.problem),
        }
        Ok(result)
    }

    /// Sleeps after a failed attempt. Returns an error if it was the last.
    fn pause(&self, call: Call, failure: AttemptError, tries: &mut Tries) -> Result<(), Error> {
        tries.failed += 1;
        let problem = failure.problem;
        // If no response ever arrived, the name of the host is probably misspelled.
        let attempts = if failure.unresolved && self.clock_skew().is_none() {
            ATTEMPTS_TO_RESOLVE
        } else {
            rate_limit::ATTEMPTS
        };
        if tries.failed >= attempts {
            return Err(Error::Unavailable {
                call,
                problem,
                attempts: tries.failed,
                status: failure.status,
                too_slow: failure.timed_out || failure.smaller,
                request_id: failure.request_id,
            });
        }
        let time = rate_limit::backoff(tries.failed, fastrand::f64());
        let retry_after = failure.retry_after.unwrap_or_default();
        self.pause_for(call, &problem, time.max(retry_after))
    }

    fn pause_for(&self, call: Call, problem: &str, time: Duration) -> Result<(), Error> {
        if self.limiter.ends_within(time) {
            let waiting = Some(format!("the pause after {problem:?}"));
            return Err(Error::Deadline { call, waiting });
        }
        tracing::info!("{call}: {problem}; retrying in {}", text::span(time));
        self.limiter.sleep(time)
    }
}

fn call_of(method: &'static str, url: &Url) -> Call {
    Call {
        method,
        path: url.path().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use okta_fake::{Action, Endpoint, Fault, Limits, Options, Org, Server};
    use secrecy::SecretString;

    use super::*;
    use crate::okta::auth::Credentials;
    use crate::okta::settings::PageSizes;

    /// Returns a client whose credentials can be renewed, and the number of renewals so far.
    fn renewable(server: &Server) -> (Client, Arc<AtomicU32>) {
        let renewals = Arc::new(AtomicU32::new(0));
        let connection = Connection {
            origin: Url::parse(&server.origin()).unwrap(),
            credentials: Credentials::Renewable {
                token: SecretString::from(server.token().to_owned()),
                renewals: Arc::clone(&renewals),
            },
            capacity_percent: 75,
            concurrency: 1,
            timeout: Duration::from_secs(10),
            deadline: None,
            ca_pem: None,
            proxy: None,
            page_sizes: PageSizes::default(),
        };
        let client = Client::new(&connection, ShutdownSignal::default()).unwrap();
        (client, renewals)
    }

    fn server() -> Server {
        let options = Options {
            limits: Limits::all(None),
            ..Options::default()
        };
        Server::start(Org::demo(), options).unwrap()
    }

    #[test]
    fn a_401_renews_the_credentials_once_for_a_read_and_for_a_change() {
        let read = |client: &Client| {
            let page = PageRequest {
                target: "/api/v1/groups?limit=1".to_owned(),
                lean: false,
            };
            client.get(&page, |_, _| Ok(())).map(|()| None)
        };
        let change = |client: &Client| {
            let target = "/api/v1/groups/00gnone/users/00unone";
            client.change(MembershipOp::Add, target).map(Some)
        };
        for (endpoint, is_change) in [(Endpoint::Groups, false), (Endpoint::Member, true)] {
            for refusals in [1, 2] {
                let server = server();
                for nth in 1..=refusals {
                    server.fault(Fault::on(endpoint, Action::okta(401, "E0000011")).nth(nth));
                }
                let (client, renewals) = renewable(&server);
                let result = if is_change {
                    change(&client)
                } else {
                    read(&client)
                };
                let status = result.as_ref().err().and_then(Error::status);
                assert_eq!(
                    status == Some(401),
                    refusals == 2,
                    "{endpoint:?}: {result:?}"
                );
                assert_eq!(renewals.load(Ordering::Relaxed), 1, "{endpoint:?}");
                assert_eq!(server.requests().len(), 2, "{endpoint:?}");
            }
        }
    }
}
