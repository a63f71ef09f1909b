//! What is read: listings, page by page. Nothing here changes anything in Okta.
//!
//! A listing is walked by one thread, since each page names the next. The caller says what to make of a user
//! (`keep`), so that a page of strangers is parsed, counted and forgotten.

use std::collections::HashSet;

use url::{Url, form_urlencoded};

use super::client::{Answer, Ask, Client, links};
use super::error::{Call, Error};
use super::page::{self, Counted, RowKey, Walk};
use super::wire::{self, Malformed};
use crate::model::{Group, GroupId, User, UserId};

/// How the users were listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserListing {
    /// A search for the possible matches only.
    Prefilter,
    /// `search=status pr`: all statuses in one listing.
    Search,
    /// The plain list, which leaves DEPROVISIONED out, and a second one of those.
    Plain,
}

impl UserListing {
    /// The word in the snapshot.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prefilter => "prefilter",
            Self::Search => "search",
            Self::Plain => "plain",
        }
    }
}

/// One page, reduced to what is kept of it.
#[derive(Debug)]
pub struct Page<T> {
    /// What was kept.
    pub kept: Vec<T>,
    /// Different rows seen in this walk so far.
    pub seen: u64,
    /// Of these, users who are not deprovisioned.
    pub active: u64,
}

/// Whether a walk goes on after a page: not when nobody listens any more.
pub type GoOn = bool;

