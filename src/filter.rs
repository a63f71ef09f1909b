//! The scope: the users and groups that a run includes.
//!
//! Text is parsed once ([`Domain::parse`], [`NameFilter::parse`]); after that, matching cannot fail. Everything is
//! compared without case, and a domain in both of its spellings: `bücher.example` is `xn--bcher-kva.example` (RFC
//! 5890). Okta can do none of this for us: its `search` has no "ends with", and its `q` is a prefix match that stops at
//! 300 (docs/okta-api.md, Users and Groups).

use std::borrow::Cow;
use std::fmt;

use thiserror::Error;

use crate::mask;

/// An invalid part of a scope.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// Two commas in a row, or nothing at all.
    #[error("an email domain is empty; write example.com, or example.com,example.org")]
    EmptyDomain,
    /// A domain that cannot be one.
    #[error(
        "{shown} is not an email domain: {1}; write example.com, or *.example.com for its subdomains",
        shown = mask::shown(.0)
    )]
    NoDomain(String, &'static str),
    /// A name filter that every group would match.
    #[error("the text is empty; leave it out to keep every group")]
    EmptyName,
}

/// One email domain, or all subdomains of one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Domain {
    /// In ASCII, lower case, without `@` and without `*.`.
    name: String,
    /// The same in Unicode, where that differs.
    unicode: Option<String>,
    /// `*.name`: the subdomains, not the domain itself.
    subdomains: bool,
}

impl Domain {
    /// Reads `example.com`, `@example.com` or `*.example.com`.
    ///
    /// # Errors
    /// Returns an error for text that no mail could be sent to: empty, without a dot, or with a character that no host
    /// name has.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(Error::EmptyDomain);
        }
        let no_domain = |why| Error::NoDomain(trimmed.to_owned(), why);
        let folded = fold(trimmed.strip_prefix('@').unwrap_or(trimmed));
        let (name, subdomains) = match folded.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (folded.as_str(), false),
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        if name.contains('@') {
            return Err(no_domain("it is a complete address"));
        }
        if name.contains("://") || name.contains('/') {
            return Err(no_domain("it is a URL"));
        }
        let labels: Vec<&str> = name.split('.').collect();
        if labels.iter().any(|label| label.is_empty()) {
            return Err(no_domain("a part between two dots is empty"));
        }
        if labels.len() < 2 {
            return Err(no_domain("it has no dot"));
        }
        if !name
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'))
        {
            return Err(no_domain(
                "it contains a character that host names cannot have",
            ));
        }
        if labels
            .iter()
            .any(|label| label.starts_with('-') || label.ends_with('-'))
        {
            return Err(no_domain("a part of it starts or ends with a hyphen"));
        }
        // Most names are the same in both spellings, also some that no registry would accept.
        let is_plain = name.is_ascii() && labels.iter().all(|label| !label.starts_with("xn--"));
        if is_plain {
            return Ok(Self {
                name: name.to_owned(),
                unicode: None,
                subdomains,
            });
        }
        let ascii = idna::domain_to_ascii(name)
            .map_err(|_| no_domain("no domain can be written like this"))?;
        let (unicode, result) = idna::domain_to_unicode(&ascii);
        if result.is_err() {
            return Err(no_domain("no domain can be written like this"));
        }
        Ok(Self {
            unicode: Some(unicode).filter(|unicode| *unicode != ascii),
            name: ascii,
            subdomains,
        })
    }

    /// Returns whether an address is in this domain. Text without an `@` is in none.
    pub fn matches(&self, address: &str) -> bool {
        host_of(address).is_some_and(|host| self.matches_host(&folded(host)))
    }

    /// Returns whether a host, already folded, is in this domain.
    fn matches_host(&self, host: &str) -> bool {
        self.spellings().any(|name| {
            if self.subdomains {
                host.strip_suffix(name)
                    .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            } else {
                host == name
            }
        })
    }

    /// Returns a search, in Okta's language, for all users whose email or login may be in this domain. `co` matches
    /// anywhere, so it finds others too.
    pub fn search(&self) -> String {
        let before = if self.subdomains { '.' } else { '@' };
        let texts = self.spellings().map(|name| format!("{before}{name}"));
        let parts = texts.flat_map(|text| {
            ["email", "login"].map(|attribute| format!("profile.{attribute} co \"{text}\""))
        });
        parts.collect::<Vec<_>>().join(" or ")
    }

    fn spellings(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.name.as_str()).chain(self.unicode.as_deref())
    }
}

