//! What is to be done, row by row, and what is refused; pure.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Action;
use super::rows::Row;
use crate::exit::Exit;
use crate::filter::{Addresses, Scope};
use crate::model::{Group, GroupId, User, UserId};

/// What a name stands for.
#[derive(Clone, Debug, PartialEq)]
pub enum Found<T> {
    /// This.
    One(Arc<T>),
    /// Nothing.
    Nothing,
    /// Several things.
    Several(Vec<Arc<T>>),
    /// Only things whose name differs in case.
    OtherCase(Vec<Arc<T>>),
    /// Okta would not say, for this reason.
    Unreadable(String),
}

/// Which of Okta's answers counts: one whose id, whole login or whole e-mail equals the text without case. Okta also
/// answers to short logins (okta-api 1.2).
pub fn choose_user(asked: &str, answers: Vec<User>) -> Found<User> {
    let asked = asked.to_lowercase();
    let is = |text: Option<&str>| text.is_some_and(|text| text.to_lowercase() == asked);
    let mut found: Vec<Arc<User>> = Vec::new();
    for user in answers {
        let counts = is(Some(user.id.as_str())) || is(user.login()) || is(user.email());
        if counts && found.iter().all(|other| other.id != user.id) {
            found.push(Arc::new(user));
        }
    }
    one_of(found)
}

/// Which of Okta's answers counts: one whose id is the text, else those whose name is it byte for byte.
pub fn choose_group(asked: &str, answers: Vec<Group>) -> Found<Group> {
    let mut exact: Vec<Arc<Group>> = Vec::new();
    let mut other_case: Vec<Arc<Group>> = Vec::new();
    let folded = asked.to_lowercase();
    for group in answers {
        let same_name = group
            .name()
            .is_some_and(|name| name.to_lowercase() == folded);
        let list = if group.id.as_str() == asked || group.name() == Some(asked) {
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

/// Why a row is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The exit code, if nothing else is done.
    pub exit: Exit,
    /// In words.
    pub reason: String,
}

/// Which active rules fill a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rules {
    /// These, by name; possibly none.
    Known(Vec<String>),
    /// Okta would not say.
    Unknown,
}

/// What becomes of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is not done.
    Refused(Refusal),
    /// An earlier line says the same.
    Duplicate(Option<u64>),
    /// It is so already.
    Unchanged,
    /// It is to be sent.
    Change,
    /// Nothing is done, as the row says.
    Kept,
}

/// A row, what it stands for, and what becomes of it.
#[derive(Clone, Debug)]
pub struct Step {
    /// As it was typed.
    pub row: Row,
    /// The user, where there is one.
    pub user: Option<Arc<User>>,
    /// The group, where there is one.
    pub group: Option<Arc<Group>>,
    /// What becomes of it.
    pub verdict: Verdict,
}

impl Step {
    /// The ids to send, where both are known.
    pub fn ids(&self) -> Option<(&UserId, &GroupId)> {
        Some((&self.user.as_ref()?.id, &self.group.as_ref()?.id))
    }
}

/// Everything that is known before the first change.
#[derive(Debug)]
pub struct Knowledge {
    /// What the typed users stand for.
    pub users: HashMap<String, Found<User>>,
    /// What the typed groups stand for.
    pub groups: HashMap<String, Found<Group>>,
    /// The groups of each user who may be changed, or why they cannot be read.
    pub memberships: HashMap<UserId, Result<HashSet<GroupId>, String>>,
}

