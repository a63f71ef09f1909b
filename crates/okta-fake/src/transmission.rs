//! A response while it is sent, including what the server adds to it.

use std::time::Duration;

use super::response::Response;
#[cfg(feature = "testing")]
use super::testing::send::FaultySending;

/// The way in which the bytes of a response are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sending {
    #[default]
    Complete,
    #[cfg(feature = "testing")]
    Faulty(FaultySending),
}

/// A response while it is sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transmission {
    pub response: Response,
    /// The headers for limit, remaining and reset.
    pub limits: Vec<(&'static str, String)>,
    /// The number of seconds that are added to the `Date` header.
    pub date_offset: i64,
    pub delay: Duration,
    pub sending: Sending,
}

impl Transmission {
    /// Returns true if the client receives a status.
    pub fn has_status(&self) -> bool {
        match self.sending {
            Sending::Complete => true,
            #[cfg(feature = "testing")]
            Sending::Faulty(sending) => sending.has_status(),
        }
    }

    /// Returns true if the body is sent in chunks, without a length.
    pub fn is_chunked(&self) -> bool {
        match self.sending {
            Sending::Complete => false,
            #[cfg(feature = "testing")]
            Sending::Faulty(sending) => sending.is_chunked(),
        }
    }
}

/// The names of the rate-limit headers.
pub(crate) const LIMIT_HEADERS: [&str; 3] = [
    "X-Rate-Limit-Limit",
    "X-Rate-Limit-Remaining",
    "X-Rate-Limit-Reset",
];

/// Returns the three rate-limit headers.
pub(crate) fn limits(limit: &str, remaining: &str, reset: i64) -> Vec<(&'static str, String)> {
    let values = [limit.to_owned(), remaining.to_owned(), reset.to_string()];
    LIMIT_HEADERS.into_iter().zip(values).collect()
}

/// Returns the response to a request over a limit.
pub(crate) fn too_many() -> Response {
    let summary = "API call exceeded rate limit due to too many requests.";
    Response::error(429, "E0000047", summary, &[])
}