/// Returns the host of an address: the text after its last `@`, without spaces and dots at the end. Of `Name <a@b>`,
/// the address is the part in the brackets.
fn host_of(address: &str) -> Option<&str> {
    let address = address.trim_end();
    let address = match address
        .strip_suffix('>')
        .and_then(|rest| rest.rsplit_once('<'))
    {
        Some((_, bracketed)) => bracketed,
        None => address,
    };
    let (_, host) = address.rsplit_once('@')?;
    Some(host.trim().trim_end_matches(['.', ' ']))
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stars = if self.subdomains { "*." } else { "" };
        write!(f, "{stars}{}", self.name)
    }
}

/// A text that a group's name must contain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameFilter {
    typed: String,
    folded: String,
}

impl NameFilter {
    /// Parses the text without trimming: spaces count.
    ///
    /// # Errors
    /// Returns an error for an empty text, which would match everything.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(Error::EmptyName);
        }
        Ok(Self {
            typed: text.to_owned(),
            folded: fold(text),
        })
    }

    /// Returns whether a group's name contains the text.
    pub fn matches(&self, name: &str) -> bool {
        fold(name).contains(&self.folded)
    }
}

impl fmt::Display for NameFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.typed)
    }
}

/// The address that put a user in scope: the first that matches, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchedBy {
    /// The primary email.
    Email,
    /// The login.
    Login,
    /// Nothing but the secondary email, which is often a private address: worth a reviewer's look.
    SecondEmail,
}

impl MatchedBy {
    /// Returns the word in the snapshot.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Login => "login",
            Self::SecondEmail => "second_email",
        }
    }

    /// Returns the address that a word in a snapshot means.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Email, Self::Login, Self::SecondEmail]
            .into_iter()
            .find(|by| by.as_str() == word)
    }
}

/// The addresses of a user that the scope looks at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Addresses<'a> {
    /// The primary email.
    pub email: Option<&'a str>,
    /// The login.
    pub login: Option<&'a str>,
    /// The secondary email.
    pub second_email: Option<&'a str>,
}

/// The users and groups that a run includes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    domains: Vec<Domain>,
    skip_secondary: bool,
    group_name: Option<NameFilter>,
}

impl Scope {
    /// Returns the scope of some domains (sorted, each once) and, if given, a text in the names of groups.
    pub fn new(
        mut domains: Vec<Domain>,
        skip_secondary: bool,
        group_name: Option<NameFilter>,
    ) -> Self {
        domains.sort();
        domains.dedup();
        Self {
            domains,
            skip_secondary,
            group_name,
        }
    }

    /// Returns the domains, sorted.
    pub fn domains(&self) -> &[Domain] {
        &self.domains
    }

    /// Returns the whole scope as one text: equal for equal scopes.
    pub fn to_text(&self) -> String {
        let domains: Vec<String> = self.domains.iter().map(ToString::to_string).collect();
        let name = self.group_name.as_ref().map(ToString::to_string);
        serde_json::json!([domains, self.skip_secondary, name]).to_string()
    }

    /// Returns whether secondary emails are ignored.
    pub fn skip_secondary(&self) -> bool {
        self.skip_secondary
    }

    /// Returns the text that group names must contain.
    pub fn group_name(&self) -> Option<&NameFilter> {
        self.group_name.as_ref()
    }

    /// Returns the address that puts a user in scope; `None` if none does.
    pub fn user(&self, addresses: Addresses<'_>) -> Option<MatchedBy> {
        self.counted(addresses)
            .into_iter()
            .find(|(address, _)| address.is_some_and(|address| self.holds(address)))
            .map(|(_, by)| by)
    }

