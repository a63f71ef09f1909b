//! Responds to requests: checks, endpoints, and changes of memberships.

#![expect(
    clippy::result_large_err,
    reason = "a refusal is a response like any other, and as large"
)]

mod read;

use std::time::Instant;

use self::read::Reader;
use crate::endpoint::Endpoint;
use crate::org::{Group, Org};
use crate::query::{Incoming, Query};
use crate::response::{Response, forbidden, method_not_allowed, not_found};
use crate::server::Options;

/// A requested change of a membership, and its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembershipChange {
    /// `PUT` or `DELETE`.
    pub method: String,
    /// The group, as sent.
    pub group: String,
    /// The user, as sent.
    pub user: String,
    /// The status of the response.
    pub status: u16,
}

/// Responds to a read request. `base` is the origin of the links in the response.
pub fn respond(org: &Org, options: &Options, base: &str, incoming: &Incoming) -> Response {
    let (endpoint, ids) = Endpoint::of(&incoming.path);
    let (query, wrong) = match admit(options, incoming, endpoint) {
        Ok(admitted) => admitted,
        Err(refusal) => return refusal,
    };
    let reader = Reader {
        org,
        options,
        base,
        query,
    };
    let id = ids.first().map_or("", String::as_str);
    let result = match endpoint {
        Endpoint::Users => reader.users(),
        Endpoint::Me => reader.user(org.token_owner(), "me"),
        // Okta has no path for a login with a slash, not even an encoded one.
        Endpoint::User if id.contains('/') => Err(method_not_allowed()),
        Endpoint::User => reader.user(org.find_user(id), id),
        Endpoint::UserGroups => reader.user_groups(id),
        Endpoint::UserRoles => reader.user_roles(id),
        Endpoint::Groups => reader.groups(),
        Endpoint::Group => reader.group(id),
        Endpoint::Members => reader.members(id),
        Endpoint::Rules => reader.rules(),
        Endpoint::Org => reader.org(),
        Endpoint::Member | Endpoint::Unknown => Err(unknown_path()),
    };
    let mut response = result.unwrap_or_else(|refusal| refusal);
    response.unexpected = response.unexpected.or(wrong);
    response
}

/// Responds to a request that changes a membership. Returns `None` for all other requests.
pub fn change(
    org: &mut Org,
    options: &Options,
    incoming: &Incoming,
    now: Instant,
) -> Option<(Response, MembershipChange)> {
    let (endpoint, ids) = Endpoint::of(&incoming.path);
    let [group, user] = &ids[..] else {
        return None;
    };
    let (response, wrong) = match admit(options, incoming, endpoint) {
        Ok((_, wrong)) => {
            let pair = Pair { group, user };
            (apply(org, options, incoming, pair, now), wrong)
        }
        Err(refusal) => (refusal, None),
    };
    let change = MembershipChange {
        method: incoming.method.clone(),
        group: group.clone(),
        user: user.clone(),
        status: response.status,
    };
    let response = Response {
        unexpected: response.unexpected.clone().or(wrong),
        ..response
    };
    Some((response, change))
}

fn unknown_path() -> Response {
    Response::error(404, "E0000008", "The requested path was not found", &[])
        .unexpected("unknown path")
}

/// Makes the checks that all endpoints have in common. The text describes a problem that is not refused.
fn admit<'a>(
    options: &Options,
    incoming: &'a Incoming,
    endpoint: Endpoint,
) -> Result<(Query<'a>, Option<String>), Response> {
    if !incoming.authorized {
        let mut refusal = Response::error(401, "E0000011", "Invalid token provided", &[]);
        if !options.expect_unauthorized {
            refusal = refusal.unexpected("no token, or a wrong one");
        }
        return Err(refusal);
    }
    if endpoint == Endpoint::Unknown {
        return Err(unknown_path());
    }
    if !endpoint.methods().contains(&incoming.method.as_str()) {
        return Err(method_not_allowed().unexpected("method"));
    }
    Ok(Query::read(incoming, endpoint))
}

/// The ids of a membership.
struct Pair<'a> {
    group: &'a str,
    user: &'a str,
}

fn apply(
    org: &mut Org,
    options: &Options,
    incoming: &Incoming,
    pair: Pair<'_>,
    now: Instant,
) -> Response {
    let Pair {
        group: group_id,
        user: user_id,
    } = pair;
    let put = incoming.method == "PUT";
    if put && !incoming.has_length {
        return Response {
            status: 411,
            content_type: Some("text/html".to_owned()),
            body: b"<html><body>411 Length Required</body></html>".to_vec(),
            unexpected: Some("PUT without Content-Length".to_owned()),
            ..Response::default()
        };
    }
    let Some(group) = org.group(group_id).filter(|group| visible(options, group)) else {
        return not_found(group_id, "UserGroup");
    };
    if org.user(user_id).is_none() {
        return not_found(user_id, "User");
    }
    if options.forbid_changes {
        return forbidden();
    }
    if group.kind != "OKTA_GROUP" {
        if options.read_only_groups_return_501 {
            return Response::error(501, "E0000060", "Unsupported operation.", &[]);
        }
        return forbidden();
    }
    let was = org.is_member(group_id, user_id);
    if !put && !was && options.absent_delete_returns_404 {
        return not_found(user_id, "User");
    }
    if was != put {
        if options.read_lag.is_zero() {
            org.discard_pending(group_id, user_id);
            if put {
                org.join(group_id, user_id);
            } else {
                org.leave(group_id, user_id);
            }
        } else {
            org.set_later(group_id, user_id, put, now + options.read_lag);
        }
        if !put {
            org.exclude(group_id, user_id);
        }
    }
    Response {
        status: 204,
        ..Response::default()
    }
}

fn visible(options: &Options, group: &Group) -> bool {
    !(options.hide_everyone && group.is_everyone())
}

#[cfg(test)]
mod tests;
