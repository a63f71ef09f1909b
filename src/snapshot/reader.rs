//! Reading a snapshot, whoever wrote it.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use prost::Message;
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Params, Row, params};

use super::c1z::{self, Form, MAX_DATABASE};
use super::error::MAX_VALUE;
use super::facts::Facts;
use super::schema::SCHEMA_VERSION;
use super::{
    About, Container, Counts, Error, GroupRecord, UserRecord, Warning, baton, proto, times,
};
use crate::model::{Group, GroupId, Profile, User, UserId};

/// What stands in for a status or a type that the file does not say.
const UNKNOWN: &str = "unknown";

/// The tables that are read, and the columns without which they cannot be.
const TABLES: [(&str, &[&str]); 4] = [
    ("v1_sync_runs", &["sync_id", "started_at", "ended_at"]),
    (
        "v1_resources",
        &["resource_type_id", "external_id", "data", "sync_id"],
    ),
    ("v1_entitlements", &["external_id", "sync_id"]),
    (
        "v1_grants",
        &[
            "resource_type_id",
            "resource_id",
            "principal_resource_type_id",
            "principal_resource_id",
            "sync_id",
        ],
    ),
];

const USER_COLUMNS: &[&str] = &[
    "id",
    "status",
    "created",
    "activated",
    "status_changed",
    "last_login",
    "last_updated",
    "password_changed",
    "matched_by",
    "profile",
    "login",
    "email",
];

const GROUP_COLUMNS: &[&str] = &[
    "id",
    "type",
    "source_id",
    "created",
    "last_updated",
    "last_membership_updated",
    "members_reported",
    "members_seen",
    "members_kept",
    "learned",
    "profile",
    "name",
];

const WARNING_COLUMNS: &[&str] = &["code", "kind", "object_id", "message"];

/// The start of every user: the row that says there is one, and the details where the plain tables have them.
const PLAIN_USERS: &str = "select substr(r.external_id, 6), iif(p.id is null, r.data, null), p.id, p.status, p.created,
        p.activated, p.status_changed, p.last_login, p.last_updated, p.password_changed, p.matched_by, p.profile
    from v1_resources r left join users p on p.id = substr(r.external_id, 6)
    where r.sync_id = ?1 and r.resource_type_id = 'user' and substr(r.external_id, 1, 5) = 'user:'";
const PROTO_USERS: &str = "select substr(r.external_id, 6), r.data, null from v1_resources r
    where r.sync_id = ?1 and r.resource_type_id = 'user' and substr(r.external_id, 1, 5) = 'user:'";

/// As [`PLAIN_USERS`], but only what a user can be found by.
const PLAIN_NAMES: &str =
    "select substr(r.external_id, 6), iif(p.id is null, r.data, null), p.id, p.login, p.email
    from v1_resources r left join users p on p.id = substr(r.external_id, 6)
    where r.sync_id = ?1 and r.resource_type_id = 'user' and substr(r.external_id, 1, 5) = 'user:'
    order by r.external_id";

const PLAIN_GROUPS: &str = "select substr(r.external_id, 7), iif(p.id is null, r.data, null), p.id, p.type, p.source_id,
        p.created, p.last_updated, p.last_membership_updated, p.members_reported, p.members_seen, p.members_kept,
        p.learned, p.profile
    from v1_resources r left join groups p on p.id = substr(r.external_id, 7)
    where r.sync_id = ?1 and r.resource_type_id = 'group' and substr(r.external_id, 1, 6) = 'group:'";
const PROTO_GROUPS: &str = "select substr(r.external_id, 7), r.data, null from v1_resources r
    where r.sync_id = ?1 and r.resource_type_id = 'group' and substr(r.external_id, 1, 6) = 'group:'";

/// The distinct pairs that grants name, in the order of ids. Reading the table through and sorting is several times
/// faster than going through an index, and SQLite sorts on disk what is too much for its cache.
const PAIRS: &str = "select distinct resource_id, principal_resource_id from v1_grants not indexed
    where sync_id = ?1 and resource_type_id = 'group' and principal_resource_type_id = 'user'
    order by 1, 2";

/// A snapshot that is open for reading: one run of it, the newest finished full one.
pub struct Reader {
    path: PathBuf,
    db: Connection,
    about: About,
}

