//! Checks that users can be read, and that a user is in scope.

use std::collections::HashMap;

use super::report::{CheckReport, DOMAINS, DomainSample, USERS};
use super::{ASSIGN_A_ROLE, Halt, of};
use crate::config::CheckConfig;
use crate::exit::ExitStatus;
use crate::model::UserId;
use crate::okta::Client;
use crate::okta::probe::{self, split_refusal};
use crate::okta::read::UserListMethod;

/// Checks the first page of users. Returns one of them, whose groups are listed if the owner of the token is unknown.
pub(super) fn users(
    config: &CheckConfig,
    client: &Client,
    report: &mut CheckReport,
) -> Result<Option<UserId>, Halt> {
    report.current_check = USERS;
    let scope = &config.scope;
    let page = probe::users(client, config.connection.page_sizes.users, |user| {
        let domains = user.with_addresses(|addresses| scope.domains_of(addresses));
        (UserId::from(user.id()), domains.unwrap_or_default())
    });
    let (listing, page) = match split_refusal(page)? {
        Ok(page) => page,
        Err(refusal) => {
            report.refused(&refusal, ASSIGN_A_ROLE);
            return Ok(None);
        }
    };
    let listed = page.rows.len() as u64;
    let is_in_scope = |row: &&(UserId, Vec<_>)| !row.1.is_empty();
    let in_scope = page.rows.iter().filter(is_in_scope).count() as u64;
    report.sample.users_on_first_page = Some(listed);
    report.sample.users_in_scope = Some(in_scope);
    let found = format!("{} in scope", of(in_scope, listed, page.more));
    if listed == 0 {
        report.failure(
            "Okta returned no users; a token without an admin role sees an empty org".to_owned(),
            ASSIGN_A_ROLE,
            ExitStatus::Credentials,
        );
    } else if in_scope > 0 {
        if listing == UserListMethod::Plain {
            report.warning(
                format!("{found}; Okta rejects searches, so a sync reads the plain lists"),
                "no action needed; a sync prints this warning too",
            );
        } else {
            report.ok(found);
        }
    } else if page.more {
        report.warning(
            found,
            "a sync stops if no later page has one either; check --email-domains",
        );
    } else {
        report.failure(
            format!("{found}, so a sync stops"),
            "check --email-domains",
            ExitStatus::Guard,
        );
    }
    if in_scope > 0 {
        let met = page.rows.iter().flat_map(|(_, domains)| domains);
        let mut counts = HashMap::new();
        for (place, _) in met {
            *counts.entry(*place).or_insert(0) += 1;
        }
        let page = FirstPage {
            counts,
            listing,
            more: page.more,
        };
        domains(config, &page, client, report)?;
    }
    Ok(page.rows.into_iter().next().map(|(id, _)| id))
}

/// The first page of users, as far as it is about domains.
struct FirstPage {
    /// The number of users in each domain, by the domain's place in the scope.
    counts: HashMap<usize, u64>,
    listing: UserListMethod,
    /// True if there are more pages.
    more: bool,
}

/// Searches for a user in each domain without a user on the first page.
fn domains(
    config: &CheckConfig,
    page: &FirstPage,
    client: &Client,
    report: &mut CheckReport,
) -> Result<(), Halt> {
    /// The largest number of searches. More domains without users on the first page are unusual.
    const MOST: usize = 10;
    report.current_check = DOMAINS;
    let mut searches = 0;
    for (place, domain) in config.scope.domains().iter().enumerate() {
        let on_page = page.counts.get(&place).copied().unwrap_or(0);
        let is_used = if on_page > 0 {
            Some(true)
        } else if !page.more {
            Some(false)
        } else if page.listing == UserListMethod::Plain || searches >= MOST {
            None
        } else {
            searches += 1;
            split_refusal(probe::has_user_in(client, domain))?.ok()
        };
        report.domains.push(DomainSample {
            domain: domain.to_string(),
            users_on_first_page: on_page,
            is_used,
        });
    }
    let are = |used| {
        let those = report
            .domains
            .iter()
            .filter(move |domain| domain.is_used == used);
        those
            .map(|domain| domain.domain.clone())
            .collect::<Vec<_>>()
    };
    let (unused, open) = (are(Some(false)), are(None).len());
    if !unused.is_empty() {
        let by = if page.more {
            "an email or login"
        } else {
            "an address"
        };
        report.warning(
            format!("no user has {by} in {}", unused.join(", ")),
            "check the spelling of --email-domains",
        );
    } else if open == 0 && config.scope.domains().len() > 1 {
        report.ok("every domain has users".to_owned());
    }
    Ok(())
}
