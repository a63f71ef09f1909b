//! Decides which failed requests are retried, and after how long.

use std::time::Duration;

/// The largest number of attempts at a request that fails without being refused.
pub const ATTEMPTS: u32 = 8;

/// Returns the pause after this many failed attempts: 0.5 s doubling to 30 s, shortened at random by up to half.
pub fn backoff(attempts: u32, jitter: f64) -> Duration {
    Duration::from_secs_f64(doubling(0.5, attempts, 30.0) * (0.5 + jitter / 2.0))
}

pub(super) fn doubling(first: f64, times: u32, most: f64) -> f64 {
    (first * f64::from(2u32.saturating_pow(times.saturating_sub(1).min(16)))).min(most)
}

/// Returns whether the same request may succeed later (docs/okta-api.md, Errors).
pub fn is_retryable(status: u16, code: Option<&str>) -> bool {
    match status {
        501 => false,
        500..=599 | 408 | 423 => true,
        409 => matches!(code, Some("E0000112" | "E0000249")),
        _ => false,
    }
}

/// Returns whether a status means that Okta needed too long for a page, so that half of it may succeed
/// (docs/okta-api.md, Users and Groups).
pub fn wants_smaller_page(status: u16) -> bool {
    matches!(status, 500 | 504)
}
