//! Counts users by the age of their last sign-in, and groups by size; pure.

use crate::evidence::findings::org::Org;
use crate::model::User;

/// A name and its count.
pub(super) type NamedCount = (String, u64);

/// The largest age in days of each class of sign-ins, and the name of the class.
const AGES: [(i64, &str); 6] = [
    (7, "up to 7 days"),
    (30, "8 to 30 days"),
    (90, "31 to 90 days"),
    (180, "91 to 180 days"),
    (365, "181 to 365 days"),
    (i64::MAX, "over a year"),
];

/// The largest size of each class of groups, and the name of the class.
const SIZES: [(u64, &str); 6] = [
    (0, "no members"),
    (1, "1 member"),
    (9, "2 to 9"),
    (99, "10 to 99"),
    (999, "100 to 999"),
    (u64::MAX, "1,000 or more"),
];

/// Counts the users who are not deprovisioned by the age of their last sign-in.
pub(super) fn sign_in_ages(org: &Org) -> Vec<NamedCount> {
    let mut counts = [0; AGES.len()];
    let mut none = 0;
    let users = org.users.iter();
    for user in users.filter(|user| user.status.as_deref() != Some(User::DEPROVISIONED)) {
        match user.last_login {
            Some(time) => counts[class(&AGES, org.days_since(time))] += 1,
            None => none += 1,
        }
    }
    // The snapshots of other programs may not contain sign-ins.
    let without = if org.complete.is_some() {
        "never"
    } else {
        "not recorded"
    };
    let mut tallies = named(&AGES, counts);
    tallies.push((without.to_owned(), none));
    tallies
}

/// Counts groups by their number of members. The size of a group is unknown if its members could not be read.
pub(super) fn group_sizes(sizes: impl Iterator<Item = Option<u64>>) -> Vec<NamedCount> {
    let mut counts = [0; SIZES.len()];
    let mut unknown = 0;
    for size in sizes {
        match size {
            Some(size) => counts[class(&SIZES, size)] += 1,
            None => unknown += 1,
        }
    }
    let mut tallies = named(&SIZES, counts);
    if unknown > 0 {
        tallies.push(("not readable".to_owned(), unknown));
    }
    tallies
}

fn class<T: PartialOrd + Copy>(classes: &[(T, &str)], value: T) -> usize {
    let found = classes.iter().position(|(most, _)| value <= *most);
    found.unwrap_or(classes.len() - 1)
}

fn named<T, const N: usize>(classes: &[(T, &str); N], counts: [u64; N]) -> Vec<NamedCount> {
    let names = classes.iter().map(|(_, name)| (*name).to_owned());
    names.zip(counts).collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::snapshot::UserRow;

    fn counted(tallies: &[NamedCount]) -> Vec<u64> {
        tallies.iter().map(|(_, count)| *count).collect()
    }

    #[test]
    fn each_user_is_in_one_age_class_unless_deprovisioned() {
        const DAY: i64 = 24 * 3600;
        let taken_at = Timestamp::from_second(1000 * DAY).unwrap();
        let mut org = Org {
            taken_at,
            complete: Some(true),
            ..Org::default()
        };
        for days in [-1, 0, 7, 8, 30, 31, 90, 91, 180, 181, 365, 366] {
            let mut user = UserRow::empty(format!("00u{days}"));
            user.last_login = Some(Timestamp::from_second((1000 - days) * DAY).unwrap());
            org.users.push(user.clone());
            user.status = Some(User::DEPROVISIONED.to_owned());
            org.users.push(user);
        }
        org.users.push(UserRow::empty("00unever"));
        let ages = sign_in_ages(&org);
        assert_eq!(counted(&ages), [3, 2, 2, 2, 2, 1, 1]);
        assert_eq!(ages[6].0, "never");
        org.complete = None;
        assert_eq!(sign_in_ages(&org)[6].0, "not recorded");
    }

    #[test]
    fn each_group_is_in_one_size_class() {
        let sizes = [0, 1, 2, 9, 10, 99, 100, 999, 1000, 1_000_000];
        let known = group_sizes(sizes.into_iter().map(Some));
        assert_eq!(counted(&known), [1, 1, 2, 2, 2, 2]);
        let with_unknown = group_sizes([Some(5), None].into_iter());
        assert_eq!(counted(&with_unknown), [0, 0, 1, 0, 0, 0, 1]);
    }
}
