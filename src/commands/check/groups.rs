//! Checks that groups and their members can be read, and that a group is in scope.

use super::report::{ADMIN_MEMBERS, CheckReport, EVERYONE, Everyone, GROUPS, MEMBERS, describe};
use super::{ASSIGN_A_ROLE, Halt, of};
use crate::config::CheckConfig;
use crate::exit::ExitStatus;
use crate::filter::Scope;
use crate::model::Group;
use crate::okta::Client;
use crate::okta::probe::{self, First, split_refusal};
use crate::text::{count, number};

/// Checks the first page of groups, the group Everyone, and access to members.
pub(super) fn groups(
    config: &CheckConfig,
    client: &Client,
    report: &mut CheckReport,
) -> Result<(), Halt> {
    report.current_check = GROUPS;
    let page_size = config.connection.page_sizes.groups;
    let page = match split_refusal(probe::groups(client, page_size))? {
        Ok(page) => page,
        Err(refusal) => {
            report.refused(&refusal, ASSIGN_A_ROLE);
            return Ok(());
        }
    };
    let listed = page.rows.len() as u64;
    let in_scope = page
        .rows
        .iter()
        .filter(|group| is_in_scope(group, &config.scope));
    let in_scope = in_scope.count() as u64;
    report.sample.groups_on_first_page = Some(listed);
    report.sample.groups_in_scope = Some(in_scope);
    let found = format!("{} in scope", of(in_scope, listed, page.more));
    let sized = page
        .rows
        .iter()
        .filter(|group| group.members_reported.is_some());
    let sized = sized.count() as u64;
    if listed == 0 {
        report.failure(
            "Okta returned no groups, but every org has some; the token cannot see them".to_owned(),
            ASSIGN_A_ROLE,
            ExitStatus::Credentials,
        );
    } else if in_scope == 0 && !page.more {
        report.failure(
            format!("{found}, so a sync stops"),
            "check --group-name-filter",
            ExitStatus::Guard,
        );
    } else if in_scope == 0 {
        report.warning(
            found,
            "a sync stops if no later page has one either; check --group-name-filter",
        );
    } else if sized < listed {
        report.warning(
            format!("{found}; Okta returned the sizes of only {}", number(sized)),
            "a sync counts the others as one request each; set --memberships-by if the estimate is wrong",
        );
    } else {
        report.ok(format!("{found}, member counts visible"));
    }
    if listed > 0 {
        everyone(page_size, &page, client, report)?;
        members(config, &page.rows, client, report)?;
    }
    Ok(())
}

fn is_in_scope(group: &Group, scope: &Scope) -> bool {
    scope.group(group.name())
}

fn everyone(
    page_size: u64,
    page: &First<Group>,
    client: &Client,
    report: &mut CheckReport,
) -> Result<(), Halt> {
    report.current_check = EVERYONE;
    let on = |page: &First<Group>| page.rows.iter().find(|group| group.is_everyone()).cloned();
    let mut found = on(page).map(|group| ("listing", group));
    // If the list is complete and lacks Everyone, a second request is not necessary.
    if found.is_none() && page.more {
        match split_refusal(probe::built_in_groups(client, page_size))? {
            Ok(built_in) => found = on(&built_in).map(|group| ("filter", group)),
            Err(refusal) => {
                report.warning(
                    format!(
                        "not on the first page, and Okta rejected the filter ({})",
                        describe(&refusal)
                    ),
                    "no action needed yet; a sync reads all pages and reports if it is missing",
                );
                return Ok(());
            }
        }
    }
    match found {
        Some((found_by, group)) => {
            let size = match group.members_reported {
                Some(members) => count(members, "member"),
                None => "size unknown".to_owned(),
            };
            report.ok(format!("visible, {size}"));
            report.everyone = Some(Everyone {
                id: group.id.to_string(),
                found_by,
                members_reported: group.members_reported,
            });
        }
        None => report.warning(
            "missing: the token can see only part of the org, so the snapshot is incomplete".to_owned(),
            "use a token whose role is not limited to some groups, or accept it with --allow-partial",
        ),
    }
    Ok(())
}

