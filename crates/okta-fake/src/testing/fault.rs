//! Faults between the org and the tool. A fault changes a response without I/O; only the server sleeps, sends partial
//! responses and closes connections.

use std::fmt;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::send::FaultySending;
use crate::endpoint::Endpoint;
use crate::org::Org;
use crate::random::Random;
use crate::response::Response;
use crate::transmission::{LIMIT_HEADERS, Sending, Transmission, limits, too_many};

/// A fault: the requests that it matches, the occurrences among them, and its effect.
///
/// Several faults can affect one request, in the order in which they were added.
#[derive(Clone, Debug)]
pub struct Fault {
    place: Place,
    method: Option<String>,
    query: Option<String>,
    times: Times,
    action: Action,
}

#[derive(Clone, Debug)]
enum Place {
    Any,
    Endpoint(Endpoint),
    Path(String),
    Prefix(String),
}

#[derive(Clone, Debug)]
enum Times {
    Every,
    Nth(u64),
    First(u64),
    From(u64),
    Random(f64, u64),
}

impl Fault {
    /// Matches all requests.
    pub fn any(action: Action) -> Self {
        Self::new(Place::Any, action)
    }

    /// Matches requests to an endpoint.
    pub fn on(endpoint: Endpoint, action: Action) -> Self {
        Self::new(Place::Endpoint(endpoint), action)
    }

    /// Matches requests with exactly this path, as sent.
    pub fn path(path: impl Into<String>, action: Action) -> Self {
        Self::new(Place::Path(path.into()), action)
    }

    /// Matches requests whose path starts with this text.
    pub fn prefix(prefix: impl Into<String>, action: Action) -> Self {
        Self::new(Place::Prefix(prefix.into()), action)
    }

    fn new(place: Place, action: Action) -> Self {
        Self {
            place,
            method: None,
            query: None,
            times: Times::Every,
            action,
        }
    }

    /// Limits the fault to requests with this method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Limits the fault to requests whose query, as sent, contains this text.
    #[must_use]
    pub fn query(mut self, part: &str) -> Self {
        self.query = Some(part.to_owned());
        self
    }

    /// Limits the fault to the `k`th matching request, starting at 1.
    #[must_use]
    pub fn nth(mut self, k: u64) -> Self {
        self.times = Times::Nth(k);
        self
    }

    /// Limits the fault to the first `k` matching requests.
    #[must_use]
    pub fn first(mut self, k: u64) -> Self {
        self.times = Times::First(k);
        self
    }

    /// Limits the fault to the `k`th matching request, starting at 1, and all later ones.
    #[must_use]
    pub fn from(mut self, k: u64) -> Self {
        self.times = Times::From(k);
        self
    }

    /// Limits the fault to a random part of the matching requests, which depends only on the seed.
    #[must_use]
    pub fn random(mut self, probability: f64, seed: u64) -> Self {
        self.times = Times::Random(probability, seed);
        self
    }
}

