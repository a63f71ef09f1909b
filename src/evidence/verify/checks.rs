//! The checks. Each takes what was read and returns its status and a line for people.

use std::collections::HashMap;

use super::CheckStatus;
use crate::filter::{Addresses, Domain, Scope};
use crate::model::GroupId;
use crate::snapshot::{
    DomainUsers, Error, Grants, GroupRow, MembershipRow, Recount, RunMetadata, UserRow,
};
use crate::text::{count, number};

type Checked = (CheckStatus, String);

const NOT_OURS: &str = "another program wrote this run and recorded no numbers";

fn ok(message: impl Into<String>) -> Checked {
    (CheckStatus::Ok, message.into())
}

fn failure(message: impl ToString) -> Checked {
    (CheckStatus::Failure, message.to_string())
}

fn skipped(message: impl Into<String>) -> Checked {
    (CheckStatus::Skipped, message.into())
}

/// Reports the result of SQLite's integrity check.
pub(super) fn database(found: Result<Vec<String>, Error>) -> Checked {
    match found {
        Err(error) => failure(error),
        Ok(found) if found.is_empty() => ok("SQLite finds no damage"),
        Ok(found) => failure(format!("SQLite finds damage: {}", found.join("; "))),
    }
}

/// Compares the numbers of rows of one kind with the recorded number.
pub(super) fn rows(what: &str, recounts: Result<&Vec<Recount>, &Error>) -> Checked {
    let recounts = match recounts {
        Err(error) => return failure(error),
        Ok(recounts) => recounts.iter().filter(|recount| recount.what == what),
    };
    let (mut recorded, mut wrong) = (None, Vec::new());
    for recount in recounts {
        recorded = Some(recount.recorded);
        if recount.is_wrong() {
            wrong.push(format!("{} in {}", number(recount.found), recount.table));
        }
    }
    match recorded {
        None => skipped(NOT_OURS),
        Some(recorded) if wrong.is_empty() => ok(format!("{}, as recorded", number(recorded))),
        Some(recorded) => failure(format!(
            "{} recorded, but {}",
            number(recorded),
            wrong.join(" and ")
        )),
    }
}

/// Checks that each grant refers to a principal, a resource and an entitlement in the file.
pub(super) fn grants(found: Result<Grants, Error>) -> Checked {
    match found {
        Err(error) => failure(error),
        Ok(Grants { all, unjoined: 0 }) => ok(format!(
            "{}, each with its principal, resource and entitlement",
            number(all)
        )),
        Ok(Grants { all, unjoined }) => failure(format!(
            "{} of {} to a principal, resource or entitlement that is not in the file",
            number(unjoined),
            count(all, "grant")
        )),
    }
}

/// The recorded number of members of each group, and the number of its memberships in the file.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    groups: HashMap<GroupId, (Option<u64>, u64)>,
}

impl Sizes {
    pub(super) fn add_group(&mut self, group: &GroupRow) {
        let size = (group.members_kept, 0);
        self.groups.insert(group.id.clone(), size);
    }

    pub(super) fn add_membership(&mut self, membership: &MembershipRow) {
        if let Some((_, found)) = self.groups.get_mut(&membership.group_id) {
            *found += 1;
        }
    }

    /// Returns the first group, by id, whose number of members differs from the recorded one.
    fn wrong(&self) -> Option<(&GroupId, Option<u64>, u64)> {
        let wrong = self
            .groups
            .iter()
            .filter(|(_, (recorded, found))| recorded.unwrap_or(0) != *found);
        wrong
            .map(|(id, (recorded, found))| (id, *recorded, *found))
            .min()
    }

    /// Returns the number of groups whose members could be read.
    fn readable(&self) -> u64 {
        let readable = self.groups.values().filter(|(size, _)| size.is_some());
        readable.count() as u64
    }
}

