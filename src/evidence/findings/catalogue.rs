//! The catalogue of findings, with their ids, names, severities and definitions. docs/findings.md contains the same
//! table.

use clap::ValueEnum;
use serde::Serialize;

use crate::words::Words;

/// The severity of a finding. Severities are ordered from the least, so that >= means "this or worse".
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing, but not a risk on its own.
    Info,
    /// Untidy; fix it when convenient.
    Low,
    /// A risk that a review should decide on.
    Medium,
    /// Access or evidence that is probably wrong.
    High,
    /// A risk in a privileged group.
    Critical,
}

impl Severity {
    /// Returns the word for options and results.
    pub fn word(self) -> &'static str {
        static WORDS: Words<Severity> = Words::new();
        WORDS.of(self)
    }
}

/// A finding in the catalogue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CatalogueEntry {
    /// The stable id, which is never reused.
    pub id: &'static str,
    /// The stable name for options.
    pub name: &'static str,
    /// The severity of its rows; the highest one if they differ.
    pub severity: Severity,
    /// The definition: a sentence about what one row is.
    pub definition: &'static str,
}

/// All findings, sorted by id.
pub const CATALOGUE: [CatalogueEntry; 25] = [
    CatalogueEntry {
        id: "OC101",
        name: "deprovisioned-member",
        severity: Severity::High,
        definition: "A membership of a user whose status is DEPROVISIONED.",
    },
    CatalogueEntry {
        id: "OC102",
        name: "suspended-member",
        severity: Severity::Medium,
        definition: "A membership of a user whose status is SUSPENDED.",
    },
    CatalogueEntry {
        id: "OC103",
        name: "unactivated-member",
        severity: Severity::Medium,
        definition: "A membership of a user who is STAGED or PROVISIONED and was created more than 30 days ago.",
    },
    CatalogueEntry {
        id: "OC104",
        name: "dormant-member",
        severity: Severity::Medium,
        definition: "A membership of an activated, enabled user whose last sign-in is more than 90 days old (--dormant-days).",
    },
    CatalogueEntry {
        id: "OC105",
        name: "never-signed-in-member",
        severity: Severity::Medium,
        definition: "A membership of an activated, enabled user who never signed in and was created more than 30 days ago.",
    },
    CatalogueEntry {
        id: "OC106",
        name: "secondary-email-only",
        severity: Severity::Medium,
        definition: "A membership of a user who is in scope only by secondary email.",
    },
    CatalogueEntry {
        id: "OC107",
        name: "privileged-risk",
        severity: Severity::Critical,
        definition: "A row of OC101 to OC106 whose group is privileged.",
    },
    CatalogueEntry {
        id: "OC201",
        name: "duplicate-email",
        severity: Severity::High,
        definition: "Two or more users who are not DEPROVISIONED have the same email, ignoring case.",
    },
    CatalogueEntry {
        id: "OC202",
        name: "shared-recovery-email",
        severity: Severity::High,
        definition: "The secondary email of one user is an email, login or secondary email of another, ignoring case.",
    },
    CatalogueEntry {
        id: "OC203",
        name: "stuck-status",
        severity: Severity::Low,
        definition: "A user has been LOCKED_OUT, RECOVERY, PASSWORD_EXPIRED or PROVISIONED for more than 30 days.",
    },
    CatalogueEntry {
        id: "OC204",
        name: "dormant-user",
        severity: Severity::Low,
        definition: "An activated, enabled user, member or not, whose last sign-in is more than 90 days old (--dormant-days).",
    },
    CatalogueEntry {
        id: "OC205",
        name: "too-many-groups",
        severity: Severity::Low,
        definition: "A user has more than 20 memberships and more than five times the median of users with any.",
    },
    CatalogueEntry {
        id: "OC206",
        name: "no-groups",
        severity: Severity::Info,
        definition: "An ACTIVE user has no membership.",
    },
    CatalogueEntry {
        id: "OC301",
        name: "empty-group",
        severity: Severity::Info,
        definition: "A group of type OKTA_GROUP has no members.",
    },
    CatalogueEntry {
        id: "OC302",
        name: "single-member-group",
        severity: Severity::Info,
        definition: "A group has exactly one member.",
    },
    CatalogueEntry {
        id: "OC304",
        name: "duplicate-group",
        severity: Severity::Low,
        definition: "Two groups have the same three or more members.",
    },
    CatalogueEntry {
        id: "OC305",
        name: "look-alike-name",
        severity: Severity::Low,
        definition: "Two group names are equal once case, spaces, dashes and Unicode forms are ignored.",
    },
    CatalogueEntry {
        id: "OC307",
        name: "large-privileged-group",
        severity: Severity::Medium,
        definition: "A privileged group has more than 15 members in scope (--privileged-max).",
    },
    CatalogueEntry {
        id: "OC401",
        name: "incomplete-group",
        severity: Severity::High,
        definition: "The members of a group could not be read.",
    },
    CatalogueEntry {
        id: "OC402",
        name: "partial-snapshot",
        severity: Severity::High,
        definition: "The snapshot is incomplete: data in its scope may be missing.",
    },
    CatalogueEntry {
        id: "OC403",
        name: "everyone-mismatch",
        severity: Severity::Medium,
        definition: "Okta counts more or fewer users in Everyone than the snapshot lists.",
    },
    CatalogueEntry {
        id: "OC601",
        name: "new-privileged-member",
        severity: Severity::High,
        definition: "A membership of a privileged group that the older snapshot does not have.",
    },
    CatalogueEntry {
        id: "OC602",
        name: "came-back",
        severity: Severity::High,
        definition: "A membership that a review revoked, and that the older snapshot lacks, exists again.",
    },
    CatalogueEntry {
        id: "OC603",
        name: "not-remediated",
        severity: Severity::High,
        definition: "A membership that a review revoked still exists.",
    },
    CatalogueEntry {
        id: "OC701",
        name: "exception-trouble",
        severity: Severity::Medium,
        definition: "An exception has expired, or matches nothing.",
    },
];
