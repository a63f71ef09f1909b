//! From a request and the org to a response: endpoints and paging.

#![expect(
    clippy::result_large_err,
    reason = "a refusal is a response like any other, and as large"
)]

use std::ops::Bound;
use std::sync::Arc;
use std::time::Instant;

use super::endpoint::Endpoint;
use super::org::{Millis, Org, User};
use super::query::{Incoming, Query, bad_paging, to_cursor};
use super::render::{self, UserParts};
use super::response::{Response, forbidden, method_not_allowed, not_found};
use super::search::{Bad, Operator, Place, Search};
use super::server::{Options, Refused};

/// A requested change of a membership, and its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembershipChange {
    /// `PUT` or `DELETE`.
    pub method: String,
    /// The group, as sent.
    pub group: String,
    /// The user, as sent.
    pub user: String,
    /// The status of the response.
    pub status: u16,
}

/// Answers a request that reads. `base` is the address that links start with.
pub fn respond(org: &Org, options: &Options, base: &str, ask: &Incoming) -> Response {
    let (endpoint, ids) = Endpoint::of(&ask.path);
    let (query, wrong) = match admit(options, ask, endpoint) {
        Ok(admitted) => admitted,
        Err(refusal) => return refusal,
    };
    let reader = Reader {
        org,
        options,
        base,
        query,
    };
    let id = ids.first().map_or("", String::as_str);
    let result = match endpoint {
        Endpoint::Users => reader.users(),
        Endpoint::Me => reader.user(org.token_owner(), "me"),
        // Okta has no path for a login with a slash, however it is encoded.
        Endpoint::User if id.contains('/') => Err(method_not_allowed()),
        Endpoint::User => reader.user(org.find_user(id), id),
        Endpoint::UserGroups => reader.user_groups(id),
        Endpoint::UserRoles => reader.user_roles(id),
        Endpoint::Groups => reader.groups(),
        Endpoint::Group => reader.group(id),
        Endpoint::Members => reader.members(id),
        Endpoint::Rules => reader.rules(),
        Endpoint::Org => reader.org(),
        Endpoint::Member | Endpoint::Unknown => Err(unknown_path()),
    };
    let mut answer = result.unwrap_or_else(|refusal| refusal);
    answer.unexpected = answer.unexpected.or(wrong);
    answer
}

/// Answers a request that changes a membership; anything else is left to [`answer`].
pub fn change(
    org: &mut Org,
    options: &Options,
    ask: &Incoming,
    now: Instant,
) -> Option<(Response, MembershipChange)> {
    let (endpoint, ids) = Endpoint::of(&ask.path);
    let [group, user] = &ids[..] else {
        return None;
    };
    let (answer, wrong) = match admit(options, ask, endpoint) {
        Ok((_, wrong)) => (apply(org, options, ask, group, user, now), wrong),
        Err(refusal) => (refusal, None),
    };
    let change = MembershipChange {
        method: ask.method.clone(),
        group: group.clone(),
        user: user.clone(),
        status: answer.status,
    };
    let answer = Response {
        unexpected: answer.unexpected.clone().or(wrong),
        ..answer
    };
    Some((answer, change))
}

fn unknown_path() -> Response {
    Response::error(404, "E0000008", "The requested path was not found", &[])
        .unexpected("unknown path")
}

/// Checks what every endpoint checks first. The text describes a problem that is not refused.
fn admit<'a>(
    options: &Options,
    ask: &'a Incoming,
    endpoint: Endpoint,
) -> Result<(Query<'a>, Option<String>), Response> {
    if !ask.authorized {
        let mut refusal = Response::error(401, "E0000011", "Invalid token provided", &[]);
        if !options.expect_unauthorized {
            refusal = refusal.unexpected("no token, or a wrong one");
        }
        return Err(refusal);
    }
    if endpoint == Endpoint::Unknown {
        return Err(unknown_path());
    }
    if !endpoint.methods().contains(&ask.method.as_str()) {
        return Err(method_not_allowed().unexpected("method"));
    }
    Ok(Query::read(ask, endpoint))
}

