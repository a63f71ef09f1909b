//! Finds the next page of a listing, and detects listings that would never end. It does no I/O.
//!
//! Okta sends `self` and `next` as separate `Link` lines, proxies join them with commas, and the URL is opaque: it is
//! followed as received (docs/okta-api.md, Pages). Only its path and query are used, on the configured origin, so that no
//! response can send the token to another host, and only if the path is the requested one.

use std::collections::HashSet;

use siphasher::sip::SipHasher13;
use url::Url;

use crate::okta::order::Position;

/// The problem with a `Link` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadLink {
    /// It cannot be read, so it may hide the next page. The response is malformed, and a retry may return a better one.
    Unreadable(String),
    /// Its next page is at another path, which a retry would not change.
    Elsewhere(String),
}

/// Returns the path and query of the next page, if there is one.
///
/// # Errors
/// See [`BadLink`].
pub fn next<'a>(
    links: impl IntoIterator<Item = &'a str>,
    requested: &Url,
) -> Result<Option<String>, BadLink> {
    let mut found = None;
    // Read every line to its end, so that damage after the link to the next page is noticed.
    for line in links {
        let target = next_target(line).map_err(|problem| {
            BadLink::Unreadable(format!("the Link header cannot be read: {problem}"))
        })?;
        found = found.or(target);
    }
    let Some(target) = found else {
        return Ok(None);
    };
    let url = requested.join(target).map_err(|error| {
        BadLink::Unreadable(format!("the link to the next page is not a URL: {error}"))
    })?;
    if url.path() != requested.path() {
        return Err(BadLink::Elsewhere(format!(
            "the link to the next page leads to {}, another path than the one requested",
            url.path()
        )));
    }
    let query = url
        .query()
        .map_or(String::new(), |query| format!("?{query}"));
    Ok(Some(format!("{}{query}", url.path())))
}

/// Returns the target of the first link with `rel=next` in one header line, which may contain several links (RFC 8288, 3).
fn next_target(line: &str) -> Result<Option<&str>, &'static str> {
    let mut found = None;
    // Empty elements of a list are legal (RFC 9110, 5.6.1).
    let blank = |c: char| c == ',' || c.is_ascii_whitespace();
    let mut rest = line.trim_start_matches(blank);
    while !rest.is_empty() {
        let after = rest
            .strip_prefix('<')
            .ok_or("a link does not start with <")?;
        let (target, after) = after.split_once('>').ok_or("a link has no >")?;
        if target.contains('<') {
            return Err("a link has no >");
        }
        let (parameters, after) = parameters(after)?;
        if parameters.iter().any(|parameter| is_next(parameter)) {
            found = found.or(Some(target));
        }
        rest = after.trim_start_matches(blank);
    }
    Ok(found)
}

/// Returns the parameters of a link, and the text after it: a link ends at a comma outside quotes.
fn parameters(text: &str) -> Result<(Vec<&str>, &str), &'static str> {
    let mut parts = Vec::new();
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    let mut end = text.len();
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ';' | ',' if !quoted => {
                parts.push(&text[start..at]);
                start = at + 1;
                if c == ',' {
                    end = at;
                    break;
                }
            }
            _ => {}
        }
    }
    if quoted {
        return Err("a quote does not close");
    }
    if end == text.len() && start <= end {
        parts.push(&text[start..]);
    }
    if !parts[0].trim().is_empty() {
        return Err("something other than a parameter follows a link");
    }
    Ok((parts, &text[end..]))
}

/// Returns the URL at `origin` with the path and query of `target`; none if `target` is not a plain path: a scheme, an
/// authority, a backslash, a control character, a fragment, or dots that would change the path.
///
/// Cursors come from responses and from a checkpoint. Whatever they contain, the token goes to `origin`.
pub fn on_origin(origin: &Url, target: &str) -> Option<Url> {
    let is_plain = target.starts_with('/')
        && !target.starts_with("//")
        && !target
            .chars()
            .any(|c| c == '\\' || c == '#' || c.is_control() || c.is_whitespace());
    if !is_plain {
        return None;
    }
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let mut url = origin.clone();
    url.set_path(path);
    url.set_query(query);
    (url.origin() == origin.origin() && url.path() == path).then_some(url)
}

/// Returns whether `position` is a page of the listing that starts with `first`: a plain path, and the same one.
pub fn is_page_of(first: &str, position: &str) -> bool {
    let path = |target: &str| target.split('?').next().map(str::to_owned);
    let here = Url::parse("https://localhost").ok();
    let url = here.and_then(|here| on_origin(&here, position));
    url.is_some() && path(first) == path(position)
}

