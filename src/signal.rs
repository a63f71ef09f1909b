//! SIGINT and SIGTERM: recorded once, then checked wherever the program waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use thiserror::Error;

/// A signal arrived that ends the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("interrupted")]
pub struct Interrupted(pub i32);

/// Set when SIGINT or SIGTERM arrives.
#[derive(Clone, Debug, Default)]
pub struct ShutdownSignal(Arc<AtomicUsize>);

impl ShutdownSignal {
    /// Listens for SIGINT and SIGTERM. The first is noted here; a second ends the process at once.
    ///
    /// # Errors
    /// Returns an error if the system refuses a signal handler.
    pub fn listen() -> std::io::Result<Self> {
        let signal = Self::default();
        let armed = Arc::new(AtomicBool::new(false));
        for number in [SIGINT, SIGTERM] {
            signal_hook::flag::register_conditional_shutdown(
                number,
                128 + number,
                Arc::clone(&armed),
            )?;
            signal_hook::flag::register(number, Arc::clone(&armed))?;
            let value = usize::try_from(number).unwrap_or_default();
            signal_hook::flag::register_usize(number, Arc::clone(&signal.0), value)?;
        }
        Ok(signal)
    }

    /// Returns the number of the signal that arrived, if any.
    pub fn received(&self) -> Option<i32> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            number => i32::try_from(number).ok(),
        }
    }

    /// Fails once a signal has arrived.
    ///
    /// # Errors
    /// Returns [`Interrupted`] if a signal has arrived.
    pub fn check(&self) -> Result<(), Interrupted> {
        self.received()
            .map_or(Ok(()), |number| Err(Interrupted(number)))
    }
}
