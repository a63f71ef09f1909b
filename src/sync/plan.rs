//! Chooses the strategy that reads memberships with the fewest requests, without I/O.

use std::time::Duration;

use clap::ValueEnum;

use crate::model::{Group, MembershipSource};
use crate::okta::settings::PageSizes;
use crate::words::Words;

/// The strategy that the user requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum MembershipsBy {
    /// Use the strategy that needs fewer requests.
    #[default]
    Auto,
    /// Read the members of each group, and ignore Okta's counts.
    Group,
    /// Read the groups of each user.
    User,
}

impl MembershipsBy {
    /// Returns the word for the value on the command line.
    pub fn as_str(self) -> &'static str {
        static WORDS: Words<MembershipsBy> = Words::new();
        WORDS.of(self)
    }
}

/// A strategy for reading memberships.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Read the members of each group.
    Group,
    /// Read the groups of each user.
    User,
}

impl Strategy {
    /// Returns the word for the strategy in a snapshot.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::User => "user",
        }
    }

    /// Returns the strategy with this word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Group, Self::User]
            .into_iter()
            .find(|strategy| strategy.as_str() == word)
    }
}

/// Returns the source of a group's memberships if memberships are read by group.
///
/// If that was requested explicitly, Okta's counts are ignored: the members of groups reported as empty are listed too, and
/// so are those of Everyone.
pub fn membership_source(group: &Group, requested: MembershipsBy) -> MembershipSource {
    if requested == MembershipsBy::Group {
        MembershipSource::Listed
    } else if group.is_everyone() {
        MembershipSource::Implied
    } else if group.members_reported == Some(0) {
        MembershipSource::ReportedEmpty
    } else {
        MembershipSource::Listed
    }
}

/// Returns the number of requests that list a group's members: one for each page, and one if Okta reports no size.
pub fn pages(members: Option<u64>, page_size: u64) -> u64 {
    members.map_or(1, |members| members.div_ceil(page_size).max(1))
}

/// Returns the number of requests for a group if memberships are read by group.
pub fn requests_by_group(group: &Group, requested: MembershipsBy, sizes: PageSizes) -> u64 {
    match membership_source(group, requested) {
        MembershipSource::Listed => pages(group.members_reported, sizes.members),
        _ => 0,
    }
}

/// Returns the requested strategy, or the cheaper one. At equal cost, memberships are read by group, which also counts the
/// members who are out of scope.
pub fn choose(group_requests: u64, user_requests: u64, requested: MembershipsBy) -> Strategy {
    match requested {
        MembershipsBy::Group => Strategy::Group,
        MembershipsBy::User => Strategy::User,
        MembershipsBy::Auto if group_requests <= user_requests => Strategy::Group,
        MembershipsBy::Auto => Strategy::User,
    }
}

/// Returns the strategy if it is already certain: the number of users in scope only grows while they are listed.
pub fn choose_early(
    group_requests: u64,
    users_so_far: u64,
    requested: MembershipsBy,
) -> Option<Strategy> {
    match requested {
        MembershipsBy::Group => Some(Strategy::Group),
        MembershipsBy::User => None,
        MembershipsBy::Auto => (group_requests <= users_so_far).then_some(Strategy::Group),
    }
}

/// Returns how long requests take: a minute for each rate-limit window that they fill, then the time of the responses.
pub fn time(
    requests: u64,
    budget_per_minute: Option<u64>,
    response: Duration,
    concurrency: usize,
) -> Duration {
    let full_windows =
        budget_per_minute.map_or(0, |budget| requests.saturating_sub(1) / budget.max(1));
    let last = requests - full_windows * budget_per_minute.unwrap_or(0);
    let responding = response.mul_f64(last as f64 / concurrency as f64);
    Duration::from_secs(60 * full_windows) + responding
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, proptest};

    use super::*;
    use crate::model::{GroupId, Profile};

    fn group(kind: &str, name: &str, members_reported: Option<u64>) -> Group {
        let mut profile = Profile::new();
        profile.insert("name".to_owned(), name.into());
        Group {
            id: GroupId::from("00g1"),
            kind: Some(kind.to_owned()),
            source_id: None,
            created: None,
            last_updated: None,
            last_membership_updated: None,
            members_reported,
            has_admin_privilege: None,
            profile,
        }
    }

    #[test]
    fn a_group_costs_its_pages_and_nothing_where_it_need_not_be_asked() {
        let sizes = PageSizes::default();
        for (kind, name, members, auto, by_hand) in [
            ("OKTA_GROUP", "a", Some(0), 0, 1),
            ("OKTA_GROUP", "a", Some(1), 1, 1),
            ("OKTA_GROUP", "a", Some(1000), 1, 1),
            ("OKTA_GROUP", "a", Some(1001), 2, 2),
            ("OKTA_GROUP", "a", None, 1, 1),
            ("BUILT_IN", "Everyone", Some(5000), 0, 5),
            ("OKTA_GROUP", "Everyone", Some(5000), 5, 5),
        ] {
            let group = group(kind, name, members);
            let requests = |requested| requests_by_group(&group, requested, sizes);
            assert_eq!(requests(MembershipsBy::Auto), auto, "{group:?}");
            assert_eq!(requests(MembershipsBy::Group), by_hand, "{group:?}");
        }
    }

    #[test]
    fn a_run_that_fits_into_one_window_takes_as_long_as_its_answers() {
        let response = Duration::from_millis(80);
        assert_eq!(time(400, Some(450), response, 8), Duration::from_secs(4));
        assert_eq!(time(0, Some(450), response, 8), Duration::ZERO);
        assert_eq!(
            time(901, Some(450), response, 8),
            Duration::from_secs(120) + response / 8
        );
        assert_eq!(time(800, None, response, 8), Duration::from_secs(8));
    }

    proptest! {
        #[test]
        fn the_choice_is_the_cheaper_and_an_early_one_is_never_revised(by_group in any::<u64>(), users in any::<u64>(), more in any::<u64>()) {
            let by_user = users.saturating_add(more);
            let chosen = choose(by_group, by_user, MembershipsBy::Auto);
            let cost = if chosen == Strategy::Group { by_group } else { by_user };
            prop_assert!(cost == by_group.min(by_user));
            if let Some(early) = choose_early(by_group, users, MembershipsBy::Auto) {
                prop_assert!(early == chosen);
            }
        }
    }
}
