//! Writes a snapshot's database.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use prost::Message;
use rusqlite::{Connection, OpenFlags, params, params_from_iter};

use super::columns::{SCHEMA_VERSION, TableRow};
use super::content::ContentHash;
use super::limits::{MAX_ID, MAX_VALUE, has_few_elements};
use super::metadata::RunMetadata;
use super::schema;
use super::{
    DomainUsers, Error, GroupMembers, GroupRow, ProfileText, RunHeader, UserRow, Warning, baton,
    proto, times,
};
use crate::filter::MatchedBy;
use crate::model::{Group, GroupId, MembershipSource, User, UserId};

/// The settings of a new database. An incomplete file is useless, so there is no journal, and nothing is synced. The cache
/// is 24 MiB: room for the leaves of the tables, and for sorting the indexes in large runs.
pub const PRAGMAS: &str = "
    pragma page_size = 4096; pragma encoding = 'UTF-8'; pragma auto_vacuum = 0;
    pragma journal_mode = off; pragma synchronous = off; pragma locking_mode = exclusive;
    pragma cache_size = -24576;
";

/// Writes the database of a snapshot: rows in a fixed order, then indexes.
///
/// The file is neither synced nor renamed here. Dropping a writer before [`Writer::finish`] leaves an incomplete file, which
/// the caller deletes.
pub struct Writer {
    db: Connection,
    path: PathBuf,
    sync_id: String,
    started_at: String,
    discovered_at: String,
    insert_user: String,
    insert_group: String,
    last_user: Option<UserId>,
    last_group: Option<GroupId>,
    last_members_of: Option<GroupId>,
    users: u64,
    groups: u64,
    memberships: u64,
    content: ContentHash,
}

impl Writer {
    /// Creates the database in a new file that no other user can read.
    ///
    /// # Errors
    /// Returns an error if the file exists already or cannot be created.
    pub fn create(path: &Path, run: &RunHeader) -> Result<Self, Error> {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(Error::io(path, "create"))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || -> rusqlite::Result<Connection> {
            let db = Connection::open_with_flags(path, flags)?;
            db.execute_batch(PRAGMAS)?;
            sort_in_same_folder(&db, path)?;
            db.execute_batch("begin")?;
            db.execute_batch(schema::BATON_TABLES)?;
            db.execute_batch(schema::EMPTY_INDEXES)?;
            db.execute_batch(&schema::plain_tables())?;
            Ok(db)
        };
        let db = open().map_err(|source| database(path, source))?;
        let time = times::baton(run.started_at);
        let writer = Self {
            db,
            path: path.to_owned(),
            sync_id: run.sync_id.clone(),
            started_at: time.clone(),
            discovered_at: time,
            insert_user: schema::insert_into::<UserRow>(),
            insert_group: schema::insert_into::<GroupRow>(),
            last_user: None,
            last_group: None,
            last_members_of: None,
            users: 0,
            groups: 0,
            memberships: 0,
            content: ContentHash::default(),
        };
        for kind in baton::resource_types() {
            let row = params![
                kind.id,
                kind.encode_to_vec(),
                run.sync_id,
                writer.discovered_at
            ];
            writer.insert(schema::INSERT_RESOURCE_TYPE, row)?;
        }
        Ok(writer)
    }

    /// Writes a user. Users must be written in the order of their ids.
    ///
    /// # Errors
    /// Returns an error if the user is out of order, if no reader would accept it, or if the disk is full.
    pub fn user(&mut self, user: &User, matched_by: MatchedBy) -> Result<(), Error> {
        if self.last_user.as_ref().is_some_and(|last| *last >= user.id) {
            return Err(self.out_of_order(format!("user {} is out of order", user.id)));
        }
        let resource = baton::user_resource(user).encode_to_vec();
        self.resource(baton::USER, user.id.as_str(), &resource)?;
        let row = UserRow {
            matched_by: Some(matched_by.as_str().to_owned()),
            ..UserRow::of(user).map_err(|error| self.no_json(&error))?
        };
        self.check_profile(&row.profile)?;
        self.check_words([
            Some(user.id.as_str()),
            user.status.as_deref(),
            user.login(),
            user.email(),
        ])?;
        let values = row.values();
        self.insert(&self.insert_user, params_from_iter(&values))?;
        self.content.user_values(&values);
        self.last_user = Some(user.id.clone());
        self.users += 1;
        Ok(())
    }

