//! The drop guard: decides whether a snapshot lost too much since the previous one, and whether the two can be compared.
//! It does no I/O: `commands/sync.rs` writes the rejected snapshot to another file.

use crate::snapshot::RunMetadata;
use crate::text::{count, number};

/// The numbers of objects in a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotSize {
    /// Users.
    pub users: u64,
    /// Groups.
    pub groups: u64,
    /// Memberships.
    pub memberships: u64,
}

/// Describes the numbers that dropped by more than `percent`; none if there are none.
pub fn too_much(before: SnapshotSize, after: SnapshotSize, percent: u8) -> Option<String> {
    let fell = [
        ("user", before.users, after.users),
        ("group", before.groups, after.groups),
        ("membership", before.memberships, after.memberships),
    ]
    .into_iter()
    .filter(|(_, before, after)| {
        let lost = u128::from(before.saturating_sub(*after));
        lost * 100 > u128::from(*before) * u128::from(percent)
    })
    .map(|(what, before, after)| format!("from {} to {}", count(before, what), number(after)));
    let fell: Vec<String> = fell.collect();
    (!fell.is_empty()).then(|| fell.join(", "))
}

/// Returns the parts of the scope in which two snapshots differ, for a message. Only `origin`, `email_domains`,
/// `skip_secondary_emails` and `group_name_filter` are compared.
pub fn scope_differences(before: &RunMetadata, after: &RunMetadata) -> Vec<&'static str> {
    let parts = [
        ("the org", before.origin == after.origin),
        (
            "--email-domains",
            before.email_domains == after.email_domains,
        ),
        (
            "--skip-secondary-emails",
            before.skip_secondary_emails == after.skip_secondary_emails,
        ),
        (
            "--group-name-filter",
            before.group_name_filter == after.group_name_filter,
        ),
    ];
    let differences = parts.into_iter().filter(|(_, equal)| !equal);
    differences.map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fall_beyond_the_percentage_is_told_and_one_up_to_it_is_not() {
        let before = SnapshotSize {
            users: 100,
            groups: 10,
            memberships: 1000,
        };
        for (users, groups, memberships, percent, expected) in [
            (100, 10, 1000, 0, None),
            (200, 20, 2000, 0, None),
            (90, 9, 900, 10, None),
            (89, 9, 900, 10, Some("from 100 users to 89")),
            (99, 10, 1000, 0, Some("from 100 users to 99")),
            (
                100,
                8,
                500,
                10,
                Some("from 10 groups to 8, from 1,000 memberships to 500"),
            ),
            (0, 0, 0, 100, None),
        ] {
            let after = SnapshotSize {
                users,
                groups,
                memberships,
            };
            let found = too_much(before, after, percent);
            assert_eq!(found.as_deref(), expected, "{after:?} {percent}");
        }
        let nothing = SnapshotSize {
            users: 0,
            groups: 0,
            memberships: 0,
        };
        assert_eq!(too_much(nothing, nothing, 0), None);
    }

    #[test]
    fn each_part_of_the_scope_that_differs_is_named() {
        let before = RunMetadata::default();
        assert!(scope_differences(&before, &before).is_empty());
        for (after, expected) in [
            (
                RunMetadata {
                    origin: "https://other.example".to_owned(),
                    ..RunMetadata::default()
                },
                vec!["the org"],
            ),
            (
                RunMetadata {
                    email_domains: "example.org".to_owned(),
                    group_name_filter: Some("vpn".to_owned()),
                    ..RunMetadata::default()
                },
                vec!["--email-domains", "--group-name-filter"],
            ),
            (
                RunMetadata {
                    skip_secondary_emails: true,
                    ..RunMetadata::default()
                },
                vec!["--skip-secondary-emails"],
            ),
        ] {
            assert_eq!(scope_differences(&before, &after), expected);
        }
    }
}
