//! Decides what an admin role lets its owner do to memberships; pure.
//!
//! It decides only what is documented (docs/okta-api.md, Admin roles and Tokens and hosts): a role of an unknown kind,
//! or a custom one, whose permissions are elsewhere, is neither a yes nor a no.

/// A role that is assigned to a user, as far as this tool looks at it.
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
    /// Returns the name to show: the kind, and for a custom role its name.
    pub fn name(&self) -> String {
        match (self.kind.as_deref(), self.label.as_deref()) {
            (Some("CUSTOM"), Some(label)) => format!("CUSTOM ({label})"),
            (Some(kind), _) => kind.to_owned(),
            (None, label) => label.unwrap_or("a role without a kind").to_owned(),
        }
    }
}

/// The groups whose memberships can be changed. The better of two roles counts, so the order is from bad to good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum May {
    /// No group's.
    Nothing,
    /// Only a change would show it.
    Unknown,
    /// Those of the groups that the role was given for, but for groups with an admin role.
    Some,
    /// Those of every group, but for groups with an admin role.
    Most,
    /// Those of every group.
    All,
}

/// Returns what these roles together allow. Without a role, a user cannot change anything.
pub fn may_change(roles: &[Role]) -> May {
    roles.iter().map(allows).max().unwrap_or(May::Nothing)
}

fn allows(role: &Role) -> May {
    match role.status.as_deref() {
        Some("ACTIVE") => {}
        Some("INACTIVE") => return May::Nothing,
        _ => return May::Unknown,
    }
    match role.kind.as_deref() {
        Some("SUPER_ADMIN") => May::All,
        Some("ORG_ADMIN") => May::Most,
        Some("USER_ADMIN" | "GROUP_MEMBERSHIP_ADMIN") => May::Some,
        Some(
            "READ_ONLY_ADMIN"
            | "REPORT_ADMIN"
            | "HELP_DESK_ADMIN"
            | "APP_ADMIN"
            | "MOBILE_ADMIN"
            | "API_ACCESS_MANAGEMENT_ADMIN",
        ) => May::Nothing,
        _ => May::Unknown,
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
        let table: [(&[(&str, &str)], May); 16] = [
            (&[], May::Nothing),
            (&[("SUPER_ADMIN", "ACTIVE")], May::All),
            (&[("SUPER_ADMIN", "INACTIVE")], May::Nothing),
            (&[("SUPER_ADMIN", "")], May::Unknown),
            (&[("ORG_ADMIN", "ACTIVE")], May::Most),
            (&[("USER_ADMIN", "ACTIVE")], May::Some),
            (&[("GROUP_MEMBERSHIP_ADMIN", "ACTIVE")], May::Some),
            (&[("READ_ONLY_ADMIN", "ACTIVE")], May::Nothing),
            (&[("REPORT_ADMIN", "ACTIVE")], May::Nothing),
            (&[("HELP_DESK_ADMIN", "ACTIVE")], May::Nothing),
            (&[("APP_ADMIN", "ACTIVE")], May::Nothing),
            (&[("CUSTOM", "ACTIVE")], May::Unknown),
            (&[("", "ACTIVE")], May::Unknown),
            (
                &[("READ_ONLY_ADMIN", "ACTIVE"), ("CUSTOM", "ACTIVE")],
                May::Unknown,
            ),
            (&[("CUSTOM", "ACTIVE"), ("USER_ADMIN", "ACTIVE")], May::Some),
            (
                &[("SUPER_ADMIN", "INACTIVE"), ("APP_ADMIN", "ACTIVE")],
                May::Nothing,
            ),
        ];
        for (roles, may) in table {
            let given: Vec<Role> = roles
                .iter()
                .map(|(kind, status)| role(kind, status))
                .collect();
            assert_eq!(may_change(&given), may, "{roles:?}");
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
