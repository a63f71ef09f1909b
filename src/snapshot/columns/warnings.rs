//! The columns of `warnings`.

use serde::Serialize;

use super::table;

table! {
    /// A warning of the run, such as a group whose members could not be read.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize)]
    pub struct Warning = "warnings" {
        /// The kind of warning, as one fixed word for programs.
        code: String ["not null"],
        /// The subject: `run`, `user` or `group`.
        kind: String ["not null"],
        /// The id of the user or group.
        object_id: Option<String>,
        /// The text for people.
        message: String ["not null"],
    }
}

impl Warning {
    /// The code of a group whose members the token cannot read.
    pub const MEMBERS_FORBIDDEN: &str = "members_forbidden";
    /// The code of a group whose listing ended early, twice.
    pub const MEMBERS_CUT: &str = "members_cut";
    /// The code of a user whose groups the token cannot read.
    pub const GROUPS_FORBIDDEN: &str = "groups_forbidden";

    /// Returns whether the snapshot may lack memberships of the group or user that the warning is about.
    pub fn limits_memberships(&self) -> bool {
        [
            Self::MEMBERS_FORBIDDEN,
            Self::MEMBERS_CUT,
            Self::GROUPS_FORBIDDEN,
        ]
        .contains(&self.code.as_str())
    }
}
