//! A fake Okta: an org in memory and an HTTP/1.1 server for it on loopback.
//!
//! It is used by `okta-ciam demo`, the tests and the benchmark, and shares no code with the tool, so that it can
//! contradict it:
//!
//! - [`respond`](respond()) is a function of the org, the options and the request. Sockets, clocks, limits and faults
//!   belong to the server. The org is changed only by PUT and DELETE of a membership, and by a fault's hook.
//! - Okta's behavior is copied where it is known. Where it is not known, an option selects one of the possibilities, so
//!   that the tool is tested against each of them.
//! - A request that the tool should never send gets Okta's response and is recorded ([`Server::unexpected`]).
//! - Rows are rendered when they are sent. An org of a million users fits in memory because a user is one text for the
//!   profile and a few numbers.
//! - The token is compared once, after the head was read, and is not stored.
//!
//! The feature `testing` adds faults and a generator of large orgs.

#![cfg_attr(
    test,
    allow(clippy::too_many_lines, reason = "tables of cases are long")
)]

mod endpoint;
mod limits;
mod org;
mod people;
mod query;
mod random;
mod render;
mod respond;
mod response;
mod search;
mod server;
#[cfg(feature = "testing")]
mod testing;
mod transmission;

pub use endpoint::Endpoint;
pub use limits::{Bucket, Limits, Window};
pub use org::{Group, Millis, Org, Role, Rule, Size, User, at};
pub use query::Incoming;
pub use respond::{MembershipChange, change, respond};
pub use response::Response;
pub use server::{Options, PageCap, RefuseSearch, Refused, Request, Server};
#[cfg(feature = "testing")]
pub use testing::{Action, Distribution, Fault, Reply, Shape, Truth};
