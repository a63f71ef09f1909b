//! HTTP to one org: requests, retries, pacing and paging.
//!
//! - Only `attempt` sends, and only `rate_limit::wait` sleeps. The rest of [`rate_limit`] and [`page`] decide what they do,
//!   without I/O.
//! - The token is sent only to the configured origin: only the path and query of a link are used, redirects are not
//!   followed, and the header is marked sensitive.

mod attempt;
pub mod client;
pub(in crate::okta) mod error;
pub mod page;
mod proxy;
pub mod rate_limit;
mod response;

pub use client::{ChangeResponse, Client, MembershipOp, PageRequest};
pub use error::{ApiError, Call, Error, request_id_of};
pub use rate_limit::wait::Cost;
pub use response::Response;
pub(in crate::okta) use response::request_id;
