//! The objects of an org: users, groups, rules and roles.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};

/// A time in milliseconds since 1970. Okta shows full seconds, but searches use the stored milliseconds.
pub type Millis = i64;

/// Parses a time in a test or in the demo's data.
///
/// # Panics
/// Panics if the text is not an RFC 3339 time.
pub fn at(text: &str) -> Millis {
    let time: Timestamp = text.parse().expect("a time in the source is well formed");
    time.as_millisecond()
}

/// A user. [`User::new`] sets the fields that are irrelevant for most tests.
#[derive(Clone, Debug)]
pub struct User {
    /// The id.
    pub id: Arc<str>,
    /// The status, such as `ACTIVE`; unknown values are possible.
    pub status: Cow<'static, str>,
    /// The time of creation.
    pub created: Millis,
    /// The time of activation.
    pub activated: Option<Millis>,
    /// The time of the last change of the status.
    pub status_changed: Option<Millis>,
    /// The time of the last sign-in.
    pub last_login: Option<Millis>,
    /// The time of the last change.
    pub last_updated: Millis,
    /// The time of the last change of the password.
    pub password_changed: Option<Millis>,
    /// The profile: the text of a JSON object, which is sent unchanged.
    pub profile: Box<str>,
    /// The text of the complete user, which is sent unchanged instead of the fields above.
    pub raw: Option<Box<str>>,
    /// True if the search index does not contain the user yet: found by id and in groups, but not in listings of users.
    pub lagging: bool,
    /// True if searches by creation time do not find the user.
    pub not_by_time: bool,
    /// True if listing the groups of the user returns 403.
    pub groups_forbidden: bool,
    /// The login in lower case, taken from the profile when the user is stored. Searches in a million users read only
    /// this field.
    pub(crate) login: Option<Box<str>>,
    pub(crate) email: Option<Box<str>>,
    /// The ids of the groups, sorted.
    pub(crate) groups: Vec<Arc<str>>,
}

impl User {
    /// Returns an active user with this profile (the text of a JSON object).
    pub fn new(id: &str, profile: impl Into<Box<str>>) -> Self {
        // 2024-03-01T08:00:00Z as a number, because a large org needs it a million times.
        let created = 1_709_280_000_000;
        Self {
            id: id.into(),
            status: "ACTIVE".into(),
            created,
            activated: Some(created),
            status_changed: Some(created),
            last_login: None,
            last_updated: created,
            password_changed: None,
            profile: profile.into(),
            raw: None,
            lagging: false,
            not_by_time: false,
            groups_forbidden: false,
            login: None,
            email: None,
            groups: Vec::new(),
        }
    }

    /// Returns an active user whose login is the email.
    pub fn with_email(id: &str, email: &str) -> Self {
        let email = Value::from(email);
        let profile = format!(
            r#"{{"firstName":"Ada","lastName":"Test","mobilePhone":null,"secondEmail":null,"login":{email},"email":{email}}}"#
        );
        Self::new(id, profile)
    }

    /// Returns a user that is sent as this text. The server reads status, login and email from the text if they are
    /// present.
    pub fn with_raw(id: &str, text: &str) -> Self {
        let mut user = Self::new(id, "{}");
        if let Ok(Value::Object(parts)) = serde_json::from_str(text)
            && let Some(status) = parts.get("status").and_then(Value::as_str)
        {
            user.status = status.to_owned().into();
        }
        user.raw = Some(text.into());
        user
    }

    /// Sets the status.
    #[must_use]
    pub fn status(mut self, status: &'static str) -> Self {
        self.status = status.into();
        self
    }

    /// Sets the time of the last change.
    #[must_use]
    pub fn updated(mut self, last_updated: Millis) -> Self {
        self.last_updated = last_updated;
        self
    }

    /// Returns true if the user is deprovisioned.
    pub fn is_deprovisioned(&self) -> bool {
        self.status == "DEPROVISIONED"
    }

    /// Returns all attributes, from the raw text if there is one; empty if it contains none.
    pub fn attributes(&self) -> Map<String, Value> {
        attributes(&self.profile, self.raw.as_deref())
    }

    pub(super) fn index(&mut self) {
        let attributes = self.attributes();
        let folded = |key| text(&attributes, key).map(|text| text.to_lowercase().into());
        self.login = folded("login");
        self.email = folded("email");
    }
}

/// The size of a group in `_embedded.stats`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Size {
    /// The number of members.
    #[default]
    Real,
    /// This number, regardless of the members.
    Says(u64),
    /// None: the response has no `_embedded`.
    Withheld,
}

