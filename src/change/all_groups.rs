//! The memberships that `revoke --all-groups` removes, and those that it keeps; pure.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Action;
use super::decide::{Found, PlannedRow, RowAction, RowRefusal, Rules, one, refuse_user};
use super::rows::Row;
use crate::filter::Scope;
use crate::model::{Group, GroupId, User, UserId};
use crate::text::count;

/// The groups of each user, or the reason why they cannot be read.
pub type GroupsOfUsers = HashMap<UserId, Result<Vec<Arc<Group>>, RowRefusal>>;

/// The group's name in the row of a refused user.
const ALL_GROUPS: &str = "all groups";

/// The requested users as typed, and the users that they refer to.
pub struct RequestedUsers<'a> {
    /// The names as typed, in the order of the request.
    pub names: &'a [String],
    /// The users that the names refer to.
    pub found: &'a HashMap<String, Found<User>>,
}

impl RequestedUsers<'_> {
    /// Returns the rows to refuse, and each remaining user once.
    pub fn check(&self, scope: &Scope) -> (Vec<PlannedRow>, Vec<Arc<User>>) {
        let mut seen = HashSet::new();
        let (mut refused, mut users) = (Vec::new(), Vec::new());
        for name in self.names {
            let found = self.found.get(name).unwrap_or(&Found::Nothing);
            match (refuse_user(Action::Revoke, name, found, scope), one(found)) {
                (Some(refusal), user) => refused.push(refused_row(name, user, refusal)),
                (None, Some(user)) if seen.insert(user.id.clone()) => users.push(user),
                (None, _) => {}
            }
        }
        (refused, users)
    }
}

fn refused_row(name: &str, user: Option<Arc<User>>, refusal: RowRefusal) -> PlannedRow {
    PlannedRow {
        row: row(name, ALL_GROUPS),
        user,
        group: None,
        action: RowAction::Refused(refusal),
    }
}

fn row(user: &str, group: &str) -> Row {
    Row {
        line: None,
        user: user.to_owned(),
        group: group.to_owned(),
        keep: false,
        reviewed: None,
    }
}

/// Returns the groups in scope that can be edited. Only their rules matter.
pub fn editable<'a>(groups: &'a GroupsOfUsers, scope: &Scope) -> HashSet<&'a GroupId> {
    let all = groups.values().filter_map(|groups| groups.as_ref().ok());
    all.flatten()
        .filter(|group| scope.group(group.name()) && group.is_editable())
        .map(|group| &group.id)
        .collect()
}

/// Returns one row per group in scope, sorted by name, and a note if the user is in other groups too.
pub fn plan(
    user: &Arc<User>,
    groups: &Result<Vec<Arc<Group>>, RowRefusal>,
    rules: &HashMap<GroupId, Rules>,
    scope: &Scope,
) -> (Vec<PlannedRow>, Option<String>) {
    let name = user.login().unwrap_or(user.id.as_str());
    let groups = match groups {
        Ok(groups) => groups,
        Err(refusal) => {
            let row = refused_row(name, Some(Arc::clone(user)), refusal.clone());
            return (vec![row], None);
        }
    };
    let mut groups: Vec<&Arc<Group>> = groups.iter().collect();
    groups.sort_by_key(|group| (group.name(), &group.id));
    // Pages overlap if memberships change while they are read.
    groups.dedup_by_key(|group| &group.id);
    let (inside, outside): (Vec<_>, Vec<_>) = groups
        .into_iter()
        .partition(|group| scope.group(group.name()));
    let rows = inside.into_iter().map(|group| PlannedRow {
        row: row(name, group.display_name()),
        user: Some(Arc::clone(user)),
        group: Some(Arc::clone(group)),
        action: why_skipped(group, rules).map_or(RowAction::Change, RowAction::Skipped),
    });
    let note = (!outside.is_empty()).then(|| {
        format!(
            "{name} is also in {} out of scope; they are left alone",
            count(outside.len() as u64, "group")
        )
    });
    (rows.collect(), note)
}

