//! From one page to the next; pure.
//!
//! Okta sends `self` and `next` as separate `Link` lines, proxies join them with commas, and the URL is opaque: it is
//! followed as it came (okta-api 2). Only its path and query are, on our own origin, so that no answer can send the
//! token to another host, and only where the path is the one that was asked.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use url::Url;

/// The path and query of the next page, if there is one.
///
/// # Errors
/// A `next` that is no URL or leads to another path.
pub fn next<'a>(
    links: impl IntoIterator<Item = &'a str>,
    asked: &Url,
) -> Result<Option<String>, String> {
    let Some(target) = links.into_iter().find_map(next_target) else {
        return Ok(None);
    };
    let url = asked
        .join(target)
        .map_err(|error| format!("the link to the next page is no URL: {error}"))?;
    if url.path() != asked.path() {
        return Err(format!(
            "the link to the next page leads to {}, another path than the one asked",
            url.path()
        ));
    }
    let query = url
        .query()
        .map_or(String::new(), |query| format!("?{query}"));
    Ok(Some(format!("{}{query}", url.path())))
}

/// The target of the first link with `rel=next` in one header line, which may hold several links.
fn next_target(line: &str) -> Option<&str> {
    let mut rest = line;
    loop {
        let (_, after) = rest.split_once('<')?;
        let (target, after) = after.split_once('>')?;
        let end = end_of_parameters(after);
        if after[..end].split(';').any(is_next) {
            return Some(target);
        }
        rest = &after[end..];
    }
}

/// Where the parameters of a link end: at a comma outside quotes.
fn end_of_parameters(text: &str) -> usize {
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => return at,
            _ => {}
        }
    }
    text.len()
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

/// The smallest page that is asked for.
const SMALLEST: u64 = 10;

/// The same page at half the size, or none where that would be below 10: what a page that timed out is asked for
/// again with (okta-api 1.3).
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

/// What a row is told apart by: a hash of its id. A walk over a million users must fit into memory, and of a million
/// ids two share a hash once in 15 million runs. The lowest bit is 0, free for a flag of whoever stores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RowKey(u64);

impl RowKey {
    /// The key of the row with this id.
    pub fn of(id: &str) -> Self {
        Self(hash(id) & !1)
    }

    /// The key as a number, to be stored; equal in every run of one build of this program, and no longer.
    pub fn to_number(self) -> u64 {
        self.0
    }

    /// The key that was stored.
    pub fn from_number(number: u64) -> Self {
        Self(number & !1)
    }
}

/// A row of a page, as far as a walk counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Which row.
    pub key: RowKey,
    /// Whether it is a user who is not deprovisioned.
    pub active: bool,
    /// When the user was created, where that is of use; milliseconds since 1970.
    pub created: Option<i64>,
}

impl Counted {
    /// The row with this id.
    pub fn of(id: &str) -> Self {
        Self {
            key: RowKey::of(id),
            active: false,
            created: None,
        }
    }
}

/// One walk through a listing: knows where it was and which rows it has seen.
#[derive(Debug, Default)]
pub struct Walk {
    asked: HashSet<u64>,
    seen: HashSet<RowKey>,
    earlier: HashSet<RowKey>,
    distinct: u64,
}

impl Walk {
    /// A walk that goes on after an interruption, with the rows that it had seen.
    pub fn that_saw(rows: impl IntoIterator<Item = RowKey>) -> Self {
        let earlier: HashSet<RowKey> = rows.into_iter().collect();
        Self {
            distinct: earlier.len() as u64,
            earlier,
            ..Self::default()
        }
    }

    /// Begins the same walk again, or another that adds to it: rows seen before are counted once.
    pub fn again(&mut self) {
        self.asked.clear();
        let seen = std::mem::take(&mut self.seen);
        if self.earlier.is_empty() {
            self.earlier = seen;
        } else {
            self.earlier.extend(seen);
        }
    }

    /// How many different rows were seen.
    pub fn distinct(&self) -> u64 {
        self.distinct
    }

