//! The buckets in which Okta counts requests, and the state of one.

use super::headers::Signals;
use super::{MAX_WAIT, Moment, WaitReason};

/// The requests that Okta counts together. Sources disagree on whether some of these share a limit; if they do, the headers
/// describe both (docs/okta-api.md, Rate limits).
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
    /// All other requests.
    Other,
}

impl Bucket {
    /// Every bucket, in the order of their indexes.
    pub const ALL: [Self; 6] = [
        Self::Users,
        Self::User,
        Self::UserGroups,
        Self::Groups,
        Self::Group,
        Self::Other,
    ];

    /// Returns the bucket of a path.
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

    /// Returns the name for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::User => "users by id",
            Self::UserGroups => "groups by user",
            Self::Groups => "groups",
            Self::Group => "groups by id",
            Self::Other => "other requests",
        }
    }

    pub(super) fn index(self) -> usize {
        self as usize
    }
}

/// The largest difference between resets of the same window, in seconds: Okta's nodes may disagree.
const SAME_WINDOW: u64 = 2;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BucketState {
    pub(super) limit: Option<u64>,
    pub(super) remaining: Option<u64>,
    pub(super) reset: Option<u64>,
    /// Requests of this run in this window, including those in flight.
    pub(super) used: u64,
    pub(super) in_flight: u64,
    /// True if a response has shown the state of the bucket since its last wait.
    pub(super) known: bool,
    pub(super) hold: Option<(Moment, WaitReason)>,
    pub(super) waiting_since: Option<Moment>,
    pub(super) refusals: u32,
}

impl BucketState {
    pub(super) fn open_window(&mut self) {
        self.hold = None;
        self.used = self.in_flight;
        self.remaining = None;
        self.reset = None;
    }

    pub(super) fn is_used_up(&self, request_budget: u64, limit: u64) -> bool {
        let rest = limit - request_budget.min(limit);
        self.used >= request_budget
            || self
                .remaining
                .is_some_and(|remaining| remaining.saturating_sub(self.in_flight) <= rest)
    }

    pub(super) fn learn(&mut self, signals: &Signals, server_now: f64) {
        let (Some(limit), Some(remaining), Some(reset)) =
            (signals.limit, signals.remaining, signals.reset)
        else {
            return;
        };
        // A window lasts a minute, so a reset that is much further away is wrong. It is used only until a response
        // contains a better one.
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
            // The response belongs to the previous window. Its request was counted in this one while it was in flight.
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
            // The request of this response belongs to the new window.
            self.used += 1;
        }
        self.reset = Some(self.reset.map_or(reset, |known| known.max(reset)));
        self.remaining = Some(
            self.remaining
                .map_or(remaining, |known| known.min(remaining)),
        );
    }
}