fn apply(
    org: &mut Org,
    options: &Options,
    ask: &Incoming,
    group_id: &str,
    user_id: &str,
    now: Instant,
) -> Response {
    let put = ask.method == "PUT";
    if put && !ask.has_length {
        return Response {
            status: 411,
            content_type: Some("text/html".to_owned()),
            body: b"<html><body>411 Length Required</body></html>".to_vec(),
            unexpected: Some("PUT without Content-Length".to_owned()),
            ..Response::default()
        };
    }
    let Some(group) = org.group(group_id).filter(|group| visible(options, group)) else {
        return not_found(group_id, "UserGroup");
    };
    if org.user(user_id).is_none() {
        return not_found(user_id, "User");
    }
    if options.forbid_changes {
        return forbidden();
    }
    if group.kind != "OKTA_GROUP" {
        if options.read_only_groups_answer_501 {
            return Response::error(501, "E0000060", "Unsupported operation.", &[]);
        }
        return forbidden();
    }
    let was = org.is_member(group_id, user_id);
    if !put && !was && options.absent_delete_answers_404 {
        return not_found(user_id, "User");
    }
    if was != put {
        if options.read_lag.is_zero() {
            org.settle_pair(group_id, user_id);
            if put {
                org.join(group_id, user_id);
            } else {
                org.leave(group_id, user_id);
            }
        } else {
            org.set_later(group_id, user_id, put, now + options.read_lag);
        }
        if !put {
            org.exclude(group_id, user_id);
        }
    }
    Response {
        status: 204,
        ..Response::default()
    }
}

fn visible(options: &Options, group: &super::org::Group) -> bool {
    !(options.hide_everyone && group.is_everyone())
}

struct Reader<'a> {
    org: &'a Org,
    options: &'a Options,
    base: &'a str,
    query: Query<'a>,
}

