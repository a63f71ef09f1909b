//! The owner of the token. It is requested once per run, and stored in the checkpoint in case the run is resumed.

use serde::{Deserialize, Serialize};

use crate::okta::{Client, Error, probe};
use crate::snapshot::Warning;

/// The owner of the token, or the reason why it is unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenOwner {
    /// The owner.
    User {
        /// The id.
        id: String,
        /// The login.
        login: Option<String>,
    },
    /// Okta does not show the owner: the request, the status and the code, without the request id, so that equal runs give
    /// equal bytes.
    Hidden(String),
}

impl TokenOwner {
    /// Requests the owner from Okta.
    ///
    /// # Errors
    /// Returns an error if Okta rejects the token, if it is unavailable, or if the run is interrupted. A refusal to
    /// show the user is not an error.
    pub fn read(client: &Client) -> Result<Self, Error> {
        Ok(match probe::owner_if_visible(client)? {
            Ok(user) => Self::User {
                id: user.id.to_string(),
                login: user.login().map(str::to_owned),
            },
            Err(refusal) => {
                let code = refusal.code.as_deref().unwrap_or("without a code");
                Self::Hidden(format!("{}: {} {code}", refusal.call, refusal.status))
            }
        })
    }

    /// Returns the owner's id, if Okta shows it.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::User { id, .. } => Some(id),
            Self::Hidden(_) => None,
        }
    }

    /// Returns the owner's login, if Okta shows one.
    pub fn login(&self) -> Option<&str> {
        match self {
            Self::User { login, .. } => login.as_deref(),
            Self::Hidden(_) => None,
        }
    }

    /// Returns the warning for a snapshot without the owner.
    pub fn warning(&self) -> Option<Warning> {
        let Self::Hidden(refusal) = self else {
            return None;
        };
        Some(Warning {
            code: "owner_unknown".to_owned(),
            kind: "run".to_owned(),
            object_id: None,
            message: format!(
                "Okta does not show whose token this is ({refusal}), so the snapshot does not record who read it"
            ),
        })
    }
}
