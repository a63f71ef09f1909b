//! The tools of all tests: a folder per test, the binary with an empty environment, and a strict server.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use okta_ciam::testing::filter::{Addresses, Domain, NameFilter, Scope};
use okta_fake::{Action, Limits, Options, Org, Server, Truth};
use rusqlite::Connection;
use serde_json::Value;

mod requirement;
mod stderr;

pub use requirement::Requirement;
pub use stderr::Stderr;

/// Returns options without rate limits, so that tests about other things do not wait for them.
pub fn unlimited() -> Options {
    Options {
        limits: Limits::all(None),
        ..Options::default()
    }
}

/// A server that fails the test if it receives a request that no real client would send, or no request at all.
pub struct Okta {
    server: Server,
    must_be_asked: bool,
}

impl Okta {
    pub fn with(org: Org) -> Self {
        Self::with_options(org, unlimited())
    }

    pub fn with_options(org: Org, options: Options) -> Self {
        Self {
            server: Server::start(org, options).unwrap(),
            must_be_asked: true,
        }
    }

    /// Starts a server that must not receive any requests.
    pub fn unasked() -> Self {
        let mut okta = Self::with(Org::demo());
        okta.must_be_asked = false;
        okta
    }

    /// Returns the requests to a path in order, each as the address that was sent.
    pub fn asked(&self, path: &str) -> Vec<String> {
        let requests = self.server.requests();
        let there = requests.iter().filter(|request| request.path == path);
        there
            .map(|request| format!("{}?{}", request.path, request.query))
            .collect()
    }
}

impl Deref for Okta {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl Drop for Okta {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let unexpected = self.server.unexpected();
        assert!(
            unexpected.is_empty(),
            "no client should send these requests: {unexpected:#?}"
        );
        assert_eq!(
            self.server.count() > 0,
            self.must_be_asked,
            "a server must get requests, unless none are allowed"
        );
    }
}

/// A temporary folder for a test.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Returns the names in the folder, including hidden ones.
    pub fn names(&self) -> BTreeSet<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    /// Returns a run of the binary in this folder, with an empty environment.
    pub fn run(&self, arguments: &[&str]) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_okta-ciam"));
        command
            .env_clear()
            .current_dir(self.0.path())
            .args(arguments);
        Run {
            command,
            stdin: None,
        }
    }

    /// Returns a run with limits that only a bug can reach: 512 MiB of address space, 20 s of processor time, and 512
    /// MiB for each file. Temporary files go to the folder `tmp`.
    pub fn bounded(&self, arguments: &[&str]) -> Run {
        let temporary = self.path("tmp");
        std::fs::create_dir_all(&temporary).unwrap();
        let mut command = Command::new("/bin/sh");
        command
            .env_clear()
            .env("TMPDIR", temporary)
            .current_dir(self.0.path())
            .arg("-c")
            .arg("ulimit -v 524288 && ulimit -t 20 && ulimit -f 1048576 && exec \"$0\" \"$@\"")
            .arg(env!("CARGO_BIN_EXE_okta-ciam"))
            .args(arguments);
        Run {
            command,
            stdin: None,
        }
    }

    /// Returns a sync of a server's org.
    pub fn sync(&self, okta: &Okta, arguments: &[&str]) -> Run {
        self.run(&[&["sync"], arguments].concat())
            .env("BATON_DOMAIN", &okta.origin())
            .env("BATON_API_TOKEN", okta.token())
            .env("BATON_EMAIL_DOMAINS", "example.com,example.org")
    }
}

/// Returns a fault that delays a response until the sender is dropped.
pub fn gate() -> (std::sync::mpsc::Sender<()>, Action) {
    let (open, closed) = std::sync::mpsc::channel();
    let closed = std::sync::Mutex::new(closed);
    let wait = move |_: &mut Org| {
        let _ = closed.lock().unwrap().recv();
    };
    (open, Action::run(wait))
}

