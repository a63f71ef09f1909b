//! Which rows a listing contains; pure.
//!
//! Every condition that is given must hold. A condition on users holds for a membership if it holds for its user, and a
//! condition on groups if it holds for its group.

use std::collections::{BTreeSet, HashSet};

use crate::model::{GroupId, UserId};
use crate::snapshot::{GroupRow, UserRow};

/// The conditions on rows.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The text that a row contains, in lower case; see [`Self::like`].
    pub like: Option<String>,
    /// The statuses of users, in upper case; all if there are none.
    pub statuses: BTreeSet<String>,
    /// The types of groups, in upper case; all if there are none.
    pub types: BTreeSet<String>,
    /// The users; all if this is `None`.
    pub users: Option<HashSet<UserId>>,
    /// The groups; all if this is `None`.
    pub groups: Option<HashSet<GroupId>>,
}

impl Filter {
    /// Keeps rows that contain a text, ignoring case, in the id, a name or an address.
    #[must_use]
    pub fn like(mut self, text: Option<&str>) -> Self {
        self.like = text.map(str::to_lowercase);
        self
    }

    /// Returns whether a listing of users contains this one.
    pub fn keeps_user(&self, user: &UserRow) -> bool {
        self.selects_user(user) && self.user_is_like(user)
    }

    /// Returns whether a listing of groups contains this one.
    pub fn keeps_group(&self, group: &GroupRow) -> bool {
        self.selects_group(group) && self.group_is_like(group)
    }

    /// Returns whether the user meets every condition but the text, which either side of a membership may contain.
    pub fn selects_user(&self, user: &UserRow) -> bool {
        has_word(&self.statuses, user.status.as_deref())
            && self.users.as_ref().is_none_or(|ids| ids.contains(&user.id))
    }

    /// Returns whether the group meets every condition but the text.
    pub fn selects_group(&self, group: &GroupRow) -> bool {
        has_word(&self.types, group.kind.as_deref())
            && self
                .groups
                .as_ref()
                .is_none_or(|ids| ids.contains(&group.id))
    }

    /// Returns whether the id, the name or an address of the user contains the text.
    pub fn user_is_like(&self, user: &UserRow) -> bool {
        let texts = [&user.login, &user.email, &user.second_email];
        let texts = texts.into_iter().filter_map(|text| text.as_deref());
        self.is_like(texts.chain([user.id.as_str(), &user.display_name()]))
    }

    /// Returns whether the id, the name or the description of the group contains the text.
    pub fn group_is_like(&self, group: &GroupRow) -> bool {
        let texts = [&group.name, &group.description];
        let texts = texts.into_iter().filter_map(|text| text.as_deref());
        self.is_like(texts.chain([group.id.as_str()]))
    }

    fn is_like<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> bool {
        let Some(like) = &self.like else {
            return true;
        };
        let mut texts = texts.into_iter();
        texts.any(|text| text.to_lowercase().contains(like))
    }
}

fn has_word(words: &BTreeSet<String>, word: Option<&str>) -> bool {
    words.is_empty() || word.is_some_and(|word| words.contains(&word.to_uppercase()))
}
