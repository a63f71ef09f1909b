//! Parses `Link` headers, one per line, as a response of Okta or of a proxy may contain them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use okta_ciam::testing::okta::http::page;
use url::Url;

fuzz_target!(|text: &str| {
    let asked = Url::parse("https://company.okta.com/api/v1/users?limit=200").unwrap();
    if let Ok(Some(next)) = page::next(text.lines(), &asked) {
        let url = asked.join(&next).unwrap();
        assert_eq!(url.origin(), asked.origin());
        assert_eq!(url.path(), asked.path());
        assert!(next.starts_with("/api/v1/users"));
        if let Some(half) = page::halved(&next) {
            assert!(half.starts_with("/api/v1/users?"));
        }
    }
});
