//! The one place that sends, sleeps and retries.
//!
//! A [`Client`] is made once and passed by reference; who has none cannot reach the network. Its threads take turns by
//! [`Pacing`]; nothing else is shared between them.

use std::io::Read as _;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Method;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, LINK, LOCATION,
};
use reqwest::redirect::Policy;
use url::Url;

use super::auth::Credentials;
use super::error::{ApiError, Call, Error, is_oktas_code};
use super::pace::{
    self, Bucket, Pacing, Permit, ResponseClass, Signals, Standing, Ticket, WaitReason,
};
use super::settings::{Connection, Proxy};
use super::wire::{self, Malformed};
use super::{page, proxy};
use crate::mask::Mask;
use crate::signal::ShutdownSignal;
use crate::text;

/// A page of a listing to ask for.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// Path and query.
    pub target: String,
    /// Whether Okta may leave out credentials, which halves the size of a user (docs/okta-api.md, Users).
    pub lean: bool,
}

/// A change of one membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MembershipOp {
    /// PUT.
    Add,
    /// DELETE.
    Remove,
}

impl MembershipOp {
    fn method(self) -> Method {
        match self {
            Self::Add => Method::PUT,
            Self::Remove => Method::DELETE,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Add => "PUT",
            Self::Remove => "DELETE",
        }
    }
}

/// What became of a change that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeResponse {
    /// Okta says that it is made.
    Answered {
        /// Okta's id of the request.
        request_id: Option<String>,
    },
    /// It was refused, but not by Okta: what a proxy passed on before it refused is unknown.
    Doubtful(Error),
    /// Nobody knows whether it was made.
    Lost {
        /// What happened to the answer.
        problem: String,
        /// Okta's id of the request, if an answer carried one.
        request_id: Option<String>,
    },
}

/// What is sent.
#[derive(Clone, Copy, Debug)]
enum Verb {
    Get { lean: bool },
    MembershipOp(MembershipOp),
}

/// A complete response of status 200.
#[derive(Debug)]
pub struct Response {
    /// The headers.
    pub headers: HeaderMap,
    /// The body: unpacked, with the token masked and half characters repaired.
    pub body: Vec<u8>,
}

impl Response {
    /// The path and query of the next page, if there is one. The inner error is a link that leads elsewhere, which a
    /// retry will not change.
    ///
    /// # Errors
    /// A `Link` header that cannot be read: it may hide the next page, so it is never taken for the last page.
    pub fn next_page(&self, asked: &Url) -> Result<Result<Option<String>, String>, Malformed> {
        let mut lines = Vec::new();
        for line in self.headers.get_all(LINK) {
            let line = std::str::from_utf8(line.as_bytes()).ok();
            let line = line.filter(|line| line.is_ascii()).ok_or_else(|| {
                Malformed("the Link header holds a byte outside ASCII".to_owned())
            })?;
            lines.push(line);
        }
        match page::next(lines, asked) {
            Ok(next) => Ok(Ok(next)),
            Err(page::BadLink::Unreadable(problem)) => Err(Malformed(problem)),
            Err(page::BadLink::Elsewhere(problem)) => Ok(Err(problem)),
        }
    }
}

/// What a run cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Requests sent, attempts included.
    pub requests: u64,
    /// Of these, attempts after the first.
    pub retries: u64,
    /// Waits for a rate limit; several threads that wait for one bucket wait once.
    pub waits: u64,
    /// How long these were.
    pub waited: Duration,
    /// The time that answers took, added up.
    pub answering: Duration,
}

impl std::ops::Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            retries: self.retries + other.retries,
            waits: self.waits + other.waits,
            waited: self.waited + other.waited,
            answering: self.answering + other.answering,
        }
    }
}

/// The way to one org.
#[derive(Debug)]
pub struct Client {
    http: reqwest::blocking::Client,
    origin: Url,
    credentials: Credentials,
    mask: Mask,
    proxy: Option<Proxy>,
    timeout: Duration,
    deadline: Option<Instant>,
    stop: ShutdownSignal,
    start: Instant,
    started: jiff::Timestamp,
    state: Mutex<ClientState>,
    turn: Condvar,
}

