//! A response and its headers. Its size is limited: in bytes while it is read, in rows, values and nesting before it is
//! parsed.

use std::io::Read as _;
use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, LINK};
use url::Url;

use super::attempt::{AttemptError, innermost};
use super::page;
use crate::okta::wire::{self, Malformed};

/// The size in bytes above which a body is an error. Okta's pages are far smaller.
const LARGEST_BODY: usize = 64 << 20;
/// The size in bytes to which the body of an error is truncated. Okta's have a few hundred bytes; a proxy may send a page.
const LARGEST_ERROR: usize = 64 << 10;

/// A complete response of status 200, or 204 to a change.
#[derive(Debug)]
pub struct Response {
    /// The headers.
    pub headers: HeaderMap,
    /// The body: decompressed, with the token masked and lone surrogates repaired.
    pub body: Vec<u8>,
}

impl Response {
    /// Returns the path and query of the next page, if there is one. The inner error is a link to another path, which a
    /// retry would not change.
    ///
    /// # Errors
    /// Returns an error if a `Link` header cannot be read: it may hide the next page.
    pub fn next_page(&self, requested: &Url) -> Result<Result<Option<String>, String>, Malformed> {
        let mut lines = Vec::new();
        for line in self.headers.get_all(LINK) {
            let line = std::str::from_utf8(line.as_bytes()).ok();
            let line = line.filter(|line| line.is_ascii()).ok_or_else(|| {
                Malformed("the Link header contains a byte outside ASCII".to_owned())
            })?;
            lines.push(line);
        }
        match page::next(lines, requested) {
            Ok(next) => Ok(Ok(next)),
            Err(page::BadLink::Unreadable(problem)) => Err(Malformed(problem)),
            Err(page::BadLink::Elsewhere(problem)) => Ok(Err(problem)),
        }
    }

    pub(super) fn request_id(&self) -> Option<String> {
        request_id(&self.headers)
    }
}

pub(super) fn bounded(response: Response, url: &Url) -> Result<Response, AttemptError> {
    match wire::check_bounds(&response.body, page::rows_requested(url)) {
        Ok(()) => Ok(response),
        Err(unbounded) => Err(AttemptError {
            status: Some(200),
            smaller: unbounded.smaller,
            ..AttemptError::malformed(unbounded.problem, response.request_id())
        }),
    }
}

/// Returns Okta's id of a request.
pub(in crate::okta) fn request_id(headers: &HeaderMap) -> Option<String> {
    headers
        .get("x-okta-request-id")
        .and_then(|id| id.to_str().ok())
        .map(str::to_owned)
}

/// Reads the body to its end. Checks the timeout itself, because blocking reqwest applies it to each read.
pub(super) fn read_body(
    response: &mut reqwest::blocking::Response,
    begun: Instant,
    timeout: Duration,
    is_error: bool,
) -> Result<Vec<u8>, AttemptError> {
    let expected = response
        .content_length()
        .and_then(|length| usize::try_from(length).ok());
    if !is_error && expected.is_some_and(|length| length > LARGEST_BODY) {
        return Err(AttemptError::too_large());
    }
    // A server may announce any length, so only a little memory is allocated in advance.
    let mut body = Vec::with_capacity(expected.unwrap_or(16 << 10).min(4 << 20));
    // On the stack of each of eight workers.
    let mut chunk = [0; 16 << 10];
    loop {
        match response.read(&mut chunk) {
            Ok(0) => return Ok(body),
            Ok(read) => body.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(cut_off(&error, timeout)),
        }
        if is_error && body.len() >= LARGEST_ERROR {
            body.truncate(LARGEST_ERROR);
            return Ok(body);
        }
        if body.len() > LARGEST_BODY {
            return Err(AttemptError::too_large());
        }
        if begun.elapsed() > timeout {
            return Err(AttemptError::timed_out(timeout));
        }
    }
}

fn cut_off(error: &std::io::Error, timeout: Duration) -> AttemptError {
    let text = innermost(error);
    if error.kind() == std::io::ErrorKind::TimedOut || text.contains("timed out") {
        AttemptError::timed_out(timeout)
    } else {
        AttemptError::lost(format!("the response was cut off ({text})"))
    }
}
