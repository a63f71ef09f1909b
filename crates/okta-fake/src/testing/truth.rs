//! Computes from the org itself what a sync must find.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::org::{Group, Org};

/// The objects that a sync with some scope must find. Users count even if the search index does not show them yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// The ids of the users in scope, sorted.
    pub users: Vec<Arc<str>>,
    /// The ids of the groups in scope, sorted.
    pub groups: Vec<Arc<str>>,
    /// (user, group), sorted; Everyone's too.
    pub memberships: Vec<(Arc<str>, Arc<str>)>,
}

impl Org {
    /// Returns what a sync must find, with the users whose attributes, and the groups whose name, are in scope.
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
