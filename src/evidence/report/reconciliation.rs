//! Compares the numbers of a snapshot: those that its run recorded, those in the file, and those that Okta reports.

use super::PageSource;
use crate::text::number;

/// Two numbers that should be equal.
pub(super) struct Comparison {
    pub(super) what: &'static str,
    pub(super) one: String,
    pub(super) other: String,
    /// `agrees`, `differs` or `not recorded`.
    pub(super) result: &'static str,
}

fn compare(what: &'static str, one: Option<u64>, other: Option<u64>) -> Comparison {
    let shown = |value: Option<u64>| value.map_or("not recorded".to_owned(), number);
    Comparison {
        what,
        one: shown(one),
        other: shown(other),
        result: match (one, other) {
            (Some(one), Some(other)) if one == other => "agrees",
            (Some(_), Some(_)) => "differs",
            _ => "not recorded",
        },
    }
}

/// Compares the numbers of a snapshot.
pub(super) fn comparisons(source: &PageSource<'_>) -> Vec<Comparison> {
    let run = source.info.metadata.as_ref();
    let counts = &source.counts;
    let stored = source
        .org
        .groups
        .iter()
        .filter_map(|group| group.members_kept);
    let listed = source.org.groups.iter().filter(|group| {
        group.learned.as_deref() == Some("listed") && group.members_reported.is_some()
    });
    let (mut all, mut equal) = (0, 0);
    for group in listed {
        all += 1;
        equal += u64::from(group.members_reported == group.members_seen);
    }
    let everyone = source.org.everyone;
    vec![
        compare(
            "Users recorded by the run, and in the file",
            run.map(|run| run.users_kept),
            Some(counts.users),
        ),
        compare(
            "Groups recorded by the run, and in the file",
            run.map(|run| run.groups_kept),
            Some(counts.groups),
        ),
        compare(
            "Memberships recorded by the run, and in the file",
            run.map(|run| run.memberships_kept),
            Some(counts.memberships),
        ),
        compare(
            "Members of all groups together, and memberships in the file",
            run.map(|_| stored.sum()),
            Some(counts.memberships),
        ),
        compare(
            "Members of Everyone in Okta's count, and users listed who are not deprovisioned",
            everyone.map(|(reported, _)| reported),
            everyone.map(|(_, listed)| listed),
        ),
        compare(
            "Groups whose members were listed, and those where Okta's count is the same",
            run.filter(|_| all > 0).map(|_| all),
            run.filter(|_| all > 0).map(|_| equal),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_agree_differ_or_are_not_recorded() {
        for (one, other, result) in [
            (Some(1), Some(1), "agrees"),
            (Some(1), Some(2), "differs"),
            (None, Some(1), "not recorded"),
            (Some(1), None, "not recorded"),
        ] {
            assert_eq!(compare("", one, other).result, result);
        }
        assert_eq!(compare("", Some(1234), None).one, "1,234");
    }
}
