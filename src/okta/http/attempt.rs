//! One attempt: sends a request once and reads the complete response.
//!
//! - Only this file sends requests. The token goes to the configured origin; redirects are not followed.
//! - The token is masked in headers and body before other code reads them.

use std::time::{Duration, Instant};

use reqwest::Method;
use reqwest::blocking::RequestBuilder;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::redirect::Policy;
use url::Url;

use super::client::MembershipOp;
use super::error::{ApiError, Call, Error, is_oktas_code};
use super::rate_limit::{self, ResponseClass, Signals};
use super::response::{Response, bounded, read_body, request_id};
use super::{page, proxy};
use crate::mask::Mask;
use crate::okta::auth::Credentials;
use crate::okta::settings::{Connection, Proxy};
use crate::okta::wire;
use crate::text;

/// The kind of request to send.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verb {
    Get { lean: bool },
    Change(MembershipOp),
}

impl Verb {
    fn content_type(self) -> &'static str {
        match self {
            Self::Get { lean: true } => {
                "application/json; okta-response=\"omitCredentials,omitCredentialsLinks,omitTransitioningToStatus\""
            }
            _ => "application/json",
        }
    }
}

/// The failure of one attempt.
pub(super) struct AttemptError {
    pub(super) problem: String,
    pub(super) outcome: ResponseClass,
    pub(super) request_id: Option<String>,
    /// True if a smaller page might succeed.
    pub(super) smaller: bool,
    pub(super) timed_out: bool,
    /// The status, if there was a response.
    pub(super) status: Option<u16>,
    /// True if the response contained Okta's own error code.
    pub(super) by_okta: bool,
    /// True if the request was certainly not sent.
    pub(super) unsent: bool,
    /// The error to return if a retry is of no use.
    pub(super) last: Option<Box<Error>>,
    /// The pause that the server requests.
    pub(super) retry_after: Option<Duration>,
    /// True if a host name could not be resolved.
    pub(super) unresolved: bool,
}

impl AttemptError {
    pub(super) fn lost(problem: impl Into<String>) -> Self {
        Self {
            problem: problem.into(),
            outcome: ResponseClass::Lost,
            request_id: None,
            smaller: false,
            timed_out: false,
            status: None,
            by_okta: false,
            unsent: false,
            last: None,
            retry_after: None,
            unresolved: false,
        }
    }

    pub(super) fn malformed(problem: impl Into<String>, request_id: Option<String>) -> Self {
        Self {
            request_id,
            outcome: ResponseClass::Useful,
            ..Self::lost(problem)
        }
    }

    pub(super) fn timed_out(timeout: Duration) -> Self {
        Self {
            timed_out: true,
            ..Self::lost(format!(
                "no complete response within {}",
                text::span(timeout)
            ))
        }
    }

    pub(super) fn too_large() -> Self {
        Self {
            smaller: true,
            ..Self::lost("the response is larger than 64 MiB")
        }
    }

    fn final_error(problem: String, error: Error) -> Self {
        Self {
            last: Some(Box::new(error)),
            ..Self::lost(problem)
        }
    }
}

/// The connection to one org.
#[derive(Debug)]
pub(super) struct Transport {
    http: reqwest::blocking::Client,
    origin: Url,
    pub(super) credentials: Credentials,
    mask: Mask,
    proxy: Option<Proxy>,
    pub(super) timeout: Duration,
}

