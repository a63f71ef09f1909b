//! The columns of `groups`. CONTRIBUTING.md has the steps to add one.

use jiff::Timestamp;

use super::{attribute, table};
use crate::model::{Group, GroupId};
use crate::snapshot::cell::ProfileText;

table! {
    /// A group, as a row of the table `groups`.
    #[derive(Clone, Debug, PartialEq)]
    pub struct GroupRow = "groups" {
        /// Okta's id.
        id: GroupId ["not null primary key"] [in baton],
        /// The attribute `name`.
        name: Option<String> [in baton],
        /// The attribute `description`.
        description: Option<String> [in baton],
        /// See [`Group::kind`]. Only some connectors write it, and the next column, to Baton's tables.
        kind "type": Option<String>,
        /// See [`Group::source_id`].
        source_id: Option<String>,
        /// See [`Group::created`].
        created: Option<Timestamp>,
        /// See [`Group::last_updated`].
        last_updated: Option<Timestamp>,
        /// See [`Group::last_membership_updated`].
        last_membership_updated: Option<Timestamp>,
        /// See [`Group::members_reported`].
        members_reported: Option<u64>,
        /// The number of different members that Okta listed.
        members_seen: Option<u64>,
        /// The number of members in scope; unknown if Okta denied access to the members.
        members_kept: Option<u64>,
        /// The source of the memberships; see [`MembershipSource`](crate::model::MembershipSource).
        learned: Option<String> ["not null"],
        /// All attributes. In Baton's tables, some connectors write only the name and the description.
        profile: ProfileText ["not null"],
    }
}

impl GroupRow {
    /// Returns a row with only an id.
    pub fn empty(id: impl Into<GroupId>) -> Self {
        Self {
            id: id.into(),
            name: None,
            description: None,
            kind: None,
            source_id: None,
            created: None,
            last_updated: None,
            last_membership_updated: None,
            members_reported: None,
            members_seen: None,
            members_kept: None,
            learned: None,
            profile: ProfileText::default(),
        }
    }

    /// Returns the row of a group, without the columns that describe the run.
    pub(in crate::snapshot) fn of(group: &Group) -> serde_json::Result<Self> {
        Ok(Self {
            name: attribute(&group.profile, "name"),
            description: attribute(&group.profile, "description"),
            kind: group.kind.clone(),
            source_id: group.source_id.clone(),
            created: group.created,
            last_updated: group.last_updated,
            last_membership_updated: group.last_membership_updated,
            members_reported: group.members_reported,
            profile: ProfileText::of(&group.profile)?,
            ..Self::empty(group.id.clone())
        })
    }

    /// Returns the group's name, or its id if it has none.
    pub fn display_name(&self) -> &str {
        let name = self.name.as_deref().filter(|name| !name.is_empty());
        name.unwrap_or(self.id.as_str())
    }
}
