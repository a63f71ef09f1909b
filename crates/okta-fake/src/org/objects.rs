//! The objects of an org: users, groups, rules and roles.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};

/// Milliseconds since 1970. Okta shows whole seconds, but searches by what it stores.
pub type Millis = i64;

/// Parses a time in a test or in the demo's data.
///
/// # Panics
/// Panics if the text is not an RFC 3339 time.
pub fn at(text: &str) -> Millis {
    let time: Timestamp = text.parse().expect("a time in the source is well formed");
    time.as_millisecond()
}

/// A user. [`User::new`] fills in what a test does not care about.
#[derive(Clone, Debug)]
pub struct User {
    /// The id, the key of everything.
    pub id: Arc<str>,
    /// `ACTIVE`, …; anything goes.
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
    /// The text of a JSON object, sent as it is.
    pub profile: Box<str>,
    /// The text of the whole user, sent as it is instead of all of the above.
    pub raw: Option<Box<str>>,
    /// Not in the search index yet: found by id and in groups, but in no listing of users.
    pub lagging: bool,
    /// Not found by creation time, for whatever reason.
    pub not_by_time: bool,
    /// Listing this user's groups is answered with 403.
    pub groups_forbidden: bool,
    /// Lower case, taken from the profile when the user is stored; searching a million users reads nothing else.
    pub(crate) login: Option<Box<str>>,
    pub(crate) email: Option<Box<str>>,
    /// Sorted.
    pub(crate) groups: Vec<Arc<str>>,
}

impl User {
    /// Returns an active user with this profile (the text of a JSON object).
    pub fn new(id: &str, profile: impl Into<Box<str>>) -> Self {
        // 2024-03-01T08:00:00Z, as a number because a large org makes a million of these.
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

    /// Returns a user that is sent as exactly this text. The server reads what it must know (status, login, email) from
    /// it, if it is there.
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

    /// Returns whether the user was deactivated for good.
    pub fn is_deprovisioned(&self) -> bool {
        self.status == "DEPROVISIONED"
    }

    /// Returns all attributes, from the raw text if there is one; empty if that has none.
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

/// The size that a group's `_embedded.stats` contains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Size {
    /// The number of members.
    #[default]
    Real,
    /// This number, whatever the members.
    Says(u64),
    /// No `_embedded` at all.
    Withheld,
}

/// A group. [`Group::new`] fills in what a test does not care about.
#[derive(Clone, Debug)]
pub struct Group {
    /// The id, the key of everything.
    pub id: Arc<str>,
    /// `OKTA_GROUP`, `APP_GROUP`, `BUILT_IN`; anything goes.
    pub kind: Cow<'static, str>,
    /// The time of creation.
    pub created: Millis,
    /// The time of the last change of the profile.
    pub last_updated: Millis,
    /// The time of the last change of the members, according to Okta.
    pub last_membership_updated: Millis,
    /// `okta:user_group`, or AD's.
    pub object_class: Cow<'static, str>,
    /// The app that the group comes from.
    pub source: Option<Box<str>>,
    /// The text of a JSON object, sent as it is.
    pub profile: Box<str>,
    /// The size that `expand=stats` gives.
    pub size: Size,
    /// The flag for an admin role; `None` leaves it out.
    pub admin: Option<bool>,
    /// Listing the members is answered with 403.
    pub members_forbidden: bool,
    /// The text of the whole group, sent as it is instead of all of the above.
    pub raw: Option<Box<str>>,
    pub(crate) name: Option<Box<str>>,
    /// Sorted. Everyone stores none: its members follow from the users.
    pub(crate) members: Vec<Arc<str>>,
}

impl Group {
    /// Returns a plain group that Okta manages.
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

    /// Returns a group that is sent as exactly this text; the name and the kind are read from it, if they are there.
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

    /// Sets the kind.
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

    /// Returns the name, once the group is stored in an org.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns whether every user who is not deprovisioned is a member, without being stored as one.
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
    /// The id (`0pr…`).
    pub id: String,
    /// The name.
    pub name: String,
    /// `ACTIVE`, `INACTIVE` or `INVALID`.
    pub status: String,
    /// The condition, which is not evaluated here.
    pub expression: String,
    /// The groups that it fills.
    pub groups: Vec<String>,
    /// The users that it put there.
    pub managed: Vec<String>,
    /// The users that it leaves alone.
    pub excluded: Vec<String>,
    /// The time of creation and of the last change.
    pub created: Millis,
}

/// An admin role that a user has.
#[derive(Clone, Debug)]
pub struct Role {
    /// `SUPER_ADMIN`, `CUSTOM`, …; anything goes.
    pub kind: Cow<'static, str>,
    /// The name in Okta's console.
    pub label: String,
    /// `ACTIVE` or `INACTIVE`.
    pub status: Cow<'static, str>,
}

impl Role {
    /// Returns a role that counts.
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