fn why_skipped(group: &Group, rules: &HashMap<GroupId, Rules>) -> Option<String> {
    if !group.is_editable() {
        let kind = group.kind.as_deref().unwrap_or("of no known kind");
        return Some(format!("Okta does not let you edit {kind} groups"));
    }
    match rules.get(&group.id) {
        Some(Rules::Known(names)) if !names.is_empty() => {
            let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
            Some(format!(
                "the group gets members from the group rule {}",
                names.join(", ")
            ))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::FailureKind;
    use crate::filter::{Domain, NameFilter};
    use crate::model::Profile;

    fn user(id: &str, login: &str) -> Arc<User> {
        let mut profile = Profile::new();
        profile.insert("login".to_owned(), login.into());
        profile.insert("email".to_owned(), login.into());
        Arc::new(User {
            profile,
            ..User::new(UserId::from(id))
        })
    }

    fn group(id: &str, name: &str, kind: &str) -> Arc<Group> {
        let mut profile = Profile::new();
        profile.insert("name".to_owned(), name.into());
        Arc::new(Group {
            kind: Some(kind.to_owned()),
            profile,
            id: GroupId::from(id),
            source_id: None,
            created: None,
            last_updated: None,
            last_membership_updated: None,
            members_reported: None,
            has_admin_privilege: None,
        })
    }

    fn scope(filter: &str) -> Scope {
        let filter = (!filter.is_empty()).then(|| NameFilter::parse(filter).unwrap());
        Scope::new(vec![Domain::parse("example.com").unwrap()], false, filter)
    }

    #[test]
    fn every_group_in_scope_has_a_row_and_only_editable_ones_without_a_rule_are_changed() {
        let ada = user("00uada", "ada@example.com");
        let groups = Ok(vec![
            group("00g4", "vpn users", "OKTA_GROUP"),
            group("00g1", "Everyone", "BUILT_IN"),
            group("00g2", "directory", "APP_GROUP"),
            group("00g3", "ruled", "OKTA_GROUP"),
            group("00g5", "not told", "OKTA_GROUP"),
            group("00g4", "vpn users", "OKTA_GROUP"),
        ]);
        let rules = [
            ("00g3", Rules::Known(vec!["by department".to_owned()])),
            ("00g4", Rules::Known(Vec::new())),
            ("00g5", Rules::Unknown),
        ];
        let rules = rules
            .into_iter()
            .map(|(id, rules)| (GroupId::from(id), rules))
            .collect();
        let shown = |scope: &Scope| {
            let (rows, note) = plan(&ada, &groups, &rules, scope);
            let rows: Vec<(String, bool)> = rows
                .into_iter()
                .map(|row| (row.row.group, row.action == RowAction::Change))
                .collect();
            (rows, note)
        };
        let all = [
            ("Everyone", false),
            ("directory", false),
            ("not told", true),
            ("ruled", false),
            ("vpn users", true),
        ];
        let all = all.map(|(name, change)| (name.to_owned(), change));
        assert_eq!(shown(&scope("")), (all.to_vec(), None));
        let note = "ada@example.com is also in 4 groups out of scope; they are left alone";
        assert_eq!(
            shown(&scope("VPN")),
            (vec![("vpn users".to_owned(), true)], Some(note.to_owned()))
        );
    }

    #[test]
    fn unreadable_groups_and_users_out_of_scope_are_refused() {
        let refusal = RowRefusal {
            kind: FailureKind::Credentials,
            reason: "no access".to_owned(),
        };
        let ada = user("00uada", "ada@example.com");
        let (rows, _) = plan(&ada, &Err(refusal.clone()), &HashMap::new(), &scope(""));
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].action, RowAction::Refused(refusal));
        let names = [
            "ada@example.com",
            "00uada",
            "out@elsewhere.example",
            "nobody",
        ];
        let names = names.map(str::to_owned);
        let found = HashMap::from([
            (names[0].clone(), Found::One(Arc::clone(&ada))),
            (names[1].clone(), Found::One(Arc::clone(&ada))),
            (
                names[2].clone(),
                Found::One(user("00uout", "out@elsewhere.example")),
            ),
        ]);
        let requested = RequestedUsers {
            names: &names,
            found: &found,
        };
        let (refused, users) = requested.check(&scope(""));
        assert_eq!(users, [ada]);
        let refused: Vec<&str> = refused.iter().map(|row| row.row.user.as_str()).collect();
        assert_eq!(refused, ["out@elsewhere.example", "nobody"]);
    }
}
