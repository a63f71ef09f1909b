//! Checks of groups.

use std::collections::{BTreeMap, HashMap};

use icu_normalizer::ComposingNormalizerBorrowed;

use super::Checked;
use crate::evidence::findings::org::{GroupIndex, Org, UserIndex};
use crate::evidence::findings::{FindingOptions, FindingRow};
use crate::snapshot::GroupRow;
use crate::text::count;

/// The smallest number of members for the check of groups with the same members. Smaller groups may have them by
/// chance.
const LEAST_SHARED: usize = 3;

pub(super) fn empty(org: &Org) -> Vec<FindingRow> {
    let is_empty = |group: &GroupRow| {
        group.kind.as_deref() == Some("OKTA_GROUP")
            && (group.members_seen == Some(0) || group.learned.as_deref() == Some("reported_empty"))
    };
    let empty = org.each_group().filter(|(_, group)| is_empty(group));
    empty
        .map(|(index, _)| org.group_row(index, "has no members"))
        .collect()
}

pub(super) fn single_member(org: &Org) -> Vec<FindingRow> {
    let single = org
        .each_group()
        .filter(|(_, group)| group.members_seen.or(group.members_kept) == Some(1));
    single
        .map(|(index, _)| org.group_row(index, "has one member"))
        .collect()
}

/// Returns the members in scope of each group, in the order of users.
fn members(org: &Org) -> Vec<Vec<UserIndex>> {
    let mut members = vec![Vec::new(); org.groups.len()];
    for (group, user) in &org.members {
        members[group.0 as usize].push(*user);
    }
    members
}

pub(super) fn duplicate(org: &Org) -> Vec<FindingRow> {
    let members = members(org);
    let mut by_members: HashMap<&[UserIndex], Vec<GroupIndex>> = HashMap::new();
    for ((index, _), members) in org.each_group().zip(&members) {
        if members.len() >= LEAST_SHARED {
            by_members.entry(members).or_default().push(index);
        }
    }
    let same = by_members
        .into_iter()
        .filter(|(_, groups)| groups.len() > 1);
    rows(
        org,
        same.map(|(members, groups)| {
            (
                groups,
                format!("has the same {} as", count(members.len() as u64, "member")),
            )
        }),
    )
}

/// Returns a name without the differences that are hard to see: case, spaces, hyphens, underscores, and
/// compatibility characters such as ligatures.
fn skeleton(name: &str) -> String {
    let nfkc = ComposingNormalizerBorrowed::new_nfkc();
    let name = nfkc.normalize(name).to_lowercase();
    // The normalization is repeated, since lower case may have decomposed characters.
    let is_shown =
        |c: &char| !(c.is_whitespace() || matches!(c, '-' | '_' | '\u{2010}'..='\u{2015}'));
    nfkc.normalize(&name).chars().filter(is_shown).collect()
}

pub(super) fn look_alike(org: &Org) -> Vec<FindingRow> {
    let mut by_skeleton: BTreeMap<String, Vec<GroupIndex>> = BTreeMap::new();
    for (index, group) in org.each_group() {
        let skeleton = skeleton(group.name.as_deref().unwrap_or_default());
        if !skeleton.is_empty() {
            by_skeleton.entry(skeleton).or_default().push(index);
        }
    }
    let alike = by_skeleton.into_values().filter(|groups| groups.len() > 1);
    rows(
        org,
        alike.map(|groups| (groups, "has a name that looks like that of".to_owned())),
    )
}

/// Returns a row for each group of each set, with the other groups of its set in the detail.
fn rows(org: &Org, sets: impl Iterator<Item = (Vec<GroupIndex>, String)>) -> Vec<FindingRow> {
    let mut found = Vec::new();
    for (groups, what) in sets {
        for index in &groups {
            let others = groups.iter().filter(|other| *other != index);
            let others: Vec<String> = others
                .map(|other| {
                    format!(
                        "{} ({})",
                        org.group(*other).display_name(),
                        org.group(*other).id
                    )
                })
                .collect();
            found.push((*index, format!("{what} {}", others.join(", "))));
        }
    }
    found.sort();
    found
        .into_iter()
        .map(|(index, detail)| org.group_row(index, detail))
        .collect()
}

pub(super) fn large_privileged(org: &Org, options: &FindingOptions) -> Checked {
    options.knows_privileged()?;
    let members = members(org);
    let large = org
        .each_group()
        .zip(members)
        .filter(|((_, group), members)| {
            options.is_privileged(group.name.as_deref())
                && members.len() as u64 > options.privileged_max
        });
    let rows = large.map(|((index, _), members)| {
        let members = count(members.len() as u64, "member");
        org.group_row(
            index,
            format!(
                "has {members}; at most {} are expected",
                options.privileged_max
            ),
        )
    });
    Ok(rows.collect())
}

#[cfg(test)]
mod tests {
    use super::skeleton;

    #[test]
    fn names_look_alike_without_case_spaces_dashes_and_unicode_forms() {
        for (one, other) in [
            ("VPN users", "vpn-users"),
            ("Équipe", "e\u{301}quipe"),
            ("ＡＤＭＩＮ", "admin"),
            ("a\u{2013}b", "A b"),
        ] {
            assert_eq!(skeleton(one), skeleton(other), "{one}");
        }
        assert_ne!(skeleton("VPN users"), skeleton("VPN user"));
    }
}
