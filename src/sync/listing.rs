//! A listing as the working database keeps it: what it is of, and where its walk is.

use super::directory::Seq;
use crate::model::{GroupId, UserId};
use crate::okta::order::{End, Position};
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
    /// All users, sorted by id, from one end; and how far that is ([`super::ends`]).
    From(End, Option<Position>),
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
            Self::From(End::Lowest, _) => "from_lowest",
            Self::From(End::Highest, _) => "from_highest",
            Self::Live => "live",
            Self::Deprovisioned => "deprovisioned",
            Self::Groups => "groups",
            Self::Members(..) => "members",
            Self::GroupsOf(..) => "groups_of",
        }
    }

    /// A number and a text; which, depends on the kind.
    pub fn parts(&self) -> (Option<i64>, Option<String>) {
        match self {
            Self::From(_, reached) => (None, reached.map(Position::to_text)),
            Self::Members(seq, id) => (Some((*seq).into()), Some(id.to_string())),
            Self::GroupsOf(seq, id) => (Some((*seq).into()), Some(id.to_string())),
            _ => (None, None),
        }
    }

    /// What a word and its parts stand for.
    pub fn of_parts(word: &str, number: Option<i64>, id: Option<String>) -> Option<Self> {
        let seq = || Seq::try_from(number?).ok();
        let from = |end| {
            let reached = id.as_deref().map(Position::of_text);
            Some(Self::From(
                end,
                if id.is_some() { Some(reached??) } else { None },
            ))
        };
        Some(match word {
            "prefilter" => Self::Prefilter,
            "users" => Self::Users,
            "from_lowest" => from(End::Lowest)?,
            "from_highest" => from(End::Highest)?,
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
            Listing::From(End::Lowest, None),
            Listing::From(End::Highest, Position::of("00u1")),
            Listing::Live,
            Listing::Deprovisioned,
            Listing::Groups,
            Listing::Members(Seq::MAX, GroupId::from("00g1")),
            Listing::GroupsOf(0, UserId::from("00u1")),
        ] {
            let (number, text) = listing.parts();
            let found = Listing::of_parts(listing.word(), number, text);
            assert_eq!(found.as_ref(), Some(&listing));
        }
        assert_eq!(Listing::of_parts("members", Some(-1), None), None);
        assert_eq!(Listing::of_parts("apps", None, None), None);
        let odd = Some("odd".to_owned());
        assert_eq!(Listing::of_parts("from_lowest", None, odd), None);
    }
}
