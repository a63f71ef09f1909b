//! Looks up single users and groups, by id or by a text, and reads the group rules.

use url::Url;

use super::{
    Page, Rows, Start, counted, group_rows, is_refused_search, read_pages, target, user_rows,
};
use crate::model::{Group, User};
use crate::okta::http::page::RowSummary;
use crate::okta::http::{Client, Error, PageRequest};
use crate::okta::wire::{self, Malformed};

/// Returns a user by id or login. Okta also accepts a short login and `me`, so the caller must compare.
///
/// # Errors
/// See [`Error`].
pub fn user(client: &Client, id_or_login: &str) -> Result<Option<User>, Error> {
    let Some(target) = path(&["users", id_or_login]) else {
        return Ok(None);
    };
    one(client, target, wire::user)
}

/// Returns the users with this text as an attribute, ignoring case. Okta reads them from an index that lags. If Okta
/// rejects the search, a `filter` replaces it, which is case-sensitive: it matches the text as given and in lower case
/// (docs/okta-api.md, Users).
///
/// # Errors
/// See [`Error`].
pub fn users_by(
    client: &Client,
    page_size: u64,
    attribute: &str,
    text: &str,
) -> Result<Vec<User>, Error> {
    let equals = |text: &str| format!("{attribute} eq {}", quoted(text));
    let request = |parameter, condition: String| {
        let target = target("/api/v1/users", page_size, &[(parameter, &condition)]);
        all_of(client, target, |body: &[u8]| {
            user_rows(body, counted, |user| user.to_model().map(Some))
        })
    };
    match request("search", equals(text)) {
        Err(error) if is_refused_search(&error) => {
            let lower = text.to_lowercase();
            let filter = if lower == text {
                equals(text)
            } else {
                format!("{} or {}", equals(text), equals(&lower))
            };
            request("filter", filter)
        }
        other => other,
    }
}

/// Returns a group by id, with its size.
///
/// # Errors
/// See [`Error`].
pub fn group(client: &Client, id: &str) -> Result<Option<Group>, Error> {
    let Some(target) = path(&["groups", id]) else {
        return Ok(None);
    };
    one(client, target + "?expand=stats", wire::one_group)
}

/// Returns the groups with this name, ignoring case, with their sizes. Okta reads them from an index that lags. If Okta
/// rejects the search, `q` replaces it, which returns at most 300 groups whose names start with the text
/// (docs/okta-api.md, Groups).
///
/// # Errors
/// See [`Error`].
pub fn groups_by_name(client: &Client, page_size: u64, name: &str) -> Result<Vec<Group>, Error> {
    let search = format!("profile.name eq {}", quoted(name));
    let request = |parameter| {
        let target = target(
            "/api/v1/groups",
            page_size,
            &[parameter, ("expand", "stats")],
        );
        all_of(client, target, |body: &[u8]| group_rows(body))
    };
    match request(("search", &search)) {
        Err(error) if is_refused_search(&error) => request(("q", name)),
        other => other,
    }
}

/// Returns the first users whose login contains a text, ignoring case, as suggestions for a login that does not exist.
///
/// # Errors
/// See [`Error`].
pub fn users_like(client: &Client, part: &str) -> Result<Vec<User>, Error> {
    let search = format!("profile.login co {}", quoted(part));
    let target = target("/api/v1/users", SUGGESTIONS, &[("search", &search)]);
    first_of(client, target, |body| {
        user_rows(body, counted, |user| user.to_model().map(Some))
    })
}

/// Returns the first groups whose name contains a text, ignoring case, as suggestions.
///
/// # Errors
/// See [`Error`].
pub fn groups_like(client: &Client, part: &str) -> Result<Vec<Group>, Error> {
    let search = format!("profile.name co {}", quoted(part));
    let target = target("/api/v1/groups", SUGGESTIONS, &[("search", &search)]);
    first_of(client, target, group_rows)
}

/// The number of users or groups that are read for suggestions: one page.
const SUGGESTIONS: u64 = 200;

/// Returns all group rules.
///
/// # Errors
/// See [`Error`].
pub fn rules(client: &Client) -> Result<Vec<wire::Rule>, Error> {
    // 200 is Okta's largest page of rules (docs/okta-api.md, Changes to a membership).
    all_of(
        client,
        target("/api/v1/groups/rules", 200, &[]),
        |body: &[u8]| {
            let rules = wire::rules(body)?;
            let counted = |rule: &wire::Rule| RowSummary::of(&rule.id);
            Ok((rules.iter().map(counted).collect(), rules))
        },
    )
}

fn all_of<T>(
    client: &Client,
    target: String,
    rows: impl Fn(&[u8]) -> Result<Rows<T>, Malformed>,
) -> Result<Vec<T>, Error> {
    pages_of(client, target, rows, true)
}

fn first_of<T>(
    client: &Client,
    target: String,
    rows: impl Fn(&[u8]) -> Result<Rows<T>, Malformed>,
) -> Result<Vec<T>, Error> {
    pages_of(client, target, rows, false)
}

/// Reads all pages, or only the first.
fn pages_of<T>(
    client: &Client,
    target: String,
    rows: impl Fn(&[u8]) -> Result<Rows<T>, Malformed>,
    all: bool,
) -> Result<Vec<T>, Error> {
    let mut found = Vec::new();
    let mut sink = |page: Page<T>| {
        found.extend(page.in_scope);
        all
    };
    let first = PageRequest {
        target,
        lean: false,
    };
    read_pages(client, first, Start::default(), rows, &mut sink)?;
    Ok(found)
}

/// Reads one object; none if Okta reports that it does not exist. Any other 404 is an error.
fn one<T>(
    client: &Client,
    target: String,
    read: impl Fn(&[u8]) -> Result<T, Malformed>,
) -> Result<Option<T>, Error> {
    match client.get(
        &PageRequest {
            target,
            lean: false,
        },
        |response, _| read(&response.body),
    ) {
        Ok(object) => Ok(Some(object)),
        Err(error) if error.is_gone() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns a path under `/api/v1` with its parts encoded; none if a part is empty, `.` or `..`.
pub(in crate::okta) fn path(parts: &[&str]) -> Option<String> {
    if parts.iter().any(|part| matches!(*part, "" | "." | "..")) {
        return None;
    }
    let mut url = Url::parse("http://localhost").ok()?;
    url.path_segments_mut()
        .ok()?
        .extend(["api", "v1"])
        .extend(parts);
    Some(url.path().to_owned())
}

/// Quotes a text for Okta's search language (docs/okta-api.md, Users).
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
