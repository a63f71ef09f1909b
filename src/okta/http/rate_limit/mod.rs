//! Decides when a request may be sent. Only `wait.rs` waits; everything else does no I/O, and gets the time and random
//! numbers as arguments.
//!
//! Okta counts the requests of each bucket in rate-limit windows of about a minute. Each response contains how many are
//! left and when the window ends, by Okta's clock (docs/okta-api.md, Rate limits). So each bucket has its own state:
//! - The first request of a bucket, and the first after each wait, is sent alone; its response shows the state of the
//!   bucket.
//! - A run uses at most its share (`--max-api-capacity` percent) of a window. It also stops when the requests left, minus
//!   those in flight, are no more than the other part, so that several runs on the same bucket leave that part free.
//! - A wait ends with the window, by the server's clock, but after 75 s at the latest. Then one request checks the state.
//! - After "too many at once" (limit 0; its reset is unreliable), the run waits briefly and sends half as many requests at
//!   a time; 100 useful responses add one back.

mod bucket;
mod clock;
mod headers;
mod retry;
pub(in crate::okta::http) mod wait;

use std::time::Duration;

pub use bucket::Bucket;
use bucket::BucketState;
use clock::Clock;
pub use headers::{Signals, retry_after};
use retry::doubling;
pub use retry::{ATTEMPTS, backoff, is_retryable, wants_smaller_page};

/// The time since the client was created.
pub type Moment = Duration;

/// The result of a request, as far as pacing needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseClass {
    /// A response of any status except 429 and 5xx.
    Useful,
    /// 429.
    Limited,
    /// A status of 5xx.
    ServerError,
    /// No response.
    Lost,
}

/// The reason why a request waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// A request in flight will show the state of the bucket, or enough requests are in flight.
    Turn,
    /// The run's share of the window is used up.
    Share,
    /// Okta reported that the limit is reached.
    Limit,
    /// Okta reported too many requests at once.
    Busy,
}

/// The decision on whether a request may be sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Permit {
    /// The request may be sent now.
    Go,
    /// The request has to wait.
    Wait {
        /// The time to try again; none if that is when another request ends.
        until: Option<Moment>,
        /// The reason.
        why: WaitReason,
    },
    /// The caller should give up: the bucket has had no useful response for this long.
    Stuck(Duration),
}

/// The state of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The bucket.
    pub bucket: Bucket,
    /// Requests per window.
    pub limit: u64,
    /// Requests left in this window, for all clients that share the bucket.
    pub remaining: Option<u64>,
    /// The end of the window, in seconds since 1970 by the server's clock.
    pub reset: Option<u64>,
    /// Requests per window that this run may send.
    pub request_budget: u64,
}

/// A request in flight.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    bucket: Bucket,
    sent: Moment,
}

/// The longest wait before one request checks the state: a little more than a window (docs/okta-api.md, Rate limits).
const MAX_WAIT: Duration = Duration::from_secs(75);
/// A bucket without a useful response for this long is given up.
const STALL_LIMIT: Duration = Duration::from_secs(600);
/// The number of useful responses after which one more request may be in flight.
const GOOD_FOR_ONE_MORE: u32 = 100;

/// The pacing of a run: the state of every bucket, of the workers and of the server's clock.
#[derive(Debug)]
pub struct Pacing {
    capacity_percent: u64,
    most_workers: usize,
    workers: usize,
    halved: Option<Moment>,
    good: u32,
    in_flight: usize,
    clock: Clock,
    buckets: [BucketState; Bucket::ALL.len()],
}

impl Pacing {
    /// Returns the pacing of a run that may use `capacity_percent` of each limit with `workers` requests at once;
    /// `local` is this machine's clock in seconds since 1970, which is used until a response contains the server's.
    pub fn new(capacity_percent: u8, workers: usize, local: f64) -> Self {
        Self {
            capacity_percent: u64::from(capacity_percent),
            most_workers: workers,
            workers,
            halved: None,
            good: 0,
            in_flight: 0,
            clock: Clock::new(local),
            buckets: Default::default(),
        }
    }

    /// Returns the number of requests per window, if a response contained it.
    pub fn limit(&self, bucket: Bucket) -> Option<u64> {
        self.buckets[bucket.index()].limit
    }

    /// Returns the state of a bucket, if a response showed it.
    pub fn standing(&self, bucket: Bucket) -> Option<Standing> {
        let state = &self.buckets[bucket.index()];
        let limit = state.limit?;
        Some(Standing {
            bucket,
            limit,
            remaining: state.remaining,
            reset: state.reset,
            request_budget: self.request_budget(limit),
        })
    }

    /// Returns the number of requests that a run may send in a window with this limit.
    pub fn request_budget(&self, limit: u64) -> u64 {
        (limit.saturating_mul(self.capacity_percent) / 100).max(1)
    }

