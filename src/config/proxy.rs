//! Selects the proxy for requests from the usual variables, which are checked strictly.
//!
//! An invalid variable ends the run. If requests were sent directly instead, they could reach a network that the proxy
//! is meant to prevent.

use std::net::IpAddr;

use url::{Host, Url};

use super::{Environment, Error, is_loopback};
use crate::okta::settings::Proxy;

/// The variables with a proxy for HTTPS, by precedence.
const VARIABLES: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
const EXCEPTIONS: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// Returns true if [`proxy`] reads this variable.
pub(super) fn is_variable(name: &str) -> bool {
    VARIABLES.contains(&name) || EXCEPTIONS.contains(&name)
}

/// Returns the name of the variable that sets the proxy.
pub(super) fn variable(environment: &Environment) -> Option<&'static str> {
    let is_set = |name: &&str| matches!(environment.get(name), Ok(Some(setting)) if !setting.value.trim().is_empty());
    VARIABLES.into_iter().find(is_set)
}

/// Returns the proxy for this origin, if any. Connections to this machine never use a proxy.
pub(super) fn proxy(environment: &Environment, origin: &Url) -> Result<Option<Proxy>, Error> {
    if is_loopback(origin) {
        return Ok(None);
    }
    let value = |names: &[&'static str]| -> Result<Option<(&'static str, String)>, Error> {
        for name in names {
            if let Some(setting) = environment.get(name)?
                && !setting.value.trim().is_empty()
            {
                return Ok(Some((name, setting.value.trim().to_owned())));
            }
        }
        Ok(None)
    };
    let Some((variable, typed)) = value(&VARIABLES)? else {
        return Ok(None);
    };
    let proxy = read(&typed).map_err(|problem| {
        Error::about(
            variable,
            format!("{problem}; use http://HOST:PORT, or unset it"),
        )
    })?;
    let exceptions = value(&EXCEPTIONS)?.map_or(String::new(), |(_, list)| list);
    Ok(Some(proxy).filter(|_| !is_excepted(&exceptions, origin)))
}

/// Parses the value of a variable. The error does not repeat the value, which may contain a password.
fn read(typed: &str) -> Result<Proxy, &'static str> {
    let with_scheme = if typed.contains("://") {
        typed.to_owned()
    } else {
        format!("http://{typed}")
    };
    let url = Url::parse(&with_scheme).map_err(|_| "is not the URL of a proxy")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("has a scheme that is not supported (only http and https are)");
    }
    let host = url.host_str().filter(|host| !host.is_empty());
    let host = host.ok_or("does not name a host")?;
    let is_plain = !host.contains(['*', '$', '{', '}', ',', '<', '>']);
    if !is_plain || url.query().is_some() || url.fragment().is_some() || url.path().len() > 1 {
        return Err("is not the URL of a proxy");
    }
    let shown = match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    Ok(Proxy { url, shown })
}

/// Returns true if a list of exceptions contains this origin. Entries are separated by commas, semicolons or spaces. An
/// entry is `*`, a host (which also stands for its subdomains, with or without `.` or `*.` before it), an address or a
/// network, each with or without a port.
fn is_excepted(list: &str, origin: &Url) -> bool {
    let Some(host) = origin.host() else {
        return false;
    };
    let port = origin.port_or_known_default();
    list.split([',', ';'])
        .flat_map(str::split_ascii_whitespace)
        .any(|entry| {
            let entry = entry.to_lowercase();
            let (name, wanted) = split_port(&entry);
            let port_fits = wanted.is_none() || wanted == port;
            port_fits && (name == "*" || names(name, &host))
        })
}

/// Splits an entry into host and port. An IPv6 address contains colons itself, and has brackets if a port follows.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    if let Some(rest) = entry.strip_prefix('[')
        && let Some((address, port)) = rest.split_once(']')
    {
        return (
            address,
            port.strip_prefix(':').and_then(|port| port.parse().ok()),
        );
    }
    match entry.split_once(':') {
        Some((name, port)) if !port.contains(':') => match port.parse() {
            Ok(port) => (name, Some(port)),
            Err(_) => (entry, None),
        },
        _ => (entry, None),
    }
}

