//! Faults between the org and the tool. The effect of a fault on a response is pure; the server does what only it can:
//! sleep, cut off, close.

use std::fmt;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::send::OddSending;
use crate::endpoint::Endpoint;
use crate::org::Org;
use crate::random::Random;
use crate::response::Response;
use crate::transmission::{LIMIT_HEADERS, Sending, Transmission, limits, too_many};

/// Something that goes wrong: which requests, which of those, and what happens to them.
///
/// Several faults can hit one request; they act in the order in which they were armed.
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
    /// Hits any request.
    pub fn any(action: Action) -> Self {
        Self::new(Place::Any, action)
    }

    /// Requests of one kind.
    pub fn on(endpoint: Endpoint, action: Action) -> Self {
        Self::new(Place::Endpoint(endpoint), action)
    }

    /// Requests of exactly this path, as sent.
    pub fn path(path: impl Into<String>, action: Action) -> Self {
        Self::new(Place::Path(path.into()), action)
    }

    /// Requests of a path that starts like this.
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

    /// Narrows the fault to requests with this method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Narrows the fault to requests whose query as sent contains this text.
    #[must_use]
    pub fn query(mut self, part: &str) -> Self {
        self.query = Some(part.to_owned());
        self
    }

    /// Narrows the fault to the `k`th request, from 1.
    #[must_use]
    pub fn nth(mut self, k: u64) -> Self {
        self.times = Times::Nth(k);
        self
    }

    /// Narrows the fault to the first `k` requests.
    #[must_use]
    pub fn first(mut self, k: u64) -> Self {
        self.times = Times::First(k);
        self
    }

    /// Narrows the fault to the `k`th request (from 1) and all after it.
    #[must_use]
    pub fn from(mut self, k: u64) -> Self {
        self.times = Times::From(k);
        self
    }

    /// Narrows the fault to each request with this probability; which ones depends on the seed alone.
    #[must_use]
    pub fn random(mut self, probability: f64, seed: u64) -> Self {
        self.times = Times::Random(probability, seed);
        self
    }
}

