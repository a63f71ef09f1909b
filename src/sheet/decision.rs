//! The words for a reviewer's decision.

use serde::Serialize;

use crate::text::{count, number};

/// The decision of a reviewer on a membership.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// No decision yet.
    #[default]
    Undecided,
    /// The membership stays.
    Approve,
    /// The membership should be removed.
    Revoke,
    /// The access should change in some way other than removing the membership.
    Modify,
    /// Someone must investigate first.
    Investigate,
}

/// The accepted words for each decision; the first one is written to files.
const WORDS: [(Decision, &[&str]); 4] = [
    (Decision::Approve, &["approve", "keep", "certify"]),
    (Decision::Revoke, &["revoke", "remove", "deny"]),
    (Decision::Modify, &["modify"]),
    (Decision::Investigate, &["investigate"]),
];

impl Decision {
    /// The words that a sheet offers, in this order.
    pub const OFFERED: [&str; 4] = ["approve", "revoke", "modify", "investigate"];

    /// Parses a word, ignoring case; `None` if it is not a decision.
    pub fn parse(word: &str) -> Option<Self> {
        let word = word.trim();
        if word.is_empty() {
            return Some(Self::Undecided);
        }
        let is_word = |words: &[&str]| words.iter().any(|known| word.eq_ignore_ascii_case(known));
        let found = WORDS.iter().find(|(_, words)| is_word(words))?;
        Some(found.0)
    }

    /// Returns the word; empty for [`Self::Undecided`].
    pub fn word(self) -> &'static str {
        let found = WORDS.iter().find(|(decision, _)| *decision == self);
        found.map_or("", |(_, words)| words[0])
    }

    /// Returns true if the decision is final: `modify` and `investigate` need another decision later.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Approve | Self::Revoke)
    }
}

/// The number of rows with each decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names are those of the decisions")]
pub struct DecisionTally {
    pub rows: u64,
    pub revoke: u64,
    pub approve: u64,
    pub modify: u64,
    pub investigate: u64,
    pub undecided: u64,
}

impl DecisionTally {
    /// Counts a row.
    pub fn add(&mut self, decision: Decision) {
        self.rows += 1;
        *match decision {
            Decision::Undecided => &mut self.undecided,
            Decision::Approve => &mut self.approve,
            Decision::Revoke => &mut self.revoke,
            Decision::Modify => &mut self.modify,
            Decision::Investigate => &mut self.investigate,
        } += 1;
    }

    /// Returns the number of rows without a final decision.
    pub fn open(&self) -> u64 {
        self.undecided + self.modify + self.investigate
    }

    /// Returns the percentage of final decisions that approve; `None` if there are none.
    pub fn approved_percent(&self) -> Option<u64> {
        (self.approve * 100).checked_div(self.approve + self.revoke)
    }

    /// Returns the counts in words; `modify` and `investigate` only if they occur.
    pub fn text(&self) -> String {
        let mut parts = vec![
            format!("{} revoke", number(self.revoke)),
            format!("{} approve", number(self.approve)),
        ];
        for (rows, word) in [(self.modify, "modify"), (self.investigate, "investigate")] {
            if rows > 0 {
                parts.push(format!("{} {word}", number(rows)));
            }
        }
        parts.push(format!("{} undecided", number(self.undecided)));
        format!("{}: {}", count(self.rows, "row"), parts.join(", "))
    }
}

/// Returns the message for a word that is not a decision.
pub fn not_a_decision(word: &str) -> String {
    format!(
        "{:?} is not a decision; use approve, revoke, modify or investigate, or leave it empty",
        word.trim()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_of_decisions_are_one_line() {
        let mut tally = DecisionTally::default();
        assert_eq!(tally.approved_percent(), None);
        for decision in [Decision::Revoke, Decision::Approve, Decision::Approve] {
            tally.add(decision);
        }
        tally.add(Decision::Undecided);
        assert_eq!(tally.text(), "4 rows: 1 revoke, 2 approve, 1 undecided");
        tally.add(Decision::Investigate);
        assert!(tally.text().contains("1 investigate, 1 undecided"));
        assert_eq!((tally.open(), tally.approved_percent()), (2, Some(66)));
    }

    #[test]
    fn decisions_have_several_words_and_ignore_case() {
        for (word, decision) in [
            ("Approve", Some(Decision::Approve)),
            (" KEEP ", Some(Decision::Approve)),
            ("certify", Some(Decision::Approve)),
            ("revoke", Some(Decision::Revoke)),
            ("Remove", Some(Decision::Revoke)),
            ("deny", Some(Decision::Revoke)),
            ("modify", Some(Decision::Modify)),
            ("investigate", Some(Decision::Investigate)),
            ("  ", Some(Decision::Undecided)),
            ("maybe", None),
            ("revoked", None),
            ("yes", None),
        ] {
            assert_eq!(Decision::parse(word), decision, "{word:?}");
        }
        for word in Decision::OFFERED {
            assert_eq!(Decision::parse(word).unwrap().word(), word);
        }
    }
}
