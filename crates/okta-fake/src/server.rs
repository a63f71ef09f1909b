//! The server: sockets, the log of requests, limits and faults around [`answer`].
//!
//! One thread a connection. A thread that sleeps or sends forever looks at the stop flag; the rest are woken by closing
//! their sockets, so dropping the server takes no longer than a moment.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

use super::endpoint::Endpoint;
use super::limits::{Bucket, Buckets, Limits, Window};
use super::org::{Millis, Org};
use super::query::Incoming;
use super::respond::{MembershipChange, change, respond};
use super::response::Response;
#[cfg(feature = "testing")]
use super::testing::fault::{Action, Fault, Faults, Scene, spoil};
#[cfg(feature = "testing")]
use super::transmission::Sending;
use super::transmission::{Transmission, limits, too_many};

/// The largest page of each listing; a larger `limit` is cut to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageCap {
    /// `/users`
    pub users: usize,
    /// `/groups`
    pub groups: usize,
    /// `/groups/{id}/users`
    pub members: usize,
    /// `/users/{id}/groups`
    pub user_groups: usize,
}

impl Default for PageCap {
    fn default() -> Self {
        Self {
            users: 200,
            groups: 200,
            members: 1000,
            user_groups: 200,
        }
    }
}

/// The searches of users that are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Those that use `co`.
    Contains,
    /// Those that ask for creation times.
    Created,
    /// Every one.
    All,
}

/// Searches of users that this org refuses, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefuseSearch {
    /// Which.
    pub what: Refused,
    /// The status, usually 400 or 409.
    pub status: u16,
    /// Okta's code, usually E0000031 or E0000145.
    pub code: String,
}

impl RefuseSearch {
    /// Refuses with 400 E0000031.
    pub fn new(what: Refused) -> Self {
        Self {
            what,
            status: 400,
            code: "E0000031".to_owned(),
        }
    }
}

/// The behavior of the server. The default is an Okta org without surprises, as fast as the machine.
#[derive(Clone, Debug)]
pub struct Options {
    /// The port; 0 takes any free one.
    pub port: u16,
    /// The token that is right.
    pub token: String,
    /// True to keep every request; the benchmark only needs their number.
    pub log_requests: bool,
    /// True if a wrong token does not make a request unexpected.
    pub expect_unauthorized: bool,
    /// The time by which the server's clock is ahead.
    pub clock_offset_seconds: i64,
    /// The least time between a request and its response.
    pub latency: Duration,
    /// The largest pages.
    pub page_cap: PageCap,
    /// A full last page has a `next`, which leads to an empty one.
    pub trailing_empty_page: bool,
    /// The origin that links name, if not the server's own.
    pub link_host: Option<String>,
    /// Requests a window.
    pub limits: Limits,
    /// The length of a window.
    pub window: Duration,
    /// The largest number of requests in flight.
    pub concurrency_limit: Option<usize>,
    /// Searches that are refused.
    pub refuse_search: Option<RefuseSearch>,
    /// `sortBy` is accepted and does nothing.
    pub ignore_sort: bool,
    /// Everyone is hidden, as from the token of a group admin.
    pub hide_everyone: bool,
    /// Changes of memberships are answered with 403.
    pub forbid_changes: bool,
    /// Listing the group rules is answered with 403.
    pub forbid_rules: bool,
    /// Reading the org is answered with 403.
    pub forbid_org: bool,
    /// Reading a user's admin roles is answered with 403, as to anyone but a super admin.
    pub forbid_roles: bool,
    /// Changing a group that Okta does not manage is answered with 501 instead of 403.
    pub read_only_groups_answer_501: bool,
    /// Removing a user who is not a member is answered with 404 instead of 204.
    pub absent_delete_answers_404: bool,
    /// The time for which reads do not show a change.
    pub read_lag: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            token: "00demo-token-not-a-secret".to_owned(),
            log_requests: true,
            expect_unauthorized: false,
            clock_offset_seconds: 0,
            latency: Duration::ZERO,
            page_cap: PageCap::default(),
            trailing_empty_page: false,
            link_host: None,
            limits: Limits::default(),
            window: Duration::from_secs(60),
            concurrency_limit: None,
            refuse_search: None,
            ignore_sort: false,
            hide_everyone: false,
            forbid_changes: false,
            forbid_rules: false,
            forbid_org: false,
            forbid_roles: false,
            read_only_groups_answer_501: false,
            absent_delete_answers_404: false,
            read_lag: Duration::ZERO,
        }
    }
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The path as sent.
    pub path: String,
    /// The part after the `?`, as sent; empty without one.
    pub query: String,
    /// The kind of request.
    pub endpoint: Endpoint,
    /// The status of the response; 0 until then, and if the connection was closed instead.
    pub status: u16,
    /// True if a fault hit it.
    pub faulty: bool,
    /// Of the headers: user-agent, content-type, content-length, accept, accept-encoding. Names in lower case.
    pub headers: Vec<(String, String)>,
    /// True if the token was right.
    pub authorized: bool,
    /// The time at which its head had arrived.
    pub at: Instant,
    /// The number of requests in flight at that time, this one included.
    pub in_flight: usize,
}

