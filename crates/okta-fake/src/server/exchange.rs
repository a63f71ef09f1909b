//! One connection: reads requests, and sends responses from the org, the limits and the faults.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::http::{HEAD_LIMIT, Head, parse, response_head};
use super::options::Options;
use super::{Request, Shared, lock};
use crate::endpoint::Endpoint;
use crate::limits::Bucket;
use crate::org::Millis;
use crate::query::Incoming;
use crate::respond::{change, respond};
use crate::response::Response;
#[cfg(feature = "testing")]
use crate::testing::fault::{Action, Scene, spoil};
#[cfg(feature = "testing")]
use crate::transmission::Sending;
use crate::transmission::{Transmission, limits, too_many};

pub(super) fn serve(shared: &Shared, mut stream: TcpStream) -> io::Result<()> {
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
    lock(&shared.unexpected).push(format!(
        "a request that is not HTTP, or is too long: {status}"
    ));
    write!(
        stream,
        "HTTP/1.1 {status} Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
}

/// The time at which a request arrived, and the number of concurrent requests then.
#[derive(Clone, Copy)]
struct Arrival {
    at: Instant,
    in_flight: usize,
    /// The time according to the server's clock.
    now: Millis,
}

impl Shared {
    /// Responds to one request. Returns false if the connection cannot be used anymore.
    fn respond(&self, head: Head, stream: &mut TcpStream) -> io::Result<bool> {
        let at = Instant::now();
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let in_flight = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        // The options are cloned, so that they can be changed while a slow response is being sent.
        let options = self.options().clone();
        let (endpoint, _) = Endpoint::of(&head.incoming.path);
        let entry = options.log_requests.then(|| {
            self.log_request(Request {
                method: head.incoming.method.clone(),
                path: head.incoming.path.clone(),
                query: head.incoming.query.clone(),
                endpoint,
                status: 0,
                faulty: false,
                headers: head.headers,
                authorized: head.incoming.authorized,
                at,
                in_flight,
            })
        });
        let now = now(options.clock_offset_seconds);
        let (transmission, faulty) = self.transmission(
            &head.incoming,
            endpoint,
            &options,
            Arrival { at, in_flight, now },
        );
        if let Some(why) = &transmission.response.unexpected {
            self.log_unexpected(&head.incoming, why);
        }
        self.sleep_until(at + options.latency + transmission.delay);
        let status = if transmission.has_status() {
            transmission.response.status
        } else {
            0
        };
        if let Some(entry) = entry {
            self.log_response(entry, status, faulty);
        }
        // The number is decreased before the response is sent, because the client may send its next request
        // immediately.
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        let date = now.div_euclid(1000) + transmission.date_offset;
        let head = response_head(&transmission, number, date);
        #[cfg(feature = "testing")]
        if let Sending::Faulty(sending) = transmission.sending {
            return self.send_faulty(sending, &transmission, head, stream);
        }
        if self.stopped() {
            return Ok(false);
        }
        let mut bytes = head;
        bytes.extend_from_slice(&transmission.response.body);
        stream.write_all(&bytes)?;
        Ok(true)
    }

    /// Logs a request and returns its number in the log.
    fn log_request(&self, request: Request) -> usize {
        let mut log = lock(&self.requests);
        log.requests.push(request);
        log.discarded + log.requests.len() - 1
    }

    fn log_response(&self, entry: usize, status: u16, faulty: bool) {
        let mut log = lock(&self.requests);
        // The log may have been cleared in the meantime.
        let place = entry.checked_sub(log.discarded);
        if let Some(request) = place.and_then(|place| log.requests.get_mut(place)) {
            request.status = status;
            request.faulty = faulty;
        }
    }

    fn log_unexpected(&self, incoming: &Incoming, why: &str) {
        let Incoming {
            method,
            path,
            query,
            ..
        } = incoming;
        lock(&self.unexpected).push(format!("{method} {path}?{query}: {why}"));
    }

    fn transmission(
        &self,
        incoming: &Incoming,
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
        let decision = lock(&self.buckets).count(bucket, &options.limits, window, now);
        let (limit, remaining) = (decision.limit.to_string(), decision.remaining.to_string());
        let mut transmission = Transmission {
            limits: limits(&limit, &remaining, decision.reset),
            ..Transmission::default()
        };
        if !decision.allowed {
            transmission.response = too_many();
            return (transmission, false);
        }
        let base = options.link_host.as_deref().unwrap_or(&self.origin);
        #[cfg(feature = "testing")]
        let faulty = self.spoiled(incoming, endpoint, options, arrival, &mut transmission);
        #[cfg(not(feature = "testing"))]
        let faulty = false;
        if !faulty {
            transmission.response = self.respond_from_org(incoming, endpoint, options, base, at);
        }
        (transmission, faulty)
    }

    /// Applies the faults that match a request. Returns true if there are any.
    #[cfg(feature = "testing")]
    fn spoiled(
        &self,
        incoming: &Incoming,
        endpoint: Endpoint,
        options: &Options,
        arrival: Arrival,
        transmission: &mut Transmission,
    ) -> bool {
        let now = arrival.now.div_euclid(1000);
        let at = arrival.at;
        let actions =
            lock(&self.faults).strike(&incoming.method, &incoming.path, &incoming.query, endpoint);
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
            transmission.response = self.respond_from_org(incoming, endpoint, options, base, at);
        }
        let first_page = || {
            let other = incoming
                .query
                .split('&')
                .filter(|pair| !pair.starts_with("after="));
            let incoming = Incoming {
                query: other.collect::<Vec<_>>().join("&"),
                ..incoming.clone()
            };
            respond(&self.org(), options, base, &incoming).body
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

    fn respond_from_org(
        &self,
        incoming: &Incoming,
        endpoint: Endpoint,
        options: &Options,
        base: &str,
        now: Instant,
    ) -> Response {
        if self.org().is_due(now) {
            self.org_mut().apply_due(now);
        }
        if endpoint == Endpoint::Member {
            let mut org = self.org_mut();
            if let Some((response, change)) = change(&mut org, options, incoming, now) {
                // The org is still locked, so that the log has the order of the changes.
                if matches!(change.method.as_str(), "PUT" | "DELETE") {
                    lock(&self.changes).push(change);
                }
                return response;
            }
        }
        respond(&self.org(), options, base, incoming)
    }
}

/// Returns the current time plus an offset, in milliseconds since 1970.
pub(super) fn now(offset_seconds: i64) -> Millis {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(0) + offset_seconds * 1000
}