    /// Notes a page that was answered, and checks that its `next` leads on.
    ///
    /// # Errors
    /// A `next` that was answered before, or that follows a page without a new row: the listing would never end
    /// (seen with groups, okta-api 2).
    pub fn page(
        &mut self,
        asked: &str,
        rows: &[Counted],
        next: Option<&str>,
    ) -> Result<(), &'static str> {
        self.asked.insert(hash(asked));
        let mut new = false;
        for row in rows {
            if self.seen.insert(row.key) {
                new = true;
                self.distinct += u64::from(!self.earlier.contains(&row.key));
            }
        }
        match next {
            Some(next) if self.asked.contains(&hash(next)) => {
                Err("the next page is one that was already read: the listing would never end")
            }
            Some(_) if !new => Err(
                "a page holds no new row but says that more follow: the listing would never end",
            ),
            _ => Ok(()),
        }
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn asked() -> Url {
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
            (&["rel=\"next\"", "<unclosed; rel=\"next\""], None),
            (&["<https://x/y>; rel=\"nextish\"; rev=\"next\""], None),
        ];
        for (lines, expected) in table {
            assert_eq!(
                next(lines.iter().copied(), &asked()),
                Ok(expected),
                "{lines:?}"
            );
        }
    }

    #[test]
    fn a_next_page_on_another_path_is_refused() {
        let line = "<https://company.okta.com/api/v1/apps?after=x>; rel=\"next\"";
        assert!(next([line], &asked()).unwrap_err().contains("/api/v1/apps"));
        let line = "<https://[bad/api/v1/users>; rel=\"next\"";
        assert!(next([line], &asked()).unwrap_err().contains("no URL"));
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
        for (asked, expected) in table {
            assert_eq!(halved(asked).as_deref(), expected, "{asked}");
        }
    }

    fn rows<const N: usize>(ids: [&str; N]) -> [Counted; N] {
        ids.map(Counted::of)
    }

    #[test]
    fn a_listing_that_turns_in_circles_is_an_error() {
        let mut walk = Walk::default();
        assert_eq!(walk.page("1", &rows(["a", "b"]), Some("2")), Ok(()));
        assert_eq!(walk.page("2", &rows(["b", "c"]), Some("3")), Ok(()));
        assert!(walk.page("3", &rows(["d"]), Some("2")).is_err());
        assert!(walk.page("4", &rows(["a", "c"]), Some("5")).is_err());
        assert!(walk.page("4", &rows([]), Some("5")).is_err());
        assert_eq!(walk.page("4", &rows([]), None), Ok(()));
        assert_eq!(walk.distinct(), 4);
    }

    #[test]
    fn rows_of_a_walk_begun_again_count_once() {
        let mut walk = Walk::default();
        assert_eq!(walk.page("1", &rows(["a", "b"]), Some("2")), Ok(()));
        walk.again();
        assert_eq!(walk.page("1", &rows(["a", "b"]), Some("2")), Ok(()));
        assert_eq!(walk.page("2", &rows(["c"]), None), Ok(()));
        assert_eq!(walk.distinct(), 3);
    }

    #[test]
    fn a_walk_that_goes_on_counts_what_it_had_seen() {
        let mut walk = Walk::that_saw(["a", "b"].map(RowKey::of));
        assert_eq!(walk.page("2", &rows(["b", "c"]), None), Ok(()));
        assert_eq!(walk.distinct(), 3);
        let key = RowKey::of("a");
        assert_eq!(RowKey::from_number(key.to_number()), key);
    }

    proptest! {
        #[test]
        fn no_lines_that_look_like_links_make_the_parser_panic_or_leave_the_host(
            lines in proptest::collection::vec("([<>;,=\"?/ ]|rel|next|https:|//|evil.example|/api/v1/users|after|é){0,24}", 0..4),
        ) {
            if let Ok(Some(next)) = next(lines.iter().map(String::as_str), &asked()) {
                let url = asked().join(&next).unwrap();
                prop_assert_eq!(url.origin(), asked().origin());
                prop_assert_eq!(url.path(), "/api/v1/users");
                halved(&next);
            }
        }

        #[test]
        fn no_header_makes_the_parser_panic_or_leave_the_path(line in any::<String>()) {
            if let Ok(Some(next)) = next([line.as_str()], &asked()) {
                prop_assert!(next.starts_with("/api/v1/users"));
                let origin = asked().join(&next).unwrap().origin();
                prop_assert_eq!(origin, asked().origin());
            }
        }
    }
}