    /// Returns, for each domain that one of a user's addresses is in, its place among the domains, and the first such
    /// address.
    pub fn domains_of(&self, addresses: Addresses<'_>) -> Vec<(usize, MatchedBy)> {
        let addresses = self.counted(addresses);
        let domains = self.domains.iter().enumerate();
        domains
            .filter_map(|(place, domain)| {
                let mut there = addresses.iter();
                let (_, by) =
                    there.find(|(address, _)| address.is_some_and(|it| domain.matches(it)))?;
                Some((place, *by))
            })
            .collect()
    }

    /// Returns the addresses that count, in order of precedence.
    fn counted<'a>(&self, addresses: Addresses<'a>) -> [(Option<&'a str>, MatchedBy); 3] {
        let second_email = addresses.second_email.filter(|_| !self.skip_secondary);
        [
            (addresses.email, MatchedBy::Email),
            (addresses.login, MatchedBy::Login),
            (second_email, MatchedBy::SecondEmail),
        ]
    }

    /// Returns a search, in Okta's language, that finds all users who may be in scope, if there is one: `co` searches
    /// email and login, but no secondary email (docs/okta-api.md, Users). It finds more than the scope has, since it
    /// matches anywhere.
    pub fn prefilter(&self) -> Option<String> {
        if !self.skip_secondary {
            return None;
        }
        let parts: Vec<String> = self.domains.iter().map(Domain::search).collect();
        Some(parts.join(" or "))
    }

    /// Returns whether a group with this name is in scope. A group without a name is, unless a text is required.
    pub fn group(&self, name: Option<&str>) -> bool {
        match &self.group_name {
            None => true,
            Some(filter) => name.is_some_and(|name| filter.matches(name)),
        }
    }

    fn holds(&self, address: &str) -> bool {
        let Some(host) = host_of(address) else {
            return false;
        };
        let host = folded(host);
        self.domains.iter().any(|domain| domain.matches_host(&host))
    }
}

/// Folds the case of a text, without a copy where there is nothing to fold. That is nearly always so, and this runs for
/// every user of an org.
fn folded(text: &str) -> Cow<'_, str> {
    if text
        .bytes()
        .all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase())
    {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(fold(text))
    }
}