/// What each row stands for and whether it may be done at all; memberships do not matter yet.
///
/// Rows are compared by what they stand for: a user may be typed in three ways, and a group in three.
pub fn check(action: Action, rows: &[Row], knowledge: &Knowledge, scope: &Scope) -> Vec<Step> {
    let mut seen: HashMap<(UserId, GroupId), usize> = HashMap::new();
    let mut steps: Vec<Step> = Vec::with_capacity(rows.len());
    for row in rows {
        let user = knowledge.users.get(&row.user).unwrap_or(&Found::Nothing);
        let group = knowledge.groups.get(&row.group).unwrap_or(&Found::Nothing);
        let refusal = refuse_user(action, &row.user, user, scope)
            .or_else(|| refuse_group(&row.group, group, scope));
        let verdict = match refusal {
            _ if row.keep => Verdict::Kept,
            Some(refusal) => Verdict::Refused(refusal),
            None => Verdict::Change,
        };
        let mut step = Step {
            row: row.clone(),
            user: one(user),
            group: one(group),
            verdict,
        };
        if let Some((user, group)) = step.ids() {
            match seen.entry((user.clone(), group.clone())) {
                Entry::Vacant(first) => {
                    first.insert(steps.len());
                }
                Entry::Occupied(first) => {
                    let first = &mut steps[*first.get()];
                    if first.row.keep != row.keep {
                        let contradiction = |other: &Row| {
                            let line = other
                                .line
                                .map_or(String::new(), |line| format!("line {line} "));
                            Verdict::Refused(Refusal {
                                exit: Exit::Refused,
                                reason: format!("{line}says otherwise of the same user and group"),
                            })
                        };
                        first.verdict = contradiction(row);
                        step.verdict = contradiction(&first.row);
                    } else if step.verdict == Verdict::Change {
                        step.verdict = Verdict::Duplicate(first.row.line);
                    }
                }
            }
        }
        steps.push(step);
    }
    steps.retain(|step| step.verdict != Verdict::Kept);
    steps
}

/// Marks what is so already.
pub fn leave_out_what_is_done(action: Action, steps: &mut [Step], knowledge: &Knowledge) {
    for step in steps {
        if step.verdict != Verdict::Change {
            continue;
        }
        let Some((user, group)) = step.ids() else {
            continue;
        };
        match knowledge.memberships.get(user) {
            Some(Err(reason)) => {
                step.verdict = Verdict::Refused(Refusal {
                    exit: Exit::Credentials,
                    reason: reason.clone(),
                });
            }
            Some(Ok(groups)) if action.is_done(groups.contains(group)) => {
                step.verdict = Verdict::Unchanged;
            }
            Some(Ok(_)) => {}
            None if action.is_done(false) => step.verdict = Verdict::Unchanged,
            None => {}
        }
    }
}

fn one<T>(found: &Found<T>) -> Option<Arc<T>> {
    match found {
        Found::One(it) => Some(Arc::clone(it)),
        _ => None,
    }
}

fn refuse(exit: Exit, reason: String) -> Option<Refusal> {
    Some(Refusal { exit, reason })
}

