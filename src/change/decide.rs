//! What is to be done, row by row, and what is refused; pure.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::Action;
use super::rows::Row;
use crate::filter::{Addresses, Scope};
use crate::model::{Group, GroupId, User, UserId};
use crate::outcome::Exit;
use crate::sync::plan::pages;

/// What a name stands for.
#[derive(Clone, Debug, PartialEq)]
pub enum Found<T> {
    /// This.
    One(Arc<T>),
    /// Nothing.
    Nothing,
    /// Nothing, but there are similar names: the question that suggests them.
    Near(String),
    /// Several things.
    Several(Vec<Arc<T>>),
    /// Only things whose name differs in case.
    OtherCase(Vec<Arc<T>>),
    /// Okta would not say, for this reason.
    Unreadable(RowRefusal),
}

/// Which of Okta's answers counts: one whose id or whole login equals the text without case; only where there is none,
/// one whose whole email does. Logins are unique in an org, and emails are not. Okta also answers to short logins
/// (docs/okta-api.md, Users).
pub fn choose_user(asked: &str, answers: Vec<User>) -> Found<User> {
    let mut by_login: Vec<Arc<User>> = Vec::new();
    let mut by_email: Vec<Arc<User>> = Vec::new();
    for user in answers {
        let list = if is_id_or_login(asked, &user) {
            &mut by_login
        } else if is_same(asked, user.email()) {
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

/// Whether a text is a user's id or whole login, without case.
pub fn is_id_or_login(asked: &str, user: &User) -> bool {
    is_same(asked, Some(user.id.as_str())) || is_same(asked, user.login())
}

fn is_same(asked: &str, text: Option<&str>) -> bool {
    text.is_some_and(|text| text.to_lowercase() == asked.to_lowercase())
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
pub struct RowRefusal {
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
pub enum RowAction {
    /// It is not done.
    Refused(RowRefusal),
    /// An earlier line says the same.
    Duplicate(Option<u64>),
    /// It is so already.
    Unchanged,
    /// It is to be sent.
    Change,
    /// Nothing is done, as the row says.
    Kept,
    /// Nothing can be done, for this reason, and nobody asked for this membership in particular.
    Skipped(String),
}

/// A row, what it stands for, and what becomes of it.
#[derive(Clone, Debug)]
pub struct PlannedRow {
    /// As it was typed.
    pub row: Row,
    /// The user, where there is one.
    pub user: Option<Arc<User>>,
    /// The group, where there is one.
    pub group: Option<Arc<Group>>,
    /// What becomes of it.
    pub verdict: RowAction,
}

impl PlannedRow {
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
    /// Whether the users who may be changed are in their groups, or why that cannot be read.
    pub memberships: Memberships,
}

/// A membership that may be changed.
pub type Pair = (Arc<User>, Arc<Group>);

/// Whether users are in groups, or why that cannot be read.
pub type Memberships = HashMap<(UserId, GroupId), Result<bool, RowRefusal>>;

/// What is read to learn memberships: the members of some groups, and the groups of some users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Groups to list.
    pub groups: HashSet<GroupId>,
    /// Users to ask for their groups.
    pub users: HashSet<UserId>,
}

impl Reading {
    /// Every user is asked for.
    pub fn by_user(pairs: &[Pair]) -> Self {
        Self {
            groups: HashSet::new(),
            users: pairs.iter().map(|(user, _)| user.id.clone()).collect(),
        }
    }

    /// What takes few requests: one a user, or the pages of a group's members where more users than that depend on it.
    ///
    /// A group of unknown size is not listed, and a deprovisioned user is always asked for: whether a list of members
    /// holds such users is not documented (docs/okta-api.md, Members of a group).
    pub fn cheapest(pairs: &[Pair], page_size: u64) -> Self {
        let by_user = Self::by_user(pairs);
        let mut members: BTreeMap<&GroupId, (Option<u64>, HashSet<&UserId>)> = BTreeMap::new();
        // How many groups each user must still be asked for.
        let mut open: HashMap<&UserId, usize> = HashMap::new();
        for (user, group) in pairs {
            let cost = group
                .members_reported
                .map(|count| pages(Some(count), page_size));
            let (_, users) = members.entry(&group.id).or_insert((cost, HashSet::new()));
            if users.insert(&user.id) {
                *open.entry(&user.id).or_default() += 1;
            }
            if user.is_deprovisioned() {
                *open.entry(&user.id).or_default() += 1;
            }
        }
        let mut groups: Vec<_> = members
            .into_iter()
            .filter_map(|(id, (cost, users))| Some((cost?, id, users)))
            .collect();
        groups.sort_by_key(|(cost, id, _)| (*cost, *id));
        let everything = Self::listing(&groups, open.clone(), |_, _| true);
        let worthwhile = Self::listing(&groups, open, |cost, saved| saved > cost);
        let cost = |reading: &Self| {
            let listed = groups
                .iter()
                .filter(|(_, id, _)| reading.groups.contains(*id));
            listed.map(|(cost, ..)| cost).sum::<u64>() + reading.users.len() as u64
        };
        // At equal cost by user.
        [by_user, worthwhile, everything]
            .into_iter()
            .min_by_key(cost)
            .unwrap_or_default()
    }

    /// Lists each group that is worth it: by its cost, and by how many users need not be asked for then.
    fn listing<'a>(
        groups: &[(u64, &GroupId, HashSet<&'a UserId>)],
        mut open: HashMap<&'a UserId, usize>,
        is_worth: impl Fn(u64, u64) -> bool,
    ) -> Self {
        let mut listed = HashSet::new();
        // A group may be worth it only after another is listed.
        for _ in 0..3 {
            for (cost, id, users) in groups {
                let saved = users.iter().filter(|user| open.get(*user) == Some(&1));
                if !listed.contains(*id) && is_worth(*cost, saved.count() as u64) {
                    listed.insert((*id).clone());
                    for user in users {
                        if let Some(groups) = open.get_mut(user) {
                            *groups -= 1;
                        }
                    }
                }
            }
        }
        let users = open.into_iter().filter(|(_, groups)| *groups > 0);
        Self {
            users: users.map(|(user, _)| user.clone()).collect(),
            groups: listed,
        }
    }
}

/// Decides what each row refers to and whether it is permitted, apart from the memberships that exist.
///
/// Rows are compared by what they refer to: there are three ways to name a user, and three to name a group.
pub fn check(
    action: Action,
    rows: &[Row],
    knowledge: &Knowledge,
    scope: &Scope,
) -> Vec<PlannedRow> {
    let mut seen: HashMap<(UserId, GroupId), usize> = HashMap::new();
    let mut planned: Vec<PlannedRow> = Vec::with_capacity(rows.len());
    for row in rows {
        let mut step = check_row(action, row, knowledge, scope);
        if let Some((user, group)) = step.ids() {
            match seen.entry((user.clone(), group.clone())) {
                Entry::Vacant(first) => {
                    first.insert(planned.len());
                }
                Entry::Occupied(first) => compare(&mut planned[*first.get()], &mut step),
            }
        }
        planned.push(step);
    }
    planned.retain(|step| step.verdict != RowAction::Kept);
    protect_what_may_be_meant(&mut planned, knowledge);
    planned
}

/// Decides on one row, without the others.
fn check_row(action: Action, row: &Row, knowledge: &Knowledge, scope: &Scope) -> PlannedRow {
    let user = knowledge.users.get(&row.user).unwrap_or(&Found::Nothing);
    let group = knowledge.groups.get(&row.group).unwrap_or(&Found::Nothing);
    let refuse_user = || refuse_user(action, &row.user, user, scope);
    let refuse_group = || refuse_group(&row.group, group, scope);
    let verdict = if row.keep {
        // Nothing is sent for it, so its scope does not matter; what it refers to does.
        let unresolved = match (one(user), one(group)) {
            (None, _) => refuse_user(),
            (_, None) => refuse_group(),
            _ => None,
        };
        unresolved.map_or(RowAction::Kept, |refusal| {
            RowAction::Refused(RowRefusal {
                reason: format!("it says keep, but {}", refusal.reason),
                ..refusal
            })
        })
    } else {
        refuse_user()
            .or_else(refuse_group)
            .map_or(RowAction::Change, RowAction::Refused)
    };
    PlannedRow {
        row: row.clone(),
        user: one(user),
        group: one(group),
        verdict,
    }
}

/// Compares two rows that refer to the same membership: the second is a duplicate, or they contradict each other.
fn compare(first: &mut PlannedRow, second: &mut PlannedRow) {
    if first.row.keep != second.row.keep {
        first.verdict = contradicted_by(&second.row);
        second.verdict = contradicted_by(&first.row);
    } else if second.verdict == RowAction::Change {
        second.verdict = RowAction::Duplicate(first.row.line);
    }
}

fn contradicted_by(other: &Row) -> RowAction {
    let line = other
        .line
        .map_or(String::new(), |line| format!("line {line} "));
    RowAction::Refused(RowRefusal {
        exit: Exit::Refused,
        reason: format!("{line}says otherwise of the same user and group"),
    })
}

/// Refuses each change that a row to keep may mean where it is not clear which membership that row means: a name that
/// nothing has may be an old one of anything.
fn protect_what_may_be_meant(steps: &mut [PlannedRow], knowledge: &Knowledge) {
    let unresolved: Vec<(Option<u64>, _, _)> = steps
        .iter()
        .filter(|step| step.row.keep && step.ids().is_none())
        .map(|step| {
            let user = knowledge.users.get(&step.row.user);
            let group = knowledge.groups.get(&step.row.group);
            (step.row.line, user, group)
        })
        .collect();
    for step in steps {
        if step.verdict != RowAction::Change {
            continue;
        }
        let (Some(user), Some(group)) = (&step.user, &step.group) else {
            continue;
        };
        let keep = unresolved.iter().find(|(_, users, groups)| {
            may_mean(*users, |other| other.id == user.id)
                && may_mean(*groups, |other| other.id == group.id)
        });
        if let Some((line, ..)) = keep {
            let line = line.map_or("another row".to_owned(), |line| format!("line {line}"));
            step.verdict = RowAction::Refused(RowRefusal {
                exit: Exit::Refused,
                reason: format!(
                    "{line} says keep and may mean this membership; write ids there, or remove that line"
                ),
            });
        }
    }
}

fn may_mean<T>(found: Option<&Found<T>>, is: impl Fn(&T) -> bool) -> bool {
    match found {
        Some(Found::One(it)) => is(it),
        Some(Found::Several(several) | Found::OtherCase(several)) => {
            several.iter().any(|it| is(it))
        }
        Some(Found::Nothing | Found::Near(_) | Found::Unreadable(_)) | None => true,
    }
}

/// Marks what is so already.
pub fn leave_out_what_is_done(action: Action, steps: &mut [PlannedRow], knowledge: &Knowledge) {
    for step in steps {
        if step.verdict != RowAction::Change {
            continue;
        }
        let Some((user, group)) = step.ids() else {
            continue;
        };
        match knowledge.memberships.get(&(user.clone(), group.clone())) {
            Some(Err(refusal)) => step.verdict = RowAction::Refused(refusal.clone()),
            Some(Ok(member)) if action.is_done(*member) => step.verdict = RowAction::Unchanged,
            Some(Ok(_)) => {}
            None if action.is_done(false) => step.verdict = RowAction::Unchanged,
            None => {}
        }
    }
}

pub(super) fn one<T>(found: &Found<T>) -> Option<Arc<T>> {
    match found {
        Found::One(it) => Some(Arc::clone(it)),
        _ => None,
    }
}

fn no_user(asked: &str) -> String {
    format!("no user has the id, login or email {asked:?}")
}

fn no_group(asked: &str) -> String {
    format!("no group has the id or the name {asked:?}")
}

fn refuse(exit: Exit, reason: String) -> Option<RowRefusal> {
    Some(RowRefusal { exit, reason })
}

pub(super) fn refuse_user(
    action: Action,
    asked: &str,
    found: &Found<User>,
    scope: &Scope,
) -> Option<RowRefusal> {
    let user = match found {
        Found::One(user) => user,
        Found::Unreadable(refusal) => return Some(refusal.clone()),
        Found::Nothing | Found::OtherCase(_) => {
            return refuse(Exit::Failed, no_user(asked));
        }
        Found::Near(question) => {
            return refuse(Exit::Failed, format!("{}; {question}", no_user(asked)));
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
                Exit::Refused,
                format!(
                    "{asked:?} is the email of several users: {}; give the id",
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

fn refuse_group(asked: &str, found: &Found<Group>, scope: &Scope) -> Option<RowRefusal> {
    let names = |groups: &[Arc<Group>]| {
        let names: Vec<String> = groups.iter().map(|group| name_of_group(group)).collect();
        names.join(", ")
    };
    let group = match found {
        Found::One(group) => group,
        Found::Unreadable(refusal) => return Some(refusal.clone()),
        Found::Nothing => return refuse(Exit::Failed, no_group(asked)),
        Found::Near(question) => {
            return refuse(Exit::Failed, format!("{}; {question}", no_group(asked)));
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
                format!("no group is named {asked:?}; did you mean {names}?"),
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
                "{} is {kind}; Okta allows changes only to OKTA_GROUP memberships",
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
                "{name} gets members from the group rule {}; a revoked user is added to the rule's exclusion list",
                names.join(", ")
            ));
            needs_yes |= action == Action::Revoke;
        }
        Rules::Unknown => {
            notes.push(format!(
                "cannot read the group rules, so one may fill {name}; a revoked user is then added to its exclusion list"
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
        None if action == Action::Grant => {
            notes.push(format!(
                "Okta does not say whether {name} carries an admin role"
            ));
            needs_yes = true;
        }
        None => {}
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
            status: Some(status.to_owned()),
            profile,
            ..User::new(UserId::from(id))
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
            Found::Nothing | Found::Near(_) => "nothing".to_owned(),
            Found::Several(list) => format!("several {}", all(list)),
            Found::OtherCase(list) => format!("other case {}", all(list)),
            Found::Unreadable(refusal) => refusal.reason.clone(),
        }
    }

    #[test]
    fn a_user_counts_only_if_the_whole_id_login_or_email_is_meant() {
        let ada = user("00u1", "ada@example.com", "Ada@Example.com", "ACTIVE");
        let other = user("00u2", "ada", "ada@example.com", "ACTIVE");
        let third = user("00u3", "ada3", "ADA@example.com", "ACTIVE");
        let named_like_an_id = user("00u4", "00U3", "", "ACTIVE");
        for (asked, answers, expected) in [
            ("ADA@example.com", vec![ada.clone(), ada.clone()], "00u1"),
            ("00U1", vec![ada.clone()], "00u1"),
            ("ada", vec![ada.clone()], "nothing"),
            ("me", vec![ada.clone()], "nothing"),
            // A login wins over somebody else's email, in any order.
            ("ada@example.com", vec![ada.clone(), other.clone()], "00u1"),
            ("ada@example.com", vec![other.clone(), ada.clone()], "00u1"),
            (
                "ada@example.com",
                vec![other.clone(), third.clone()],
                "several 00u2 00u3",
            ),
            ("00u3", vec![third, named_like_an_id], "several 00u3 00u4"),
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
                        user("00u4", "x1@example.com", "x@example.com", "SUSPENDED"),
                        user("00u5", "", "x@example.com", "ACTIVE"),
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
                Some((
                    Exit::Refused,
                    "several users: 00u4 (x1@example.com, SUSPENDED), 00u5 (no login, ACTIVE); give",
                )),
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
                Some((Exit::Refused, "did you mean")),
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
                (RowAction::Change, None) => {}
                (RowAction::Refused(refusal), Some((exit, part))) => {
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
        assert_eq!(steps[1].verdict, RowAction::Duplicate(Some(2)));
        let mut sheet = rows;
        sheet[1].keep = true;
        for step in check(Action::Revoke, &sheet, &knowledge, &scope) {
            let RowAction::Refused(refusal) = step.verdict else {
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
    fn a_row_to_keep_that_may_mean_a_membership_stops_its_revoke() {
        let ada = user("00u1", "a@example.com", "", "ACTIVE");
        let bob = user("00u2", "b@example.com", "", "ACTIVE");
        let (team, other) = (
            group("00g1", "team", "OKTA_GROUP"),
            group("00g2", "other", "OKTA_GROUP"),
        );
        let two_users = choose_user(
            "x@example.com",
            vec![
                user("00u1", "a@example.com", "x@example.com", ""),
                user("00u3", "c@example.com", "x@example.com", ""),
            ],
        );
        let users = HashMap::from([
            ("00u1".to_owned(), Found::One(Arc::new(ada))),
            ("00u2".to_owned(), Found::One(Arc::new(bob))),
            ("two".to_owned(), two_users),
            ("nobody".to_owned(), Found::Nothing),
            (
                "hidden".to_owned(),
                Found::Unreadable(RowRefusal {
                    exit: Exit::Credentials,
                    reason: "403".to_owned(),
                }),
            ),
        ]);
        let groups = HashMap::from([
            ("00g1".to_owned(), Found::One(Arc::new(team.clone()))),
            ("00g2".to_owned(), Found::One(Arc::new(other))),
            ("Team".to_owned(), choose_group("Team", vec![team.clone()])),
            (
                "team".to_owned(),
                choose_group("team", vec![team, group("00g3", "team", "APP_GROUP")]),
            ),
            ("nothing".to_owned(), Found::Nothing),
        ]);
        let knowledge = Knowledge {
            users,
            groups,
            memberships: HashMap::new(),
        };
        let scope = Scope::new(vec![Domain::parse("example.com").unwrap()], false, None);
        let row = |line, user: &str, group: &str, keep| Row {
            line: Some(line),
            user: user.to_owned(),
            group: group.to_owned(),
            keep,
        };
        // Ada in team, Ada in other, Bob in team, Bob in other: which are still revoked.
        for (user, group, expected) in [
            ("two", "00g1", [false, true, true, true]),
            ("two", "00g2", [true, false, true, true]),
            ("nobody", "00g1", [false, true, false, true]),
            ("hidden", "00g2", [true, false, true, false]),
            ("00u1", "nothing", [false, false, true, true]),
            ("00u2", "team", [true, true, false, true]),
            ("00u2", "Team", [true, true, false, true]),
            ("two", "team", [false, true, true, true]),
            ("two", "nothing", [false, false, true, true]),
            ("nobody", "nothing", [false; 4]),
        ] {
            for keep_is_first in [true, false] {
                let mut rows = vec![
                    row(3, "00u1", "00g1", false),
                    row(4, "00u1", "00g2", false),
                    row(5, "00u2", "00g1", false),
                    row(6, "00u2", "00g2", false),
                ];
                let place = if keep_is_first { 0 } else { rows.len() };
                rows.insert(place, row(2, user, group, true));
                let mut steps = check(Action::Revoke, &rows, &knowledge, &scope);
                let keep = steps.remove(place);
                let RowAction::Refused(refusal) = keep.verdict else {
                    panic!("{user} {group}: {:?}", keep.verdict)
                };
                assert!(
                    refusal.reason.starts_with("it says keep, but "),
                    "{}",
                    refusal.reason
                );
                let revoked: Vec<bool> = steps
                    .iter()
                    .map(|step| step.verdict == RowAction::Change)
                    .collect();
                assert_eq!(revoked, expected, "{user} {group}");
                let stopped = steps
                    .iter()
                    .filter(|step| step.verdict != RowAction::Change);
                for step in stopped {
                    let RowAction::Refused(refusal) = &step.verdict else {
                        panic!("{:?}", step.verdict)
                    };
                    assert_eq!(refusal.exit, Exit::Refused);
                    assert!(
                        refusal.reason.contains("line 2 says keep"),
                        "{}",
                        refusal.reason
                    );
                }
            }
        }
        // A row to keep that is clear is neither shown nor in the way of others.
        let rows = [row(2, "00u1", "00g1", true), row(3, "00u2", "00g1", false)];
        let steps = check(Action::Revoke, &rows, &knowledge, &scope);
        assert_eq!(steps.len(), 1);
        assert_eq!(steps[0].verdict, RowAction::Change);
    }

    #[test]
    fn what_is_so_already_is_not_sent() {
        let (ada, team) = (
            user("00u1", "a@example.com", "", "ACTIVE"),
            group("00g1", "team", "OKTA_GROUP"),
        );
        for (action, member, expected) in [
            (Action::Grant, true, RowAction::Unchanged),
            (Action::Grant, false, RowAction::Change),
            (Action::Revoke, true, RowAction::Change),
            (Action::Revoke, false, RowAction::Unchanged),
        ] {
            let mut steps = [PlannedRow {
                row: Row {
                    line: None,
                    user: String::new(),
                    group: String::new(),
                    keep: false,
                },
                user: Some(Arc::new(ada.clone())),
                group: Some(Arc::new(team.clone())),
                verdict: RowAction::Change,
            }];
            let memberships = HashMap::from([((ada.id.clone(), team.id.clone()), Ok(member))]);
            let knowledge = Knowledge {
                users: HashMap::new(),
                groups: HashMap::new(),
                memberships,
            };
            leave_out_what_is_done(action, &mut steps, &knowledge);
            assert_eq!(steps[0].verdict, expected, "{action:?} {member}");
        }
    }

    /// A user of each letter and a group of each digit: `a1 b1` is two users in one group. Capitals are deprovisioned.
    fn pairs(text: &str, sizes: &[Option<u64>]) -> Vec<Pair> {
        let pair = |word: &str| {
            let (name, number) = word.split_at(1);
            let status = if name == name.to_lowercase() {
                "ACTIVE"
            } else {
                "DEPROVISIONED"
            };
            let number: usize = number.parse().unwrap();
            let group = Group {
                members_reported: sizes[number],
                ..group(&format!("00g{number}"), "team", "OKTA_GROUP")
            };
            (
                Arc::new(user(&format!("00u{name}"), name, "", status)),
                Arc::new(group),
            )
        };
        text.split_whitespace().map(pair).collect()
    }

    #[test]
    fn memberships_are_read_in_the_way_that_takes_fewer_requests() {
        for (text, sizes, groups, users) in [
            ("", &[][..], "", ""),
            // One user of a group: either way is one request, and the user's own groups are asked for.
            ("a0", &[Some(5)], "", "a"),
            ("a0 b0", &[Some(5)], "0", ""),
            ("a0 b0", &[Some(1000)], "0", ""),
            ("a0 b0", &[Some(1001)], "", "ab"),
            ("a0 b0 c0", &[Some(1001)], "0", ""),
            // The same row twice is one membership.
            ("a0 a0 a0", &[Some(5)], "", "a"),
            // Nobody knows what the list would cost, or whether it would show the user.
            ("a0 b0 c0", &[None], "", "abc"),
            ("A0 B0 c0", &[Some(3)], "", "ABc"),
            ("A0 b0 c0", &[Some(3)], "0", "A"),
            // A user of many groups is asked for once.
            ("a0 a1 a2", &[Some(1), Some(1), Some(1)], "", "a"),
            ("a0 b0 c0 a1 b1 c1", &[Some(3), Some(3)], "01", ""),
            ("a0 b0 a1 b1", &[Some(3), Some(3)], "", "ab"),
            // A large group by user, a small one by its list.
            ("a0 b0 c1 d1 e1", &[Some(90_000), Some(3)], "1", "ab"),
            // One list is worth it only since the other is read.
            ("a0 b0 c0 a1 d1 e1 f1", &[Some(1500), Some(3)], "01", ""),
            ("a0 a1 b1 c1", &[None, Some(3)], "1", "a"),
        ] {
            let reading = Reading::cheapest(&pairs(text, sizes), 1000);
            let ids = |mut ids: Vec<String>| {
                ids.sort();
                ids.iter().map(|id| id[3..].to_owned()).collect::<String>()
            };
            let listed = ids(reading.groups.iter().map(ToString::to_string).collect());
            let asked = ids(reading.users.iter().map(ToString::to_string).collect());
            assert_eq!(
                (listed.as_str(), asked.as_str()),
                (groups, users),
                "{text} {sizes:?}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn every_membership_is_learned_and_never_by_more_requests_than_one_a_user(
            rows in proptest::collection::vec((0..9_u8, 0..5_usize), 0..40),
            sizes in proptest::collection::vec(proptest::option::of(0..5_000_u64), 5),
        ) {
            let text: Vec<String> = rows
                .iter()
                .map(|(user, group)| format!("{}{group}", char::from(b"abcdefgXY"[usize::from(*user)])))
                .collect();
            let pairs = pairs(&text.join(" "), &sizes);
            let reading = Reading::cheapest(&pairs, 1000);
            for (user, group) in &pairs {
                let listed = reading.groups.contains(&group.id) && !user.is_deprovisioned();
                proptest::prop_assert!(listed || reading.users.contains(&user.id));
            }
            let lists: u64 = reading
                .groups
                .iter()
                .map(|id| {
                    let (_, group) = pairs.iter().find(|(_, group)| group.id == *id).unwrap();
                    pages(group.members_reported, 1000)
                })
                .sum();
            let by_user = Reading::by_user(&pairs).users.len();
            proptest::prop_assert!(lists + reading.users.len() as u64 <= by_user as u64);
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