fn names(entry: &str, host: &Host<&str>) -> bool {
    let address: IpAddr = match host {
        Host::Domain(host) => {
            let suffix = entry.strip_prefix('*').unwrap_or(entry);
            let suffix = suffix.trim_start_matches('.').trim_end_matches('.');
            let host = host.trim_end_matches('.');
            return !suffix.is_empty()
                && host
                    .strip_suffix(suffix)
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        }
        Host::Ipv4(address) => (*address).into(),
        Host::Ipv6(address) => (*address).into(),
    };
    let (network, bits) = entry.split_once('/').unwrap_or((entry, ""));
    let Ok(network) = network.parse::<IpAddr>() else {
        return false;
    };
    let as_bits = |address: IpAddr| match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let ((ours, width), (theirs, other_width)) = (as_bits(address), as_bits(network));
    let bits: u32 = if bits.is_empty() {
        width
    } else {
        match bits.parse() {
            Ok(bits) if bits <= width => bits,
            _ => return false,
        }
    };
    let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
    width == other_width && ours & mask == theirs & mask
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pairs: &[(&str, &str)]) -> Result<Option<String>, String> {
        let origin = Url::parse("https://company.okta.com").unwrap();
        let environment = Environment::of_pairs(pairs);
        proxy(&environment, &origin)
            .map(|proxy| proxy.map(|proxy| proxy.shown))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn an_invalid_proxy_variable_is_refused_by_name() {
        for (name, value, expected) in [
            (
                "HTTPS_PROXY",
                "http://proxy.example:3128",
                Some("proxy.example:3128"),
            ),
            (
                "https_proxy",
                " proxy.example:3128 \r",
                Some("proxy.example:3128"),
            ),
            (
                "ALL_PROXY",
                "https://u:secret@proxy.example/",
                Some("proxy.example:443"),
            ),
            ("all_proxy", "10.0.0.1", Some("10.0.0.1:80")),
            ("HTTPS_PROXY", "   ", None),
            ("HTTP_PROXY", "http://proxy.example:3128", None),
        ] {
            assert_eq!(
                found(&[(name, value)]),
                Ok(expected.map(str::to_owned)),
                "{name}={value:?}"
            );
        }
        for value in [
            "socks5://u:secret@proxy.example:1080",
            "http://u:secret@proxy.example:port",
            "http://u:secret@",
            "${secret}",
            "http://[secret",
            "secret proxy",
            "http://proxy.example/secret",
            "ftp://secret",
        ] {
            let problem = found(&[("HTTPS_PROXY", value)]).unwrap_err();
            assert!(problem.contains("HTTPS_PROXY"), "{problem}");
            assert!(!problem.contains("secret"), "{problem}");
        }
    }

    #[test]
    fn exceptions_are_parsed_in_every_usual_form() {
        let is = |list: &str, origin: &str| is_excepted(list, &Url::parse(origin).unwrap());
        let company = "https://company.okta.com";
        for (list, origin, expected) in [
            ("okta.com", company, true),
            (".okta.com", company, true),
            ("*.okta.com", company, true),
            ("*", company, true),
            ("a.example; company.okta.com", company, true),
            ("a.example company.okta.com:443", company, true),
            ("company.okta.com:8443", company, false),
            ("COMPANY.okta.com.", company, true),
            ("ny.okta.com", company, false),
            ("company.okta.com.evil.example", company, false),
            ("", company, false),
            (",;", company, false),
            ("10.0.0.0/8", "https://10.1.2.3", true),
            ("10.0.0.0/8", "https://11.1.2.3", false),
            ("10.1.2.3", "https://10.1.2.3:8443", true),
            ("0.0.0.0/0", "https://11.1.2.3", true),
            ("10.0.0.0/33", "https://10.1.2.3", false),
            ("[fd00::1]:8443", "https://[fd00::1]:8443", true),
            ("fd00::/8", "https://[fd00::1]", true),
            ("fd00::1", "https://[fd00::2]", false),
        ] {
            assert_eq!(is(list, origin), expected, "{list:?} {origin}");
        }
    }

    #[test]
    fn connections_to_this_machine_use_no_proxy() {
        let origin = Url::parse("http://127.0.0.1:8080").unwrap();
        let environment = Environment::of_pairs(&[("HTTPS_PROXY", "nonsense://")]);
        assert!(proxy(&environment, &origin).unwrap().is_none());
    }
}
