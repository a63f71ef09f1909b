//! Maps errors to exit codes, in one place: what an error that ends a command means for the exit code, for resuming, and
//! for Okta's support.

use crate::exit::{ExitError, ExitStatus, of_okta};
use crate::signal::Interrupted;
use crate::sync::checkpoint::resume::{UnusableCheckpoint, Unwritable};
use crate::{atomic_file, config, okta, snapshot};

/// Returns the exit status for an error: that of its innermost typed cause.
pub fn exit_of(error: &anyhow::Error) -> ExitStatus {
    for cause in error.chain() {
        if let Some(ending) = cause.downcast_ref::<ExitError>() {
            return ending.exit;
        }
        if let Some(okta) = cause.downcast_ref::<okta::Error>() {
            return of_okta(okta);
        }
        if let Some(Interrupted(signal)) = cause.downcast_ref() {
            return ExitStatus::Interrupted(*signal);
        }
        if cause.is::<atomic_file::Busy>() {
            return ExitStatus::Locked;
        }
        if cause.is::<config::Error>() || cause.is::<snapshot::Error>() {
            return ExitStatus::Failed;
        }
    }
    ExitStatus::Failed
}

/// Returns whether running the same command again can resume: after an interrupt, an outage of Okta, a bad certificate
/// or a full disk. Not if Okta or a guard refused, or if a response makes no sense.
pub fn is_resumable(error: &anyhow::Error) -> bool {
    for cause in error.chain() {
        if cause.is::<ExitError>() || cause.is::<config::Error>() {
            return false;
        }
        if let Some(okta) = cause.downcast_ref::<okta::Error>() {
            return match okta {
                okta::Error::Certificate { .. }
                | okta::Error::Proxy { .. }
                | okta::Error::Redirected { .. }
                | okta::Error::Setup(_) => true,
                // A token's right may come back, and Okta sends some of these refusals for reads that it permits.
                _ => matches!(
                    of_okta(okta),
                    ExitStatus::Unavailable | ExitStatus::Interrupted(_) | ExitStatus::Credentials
                ),
            };
        }
    }
    !error.is::<UnusableCheckpoint>() && !error.is::<Unwritable>()
}

/// Returns the request id of the response that ended the run, if there is one: Okta's support asks for it.
pub fn request_id(error: &anyhow::Error) -> Option<&str> {
    error
        .chain()
        .find_map(|cause| cause.downcast_ref::<okta::Error>())
        .and_then(okta::Error::request_id)
}
