//! JSON as Okta writes it, read leniently: a field that is absent, null or of another type than documented reads as
//! absent. The one thing that must be there is a row's id.
//!
//! A page is parsed without copying it. A user's profile stays raw text until the user is known to be in scope, since
//! most users of a large org are not.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::role::Role;
use crate::filter::Addresses;
use crate::model::{self, GroupId, Profile, UserId};

/// An answer that is not what Okta promises. The request is sent again: proxies and broken connections do this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(pub String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text, or nothing where the JSON has another type.
#[derive(Clone, Debug, Default)]
struct Text<'a>(Option<Cow<'a, str>>);

impl Text<'_> {
    fn get(&self) -> Option<&str> {
        self.0.as_deref()
    }

    fn owned(&self) -> Option<String> {
        self.0.as_deref().map(str::to_owned)
    }

    fn time(&self) -> Option<Timestamp> {
        self.get()?.parse().ok()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Some(Cow::Borrowed(text))))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Some(Cow::Owned(text.to_owned()))))
            }
            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Text(None))
            }
            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Text(None))
            }
            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Text(None))
            }
            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Text(None))
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Text(None))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Text(None))
            }
            // Numbers too, where serde_json keeps them exact.
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Text(None))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// A user as the listings send it, borrowed from the page.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(borrow, default)]
    status: Text<'a>,
    #[serde(borrow, default)]
    created: Text<'a>,
    #[serde(borrow, default)]
    activated: Text<'a>,
    #[serde(borrow, default)]
    status_changed: Text<'a>,
    #[serde(borrow, default)]
    last_login: Text<'a>,
    #[serde(borrow, default)]
    last_updated: Text<'a>,
    #[serde(borrow, default)]
    password_changed: Text<'a>,
    #[serde(borrow, default)]
    profile: Option<&'a RawValue>,
}

/// The three attributes that the scope looks at.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mail<'a> {
    #[serde(borrow, default)]
    email: Text<'a>,
    #[serde(borrow, default)]
    login: Text<'a>,
    #[serde(borrow, default)]
    second_email: Text<'a>,
}

impl User<'_> {
    /// The id; checked when the page was read.
    pub fn id(&self) -> &str {
        self.id.get().unwrap_or_default()
    }

    /// When the user last changed.
    pub fn last_updated(&self) -> Option<Timestamp> {
        self.last_updated.time()
    }

    /// Whether the user was deactivated for good.
    pub fn is_deprovisioned(&self) -> bool {
        self.status.get() == Some(model::User::DEPROVISIONED)
    }

    /// Hands the addresses to a decision about the scope.
    ///
    /// # Errors
    /// A profile that cannot be read.
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
        // A key that is there twice, or half a character: rare, and no reason to lose a person.
        let profile = profile(raw)?;
        let text = |key| profile.get(key).and_then(Value::as_str);
        Ok(decide(Addresses {
            email: text("email"),
            login: text("login"),
            second_email: text("secondEmail"),
        }))
    }

    /// The whole user.
    ///
    /// # Errors
    /// A profile that cannot be read.
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
            profile: self.profile.map(profile).transpose()?.unwrap_or_default(),
        })
    }
}

/// A profile; one that is no object has no attributes.
fn profile(raw: &RawValue) -> Result<Profile, Malformed> {
    match serde_json::from_str(raw.get()) {
        Ok(Value::Object(profile)) => Ok(profile),
        Ok(_) => Ok(Profile::new()),
        Err(error) => Err(not_promised(&error)),
    }
}

/// The body of a response with every half of a surrogate pair that stands alone replaced by U+FFFD. A text that was cut
/// off in the middle of a character has one, and a strict parser refuses it. The client does this to every body.
pub(super) fn repaired(body: Vec<u8>) -> Vec<u8> {
    let has_half = body
        .windows(3)
        .any(|bytes| bytes[0] == b'\\' && bytes[1] == b'u' && matches!(bytes[2], b'd' | b'D'));
    if !has_half {
        return body;
    }
    match String::from_utf8(body) {
        Ok(text) => with_whole_characters(&text).into_bytes(),
        // What is not UTF-8 is refused by whoever parses it.
        Err(error) => error.into_bytes(),
    }
}

