//! Decides when a long user list is read from both ends at once, and when the two cursors have met. It does no I/O.
//!
//! A cursor is sequential: a million users take five thousand round trips one after another. Two cursors over the same
//! search, sorted by id upward and downward, halve that time and return exactly what one cursor returns:
//! - Every user has an id, and no two users have the same. Creation times would not work: a search for a range of them
//!   does not find users without one.
//! - Ids never change, so a user who changes during the run stays at the same place of both lists.
//! - The two have read all users once their positions meet, provided that both are sorted in the same order. This is
//!   checked row by row: if the rows fit none of the orders in [`crate::okta::order`], the single cursor resumes where it
//!   stopped.
//!
//! More than two cursors would need a search for a range of ids, which Okta does not document.

use std::time::Duration;

use crate::okta::http::page::RowSummary;
use crate::okta::order::{End, ORDERS, Position};

/// The positions of the two cursors.
#[derive(Clone, Debug)]
pub struct Ends {
    /// The last position of each cursor.
    reached: [Option<Position>; 2],
    /// True for each order that all rows so far are in.
    fits: [bool; ORDERS],
}

impl Default for Ends {
    fn default() -> Self {
        Self {
            reached: [None; 2],
            fits: [true; ORDERS],
        }
    }
}

/// The rows of the two cursors are in no known order, or in two different ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsorted;

impl Ends {
    /// Resumes a cursor at the position that it had reached.
    pub fn resume(&mut self, end: End, reached: Option<Position>) {
        self.reached[end as usize] = reached;
    }

    /// Returns the position of a cursor.
    pub fn reached(&self, end: End) -> Option<Position> {
        self.reached[end as usize]
    }

    /// Restarts a cursor that Okta lost. Its listing starts again with the first page.
    pub fn restart(&mut self, end: End) {
        self.reached[end as usize] = None;
    }

    /// Moves one cursor past a page.
    ///
    /// # Errors
    /// Returns [`Unsorted`] if the rows are out of order: then it proves nothing that the cursors meet.
    pub fn page(&mut self, end: End, rows: &[RowSummary]) -> Result<(), Unsorted> {
        for row in rows {
            let position = row.position.ok_or(Unsorted)?;
            if let Some(last) = self.reached(end) {
                for (order, fits) in self.fits.iter_mut().enumerate() {
                    // Positions may be equal: a page may start with the last row of the page before.
                    *fits &= match end {
                        End::Lowest => last.in_order(order) <= position.in_order(order),
                        End::Highest => last.in_order(order) >= position.in_order(order),
                    };
                }
            }
            self.reached[end as usize] = Some(position);
        }
        if self.fits.contains(&true) {
            Ok(())
        } else {
            Err(Unsorted)
        }
    }

    /// Returns whether the cursors have met, so that each user was read by one of them.
    pub fn have_met(&self) -> bool {
        let [Some(up), Some(down)] = self.reached else {
            return false;
        };
        let mut orders = (0..ORDERS).filter(|order| self.fits[*order]).peekable();
        // Different ids may be equal if case is ignored. So the cursors must have reached the same id, or passed it.
        let has_passed = |order| up == down || up.in_order(order) > down.in_order(order);
        orders.peek().is_some() && orders.all(has_passed)
    }
}

/// The largest percentage of pages that may be read twice.
const MAX_READ_TWICE: u64 = 3;
/// The number of pages that may be in flight when the cursors stop.
const PAGES_IN_FLIGHT: u64 = 4;

/// Returns whether a list of `pages` pages is worth two cursors: if reading `read` pages again, which the single cursor has
/// read, costs little, and if one cursor would leave more than half of this run's share of the rate limit unused.
pub fn are_worth_it(
    pages: u64,
    read: u64,
    response: Duration,
    budget_per_minute: Option<u64>,
    workers: usize,
) -> bool {
    let by_one_cursor = 60.0 / response.as_secs_f64().max(1e-6);
    let unused = budget_per_minute.is_none_or(|budget| by_one_cursor * 2.0 < budget as f64);
    (read + PAGES_IN_FLIGHT) * 100 <= pages * MAX_READ_TWICE && workers > 1 && unused
}

