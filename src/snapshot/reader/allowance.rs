//! What a query may take, so that a file made to harm cannot keep a program busy.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::Row;
use rusqlite::types::ValueRef;
use rustix::time::{ClockId, clock_gettime};

use crate::snapshot::limits::MAX_DATABASE;

/// How many steps SQLite may still take, how many bytes it may still return, and how long this thread may compute. A file
/// without tricks needs a fraction: every byte of it is looked at once, at half a step for each.
pub(super) struct Allowance {
    size: u64,
    counted: Arc<Counted>,
    bytes: Cell<u64>,
}

/// What is counted while SQLite runs.
#[derive(Default)]
struct Counted {
    steps: AtomicU64,
    /// The time of the thread, in nanoseconds. A step may be one over a value that lies behind a very long one.
    until: AtomicU64,
}

impl Allowance {
    const LEAST: u64 = 1 << 20;
    /// Every so many steps they are counted.
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

    /// Another query begins.
    pub(super) fn renew(&self) {
        let all = Self::LEAST + 2 * self.size;
        self.counted.steps.store(all, Ordering::Relaxed);
        self.bytes.set(all);
        let until = thread_time() + Self::NANOS + Self::NANOS_A_BYTE * self.size;
        self.counted.until.store(until, Ordering::Relaxed);
    }

    /// What SQLite calls every [`Self::EVERY`] steps; true stops it.
    pub(super) fn counter(&self) -> impl FnMut() -> bool + Send + 'static {
        let counted = Arc::clone(&self.counted);
        move || {
            let left = counted.steps.load(Ordering::Relaxed);
            let rest = left.saturating_sub(Self::EVERY as u64);
            counted.steps.store(rest, Ordering::Relaxed);
            left == 0 || thread_time() > counted.until.load(Ordering::Relaxed)
        }
    }

    /// Adds what the caller spent on something else than the file.
    pub(super) fn extend(&self, spent: Duration) {
        let nanos = u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX / 2);
        self.counted.until.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Takes the bytes of a row; false if there are more than the file can hold.
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

/// How long this thread has computed, in nanoseconds: waiting for a slow disk is no fault of a file.
fn thread_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}