/// A body that would take too much memory to parse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unbounded {
    pub(super) problem: String,
    /// Whether a smaller page may fit.
    pub(super) smaller: bool,
}

/// A stand-in may ignore a smaller limit than this.
const LEAST_ROWS: u64 = 200;
/// No page of Okta's has more rows than this.
const MOST_ROWS: u64 = 10_000;
/// A page of 1,000 users with 100 attributes each has 150,000.
const MOST_ELEMENTS: usize = 1_000_000;
/// Okta's rows are nested five deep.
const DEEPEST: usize = 64;

/// Checks, before anything is built from a body, that it holds no more than twice the rows that were requested (a page
/// may repeat those of the page before), and no more values and
/// levels than any row of Okta's: a few compressed bytes could otherwise take gigabytes as parsed values.
pub(super) fn check_bounds(body: &[u8], rows_asked: Option<u64>) -> Result<(), Unbounded> {
    let most_rows = rows_asked.map_or(MOST_ROWS, |rows| rows.max(LEAST_ROWS) * 2);
    let (mut depth, mut elements, mut rows) = (0_usize, 0_usize, 1_u64);
    let mut quoted = false;
    let mut bytes = body.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => quoted = !quoted,
            b'\\' if quoted => drop(bytes.next()),
            _ if quoted => {}
            b'[' | b'{' => {
                depth += 1;
                elements += 1;
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => {
                elements += 1;
                rows += u64::from(depth == 1);
            }
            _ => {}
        }
        let problem = if depth > DEEPEST {
            format!("the response is nested more than {DEEPEST} deep")
        } else if elements > MOST_ELEMENTS {
            format!("the response holds more than {MOST_ELEMENTS} values")
        } else if rows > most_rows && body.first() == Some(&b'[') {
            format!("the page holds more than {most_rows} rows, twice what was requested")
        } else {
            continue;
        };
        return Err(Unbounded {
            problem,
            smaller: elements > MOST_ELEMENTS,
        });
    }
    Ok(())
}

fn with_whole_characters(json: &str) -> String {
    let unit = |at: usize| {
        let text = json.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(text, 16).ok()
    };
    let mut out = String::with_capacity(json.len());
    let mut at = 0;
    while let Some(found) = json[at..].find('\\') {
        let escape = at + found;
        out.push_str(&json[at..escape]);
        let length = match unit(escape) {
            None => json[escape..].chars().take(2).map(char::len_utf8).sum(),
            Some(0xd800..=0xdbff) if matches!(unit(escape + 6), Some(0xdc00..=0xdfff)) => 12,
            Some(0xd800..=0xdfff) => {
                out.push_str("\\ufffd");
                at = escape + 6;
                continue;
            }
            Some(_) => 6,
        };
        out.push_str(&json[escape..escape + length]);
        at = escape + length;
    }
    out.push_str(&json[at..]);
    out
}

/// The users of a page.
///
/// # Errors
/// What is not an array of objects with ids.
pub fn users(body: &[u8]) -> Result<Vec<User<'_>>, Malformed> {
    // Checked once as a whole, a text need not be checked again string by string.
    let text = std::str::from_utf8(body)
        .map_err(|error| Malformed(format!("the answer is not UTF-8 ({error})")))?;
    let users: Vec<User<'_>> = serde_json::from_str(text).map_err(|error| not_promised(&error))?;
    match users.iter().position(|user| !is_id(user.id())) {
        Some(row) => Err(no_id(row)),
        None => Ok(users),
    }
}