/// Returns the difference allowed between two numbers that Okta counts at different moments.
pub fn tolerance(expected: u64) -> u64 {
    (expected / 200).max(20)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn rows(ids: &[String]) -> Vec<RowSummary> {
        ids.iter()
            .map(|id| RowSummary {
                position: Position::of(id),
                ..RowSummary::of(id)
            })
            .collect()
    }

    fn strings(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn two_cursors_are_worth_it_for_long_lists_that_one_reads_too_slowly() {
        let millis = Duration::from_millis;
        for (pages, read, response, budget, workers, expected) in [
            (200, 2, millis(50), None, 8, true),
            (199, 2, millis(50), None, 8, false),
            (5000, 146, millis(50), None, 8, true),
            (5000, 147, millis(50), None, 8, false),
            (5000, 2, millis(50), None, 1, false),
            // One cursor makes 1,200 requests per minute.
            (5000, 2, millis(50), Some(2400), 8, false),
            (5000, 2, millis(50), Some(2401), 8, true),
        ] {
            let found = are_worth_it(pages, read, response, budget, workers);
            assert_eq!(
                found, expected,
                "{pages} {read} {response:?} {budget:?} {workers}"
            );
        }
    }

    #[test]
    fn cursors_meet_where_one_has_passed_the_other() {
        let mut ends = Ends::default();
        assert_eq!(
            ends.page(End::Lowest, &rows(&strings(&["a1", "a3"]))),
            Ok(())
        );
        assert!(!ends.have_met());
        assert_eq!(
            ends.page(End::Highest, &rows(&strings(&["a9", "a4"]))),
            Ok(())
        );
        assert!(!ends.have_met());
        assert_eq!(ends.page(End::Highest, &rows(&strings(&["a3"]))), Ok(()));
        assert!(ends.have_met());
    }

    #[test]
    fn rows_in_no_order_are_noticed() {
        for (end, ids) in [
            (End::Lowest, &["a2", "a1"][..]),
            (End::Highest, &["a1", "a2"]),
            (End::Lowest, &["a", "b", "a"]),
            (End::Lowest, &["an id"]),
            (End::Lowest, &["0123456789012345678901"]),
        ] {
            let mut ends = Ends::default();
            assert_eq!(
                ends.page(end, &rows(&strings(ids))),
                Err(Unsorted),
                "{ids:?}"
            );
        }
        // One cursor is sorted byte by byte and the other without case, so they may meet before all users were read.
        let mut ends = Ends::default();
        assert_eq!(ends.page(End::Lowest, &rows(&strings(&["B", "a"]))), Ok(()));
        assert_eq!(
            ends.page(End::Highest, &rows(&strings(&["C", "b"]))),
            Err(Unsorted)
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        /// No user who exists all the time is missed, whichever cursor is faster and whichever users are deleted.
        #[test]
        fn two_cursors_hold_what_one_holds(
            ids in proptest::collection::btree_set("[a-cA-C]{1,4}", 1..120),
            deleted in proptest::collection::btree_set(0_usize..120, 0..20),
            turns in proptest::collection::vec(any::<bool>(), 1..40),
            page in 1_usize..9, folded in any::<bool>(),
        ) {
            let key = |id: &String| if folded { (id.to_lowercase(), id.clone()) } else { (id.clone(), id.clone()) };
            let mut all: Vec<String> = ids.iter().cloned().collect();
            all.sort_by_key(key);
            let deleted: BTreeSet<String> = deleted.iter().filter_map(|n| all.get(*n).cloned()).collect();
            let (mut ends, mut found, mut pages) = (Ends::default(), BTreeSet::new(), 0);
            let mut last: [Option<String>; 2] = [None, None];
            for turn in turns.iter().cycle() {
                let end = End::BOTH[usize::from(*turn)];
                // The deleted users are missing after the third page.
                let here = |id: &&String| pages < 3 || !deleted.contains(*id);
                let is_left = |id: &&String| match (&last[end as usize], end) {
                    (None, _) => true,
                    (Some(last), End::Lowest) => key(id) > key(last),
                    (Some(last), End::Highest) => key(id) < key(last),
                };
                let mut left: Vec<String> = all.iter().filter(here).filter(is_left).cloned().collect();
                if end == End::Highest {
                    left.reverse();
                }
                let taken: Vec<String> = left.iter().take(page).cloned().collect();
                pages += 1;
                prop_assert_eq!(ends.page(end, &rows(&taken)), Ok(()));
                last[end as usize] = taken.last().cloned().or(last[end as usize].take());
                found.extend(taken);
                if left.len() <= page || ends.have_met() {
                    break;
                }
            }
            if turns.iter().any(|turn| *turn) || turns.contains(&false) {
                for id in ids.iter().filter(|id| !deleted.contains(*id)) {
                    prop_assert!(found.contains(id), "{} is missing", id);
                }
            }
        }
    }
}
