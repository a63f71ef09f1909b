//! What one process costs.
//!
//! Each measurement has a process in between, which has that one child only: so the system's sum over its children is
//! that child's, to the microsecond and the page. It must be small itself: until the child has loaded its own program,
//! it counts with the memory of whoever started it.

use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use serde::{Deserialize, Serialize};

/// What a process did and took.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measured {
    pub code: Option<i32>,
    pub stdout: String,
    /// Seconds from its start to its end.
    pub wall: f64,
    /// Seconds of processors, its own and the system's for it.
    pub processor: f64,
    /// The most memory it had at once, in bytes.
    pub peak: u64,
}

/// The process in between: runs a command and says what it took.
pub fn measure(command: &[String]) -> anyhow::Result<()> {
    let (program, arguments) = command.split_first().context("there is no command")?;
    let begun = Instant::now();
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    let wall = begun.elapsed().as_secs_f64();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let processor = usage.user_time() + usage.system_time();
    let kibibytes = u64::try_from(usage.max_rss())?;
    let measured = Measured {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout)?,
        wall,
        processor: processor.num_microseconds() as f64 / 1e6,
        peak: kibibytes * 1024,
    };
    writeln!(io::stdout(), "{}", serde_json::to_string(&measured)?)?;
    Ok(())
}

/// Runs a command with nothing else in its environment, and waits for it.
pub fn run<A: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = A>,
    environment: &[(&str, &str)],
) -> anyhow::Result<Measured> {
    let output = Command::new(std::env::current_exe()?)
        .arg("__measure")
        .arg(program)
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "cannot measure");
    let measured: Measured = serde_json::from_slice(&output.stdout)?;
    ensure!(
        measured.code == Some(0),
        "what was measured failed with {:?}: {}",
        measured.code,
        measured.stdout
    );
    Ok(measured)
}