/// A complete response that replaces the org's.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The content type, if any.
    pub content_type: Option<String>,
    /// More headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// Returns a reply with this body.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            content_type: Some(content_type.to_owned()),
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// Returns an Okta error.
    pub fn okta(status: u16, code: &str) -> Self {
        let response = Response::error(status, code, "A fault of the demo", &[]);
        Self::new(status, "application/json", response.body)
    }

    /// Returns an HTML response, as from a proxy in front of Okta.
    pub fn html(status: u16) -> Self {
        let body = format!("<html><body><h1>{status}</h1></body></html>");
        Self::new(status, "text/html", body)
    }

    fn to_response(&self) -> Response {
        Response {
            status: self.status,
            content_type: self.content_type.clone(),
            headers: self.headers.clone(),
            body: self.body.clone(),
            ..Response::default()
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// The function that a fault calls with the org.
pub type Hook = Arc<dyn Fn(&mut Org) + Send + Sync>;

/// The effect on a request. Unless stated otherwise, the org has already responded, and made the requested change.
#[derive(Clone)]
pub enum Action {
    /// Responds with this; the org does not receive the request.
    Reply(Reply),
    /// Responds with 429 and a reset in this many seconds; the org does not receive the request.
    RateLimited(i64),
    /// Responds with 429 as for too many concurrent requests: limit 0, remaining 0, and a reset in one minute.
    Concurrency,
    /// Closes the connection without a response; the org does not receive the request.
    Close,
    /// Closes the connection after the change was made, so that the response is lost.
    ApplyThenClose,
    /// Resets the connection after the change was made, instead of responding.
    Reset,
    /// Closes all connections without a response and refuses new ones for this time; the org does not receive the
    /// request.
    Refuse(Duration),
    /// Closes the connection in the middle of a body with a declared length.
    CutBody,
    /// Sends a chunked body that continues with spaces endlessly, with this pause after each chunk of 16 KiB.
    Endless(Duration),
    /// Sends the body byte by byte, with this pause between the bytes.
    Drip(Duration),
    /// Delays the response by this time.
    Delay(Duration),
    /// Omits the rate-limit headers.
    NoLimitHeaders,
    /// Sends these values of limit, remaining and reset.
    LimitHeaders(String, String, String),
    /// Adds a second reset header that is this many seconds later.
    TwoResets(i64),
    /// Adds this many seconds to `Date`.
    DateOff(i64),
    /// Sends another content type.
    ContentType(String),
    /// Sends another status with the org's body.
    Status(u16),
    /// Sends a body that is not UTF-8.
    NotUtf8,
    /// Sends a body that is not JSON, although the headers declare it.
    NotJson,
    /// Sends this body: valid JSON, but of another type.
    OtherShape(String),
    /// Sends status 200 without a body.
    EmptyBody,
    /// Adds this many rows of the listing's first page to a page.
    RepeatRows(usize),
    /// Sets the id of the first row, or of the single object, to null.
    NullId,
    /// Sends the address of the current page as `next`.
    RepeatCursor,
    /// Sends a `next` on another origin, such as `https://other.example`.
    NextOrigin(String),
    /// Sends a `next` with another path and the same query.
    NextPath(String),
    /// Responds with 302 and this address; the org does not receive the request.
    Redirect(String),
    /// Compresses the body with gzip.
    Gzip,
    /// Changes the org when the request arrives, before the org responds.
    Run(Hook),
}

impl Action {
    /// Changes the org when the request arrives, before the org responds.
    pub fn run(hook: impl Fn(&mut Org) + Send + Sync + 'static) -> Self {
        Self::Run(Arc::new(hook))
    }

    /// Responds with an Okta error; the org does not receive the request.
    pub fn okta(status: u16, code: &str) -> Self {
        Self::Reply(Reply::okta(status, code))
    }

    /// Responds with HTML, as a proxy in front of Okta; the org does not receive the request.
    pub fn html(status: u16) -> Self {
        Self::Reply(Reply::html(status))
    }

    /// Returns true if the org does not receive the request.
    pub(crate) fn preempts(&self) -> bool {
        matches!(
            self,
            Self::Reply(_)
                | Self::RateLimited(_)
                | Self::Concurrency
                | Self::Close
                | Self::Refuse(_)
                | Self::Redirect(_)
        )
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reply(reply) => write!(f, "Reply({})", reply.status),
            Self::RateLimited(seconds) => write!(f, "RateLimited({seconds})"),
            Self::Concurrency => f.write_str("Concurrency"),
            Self::Close => f.write_str("Close"),
            Self::ApplyThenClose => f.write_str("ApplyThenClose"),
            Self::Reset => f.write_str("Reset"),
            Self::Refuse(time) => write!(f, "Refuse({time:?})"),
            Self::CutBody => f.write_str("CutBody"),
            Self::Run(_) => f.write_str("Run"),
            _ => f.write_str("Action"),
        }
    }
}

/// The data about the server that faults need.
pub(crate) struct Scene<'a> {
    /// The time according to the server's clock, in seconds since 1970.
    pub now: i64,
    pub origin: &'a str,
    /// The first page of the requested listing.
    pub first_page: &'a dyn Fn() -> Vec<u8>,
}

