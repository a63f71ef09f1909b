//! Matches addresses and names against a scope. Lines of the input: a domain, a text for names of groups, an address,
//! and a name.
#![no_main]

use libfuzzer_sys::fuzz_target;
use okta_ciam::testing::filter::{Addresses, Domain, NameFilter, Scope};

fuzz_target!(|text: &str| {
    let mut lines = text.splitn(4, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (domain, filter, address, name) = (line(), line(), line(), line());
    let filter = NameFilter::parse(filter).ok();
    if let Some(filter) = &filter {
        assert!(filter.matches(&filter.to_string()));
        // A text that is found in a part must also be found in the whole text.
        let whole = format!("{name}{address}");
        assert!(!filter.matches(name) || filter.matches(&whole));
    }
    let Ok(domain) = Domain::parse(domain) else {
        return;
    };
    assert_eq!(
        Domain::parse(&domain.to_string()).as_ref(),
        Ok(&domain),
        "{domain}"
    );
    let matched = domain.matches(address);
    assert!(!matched || address.contains('@'));
    let plain = domain.to_string();
    if !plain.starts_with('*') {
        assert!(domain.matches(&format!("{address}@{plain}")));
    }
    let scope = Scope::new(vec![domain], false, filter);
    let addresses = Addresses {
        email: Some(address),
        login: None,
        second_email: None,
    };
    assert_eq!(scope.user(addresses).is_some(), matched);
    scope.group(Some(name));
    assert_eq!(scope.prefilter(), None);
});
