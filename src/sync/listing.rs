//! A listing as the working database keeps it: what it is of, and where its walk is.

use super::directory::Seq;
use crate::model::{GroupId, UserId};
use crate::okta::page::RowKey;

/// A listing that was begun, or is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    /// Its number.
    pub id: WalkId,
    /// Of what.
    pub of: Listing,
    /// The page that it goes on with; none at its beginning.
    pub at: Option<String>,
    /// The rows that it has seen, where it is in the middle and counts them.
    pub seen: Vec<RowKey>,
}

/// The number of a listing in this run.
pub type WalkId = i64;

/// What a listing is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listing {
    /// Users whom a search for the domains finds.
    Prefilter,
    /// All users.
    Users,
    /// Users of a window of creation times: its start, and its end ([`super::windows`]).
    Created(Option<i64>, i64),
    /// All users but the deprovisioned, without a search.
    Live,
    /// The deprovisioned ones, without a search.
    Deprovisioned,
    /// All groups.
    Groups,
    /// The members of a group.
    Members(Seq, GroupId),
    /// The groups of a user.
    GroupsOf(Seq, UserId),
}

impl Listing {
    /// The word in the working database.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Prefilter => "prefilter",
            Self::Users => "users",
            Self::Created(..) => "created",
            Self::Live => "live",
            Self::Deprovisioned => "deprovisioned",
            Self::Groups => "groups",
            Self::Members(..) => "members",
            Self::GroupsOf(..) => "groups_of",
        }
    }

    /// Two numbers and an id; which, depends on the kind.
    pub fn parts(&self) -> (Option<i64>, Option<i64>, Option<&str>) {
        match self {
            Self::Created(start, end) => (*start, Some(*end), None),
            Self::Members(seq, id) => (Some((*seq).into()), None, Some(id.as_str())),
            Self::GroupsOf(seq, id) => (Some((*seq).into()), None, Some(id.as_str())),
            _ => (None, None, None),
        }
    }

    /// What a word and its parts stand for.
    pub fn of_parts(
        word: &str,
        low: Option<i64>,
        high: Option<i64>,
        id: Option<String>,
    ) -> Option<Self> {
        let seq = || Seq::try_from(low?).ok();
        Some(match word {
            "prefilter" => Self::Prefilter,
            "users" => Self::Users,
            "created" => Self::Created(low, high?),
            "live" => Self::Live,
            "deprovisioned" => Self::Deprovisioned,
            "groups" => Self::Groups,
            "members" => Self::Members(seq()?, GroupId::from(id?)),
            "groups_of" => Self::GroupsOf(seq()?, UserId::from(id?)),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listing_survives_its_word_and_its_parts() {
        for listing in [
            Listing::Prefilter,
            Listing::Users,
            Listing::Created(None, 5),
            Listing::Created(Some(-3), i64::MAX),
            Listing::Live,
            Listing::Deprovisioned,
            Listing::Groups,
            Listing::Members(Seq::MAX, GroupId::from("00g1")),
            Listing::GroupsOf(0, UserId::from("00u1")),
        ] {
            let (low, high, id) = listing.parts();
            let found = Listing::of_parts(listing.word(), low, high, id.map(str::to_owned));
            assert_eq!(found.as_ref(), Some(&listing));
        }
        assert_eq!(Listing::of_parts("members", Some(-1), None, None), None);
        assert_eq!(Listing::of_parts("apps", None, None, None), None);
    }
}
