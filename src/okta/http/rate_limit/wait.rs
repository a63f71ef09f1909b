//! Waits for rate limits: applies the decisions of [`rate_limit`](super), with a lock around its state.
//!
//! Only this file sleeps. All threads of a run share one [`RateLimiter`].

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Bucket, Pacing, Permit, ResponseClass, Signals, Standing, Ticket, WaitReason};
use crate::okta::http::error::{Call, Error};
use crate::okta::settings::Connection;
use crate::signal::ShutdownSignal;

/// The interval at which a sleeping thread checks for a signal.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The cost of a run so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Requests sent, including retries.
    pub requests: u64,
    /// Requests that were retries.
    pub retries: u64,
    /// Waits for a rate limit. A wait of several threads for the same bucket counts once.
    pub waits: u64,
    /// The total time of these waits.
    pub waited: Duration,
    /// The total time that the requests took.
    pub response_time: Duration,
}

impl std::ops::Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            retries: self.retries + other.retries,
            waits: self.waits + other.waits,
            waited: self.waited + other.waited,
            response_time: self.response_time + other.response_time,
        }
    }
}

/// Decides when each thread of a run may send.
#[derive(Debug)]
pub(in crate::okta::http) struct RateLimiter {
    stop: ShutdownSignal,
    deadline: Option<Instant>,
    start: Instant,
    started: jiff::Timestamp,
    state: Mutex<State>,
    turn: Condvar,
}

/// Permission to send one request.
pub(in crate::okta::http) struct Turn {
    ticket: Ticket,
    /// The time at which the permission was given.
    pub(in crate::okta::http) sent: Instant,
}

#[derive(Debug)]
struct State {
    pacing: Pacing,
    cost: Cost,
    /// The threads that wait for each bucket.
    waiting: [Option<Waiting>; Bucket::ALL.len()],
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    threads: usize,
    since: Instant,
    until: Instant,
    why: WaitReason,
}

impl RateLimiter {
    pub(in crate::okta::http) fn new(connection: &Connection, stop: ShutdownSignal) -> Self {
        let started = jiff::Timestamp::now();
        let start = Instant::now();
        Self {
            stop,
            deadline: connection.deadline.map(|time| start + time),
            start,
            started,
            state: Mutex::new(State {
                pacing: Pacing::new(
                    connection.capacity_percent,
                    connection.concurrency,
                    started.as_millisecond() as f64 / 1000.0,
                ),
                cost: Cost::default(),
                waiting: Default::default(),
            }),
            turn: Condvar::new(),
        }
    }

    /// Returns the cost of the run so far.
    pub(in crate::okta::http) fn cost(&self) -> Cost {
        self.state().cost
    }

    /// Returns how far the server's clock is ahead of ours, in seconds; none before the first response.
    pub(in crate::okta::http) fn clock_skew(&self) -> Option<f64> {
        let server = self.state().pacing.server_time(Duration::ZERO)?;
        Some(server - self.started.as_millisecond() as f64 / 1000.0)
    }

    /// Returns the limit of a bucket and the run's share of it, in requests per minute; none before its first response.
    pub(in crate::okta::http) fn limit(&self, bucket: Bucket) -> Option<(u64, u64)> {
        let state = self.state();
        let limit = state.pacing.limit(bucket)?;
        Some((limit, state.pacing.request_budget(limit)))
    }

    /// Returns the rate limits of every bucket that had a response.
    pub(in crate::okta::http) fn standings(&self) -> Vec<Standing> {
        let state = self.state();
        let all = Bucket::ALL.into_iter();
        all.filter_map(|bucket| state.pacing.standing(bucket))
            .collect()
    }

    /// Describes what threads are waiting for.
    pub(in crate::okta::http) fn waiting(&self) -> Option<String> {
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

    /// Returns whether less than `time` is left before the deadline.
    pub(in crate::okta::http) fn ends_within(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        self.deadline.is_some_and(|deadline| until > deadline)
    }

    /// Returns the time that one attempt may take.
    pub(in crate::okta::http) fn time_for_attempt(&self, timeout: Duration) -> Duration {
        self.deadline.map_or(timeout, |deadline| {
            timeout.min(deadline.saturating_duration_since(Instant::now()))
        })
    }

    /// Waits until a request of this bucket may be sent.
    ///
    /// # Errors
    /// Returns an error on a signal, at the deadline, or if the limit admits no request for ten minutes.
    pub(in crate::okta::http) fn wait(&self, call: &Call, bucket: Bucket) -> Result<Turn, Error> {
        let mut state = self.state();
        let mut is_waiting = false;
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
                Permit::Go => {
                    break Ok(Turn {
                        ticket: state.pacing.sent(bucket, moment),
                        sent: now,
                    });
                }
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
                    state.wait_begins(bucket, until, why, &mut is_waiting);
                    let left = until
                        .saturating_duration_since(now)
                        .max(Duration::from_millis(1));
                    state = self.wait_for_news(state, left.min(POLL_INTERVAL));
                }
            }
        };
        if is_waiting {
            state.wait_ends(bucket);
        }
        result
    }

    /// Records how a request ended, and wakes the threads that wait.
    pub(in crate::okta::http) fn ended(
        &self,
        turn: Turn,
        outcome: ResponseClass,
        signals: Signals,
        retry: bool,
    ) {
        let mut state = self.state();
        let now = Instant::now();
        state.pacing.ended(
            turn.ticket,
            outcome,
            signals,
            now - self.start,
            fastrand::f64(),
        );
        state.cost.requests += 1;
        state.cost.retries += u64::from(retry);
        state.cost.response_time += now - turn.sent;
        drop(state);
        self.turn.notify_all();
    }

    /// Sleeps until the time is over or a signal arrives. Does not start to sleep past the deadline.
    ///
    /// # Errors
    /// Returns [`Error::Interrupted`] or [`Error::Deadline`].
    pub(in crate::okta::http) fn sleep(&self, time: Duration) -> Result<(), Error> {
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

    fn wait_for_news<'a>(
        &self,
        state: MutexGuard<'a, State>,
        time: Duration,
    ) -> MutexGuard<'a, State> {
        let woken = self.turn.wait_timeout(state, time);
        woken.unwrap_or_else(PoisonError::into_inner).0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is usable even if a thread panicked: it consists of independent numbers.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wait_begins(
        &mut self,
        bucket: Bucket,
        until: Instant,
        why: WaitReason,
        is_waiting: &mut bool,
    ) {
        let slot = &mut self.waiting[bucket as usize];
        match slot {
            Some(wait) => {
                wait.until = until;
                wait.why = why;
                wait.threads += usize::from(!*is_waiting);
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
        *is_waiting = true;
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
