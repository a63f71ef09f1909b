//! Checks of users.

use std::collections::{BTreeMap, BTreeSet};

use super::GRACE_DAYS;
use super::memberships::dormant_user;
use crate::evidence::findings::org::{Org, UserIndex};
use crate::evidence::findings::{FindingOptions, FindingRow};
use crate::snapshot::UserRow;
use crate::text::number;

/// The smallest limit for the number of groups of a user.
const MANY_GROUPS: u64 = 20;
/// The limit for the number of groups of a user, as a multiple of the median.
const TIMES_MEDIAN: u64 = 5;
/// Statuses that should be temporary.
const PASSING: [&str; 4] = ["LOCKED_OUT", "RECOVERY", "PASSWORD_EXPIRED", "PROVISIONED"];

fn folded(address: &Option<String>) -> Option<String> {
    let address = address.as_deref()?.trim().to_lowercase();
    (!address.is_empty()).then_some(address)
}

fn logins(org: &Org, users: impl Iterator<Item = UserIndex>) -> String {
    let names = users.map(|index| {
        let user = org.user(index);
        user.login.clone().unwrap_or_else(|| user.id.to_string())
    });
    names.collect::<Vec<_>>().join(", ")
}

pub(super) fn duplicate_email(org: &Org) -> Vec<FindingRow> {
    let mut by_email: BTreeMap<String, Vec<UserIndex>> = BTreeMap::new();
    for (index, user) in org.each_user() {
        if user.status.as_deref() != Some("DEPROVISIONED")
            && let Some(email) = folded(&user.email)
        {
            by_email.entry(email).or_default().push(index);
        }
    }
    let shared = by_email.iter().filter(|(_, users)| users.len() > 1);
    let rows = shared.flat_map(|(email, users)| {
        users.iter().map(move |index| {
            let others = logins(org, users.iter().copied().filter(|other| other != index));
            org.user_row(*index, format!("{email} is also the email of {others}"))
        })
    });
    rows.collect()
}

pub(super) fn shared_recovery_email(org: &Org) -> Vec<FindingRow> {
    let mut by_address: BTreeMap<String, BTreeSet<UserIndex>> = BTreeMap::new();
    for (index, user) in org.each_user() {
        for address in [&user.email, &user.login, &user.second_email] {
            if let Some(address) = folded(address) {
                by_address.entry(address).or_default().insert(index);
            }
        }
    }
    let row = |(index, user): (UserIndex, &UserRow)| {
        let second = folded(&user.second_email)?;
        let others = by_address.get(&second)?.iter().copied();
        let others: Vec<UserIndex> = others.filter(|other| *other != index).collect();
        (!others.is_empty()).then(|| {
            let others = logins(org, others.into_iter());
            org.user_row(
                index,
                format!("the secondary email {second} is also an address of {others}"),
            )
        })
    };
    org.each_user().filter_map(row).collect()
}

pub(super) fn stuck_status(org: &Org) -> Vec<FindingRow> {
    let row = |(index, user): (UserIndex, &UserRow)| {
        let status = user
            .status
            .as_deref()
            .filter(|status| PASSING.contains(status))?;
        let days = org.days_since(user.status_changed?);
        (days > GRACE_DAYS).then(|| org.user_row(index, format!("{status} for {days} days")))
    };
    org.each_user().filter_map(row).collect()
}

pub(super) fn dormant(org: &Org, options: &FindingOptions) -> Vec<FindingRow> {
    let row = |(index, user)| Some(org.user_row(index, dormant_user(org, user, options)?));
    org.each_user().filter_map(row).collect()
}

fn group_counts(org: &Org) -> Vec<u64> {
    let mut counts = vec![0; org.users.len()];
    for (_, user) in &org.members {
        counts[user.0 as usize] += 1;
    }
    counts
}

pub(super) fn too_many_groups(org: &Org) -> Vec<FindingRow> {
    let counts = group_counts(org);
    let mut some: Vec<u64> = counts.iter().copied().filter(|count| *count > 0).collect();
    some.sort_unstable();
    // For an even number of users, the median is the lower of the two values in the middle.
    let median = some
        .get(some.len().saturating_sub(1) / 2)
        .copied()
        .unwrap_or(0);
    let most = MANY_GROUPS.max(TIMES_MEDIAN * median);
    let many = org
        .each_user()
        .zip(counts)
        .filter(|(_, count)| *count > most);
    let rows = many.map(|((index, _), count)| {
        let detail = format!(
            "in {} groups; the median is {}",
            number(count),
            number(median)
        );
        org.user_row(index, detail)
    });
    rows.collect()
}

pub(super) fn no_groups(org: &Org) -> Vec<FindingRow> {
    let counts = group_counts(org);
    let none = org.each_user().zip(counts);
    let none =
        none.filter(|((_, user), count)| *count == 0 && user.status.as_deref() == Some("ACTIVE"));
    none.map(|((index, _), _)| org.user_row(index, "in no group in scope"))
        .collect()
}
