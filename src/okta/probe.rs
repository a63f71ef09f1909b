//! The requests of `check`: one for each thing that a sync or a change needs, such as the first page of a listing.

use super::ApiError;
use super::http::{Call, Error};
use super::http::{Client, PageRequest, Response, request_id};
use super::read::{self, UserListMethod, target};
use super::role::Role;
use super::wire::{self, Malformed};
use crate::filter::Domain;
use crate::model::{Group, GroupId, User, UserId};

/// The first page of a listing.
#[derive(Clone, Debug)]
pub struct First<T> {
    /// The rows of the page.
    pub rows: Vec<T>,
    /// True if there is another page.
    pub more: bool,
}

/// The owner of the token.
#[derive(Clone, Debug)]
pub struct Owner {
    /// The user.
    pub user: User,
    /// True if the response contained Okta's request id, which no other server sends.
    pub by_okta: bool,
}

/// Reads the owner of the token.
///
/// # Errors
/// See [`Error`].
pub fn owner(client: &Client) -> Result<Owner, Error> {
    client.get(&request("/api/v1/users/me"), |response, _| {
        Ok(Owner {
            user: wire::user(&response.body)?,
            by_okta: request_id(&response.headers).is_some(),
        })
    })
}

/// Returns the owner of the token, or the refusal if it has none, or if a proxy blocks this path.
///
/// # Errors
/// Returns every error except such a refusal; see [`split_refusal`].
pub fn owner_if_visible(client: &Client) -> Result<Result<User, ApiError>, Error> {
    split_refusal(owner(client).map(|owner| owner.user))
}

/// Reads the first page of the listing that a sync uses, the plain one if Okta rejects searches.
///
/// # Errors
/// See [`Error`].
pub fn users<T>(
    client: &Client,
    page_size: u64,
    read: impl Fn(&wire::WireUser<'_>) -> T,
) -> Result<(UserListMethod, First<T>), Error> {
    let list = |parameters: &[(&str, &str)]| {
        let target = target("/api/v1/users", page_size, parameters);
        first(client, PageRequest { target, lean: true }, |body| {
            Ok(wire::users(body)?.iter().map(&read).collect())
        })
    };
    match list(&[("search", "status pr")]) {
        Ok(page) => Ok((UserListMethod::Search, page)),
        Err(error) if read::is_refused_search(&error) => Ok((UserListMethod::Plain, list(&[])?)),
        Err(error) => Err(error),
    }
}

/// Returns whether Okta finds a user whose email or login contains a domain. Secondary emails cannot be searched
/// (docs/okta-api.md, Users).
///
/// # Errors
/// See [`Error`].
pub fn has_user_in(client: &Client, domain: &Domain) -> Result<bool, Error> {
    let target = target("/api/v1/users", 1, &[("search", &domain.search())]);
    client.get(&PageRequest { target, lean: true }, |response, _| {
        wire::users(&response.body).map(|users| !users.is_empty())
    })
}

/// Reads the first page of all groups with their sizes.
///
/// # Errors
/// See [`Error`].
pub fn groups(client: &Client, page_size: u64) -> Result<First<Group>, Error> {
    groups_where(client, page_size, &[("expand", "stats")])
}

/// Reads the groups that Okta created itself, about two, with their sizes.
///
/// # Errors
/// See [`Error`].
pub fn built_in_groups(client: &Client, page_size: u64) -> Result<First<Group>, Error> {
    let parameters = [("filter", "type eq \"BUILT_IN\""), ("expand", "stats")];
    groups_where(client, page_size, &parameters)
}

fn groups_where(
    client: &Client,
    page_size: u64,
    parameters: &[(&str, &str)],
) -> Result<First<Group>, Error> {
    first(
        client,
        request(target("/api/v1/groups", page_size, parameters)),
        wire::groups,
    )
}

/// Checks whether the members of a group can be read, by requesting one.
///
/// # Errors
/// See [`Error`].
pub fn a_member(client: &Client, group: &GroupId) -> Result<(), Error> {
    let target = target(&format!("/api/v1/groups/{group}/users"), 1, &[]);
    client.get(&request(target), |response, _| {
        wire::users(&response.body).map(|_| ())
    })
}

/// Reads the first page of a user's groups.
///
/// # Errors
/// See [`Error`].
pub fn groups_of(client: &Client, user: &UserId) -> Result<First<Group>, Error> {
    let target = format!("/api/v1/users/{user}/groups");
    first(client, request(target), wire::groups)
}

/// Reads the company's name.
///
/// # Errors
/// See [`Error`].
pub fn company(client: &Client) -> Result<Option<String>, Error> {
    client.get(&request("/api/v1/org"), |response, _| {
        wire::company(&response.body)
    })
}

/// Requests one group rule. Returns whether there are any.
///
/// # Errors
/// See [`Error`].
pub fn a_rule(client: &Client) -> Result<bool, Error> {
    client.get(
        &request(target("/api/v1/groups/rules", 1, &[])),
        |response, _| wire::how_many(&response.body).map(|rules| rules > 0),
    )
}

/// Reads the admin roles of a user.
///
/// # Errors
/// See [`Error`].
pub fn roles(client: &Client, user: &UserId) -> Result<Vec<Role>, Error> {
    client.get(
        &request(format!("/api/v1/users/{user}/roles")),
        |response, _| wire::roles(&response.body),
    )
}

/// Separates a refusal, which is a result of the check, from the errors that end the check: no response, a signal, and
/// 401, after which Okta would refuse all other requests too.
///
/// # Errors
/// Returns every error except a refusal.
pub fn split_refusal<T>(result: Result<T, Error>) -> Result<Result<T, ApiError>, Error> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Error::Refused(refusal)) if refusal.status != 401 => Ok(Err(refusal)),
        Err(error) => Err(error),
    }
}

fn request(target: impl Into<String>) -> PageRequest {
    PageRequest {
        target: target.into(),
        lean: false,
    }
}

fn first<T>(
    client: &Client,
    request: PageRequest,
    rows: impl Fn(&[u8]) -> Result<Vec<T>, Malformed>,
) -> Result<First<T>, Error> {
    let read = |response: &Response, url: &url::Url| {
        // A link to another path would not change, so it is not a reason to retry.
        Ok((rows(&response.body)?, response.next_page(url)?))
    };
    let (rows, next) = client.get(&request, read)?;
    let next = next.map_err(|problem| Error::Paging {
        call: Call {
            method: "GET",
            path: request
                .target
                .split('?')
                .next()
                .unwrap_or_default()
                .to_owned(),
        },
        problem,
    })?;
    Ok(First {
        rows,
        more: next.is_some(),
    })
}