/// Applies an action to a response. [`Action::Run`] was already applied, before the org responded.
pub(crate) fn spoil(transmission: &mut Transmission, action: &Action, scene: &Scene<'_>) {
    let response = &mut transmission.response;
    match action {
        Action::Run(_) => {}
        Action::Reply(reply) => *response = reply.to_response(),
        Action::RateLimited(seconds) => use_up_limit(transmission, scene.now + seconds),
        Action::Concurrency => {
            *response = too_many();
            transmission.limits = limits("0", "0", scene.now + 60);
        }
        Action::Close | Action::ApplyThenClose => {
            transmission.sending = Sending::Faulty(FaultySending::Nothing)
        }
        Action::Reset => transmission.sending = Sending::Faulty(FaultySending::Reset),
        Action::Refuse(time) => {
            transmission.sending = Sending::Faulty(FaultySending::Refuse(*time))
        }
        Action::CutBody => transmission.sending = Sending::Faulty(FaultySending::Cut),
        Action::Endless(pause) => {
            transmission.sending = Sending::Faulty(FaultySending::Endless(*pause))
        }
        Action::Drip(pause) => transmission.sending = Sending::Faulty(FaultySending::Drip(*pause)),
        Action::Delay(delay) => transmission.delay += *delay,
        Action::NoLimitHeaders => transmission.limits.clear(),
        Action::LimitHeaders(limit, remaining, reset) => {
            let values = [limit, remaining, reset].map(Clone::clone);
            transmission.limits = LIMIT_HEADERS.into_iter().zip(values).collect();
        }
        Action::TwoResets(seconds) => add_later_reset(transmission, *seconds, scene.now),
        Action::DateOff(seconds) => transmission.date_offset += seconds,
        Action::ContentType(kind) => response.content_type = Some(kind.clone()),
        Action::Status(status) => response.status = *status,
        Action::NotUtf8 => response.body = b"[{\"id\":\"\xff\xfe\"}]".to_vec(),
        Action::NotJson => response.body = b"[{\"id\": oops".to_vec(),
        Action::OtherShape(body) => response.body = body.clone().into_bytes(),
        Action::EmptyBody => response.body.clear(),
        Action::RepeatRows(count) => {
            response.body = with_rows_of(&response.body, &(scene.first_page)(), *count);
        }
        Action::NullId => response.body = without_first_id(&response.body),
        Action::RepeatCursor => response.next = response.this.clone(),
        Action::NextOrigin(origin) => {
            let next = response.next.as_ref().or(response.this.as_ref());
            response.next = next.map(|next| next.replacen(scene.origin, origin, 1));
        }
        Action::NextPath(path) => {
            let next = response.next.as_ref().or(response.this.as_ref());
            let query = next.and_then(|next| next.split_once('?'));
            let query = query.map_or("", |(_, query)| query);
            response.next = Some(format!("{}{path}?{query}", scene.origin));
        }
        Action::Redirect(place) => *response = redirect(place),
        Action::Gzip => {
            response.body = gzip(&response.body);
            let header = ("Content-Encoding".to_owned(), "gzip".to_owned());
            response.headers.push(header);
        }
    }
}

/// Replaces the response by 429, with a limit that is used up until `reset`.
fn use_up_limit(transmission: &mut Transmission, reset: i64) {
    transmission.response = too_many();
    let limit = transmission
        .limits
        .first()
        .map_or("600", |(_, limit)| limit.as_str());
    transmission.limits = limits(limit, "0", reset);
}

/// Adds a second header with the time of the reset.
fn add_later_reset(transmission: &mut Transmission, seconds: i64, now: i64) {
    let reset = transmission
        .limits
        .last()
        .and_then(|(_, value)| value.parse::<i64>().ok());
    let later = reset.unwrap_or(now) + seconds;
    transmission
        .limits
        .push((LIMIT_HEADERS[2], later.to_string()));
}

fn redirect(place: &str) -> Response {
    Response {
        status: 302,
        headers: vec![("Location".to_owned(), place.to_owned())],
        ..Response::default()
    }
}

fn with_rows_of(page: &[u8], first: &[u8], count: usize) -> Vec<u8> {
    let rows = |body: &[u8]| serde_json::from_slice::<Vec<serde_json::Value>>(body);
    match (rows(first), rows(page)) {
        (Ok(first), Ok(page)) => {
            let rows: Vec<_> = first.into_iter().take(count).chain(page).collect();
            serde_json::Value::from(rows).to_string().into_bytes()
        }
        _ => page.to_vec(),
    }
}

fn without_first_id(body: &[u8]) -> Vec<u8> {
    let Ok(mut json) = serde_json::from_slice::<serde_json::Value>(body) else {
        return body.to_vec();
    };
    let row = match &mut json {
        serde_json::Value::Array(rows) => rows.first_mut(),
        object => Some(object),
    };
    if let Some(row) = row {
        row["id"] = serde_json::Value::Null;
    }
    json.to_string().into_bytes()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to a Vec cannot fail.
    let _ = encoder.write_all(content);
    encoder.finish().unwrap_or_default()
}

/// The faults, each with the number of requests that it matched.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    armed: Vec<(Fault, u64, Random)>,
}

impl Faults {
    pub(crate) fn arm(&mut self, fault: Fault) {
        let seed = match fault.times {
            Times::Random(_, seed) => seed,
            _ => 0,
        };
        self.armed.push((fault, 0, Random::new(seed)));
    }

    pub(crate) fn clear(&mut self) {
        self.armed.clear();
    }

