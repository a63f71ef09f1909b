//! Computes the expected result of a sync from the org itself.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::org::{Group, Org};

/// The expected result of a sync with some scope. Users count even if the search index does not contain them yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// The ids of the users in scope, sorted.
    pub users: Vec<Arc<str>>,
    /// The ids of the groups in scope, sorted.
    pub groups: Vec<Arc<str>>,
    /// Pairs of user and group, sorted, including those of Everyone.
    pub memberships: Vec<(Arc<str>, Arc<str>)>,
}

impl Org {
    /// Returns the expected result of a sync for the users and groups that are in scope according to their attributes
    /// and names.
    pub fn truth(
        &self,
        has_user: impl Fn(&Map<String, Value>) -> bool,
        has_group: impl Fn(Option<&str>) -> bool,
    ) -> Truth {
        let users = self.users().filter(|user| has_user(&user.attributes()));
        let mut truth = Truth {
            users: users.map(|user| Arc::clone(&user.id)).collect(),
            ..Truth::default()
        };
        let in_scope = |group: &&Group| has_group(group.name());
        for group in self.groups().filter(in_scope) {
            truth.groups.push(Arc::clone(&group.id));
            let members = self.members(&group.id);
            let members = members
                .into_iter()
                .filter(|id| truth.users.binary_search(id).is_ok());
            truth
                .memberships
                .extend(members.map(|user| (user, Arc::clone(&group.id))));
        }
        truth.memberships.sort();
        truth
    }
}
