//! HTTP to one org: requests, retries, pacing and paging.
//!
//! - `attempt` alone sends, and `rate_limit::wait` alone sleeps. What they decide comes from the rest of [`rate_limit`] and [`page`], which are pure.
//! - The token goes to the configured origin and nowhere else: links are followed by path and query only, redirects are not
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
