//! The options of the server.

use std::time::Duration;

use crate::limits::Limits;

/// The largest page of each listing. A larger `limit` is reduced to it.
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

/// The kinds of user searches that are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Searches with `co`.
    Contains,
    /// Searches by creation time.
    Created,
    /// All searches.
    All,
}

/// The user searches that the org refuses, and its response to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefuseSearch {
    /// The kind of search.
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

/// The behavior of the server. The default is an ordinary Okta org that responds as fast as possible.
#[derive(Clone, Debug)]
pub struct Options {
    /// The port; 0 selects a free one.
    pub port: u16,
    /// The valid token.
    pub token: String,
    /// True to record all requests. If false, they are only counted.
    pub log_requests: bool,
    /// True if requests with an invalid token are expected.
    pub expect_unauthorized: bool,
    /// The number of seconds by which the server's clock is ahead.
    pub clock_offset_seconds: i64,
    /// The smallest time between a request and its response.
    pub latency: Duration,
    /// The largest page sizes.
    pub page_cap: PageCap,
    /// True if a full last page has a link to the next page, which is empty.
    pub trailing_empty_page: bool,
    /// The origin in links, if it is not the server's own.
    pub link_host: Option<String>,
    /// The rate limits, in requests per window.
    pub limits: Limits,
    /// The length of a rate-limit window.
    pub window: Duration,
    /// The largest number of concurrent requests.
    pub concurrency_limit: Option<usize>,
    /// The searches that are refused.
    pub refuse_search: Option<RefuseSearch>,
    /// True if `sortBy` is accepted but ignored.
    pub ignore_sort: bool,
    /// True if Everyone is hidden, as for the token of a group admin.
    pub hide_everyone: bool,
    /// True if changes of memberships return 403.
    pub forbid_changes: bool,
    /// True if listing the group rules returns 403.
    pub forbid_rules: bool,
    /// True if reading the org returns 403.
    pub forbid_org: bool,
    /// True if reading a user's admin roles returns 403, as for everyone except super admins.
    pub forbid_roles: bool,
    /// True if changing a group that Okta does not manage returns 501 instead of 403.
    pub read_only_groups_return_501: bool,
    /// True if removing a user who is not a member returns 404 instead of 204.
    pub absent_delete_returns_404: bool,
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
            read_only_groups_return_501: false,
            absent_delete_returns_404: false,
            read_lag: Duration::ZERO,
        }
    }
}
