//! The index of users and groups: the number of each in this run, and the decision on which of several copies counts.
//!
//! - Of two copies the one with the later `lastUpdated` wins, then the listing's: search lags, and the groups that Okta
//!   returns for a user can be weeks old (docs/okta-api.md, Users and Groups).
//! - A copy that is out of scope wins too, and takes its object out of the snapshot.
//! - Memory holds an id and a number for each object that is or was in scope.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use jiff::Timestamp;

/// The number of a user or a group within one run; users and groups count separately.
pub type LocalId = u32;

/// The source of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CopySource {
    /// A page of memberships: the members of a group, or the groups of a user.
    MembershipPage,
    /// The list of all users or groups.
    Listing,
}

/// The quality of a copy: the greater wins.
pub type Rank = (Option<Timestamp>, CopySource);

/// The facts about an object that has a number.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// The number.
    pub local_id: LocalId,
    /// The quality of its copy.
    pub rank: Rank,
    /// True if the listing contained it.
    pub in_listing: bool,
    /// True if its copy is in scope.
    pub in_scope: bool,
}

/// The objects that have a number. The workers look users up in it, so that of a user in twenty groups one copy is
/// kept and nineteen are a number.
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
    /// Nothing: a copy as good or better is stored, under this number.
    Known(LocalId),
    /// Store it: it is better than the stored one, whether or not it is in scope.
    Better,
    /// Store it if it is in scope: it is the first.
    First,
}

/// The result of storing a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upserted {
    /// The object's number.
    pub local_id: LocalId,
    /// True if this copy is the one to store.
    pub stored: bool,
    /// True if the listing contained the object, now or before.
    pub in_listing: bool,
    /// True if that was not known before.
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
            // A listing's copy passes even if an equal one is stored: that it was listed is news.
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

    /// Records a copy, and returns whether it is the one to store.
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

    /// Takes an object that was deleted in Okta out of scope.
    pub fn mark_deleted(&self, id: &str) {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = entries.all.get_mut(id)
            && std::mem::take(&mut known.in_scope)
        {
            entries.in_scope -= 1;
        }
    }

    /// Puts back an object that an earlier part of the run recorded.
    pub fn restore(&self, id: Id, known: Known) {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        entries.in_scope += u64::from(known.in_scope);
        entries.listed += u64::from(known.in_listing);
        entries.all.insert(id, known);
    }

    /// Returns how many are in scope.
    pub fn in_scope(&self) -> u64 {
        self.read().in_scope
    }

    /// Returns how many the listing contained.
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

    /// Returns how many are in scope although the listing did not contain them.
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
