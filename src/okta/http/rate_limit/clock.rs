//! Estimates the server's clock from the `Date` headers of responses.

use super::Moment;

/// The largest plausible difference between the estimates of two responses, in seconds: from rounding, delays and
/// differences between Okta's nodes.
const PLAUSIBLE: f64 = 5.0;

/// The server's clock. A `Date` is always late, by up to a second of rounding and by the time until it arrives, so the
/// latest estimate is the best.
#[derive(Debug)]
pub(super) struct Clock {
    /// The server's time at moment zero, in seconds since 1970.
    zero: f64,
    is_known: bool,
    /// A differing time of recent responses, and the number of responses in a row that agree on it.
    outlier: Option<(f64, u32)>,
}

impl Clock {
    /// Returns a clock that shows `local`, in seconds since 1970, until a response contains the server's time.
    pub(super) fn new(local: f64) -> Self {
        Self {
            zero: local,
            is_known: false,
            outlier: None,
        }
    }

    /// Returns whether a response has set the clock.
    pub(super) fn is_set(&self) -> bool {
        self.is_known
    }

    pub(super) fn at(&self, now: Moment) -> f64 {
        self.zero + now.as_secs_f64()
    }

    pub(super) fn update(&mut self, date: u64, now: Moment) {
        let zero = date as f64 - now.as_secs_f64();
        if !self.is_known {
            self.zero = zero;
            self.is_known = true;
        } else if (zero - self.zero).abs() <= PLAUSIBLE {
            self.zero = self.zero.max(zero);
            self.outlier = None;
        } else {
            // One response may be wrong or old. If several agree, the clock has changed, such as after a laptop slept.
            let agreeing = match self.outlier {
                Some((outlier, count)) if (zero - outlier).abs() <= PLAUSIBLE => count + 1,
                _ => 1,
            };
            self.outlier = Some((zero, agreeing));
            if agreeing >= 3 {
                self.zero = zero;
                self.outlier = None;
            }
        }
    }
}
