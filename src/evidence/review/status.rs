//! The progress of a review; pure.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::sheet::Decision;
use crate::sheet::decision::DecisionTally;
use crate::sheet::review::{Missing, ReviewRow};

/// The number of decisions from which a reviewer who approved everything is reported.
const RUBBER_STAMP: u64 = 50;

/// A decision by the user whose membership it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SelfReview {
    /// The reviewer, who is also the member.
    pub reviewer: String,
    /// The group's name.
    pub group_name: String,
    /// The decision.
    pub decision: Decision,
}

/// The progress of a review.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReviewStatus {
    /// The counts of all rows.
    pub all: DecisionTally,
    /// The counts by reviewer; rows without a reviewer are under an empty name.
    pub reviewers: BTreeMap<String, DecisionTally>,
    /// The decisions by users on their own memberships.
    pub self_reviews: Vec<SelfReview>,
    /// Reviewers who approved all of their rows and decided at least 50.
    pub approved_everything: Vec<String>,
    /// The number of rows with a decision and without a reviewer.
    pub without_reviewer: u64,
    /// The number of rows that were deleted from the sheets.
    pub missing_rows: u64,
    /// The number of the review's sheets that were not given.
    pub missing_sheets: u64,
}

impl ReviewStatus {
    /// Counts a row.
    pub fn add(&mut self, row: &ReviewRow) {
        self.all.add(row.decision);
        if row.decision != Decision::Undecided {
            self.without_reviewer += u64::from(row.reviewer.is_empty());
        }
        let reviewer = row.reviewer.to_lowercase();
        self.reviewers
            .entry(reviewer)
            .or_default()
            .add(row.decision);
        if row.decision != Decision::Undecided && row.is_self_review() {
            self.self_reviews.push(SelfReview {
                reviewer: row.reviewer.clone(),
                group_name: row.group_name.clone(),
                decision: row.decision,
            });
        }
    }

    /// Completes the status after the last row.
    pub fn end(&mut self, missing: &Missing) {
        let everything = self.reviewers.iter().filter(|(name, decided)| {
            !name.is_empty()
                && decided.approve >= RUBBER_STAMP
                && decided.approved_percent() == Some(100)
        });
        self.approved_everything = everything.map(|(name, _)| name.clone()).collect();
        self.missing_rows = missing.rows;
        self.missing_sheets = missing.parts;
    }

    /// Returns true if the given sheets are complete and every row has a final decision.
    pub fn is_decided(&self) -> bool {
        self.all.rows > 0 && self.all.open() == 0 && self.missing_rows == 0
    }
}
