//! Authorizes requests. Other modules only pass [`Credentials`] on, and compare them by [`Credentials::identity`].

use reqwest::header::{HeaderValue, InvalidHeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use crate::mask::Mask;
use crate::text::hex;

/// The credentials with which requests are sent.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// An API token of an admin (docs/okta-api.md, Tokens and hosts).
    ApiToken(SecretString),
    /// Credentials that can be renewed, for tests.
    #[cfg(test)]
    Renewable {
        /// The secret, which stays the same.
        token: SecretString,
        /// The number of renewals.
        renewals: std::sync::Arc<std::sync::atomic::AtomicU32>,
    },
}

impl Credentials {
    /// Returns the `Authorization` header for one attempt. It is marked sensitive, so that it prints as `Sensitive`.
    pub(super) fn authorize(&self) -> Result<HeaderValue, InvalidHeaderValue> {
        let mut value = HeaderValue::try_from(format!("SSWS {}", self.secret().expose_secret()))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// Renews the credentials after Okta rejected them. Returns whether another attempt may succeed; an API token cannot
    /// be renewed. Threads share the credentials, so a variant that can be renewed has to keep its secret behind a lock.
    pub(super) fn renew(&self) -> bool {
        match self {
            Self::ApiToken(_) => false,
            #[cfg(test)]
            Self::Renewable { renewals, .. } => {
                renewals.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                true
            }
        }
    }

    /// Returns the text that must never be printed.
    pub(crate) fn secret(&self) -> &SecretString {
        match self {
            Self::ApiToken(token) => token,
            #[cfg(test)]
            Self::Renewable { token, .. } => token,
        }
    }

    /// Returns the mask that removes the secret from text.
    pub fn mask(&self) -> Mask {
        Mask::of(self.secret())
    }

    /// Returns a text that is equal for equal credentials and reveals no secret: SHA-256 in hex.
    pub fn identity(&self) -> String {
        hex(&Sha256::digest(self.secret().expose_secret()))
    }
}