impl Reader {
    /// Opens a snapshot. What kind of file it is says its content, not its name.
    ///
    /// A container is unpacked to a private temporary file, which has no name any more when this returns. A plain database
    /// is opened where it is, and nothing is made beside it.
    ///
    /// # Errors
    /// A file that cannot be read, is no snapshot, is damaged, is too new, or holds no finished run.
    pub fn open(path: &Path) -> Result<Self, Error> {
        match c1z::form(path)? {
            Form::Empty => Err(Error::NoFinishedRun {
                path: path.to_owned(),
                newest_unfinished: None,
            }),
            Form::C1z => {
                let mut copy = tempfile::Builder::new()
                    .prefix("okta-ciam-")
                    .tempfile()
                    .map_err(Error::io(path, "make a temporary copy of it"))?;
                if c1z::unpack(path, copy.as_file_mut(), MAX_DATABASE)? == 0 {
                    return Err(Error::NoFinishedRun {
                        path: path.to_owned(),
                        newest_unfinished: None,
                    });
                }
                // SQLite has it open from here on, so the name can go at once, even if we are killed.
                let db = connect(path, copy.path())?;
                copy.close()
                    .map_err(Error::io(path, "remove the temporary copy of it"))?;
                Self::new(path, db, Container::C1z)
            }
            Form::Sqlite => {
                at_rest(path)?;
                Self::new(path, connect(path, path)?, Container::Sqlite)
            }
        }
    }

    fn new(path: &Path, db: Connection, container: Container) -> Result<Self, Error> {
        prepare(path, &db)?;
        let about = about(path, &db, container)?;
        Ok(Self {
            path: path.to_owned(),
            db,
            about,
        })
    }

    /// What the file is, and which of its runs is read.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// How much of what there is.
    ///
    /// # Errors
    /// A damaged file.
    pub fn counts(&self) -> Result<Counts, Error> {
        let mut counts = Counts::default();
        let sync_id = &self.about.sync_id;
        self.each(
            "select resource_type_id, count(distinct external_id) from v1_resources where sync_id = ?1
                and resource_type_id not in ('user', 'group') group by 1",
            [sync_id],
            |row| {
                counts.others.insert(row.get(0)?, unsigned(row, 1)?);
                Ok(())
            },
        )?;
        self.each(
            "select count(distinct external_id) from v1_entitlements where sync_id = ?1",
            [sync_id],
            |row| {
                counts.entitlements = unsigned(row, 0)?;
                Ok(())
            },
        )?;
        self.pairs::<Error>(|_, _, both_there| {
            let number = if both_there {
                &mut counts.memberships
            } else {
                &mut counts.dangling
            };
            *number += 1;
            Ok(())
        })?;

        counts.users_by_status = self.tally(PLAIN_USERS, "status", |reader, map| {
            reader.each_user(|record| {
                add(map, record.user.status);
                Ok::<(), Error>(())
            })
        })?;
        counts.users = counts.users_by_status.values().sum();
        counts.groups_by_type = self.tally(PLAIN_GROUPS, "type", |reader, map| {
            reader.each_group(|record| {
                add(map, record.group.kind);
                Ok::<(), Error>(())
            })
        })?;
        counts.groups = counts.groups_by_type.values().sum();
        Ok(counts)
    }

    /// Counts by one column of the plain tables, or by looking at every message.
    fn tally(
        &self,
        plain: &str,
        column: &str,
        by_message: impl FnOnce(&Self, &mut BTreeMap<String, u64>) -> Result<(), Error>,
    ) -> Result<BTreeMap<String, u64>, Error> {
        let mut map = BTreeMap::new();
        if self.about.is_ours() {
            let sql = format!("select {column}, count(*) from ({plain}) group by 1");
            self.each(&sql, [&self.about.sync_id], |row| {
                let word: Option<String> = row.get(0)?;
                map.insert(
                    word.unwrap_or_else(|| UNKNOWN.to_owned()),
                    unsigned(row, 1)?,
                );
                Ok(())
            })?;
        } else {
            by_message(self, &mut map)?;
        }
        Ok(map)
    }

