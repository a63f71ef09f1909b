//! How far a review is; pure.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::sheet::Decision;
use crate::sheet::decision::Tally;
use crate::sheet::review::{Missing, ReviewRow};

/// From how many decisions on a reviewer who approved everything is noted.
const RUBBER_STAMP: u64 = 50;

/// A membership whose user decided on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SelfReview {
    /// Who it is.
    pub reviewer: String,
    /// The group.
    pub group_name: String,
    /// What was decided.
    pub decision: Decision,
}

/// How far a review is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Status {
    /// All rows.
    pub all: Tally,
    /// The rows of each reviewer; the rows without one have an empty name.
    pub reviewers: BTreeMap<String, Tally>,
    /// Rows that the user of the membership decided.
    pub self_reviews: Vec<SelfReview>,
    /// Reviewers who approved everything, of many rows.
    pub approved_everything: Vec<String>,
    /// How many rows have a decision and no reviewer.
    pub without_reviewer: u64,
    /// How many rows were deleted from the sheets.
    pub missing_rows: u64,
    /// How many sheets of the review were not given.
    pub missing_sheets: u64,
}

impl Status {
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

    /// Ends the counting.
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

    /// Returns whether the given sheets have rows, all of them, with a final decision each.
    pub fn is_decided(&self) -> bool {
        self.all.rows > 0 && self.all.open() == 0 && self.missing_rows == 0
    }
}
