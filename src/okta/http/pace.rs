//! When a request may go, and when a failed one goes again; pure: time and chance are handed in.
//!
//! Okta counts requests in windows of about a minute, a bucket at a time, and says with each answer how many are left
//! and when the window ends, by its own clock (docs/okta-api.md, Rate limits). So a lane a bucket:
//! - The first request of a bucket, and the first after each wait, goes alone; its answer says where the bucket stands.
//! - A run uses at most its share (`--max-api-capacity` percent) of a window, and stops when what is left, less what is
//!   in flight, is down to the rest: runs that share a bucket together leave that rest free.
//! - A wait ends when the window does by the server's clock, or after 75 s, when one request asks how it stands.
//! - "Too many at once" (limit 0; its reset is unreliable) waits shortly and halves the requests in flight; 100 good
//!   answers add one back.

use std::time::Duration;

use reqwest::header::HeaderMap;

/// Time since the client was made.
pub type Moment = Duration;

/// What Okta counts together. Where two of these share a bucket, its headers tell both (docs/okta-api.md, Rate limits:
/// sources disagree).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bucket {
    /// The user list.
    Users,
    /// One user.
    User,
    /// The groups of a user.
    UserGroups,
    /// The group list, members, membership changes, rules.
    Groups,
    /// One group.
    Group,
    /// All the rest.
    Other,
}

impl Bucket {
    /// Every bucket, in the order of the lanes.
    pub const ALL: [Self; 6] = [
        Self::Users,
        Self::User,
        Self::UserGroups,
        Self::Groups,
        Self::Group,
        Self::Other,
    ];

    /// The bucket of a path.
    pub fn of(path: &str) -> Self {
        let Some(rest) = path.strip_prefix("/api/v1/") else {
            return Self::Other;
        };
        let parts: Vec<&str> = rest.split('/').collect();
        match parts[..] {
            ["users"] => Self::Users,
            ["users", _] => Self::User,
            ["users", _, "groups"] => Self::UserGroups,
            ["groups", "rules"] => Self::Groups,
            ["groups", _] => Self::Group,
            ["groups", ..] => Self::Groups,
            _ => Self::Other,
        }
    }

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::User => "single users",
            Self::UserGroups => "groups of users",
            Self::Groups => "groups",
            Self::Group => "single groups",
            Self::Other => "other requests",
        }
    }

    fn lane(self) -> usize {
        self as usize
    }
}

/// What an answer says of its bucket and of the server's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signals {
    /// Requests a window.
    pub limit: Option<u64>,
    /// Requests left in this window.
    pub remaining: Option<u64>,
    /// When the window ends, seconds since 1970.
    pub reset: Option<u64>,
    /// The server's clock, seconds since 1970.
    pub date: Option<u64>,
    /// How long the server asks to wait.
    pub retry_after: Option<Duration>,
}

impl Signals {
    /// Reads the headers; nonsense counts as absent. Of several values, in one line or in many, the smallest holds, and
    /// a fraction is rounded down.
    pub fn of(headers: &HeaderMap) -> Self {
        let number = |name| {
            headers
                .get_all(name)
                .iter()
                .filter_map(|value| value.to_str().ok())
                .flat_map(|line| line.split(','))
                .filter_map(whole_number)
                .min()
        };
        let date = seconds_of_date(headers, "date");
        Self {
            limit: number("x-rate-limit-limit"),
            remaining: number("x-rate-limit-remaining"),
            reset: number("x-rate-limit-reset"),
            date,
            retry_after: retry_after(headers),
        }
    }
}

/// A number without its fraction.
fn whole_number(text: &str) -> Option<u64> {
    let text = text.trim();
    let (number, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_fraction = fraction.bytes().all(|byte| byte.is_ascii_digit());
    number.parse().ok().filter(|_| is_fraction)
}

fn seconds_of_date(headers: &HeaderMap, name: &str) -> Option<u64> {
    let text = headers.get(name)?.to_str().ok()?;
    let time = jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(text)
        .ok()?;
    u64::try_from(time.as_second()).ok()
}

/// How long a `Retry-After` header asks to wait: in seconds, or until a date by the server's own clock (RFC 9110,
/// 10.2.3). A wait that is longer than a run has patience for is nonsense, and counts as absent.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("retry-after")?.to_str().ok()?;
    let seconds = whole_number(text).or_else(|| {
        let until = seconds_of_date(headers, "retry-after")?;
        Some(until.saturating_sub(seconds_of_date(headers, "date")?))
    })?;
    Some(Duration::from_secs(seconds)).filter(|wait| *wait < STALL_LIMIT)
}