/// Returns the text in lower case, letter by letter: `str::to_lowercase` considers the neighbors of a Greek sigma, so
/// that a text might not be found in a longer one.
fn fold(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    /// `name: text => expected`, one test each.
    macro_rules! domains {
        ($($name:ident: $text:expr => $expected:expr;)*) => {
            $(#[test] fn $name() {
                let got = Domain::parse($text).map(|domain| domain.to_string());
                let expected: Result<&str, &str> = $expected;
                match (got, expected) {
                    (Ok(got), Ok(expected)) => assert_eq!(got, expected),
                    (Err(got), Err(part)) => assert!(got.to_string().contains(part), "{got}"),
                    (got, expected) => panic!("{got:?} where {expected:?} was expected"),
                }
            })*
        };
    }

    domains! {
        a_domain_is_folded: "Example.COM" => Ok("example.com");
        spaces_around_a_domain_go: "  example.com " => Ok("example.com");
        a_leading_at_sign_goes: "@example.com" => Ok("example.com");
        a_star_means_subdomains: "*.example.com" => Ok("*.example.com");
        a_domain_may_be_written_in_unicode: "BÜCHER.example" => Ok("xn--bcher-kva.example");
        a_domain_may_be_written_in_ascii: "*.XN--bcher-kva.example" => Ok("*.xn--bcher-kva.example");
        what_only_looks_like_ascii_for_unicode_is_no_domain: "xn--0.example" => Err("no domain can");
        an_underscore_is_accepted: "a_b.example" => Ok("a_b.example");
        nothing_is_no_domain: " " => Err("empty");
        an_at_sign_alone_is_no_domain: "@" => Err("\"@\"");
        a_word_is_no_domain: "example" => Err("no dot");
        a_star_over_a_word_is_no_domain: "*.com" => Err("no dot");
        a_whole_address_is_no_domain: "mira@example.com" => Err("complete address");
        an_address_of_the_web_is_no_domain: "https://example.com" => Err("a URL");
        a_space_inside_is_no_domain: "exam ple.com" => Err("character");
        a_star_in_the_middle_is_no_domain: "mail.*.com" => Err("character");
        two_dots_are_no_domain: "example..com" => Err("empty");
        a_last_dot_goes: "example.com." => Ok("example.com");
        two_last_dots_are_no_domain: "example.com.." => Err("empty");
        a_hyphen_at_an_end_is_no_domain: "-example.com" => Err("hyphen");
        a_semicolon_is_no_separator: "example.com;example.org" => Err("\"example.com;example.org\"");
    }

    fn scope(domains: &[&str], skip_secondary: bool, name: Option<&str>) -> Scope {
        let domains = domains.iter().map(|text| Domain::parse(text).unwrap());
        Scope::new(
            domains.collect(),
            skip_secondary,
            name.map(|text| NameFilter::parse(text).unwrap()),
        )
    }

    #[test]
    fn a_user_is_in_scope_by_any_of_three_addresses() {
        let both = scope(&["example.com", "*.example.org"], false, None);
        let without = scope(&["example.com", "*.example.org"], true, None);
        let table = [
            (Some("a@example.com"), None, None, Some(MatchedBy::Email)),
            (Some("A@EXAMPLE.com"), None, None, Some(MatchedBy::Email)),
            (Some("a@sub.example.com"), None, None, None),
            (Some("a@badexample.com"), None, None, None),
            (Some("a@example.com.evil.net"), None, None, None),
            (Some("a@b@example.com"), None, None, Some(MatchedBy::Email)),
            (Some("example.com"), None, None, None),
            (Some("a@example.org"), None, None, None),
            (Some("a@x.example.org"), None, None, Some(MatchedBy::Email)),
            (Some("a@.example.org"), None, None, None),
            (Some(" a@example.com. "), None, None, Some(MatchedBy::Email)),
            (
                Some("a@ example.com .."),
                None,
                None,
                Some(MatchedBy::Email),
            ),
            (
                Some("Ada <a@example.com>"),
                None,
                None,
                Some(MatchedBy::Email),
            ),
            (Some("a@example.com <a@other.net>"), None, None, None),
            (Some("a@example.com>"), None, None, None),
            (None, Some("a@example.com"), None, Some(MatchedBy::Login)),
            (None, Some("a.example.com"), None, None),
            (
                Some("a@other.net"),
                Some("a@example.com"),
                Some("b@example.com"),
                Some(MatchedBy::Login),
            ),
            (
                None,
                None,
                Some("b@example.com"),
                Some(MatchedBy::SecondEmail),
            ),
            (None, None, None, None),
        ];
        for (email, login, second_email, expected) in table {
            let addresses = Addresses {
                email,
                login,
                second_email,
            };
            assert_eq!(both.user(addresses), expected, "{addresses:?}");
            let expected = expected.filter(|by| *by != MatchedBy::SecondEmail);
            assert_eq!(without.user(addresses), expected, "{addresses:?}");
        }
    }

    #[test]
    fn a_group_is_in_scope_if_its_name_contains_the_text_without_case() {
        let table = [
            (None, Some("Anything"), true),
            (None, None, true),
            (Some("vpn"), Some("VPN users"), true),
            (Some("VPN"), Some("all-vpn"), true),
            (Some("vpn"), Some("v p n"), false),
            (Some("ÉQUIPE"), Some("équipe 日本"), true),
            (Some(" "), Some("two words"), true),
            (Some("vpn"), None, false),
        ];
        for (text, name, expected) in table {
            let scope = scope(&["example.com"], false, text);
            assert_eq!(scope.group(name), expected, "{text:?} in {name:?}");
        }
    }

    #[test]
    fn a_prefilter_asks_for_every_address_that_okta_can_search() {
        let with_secondary = scope(&["example.com"], false, None);
        assert_eq!(with_secondary.prefilter(), None);
        let without = scope(&["example.com", "*.example.org"], true, None);
        assert_eq!(
            without.prefilter().unwrap(),
            "profile.email co \"@example.com\" or profile.login co \"@example.com\" \
             or profile.email co \".example.org\" or profile.login co \".example.org\""
        );
    }

    #[test]
    fn a_domain_matches_in_both_spellings_and_is_searched_for_in_both() {
        for typed in ["bücher.example", "XN--BCHER-KVA.example", "BÜCHER.example."] {
            let one = scope(&[typed], true, None);
            let below = scope(&[&format!("*.{typed}")], true, None);
            for host in [
                "bücher.example",
                "BÜCHER.EXAMPLE",
                "xn--bcher-kva.example",
                "XN--Bcher-KVA.example.",
            ] {
                let address = format!("a@{host}");
                let addresses = |email| Addresses {
                    email: Some(email),
                    ..Addresses::default()
                };
                assert!(one.user(addresses(&address)).is_some(), "{typed} {host}");
                assert!(below.user(addresses(&address)).is_none(), "{typed} {host}");
                let address = format!("a@mail.{host}");
                assert!(below.user(addresses(&address)).is_some(), "{typed} {host}");
            }
            let search = one.prefilter().unwrap();
            for text in ["\"@bücher.example\"", "\"@xn--bcher-kva.example\""] {
                assert!(search.contains(text), "{search}");
            }
        }
        let twice = scope(&["bücher.example", "xn--bcher-kva.example"], false, None);
        assert_eq!(twice.domains().len(), 1);
    }

    #[test]
    fn a_user_counts_for_each_domain_by_the_first_address_in_it() {
        let both = scope(&["a.example", "b.example", "c.example"], false, None);
        let addresses = Addresses {
            email: Some("x@b.example"),
            login: Some("x@a.example"),
            second_email: Some("x@b.example"),
        };
        assert_eq!(
            both.domains_of(addresses),
            [(0, MatchedBy::Login), (1, MatchedBy::Email)]
        );
    }

    #[test]
    fn domains_are_sorted_and_each_is_there_once() {
        let scope = scope(&["b.example", "a.example", "B.example"], false, None);
        let names: Vec<String> = scope.domains().iter().map(Domain::to_string).collect();
        assert_eq!(names, ["a.example", "b.example"]);
    }

    proptest! {
        #[test]
        fn reading_never_panics_and_what_is_read_prints_as_itself(text in any::<String>()) {
            if let Ok(domain) = Domain::parse(&text) {
                prop_assert_eq!(Domain::parse(&domain.to_string()), Ok(domain));
            }
        }

        #[test]
        fn no_text_makes_a_match_panic_and_no_address_outside_matches(
            domain in "[a-zA-Zéß*@._-]{1,12}", text in any::<String>(), name in any::<String>(),
        ) {
            if let Ok(domain) = Domain::parse(&domain) {
                prop_assert!(!domain.matches(&text) || text.contains('@'));
                let scope = Scope::new(vec![domain], false, NameFilter::parse(&name).ok());
                let addresses = Addresses { email: Some(&text), login: Some(&name), second_email: None };
                let any_at = text.contains('@') || name.contains('@');
                prop_assert!(scope.user(addresses).is_none() || any_at);
                scope.group(Some(&text));
                scope.prefilter();
            }
            if let Ok(filter) = NameFilter::parse(&name) {
                prop_assert!(filter.matches(&name));
                filter.matches(&text);
            }
        }

        #[test]
        fn every_address_of_a_domain_matches_in_any_case(
            local in "[^@]{1,12}", name in "[a-z]{1,8}(\\.[a-z0-9]{1,8}){1,3}", upper in any::<bool>(),
        ) {
            let domain = Domain::parse(&name).unwrap();
            let stars = Domain::parse(&format!("*.{name}")).unwrap();
            let host = if upper { name.to_uppercase() } else { name.clone() };
            let at = |host: &str| format!("{local}@{host}");
            let (itself, below, stuck) = (at(&host), at(&format!("x.{host}")), at(&format!("x{host}")));
            prop_assert!(domain.matches(&itself) && !stars.matches(&itself));
            prop_assert!(!domain.matches(&below) && stars.matches(&below));
            prop_assert!(!domain.matches(&stuck) && !stars.matches(&stuck));
        }

        #[test]
        fn a_name_filter_finds_itself_anywhere(before in any::<String>(), text in "[ -~Α-ω]{1,10}", after in any::<String>()) {
            let filter = NameFilter::parse(&text).unwrap();
            let name = before + &text + &after;
            prop_assert!(filter.matches(&name));
        }
    }
}