#[derive(Debug)]
struct ClientState {
    pacing: Pacing,
    cost: Cost,
    /// For each bucket: how many wait, since when, until when and for what.
    waiting: [Option<Waiting>; Bucket::ALL.len()],
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    threads: usize,
    since: Instant,
    until: Instant,
    why: WaitReason,
}

/// No listing of Okta's is this large; a body that is will not end.
const LARGEST_BODY: usize = 64 << 20;
/// An error takes Okta a few hundred bytes; a proxy's page is cut here.
const LARGEST_ERROR: usize = 64 << 10;
/// How often an unknown name is looked up: the pauses between take two seconds at most.
const ATTEMPTS_TO_RESOLVE: u32 = 3;
/// How often a 403 to a GET is retried: Okta sends some for reads that it permits.
const FORBIDDEN_RETRIES: u32 = 2;
/// With less time than this before the deadline, no change is sent any more.
const TIME_FOR_A_CHANGE: Duration = Duration::from_secs(5);
/// How often a sleeping thread looks whether it is still wanted.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// How often a request was sent, and how often that failed for another reason than a limit.
#[derive(Debug, Default)]
struct Tries {
    sent: u32,
    failed: u32,
    forbidden: u32,
}

/// How one attempt failed.
struct AttemptError {
    problem: String,
    outcome: ResponseClass,
    request_id: Option<String>,
    smaller: bool,
    /// The answer did not come in time.
    timed_out_error: bool,
    /// The status, if there was an answer.
    status: Option<u16>,
    /// Whether the answer carried Okta's own error code.
    by_okta: bool,
    /// The request certainly never left.
    unsent: bool,
    last: Option<Box<Error>>,
    /// How long the server asks to wait.
    retry_after: Option<Duration>,
    /// No address was found for a name.
    unresolved: bool,
}

impl AttemptError {
    fn timed_out_error(timeout: Duration) -> Self {
        let problem = format!("no complete response within {}", text::span(timeout));
        Self {
            timed_out_error: true,
            ..Self::lost(problem)
        }
    }

    fn lost(problem: impl Into<String>) -> Self {
        Self {
            problem: problem.into(),
            outcome: ResponseClass::Lost,
            request_id: None,
            smaller: false,
            timed_out_error: false,
            status: None,
            by_okta: false,
            unsent: false,
            last: None,
            retry_after: None,
            unresolved: false,
        }
    }
}