/// How a request ended, as far as pacing goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseClass {
    /// An answer, of whatever status but 429 and 5xx.
    Useful,
    /// 429.
    Limited,
    /// A status of 5xx.
    ServerError,
    /// No answer.
    Lost,
}

/// Why a request waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// For another request in flight: to learn where the bucket stands, or because enough are under way.
    Turn,
    /// The run's share of the window is used up.
    Share,
    /// Okta said that the limit is reached.
    Limit,
    /// Okta said that too many requests are under way at once.
    Busy,
}

/// Whether a request may go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Permit {
    /// Now.
    Go,
    /// Not before this moment, or, without one, not before another request ends.
    Wait {
        /// When to ask again.
        until: Option<Moment>,
        /// For what.
        why: WaitReason,
    },
    /// Nothing useful came through this bucket for this long: give up.
    Stuck(Duration),
}

/// Where a bucket stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Which.
    pub bucket: Bucket,
    /// Requests a window.
    pub limit: u64,
    /// Requests left in this window, for everybody who shares the bucket.
    pub remaining: Option<u64>,
    /// When the window ends, seconds since 1970 by the server's clock.
    pub reset: Option<u64>,
    /// Requests a window that this run may send.
    pub share: u64,
}

/// A request that was let go.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    bucket: Bucket,
    sent: Moment,
}

/// Longest wait before asking how things stand: a window and a little (docs/okta-api.md, Rate limits).
const MAX_WAIT: Duration = Duration::from_secs(75);
/// Without a useful answer for this long, a bucket is given up.
const STALL_LIMIT: Duration = Duration::from_secs(600);
/// Good answers that bring one worker back.
const GOOD_FOR_ONE_MORE: u32 = 100;
/// Resets of one window may differ by this much, in seconds, between Okta's nodes.
const SAME_WINDOW: u64 = 2;

/// Where every bucket stands.
#[derive(Debug)]
pub struct Pacing {
    capacity: u64,
    most_workers: usize,
    workers: usize,
    halved: Option<Moment>,
    good: u32,
    in_flight: usize,
    clock: Clock,
    lanes: [BucketState; Bucket::ALL.len()],
}

#[derive(Clone, Copy, Debug, Default)]
struct BucketState {
    limit: Option<u64>,
    remaining: Option<u64>,
    reset: Option<u64>,
    /// Requests of our own in this window, in flight included.
    used: u64,
    in_flight: u64,
    /// Whether an answer came since the bucket, or its last wait, began.
    known: bool,
    hold: Option<(Moment, WaitReason)>,
    waiting_since: Option<Moment>,
    refusals: u32,
}

/// The server's clock, from below: a `Date` is at most a second behind when it is written, and older when it arrives,
/// so the largest difference seen is the best.
#[derive(Debug)]
struct Clock {
    /// Seconds since 1970 at moment zero.
    zero: f64,
    seen: bool,
    /// What answers said that differ, and how many in a row did.
    odd: Option<(f64, u32)>,
}

impl Clock {
    fn at(&self, now: Moment) -> f64 {
        self.zero + now.as_secs_f64()
    }

    fn see(&mut self, date: u64, now: Moment) {
        let zero = date as f64 - now.as_secs_f64();
        if !self.seen {
            self.zero = zero;
            self.seen = true;
        } else if (zero - self.zero).abs() <= PLAUSIBLE {
            self.zero = self.zero.max(zero);
            self.odd = None;
        } else {
            // One answer may be wrong, or old; several that agree are the clock, as after a laptop slept.
            let agreeing = match self.odd {
                Some((odd, count)) if (zero - odd).abs() <= PLAUSIBLE => count + 1,
                _ => 1,
            };
            self.odd = Some((zero, agreeing));
            if agreeing >= 3 {
                self.zero = zero;
                self.odd = None;
            }
        }
    }
}

/// `Date` may differ this much between two answers, in seconds, by rounding, by the way and between Okta's nodes.
const PLAUSIBLE: f64 = 5.0;

