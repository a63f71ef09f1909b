//! Whether a snapshot lost too much since the one before; pure.

use crate::text::{count, number};

/// How much a snapshot contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotSize {
    /// Users.
    pub users: u64,
    /// Groups.
    pub groups: u64,
    /// Memberships.
    pub memberships: u64,
}

/// Returns what fell by more than `percent`, for a message; none if nothing did.
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
}
