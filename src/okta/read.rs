//! What is read: listings, page by page. Nothing here changes anything in Okta.
//!
//! A listing is walked by one thread, since each page names the next. The caller says what to make of a user
//! (`keep`), so that a page of strangers is parsed, counted and forgotten.

use url::{Url, form_urlencoded};

use super::client::{Answer, Ask, Client};
use super::error::{Call, Error};
use super::order::{End, Position};
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
    /// The same sorted by id, from both ends at once.
    BothEnds,
    /// The plain list, which leaves DEPROVISIONED out, and a second one of those.
    Plain,
}

impl UserListing {
    const ALL: [Self; 4] = [Self::Prefilter, Self::Search, Self::BothEnds, Self::Plain];

    /// The word in the snapshot.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prefilter => "prefilter",
            Self::Search => "search",
            Self::BothEnds => "both_ends",
            Self::Plain => "plain",
        }
    }

    /// The way that a word names.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.as_str() == word)
    }
}

/// Which users one walk is through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Users {
    /// Those that a search finds.
    Matching(String),
    /// All, of every status.
    All,
    /// All, of every status, sorted by id from one end.
    From(End),
    /// All but those who are deprovisioned, without a search.
    Live,
    /// Those who are deprovisioned, without a search.
    Deprovisioned,
}

impl Users {
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
            Self::Live => list(&[]),
            Self::Deprovisioned => list(&[("filter", "status eq \"DEPROVISIONED\"")]),
        }
    }
}

/// One page, reduced to what is kept of it.
#[derive(Debug)]
pub struct Page<T> {
    /// What was kept.
    pub kept: Vec<T>,
    /// All its rows, kept or not, in their order.
    pub rows: Vec<Counted>,
    /// Different rows seen in this walk so far.
    pub seen: u64,
    /// Whether it is the page that the listing begins with.
    pub is_first: bool,
    /// Path and query of the page after it; none where the listing ends.
    pub next: Option<String>,
}

/// Whether a walk goes on after a page.
pub type GoOn = bool;

/// Some users, from the page `at` on if the walk was begun before. Each row is counted with the position of its id.
///
/// # Errors
/// See [`Error`]; [`is_refused_search`] tells those that ask for another way.
pub fn users<T>(
    client: &Client,
    page_size: u64,
    which: &Users,
    at: Option<String>,
    keep: impl Fn(&wire::User<'_>) -> Result<Option<T>, Malformed>,
    mut sink: impl FnMut(Page<T>) -> GoOn,
) -> Result<(), Error> {
    let first = Ask {
        target: which.target(page_size),
        lean: true,
    };
    let count = |user: &wire::User<'_>| Counted {
        position: Position::of(user.id()),
        ..counted(user)
    };
    let rows = |body: &[u8]| user_rows(body, count, &keep);
    walk_pages(client, first, at, &mut Walk::default(), rows, &mut sink)
}

/// Whether any user is visible at all, to a search or in the plain list: a token without an admin role reads as an empty
/// org, and so does a search whose index is not ready.
///
/// # Errors
/// See [`Error`].
pub fn anybody(client: &Client, plain: bool) -> Result<bool, Error> {
    let search = [("search", "status pr")];
    let parameters = if plain { &[][..] } else { &search };
    let target = target("/api/v1/users", 1, parameters);
    client.get(&Ask { target, lean: true }, |answer, _| {
        Ok(!wire::users(&answer.body)?.is_empty())
    })
}

/// All groups with their sizes, from the page `at` on if the walk was begun before.
///
/// # Errors
/// See [`Error`].
pub fn groups(
    client: &Client,
    page_size: u64,
    at: Option<String>,
    mut sink: impl FnMut(Page<Group>) -> GoOn,
) -> Result<(), Error> {
    let first = Ask {
        target: target("/api/v1/groups", page_size, &[("expand", "stats")]),
        lean: false,
    };
    let rows = |body: &[u8]| group_rows(body);
    walk_pages(client, first, at, &mut Walk::default(), rows, &mut sink)
}

