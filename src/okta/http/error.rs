//! The failures of a request, as far as callers distinguish them.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::signal::Interrupted;

/// The request of an error: method and path. The query is left out, because its cursor means nothing to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// `GET`, `PUT` or `DELETE`.
    pub method: &'static str,
    /// The path.
    pub path: String,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// A refusal that is not worth a retry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The request.
    pub call: Call,
    /// The HTTP status.
    pub status: u16,
    /// Okta's error code, such as `E0000006`.
    pub code: Option<String>,
    /// Okta's message, with the causes.
    pub summary: Option<String>,
    /// Okta's id of the request.
    pub request_id: Option<String>,
}

impl ApiError {
    /// Returns whether Okta itself refused, which only its own error code proves. The refusal of a proxy or firewall has
    /// none, and it may have passed the request on before.
    pub fn has_oktas_code(&self) -> bool {
        self.code.as_deref().is_some_and(is_oktas_code)
    }
}

/// Returns whether a text is an error code of Okta: `E` and seven digits.
pub(in crate::okta) fn is_oktas_code(code: &str) -> bool {
    code.strip_prefix('E')
        .is_some_and(|digits| digits.len() == 7 && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if matches!(self.status, 401 | 403) && !self.has_oktas_code() {
            write!(
                f,
                "{}: a proxy or firewall returned {}",
                self.call, self.status
            )?;
            if let Some(summary) = &self.summary {
                write!(f, " ({summary})")?;
            }
            return write_id(f, self.request_id.as_deref());
        }
        write!(f, "{}: Okta returned {}", self.call, self.status)?;
        if let Some(code) = &self.code {
            write!(f, " {code}")?;
        }
        if let Some(summary) = &self.summary {
            write!(f, " ({summary})")?;
        }
        match (self.status, self.code.as_deref()) {
            (401, _) => f.write_str("; the token is invalid, has expired after 30 days without use, or its owner is deactivated")?,
            (403, _) if self.call.path.ends_with("/users") && self.call.path != "/api/v1/users" => {
                f.write_str("; only Super Administrators can read the members of groups with an admin role")?;
            }
            (403, _) if self.call.method != "GET" => f.write_str("; changing the members of this group requires the role Group Membership Administrator for it")?,
            (403, _) => f.write_str("; reading requires at least Read-Only Administrator")?,
            (404, Some("E0000008")) | (404, None) => f.write_str("; is --domain an Okta org?")?,
            _ => {}
        }
        write_id(f, self.request_id.as_deref())
    }
}

/// A request without a usable response.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// Okta refused, with a status that is not retried: 400, 401, 403, 404, 501 and others.
    #[error("{0}")]
    Refused(ApiError),
    /// Every attempt failed.
    #[error("{call}: gave up after {attempts} attempts: {problem}{}", id_text(.request_id.as_deref()))]
    Unavailable {
        /// The request.
        call: Call,
        /// The failure of the last attempt.
        problem: String,
        /// The number of attempts.
        attempts: u32,
        /// The status of the last response, if there was one.
        status: Option<u16>,
        /// True if Okta needed too long for the response: 500, 504, or a timeout (docs/okta-api.md, Users).
        too_slow: bool,
        /// Okta's id of the last response.
        request_id: Option<String>,
    },
    /// A rate limit admitted no request for ten minutes.
    #[error("{call}: rate-limited for {} minutes; gave up", .waited.as_secs() / 60)]
    Stuck {
        /// The request.
        call: Call,
        /// The time without a useful response.
        waited: Duration,
    },
    /// The deadline was reached, or would be reached during a wait.
    #[error("{call}: --deadline is over{}", .waiting.as_ref().map_or(String::new(), |why| format!(" before {why} ends")))]
    Deadline {
        /// The request that was to be sent.
        call: Call,
        /// The wait that would have been needed.
        waiting: Option<String>,
    },
    /// A redirect. It is not followed, because the token must not go to another host.
    #[error(
        "{call}: Okta returned {status} with a redirect to {to}; set --domain to the final host"
    )]
    Redirected {
        /// The request.
        call: Call,
        /// The status.
        status: u16,
        /// The host of the redirect's target.
        to: String,
    },
    /// The server's certificate was not accepted.
    #[error(
        "{call}: {problem}; if a proxy or a private authority signs the certificate, pass its root with --ca-file"
    )]
    Certificate {
        /// The request.
        call: Call,
        /// The explanation of the TLS library.
        problem: String,
    },
    /// The proxy rejects all requests until its settings change.
    #[error("{call}: {problem}")]
    Proxy {
        /// The request.
        call: Call,
        /// The response of the proxy.
        problem: String,
    },
    /// A listing that would never end, or whose next page is at another path.
    #[error("{call}: {problem}")]
    Paging {
        /// The request.
        call: Call,
        /// The problem with the next page.
        problem: String,
    },
    /// A signal arrived.
    #[error("interrupted")]
    Interrupted(#[from] Interrupted),
    /// The client cannot be created, or a URL is not a path of the org.
    #[error("{0}")]
    Setup(String),
}

impl Error {
    /// Returns the HTTP status, if Okta refused.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused(refusal) => Some(refusal.status),
            _ => None,
        }
    }

    /// Returns whether Okta reports that the object does not exist. Any other 404 comes from a proxy, or the URL is wrong.
    pub fn is_gone(&self) -> bool {
        self.status() == Some(404) && self.code() == Some("E0000007")
    }

    /// Returns whether a different request for the same data may succeed, because Okta needs too long for this one, or
    /// because of the links between its pages.
    pub fn is_about_the_request(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { too_slow: true, .. } | Self::Paging { .. }
        )
    }

    /// Returns the text without the id of the request, so that it is equal in equal runs.
    pub fn without_id(&self) -> String {
        let text = self.to_string();
        let id = id_text(self.request_id());
        text.strip_suffix(&id).unwrap_or(&text).to_owned()
    }

    /// Returns Okta's error code, if Okta refused.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => refusal.code.as_deref(),
            _ => None,
        }
    }

    /// Returns Okta's id of the request, if a response contained one.
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => refusal.request_id.as_deref(),
            Self::Unavailable { request_id, .. } => request_id.as_deref(),
            _ => None,
        }
    }
}

/// Returns the request id of the response that ended the run, if there is one. Okta's support asks for it.
pub fn request_id_of(error: &anyhow::Error) -> Option<&str> {
    error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Error>())
        .and_then(Error::request_id)
}

fn write_id(f: &mut fmt::Formatter<'_>, id: Option<&str>) -> fmt::Result {
    f.write_str(&id_text(id))
}

fn id_text(id: Option<&str>) -> String {
    id.map_or(String::new(), |id| format!(" [request {id}]"))
}
