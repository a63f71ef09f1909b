//! Tests input from outside the org: environment variables, proxies, and malicious responses. The token must never be
//! printed.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use okta_fake::{Action, Endpoint, Fault, Org, Reply};

use crate::support::{Folder, Okta, Run};

/// Returns the content of all files and the output of a run.
fn everything(folder: &Folder, ran: &crate::support::Ran) -> Vec<u8> {
    let mut all = format!("{}{}", ran.stdout, ran.stderr).into_bytes();
    for name in folder.names() {
        let bytes = std::fs::read(folder.path(&name)).unwrap_or_default();
        match bytes.strip_prefix(b"C1ZF\0") {
            Some(frames) => all.extend(zstd::decode_all(frames).unwrap()),
            None => all.extend(bytes),
        }
    }
    all
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

#[test]
fn a_token_in_a_response_is_masked_everywhere() {
    let okta = Okta::with(Org::demo());
    let token = okta.token().to_owned();
    let summary = format!("no permission for Authorization: SSWS {token}");
    let body = serde_json::json!({"errorCode": "E0000006", "errorSummary": summary}).to_string();
    let reply = Reply::new(403, "application/json", body).header("X-Okta-Request-Id", &token);
    let refuse = Action::Reply(reply);
    let folder = Folder::new();
    let members = Fault::on(Endpoint::Members, refuse.clone());
    okta.fault(members);
    let arguments = [
        "--allow-partial",
        "--memberships-by",
        "group",
        "--log-level",
        "trace",
        "--output",
        "json",
        "--manifest",
        "m.json",
    ];
    let ran = folder.sync(&okta, &arguments).ok();
    let all = everything(&folder, &ran);
    assert!(holds(&all, "no permission for Authorization: SSWS ***"));
    assert!(!holds(&all, &token));
    okta.clear_faults();
    okta.fault(Fault::on(Endpoint::Member, refuse.clone()));
    let arguments = [
        "revoke",
        "--user",
        "mira.okonjo@example.com",
        "--group",
        "VPN users",
        "--yes",
        "--provisioning",
        "--audit-log",
        "log",
        "--log-level",
        "trace",
    ];
    let ran = with(&folder, &okta, &arguments).end().code(5);
    let all = everything(&folder, &ran);
    assert!(holds(&all, "SSWS ***") && !holds(&all, &token));
    okta.clear_faults();
    okta.fault(Fault::any(refuse));
    let ran = folder.sync(&okta, &["--log-level", "trace"]).end().code(5);
    let all = everything(&folder, &ran);
    assert!(holds(&all, "SSWS ***") && !holds(&all, &token));
}

fn with(folder: &Folder, okta: &Okta, arguments: &[&str]) -> Run {
    folder
        .run(arguments)
        .env("BATON_DOMAIN", &okta.origin())
        .env("BATON_API_TOKEN", okta.token())
        .env("BATON_EMAIL_DOMAINS", "example.com")
}

#[test]
fn a_token_in_the_wrong_place_is_not_printed() {
    let okta = Okta::unasked();
    let folder = Folder::new();
    let token = "00aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789abcd";
    for name in [
        "BATON_API_TOKEN_FILE",
        "BATON_CA_FILE",
        "BATON_DOMAIN",
        "BATON_EMAIL_DOMAINS",
        "BATON_DEADLINE",
        "BATON_CONCURRENCY",
        "BATON_FILE",
        "BATON_LOG_FORMAT",
        "BATON_LOG_LEVEL",
        "BATON_MAX_API_CAPACITY",
        "BATON_MAX_DROP",
        "BATON_MEMBERSHIPS_BY",
        "BATON_OUTPUT",
        "BATON_SKIP_SECONDARY_EMAILS",
        "BATON_TIMEOUT",
        "HTTPS_PROXY",
    ] {
        let run = folder.sync(&okta, &[]);
        let run = if name == "BATON_API_TOKEN_FILE" {
            run.without("BATON_API_TOKEN")
        } else {
            run
        };
        let run = if name == "HTTPS_PROXY" {
            run.env("BATON_DOMAIN", "company.okta.com")
        } else {
            run
        };
        // In the variable of a proxy, the token would be a host.
        let value = if name == "HTTPS_PROXY" {
            format!("http://me:{token}@a b")
        } else {
            token.to_owned()
        };
        let ran = run.env(name, &value).end().code(2);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!said.contains(token), "{name}: {said}");
        assert!(said.contains(name), "{name}: {said}");
    }
    for arguments in [
        &["sync", token][..],
        &["sync", "--api_token", token],
        &["sync", "--concurrency", token],
        &["sync", "--output", token],
        &[token],
        &["show", "user", "-f", token, token],
    ] {
        let ran = folder.run(arguments).end().code(2);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!said.contains(token), "{arguments:?}: {said}");
    }
}

fn gzipped(body: &[u8]) -> Reply {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(body).unwrap();
    Reply::new(200, "application/json", packed.finish().unwrap()).header("Content-Encoding", "gzip")
}

