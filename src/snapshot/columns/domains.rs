//! The columns of `domains`.

use serde::Serialize;

use super::table;
use crate::filter::{Domain, MatchedBy};

table! {
    /// The number of users with an address in a domain of the scope. Each user is counted once, by the first address
    /// that matches.
    #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
    pub struct DomainUsers = "domains" {
        /// The domain, as the scope spells it.
        domain: String ["not null primary key"],
        /// All users of the domain.
        users: u64 ["not null"],
        /// Users matched by the primary email.
        users_by_email: u64 ["not null"],
        /// Users matched by the login.
        users_by_login: u64 ["not null"],
        /// Users matched by the secondary email.
        users_by_second_email: u64 ["not null"],
    }
}

impl DomainUsers {
    /// Returns the row of a domain before any user is counted.
    pub fn none_of(domain: &Domain) -> Self {
        Self {
            domain: domain.to_string(),
            ..Self::default()
        }
    }

    /// Counts a user.
    pub fn add(&mut self, by: MatchedBy) {
        self.users += 1;
        match by {
            MatchedBy::Email => self.users_by_email += 1,
            MatchedBy::Login => self.users_by_login += 1,
            MatchedBy::SecondEmail => self.users_by_second_email += 1,
        }
    }
}
