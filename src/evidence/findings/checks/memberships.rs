//! Checks of memberships.

use std::collections::HashSet;

use super::{Checked, GRACE_DAYS};
use crate::evidence::findings::org::{GroupIndex, Org, UserIndex};
use crate::evidence::findings::{FindingContext, FindingOptions, FindingRow, MembershipIds};
use crate::snapshot::UserRow;

/// The statuses of users who were never activated or cannot sign in.
const NOT_IN_USE: [&str; 4] = ["DEPROVISIONED", "SUSPENDED", "STAGED", "PROVISIONED"];

/// Returns true if a user could sign in: activated and enabled.
pub(super) fn is_in_use(user: &UserRow) -> bool {
    let status = user.status.as_deref();
    status.is_some_and(|status| !NOT_IN_USE.contains(&status))
}

/// Returns a row for each membership of a user for whom the function returns a detail.
fn members(org: &Org, detail: impl Fn(&UserRow) -> Option<String>) -> Vec<FindingRow> {
    let details: Vec<Option<String>> = org.users.iter().map(detail).collect();
    let rows = org.members.iter().filter_map(|member| {
        let detail = details[member.1.0 as usize].as_ref()?;
        Some(org.member_row(*member, detail.clone()))
    });
    rows.collect()
}

pub(super) fn with_status(org: &Org, status: &str) -> Vec<FindingRow> {
    members(org, |user| {
        (user.status.as_deref() == Some(status)).then(|| format!("the user is {status}"))
    })
}

pub(super) fn unactivated(org: &Org) -> Vec<FindingRow> {
    members(org, |user| unactivated_user(org, user))
}

fn unactivated_user(org: &Org, user: &UserRow) -> Option<String> {
    let status = user.status.as_deref()?;
    let days = org.days_since(user.created?);
    let is_waiting = matches!(status, "STAGED" | "PROVISIONED");
    (is_waiting && days > GRACE_DAYS)
        .then(|| format!("{status} since the user was created {days} days ago"))
}

pub(super) fn dormant(org: &Org, options: &FindingOptions) -> Vec<FindingRow> {
    members(org, |user| dormant_user(org, user, options))
}

pub(super) fn dormant_user(org: &Org, user: &UserRow, options: &FindingOptions) -> Option<String> {
    let days = org.days_since(user.last_login?);
    (is_in_use(user) && days > i64::from(options.dormant_days))
        .then(|| format!("last sign-in {days} days ago"))
}

pub(super) fn never_signed_in(org: &Org) -> Vec<FindingRow> {
    members(org, |user| never_signed_in_user(org, user))
}

fn never_signed_in_user(org: &Org, user: &UserRow) -> Option<String> {
    let days = org.days_since(user.created?);
    let never = is_in_use(user) && user.last_login.is_none() && days > GRACE_DAYS;
    never.then(|| format!("never signed in, created {days} days ago"))
}

pub(super) fn secondary_email_only(org: &Org) -> Vec<FindingRow> {
    members(org, secondary_email_user)
}

fn secondary_email_user(user: &UserRow) -> Option<String> {
    let is_it = user.matched_by.as_deref() == Some("second_email");
    is_it.then(|| "only the secondary email is in the domains".to_owned())
}

pub(super) fn privileged_risk(org: &Org, options: &FindingOptions) -> Checked {
    options.knows_privileged()?;
    let risk = |user: &UserRow| {
        let status = user.status.as_deref().unwrap_or_default();
        let disabled = matches!(status, "DEPROVISIONED" | "SUSPENDED")
            .then(|| format!("the user is {status}"));
        let reasons = [
            disabled,
            unactivated_user(org, user),
            dormant_user(org, user, options),
            never_signed_in_user(org, user),
            secondary_email_user(user),
        ];
        let reasons: Vec<String> = reasons.into_iter().flatten().collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    };
    let mut rows = members(org, risk);
    rows.retain(|row| options.is_privileged(row.group_name.as_deref()));
    Ok(rows)
}

pub(super) fn new_privileged(
    org: &Org,
    context: &FindingContext,
    options: &FindingOptions,
) -> Checked {
    options.knows_privileged()?;
    let older = context.older.as_ref();
    let older = older.ok_or("needs --since, an older snapshot")?;
    let is_new = |member: &&(GroupIndex, UserIndex)| {
        options.is_privileged(org.group(member.0).name.as_deref())
            && !older.contains(&org.ids(**member))
    };
    let new = org.members.iter().filter(is_new);
    Ok(new
        .map(|member| org.member_row(*member, "not in the older snapshot"))
        .collect())
}

pub(super) fn came_back(org: &Org, context: &FindingContext) -> Checked {
    let older = context.older.as_ref();
    let older = older.ok_or("needs --since, a snapshot in which the membership is absent")?;
    let present = still_members(org, context)?;
    let back = present
        .into_iter()
        .filter(|(_, pair)| !older.contains(pair));
    let detail = "revoked by the review, absent in the older snapshot, and there again";
    Ok(back
        .map(|(member, _)| org.member_row(member, detail))
        .collect())
}

pub(super) fn not_remediated(org: &Org, context: &FindingContext) -> Checked {
    let present = still_members(org, context)?;
    // A membership that the older snapshot lacks was removed and added again, which is OC602.
    let was_absent = |pair: &MembershipIds| {
        context
            .older
            .as_ref()
            .is_some_and(|older| !older.contains(pair))
    };
    let left = present.into_iter().filter(|(_, pair)| !was_absent(pair));
    Ok(left
        .map(|(member, _)| org.member_row(member, "revoked by the review, and still there"))
        .collect())
}

type Member = ((GroupIndex, UserIndex), MembershipIds);

/// Returns the memberships of the snapshot that the review decided to revoke.
fn still_members(org: &Org, context: &FindingContext) -> Result<Vec<Member>, String> {
    let revoked = context.revoked.as_ref();
    let revoked = revoked.ok_or("needs --review, a sheet with decisions")?;
    let present: HashSet<_> = org.members.iter().collect();
    let place = |pair: &MembershipIds| Some((org.find_group(&pair.0)?, org.find_user(&pair.1)?));
    let placed = revoked
        .iter()
        .filter_map(|pair| Some((place(pair)?, pair.clone())));
    Ok(placed
        .filter(|(member, _)| present.contains(member))
        .collect())
}
