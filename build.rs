//! Passes the commit of the source to the compiler as `OKTA_CIAM_COMMIT`, where git knows it. A build from an archive, or
//! without git, gets none and does not fail.

use std::process::Command;

/// What the binary is made of; a change to it that is not committed is marked.
const SOURCES: [&str; 5] = ["src", "crates", "build.rs", "Cargo.toml", "Cargo.lock"];

fn main() {
    for path in SOURCES {
        println!("cargo::rerun-if-changed={path}");
    }
    // An archive that was unpacked inside another repository is not part of that.
    if git(&["rev-parse", "--show-prefix"]).as_deref() != Some("") {
        return;
    }
    let branch = git(&["symbolic-ref", "--quiet", "HEAD"]);
    for name in ["HEAD", "packed-refs"].into_iter().chain(branch.as_deref()) {
        let file = git(&["rev-parse", "--git-path", name]);
        // Cargo would run this script each time for a file that is not there.
        if let Some(file) = file.filter(|file| std::path::Path::new(file).exists()) {
            println!("cargo::rerun-if-changed={file}");
        }
    }
    let Some(commit) = git(&["rev-parse", "HEAD"]) else {
        return;
    };
    let mut status = vec!["status", "--porcelain", "--"];
    status.extend(SOURCES);
    let mark = match git(&status).as_deref() {
        Some("") => "",
        _ => "-dirty",
    };
    println!("cargo::rustc-env=OKTA_CIAM_COMMIT={commit}{mark}");
}

/// What git prints, without the line break at the end.
fn git(arguments: &[&str]) -> Option<String> {
    let ran = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(ran.stdout).ok()?;
    ran.status.success().then(|| text.trim_end().to_owned())
}
