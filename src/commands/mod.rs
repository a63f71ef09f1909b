//! The commands, one per file. Commands that need no network have no access to a client.

pub mod change;
pub mod check;
pub mod demo;
pub mod diff;
mod estimate;
pub mod export;
pub mod findings;
mod lookup;
pub mod pages;
mod provenance;
pub mod report;
pub mod review;
pub mod show;
pub mod sync;
pub mod verify;

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use crate::okta::Client;

/// The poll interval for waits.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Calls a function, and meanwhile logs when a wait for a rate limit begins, since no progress is shown.
fn report_waits<T>(client: &Client, work: impl FnOnce() -> T) -> T {
    std::thread::scope(|scope| {
        // The channel closes when the function returns or panics.
        let (_working, ended) = mpsc::channel::<()>();
        scope.spawn(move || {
            let mut said = false;
            while ended.recv_timeout(POLL_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                let waiting = client.waiting();
                if let Some(waiting) = waiting.as_ref().filter(|_| !said) {
                    tracing::info!("{waiting}");
                }
                said = waiting.is_some();
            }
        });
        work()
    })
}
