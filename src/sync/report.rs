//! The report on how an org was read.

use super::plan::Strategy;
use crate::filter::Domain;
use crate::okta::http::Cost;
use crate::okta::read::UserListMethod;
use crate::snapshot::Warning;

/// The results of reading an org, apart from what the checkpoint contains.
#[derive(Debug)]
pub struct OrgReadReport {
    /// The strategy with which memberships were read, or would be.
    pub strategy: Strategy,
    /// The method with which users were listed.
    pub users_listed_by: UserListMethod,
    /// Different users in the listing; unknown if only possible matches were requested.
    pub users_seen: Option<u64>,
    /// Different users in the listing that are not deprovisioned, to compare with the size of Everyone.
    pub users_not_deprovisioned: Option<u64>,
    /// Users in scope.
    pub users_in_scope: u64,
    /// Users in scope that were only listed as members of groups.
    pub users_only_as_members: u64,
    /// Users deleted during the run.
    pub users_vanished: u64,
    /// Different groups in the listing.
    pub groups_seen: u64,
    /// Groups in scope.
    pub groups_in_scope: u64,
    /// Groups in scope that were only listed as groups of users.
    pub groups_only_from_users: u64,
    /// Groups deleted during the run.
    pub groups_vanished: u64,
    /// The number of members that Okta reports for Everyone.
    pub everyone_reported: Option<u64>,
    /// True if a deprovisioned user was found in Everyone.
    pub deprovisioned_in_everyone: Option<bool>,
    /// The number of requests to read memberships by group.
    pub group_requests: u64,
    /// The number of requests to read memberships by user.
    pub user_requests: u64,
    /// The limitations of the snapshot.
    pub warnings: Vec<Warning>,
    /// The reasons why the snapshot is incomplete, one line each; empty if it is complete.
    pub missing: Vec<String>,
    /// Domains of the scope without users. If the run was interrupted, only users that were read since then count.
    pub unused_domains: Vec<Domain>,
    /// The cost, including that of the parts before an interruption.
    pub cost: Cost,
}

/// The code of a warning about a domain of the scope.
pub const DOMAIN_UNUSED: &str = "domain_unused";

/// Returns the warning about a domain without users, which is often misspelled.
pub fn domain_unused(domain: &str) -> Warning {
    Warning {
        code: DOMAIN_UNUSED.to_owned(),
        kind: "run".to_owned(),
        object_id: None,
        message: format!(
            "no user has an address in {domain}; check the spelling of --email-domains"
        ),
    }
}
