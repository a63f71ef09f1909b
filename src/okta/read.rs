//! Reads listings page by page, with GET requests only.
//!
//! A single thread reads each listing, since each page links to the next. The caller's `keep` converts the users in scope;
//! users out of scope are only counted.

mod lookup;

use url::{Url, form_urlencoded};

pub(super) use self::lookup::path;
pub use self::lookup::{group, groups_by_name, groups_like, rules, user, users_by, users_like};

use super::http::page::{self, PageTracker, RowKey, RowSummary};
use super::http::{Call, Error};
use super::http::{Client, PageRequest, Response};
use super::order::{End, Position};
use super::wire::{self, Malformed};
use crate::model::{Group, GroupId, UserId};

/// The method to list users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserListMethod {
    /// A search for possible matches only.
    Prefilter,
    /// `search=status pr`: users of every status in one listing.
    Search,
    /// The same search sorted by id, from both ends at once.
    BothEnds,
    /// The plain list, which leaves out deprovisioned users, and a second list of those.
    Plain,
}

impl UserListMethod {
    const ALL: [Self; 4] = [Self::Prefilter, Self::Search, Self::BothEnds, Self::Plain];

    /// Returns the word for the method in a snapshot.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prefilter => "prefilter",
            Self::Search => "search",
            Self::BothEnds => "both_ends",
            Self::Plain => "plain",
        }
    }

    /// Returns the method with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == word)
    }
}

/// The users that a listing returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserSet {
    /// The results of a search.
    Matching(String),
    /// All users, of every status.
    All,
    /// All users, of every status, sorted by id, from one end.
    From(End),
    /// All except deprovisioned users, without a search.
    NotDeprovisioned,
    /// Deprovisioned users, without a search.
    Deprovisioned,
}

impl UserSet {
    fn target(&self, page_size: u64) -> String {
        let list = |parameters: &[(&str, &str)]| target("/api/v1/users", page_size, parameters);
        match self {
            Self::Matching(search) => list(&[("search", search)]),
            Self::All => list(&[("search", "status pr")]),
            Self::From(end) => {
                let order = match end {
                    End::Lowest => "asc",
                    End::Highest => "desc",
                };
                list(&[
                    ("search", "status pr"),
                    ("sortBy", "id"),
                    ("sortOrder", order),
                ])
            }
            Self::NotDeprovisioned => list(&[]),
            Self::Deprovisioned => list(&[("filter", "status eq \"DEPROVISIONED\"")]),
        }
    }
}

/// One page, reduced to its rows in scope.
#[derive(Debug)]
pub struct Page<T> {
    /// The rows in scope.
    pub in_scope: Vec<T>,
    /// All rows of the page, in scope or not, in their order.
    pub rows: Vec<RowSummary>,
    /// The number of different rows that the listing has returned so far.
    pub distinct: u64,
    /// True if this is the first page of the listing.
    pub is_first: bool,
    /// The path and query of the next page; none at the end of the listing.
    pub next: Option<String>,
}

/// The place at which to start or resume a listing.
#[derive(Debug, Default)]
pub struct Start {
    /// The number of rows to request per page.
    pub page_size: u64,
    /// The path and query of the page to resume with; none to start with the first page.
    pub cursor: Option<String>,
    /// The rows that earlier pages returned.
    pub listed: Vec<RowKey>,
}

/// True to request the page after this one.
pub type Continue = bool;

/// Lists users. Each row has the position of its id.
///
/// # Errors
/// See [`Error`]; after one that [`is_refused_search`] recognizes, another method may succeed.
pub fn users<T>(
    client: &Client,
    set: &UserSet,
    start: Start,
    keep: impl Fn(&wire::WireUser<'_>) -> Result<Option<T>, Malformed>,
    mut sink: impl FnMut(Page<T>) -> Continue,
) -> Result<(), Error> {
    let first = PageRequest {
        target: set.target(start.page_size),
        lean: true,
    };
    let count = |user: &wire::WireUser<'_>| RowSummary {
        position: Position::of(user.id()),
        ..counted(user)
    };
    let rows = |body: &[u8]| user_rows(body, count, &keep);
    read_pages(client, first, start, rows, &mut sink)
}

/// Returns whether any user is visible, in a search or in the plain list. An org looks empty to a token without an admin
/// role, and to a search whose index is not ready.
///
/// # Errors
/// See [`Error`].
pub fn any_user(client: &Client, plain: bool) -> Result<bool, Error> {
    let search = [("search", "status pr")];
    let parameters = if plain { &[][..] } else { &search };
    let target = target("/api/v1/users", 1, parameters);
    client.get(&PageRequest { target, lean: true }, |response, _| {
        Ok(!wire::users(&response.body)?.is_empty())
    })
}

/// Lists all groups with their sizes.
///
/// # Errors
/// See [`Error`].
pub fn groups(
    client: &Client,
    start: Start,
    mut sink: impl FnMut(Page<Group>) -> Continue,
) -> Result<(), Error> {
    let first = PageRequest {
        target: target("/api/v1/groups", start.page_size, &[("expand", "stats")]),
        lean: false,
    };
    let rows = |body: &[u8]| group_rows(body);
    read_pages(client, first, start, rows, &mut sink)
}

