//! Decides which memberships the owner of an admin role can change.
//!
//! Only what Okta documents counts (docs/okta-api.md, Admin roles and Tokens and hosts): the result is unknown for a role
//! of an unknown kind, and for a custom role, whose permissions the response does not contain.

/// A role that is assigned to a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Role {
    /// `SUPER_ADMIN`, `CUSTOM`, …
    pub kind: Option<String>,
    /// The name in Okta's console.
    pub label: Option<String>,
    /// `ACTIVE` or `INACTIVE`.
    pub status: Option<String>,
}

impl Role {
    /// Returns the name to show: the kind and, for a custom role, its label.
    pub fn name(&self) -> String {
        match (self.kind.as_deref(), self.label.as_deref()) {
            (Some("CUSTOM"), Some(label)) => format!("CUSTOM ({label})"),
            (Some(kind), _) => kind.to_owned(),
            (None, label) => label.unwrap_or("a role without a kind").to_owned(),
        }
    }
}

/// The groups whose memberships can be changed. The order is from fewest to most, since the best of several roles counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EditableGroups {
    /// No group.
    Nothing,
    /// The roles do not show it; only a change would.
    Unknown,
    /// The groups that the role is restricted to, except groups with an admin role.
    Some,
    /// Every group, except groups with an admin role.
    Most,
    /// Every group.
    All,
}

/// Returns the groups that a user with these roles can change; none without a role.
pub fn editable_groups(roles: &[Role]) -> EditableGroups {
    roles
        .iter()
        .map(allows)
        .max()
        .unwrap_or(EditableGroups::Nothing)
}

fn allows(role: &Role) -> EditableGroups {
    match role.status.as_deref() {
        Some("ACTIVE") => {}
        Some("INACTIVE") => return EditableGroups::Nothing,
        _ => return EditableGroups::Unknown,
    }
    match role.kind.as_deref() {
        Some("SUPER_ADMIN") => EditableGroups::All,
        Some("ORG_ADMIN") => EditableGroups::Most,
        Some("USER_ADMIN" | "GROUP_MEMBERSHIP_ADMIN") => EditableGroups::Some,
        Some(
            "READ_ONLY_ADMIN"
            | "REPORT_ADMIN"
            | "HELP_DESK_ADMIN"
            | "APP_ADMIN"
            | "MOBILE_ADMIN"
            | "API_ACCESS_MANAGEMENT_ADMIN",
        ) => EditableGroups::Nothing,
        _ => EditableGroups::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(kind: &str, status: &str) -> Role {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Role {
            kind: some(kind),
            label: None,
            status: some(status),
        }
    }

    #[test]
    fn the_best_active_role_says_what_may_be_changed() {
        let table: [(&[(&str, &str)], EditableGroups); 16] = [
            (&[], EditableGroups::Nothing),
            (&[("SUPER_ADMIN", "ACTIVE")], EditableGroups::All),
            (&[("SUPER_ADMIN", "INACTIVE")], EditableGroups::Nothing),
            (&[("SUPER_ADMIN", "")], EditableGroups::Unknown),
            (&[("ORG_ADMIN", "ACTIVE")], EditableGroups::Most),
            (&[("USER_ADMIN", "ACTIVE")], EditableGroups::Some),
            (
                &[("GROUP_MEMBERSHIP_ADMIN", "ACTIVE")],
                EditableGroups::Some,
            ),
            (&[("READ_ONLY_ADMIN", "ACTIVE")], EditableGroups::Nothing),
            (&[("REPORT_ADMIN", "ACTIVE")], EditableGroups::Nothing),
            (&[("HELP_DESK_ADMIN", "ACTIVE")], EditableGroups::Nothing),
            (&[("APP_ADMIN", "ACTIVE")], EditableGroups::Nothing),
            (&[("CUSTOM", "ACTIVE")], EditableGroups::Unknown),
            (&[("", "ACTIVE")], EditableGroups::Unknown),
            (
                &[("READ_ONLY_ADMIN", "ACTIVE"), ("CUSTOM", "ACTIVE")],
                EditableGroups::Unknown,
            ),
            (
                &[("CUSTOM", "ACTIVE"), ("USER_ADMIN", "ACTIVE")],
                EditableGroups::Some,
            ),
            (
                &[("SUPER_ADMIN", "INACTIVE"), ("APP_ADMIN", "ACTIVE")],
                EditableGroups::Nothing,
            ),
        ];
        for (roles, may) in table {
            let given: Vec<Role> = roles
                .iter()
                .map(|(kind, status)| role(kind, status))
                .collect();
            assert_eq!(editable_groups(&given), may, "{roles:?}");
        }
    }

    #[test]
    fn a_custom_role_is_called_by_its_name() {
        let custom = Role {
            label: Some("Only groups".to_owned()),
            ..role("CUSTOM", "ACTIVE")
        };
        assert_eq!(custom.name(), "CUSTOM (Only groups)");
        assert_eq!(role("ORG_ADMIN", "").name(), "ORG_ADMIN");
        assert_eq!(role("", "").name(), "a role without a kind");
    }
}