impl Reader<'_> {
    /// Returns a page of rows: the first `limit` of them, and the address of the next page if there are more.
    fn page<T>(
        &self,
        mut rows: impl Iterator<Item = T>,
        limit: usize,
        position: impl Fn(&T) -> String,
        mut render: impl FnMut(&mut Vec<u8>, &T),
    ) -> Response {
        let mut body = Vec::with_capacity(1024 * limit.min(1000));
        body.push(b'[');
        let mut last = None;
        let mut sent = 0;
        for row in rows.by_ref().take(limit) {
            if sent > 0 {
                body.push(b',');
            }
            render(&mut body, &row);
            sent += 1;
            last = Some(row);
        }
        body.push(b']');
        let more = sent == limit && (self.options.trailing_empty_page || rows.next().is_some());
        let cursor = last.filter(|_| more).map(|row| to_cursor(&position(&row)));
        let next = cursor.map(|cursor| self.query.address(self.base, limit, Some(&cursor)));
        Response {
            this: Some(
                self.query
                    .address(self.base, limit, self.query.get("after")),
            ),
            next,
            ..Response::json(body)
        }
    }

    fn user_parts(&self) -> UserParts {
        UserParts {
            credentials: !self.query.ask.omit_credentials,
            all_links: false,
        }
    }

    fn users(&self) -> Result<Response, Response> {
        let cap = self.options.page_cap.users;
        let (limit, after) = self.query.page(200.min(cap), cap)?;
        let (search, filter) = (self.query.get("search"), self.query.get("filter"));
        if search.is_some() && filter.is_some() {
            let refusal =
                Response::error(400, "E0000033", "Search and filter exclude each other", &[]);
            return Err(refusal.unexpected("search and filter"));
        }
        let search = match (search, filter) {
            (Some(text), _) => Some(self.refused(text, Place::UserSearch)?),
            (_, Some(text)) => Some(parse(text, Place::UserFilter)?),
            (None, None) => None,
        };
        let created = search.as_ref().and_then(Search::created);
        // Walking an index costs as much as it yields, so a search by creation time comes in that order unless another
        // is requested.
        let by_created = match self.query.get("sortBy") {
            Some(_) if self.options.ignore_sort => false,
            None => created.is_some(),
            Some("created") => true,
            Some("id") => false,
            Some(other) => return Err(bad_search("sortBy").unexpected(format!("sortBy={other}"))),
        };
        let down = match self.query.get("sortOrder") {
            None | Some("asc") => false,
            Some("desc") => !self.options.ignore_sort,
            Some(other) => {
                return Err(bad_search("sortOrder").unexpected(format!("sortOrder={other}")));
            }
        };
        let sorted = self.query.get("sortBy").is_some() || self.query.get("sortOrder").is_some();
        if sorted && self.query.get("search").is_none() {
            return Err(bad_search("sortBy").unexpected("sorted without search"));
        }
        let rows = self
            .walk(&after, by_created, down, created)?
            .filter(|user| !(user.lagging || created.is_some() && user.not_by_time))
            .filter(|user| match &search {
                Some(search) => search.user(user),
                None => !user.is_deprovisioned(),
            });
        let position = |user: &&User| {
            if by_created {
                format!("{}|{}", user.created, user.id)
            } else {
                user.id.to_string()
            }
        };
        let parts = self.user_parts();
        Ok(self.page(rows, limit, position, |body, user| {
            render::user(body, user, self.base, parts);
        }))
    }

    /// Returns the users after a position, in one of four orders.
    fn walk(
        &self,
        after: &str,
        by_created: bool,
        down: bool,
        created: Option<(Millis, Millis)>,
    ) -> Result<Box<dyn Iterator<Item = &User> + '_>, Response> {
        if !by_created {
            let place = if after.is_empty() {
                Bound::Unbounded
            } else {
                Bound::Excluded(after)
            };
            return Ok(if down {
                let users = self.org.users_between((Bound::Unbounded, place));
                Box::new(users.rev())
            } else {
                Box::new(self.org.users_between((place, Bound::Unbounded)))
            });
        }
        let (low, high) = created.unwrap_or((Millis::MIN, Millis::MAX));
        if low > high {
            return Ok(Box::new(std::iter::empty()));
        }
        // The end is cut off below: there is no id that sorts last.
        let start = || Bound::Included((low, Arc::from("")));
        let place = if after.is_empty() {
            None
        } else {
            let position = after.split_once('|').and_then(|(time, id)| {
                let time: Millis = time.parse().ok()?;
                Some((time, Arc::from(id)))
            });
            Some(Bound::Excluded(position.ok_or_else(bad_paging)?))
        };
        Ok(if down {
            let end = place.unwrap_or_else(|| match high.checked_add(1) {
                Some(end) => Bound::Excluded((end, Arc::from(""))),
                None => Bound::Unbounded,
            });
            if let Bound::Excluded((time, _)) = &end
                && *time < low
            {
                return Ok(Box::new(std::iter::empty()));
            }
            Box::new(self.org.users_created((start(), end)).rev())
        } else {
            let users = self
                .org
                .users_created((place.unwrap_or_else(start), Bound::Unbounded));
            Box::new(users.take_while(move |user| user.created <= high))
        })
    }

    /// Reads a search of users, unless this org refuses it.
    fn refused(&self, text: &str, place: Place) -> Result<Search, Response> {
        let search = parse(text, place)?;
        let Some(refuse) = &self.options.refuse_search else {
            return Ok(search);
        };
        let contains = |part: &Search| matches!(part, Search::Text(_, Operator::Contains, _));
        let created = |part: &Search| matches!(part, Search::Created(..));
        let refused = match refuse.what {
            Refused::All => true,
            Refused::Contains => search.uses(&contains),
            Refused::Created => search.uses(&created),
        };
        if !refused {
            return Ok(search);
        }
        Err(Response::error(
            refuse.status,
            &refuse.code,
            "Invalid search criteria.",
            &["The org refuses this search."],
        ))
    }

    fn user(&self, user: Option<&User>, name: &str) -> Result<Response, Response> {
        let user = user.ok_or_else(|| not_found(name, "User"))?;
        let parts = UserParts {
            credentials: true,
            all_links: true,
        };
        let mut body = Vec::new();
        render::user(&mut body, user, self.base, parts);
        Ok(Response::json(body))
    }

    fn user_groups(&self, id: &str) -> Result<Response, Response> {
        let cap = self.options.page_cap.user_groups;
        let (limit, after) = self.query.page(200.min(cap), cap)?;
        let user = self
            .org
            .find_user(id)
            .ok_or_else(|| not_found(id, "User"))?;
        if user.groups_forbidden {
            return Err(forbidden());
        }
        let groups = self.org.groups_shown(user).into_iter();
        let rows = groups
            .filter(|group| *group.id > *after)
            .filter(|group| visible(self.options, group));
        Ok(self.page(
            rows,
            limit,
            |group| group.id.to_string(),
            |body, group| {
                render::group(body, self.org, group, self.base, false);
            },
        ))
    }

    fn user_roles(&self, id: &str) -> Result<Response, Response> {
        if self.options.forbid_roles {
            return Err(forbidden());
        }
        let user = self
            .org
            .find_user(id)
            .ok_or_else(|| not_found(id, "User"))?;
        let roles = self.org.roles.get(&user.id).into_iter().flatten();
        let mut body = vec![b'['];
        for (number, role) in roles.enumerate() {
            if number > 0 {
                body.push(b',');
            }
            render::role(&mut body, role, &user.id, self.base);
        }
        body.push(b']');
        // A bare array: no pages, and no link to itself (docs/okta-api.md, Admin roles).
        Ok(Response::json(body))
    }

    fn groups(&self) -> Result<Response, Response> {
        let cap = self.options.page_cap.groups;
        let (limit, after) = self.query.page(200.min(cap), cap)?;
        let stats = self.query.get("expand").is_some();
        let search = match (self.query.get("search"), self.query.get("filter")) {
            (Some(_), Some(_)) => {
                let refusal =
                    Response::error(400, "E0000033", "Search and filter exclude each other", &[]);
                return Err(refusal.unexpected("search and filter"));
            }
            (Some(text), None) => Some(parse(text, Place::GroupSearch)?),
            (None, Some(text)) => Some(parse(text, Place::GroupFilter)?),
            (None, None) => None,
        };
        let prefix = self.query.get("q").map(str::to_lowercase);
        let rows = self
            .org
            .groups_after(&after)
            .filter(|group| visible(self.options, group))
            .filter(|group| search.as_ref().is_none_or(|search| search.group(group)))
            .filter(|group| match &prefix {
                None => true,
                Some(prefix) => group
                    .name()
                    .is_some_and(|name| name.to_lowercase().starts_with(prefix)),
            });
        let limit = if prefix.is_some() { 300 } else { limit };
        let page = self.page(
            rows,
            limit,
            |group| group.id.to_string(),
            |body, group| {
                render::group(body, self.org, group, self.base, stats);
            },
        );
        Ok(match prefix {
            // What `q` finds has no pages, and not even a link to itself.
            Some(_) => Response::json(page.body),
            None => page,
        })
    }

    fn group(&self, id: &str) -> Result<Response, Response> {
        let group = self
            .org
            .group(id)
            .filter(|group| visible(self.options, group));
        let group = group.ok_or_else(|| not_found(id, "UserGroup"))?;
        let mut body = Vec::new();
        let stats = self.query.get("expand").is_some();
        render::group(&mut body, self.org, group, self.base, stats);
        Ok(Response::json(body))
    }

    fn members(&self, id: &str) -> Result<Response, Response> {
        let cap = self.options.page_cap.members;
        let (limit, after) = self.query.page(1000.min(cap), cap)?;
        let group = self
            .org
            .group(id)
            .filter(|group| visible(self.options, group));
        let group = group.ok_or_else(|| not_found(id, "UserGroup"))?;
        if group.members_forbidden {
            return Err(forbidden());
        }
        let rows = self.org.members_after(group, &after);
        let parts = self.user_parts();
        Ok(self.page(
            rows,
            limit,
            |user| user.id.to_string(),
            |body, user| {
                render::user(body, user, self.base, parts);
            },
        ))
    }

    fn rules(&self) -> Result<Response, Response> {
        if self.options.forbid_rules {
            return Err(forbidden());
        }
        let (limit, after) = self.query.page(50, 200)?;
        let mut rules: Vec<_> = self
            .org
            .rules
            .iter()
            .filter(|rule| rule.id > after)
            .collect();
        rules.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(self.page(
            rules.into_iter(),
            limit,
            |rule| rule.id.clone(),
            |body, one| render::rule(body, one),
        ))
    }

    fn org(&self) -> Result<Response, Response> {
        if self.options.forbid_org {
            return Err(forbidden());
        }
        let body = serde_json::json!({
            "id": "00odemo0000000000000",
            "companyName": self.org.company,
            "subdomain": "demo",
            "status": "ACTIVE",
            "created": "2020-02-03T10:00:00.000Z",
            "lastUpdated": "2024-11-05T10:00:00.000Z",
            "expiresAt": null,
            "_links": { "preferences": { "href": format!("{}/api/v1/org/preferences", self.base) } },
        });
        Ok(Response::json(body.to_string().into_bytes()))
    }
}

