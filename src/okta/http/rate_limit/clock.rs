//! The server's clock, as responses show it.

use super::Moment;

/// The largest plausible difference of `Date` between two responses, in seconds: by rounding, by delays and between
/// Okta's nodes.
const PLAUSIBLE: f64 = 5.0;

/// The server's clock, from below: a `Date` is at most a second behind when it is written, and older when it arrives,
/// so the largest difference seen is the best.
#[derive(Debug)]
pub(super) struct Clock {
    /// Seconds since 1970 at moment zero.
    zero: f64,
    is_known: bool,
    /// A differing time of recent responses, and the number of responses in a row that agree on it.
    odd: Option<(f64, u32)>,
}

impl Clock {
    /// Returns a clock that shows `local`, in seconds since 1970, until a response contains the server's time.
    pub(super) fn new(local: f64) -> Self {
        Self {
            zero: local,
            is_known: false,
            odd: None,
        }
    }

    /// Returns whether a response has set the clock.
    pub(super) fn is_set(&self) -> bool {
        self.is_known
    }

    pub(super) fn at(&self, now: Moment) -> f64 {
        self.zero + now.as_secs_f64()
    }

    pub(super) fn see(&mut self, date: u64, now: Moment) {
        let zero = date as f64 - now.as_secs_f64();
        if !self.is_known {
            self.zero = zero;
            self.is_known = true;
        } else if (zero - self.zero).abs() <= PLAUSIBLE {
            self.zero = self.zero.max(zero);
            self.odd = None;
        } else {
            // One response may be wrong, or old; several that agree are the clock, as after a laptop slept.
            let agreeing = match self.odd {
                Some((odd, count)) if (zero - odd).abs() <= PLAUSIBLE => count + 1,
                _ => 1,
            };
            self.odd = Some((zero, agreeing));
            if agreeing >= 3 {
                self.zero = zero;
                self.odd = None;
            }
        }
    }
}