    /// Returns the server's time in seconds since 1970, if it is known.
    pub fn server_time(&self, now: Moment) -> Option<f64> {
        self.clock.is_set().then(|| self.clock.at(now))
    }

    /// Decides whether a request may be sent now. If so, the caller must call [`Pacing::sent`].
    pub fn request_permit(&mut self, bucket: Bucket, now: Moment) -> Permit {
        let request_budget = |limit| self.request_budget(limit);
        let mut state = self.buckets[bucket.index()];
        if let Some((until, why)) = state.hold {
            if now < until {
                return match state.waiting_since {
                    Some(since) if now.saturating_sub(since) >= STALL_LIMIT => {
                        Permit::Stuck(now.saturating_sub(since))
                    }
                    _ => Permit::Wait {
                        until: Some(until),
                        why,
                    },
                };
            }
            state.open_window();
            state.known = false;
        }
        // Wait until a second after the reset, since the header has full seconds (docs/okta-api.md, Rate limits).
        let ends = state.reset.map(|reset| reset as f64 + 1.0);
        if ends.is_some_and(|ends| self.clock.at(now) >= ends) {
            state.open_window();
        }
        let turn = Permit::Wait {
            until: None,
            why: WaitReason::Turn,
        };
        let permit = if self.in_flight >= self.workers || (!state.known && state.in_flight > 0) {
            turn
        } else if let Some(limit) = state.limit
            && state.is_used_up(request_budget(limit), limit)
        {
            if state.in_flight > 0 {
                // Requests in flight may be counted twice; their responses will correct that.
                turn
            } else {
                let left = ends.map_or(0.0, |ends| ends - self.clock.at(now)).max(0.05);
                let until = now + Duration::from_secs_f64(left.min(MAX_WAIT.as_secs_f64()));
                state.hold = Some((until, WaitReason::Share));
                state.waiting_since.get_or_insert(now);
                Permit::Wait {
                    until: Some(until),
                    why: WaitReason::Share,
                }
            }
        } else {
            Permit::Go
        };
        self.buckets[bucket.index()] = state;
        permit
    }

    /// Records that a request is sent.
    pub fn sent(&mut self, bucket: Bucket, now: Moment) -> Ticket {
        self.in_flight += 1;
        let state = &mut self.buckets[bucket.index()];
        state.in_flight += 1;
        state.used += 1;
        Ticket { bucket, sent: now }
    }

    /// Records how a request ended. `jitter` is a random number from 0 to 1.
    pub fn ended(
        &mut self,
        ticket: Ticket,
        outcome: ResponseClass,
        signals: Signals,
        now: Moment,
        jitter: f64,
    ) {
        self.in_flight -= 1;
        if let Some(date) = signals.date {
            self.clock.update(date, now);
        }
        let server_now = self.clock.at(now);
        let state = &mut self.buckets[ticket.bucket.index()];
        state.in_flight -= 1;
        let busy = outcome == ResponseClass::Limited && signals.limit == Some(0);
        if outcome != ResponseClass::Lost && !busy {
            state.known |= outcome == ResponseClass::Useful || signals.limit.is_some();
            state.learn(&signals, server_now);
        }
        match outcome {
            ResponseClass::Lost | ResponseClass::ServerError => {}
            ResponseClass::Useful => {
                state.refusals = 0;
                state.waiting_since = None;
                self.good += 1;
                if self.good >= GOOD_FOR_ONE_MORE {
                    self.good = 0;
                    self.workers = (self.workers + 1).min(self.most_workers);
                }
            }
            ResponseClass::Limited => {
                state.waiting_since.get_or_insert(now);
                state.refusals += 1;
                let left = signals.reset.map(|reset| reset as f64 + 1.0 - server_now);
                let seconds = match left {
                    _ if busy => doubling(0.5, state.refusals, 8.0) * (0.5 + jitter / 2.0),
                    // The jitter keeps runs that wait for the same window from sending together.
                    Some(left) if left > 0.0 => left + jitter,
                    _ => doubling(1.0, state.refusals, 60.0) * (0.5 + jitter / 2.0),
                };
                let hold = Duration::from_secs_f64(seconds.min(MAX_WAIT.as_secs_f64()));
                let retry_after = signals.retry_after.map_or(Duration::ZERO, |retry_after| {
                    retry_after + Duration::from_secs_f64(jitter)
                });
                let until = now + hold.max(retry_after);
                let why = if busy {
                    WaitReason::Busy
                } else {
                    WaitReason::Limit
                };
                state.hold = Some((until, why));
                // Several requests that were in flight together halve the number only once.
                if busy && self.halved.is_none_or(|halved| ticket.sent >= halved) {
                    self.halved = Some(now);
                    self.workers = (self.workers / 2).max(1);
                    self.good = 0;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
