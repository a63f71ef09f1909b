//! Tests output and input on a terminal, using a pseudo-terminal.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use okta_fake::{Action, Endpoint, Fault, Group, Org, User};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::support::{Folder, LONGEST, Okta, Run};

/// A run whose controlling terminal is a new pseudo-terminal, so that Ctrl-C sends a signal.
pub struct Terminal {
    keyboard: File,
    shown: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
    child: Child,
}

impl Terminal {
    /// Starts a run on a terminal with this number of columns.
    pub fn start(run: Run, columns: u16) -> Self {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let name = ptsname(&keyboard, Vec::new()).unwrap();
        let screen = File::options()
            .read(true)
            .write(true)
            .open(name.to_str().unwrap())
            .unwrap();
        let size = Winsize {
            ws_row: 24,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(screen.as_fd(), size).unwrap();
        let stdio = || Stdio::from(screen.try_clone().unwrap());
        let mut command = run
            .env("TERM", "xterm")
            .under("exec setsid -c -w \"$0\" \"$@\"")
            .command;
        command.stdin(stdio()).stdout(stdio()).stderr(stdio());
        let child = command.spawn().unwrap();
        // Otherwise this process would keep the terminal open, and reading from it would not end.
        drop((command, screen));
        let keyboard = File::from(keyboard);
        let shown = Arc::new(Mutex::new(Vec::new()));
        let (mut output, text) = (keyboard.try_clone().unwrap(), Arc::clone(&shown));
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Reading fails with EIO after the last program has closed the terminal.
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                text.lock().unwrap().extend_from_slice(&bytes[..count]);
            }
        });
        Self {
            keyboard,
            shown,
            reader,
            child,
        }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    /// Waits until the terminal shows a text.
    pub fn wait_for(&mut self, part: &str) {
        let begun = Instant::now();
        while !self.text().contains(part) {
            assert!(
                begun.elapsed() < LONGEST,
                "{part:?} was never shown: {}",
                self.text()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn type_keys(&mut self, keys: &str) {
        // Writing fails if the program has just ended.
        let _ = self.keyboard.write_all(keys.as_bytes());
    }

    /// Waits for the end of the run, and returns the exit code and everything that was shown.
    pub fn end(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap();
        self.reader.join().unwrap();
        let shown = String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned();
        (status.code(), shown)
    }
}

const ENTER: &str = "\n";
const CTRL_C: &str = "\u{3}";
const CTRL_D: &str = "\u{4}";

fn org_of_one_membership() -> Org {
    let mut org = Org::new();
    org.add_user(User::with_email("00uada", "ada@example.com"));
    org.add_group(Group::new("00gteam", "team"));
    assert!(org.join("00gteam", "00uada"));
    org
}

fn revoke(folder: &Folder, okta: &Okta) -> Run {
    folder
        .run(&["revoke", "--user", "ada@example.com", "--group", "team"])
        .env("BATON_DOMAIN", &okta.origin())
        .env("BATON_API_TOKEN", okta.token())
        .env("BATON_EMAIL_DOMAINS", "example.com")
        .env("BATON_PROVISIONING", "true")
}

#[test]
fn a_revoke_is_sent_only_after_yes() {
    for (keys, code, changes) in [
        (format!("y{ENTER}"), 0, 1),
        (format!("Yes{ENTER}"), 0, 1),
        (format!("n{ENTER}"), 4, 0),
        (ENTER.to_owned(), 4, 0),
        (format!("yep{ENTER}"), 4, 0),
        (CTRL_D.to_owned(), 4, 0),
        (CTRL_C.to_owned(), 130, 0),
    ] {
        let folder = Folder::new();
        let okta = Okta::with(org_of_one_membership());
        let mut terminal = Terminal::start(revoke(&folder, &okta), 100);
        terminal.wait_for("[y/N]");
        terminal.type_keys(&keys);
        let (ended, shown) = terminal.end();
        assert_eq!(ended, Some(code), "{keys:?}: {shown}");
        assert_eq!(okta.changes().len(), changes, "{keys:?}: {shown}");
    }
}

#[test]
fn a_second_ctrl_c_ends_a_run_that_is_finishing_after_the_first() {
    let folder = Folder::new();
    let okta = Okta::with(org_of_one_membership());
    // After a signal, the program waits some seconds for a change in flight.
    okta.fault(Fault::on(
        Endpoint::Member,
        Action::Delay(Duration::from_secs(3_600)),
    ));
    let mut terminal = Terminal::start(revoke(&folder, &okta), 100);
    terminal.wait_for("[y/N]");
    terminal.type_keys(&format!("y{ENTER}"));
    while okta
        .requests()
        .iter()
        .all(|request| request.method == "GET")
    {
        std::thread::sleep(Duration::from_millis(5));
    }
    // Two signals that arrive at the same time count as one, so the key is pressed until the program has received two.
    while terminal.child.try_wait().unwrap().is_none() {
        terminal.type_keys(CTRL_C);
        std::thread::sleep(Duration::from_millis(20));
    }
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(130), "{shown}");
    assert!(
        !shown.contains("error:"),
        "the run ended by itself: {shown}"
    );
    okta.change_options(|options| *options = crate::support::unlimited());
}

#[test]
fn a_sync_draws_progress_bars_only_on_a_terminal() {
    let folder = Folder::new();
    let okta = Okta::with(Org::demo());
    okta.change_options(|options| options.latency = Duration::from_millis(150));
    let (code, shown) = Terminal::start(folder.sync(&okta, &[]), 100).end();
    assert_eq!(code, Some(0), "{shown}");
    assert!(
        shown.contains("memberships ") && shown.contains("\u{1b}["),
        "{shown:?}"
    );
    let ran = folder.sync(&okta, &[]).ok();
    assert!(!(ran.stdout + &ran.stderr).contains('\u{1b}'));
    for quiet in [["--quiet"].as_slice(), &["--log-format", "json"]] {
        let (_, shown) = Terminal::start(folder.sync(&okta, quiet), 100).end();
        assert!(!shown.contains('\u{1b}'), "{quiet:?}: {shown:?}");
    }
    let dumb = folder.sync(&okta, &[]).under("export TERM=dumb");
    let (_, shown) = Terminal::start(dumb, 100).end();
    assert!(!shown.contains("\u{1b}[2K"), "{shown:?}");
}

#[test]
fn a_sync_names_the_next_command_on_a_terminal_only_and_the_command_works() {
    let folder = Folder::new();
    let okta = Okta::with(Org::demo());
    let (code, shown) = Terminal::start(folder.sync(&okta, &[]), 100).end();
    assert_eq!(code, Some(0), "{shown}");
    let line = shown.lines().find(|line| line.starts_with("next: "));
    let line = line.unwrap_or_else(|| panic!("{shown}"));
    let words: Vec<&str> = line.split_whitespace().skip(2).collect();
    let ran = folder.run(&words).ok();
    assert!(ran.stdout.contains("SUSPENDED"), "{}", ran.stdout);
    for more in [&[][..], &["--output", "json"], &["--quiet"]] {
        let ran = folder.sync(&okta, more).ok();
        assert!(!(ran.stdout + &ran.stderr).contains("next: "));
    }
}

#[test]
fn check_and_tables_fit_a_narrow_terminal() {
    let folder = Folder::new();
    let okta = Okta::with(Org::demo());
    folder.sync(&okta, &[]).ok();
    let check = || {
        let run = folder.run(&["check"]);
        run.env("BATON_DOMAIN", &okta.origin())
            .env("BATON_API_TOKEN", okta.token())
            .env("BATON_EMAIL_DOMAINS", "example.com")
    };
    for columns in [60, 100] {
        for run in [
            check(),
            folder.run(&["show", "memberships"]),
            folder.run(&["show", "users"]),
        ] {
            let (code, shown) = Terminal::start(run, columns).end();
            assert_eq!(code, Some(0), "{shown}");
            for line in shown.lines().filter(|line| !line.contains("note:")) {
                let line = line.trim_end();
                assert!(line.chars().count() <= usize::from(columns), "{line}");
            }
        }
    }
    let (_, shown) = Terminal::start(check(), 60).end();
    let words: Vec<&str> = shown.split_whitespace().collect();
    assert!(
        words
            .join(" ")
            .contains("this token can change the members of every OKTA_GROUP group (SUPER_ADMIN)"),
        "{shown}"
    );
}
