use std::io::{BufRead, BufReader, Read, Write};

use super::exchange::now;
use super::*;
use crate::limits::Limits;
use crate::org::{Group, User};
use crate::testing::fault::Action;

struct Client(BufReader<TcpStream>);

struct Received {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Received {
    fn all(&self, name: &str) -> Vec<&str> {
        let headers = self.headers.iter().filter(|(other, _)| other == name);
        headers.map(|(_, value)| value.as_str()).collect()
    }
}

impl Client {
    fn new(server: &Server) -> Self {
        let stream = TcpStream::connect(server.shared.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        Self(BufReader::new(stream))
    }

    fn send(&mut self, server: &Server, request: &str, more: &str) {
        let token = server.token();
        let head =
            format!("{request} HTTP/1.1\r\nHost: x\r\nAuthorization: SSWS {token}\r\n{more}\r\n");
        self.0.get_mut().write_all(head.as_bytes()).unwrap();
    }

    fn receive(&mut self) -> Option<Received> {
        let mut line = String::new();
        if self.0.read_line(&mut line).unwrap() == 0 {
            return None;
        }
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                break;
            };
            headers.push((name.to_owned(), value.to_owned()));
        }
        let mut received = Received {
            status,
            headers,
            body: String::new(),
        };
        let length = received
            .all("Content-Length")
            .first()
            .map(|length| length.parse().unwrap());
        let mut body = vec![0; length.unwrap_or(0)];
        self.0.read_exact(&mut body).ok()?;
        received.body = String::from_utf8(body).unwrap();
        Some(received)
    }

    fn get(&mut self, server: &Server, target: &str) -> Option<Received> {
        self.send(server, &format!("GET {target}"), "User-Agent: test\r\n");
        self.receive()
    }
}

fn small() -> Org {
    let mut org = Org::new();
    org.add_group(Group::new("g", "One"));
    for id in ["a", "b", "c"] {
        org.add_user(User::with_email(id, &format!("{id}@example.com")));
    }
    org
}

#[test]
fn one_connection_serves_several_requests() {
    let server = Server::start(small(), Options::default()).unwrap();
    let mut client = Client::new(&server);
    let page = client.get(&server, "/api/v1/users?limit=2").unwrap();
    assert_eq!(
        (page.status, page.all("Content-Type")),
        (200, vec!["application/json"])
    );
    assert_eq!(page.all("Link").len(), 2, "two lines");
    assert!(page.all("Link")[0].ends_with("/api/v1/users?limit=2>; rel=\"self\""));
    assert!(page.all("Date")[0].ends_with(" GMT"));
    assert_eq!(page.all("X-Rate-Limit-Remaining"), ["599"]);
    assert_eq!(
        page.all("X-Okta-Request-Id"),
        ["req000000000000000000000000"]
    );
    client.send(
        &server,
        "PUT /api/v1/groups/g/users/a",
        "Content-Length: 0\r\n",
    );
    let put = client.receive().unwrap();
    assert_eq!((put.status, put.all("Content-Type").len()), (204, 0));
    assert!(server.org().is_member("g", "a"));
    let members = client.get(&server, "/api/v1/groups/g/users").unwrap();
    assert!(members.body.starts_with("[{\"id\":\"a\""));
    assert_eq!(server.unexpected(), [""; 0]);
    let requests = server.requests();
    let statuses: Vec<u16> = requests.iter().map(|request| request.status).collect();
    assert_eq!(statuses, [200, 204, 200]);
    assert_eq!(requests[0].header("user-agent"), Some("test"));
    assert!(
        requests
            .iter()
            .all(|one| one.authorized && one.in_flight == 1)
    );
    assert!(!format!("{requests:?}").contains(server.token()));
    assert_eq!((server.changes().len(), server.count()), (1, 3));
}

#[test]
fn requests_over_a_limit_get_429_and_are_counted() {
    let options = Options {
        limits: Limits::all(Some(2)),
        clock_offset_seconds: 1000,
        ..Options::default()
    };
    let server = Server::start(small(), options).unwrap();
    let mut client = Client::new(&server);
    let mut get = || client.get(&server, "/api/v1/groups").unwrap();
    let responses = [get(), get(), get()];
    let statuses = responses.each_ref().map(|response| response.status);
    assert_eq!(statuses, [200, 200, 429]);
    let reset: i64 = responses[2].all("X-Rate-Limit-Reset")[0].parse().unwrap();
    assert!((58..=62).contains(&(reset - now(1000) / 1000)));
    let windows = server.windows();
    assert_eq!((windows[0].requests, windows[0].refused), (2, 1));
}

#[test]
fn faults_reach_the_wire() {
    let server = Server::start(small(), Options::default()).unwrap();
    let users = |action| server.fault(Fault::on(Endpoint::Users, action).first(1));
    let get = || Client::new(&server).get(&server, "/api/v1/users");
    users(Action::Close);
    assert!(get().is_none());
    users(Action::CutBody);
    assert!(get().is_none());
    users(Action::html(502));
    assert_eq!(get().unwrap().status, 502);
    users(Action::Drip(Duration::ZERO));
    assert_eq!(get().unwrap().status, 200);
    users(Action::run(|org| assert!(org.remove_user("b"))));
    assert!(!get().unwrap().body.contains("b@example.com"));
    let faulty = server
        .requests()
        .iter()
        .filter(|request| request.faulty)
        .count();
    assert_eq!(faulty, 5);
    let lost = Fault::on(Endpoint::Member, Action::ApplyThenClose).method("PUT");
    server.fault(lost);
    let mut client = Client::new(&server);
    client.send(
        &server,
        "PUT /api/v1/groups/g/users/a",
        "Content-Length: 0\r\n",
    );
    assert!(client.receive().is_none());
    assert!(server.org().is_member("g", "a"));
}

