//! The scenarios, and the theoretical minimum of each.
//!
//! The minimum (`floor`) is computed from the org, never from what the tool did. Costs that can possibly be avoided are
//! not counted.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use okta_fake::{Distribution, Shape};
use serde::{Deserialize, Serialize};

/// The number of concurrent requests, of the tool and in the minimum.
pub const CONCURRENCY: u64 = 8;
/// The largest numbers of rows per page that Okta returns.
const USERS_PER_PAGE: u64 = 200;
const GROUPS_PER_PAGE: u64 = 200;
const MEMBERS_PER_PAGE: u64 = 1000;

/// A scenario: an org, the behavior of its server, and the options of the sync.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Case {
    /// The name of the scenario, without the divisor.
    pub base: String,
    /// The number by which all sizes were divided.
    pub divisor: usize,
    pub users: usize,
    pub in_scope: usize,
    /// The number of groups, without Everyone.
    pub groups: usize,
    /// The number of memberships, without those of Everyone.
    pub memberships: usize,
    pub largest_group: usize,
    pub latency_ms: u64,
    /// The rate limit of every bucket, in requests per minute.
    pub rate_limit: Option<u64>,
    /// True if secondary emails are ignored, so that the sync searches only for users that can match.
    pub prefilter: bool,
}

impl Case {
    fn new(
        base: &str,
        [users, in_scope, groups, memberships, largest_group]: [usize; 5],
        latency_ms: u64,
    ) -> Self {
        Self {
            base: base.to_owned(),
            divisor: 1,
            users,
            in_scope,
            groups,
            memberships,
            largest_group,
            latency_ms,
            rate_limit: None,
            prefilter: false,
        }
    }

    /// Returns the scenario `own` with default sizes.
    pub fn own() -> Self {
        Self::new("own", [1_000, 300, 50, 3_000, 400], 0)
    }

    /// Returns the scenario `limit`. It sends about 1,500 requests to the bucket of the groups, and few to the others.
    pub fn limit() -> Self {
        Self {
            rate_limit: Some(600),
            ..Self::new("limit", [4_000, 4_000, 1_490, 30_000, 900], 50)
        }
    }

    fn prefiltered(self) -> Self {
        Self {
            base: format!("{}-prefilter", self.base),
            prefilter: true,
            ..self
        }
    }

    /// Returns the name with the divisor, such as `c/10`.
    pub fn name(&self) -> String {
        match self.divisor {
            1 => self.base.clone(),
            divisor => format!("{}/{divisor}", self.base),
        }
    }

    pub fn shape(&self) -> Shape {
        Shape {
            users: self.users,
            in_scope: self.in_scope,
            groups: self.groups,
            memberships: self.memberships,
            largest_group: self.largest_group,
            seed: 1,
            created: Distribution::Even(5),
            extra: 0,
        }
    }

    fn divided(mut self, by: usize) -> anyhow::Result<Self> {
        for size in [
            &mut self.users,
            &mut self.in_scope,
            &mut self.groups,
            &mut self.memberships,
            &mut self.largest_group,
        ] {
            *size /= by;
            ensure!(
                *size > 0,
                "{} is too small to be divided by {by}",
                self.base
            );
        }
        self.divisor *= by;
        Ok(self)
    }
}

/// The scenarios that run if none is given: all but `limit`, which takes minutes.
pub const DEFAULT: [&str; 7] = ["a", "a/10", "b", "b/10", "c", "c/10", "d"];

/// Returns the scenarios for a name such as `c` or `c/10`.
pub fn named(name: &str, own: &Case) -> anyhow::Result<Vec<Case>> {
    let (base, divisor) = match name.split_once('/') {
        Some((base, divisor)) => {
            let divisor: usize = divisor
                .parse()
                .with_context(|| format!("{name:?}: the text after / is not a number"))?;
            ensure!(divisor > 0, "{name:?}: the divisor must not be 0");
            (base, divisor)
        }
        None => (name, 1),
    };
    let b = Case::new("b", [1_000_000, 500, 2_000, 3_000_000, 200_000], 50);
    let cases = match base {
        "a" => vec![Case::new("a", [20_000, 20_000, 2_000, 100_000, 5_000], 50)],
        "b" => vec![b.clone(), b.prefiltered()],
        "b-prefilter" => vec![b.prefiltered()],
        "c" => vec![Case::new(
            "c",
            [100_000, 100_000, 2_000, 2_000_000, 50_000],
            0,
        )],
        "d" => vec![Case::new("d", [10_000, 10_000, 200, 191_062, 5_000], 0)],
        "own" => vec![own.clone()],
        _ => bail!("unknown scenario {name:?}; use a, b, b-prefilter, c, d, own or limit"),
    };
    cases
        .into_iter()
        .map(|case| case.divided(divisor))
        .collect()
}

