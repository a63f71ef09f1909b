//! Tests that the token is sent over TLS only to a server with a trusted certificate.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use okta_fake::Org;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::support::{Folder, Okta, assert_holds_the_truth, scope};

/// A TLS proxy in front of a server, which counts the bytes that it forwards.
struct Front {
    port: u16,
    /// The certificate of the authority that signed the server's certificate, as PEM.
    authority: String,
    bytes: Arc<AtomicUsize>,
}

impl Front {
    fn start(okta: &Okta) -> Self {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority =
            CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned()];
        let certificate = CertificateParams::new(names)
            .unwrap()
            .signed_by(&key, &authority)
            .unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("localhost:0").unwrap();
        let front = Self {
            port: listener.local_addr().unwrap().port(),
            authority: authority.pem(),
            bytes: Arc::default(),
        };
        let (config, bytes) = (Arc::new(config), Arc::clone(&front.bytes));
        let behind = okta.origin().strip_prefix("http://").unwrap().to_owned();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (config, bytes, behind) =
                    (Arc::clone(&config), Arc::clone(&bytes), behind.clone());
                std::thread::spawn(move || {
                    let connection = ServerConnection::new(config).unwrap();
                    let _ = hand_on(
                        StreamOwned::new(connection, stream.unwrap()),
                        &behind,
                        &bytes,
                    );
                });
            }
        });
        front
    }

    fn origin(&self) -> String {
        format!("https://localhost:{}", self.port)
    }
}

/// Forwards requests one after the other. A request has no body and ends with the empty line; a response has a length.
fn hand_on(
    mut client: StreamOwned<ServerConnection, TcpStream>,
    behind: &str,
    bytes: &AtomicUsize,
) -> std::io::Result<()> {
    let mut server = TcpStream::connect(behind)?;
    let mut chunk = [0; 64 << 10];
    loop {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let read = client.read(&mut chunk)?;
            if read == 0 {
                return server.shutdown(Shutdown::Both);
            }
            bytes.fetch_add(read, Ordering::SeqCst);
            request.extend_from_slice(&chunk[..read]);
        }
        server.write_all(&request)?;
        let mut answer = Vec::new();
        let whole = |answer: &[u8]| {
            let head = answer.windows(4).position(|part| part == b"\r\n\r\n")? + 4;
            let text = String::from_utf8_lossy(&answer[..head]).to_lowercase();
            let length = text
                .split_once("content-length: ")?
                .1
                .split('\r')
                .next()?
                .parse::<usize>()
                .ok()?;
            Some(answer.len() >= head + length)
        };
        while whole(&answer) != Some(true) {
            let read = server.read(&mut chunk)?;
            answer.extend_from_slice(&chunk[..read]);
        }
        client.write_all(&answer)?;
        client.flush()?;
    }
}

#[test]
fn a_server_with_an_untrusted_certificate_gets_no_byte_of_a_request() {
    let okta = Okta::unasked();
    let front = Front::start(&okta);
    let folder = Folder::new();
    for command in [
        &["sync"][..],
        &["check"],
        &[
            "grant",
            "--provisioning",
            "--user",
            "a@example.com",
            "--group",
            "g",
        ],
    ] {
        let ran = folder
            .run(command)
            .env("BATON_DOMAIN", &front.origin())
            .env("BATON_API_TOKEN", okta.token())
            .env("BATON_EMAIL_DOMAINS", "example.com")
            .end();
        assert_ne!(ran.code, Some(0), "{command:?}");
        let text = format!("{}{}", ran.stdout, ran.stderr);
        assert!(
            text.contains("certificate") && text.contains("--ca-file"),
            "{command:?}: {text}"
        );
    }
    assert_eq!(front.bytes.load(Ordering::SeqCst), 0);
}

#[test]
fn a_server_with_a_trusted_certificate_is_synced_only_under_its_name() {
    let okta = Okta::with(Org::demo());
    let front = Front::start(&okta);
    let folder = Folder::new();
    std::fs::write(folder.path("authority.pem"), &front.authority).unwrap();
    let sync = |origin: &str| {
        folder
            .sync(&okta, &["--ca-file", "authority.pem", "-f", "tls.c1z"])
            .env("BATON_DOMAIN", origin)
    };
    sync(&front.origin()).ok();
    assert_holds_the_truth(
        &folder.path("tls.c1z"),
        &okta,
        &scope(&["example.com", "example.org"], None),
    );
    let before = front.bytes.load(Ordering::SeqCst);
    assert!(before > 0);
    let by_address = format!("https://127.0.0.1:{}", front.port);
    let ran = sync(&by_address).end().code(2);
    assert!(ran.error().contains("certificate"), "{}", ran.stderr);
    assert_eq!(front.bytes.load(Ordering::SeqCst), before);
}
