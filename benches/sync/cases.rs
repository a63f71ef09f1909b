//! What is measured: orgs by name, and what nobody can beat.
//!
//! A floor is computed from the org itself, never from what the tool did. Where it is not certain that a cost cannot be
//! avoided, it is not counted.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use okta_fake::{Distribution, Shape};
use serde::{Deserialize, Serialize};

/// Requests at once, of the tool and of the floor.
pub const CONCURRENCY: u64 = 8;
/// Rows of a page, as large as Okta gives them.
const USERS_A_PAGE: u64 = 200;
const GROUPS_A_PAGE: u64 = 200;
const MEMBERS_A_PAGE: u64 = 1000;

/// An org, how it answers, and how it is synced.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Case {
    /// What it is a part of.
    pub base: String,
    /// By how much every size was divided.
    pub divisor: usize,
    pub users: usize,
    pub in_scope: usize,
    /// Everyone not counted.
    pub groups: usize,
    /// Everyone's not counted.
    pub memberships: usize,
    pub largest_group: usize,
    pub latency_ms: u64,
    /// Requests a minute of every bucket.
    pub rate_limit: Option<u64>,
    /// Whether secondary emails do not count, so that only possible matches are asked for.
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

    /// Sizes for `own`, until others are given.
    pub fn own() -> Self {
        Self::new("own", [1_000, 300, 50, 3_000, 400], 0)
    }

    /// About 1,500 requests of the groups' bucket, and few of the others, at 600 a minute.
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

    /// The name in the table.
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
            ensure!(*size > 0, "nothing is left of {} over {by}", self.base);
        }
        self.divisor *= by;
        Ok(self)
    }
}

/// What runs where no name is given: all but `limit`, which takes minutes.
pub const DEFAULT: [&str; 7] = ["a", "a/10", "b", "b/10", "c", "c/10", "d"];

/// The cases of a name, such as `c` or `c/10`.
pub fn named(name: &str, own: &Case) -> anyhow::Result<Vec<Case>> {
    let (base, divisor) = match name.split_once('/') {
        Some((base, divisor)) => {
            let divisor: usize = divisor
                .parse()
                .with_context(|| format!("{name:?}: what follows the / is no number"))?;
            ensure!(divisor > 0, "{name:?}: nothing can be divided by 0");
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
        _ => bail!("{name:?} is none of a, b, b-prefilter, c, d, own, limit"),
    };
    cases
        .into_iter()
        .map(|case| case.divided(divisor))
        .collect()
}

/// What the org holds, counted in the org itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Facts {
    pub users: u64,
    pub users_in_scope: u64,
    /// Users that a search for the domain finds in email or login.
    pub users_matching: u64,
    /// Everyone included.
    pub groups: u64,
    /// Of users in scope, Everyone's included.
    pub memberships_in_scope: u64,
    /// Of the groups that must be listed when reading by group: their members, their pages, and the pages of the largest.
    pub members: u64,
    pub member_pages: u64,
    pub largest_group_pages: u64,
}

impl Facts {
    /// Adds a group that is neither empty nor Everyone.
    pub fn add_group(&mut self, members: u64) {
        let pages = members.div_ceil(MEMBERS_A_PAGE);
        self.members += members;
        self.member_pages += pages;
        self.largest_group_pages = self.largest_group_pages.max(pages);
    }
}

/// The fewest requests that tell everything, and how they depend on each other.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    pub user_pages: u64,
    pub group_pages: u64,
    /// Requests for memberships. Empty groups and Everyone cost none.
    pub membership_requests: u64,
    /// `group` or `user`.
    pub by: &'static str,
    /// Requests each of which can only be sent when the one before is answered. See [`Plan::of`].
    pub chain: u64,
    /// Rows of all these answers.
    pub rows: u64,
}

impl Plan {
    /// The plan of an org.
    ///
    /// The longest chain of dependent requests:
    /// - A listing by cursor is a chain of its pages: only a page names the next. That holds for groups and for the
    ///   members of a group.
    /// - The list of users can be split by creation time, into as many parts as there are requests at once, so it is a
    ///   chain of an eighth of its pages. What finding good places to split costs is not counted.
    /// - By group: that by group is cheaper is known when all groups are listed with their sizes, and only then the
    ///   largest group's first page is asked for. So the chain is the pages of the group list and those of that group,
    ///   or the list of users, which goes on beside.
    /// - By user: a user's groups can be asked for when the user is known. So the chain is the list of users and one more,
    ///   or the group list, which goes on beside. That most of the groups of users wait for the list's end is not counted.
    pub fn of(facts: &Facts, prefilter: bool) -> Self {
        let (user_pages, user_rows) = if prefilter {
            (
                facts.users_matching.div_ceil(USERS_A_PAGE),
                facts.users_matching,
            )
        } else {
            (facts.users.div_ceil(USERS_A_PAGE), facts.users)
        };
        let group_pages = facts.groups.div_ceil(GROUPS_A_PAGE);
        let user_chain = user_pages.div_ceil(CONCURRENCY);
        let by_group = facts.member_pages <= facts.users_in_scope;
        let (by, membership_requests, chain, membership_rows) = if by_group {
            let chain = user_chain.max(group_pages + facts.largest_group_pages);
            ("group", facts.member_pages, chain, facts.members)
        } else {
            let chain = group_pages.max(user_chain + 1);
            (
                "user",
                facts.users_in_scope,
                chain,
                facts.memberships_in_scope,
            )
        };
        Self {
            user_pages,
            group_pages,
            membership_requests,
            by,
            chain,
            rows: user_rows + facts.groups + membership_rows,
        }
    }

    /// All requests: of these, and one for whose token it is.
    pub fn requests(&self) -> u64 {
        1 + self.user_pages + self.group_pages + self.membership_requests
    }

    /// The wall time of this plan where nothing costs time but the latency: that of the longest chain, or of all requests
    /// shared out to the eight that are under way at once.
    pub fn ideal(&self, latency: Duration) -> Duration {
        let shared = latency.mul_f64(self.requests() as f64 / CONCURRENCY as f64);
        shared.max(latency.mul_f64(self.chain as f64))
    }
}
