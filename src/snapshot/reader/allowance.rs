//! Limits the steps, bytes and time of a query, so that a harmful file cannot keep a program busy.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::Row;
use rusqlite::types::ValueRef;
use rustix::time::{ClockId, clock_gettime};

use crate::snapshot::limits::MAX_DATABASE;

/// The steps that SQLite may still take, the bytes that it may still return, and the time that this thread may still
/// compute. An honest file needs a fraction: every byte of it is read once, at half a step for each.
pub(super) struct Allowance {
    size: u64,
    counted: Arc<Counted>,
    bytes: Cell<u64>,
}

/// The counters that SQLite's callback shares.
#[derive(Default)]
struct Counted {
    steps: AtomicU64,
    /// The time of the thread, in nanoseconds. A step may be one over a value that lies behind a very long one.
    until: AtomicU64,
}

impl Allowance {
    const LEAST: u64 = 1 << 20;
    /// The number of steps between two calls of the counter.
    pub(super) const EVERY: i32 = 1000;
    /// Six seconds, and one more for every 8 MiB: a fortieth of the speed of a slow machine that does nothing else.
    const NANOS: u64 = 6_000_000_000;
    const NANOS_A_BYTE: u64 = 120;

    pub(super) fn new(size: u64) -> Self {
        let mut new = Self {
            size: 0,
            counted: Arc::default(),
            bytes: Cell::default(),
        };
        new.grow(size);
        new
    }

    pub(super) fn grow(&mut self, size: u64) {
        // A hole has a size but nothing in it.
        self.size = size.min(MAX_DATABASE);
        self.renew();
    }

    /// Restores the full allowance, for another query.
    pub(super) fn renew(&self) {
        let all = Self::LEAST + 2 * self.size;
        self.counted.steps.store(all, Ordering::Relaxed);
        self.bytes.set(all);
        let until = thread_time() + Self::NANOS + Self::NANOS_A_BYTE * self.size;
        self.counted.until.store(until, Ordering::Relaxed);
    }

    /// Returns the function that SQLite calls every [`Self::EVERY`] steps; true stops the query.
    pub(super) fn counter(&self) -> impl FnMut() -> bool + Send + 'static {
        let counted = Arc::clone(&self.counted);
        move || {
            let left = counted.steps.load(Ordering::Relaxed);
            let rest = left.saturating_sub(Self::EVERY as u64);
            counted.steps.store(rest, Ordering::Relaxed);
            left == 0 || thread_time() > counted.until.load(Ordering::Relaxed)
        }
    }

    /// Adds the time that the caller spent on something other than the file.
    pub(super) fn extend(&self, spent: Duration) {
        let nanos = u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX / 2);
        self.counted.until.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Subtracts the bytes of a row. Returns false if there are more than the file can hold.
    pub(super) fn take(&self, row: &Row<'_>, columns: usize) -> rusqlite::Result<bool> {
        let mut bytes = 0;
        for column in 0..columns {
            bytes += match row.get_ref(column)? {
                ValueRef::Text(value) | ValueRef::Blob(value) => value.len() as u64,
                _ => 0,
            };
        }
        let left = self.bytes.get().checked_sub(bytes);
        self.bytes.set(left.unwrap_or(0));
        Ok(left.is_some())
    }
}

/// Returns the computing time of this thread in nanoseconds: waiting for a slow disk is not the file's fault.
fn thread_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}