/// Requests one member of a group without an admin role, and one of a group with an admin role.
fn members(
    config: &CheckConfig,
    groups: &[Group],
    client: &Client,
    report: &mut CheckReport,
) -> Result<(), Halt> {
    report.current_check = MEMBERS;
    match plain_group(groups, &config.scope) {
        None => report.warning(
            "not tested: no group on the first page has members and no admin role".to_owned(),
            "no action needed; a sync reports the groups whose members it cannot read",
        ),
        Some(group) => match split_refusal(probe::a_member(client, &group.id))? {
            Ok(()) => report.ok(format!("readable (tested with {:?})", group.display_name())),
            Err(refusal) if refusal.status == 404 => report.gone(group),
            Err(refusal) => report.refused(&refusal, ASSIGN_A_ROLE),
        },
    }
    report.current_check = ADMIN_MEMBERS;
    let Some(group) = admin_group(groups, &config.scope) else {
        return Ok(());
    };
    match split_refusal(probe::a_member(client, &group.id))? {
        Ok(()) => report.ok(format!("readable (tested with {:?})", group.display_name())),
        Err(refusal) if refusal.status == 404 => report.gone(group),
        Err(refusal) => {
            let what = if is_in_scope(group, &config.scope) {
                "it is in scope, so the snapshot is incomplete"
            } else {
                "if one is in scope, the snapshot is incomplete"
            };
            report.warning(
                format!(
                    "hidden for groups with an admin role (tested with {:?}); {what} ({})",
                    group.display_name(),
                    describe(&refusal)
                ),
                "use a Super Administrator's token, leave these groups out with --group-name-filter, or accept it with --allow-partial",
            );
        }
    }
    Ok(())
}

/// Returns a group whose members any reader can see, because it has members and no admin role. Groups in scope are
/// preferred. Everyone is the last choice, since a sync does not request its members.
fn plain_group<'a>(groups: &'a [Group], scope: &Scope) -> Option<&'a Group> {
    let plain = groups.iter().filter(|group| {
        group.has_admin_privilege != Some(true) && group.members_reported != Some(0)
    });
    plain.min_by_key(|group| {
        (
            group.has_admin_privilege.is_none(),
            group.members_reported.is_none(),
            group.is_everyone(),
            !is_in_scope(group, scope),
        )
    })
}

/// Returns a group with an admin role, preferably one that is in scope and has members.
fn admin_group<'a>(groups: &'a [Group], scope: &Scope) -> Option<&'a Group> {
    let admin = groups
        .iter()
        .filter(|group| group.has_admin_privilege == Some(true));
    admin.min_by_key(|group| {
        (
            !is_in_scope(group, scope),
            group.members_reported == Some(0),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::{Domain, NameFilter};
    use crate::model::{GroupId, Profile};

    fn group(name: &str, admin: Option<bool>, members: Option<u64>) -> Group {
        let mut profile = Profile::new();
        profile.insert("name".to_owned(), name.into());
        let kind = if name == "Everyone" {
            "BUILT_IN"
        } else {
            "OKTA_GROUP"
        };
        Group {
            id: GroupId::from(name),
            kind: Some(kind.to_owned()),
            source_id: None,
            created: None,
            last_updated: None,
            last_membership_updated: None,
            members_reported: members,
            has_admin_privilege: admin,
            profile,
        }
    }

    fn scope(name: &str) -> Scope {
        let domain = Domain::parse("example.com").unwrap();
        Scope::new(vec![domain], false, Some(NameFilter::parse(name).unwrap()))
    }

    #[test]
    fn members_are_requested_of_the_most_useful_group() {
        let no = Some(false);
        let table: [(&[Group], Option<&str>); 8] = [
            (&[], None),
            (
                &[group("a", no, Some(0)), group("b", Some(true), Some(3))],
                None,
            ),
            (
                &[group("a", no, Some(1)), group("b", no, Some(1))],
                Some("a"),
            ),
            (
                &[group("a", no, Some(1)), group("in", no, Some(1))],
                Some("in"),
            ),
            (
                &[group("Everyone", no, Some(9)), group("a", no, Some(1))],
                Some("a"),
            ),
            (
                &[group("Everyone", no, Some(9)), group("a", no, Some(0))],
                Some("Everyone"),
            ),
            (
                &[group("in", None, Some(1)), group("a", no, Some(1))],
                Some("a"),
            ),
            (&[group("in", no, None), group("a", no, Some(1))], Some("a")),
        ];
        for (groups, expected) in table {
            let picked = plain_group(groups, &scope("in")).and_then(Group::name);
            assert_eq!(picked, expected, "{groups:?}");
        }
    }

    #[test]
    fn a_group_in_scope_with_an_admin_role_is_preferred() {
        let yes = Some(true);
        let table: [(&[Group], Option<&str>); 4] = [
            (
                &[group("a", None, Some(1)), group("b", Some(false), Some(1))],
                None,
            ),
            (
                &[group("a", yes, Some(1)), group("in", yes, Some(0))],
                Some("in"),
            ),
            (
                &[group("a", yes, Some(0)), group("b", yes, Some(1))],
                Some("b"),
            ),
            (&[group("a", yes, Some(0))], Some("a")),
        ];
        for (groups, expected) in table {
            let picked = admin_group(groups, &scope("in")).and_then(Group::name);
            assert_eq!(picked, expected, "{groups:?}");
        }
    }
}