    /// Writes a group. Groups must be written in the order of their ids.
    ///
    /// A group whose members Okta does not show gets no entitlement and no number of members in scope.
    ///
    /// # Errors
    /// Returns an error if the group is out of order, if no reader would accept it, or if the disk is full.
    pub fn group(&mut self, group: &Group, members: &GroupMembers) -> Result<(), Error> {
        if self
            .last_group
            .as_ref()
            .is_some_and(|last| *last >= group.id)
        {
            return Err(self.out_of_order(format!("group {} is out of order", group.id)));
        }
        let resource = baton::group_resource(group);
        self.resource(baton::GROUP, group.id.as_str(), &resource.encode_to_vec())?;
        self.check_words([
            Some(group.id.as_str()),
            group.kind.as_deref(),
            group.source_id.as_deref(),
        ])?;
        let readable = members.source != MembershipSource::Forbidden;
        if readable {
            let entitlement = baton::group_entitlement(group, resource);
            let data = entitlement.encode_to_vec();
            self.check(&data)?;
            let id = &entitlement.id;
            let row = params![
                group.id.as_str(),
                id,
                data,
                self.sync_id,
                self.discovered_at
            ];
            self.insert(schema::INSERT_ENTITLEMENT, row)?;
        }
        let row = GroupRow {
            members_seen: members.listed,
            members_kept: members.stored.filter(|_| readable),
            learned: Some(members.source.as_str().to_owned()),
            ..GroupRow::of(group).map_err(|error| self.no_json(&error))?
        };
        self.check_profile(&row.profile)?;
        let values = row.values();
        self.insert(&self.insert_group, params_from_iter(&values))?;
        self.content.group_values(&values);
        self.last_group = Some(group.id.clone());
        self.groups += 1;
        Ok(())
    }

