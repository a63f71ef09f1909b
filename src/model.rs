//! Users, groups and memberships, as the rest of the program uses them.
//!
//! Nothing here knows how Okta spells them on the wire or how a snapshot stores them. What Okta may leave out is an
//! `Option`: `None` is "null or absent", which Okta treats as the same thing.

use std::fmt;

use jiff::Timestamp;
use jiff::fmt::serde::timestamp::microsecond::optional as micros;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The attributes of a user or a group: every key that Okta sent, nulls kept, keys in byte order, numbers as written.
pub type Profile = Map<String, Value>;

/// Defines a type of its own for an id, so that a user's id cannot stand where a group's belongs.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(Box<str>);

        impl $name {
            /// Returns the id as Okta writes it; ids are compared and sorted byte for byte.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        /// Equal, ordered and hashed as its text, so a map of ids accepts a text as key.
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id! {
    /// The id of a user (`00u…`).
    UserId
}
id! {
    /// The id of a group (`00g…`).
    GroupId
}

/// A user, with the fields that every one of Okta's listings returns.
///
/// Serialized without the profile, and with times in microseconds: Okta's are whole milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// Okta's id.
    pub id: UserId,
    /// `ACTIVE`, `STAGED`, … An open set: Okta may add to it.
    pub status: Option<String>,
    /// The time of creation.
    #[serde(with = "micros")]
    pub created: Option<Timestamp>,
    /// The time of activation.
    #[serde(with = "micros")]
    pub activated: Option<Timestamp>,
    /// The time of the last change of `status`.
    #[serde(with = "micros")]
    pub status_changed: Option<Timestamp>,
    /// The time of the last sign-in.
    #[serde(with = "micros")]
    pub last_login: Option<Timestamp>,
    /// The time of the last change; a membership does not count (docs/okta-api.md, Groups).
    #[serde(with = "micros")]
    pub last_updated: Option<Timestamp>,
    /// The time of the last change of the password.
    #[serde(with = "micros")]
    pub password_changed: Option<Timestamp>,
    /// The id of the user type (`oty…`), which decides which attributes the profile has.
    pub type_id: Option<String>,
    /// All attributes.
    #[serde(skip)]
    pub profile: Profile,
}

impl User {
    /// The status of a user that Okta keeps but that can no longer sign in.
    pub const DEPROVISIONED: &'static str = "DEPROVISIONED";

    /// Returns a user of whom only the id is known.
    pub fn new(id: UserId) -> Self {
        Self {
            id,
            status: None,
            created: None,
            activated: None,
            status_changed: None,
            last_login: None,
            last_updated: None,
            password_changed: None,
            type_id: None,
            profile: Profile::new(),
        }
    }

    /// Returns an attribute if it is a text that is not empty.
    pub fn text(&self, key: &str) -> Option<&str> {
        text(&self.profile, key)
    }

    /// Returns the login; usually an email, but an org may relax that.
    pub fn login(&self) -> Option<&str> {
        self.text("login")
    }

    /// Returns the primary email.
    pub fn email(&self) -> Option<&str> {
        self.text("email")
    }

    /// Returns the secondary email, often a private one.
    pub fn second_email(&self) -> Option<&str> {
        self.text("secondEmail")
    }

    /// Returns whether the user was deactivated for good.
    pub fn is_deprovisioned(&self) -> bool {
        self.status.as_deref() == Some(Self::DEPROVISIONED)
    }

    /// Returns a name to show: the display name, else first and last name, else the login, else the id.
    pub fn display_name(&self) -> String {
        let names = ["displayName", "firstName", "lastName"].map(|key| self.text(key));
        display_name(names, self.login(), &self.id)
    }
}

/// Returns what to call a user of these names: display, first and last name. Empty ones count as missing.
pub fn display_name(names: [Option<&str>; 3], login: Option<&str>, id: &UserId) -> String {
    let [display, first, last] = names.map(|name| name.filter(|name| !name.is_empty()));
    if let Some(name) = display {
        return name.to_owned();
    }
    let full = [first, last].into_iter().flatten().collect::<Vec<_>>();
    if !full.is_empty() {
        return full.join(" ");
    }
    let login = login.filter(|login| !login.is_empty());
    login.unwrap_or(id.as_str()).to_owned()
}

/// A group, without its members.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Okta's id.
    pub id: GroupId,
    /// `OKTA_GROUP`, `APP_GROUP` or `BUILT_IN`. An open set: Okta may add to it.
    pub kind: Option<String>,
    /// The id of the app that a group comes from (APP_GROUP).
    pub source_id: Option<String>,
    /// The time of creation.
    pub created: Option<Timestamp>,
    /// The time of the last change of the profile.
    pub last_updated: Option<Timestamp>,
    /// The time of the last change of the members, according to Okta; it lags (docs/okta-api.md, Groups).
    pub last_membership_updated: Option<Timestamp>,
    /// The number of members according to Okta, whatever the scope.
    pub members_reported: Option<u64>,
    /// True if the group carries an admin role; unknown if Okta leaves it out.
    pub has_admin_privilege: Option<bool>,
    /// All attributes.
    pub profile: Profile,
}

impl Group {
    /// Returns an attribute if it is a text that is not empty.
    pub fn text(&self, key: &str) -> Option<&str> {
        text(&self.profile, key)
    }

    /// Returns the name; Okta requires one, but nothing here depends on it.
    pub fn name(&self) -> Option<&str> {
        self.text("name")
    }

    /// Returns the description.
    pub fn description(&self) -> Option<&str> {
        self.text("description")
    }

    /// Returns a name to show: the name, else the id.
    pub fn display_name(&self) -> &str {
        self.name().unwrap_or(self.id.as_str())
    }

    /// Returns whether this is the group that Okta puts every user in.
    pub fn is_everyone(&self) -> bool {
        self.kind.as_deref() == Some("BUILT_IN") && self.name() == Some("Everyone")
    }

    /// Returns whether Okta allows changes to the members: only for OKTA_GROUP (docs/okta-api.md, Changes to a
    /// membership).
    pub fn is_editable(&self) -> bool {
        self.kind.as_deref() == Some("OKTA_GROUP")
    }
}

/// The source of a group's memberships.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MembershipSource {
    /// The group's members were listed.
    Listed,
    /// The groups of every user in scope were listed.
    ByUser,
    /// The group is Everyone, so every user who is not deprovisioned is in it.
    Implied,
    /// Okta's count was 0, so the members were not requested.
    ReportedEmpty,
    /// Okta would not let the members be read, or not all of them.
    Forbidden,
}

impl MembershipSource {
    /// Every way, in no order that matters.
    pub const ALL: [Self; 5] = [
        Self::Listed,
        Self::ByUser,
        Self::Implied,
        Self::ReportedEmpty,
        Self::Forbidden,
    ];

    /// Returns the word in the snapshot.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Listed => "listed",
            Self::ByUser => "by_user",
            Self::Implied => "implied",
            Self::ReportedEmpty => "reported_empty",
            Self::Forbidden => "forbidden",
        }
    }

    /// Returns the source that a word in a snapshot means.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.as_str() == word)
    }
}

fn text<'a>(profile: &'a Profile, key: &str) -> Option<&'a str> {
    profile
        .get(key)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
}
