//! Measures the cost of one process.
//!
//! Each measurement uses an intermediate process with a single child, so that the system's statistics on children are
//! exact for that child. The intermediate process must be small itself, because until the child has loaded its program,
//! its memory is that of the process that started it.

use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use serde::{Deserialize, Serialize};

/// The output and the cost of a process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measured {
    pub code: Option<i32>,
    pub stdout: String,
    /// The wall time, in seconds.
    pub wall: f64,
    /// The processor time in user and system mode, in seconds.
    pub processor: f64,
    /// The peak of the memory use, in bytes.
    pub peak: u64,
}

/// Runs as the intermediate process: runs a command and prints its cost.
pub fn measure(command: &[String]) -> anyhow::Result<()> {
    let (program, arguments) = command.split_first().context("no command given")?;
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

/// Runs a command with only these environment variables, and waits for it.
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
    ensure!(output.status.success(), "the intermediate process failed");
    let measured: Measured = serde_json::from_slice(&output.stdout)?;
    ensure!(
        measured.code == Some(0),
        "the measured command failed with {:?}: {}",
        measured.code,
        measured.stdout
    );
    Ok(measured)
}