impl Pacing {
    /// A run that may use `capacity` percent of each limit with `workers` requests at once; `local` is this machine's
    /// clock in seconds since 1970, for as long as the server's is not known.
    pub fn new(capacity: u8, workers: usize, local: f64) -> Self {
        Self {
            capacity: u64::from(capacity),
            most_workers: workers,
            workers,
            halved: None,
            good: 0,
            in_flight: 0,
            clock: Clock {
                zero: local,
                seen: false,
                odd: None,
            },
            lanes: Default::default(),
        }
    }

    /// Requests a window, where an answer said so.
    pub fn limit(&self, bucket: Bucket) -> Option<u64> {
        self.lanes[bucket.lane()].limit
    }

    /// Where a bucket stands, as far as its answers told.
    pub fn standing(&self, bucket: Bucket) -> Option<Standing> {
        let lane = &self.lanes[bucket.lane()];
        let limit = lane.limit?;
        Some(Standing {
            bucket,
            limit,
            remaining: lane.remaining,
            reset: lane.reset,
            share: self.share(limit),
        })
    }

    /// How many requests a run may send in a window of this limit.
    pub fn share(&self, limit: u64) -> u64 {
        (limit.saturating_mul(self.capacity) / 100).max(1)
    }

    /// The server's clock in seconds since 1970, where it is known.
    pub fn server_time(&self, now: Moment) -> Option<f64> {
        self.clock.seen.then(|| self.clock.at(now))
    }

    /// Whether a request may go now. If so, say [`Pacing::sent`].
    pub fn request_permit(&mut self, bucket: Bucket, now: Moment) -> Permit {
        let share = |limit| self.share(limit);
        let mut lane = self.lanes[bucket.lane()];
        if let Some((until, why)) = lane.hold {
            if now < until {
                return match lane.waiting_since {
                    Some(since) if now.saturating_sub(since) >= STALL_LIMIT => {
                        Permit::Stuck(now.saturating_sub(since))
                    }
                    _ => Permit::Wait {
                        until: Some(until),
                        why,
                    },
                };
            }
            lane.open_window();
            lane.known = false;
        }
        // Asked a second later than the window's end: the header is in whole seconds (docs/okta-api.md, Rate limits).
        let ends = lane.reset.map(|reset| reset as f64 + 1.0);
        if ends.is_some_and(|ends| self.clock.at(now) >= ends) {
            lane.open_window();
        }
        let turn = Permit::Wait {
            until: None,
            why: WaitReason::Turn,
        };
        let permit = if self.in_flight >= self.workers || (!lane.known && lane.in_flight > 0) {
            turn
        } else if let Some(limit) = lane.limit
            && lane.is_used_up(share(limit), limit)
        {
            if lane.in_flight > 0 {
                // What is in flight may be counted twice; its answers tell.
                turn
            } else {
                let left = ends.map_or(0.0, |ends| ends - self.clock.at(now)).max(0.05);
                let until = now + Duration::from_secs_f64(left.min(MAX_WAIT.as_secs_f64()));
                lane.hold = Some((until, WaitReason::Share));
                lane.waiting_since.get_or_insert(now);
                Permit::Wait {
                    until: Some(until),
                    why: WaitReason::Share,
                }
            }
        } else {
            Permit::Go
        };
        self.lanes[bucket.lane()] = lane;
        permit
    }

    /// Notes that a request goes.
    pub fn sent(&mut self, bucket: Bucket, now: Moment) -> Ticket {
        self.in_flight += 1;
        let lane = &mut self.lanes[bucket.lane()];
        lane.in_flight += 1;
        lane.used += 1;
        Ticket { bucket, sent: now }
    }