impl Request {
    /// Returns a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let header = headers.find(|(other, _)| other == name);
        header.map(|(_, value)| value.as_str())
    }
}

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    token: String,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    address: SocketAddr,
    origin: String,
    org: RwLock<Org>,
    options: RwLock<Options>,
    #[cfg(feature = "testing")]
    faults: Mutex<Faults>,
    buckets: Mutex<Buckets>,
    requests: Mutex<Log>,
    unexpected: Mutex<Vec<String>>,
    changes: Mutex<Vec<MembershipChange>>,
    count: AtomicU64,
    in_flight: AtomicUsize,
    stop: AtomicBool,
    /// The time for which the server stops listening, from now on; set by a fault.
    pub(crate) away: Mutex<Option<Duration>>,
    /// The open connections, to be closed from outside.
    connections: Mutex<HashMap<u64, TcpStream>>,
}

/// The requests, and how many were forgotten before the first of them.
#[derive(Debug, Default)]
struct Log {
    forgotten: usize,
    requests: Vec<Request>,
}

impl Server {
    /// Starts a server for an org on loopback.
    ///
    /// # Errors
    /// Returns an error if the port is taken.
    pub fn start(org: Org, options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))?;
        let address = listener.local_addr()?;
        let token = options.token.clone();
        let shared = Arc::new(Shared {
            address,
            origin: format!("http://{address}"),
            org: RwLock::new(org),
            options: RwLock::new(options),
            #[cfg(feature = "testing")]
            faults: Mutex::default(),
            buckets: Mutex::default(),
            requests: Mutex::default(),
            unexpected: Mutex::default(),
            changes: Mutex::default(),
            count: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            away: Mutex::default(),
            connections: Mutex::default(),
        });
        let accepting = {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name("demo-accept".to_owned())
                .spawn(move || accept(&shared, listener))?
        };
        Ok(Self {
            shared,
            token,
            accepting: Some(accepting),
        })
    }

    /// Returns `http://127.0.0.1:PORT`.
    pub fn origin(&self) -> String {
        self.shared.origin.clone()
    }

    /// Returns the token that was valid at the start.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Locks the org for reading. Requests that change it wait.
    pub fn org(&self) -> RwLockReadGuard<'_, Org> {
        self.shared.org()
    }

    /// Locks the org for changes. All requests wait.
    pub fn org_mut(&self) -> RwLockWriteGuard<'_, Org> {
        self.shared.org_mut()
    }

    /// Changes the options from the next request on; port and latency of what is under way stay.
    pub fn change_options(&self, change: impl FnOnce(&mut Options)) {
        let mut options = self
            .shared
            .options
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        change(&mut options);
    }

    /// Arms a fault.
    #[cfg(feature = "testing")]
    pub fn fault(&self, fault: Fault) {
        lock(&self.shared.faults).arm(fault);
    }

    /// Disarms all faults.
    #[cfg(feature = "testing")]
    pub fn clear_faults(&self) {
        lock(&self.shared.faults).clear();
    }

    /// Returns every request, in order of arrival, since the last [`Server::clear_requests`].
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.requests).requests.clone()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        let mut log = lock(&self.shared.requests);
        log.forgotten += log.requests.len();
        log.requests.clear();
    }

    /// Returns the number of requests since the start.
    pub fn count(&self) -> u64 {
        self.shared.count.load(Ordering::Relaxed)
    }

    /// Returns every request that this tool should never send, and why.
    pub fn unexpected(&self) -> Vec<String> {
        lock(&self.shared.unexpected).clone()
    }

    /// Returns every change of a membership that the org answered, including refused ones.
    pub fn changes(&self) -> Vec<MembershipChange> {
        lock(&self.shared.changes).clone()
    }

    /// Returns every rate-limit window so far, in order of start.
    pub fn windows(&self) -> Vec<Window> {
        lock(&self.shared.buckets).windows()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.wake();
        self.shared.close_all();
        if let Some(accepting) = self.accepting.take() {
            // It joins the others; a panic in one of them has been printed.
            let _ = accepting.join();
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(shared: &Arc<Shared>, mut listener: TcpListener) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    for number in 0.. {
        let Ok((stream, _)) = listener.accept() else {
            // Out of descriptors, or the client was gone already.
            std::thread::sleep(Duration::from_millis(5));
            if shared.stopped() {
                break;
            }
            continue;
        };
        let away = lock(&shared.away).take();
        if let Some(time) = away {
            drop(listener);
            // Only now, so that new connections are refused.
            shared.close_all();
            shared.sleep_until(Instant::now() + time);
            let Some(again) = shared.listen() else { break };
            listener = again;
            continue;
        }
        if shared.stopped() {
            break;
        }
        threads.retain(|thread| !thread.is_finished());
        let Ok(twin) = stream.try_clone() else {
            continue;
        };
        lock(&shared.connections).insert(number, twin);
        let shared = Arc::clone(shared);
        let thread = std::thread::Builder::new()
            .name("demo-connection".to_owned())
            .spawn(move || {
                // A broken connection is the client's business.
                let _ = serve(&shared, stream);
                lock(&shared.connections).remove(&number);
            });
        threads.extend(thread);
    }
    // Those that came in between the flag and here.
    shared.close_all();
    for thread in threads {
        let _ = thread.join();
    }
}

/// The head of a request.
struct Head {
    ask: Incoming,
    headers: Vec<(String, String)>,
    length: usize,
    close: bool,
    /// True if the body has no length in advance, so that it cannot be skipped.
    chunked: bool,
}

/// The longest head that is read.
const HEAD_LIMIT: usize = 32 * 1024;

fn serve(shared: &Shared, mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer: Vec<u8> = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        let (head, size) = loop {
            match parse(&buffer, &shared.options().token) {
                Ok(Some(parsed)) => break parsed,
                Ok(None) if buffer.len() <= HEAD_LIMIT => {}
                Ok(None) => return refuse(shared, &mut stream, 431),
                Err(_) => return refuse(shared, &mut stream, 400),
            }
            let count = stream.read(&mut chunk)?;
            if count == 0 {
                return Ok(());
            }
            buffer.extend_from_slice(&chunk[..count]);
        };
        buffer.drain(..size);
        let mut body = head.length;
        loop {
            let here = body.min(buffer.len());
            buffer.drain(..here);
            body -= here;
            if body == 0 {
                break;
            }
            let count = stream.read(&mut chunk)?;
            if count == 0 {
                return Ok(());
            }
            buffer.extend_from_slice(&chunk[..count]);
        }
        let close = head.close || head.chunked;
        let keep = shared.respond(head, &mut stream)?;
        if close || !keep || shared.stopped() {
            let _ = stream.shutdown(Shutdown::Both);
            return Ok(());
        }
    }
}

