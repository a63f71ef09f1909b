//! The reasons to refuse a row because of its user or group, and the warnings about a group; pure.

use std::sync::Arc;

use super::found::Found;
use super::{RowRefusal, Rules};
use crate::change::Action;
use crate::failure::FailureKind;
use crate::filter::{Addresses, Scope};
use crate::model::{Group, User};

fn no_user(typed: &str) -> String {
    format!("no user has the id, login or email {typed:?}")
}

fn no_group(typed: &str) -> String {
    format!("no group has the id or name {typed:?}")
}

fn refuse(kind: FailureKind, reason: String) -> Option<RowRefusal> {
    Some(RowRefusal { kind, reason })
}

pub(in crate::change) fn refuse_user(
    action: Action,
    typed: &str,
    found: &Found<User>,
    scope: &Scope,
) -> Option<RowRefusal> {
    let user = match found {
        Found::One(user) => user,
        Found::Unreadable(refusal) => return Some(refusal.clone()),
        Found::Nothing | Found::OtherCase(_) => {
            return refuse(FailureKind::Other, no_user(typed));
        }
        Found::Near(question) => {
            return refuse(
                FailureKind::Other,
                format!("{}; {question}", no_user(typed)),
            );
        }
        Found::Several(users) => {
            let names: Vec<String> = users
                .iter()
                .map(|user| {
                    let login = user.login().unwrap_or("no login");
                    let status = user.status.as_deref().unwrap_or("no status");
                    format!("{} ({login}, {status})", user.id)
                })
                .collect();
            return refuse(
                FailureKind::Refused,
                format!(
                    "{typed:?} is the email of several users: {}; use an id",
                    names.join(", ")
                ),
            );
        }
    };
    let addresses = Addresses {
        email: user.email(),
        login: user.login(),
        second_email: user.second_email(),
    };
    if scope.user(addresses).is_none() {
        let domains: Vec<String> = scope.domains().iter().map(ToString::to_string).collect();
        let domains = domains.join(", ");
        return refuse(
            FailureKind::Refused,
            format!(
                "{} is out of scope: no address in {domains}",
                name_of_user(user)
            ),
        );
    }
    if action == Action::Grant && user.is_deprovisioned() {
        return refuse(
            FailureKind::Refused,
            format!(
                "{} is DEPROVISIONED and cannot be granted anything",
                name_of_user(user)
            ),
        );
    }
    None
}

pub(super) fn refuse_group(typed: &str, found: &Found<Group>, scope: &Scope) -> Option<RowRefusal> {
    let names = |groups: &[Arc<Group>]| {
        let names: Vec<String> = groups.iter().map(|group| name_of_group(group)).collect();
        names.join(", ")
    };
    let group = match found {
        Found::One(group) => group,
        Found::Unreadable(refusal) => return Some(refusal.clone()),
        Found::Nothing => return refuse(FailureKind::Other, no_group(typed)),
        Found::Near(question) => {
            return refuse(
                FailureKind::Other,
                format!("{}; {question}", no_group(typed)),
            );
        }
        Found::Several(groups) => {
            return refuse(
                FailureKind::Refused,
                format!(
                    "{typed:?} matches several groups: {}; use an id",
                    names(groups)
                ),
            );
        }
        Found::OtherCase(groups) => {
            let names = names(groups);
            return refuse(
                FailureKind::Refused,
                format!("no group is named exactly {typed:?}; did you mean {names}?"),
            );
        }
    };
    if !scope.group(group.name()) {
        let text = scope
            .group_name()
            .map(ToString::to_string)
            .unwrap_or_default();
        return refuse(
            FailureKind::Refused,
            format!(
                "{} is out of scope: its name does not contain {text:?}",
                name_of_group(group)
            ),
        );
    }
    if !group.is_editable() {
        let kind = group.kind.as_deref().unwrap_or("of no known kind");
        return refuse(
            FailureKind::Refused,
            format!(
                "{} is {kind}; Okta allows changes only to OKTA_GROUP memberships",
                name_of_group(group)
            ),
        );
    }
    None
}

/// Formats a user for a message: login or email, and id.
pub fn name_of_user(user: &User) -> String {
    format!(
        "{} ({})",
        user.login().or(user.email()).unwrap_or("no login"),
        user.id
    )
}

/// Formats a group for a message: name and id.
pub fn name_of_group(group: &Group) -> String {
    format!("{:?} ({})", group.display_name(), group.id)
}

/// Returns the notes to print about a group before it is changed, and true if they require `--yes` even on a terminal.
pub fn caution(action: Action, group: &Group, rules: &Rules) -> (Vec<String>, bool) {
    let name = name_of_group(group);
    let mut notes = Vec::new();
    let mut needs_yes = false;
    match rules {
        Rules::Known(names) if names.is_empty() => {}
        Rules::Known(names) => {
            let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
            notes.push(format!(
                "{name} gets members from the group rule {}, whose exclusion list then contains a revoked user",
                names.join(", ")
            ));
            needs_yes |= action == Action::Revoke;
        }
        Rules::Unknown => {
            notes.push(format!(
                "cannot read the group rules, so one may fill {name}, and its exclusion list then contains a revoked user"
            ));
            needs_yes |= action == Action::Revoke;
        }
    }
    match group.has_admin_privilege {
        Some(false) => {}
        Some(true) => {
            notes.push(format!(
                "{name} has an admin role: its members are administrators of Okta"
            ));
            needs_yes |= action == Action::Grant;
        }
        None if action == Action::Grant => {
            notes.push(format!("cannot tell whether {name} has an admin role"));
            needs_yes = true;
        }
        None => {}
    }
    (notes, needs_yes)
}