/// Lists the members of a group.
///
/// # Errors
/// See [`Error`]; 404 if the group was deleted, 403 if the token cannot read its members.
pub fn members<T>(
    client: &Client,
    group: &GroupId,
    start: Start,
    keep: impl Fn(&wire::WireUser<'_>) -> Result<Option<T>, Malformed>,
    mut sink: impl FnMut(Page<T>) -> Continue,
) -> Result<(), Error> {
    let first = PageRequest {
        target: target(
            &format!("/api/v1/groups/{group}/users"),
            start.page_size,
            &[],
        ),
        lean: false,
    };
    let rows = |body: &[u8]| user_rows(body, counted, &keep);
    read_pages(client, first, start, rows, &mut sink)
}

/// Lists the groups of a user, in pages of Okta's own size.
///
/// # Errors
/// See [`Error`]; 404 if the user was deleted, 403 if the token cannot read the user's groups.
pub fn groups_of(
    client: &Client,
    user: &UserId,
    start: Start,
    mut sink: impl FnMut(Page<Group>) -> Continue,
) -> Result<(), Error> {
    // The documented request has no parameters; Okta returns pages of 200 (docs/okta-api.md, Members of a group).
    let first = PageRequest {
        target: format!("/api/v1/users/{user}/groups"),
        lean: false,
    };
    let rows = |body: &[u8]| group_rows(body);
    read_pages(client, first, start, rows, &mut sink)
}

pub(super) fn target(path: &str, page_size: u64, parameters: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("limit", &page_size.to_string());
    query.extend_pairs(parameters);
    format!("{path}?{}", query.finish())
}

/// The rows of a page: the summaries of all, and the rows in scope.
type Rows<T> = (Vec<RowSummary>, Vec<T>);

fn counted(user: &wire::WireUser<'_>) -> RowSummary {
    RowSummary {
        active: !user.is_deprovisioned(),
        ..RowSummary::of(user.id())
    }
}

fn user_rows<T>(
    body: &[u8],
    count: impl Fn(&wire::WireUser<'_>) -> RowSummary,
    keep: impl Fn(&wire::WireUser<'_>) -> Result<Option<T>, Malformed>,
) -> Result<Rows<T>, Malformed> {
    let users = wire::users(body)?;
    let in_scope: Result<Vec<T>, Malformed> = users
        .iter()
        .filter_map(|user| keep(user).transpose())
        .collect();
    Ok((users.iter().map(count).collect(), in_scope?))
}

fn group_rows(body: &[u8]) -> Result<Rows<Group>, Malformed> {
    let groups = wire::groups(body)?;
    let counted = |group: &Group| RowSummary::of(group.id.as_str());
    Ok((groups.iter().map(counted).collect(), groups))
}

fn read_pages<T>(
    client: &Client,
    first: PageRequest,
    start: Start,
    rows: impl Fn(&[u8]) -> Result<Rows<T>, Malformed>,
    sink: &mut impl FnMut(Page<T>) -> Continue,
) -> Result<(), Error> {
    let mut request = first.clone();
    // A cursor from a checkpoint may have been tampered with.
    request.target = start
        .cursor
        .filter(|cursor| page::is_page_of(&first.target, cursor))
        .unwrap_or(request.target);
    let mut pages = PageTracker::resumed(start.listed);
    let mut restarted = false;
    loop {
        let read = |response: &Response, url: &Url| {
            // A link to another path would not change, so it is not a reason to retry.
            Ok((rows(&response.body)?, response.next_page(url)?))
        };
        let ((rows, in_scope), next) = match client.get(&request, read) {
            Ok(page) => page,
            Err(error)
                if request.target != first.target && !restarted && is_lost_cursor(&error) =>
            {
                tracing::warn!(
                    "Okta lost the cursor of a listing ({error}); restarting the listing"
                );
                restarted = true;
                pages.restart();
                request = first.clone();
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
        pages
            .add(&request.target, &rows, next.as_deref())
            .map_err(|problem| paging(problem.to_owned()))?;
        let wants_more = sink(Page {
            in_scope,
            rows,
            distinct: pages.distinct(),
            is_first: request.target == first.target,
            next: next.clone(),
        });
        match next {
            Some(next) if wants_more => request.target = next,
            _ => return Ok(()),
        }
    }
}

/// Returns whether Okta no longer knows the cursor of a listing (docs/okta-api.md, Pages).
fn is_lost_cursor(error: &Error) -> bool {
    error.status() == Some(400)
        && matches!(error.code(), Some("E0000029" | "E0000031" | "E0000054"))
}

/// Returns whether a search was refused: because it is invalid (400), because some users do not fit the schema (409), or
/// because it is too long for a proxy (413, 414, 431).
pub fn is_refused_search(error: &Error) -> bool {
    match error.status() {
        Some(400 | 413 | 414 | 431) => true,
        Some(409) => error.code() == Some("E0000145"),
        _ => false,
    }
}
