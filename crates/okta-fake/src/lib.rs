//! A fake Okta: an org in memory and an HTTP/1.1 server for it on loopback.
//!
//! `okta-ciam demo`, the tests and the benchmark use it. It shares no code with the tool, so that it can contradict it:
//!
//! - [`respond`](respond()) is a function of the org, the options and the request; sockets, clocks, limits and faults are
//!   the server's. Only a PUT or DELETE of a membership, and a fault's hook, change the org.
//! - Where Okta's behavior is known, it is copied; where it is not, an option picks one of the possibilities, so that the
//!   tool is tested against each.
//! - A request that the tool should never send is answered as Okta would, and remembered ([`Server::unexpected`]).
//! - Rows are rendered when they are sent. An org of a million users fits in memory because a user is a profile text and a
//!   few numbers.
//! - The token is compared once, when the head is read, and stored nowhere.
//!
//! The feature `testing` adds faults and the generator of large orgs.

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