    /// What the run warned of; nothing where another connector wrote it.
    ///
    /// # Errors
    /// A damaged file.
    pub fn warnings(&self) -> Result<Vec<Warning>, Error> {
        let mut warnings = Vec::new();
        if self.about.is_ours() {
            let sql = "select code, kind, object_id, message from warnings order by rowid";
            self.each(sql, [], |row| {
                warnings.push(Warning {
                    code: row.get(0)?,
                    kind: row.get(1)?,
                    object_id: row.get(2)?,
                    message: row.get(3)?,
                });
                Ok(())
            })?;
        }
        Ok(warnings)
    }

    /// Every user, in the order of ids.
    ///
    /// # Errors
    /// A damaged file, or what the callback returns.
    pub fn each_user<E: From<Error>>(
        &self,
        mut f: impl FnMut(UserRecord) -> Result<(), E>,
    ) -> Result<(), E> {
        let sql = format!("{} order by r.external_id", self.users());
        let mut last = None;
        self.rows(&sql, [&self.about.sync_id], |row| {
            let record = self.user_record(row)?;
            if last.as_ref() == Some(&record.user.id) {
                return Ok(());
            }
            last = Some(record.user.id.clone());
            f(record)
        })
    }

    /// Every group, in the order of ids.
    ///
    /// # Errors
    /// A damaged file, or what the callback returns.
    pub fn each_group<E: From<Error>>(
        &self,
        mut f: impl FnMut(GroupRecord) -> Result<(), E>,
    ) -> Result<(), E> {
        let sql = format!("{} order by r.external_id", self.groups());
        let mut last = None;
        self.rows(&sql, [&self.about.sync_id], |row| {
            let record = self.group_record(row)?;
            if last.as_ref() == Some(&record.group.id) {
                return Ok(());
            }
            last = Some(record.group.id.clone());
            f(record)
        })
    }

    /// Every membership whose user and group are in the file, in the order of the groups' ids, then of the users'.
    ///
    /// # Errors
    /// A damaged file, or what the callback returns.
    pub fn each_membership<E: From<Error>>(
        &self,
        mut f: impl FnMut(GroupId, UserId) -> Result<(), E>,
    ) -> Result<(), E> {
        self.pairs(|group, user, both_there| {
            if both_there {
                f(group.into(), user.into())
            } else {
                Ok(())
            }
        })
    }

    /// Every pair that grants name, and whether both of them are in the file. Only the ids of users and groups are held
    /// in memory.
    fn pairs<E: From<Error>>(
        &self,
        mut f: impl FnMut(&str, &str, bool) -> Result<(), E>,
    ) -> Result<(), E> {
        let (groups, users) = (self.ids(baton::GROUP)?, self.ids(baton::USER)?);
        self.rows(PAIRS, [&self.about.sync_id], |row| {
            let id = |column: usize| -> Result<&str, Error> {
                let value = row.get_ref(column).map_err(|error| self.reading(error))?;
                let text = value.as_str();
                text.map_err(|error| {
                    Error::damaged(&self.path, format!("an id of a grant: {error}"))
                })
            };
            let (group, user) = (id(0)?, id(1)?);
            f(group, user, groups.contains(group) && users.contains(user))
        })
    }

    /// The ids of all resources of a type.
    fn ids(&self, kind: &str) -> Result<HashSet<Box<str>>, Error> {
        let mut ids = HashSet::new();
        let sql =
            "select external_id from v1_resources where sync_id = ?1 and resource_type_id = ?2";
        self.each(sql, [self.about.sync_id.as_str(), kind], |row| {
            let id: String = row.get(0)?;
            let id = id.strip_prefix(kind).and_then(|id| id.strip_prefix(':'));
            ids.extend(id.map(Box::from));
            Ok(())
        })?;
        Ok(ids)
    }