fn bad_search(cause: &str) -> Response {
    Response::error(400, "E0000031", "Invalid search criteria.", &[cause])
}

fn parse(text: &str, place: Place) -> Result<Search, Response> {
    Search::parse(text, place).map_err(|bad| match bad {
        Bad::Short => bad_search("`co` needs at least 3 characters."),
        Bad::Date => Response::error(400, "E0000030", "Bad date format", &[])
            .unexpected(format!("search {text}")),
        Bad::Syntax => bad_search("Invalid search syntax.").unexpected(format!("search {text}")),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};
    use serde_json::Value;

    use super::super::org::{Group, Role, Rule, Size};
    use super::super::server::RefuseSearch;
    use super::*;

    const BASE: &str = "http://127.0.0.1:1";

    fn get(org: &Org, options: &Options, target: &str) -> Response {
        respond(org, options, BASE, &ask("GET", target))
    }

    fn ask(method: &str, target: &str) -> Incoming {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Incoming {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            authorized: true,
            has_length: true,
            omit_credentials: false,
        }
    }

    fn ids(answer: &Response) -> Vec<String> {
        assert_eq!(
            answer.status,
            200,
            "{}",
            String::from_utf8_lossy(&answer.body)
        );
        let rows: Vec<Value> = serde_json::from_slice(&answer.body).unwrap();
        let id = |row: &Value| row["id"].as_str().unwrap().to_owned();
        rows.iter().map(id).collect()
    }

    /// Returns all ids of a listing; `between` is called after each page.
    fn walk(
        org: &mut Org,
        options: &Options,
        target: &str,
        mut between: impl FnMut(&mut Org, usize),
    ) -> Vec<String> {
        let mut found = Vec::new();
        let mut target = target.to_owned();
        for page in 0..10_000 {
            let answer = get(org, options, &target);
            assert_eq!(answer.unexpected, None);
            found.extend(ids(&answer));
            between(org, page);
            match answer.next {
                None => return found,
                Some(next) => target = next.strip_prefix(BASE).unwrap().to_owned(),
            }
        }
        panic!("the walk does not end");
    }

    const LISTINGS: [&str; 9] = [
        "/api/v1/users?",
        "/api/v1/users?search=status+pr&",
        "/api/v1/users?search=status%20pr&sortBy=id&sortOrder=desc&",
        "/api/v1/users?search=status%20pr&sortBy=created&",
        "/api/v1/users?search=status%20pr&sortBy=created&sortOrder=desc&",
        "/api/v1/users?search=created%20lt%20%222100-01-01T00:00:00Z%22&",
        "/api/v1/users?search=profile.email%20co%20%22mple%22&",
        "/api/v1/groups/g/users?",
        "/api/v1/groups?expand=stats&",
    ];

    fn many(users: usize) -> Org {
        let mut org = Org::new();
        org.add_group(Group::new("g", "All"));
        for number in 0..users {
            let id = format!("u{number:03}");
            let mut user = User::with_email(&id, &format!("{id}@example.com"));
            // Ties, and another order than that of the ids.
            user.created = Millis::try_from(number * 7 % 10).unwrap();
            org.add_user(user);
            org.join("g", &id);
            org.add_group(Group::new(&format!("h{number:03}"), "One of many"));
        }
        org
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn a_walk_gives_each_row_once_whatever_the_page_size(
            users in 0_usize..60, limit in 1_usize..70, trailing in 0..2,
        ) {
            let mut org = many(users);
            let options = Options { trailing_empty_page: trailing == 1, ..Options::default() };
            for listing in LISTINGS {
                let found = walk(&mut org, &options, &format!("{listing}limit={limit}"), |_, _| {});
                let once: BTreeSet<_> = found.iter().collect();
                prop_assert_eq!(once.len(), found.len());
                let more = if listing.contains("groups?") { 2 } else { 0 };
                prop_assert_eq!(found.len(), users + more, "{}", listing);
            }
        }

        #[test]
        fn a_walk_misses_nothing_that_stays_and_repeats_nothing_when_rows_go(
            limit in 1_usize..20, victims in proptest::collection::vec(0_usize..60, 0..30),
        ) {
            for listing in LISTINGS {
                let mut org = many(60);
                let found = walk(&mut org, &Options::default(), &format!("{listing}limit={limit}"), |org, page| {
                    if let Some(victim) = victims.get(page) {
                        org.remove_user(&format!("u{victim:03}"));
                        org.remove_group(&format!("h{victim:03}"));
                    }
                });
                let once: BTreeSet<_> = found.iter().cloned().collect();
                prop_assert_eq!(once.len(), found.len());
                let stay = if listing.contains("groups?") {
                    org.groups().map(|group| group.id.to_string()).collect::<Vec<_>>()
                } else {
                    org.users().map(|user| user.id.to_string()).collect()
                };
                prop_assert!(stay.iter().all(|id| once.contains(id)), "{}", listing);
            }
        }
    }

    #[test]
    fn sorted_listings_come_in_their_order() {
        let mut org = many(30);
        let mut created = |order: &str| {
            let target = format!(
                "/api/v1/users?search=status%20pr&sortBy=created&sortOrder={order}&limit=7"
            );
            let found = walk(&mut org, &Options::default(), &target, |_, _| {});
            found
                .into_iter()
                .map(|id| (org.user(&id).unwrap().created, id))
                .collect::<Vec<_>>()
        };
        let up = created("asc");
        assert!(up.is_sorted());
        let mut down = created("desc");
        down.reverse();
        assert_eq!(up, down);
    }

    #[test]
    fn links_are_whole_addresses_that_keep_every_parameter() {
        let org = many(9);
        let target = "/api/v1/users?search=profile.email%20co%20%22%40example.com%22&limit=4";
        let page = get(&org, &Options::default(), target);
        let search = "search=profile.email+co+%22%40example.com%22";
        let own = format!("{BASE}/api/v1/users?{search}&limit=4");
        assert_eq!(page.this, Some(own));
        let cursor = to_cursor("u003");
        let next = format!("{BASE}/api/v1/users?{search}&after={cursor}&limit=4");
        assert_eq!(page.next, Some(next));
        let exact = get(&org, &Options::default(), "/api/v1/users?limit=9");
        assert_eq!(exact.next, None, "a full last page is the last");
        let large = get(&org, &Options::default(), "/api/v1/users?limit=5000");
        assert!(large.this.unwrap().ends_with("limit=200"));
        let forged = get(&org, &Options::default(), "/api/v1/users?after=u003");
        assert_eq!(forged.status, 400);
    }

    #[test]
    fn listings_of_users_differ_in_the_deprovisioned_and_share_the_lag() {
        let mut org = many(3);
        org.edit_user("u001", |user| user.status = "DEPROVISIONED".into());
        org.edit_user("u002", |user| user.lagging = true);
        let options = Options::default();
        let found = |target: &str| ids(&get(&org, &options, target)).join(" ");
        assert_eq!(found("/api/v1/users"), "u000");
        assert_eq!(found("/api/v1/users?search=status%20pr"), "u000 u001");
        assert_eq!(
            found("/api/v1/users?filter=status%20eq%20%22DEPROVISIONED%22"),
            "u001"
        );
        assert_eq!(found("/api/v1/groups/g/users"), "u000 u001 u002");
        let everyone = org.find_group("Everyone").unwrap().id.clone();
        assert_eq!(
            found(&format!("/api/v1/groups/{everyone}/users")),
            "u000 u002"
        );
        assert_eq!(get(&org, &options, "/api/v1/users/u002").status, 200);
        assert_eq!(found("/api/v1/users/u001/groups"), "g");
        assert_eq!(
            found("/api/v1/users/U000%40EXAMPLE.com/groups"),
            format!("{everyone} g")
        );
    }

    fn code(answer: &Response) -> (u16, String) {
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        (
            answer.status,
            body["errorCode"].as_str().unwrap_or_default().to_owned(),
        )
    }

    #[test]
    fn errors_are_oktas_and_what_no_client_of_ours_sends_is_noticed() {
        let mut org = many(1);
        org.edit_group("g", |group| group.members_forbidden = true);
        org.edit_user("u000", |user| user.groups_forbidden = true);
        let options = Options {
            forbid_org: true,
            ..Options::default()
        };
        let table = [
            ("GET", "/api/v1/users/nobody", 404, "E0000007", false),
            ("GET", "/api/v1/groups/none", 404, "E0000007", false),
            ("GET", "/api/v1/groups/none/users", 404, "E0000007", false),
            ("GET", "/api/v1/groups/g/users", 403, "E0000006", false),
            ("GET", "/api/v1/users/u000/groups", 403, "E0000006", false),
            ("GET", "/api/v1/org", 403, "E0000006", false),
            (
                "GET",
                "/api/v1/users?search=profile.email%20co%20%22ab%22",
                400,
                "E0000031",
                false,
            ),
            (
                "GET",
                "/api/v1/users?search=email%20ew%20%22ab%22",
                400,
                "E0000031",
                true,
            ),
            (
                "GET",
                "/api/v1/users?search=status%20pr&filter=x",
                400,
                "E0000033",
                true,
            ),
            ("GET", "/api/v1/users?limit=0", 400, "E0000029", true),
            ("GET", "/api/v1/users?page=2", 200, "", true),
            ("GET", "/api/v1/users?limit=1&limit=2", 200, "", true),
            ("GET", "/api/v1/groups?expand=app", 200, "", true),
            ("POST", "/api/v1/users", 405, "E0000022", true),
            ("DELETE", "/api/v1/groups/g", 405, "E0000022", true),
            ("GET", "/api/v2/users", 404, "E0000008", true),
            ("GET", "/api/v1/logs", 404, "E0000008", true),
        ];
        for (method, target, status, expected, noticed) in table {
            let answer = respond(&org, &options, BASE, &ask(method, target));
            assert_eq!(code(&answer), (status, expected.to_owned()), "{target}");
            assert_eq!(answer.unexpected.is_some(), noticed, "{target}");
        }
        let stranger = Incoming {
            authorized: false,
            ..ask("GET", "/api/v1/users")
        };
        let refused = respond(&org, &options, BASE, &stranger);
        assert_eq!(code(&refused), (401, "E0000011".to_owned()));
        assert!(refused.unexpected.is_some());
    }

    #[test]
    fn refused_searches_are_refused_as_the_options_say() {
        let org = many(2);
        let status = |what, search: &str| {
            let options = Options {
                refuse_search: Some(RefuseSearch {
                    status: 409,
                    code: "E0000145".to_owned(),
                    ..RefuseSearch::new(what)
                }),
                ..Options::default()
            };
            get(&org, &options, &format!("/api/v1/users?search={search}")).status
        };
        let co = "profile.email%20co%20%22mple%22";
        let created = "status%20pr%20and%20(created%20gt%20%222000-01-01T00:00:00Z%22)";
        assert_eq!(
            (
                status(Refused::Contains, co),
                status(Refused::Contains, created)
            ),
            (409, 200)
        );
        assert_eq!(
            (
                status(Refused::Created, co),
                status(Refused::Created, created)
            ),
            (200, 409)
        );
        assert_eq!(status(Refused::All, "status%20pr"), 409);
        let filter = "/api/v1/users?filter=status%20eq%20%22ACTIVE%22";
        let options = Options {
            refuse_search: Some(RefuseSearch::new(Refused::All)),
            ..Options::default()
        };
        assert_eq!(get(&org, &options, filter).status, 200);
    }

    #[test]
    fn groups_are_found_by_prefix_search_and_kind_and_tell_their_size() {
        let mut org = many(3);
        org.add_group(Group::new("v", "VPN users"));
        org.edit_group("h000", |group| group.size = Size::Says(77));
        org.edit_group("h001", |group| group.size = Size::Withheld);
        org.edit_group("h002", |group| group.admin = None);
        let options = Options::default();
        let by_prefix = get(&org, &options, "/api/v1/groups?q=vpn&limit=200");
        assert_eq!(ids(&by_prefix), ["v"]);
        assert_eq!((by_prefix.this, by_prefix.next), (None, None));
        let found =
            |query: &str| ids(&get(&org, &options, &format!("/api/v1/groups?{query}"))).len();
        assert_eq!(found("q=users"), 0);
        assert_eq!(found("search=profile.name%20co%20%22USERS%22"), 1);
        assert_eq!(found("search=profile.name%20sw%20%22One%22"), 3);
        assert_eq!(found("filter=type%20eq%20%22BUILT_IN%22"), 1);
        let page = get(&org, &options, "/api/v1/groups?expand=stats");
        let rows: Vec<Value> = serde_json::from_slice(&page.body).unwrap();
        let row = |id| rows.iter().find(|row| row["id"] == id).unwrap();
        assert_eq!(row("g")["_embedded"]["stats"]["usersCount"], 3);
        assert_eq!(row("h000")["_embedded"]["stats"]["usersCount"], 77);
        assert_eq!(row("h001").get("_embedded"), None);
        assert_eq!(
            row("h002")["_embedded"]["stats"].get("hasAdminPrivilege"),
            None
        );
        let hidden = Options {
            hide_everyone: true,
            ..Options::default()
        };
        assert_eq!(ids(&get(&org, &hidden, "/api/v1/groups")).len(), 5);
    }

    #[test]
    fn users_have_oktas_shape_and_raw_rows_are_sent_as_they_are() {
        let mut org = many(1);
        org.add_user(User::with_raw("u999", r#"{"id":null,"status":1e400}"#));
        let listing = Incoming {
            omit_credentials: true,
            ..ask("GET", "/api/v1/users")
        };
        let body =
            |ask: &Incoming| String::from_utf8(respond(&org, &Options::default(), BASE, ask).body);
        let listed = body(&listing).unwrap();
        assert!(
            listed.ends_with(r#",{"id":null,"status":1e400}]"#),
            "{listed}"
        );
        assert!(!listed.contains("credentials") && listed.contains(r#""lastLogin":null"#));
        assert!(
            body(&ask("GET", "/api/v1/users"))
                .unwrap()
                .contains("\"credentials\"")
        );
        let one: Value =
            serde_json::from_str(&body(&ask("GET", "/api/v1/users/me")).unwrap()).unwrap();
        assert_eq!(one["created"], "1970-01-01T00:00:00.000Z");
        assert_eq!(
            one["_links"]["self"]["href"],
            format!("{BASE}/api/v1/users/u000")
        );
        assert_eq!(one["_links"]["suspend"]["method"], "POST");
    }

    #[test]
    fn a_users_roles_are_a_bare_array_and_may_be_forbidden() {
        let mut org = many(1);
        let target = "/api/v1/users/u000/roles";
        let options = Options::default();
        assert_eq!(get(&org, &options, target).body, b"[]");
        org.roles.insert(
            "u000".into(),
            vec![
                Role::new("USER_ADMIN", "Group Administrator"),
                Role::new("CUSTOM", "Only groups"),
            ],
        );
        let answer = get(&org, &options, target);
        assert_eq!((answer.this.as_ref(), answer.next.as_ref()), (None, None));
        let roles: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(roles[0]["type"], "USER_ADMIN");
        assert_eq!(roles[0]["status"], "ACTIVE");
        assert_eq!(roles[0]["assignmentType"], "USER");
        assert_eq!(roles[0].get("resource-set"), None);
        assert!(roles[1]["resource-set"].is_string());
        let me = get(&org, &options, "/api/v1/users/me/roles");
        assert_eq!(code(&me), (404, "E0000007".to_owned()));
        let forbidden = Options {
            forbid_roles: true,
            ..Options::default()
        };
        assert_eq!(
            code(&get(&org, &forbidden, target)),
            (403, "E0000006".to_owned())
        );
    }

    fn send(org: &mut Org, options: &Options, method: &str, target: &str) -> u16 {
        change(org, options, &ask(method, target), Instant::now())
            .unwrap()
            .1
            .status
    }

    #[test]
    fn a_membership_is_put_and_deleted() {
        let mut org = many(2);
        let options = Options::default();
        let target = "/api/v1/groups/h000/users/u001";
        assert_eq!(send(&mut org, &options, "PUT", target), 204);
        assert_eq!(send(&mut org, &options, "PUT", target), 204);
        assert!(org.is_member("h000", "u001"));
        assert_eq!(send(&mut org, &options, "DELETE", target), 204);
        assert_eq!(send(&mut org, &options, "DELETE", target), 204);
        assert!(!org.is_member("h000", "u001"));
        assert_eq!(send(&mut org, &options, "GET", target), 405);
        assert_eq!(
            send(&mut org, &options, "PUT", "/api/v1/groups/h000/users/no"),
            404
        );
        assert_eq!(
            send(&mut org, &options, "PUT", "/api/v1/groups/no/users/u001"),
            404
        );
        let strict = Options {
            absent_delete_answers_404: true,
            ..Options::default()
        };
        assert_eq!(send(&mut org, &strict, "DELETE", target), 404);
        let everyone = "/api/v1/groups/00g00000000everyone0/users/u001";
        assert_eq!(send(&mut org, &options, "PUT", everyone), 403);
        let old = Options {
            read_only_groups_answer_501: true,
            ..Options::default()
        };
        assert_eq!(send(&mut org, &old, "PUT", everyone), 501);
        let without = Incoming {
            has_length: false,
            ..ask("PUT", target)
        };
        let (answer, _) = change(&mut org, &options, &without, Instant::now()).unwrap();
        assert_eq!(answer.status, 411);
        assert!(!org.is_member("h000", "u001"));
    }

    #[test]
    fn whom_a_rule_put_there_is_excluded_from_it_when_taken_out() {
        let mut org = many(1);
        org.rules.push(Rule {
            id: "0pr1".to_owned(),
            name: "All".to_owned(),
            status: "ACTIVE".to_owned(),
            expression: "true".to_owned(),
            groups: vec!["g".to_owned()],
            managed: vec!["u000".to_owned()],
            excluded: Vec::new(),
            created: 0,
        });
        send(
            &mut org,
            &Options::default(),
            "DELETE",
            "/api/v1/groups/g/users/u000",
        );
        let page = get(&org, &Options::default(), "/api/v1/groups/rules?limit=50");
        let rules: Value = serde_json::from_slice(&page.body).unwrap();
        assert_eq!(
            rules[0]["conditions"]["people"]["users"]["exclude"][0],
            "u000"
        );
        assert_eq!(
            rules[0]["actions"]["assignUserToGroups"]["groupIds"][0],
            "g"
        );
    }
}