/// Returns the number of rows that a page was requested with, if the request contains it.
pub fn rows_requested(url: &Url) -> Option<u64> {
    url.query_pairs()
        .find(|(name, _)| name == "limit")
        .and_then(|(_, limit)| limit.parse().ok())
}

fn is_next(parameter: &str) -> bool {
    parameter.split_once('=').is_some_and(|(name, value)| {
        name.trim().eq_ignore_ascii_case("rel")
            && value
                .trim()
                .trim_matches('"')
                .split_ascii_whitespace()
                .any(|rel| rel.eq_ignore_ascii_case("next"))
    })
}

/// The smallest page that is requested.
const SMALLEST: u64 = 10;

/// Returns the request for half of a page that timed out (docs/okta-api.md, Groups); none if half were fewer than 10 rows.
pub fn halved(path_and_query: &str) -> Option<String> {
    let (path, query) = path_and_query.split_once('?')?;
    let mut halved = false;
    let parts: Vec<String> = query
        .split('&')
        .map(|part| {
            let limit = part
                .strip_prefix("limit=")
                .and_then(|text| text.parse::<u64>().ok());
            match limit {
                Some(limit) if limit > SMALLEST => {
                    halved = true;
                    format!("limit={}", (limit / 2).max(SMALLEST))
                }
                _ => part.to_owned(),
            }
        })
        .collect();
    halved.then(|| format!("{path}?{}", parts.join("&")))
}

/// Identifies a row by a hash of its id, so that a listing of a million users fits into memory. Of a million ids, two have
/// the same hash in one of 15 million runs. The lowest bit is always 0; the checkpoint uses it as a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RowKey(u64);

impl RowKey {
    /// Returns the key of the row with this id.
    pub fn of(id: &str) -> Self {
        Self(hash(id) & !1)
    }

    /// Returns the key as a number for the checkpoint. Every version computes the same number.
    pub fn to_number(self) -> u64 {
        self.0
    }

    /// Returns the key that [`RowKey::to_number`] returned, with any flag removed.
    pub fn from_number(number: u64) -> Self {
        Self(number & !1)
    }
}

/// The part of a row that is needed even if the row is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowSummary {
    /// The key of the row.
    pub key: RowKey,
    /// True if the row is a user who is not deprovisioned.
    pub active: bool,
    /// The position of its id among all ids; only for rows of the user list.
    pub position: Option<Position>,
}

impl RowSummary {
    /// Returns the summary of a row with this id.
    pub fn of(id: &str) -> Self {
        Self {
            key: RowKey::of(id),
            active: false,
            position: None,
        }
    }
}

/// Counts the different rows of a listing, and detects one that would never end.
#[derive(Debug, Default)]
pub struct PageTracker {
    requested: HashSet<u64>,
    listed: HashSet<RowKey>,
    earlier: HashSet<RowKey>,
    distinct: u64,
}

impl PageTracker {
    /// Returns the tracker of a listing whose earlier pages returned these rows.
    pub fn resumed(rows: impl IntoIterator<Item = RowKey>) -> Self {
        let earlier: HashSet<RowKey> = rows.into_iter().collect();
        Self {
            distinct: earlier.len() as u64,
            earlier,
            ..Self::default()
        }
    }

    /// Restarts the listing from its first page. Rows that were already listed are not counted again.
    pub fn restart(&mut self) {
        self.requested.clear();
        let listed = std::mem::take(&mut self.listed);
        if self.earlier.is_empty() {
            self.earlier = listed;
        } else {
            self.earlier.extend(listed);
        }
    }

    /// Returns the number of different rows so far.
    pub fn distinct(&self) -> u64 {
        self.distinct
    }

    /// Adds a page.
    ///
    /// # Errors
    /// Returns an error if the page `next` was already read, or if it follows a page without a new row: the listing would
    /// never end. Okta is known to do this with groups (docs/okta-api.md, Pages).
    pub fn add(
        &mut self,
        requested: &str,
        rows: &[RowSummary],
        next: Option<&str>,
    ) -> Result<(), &'static str> {
        self.requested.insert(hash(requested));
        let mut new = false;
        for row in rows {
            if self.listed.insert(row.key) {
                new = true;
                self.distinct += u64::from(!self.earlier.contains(&row.key));
            }
        }
        match next {
            Some(next) if self.requested.contains(&hash(next)) => {
                Err("the next page is one that was already read: the listing would never end")
            }
            Some(_) if !new => Err(
                "a page has no new row but a link to a next page, so the listing would never end",
            ),
            _ => Ok(()),
        }
    }
}

