//! The org's server, in a separate process, so that its cost is not part of the tool's.
//!
//! It serves the tool over HTTP. The benchmark controls it over stdin and stdout, with a line of text per command and a
//! line of JSON per result. It exits when stdin is closed.

use std::io::{self, BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use okta_ciam::testing::filter::{Addresses, Domain, Scope};
use okta_fake::{Endpoint, Limits, Options, Org, Server, Truth};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cases::{Case, OrgSizes};

/// The email domain in scope.
pub const DOMAIN: &str = "example.com";

/// The numbers of requests since the last `reset`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RequestCounts {
    pub requests: u64,
    /// The number of responses with 429.
    pub refused: u64,
    /// The number of requests for the user list.
    pub users: u64,
    /// Requests that a client should never send.
    pub unexpected: Vec<String>,
}

/// A rate-limit window.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Window {
    pub bucket: String,
    pub started_ms: i64,
    pub requests: u64,
    pub refused: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Up {
    origin: String,
    token: String,
    sizes: OrgSizes,
}

/// Runs as the server.
pub fn serve(case: &str) -> anyhow::Result<()> {
    let case: Case = serde_json::from_str(case)?;
    let org = Org::generated(&case.shape());
    let sizes = sizes(&org, case.prefilter)?;
    let server = Server::start(
        org,
        Options {
            latency: Duration::from_millis(case.latency_ms),
            limits: Limits::all(case.rate_limit),
            ..Options::default()
        },
    )?;
    print_line(&Up {
        origin: server.origin(),
        token: server.token().to_owned(),
        sizes,
    })?;
    for line in io::stdin().lines() {
        let line = line?;
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("reset", _) => {
                server.clear_requests();
                print_line(&Value::Null)?;
            }
            ("count", _) => print_line(&request_counts(&server))?,
            ("targets", file) => print_line(&write_targets(&server, Path::new(file))?)?,
            ("windows", _) => print_line(&windows(&server))?,
            ("unlimit", _) => {
                server.change_options(|options| options.limits = Limits::all(None));
                print_line(&Value::Null)?;
            }
            ("quit", _) => break,
            _ => bail!("unknown command {line:?}"),
        }
    }
    Ok(())
}

fn print_line(result: &impl Serialize) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(result)?)?;
    Ok(out.flush()?)
}

/// Returns the expected result of a sync with this scope.
fn truth(org: &Org, scope: &Scope) -> Truth {
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

fn sizes(org: &Org, skip_secondary: bool) -> anyhow::Result<OrgSizes> {
    let scope = Scope::new(vec![Domain::parse(DOMAIN)?], skip_secondary, None);
    let at = format!("@{DOMAIN}");
    let matching = org.users().filter(|user| {
        let attributes = user.attributes();
        ["email", "login"].iter().any(|key| {
            let value = attributes.get(*key).and_then(Value::as_str);
            value.is_some_and(|text| text.to_lowercase().contains(&at))
        })
    });
    let users_matching = matching.count() as u64;
    let truth = truth(org, &scope);
    let mut sizes = OrgSizes {
        users: org.users().count() as u64,
        users_in_scope: truth.users.len() as u64,
        users_matching,
        groups: org.groups().count() as u64,
        memberships_in_scope: truth.memberships.len() as u64,
        members: 0,
        member_pages: 0,
        largest_group_pages: 0,
    };
    for group in org.groups().filter(|group| !group.is_everyone()) {
        sizes.add_group(org.members(&group.id).len() as u64);
    }
    Ok(sizes)
}

fn request_counts(server: &Server) -> RequestCounts {
    let requests = server.requests();
    let count = |wanted: &dyn Fn(&okta_fake::Request) -> bool| {
        requests.iter().filter(|request| wanted(request)).count() as u64
    };
    RequestCounts {
        requests: requests.len() as u64,
        refused: count(&|request| request.status == 429),
        users: count(&|request| request.endpoint == Endpoint::Users),
        unexpected: server.unexpected(),
    }
}

/// Writes one request per line: the content type, which decides which parts of a user are sent, a tab, and the path
/// with the query.
fn write_targets(server: &Server, file: &Path) -> anyhow::Result<usize> {
    let mut lines = String::new();
    let requests = server.requests();
    let successful = requests.iter().filter(|request| request.status == 200);
    let mut count = 0;
    for request in successful {
        ensure!(
            request.method == "GET",
            "a sync must not send {}",
            request.method
        );
        let content_type = request.header("content-type").unwrap_or_default();
        lines.push_str(content_type);
        lines.push('\t');
        lines.push_str(&request.path);
        if !request.query.is_empty() {
            lines.push('?');
            lines.push_str(&request.query);
        }
        lines.push('\n');
        count += 1;
    }
    std::fs::write(file, lines)?;
    Ok(count)
}

fn windows(server: &Server) -> Vec<Window> {
    let windows = server.windows().into_iter();
    windows
        .map(|window| Window {
            bucket: format!("{:?}", window.bucket),
            started_ms: window.started,
            requests: window.requests,
            refused: window.refused,
        })
        .collect()
}

/// The benchmark's handle to the server, which stops when the handle is dropped.
pub struct Running {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    pub origin: String,
    pub token: String,
    pub sizes: OrgSizes,
}

impl Running {
    pub fn start(case: &Case) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["__server", &serde_json::to_string(case)?])
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the server")?;
        let to = child.stdin.take().context("the server has no stdin")?;
        let from = child.stdout.take().context("the server has no stdout")?;
        let mut from = BufReader::new(from);
        let Up {
            origin,
            token,
            sizes,
        } = read(&mut from)?;
        Ok(Self {
            child,
            to,
            from,
            origin,
            token,
            sizes,
        })
    }

    fn command<T: DeserializeOwned>(&mut self, line: &str) -> anyhow::Result<T> {
        writeln!(self.to, "{line}").context("the server has exited")?;
        read(&mut self.from)
    }

    /// Discards the requests so far.
    pub fn reset(&mut self) -> anyhow::Result<()> {
        self.command("reset")
    }

    /// Returns the numbers of requests since the last `reset`, or an error if a client should never send one of them.
    pub fn request_counts(&mut self) -> anyhow::Result<RequestCounts> {
        let counts: RequestCounts = self.command("count")?;
        let unexpected = &counts.unexpected;
        ensure!(unexpected.is_empty(), "unexpected: {}", json!(unexpected));
        Ok(counts)
    }

    /// Writes the successful requests since the last `reset` to a file for the floor, and returns their number.
    pub fn write_targets(&mut self, file: &Path) -> anyhow::Result<u64> {
        self.command(&format!("targets {}", file.display()))
    }

    /// Removes the rate limits.
    pub fn unlimit(&mut self) -> anyhow::Result<()> {
        self.command("unlimit")
    }

    /// Returns all rate-limit windows since the start.
    pub fn windows(&mut self) -> anyhow::Result<Vec<Window>> {
        self.command("windows")
    }
}

fn read<T: DeserializeOwned>(from: &mut impl BufRead) -> anyhow::Result<T> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    ensure!(!line.is_empty(), "the server has exited");
    Ok(serde_json::from_str(&line)?)
}

impl Drop for Running {
    fn drop(&mut self) {
        // This fails if the server has already exited, which is not an error.
        let _ = writeln!(self.to, "quit");
        let _ = self.child.wait();
    }
}
