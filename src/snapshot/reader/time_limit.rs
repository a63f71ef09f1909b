//! Limits the processor time of a query, so that a harmful file cannot keep a program busy.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::snapshot::limits::MAX_DATABASE;

/// The time that this thread may still spend on a query. SQLite stops the query when the time is over.
///
/// This is processor time, not wall time: a slow disk, a busy machine and a stopped process use none of it. It grows with
/// the file, since a query of a valid file reads each byte a few times at most. SQLite needs about 3 ns per byte, so even
/// a slow machine stays far below the limit.
pub(super) struct TimeLimit {
    size: u64,
    until: Arc<AtomicU64>,
}

/// The value of [`TimeLimit::until`] after a query has exceeded the limit. All later queries fail at once, so that a
/// command with many queries does not use up the limit for each.
const EXCEEDED: u64 = 0;

impl TimeLimit {
    const NANOS: u64 = 250_000_000;
    const NANOS_PER_BYTE: u64 = 120;
    /// The number of SQLite's instructions after which it checks the time. One instruction can take milliseconds if it
    /// reads a column after a very long value.
    pub(super) const EVERY: i32 = 1000;

    /// Returns the limit for a file of `size` bytes, and starts the time.
    pub(super) fn new(size: u64) -> Self {
        let mut new = Self {
            size: 0,
            until: Arc::new(AtomicU64::new(u64::MAX)),
        };
        new.set_size(size);
        new
    }

    /// Sets the size of the file, and starts the time.
    pub(super) fn set_size(&mut self, size: u64) {
        // A sparse file may claim any size.
        self.size = size.min(MAX_DATABASE);
        self.start();
    }

    /// Returns the size of the file.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Starts the time of the next query, which must run in the calling thread.
    pub(super) fn start(&self) {
        let until = thread_time() + Self::NANOS + Self::NANOS_PER_BYTE * self.size;
        self.update(|_| until);
    }

    /// Extends the limit by the time that the caller spent on something other than the file.
    pub(super) fn extend(&self, spent: Duration) {
        let nanos = u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX);
        self.update(|until| until.saturating_add(nanos));
    }

    /// Returns the function that SQLite calls every [`Self::EVERY`] instructions; true stops the query.
    pub(super) fn watch(&self) -> impl FnMut() -> bool + Send + 'static {
        let until = Arc::clone(&self.until);
        move || {
            let is_over = thread_time() > until.load(Ordering::Relaxed);
            if is_over {
                until.store(EXCEEDED, Ordering::Relaxed);
            }
            is_over
        }
    }

    fn update(&self, next: impl Fn(u64) -> u64) {
        let next = |until| (until != EXCEEDED).then(|| next(until));
        // An error means that nothing was changed.
        let _ = self
            .until
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    }
}

/// Returns the processor time of this thread in nanoseconds.
fn thread_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}