impl Client {
    /// A client for one org.
    ///
    /// # Errors
    /// [`Error::Setup`], where TLS or the token cannot be used.
    pub fn new(connection: &Connection, stop: ShutdownSignal) -> Result<Self, Error> {
        let setup =
            |error: &dyn std::fmt::Display| Error::Setup(format!("cannot set up HTTPS: {error}"));
        let mut http = reqwest::blocking::Client::builder()
            .user_agent(concat!("okta-ciam/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .timeout(connection.timeout)
            .pool_max_idle_per_host(connection.concurrency)
            .tcp_nodelay(true);
        // The configuration has read the variables; nothing else may add a proxy.
        http = http.no_proxy();
        if let Some(proxy) = &connection.proxy {
            let url = proxy.url.clone();
            http = http.proxy(reqwest::Proxy::all(url).map_err(|error| setup(&error))?);
        }
        if connection.origin.scheme() == "http" {
            // Without TLS there is nothing to verify, and a small container may have no certificates.
            http = http.tls_certs_only([]);
        }
        if let Some(pem) = &connection.ca_pem {
            let roots =
                reqwest::Certificate::from_pem_bundle(pem).map_err(|error| setup(&error))?;
            http = http.tls_certs_merge(roots);
        }
        connection.credentials.authorize().map_err(|_| {
            Error::Setup("the token holds a character that no header can".to_owned())
        })?;
        let started = jiff::Timestamp::now();
        let start = Instant::now();
        Ok(Self {
            http: http.build().map_err(|error| {
                let why = innermost(&error);
                setup(&format!(
                    "{why}; if this machine has no root certificates, install them or set SSL_CERT_FILE or --ca-file"
                ))
            })?,
            proxy: connection.proxy.clone(),
            origin: connection.origin.clone(),
            mask: Mask::of(connection.credentials.secret()),
            credentials: connection.credentials.clone(),
            timeout: connection.timeout,
            deadline: connection.deadline.map(|time| start + time),
            stop,
            start,
            started,
            state: Mutex::new(ClientState {
                pacing: Pacing::new(
                    connection.capacity,
                    connection.concurrency,
                    started.as_millisecond() as f64 / 1000.0,
                ),
                cost: Cost::default(),
                waiting: Default::default(),
            }),
            turn: Condvar::new(),
        })
    }

    /// What the run cost so far.
    pub fn cost(&self) -> Cost {
        self.state().cost
    }

    /// How far the server's clock is before ours, in seconds, once an answer told.
    pub fn clock_skew(&self) -> Option<f64> {
        let server = self.state().pacing.server_time(Duration::ZERO)?;
        Some(server - self.started.as_millisecond() as f64 / 1000.0)
    }

    /// The limit of a bucket and the run's share of it, requests a minute, once an answer told.
    pub fn limit(&self, bucket: Bucket) -> Option<(u64, u64)> {
        let state = self.state();
        let limit = state.pacing.limit(bucket)?;
        Some((limit, state.pacing.share(limit)))
    }

    /// Where every bucket stands that answered.
    pub fn standings(&self) -> Vec<Standing> {
        let state = self.state();
        let all = Bucket::ALL.into_iter();
        all.filter_map(|bucket| state.pacing.standing(bucket))
            .collect()
    }

    /// What is being waited for, in words, if anything is.
    pub fn waiting(&self) -> Option<String> {
        let state = self.state();
        let all = Bucket::ALL.into_iter().zip(&state.waiting);
        let (bucket, wait) = all
            .filter_map(|(bucket, wait)| Some((bucket, wait.as_ref()?)))
            .max_by_key(|(_, wait)| wait.until)?;
        let left = wait.until.saturating_duration_since(Instant::now());
        Some(format!(
            "waiting {} s more for {}",
            left.as_secs() + 1,
            reason(bucket, wait.why)
        ))
    }

    /// Asks for a page until it has one that `read` understands, or until it is clear that there will be none.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn get<T>(
        &self,
        ask: &PageRequest,
        read: impl Fn(&Response, &Url) -> Result<T, Malformed>,
    ) -> Result<T, Error> {
        let mut target = ask.target.clone();
        let mut tries = Tries::default();
        loop {
            let url = self.url(&target)?;
            let call = call_of("GET", &url);
            let verb = Verb::Get { lean: ask.lean };
            let failure =
                match self.once(verb, &url, &call, &mut tries, |answer| read(answer, &url))? {
                    Ok(page) => return Ok(page),
                    // The wait is the next turn's.
                    Err(failure) if failure.outcome == ResponseClass::Limited => continue,
                    Err(failure) => failure,
                };
            if let Some(last) = failure.last {
                if failure.status == Some(401) && self.credentials.renew() {
                    continue;
                }
                tries.forbidden += 1;
                if failure.status != Some(403) || tries.forbidden > FORBIDDEN_RETRIES {
                    return Err(*last);
                }
                tries.failed += 1;
                let time = pace::backoff(tries.failed, fastrand::f64());
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

    /// Asks for a change until it is answered, or until nobody can tell whether it was made.
    ///
    /// Only what Okta itself says it did not do is sent again here: limits and locks. Whether a repeated change is harmless is
    /// not documented (docs/okta-api.md, Changes to a membership), so a lost answer is the caller's to find out about.
    ///
    /// # Errors
    /// See [`Error`]; then the change was not made.
    pub fn change(&self, change: MembershipOp, target: &str) -> Result<ChangeResponse, Error> {
        let url = self.url(target)?;
        let mut tries = Tries::default();
        loop {
            let call = call_of(change.name(), &url);
            // A change that cannot be answered in time would leave nobody the wiser.
            if self
                .deadline
                .is_some_and(|deadline| Instant::now() + TIME_FOR_A_CHANGE > deadline)
            {
                return Err(Error::Deadline {
                    call,
                    waiting: None,
                });
            }
            let id = |answer: &Response| Ok(request_id(&answer.headers));
            let failure =
                match self.once(Verb::MembershipOp(change), &url, &call, &mut tries, id)? {
                    Ok(request_id) => return Ok(ChangeResponse::Answered { request_id }),
                    Err(failure) => failure,
                };
            // Without Okta's own code an answer proves nothing, whatever its status: a proxy may have passed the change on.
            let proves = failure.by_okta && failure.status != Some(408);
            if let Some(last) = failure.last {
                return if proves || failure.status.is_none() {
                    Err(*last)
                } else {
                    Ok(ChangeResponse::Doubtful(*last))
                };
            }
            match failure.outcome {
                ResponseClass::Limited if proves => {}
                // A lock: Okta says that it did nothing yet.
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

    /// Waits for its turn, sends once, and notes what that cost. The inner failure is the attempt's.
    fn once<T>(
        &self,
        verb: Verb,
        url: &Url,
        call: &Call,
        tries: &mut Tries,
        read: impl FnOnce(&Response) -> Result<T, Malformed>,
    ) -> Result<Result<T, AttemptError>, Error> {
        let ticket = self.wait_for_turn(call, Bucket::of(url.path()))?;
        let sent = Instant::now();
        let mut signals = Signals::default();
        let result = self
            .attempt(verb, url, call, &mut signals)
            .and_then(|answer| {
                read(&answer).map_err(|malformed| AttemptError {
                    request_id: request_id(&answer.headers),
                    outcome: ResponseClass::Useful,
                    ..AttemptError::lost(malformed.to_string())
                })
            });
        let outcome = result
            .as_ref()
            .map_or_else(|failure| failure.outcome, |_| ResponseClass::Useful);
        self.note(ticket, outcome, signals, sent, tries.sent > 0);
        tries.sent += 1;
        let took = sent.elapsed().as_millis();
        match result {
            Ok(read) => {
                tracing::debug!("{call} answered in {took} ms");
                Ok(Ok(read))
            }
            Err(failure) => {
                tracing::debug!("{call} failed after {took} ms: {}", failure.problem);
                Ok(Err(failure))
            }
        }
    }

    /// The only place that makes a URL: the configured origin with the path and query of `target`.
    fn url(&self, target: &str) -> Result<Url, Error> {
        page::on_origin(&self.origin, target).ok_or_else(|| {
            Error::Setup(format!(
                "internal error: {target:?} is not a path of the org; please report this bug"
            ))
        })
    }

    /// Sends once and reads the whole answer. What the headers say of pacing is told in any case.
    fn attempt(
        &self,
        verb: Verb,
        url: &Url,
        call: &Call,
        signals: &mut Signals,
    ) -> Result<Response, AttemptError> {
        let begun = Instant::now();
        let timeout = match self.deadline {
            Some(deadline) => self.timeout.min(deadline.saturating_duration_since(begun)),
            None => self.timeout,
        };
        let content_type = if matches!(verb, Verb::Get { lean: true }) {
            "application/json; okta-response=\"omitCredentials,omitCredentialsLinks,omitTransitioningToStatus\""
        } else {
            "application/json"
        };
        let request = match verb {
            Verb::Get { .. } => self.http.get(url.clone()),
            // Without a length Okta answers 411 (docs/okta-api.md, Requests and responses).
            Verb::MembershipOp(change) => self
                .http
                .request(change.method(), url.clone())
                .header(CONTENT_LENGTH, "0")
                .body(Vec::new()),
        };
        let authorization = self
            .credentials
            .authorize()
            .map_err(|error| AttemptError::lost(error.to_string()))?;
        let mut response = request
            .header(AUTHORIZATION, authorization)
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, content_type)
            .timeout(timeout)
            .send()
            .map_err(|error| self.transport_failure(&error, call, timeout))?;
        let mut headers = std::mem::take(response.headers_mut());
        let status = response.status().as_u16();
        *signals = Signals::of(&headers);
        self.mask.headers(&mut headers);
        let is_error = status >= 300;
        let read = read_body(&mut response, begun, timeout, is_error).map(|mut body| {
            self.mask.bytes(&mut body);
            wire::repaired(body)
        });
        match (verb, status) {
            (Verb::Get { .. }, 200) => {
                let body = read?;
                wire::check_bounds(&body, page::rows_asked(url)).map_err(|unbounded| {
                    AttemptError {
                        request_id: request_id(&headers),
                        status: Some(status),
                        smaller: unbounded.smaller,
                        outcome: ResponseClass::Useful,
                        ..AttemptError::lost(unbounded.problem)
                    }
                })?;
                return Ok(Response { headers, body });
            }
            // The answer to a change has nothing to read.
            (Verb::MembershipOp(_), 204) => {
                let body = Vec::new();
                return Ok(Response { headers, body });
            }
            // Any other success is not Okta's word for a change that is made (docs/okta-api.md, Changes to a
            // membership): a proxy's, perhaps.
            (Verb::MembershipOp(_), 200..=299) => {
                return Err(AttemptError {
                    request_id: request_id(&headers),
                    status: Some(status),
                    ..AttemptError::lost(format!("the answer was {status}, not 204"))
                });
            }
            _ => {}
        }
        // The status says enough where the words are lost.
        Err(self.refused(status, &headers, &read.unwrap_or_default(), call))
    }

    fn refused(&self, status: u16, headers: &HeaderMap, body: &[u8], call: &Call) -> AttemptError {
        let (code, summary) = wire::refusal(body);
        let request_id = request_id(headers);
        let mut problem = match &code {
            code if matches!(status, 401 | 403) && !code.as_deref().is_some_and(is_oktas_code) => {
                format!("a proxy or firewall answered {status}")
            }
            _ => format!("Okta answered {status}"),
        };
        if let Some(code) = &code {
            problem += &format!(" {code}");
        }
        if let Some(summary) = &summary {
            problem += &format!(" ({summary})");
        }
        let failure = AttemptError {
            request_id: request_id.clone(),
            status: Some(status),
            by_okta: code.as_deref().is_some_and(is_oktas_code),
            retry_after: pace::retry_after(headers),
            ..AttemptError::lost(problem)
        };
        if status == 429 {
            return AttemptError {
                outcome: ResponseClass::Limited,
                ..failure
            };
        }
        if pace::is_retryable(status, code.as_deref()) {
            return AttemptError {
                outcome: if status >= 500 {
                    ResponseClass::ServerError
                } else {
                    ResponseClass::Useful
                },
                smaller: pace::wants_smaller_page(status),
                ..failure
            };
        }
        let call = call.clone();
        let last = if (300..400).contains(&status) && status != 304 {
            let to = headers
                .get(LOCATION)
                .and_then(|value| value.to_str().ok())
                .and_then(|location| self.origin.join(location).ok())
                .and_then(|url| url.host_str().map(str::to_owned));
            Error::Redirected {
                call,
                status,
                to: to.unwrap_or_else(|| "nowhere".to_owned()),
            }
        } else {
            Error::Refused(ApiError {
                call,
                status,
                code,
                summary,
                request_id,
            })
        };
        AttemptError {
            outcome: ResponseClass::Useful,
            last: Some(Box::new(last)),
            ..failure
        }
    }

    /// Waits until a request of this bucket may go.
    fn wait_for_turn(&self, call: &Call, bucket: Bucket) -> Result<Ticket, Error> {
        let mut state = self.state();
        let mut held = false;
        let result = loop {
            if let Err(interrupted) = self.stop.check() {
                break Err(interrupted.into());
            }
            let now = Instant::now();
            if self.deadline.is_some_and(|deadline| now >= deadline) {
                break Err(Error::Deadline {
                    call: call.clone(),
                    waiting: None,
                });
            }
            let moment = now - self.start;
            match state.pacing.request_permit(bucket, moment) {
                Permit::Go => break Ok(state.pacing.sent(bucket, moment)),
                Permit::Stuck(waited) => {
                    break Err(Error::Stuck {
                        call: call.clone(),
                        waited,
                    });
                }
                Permit::Wait { until: None, .. } => {
                    state = self.wait_for_news(state, POLL_INTERVAL);
                }
                Permit::Wait {
                    until: Some(until),
                    why,
                } => {
                    let until = self.start + until;
                    if self.deadline.is_some_and(|deadline| until > deadline) {
                        break Err(Error::Deadline {
                            call: call.clone(),
                            waiting: Some(format!("the wait for {}", reason(bucket, why))),
                        });
                    }
                    state.wait_begins(bucket, until, why, &mut held);
                    let left = until
                        .saturating_duration_since(now)
                        .max(Duration::from_millis(1));
                    state = self.wait_for_news(state, left.min(POLL_INTERVAL));
                }
            }
        };
        if held {
            state.wait_ends(bucket);
        }
        result
    }

    /// Sleeps after an attempt that failed, unless it was the last.
    fn pause(&self, call: Call, failure: AttemptError, tries: &mut Tries) -> Result<(), Error> {
        tries.failed += 1;
        let problem = failure.problem;
        // A name that was never found is misspelled; one that was found before will be found again.
        let attempts = if failure.unresolved && self.clock_skew().is_none() {
            ATTEMPTS_TO_RESOLVE
        } else {
            pace::ATTEMPTS
        };
        if tries.failed >= attempts {
            return Err(Error::Unavailable {
                call,
                problem,
                attempts: tries.failed,
                status: failure.status,
                too_slow: failure.timed_out_error || failure.smaller,
                request_id: failure.request_id,
            });
        }
        let time = pace::backoff(tries.failed, fastrand::f64());
        let asked = failure.retry_after.unwrap_or_default();
        self.pause_for(call, &problem, time.max(asked))
    }

    fn pause_for(&self, call: Call, problem: &str, time: Duration) -> Result<(), Error> {
        if self
            .deadline
            .is_some_and(|deadline| Instant::now() + time > deadline)
        {
            let waiting = Some(format!("the pause after {problem:?}"));
            return Err(Error::Deadline { call, waiting });
        }
        tracing::info!("{call}: {problem}; retrying in {}", text::span(time));
        self.sleep(time)
    }

    /// Does nothing for a while, unless a signal or the deadline comes first.
    ///
    /// # Errors
    /// [`Error::Interrupted`], [`Error::Deadline`].
    pub fn sleep(&self, time: Duration) -> Result<(), Error> {
        let until = Instant::now() + time;
        if self.deadline.is_some_and(|deadline| until > deadline) {
            let call = Call {
                method: "GET",
                path: "the state of a change".to_owned(),
            };
            return Err(Error::Deadline {
                call,
                waiting: None,
            });
        }
        loop {
            self.stop.check()?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(POLL_INTERVAL));
        }
    }

    fn note(
        &self,
        ticket: Ticket,
        outcome: ResponseClass,
        signals: Signals,
        sent: Instant,
        again: bool,
    ) {
        let mut state = self.state();
        let now = Instant::now();
        state
            .pacing
            .ended(ticket, outcome, signals, now - self.start, fastrand::f64());
        state.cost.requests += 1;
        state.cost.retries += u64::from(again);
        state.cost.answering += now - sent;
        drop(state);
        self.turn.notify_all();
    }

    fn wait_for_news<'a>(
        &self,
        state: MutexGuard<'a, ClientState>,
        time: Duration,
    ) -> MutexGuard<'a, ClientState> {
        let woken = self.turn.wait_timeout(state, time);
        woken.unwrap_or_else(PoisonError::into_inner).0
    }

    fn state(&self) -> MutexGuard<'_, ClientState> {
        // A thread that panicked here left numbers, not half-made values.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientState {
    fn wait_begins(&mut self, bucket: Bucket, until: Instant, why: WaitReason, held: &mut bool) {
        let slot = &mut self.waiting[bucket as usize];
        match slot {
            Some(wait) => {
                wait.until = until;
                wait.why = why;
                wait.threads += usize::from(!*held);
            }
            None => {
                self.cost.waits += 1;
                *slot = Some(Waiting {
                    threads: 1,
                    since: Instant::now(),
                    until,
                    why,
                });
            }
        }
        *held = true;
    }

    fn wait_ends(&mut self, bucket: Bucket) {
        let slot = &mut self.waiting[bucket as usize];
        if let Some(wait) = slot {
            wait.threads -= 1;
            if wait.threads == 0 {
                self.cost.waited += wait.since.elapsed();
                *slot = None;
            }
        }
    }
}

fn call_of(method: &'static str, url: &Url) -> Call {
    Call {
        method,
        path: url.path().to_owned(),
    }
}

pub(super) fn request_id(headers: &HeaderMap) -> Option<String> {
    headers
        .get("x-okta-request-id")
        .and_then(|id| id.to_str().ok())
        .map(str::to_owned)
}

fn reason(bucket: Bucket, why: WaitReason) -> String {
    let bucket = bucket.name();
    match why {
        WaitReason::Share => {
            format!("the next rate-limit window ({bucket}): this run has used its share")
        }
        WaitReason::Limit | WaitReason::Turn => format!("Okta's rate limit ({bucket})"),
        WaitReason::Busy => format!("fewer requests at once ({bucket})"),
    }
}

/// Reads to the end, by a clock of our own: blocking reqwest starts its clock anew at each read.
fn read_body(
    response: &mut reqwest::blocking::Response,
    begun: Instant,
    timeout: Duration,
    is_error: bool,
) -> Result<Vec<u8>, AttemptError> {
    let too_big = || AttemptError {
        smaller: true,
        ..AttemptError::lost("the answer is larger than 64 MiB")
    };
    let expected = response
        .content_length()
        .and_then(|length| usize::try_from(length).ok());
    if !is_error && expected.is_some_and(|length| length > LARGEST_BODY) {
        return Err(too_big());
    }
    // What a server announces takes no memory before it comes.
    let mut body = Vec::with_capacity(expected.unwrap_or(16 << 10).min(4 << 20));
    let mut chunk = [0; 32 << 10];
    loop {
        match response.read(&mut chunk) {
            Ok(0) => return Ok(body),
            Ok(read) => body.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(cut(&error, timeout)),
        }
        if is_error && body.len() >= LARGEST_ERROR {
            body.truncate(LARGEST_ERROR);
            return Ok(body);
        }
        if body.len() > LARGEST_BODY {
            return Err(too_big());
        }
        if begun.elapsed() > timeout {
            return Err(AttemptError::timed_out_error(timeout));
        }
    }
}

fn cut(error: &std::io::Error, timeout: Duration) -> AttemptError {
    let text = innermost(error);
    if error.kind() == std::io::ErrorKind::TimedOut || text.contains("timed out") {
        AttemptError::timed_out_error(timeout)
    } else {
        AttemptError::lost(format!("the response was cut off ({text})"))
    }
}

impl Client {
    fn transport_failure(
        &self,
        error: &reqwest::Error,
        call: &Call,
        timeout: Duration,
    ) -> AttemptError {
        let text = self.mask.text(innermost(error));
        if error.is_timeout() {
            return AttemptError::timed_out_error(timeout);
        }
        // The TLS library's own words; its type would need the library as a dependency.
        if text.contains("certificate") || text.contains("UnknownIssuer") {
            let last = Error::Certificate {
                call: call.clone(),
                problem: text.clone(),
            };
            return AttemptError {
                last: Some(Box::new(last)),
                ..AttemptError::lost(text)
            };
        }
        if !error.is_connect() {
            return AttemptError::lost(format!("the connection broke ({text})"));
        }
        let unresolved = is_unresolved(error);
        let Some(proxy) = &self.proxy else {
            let host = self.origin.host_str().unwrap_or_default();
            let problem = match (unresolved, host.contains('.')) {
                (false, _) => format!("cannot connect ({text})"),
                (true, true) => format!("cannot find the host {host} ({text})"),
                (true, false) => format!(
                    "cannot find the host {host} ({text}); if {host} is the name of the company, use --domain {host}.okta.com"
                ),
            };
            return AttemptError {
                unsent: true,
                unresolved,
                ..AttemptError::lost(problem)
            };
        };
        if text.contains("authorization required") {
            let problem = format!(
                "the proxy {} answered 407; put a user and a password it accepts into its URL",
                proxy.shown
            );
            let last = Error::Proxy {
                call: call.clone(),
                problem: problem.clone(),
            };
            return AttemptError {
                last: Some(Box::new(last)),
                ..AttemptError::lost(problem)
            };
        }
        let problem = if text.contains("tunnel error") {
            // The library keeps the status to itself; a second, plain request shows it.
            let host = self.origin.host_str().unwrap_or_default();
            let port = self.origin.port_or_known_default().unwrap_or(443);
            match proxy::status_of_tunnel(proxy, host, port) {
                Some(status) => format!("the proxy {} answered {status}", proxy.shown),
                None => format!("the proxy {} did not connect ({text})", proxy.shown),
            }
        } else {
            format!("cannot connect through the proxy {} ({text})", proxy.shown)
        };
        AttemptError {
            unsent: true,
            unresolved,
            ..AttemptError::lost(problem)
        }
    }
}

/// Whether no address was found for a name.
fn is_unresolved(error: &dyn std::error::Error) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.to_string().contains("dns error")
            || error.to_string().contains("failed to lookup address")
        {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The cause that started it, without the URL.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
