//! The settings of the client: the place of the org, the credentials, and the limits on requests.

use std::fmt;
use std::time::Duration;

use url::Url;

use super::auth::Credentials;

/// A proxy, and how messages name it.
#[derive(Clone)]
pub struct Proxy {
    /// With its credentials, if it has any.
    pub url: Url,
    /// Host and port.
    pub shown: String,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Proxy").field(&self.shown).finish()
    }
}

/// The number of rows that pages are requested with. Okta's own maxima, except for the demo's small org
/// (docs/okta-api.md, Users and Groups and Members of a group).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSizes {
    /// Of the user list.
    pub users: u64,
    /// Of the group list.
    pub groups: u64,
    /// Of a group's members.
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
    /// Scheme, host and port; nothing else.
    pub origin: Url,
    /// The proof of who sends the requests.
    pub credentials: Credentials,
    /// Percent of each rate limit that may be used.
    pub capacity_percent: u8,
    /// Requests at once.
    pub concurrency: usize,
    /// Longest time for one attempt.
    pub timeout: Duration,
    /// Longest time for the run.
    pub deadline: Option<Duration>,
    /// Root certificates to trust in addition to the system's, as PEM.
    pub ca_pem: Option<Vec<u8>>,
    /// The proxy that requests go through.
    pub proxy: Option<Proxy>,
    /// Rows a page.
    pub page_sizes: PageSizes,
}
