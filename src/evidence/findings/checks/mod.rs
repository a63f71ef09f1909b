//! The checks: one pure function for each finding of the catalogue.

mod groups;
mod memberships;
mod snapshot;
mod users;

use super::org::Org;
use super::{Checked, FindingContext, FindingOptions};
use crate::text::internal_error;

/// The age in days after which a user who never signed in, or a status that should be temporary, is a finding.
const GRACE_DAYS: i64 = 30;

/// Runs the check with this id. The check of exceptions is not one of them.
pub(super) fn check(
    id: &str,
    org: &Org,
    context: &FindingContext,
    options: &FindingOptions,
) -> Checked {
    match id {
        "OC101" => Ok(memberships::with_status(org, "DEPROVISIONED")),
        "OC102" => Ok(memberships::with_status(org, "SUSPENDED")),
        "OC103" => Ok(memberships::unactivated(org)),
        "OC104" => Ok(memberships::dormant(org, options)),
        "OC105" => Ok(memberships::never_signed_in(org)),
        "OC106" => Ok(memberships::secondary_email_only(org)),
        "OC107" => memberships::privileged_risk(org, options),
        "OC201" => Ok(users::duplicate_email(org)),
        "OC202" => Ok(users::shared_recovery_email(org)),
        "OC203" => Ok(users::stuck_status(org)),
        "OC204" => Ok(users::dormant(org, options)),
        "OC205" => Ok(users::too_many_groups(org)),
        "OC206" => Ok(users::no_groups(org)),
        "OC301" => Ok(groups::empty(org)),
        "OC302" => Ok(groups::single_member(org)),
        "OC304" => Ok(groups::duplicate(org)),
        "OC305" => Ok(groups::look_alike(org)),
        "OC307" => groups::large_privileged(org, options),
        "OC401" => snapshot::incomplete_group(org),
        "OC402" => snapshot::partial(org),
        "OC403" => snapshot::everyone_mismatch(org),
        "OC601" => memberships::new_privileged(org, context, options),
        "OC602" => memberships::came_back(org, context),
        "OC603" => memberships::not_remediated(org, context),
        other => Err(internal_error(format_args!("no check has the id {other}"))),
    }
}

impl FindingOptions {
    pub(in crate::evidence) fn is_privileged(&self, name: Option<&str>) -> bool {
        let name = name.unwrap_or_default().to_lowercase();
        self.privileged.iter().any(|part| name.contains(part))
    }

    /// Returns an error with the reason if checks of privileged groups cannot run.
    fn knows_privileged(&self) -> Result<(), String> {
        if self.privileged.is_empty() {
            return Err("requires --privileged PATTERN to identify privileged groups".to_owned());
        }
        Ok(())
    }
}
