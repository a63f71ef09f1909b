//! The options of the server.

use std::time::Duration;

use crate::limits::Limits;

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
