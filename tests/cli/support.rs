//! What every test needs: a folder of its own, the binary with an empty environment, a strict server.

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

/// A server without rate limits: a test that is not about them must not wait for them.
pub fn unlimited() -> Options {
    Options {
        limits: Limits::all(None),
        ..Options::default()
    }
}

/// A server that fails the test on a request that no real client would send, and if nobody ever asked it.
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

    /// A server that must not be asked.
    pub fn unasked() -> Self {
        let mut okta = Self::with(Org::demo());
        okta.must_be_asked = false;
        okta
    }

    /// Requests to a path, in order: the whole address as sent.
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
            "no client should ask this: {unexpected:#?}"
        );
        assert_eq!(
            self.server.count() > 0,
            self.must_be_asked,
            "was the server asked?"
        );
    }
}

/// A folder of the test's own.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The names in it, hidden ones too.
    pub fn names(&self) -> BTreeSet<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    /// The binary in this folder, with nothing in its environment.
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

    /// The same, in bounds that nothing but a mistake comes near: 512 MiB of address space, 20 s of processor time, 512
    /// MiB for each file. Temporary files go to a folder of their own, `tmp`.
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

    /// A sync of a server's org.
    pub fn sync(&self, okta: &Okta, arguments: &[&str]) -> Run {
        self.run(&[&["sync"], arguments].concat())
            .env("BATON_DOMAIN", &okta.origin())
            .env("BATON_API_TOKEN", okta.token())
            .env("BATON_EMAIL_DOMAINS", "example.com,example.org")
    }
}

/// An answer that waits until the other half is dropped.
pub fn gate() -> (std::sync::mpsc::Sender<()>, Action) {
    let (open, closed) = std::sync::mpsc::channel();
    let closed = std::sync::Mutex::new(closed);
    let wait = move |_: &mut Org| {
        let _ = closed.lock().unwrap().recv();
    };
    (open, Action::run(wait))
}

/// Waits until a run makes a file.
pub fn wait_for_file(path: &Path) {
    let begun = Instant::now();
    while !path.exists() {
        assert!(begun.elapsed() < LONGEST, "{} never came", path.display());
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A run to be.
#[must_use]
pub struct Run {
    pub command: Command,
    stdin: Option<Vec<u8>>,
}

/// What takes this long hangs. No test asks for less: machines are slow, and busy with other things.
pub const LONGEST: Duration = Duration::from_secs(900);

impl Run {
    /// Sets a variable; an empty one is set to nothing.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Runs it in a shell that did this first: set a limit, close a file.
    pub fn under(mut self, first: &str) -> Self {
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", &format!("{first}\nexec \"$0\" \"$@\"")])
            .arg(self.command.get_program())
            .args(self.command.get_args())
            .env_clear()
            // For `unshare` and `mount`.
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

    /// Starts it; for tests that do something meanwhile.
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

    /// Runs it to its end.
    pub fn end(self) -> Ran {
        self.start().end()
    }

    /// Runs it to its end, which must be a good one.
    pub fn ok(self) -> Ran {
        self.end().code(0)
    }
}

/// A run under way.
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

    /// The largest part of memory that it had so far, in KiB (VmHWM of proc_pid_status(5)); 0 once it has ended.
    pub fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        kib.and_then(|kib| kib.parse().ok()).unwrap_or(0)
    }

    /// Whether it ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until it does nothing but wait: each of its threads sleeps, however often one looks. Between two looks every
    /// timer of the program has run out, and a thread that has something to do and gets no time does not sleep; so what it
    /// was sent has been stored.
    pub fn settle(&self) {
        const LOOKS: u32 = 4;
        const BETWEEN: Duration = Duration::from_millis(150);
        let tasks = format!("/proc/{}/task", self.child.id());
        let sleeps = |task: std::fs::DirEntry| {
            // After the name in parentheses comes the state (proc_pid_stat(5)). A thread that is gone sleeps.
            let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            let state = stat.rsplit(") ").next().unwrap_or_default();
            state.is_empty() || state.starts_with('S')
        };
        for _ in 0..LOOKS {
            std::thread::sleep(BETWEEN);
            while !std::fs::read_dir(&tasks).unwrap().flatten().all(sleeps) {
                assert!(
                    self.begun.elapsed() < LONGEST,
                    "{} did not settle",
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
            stderr: self.stderr.join().unwrap(),
            call: self.call,
            took: self.begun.elapsed(),
        }
    }
}

/// What came of a run.
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
    call: String,
}

impl Ran {
    /// The run must have ended with this code.
    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "{}\nstdout: {}\nstderr: {}",
            self.call,
            self.stdout,
            self.stderr
        );
        self
    }

    /// stderr must hold this text.
    #[track_caller]
    pub fn says(self, part: &str) -> Self {
        assert!(
            self.stderr.contains(part),
            "{part:?} is not in stderr\n{}\n{}",
            self.call,
            self.stderr
        );
        self
    }

    /// The one line of the error.
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

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

/// A snapshot opened as SQL tools would, not with the project's reader.
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

/// The rows of a query as text, a row a line, columns joined by `|`.
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

/// The only cell of a query.
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

/// What a sync with this scope must find.
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

/// The snapshot holds what is in scope and nothing else, in the plain tables and in Baton's.
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