/// Waits until a run creates a file.
pub fn wait_for_file(path: &Path) {
    let begun = Instant::now();
    while !path.exists() {
        assert!(
            begun.elapsed() < LONGEST,
            "{} was never created",
            path.display()
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A run that was not started yet.
#[must_use]
pub struct Run {
    pub command: Command,
    stdin: Option<Vec<u8>>,
}

/// The time after which a run is considered to hang. It is long, since machines may be slow and busy.
pub const LONGEST: Duration = Duration::from_secs(900);

impl Run {
    /// Sets a variable, which may be empty.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Runs the binary in a shell after these commands, for example to set a limit or close a file.
    pub fn under(mut self, first: &str) -> Self {
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", &format!("{first}\nexec \"$0\" \"$@\"")])
            .arg(self.command.get_program())
            .args(self.command.get_args())
            .env_clear()
            // The folders of `unshare` and `mount`.
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        for (name, value) in self.command.get_envs() {
            shell.env(name, value.unwrap_or_default());
        }
        if let Some(folder) = self.command.get_current_dir() {
            shell.current_dir(folder);
        }
        self.command = shell;
        self
    }

    pub fn stdin(mut self, bytes: &[u8]) -> Self {
        self.stdin = Some(bytes.to_owned());
        self
    }

    /// Starts the run without waiting for its end.
    pub fn start(mut self) -> Running {
        let input = if self.stdin.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        };
        let mut child = self
            .command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        if let Some(bytes) = self.stdin {
            child.stdin.take().unwrap().write_all(&bytes).unwrap();
        }
        let read = |mut from: Box<dyn std::io::Read + Send>| {
            std::thread::spawn(move || {
                let mut text = String::new();
                from.read_to_string(&mut text).unwrap();
                text
            })
        };
        let stdout = read(Box::new(child.stdout.take().unwrap()));
        let stderr = read(Box::new(child.stderr.take().unwrap()));
        let call = format!("{:?}", self.command);
        Running {
            child,
            stdout,
            stderr,
            call,
            begun: Instant::now(),
        }
    }

    /// Runs the binary to its end.
    pub fn end(self) -> Ran {
        self.start().end()
    }

    /// Runs the binary to its end and checks that it succeeded.
    pub fn ok(self) -> Ran {
        self.end().code(0)
    }
}

/// A run that was started.
pub struct Running {
    child: Child,
    stdout: std::thread::JoinHandle<String>,
    stderr: std::thread::JoinHandle<String>,
    call: String,
    begun: Instant,
}

impl Running {
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status();
        assert!(status.unwrap().success());
    }

    /// Returns the peak of the memory use so far, in KiB (VmHWM of proc_pid_status(5)); 0 after the end.
    pub fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        kib.and_then(|kib| kib.parse().ok()).unwrap_or(0)
    }

    /// Returns true if the run has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until the program only waits, which means that all of its threads sleep each time that this is checked.
    /// Between two checks, all timers of the program expire, and a thread that is ready but gets no processor time does
    /// not count as sleeping. Therefore, everything that the program has received is stored by then.
    pub fn settle(&self) {
        const LOOKS: u32 = 4;
        const BETWEEN: Duration = Duration::from_millis(150);
        let tasks = format!("/proc/{}/task", self.child.id());
        let sleeps = |task: std::fs::DirEntry| {
            // The state follows the name in parentheses (proc_pid_stat(5)). A thread that no longer exists counts as
            // sleeping.
            let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            let state = stat.rsplit(") ").next().unwrap_or_default();
            state.is_empty() || state.starts_with('S')
        };
        for _ in 0..LOOKS {
            std::thread::sleep(BETWEEN);
            while !std::fs::read_dir(&tasks).unwrap().flatten().all(sleeps) {
                assert!(
                    self.begun.elapsed() < LONGEST,
                    "{} never settled",
                    self.call
                );
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    pub fn end(mut self) -> Ran {
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if self.begun.elapsed() > LONGEST {
                self.child.kill().unwrap();
                panic!("{} did not end", self.call);
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        Ran {
            code: status.code(),
            stdout: self.stdout.join().unwrap(),
            stderr: Stderr::new(self.stderr.join().unwrap(), self.call.clone()),
            call: self.call,
            took: self.begun.elapsed(),
        }
    }
}

/// The result of a run.
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: Stderr,
    pub took: Duration,
    call: String,
}

impl Ran {
    /// Checks the exit code.
    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "{}\nstdout: {}\nstderr: {}",
            self.call,
            self.stdout,
            self.stderr.unread()
        );
        self
    }

    /// Checks that the run failed with this exit code and with an error that contains this text.
    #[track_caller]
    pub fn fails(self, code: i32, part: &str) -> Self {
        let ran = self.code(code);
        assert_ne!(part, "", "every text contains the empty text");
        let error = ran.error();
        assert!(
            error.contains(part),
            "{part:?} is not in {error}\n{}",
            ran.call
        );
        ran
    }

    /// Checks that stderr contains this text.
    #[track_caller]
    pub fn says(self, part: &str) -> Self {
        assert_ne!(part, "", "every text contains the empty text");
        assert!(
            self.stderr.contains(part),
            "{part:?} is not in stderr\n{}\n{}",
            self.call,
            self.stderr
        );
        self
    }

    /// Returns the line with the error.
    #[track_caller]
    pub fn error(&self) -> &str {
        let errors: Vec<&str> = self
            .stderr
            .lines()
            .filter(|line| line.contains(" error: "))
            .collect();
        assert_eq!(errors.len(), 1, "{}\n{}", self.call, self.stderr);
        errors[0]
    }

    /// Returns stdout as JSON, which repeats the error of a run that failed.
    pub fn json(&self) -> Value {
        let value: Value = serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", self.stdout));
        if value.get("error").is_some() {
            self.stderr.mark_read();
        }
        value
    }
}