fn refuse(shared: &Shared, stream: &mut TcpStream, status: u16) -> io::Result<()> {
    lock(&shared.unexpected).push(format!("a request that is no HTTP, or too long: {status}"));
    write!(
        stream,
        "HTTP/1.1 {status} Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
}

fn parse(buffer: &[u8], token: &str) -> Result<Option<(Head, usize)>, httparse::Error> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(size) = request.parse(buffer)? else {
        return Ok(None);
    };
    let target = request.path.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut head = Head {
        ask: Incoming {
            method: request.method.unwrap_or_default().to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            ..Incoming::default()
        },
        headers: Vec::new(),
        length: 0,
        close: false,
        chunked: false,
    };
    for header in request.headers.iter() {
        let name = header.name.to_ascii_lowercase();
        let value = String::from_utf8_lossy(header.value).into_owned();
        match name.as_str() {
            "authorization" => head.ask.authorized = value.strip_prefix("SSWS ") == Some(token),
            "connection" => head.close = value.eq_ignore_ascii_case("close"),
            "transfer-encoding" => head.chunked = true,
            "content-length" => {
                head.length = value.parse().map_err(|_| httparse::Error::HeaderValue)?;
                head.ask.has_length = true;
            }
            "content-type" => {
                let all = [
                    "omitCredentials",
                    "omitCredentialsLinks",
                    "omitTransitioningToStatus",
                ];
                let asked: Vec<&str> = value.split(['"', ',']).map(str::trim).collect();
                head.ask.omit_credentials = value.contains("okta-response=")
                    && all.iter().all(|wanted| asked.contains(wanted));
            }
            _ => {}
        }
        let kept = [
            "user-agent",
            "content-type",
            "content-length",
            "accept",
            "accept-encoding",
        ];
        if kept.contains(&name.as_str()) {
            head.headers.push((name, value));
        }
    }
    Ok(Some((head, size)))
}

