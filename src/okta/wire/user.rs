//! Users, alone and in pages.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::text::LenientText;
use super::{Malformed, is_id, no_id, parsed, undocumented};
use crate::filter::Addresses;
use crate::model::{self, Profile, UserId};

/// A user in Okta's JSON, borrowed from the page.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WireUser<'a> {
    #[serde(borrow, default)]
    id: LenientText<'a>,
    #[serde(borrow, default)]
    status: LenientText<'a>,
    #[serde(borrow, default)]
    created: LenientText<'a>,
    #[serde(borrow, default)]
    activated: LenientText<'a>,
    #[serde(borrow, default)]
    status_changed: LenientText<'a>,
    #[serde(borrow, default)]
    last_login: LenientText<'a>,
    #[serde(borrow, default)]
    last_updated: LenientText<'a>,
    #[serde(borrow, default)]
    password_changed: LenientText<'a>,
    #[serde(borrow, default, rename = "type")]
    user_type: Option<&'a RawValue>,
    #[serde(borrow, default)]
    profile: Option<&'a RawValue>,
}

/// A reference to the type of a user.
#[derive(Debug, Deserialize)]
struct UserType<'a> {
    #[serde(borrow, default)]
    id: LenientText<'a>,
}

/// The three attributes that decide whether a user is in scope.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mail<'a> {
    #[serde(borrow, default)]
    email: LenientText<'a>,
    #[serde(borrow, default)]
    login: LenientText<'a>,
    #[serde(borrow, default)]
    second_email: LenientText<'a>,
}

impl WireUser<'_> {
    /// Returns the id, which was checked when the page was read.
    pub fn id(&self) -> &str {
        self.id.get().unwrap_or_default()
    }

    /// Returns the time of the last change.
    pub fn last_updated(&self) -> Option<Timestamp> {
        self.last_updated.time()
    }

    fn type_id(&self) -> Option<String> {
        let parsed = serde_json::from_str::<UserType<'_>>(self.user_type?.get());
        parsed.ok()?.id.owned()
    }

    /// Returns whether the user is deprovisioned, which is Okta's word for deactivated.
    pub fn is_deprovisioned(&self) -> bool {
        self.status.get() == Some(model::User::DEPROVISIONED)
    }

    /// Calls `decide` with the addresses of the user.
    ///
    /// # Errors
    /// Returns an error if the profile cannot be read.
    pub fn with_addresses<T>(
        &self,
        decide: impl FnOnce(Addresses<'_>) -> T,
    ) -> Result<T, Malformed> {
        let Some(raw) = self.profile else {
            return Ok(decide(Addresses::default()));
        };
        if let Ok(mail) = serde_json::from_str::<Mail<'_>>(raw.get()) {
            return Ok(decide(Addresses {
                email: mail.email.get(),
                login: mail.login.get(),
                second_email: mail.second_email.get(),
            }));
        }
        // A profile with a repeated key is rare, and no reason to lose the user.
        let profile = profile(raw)?;
        let text = |key| profile.get(key).and_then(Value::as_str);
        Ok(decide(Addresses {
            email: text("email"),
            login: text("login"),
            second_email: text("secondEmail"),
        }))
    }

    /// Returns the complete user.
    ///
    /// # Errors
    /// Returns an error if the profile cannot be read.
    pub fn to_model(&self) -> Result<model::User, Malformed> {
        Ok(model::User {
            id: UserId::from(self.id()),
            status: self.status.owned(),
            created: self.created.time(),
            activated: self.activated.time(),
            status_changed: self.status_changed.time(),
            last_login: self.last_login.time(),
            last_updated: self.last_updated.time(),
            password_changed: self.password_changed.time(),
            type_id: self.type_id(),
            profile: self.profile.map(profile).transpose()?.unwrap_or_default(),
        })
    }
}

/// Reads a profile; one that is not an object has no attributes.
fn profile(raw: &RawValue) -> Result<Profile, Malformed> {
    match serde_json::from_str(raw.get()) {
        Ok(Value::Object(profile)) => Ok(profile),
        Ok(_) => Ok(Profile::new()),
        Err(error) => Err(undocumented("the response", &error)),
    }
}

/// Reads the users of a page.
///
/// # Errors
/// Returns an error if the body is not an array of objects with ids.
pub fn users(body: &[u8]) -> Result<Vec<WireUser<'_>>, Malformed> {
    // If the entire body is checked first, serde_json does not check each string again.
    let text = std::str::from_utf8(body)
        .map_err(|error| Malformed(format!("the response is not UTF-8 ({error})")))?;
    let users: Vec<WireUser<'_>> =
        serde_json::from_str(text).map_err(|error| undocumented("the response", &error))?;
    match users.iter().position(|user| !is_id(user.id())) {
        Some(row) => Err(no_id(row)),
        None => Ok(users),
    }
}

/// Reads a single user.
///
/// # Errors
/// Returns an error if the body is not an object with an id.
pub fn user(body: &[u8]) -> Result<model::User, Malformed> {
    let user: WireUser<'_> = parsed(body)?;
    if is_id(user.id()) {
        user.to_model()
    } else {
        Err(no_id(0))
    }
}
