//! Reads the response of a proxy, which the HTTP library does not return.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use crate::okta::settings::Proxy;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Returns the status with which a proxy refuses a tunnel to a host, if it can be read. Sends only the name of the host,
/// and nothing to a proxy that requires TLS or a password.
pub(super) fn status_of_tunnel(proxy: &Proxy, host: &str, port: u16) -> Option<u16> {
    if proxy.url.scheme() != "http" || !proxy.url.username().is_empty() {
        return None;
    }
    let address = proxy.shown.to_socket_addrs().ok()?.next()?;
    let mut connection = TcpStream::connect_timeout(&address, TIMEOUT).ok()?;
    connection.set_read_timeout(Some(TIMEOUT)).ok()?;
    connection.set_write_timeout(Some(TIMEOUT)).ok()?;
    write!(
        connection,
        "CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n"
    )
    .ok()?;
    let mut head = [0; 12];
    connection.read_exact(&mut head).ok()?;
    let head = std::str::from_utf8(&head).ok()?;
    head.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()
}