/// Checks that each group has the recorded number of members, and an entitlement if they could be read.
pub(super) fn sizes(
    is_ours: bool,
    sizes: Result<&Sizes, &Error>,
    entitlements: &Result<u64, Error>,
) -> Checked {
    if !is_ours {
        return skipped(NOT_OURS);
    }
    let (sizes, entitlements) = match (sizes, entitlements) {
        (Err(error), _) | (_, Err(error)) => return failure(error),
        (Ok(sizes), Ok(entitlements)) => (sizes, *entitlements),
    };
    if let Some((id, recorded, found)) = sizes.wrong() {
        let recorded = recorded.map_or("no members".to_owned(), |size| count(size, "member"));
        return failure(format!(
            "group {id}: {recorded} recorded, but {} in the file",
            number(found)
        ));
    }
    let readable = sizes.readable();
    if readable != entitlements {
        return failure(format!(
            "{} with readable members, but {}",
            count(readable, "group"),
            count(entitlements, "entitlement")
        ));
    }
    ok("each group has the members that were recorded")
}

/// The users of each domain of the scope, counted from the rows.
#[derive(Debug)]
pub(super) struct Recounted {
    scope: Option<Scope>,
    domains: Vec<DomainUsers>,
}

impl Recounted {
    /// Returns counters for the scope of a run; none if the scope is unknown or invalid.
    pub(super) fn of(metadata: Option<&RunMetadata>) -> Self {
        let scope = metadata.and_then(|metadata| {
            let domains = metadata.email_domains.split(',').map(Domain::parse);
            let domains = domains.collect::<Result<_, _>>().ok()?;
            Some(Scope::new(domains, metadata.skip_secondary_emails, None))
        });
        let domains = scope.iter().flat_map(Scope::domains);
        Self {
            domains: domains.map(DomainUsers::none_of).collect(),
            scope,
        }
    }

    pub(super) fn add(&mut self, user: &UserRow) {
        let Some(scope) = &self.scope else {
            return;
        };
        let addresses = Addresses {
            email: user.email.as_deref(),
            login: user.login.as_deref(),
            second_email: user.second_email.as_deref(),
        };
        for (place, by) in scope.domains_of(addresses) {
            self.domains[place].add(by);
        }
    }
}

/// Checks that the recorded numbers of users by domain match the rows.
pub(super) fn domains(
    recorded: &Result<Vec<DomainUsers>, Error>,
    recounted: Result<&Recounted, &Error>,
) -> Checked {
    let (recorded, recounted) = match (recorded, recounted) {
        (Err(error), _) | (_, Err(error)) => return failure(error),
        (Ok(recorded), Ok(recounted)) => (recorded, recounted),
    };
    if recorded.is_empty() {
        return skipped("no table of domains was recorded");
    }
    if recounted.scope.is_none() {
        return failure("the domains of the scope cannot be read");
    }
    let find = |domain: &str| recorded.iter().find(|row| row.domain == domain);
    let wrong = recounted
        .domains
        .iter()
        .find(|row| find(&row.domain) != Some(row));
    match wrong {
        Some(row) => failure(format!(
            "{}: {} recorded, but {} in the file, counted by email, login and second email",
            row.domain,
            find(&row.domain).map_or("nothing".to_owned(), |row| number(row.users)),
            number(row.users)
        )),
        None if recorded.len() != recounted.domains.len() => failure(format!(
            "{} recorded, but {} in the scope",
            count(recorded.len() as u64, "domain"),
            number(recounted.domains.len() as u64)
        )),
        None => ok(format!(
            "{}, with the users that were recorded",
            count(recorded.len() as u64, "domain")
        )),
    }
}

