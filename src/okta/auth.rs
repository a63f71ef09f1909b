//! What proves to Okta who asks.

use reqwest::header::{HeaderValue, InvalidHeaderValue};
use secrecy::{ExposeSecret as _, SecretString};

/// The value of the `Authorization` header for an API token (docs/okta-api.md, Tokens and hosts). Marked sensitive: it
/// prints as `Sensitive`.
pub(super) fn header(token: &SecretString) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::try_from(format!("SSWS {}", token.expose_secret()))?;
    value.set_sensitive(true);
    Ok(value)
}