/// The time at which a request arrived, and the number of requests in flight.
#[derive(Clone, Copy)]
struct Arrival {
    at: Instant,
    in_flight: usize,
    /// The server's own time.
    now: Millis,
}

impl Shared {
    fn org(&self) -> RwLockReadGuard<'_, Org> {
        self.org.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn org_mut(&self) -> RwLockWriteGuard<'_, Org> {
        self.org.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn options(&self) -> RwLockReadGuard<'_, Options> {
        self.options.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Wakes the accepting thread.
    pub(crate) fn wake(&self) {
        drop(TcpStream::connect(self.address));
    }

    /// Listens again where it listened before, unless the server stops.
    fn listen(&self) -> Option<TcpListener> {
        while !self.stopped() {
            if let Ok(listener) = TcpListener::bind(self.address) {
                return Some(listener);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }

    fn close_all(&self) {
        for stream in lock(&self.connections).values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Sleeps in small pieces, so that the server can stop at any time.
    pub(crate) fn sleep_until(&self, end: Instant) {
        loop {
            let rest = end.saturating_duration_since(Instant::now());
            if rest.is_zero() || self.stopped() {
                return;
            }
            std::thread::sleep(rest.min(Duration::from_millis(20)));
        }
    }

    /// Answers one request; false if the connection cannot be used any more.
    fn respond(&self, head: Head, stream: &mut TcpStream) -> io::Result<bool> {
        let at = Instant::now();
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let in_flight = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        // Cloned, so that options can be changed while a slow response is being sent.
        let options = self.options().clone();
        let (endpoint, _) = Endpoint::of(&head.ask.path);
        let entry = options.log_requests.then(|| {
            let mut log = lock(&self.requests);
            log.requests.push(Request {
                method: head.ask.method.clone(),
                path: head.ask.path.clone(),
                query: head.ask.query.clone(),
                endpoint,
                status: 0,
                faulty: false,
                headers: head.headers,
                authorized: head.ask.authorized,
                at,
                in_flight,
            });
            log.forgotten + log.requests.len() - 1
        });
        let now = now(options.clock_offset_seconds);
        let (transmission, faulty) = self.transmission(
            &head.ask,
            endpoint,
            &options,
            Arrival { at, in_flight, now },
        );
        if let Some(why) = &transmission.response.unexpected {
            let Incoming {
                method,
                path,
                query,
                ..
            } = &head.ask;
            lock(&self.unexpected).push(format!("{method} {path}?{query}: {why}"));
        }
        self.sleep_until(at + options.latency + transmission.delay);
        let status = if transmission.has_status() {
            transmission.response.status
        } else {
            0
        };
        if let Some(entry) = entry {
            let mut log = lock(&self.requests);
            // The log may have been cleared in the meantime.
            let place = entry.checked_sub(log.forgotten);
            if let Some(request) = place.and_then(|place| log.requests.get_mut(place)) {
                request.status = status;
                request.faulty = faulty;
            }
        }
        // Before the response is sent: its receiver may send the next request at once.
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        let date = now.div_euclid(1000) + transmission.date_offset;
        let head = response_head(&transmission, number, date);
        #[cfg(feature = "testing")]
        if let Sending::Odd(odd) = transmission.sending {
            return self.send_oddly(odd, &transmission, head, stream);
        }
        if self.stopped() {
            return Ok(false);
        }
        let mut bytes = head;
        bytes.extend_from_slice(&transmission.response.body);
        stream.write_all(&bytes)?;
        Ok(true)
    }

    fn transmission(
        &self,
        ask: &Incoming,
        endpoint: Endpoint,
        options: &Options,
        arrival: Arrival,
    ) -> (Transmission, bool) {
        let Arrival { at, in_flight, now } = arrival;
        let seconds = now.div_euclid(1000);
        if options
            .concurrency_limit
            .is_some_and(|limit| in_flight > limit)
        {
            let transmission = Transmission {
                response: too_many(),
                limits: limits("0", "0", seconds + 60),
                ..Transmission::default()
            };
            return (transmission, false);
        }
        let window = Millis::try_from(options.window.as_millis()).unwrap_or(Millis::MAX);
        let bucket = Bucket::of(endpoint);
        let verdict = lock(&self.buckets).count(bucket, &options.limits, window, now);
        let (limit, remaining) = (verdict.limit.to_string(), verdict.remaining.to_string());
        let mut transmission = Transmission {
            limits: limits(&limit, &remaining, verdict.reset),
            ..Transmission::default()
        };
        if !verdict.allowed {
            transmission.response = too_many();
            return (transmission, false);
        }
        let base = options.link_host.as_deref().unwrap_or(&self.origin);
        #[cfg(feature = "testing")]
        let faulty = self.spoiled(ask, endpoint, options, arrival, &mut transmission);
        #[cfg(not(feature = "testing"))]
        let faulty = false;
        if !faulty {
            transmission.response = self.ask(ask, endpoint, options, base, at);
        }
        (transmission, faulty)
    }

    /// Lets the faults act that hit a request. Returns whether there are any.
    #[cfg(feature = "testing")]
    fn spoiled(
        &self,
        ask: &Incoming,
        endpoint: Endpoint,
        options: &Options,
        arrival: Arrival,
        transmission: &mut Transmission,
    ) -> bool {
        let now = arrival.now.div_euclid(1000);
        let at = arrival.at;
        let actions = lock(&self.faults).strike(&ask.method, &ask.path, &ask.query, endpoint);
        if actions.is_empty() {
            return false;
        }
        for action in &actions {
            if let Action::Run(hook) = action {
                hook(&mut self.org_mut());
            }
        }
        let base = options.link_host.as_deref().unwrap_or(&self.origin);
        if !actions.iter().any(Action::preempts) {
            transmission.response = self.ask(ask, endpoint, options, base, at);
        }
        let first_page = || {
            let other = ask
                .query
                .split('&')
                .filter(|pair| !pair.starts_with("after="));
            let ask = Incoming {
                query: other.collect::<Vec<_>>().join("&"),
                ..ask.clone()
            };
            respond(&self.org(), options, base, &ask).body
        };
        let scene = Scene {
            now,
            origin: base,
            first_page: &first_page,
        };
        for action in &actions {
            spoil(transmission, action, &scene);
        }
        true
    }

    fn ask(
        &self,
        ask: &Incoming,
        endpoint: Endpoint,
        options: &Options,
        base: &str,
        now: Instant,
    ) -> Response {
        if self.org().is_due(now) {
            self.org_mut().settle(now);
        }
        if endpoint == Endpoint::Member {
            let mut org = self.org_mut();
            if let Some((answer, change)) = change(&mut org, options, ask, now) {
                // Under the org's lock: the log is in the order in which it happened.
                if matches!(change.method.as_str(), "PUT" | "DELETE") {
                    lock(&self.changes).push(change);
                }
                return answer;
            }
        }
        respond(&self.org(), options, base, ask)
    }
}

fn response_head(transmission: &Transmission, number: u64, date: i64) -> Vec<u8> {
    let answer = &transmission.response;
    let mut head = format!("HTTP/1.1 {} {}\r\n", answer.status, reason(answer.status));
    let mut add = |name: &str, value: &str| {
        for part in [name, ": ", value, "\r\n"] {
            head.push_str(part);
        }
    };
    if let Some(date) = http_date(date) {
        add("Date", &date);
    }
    if let Some(kind) = &answer.content_type {
        add("Content-Type", kind);
    }
    // The part of Okta that rejects a wrong method counts no requests and gives them no id.
    if answer.status != 405 {
        add("X-Okta-Request-Id", &format!("req{number:024}"));
        for (name, value) in &transmission.limits {
            add(name, value);
        }
    }
    for (name, value) in &answer.headers {
        add(name, value);
    }
    for (address, relation) in [(&answer.this, "self"), (&answer.next, "next")] {
        if let Some(address) = address {
            add("Link", &format!("<{address}>; rel=\"{relation}\""));
        }
    }
    if transmission.is_chunked() {
        add("Transfer-Encoding", "chunked");
    } else if answer.status != 204 {
        // A response with this status has no body, and so no length.
        add("Content-Length", &answer.body.len().to_string());
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// Milliseconds since 1970 by a clock that is off.
fn now(offset_seconds: i64) -> Millis {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(0) + offset_seconds * 1000
}

fn http_date(seconds: i64) -> Option<String> {
    let time = Timestamp::from_second(seconds).ok()?;
    DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&time)
        .ok()
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        302 => "Found",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        411 => "Length Required",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Status",
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};

    use super::super::org::{Group, User};
    use super::*;

    struct Client(BufReader<TcpStream>);

    struct Received {
        status: u16,
        headers: Vec<(String, String)>,
        body: String,
    }

    impl Received {
        fn all(&self, name: &str) -> Vec<&str> {
            let headers = self.headers.iter().filter(|(other, _)| other == name);
            headers.map(|(_, value)| value.as_str()).collect()
        }
    }

    impl Client {
        fn new(server: &Server) -> Self {
            let stream = TcpStream::connect(server.shared.address).unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(10)))
                .unwrap();
            Self(BufReader::new(stream))
        }

        fn send(&mut self, server: &Server, request: &str, more: &str) {
            let token = server.token();
            let head = format!(
                "{request} HTTP/1.1\r\nHost: x\r\nAuthorization: SSWS {token}\r\n{more}\r\n"
            );
            self.0.get_mut().write_all(head.as_bytes()).unwrap();
        }

        fn receive(&mut self) -> Option<Received> {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            let status = line.split(' ').nth(1).unwrap().parse().unwrap();
            let mut headers = Vec::new();
            loop {
                let mut line = String::new();
                self.0.read_line(&mut line).unwrap();
                let Some((name, value)) = line.trim_end().split_once(": ") else {
                    break;
                };
                headers.push((name.to_owned(), value.to_owned()));
            }
            let mut received = Received {
                status,
                headers,
                body: String::new(),
            };
            let length = received
                .all("Content-Length")
                .first()
                .map(|length| length.parse().unwrap());
            let mut body = vec![0; length.unwrap_or(0)];
            self.0.read_exact(&mut body).ok()?;
            received.body = String::from_utf8(body).unwrap();
            Some(received)
        }

        fn get(&mut self, server: &Server, target: &str) -> Option<Received> {
            self.send(server, &format!("GET {target}"), "User-Agent: test\r\n");
            self.receive()
        }
    }

    fn small() -> Org {
        let mut org = Org::new();
        org.add_group(Group::new("g", "One"));
        for id in ["a", "b", "c"] {
            org.add_user(User::with_email(id, &format!("{id}@example.com")));
        }
        org
    }

    #[test]
    fn one_connection_serves_several_requests() {
        let server = Server::start(small(), Options::default()).unwrap();
        let mut client = Client::new(&server);
        let page = client.get(&server, "/api/v1/users?limit=2").unwrap();
        assert_eq!(
            (page.status, page.all("Content-Type")),
            (200, vec!["application/json"])
        );
        assert_eq!(page.all("Link").len(), 2, "two lines");
        assert!(page.all("Link")[0].ends_with("/api/v1/users?limit=2>; rel=\"self\""));
        assert!(page.all("Date")[0].ends_with(" GMT"));
        assert_eq!(page.all("X-Rate-Limit-Remaining"), ["599"]);
        assert_eq!(
            page.all("X-Okta-Request-Id"),
            ["req000000000000000000000000"]
        );
        client.send(
            &server,
            "PUT /api/v1/groups/g/users/a",
            "Content-Length: 0\r\n",
        );
        let put = client.receive().unwrap();
        assert_eq!((put.status, put.all("Content-Type").len()), (204, 0));
        assert!(server.org().is_member("g", "a"));
        let members = client.get(&server, "/api/v1/groups/g/users").unwrap();
        assert!(members.body.starts_with("[{\"id\":\"a\""));
        assert_eq!(server.unexpected(), [""; 0]);
        let requests = server.requests();
        let statuses: Vec<u16> = requests.iter().map(|request| request.status).collect();
        assert_eq!(statuses, [200, 204, 200]);
        assert_eq!(requests[0].header("user-agent"), Some("test"));
        assert!(
            requests
                .iter()
                .all(|one| one.authorized && one.in_flight == 1)
        );
        assert!(!format!("{requests:?}").contains(server.token()));
        assert_eq!((server.changes().len(), server.count()), (1, 3));
    }

    #[test]
    fn requests_over_a_limit_get_429_and_are_counted() {
        let options = Options {
            limits: Limits::all(Some(2)),
            clock_offset_seconds: 1000,
            ..Options::default()
        };
        let server = Server::start(small(), options).unwrap();
        let mut client = Client::new(&server);
        let mut get = || client.get(&server, "/api/v1/groups").unwrap();
        let answers = [get(), get(), get()];
        let statuses = answers.each_ref().map(|answer| answer.status);
        assert_eq!(statuses, [200, 200, 429]);
        let reset: i64 = answers[2].all("X-Rate-Limit-Reset")[0].parse().unwrap();
        assert!((58..=62).contains(&(reset - now(1000) / 1000)));
        let windows = server.windows();
        assert_eq!((windows[0].requests, windows[0].refused), (2, 1));
    }

    #[test]
    fn faults_reach_the_wire() {
        let server = Server::start(small(), Options::default()).unwrap();
        let users = |action| server.fault(Fault::on(Endpoint::Users, action).first(1));
        let get = || Client::new(&server).get(&server, "/api/v1/users");
        users(Action::Close);
        assert!(get().is_none());
        users(Action::CutBody);
        assert!(get().is_none());
        users(Action::html(502));
        assert_eq!(get().unwrap().status, 502);
        users(Action::Drip(Duration::ZERO));
        assert_eq!(get().unwrap().status, 200);
        users(Action::run(|org| assert!(org.remove_user("b"))));
        assert!(!get().unwrap().body.contains("b@example.com"));
        let faulty = server
            .requests()
            .iter()
            .filter(|request| request.faulty)
            .count();
        assert_eq!(faulty, 5);
        let lost = Fault::on(Endpoint::Member, Action::ApplyThenClose).method("PUT");
        server.fault(lost);
        let mut client = Client::new(&server);
        client.send(
            &server,
            "PUT /api/v1/groups/g/users/a",
            "Content-Length: 0\r\n",
        );
        assert!(client.receive().is_none());
        assert!(server.org().is_member("g", "a"));
    }

    #[test]
    fn a_connection_is_reset_and_others_are_refused_for_a_while() {
        let server = Server::start(small(), Options::default()).unwrap();
        server.fault(Fault::any(Action::Reset).nth(1));
        server.fault(Fault::any(Action::Refuse(Duration::from_millis(300))).nth(2));
        let read = || {
            let mut client = Client::new(&server);
            client.send(&server, "GET /api/v1/users", "");
            client.0.read(&mut [0; 16])
        };
        let reset = read().unwrap_err();
        assert_eq!(reset.kind(), io::ErrorKind::ConnectionReset);
        let mut open = Client::new(&server);
        assert_eq!(read().unwrap_or(0), 0);
        assert_eq!(open.0.read(&mut [0; 16]).unwrap_or(0), 0);
        let refused = TcpStream::connect(server.shared.address).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        std::thread::sleep(Duration::from_millis(500));
        let answer = Client::new(&server).get(&server, "/api/v1/users");
        assert_eq!(answer.unwrap().status, 200);
    }

    #[test]
    fn a_change_is_read_only_after_the_lag() {
        let options = Options {
            read_lag: Duration::from_millis(200),
            ..Options::default()
        };
        let server = Server::start(small(), options).unwrap();
        let mut client = Client::new(&server);
        client.send(
            &server,
            "PUT /api/v1/groups/g/users/a",
            "Content-Length: 0\r\n",
        );
        assert_eq!(client.receive().unwrap().status, 204);
        assert!(server.org().is_member("g", "a"));
        assert_eq!(
            client.get(&server, "/api/v1/groups/g/users").unwrap().body,
            "[]"
        );
        std::thread::sleep(Duration::from_millis(250));
        assert_ne!(
            client.get(&server, "/api/v1/groups/g/users").unwrap().body,
            "[]"
        );
    }

    #[test]
    fn dropping_the_server_ends_answers_that_never_end() {
        let server = Server::start(small(), Options::default()).unwrap();
        server.fault(Fault::any(Action::Endless(Duration::from_millis(1))).nth(1));
        server.fault(Fault::any(Action::Delay(Duration::from_secs(600))).nth(2));
        let mut clients = [
            Client::new(&server),
            Client::new(&server),
            Client::new(&server),
        ];
        for client in &mut clients[..2] {
            client.send(&server, "GET /api/v1/users", "");
        }
        while server.count() < 2 {
            std::thread::yield_now();
        }
        let start = Instant::now();
        drop(server);
        assert!(start.elapsed() < Duration::from_secs(300));
    }

    #[test]
    fn what_is_no_http_is_refused_and_noticed() {
        let server = Server::start(small(), Options::default()).unwrap();
        let mut client = Client::new(&server);
        client.0.get_mut().write_all(b"HELLO\r\n\r\n").unwrap();
        assert_eq!(client.receive().unwrap().status, 400);
        assert_eq!(server.unexpected().len(), 1);
    }

    /// `cargo test --release demo -- --ignored --nocapture`
    #[test]
    #[ignore = "measures; needs a release build"]
    fn a_large_org_is_served_fast() {
        use crate::Shape;
        let start = Instant::now();
        let org = Org::generated(&Shape {
            users: 1_000_000,
            in_scope: 3000,
            groups: 1000,
            memberships: 3_000_000,
            largest_group: 200_000,
            ..Shape::default()
        });
        let made = start.elapsed();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let memory = resident.and_then(|text| text.split_whitespace().next());
        let memory: u64 = memory.unwrap().parse().unwrap();
        let start = Instant::now();
        let truth = org.truth(
            |attributes| {
                let email = attributes.get("email").and_then(|email| email.as_str());
                email.is_some_and(|email| email.ends_with("@example.com"))
            },
            |_| true,
        );
        let told = start.elapsed();
        let options = Options {
            limits: Limits::all(None),
            log_requests: false,
            ..Options::default()
        };
        let server = Server::start(org, options).unwrap();
        let walk = |target_name: &'static str, target: &str| {
            let mut client = Client::new(&server);
            let (mut target, mut pages, mut bytes) = (target.to_owned(), 0, 0);
            let start = Instant::now();
            while pages < 1000 {
                let page = client.get(&server, &target).unwrap();
                pages += 1;
                bytes += page.body.len();
                let links = page.all("Link");
                let next = links.iter().find(|link| link.ends_with("\"next\""));
                let Some(next) = next else { break };
                let next = next.trim_start_matches('<').split_once('>').unwrap().0;
                target = next.strip_prefix(&server.origin()).unwrap().to_owned();
            }
            let rate = f64::from(pages) / start.elapsed().as_secs_f64();
            (target_name, rate.round(), bytes / pages as usize)
        };
        let found = [
            walk("users", "/api/v1/users?search=status%20pr&limit=200"),
            walk(
                "in scope",
                "/api/v1/users?search=profile.email%20co%20%22%40example.com%22&limit=200",
            ),
            walk(
                "created",
                "/api/v1/users?search=created%20gt%20%222020-01-01T00:00:00Z%22&limit=200",
            ),
            walk("groups", "/api/v1/groups?expand=stats&limit=200"),
            walk(
                "members",
                &format!("/api/v1/groups/{}/users?limit=1000", truth.groups[1]),
            ),
        ];
        let counts = (truth.users.len(), truth.memberships.len());
        let all = format!("made in {made:?}, {memory} kB, truth in {told:?} {counts:?}, {found:?}");
        assert!(
            made < Duration::from_secs(20) && memory < 1_500_000,
            "{all}"
        );
        assert!(found[0].1 > 1500.0, "{all}");
        // The numbers are what one runs this for.
        io::stderr().write_all(all.as_bytes()).unwrap();
    }
}
