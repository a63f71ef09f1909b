//! The protobuf messages in the `data` columns, with only the fields that this program writes or reads.
//!
//! Maps are `BTreeMap`, so that equal messages have equal bytes. Other fields are skipped when reading; no message is
//! written back.

use std::collections::BTreeMap;

use prost::{Message, Oneof};

/// The start of the type URL of each of Baton's messages in an [`Any`].
pub const TYPE_PREFIX: &str = "type.googleapis.com/c1.connector.v2.";

/// A message of any type, with its type.
#[derive(Clone, PartialEq, Message)]
pub struct Any {
    #[prost(string, tag = "1")]
    pub type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

impl Any {
    /// Wraps a message of Baton's.
    pub fn of(name: &str, message: &impl Message) -> Self {
        Self {
            type_url: format!("{TYPE_PREFIX}{name}"),
            value: message.encode_to_vec(),
        }
    }

    /// Returns whether this contains a message with this name. The part of the type URL before the last `/` is ignored.
    pub fn is(&self, name: &str) -> bool {
        let short = self.type_url.rsplit('/').next().unwrap_or_default();
        short.strip_prefix("c1.connector.v2.") == Some(name)
    }
}

#[derive(Clone, PartialEq, Message)]
pub struct Timestamp {
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct Struct {
    #[prost(btree_map = "string, message", tag = "1")]
    pub fields: BTreeMap<String, Value>,
}

/// A JSON value. The kind is always written, because Baton cannot print a value without one.
#[derive(Clone, PartialEq, Message)]
pub struct Value {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6")]
    pub kind: Option<Kind>,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum Kind {
    /// The number is always 0.
    #[prost(int32, tag = "1")]
    Null(i32),
    #[prost(double, tag = "2")]
    Number(f64),
    #[prost(string, tag = "3")]
    String(String),
    #[prost(bool, tag = "4")]
    Bool(bool),
    #[prost(message, tag = "5")]
    Struct(Struct),
    #[prost(message, tag = "6")]
    List(List),
}

#[derive(Clone, PartialEq, Message)]
pub struct List {
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ResourceType {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(string, tag = "2")]
    pub display_name: String,
    #[prost(int32, repeated, tag = "3")]
    pub traits: Vec<i32>,
    #[prost(message, repeated, tag = "4")]
    pub annotations: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ResourceId {
    #[prost(string, tag = "1")]
    pub resource_type: String,
    #[prost(string, tag = "2")]
    pub resource: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Resource {
    #[prost(message, optional, tag = "1")]
    pub id: Option<ResourceId>,
    #[prost(string, tag = "3")]
    pub display_name: String,
    #[prost(message, repeated, tag = "4")]
    pub annotations: Vec<Any>,
    /// 1 is what the Go connector writes: listed by the connector.
    #[prost(int32, tag = "8")]
    pub creation_source: i32,
    /// In newer files, what older ones have in the trait; never written.
    #[prost(message, optional, tag = "9")]
    pub profile: Option<Struct>,
    /// See `profile`.
    #[prost(message, optional, tag = "11")]
    pub status: Option<Status>,
    /// See `profile`.
    #[prost(message, optional, tag = "12")]
    pub created_at: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Status {
    /// 0 unspecified, 1 enabled, 2 disabled, 3 deleted.
    #[prost(int32, tag = "1")]
    pub status: i32,
    /// Okta's status.
    #[prost(string, tag = "2")]
    pub details: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Email {
    #[prost(string, tag = "1")]
    pub address: String,
    #[prost(bool, tag = "2")]
    pub is_primary: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct UserTrait {
    #[prost(message, repeated, tag = "1")]
    pub emails: Vec<Email>,
    #[prost(message, optional, tag = "2")]
    pub status: Option<Status>,
    #[prost(message, optional, tag = "3")]
    pub profile: Option<Struct>,
    /// 1 is human.
    #[prost(int32, tag = "5")]
    pub account_type: i32,
    #[prost(string, tag = "6")]
    pub login: String,
    #[prost(string, repeated, tag = "7")]
    pub login_aliases: Vec<String>,
    #[prost(message, optional, tag = "8")]
    pub created_at: Option<Timestamp>,
    #[prost(message, optional, tag = "9")]
    pub last_login: Option<Timestamp>,
    #[prost(string, repeated, tag = "13")]
    pub employee_ids: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct GroupTrait {
    #[prost(message, optional, tag = "2")]
    pub profile: Option<Struct>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Entitlement {
    #[prost(message, optional, tag = "1")]
    pub resource: Option<Resource>,
    #[prost(string, tag = "2")]
    pub id: String,
    #[prost(string, tag = "3")]
    pub display_name: String,
    #[prost(string, tag = "4")]
    pub description: String,
    #[prost(message, repeated, tag = "5")]
    pub grantable_to: Vec<ResourceType>,
    #[prost(message, repeated, tag = "6")]
    pub annotations: Vec<Any>,
    /// 1 is assignment.
    #[prost(int32, tag = "7")]
    pub purpose: i32,
    #[prost(string, tag = "8")]
    pub slug: String,
}

/// Only for the tests of [`grant_into`], which writes grants without this type.
#[cfg(test)]
#[derive(Clone, PartialEq, Message)]
pub struct Grant {
    #[prost(message, optional, tag = "1")]
    pub entitlement: Option<Entitlement>,
    #[prost(message, optional, tag = "2")]
    pub principal: Option<Resource>,
    #[prost(string, tag = "3")]
    pub id: String,
}

/// Encodes the grant of a membership into a buffer that the caller reuses, because there may be millions of grants.
///
/// `grant_id` is `{entitlement id}:user:{user}`; the entitlement's id is its first `entitlement_len` bytes.
pub fn grant_into(
    out: &mut Vec<u8>,
    group: &str,
    user: &str,
    grant_id: &str,
    entitlement_len: usize,
) {
    out.clear();
    let entitlement_id = &grant_id[..entitlement_len];
    let group_id = len_field("group".len()) + len_field(group.len());
    let user_id = len_field("user".len()) + len_field(user.len());
    let group_resource = len_field(group_id);

    put_len(
        out,
        1,
        len_field(group_resource) + len_field(entitlement_len),
    ); // Grant.entitlement
    put_len(out, 1, group_resource); // Entitlement.resource
    put_len(out, 1, group_id); // Resource.id
    put(out, 1, "group");
    put(out, 2, group);
    put(out, 2, entitlement_id); // Entitlement.id
    put_len(out, 2, len_field(user_id)); // Grant.principal
    put_len(out, 1, user_id); // Resource.id
    put(out, 1, "user");
    put(out, 2, user);
    put(out, 3, grant_id); // Grant.id
}

/// Returns the length of a field with a tag below 16 and `content` bytes of content.
fn len_field(content: usize) -> usize {
    1 + prost::length_delimiter_len(content) + content
}

fn put_len(out: &mut Vec<u8>, tag: u8, length: usize) {
    out.push(tag << 3 | 2);
    let mut rest = length;
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn put(out: &mut Vec<u8>, tag: u8, text: &str) {
    put_len(out, tag, text.len());
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::*;

    fn resource(kind: &str, id: &str) -> Resource {
        Resource {
            id: Some(ResourceId {
                resource_type: kind.to_owned(),
                resource: id.to_owned(),
            }),
            ..Resource::default()
        }
    }

    proptest! {
        #[test]
        fn a_grant_filled_in_by_hand_is_the_grant_that_prost_would_encode(
            group in "[a-z0-9]{1,300}", user in "[a-zé]{1,300}",
        ) {
            let entitlement = format!("group:{group}:member");
            let id = format!("{entitlement}:user:{user}");
            let grant = Grant {
                entitlement: Some(Entitlement {
                    resource: Some(resource("group", &group)),
                    id: entitlement.clone(),
                    ..Entitlement::default()
                }),
                principal: Some(resource("user", &user)),
                id: id.clone(),
            };
            let mut bytes = vec![1, 2, 3];
            grant_into(&mut bytes, &group, &user, &id, entitlement.len());
            prop_assert_eq!(bytes, grant.encode_to_vec());
        }
    }

    #[test]
    fn only_the_name_of_a_packed_message_counts() {
        let any = |url: &str| Any {
            type_url: url.to_owned(),
            value: Vec::new(),
        };
        assert!(any("type.googleapis.com/c1.connector.v2.UserTrait").is("UserTrait"));
        assert!(any("c1.connector.v2.UserTrait").is("UserTrait"));
        assert!(!any("type.googleapis.com/other.UserTrait").is("UserTrait"));
        assert!(!any("").is("UserTrait"));
    }
}
