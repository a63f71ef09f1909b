//! The server: sockets, the log of requests, limits and faults around [`respond`](crate::respond()).
//!
//! Each connection has a thread. Threads that sleep or send endlessly check the stop flag, and the others end when
//! their sockets are closed, so dropping the server is fast.

mod exchange;
mod http;
mod options;

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use self::exchange::serve;
pub use self::options::{Options, PageCap, RefuseSearch, Refused};
use crate::endpoint::Endpoint;
use crate::limits::{Buckets, Window};
use crate::org::Org;
use crate::respond::MembershipChange;
#[cfg(feature = "testing")]
use crate::testing::fault::{Fault, Faults};

/// A request that the server received.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The path as sent.
    pub path: String,
    /// The part after the `?`, as sent; empty if there is none.
    pub query: String,
    /// The kind of request.
    pub endpoint: Endpoint,
    /// The status of the response; 0 if there is none, or not yet.
    pub status: u16,
    /// True if a fault affected the request.
    pub faulty: bool,
    /// The headers user-agent, content-type, content-length, accept and accept-encoding, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// True if the token is valid.
    pub authorized: bool,
    /// The time at which the head was received.
    pub at: Instant,
    /// The number of concurrent requests then, including this one.
    pub in_flight: usize,
}

impl Request {
    /// Returns a header by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let header = headers.find(|(other, _)| other == name);
        header.map(|(_, value)| value.as_str())
    }
}

/// A running server, which stops when it is dropped.
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
    /// The time for which the server does not listen, starting now; set by a fault.
    pub(crate) away: Mutex<Option<Duration>>,
    /// The open connections, which the server closes when it stops.
    connections: Mutex<HashMap<u64, TcpStream>>,
}

/// The recorded requests, and the number of requests that were discarded before the first of them.
#[derive(Debug, Default)]
struct Log {
    discarded: usize,
    requests: Vec<Request>,
}

impl Server {
    /// Starts a server for an org on the loopback interface.
    ///
    /// # Errors
    /// Returns an error if the port is in use.
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

    /// Returns the origin, `http://127.0.0.1:PORT`.
    pub fn origin(&self) -> String {
        self.shared.origin.clone()
    }

    /// Returns the token from the initial options.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Locks the org for reading. Requests that change it wait meanwhile.
    pub fn org(&self) -> RwLockReadGuard<'_, Org> {
        self.shared.org()
    }

    /// Locks the org for changes. All requests wait meanwhile.
    pub fn org_mut(&self) -> RwLockWriteGuard<'_, Org> {
        self.shared.org_mut()
    }

    /// Changes the options for later requests. The port and the latency of current requests do not change.
    pub fn change_options(&self, change: impl FnOnce(&mut Options)) {
        let mut options = self
            .shared
            .options
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        change(&mut options);
    }

    /// Adds a fault.
    #[cfg(feature = "testing")]
    pub fn fault(&self, fault: Fault) {
        lock(&self.shared.faults).arm(fault);
    }

    /// Removes all faults.
    #[cfg(feature = "testing")]
    pub fn clear_faults(&self) {
        lock(&self.shared.faults).clear();
    }

    /// Returns all requests in order of arrival, since the last [`Server::clear_requests`].
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.requests).requests.clone()
    }

    /// Discards the recorded requests.
    pub fn clear_requests(&self) {
        let mut log = lock(&self.shared.requests);
        log.discarded += log.requests.len();
        log.requests.clear();
    }

    /// Waits, at most a second, until all connections are closed. A client that ended may have left requests that are not
    /// counted yet.
    #[cfg(feature = "testing")]
    pub fn wait_until_closed(&self) {
        for _ in 0..100 {
            if lock(&self.shared.connections).is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Returns the number of requests since the start.
    pub fn count(&self) -> u64 {
        self.shared.count.load(Ordering::Relaxed)
    }

    /// Returns all requests that the tool should never send, with the reasons.
    pub fn unexpected(&self) -> Vec<String> {
        lock(&self.shared.unexpected).clone()
    }

    /// Returns all responses to changes of memberships, including refusals.
    pub fn changes(&self) -> Vec<MembershipChange> {
        lock(&self.shared.changes).clone()
    }

    /// Returns all rate-limit windows so far, in order of their start.
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
            // The accepting thread joins the others. If one of them panicked, that was already printed.
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
            // There are too many open files, or the client has already disconnected.
            std::thread::sleep(Duration::from_millis(5));
            if shared.stopped() {
                break;
            }
            continue;
        };
        let away = lock(&shared.away).take();
        if let Some(time) = away {
            drop(listener);
            // The listener is closed before the connections, so that new ones are refused.
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
                // Errors of a connection are handled by the client.
                let _ = serve(&shared, stream);
                lock(&shared.connections).remove(&number);
            });
        threads.extend(thread);
    }
    // Closes connections that were accepted after the flag was set.
    shared.close_all();
    for thread in threads {
        let _ = thread.join();
    }
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

    /// Wakes up the accepting thread.
    pub(crate) fn wake(&self) {
        drop(TcpStream::connect(self.address));
    }

    /// Listens on the same port again, unless the server is stopping.
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

    /// Sleeps in short intervals, so that the server can stop at any time.
    pub(crate) fn sleep_until(&self, end: Instant) {
        loop {
            let rest = end.saturating_duration_since(Instant::now());
            if rest.is_zero() || self.stopped() {
                return;
            }
            std::thread::sleep(rest.min(Duration::from_millis(20)));
        }
    }
}

#[cfg(test)]
mod tests;