/// The members of a group, from the page `at` on if the walk was begun before, with the rows that it had seen.
///
/// # Errors
/// See [`Error`]; 404 where the group is gone, 403 where the token may not look.
pub fn members<T>(
    client: &Client,
    group: &GroupId,
    page_size: u64,
    at: Option<String>,
    seen: impl IntoIterator<Item = RowKey>,
    keep: impl Fn(&wire::User<'_>) -> Result<Option<T>, Malformed>,
    mut sink: impl FnMut(Page<T>) -> GoOn,
) -> Result<(), Error> {
    let first = Ask {
        target: target(&format!("/api/v1/groups/{group}/users"), page_size, &[]),
        lean: false,
    };
    let mut walk = Walk::that_saw(seen);
    let rows = |body: &[u8]| user_rows(body, counted, &keep);
    walk_pages(client, first, at, &mut walk, rows, &mut sink)
}

/// The groups of a user, from the page `at` on if the walk was begun before.
///
/// # Errors
/// See [`Error`]; 404 where the user is gone, 403 where the token may not look.
pub fn groups_of(
    client: &Client,
    user: &UserId,
    at: Option<String>,
    mut sink: impl FnMut(Page<Group>) -> GoOn,
) -> Result<(), Error> {
    // No parameters: the documented form has none, and pages of 200 come by themselves (docs/okta-api.md, Members of a
    // group).
    let first = Ask {
        target: format!("/api/v1/users/{user}/groups"),
        lean: false,
    };
    let rows = |body: &[u8]| group_rows(body);
    walk_pages(client, first, at, &mut Walk::default(), rows, &mut sink)
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

/// Users with this text as an attribute, ignoring case. Okta reads them from an index that lags. Where Okta will not
/// search, by `filter`, to which case counts: as typed and in lower case (docs/okta-api.md, Users).
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
    let ask = |parameter, condition: String| {
        let target = target("/api/v1/users", page_size, &[(parameter, &condition)]);
        all_of(client, target, |body: &[u8]| {
            user_rows(body, counted, |user| user.to_model().map(Some))
        })
    };
    match ask("search", equals(text)) {
        Err(error) if is_refused_search(&error) => {
            let lower = text.to_lowercase();
            let filter = if lower == text {
                equals(text)
            } else {
                format!("{} or {}", equals(text), equals(&lower))
            };
            ask("filter", filter)
        }
        other => other,
    }
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
/// search, by `q`: groups whose name starts like this, of which it gives 300 at most (docs/okta-api.md, Groups).
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
    // 200 is the most that Okta gives (docs/okta-api.md, Changes to a membership).
    all_of(
        client,
        target("/api/v1/groups/rules", 200, &[]),
        |body: &[u8]| {
            let rules = wire::rules(body)?;
            let counted = |rule: &wire::Rule| Counted::of(&rule.id);
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
    let first = Ask {
        target,
        lean: false,
    };
    walk_pages(client, first, None, &mut Walk::default(), rows, &mut sink)?;
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

/// A text in Okta's search language (docs/okta-api.md, Users).
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

fn counted(user: &wire::User<'_>) -> Counted {
    Counted {
        active: !user.is_deprovisioned(),
        ..Counted::of(user.id())
    }
}

fn user_rows<T>(
    body: &[u8],
    count: impl Fn(&wire::User<'_>) -> Counted,
    keep: impl Fn(&wire::User<'_>) -> Result<Option<T>, Malformed>,
) -> Result<Rows<T>, Malformed> {
    let users = wire::users(body)?;
    let kept: Result<Vec<T>, Malformed> = users
        .iter()
        .filter_map(|user| keep(user).transpose())
        .collect();
    Ok((users.iter().map(count).collect(), kept?))
}

fn group_rows(body: &[u8]) -> Result<Rows<Group>, Malformed> {
    let groups = wire::groups(body)?;
    let counted = |group: &Group| Counted::of(group.id.as_str());
    Ok((groups.iter().map(counted).collect(), groups))
}

fn walk_pages<T>(
    client: &Client,
    first: Ask,
    at: Option<String>,
    walk: &mut Walk,
    rows: impl Fn(&[u8]) -> Result<Rows<T>, Malformed>,
    sink: &mut impl FnMut(Page<T>) -> GoOn,
) -> Result<(), Error> {
    let mut ask = first.clone();
    // A position from a checkpoint may have been tampered with.
    ask.target = at
        .filter(|at| page::is_page_of(&first.target, at))
        .unwrap_or(ask.target);
    let mut begun_again = false;
    loop {
        let read = |answer: &Answer, url: &Url| {
            // A link that leads elsewhere will not change; it is no reason to ask again.
            Ok((rows(&answer.body)?, answer.next_page(url)?))
        };
        let ((rows, kept), next) = match client.get(&ask, read) {
            Ok(page) => page,
            Err(error) if ask.target != first.target && !begun_again && is_lost_cursor(&error) => {
                tracing::warn!(
                    "Okta lost the cursor of a listing ({error}); restarting the listing"
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
        walk.page(&ask.target, &rows, next.as_deref())
            .map_err(|problem| paging(problem.to_owned()))?;
        let go_on = sink(Page {
            kept,
            rows,
            seen: walk.distinct(),
            is_first: ask.target == first.target,
            next: next.clone(),
        });
        match next {
            Some(next) if go_on => ask.target = next,
            _ => return Ok(()),
        }
    }
}

/// Whether Okta lost the place in the middle of a walk (docs/okta-api.md, Pages).
fn is_lost_cursor(error: &Error) -> bool {
    error.status() == Some(400)
        && matches!(error.code(), Some("E0000029" | "E0000031" | "E0000054"))
}

/// Whether Okta will not search: a bad search, users that no longer fit the schema (409), or a proxy that takes no
/// request this long (413, 414, 431).
pub fn is_refused_search(error: &Error) -> bool {
    match error.status() {
        Some(400 | 413 | 414 | 431) => true,
        Some(409) => error.code() == Some("E0000145"),
        _ => false,
    }
}