    /// The users whose id, whole login or whole e-mail equals a text without case, in the order of ids.
    ///
    /// If one has exactly that id, nobody is found for an id that differs in case.
    ///
    /// # Errors
    /// A damaged file.
    pub fn find_users(&self, text: &str) -> Result<Vec<UserRecord>, Error> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        let mut look = |id: &str, login: Option<&str>, email: Option<&str>| {
            let named = [login, email]
                .into_iter()
                .flatten()
                .any(|name| same(name, text));
            if named || same(id, text) {
                found.push((id.to_owned(), named));
            }
        };
        if self.about.is_ours() {
            self.rows(PLAIN_NAMES, [&self.about.sync_id], |row| {
                if self.optional_text(row, 2)?.is_none() {
                    let UserRecord { user, .. } = self.user_record(row)?;
                    look(user.id.as_str(), user.login(), user.email());
                    return Ok(());
                }
                let (id, login) = (self.text(row, 0)?, self.optional_text(row, 3)?);
                let email = self.optional_text(row, 4)?;
                look(&id, login.as_deref(), email.as_deref());
                Ok::<(), Error>(())
            })?;
        } else {
            self.each_user::<Error>(|UserRecord { user, .. }| {
                look(user.id.as_str(), user.login(), user.email());
                Ok(())
            })?;
        }
        if found.iter().any(|(id, _)| id == text) {
            found.retain(|(id, named)| *named || id == text);
        }
        let sql = format!("{} and r.external_id = 'user:' || ?2 limit 1", self.users());
        let mut users = Vec::new();
        for (id, _) in found {
            self.rows::<Error>(&sql, params![self.about.sync_id, id], |row| {
                users.push(self.user_record(row)?);
                Ok(())
            })?;
        }
        Ok(users)
    }

    /// The groups that a text names: by id, by exact name, or by the id of Baton's entitlement (`group:ID:member`); if
    /// there is none, those whose names differ from it in case only. In the order of ids.
    ///
    /// # Errors
    /// A damaged file.
    pub fn find_groups(&self, text: &str) -> Result<Vec<GroupRecord>, Error> {
        let id = baton::group_of_entitlement(text).unwrap_or(text);
        let (mut exact, mut folded) = (Vec::new(), Vec::new());
        self.each_group::<Error>(|record| {
            let name = record.group.name();
            if record.group.id.as_str() == id || name == Some(text) {
                exact.push(record);
            } else if name.is_some_and(|name| same(name, text)) {
                folded.push(record);
            }
            Ok(())
        })?;
        Ok(if exact.is_empty() { folded } else { exact })
    }

    /// The groups that a user is in, sorted by name, then id.
    ///
    /// # Errors
    /// A damaged file.
    pub fn groups_of(&self, user: &UserId) -> Result<Vec<GroupRecord>, Error> {
        let sql = format!(
            "{} and r.external_id in (select 'group:' || resource_id from v1_grants
                where sync_id = ?1 and resource_type_id = 'group'
                and principal_resource_type_id = 'user' and principal_resource_id = ?2)
                and exists (select 1 from v1_resources where sync_id = ?1 and resource_type_id = 'user'
                    and external_id = 'user:' || ?2)",
            self.groups()
        );
        let mut groups = Vec::new();
        self.rows::<Error>(&sql, params![self.about.sync_id, user.as_str()], |row| {
            groups.push(self.group_record(row)?);
            Ok(())
        })?;
        groups.sort_by(|a, b| (a.group.name(), &a.group.id).cmp(&(b.group.name(), &b.group.id)));
        groups.dedup_by(|a, b| a.group.id == b.group.id);
        Ok(groups)
    }

    /// The users that are in a group, sorted by login, then id.
    ///
    /// # Errors
    /// A damaged file.
    pub fn members_of(&self, group: &GroupId) -> Result<Vec<UserRecord>, Error> {
        let sql = format!(
            "{} and r.external_id in (select 'user:' || principal_resource_id from v1_grants
                where sync_id = ?1 and resource_type_id = 'group' and resource_id = ?2
                and principal_resource_type_id = 'user')
                and exists (select 1 from v1_resources where sync_id = ?1 and resource_type_id = 'group'
                    and external_id = 'group:' || ?2)",
            self.users()
        );
        let mut users = Vec::new();
        self.rows::<Error>(&sql, params![self.about.sync_id, group.as_str()], |row| {
            users.push(self.user_record(row)?);
            Ok(())
        })?;
        users.sort_by(|a, b| (a.user.login(), &a.user.id).cmp(&(b.user.login(), &b.user.id)));
        users.dedup_by(|a, b| a.user.id == b.user.id);
        Ok(users)
    }

    fn users(&self) -> &'static str {
        if self.about.is_ours() {
            PLAIN_USERS
        } else {
            PROTO_USERS
        }
    }

    fn groups(&self) -> &'static str {
        if self.about.is_ours() {
            PLAIN_GROUPS
        } else {
            PROTO_GROUPS
        }
    }

    /// A row of [`Reader::users`].
    fn user_record(&self, row: &Row<'_>) -> Result<UserRecord, Error> {
        let id = self.text(row, 0)?;
        if self.optional_text(row, 2)?.is_none() {
            let resource = self.message(row, 1, &id)?;
            return Ok(UserRecord {
                user: baton::user_of(id.into(), resource),
                matched_by: None,
            });
        }
        let time = |i: usize| self.time(row, i, &id);
        let user = User {
            status: self.optional_text(row, 3)?,
            created: time(4)?,
            activated: time(5)?,
            status_changed: time(6)?,
            last_login: time(7)?,
            last_updated: time(8)?,
            password_changed: time(9)?,
            profile: self.profile(row, 11, &id)?,
            id: id.into(),
        };
        Ok(UserRecord {
            user,
            matched_by: self.optional_text(row, 10)?,
        })
    }

    /// A row of [`Reader::groups`].
    fn group_record(&self, row: &Row<'_>) -> Result<GroupRecord, Error> {
        let id = self.text(row, 0)?;
        if self.optional_text(row, 2)?.is_none() {
            let resource = self.message(row, 1, &id)?;
            return Ok(GroupRecord {
                group: baton::group_of(id.into(), resource),
                learned: None,
                members_seen: None,
                members_kept: None,
            });
        }
        let time = |i: usize| self.time(row, i, &id);
        let number = |i: usize| -> Result<Option<u64>, Error> {
            let number: Option<i64> = row.get(i).map_err(|error| self.reading(error))?;
            let negative =
                |_| Error::damaged(&self.path, format!("{id} has a negative number of members"));
            number.map(u64::try_from).transpose().map_err(negative)
        };
        let group = Group {
            kind: self.optional_text(row, 3)?,
            source_id: self.optional_text(row, 4)?,
            created: time(5)?,
            last_updated: time(6)?,
            last_membership_updated: time(7)?,
            members_reported: number(8)?,
            has_admin_privilege: None,
            profile: self.profile(row, 12, &id)?,
            id: id.as_str().into(),
        };
        Ok(GroupRecord {
            group,
            members_seen: number(9)?,
            members_kept: number(10)?,
            learned: self.optional_text(row, 11)?,
        })
    }

    fn message(&self, row: &Row<'_>, column: usize, id: &str) -> Result<proto::Resource, Error> {
        let bytes = row.get_ref(column).map_err(|error| self.reading(error))?;
        let bytes = bytes
            .as_blob()
            .map_err(|_| Error::damaged(&self.path, format!("the resource {id} has no data")))?;
        proto::Resource::decode(bytes).map_err(|error| {
            Error::damaged(
                &self.path,
                format!("the resource {id} does not decode ({error})"),
            )
        })
    }

    fn profile(&self, row: &Row<'_>, column: usize, id: &str) -> Result<Profile, Error> {
        serde_json::from_str(&self.text(row, column)?).map_err(|error| {
            Error::damaged(
                &self.path,
                format!("the profile of {id} is no JSON object ({error})"),
            )
        })
    }

    fn time(
        &self,
        row: &Row<'_>,
        column: usize,
        id: &str,
    ) -> Result<Option<jiff::Timestamp>, Error> {
        let Some(text) = self.optional_text(row, column)? else {
            return Ok(None);
        };
        match times::parse(&text) {
            Some(time) => Ok(Some(time)),
            None => Err(Error::damaged(
                &self.path,
                format!("{text:?} is no time, but stands for one at {id}"),
            )),
        }
    }

    fn text(&self, row: &Row<'_>, column: usize) -> Result<String, Error> {
        row.get(column).map_err(|error| self.reading(error))
    }

    fn optional_text(&self, row: &Row<'_>, column: usize) -> Result<Option<String>, Error> {
        row.get(column).map_err(|error| self.reading(error))
    }

    /// Calls back with every row, where only SQLite can fail.
    fn each(
        &self,
        sql: &str,
        params: impl Params,
        mut f: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), Error> {
        self.rows(sql, params, |row| {
            f(row).map_err(|error| self.reading(error))
        })
    }

    /// Calls back with every row.
    fn rows<E: From<Error>>(
        &self,
        sql: &str,
        params: impl Params,
        mut f: impl FnMut(&Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let failed = |error| E::from(self.reading(error));
        let mut statement = self.db.prepare_cached(sql).map_err(failed)?;
        let mut rows = statement.query(params).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            f(row)?;
        }
        Ok(())
    }

    fn reading(&self, error: rusqlite::Error) -> Error {
        Error::reading(&self.path, error)
    }
}