/// Checks that the rows give the recorded hash.
pub(super) fn content(recorded: Option<&str>, computed: Result<&str, &Error>) -> Checked {
    match (recorded, computed) {
        (_, Err(error)) => failure(error),
        (None, Ok(computed)) => skipped(format!("SHA-256 {computed}; none was recorded")),
        (Some(recorded), Ok(computed)) if recorded == computed => ok(format!("SHA-256 {computed}")),
        (Some(recorded), Ok(computed)) => failure(format!(
            "SHA-256 {recorded} recorded, but the rows give {computed}: they were changed"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::MatchedBy;
    use crate::snapshot::ProfileText;

    fn recount(what: &'static str, recorded: u64, found: u64) -> Recount {
        Recount {
            what,
            table: what,
            recorded,
            found,
        }
    }

    #[test]
    fn rows_are_compared_in_each_table_of_their_kind() {
        for (recounts, expected) in [
            (vec![], (CheckStatus::Skipped, NOT_OURS)),
            (
                vec![recount("groups", 1, 2)],
                (CheckStatus::Skipped, NOT_OURS),
            ),
            (
                vec![recount("users", 1000, 1000), recount("groups", 1, 2)],
                (CheckStatus::Ok, "1,000, as recorded"),
            ),
            (
                vec![recount("users", 2, 1), recount("users", 2, 3)],
                (
                    CheckStatus::Failure,
                    "2 recorded, but 1 in users and 3 in users",
                ),
            ),
        ] {
            let (state, message) = rows("users", Ok(&recounts));
            assert_eq!((state, message.as_str()), expected);
        }
    }

    #[test]
    fn a_grant_without_its_objects_fails() {
        for (all, unjoined, state) in [
            (0, 0, CheckStatus::Ok),
            (5, 0, CheckStatus::Ok),
            (5, 1, CheckStatus::Failure),
        ] {
            assert_eq!(grants(Ok(Grants { all, unjoined })).0, state);
        }
    }

    #[test]
    fn the_hash_is_compared_if_one_was_recorded() {
        for (recorded, computed, state) in [
            (Some("a"), "a", CheckStatus::Ok),
            (Some("a"), "b", CheckStatus::Failure),
            (None, "b", CheckStatus::Skipped),
        ] {
            assert_eq!(content(recorded, Ok(computed)).0, state);
        }
    }

    fn group(id: &str, members_kept: Option<u64>) -> GroupRow {
        GroupRow {
            id: id.into(),
            name: None,
            description: None,
            kind: None,
            source_id: None,
            created: None,
            last_updated: None,
            last_membership_updated: None,
            members_reported: None,
            members_seen: None,
            members_kept,
            learned: None,
            profile: ProfileText::default(),
        }
    }

    #[test]
    fn each_group_has_the_recorded_members_and_an_entitlement_if_they_could_be_read() {
        let member = |group: &str| MembershipRow {
            user_id: "00u1".into(),
            group_id: group.into(),
            learned: None,
        };
        for (groups, members, entitlements, part) in [
            (
                vec![group("a", Some(1)), group("b", None)],
                vec!["a"],
                1,
                None,
            ),
            (
                vec![group("a", Some(1))],
                vec![],
                1,
                Some("group a: 1 member recorded, but 0"),
            ),
            (
                vec![group("b", None)],
                vec!["b"],
                0,
                Some("group b: no members recorded, but 1"),
            ),
            (
                vec![group("a", Some(0))],
                vec![],
                0,
                Some("1 group with readable"),
            ),
            (
                vec![group("a", Some(0))],
                vec![],
                2,
                Some("but 2 entitlements"),
            ),
        ] {
            let mut found = Sizes::default();
            groups.iter().for_each(|group| found.add_group(group));
            members
                .iter()
                .for_each(|id| found.add_membership(&member(id)));
            let (state, message) = sizes(true, Ok(&found), &Ok(entitlements));
            match part {
                None => assert_eq!(state, CheckStatus::Ok, "{message}"),
                Some(part) => {
                    assert_eq!(state, CheckStatus::Failure);
                    assert!(message.contains(part), "{message}");
                }
            }
        }
        let found = Sizes::default();
        assert_eq!(sizes(false, Ok(&found), &Ok(3)).0, CheckStatus::Skipped);
    }

    #[test]
    fn the_users_of_each_domain_are_recounted() {
        let metadata = RunMetadata {
            email_domains: "example.com,example.org".to_owned(),
            ..RunMetadata::default()
        };
        let counted = Recounted::of(Some(&metadata));
        let mut one = counted.domains.clone();
        assert_eq!(one.len(), 2);
        let check = |recorded: &[DomainUsers]| domains(&Ok(recorded.to_vec()), Ok(&counted)).0;
        assert_eq!(check(&[]), CheckStatus::Skipped);
        assert_eq!(check(&one), CheckStatus::Ok);
        assert_eq!(check(&one[..1]), CheckStatus::Failure);
        one[1].add(MatchedBy::Login);
        assert_eq!(check(&one), CheckStatus::Failure);
        one[1] = DomainUsers::default();
        assert_eq!(check(&one), CheckStatus::Failure);
        let unknown = Recounted::of(Some(&RunMetadata::default()));
        assert_eq!(domains(&Ok(one), Ok(&unknown)).0, CheckStatus::Failure);
    }
}