/// A complete response instead of the org's.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The content type, if any.
    pub content_type: Option<String>,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// Returns a reply with any body.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            content_type: Some(content_type.to_owned()),
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// Returns one of Okta's errors.
    pub fn okta(status: u16, code: &str) -> Self {
        let answer = Response::error(status, code, "A fault of the demo", &[]);
        Self::new(status, "application/json", answer.body)
    }

    /// Returns the response of a proxy in front of Okta.
    pub fn html(status: u16) -> Self {
        let body = format!("<html><body><h1>{status}</h1></body></html>");
        Self::new(status, "text/html", body)
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

/// The effect on a request. Unless stated otherwise, the org has answered (and a change has been made) before.
#[derive(Clone)]
pub enum Action {
    /// Answered with this; the org does not see the request.
    Reply(Reply),
    /// 429, with a reset in so many seconds; the org does not see the request.
    RateLimited(i64),
    /// 429 as for too many requests at once: limit 0, remaining 0, a reset a minute off.
    Concurrency,
    /// Closes the connection without a response; the org does not see the request.
    Close,
    /// Makes the change, then closes the connection: the response is lost.
    ApplyThenClose,
    /// Makes the change, then resets the connection instead of a response.
    Reset,
    /// Closes every connection without a response, and refuses new ones for this long; the org does not see the
    /// request.
    Refuse(Duration),
    /// Closed in the middle of the body, whose length was promised.
    CutBody,
    /// A chunked body that continues with spaces forever, with a pause between two chunks of 16 KiB.
    Endless(Duration),
    /// The body comes a byte at a time, with this pause.
    Drip(Duration),
    /// Delays the response by this long.
    Delay(Duration),
    /// No rate-limit headers.
    NoLimitHeaders,
    /// These values of limit, remaining and reset.
    LimitHeaders(String, String, String),
    /// A second, later reset by so many seconds.
    TwoResets(i64),
    /// `Date` is off by so many seconds.
    DateOff(i64),
    /// A different content type.
    ContentType(String),
    /// A different status, with the org's body.
    Status(u16),
    /// A body that is not UTF-8.
    NotUtf8,
    /// A body that is not JSON, although the headers declare it.
    NotJson,
    /// JSON, but not what was promised.
    OtherShape(String),
    /// 200 and no body.
    EmptyBody,
    /// A page repeats rows of the listing's first page.
    RepeatRows(usize),
    /// The first row, or the single object, has the id null.
    NullId,
    /// `next` is the address that was just requested.
    RepeatCursor,
    /// `next` is on another origin (`https://other.example`).
    NextOrigin(String),
    /// `next` has another path, with the same query.
    NextPath(String),
    /// 302 to this address; the org does not see the request.
    Redirect(String),
    /// The body as gzip.
    Gzip,
    /// Changes the org when the request arrives, before it is answered.
    Run(Hook),
}

impl Action {
    /// Changes the org when the request arrives, before it is answered.
    pub fn run(hook: impl Fn(&mut Org) + Send + Sync + 'static) -> Self {
        Self::Run(Arc::new(hook))
    }

    /// Returns one of Okta's errors; the org does not see the request.
    pub fn okta(status: u16, code: &str) -> Self {
        Self::Reply(Reply::okta(status, code))
    }

    /// Returns the response of a proxy in front of Okta; the org does not see the request.
    pub fn html(status: u16) -> Self {
        Self::Reply(Reply::html(status))
    }

    /// Returns whether the org never sees the request.
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

/// The parts of the server that a fault may need.
pub(crate) struct Scene<'a> {
    /// Seconds since 1970 by the server's clock.
    pub now: i64,
    pub origin: &'a str,
    /// The first page of the requested listing.
    pub first_page: &'a dyn Fn() -> Vec<u8>,
}

/// Applies an action to a response. [`Action::Run`] was applied before there was one.
pub(crate) fn spoil(transmission: &mut Transmission, action: &Action, scene: &Scene<'_>) {
    let answer = &mut transmission.response;
    match action {
        Action::Run(_) => {}
        Action::Reply(reply) => {
            *answer = Response {
                status: reply.status,
                content_type: reply.content_type.clone(),
                headers: reply.headers.clone(),
                body: reply.body.clone(),
                ..Response::default()
            };
        }
        Action::RateLimited(seconds) => {
            *answer = too_many();
            let limit = transmission
                .limits
                .first()
                .map_or("600", |(_, limit)| limit.as_str());
            transmission.limits = limits(limit, "0", scene.now + seconds);
        }
        Action::Concurrency => {
            *answer = too_many();
            transmission.limits = limits("0", "0", scene.now + 60);
        }
        Action::Close | Action::ApplyThenClose => {
            transmission.sending = Sending::Odd(OddSending::Nothing)
        }
        Action::Reset => transmission.sending = Sending::Odd(OddSending::Reset),
        Action::Refuse(time) => transmission.sending = Sending::Odd(OddSending::Refuse(*time)),
        Action::CutBody => transmission.sending = Sending::Odd(OddSending::Cut),
        Action::Endless(pause) => transmission.sending = Sending::Odd(OddSending::Endless(*pause)),
        Action::Drip(pause) => transmission.sending = Sending::Odd(OddSending::Drip(*pause)),
        Action::Delay(delay) => transmission.delay += *delay,
        Action::NoLimitHeaders => transmission.limits.clear(),
        Action::LimitHeaders(limit, remaining, reset) => {
            let values = [limit, remaining, reset].map(Clone::clone);
            transmission.limits = LIMIT_HEADERS.into_iter().zip(values).collect();
        }
        Action::TwoResets(seconds) => {
            let reset = transmission
                .limits
                .last()
                .and_then(|(_, value)| value.parse::<i64>().ok());
            let later = reset.unwrap_or(scene.now) + seconds;
            transmission
                .limits
                .push((LIMIT_HEADERS[2], later.to_string()));
        }
        Action::DateOff(seconds) => transmission.date_offset += seconds,
        Action::ContentType(kind) => answer.content_type = Some(kind.clone()),
        Action::Status(status) => answer.status = *status,
        Action::NotUtf8 => answer.body = b"[{\"id\":\"\xff\xfe\"}]".to_vec(),
        Action::NotJson => answer.body = b"[{\"id\": oops".to_vec(),
        Action::OtherShape(body) => answer.body = body.clone().into_bytes(),
        Action::EmptyBody => answer.body.clear(),
        Action::RepeatRows(count) => {
            answer.body = with_rows_of(&answer.body, &(scene.first_page)(), *count);
        }
        Action::NullId => answer.body = without_first_id(&answer.body),
        Action::RepeatCursor => answer.next = answer.this.clone(),
        Action::NextOrigin(origin) => {
            let next = answer.next.as_ref().or(answer.this.as_ref());
            answer.next = next.map(|next| next.replacen(scene.origin, origin, 1));
        }
        Action::NextPath(path) => {
            let next = answer.next.as_ref().or(answer.this.as_ref());
            let query = next.and_then(|next| next.split_once('?'));
            let query = query.map_or("", |(_, query)| query);
            answer.next = Some(format!("{}{path}?{query}", scene.origin));
        }
        Action::Redirect(place) => {
            *answer = Response {
                status: 302,
                headers: vec![("Location".to_owned(), place.clone())],
                ..Response::default()
            };
        }
        Action::Gzip => {
            answer.body = gzip(&answer.body);
            let header = ("Content-Encoding".to_owned(), "gzip".to_owned());
            answer.headers.push(header);
        }
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

/// The faults that are armed, with how often each could have struck.
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

    /// Returns the actions that hit a request.
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
    fn a_fault_strikes_when_it_says() {
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
    fn rows_and_links_are_spoiled_as_asked() {
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
    fn limit_headers_are_spoiled_as_asked() {
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
