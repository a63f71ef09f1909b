//! The columns of `users`. CONTRIBUTING.md has the steps to add one.

use jiff::Timestamp;

use super::{attribute, table};
use crate::model::{self, User, UserId};
use crate::snapshot::cell::ProfileText;

table! {
    /// A user, as a row of the table `users`.
    #[derive(Clone, Debug, PartialEq)]
    pub struct UserRow = "users" {
        /// Okta's id.
        id: UserId ["not null primary key"] [in baton],
        /// See [`User::status`].
        status: Option<String> [in baton],
        /// The attribute `login`.
        login: Option<String> [in baton],
        /// The attribute `email`.
        email: Option<String> [in baton],
        /// The attribute `secondEmail`.
        second_email: Option<String> [in baton],
        /// The attribute `firstName`.
        first_name: Option<String> [in baton],
        /// The attribute `lastName`.
        last_name: Option<String> [in baton],
        /// The attribute `displayName`.
        display_name: Option<String> [in baton],
        /// See [`User::created`].
        created: Option<Timestamp> [in baton],
        /// See [`User::activated`].
        activated: Option<Timestamp>,
        /// See [`User::status_changed`].
        status_changed: Option<Timestamp>,
        /// See [`User::last_login`].
        last_login: Option<Timestamp> [in baton],
        /// See [`User::last_updated`].
        last_updated: Option<Timestamp>,
        /// See [`User::password_changed`].
        password_changed: Option<Timestamp>,
        /// See [`User::type_id`].
        type_id: Option<String> [since 3],
        /// The address that put the user in scope.
        matched_by: Option<String>,
        /// All attributes.
        profile: ProfileText ["not null"] [in baton],
    }
}

impl UserRow {
    /// Returns a row with only an id.
    pub fn empty(id: impl Into<UserId>) -> Self {
        Self {
            id: id.into(),
            status: None,
            login: None,
            email: None,
            second_email: None,
            first_name: None,
            last_name: None,
            display_name: None,
            created: None,
            activated: None,
            status_changed: None,
            last_login: None,
            last_updated: None,
            password_changed: None,
            type_id: None,
            matched_by: None,
            profile: ProfileText::default(),
        }
    }

    /// Returns the row of a user, without the columns that describe the run.
    pub(in crate::snapshot) fn of(user: &User) -> serde_json::Result<Self> {
        let attribute = |key| attribute(&user.profile, key);
        Ok(Self {
            status: user.status.clone(),
            login: attribute("login"),
            email: attribute("email"),
            second_email: attribute("secondEmail"),
            first_name: attribute("firstName"),
            last_name: attribute("lastName"),
            display_name: attribute("displayName"),
            created: user.created,
            activated: user.activated,
            status_changed: user.status_changed,
            last_login: user.last_login,
            last_updated: user.last_updated,
            password_changed: user.password_changed,
            type_id: user.type_id.clone(),
            profile: ProfileText::of(&user.profile)?,
            ..Self::empty(user.id.clone())
        })
    }

    /// Returns the name to show for the user; see [`User::display_name`].
    pub fn display_name(&self) -> String {
        let names = [&self.display_name, &self.first_name, &self.last_name];
        let names = names.map(Option::as_deref);
        model::display_name(names, self.login.as_deref(), &self.id)
    }
}