    /// Writes the memberships of a group. Groups must be written in the order of their ids, and so must the users of each.
    ///
    /// # Errors
    /// Returns an error if a membership is out of order, or if the disk is full.
    pub fn memberships<'a>(
        &mut self,
        group: &GroupId,
        users: impl IntoIterator<Item = &'a UserId>,
    ) -> Result<(), Error> {
        let mut users = users.into_iter().peekable();
        if users.peek().is_none() {
            return Ok(());
        }
        if self
            .last_members_of
            .as_ref()
            .is_some_and(|last| last >= group)
        {
            return Err(self.out_of_order(format!("the members of group {group} are out of order")));
        }
        self.last_members_of = Some(group.clone());
        let mut content = std::mem::take(&mut self.content);
        let entitlement = baton::entitlement_id(group);
        let mut id = format!("{entitlement}:user:");
        let prefix = id.len();
        let mut data = Vec::new();
        let failed = |source| database(&self.path, source);
        let mut insert = self
            .db
            .prepare_cached(schema::INSERT_GRANT)
            .map_err(failed)?;
        // Bind the values that all rows share only once.
        let group = group.as_str();
        for (place, value) in [
            (1, group),
            (2, &entitlement),
            (6, &self.sync_id),
            (7, &self.discovered_at),
        ] {
            insert.raw_bind_parameter(place, value).map_err(failed)?;
        }
        let mut last: Option<&UserId> = None;
        let mut written = 0;
        for user in users {
            if last.is_some_and(|last| last >= user) {
                let what = format!("user {user} of group {group} is out of order");
                return Err(self.out_of_order(what));
            }
            last = Some(user);
            let user = user.as_str();
            id.truncate(prefix);
            id.push_str(user);
            proto::grant_into(&mut data, group, user, &id, entitlement.len());
            let mut row = || -> rusqlite::Result<()> {
                insert.raw_bind_parameter(3, user)?;
                insert.raw_bind_parameter(4, id.as_str())?;
                insert.raw_bind_parameter(5, data.as_slice())?;
                insert.raw_execute().map(drop)
            };
            row().map_err(failed)?;
            content.membership(user, group);
            written += 1;
        }
        drop(insert);
        self.memberships += written;
        self.content = content;
        Ok(())
    }

    /// Writes the run metadata with the numbers of written rows, the domains and the warnings, creates the indexes, and
    /// closes the database. Returns the metadata as written.
    ///
    /// # Errors
    /// Returns an error if the metadata belongs to another run, or if the disk is full.
    pub fn finish(
        mut self,
        metadata: &RunMetadata,
        domains: &[DomainUsers],
        warnings: &[Warning],
    ) -> Result<RunMetadata, Error> {
        if metadata.sync_id != self.sync_id {
            let what = format!("run {} cannot end as {}", self.sync_id, metadata.sync_id);
            return Err(self.out_of_order(what));
        }
        let ended_at = times::baton(metadata.ended_at);
        let run = params![self.sync_id, self.started_at, ended_at];
        self.insert(schema::INSERT_RUN, run)?;
        let metadata = RunMetadata {
            schema_version: SCHEMA_VERSION,
            users_kept: self.users,
            groups_kept: self.groups,
            memberships_kept: self.memberships,
            content_sha256: Some(std::mem::take(&mut self.content).finish()),
            ..metadata.clone()
        };
        self.insert_row(&schema::insert_into::<RunMetadata>(), &metadata)?;
        for row in domains {
            self.insert_row(&schema::insert_into::<DomainUsers>(), row)?;
        }
        for warning in warnings {
            self.check(warning.message.as_bytes())?;
            self.insert_row(&schema::insert_into::<Warning>(), warning)?;
        }
        let Self { db, path, .. } = self;
        let close = || -> rusqlite::Result<()> {
            db.execute_batch(schema::BATON_INDEXES)?;
            db.execute_batch(schema::VIEWS)?;
            db.execute_batch("commit")?;
            db.close().map_err(|(_, source)| source)
        };
        close().map_err(|source| database(&path, source))?;
        Ok(metadata)
    }

    fn resource(&self, kind: &str, id: &str, data: &[u8]) -> Result<(), Error> {
        self.check(data)?;
        let row = params![
            kind,
            format!("{kind}:{id}"),
            data,
            self.sync_id,
            self.discovered_at
        ];
        self.insert(schema::INSERT_RESOURCE, row)
    }

    fn check_profile(&self, profile: &ProfileText) -> Result<(), Error> {
        self.check(profile.as_str().as_bytes())?;
        if !has_few_elements(profile.as_str()) {
            return Err(Error::too_many_elements(&self.path));
        }
        Ok(())
    }

    fn no_json(&self, error: &serde_json::Error) -> Error {
        self.out_of_order(format!("a profile is not JSON ({error})"))
    }

    /// Returns an error if a word that is sorted and compared is too long.
    fn check_words<const N: usize>(&self, words: [Option<&str>; N]) -> Result<(), Error> {
        if words.into_iter().flatten().any(|word| word.len() > MAX_ID) {
            return Err(Error::id_too_big(&self.path));
        }
        Ok(())
    }

    /// Returns an error if no reader would accept the value.
    fn check(&self, value: &[u8]) -> Result<(), Error> {
        if value.len() > MAX_VALUE / 2 {
            return Err(Error::value_too_big(&self.path));
        }
        Ok(())
    }

    fn insert_row<T: TableRow>(&self, sql: &str, row: &T) -> Result<(), Error> {
        self.insert(sql, params_from_iter(row.values()))
    }

    fn insert(&self, sql: &str, row: impl rusqlite::Params) -> Result<(), Error> {
        self.db
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(row))
            .map(|_| ())
            .map_err(|source| database(&self.path, source))
    }

    fn out_of_order(&self, what: String) -> Error {
        Error::OutOfOrder {
            path: self.path.clone(),
            what,
        }
    }
}

/// Makes SQLite sort large indexes in temporary files next to the database: in a container, this is often the only folder
/// that can be written, and it needs room for the snapshot anyway. SQLite removes the files' names at once.
fn sort_in_same_folder(db: &Connection, path: &Path) -> rusqlite::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    match folder.to_str() {
        // The pragma is deprecated because it changes the entire process, which does no harm here.
        Some(folder) => db.pragma_update(None, "temp_store_directory", folder),
        None => Ok(()),
    }
}

fn database(path: &Path, source: rusqlite::Error) -> Error {
    Error::Database {
        path: path.to_owned(),
        source,
    }
}
