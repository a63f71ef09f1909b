//! Parses the heads of requests, and writes those of responses.

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

use crate::query::Incoming;
use crate::transmission::Transmission;

/// The head of a request.
pub(super) struct Head {
    pub(super) incoming: Incoming,
    pub(super) headers: Vec<(String, String)>,
    pub(super) length: usize,
    pub(super) close: bool,
    /// True if the length of the body is not known in advance, so that it cannot be skipped.
    pub(super) chunked: bool,
}

/// The largest size of a request head, in bytes.
pub(super) const HEAD_LIMIT: usize = 32 * 1024;

pub(super) fn parse(buffer: &[u8], token: &str) -> Result<Option<(Head, usize)>, httparse::Error> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(size) = request.parse(buffer)? else {
        return Ok(None);
    };
    let target = request.path.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut head = Head {
        incoming: Incoming {
            method: request.method.unwrap_or_default().to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            ..Incoming::default()
        },
        headers: Vec::new(),
        length: 0,
        close: false,
        chunked: false,
    };
    for header in request.headers.iter() {
        let name = header.name.to_ascii_lowercase();
        let value = String::from_utf8_lossy(header.value).into_owned();
        match name.as_str() {
            "authorization" => {
                head.incoming.authorized = value.strip_prefix("SSWS ") == Some(token)
            }
            "connection" => head.close = value.eq_ignore_ascii_case("close"),
            "transfer-encoding" => head.chunked = true,
            "content-length" => {
                head.length = value.parse().map_err(|_| httparse::Error::HeaderValue)?;
                head.incoming.has_length = true;
            }
            "content-type" => {
                let all = [
                    "omitCredentials",
                    "omitCredentialsLinks",
                    "omitTransitioningToStatus",
                ];
                let requested: Vec<&str> = value.split(['"', ',']).map(str::trim).collect();
                head.incoming.omit_credentials = value.contains("okta-response=")
                    && all.iter().all(|wanted| requested.contains(wanted));
            }
            _ => {}
        }
        let recorded = [
            "user-agent",
            "content-type",
            "content-length",
            "accept",
            "accept-encoding",
        ];
        if recorded.contains(&name.as_str()) {
            head.headers.push((name, value));
        }
    }
    Ok(Some((head, size)))
}

pub(super) fn response_head(transmission: &Transmission, number: u64, date: i64) -> Vec<u8> {
    let response = &transmission.response;
    let mut head = format!(
        "HTTP/1.1 {} {}\r\n",
        response.status,
        reason(response.status)
    );
    let mut add = |name: &str, value: &str| {
        for part in [name, ": ", value, "\r\n"] {
            head.push_str(part);
        }
    };
    if let Some(date) = http_date(date) {
        add("Date", &date);
    }
    if let Some(kind) = &response.content_type {
        add("Content-Type", kind);
    }
    // The part of Okta that rejects a wrong method does not count requests and assigns no id.
    if response.status != 405 {
        add("X-Okta-Request-Id", &format!("req{number:024}"));
        for (name, value) in &transmission.limits {
            add(name, value);
        }
    }
    for (name, value) in &response.headers {
        add(name, value);
    }
    for (address, relation) in [(&response.this, "self"), (&response.next, "next")] {
        if let Some(address) = address {
            add("Link", &format!("<{address}>; rel=\"{relation}\""));
        }
    }
    if transmission.is_chunked() {
        add("Transfer-Encoding", "chunked");
    } else if response.status != 204 {
        // Responses with this status have no body and no length.
        add("Content-Length", &response.body.len().to_string());
    }
    head.push_str("\r\n");
    head.into_bytes()
}

fn http_date(seconds: i64) -> Option<String> {
    let time = Timestamp::from_second(seconds).ok()?;
    DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&time)
        .ok()
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        302 => "Found",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        411 => "Length Required",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Status",
    }
}