/// A user on its own.
///
/// # Errors
/// What is not an object with an id.
pub fn user(body: &[u8]) -> Result<model::User, Malformed> {
    let user: User<'_> = serde_json::from_slice(body).map_err(|error| not_promised(&error))?;
    if is_id(user.id()) {
        user.to_model()
    } else {
        Err(no_id(0))
    }
}

/// A group on its own.
///
/// # Errors
/// What is not an object with an id.
pub fn one_group(body: &[u8]) -> Result<model::Group, Malformed> {
    let object = object_of(body)?;
    group(object).ok_or_else(|| no_id(0))
}

/// A group rule, as far as this tool needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Okta's id.
    pub id: String,
    /// The name.
    pub name: String,
    /// Whether it is at work.
    pub active: bool,
    /// The groups that it fills.
    pub groups: Vec<GroupId>,
}

/// The group rules of a page.
///
/// # Errors
/// What is not an array of objects with ids.
pub fn rules(body: &[u8]) -> Result<Vec<Rule>, Malformed> {
    let rows: Vec<Value> = serde_json::from_slice(body).map_err(|error| not_promised(&error))?;
    let to_rule = |(row, value): (usize, &Value)| {
        let text = |pointer| value.pointer(pointer).and_then(Value::as_str);
        let id = text("/id")
            .filter(|id| is_id(id))
            .ok_or_else(|| no_id(row))?;
        let groups = value
            .pointer("/actions/assignUserToGroups/groupIds")
            .and_then(Value::as_array);
        Ok(Rule {
            id: id.to_owned(),
            name: text("/name").unwrap_or(id).to_owned(),
            active: text("/status") == Some("ACTIVE"),
            groups: groups
                .into_iter()
                .flatten()
                .filter_map(|id| Some(GroupId::from(id.as_str()?)))
                .collect(),
        })
    };
    rows.iter().enumerate().map(to_rule).collect()
}

/// The groups of a page.
///
/// # Errors
/// What is not an array of objects with ids.
pub fn groups(body: &[u8]) -> Result<Vec<model::Group>, Malformed> {
    let rows: Vec<Map<String, Value>> = object_of(body)?;
    let to_group = |(row, object)| group(object).ok_or_else(|| no_id(row));
    rows.into_iter().enumerate().map(to_group).collect()
}

fn object_of<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Malformed> {
    serde_json::from_slice(body).map_err(|error| not_promised(&error))
}

fn group(mut object: Map<String, Value>) -> Option<model::Group> {
    let profile = match object.remove("profile") {
        Some(Value::Object(profile)) => profile,
        _ => Profile::new(),
    };
    let value = Value::Object(object);
    let text = |pointer| value.pointer(pointer).and_then(Value::as_str);
    let time = |pointer| text(pointer).and_then(|text| text.parse::<Timestamp>().ok());
    let id = text("/id").filter(|id| is_id(id))?;
    // Recorded groups name their source by a link, the specification also by an object (docs/okta-api.md, Groups).
    let source = text("/source/id").or_else(|| text("/_links/source/href")?.rsplit('/').next());
    Some(model::Group {
        id: GroupId::from(id),
        kind: text("/type").map(str::to_owned),
        source_id: source.filter(|id| !id.is_empty()).map(str::to_owned),
        created: time("/created"),
        last_updated: time("/lastUpdated"),
        last_membership_updated: time("/lastMembershipUpdated"),
        members_reported: value
            .pointer("/_embedded/stats/usersCount")
            .and_then(Value::as_u64),
        // The specification misspells the flag (docs/okta-api.md, Groups).
        has_admin_privilege: [
            "/_embedded/stats/hasAdminPrivilege",
            "/_embedded/stats/hasAdminPrivlege",
        ]
        .into_iter()
        .find_map(|pointer| value.pointer(pointer).and_then(Value::as_bool)),
        profile,
    })
}

