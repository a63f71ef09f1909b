//! One file a command. Commands that need no network get no client, by their signature.

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

/// Does something, and says meanwhile when a wait for a limit begins: there is no progress to draw.
fn saying_waits<T>(client: &Client, work: impl FnOnce() -> T) -> T {
    std::thread::scope(|scope| {
        // Dropped when the work is done, or has panicked.
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
