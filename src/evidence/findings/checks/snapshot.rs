//! Checks of the snapshot itself.

use super::Checked;
use crate::evidence::findings::FindingRow;
use crate::evidence::findings::org::Org;
use crate::text::number;

/// The reason for skipping a check of a file that another program wrote.
const OTHER_PROGRAM: &str = "another program wrote the snapshot, and did not record this";

pub(super) fn incomplete_group(org: &Org) -> Checked {
    org.complete.ok_or(OTHER_PROGRAM)?;
    let unread = org
        .each_group()
        .filter(|(_, group)| group.members_kept.is_none());
    Ok(unread
        .map(|(index, _)| org.group_row(index, "its members could not be read"))
        .collect())
}

pub(super) fn partial(org: &Org) -> Checked {
    let complete = org.complete.ok_or(OTHER_PROGRAM)?;
    Ok(if complete {
        Vec::new()
    } else {
        vec![about_snapshot(
            "the snapshot is incomplete; okta-ciam show prints its warnings".to_owned(),
        )]
    })
}

pub(super) fn everyone_mismatch(org: &Org) -> Checked {
    let (reported, listed) = org
        .everyone
        .ok_or("the snapshot does not contain Okta's count of Everyone")?;
    Ok(if reported == listed {
        Vec::new()
    } else {
        let (reported, listed) = (number(reported), number(listed));
        vec![about_snapshot(format!(
            "Okta counts {reported} users in Everyone, and listed {listed}"
        ))]
    })
}

fn about_snapshot(detail: String) -> FindingRow {
    FindingRow {
        detail,
        ..FindingRow::default()
    }
}