#[test]
fn a_connection_is_reset_and_others_are_refused_for_a_while() {
    let server = Server::start(small(), Options::default()).unwrap();
    server.fault(Fault::any(Action::Reset).nth(1));
    server.fault(Fault::any(Action::Refuse(Duration::from_millis(300))).nth(2));
    let read = || {
        let mut client = Client::new(&server);
        client.send(&server, "GET /api/v1/users", "");
        client.0.read(&mut [0; 16])
    };
    let reset = read().unwrap_err();
    assert_eq!(reset.kind(), io::ErrorKind::ConnectionReset);
    let mut open = Client::new(&server);
    assert_eq!(read().unwrap_or(0), 0);
    assert_eq!(open.0.read(&mut [0; 16]).unwrap_or(0), 0);
    let refused = TcpStream::connect(server.shared.address).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    std::thread::sleep(Duration::from_millis(500));
    let response = Client::new(&server).get(&server, "/api/v1/users");
    assert_eq!(response.unwrap().status, 200);
}

#[test]
fn a_change_is_read_only_after_the_lag() {
    let options = Options {
        read_lag: Duration::from_millis(200),
        ..Options::default()
    };
    let server = Server::start(small(), options).unwrap();
    let mut client = Client::new(&server);
    client.send(
        &server,
        "PUT /api/v1/groups/g/users/a",
        "Content-Length: 0\r\n",
    );
    assert_eq!(client.receive().unwrap().status, 204);
    assert!(server.org().is_member("g", "a"));
    assert_eq!(
        client.get(&server, "/api/v1/groups/g/users").unwrap().body,
        "[]"
    );
    std::thread::sleep(Duration::from_millis(250));
    assert_ne!(
        client.get(&server, "/api/v1/groups/g/users").unwrap().body,
        "[]"
    );
}

#[test]
fn dropping_the_server_ends_answers_that_never_end() {
    let server = Server::start(small(), Options::default()).unwrap();
    server.fault(Fault::any(Action::Endless(Duration::from_millis(1))).nth(1));
    server.fault(Fault::any(Action::Delay(Duration::from_secs(600))).nth(2));
    let mut clients = [
        Client::new(&server),
        Client::new(&server),
        Client::new(&server),
    ];
    for client in &mut clients[..2] {
        client.send(&server, "GET /api/v1/users", "");
    }
    while server.count() < 2 {
        std::thread::yield_now();
    }
    let start = Instant::now();
    drop(server);
    assert!(start.elapsed() < Duration::from_secs(300));
}

#[test]
fn requests_that_are_not_http_are_refused_and_recorded() {
    let server = Server::start(small(), Options::default()).unwrap();
    let mut client = Client::new(&server);
    client.0.get_mut().write_all(b"HELLO\r\n\r\n").unwrap();
    assert_eq!(client.receive().unwrap().status, 400);
    assert_eq!(server.unexpected().len(), 1);
}

/// Run it with `cargo test -p okta-fake --release a_large_org -- --ignored --nocapture`.
#[test]
#[ignore = "measures; needs a release build"]
fn a_large_org_is_served_fast() {
    use crate::Shape;
    let start = Instant::now();
    let org = Org::generated(&Shape {
        users: 1_000_000,
        in_scope: 3000,
        groups: 1000,
        memberships: 3_000_000,
        largest_group: 200_000,
        ..Shape::default()
    });
    let made = start.elapsed();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let memory = resident.and_then(|text| text.split_whitespace().next());
    let memory: u64 = memory.unwrap().parse().unwrap();
    let start = Instant::now();
    let truth = org.truth(
        |attributes| {
            let email = attributes.get("email").and_then(|email| email.as_str());
            email.is_some_and(|email| email.ends_with("@example.com"))
        },
        |_| true,
    );
    let told = start.elapsed();
    let options = Options {
        limits: Limits::all(None),
        log_requests: false,
        ..Options::default()
    };
    let server = Server::start(org, options).unwrap();
    let measure = |target_name: &'static str, target: &str| {
        let mut client = Client::new(&server);
        let (mut target, mut pages, mut bytes) = (target.to_owned(), 0, 0);
        let start = Instant::now();
        while pages < 1000 {
            let page = client.get(&server, &target).unwrap();
            pages += 1;
            bytes += page.body.len();
            let links = page.all("Link");
            let next = links.iter().find(|link| link.ends_with("\"next\""));
            let Some(next) = next else { break };
            let next = next.trim_start_matches('<').split_once('>').unwrap().0;
            target = next.strip_prefix(&server.origin()).unwrap().to_owned();
        }
        let rate = f64::from(pages) / start.elapsed().as_secs_f64();
        (target_name, rate.round(), bytes / pages as usize)
    };
    let found = [
        measure("users", "/api/v1/users?search=status%20pr&limit=200"),
        measure(
            "in scope",
            "/api/v1/users?search=profile.email%20co%20%22%40example.com%22&limit=200",
        ),
        measure(
            "created",
            "/api/v1/users?search=created%20gt%20%222020-01-01T00:00:00Z%22&limit=200",
        ),
        measure("groups", "/api/v1/groups?expand=stats&limit=200"),
        measure(
            "members",
            &format!("/api/v1/groups/{}/users?limit=1000", truth.groups[1]),
        ),
    ];
    let counts = (truth.users.len(), truth.memberships.len());
    let all = format!("made in {made:?}, {memory} kB, truth in {told:?} {counts:?}, {found:?}");
    assert!(
        made < Duration::from_secs(20) && memory < 1_500_000,
        "{all}"
    );
    assert!(found[0].1 > 1500.0, "{all}");
    // The numbers are the purpose of this test.
    io::stderr().write_all(all.as_bytes()).unwrap();
}
