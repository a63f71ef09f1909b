//! Selects the rows of a listing; pure.
//!
//! A row must meet all conditions. A membership meets the conditions on users if its user does, and those on groups if
//! its group does.

use std::collections::{BTreeSet, HashSet};

use crate::model::{GroupId, UserId};
use crate::snapshot::{GroupRow, UserRow};

/// The conditions on rows.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The text that a row must contain, in lower case; see [`Self::like`].
    pub like: Option<String>,
    /// The statuses of users, in upper case; any status if empty.
    pub statuses: BTreeSet<String>,
    /// The types of groups, in upper case; any type if empty.
    pub types: BTreeSet<String>,
    /// The users; any user if this is `None`.
    pub users: Option<HashSet<UserId>>,
    /// The groups; any group if this is `None`.
    pub groups: Option<HashSet<GroupId>>,
}

impl Filter {
    /// Selects rows whose id, name or address contains a text, ignoring case.
    #[must_use]
    pub fn like(mut self, text: Option<&str>) -> Self {
        self.like = text.map(str::to_lowercase);
        self
    }

    /// Returns true if a listing of users contains this one.
    pub fn keeps_user(&self, user: &UserRow) -> bool {
        self.selects_user(user) && self.user_is_like(user)
    }

    /// Returns true if a listing of groups contains this one.
    pub fn keeps_group(&self, group: &GroupRow) -> bool {
        self.selects_group(group) && self.group_is_like(group)
    }

    /// Returns true if the user meets all conditions except the text. For a membership, the user or the group may
    /// contain the text.
    pub fn selects_user(&self, user: &UserRow) -> bool {
        has_word(&self.statuses, user.status.as_deref())
            && self.users.as_ref().is_none_or(|ids| ids.contains(&user.id))
    }

    /// Returns true if the group meets all conditions except the text.
    pub fn selects_group(&self, group: &GroupRow) -> bool {
        has_word(&self.types, group.kind.as_deref())
            && self
                .groups
                .as_ref()
                .is_none_or(|ids| ids.contains(&group.id))
    }

    /// Returns true if the id, the name or an address of the user contains the text.
    pub fn user_is_like(&self, user: &UserRow) -> bool {
        let texts = [&user.login, &user.email, &user.second_email];
        let texts = texts.into_iter().filter_map(|text| text.as_deref());
        self.is_like(texts.chain([user.id.as_str(), &user.display_name()]))
    }

    /// Returns true if the id, the name or the description of the group contains the text.
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