/// All users, of every status; with a prefilter, those whom it finds. Also says which rows the listing held, kept or not.
///
/// # Errors
/// See [`Error`]. A search that Okta refuses is none: the plain lists are read instead, which the answer says.
pub fn users<T>(
    client: &Client,
    page_size: u64,
    prefilter: Option<&str>,
    keep: impl Fn(&wire::User<'_>) -> Result<Option<T>, Malformed>,
    mut sink: impl FnMut(Page<T>) -> GoOn,
) -> Result<(UserListing, HashSet<RowKey>), Error> {
    let mut walk = Walk::default();
    let rows = |body: &[u8]| user_rows(body, &keep);
    let mut list = |walk: &mut Walk, parameters: &[(&str, &str)]| {
        let target = target("/api/v1/users", page_size, parameters);
        walk_pages(client, Ask { target, lean: true }, walk, rows, &mut sink)
    };
    if let Some(prefilter) = prefilter {
        match list(&mut walk, &[("search", prefilter)]) {
            Ok(()) => return Ok((UserListing::Prefilter, walk.rows())),
            Err(error) if is_refused_search(&error) => {
                tracing::info!(
                    "Okta refuses to search for the domains ({error}); reading all users"
                );
                walk = Walk::default();
            }
            Err(error) => return Err(error),
        }
    }
    match list(&mut walk, &[("search", "status pr")]) {
        Ok(()) => Ok((UserListing::Search, walk.rows())),
        Err(error) if is_refused_search(&error) => {
            tracing::warn!("Okta refuses to search for users ({error}); reading the plain lists");
            walk.again();
            list(&mut walk, &[])?;
            walk.again();
            list(&mut walk, &[("filter", "status eq \"DEPROVISIONED\"")])?;
            Ok((UserListing::Plain, walk.rows()))
        }
        Err(error) => Err(error),
    }
}

/// Whether any user is visible at all: a token without an admin role reads as an empty org (okta-api 6).
///
/// # Errors
/// See [`Error`].
pub fn anybody(client: &Client) -> Result<bool, Error> {
    let target = target("/api/v1/users", 1, &[("search", "status pr")]);
    client.get(&Ask { target, lean: true }, |answer, _| {
        Ok(!wire::users(&answer.body)?.is_empty())
    })
}

/// All groups with their sizes.
///
/// # Errors
/// See [`Error`].
pub fn groups(
    client: &Client,
    page_size: u64,
    mut sink: impl FnMut(Page<Group>) -> GoOn,
) -> Result<(), Error> {
    let target = target("/api/v1/groups", page_size, &[("expand", "stats")]);
    let rows = |body: &[u8]| group_rows(body);
    walk_pages(
        client,
        Ask {
            target,
            lean: false,
        },
        &mut Walk::default(),
        rows,
        &mut sink,
    )
}

/// The members of a group. Says how many there are.
///
/// # Errors
/// See [`Error`]; 404 where the group is gone, 403 where the token may not look.
pub fn members<T>(
    client: &Client,
    group: &GroupId,
    page_size: u64,
    keep: impl Fn(&wire::User<'_>) -> Result<Option<T>, Malformed>,
    mut sink: impl FnMut(Page<T>) -> GoOn,
) -> Result<u64, Error> {
    let target = target(&format!("/api/v1/groups/{group}/users"), page_size, &[]);
    let mut walk = Walk::default();
    let rows = |body: &[u8]| user_rows(body, &keep);
    walk_pages(
        client,
        Ask {
            target,
            lean: false,
        },
        &mut walk,
        rows,
        &mut sink,
    )?;
    Ok(walk.distinct())
}

/// The groups of a user.
///
/// # Errors
/// See [`Error`]; 404 where the user is gone, 403 where the token may not look.
pub fn groups_of(
    client: &Client,
    user: &UserId,
    mut sink: impl FnMut(Page<Group>) -> GoOn,
) -> Result<(), Error> {
    // No parameters: the documented form has none, and pages of 200 come by themselves (okta-api 1.5).
    let ask = Ask {
        target: format!("/api/v1/users/{user}/groups"),
        lean: false,
    };
    walk_pages(
        client,
        ask,
        &mut Walk::default(),
        |body: &[u8]| group_rows(body),
        &mut sink,
    )
}

/// A user by id or login, or nobody. Okta also answers to a short login, and to `me`: the caller compares.
///
/// # Errors
/// See [`Error`].
pub fn user(client: &Client, id_or_login: &str) -> Result<Option<User>, Error> {
    let Some(target) = path(&["users", id_or_login]) else {
        return Ok(None);
    };
    one(client, target, wire::user)
}

/// Users whose primary e-mail is this one, without case. Okta reads them from an index that lags (okta-api 1.1).
///
/// # Errors
/// See [`Error`].
pub fn users_by_email(client: &Client, page_size: u64, email: &str) -> Result<Vec<User>, Error> {
    let search = format!("profile.email eq {}", quoted(email));
    let target = target("/api/v1/users", page_size, &[("search", &search)]);
    all_of(client, target, |body: &[u8]| {
        user_rows(body, |user| user.to_model().map(Some))
    })
}

/// A group by id with its size, or none.
///
/// # Errors
/// See [`Error`].
pub fn group(client: &Client, id: &str) -> Result<Option<Group>, Error> {
    let Some(target) = path(&["groups", id]) else {
        return Ok(None);
    };
    one(client, target + "?expand=stats", wire::one_group)
}

/// Groups of this name, without case, with their sizes. Okta reads them from an index that lags. Where Okta will not
/// search, by `q`: groups whose name starts like this, of which it gives 300 at most (okta-api 1.3).
///
/// # Errors
/// See [`Error`].
pub fn groups_by_name(client: &Client, page_size: u64, name: &str) -> Result<Vec<Group>, Error> {
    let search = format!("profile.name eq {}", quoted(name));
    let ask = |parameter| {
        let target = target(
            "/api/v1/groups",
            page_size,
            &[parameter, ("expand", "stats")],
        );
        all_of(client, target, |body: &[u8]| group_rows(body))
    };
    match ask(("search", &search)) {
        Err(error) if is_refused_search(&error) => ask(("q", name)),
        other => other,
    }
}

/// All group rules.
///
/// # Errors
/// See [`Error`].
pub fn rules(client: &Client) -> Result<Vec<wire::Rule>, Error> {
    // 200 is the most that Okta gives (okta-api 1.8).
    all_of(
        client,
        target("/api/v1/groups/rules", 200, &[]),
        |body: &[u8]| {
            let rules = wire::rules(body)?;
            let counted = |rule: &wire::Rule| Counted {
                key: RowKey::of(&rule.id),
                active: false,
            };
            Ok((rules.iter().map(counted).collect(), rules))
        },
    )
}

fn all_of<T>(
    client: &Client,
    target: String,
    rows: impl Fn(&[u8]) -> Result<Rows<T>, Malformed>,
) -> Result<Vec<T>, Error> {
    let mut found = Vec::new();
    let mut sink = |page: Page<T>| {
        found.extend(page.kept);
        true
    };
    walk_pages(
        client,
        Ask {
            target,
            lean: false,
        },
        &mut Walk::default(),
        rows,
        &mut sink,
    )?;
    Ok(found)
}

/// One object, or none where Okta says that there is none. Any other 404 is a wrong address.
fn one<T>(
    client: &Client,
    target: String,
    read: impl Fn(&[u8]) -> Result<T, Malformed>,
) -> Result<Option<T>, Error> {
    match client.get(
        &Ask {
            target,
            lean: false,
        },
        |answer, _| read(&answer.body),
    ) {
        Ok(object) => Ok(Some(object)),
        Err(error) if error.is_gone() => Ok(None),
        Err(error) => Err(error),
    }
}

/// A path under `/api/v1`, its parts encoded; none where a part could not stand for itself.
pub(super) fn path(parts: &[&str]) -> Option<String> {
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

/// A text in Okta's search language (okta-api 1.1).
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

pub(super) fn target(path: &str, page_size: u64, parameters: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("limit", &page_size.to_string());
    query.extend_pairs(parameters);
    format!("{path}?{}", query.finish())
}

/// What became of the rows of a page: all of them, counted, and what is kept.
type Rows<T> = (Vec<Counted>, Vec<T>);

fn user_rows<T>(
    body: &[u8],
    keep: impl Fn(&wire::User<'_>) -> Result<Option<T>, Malformed>,
) -> Result<Rows<T>, Malformed> {
    let users = wire::users(body)?;
    let counted = |user: &wire::User<'_>| Counted {
        key: RowKey::of(user.id()),
        active: !user.is_deprovisioned(),
    };
    let kept: Result<Vec<T>, Malformed> = users
        .iter()
        .filter_map(|user| keep(user).transpose())
        .collect();
    Ok((users.iter().map(counted).collect(), kept?))
}

fn group_rows(body: &[u8]) -> Result<Rows<Group>, Malformed> {
    let groups = wire::groups(body)?;
    let counted = |group: &Group| Counted {
        key: RowKey::of(group.id.as_str()),
        active: false,
    };
    Ok((groups.iter().map(counted).collect(), groups))
}

fn walk_pages<T>(
    client: &Client,
    first: Ask,
    walk: &mut Walk,
    rows: impl Fn(&[u8]) -> Result<Rows<T>, Malformed>,
    sink: &mut impl FnMut(Page<T>) -> GoOn,
) -> Result<(), Error> {
    let mut ask = first.clone();
    let mut begun_again = false;
    loop {
        let read = |answer: &Answer, url: &Url| {
            // A link that leads elsewhere will not change; it is no reason to ask again.
            Ok((rows(&answer.body)?, page::next(links(&answer.headers), url)))
        };
        let ((counted, kept), next) = match client.get(&ask, read) {
            Ok(page) => page,
            Err(error) if ask.target != first.target && !begun_again && is_lost_cursor(&error) => {
                tracing::warn!(
                    "Okta no longer knows where a listing stood ({error}); reading it again"
                );
                begun_again = true;
                walk.again();
                ask = first.clone();
                continue;
            }
            Err(error) => return Err(error),
        };
        let paging = |problem: String| {
            let path = first
                .target
                .split('?')
                .next()
                .unwrap_or_default()
                .to_owned();
            Error::Paging {
                call: Call {
                    method: "GET",
                    path,
                },
                problem,
            }
        };
        let next = next.map_err(paging)?;
        walk.page(&ask.target, counted, next.as_deref())
            .map_err(|problem| paging(problem.to_owned()))?;
        if !sink(Page {
            kept,
            seen: walk.distinct(),
            active: walk.active(),
        }) {
            return Ok(());
        }
        match next {
            Some(next) => ask.target = next,
            None => return Ok(()),
        }
    }
}

/// Whether Okta lost the place in the middle of a walk (okta-api 2).
fn is_lost_cursor(error: &Error) -> bool {
    error.status() == Some(400)
        && matches!(error.code(), Some("E0000029" | "E0000031" | "E0000054"))
}

/// Whether Okta will not search: a bad search, or users that no longer fit the schema (okta-api 4).
pub(super) fn is_refused_search(error: &Error) -> bool {
    error.status() == Some(400) || (error.status() == Some(409) && error.code() == Some("E0000145"))
}
