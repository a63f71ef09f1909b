//! The kinds of listings and their progress. [`ListingKind`] decides a listing's request, its row in the checkpoint and the
//! text of its errors.

use super::objects::LocalId;
use crate::model::{GroupId, UserId};
use crate::okta::http::page::RowKey;
use crate::okta::order::{End, Position};
use crate::okta::read::UserSet;

/// The number of a listing in this run.
pub type ListingId = i64;

/// A listing that has pages left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenListing {
    /// The number of the listing.
    pub id: ListingId,
    /// The kind of listing.
    pub kind: ListingKind,
    /// The path and query of the page to request next; none to start with the first page.
    pub cursor: Option<String>,
    /// The rows of earlier pages, if a resumed listing counts them.
    pub listed: Vec<RowKey>,
    /// The position that a listing sorted by id has reached ([`super::ends`]).
    pub reached: Option<Position>,
}

/// The objects that a listing returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListingKind {
    /// Users.
    Users(UserSet),
    /// All groups.
    Groups,
    /// The members of a group.
    Members(LocalId, GroupId),
    /// The groups of a user.
    GroupsOf(LocalId, UserId),
}

impl ListingKind {
    /// Returns the word for the kind in the checkpoint.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Users(UserSet::Matching(_)) => "matching_users",
            Self::Users(UserSet::All) => "all_users",
            Self::Users(UserSet::From(End::Lowest)) => "users_from_lowest",
            Self::Users(UserSet::From(End::Highest)) => "users_from_highest",
            Self::Users(UserSet::NotDeprovisioned) => "users_not_deprovisioned",
            Self::Users(UserSet::Deprovisioned) => "users_deprovisioned",
            Self::Groups => "groups",
            Self::Members(..) => "members",
            Self::GroupsOf(..) => "groups_of",
        }
    }

    /// Returns the number of the object whose members or groups are listed, and a text: that object's id, or the search.
    pub fn subject(&self) -> (Option<LocalId>, Option<&str>) {
        match self {
            Self::Users(UserSet::Matching(search)) => (None, Some(search)),
            Self::Members(group, id) => (Some(*group), Some(id.as_str())),
            Self::GroupsOf(user, id) => (Some(*user), Some(id.as_str())),
            Self::Users(_) | Self::Groups => (None, None),
        }
    }

    /// Returns the kind with this word and subject; none if the word is unknown or the subject does not fit.
    pub fn parse(word: &str, object: Option<i64>, text: Option<String>) -> Option<Self> {
        let object = || LocalId::try_from(object?).ok();
        Some(match word {
            "matching_users" => Self::Users(UserSet::Matching(text?)),
            "all_users" => Self::Users(UserSet::All),
            "users_from_lowest" => Self::Users(UserSet::From(End::Lowest)),
            "users_from_highest" => Self::Users(UserSet::From(End::Highest)),
            "users_not_deprovisioned" => Self::Users(UserSet::NotDeprovisioned),
            "users_deprovisioned" => Self::Users(UserSet::Deprovisioned),
            "groups" => Self::Groups,
            "members" => Self::Members(object()?, GroupId::from(text?)),
            "groups_of" => Self::GroupsOf(object()?, UserId::from(text?)),
            _ => return None,
        })
    }

    /// Describes what the run is doing, for the error of a failed request.
    pub fn activity(&self) -> String {
        match self {
            Self::Users(_) => "reading users".to_owned(),
            Self::Groups => "reading groups".to_owned(),
            Self::Members(_, id) => format!("reading the members of group {id}"),
            Self::GroupsOf(_, id) => format!("reading the groups of user {id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listing_survives_its_word_and_its_subject() {
        for kind in [
            ListingKind::Users(UserSet::Matching("status pr".to_owned())),
            ListingKind::Users(UserSet::All),
            ListingKind::Users(UserSet::From(End::Lowest)),
            ListingKind::Users(UserSet::From(End::Highest)),
            ListingKind::Users(UserSet::NotDeprovisioned),
            ListingKind::Users(UserSet::Deprovisioned),
            ListingKind::Groups,
            ListingKind::Members(LocalId::MAX, GroupId::from("00g1")),
            ListingKind::GroupsOf(0, UserId::from("00u1")),
        ] {
            let (object, text) = kind.subject();
            let found =
                ListingKind::parse(kind.word(), object.map(i64::from), text.map(str::to_owned));
            assert_eq!(found.as_ref(), Some(&kind));
        }
        assert_eq!(ListingKind::parse("members", Some(-1), None), None);
        assert_eq!(ListingKind::parse("apps", None, None), None);
    }
}
