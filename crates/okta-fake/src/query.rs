//! A request as received, its query parameters, and cursors.

#![expect(
    clippy::result_large_err,
    reason = "a refusal is a response like any other, and as large"
)]

use std::collections::HashMap;

use url::form_urlencoded;

use super::endpoint::Endpoint;
use super::response::Response;

/// The parts of a request that affect the response.
#[derive(Clone, Debug, Default)]
pub struct Incoming {
    /// The method.
    pub method: String,
    /// The path as sent.
    pub path: String,
    /// The part after the `?`, as sent.
    pub query: String,
    /// True if the token is valid.
    pub authorized: bool,
    /// True if there was a `Content-Length`.
    pub has_length: bool,
    /// True if listings omit `credentials`.
    pub omit_credentials: bool,
}

/// The decoded query parameters.
pub(crate) struct Query<'a> {
    pub incoming: &'a Incoming,
    values: HashMap<String, String>,
}

impl<'a> Query<'a> {
    pub fn read(incoming: &'a Incoming, endpoint: Endpoint) -> (Self, Option<String>) {
        let mut values = HashMap::new();
        let mut wrong = None;
        for (key, value) in form_urlencoded::parse(incoming.query.as_bytes()).into_owned() {
            let known = endpoint.parameters().contains(&key.as_str());
            if !known || (key == "expand" && value != "stats") {
                wrong = Some(format!("parameter {key}={value}"));
            }
            if values.insert(key.clone(), value).is_some() {
                wrong = Some(format!("parameter {key} given twice"));
            }
        }
        (Self { incoming, values }, wrong)
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// Returns the number of rows to send and the position after which they start; empty for the first page.
    pub fn page(&self, default: usize, cap: usize) -> Result<(usize, String), Response> {
        let limit = match self.get("limit") {
            None => default,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| *limit > 0)
                .ok_or_else(|| bad_paging().unexpected(format!("limit={text}")))?,
        };
        let after = match self.get("after") {
            None => String::new(),
            Some(text) => from_cursor(text).ok_or_else(bad_paging)?,
        };
        Ok((limit.min(cap), after))
    }

    /// Returns the address of the page after a cursor, or of the current page, with all other parameters unchanged.
    pub fn address(&self, base: &str, limit: usize, after: Option<&str>) -> String {
        let other = form_urlencoded::parse(self.incoming.query.as_bytes())
            .filter(|(key, _)| key != "limit" && key != "after");
        let mut next = form_urlencoded::Serializer::new(String::new());
        next.extend_pairs(other);
        if let Some(after) = after {
            next.append_pair("after", after);
        }
        next.append_pair("limit", &limit.to_string());
        // A space becomes `+`, as in Okta's links, even if it was sent as `%20`.
        format!("{base}{}?{}", self.incoming.path, next.finish())
    }
}

pub(crate) fn bad_paging() -> Response {
    Response::error(
        400,
        "E0000029",
        "Invalid paging request.",
        &["Invalid cursor."],
    )
}

/// Encodes a position so that it is opaque: clients must follow the link and cannot construct one.
pub(crate) fn to_cursor(position: &str) -> String {
    let hex = position.bytes().map(|byte| format!("{byte:02x}"));
    format!("c-{}", hex.collect::<String>())
}

fn from_cursor(cursor: &str) -> Option<String> {
    let hex = cursor.strip_prefix("c-")?.as_bytes();
    let bytes = hex.chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    });
    String::from_utf8(bytes.collect::<Option<_>>()?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_survives_being_a_parameter(text in ".*") {
            let incoming = Incoming {
                path: "/api/v1/users".to_owned(),
                query: "search=a%20b&limit=9&after=old".to_owned(),
                ..Incoming::default()
            };
            let (query, wrong) = Query::read(&incoming, Endpoint::Users);
            prop_assert_eq!(wrong, None);
            let next = query.address("", 5, Some(&to_cursor(&text)));
            let (_, next) = next.split_once('?').unwrap();
            let incoming = Incoming { query: next.to_owned(), ..incoming.clone() };
            let (query, _) = Query::read(&incoming, Endpoint::Users);
            prop_assert_eq!(query.get("search"), Some("a b"));
            prop_assert_eq!(query.page(200, 200).unwrap(), (5, text));
        }
    }
}
