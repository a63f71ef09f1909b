//! Responds to read requests: searches, listings and single objects.

use std::ops::Bound;
use std::sync::Arc;

use super::visible;
use crate::org::{Millis, Org, User};
use crate::query::{Query, bad_paging, to_cursor};
use crate::render::{self, UserParts};
use crate::response::{Response, forbidden, not_found};
use crate::search::{Bad, Operator, Place, Search};
use crate::server::{Options, Refused};

pub(super) struct Reader<'a> {
    pub(super) org: &'a Org,
    pub(super) options: &'a Options,
    pub(super) base: &'a str,
    pub(super) query: Query<'a>,
}

impl Reader<'_> {
    /// Returns a page with the first `limit` rows, and the address of the next page if there are more.
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
            credentials: !self.query.incoming.omit_credentials,
            all_links: false,
        }
    }

    pub(super) fn users(&self) -> Result<Response, Response> {
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
        // A search by creation time uses that order unless another one is requested, because the index by creation time
        // finds the users without scanning all of them.
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
            .users_in_order(&after, by_created, down, created)?
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
    fn users_in_order(
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
        // The range has no upper end, since no id sorts last; later users are cut off below.
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

    /// Parses a search of users, or returns an error if this org refuses it.
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

    pub(super) fn user(&self, user: Option<&User>, name: &str) -> Result<Response, Response> {
        let user = user.ok_or_else(|| not_found(name, "User"))?;
        let parts = UserParts {
            credentials: true,
            all_links: true,
        };
        let mut body = Vec::new();
        render::user(&mut body, user, self.base, parts);
        Ok(Response::json(body))
    }

    pub(super) fn user_groups(&self, id: &str) -> Result<Response, Response> {
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

    pub(super) fn user_roles(&self, id: &str) -> Result<Response, Response> {
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
        // The response is an array without pages or a link to itself (docs/okta-api.md, Admin roles).
        Ok(Response::json(body))
    }

    pub(super) fn groups(&self) -> Result<Response, Response> {
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
            // Results of `q` have no pages, and not even a link to themselves.
            Some(_) => Response::json(page.body),
            None => page,
        })
    }

    pub(super) fn group(&self, id: &str) -> Result<Response, Response> {
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

    pub(super) fn members(&self, id: &str) -> Result<Response, Response> {
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

    pub(super) fn rules(&self) -> Result<Response, Response> {
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

    pub(super) fn org(&self) -> Result<Response, Response> {
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