    /// Notes how a request ended. `jitter` is a number from 0 to 1, by chance.
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
            self.clock.see(date, now);
        }
        let server_now = self.clock.at(now);
        let lane = &mut self.lanes[ticket.bucket.lane()];
        lane.in_flight -= 1;
        let busy = outcome == ResponseClass::Limited && signals.limit == Some(0);
        if outcome != ResponseClass::Lost && !busy {
            lane.known |= outcome == ResponseClass::Useful || signals.limit.is_some();
            lane.learn(&signals, server_now);
        }
        match outcome {
            ResponseClass::Lost | ResponseClass::ServerError => {}
            ResponseClass::Useful => {
                lane.refusals = 0;
                lane.waiting_since = None;
                self.good += 1;
                if self.good >= GOOD_FOR_ONE_MORE {
                    self.good = 0;
                    self.workers = (self.workers + 1).min(self.most_workers);
                }
            }
            ResponseClass::Limited => {
                lane.waiting_since.get_or_insert(now);
                lane.refusals += 1;
                let left = signals.reset.map(|reset| reset as f64 + 1.0 - server_now);
                let seconds = match left {
                    _ if busy => doubling(0.5, lane.refusals, 8.0) * (0.5 + jitter / 2.0),
                    // Jitter, so that runs which wait for the same window do not start it together.
                    Some(left) if left > 0.0 => left + jitter,
                    _ => doubling(1.0, lane.refusals, 60.0) * (0.5 + jitter / 2.0),
                };
                let hold = Duration::from_secs_f64(seconds.min(MAX_WAIT.as_secs_f64()));
                let asked = signals.retry_after.map_or(Duration::ZERO, |asked| {
                    asked + Duration::from_secs_f64(jitter)
                });
                let until = now + hold.max(asked);
                let why = if busy {
                    WaitReason::Busy
                } else {
                    WaitReason::Limit
                };
                lane.hold = Some((until, why));
                // Of several requests that were under way together, one halves.
                if busy && self.halved.is_none_or(|halved| ticket.sent >= halved) {
                    self.halved = Some(now);
                    self.workers = (self.workers / 2).max(1);
                    self.good = 0;
                }
            }
        }
    }
}

impl BucketState {
    fn open_window(&mut self) {
        self.hold = None;
        self.used = self.in_flight;
        self.remaining = None;
        self.reset = None;
    }

    fn is_used_up(&self, share: u64, limit: u64) -> bool {
        let rest = limit - share.min(limit);
        self.used >= share
            || self
                .remaining
                .is_some_and(|remaining| remaining.saturating_sub(self.in_flight) <= rest)
    }

    fn learn(&mut self, signals: &Signals, server_now: f64) {
        let (Some(limit), Some(remaining), Some(reset)) =
            (signals.limit, signals.remaining, signals.reset)
        else {
            return;
        };
        // A window lasts a minute: a reset further off is nonsense, and holds for as long as no answer knows better.
        let nonsense = |reset: u64| reset as f64 > server_now + MAX_WAIT.as_secs_f64();
        match self.reset {
            Some(known) if nonsense(reset) && !nonsense(known) => return,
            Some(known) if nonsense(known) && !nonsense(reset) => {
                (self.remaining, self.reset) = (None, None);
            }
            _ => {}
        }
        self.limit = Some(limit);
        let stale = match self.reset {
            Some(known) => reset.saturating_add(SAME_WINDOW) < known,
            // A late answer of the window before this one. It was counted into this one when that ended.
            None => (reset as f64) + 1.0 <= server_now,
        };
        if stale {
            self.used = self.used.saturating_sub(1).max(self.in_flight);
            return;
        }
        if self
            .reset
            .is_some_and(|known| reset > known.saturating_add(SAME_WINDOW))
        {
            self.open_window();
            // The request that this answers was the new window's.
            self.used += 1;
        }
        self.reset = Some(self.reset.map_or(reset, |known| known.max(reset)));
        self.remaining = Some(
            self.remaining
                .map_or(remaining, |known| known.min(remaining)),
        );
    }
}

/// Attempts at a request that fails without being refused.
pub const ATTEMPTS: u32 = 8;

/// The pause after this many failed attempts: 0.5 s doubling to 30 s, and by chance down to half of that.
pub fn backoff(attempts: u32, jitter: f64) -> Duration {
    Duration::from_secs_f64(doubling(0.5, attempts, 30.0) * (0.5 + jitter / 2.0))
}

fn doubling(first: f64, times: u32, most: f64) -> f64 {
    (first * f64::from(2u32.saturating_pow(times.saturating_sub(1).min(16)))).min(most)
}

/// Whether the same request may be answered otherwise next time (docs/okta-api.md, Errors).
pub fn is_retryable(status: u16, code: Option<&str>) -> bool {
    match status {
        501 => false,
        500..=599 | 408 | 423 => true,
        409 => matches!(code, Some("E0000112" | "E0000249")),
        _ => false,
    }
}

