//! Fewest requests; pure. Requests are what an org pays with, so the way to read memberships is worked out beforehand.

use std::time::Duration;

use crate::model::{Group, Learned};
use crate::okta::settings::PageSizes;

/// How memberships are to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MembershipsBy {
    /// Whichever costs fewer requests.
    #[default]
    Auto,
    /// The members of each group; trusts no count of Okta's.
    Group,
    /// The groups of each user.
    User,
}

impl MembershipsBy {
    /// The word on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Group => "group",
            Self::User => "user",
        }
    }
}

/// A way to read memberships.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// The members of each group.
    Group,
    /// The groups of each user.
    User,
}

impl Strategy {
    /// The word in the snapshot.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::User => "user",
        }
    }

    /// The way that a word names.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Group, Self::User]
            .into_iter()
            .find(|way| way.as_str() == word)
    }
}

/// How the members of one group will be learned when reading by group.
///
/// Asked for by hand, reading by group trusts no count: groups reported empty are listed too, and so is Everyone.
pub fn way_by_group(group: &Group, wish: MembershipsBy) -> Learned {
    if wish == MembershipsBy::Group {
        Learned::Listed
    } else if group.is_everyone() {
        Learned::Implied
    } else if group.members_reported == Some(0) {
        Learned::ReportedEmpty
    } else {
        Learned::Listed
    }
}

/// Requests to list one group's members: its pages, and one where Okta does not say how many there are.
pub fn pages(members: Option<u64>, page_size: u64) -> u64 {
    members.map_or(1, |members| members.div_ceil(page_size).max(1))
}

/// Requests to learn one group's members when reading by group.
pub fn requests_by_group(group: &Group, wish: MembershipsBy, sizes: PageSizes) -> u64 {
    match way_by_group(group, wish) {
        Learned::Listed => pages(group.members_reported, sizes.members),
        _ => 0,
    }
}

/// The cheaper way, or the one that was asked for. At equal cost by group: it also tells whom the scope hides.
pub fn choose(by_group: u64, by_user: u64, wish: MembershipsBy) -> Strategy {
    match wish {
        MembershipsBy::Group => Strategy::Group,
        MembershipsBy::User => Strategy::User,
        MembershipsBy::Auto if by_group <= by_user => Strategy::Group,
        MembershipsBy::Auto => Strategy::User,
    }
}

/// The way, as soon as it is certain: users in scope only get more while their list is read.
pub fn choose_early(by_group: u64, users_so_far: u64, wish: MembershipsBy) -> Option<Strategy> {
    match wish {
        MembershipsBy::Group => Some(Strategy::Group),
        MembershipsBy::User => None,
        MembershipsBy::Auto => (by_group <= users_so_far).then_some(Strategy::Group),
    }
}

/// How long some requests take: the windows that they fill, or, where no limit holds them up, their answers.
pub fn time(
    requests: u64,
    share_a_minute: Option<u64>,
    answer: Duration,
    concurrency: usize,
) -> Duration {
    let full_windows = share_a_minute.map_or(0, |share| requests.saturating_sub(1) / share.max(1));
    let last = requests - full_windows * share_a_minute.unwrap_or(0);
    let answering = answer.mul_f64(last as f64 / concurrency as f64);
    Duration::from_secs(60 * full_windows) + answering
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
            let requests = |wish| requests_by_group(&group, wish, sizes);
            assert_eq!(requests(MembershipsBy::Auto), auto, "{group:?}");
            assert_eq!(requests(MembershipsBy::Group), by_hand, "{group:?}");
        }
    }

    #[test]
    fn a_run_that_fits_into_one_window_takes_as_long_as_its_answers() {
        let answer = Duration::from_millis(80);
        assert_eq!(time(400, Some(450), answer, 8), Duration::from_secs(4));
        assert_eq!(time(0, Some(450), answer, 8), Duration::ZERO);
        assert_eq!(
            time(901, Some(450), answer, 8),
            Duration::from_secs(120) + answer / 8
        );
        assert_eq!(time(800, None, answer, 8), Duration::from_secs(8));
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
