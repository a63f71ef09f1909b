//! Okta's API, as far as this tool needs it.
//!
//! | what | request | right |
//! |---|---|---|
//! | users | `GET /api/v1/users` | okta.users.read |
//! | groups with their sizes | `GET /api/v1/groups?expand=stats` | okta.groups.read |
//! | members of a group | `GET /api/v1/groups/{id}/users` | okta.groups.read |
//! | groups of a user | `GET /api/v1/users/{id}/groups` | okta.users.read |
//! | one user, one group | `GET /api/v1/users/{id}`, `GET /api/v1/groups/{id}` | the same |
//! | group rules | `GET /api/v1/groups/rules` | okta.groups.read |
//! | what a token may do | the first page of each, and `/users/me`, its roles, `/org`, `/groups/rules` | okta.roles.read, okta.orgs.read |
//! | a membership | `PUT`, `DELETE /api/v1/groups/{id}/users/{id}` | okta.groups.manage |
//!
//! Rules that hold in here:
//! - [`http`] alone sends and sleeps.
//! - [`read`] and [`probe`] only GET; [`change`] is the only file that does not. JSON as Okta writes it stays in [`wire`].
//! - Okta omits what is null, adds fields at will, and lets admins put any JSON type into a profile: absent, null and
//!   unknown are accepted everywhere but in ids.

pub mod auth;
pub mod change;
pub mod http;
pub mod order;
pub mod probe;
pub mod read;
#[cfg(test)]
mod recorded;
pub mod role;
pub mod settings;
pub mod wire;

pub use http::{ApiError, Call, ChangeResponse, Client, Error, MembershipOp, request_id_of};