/// Opens a snapshot with SQLite alone, as other tools would.
pub fn open(path: &Path) -> Connection {
    let bytes = std::fs::read(path).unwrap();
    let database = match bytes.strip_prefix(b"C1ZF\0") {
        Some(frames) => zstd::decode_all(frames).unwrap(),
        None => bytes,
    };
    let mut db = Connection::open_in_memory().unwrap();
    let size = database.len();
    db.deserialize_read_exact("main", database.as_slice(), size, true)
        .unwrap();
    let whole: String = db
        .query_row("pragma integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(whole, "ok");
    db
}

/// Returns the rows of a query as text, with columns joined by `|`.
pub fn rows(db: &Connection, query: &str) -> Vec<String> {
    let mut select = db.prepare(query).unwrap();
    let columns = select.column_count();
    let line = |row: &rusqlite::Row<'_>| {
        let cells = (0..columns).map(|column| match row.get_ref(column).unwrap() {
            rusqlite::types::ValueRef::Null => "NULL".to_owned(),
            rusqlite::types::ValueRef::Integer(number) => number.to_string(),
            rusqlite::types::ValueRef::Real(number) => number.to_string(),
            rusqlite::types::ValueRef::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
            rusqlite::types::ValueRef::Blob(blob) => {
                blob.iter().map(|byte| format!("{byte:02x}")).collect()
            }
        });
        Ok(cells.collect::<Vec<_>>().join("|"))
    };
    select
        .query_map([], line)
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

/// Returns the only cell of a query.
pub fn cell(db: &Connection, query: &str) -> String {
    let rows = rows(db, query);
    assert_eq!(rows.len(), 1, "{query}: {rows:?}");
    rows.into_iter().next().unwrap()
}

pub fn scope(domains: &[&str], name: Option<&str>) -> Scope {
    let domains = domains
        .iter()
        .map(|domain| Domain::parse(domain).unwrap())
        .collect();
    Scope::new(
        domains,
        false,
        name.map(|name| NameFilter::parse(name).unwrap()),
    )
}

/// Returns what a sync with this scope must find.
pub fn truth(org: &Org, scope: &Scope) -> Truth {
    org.truth(
        |attributes| {
            let text = |key| attributes.get(key).and_then(Value::as_str);
            let addresses = Addresses {
                email: text("email"),
                login: text("login"),
                second_email: text("secondEmail"),
            };
            scope.user(addresses).is_some()
        },
        |name| scope.group(name),
    )
}

/// Checks that the snapshot contains exactly what is in scope, both in okta-ciam's tables and in Baton's.
pub fn assert_holds_the_truth(path: &Path, okta: &Okta, scope: &Scope) {
    let truth = truth(&okta.org(), scope);
    let db = open(path);
    let texts =
        |ids: &[std::sync::Arc<str>]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        rows(&db, "select id from users order by id"),
        texts(&truth.users)
    );
    assert_eq!(
        rows(&db, "select id from groups order by id"),
        texts(&truth.groups)
    );
    let memberships: Vec<String> = truth
        .memberships
        .iter()
        .map(|(user, group)| format!("{user}|{group}"))
        .collect();
    assert_eq!(
        rows(
            &db,
            "select user_id, group_id from memberships order by 1, 2"
        ),
        memberships
    );
    let baton = "select substr(external_id, length(resource_type_id) + 2) from v1_resources where resource_type_id = ";
    assert_eq!(
        rows(&db, &format!("{baton} 'user' order by 1")),
        texts(&truth.users)
    );
    assert_eq!(
        rows(&db, &format!("{baton} 'group' order by 1")),
        texts(&truth.groups)
    );
    let grants = "select principal_resource_id, resource_id from v1_grants order by 1, 2";
    assert_eq!(rows(&db, grants), memberships);
}

/// Copies the program. Another process writes the copy: a test that starts a program at the same moment would inherit a
/// file of ours that is open for writing, and the copy could not be run ("Text file busy").
pub fn copy_program(to: &Path) {
    let copied = Command::new("cp")
        .arg(env!("CARGO_BIN_EXE_okta-ciam"))
        .arg(to)
        .status();
    assert!(copied.unwrap().success(), "{}", to.display());
}