/// The admin roles of a user: all of them, there are no pages (docs/okta-api.md, Admin roles).
///
/// # Errors
/// What is not an array of objects.
pub fn roles(body: &[u8]) -> Result<Vec<Role>, Malformed> {
    let rows: Vec<Map<String, Value>> =
        serde_json::from_slice(body).map_err(|error| not_promised(&error))?;
    let role = |row: &Map<String, Value>| {
        let text = |key| row.get(key).and_then(Value::as_str).map(str::to_owned);
        Role {
            kind: text("type"),
            label: text("label"),
            status: text("status"),
        }
    };
    Ok(rows.iter().map(role).collect())
}

/// The name of the company whose org this is, if it has one.
///
/// # Errors
/// What is not an object.
pub fn company(body: &[u8]) -> Result<Option<String>, Malformed> {
    let org: Map<String, Value> =
        serde_json::from_slice(body).map_err(|error| not_promised(&error))?;
    Ok(org
        .get("companyName")
        .and_then(Value::as_str)
        .map(str::to_owned))
}

/// How many group rules a page holds.
///
/// # Errors
/// What is not an array.
pub fn how_many(body: &[u8]) -> Result<usize, Malformed> {
    let rows: Vec<IgnoredAny> =
        serde_json::from_slice(body).map_err(|error| not_promised(&error))?;
    Ok(rows.len())
}

