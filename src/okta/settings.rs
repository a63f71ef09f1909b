//! The settings of the client: the address of the org, the credentials, and the limits on requests.

use std::fmt;
use std::time::Duration;

use url::Url;

use super::auth::Credentials;

/// A proxy, and its name in messages.
#[derive(Clone)]
pub struct Proxy {
    /// The URL, with credentials if it has any.
    pub url: Url,
    /// The host and port, for messages.
    pub shown: String,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Proxy").field(&self.shown).finish()
    }
}

/// The number of rows to request per page. These are Okta's maxima, except for the small sample org of `demo`
/// (docs/okta-api.md, Users and Groups and Members of a group).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSizes {
    /// Rows per page of the user list.
    pub users: u64,
    /// Rows per page of the group list.
    pub groups: u64,
    /// Rows per page of a group's members.
    pub members: u64,
}

impl Default for PageSizes {
    fn default() -> Self {
        Self {
            users: 200,
            groups: 200,
            members: 1000,
        }
    }
}

/// The org and the way to connect to it.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The URL of the org: only scheme, host and port.
    pub origin: Url,
    /// The credentials with which requests are sent.
    pub credentials: Credentials,
    /// The percentage of each rate limit that may be used.
    pub capacity_percent: u8,
    /// The largest number of requests at a time.
    pub concurrency: usize,
    /// The longest time for one attempt.
    pub timeout: Duration,
    /// The longest time for the run.
    pub deadline: Option<Duration>,
    /// Root certificates to trust in addition to the system's, as PEM.
    pub ca_pem: Option<Vec<u8>>,
    /// The proxy that requests go through.
    pub proxy: Option<Proxy>,
    /// The number of rows to request per page.
    pub page_sizes: PageSizes,
}
