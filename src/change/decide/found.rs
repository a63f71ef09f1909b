//! The user or the group that a typed name refers to; pure.

use std::sync::Arc;

use super::RowRefusal;
use crate::model::{Group, User};

/// The result of looking up a name.
#[derive(Clone, Debug, PartialEq)]
pub enum Found<T> {
    /// Exactly one object has the name.
    One(Arc<T>),
    /// Nothing has the name.
    Nothing,
    /// Nothing has the name, but some names are similar. The text is a question that suggests them.
    Near(String),
    /// Several objects have the name.
    Several(Vec<Arc<T>>),
    /// Only objects whose name differs in case.
    OtherCase(Vec<Arc<T>>),
    /// The lookup failed for this reason.
    Unreadable(RowRefusal),
}

/// Chooses the user that a text refers to among those that Okta returned: one whose id or complete login equals the
/// text, ignoring case, or else one whose complete email does. Logins are unique in an org, and emails are not. Okta
/// also finds users by short logins (docs/okta-api.md, Users).
pub fn choose_user(typed: &str, answers: Vec<User>) -> Found<User> {
    let mut by_login: Vec<Arc<User>> = Vec::new();
    let mut by_email: Vec<Arc<User>> = Vec::new();
    for user in answers {
        let list = if is_id_or_login(typed, &user) {
            &mut by_login
        } else if is_same(typed, user.email()) {
            &mut by_email
        } else {
            continue;
        };
        if list.iter().all(|other| other.id != user.id) {
            list.push(Arc::new(user));
        }
    }
    one_of(if by_login.is_empty() {
        by_email
    } else {
        by_login
    })
}

/// Returns true if a text is a user's id or complete login, ignoring case.
pub fn is_id_or_login(typed: &str, user: &User) -> bool {
    is_same(typed, Some(user.id.as_str())) || is_same(typed, user.login())
}

fn is_same(typed: &str, text: Option<&str>) -> bool {
    text.is_some_and(|text| text.to_lowercase() == typed.to_lowercase())
}

/// Chooses the group that a text refers to among those that Okta returned: one whose id is the text, or one whose name
/// equals it byte for byte.
pub fn choose_group(typed: &str, answers: Vec<Group>) -> Found<Group> {
    let mut exact: Vec<Arc<Group>> = Vec::new();
    let mut other_case: Vec<Arc<Group>> = Vec::new();
    let folded = typed.to_lowercase();
    for group in answers {
        let same_name = group
            .name()
            .is_some_and(|name| name.to_lowercase() == folded);
        let list = if group.id.as_str() == typed || group.name() == Some(typed) {
            &mut exact
        } else if same_name {
            &mut other_case
        } else {
            continue;
        };
        if list.iter().all(|other| other.id != group.id) {
            list.push(Arc::new(group));
        }
    }
    if exact.is_empty() && !other_case.is_empty() {
        return Found::OtherCase(other_case);
    }
    one_of(exact)
}

fn one_of<T>(mut found: Vec<Arc<T>>) -> Found<T> {
    match found.len() {
        0 => Found::Nothing,
        1 => Found::One(found.remove(0)),
        _ => Found::Several(found),
    }
}

pub(in crate::change) fn one<T>(found: &Found<T>) -> Option<Arc<T>> {
    match found {
        Found::One(it) => Some(Arc::clone(it)),
        _ => None,
    }
}
