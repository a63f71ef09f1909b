//! The kinds of requests that the server accepts.

use percent_encoding::percent_decode_str;

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    /// `/api/v1/users`
    Users,
    /// `/api/v1/users/me`
    Me,
    /// `/api/v1/users/{id}`
    User,
    /// `/api/v1/users/{id}/groups`
    UserGroups,
    /// `/api/v1/users/{id}/roles`
    UserRoles,
    /// `/api/v1/groups`
    Groups,
    /// `/api/v1/groups/{id}`
    Group,
    /// `/api/v1/groups/{id}/users`
    Members,
    /// `/api/v1/groups/{id}/users/{id}`, only for PUT and DELETE
    Member,
    /// `/api/v1/groups/rules`
    Rules,
    /// `/api/v1/org`
    Org,
    /// Any other path.
    Unknown,
}

impl Endpoint {
    /// Returns the endpoint of a path as sent, and the ids in the path.
    pub(crate) fn of(path: &str) -> (Self, Vec<String>) {
        let Some(rest) = path.strip_prefix("/api/v1/") else {
            return (Self::Unknown, Vec::new());
        };
        let parts: Vec<String> = rest
            .split('/')
            .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned())
            .collect();
        let names: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (endpoint, ids): (Self, &[&str]) = match names[..] {
            ["users"] => (Self::Users, &[]),
            ["users", "me"] => (Self::Me, &[]),
            ["users", id] => (Self::User, &[id]),
            ["users", id, "groups"] => (Self::UserGroups, &[id]),
            ["users", id, "roles"] => (Self::UserRoles, &[id]),
            ["groups"] => (Self::Groups, &[]),
            ["groups", "rules"] => (Self::Rules, &[]),
            ["groups", id] => (Self::Group, &[id]),
            ["groups", id, "users"] => (Self::Members, &[id]),
            ["groups", group, "users", user] => (Self::Member, &[group, user]),
            ["org"] => (Self::Org, &[]),
            _ => (Self::Unknown, &[]),
        };
        (endpoint, ids.iter().map(|id| (*id).to_owned()).collect())
    }

    pub(crate) fn methods(self) -> &'static [&'static str] {
        match self {
            Self::Member => &["PUT", "DELETE"],
            _ => &["GET"],
        }
    }

    pub(crate) fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::Users => &["limit", "after", "search", "sortBy", "sortOrder", "filter"],
            Self::Groups => &["limit", "after", "expand", "q", "search", "filter"],
            Self::Group => &["expand"],
            Self::UserGroups | Self::Members | Self::Rules => &["limit", "after"],
            Self::User | Self::Me | Self::UserRoles | Self::Member | Self::Org | Self::Unknown => {
                &[]
            }
        }
    }
}
