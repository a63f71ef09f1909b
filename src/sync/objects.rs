//! The index of users and groups: the number of each in this run, and the decision on which of several copies is stored.
//!
//! - The copy with the latest `lastUpdated` wins, and among equals the one from the listing: search lags, and the groups
//!   that Okta returns for a user can be weeks old (docs/okta-api.md, Users and Groups).
//! - A copy that is out of scope can win too, and removes its object from the snapshot.
//! - The index is in memory. It contains all groups, and the users who are or were in scope, but not their copies.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use jiff::Timestamp;

/// The number of a user or a group within one run. Users and groups are numbered separately.
pub type LocalId = u32;

/// The source of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CopySource {
    /// A page of memberships: the members of a group, or the groups of a user.
    MembershipPage,
    /// The list of all users or groups.
    Listing,
}

/// The rank of a copy: the greatest wins.
pub type Rank = (Option<Timestamp>, CopySource);

/// An object in the index.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// The number.
    pub local_id: LocalId,
    /// The rank of the stored copy.
    pub rank: Rank,
    /// True if the listing contained the object.
    pub in_listing: bool,
    /// True if the stored copy is in scope.
    pub in_scope: bool,
}

/// The objects that have a number. Workers look users up here, so that a user in twenty groups is passed on as one copy and
/// nineteen numbers.
#[derive(Debug)]
pub struct ObjectIndex<Id>(RwLock<Entries<Id>>);

#[derive(Debug)]
struct Entries<Id> {
    all: HashMap<Id, Known>,
    in_scope: u64,
    listed: u64,
}

impl<Id> Default for ObjectIndex<Id> {
    fn default() -> Self {
        Self(RwLock::new(Entries {
            all: HashMap::new(),
            in_scope: 0,
            listed: 0,
        }))
    }
}

/// The decision on one more copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyComparison {
    /// The copy is not needed: one that is as good or better is stored for the object with this number.
    Known(LocalId),
    /// The copy is to be stored, in scope or not: it is better than the stored one, or the first from the listing.
    Better,
    /// The copy is the first of its object, and is to be stored if it is in scope.
    First,
}

/// The result of storing a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upserted {
    /// The object's number.
    pub local_id: LocalId,
    /// True if this copy is to be stored.
    pub stored: bool,
    /// True if the listing contained the object, now or before.
    pub in_listing: bool,
    /// True if this copy is the first from the listing.
    pub newly_listed: bool,
}

impl<Id: std::hash::Hash + Eq + std::borrow::Borrow<str>> ObjectIndex<Id> {
    /// Compares a copy with the stored one of the same id.
    pub fn compare(
        &self,
        id: &str,
        last_updated: Option<Timestamp>,
        source: CopySource,
    ) -> CopyComparison {
        let known = self.read().all.get(id).copied();
        match known {
            // The first copy from the listing is never ignored, so that the object is recorded as listed.
            Some(known)
                if (last_updated, source) <= known.rank
                    && (known.in_listing || source == CopySource::MembershipPage) =>
            {
                CopyComparison::Known(known.local_id)
            }
            Some(_) => CopyComparison::Better,
            None => CopyComparison::First,
        }
    }

    /// Records a copy, and returns whether it is to be stored.
    pub fn upsert(
        &self,
        id: Id,
        last_updated: Option<Timestamp>,
        source: CopySource,
        in_scope: bool,
    ) -> Upserted {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let entries = &mut *entries;
        let next = LocalId::try_from(entries.all.len()).unwrap_or(LocalId::MAX);
        let rank = (last_updated, source);
        let listed = source == CopySource::Listing;
        let Some(known) = entries.all.get_mut(std::borrow::Borrow::borrow(&id)) else {
            let known = Known {
                local_id: next,
                rank,
                in_listing: listed,
                in_scope,
            };
            entries.all.insert(id, known);
            entries.in_scope += u64::from(in_scope);
            entries.listed += u64::from(listed);
            return Upserted {
                local_id: next,
                stored: true,
                in_listing: listed,
                newly_listed: listed,
            };
        };
        let newly_listed = listed && !known.in_listing;
        entries.listed += u64::from(newly_listed);
        known.in_listing |= listed;
        let better = rank > known.rank;
        if better {
            let was_in_scope = std::mem::replace(&mut known.in_scope, in_scope);
            known.rank = rank;
            entries.in_scope = entries.in_scope + u64::from(in_scope) - u64::from(was_in_scope);
        }
        Upserted {
            local_id: known.local_id,
            stored: better,
            in_listing: known.in_listing,
            newly_listed,
        }
    }

    /// Removes an object that was deleted in Okta from the scope.
    pub fn mark_deleted(&self, id: &str) {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = entries.all.get_mut(id)
            && std::mem::take(&mut known.in_scope)
        {
            entries.in_scope -= 1;
        }
    }

    /// Restores an object that an earlier part of the run recorded.
    pub fn restore(&self, id: Id, known: Known) {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        entries.in_scope += u64::from(known.in_scope);
        entries.listed += u64::from(known.in_listing);
        entries.all.insert(id, known);
    }

    /// Returns the number of objects in scope.
    pub fn in_scope(&self) -> u64 {
        self.read().in_scope
    }

    /// Returns the number of objects that the listing contained.
    pub fn listed(&self) -> u64 {
        self.read().listed
    }

    /// Returns the number of an object, if it has one.
    pub fn local_id(&self, id: &str) -> Option<LocalId> {
        Some(self.read().all.get(id)?.local_id)
    }

    /// Returns the objects in scope for which `holds` is true, sorted by id. `holds` also receives whether the listing
    /// contained the object.
    pub fn in_scope_where(&self, holds: impl Fn(&Id, bool) -> bool) -> Vec<(LocalId, Id)>
    where
        Id: Clone + Ord,
    {
        let entries = self.read();
        let matching = entries
            .all
            .iter()
            .filter(|(id, known)| known.in_scope && holds(id, known.in_listing));
        let mut matching: Vec<(LocalId, Id)> = matching
            .map(|(id, known)| (known.local_id, id.clone()))
            .collect();
        matching.sort_by(|one, other| one.1.cmp(&other.1));
        matching
    }

    /// Returns the number of objects in scope that the listing did not contain.
    pub fn unlisted(&self) -> u64 {
        let entries = self.read();
        entries
            .all
            .values()
            .filter(|known| known.in_scope && !known.in_listing)
            .count() as u64
    }

    fn read(&self) -> RwLockReadGuard<'_, Entries<Id>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}
