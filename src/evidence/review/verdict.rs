//! Compares the decisions of a review with the memberships before and after it; pure.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use crate::evidence::findings::MembershipIds;
use crate::model::GroupId;
use crate::sheet::Decision;

/// The result of comparing a decision with the later snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The membership was approved and exists.
    Kept,
    /// The membership was revoked and no longer exists.
    Removed,
    /// The membership was revoked and still exists.
    NotRemediated,
    /// The membership no longer exists, although no decision revoked it.
    UnexplainedRemoval,
    /// The membership is new and was not reviewed.
    UnexplainedGrant,
    /// The membership has no final decision.
    Undecided,
    /// The membership is as decided, but its own user decided.
    SelfReview,
    /// The later snapshot could not read the members of the group.
    Unknown,
}

impl Verdict {
    /// All verdicts, in the order of the summary.
    pub const ALL: [Self; 8] = [
        Self::Kept,
        Self::Removed,
        Self::NotRemediated,
        Self::UnexplainedRemoval,
        Self::UnexplainedGrant,
        Self::Undecided,
        Self::SelfReview,
        Self::Unknown,
    ];

    /// Returns the word for files and results.
    pub fn word(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Removed => "removed",
            Self::NotRemediated => "not_remediated",
            Self::UnexplainedRemoval => "unexplained_removal",
            Self::UnexplainedGrant => "unexplained_grant",
            Self::Undecided => "undecided",
            Self::SelfReview => "self_review",
            Self::Unknown => "unknown",
        }
    }

    /// Returns true if this verdict prevents the review from closing successfully.
    pub fn is_open(self) -> bool {
        matches!(
            self,
            Self::NotRemediated
                | Self::UnexplainedRemoval
                | Self::UnexplainedGrant
                | Self::Undecided
        )
    }
}

/// The decision on a membership.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decided {
    /// The decision.
    pub decision: Decision,
    /// True if the user decided on their own membership.
    pub is_self_review: bool,
}

/// The memberships in a snapshot.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The memberships; those of Everyone only if it was reviewed.
    pub pairs: HashSet<MembershipIds>,
    /// The groups whose members could not be read.
    pub unreadable: HashSet<GroupId>,
}

/// Returns a verdict for every membership in the sheets, and for each other membership that differs between the
/// snapshots.
pub fn judge(
    decisions: &HashMap<MembershipIds, Decided>,
    before: &Access,
    after: &Access,
) -> HashMap<MembershipIds, Verdict> {
    let mut verdicts = HashMap::new();
    for (pair, decided) in decisions {
        verdicts.insert(pair.clone(), reviewed(pair, *decided, after));
    }
    for pair in before.pairs.difference(&after.pairs) {
        if !decisions.contains_key(pair) {
            verdicts.insert(
                pair.clone(),
                if after.unreadable.contains(&pair.0) {
                    Verdict::Unknown
                } else {
                    Verdict::UnexplainedRemoval
                },
            );
        }
    }
    for pair in after.pairs.difference(&before.pairs) {
        if !decisions.contains_key(pair) {
            verdicts.insert(
                pair.clone(),
                if before.unreadable.contains(&pair.0) {
                    Verdict::Unknown
                } else {
                    Verdict::UnexplainedGrant
                },
            );
        }
    }
    verdicts
}

fn reviewed(pair: &MembershipIds, decided: Decided, after: &Access) -> Verdict {
    if !decided.decision.is_final() {
        return Verdict::Undecided;
    }
    if after.unreadable.contains(&pair.0) {
        return Verdict::Unknown;
    }
    let verdict = match (decided.decision, after.pairs.contains(pair)) {
        (Decision::Revoke, true) => Verdict::NotRemediated,
        (Decision::Revoke, false) => Verdict::Removed,
        (_, true) => Verdict::Kept,
        (_, false) => Verdict::UnexplainedRemoval,
    };
    if decided.is_self_review && !verdict.is_open() {
        return Verdict::SelfReview;
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(group: &str, user: &str) -> MembershipIds {
        (group.into(), user.into())
    }

    fn access(users: &[&str], unreadable: bool) -> Access {
        Access {
            pairs: users.iter().map(|user| pair("00g1", user)).collect(),
            unreadable: unreadable.then(|| "00g1".into()).into_iter().collect(),
        }
    }

    #[test]
    fn every_decision_and_every_outcome_has_its_verdict() {
        use Decision::{Approve, Investigate, Modify, Revoke, Undecided};
        for (decision, is_self, stays, expected) in [
            (Approve, false, true, Verdict::Kept),
            (Approve, false, false, Verdict::UnexplainedRemoval),
            (Approve, true, true, Verdict::SelfReview),
            (Approve, true, false, Verdict::UnexplainedRemoval),
            (Revoke, false, true, Verdict::NotRemediated),
            (Revoke, false, false, Verdict::Removed),
            (Revoke, true, false, Verdict::SelfReview),
            (Revoke, true, true, Verdict::NotRemediated),
            (Undecided, false, true, Verdict::Undecided),
            (Undecided, false, false, Verdict::Undecided),
            (Modify, false, true, Verdict::Undecided),
            (Investigate, true, true, Verdict::Undecided),
        ] {
            let decided = Decided {
                decision,
                is_self_review: is_self,
            };
            let decisions = [(pair("00g1", "00u1"), decided)].into();
            let before = access(&["00u1"], false);
            let after = access(if stays { &["00u1"] } else { &[] }, false);
            let verdicts = judge(&decisions, &before, &after);
            let found = verdicts[&pair("00g1", "00u1")];
            assert_eq!(found, expected, "{decision:?} {is_self} {stays}");
            assert_eq!(verdicts.len(), 1);
        }
    }

    #[test]
    fn added_and_removed_memberships_without_a_row_are_reported() {
        let none = HashMap::new();
        let (before, after) = (
            access(&["00u1", "00u2"], false),
            access(&["00u2", "00u3"], false),
        );
        let verdicts = judge(&none, &before, &after);
        assert_eq!(verdicts.len(), 2);
        assert_eq!(verdicts[&pair("00g1", "00u1")], Verdict::UnexplainedRemoval);
        assert_eq!(verdicts[&pair("00g1", "00u3")], Verdict::UnexplainedGrant);
    }

    #[test]
    fn a_group_that_cannot_be_read_proves_nothing() {
        let none = HashMap::new();
        let approved = Decided {
            decision: Decision::Revoke,
            is_self_review: false,
        };
        let decisions = [(pair("00g1", "00u1"), approved)].into();
        let (all, unreadable) = (access(&["00u1"], false), access(&[], true));
        assert_eq!(
            judge(&decisions, &all, &unreadable)[&pair("00g1", "00u1")],
            Verdict::Unknown
        );
        let verdicts = [
            judge(&none, &all, &unreadable),
            judge(&none, &unreadable, &all),
        ];
        for verdicts in verdicts {
            assert_eq!(verdicts[&pair("00g1", "00u1")], Verdict::Unknown);
        }
    }
}
