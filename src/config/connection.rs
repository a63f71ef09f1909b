//! The connection to the org, and the limits on requests.

use std::time::Duration;

use url::{Host, Url};

use super::environment::{Environment, Setting, or_default, read_duration};
use super::{Error, proxy, required, secrets};
use crate::cli;
use crate::mask;
use crate::okta::auth::Credentials;
use crate::okta::settings::{Connection, PageSizes};

impl Connection {
    pub(super) fn new(
        typed: &cli::ConnectionArgs,
        limits: &cli::LimitsArgs,
        environment: &Environment,
    ) -> Result<Self, Error> {
        let domain = environment
            .setting("--domain", typed.domain.as_ref())?
            .ok_or_else(|| {
                required(
                    "--domain",
                    "BATON_DOMAIN",
                    "set it to the org's host, such as company.okta.com",
                )
            })?;
        let capacity =
            environment.setting("--max-api-capacity", limits.max_api_capacity.as_ref())?;
        let concurrency = environment.setting("--concurrency", limits.concurrency.as_ref())?;
        let timeout = environment.setting("--timeout", limits.timeout.as_ref())?;
        let deadline = environment.setting("--deadline", limits.deadline.as_ref())?;
        let ca_file = environment.setting("--ca-file", typed.ca_file.as_ref())?;
        let time = "a duration such as 90s, 15m or 2h";
        let origin = origin(&domain)?;
        Ok(Self {
            proxy: proxy::proxy(environment, &origin)?,
            origin,
            capacity_percent: or_default(
                capacity,
                75,
                |text| {
                    text.parse()
                        .ok()
                        .filter(|percent| (1..=100).contains(percent))
                },
                "a whole number from 1 to 100",
            )?,
            concurrency: or_default(
                concurrency,
                8,
                |text| text.parse().ok().filter(|count| (1..=64).contains(count)),
                "a whole number from 1 to 64",
            )?,
            timeout: or_default(timeout, Duration::from_secs(60), read_duration, time)?,
            deadline: deadline
                .map(|deadline| deadline.parse(read_duration, time))
                .transpose()?,
            ca_pem: ca_file
                .map(|file| secrets::certificates(&file))
                .transpose()?,
            // The token comes last, since it may be read from standard input, which is pointless if another option is
            // invalid.
            credentials: Credentials::ApiToken(secrets::token(typed, environment)?),
            page_sizes: PageSizes::default(),
        })
    }
}

/// Domains of Okta, whose hosts `company-admin` are the admin console of `company` (docs/okta-api.md, Tokens and
/// hosts).
const OKTA_HOSTS: [&str; 7] = [
    "okta.com",
    "oktapreview.com",
    "okta-emea.com",
    "okta-gov.com",
    "okta.mil",
    "okta-miltest.com",
    "trex-govcloud.com",
];

/// Returns the reason why a text is not a host; `None` if it may be one.
fn placeholder(typed: &str) -> Option<&'static str> {
    let has = |characters: &[char]| typed.contains(characters);
    if has(&['$', '{', '}', '%']) {
        Some("is a variable that was not replaced")
    } else if has(&['<', '>']) {
        Some("is a placeholder")
    } else if has(&[',', ';']) || typed.split_whitespace().count() > 1 {
        Some("is more than one host")
    } else if has(&['*']) {
        Some("contains a wildcard")
    } else if has(&['"', '\'', '`']) {
        Some("contains a quote")
    } else {
        None
    }
}

fn origin(domain: &Setting) -> Result<Url, Error> {
    let typed = domain.value.trim();
    let hint = "set it to the org's host, such as company.okta.com";
    if let Some(problem) = placeholder(typed) {
        return Err(domain.error(format!("{} {problem}; {hint}", mask::shown(typed))));
    }
    // The host is sent to a DNS server and printed, so it must not be a token in the wrong place.
    if mask::holds_a_token(typed) {
        return Err(domain.fault(format!("contains what looks like a token; {hint}")));
    }
    let with_scheme = if typed.contains("://") {
        typed.to_owned()
    } else {
        format!("https://{typed}")
    };
    let url = Url::parse(&with_scheme).map_err(|error| domain.error(format!("{error}; {hint}")))?;
    // The value may contain a password, so the message does not repeat it.
    if !url.username().is_empty() || url.password().is_some() {
        return Err(domain.fault(format!("contains a user name or an email; {hint}")));
    }
    let refuse = |why: &str| Err(domain.error(format!("{} {why}; {hint}", mask::shown(typed))));
    let Some(host) = url.host() else {
        return refuse("contains no host");
    };
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => {
            return refuse("would send the token in the clear: http is for this machine only");
        }
        _ => return refuse("has a scheme other than https"),
    }
    if !matches!(url.path(), "" | "/") {
        return refuse("contains a path");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return refuse("contains more than a host");
    }
    if let Host::Domain(host) = host
        && let Some((first, rest)) = host.trim_end_matches('.').split_once('.')
        && let Some(company) = first.strip_suffix("-admin")
        && OKTA_HOSTS.contains(&rest)
    {
        return Err(domain.error(format!(
            "{host:?} is the admin console; use {company}.{rest}"
        )));
    }
    Ok(url)
}

/// Returns true if the host of a URL is this machine: a loopback address or `localhost`.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
