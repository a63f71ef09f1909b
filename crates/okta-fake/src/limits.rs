//! Rate limits: each bucket counts the requests in its own windows. The server passes the time, so nothing here reads a
//! clock.

use super::endpoint::Endpoint;
use super::org::Millis;

/// A group of endpoints that share a rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bucket {
    /// `/api/v1/users`.
    Users,
    /// `/api/v1/users/{id}` and `/users/me`.
    User,
    /// `/api/v1/users/{id}/groups`.
    UserGroups,
    /// `/api/v1/groups` and all paths below it, except those of a single group.
    Groups,
    /// `/api/v1/groups/{id}`.
    Group,
    /// All other requests.
    Other,
}

impl Bucket {
    /// Returns the bucket of an endpoint.
    pub fn of(endpoint: Endpoint) -> Self {
        match endpoint {
            Endpoint::Users => Self::Users,
            Endpoint::User | Endpoint::Me => Self::User,
            Endpoint::UserGroups => Self::UserGroups,
            Endpoint::Groups | Endpoint::Members | Endpoint::Member | Endpoint::Rules => {
                Self::Groups
            }
            Endpoint::Group => Self::Group,
            Endpoint::UserRoles | Endpoint::Org | Endpoint::Unknown => Self::Other,
        }
    }
}

/// The number of requests per window for each bucket; `None` means no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "each is the limit of the bucket of the same name"
)]
pub struct Limits {
    pub users: Option<u64>,
    pub user: Option<u64>,
    pub user_groups: Option<u64>,
    pub groups: Option<u64>,
    pub group: Option<u64>,
    pub other: Option<u64>,
}

impl Limits {
    /// Returns the same limit for every bucket.
    pub const fn all(limit: Option<u64>) -> Self {
        Self {
            users: limit,
            user: limit,
            user_groups: limit,
            groups: limit,
            group: limit,
            other: limit,
        }
    }

    fn of(&self, bucket: Bucket) -> Option<u64> {
        match bucket {
            Bucket::Users => self.users,
            Bucket::User => self.user,
            Bucket::UserGroups => self.user_groups,
            Bucket::Groups => self.groups,
            Bucket::Group => self.group,
            Bucket::Other => self.other,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::all(Some(600))
    }
}

/// The limit in the headers of a bucket without a limit.
const UNLIMITED: u64 = 1_000_000;

/// A rate-limit window of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The bucket.
    pub bucket: Bucket,
    /// The start, according to the server's clock.
    pub started: Millis,
    /// The number of accepted requests.
    pub requests: u64,
    /// The number of refused requests.
    pub refused: u64,
    /// The limit.
    pub limit: Option<u64>,
}

/// The decision on a request, and the values for its headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RateDecision {
    pub allowed: bool,
    pub limit: u64,
    pub remaining: u64,
    /// The time from which a new window can start, in seconds since 1970.
    pub reset: i64,
}

/// All windows. The newest one of a bucket is its last.
#[derive(Clone, Debug, Default)]
pub(super) struct Buckets {
    windows: Vec<Window>,
}

impl Buckets {
    /// Counts a request. The first request after the end of a window starts a new one.
    pub(super) fn count(
        &mut self,
        bucket: Bucket,
        limits: &Limits,
        length: Millis,
        now: Millis,
    ) -> RateDecision {
        let limit = limits.of(bucket);
        let current = self
            .windows
            .iter()
            .rposition(|window| window.bucket == bucket);
        let running = current.filter(|index| {
            let started = self.windows[*index].started;
            (started..started + length).contains(&now)
        });
        let index = running.unwrap_or_else(|| {
            self.windows.push(Window {
                bucket,
                started: now,
                requests: 0,
                refused: 0,
                limit,
            });
            self.windows.len() - 1
        });
        let window = &mut self.windows[index];
        // The options can change during a window.
        window.limit = limit;
        let limit = limit.unwrap_or(UNLIMITED);
        let allowed = window.limit.is_none() || window.requests < limit;
        if allowed {
            window.requests += 1;
        } else {
            window.refused += 1;
        }
        let end = window.started + length;
        RateDecision {
            allowed,
            limit,
            remaining: limit.saturating_sub(window.requests),
            // The value is rounded up, so that a client that returns in that second gets a new window.
            reset: end.div_euclid(1000) + i64::from(end.rem_euclid(1000) > 0),
        }
    }

    /// Returns all windows so far, in order of their start.
    pub(super) fn windows(&self) -> Vec<Window> {
        self.windows.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_starts_with_its_first_request_and_refuses_requests_over_the_limit() {
        let limits = Limits::all(Some(2));
        let mut buckets = Buckets::default();
        let mut count = |now| buckets.count(Bucket::Users, &limits, 2000, now);
        let first = count(10_300);
        assert_eq!((first.allowed, first.remaining, first.reset), (true, 1, 13));
        assert_eq!(count(10_400).remaining, 0);
        let third = count(12_299);
        assert_eq!((third.allowed, third.remaining, third.limit), (false, 0, 2));
        assert!(count(12_300).allowed);
        let windows = buckets.windows();
        assert_eq!((windows[0].requests, windows[0].refused), (2, 1));
        assert_eq!((windows[1].started, windows[1].requests), (12_300, 1));
    }

    #[test]
    fn buckets_count_separately() {
        let limits = Limits {
            groups: Some(1),
            ..Limits::all(None)
        };
        let mut buckets = Buckets::default();
        for bucket in [Bucket::Groups, Bucket::Users, Bucket::Users] {
            assert!(buckets.count(bucket, &limits, 1000, 0).allowed);
        }
        assert!(!buckets.count(Bucket::Groups, &limits, 1000, 999).allowed);
        let other = buckets.count(Bucket::Other, &limits, 1000, 0);
        assert_eq!((other.limit, other.remaining), (UNLIMITED, UNLIMITED - 1));
    }
}