/// A number of rows.
fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

fn add(map: &mut BTreeMap<String, u64>, word: Option<String>) {
    *map.entry(word.unwrap_or_else(|| UNKNOWN.to_owned()))
        .or_default() += 1;
}

/// Whether two texts are equal without case.
fn same(a: &str, b: &str) -> bool {
    let fold = |text: &str| {
        text.chars()
            .flat_map(char::to_lowercase)
            .collect::<String>()
    };
    a == b || fold(a) == fold(b)
}

/// Refuses a database that someone is changing, or that was left in the middle of a change: what is in the files beside
/// it belongs to it, and looking at them would change them.
fn at_rest(path: &Path) -> Result<(), Error> {
    let mut head = [0; 20];
    let mut file = File::open(path).map_err(Error::io(path, "open it"))?;
    file.read_exact(&mut head)
        .map_err(|_| Error::damaged(path, "it ends in its header"))?;
    for (suffix, counts) in [("-wal", head[18] == 2 || head[19] == 2), ("-journal", true)] {
        let mut beside = path.as_os_str().to_owned();
        beside.push(suffix);
        let beside = PathBuf::from(beside);
        let length = std::fs::metadata(&beside).map_or(0, |metadata| metadata.len());
        // A journal whose first byte is 0 was used up.
        let used_up = suffix == "-journal" && first_byte(&beside) == Some(0);
        if counts && length > 0 && !used_up {
            return Err(Error::InUse {
                path: path.to_owned(),
                beside,
            });
        }
    }
    Ok(())
}