/// The sizes of an org, counted in the org itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OrgSizes {
    pub users: u64,
    pub users_in_scope: u64,
    /// The number of users whose email or login contains the domain.
    pub users_matching: u64,
    /// The number of groups, including Everyone.
    pub groups: u64,
    /// The number of memberships of users in scope, including those of Everyone.
    pub memberships_in_scope: u64,
    /// The number of members, of their pages, and of the pages of the largest group, for all groups that must be listed
    /// when memberships are read by group.
    pub members: u64,
    pub member_pages: u64,
    pub largest_group_pages: u64,
}

impl OrgSizes {
    /// Adds a group other than Everyone.
    pub fn add_group(&mut self, members: u64) {
        let pages = members.div_ceil(MEMBERS_PER_PAGE);
        self.members += members;
        self.member_pages += pages;
        self.largest_group_pages = self.largest_group_pages.max(pages);
    }
}

/// The smallest set of requests that reads everything, and the dependencies between them.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    pub user_pages: u64,
    pub group_pages: u64,
    /// The number of requests for memberships. Empty groups and Everyone need none.
    pub membership_requests: u64,
    /// `group` or `user`.
    pub by: &'static str,
    /// The length of the longest chain of requests that depend on each other's responses. See [`Plan::of`].
    pub chain: u64,
    /// The number of rows in all responses.
    pub rows: u64,
}

impl Plan {
    /// Returns the plan for an org.
    ///
    /// The longest chain of dependent requests:
    /// - A listing with cursors is a chain of its pages, since only a page contains the address of the next one. This
    ///   applies to groups and to the members of a group.
    /// - The plan assumes that the user list can be split into as many parts as there are concurrent requests, so its
    ///   chain is an eighth of its pages. The tool reads the list with at most two cursors, since Okta documents no
    ///   search that could split it further.
    /// - By group: only after all groups are listed with their sizes is it known that reading by group is cheaper, and
    ///   only then is the first page of the largest group requested. So the chain consists of the pages of the group
    ///   list and those of that group, or of the user list, which is read at the same time.
    /// - By user: the groups of a user can be requested as soon as the user is known. So the chain consists of the user
    ///   list and one more request, or of the group list, which is read at the same time. The tool requests most groups
    ///   of users only after the user list has ended, which is not counted.
    pub fn of(sizes: &OrgSizes, prefilter: bool) -> Self {
        let (user_pages, user_rows) = if prefilter {
            (
                sizes.users_matching.div_ceil(USERS_PER_PAGE),
                sizes.users_matching,
            )
        } else {
            (sizes.users.div_ceil(USERS_PER_PAGE), sizes.users)
        };
        let group_pages = sizes.groups.div_ceil(GROUPS_PER_PAGE);
        let user_chain = user_pages.div_ceil(CONCURRENCY);
        let by_group = sizes.member_pages <= sizes.users_in_scope;
        let (by, membership_requests, chain, membership_rows) = if by_group {
            let chain = user_chain.max(group_pages + sizes.largest_group_pages);
            ("group", sizes.member_pages, chain, sizes.members)
        } else {
            let chain = group_pages.max(user_chain + 1);
            (
                "user",
                sizes.users_in_scope,
                chain,
                sizes.memberships_in_scope,
            )
        };
        Self {
            user_pages,
            group_pages,
            membership_requests,
            by,
            chain,
            rows: user_rows + sizes.groups + membership_rows,
        }
    }

    /// Returns the number of requests, including the one for the token's owner.
    pub fn requests(&self) -> u64 {
        1 + self.user_pages + self.group_pages + self.membership_requests
    }

    /// Returns the wall time of this plan if only latency costs time: the time of the longest chain, or of all requests
    /// divided among the eight concurrent ones, whichever is longer.
    pub fn ideal(&self, latency: Duration) -> Duration {
        let shared = latency.mul_f64(self.requests() as f64 / CONCURRENCY as f64);
        shared.max(latency.mul_f64(self.chain as f64))
    }
}
