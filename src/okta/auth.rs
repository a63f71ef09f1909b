//! Authorizes requests. Other parts of the program know only [`Credentials`]: they pass them on, and compare them by
//! [`Credentials::identity`].

use reqwest::header::{HeaderValue, InvalidHeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use crate::mask::Mask;
use crate::text::hex;

/// The proof to Okta of who sends a request.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// An API token of an admin (docs/okta-api.md, Tokens and hosts).
    ApiToken(SecretString),
}

impl Credentials {
    /// Returns the `Authorization` header for one attempt. It is marked sensitive: it prints as `Sensitive`.
    pub(super) fn authorize(&self) -> Result<HeaderValue, InvalidHeaderValue> {
        let Self::ApiToken(token) = self;
        let mut value = HeaderValue::try_from(format!("SSWS {}", token.expose_secret()))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// Renews the credentials after Okta refused them. Returns whether another attempt can differ; with an API token,
    /// which is valid or not, it cannot.
    pub(super) fn renew(&self) -> bool {
        match self {
            Self::ApiToken(_) => false,
        }
    }

    /// Returns the text that must never be printed.
    pub(super) fn secret(&self) -> &SecretString {
        let Self::ApiToken(token) = self;
        token
    }

    /// Returns what masks the secret in text.
    pub fn mask(&self) -> Mask {
        Mask::of(self.secret())
    }

    /// Returns a text that is equal for equal credentials and reveals no secret: SHA-256 in hex.
    pub fn identity(&self) -> String {
        let Self::ApiToken(token) = self;
        hex(&Sha256::digest(token.expose_secret()))
    }
}
