//! Checks what else the token can read, and that it can change memberships.

use super::report::{CHANGES, CheckReport, GROUPS_BY_USER, ORG, RULES, describe};
use super::{ASSIGN_A_ROLE, Halt};
use crate::config::CheckConfig;
use crate::exit::ExitStatus;
use crate::model::{User, UserId};
use crate::okta::Client;
use crate::okta::probe::{self, split_refusal};
use crate::okta::role::{EditableGroups, editable_groups};
use crate::text::count;

pub(super) fn groups_by_user(
    user: Option<&UserId>,
    client: &Client,
    report: &mut CheckReport,
) -> Result<(), Halt> {
    report.current_check = GROUPS_BY_USER;
    let Some(user) = user else {
        report.warning(
            "not tested: no user is known".to_owned(),
            "fix the checks of token and users first",
        );
        return Ok(());
    };
    match split_refusal(probe::groups_of(client, user))? {
        Ok(page) => {
            let more = if page.more { " and more" } else { "" };
            let groups = count(page.rows.len() as u64, "group");
            report.ok(format!("visible, {user} is in {groups}{more}"));
        }
        Err(refusal) if refusal.status == 404 => report.warning(
            format!(
                "user {user} was deleted in the meantime ({})",
                describe(&refusal)
            ),
            "run `okta-ciam check` again",
        ),
        Err(refusal) => report.refused(&refusal, ASSIGN_A_ROLE),
    }
    Ok(())
}

pub(super) fn org(client: &Client, report: &mut CheckReport) -> Result<(), Halt> {
    report.current_check = ORG;
    match split_refusal(probe::company(client))? {
        Ok(name) => {
            report.company = name.clone();
            report.ok(name.unwrap_or_else(|| "without a company name".to_owned()));
        }
        Err(refusal) => report.warning(
            format!("hidden ({})", describe(&refusal)),
            "no action needed; no command uses it",
        ),
    }
    Ok(())
}

pub(super) fn rules(client: &Client, report: &mut CheckReport) -> Result<(), Halt> {
    report.current_check = RULES;
    match split_refusal(probe::a_rule(client))? {
        Ok(true) => report.ok("visible".to_owned()),
        Ok(false) => report.ok("visible; the org has none".to_owned()),
        Err(refusal) => report.warning(
            format!(
                "hidden, so it is unknown whether a rule adds users to a group ({})",
                describe(&refusal)
            ),
            "no action needed for a sync; revoke requires --yes unless the token can read group rules",
        ),
    }
    Ok(())
}

/// Checks that memberships can be changed, as far as that can be tested without a change.
pub(super) fn changes(
    config: &CheckConfig,
    owner: Option<&User>,
    client: &Client,
    report: &mut CheckReport,
) -> Result<(), Halt> {
    report.current_check = CHANGES;
    let (may, why) = match owner {
        None => (
            EditableGroups::Unknown,
            "the owner of the token is unknown".to_owned(),
        ),
        Some(owner) => match split_refusal(probe::roles(client, &owner.id))? {
            Ok(roles) => {
                let names: Vec<String> = roles.iter().map(|role| role.name()).collect();
                if let Some(owner) = &mut report.owner {
                    owner.roles = Some(names.clone());
                }
                let names = if names.is_empty() {
                    "no admin role".to_owned()
                } else {
                    names.join(", ")
                };
                (editable_groups(&roles), names)
            }
            Err(refusal) => (
                EditableGroups::Unknown,
                format!("the owner's roles are hidden, {}", describe(&refusal)),
            ),
        },
    };
    let what = match may {
        EditableGroups::All => "this token can change the members of every OKTA_GROUP group",
        EditableGroups::Most => {
            "this token can change the members of every OKTA_GROUP group without an admin role"
        }
        EditableGroups::Some => {
            "this token can change the members of the groups that its role is assigned for, except those with an admin role"
        }
        EditableGroups::Unknown => "it is unknown which memberships this token can change",
        EditableGroups::Nothing => "this token cannot change any membership",
    };
    if !config.provisioning {
        report.ok(format!(
            "disabled without --provisioning; with it, {what} ({why})"
        ));
        return Ok(());
    }
    let what = format!("{what} ({why})");
    match may {
        EditableGroups::All | EditableGroups::Most | EditableGroups::Some => report.ok(what),
        EditableGroups::Unknown => report.warning(
            what,
            "test it with one change: grant a membership and revoke it",
        ),
        EditableGroups::Nothing => report.failure(
            what,
            "assign the token's owner the role Group Membership Administrator or Group Administrator, or leave --provisioning out",
            ExitStatus::Credentials,
        ),
    }
    Ok(())
}
