//! Who has a number, and which of several copies counts.
//!
//! - Where a second copy of a user or a group comes, the later `lastUpdated` wins, then the listing's: search lags, and
//!   a user's groups can be weeks old (docs/okta-api.md, Users and Groups).
//! - A copy that is out of scope wins too, and takes its object out of the snapshot.
//! - Memory holds an id and a number for each object that is in scope, or once was.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use jiff::Timestamp;

/// The number of a user or a group in this run.
pub type Seq = u32;

/// Where a copy came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum From {
    /// The members of a group, or the groups of a user.
    Side,
    /// The list of all users or groups.
    Listing,
}

/// How good a copy is: the greater wins.
pub type Rank = (Option<Timestamp>, From);

/// What is known of an object that has a number.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// The number.
    pub seq: Seq,
    /// How good its copy is.
    pub rank: Rank,
    /// Whether the listing held it.
    pub listed: bool,
    /// Whether its copy is in scope.
    pub in_scope: bool,
}

/// The objects that have a number. The workers look users up in it, so that of a user in twenty groups one copy is
/// kept and nineteen are a number.
#[derive(Debug)]
pub struct Directory<Id>(RwLock<Entries<Id>>);

#[derive(Debug)]
struct Entries<Id> {
    all: HashMap<Id, Known>,
    in_scope: u64,
    listed: u64,
}

impl<Id> Default for Directory<Id> {
    fn default() -> Self {
        Self(RwLock::new(Entries {
            all: HashMap::new(),
            in_scope: 0,
            listed: 0,
        }))
    }
}

/// What to do with one more copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copy {
    /// Nothing: one as good or better is there. With its number.
    Known(Seq),
    /// It is better than the one there, whether or not it is in scope.
    Better,
    /// It is the first.
    First,
}

/// What became of a copy that was taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The object's number.
    pub seq: Seq,
    /// Whether this copy is the one to store.
    pub stored: bool,
    /// Whether the listing held the object, now or before.
    pub listed: bool,
    /// Whether it was not known before that it did.
    pub newly_listed: bool,
}

impl<Id: std::hash::Hash + Eq + std::borrow::Borrow<str>> Directory<Id> {
    /// What to do with a copy, by its id and rank.
    pub fn judge(&self, id: &str, last_updated: Option<Timestamp>, from: From) -> Copy {
        let known = self.read().all.get(id).copied();
        match known {
            // A listing's copy goes through even if an equal one is there: that it was listed is news.
            Some(known)
                if (last_updated, from) <= known.rank && (known.listed || from == From::Side) =>
            {
                Copy::Known(known.seq)
            }
            Some(_) => Copy::Better,
            None => Copy::First,
        }
    }

    /// Takes a copy in.
    pub fn admit(
        &self,
        id: Id,
        last_updated: Option<Timestamp>,
        from: From,
        in_scope: bool,
    ) -> Admitted {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let entries = &mut *entries;
        let next = Seq::try_from(entries.all.len()).unwrap_or(Seq::MAX);
        let rank = (last_updated, from);
        let listed = from == From::Listing;
        let Some(known) = entries.all.get_mut(std::borrow::Borrow::borrow(&id)) else {
            entries.all.insert(
                id,
                Known {
                    seq: next,
                    rank,
                    listed,
                    in_scope,
                },
            );
            entries.in_scope += u64::from(in_scope);
            entries.listed += u64::from(listed);
            return Admitted {
                seq: next,
                stored: true,
                listed,
                newly_listed: listed,
            };
        };
        let newly_listed = listed && !known.listed;
        entries.listed += u64::from(newly_listed);
        known.listed |= listed;
        let listed = known.listed;
        let better = rank > known.rank;
        let (seq, was_in_scope) = (known.seq, known.in_scope);
        if better {
            known.rank = rank;
            known.in_scope = in_scope;
            entries.in_scope = entries.in_scope + u64::from(in_scope) - u64::from(was_in_scope);
        }
        Admitted {
            seq,
            stored: better,
            listed,
            newly_listed,
        }
    }

    /// Notes that an object is gone: it is in no scope any more.
    pub fn gone(&self, id: &str) {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = entries.all.get_mut(id)
            && std::mem::take(&mut known.in_scope)
        {
            entries.in_scope -= 1;
        }
    }

    /// Puts back an object that an earlier run took in.
    pub fn restore(&self, id: Id, known: Known) {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        entries.in_scope += u64::from(known.in_scope);
        entries.listed += u64::from(known.listed);
        entries.all.insert(id, known);
    }

    /// How many are in scope.
    pub fn in_scope(&self) -> u64 {
        self.read().in_scope
    }

    /// How many were in the listing.
    pub fn listed(&self) -> u64 {
        self.read().listed
    }

    /// The number of an object, if it has one.
    pub fn seq(&self, id: &str) -> Option<Seq> {
        Some(self.read().all.get(id)?.seq)
    }

    /// Those that are in scope and for which this holds, with whether the listing held them; sorted by id.
    pub fn in_scope_where(&self, holds: impl Fn(&Id, bool) -> bool) -> Vec<(Seq, Id)>
    where
        Id: Clone + Ord,
    {
        let entries = self.read();
        let some = entries
            .all
            .iter()
            .filter(|(id, known)| known.in_scope && holds(id, known.listed));
        let mut some: Vec<(Seq, Id)> = some.map(|(id, known)| (known.seq, id.clone())).collect();
        some.sort_by(|one, other| one.1.cmp(&other.1));
        some
    }

    /// How many are in scope and were not in the listing.
    pub fn unlisted(&self) -> u64 {
        let entries = self.read();
        entries
            .all
            .values()
            .filter(|known| known.in_scope && !known.listed)
            .count() as u64
    }

    fn read(&self) -> RwLockReadGuard<'_, Entries<Id>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}
