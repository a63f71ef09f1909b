//! Finds users and groups by the text that a person types, and the memberships of one of them.

use super::{PLAIN_USERS, Reader, USER_ROWS, ValueSize};
use crate::model::{GroupId, UserId};
use crate::snapshot::{Error, GroupRow, ProfileText, UserRow, baton};

/// The largest number of users or groups that a text may match.
const MAX_FOUND: usize = 100;

impl Reader {
    /// Returns the users whose id, login, email or secondary email equals a text, ignoring case, in the order of ids.
    ///
    /// If the text is exactly the id of a user, users whose ids differ in case do not match.
    ///
    /// # Errors
    /// Returns an error if the file is damaged, or if more than 100 users match.
    pub fn find_users(&self, text: &str) -> Result<Vec<UserRow>, Error> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let mut found: Vec<(i64, String, bool)> = Vec::new();
        let mut compare = |row: i64, id: &str, names: [Option<&str>; 3]| {
            let named = names.into_iter().flatten().any(|name| same(name, text));
            let known = found.last().is_some_and(|(_, last, _)| last == id);
            if (named || same(id, text)) && !known {
                found.push((row, id.to_owned(), named));
            }
        };
        let (names, from) = if self.info.is_ours() {
            ("p.id, p.login, p.email, p.second_email", PLAIN_USERS)
        } else {
            ("null, null, null, null", "from v1_resources r")
        };
        let sql = format!(
            "select r.rowid, substr(r.external_id, 6), {names} {from} where {USER_ROWS}
                order by r.external_id collate {}, r.rowid",
            self.collation
        );
        self.rows(ValueSize::Short, &sql, [&self.info.sync_id], |row| {
            let (number, id) = (self.number(row, 0)?, self.text(row, 1)?);
            let names = if self.optional_text(row, 2)?.is_some() {
                let text = |column| self.optional_text(row, column);
                [text(3)?, text(4)?, text(5)?]
            } else {
                let user = self.user(number)?;
                [user.login, user.email, user.second_email]
            };
            compare(number, &id, names.each_ref().map(Option::as_deref));
            Ok::<(), Error>(())
        })?;
        if found.iter().any(|(_, id, _)| id == text) {
            found.retain(|(_, id, named)| *named || id == text);
        }
        self.few(found.len(), "users")?;
        found.into_iter().map(|(row, ..)| self.user(row)).collect()
    }

    /// Returns the groups that a text refers to by id, by exact name, or by the id of Baton's entitlement
    /// (`group:ID:member`). If there are none, returns the groups whose names differ from the text only in case. They are
    /// sorted by id.
    ///
    /// # Errors
    /// Returns an error if the file is damaged, or if more than 100 groups match.
    pub fn find_groups(&self, text: &str) -> Result<Vec<GroupRow>, Error> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let id = baton::group_of_entitlement(text).unwrap_or(text);
        let (mut exact, mut folded) = (Found::default(), Found::default());
        for group in self.groups()?.rows()? {
            let group = group?;
            let name = group.name.as_deref();
            if group.id.as_str() == id || name == Some(text) {
                exact.add(group);
            } else if name.is_some_and(|name| same(name, text)) {
                folded.add(group);
            }
        }
        let found = if exact.count == 0 { folded } else { exact };
        self.few(found.count, "groups")?;
        Ok(found.rows)
    }

    /// Returns the groups of a user, sorted by name, then id. Their profiles are left out.
    ///
    /// # Errors
    /// Returns an error if the file is damaged.
    pub fn groups_of(&self, user: &UserId) -> Result<Vec<GroupRow>, Error> {
        let condition = "r.external_id in (select 'group:' || resource_id from v1_grants
                where sync_id = ?1 and resource_type_id = 'group'
                and principal_resource_type_id = 'user' and principal_resource_id = ?2)
            and exists (select 1 from v1_resources where sync_id = ?1 and resource_type_id = 'user'
                and external_id = 'user:' || ?2)";
        let mut groups = Vec::new();
        for group in self.groups_where(condition, &[user.as_str()])?.rows()? {
            let profile = ProfileText::default();
            groups.push(GroupRow { profile, ..group? });
        }
        groups.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        Ok(groups)
    }

    /// Returns the members of a group, sorted by login, then id. Their profiles are left out.
    ///
    /// # Errors
    /// Returns an error if the file is damaged.
    pub fn members_of(&self, group: &GroupId) -> Result<Vec<UserRow>, Error> {
        let condition = "r.external_id in (select 'user:' || principal_resource_id from v1_grants
                where sync_id = ?1 and resource_type_id = 'group' and resource_id = ?2
                and principal_resource_type_id = 'user')
            and exists (select 1 from v1_resources where sync_id = ?1 and resource_type_id = 'group'
                and external_id = 'group:' || ?2)";
        let mut users = Vec::new();
        for user in self.users_where(condition, &[group.as_str()])?.rows()? {
            let profile = ProfileText::default();
            users.push(UserRow { profile, ..user? });
        }
        users.sort_by(|a, b| (&a.login, &a.id).cmp(&(&b.login, &b.id)));
        Ok(users)
    }

    /// Returns an error if a text matches too many objects.
    fn few(&self, count: usize, what: &'static str) -> Result<(), Error> {
        if count <= MAX_FOUND {
            return Ok(());
        }
        Err(Error::TooMany {
            path: self.path.clone(),
            what,
            count,
            limit: MAX_FOUND,
        })
    }
}

/// The number of objects that a text matches, and the first of them.
struct Found<T> {
    rows: Vec<T>,
    count: usize,
}

impl<T> Default for Found<T> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            count: 0,
        }
    }
}

impl<T> Found<T> {
    fn add(&mut self, row: T) {
        self.count += 1;
        if self.rows.len() < MAX_FOUND {
            self.rows.push(row);
        }
    }
}

/// Returns whether two texts are equal, ignoring case.
fn same(a: &str, b: &str) -> bool {
    let fold = |text: &str| {
        text.chars()
            .flat_map(char::to_lowercase)
            .collect::<String>()
    };
    a == b || fold(a) == fold(b)
}
