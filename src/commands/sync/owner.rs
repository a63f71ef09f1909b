//! Whose token reads the org: one request at the start of each run, also of one that resumes.

use crate::commands::saying_waits;
use crate::model::User;
use crate::okta::{ApiError, Client, Error, probe};
use crate::snapshot::Warning;

/// The user that the token acts for, or why Okta does not show one.
pub(in crate::commands) struct TokenOwner(Result<User, ApiError>);

impl TokenOwner {
    /// Asks Okta.
    ///
    /// # Errors
    /// Returns an error if Okta rejects the token, is unavailable or interrupted. A refusal to show the user is none.
    pub(in crate::commands) fn read(client: &Client) -> Result<Self, Error> {
        let owner = saying_waits(client, || probe::owner_if_visible(client))?;
        let owner = Self(owner);
        if let Some(warning) = owner.warning() {
            tracing::warn!("{}", warning.message);
        }
        Ok(owner)
    }

    /// Returns the user, if Okta shows one.
    pub(in crate::commands) fn user(&self) -> Option<&User> {
        self.0.as_ref().ok()
    }

    /// Returns the warning for the snapshot, if Okta shows none. It has no request id: equal runs give equal bytes.
    pub(in crate::commands) fn warning(&self) -> Option<Warning> {
        let refusal = self.0.as_ref().err()?;
        let code = refusal.code.as_deref().unwrap_or("without a code");
        Some(Warning {
            code: "owner_unknown".to_owned(),
            kind: "run".to_owned(),
            object_id: None,
            message: format!(
                "Okta does not show whose token this is ({}: {} {code}), so the snapshot does not record who read it",
                refusal.call, refusal.status
            ),
        })
    }
}
