//! `verify`: checks that a snapshot is what its run wrote. Reads one file and its manifest, and sends no requests.

use std::fmt::Write as _;

use serde::Serialize;

use crate::config::VerifyConfig;
use crate::console::{Console, FailureObject};
use crate::evidence::verify::{CheckStatus, Verification, verify};
use crate::exit::ExitStatus;
use crate::text::{clean, count, number, one_line};

/// Runs `verify`.
///
/// # Errors
/// Returns an error if the file cannot be opened as a snapshot, or if the result cannot be printed. Failed checks are
/// not an error, but lead to exit code 2.
pub fn run(config: &VerifyConfig, console: &Console) -> anyhow::Result<ExitStatus> {
    let verification = verify(&config.file, config.manifest.as_deref())?;
    let message = summary(&verification);
    let failed = verification.failures().next().is_some();
    let exit = if failed {
        ExitStatus::Failed
    } else {
        ExitStatus::Done
    };
    let failure = failed.then(|| FailureObject {
        error: exit.word(),
        exit_code: exit.code(),
        message: message.clone(),
        request_id: None,
    });
    let printed = Printed {
        failed: failure.as_ref(),
        ok: !failed,
        verification: &verification,
    };
    console.result(&printed, || text(&verification))?;
    if failed {
        tracing::error!("{message}");
    }
    Ok(exit)
}

/// The result as JSON. After failures, it begins with the keys of a failure object.
#[derive(Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    failed: Option<&'a FailureObject>,
    ok: bool,
    #[serde(flatten)]
    verification: &'a Verification,
}

/// Returns the failures in one line.
fn summary(verification: &Verification) -> String {
    let failures: Vec<String> = verification
        .failures()
        .map(|check| format!("{}: {}", spoken(check.name), check.message))
        .collect();
    let text = format!(
        "{}: {} of {} failed; {}",
        verification.file,
        number(failures.len() as u64),
        count(verification.checks.len() as u64, "check"),
        failures.join("; ")
    );
    one_line(&anyhow::Error::msg(text))
}

fn text(verification: &Verification) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    for check in &verification.checks {
        let _ = writeln!(
            text,
            "{:<9}{:<15}{}",
            check.status.as_str(),
            spoken(check.name),
            clean(&check.message)
        );
    }
    let counted = |status| {
        let those = verification.checks.iter();
        those.filter(|check| check.status == status).count() as u64
    };
    let _ = writeln!(
        text,
        "{}: {} ok, {}, {} skipped",
        clean(&verification.file),
        number(counted(CheckStatus::Ok)),
        count(counted(CheckStatus::Failure), "failure"),
        number(counted(CheckStatus::Skipped)),
    );
    text
}

/// Returns the name of a check for people.
fn spoken(name: &str) -> String {
    name.replace('_', " ")
}
