//! Listings, their cursors and the rows of their pages; warnings.

use anyhow::Context as _;
use rusqlite::params;

use super::{Checkpoint, count};
use crate::okta::http::page::{RowKey, RowSummary};
use crate::okta::order::Position;
use crate::snapshot::Warning;
use crate::sync::listing::{ListingId, ListingKind, OpenListing};

/// Every method fails if the database cannot be read or written.
impl Checkpoint {
    /// Adds a listing of which no page has been read.
    pub fn add_listing(&mut self, kind: &ListingKind) -> anyhow::Result<ListingId> {
        let id = self.next_listing;
        let (object, subject) = kind.subject();
        self.db
            .prepare_cached(
                "insert into listings (id, kind, object, subject) values (?1,?2,?3,?4)",
            )?
            .execute(params![id, kind.word(), object, subject])?;
        self.next_listing += 1;
        self.pending = true;
        Ok(id)
    }

    /// Moves the cursor of a listing to its next page; if there is none, the listing is done.
    pub fn advance(&mut self, listing: ListingId, next: Option<&str>) -> anyhow::Result<()> {
        self.db
            .prepare_cached(
                "update listings set cursor = ?2, done = done or ?2 is null where id = ?1",
            )?
            .execute(params![listing, next])?;
        self.pending = true;
        Ok(())
    }

    /// Stores the position that a listing sorted by id has reached.
    pub fn reached(
        &mut self,
        listing: ListingId,
        position: Option<Position>,
    ) -> anyhow::Result<()> {
        self.db
            .prepare_cached("update listings set reached = ?2 where id = ?1")?
            .execute(params![listing, position.map(Position::to_text)])?;
        self.pending = true;
        Ok(())
    }

    /// Ends all listings of this kind. Their rows stay, and no more pages are requested.
    pub fn end_listings(&mut self, kind: &ListingKind) -> anyhow::Result<()> {
        self.db.execute(
            "update listings set done = 1 where kind = ?1",
            [kind.word()],
        )?;
        self.pending = true;
        Ok(())
    }

    /// Stores the keys of a page's rows, in scope or not, in case the run is resumed.
    pub fn add_rows(&mut self, listing: ListingId, rows: &[RowSummary]) -> anyhow::Result<()> {
        let keys = rows
            .iter()
            .map(|row| row.key.to_number() | u64::from(row.active));
        self.db
            .prepare_cached("insert into pages values (?1, ?2)")?
            .execute(params![listing, packed(keys)])?;
        self.pending = true;
        Ok(())
    }

    /// Stores members who were out of scope when the members of a group were read.
    pub fn add_out_of_scope_members(&mut self, members: &[RowKey]) -> anyhow::Result<()> {
        let keys = members.iter().map(|key| key.to_number());
        self.db
            .prepare_cached("insert into out_of_scope_members values (?1)")?
            .execute([packed(keys)])?;
        self.pending = true;
        Ok(())
    }

    /// Calls `handle` with all members that [`Checkpoint::add_out_of_scope_members`] stored.
    pub fn each_out_of_scope_member(&self, mut handle: impl FnMut(RowKey)) -> anyhow::Result<()> {
        let keys = "select keys from out_of_scope_members";
        self.each_key(keys, [], |key, _| handle(key))
    }

    /// Calls `handle` with the rows of all user lists: the key, and true unless the user is deprovisioned.
    pub fn each_listed_user(&self, handle: impl FnMut(RowKey, bool)) -> anyhow::Result<()> {
        let keys = "select keys from pages where listing in
               (select id from listings where kind not in ('members', 'groups', 'groups_of'))";
        self.each_key(keys, [], handle)
    }

    fn each_key(
        &self,
        query: &str,
        parameters: impl rusqlite::Params,
        mut handle: impl FnMut(RowKey, bool),
    ) -> anyhow::Result<()> {
        let mut select = self.db.prepare_cached(query)?;
        let mut rows = select.query(parameters)?;
        while let Some(row) = rows.next()? {
            for bytes in row.get_ref(0)?.as_blob()?.as_chunks::<8>().0 {
                let number = u64::from_le_bytes(*bytes);
                handle(RowKey::from_number(number), number & 1 == 1);
            }
        }
        Ok(())
    }

    /// Returns the listings that have pages left, in the order of their numbers.
    pub fn open_listings(&self) -> anyhow::Result<Vec<OpenListing>> {
        let mut select = self.db.prepare(
            "select id, kind, object, subject, cursor, reached from listings where done = 0 order by id",
        )?;
        let mut rows = select.query([])?;
        let mut listings = Vec::new();
        while let Some(row) = rows.next()? {
            let kind = ListingKind::parse(row.get_ref(1)?.as_str()?, row.get(2)?, row.get(3)?);
            let reached = row.get_ref(5)?.as_str_or_null()?;
            let mut listing = OpenListing {
                id: row.get(0)?,
                kind: kind.context("a listing of an unknown kind")?,
                cursor: row.get(4)?,
                listed: Vec::new(),
                reached: reached
                    .map(|text| Position::of_text(text).context("a position that is none"))
                    .transpose()?,
            };
            if listing.cursor.is_some() && matches!(listing.kind, ListingKind::Members(..)) {
                let keys = "select keys from pages where listing = ?1";
                self.each_key(keys, [listing.id], |key, _| listing.listed.push(key))?;
            }
            listings.push(listing);
        }
        Ok(listings)
    }

    /// Returns whether a listing of this kind was read to its end.
    pub fn is_done(&self, kind: &ListingKind) -> anyhow::Result<bool> {
        let done = "select exists (select 1 from listings where kind = ?1 and done = 1)";
        Ok(self.db.query_row(done, [kind.word()], |row| row.get(0))?)
    }

    /// Returns the number of listings of this kind that were started.
    pub fn started(&self, kind: &ListingKind) -> anyhow::Result<u64> {
        let query = "select count(*) from listings where kind = ?1";
        let started = self
            .db
            .query_row(query, [kind.word()], |row| count(row, 0))?;
        Ok(started.unwrap_or(0))
    }

    /// Stores a warning for the snapshot.
    pub fn add_warning(&mut self, warning: &Warning) -> anyhow::Result<()> {
        self.db.execute(
            "insert into warnings values (?1, ?2, ?3, ?4)",
            params![
                warning.code,
                warning.kind,
                warning.object_id,
                warning.message
            ],
        )?;
        self.pending = true;
        Ok(())
    }

    /// Returns all warnings.
    pub fn warnings(&self) -> anyhow::Result<Vec<Warning>> {
        let mut select = self.db.prepare("select * from warnings")?;
        let rows = select.query_map([], |row| {
            Ok(Warning {
                code: row.get(0)?,
                kind: row.get(1)?,
                object_id: row.get(2)?,
                message: row.get(3)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn packed(keys: impl Iterator<Item = u64>) -> Vec<u8> {
    keys.flat_map(u64::to_le_bytes).collect()
}