    /// Returns the actions for a request.
    pub(crate) fn strike(
        &mut self,
        method: &str,
        path: &str,
        query: &str,
        endpoint: Endpoint,
    ) -> Vec<Action> {
        let mut actions = Vec::new();
        for (fault, seen, random) in &mut self.armed {
            let here = match &fault.place {
                Place::Any => true,
                Place::Endpoint(wanted) => *wanted == endpoint,
                Place::Path(wanted) => wanted == path,
                Place::Prefix(prefix) => path.starts_with(prefix),
            };
            let this = fault.method.as_ref().is_none_or(|wanted| wanted == method)
                && fault.query.as_ref().is_none_or(|part| query.contains(part));
            if !here || !this {
                continue;
            }
            *seen += 1;
            let now = match fault.times {
                Times::Every => true,
                Times::Nth(k) => *seen == k,
                Times::First(k) => *seen <= k,
                Times::From(k) => *seen >= k,
                Times::Random(probability, _) => random.chance(probability),
            };
            if now {
                actions.push(fault.action.clone());
            }
        }
        actions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn struck(fault: Fault, requests: usize) -> Vec<bool> {
        let mut faults = Faults::default();
        faults.arm(fault);
        let mut strike = || faults.strike("GET", "/api/v1/users", "after=x", Endpoint::Users);
        (0..requests).map(|_| !strike().is_empty()).collect()
    }

    #[test]
    fn a_fault_affects_the_requests_that_it_matches() {
        let close = || Fault::on(Endpoint::Users, Action::Close);
        assert_eq!(struck(close(), 2), [true, true]);
        assert_eq!(struck(close().nth(2), 3), [false, true, false]);
        assert_eq!(struck(close().first(2), 3), [true, true, false]);
        assert_eq!(struck(close().from(2), 3), [false, true, true]);
        assert_eq!(struck(close().method("PUT"), 1), [false]);
        assert_eq!(struck(close().query("after="), 1), [true]);
        assert_eq!(struck(close().query("limit="), 1), [false]);
        assert_eq!(
            struck(Fault::prefix("/api/v1/gr", Action::Close), 1),
            [false]
        );
        assert_eq!(
            struck(Fault::path("/api/v1/users", Action::Close), 1),
            [true]
        );
        let some = struck(close().random(0.3, 7), 1000);
        assert_eq!(some, struck(close().random(0.3, 7), 1000));
        let count = some.iter().filter(|hit| **hit).count();
        assert!((200..400).contains(&count), "{count}");
    }

    fn spoiled(action: &Action) -> Transmission {
        let mut transmission = Transmission {
            response: Response {
                this: Some("http://here/api/v1/users?limit=2".to_owned()),
                next: Some("http://here/api/v1/users?after=c&limit=2".to_owned()),
                ..Response::json(b"[{\"id\":\"b\"}]".to_vec())
            },
            limits: limits("600", "599", 1060),
            ..Transmission::default()
        };
        let first_page = || b"[{\"id\":\"a\"},{\"id\":\"z\"}]".to_vec();
        let scene = Scene {
            now: 1000,
            origin: "http://here",
            first_page: &first_page,
        };
        spoil(&mut transmission, action, &scene);
        transmission
    }

    #[test]
    fn rows_and_links_are_changed_by_faults() {
        let body = |action| String::from_utf8(spoiled(&action).response.body).unwrap();
        assert_eq!(
            body(Action::RepeatRows(1)),
            "[{\"id\":\"a\"},{\"id\":\"b\"}]"
        );
        assert_eq!(body(Action::NullId), "[{\"id\":null}]");
        assert_eq!(without_first_id(b"{\"id\":\"b\"}"), b"{\"id\":null}");
        let next = |action| spoiled(&action).response.next.unwrap();
        assert_eq!(
            next(Action::RepeatCursor),
            "http://here/api/v1/users?limit=2"
        );
        assert_eq!(
            next(Action::NextOrigin("https://evil.example".to_owned())),
            "https://evil.example/api/v1/users?after=c&limit=2"
        );
        assert_eq!(
            next(Action::NextPath("/api/v1/groups".to_owned())),
            "http://here/api/v1/groups?after=c&limit=2"
        );
    }

    #[test]
    fn limit_headers_are_changed_by_faults() {
        let values = |action| {
            let limits = spoiled(&action).limits;
            limits
                .into_iter()
                .map(|(_, value)| value)
                .collect::<Vec<_>>()
        };
        assert_eq!(values(Action::RateLimited(5)), ["600", "0", "1005"]);
        assert_eq!(values(Action::Concurrency), ["0", "0", "1060"]);
        assert!(values(Action::NoLimitHeaders).is_empty());
        assert_eq!(
            values(Action::TwoResets(30)),
            ["600", "599", "1060", "1090"]
        );
    }
}