fn refuse_user(action: Action, asked: &str, found: &Found<User>, scope: &Scope) -> Option<Refusal> {
    let user = match found {
        Found::One(user) => user,
        Found::Unreadable(reason) => return refuse(Exit::Credentials, reason.clone()),
        Found::Nothing | Found::OtherCase(_) => {
            return refuse(
                Exit::Failed,
                format!("no user has the id, login or e-mail {asked:?}"),
            );
        }
        Found::Several(users) => {
            let names: Vec<String> = users.iter().map(|user| name_of_user(user)).collect();
            return refuse(
                Exit::Refused,
                format!(
                    "{asked:?} names several users: {}; give the id",
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
            Exit::Refused,
            format!(
                "{} is out of scope: no address in {domains}",
                name_of_user(user)
            ),
        );
    }
    if action == Action::Grant && user.is_deprovisioned() {
        return refuse(
            Exit::Refused,
            format!(
                "{} is DEPROVISIONED and cannot be granted anything",
                name_of_user(user)
            ),
        );
    }
    None
}

fn refuse_group(asked: &str, found: &Found<Group>, scope: &Scope) -> Option<Refusal> {
    let names = |groups: &[Arc<Group>]| {
        let names: Vec<String> = groups.iter().map(|group| name_of_group(group)).collect();
        names.join(", ")
    };
    let group = match found {
        Found::One(group) => group,
        Found::Unreadable(reason) => return refuse(Exit::Credentials, reason.clone()),
        Found::Nothing => {
            return refuse(
                Exit::Failed,
                format!("no group has the id or the name {asked:?}"),
            );
        }
        Found::Several(groups) => {
            return refuse(
                Exit::Refused,
                format!(
                    "{asked:?} names several groups: {}; give the id",
                    names(groups)
                ),
            );
        }
        Found::OtherCase(groups) => {
            let names = names(groups);
            return refuse(
                Exit::Refused,
                format!("no group has the name {asked:?}, but in another case there is {names}"),
            );
        }
    };
    if !scope.group(group.name()) {
        let text = scope
            .group_name()
            .map(ToString::to_string)
            .unwrap_or_default();
        return refuse(
            Exit::Refused,
            format!(
                "{} is out of scope: its name does not contain {text:?}",
                name_of_group(group)
            ),
        );
    }
    if !group.is_editable() {
        let kind = group.kind.as_deref().unwrap_or("of no known kind");
        return refuse(
            Exit::Refused,
            format!(
                "{} is {kind}; Okta lets the members of OKTA_GROUP only be changed",
                name_of_group(group)
            ),
        );
    }
    None
}

/// A user in a line of text.
pub fn name_of_user(user: &User) -> String {
    format!(
        "{} ({})",
        user.login().or(user.email()).unwrap_or("no login"),
        user.id
    )
}

/// A group in a line of text.
pub fn name_of_group(group: &Group) -> String {
    format!("{:?} ({})", group.display_name(), group.id)
}

/// What to say of a group before anything is done to it, and whether that needs `--yes` even on a terminal.
pub fn caution(action: Action, group: &Group, rules: &Rules) -> (Vec<String>, bool) {
    let name = name_of_group(group);
    let mut notes = Vec::new();
    let mut needs_yes = false;
    match rules {
        Rules::Known(names) if names.is_empty() => {}
        Rules::Known(names) => {
            let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
            notes.push(format!(
                "{name} is filled by the group rule {}; whoever is revoked from it goes on the rule's exclusion list",
                names.join(", ")
            ));
            needs_yes |= action == Action::Revoke;
        }
        Rules::Unknown => {
            notes.push(format!(
                "the group rules may not be read, so {name} may be filled by one; whoever is revoked then goes on its exclusion list"
            ));
            needs_yes |= action == Action::Revoke;
        }
    }
    match group.has_admin_privilege {
        Some(false) => {}
        Some(true) => {
            notes.push(format!(
                "{name} carries an admin role: its members are administrators of Okta"
            ));
            needs_yes |= action == Action::Grant;
        }
        None => {
            notes.push(format!(
                "Okta does not say whether {name} carries an admin role"
            ));
            needs_yes |= action == Action::Grant;
        }
    }
    (notes, needs_yes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::{Domain, NameFilter};
    use crate::model::Profile;

    fn user(id: &str, login: &str, email: &str, status: &str) -> User {
        let mut profile = Profile::new();
        profile.insert("login".to_owned(), login.into());
        profile.insert("email".to_owned(), email.into());
        User {
            id: UserId::from(id),
            status: Some(status.to_owned()),
            created: None,
            activated: None,
            status_changed: None,
            last_login: None,
            last_updated: None,
            password_changed: None,
            profile,
        }
    }

    fn group(id: &str, name: &str, kind: &str) -> Group {
        let mut profile = Profile::new();
        profile.insert("name".to_owned(), name.into());
        Group {
            id: GroupId::from(id),
            kind: Some(kind.to_owned()),
            source_id: None,
            created: None,
            last_updated: None,
            last_membership_updated: None,
            members_reported: None,
            has_admin_privilege: Some(false),
            profile,
        }
    }

    fn ids<T>(found: &Found<T>, id: impl Fn(&T) -> String) -> String {
        let all = |list: &[Arc<T>]| list.iter().map(|it| id(it)).collect::<Vec<_>>().join(" ");
        match found {
            Found::One(it) => id(it),
            Found::Nothing => "nothing".to_owned(),
            Found::Several(list) => format!("several {}", all(list)),
            Found::OtherCase(list) => format!("other case {}", all(list)),
            Found::Unreadable(reason) => reason.clone(),
        }
    }

    #[test]
    fn a_user_counts_only_if_the_whole_id_login_or_email_is_meant() {
        let ada = user("00u1", "ada@example.com", "Ada@Example.com", "ACTIVE");
        let other = user("00u2", "ada", "ada@example.com", "ACTIVE");
        for (asked, answers, expected) in [
            ("ADA@example.com", vec![ada.clone(), ada.clone()], "00u1"),
            ("00U1", vec![ada.clone()], "00u1"),
            ("ada", vec![ada.clone()], "nothing"),
            ("me", vec![ada.clone()], "nothing"),
            (
                "ada@example.com",
                vec![ada.clone(), other.clone()],
                "several 00u1 00u2",
            ),
            ("ada", vec![ada, other], "00u2"),
            ("x", vec![], "nothing"),
        ] {
            assert_eq!(
                ids(&choose_user(asked, answers), |user| user.id.to_string()),
                expected,
                "{asked}"
            );
        }
    }

    #[test]
    fn a_group_counts_only_if_the_whole_name_is_meant_byte_for_byte() {
        let upper = group("00g1", "VPN", "OKTA_GROUP");
        let lower = group("00g2", "vpn", "OKTA_GROUP");
        let twin = group("00g3", "VPN", "APP_GROUP");
        let named_like_an_id = group("00g4", "00g1", "OKTA_GROUP");
        for (asked, answers, expected) in [
            ("VPN", vec![upper.clone(), lower.clone()], "00g1"),
            ("Vpn", vec![upper.clone(), lower], "other case 00g1 00g2"),
            ("VPN", vec![upper.clone(), twin], "several 00g1 00g3"),
            (
                "00g1",
                vec![upper.clone(), named_like_an_id],
                "several 00g1 00g4",
            ),
            ("VP", vec![upper], "nothing"),
        ] {
            assert_eq!(
                ids(&choose_group(asked, answers), |group| group.id.to_string()),
                expected,
                "{asked}"
            );
        }
    }

    #[test]
    fn every_refusal_is_made_before_memberships_matter() {
        let users = [
            (
                "in",
                Found::One(Arc::new(user(
                    "00u1",
                    "a@example.com",
                    "a@example.com",
                    "ACTIVE",
                ))),
            ),
            (
                "out",
                Found::One(Arc::new(user(
                    "00u2",
                    "b@else.example",
                    "b@else.example",
                    "ACTIVE",
                ))),
            ),
            (
                "gone",
                Found::One(Arc::new(user(
                    "00u3",
                    "c@example.com",
                    "c@example.com",
                    "DEPROVISIONED",
                ))),
            ),
            (
                "two",
                choose_user(
                    "x@example.com",
                    vec![
                        user("00u4", "x@example.com", "", ""),
                        user("00u5", "", "x@example.com", ""),
                    ],
                ),
            ),
            ("none", Found::Nothing),
        ];
        let groups = [
            (
                "team",
                Found::One(Arc::new(group("00g1", "app team", "OKTA_GROUP"))),
            ),
            (
                "hidden",
                Found::One(Arc::new(group("00g2", "other", "OKTA_GROUP"))),
            ),
            (
                "app",
                Found::One(Arc::new(group("00g3", "app ad", "APP_GROUP"))),
            ),
            (
                "builtin",
                Found::One(Arc::new(group("00g4", "app Everyone", "BUILT_IN"))),
            ),
            (
                "case",
                choose_group("App", vec![group("00g5", "app", "OKTA_GROUP")]),
            ),
            ("none", Found::Nothing),
        ];
        let knowledge = Knowledge {
            users: users
                .into_iter()
                .map(|(name, found)| (name.to_owned(), found))
                .collect(),
            groups: groups
                .into_iter()
                .map(|(name, found)| (name.to_owned(), found))
                .collect(),
            memberships: HashMap::new(),
        };
        let scope = Scope::new(
            vec![Domain::parse("example.com").unwrap()],
            false,
            Some(NameFilter::parse("app").unwrap()),
        );
        for (action, user, group, expected) in [
            (Action::Grant, "in", "team", None),
            (
                Action::Grant,
                "out",
                "team",
                Some((Exit::Refused, "out of scope: no address in example.com")),
            ),
            (
                Action::Grant,
                "gone",
                "team",
                Some((Exit::Refused, "DEPROVISIONED")),
            ),
            (Action::Revoke, "gone", "team", None),
            (
                Action::Grant,
                "two",
                "team",
                Some((Exit::Refused, "several users")),
            ),
            (
                Action::Grant,
                "none",
                "team",
                Some((Exit::Failed, "no user has")),
            ),
            (
                Action::Grant,
                "in",
                "hidden",
                Some((Exit::Refused, "does not contain \"app\"")),
            ),
            (
                Action::Grant,
                "in",
                "app",
                Some((Exit::Refused, "APP_GROUP")),
            ),
            (
                Action::Revoke,
                "in",
                "builtin",
                Some((Exit::Refused, "BUILT_IN")),
            ),
            (
                Action::Grant,
                "in",
                "case",
                Some((Exit::Refused, "another case")),
            ),
            (
                Action::Grant,
                "in",
                "none",
                Some((Exit::Failed, "no group has")),
            ),
        ] {
            let row = Row {
                line: Some(2),
                user: user.to_owned(),
                group: group.to_owned(),
                keep: false,
            };
            let step = check(action, std::slice::from_ref(&row), &knowledge, &scope).remove(0);
            match (step.verdict, expected) {
                (Verdict::Change, None) => {}
                (Verdict::Refused(refusal), Some((exit, part))) => {
                    assert_eq!(refusal.exit, exit, "{user} {group}");
                    assert!(refusal.reason.contains(part), "{}", refusal.reason);
                }
                (verdict, expected) => panic!("{user} {group}: {verdict:?}, not {expected:?}"),
            }
        }
        let rows: Vec<Row> = [2, 3]
            .map(|line| Row {
                line: Some(line),
                user: "in".to_owned(),
                group: "team".to_owned(),
                keep: false,
            })
            .into();
        let steps = check(Action::Grant, &rows, &knowledge, &scope);
        assert_eq!(steps[1].verdict, Verdict::Duplicate(Some(2)));
        let mut sheet = rows;
        sheet[1].keep = true;
        for step in check(Action::Revoke, &sheet, &knowledge, &scope) {
            let Verdict::Refused(refusal) = step.verdict else {
                panic!("{:?}", step.verdict)
            };
            assert!(
                refusal.reason.contains("says otherwise"),
                "{}",
                refusal.reason
            );
        }
    }

    #[test]
    fn what_is_so_already_is_not_sent() {
        let (ada, team) = (
            user("00u1", "a@example.com", "", "ACTIVE"),
            group("00g1", "team", "OKTA_GROUP"),
        );
        for (action, member, expected) in [
            (Action::Grant, true, Verdict::Unchanged),
            (Action::Grant, false, Verdict::Change),
            (Action::Revoke, true, Verdict::Change),
            (Action::Revoke, false, Verdict::Unchanged),
        ] {
            let mut steps = [Step {
                row: Row {
                    line: None,
                    user: String::new(),
                    group: String::new(),
                    keep: false,
                },
                user: Some(Arc::new(ada.clone())),
                group: Some(Arc::new(team.clone())),
                verdict: Verdict::Change,
            }];
            let groups = if member {
                HashSet::from([team.id.clone()])
            } else {
                HashSet::new()
            };
            let memberships = HashMap::from([(ada.id.clone(), Ok(groups))]);
            let knowledge = Knowledge {
                users: HashMap::new(),
                groups: HashMap::new(),
                memberships,
            };
            leave_out_what_is_done(action, &mut steps, &knowledge);
            assert_eq!(steps[0].verdict, expected, "{action:?} {member}");
        }
    }

    #[test]
    fn rules_hold_up_a_revoke_and_admin_roles_a_grant() {
        let rule = Rules::Known(vec!["by department".to_owned()]);
        let none = Rules::Known(Vec::new());
        for (action, admin, rules, notes, needs_yes) in [
            (Action::Grant, Some(false), &none, 0, false),
            (Action::Revoke, Some(false), &none, 0, false),
            (Action::Grant, Some(false), &rule, 1, false),
            (Action::Revoke, Some(false), &rule, 1, true),
            (Action::Revoke, Some(false), &Rules::Unknown, 1, true),
            (Action::Grant, Some(true), &none, 1, true),
            (Action::Grant, None, &none, 1, true),
            (Action::Revoke, Some(true), &none, 1, false),
        ] {
            let team = Group {
                has_admin_privilege: admin,
                ..group("00g1", "team", "OKTA_GROUP")
            };
            let (said, yes) = caution(action, &team, rules);
            assert_eq!(
                (said.len(), yes),
                (notes, needs_yes),
                "{action:?} {admin:?} {rules:?}"
            );
        }
    }
}