impl Transport {
    /// # Errors
    /// Returns [`Error::Setup`] if TLS or the token cannot be used.
    pub(super) fn new(connection: &Connection) -> Result<Self, Error> {
        let setup =
            |error: &dyn std::fmt::Display| Error::Setup(format!("cannot set up HTTPS: {error}"));
        let mut http = reqwest::blocking::Client::builder()
            .user_agent(concat!("okta-ciam/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .timeout(connection.timeout)
            .pool_max_idle_per_host(connection.concurrency)
            .tcp_nodelay(true);
        // `config` has already read the proxy variables; reqwest must not read them again.
        http = http.no_proxy();
        if let Some(proxy) = &connection.proxy {
            let url = proxy.url.clone();
            http = http.proxy(reqwest::Proxy::all(url).map_err(|error| setup(&error))?);
        }
        if connection.origin.scheme() == "http" {
            // Without TLS, there is nothing to verify, and a small container may have no certificates.
            http = http.tls_certs_only([]);
        }
        if let Some(pem) = &connection.ca_pem {
            let roots =
                reqwest::Certificate::from_pem_bundle(pem).map_err(|error| setup(&error))?;
            http = http.tls_certs_merge(roots);
        }
        connection.credentials.authorize().map_err(|_| {
            Error::Setup("the token contains a character that headers cannot have".to_owned())
        })?;
        Ok(Self {
            http: http.build().map_err(|error| {
                let why = innermost(&error);
                setup(&format!(
                    "{why}; if this machine has no root certificates, install them or set SSL_CERT_FILE or --ca-file"
                ))
            })?,
            origin: connection.origin.clone(),
            mask: Mask::of(connection.credentials.secret()),
            credentials: connection.credentials.clone(),
            proxy: connection.proxy.clone(),
            timeout: connection.timeout,
        })
    }

    /// Returns the configured origin with the path and query of `target`. The URLs of all requests are built here.
    pub(super) fn url(&self, target: &str) -> Result<Url, Error> {
        page::on_origin(&self.origin, target).ok_or_else(|| {
            Error::Setup(text::internal_error(format_args!(
                "{target:?} is not a path of the org"
            )))
        })
    }

    /// Sends once and reads the complete response. Sets `signals` from the headers, even if the attempt fails.
    pub(super) fn attempt(
        &self,
        verb: Verb,
        url: &Url,
        call: &Call,
        timeout: Duration,
        signals: &mut Signals,
    ) -> Result<Response, AttemptError> {
        let begun = Instant::now();
        let mut response = self
            .request(verb, url)?
            .timeout(timeout)
            .send()
            .map_err(|error| self.not_sent(&error, call, timeout))?;
        let mut headers = std::mem::take(response.headers_mut());
        let status = response.status().as_u16();
        *signals = Signals::of(&headers);
        self.mask.headers(&mut headers);
        let body = read_body(&mut response, begun, timeout, status >= 300).map(|mut body| {
            self.mask.bytes(&mut body);
            wire::repaired(body)
        });
        match (verb, status) {
            (Verb::Get { .. }, 200) => bounded(
                Response {
                    headers,
                    body: body?,
                },
                url,
            ),
            // The response to a change has no body.
            (Verb::Change(_), 204) => Ok(Response {
                headers,
                body: Vec::new(),
            }),
            // Any other success does not prove that Okta made the change (docs/okta-api.md, Changes to a membership): it may
            // be a proxy's.
            (Verb::Change(_), 200..=299) => Err(AttemptError {
                request_id: request_id(&headers),
                status: Some(status),
                ..AttemptError::lost(format!("the response was {status}, not 204"))
            }),
            // The status is enough if the body cannot be read.
            _ => Err(self.refused(status, &headers, &body.unwrap_or_default(), call)),
        }
    }

    fn request(&self, verb: Verb, url: &Url) -> Result<RequestBuilder, AttemptError> {
        let request = match verb {
            Verb::Get { .. } => self.http.get(url.clone()),
            // Without a length Okta returns 411 (docs/okta-api.md, Requests and responses).
            Verb::Change(operation) => self
                .http
                .request(operation.method(), url.clone())
                .header(CONTENT_LENGTH, "0")
                .body(Vec::new()),
        };
        let authorization = self
            .credentials
            .authorize()
            .map_err(|error| AttemptError::lost(error.to_string()))?;
        Ok(request
            .header(AUTHORIZATION, authorization)
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, verb.content_type()))
    }

    fn refused(&self, status: u16, headers: &HeaderMap, body: &[u8], call: &Call) -> AttemptError {
        let (code, summary) = wire::refusal(body);
        let by_okta = code.as_deref().is_some_and(is_oktas_code);
        let request_id = request_id(headers);
        let failure = AttemptError {
            request_id: request_id.clone(),
            status: Some(status),
            by_okta,
            retry_after: rate_limit::retry_after(headers),
            ..AttemptError::lost(refusal_text(status, code.as_deref(), summary.as_deref()))
        };
        if status == 429 {
            return AttemptError {
                outcome: ResponseClass::Limited,
                ..failure
            };
        }
        let outcome = if status >= 500 {
            ResponseClass::ServerError
        } else {
            ResponseClass::Useful
        };
        if rate_limit::is_retryable(status, code.as_deref()) {
            return AttemptError {
                outcome,
                smaller: rate_limit::wants_smaller_page(status),
                ..failure
            };
        }
        let call = call.clone();
        let last = if (300..400).contains(&status) && status != 304 {
            Error::Redirected {
                call,
                status,
                to: self.redirect_host(headers),
            }
        } else {
            Error::Refused(ApiError {
                call,
                status,
                code,
                summary,
                request_id,
            })
        };
        AttemptError {
            outcome: ResponseClass::Useful,
            last: Some(Box::new(last)),
            ..failure
        }
    }

    fn redirect_host(&self, headers: &HeaderMap) -> String {
        headers
            .get(LOCATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|location| self.origin.join(location).ok())
            .and_then(|url| url.host_str().map(str::to_owned))
            .unwrap_or_else(|| "nowhere".to_owned())
    }

    /// Returns the failure of an attempt without a response.
    fn not_sent(&self, error: &reqwest::Error, call: &Call, timeout: Duration) -> AttemptError {
        let text = self.mask.text(innermost(error));
        if error.is_timeout() {
            return AttemptError::timed_out(timeout);
        }
        // These are texts of the TLS library; matching its error type would need the library as a dependency.
        if text.contains("certificate") || text.contains("UnknownIssuer") {
            let last = Error::Certificate {
                call: call.clone(),
                problem: text.clone(),
            };
            return AttemptError::final_error(text, last);
        }
        if !error.is_connect() {
            return AttemptError::lost(format!("the connection broke ({text})"));
        }
        let unresolved = is_unresolved(error);
        let problem = match &self.proxy {
            None => self.not_connected(unresolved, &text),
            Some(proxy) if text.contains("authorization required") => {
                let problem = format!(
                    "the proxy {} returned 407; add a user and a password that it accepts to its URL",
                    proxy.shown
                );
                let last = Error::Proxy {
                    call: call.clone(),
                    problem: problem.clone(),
                };
                return AttemptError::final_error(problem, last);
            }
            Some(proxy) => self.not_tunneled(proxy, &text),
        };
        AttemptError {
            unsent: true,
            unresolved,
            ..AttemptError::lost(problem)
        }
    }

    fn not_connected(&self, unresolved: bool, text: &str) -> String {
        let host = self.origin.host_str().unwrap_or_default();
        match (unresolved, host.contains('.')) {
            (false, _) => format!("cannot connect ({text})"),
            (true, true) => format!("cannot find the host {host} ({text})"),
            (true, false) => format!(
                "cannot find the host {host} ({text}); if {host} is the name of the company, use --domain {host}.okta.com"
            ),
        }
    }

    fn not_tunneled(&self, proxy: &Proxy, text: &str) -> String {
        if !text.contains("tunnel error") {
            return format!("cannot connect through the proxy {} ({text})", proxy.shown);
        }
        // The library does not return the status, so a second, plain request reads it.
        let host = self.origin.host_str().unwrap_or_default();
        let port = self.origin.port_or_known_default().unwrap_or(443);
        match proxy::status_of_tunnel(proxy, host, port) {
            Some(status) => format!("the proxy {} returned {status}", proxy.shown),
            None => format!("the proxy {} did not connect ({text})", proxy.shown),
        }
    }
}

impl MembershipOp {
    fn method(self) -> Method {
        match self {
            Self::Add => Method::PUT,
            Self::Remove => Method::DELETE,
        }
    }
}

fn refusal_text(status: u16, code: Option<&str>, summary: Option<&str>) -> String {
    let by_okta = code.is_some_and(is_oktas_code);
    let mut text = if matches!(status, 401 | 403) && !by_okta {
        format!("a proxy or firewall returned {status}")
    } else {
        format!("Okta returned {status}")
    };
    if let Some(code) = code {
        text += &format!(" {code}");
    }
    if let Some(summary) = summary {
        text += &format!(" ({summary})");
    }
    text
}

fn is_unresolved(error: &dyn std::error::Error) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let text = error.to_string();
        if text.contains("dns error") || text.contains("failed to lookup address") {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Returns the text of the innermost cause, which does not contain the URL.
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
