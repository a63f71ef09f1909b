//! The parts of a machine that only some tests need.

use std::io::Write as _;
use std::os::unix::fs::chown;
use std::process::{Command, Stdio};

/// A part of a machine that containers and other systems may not have.
#[derive(Clone, Copy)]
pub enum Requirement {
    /// The right to change the owner of a file.
    Root,
    /// The right to mount.
    Mount,
    /// The program that renders manual pages.
    Groff,
}

impl Requirement {
    /// Returns true if this machine meets the requirement. If not, prints what is skipped, even though the test passes.
    /// With REQUIRE_ROOT, REQUIRE_MOUNT or REQUIRE_GROFF, as in CI, the test fails instead.
    pub fn is_met(self) -> bool {
        let (name, variable) = match self {
            Self::Root => ("root", "REQUIRE_ROOT"),
            Self::Mount => ("the right to mount", "REQUIRE_MOUNT"),
            Self::Groff => ("groff", "REQUIRE_GROFF"),
        };
        let is_met = self.exists();
        if !is_met {
            let thread = std::thread::current();
            let test = thread.name().unwrap_or_default();
            assert!(
                std::env::var_os(variable).is_none(),
                "{test} needs {name}, and {variable} is set"
            );
            // The test harness captures what macros print, but not this.
            let _ = writeln!(std::io::stderr(), "skipped {test}: it needs {name}");
        }
        is_met
    }

    fn exists(self) -> bool {
        let succeeds = |program: &str, arguments: &[&str]| {
            let mut command = Command::new(program);
            command.args(arguments).stdout(Stdio::null());
            command
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
        };
        match self {
            Self::Root => {
                let file = tempfile::NamedTempFile::new().unwrap();
                chown(file.path(), Some(54_321), None).is_ok()
            }
            Self::Mount => succeeds("unshare", &["-m", "mount", "-t", "tmpfs", "none", "/mnt"]),
            Self::Groff => succeeds("groff", &["--version"]),
        }
    }
}