/// Whether the answer says that a page took too long to make, so that half of it may work (docs/okta-api.md, Users and
/// Groups).
pub fn wants_smaller_page(status: u16) -> bool {
    matches!(status, 500 | 504)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, proptest};
    use reqwest::header::HeaderValue;

    use super::*;

    const EPOCH: u64 = 1_800_000_000;

    fn at(seconds: f64) -> Moment {
        Duration::from_secs_f64(seconds)
    }

    fn signals(limit: u64, remaining: u64, reset_in: u64, now: u64) -> Signals {
        Signals {
            limit: Some(limit),
            remaining: Some(remaining),
            reset: Some(EPOCH + reset_in),
            date: Some(EPOCH + now),
            retry_after: None,
        }
    }

    fn pacing(capacity: u8) -> Pacing {
        Pacing::new(capacity, 8, 0.0)
    }

    #[test]
    fn every_path_has_its_bucket() {
        for (path, bucket) in [
            ("/api/v1/users", Bucket::Users),
            ("/api/v1/users/me", Bucket::User),
            ("/api/v1/users/00u1/groups", Bucket::UserGroups),
            ("/api/v1/users/00u1/roles", Bucket::Other),
            ("/api/v1/groups", Bucket::Groups),
            ("/api/v1/groups/rules", Bucket::Groups),
            ("/api/v1/groups/00g1", Bucket::Group),
            ("/api/v1/groups/00g1/users", Bucket::Groups),
            ("/api/v1/groups/00g1/users/00u1", Bucket::Groups),
            ("/api/v1/org", Bucket::Other),
            ("/oauth2/v1/token", Bucket::Other),
        ] {
            assert_eq!(Bucket::of(path), bucket, "{path}");
        }
    }

    #[test]
    fn a_bucket_stands_where_its_answers_said() {
        let mut pacing = pacing(75);
        assert_eq!(pacing.standing(Bucket::Users), None);
        let ticket = pacing.sent(Bucket::Users, at(0.0));
        let told = signals(600, 598, 60, 0);
        pacing.ended(ticket, ResponseClass::Useful, told, at(0.1), 0.0);
        let expected = Standing {
            bucket: Bucket::Users,
            limit: 600,
            remaining: Some(598),
            reset: Some(EPOCH + 60),
            share: 450,
        };
        assert_eq!(pacing.standing(Bucket::Users), Some(expected));
        assert_eq!(pacing.standing(Bucket::Groups), None);
    }

    #[test]
    fn headers_are_read_and_nonsense_is_absent() {
        let mut headers = HeaderMap::new();
        assert_eq!(Signals::of(&headers), Signals::default());
        for (name, value) in [
            ("x-rate-limit-limit", "600"),
            ("x-rate-limit-remaining", "minus one"),
            ("x-rate-limit-reset", "1800000060"),
            ("x-rate-limit-reset", "1800000030"),
            ("date", "Fri, 15 Jan 2027 08:00:00 GMT"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        assert_eq!(
            Signals::of(&headers),
            Signals {
                limit: Some(600),
                remaining: None,
                reset: Some(1_800_000_030),
                date: Some(1_800_000_000),
                retry_after: None,
            }
        );
        headers.insert("date", HeaderValue::from_static("yesterday"));
        assert_eq!(Signals::of(&headers).date, None);
    }

    #[test]
    fn of_joined_values_the_smallest_counts_and_fractions_are_rounded_down() {
        for (lines, expected) in [
            (&["600, 500"][..], Some(500)),
            (&["600", "500,, 700 "], Some(500)),
            (&["599.9"], Some(599)),
            (&["600, -1"], Some(600)),
            (&["1e3", "x, 7"], Some(7)),
            (&["600.x"], None),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-rate-limit-limit", HeaderValue::from_static(line));
            }
            assert_eq!(Signals::of(&headers).limit, expected, "{lines:?}");
        }
    }

    #[test]
    fn retry_after_is_read_in_seconds_and_as_a_date() {
        for (text, expected) in [
            ("7", Some(7)),
            ("7.9", Some(7)),
            ("Fri, 15 Jan 2027 08:00:20 GMT", Some(20)),
            ("Fri, 15 Jan 2027 07:00:00 GMT", Some(0)),
            ("86400", None),
            ("soon", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(
                "date",
                HeaderValue::from_static("Fri, 15 Jan 2027 08:00:00 GMT"),
            );
            headers.insert("retry-after", HeaderValue::from_static(text));
            let expected = expected.map(Duration::from_secs);
            assert_eq!(retry_after(&headers), expected, "{text}");
        }
    }

    #[test]
    fn a_limited_bucket_waits_at_least_as_long_as_retry_after_asks() {
        for (asked, reset_in, until) in [(100, 30, 100.0), (5, 30, 31.0)] {
            let mut pacing = pacing(75);
            let ticket = pacing.sent(Bucket::Users, at(0.0));
            let signals = Signals {
                retry_after: Some(Duration::from_secs(asked)),
                ..signals(600, 0, reset_in, 0)
            };
            pacing.ended(ticket, ResponseClass::Limited, signals, at(0.0), 0.0);
            let Permit::Wait {
                until: Some(wait), ..
            } = pacing.request_permit(Bucket::Users, at(0.0))
            else {
                panic!("the bucket does not wait");
            };
            assert!(
                (wait.as_secs_f64() - until).abs() < 0.01,
                "{wait:?} for {asked}"
            );
        }
    }

    #[test]
    fn the_first_request_of_a_bucket_goes_alone() {
        let mut pacing = pacing(75);
        assert_eq!(pacing.request_permit(Bucket::Users, at(0.0)), Permit::Go);
        let ticket = pacing.sent(Bucket::Users, at(0.0));
        assert!(matches!(
            pacing.request_permit(Bucket::Users, at(0.0)),
            Permit::Wait {
                until: None,
                why: WaitReason::Turn
            }
        ));
        assert_eq!(pacing.request_permit(Bucket::Groups, at(0.0)), Permit::Go);
        pacing.ended(
            ticket,
            ResponseClass::Useful,
            signals(600, 599, 60, 0),
            at(0.1),
            0.0,
        );
        assert_eq!(pacing.request_permit(Bucket::Users, at(0.1)), Permit::Go);
    }

    #[test]
    fn no_more_requests_are_in_flight_than_there_are_workers() {
        let mut pacing = pacing(75);
        let first = pacing.sent(Bucket::Users, at(0.0));
        pacing.ended(
            first,
            ResponseClass::Useful,
            Signals::default(),
            at(0.1),
            0.0,
        );
        for _ in 0..8 {
            assert_eq!(pacing.request_permit(Bucket::Users, at(0.2)), Permit::Go);
            pacing.sent(Bucket::Users, at(0.2));
        }
        assert!(matches!(
            pacing.request_permit(Bucket::Users, at(0.2)),
            Permit::Wait {
                until: None,
                why: WaitReason::Turn
            }
        ));
    }

    /// Sends one request after another until a wait, and says how many went.
    fn spend(
        pacing: &mut Pacing,
        now: f64,
        mut remaining: u64,
        limit: u64,
        reset_in: u64,
    ) -> (u64, Permit) {
        let mut sent = 0;
        loop {
            match pacing.request_permit(Bucket::Groups, at(now)) {
                Permit::Go => {
                    let ticket = pacing.sent(Bucket::Groups, at(now));
                    sent += 1;
                    remaining = remaining.saturating_sub(1);
                    pacing.ended(
                        ticket,
                        ResponseClass::Useful,
                        signals(limit, remaining, reset_in, now as u64),
                        at(now),
                        0.0,
                    );
                }
                permit => return (sent, permit),
            }
        }
    }

    #[test]
    fn a_run_uses_its_share_of_a_window_to_the_last_request_and_waits_for_the_next() {
        let mut pacing = pacing(75);
        let (sent, permit) = spend(&mut pacing, 10.0, 100, 100, 60);
        assert_eq!(sent, 75);
        // A second past the reset: 60 - 10 + 1.
        let Permit::Wait {
            until: Some(until),
            why: WaitReason::Share,
        } = permit
        else {
            panic!("{permit:?}")
        };
        assert_eq!(until, at(61.0));
        assert!(matches!(
            pacing.request_permit(Bucket::Groups, at(60.9)),
            Permit::Wait { .. }
        ));
        let (sent, _) = spend(&mut pacing, 61.0, 100, 100, 121);
        assert_eq!(sent, 75);
    }

    #[test]
    fn what_others_use_is_left_out_of_the_share() {
        let mut pacing = pacing(75);
        let (sent, permit) = spend(&mut pacing, 0.0, 35, 100, 60);
        assert_eq!(sent, 10, "25 of 100 stay free");
        assert!(matches!(
            permit,
            Permit::Wait {
                until: Some(_),
                why: WaitReason::Share
            }
        ));
    }

    #[test]
    fn the_whole_limit_is_used_at_a_capacity_of_100() {
        let (sent, _) = spend(&mut pacing(100), 0.0, 40, 40, 60);
        assert_eq!(sent, 40);
    }

    #[test]
    fn a_share_is_never_less_than_one_request() {
        let (sent, _) = spend(&mut pacing(1), 0.0, 10, 10, 60);
        assert_eq!(sent, 1);
    }

    #[test]
    fn a_reset_an_hour_away_is_asked_about_after_75_seconds() {
        let mut pacing = pacing(75);
        let (_, permit) = spend(&mut pacing, 0.0, 0, 100, 3600);
        assert_eq!(
            permit,
            Permit::Wait {
                until: Some(at(75.0)),
                why: WaitReason::Share
            }
        );
        assert_eq!(pacing.request_permit(Bucket::Groups, at(75.0)), Permit::Go);
        pacing.sent(Bucket::Groups, at(75.0));
        assert!(matches!(
            pacing.request_permit(Bucket::Groups, at(75.0)),
            Permit::Wait { until: None, .. }
        ));
    }

    #[test]
    fn one_reset_that_no_window_has_does_not_hide_what_the_other_answers_say() {
        let mut pacing = pacing(75);
        let mut answer = |remaining, reset_in| {
            let ticket = pacing.sent(Bucket::Users, at(1.0));
            let told = signals(100, remaining, reset_in, 1);
            pacing.ended(ticket, ResponseClass::Useful, told, at(1.0), 0.0);
            pacing.standing(Bucket::Users).unwrap()
        };
        // Before the others, and between them.
        assert_eq!(answer(99, 3600).remaining, Some(99));
        let standing = answer(60, 50);
        assert_eq!(
            (standing.remaining, standing.reset),
            (Some(60), Some(EPOCH + 50))
        );
        assert_eq!(answer(1, u64::MAX / 2).remaining, Some(60));
        assert_eq!(answer(58, 50).remaining, Some(58));
    }

    #[test]
    fn a_429_waits_for_the_reset_by_the_servers_clock() {
        let mut pacing = pacing(75);
        let ticket = pacing.sent(Bucket::Users, at(5.0));
        // This machine's clock says 1970; the server's date decides.
        pacing.ended(
            ticket,
            ResponseClass::Limited,
            signals(600, 0, 30, 10),
            at(5.0),
            0.5,
        );
        let permit = pacing.request_permit(Bucket::Users, at(5.0));
        assert_eq!(
            permit,
            Permit::Wait {
                until: Some(at(26.5)),
                why: WaitReason::Limit
            }
        );
        assert_eq!(pacing.request_permit(Bucket::Users, at(26.5)), Permit::Go);
    }

    #[test]
    fn one_date_that_is_wrong_changes_nothing_and_three_that_agree_are_the_clock() {
        let mut pacing = pacing(75);
        let mut answer = |now: f64, date: u64| {
            let ticket = pacing.sent(Bucket::Users, at(now));
            pacing.ended(
                ticket,
                ResponseClass::Useful,
                signals(600, 500, 60, date),
                at(now),
                0.0,
            );
            pacing.server_time(at(now)).unwrap() - EPOCH as f64
        };
        assert_eq!(answer(10.0, 10), 10.0);
        assert_eq!(answer(11.0, 131), 11.0);
        assert_eq!(answer(12.0, 12), 12.0);
        assert_eq!(answer(13.0, 133), 13.0);
        assert_eq!(answer(14.0, 134), 14.0);
        assert_eq!(answer(15.0, 135), 135.0);
    }

    #[test]
    fn a_429_without_headers_waits_longer_each_time() {
        let mut pacing = pacing(75);
        let mut now = 0.0;
        for expected in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
            let ticket = pacing.sent(Bucket::Users, at(now));
            pacing.ended(
                ticket,
                ResponseClass::Limited,
                Signals::default(),
                at(now),
                1.0,
            );
            let Permit::Wait {
                until: Some(until), ..
            } = pacing.request_permit(Bucket::Users, at(now))
            else {
                panic!()
            };
            assert!((until.as_secs_f64() - now - expected).abs() < 0.001);
            now = until.as_secs_f64();
            assert_eq!(pacing.request_permit(Bucket::Users, at(now)), Permit::Go);
        }
    }

    #[test]
    fn ten_minutes_of_nothing_but_limits_are_enough() {
        let mut pacing = pacing(75);
        let mut now = 0.0;
        loop {
            match pacing.request_permit(Bucket::Users, at(now)) {
                Permit::Go => {
                    let ticket = pacing.sent(Bucket::Users, at(now));
                    pacing.ended(
                        ticket,
                        ResponseClass::Limited,
                        Signals::default(),
                        at(now),
                        1.0,
                    );
                }
                Permit::Wait { until, .. } => now = (until.unwrap().as_secs_f64()).min(now + 1.0),
                Permit::Stuck(waited) => {
                    assert!(waited >= STALL_LIMIT && waited < STALL_LIMIT + MAX_WAIT);
                    return;
                }
            }
            assert!(now < 700.0);
        }
    }

    #[test]
    fn too_many_at_once_halves_the_workers_once_and_good_answers_bring_them_back() {
        let mut pacing = pacing(75);
        let first = pacing.sent(Bucket::Users, at(0.0));
        pacing.ended(
            first,
            ResponseClass::Useful,
            signals(600, 599, 60, 0),
            at(0.1),
            0.0,
        );
        let tickets: Vec<Ticket> = (0..8)
            .map(|_| pacing.sent(Bucket::Users, at(0.2)))
            .collect();
        for ticket in tickets {
            pacing.ended(
                ticket,
                ResponseClass::Limited,
                signals(0, 0, 110, 0),
                at(0.3),
                1.0,
            );
        }
        assert_eq!(pacing.workers, 4);
        let permit = pacing.request_permit(Bucket::Users, at(0.4));
        let Permit::Wait {
            until: Some(until),
            why: WaitReason::Busy,
        } = permit
        else {
            panic!("{permit:?}")
        };
        assert!(until < at(10.0), "the reset of 110 s is not believed");
        assert_eq!(
            pacing.limit(Bucket::Users),
            Some(600),
            "limit 0 is no limit"
        );
        for round in 0..400 {
            let now = at(20.0 + f64::from(round));
            let ticket = pacing.sent(Bucket::Groups, now);
            pacing.ended(ticket, ResponseClass::Useful, Signals::default(), now, 0.0);
        }
        assert_eq!(pacing.workers, 8);
    }

    #[test]
    fn backoff_doubles_to_thirty_seconds() {
        let pauses: Vec<f64> = (1..=8)
            .map(|attempts| backoff(attempts, 1.0).as_secs_f64())
            .collect();
        assert_eq!(pauses, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]);
        assert_eq!(backoff(1, 0.0), Duration::from_millis(250));
    }

    #[test]
    fn what_passes_is_tried_again_and_nothing_else() {
        for (status, code, passing) in [
            (500, None, true),
            (502, None, true),
            (503, Some("E0000010"), true),
            (504, None, true),
            (408, None, true),
            (423, Some("E0000239"), true),
            (409, Some("E0000112"), true),
            (409, Some("E0000249"), true),
            (409, Some("E0000145"), false),
            (400, None, false),
            (401, None, false),
            (403, None, false),
            (404, None, false),
            (501, Some("E0000060"), false),
            (411, None, false),
        ] {
            assert_eq!(is_retryable(status, code), passing, "{status} {code:?}");
        }
    }

    proptest! {
        /// Whatever the headers say, nobody waits for ever, and nothing overflows.
        #[test]
        fn no_header_stops_a_bucket_for_good(
            limit in any::<Option<u64>>(), remaining in any::<Option<u64>>(), reset in any::<Option<u64>>(),
            date in any::<Option<u64>>(), limited in any::<bool>(), capacity in 1u8..=100,
        ) {
            let limit = limit.map(|limit| limit % 10_000);
            let mut pacing = Pacing::new(capacity, 8, EPOCH as f64);
            let ticket = pacing.sent(Bucket::Users, at(0.0));
            let outcome = if limited { ResponseClass::Limited } else { ResponseClass::Useful };
            pacing.ended(ticket, outcome, Signals { limit, remaining, reset, date, retry_after: None }, at(0.1), 0.5);
            let mut now = 0.1;
            loop {
                match pacing.request_permit(Bucket::Users, at(now)) {
                    Permit::Go => break,
                    Permit::Wait { until: Some(until), .. } => now = until.as_secs_f64().max(now + 0.01),
                    permit => prop_assert!(false, "{:?}", permit),
                }
                prop_assert!(now < 76.0);
            }
        }
    }
}