fn first_byte(path: &Path) -> Option<u8> {
    let mut byte = [0];
    let mut file = File::open(path).ok()?;
    file.seek(SeekFrom::Start(0)).ok()?;
    file.read_exact(&mut byte).ok()?;
    Some(byte[0])
}

/// Opens a database that nobody changes, without locks and without files beside it. `path` is its name in messages.
fn connect(path: &Path, database: &Path) -> Result<Connection, Error> {
    let mut uri = "file:".to_owned();
    let absolute = std::path::absolute(database).map_err(Error::io(path, "open it"))?;
    for byte in absolute.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(byte) {
            uri.push(char::from(*byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri.push_str("?mode=ro&immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || -> rusqlite::Result<Connection> {
        let db = Connection::open_with_flags(&uri, flags)?;
        db.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_VALUE as i32)?;
        db.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        db.execute_batch("pragma cell_size_check = on; pragma cache_size = -16384;")?;
        Ok(db)
    };
    open().map_err(|error| Error::reading(path, error))
}

/// Looks at the schema: what is missing is made, empty, where only this connection sees it.
fn prepare(path: &Path, db: &Connection) -> Result<(), Error> {
    for (table, needed) in TABLES {
        match columns(path, db, table)? {
            Some(columns) => has(path, table, &columns, needed)?,
            None if table == "v1_sync_runs" => {
                return Err(Error::NotASnapshot {
                    path: path.to_owned(),
                    why: "it is a SQLite database without the tables of a snapshot".to_owned(),
                });
            }
            None => {
                let sql = format!("create temp table {table} ({})", needed.join(", "));
                db.execute_batch(&sql)
                    .map_err(|error| Error::reading(path, error))?;
            }
        }
    }
    Ok(())
}

fn has(path: &Path, table: &str, columns: &[String], needed: &[&str]) -> Result<(), Error> {
    let missing = needed
        .iter()
        .find(|name| !columns.iter().any(|column| column == *name));
    missing.map_or(Ok(()), |name| {
        Err(Error::damaged(
            path,
            format!("the table {table} has no column {name}"),
        ))
    })
}

/// The columns of a table; none if there is no such table. A view, a virtual table or a generated column is no place to
/// read from: whoever made the file would decide what runs here.
fn columns(path: &Path, db: &Connection, table: &str) -> Result<Option<Vec<String>>, Error> {
    let columns = || -> rusqlite::Result<Option<(bool, Vec<String>)>> {
        let sql = "select type = 'table' and rootpage > 0 from main.sqlite_schema
            where name = ?1 collate nocase and type in ('table', 'view')";
        let plain: Option<bool> = db.query_row(sql, [table], |row| row.get(0)).optional()?;
        let Some(mut plain) = plain else {
            return Ok(None);
        };
        let mut statement = db.prepare("select name, hidden from pragma_table_xinfo(?1)")?;
        let mut rows = statement.query([table])?;
        let mut names = Vec::new();
        while let Some(row) = rows.next()? {
            plain &= row.get::<_, i64>(1)? == 0;
            names.push(row.get(0)?);
        }
        Ok(Some((plain, names)))
    };
    match columns().map_err(|error| Error::reading(path, error))? {
        Some((false, _)) => Err(Error::damaged(
            path,
            format!("{table} is not a table that simply holds its rows"),
        )),
        Some((true, names)) => Ok(Some(names)),
        None => Ok(None),
    }
}

/// Picks the run.
fn about(path: &Path, db: &Connection, container: Container) -> Result<About, Error> {
    let failed = |error| Error::reading(path, error);
    let known = columns(path, db, "v1_sync_runs")?.unwrap_or_default();
    // Files from before there were other types of run.
    let full = if known.iter().any(|column| column == "sync_type") {
        "sync_type = 'full'"
    } else {
        "true"
    };
    let runs = db
        .query_row("select count(*) from v1_sync_runs", [], |row| {
            unsigned(row, 0)
        })
        .map_err(failed)?;
    let newest = format!(
        "select sync_id, started_at, ended_at from v1_sync_runs where ended_at is not null and {full}
            order by ended_at desc, sync_id desc limit 1"
    );
    let run: Option<(String, String, String)> = db
        .query_row(&newest, [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()
        .map_err(failed)?;
    let Some((sync_id, started_at, ended_at)) = run else {
        let unfinished = "select max(started_at) from v1_sync_runs where ended_at is null";
        return Err(Error::NoFinishedRun {
            path: path.to_owned(),
            newest_unfinished: db
                .query_row(unfinished, [], |row| row.get(0))
                .map_err(failed)?,
        });
    };
    let time = |text: &str| {
        times::parse(text).ok_or_else(|| {
            Error::damaged(
                path,
                format!("{text:?} is no time, but stands for one at run {sync_id}"),
            )
        })
    };
    Ok(About {
        container,
        started_at: time(&started_at)?,
        ended_at: time(&ended_at)?,
        runs,
        facts: facts(path, db, &sync_id)?,
        sync_id,
    })
}

/// The facts, if the plain tables describe the run.
fn facts(path: &Path, db: &Connection, sync_id: &str) -> Result<Option<Facts>, Error> {
    let Some(known) = columns(path, db, "snapshot")? else {
        return Ok(None);
    };
    let marks: &[&str] = &["sync_id", "schema_version"];
    if has(path, "snapshot", &known, marks).is_err() {
        return Ok(None);
    }
    let failed = |error| Error::reading(path, error);
    let version: Option<i64> = db
        .query_row(
            "select schema_version from snapshot where sync_id = ?1 limit 1",
            [sync_id],
            |row| row.get(0),
        )
        .optional()
        .map_err(failed)?;
    let Some(version) = version else {
        return Ok(None);
    };
    if version > SCHEMA_VERSION.into() {
        return Err(Error::Unsupported {
            path: path.to_owned(),
            why: format!(
                "its tables are version {version}, and this program knows them up to version {SCHEMA_VERSION}; \
                 use the version that wrote it, or a newer one"
            ),
        });
    }
    for (table, needed) in [
        ("snapshot", Facts::COLUMNS),
        ("users", USER_COLUMNS),
        ("groups", GROUP_COLUMNS),
        ("warnings", WARNING_COLUMNS),
    ] {
        let columns = columns(path, db, table)?
            .ok_or_else(|| Error::damaged(path, format!("the table {table} is missing")))?;
        has(path, table, &columns, needed)?;
    }
    let sql = format!(
        "select {} from snapshot where sync_id = ?1 limit 1",
        Facts::COLUMNS.join(", ")
    );
    let values = db
        .query_row(&sql, [sync_id], |row| {
            (0..Facts::COLUMNS.len()).map(|i| row.get(i)).collect()
        })
        .map_err(failed)?;
    Facts::from_values(values)
        .map(Some)
        .map_err(|column| Error::damaged(path, format!("snapshot.{column} holds no such value")))
}