fn hash(text: &str) -> u64 {
    SipHasher13::new().hash(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn requested() -> Url {
        Url::parse("https://company.okta.com/api/v1/users?limit=200").unwrap()
    }

    #[test]
    fn the_next_page_is_found_in_every_shape_of_link_header() {
        let next_page = Some("/api/v1/users?after=x&limit=200".to_owned());
        let table: [(&[&str], Option<String>); 11] = [
            (&[], None),
            (
                &["<https://company.okta.com/api/v1/users?limit=200>; rel=\"self\""],
                None,
            ),
            (
                &[
                    "<https://company.okta.com/api/v1/users?limit=200>; rel=\"self\"",
                    "<https://company.okta.com/api/v1/users?after=x&limit=200>; rel=\"next\"",
                ],
                next_page.clone(),
            ),
            (
                &[
                    "<https://company.okta.com/api/v1/users?limit=200>; rel=\"self\", <https://company.okta.com/api/v1/users?after=x&limit=200>; rel=\"next\"",
                ],
                next_page.clone(),
            ),
            (
                &["<https://company-admin.okta.com/api/v1/users?after=x&limit=200>; rel=\"next\""],
                next_page.clone(),
            ),
            (
                &["<https://evil.example/api/v1/users?after=x&limit=200>; rel=\"next\""],
                next_page.clone(),
            ),
            (
                &["</api/v1/users?after=x&limit=200>;rel=next"],
                next_page.clone(),
            ),
            (
                &["<?after=x&limit=200>; title=\"a, b\"; REL=\"prev Next\""],
                next_page.clone(),
            ),
            (
                &["<https://company.okta.com/api/v1/users?after=a,b;c>; rel=\"next\""],
                Some("/api/v1/users?after=a,b;c".to_owned()),
            ),
            (&["<https://x/y>; rel=\"nextish\"; rev=\"next\""], None),
            (&["", " , ,", "<https://x/y>;; rel=\"self\" , "], None),
        ];
        for (lines, expected) in table {
            assert_eq!(
                next(lines.iter().copied(), &requested()),
                Ok(expected),
                "{lines:?}"
            );
        }
    }

    #[test]
    fn a_next_page_on_another_path_is_refused() {
        let line = "<https://company.okta.com/api/v1/apps?after=x>; rel=\"next\"";
        let Err(BadLink::Elsewhere(problem)) = next([line], &requested()) else {
            panic!("{:?}", next([line], &requested()));
        };
        assert!(problem.contains("/api/v1/apps"));
    }

    #[test]
    fn a_link_header_that_cannot_be_read_is_not_the_last_page() {
        let next_page = "<https://company.okta.com/api/v1/users?after=x>; rel=\"next\"";
        for line in [
            "rel=\"next\"",
            "<unclosed; rel=\"next\"",
            "<https://company.okta.com/api/v1/users?after=x; rel=\"next\"",
            "<https://company.okta.com/api/v1/users?after=x; rel=\"self\", <https://x/y>; rel=\"next\"",
            "<https://company.okta.com/api/v1/users?after=x>; rel=\"next",
            "<https://company.okta.com/api/v1/users>; title=\"a\\\"; rel=\"next\"",
            "<https://company.okta.com/api/v1/users?after=x> rel=\"next\"",
            "https://company.okta.com/api/v1/users?after=x; rel=\"next\"",
            "<https://[bad/api/v1/users>; rel=\"next\"",
            "{}",
        ] {
            for lines in [vec![line], vec![next_page, line], vec![line, next_page]] {
                // The first of several links is followed, and the URLs of the others are not parsed.
                if line.contains("[bad") && lines[0] == next_page {
                    continue;
                }
                let found = next(lines.iter().copied(), &requested());
                assert!(
                    matches!(found, Err(BadLink::Unreadable(_))),
                    "{lines:?}: {found:?}"
                );
            }
        }
    }

    #[test]
    fn a_position_is_a_path_of_the_listing_or_refused() {
        let first = "/api/v1/users?limit=200";
        for (position, expected) in [
            ("/api/v1/users?after=x&limit=200", true),
            ("/api/v1/users", true),
            ("/api/v1/users?after=https://evil.example/", true),
            ("https://evil.example/api/v1/users", false),
            ("//evil.example/api/v1/users", false),
            ("/\\evil.example/api/v1/users", false),
            ("\\\\evil.example/api/v1/users", false),
            ("/api/v1/groups?after=x", false),
            ("/api/v1/users/../groups", false),
            ("/api/v1/./users", false),
            ("/api/v1/%2e%2e/v1/users", false),
            ("/api/v1/users/00u1", false),
            ("api/v1/users", false),
            ("?after=x", false),
            ("", false),
            (" /api/v1/users", false),
            ("/api/v1/users\t?after=x", false),
            ("/api/v1/users?after=x#y", false),
            ("javascript:alert(1)", false),
        ] {
            assert_eq!(is_page_of(first, position), expected, "{position:?}");
        }
    }

    #[test]
    fn a_page_is_halved_down_to_ten() {
        let table = [
            ("/u?limit=200", Some("/u?limit=100")),
            (
                "/u?after=limit%3D&limit=1000&x=1",
                Some("/u?after=limit%3D&limit=500&x=1"),
            ),
            ("/u?limit=15", Some("/u?limit=10")),
            ("/u?limit=10", None),
            ("/u?after=x", None),
            ("/u", None),
        ];
        for (requested, expected) in table {
            assert_eq!(halved(requested).as_deref(), expected, "{requested}");
        }
    }

    fn rows<const N: usize>(ids: [&str; N]) -> [RowSummary; N] {
        ids.map(RowSummary::of)
    }

    #[test]
    fn a_listing_that_turns_in_circles_is_an_error() {
        let mut pages = PageTracker::default();
        assert_eq!(pages.add("1", &rows(["a", "b"]), Some("2")), Ok(()));
        assert_eq!(pages.add("2", &rows(["b", "c"]), Some("3")), Ok(()));
        assert!(pages.add("3", &rows(["d"]), Some("2")).is_err());
        assert!(pages.add("4", &rows(["a", "c"]), Some("5")).is_err());
        assert!(pages.add("4", &rows([]), Some("5")).is_err());
        assert_eq!(pages.add("4", &rows([]), None), Ok(()));
        assert_eq!(pages.distinct(), 4);
    }

    #[test]
    fn rows_of_a_restarted_listing_count_once() {
        let mut pages = PageTracker::default();
        assert_eq!(pages.add("1", &rows(["a", "b"]), Some("2")), Ok(()));
        pages.restart();
        assert_eq!(pages.add("1", &rows(["a", "b"]), Some("2")), Ok(()));
        assert_eq!(pages.add("2", &rows(["c"]), None), Ok(()));
        assert_eq!(pages.distinct(), 3);
    }

    #[test]
    fn a_resumed_listing_counts_the_rows_of_its_earlier_pages() {
        let mut pages = PageTracker::resumed(["a", "b"].map(RowKey::of));
        assert_eq!(pages.add("2", &rows(["b", "c"]), None), Ok(()));
        assert_eq!(pages.distinct(), 3);
        let key = RowKey::of("a");
        assert_eq!(RowKey::from_number(key.to_number()), key);
    }

    proptest! {
        #[test]
        fn whatever_a_position_is_the_request_goes_to_the_origin_and_the_listing(
            position in "([/\\\\:@?#%. ]|https|http|//|evil.example|localhost|/api/v1/users|after|\t|\n|é){0,16}",
            any in any::<String>(),
        ) {
            let origin = Url::parse("https://company.okta.com").unwrap();
            for position in [position.as_str(), &any] {
                if let Some(url) = on_origin(&origin, position) {
                    prop_assert_eq!(url.origin(), origin.origin());
                    prop_assert_eq!(url.username(), "");
                    if is_page_of("/api/v1/users?limit=200", position) {
                        prop_assert_eq!(url.path(), "/api/v1/users");
                    }
                } else {
                    prop_assert!(!is_page_of("/api/v1/users?limit=200", position));
                }
            }
        }

        #[test]
        fn no_lines_that_look_like_links_make_the_parser_panic_or_leave_the_host(
            lines in proptest::collection::vec("([<>;,=\"?/ ]|rel|next|https:|//|evil.example|/api/v1/users|after|é){0,24}", 0..4),
        ) {
            if let Ok(Some(next)) = next(lines.iter().map(String::as_str), &requested()) {
                let url = requested().join(&next).unwrap();
                prop_assert_eq!(url.origin(), requested().origin());
                prop_assert_eq!(url.path(), "/api/v1/users");
                halved(&next);
            }
        }

        #[test]
        fn no_header_makes_the_parser_panic_or_leave_the_path(line in any::<String>()) {
            if let Ok(Some(next)) = next([line.as_str()], &requested()) {
                prop_assert!(next.starts_with("/api/v1/users"));
                let origin = requested().join(&next).unwrap().origin();
                prop_assert_eq!(origin, requested().origin());
            }
        }
    }
}
