//! A made-up Okta org and a real HTTP/1.1 server for it on loopback.
//!
//! Three use it: `okta-ciam demo`, the integration tests, and the benchmark. So it is the tool's only picture of Okta,
//! and these rules hold inside:
//!
//! - [`answer`](answer()) is a function of the org, the options and the request; sockets, clocks, limits and faults are
//!   the server's. Only a PUT or DELETE of a membership, and a fault's hook, change the org.
//! - Where Okta's behaviour is known, it is copied; where it is not, an option picks one of the ways, so that the tool
//!   is tested against each.
//! - A request that this tool should never send is answered as Okta would, and remembered ([`Server::unexpected`]).
//! - Rows are rendered when they are sent. An org of a million users fits in memory because a user is a profile text
//!   and a few numbers.
//! - The token is looked at once, when the head is read, and kept nowhere.

mod answer;
mod fault;
mod generate;
mod limits;
mod org;
mod people;
mod render;
mod search;
mod server;

pub use answer::{Answer, Ask, Change, Endpoint, answer, change};
pub use fault::{Action, Fault, Reply};
pub use generate::{Distribution, Shape};
pub use limits::{Bucket, Limits, Window};
pub use org::{Group, Millis, Org, Role, Rule, Size, Truth, User, at};
pub use server::{Options, PageCap, RefuseSearch, Refused, Request, Server};