/// Ids are 20 letters and digits; what is accepted is anything that can stand in a path as it is.
fn is_id(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 100
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn not_promised(error: &serde_json::Error) -> Malformed {
    Malformed(format!(
        "the answer is not the JSON that Okta promises ({error})"
    ))
}

fn no_id(row: usize) -> Malformed {
    Malformed(format!("row {} of the answer has no id", row + 1))
}

/// What Okta says of an error: its code, and its words with the causes.
pub fn refusal(body: &[u8]) -> (Option<String>, Option<String>) {
    let Ok(Value::Object(body)) = serde_json::from_slice(body) else {
        return (None, None);
    };
    let text = |key| body.get(key).and_then(Value::as_str).map(str::to_owned);
    let causes = body
        .get("errorCauses")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|cause| cause.get("errorSummary")?.as_str());
    let words: Vec<&str> = body
        .get("errorSummary")
        .and_then(Value::as_str)
        .into_iter()
        .chain(causes)
        .collect();
    let words = (!words.is_empty()).then(|| words.join(": "));
    (text("errorCode"), words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_read_whatever_types_the_fields_have() {
        let body = r#"[
            {"id":"00u1","status":"ACTIVE","created":"2025-01-09T08:11:02.000Z","lastLogin":null,"profile":
              {"login":"a@example.com","email":42,"secondEmail":null,"big":12345678901234567890123,"exact":1.50,"list":[1,{"x":null}]},
              "extra":{"deep":[1,2]}},
            {"id":"00u2","status":7,"created":"yesterday","lastUpdated":1.5,"activated":{"a":1},"profile":"none"},
            {"id":"00u3","profile":null},
            {"id":"00u4","status":"NEW_ONE","profile":{"email":"\u0061@example.com"}}
        ]"#;
        let users = users(body.as_bytes()).unwrap();
        let first = users[0].to_model().unwrap();
        assert_eq!(first.login(), Some("a@example.com"));
        assert_eq!(first.email(), None);
        assert_eq!(first.profile["big"].to_string(), "12345678901234567890123");
        assert_eq!(first.profile["exact"].to_string(), "1.50");
        assert_eq!(first.created.unwrap().to_string(), "2025-01-09T08:11:02Z");
        assert_eq!(users[1].to_model().unwrap().status, None);
        assert_eq!(users[1].to_model().unwrap().created, None);
        assert!(users[1].to_model().unwrap().profile.is_empty());
        assert!(users[2].to_model().unwrap().profile.is_empty());
        assert_eq!(
            users[3].to_model().unwrap().status.as_deref(),
            Some("NEW_ONE")
        );
        let addresses =
            users[0].with_addresses(|a| (a.email.is_some(), a.login.map(str::to_owned)));
        assert_eq!(
            addresses.unwrap(),
            (false, Some("a@example.com".to_owned()))
        );
        assert_eq!(
            users[3]
                .with_addresses(|a| a.email.map(str::to_owned))
                .unwrap()
                .unwrap(),
            "a@example.com"
        );
    }

    #[test]
    fn half_a_character_is_repaired_in_every_kind_of_response() {
        let cut = r"cut \ud83d";
        let fixed = |json: String| repaired(json.into_bytes());
        let body = fixed(format!(r#"[{{"id":"00u1","status":"{cut}"}}]"#));
        assert_eq!(users(&body).unwrap()[0].status.get(), Some("cut \u{fffd}"));
        let body = fixed(format!(
            r#"[{{"id":"0pr1","name":"{cut}","status":"ACTIVE"}}]"#
        ));
        assert_eq!(rules(&body).unwrap()[0].name, "cut \u{fffd}");
        let body = fixed(format!(r#"[{{"type":"{cut}"}}]"#));
        assert_eq!(
            roles(&body).unwrap()[0].kind.as_deref(),
            Some("cut \u{fffd}")
        );
        let body = fixed(format!(r#"{{"companyName":"{cut}"}}"#));
        assert_eq!(company(&body).unwrap().as_deref(), Some("cut \u{fffd}"));
        let body = fixed(format!(
            r#"{{"errorCode":"E0000001","errorSummary":"{cut}"}}"#
        ));
        assert_eq!(refusal(&body).1.as_deref(), Some("cut \u{fffd}"));
        let whole = r#"{"companyName":"a \ud83d\ude00 \\ud83d"}"#.as_bytes().to_vec();
        assert_eq!(repaired(whole.clone()), whole);
    }

    #[test]
    fn a_body_has_no_more_rows_values_or_levels_than_a_page() {
        let rows = |n: usize| format!("[{}]", vec![r#"{"id":"a,[{","b":[1,2]}"#; n].join(","));
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        let values = |n: usize| format!("[{{\"a\":[{}0]}}]", "0,".repeat(n));
        for (body, asked, ok, smaller) in [
            (rows(200), Some(200), true, false),
            (rows(401), Some(200), false, false),
            (rows(400), Some(1), true, false),
            (rows(2000), Some(1000), true, false),
            (rows(10_000), None, true, false),
            (rows(10_001), None, false, false),
            (nested(64), None, true, false),
            (nested(65), None, false, false),
            (values(MOST_ELEMENTS), Some(200), false, true),
            (values(MOST_ELEMENTS - 100), Some(200), true, false),
            (format!(r#"{{"a":{}}}"#, rows(300)), None, true, false),
            (String::new(), None, true, false),
            (r#"["unclosed \"#.to_owned(), None, true, false),
        ] {
            let found = check_bounds(body.as_bytes(), asked);
            let text = &body[..body.len().min(40)];
            assert_eq!(found.is_ok(), ok, "{text} {asked:?} {found:?}");
            assert_eq!(
                found.is_err_and(|unbounded| unbounded.smaller),
                smaller,
                "{text}"
            );
        }
    }

    #[test]
    fn half_a_character_and_a_key_twice_lose_nobody() {
        let body = r#"[{"id":"00u1","profile":{"email":"a@example.com","displayName":"bad \ud83d end \ud83d\ude00 \\ud83d"}},
            {"id":"00u2","profile":{"email":"x","email":"b@example.com","login":"\udc00@example.com"}}]"#;
        let body = repaired(body.as_bytes().to_vec());
        let users = users(&body).unwrap();
        let first = users[0].to_model().unwrap();
        assert_eq!(
            first.text("displayName"),
            Some("bad \u{fffd} end \u{1f600} \\ud83d")
        );
        let email = |user: &User<'_>| user.with_addresses(|a| a.email.map(str::to_owned)).unwrap();
        assert_eq!(email(&users[0]).as_deref(), Some("a@example.com"));
        assert_eq!(email(&users[1]).as_deref(), Some("b@example.com"));
        assert_eq!(
            users[1].to_model().unwrap().login(),
            Some("\u{fffd}@example.com")
        );
        let body = br#"[{"id":"00g1","profile":{"name":"cut \ud83d"}}]"#;
        let groups = groups(&repaired(body.to_vec())).unwrap();
        assert_eq!(groups[0].name(), Some("cut \u{fffd}"));
    }

    #[test]
    fn a_group_is_read_whatever_types_the_fields_have() {
        let body = r#"[
            {"id":"00g1","type":"APP_GROUP","profile":{"name":"Payroll","description":null},
             "_links":{"source":{"href":"https://company.okta.com/api/v1/apps/0oa1"}},
             "_embedded":{"stats":{"usersCount":42,"hasAdminPrivlege":true}}},
            {"id":"00g2","type":null,"profile":{"name":7},"source":{"id":"0oa2"},"_embedded":{"stats":{"usersCount":-1}}},
            {"id":"00g3","_embedded":null,"_links":[]}
        ]"#;
        let groups = groups(body.as_bytes()).unwrap();
        assert_eq!(groups[0].source_id.as_deref(), Some("0oa1"));
        assert_eq!(groups[0].members_reported, Some(42));
        assert_eq!(groups[0].has_admin_privilege, Some(true));
        assert_eq!(groups[1].source_id.as_deref(), Some("0oa2"));
        assert_eq!((groups[1].name(), groups[1].members_reported), (None, None));
        assert_eq!(
            (groups[2].kind.as_ref(), groups[2].members_reported),
            (None, None)
        );
    }

    #[test]
    fn roles_and_the_company_are_read_whatever_types_the_fields_have() {
        let body = br#"[{"id":"ra1","type":"USER_ADMIN","label":"Group Administrator","status":"ACTIVE"},{"type":7},{}]"#;
        let found = roles(body).unwrap();
        assert_eq!(found[0].kind.as_deref(), Some("USER_ADMIN"));
        assert_eq!(found[0].status.as_deref(), Some("ACTIVE"));
        assert_eq!((found[1].kind.as_ref(), found.len()), (None, 3));
        assert!(roles(b"{}").is_err() && roles(b"[1]").is_err());
        let name = |body: &[u8]| company(body).unwrap();
        assert_eq!(name(br#"{"companyName":"Kestrel"}"#).unwrap(), "Kestrel");
        assert_eq!(name(br#"{"companyName":null}"#), None);
        assert!(company(b"[]").is_err());
        assert_eq!(how_many(b"[{},1]"), Ok(2));
        assert!(how_many(b"{}").is_err());
    }

    #[test]
    fn a_page_of_another_shape_is_malformed() {
        for body in [
            "",
            "{}",
            "null",
            "[1]",
            "[[]]",
            "[{}]",
            "[{\"id\":null}]",
            "[{\"id\":\"\"}]",
            "[{\"id\":5}]",
            "[{\"id\":\"../x\"}]",
            "[{\"id\":\"a b\"}]",
            "<html>",
            "[{\"id\":\"00u1\"}",
        ] {
            assert!(users(body.as_bytes()).is_err(), "{body}");
            assert!(groups(body.as_bytes()).is_err(), "{body}");
        }
        assert!(users(b"[{\"id\":\"\xff\"}]").is_err());
        assert!(users(b"[]").unwrap().is_empty());
    }

    #[test]
    fn an_error_is_read_with_its_causes_or_not_at_all() {
        let body = br#"{"errorCode":"E0000001","errorSummary":"Api validation failed","errorCauses":[{"errorSummary":"limit"},{}]}"#;
        assert_eq!(
            refusal(body),
            (
                Some("E0000001".to_owned()),
                Some("Api validation failed: limit".to_owned())
            )
        );
        for body in ["<html>", "", "[]", "{\"errorCode\":1}"] {
            assert_eq!(refusal(body.as_bytes()), (None, None), "{body}");
        }
    }
}
