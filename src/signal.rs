//! SIGINT and SIGTERM: recorded once, then checked wherever the program waits. A step that cannot check runs on a thread
//! of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, bounded};
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

    /// Runs a step that cannot be interrupted on a thread of its own, and waits for its result. Once a signal has arrived,
    /// it waits `patience` longer; the thread then ends with the process.
    ///
    /// # Errors
    /// Returns an error if there is no result in time, or if the step panicked.
    pub fn run<T: Send + 'static>(
        &self,
        patience: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NoResult> {
        let (result_in, result) = bounded(1);
        thread::spawn(move || {
            let _ = result_in.send(work());
        });
        let mut signaled = None;
        loop {
            if let Err(interrupted) = self.check() {
                let since: &mut Instant = signaled.get_or_insert_with(Instant::now);
                if since.elapsed() >= patience {
                    return Err(NoResult::Interrupted(interrupted));
                }
            }
            match result.recv_timeout(SIGNAL_POLL_INTERVAL) {
                Ok(result) => return Ok(result),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(NoResult::Panicked),
            }
        }
    }
}

/// The time between two checks for a signal while a step runs.
const SIGNAL_POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The reason why a step on a thread has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoResult {
    /// A signal arrived.
    #[error(transparent)]
    Interrupted(Interrupted),
    /// The step panicked, which is a bug.
    #[error("a thread panicked")]
    Panicked,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_has_a_result_unless_it_panics_or_a_signal_comes_before_it_ends() {
        let signal = ShutdownSignal::default();
        assert_eq!(signal.run(Duration::ZERO, || 1), Ok(1));
        let panicked = signal.run(Duration::ZERO, || -> u8 { panic!("as the test wants") });
        assert_eq!(panicked, Err(NoResult::Panicked));
        signal.0.store(2, Ordering::Relaxed);
        let interrupted = Err(NoResult::Interrupted(Interrupted(2)));
        let slow = || thread::sleep(Duration::from_secs(30));
        assert_eq!(signal.run(Duration::ZERO, slow), interrupted);
        assert_eq!(signal.run(Duration::from_millis(60), slow), interrupted);
        let in_time = || thread::sleep(Duration::from_millis(60));
        assert_eq!(signal.run(Duration::from_secs(30), in_time), Ok(()));
    }
}