#[test]
#[ignore = "long"]
fn no_response_takes_more_than_300_mb_of_memory() {
    const SIZE: usize = 60 << 20;
    let filled = |before: &str, part: &str, after: &str| {
        let mut body = before.to_owned();
        while body.len() < SIZE {
            body.push_str(part);
        }
        (body + after).into_bytes()
    };
    let bodies = [
        (
            "rows",
            filled(
                "[{\"id\":\"00u0\"}",
                ",{\"id\":\"00u1\",\"profile\":{}}",
                "]",
            ),
        ),
        ("small rows", filled("[{}", ",{}", "]")),
        (
            "values",
            filled("[{\"id\":\"00u0\",\"profile\":{\"a\":[0", ",0", "]}}]"),
        ),
        (
            "keys",
            filled("[{\"id\":\"00u0\",\"profile\":{\"a\":0", ",\"b\":0", "}}]"),
        ),
        ("depth", filled("[", "[", "]")),
        (
            "objects",
            filled("[{\"id\":\"00u0\",\"profile\":{\"a\":", "{\"a\":", "}}]"),
        ),
        (
            "a text",
            filled(
                "[{\"id\":\"00u0\",\"profile\":{\"a\":\"",
                "aaaaaaaa",
                "\"}}]",
            ),
        ),
        (
            "escapes",
            filled(
                "[{\"id\":\"00u0\",\"profile\":{\"a\":\"",
                "\\u0061",
                "\"}}]",
            ),
        ),
        (
            "an error",
            filled(
                "{\"errorCode\":\"E0000006\",\"errorSummary\":\"",
                "aaaaaaaa",
                "\"}",
            ),
        ),
    ];
    for (name, body) in bodies {
        for endpoint in [Endpoint::Users, Endpoint::Groups] {
            // Both have the same limits.
            if endpoint == Endpoint::Groups && !matches!(name, "rows" | "values") {
                continue;
            }
            let okta = Okta::with(Org::demo());
            let mut reply = gzipped(&body);
            assert!(reply.body.len() < 1 << 20, "{name}");
            if name == "an error" {
                reply.status = 403;
            }
            okta.fault(Fault::on(endpoint, Action::Reply(reply)).first(2));
            let folder = Folder::new();
            let mut running = folder.sync(&okta, &[]).start();
            let mut peak = 0;
            while !running.has_ended() {
                peak = peak.max(running.peak());
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            let ran = running.end();
            // Whatever it ends with, a failure says why.
            let is_explained = ran.code == Some(0) || !ran.error().is_empty();
            assert!(
                ran.code.is_some() && is_explained,
                "{name} {endpoint:?}: {}",
                ran.stderr
            );
            assert!(
                peak > 0 && peak < 300_000,
                "{name} {endpoint:?}: {peak} KiB"
            );
        }
    }
}

/// Starts a proxy that sends the same response to all requests, and records the requests.
fn proxy(answer: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = String::new();
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            while lines.read_line(&mut head).is_ok_and(|read| read > 2) {}
            seen.lock().unwrap().push(head);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (address, asked)
}

#[test]
fn a_refusal_by_a_proxy_is_reported_and_the_proxy_gets_no_token() {
    let folder = Folder::new();
    let token = "00aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789abcd";
    let run = |address: &str, name: &str, extra: &[&str]| {
        folder
            .run(&[&["sync"], extra].concat())
            .env("BATON_DOMAIN", "company.okta.com")
            .env("BATON_API_TOKEN", token)
            .env("BATON_EMAIL_DOMAINS", "example.com")
            .env(name, address)
            .end()
    };
    let (address, asked) = proxy(
        "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
    );
    let url = format!(" http://me:secret-word@{address}/ ");
    let ran = folder
        .run(&["check"])
        .env("BATON_DOMAIN", "company.okta.com")
        .env("BATON_API_TOKEN", token)
        .env("BATON_EMAIL_DOMAINS", "example.com")
        .env("HTTPS_PROXY", &url)
        .end()
        .code(2);
    assert!(
        ran.error().contains(&address) && ran.error().contains("407"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("secret-word"), "{}", ran.stderr);
    let heads = asked.lock().unwrap().clone();
    assert_eq!(heads.len(), 1, "the proxy got one request: {heads:?}");
    assert!(
        heads[0].starts_with("CONNECT company.okta.com:443 "),
        "{heads:?}"
    );
    assert!(!heads[0].contains(token));
    let (address, asked) = proxy("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
    let ran = run(&address, "https_proxy", &["--deadline", "10s"]);
    assert!(
        matches!(ran.code, Some(2 | 6)),
        "{:?} {}",
        ran.code,
        ran.stderr
    );
    assert!(ran.error().contains(&address), "{}", ran.stderr);
    assert!(
        asked
            .lock()
            .unwrap()
            .iter()
            .all(|head| !head.contains(token))
    );
    // An invalid variable must not lead to a direct connection.
    for value in [
        "socks5://127.0.0.1:1",
        "http://",
        "http://a b",
        "${PROXY}",
        "://x",
    ] {
        let ran = run(value, "ALL_PROXY", &[]).code(2);
        assert!(ran.error().contains("ALL_PROXY"), "{value}: {}", ran.stderr);
    }
}

#[test]
fn a_placeholder_as_domain_is_an_error_at_once() {
    let folder = Folder::new();
    for domain in [
        "${OKTA_DOMAIN}",
        "$OKTA_DOMAIN",
        "*.okta.com",
        "a.okta.com,b.okta.com",
        "<your domain>",
        "your domain",
        "",
    ] {
        let ran = folder
            .run(&["sync", "--email-domains", "example.com"])
            .env("BATON_DOMAIN", domain)
            .env(
                "BATON_API_TOKEN",
                "00aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789abcd",
            )
            .end()
            .code(2);
        let is_named = ["BATON_DOMAIN", "--domain"]
            .iter()
            .any(|name| ran.error().contains(name));
        assert!(is_named, "{domain}: {}", ran.stderr);
        assert!(folder.names().is_empty());
    }
}

#[test]
fn variables_of_another_program_are_reported() {
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    folder
        .sync(&okta, &[])
        .env("BATON_EMAIL_DOMAIN", "example.com")
        .env("BATON_CLIENT_ID", "an-id")
        .env("BATON_CLIENT_SECRET", "a-secret-of-baton")
        .ok()
        .says(
            "BATON_EMAIL_DOMAIN is not a variable of okta-ciam; did you mean BATON_EMAIL_DOMAINS?",
        )
        .says("BATON_CLIENT_ID and BATON_CLIENT_SECRET have no effect");
    for (arguments, part) in [
        (&["sync", "-f", "s3://bucket/sync.c1z"][..], "aws s3 cp"),
        (&["--domain", "company.okta.com"], "must follow a command"),
        (
            &["--grant-entitlement", "group:00g1:member"],
            "okta-ciam grant",
        ),
        (
            &["--revoke-grant", "group:00g1:member:user:00u1"],
            "okta-ciam revoke",
        ),
    ] {
        folder
            .run(arguments)
            .env("BATON_DOMAIN", &okta.origin())
            .env("BATON_API_TOKEN", okta.token())
            .env("BATON_EMAIL_DOMAINS", "example.com")
            .end()
            .fails(2, part);
    }
}

#[test]
fn values_with_quotes_and_line_ends_are_accepted_or_refused_before_any_request() {
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    let token = okta.token().to_owned();
    let write = |name: &str, text: &str| std::fs::write(folder.path(name), text).unwrap();
    for (name, text) in [
        ("mark", format!("\u{feff}{token}\r\n")),
        ("quotes", format!("\"{token}\"\n")),
        ("name", format!("BATON_API_TOKEN={token}\n")),
        ("export", format!("export BATON_API_TOKEN='{token}'\n")),
        ("json", format!("{{\"token\": \"{token}\"}}")),
    ] {
        write(name, &text);
        let before = okta.count();
        let ran = folder
            .sync(&okta, &["--api-token-file", name])
            .without("BATON_API_TOKEN")
            .end();
        match ran.code {
            Some(0) => {}
            Some(2) => assert_eq!(okta.count(), before, "{name}"),
            code => panic!("{name}: {code:?} {}", ran.stderr),
        }
        assert!(!ran.stderr.contains(&token), "{name}");
    }
    // A carriage return, as in a file of variables that was edited on Windows.
    folder
        .sync(&okta, &[])
        .env("BATON_FILE", "other.c1z\r")
        .ok();
    assert!(folder.path("other.c1z").exists());
    let before = okta.count();
    let ran = folder
        .sync(&okta, &[])
        .env("BATON_FILE", "a\u{7}b.c1z")
        .end()
        .code(2);
    assert!(ran.error().contains("BATON_FILE"), "{}", ran.stderr);
    assert_eq!(okta.count(), before);
    // Loopback connections need no root certificates.
    folder
        .sync(&okta, &[])
        .env("SSL_CERT_FILE", "/nonexistent")
        .env("SSL_CERT_DIR", "/nonexistent")
        .ok();
    // A container is unpacked to a temporary file; of a plain database, only the sheets of a workbook are.
    folder.sync(&okta, &["-f", "plain.db"]).ok();
    let export = [
        "export", "-f", "plain.db", "--format", "xlsx", "-o", "a.xlsx",
    ];
    for arguments in [&["show"][..], &export] {
        let ran = folder
            .run(arguments)
            .env("TMPDIR", "/nonexistent")
            .end()
            .code(2);
        assert!(ran.error().contains("TMPDIR"), "{}", ran.stderr);
    }
    assert!(folder.names().iter().all(|name| name != "a.xlsx"));
}
