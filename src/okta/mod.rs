//! Okta's API, as far as this tool needs it.
//!
//! | what | request | OAuth scope |
//! |---|---|---|
//! | users | `GET /api/v1/users` | okta.users.read |
//! | groups with their sizes | `GET /api/v1/groups?expand=stats` | okta.groups.read |
//! | members of a group | `GET /api/v1/groups/{id}/users` | okta.groups.read |
//! | groups of a user | `GET /api/v1/users/{id}/groups` | okta.users.read |
//! | one user, one group | `GET /api/v1/users/{id}`, `GET /api/v1/groups/{id}` | the same |
//! | group rules | `GET /api/v1/groups/rules` | okta.groups.read |
//! | the rights of a token | the first page of each, and `/users/me`, its roles, `/org`, `/groups/rules` | okta.roles.read, okta.orgs.read |
//! | a membership | `PUT`, `DELETE /api/v1/groups/{id}/users/{id}` | okta.groups.manage |
//!
//! Rules for these modules:
//! - Only [`http`] sends and sleeps.
//! - Only [`change`] sends anything but GET requests. Only [`wire`] reads Okta's JSON.
//! - Okta omits fields that are null, adds new fields at any time, and lets admins put any JSON type into a profile. So
//!   fields may be absent, null or unknown; only an id must be there.

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