/// A group. [`Group::new`] sets the fields that are irrelevant for most tests.
#[derive(Clone, Debug)]
pub struct Group {
    /// The id.
    pub id: Arc<str>,
    /// The type: `OKTA_GROUP`, `APP_GROUP` or `BUILT_IN`; unknown values are possible.
    pub kind: Cow<'static, str>,
    /// The time of creation.
    pub created: Millis,
    /// The time of the last change of the profile.
    pub last_updated: Millis,
    /// The time of the last change of the members, according to Okta.
    pub last_membership_updated: Millis,
    /// The object class: `okta:user_group`, or one of Active Directory.
    pub object_class: Cow<'static, str>,
    /// The app that the group comes from.
    pub source: Option<Box<str>>,
    /// The profile: the text of a JSON object, which is sent unchanged.
    pub profile: Box<str>,
    /// The size that `expand=stats` returns.
    pub size: Size,
    /// The flag for an admin role; omitted if `None`.
    pub admin: Option<bool>,
    /// True if listing the members returns 403.
    pub members_forbidden: bool,
    /// The text of the complete group, which is sent unchanged instead of the fields above.
    pub raw: Option<Box<str>>,
    pub(crate) name: Option<Box<str>>,
    /// The ids of the members, sorted. Empty for Everyone, whose members are derived from the users.
    pub(crate) members: Vec<Arc<str>>,
}

impl Group {
    /// Returns an ordinary group of type `OKTA_GROUP`.
    pub fn new(id: &str, name: &str) -> Self {
        let created = at("2023-01-09T09:00:00Z");
        let name = Value::from(name);
        Self {
            id: id.into(),
            kind: "OKTA_GROUP".into(),
            created,
            last_updated: created,
            last_membership_updated: created,
            object_class: "okta:user_group".into(),
            source: None,
            profile: format!(r#"{{"name":{name},"description":null}}"#).into(),
            size: Size::Real,
            admin: Some(false),
            members_forbidden: false,
            raw: None,
            name: None,
            members: Vec::new(),
        }
    }

    /// Returns a group that is sent as this text. The server reads the name and the type from the text if they are
    /// present.
    pub fn with_raw(id: &str, text: &str) -> Self {
        let mut group = Self::new(id, "");
        if let Ok(Value::Object(parts)) = serde_json::from_str(text)
            && let Some(kind) = parts.get("type").and_then(Value::as_str)
        {
            group.kind = kind.to_owned().into();
        }
        group.raw = Some(text.into());
        group
    }

    /// Sets the type.
    #[must_use]
    pub fn kind(mut self, kind: &'static str) -> Self {
        self.kind = kind.into();
        self
    }

    /// Sets the size that is sent.
    #[must_use]
    pub fn size(mut self, size: Size) -> Self {
        self.size = size;
        self
    }

    /// Sets the profile (the text of a JSON object).
    #[must_use]
    pub fn profile(mut self, profile: impl Into<Box<str>>) -> Self {
        self.profile = profile.into();
        self
    }

    /// Returns the name; `None` until the group is stored in an org.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns true for Everyone, whose members are all users who are not deprovisioned and are not stored.
    pub fn is_everyone(&self) -> bool {
        self.kind == "BUILT_IN" && self.name() == Some("Everyone")
    }

    pub(super) fn index(&mut self) {
        let attributes = attributes(&self.profile, self.raw.as_deref());
        self.name = text(&attributes, "name").map(Into::into);
    }
}

/// A group rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The id, which starts with `0pr`.
    pub id: String,
    /// The name.
    pub name: String,
    /// `ACTIVE`, `INACTIVE` or `INVALID`.
    pub status: String,
    /// The condition, which is not evaluated here.
    pub expression: String,
    /// The ids of the groups to which the rule adds users.
    pub groups: Vec<String>,
    /// The ids of the users that the rule has added.
    pub managed: Vec<String>,
    /// The ids of the users that the rule does not add.
    pub excluded: Vec<String>,
    /// The time of creation and of the last change.
    pub created: Millis,
}

/// An admin role of a user.
#[derive(Clone, Debug)]
pub struct Role {
    /// The type, such as `SUPER_ADMIN` or `CUSTOM`; unknown values are possible.
    pub kind: Cow<'static, str>,
    /// The name in Okta's admin console.
    pub label: String,
    /// `ACTIVE` or `INACTIVE`.
    pub status: Cow<'static, str>,
}

impl Role {
    /// Returns an active role.
    pub fn new(kind: &'static str, label: &str) -> Self {
        Self {
            kind: kind.into(),
            label: label.to_owned(),
            status: "ACTIVE".into(),
        }
    }
}

fn attributes(profile: &str, raw: Option<&str>) -> Map<String, Value> {
    let parsed = match raw {
        None => serde_json::from_str(profile).ok(),
        Some(raw) => serde_json::from_str(raw)
            .ok()
            .and_then(|mut whole: Map<String, Value>| whole.remove("profile")),
    };
    match parsed {
        Some(Value::Object(attributes)) => attributes,
        _ => Map::new(),
    }
}

pub(super) fn text<'a>(attributes: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    attributes.get(key).and_then(Value::as_str)
}
