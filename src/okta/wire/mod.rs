//! Reads Okta's JSON leniently: a field that is null, or of another type than documented, counts as absent. Only the id
//! of a row must be there.
//!
//! A page is parsed without being copied. A user's profile stays raw text until the user turns out to be in scope, since
//! most users of a large org are not.

mod body;
mod group;
mod rule;
mod text;
mod user;

use std::fmt;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

pub(super) use body::{check_bounds, repaired};
pub use group::{groups, one_group};
pub use rule::{Rule, how_many, rules};
pub use user::{WireUser, user, users};

use super::role::Role;

/// A response that differs from what Okta documents. The request is retried, since proxies and broken connections can
/// cause this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(pub String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads the admin roles of a user. Okta returns all of them in one response (docs/okta-api.md, Admin roles).
///
/// # Errors
/// Returns an error if the body is not an array of objects.
pub fn roles(body: &[u8]) -> Result<Vec<Role>, Malformed> {
    rows(body, |_, row: Map<String, Value>| {
        let text = |key| row.get(key).and_then(Value::as_str).map(str::to_owned);
        Ok(Role {
            kind: text("type"),
            label: text("label"),
            status: text("status"),
        })
    })
}

/// Reads the name of the org's company, if it has one.
///
/// # Errors
/// Returns an error if the body is not an object.
pub fn company(body: &[u8]) -> Result<Option<String>, Malformed> {
    let org: Map<String, Value> = parsed(body)?;
    Ok(org
        .get("companyName")
        .and_then(Value::as_str)
        .map(str::to_owned))
}

fn parsed<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Malformed> {
    serde_json::from_slice(body).map_err(|error| undocumented("the response", &error))
}

/// Reads the rows of a page, each with its index. A row is a tree of values only while it is read, since the trees of a
/// whole page take ten times the memory of its JSON.
fn rows<R: DeserializeOwned, T>(
    body: &[u8],
    read: impl Fn(usize, R) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    let rows: Vec<&RawValue> = parsed(body)?;
    let read_row = |(index, row): (usize, &&RawValue)| {
        let row = serde_json::from_str(row.get())
            .map_err(|error| undocumented(&format!("row {} of the response", index + 1), &error))?;
        read(index, row)
    };
    rows.iter().enumerate().map(read_row).collect()
}

/// Returns whether a text can be an id. Okta's ids have 20 letters and digits; every text that needs no encoding in a path
/// is accepted.
fn is_id(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 100
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn undocumented(what: &str, error: &serde_json::Error) -> Malformed {
    Malformed(format!(
        "{what} is not the JSON that Okta documents ({error})"
    ))
}

fn no_id(row: usize) -> Malformed {
    Malformed(format!("row {} of the response has no id", row + 1))
}

/// Reads an error of Okta: its code, and its message with the causes.
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
    let message: Vec<&str> = body
        .get("errorSummary")
        .and_then(Value::as_str)
        .into_iter()
        .chain(causes)
        .collect();
    let message = (!message.is_empty()).then(|| message.join(": "));
    (text("errorCode"), message)
}

#[cfg(test)]
mod tests;
