//! The user list in parallel; pure.
//!
//! A cursor is sequential: a million users are five thousand round trips one after another. So a long list is read in
//! windows of creation times, side by side, each sorted by that time:
//! - The first window has no start and the last no end, so whatever the clock of anybody says, nobody falls out.
//! - Okta keeps milliseconds and shows whole seconds, and nobody confirmed how it rounds (okta-api 1.1). Neighbours
//!   overlap by [`OVERLAP`] on either side of a boundary; rows are merged by id.
//! - Where creation times lie is not known beforehand. A worker that has nothing to do takes the later half of what is
//!   left of another's window; the other goes on by its own cursor and stops behind the boundary.
//! - Each window costs about a page more, so there is a budget of them. Within one second nothing is cut: that is paged.
//! - What does not look as asked for (a row without a time, out of order, out of the window) ends all of it, and the
//!   plain cursor goes on where it was.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::okta::page::Counted;

/// Milliseconds since 1970.
pub type Millis = i64;

/// How far a window reaches over its boundary.
const OVERLAP: Millis = 1500;
/// A row shown at this time after a boundary is certainly behind the overlap, however its milliseconds were rounded.
const BEHIND: Millis = 3000;
/// How far a row may lie outside of what was asked for, as shown.
const TOLERANCE: Millis = 2000;
/// A list of so many pages or fewer is left to one cursor.
const FEW_PAGES: u64 = 50;
/// What is left of a window is cut if it seems to hold at least this many pages.
const WORTH_CUTTING: f64 = 2.0;
/// A window that was read for so many pages since it was begun or cut holds more than it seems to.
const LONGER_THAN_IT_SEEMS: u64 = 8;

/// A window of creation times, without its overlaps. The end moves when the window is cut.
#[derive(Debug)]
pub struct Window {
    start: Option<Millis>,
    end: AtomicI64,
    /// Where an open end is taken to be when the window is cut: the time when the windows were made.
    latest: Millis,
}

/// The end of the window that has none.
pub const OPEN: Millis = Millis::MAX;

impl Window {
    /// A window from `start` (or the beginning) to `end` (or [`OPEN`]).
    pub fn new(start: Option<Millis>, end: Millis, latest: Millis) -> Self {
        Self {
            start,
            end: AtomicI64::new(end),
            latest,
        }
    }

    /// Its start; none for the first.
    pub fn start(&self) -> Option<Millis> {
        self.start
    }

    /// Its end, or [`OPEN`].
    pub fn end(&self) -> Millis {
        self.end.load(Ordering::Relaxed)
    }

    /// The time when the windows were made.
    pub fn latest(&self) -> Millis {
        self.latest
    }

    /// What to ask Okta for: created after the first and before the second.
    pub fn asked(&self) -> (Option<Millis>, Option<Millis>) {
        let end = self.end();
        (
            self.start.map(|start| start - OVERLAP),
            (end != OPEN).then(|| end + OVERLAP),
        )
    }
}

/// How far the reading of a window is.
#[derive(Debug, Default)]
pub struct Reading {
    first: Option<Millis>,
    reached: Option<Millis>,
    rows: u64,
    pages_since_cut: u64,
}

impl Reading {
    /// Takes a page in. Whether it looks as asked for; without a reason, it does.
    ///
    /// # Errors
    /// What is implausible about it.
    pub fn page(&mut self, window: &Window, rows: &[Counted]) -> Result<(), &'static str> {
        let (after, _) = window.asked();
        for row in rows {
            let time = row.created.ok_or("a user has no creation time")?;
            // A cut moves the end under a page that was already asked for, so only the start is certain.
            if after.is_some_and(|after| time < after - TOLERANCE) {
                return Err("a user is outside of the creation times asked for");
            }
            if self.reached.is_some_and(|reached| time < reached) {
                return Err("the users are not in the order of their creation");
            }
            self.first.get_or_insert(time);
            self.reached = Some(time);
        }
        self.rows += rows.len() as u64;
        self.pages_since_cut += 1;
        Ok(())
    }

    /// Whether all of the window was read, though its cursor leads on: it was cut meanwhile.
    pub fn is_behind(&self, window: &Window) -> bool {
        let end = window.end();
        end != OPEN
            && self
                .reached
                .is_some_and(|reached| reached >= end.saturating_add(BEHIND))
    }

    /// Where to cut what is left of the window, a whole second, if that is worth a request more. Says [`Window`]'s new
    /// end; the rest is another window's.
    pub fn cut(&mut self, window: &Window, page_size: u64) -> Option<Millis> {
        let (first, reached) = (self.first?, self.reached?);
        let end = match window.end() {
            OPEN => window.latest,
            end => end,
        };
        let left = end.checked_sub(reached)?;
        let middle = (reached + left / 2).div_euclid(1000) * 1000;
        // What is closer than this is read by the page that is asked for next, or is one second.
        if middle - reached <= BEHIND || end - middle < 1000 {
            return None;
        }
        let read = (reached - first).max(1);
        let seems = self.rows as f64 * left as f64 / read as f64 / page_size.max(1) as f64;
        if seems < WORTH_CUTTING && self.pages_since_cut < LONGER_THAN_IT_SEEMS {
            return None;
        }
        self.pages_since_cut = 0;
        window.end.store(middle, Ordering::Relaxed);
        Some(middle)
    }
}

/// Whether so many pages are worth windows: one cursor would take long, and leave more than half of the rate unused
/// that this run may use.
pub fn are_worth_it(
    pages: u64,
    answer: Duration,
    share_a_minute: Option<u64>,
    workers: usize,
) -> bool {
    let by_one_cursor = 60.0 / answer.as_secs_f64().max(1e-6);
    let unused = share_a_minute.is_none_or(|share| by_one_cursor * 2.0 < share as f64);
    pages > FEW_PAGES && workers > 1 && unused
}

/// The first windows, one a worker: even, since nothing is known yet.
pub fn even(oldest: Millis, latest: Millis, workers: usize) -> Vec<Window> {
    let workers = Millis::try_from(workers).unwrap_or(1).max(1);
    let span = latest.saturating_sub(oldest).max(0);
    let boundary = |number: Millis| (oldest + span / workers * number).div_euclid(1000) * 1000;
    let mut starts: Vec<Option<Millis>> = vec![None];
    for number in 1..workers {
        let time = boundary(number);
        // A short span has fewer seconds than there are workers.
        if time - starts.last().copied().flatten().unwrap_or(oldest) >= 1000 {
            starts.push(Some(time));
        }
    }
    let ends = starts[1..].iter().map(|start| start.unwrap_or(OPEN));
    let ends: Vec<Millis> = ends.chain([OPEN]).collect();
    starts
        .into_iter()
        .zip(ends)
        .map(|(start, end)| Window::new(start, end, latest))
        .collect()
}

/// How many windows may be cut off others, for a list of so many pages: they cost a page each, at worst for nothing.
pub fn budget(pages: u64, workers: usize) -> usize {
    workers + usize::try_from(pages / 50).unwrap_or(usize::MAX)
}

/// Whether the users that were seen can be all, by Okta's count of Everyone, in which deprovisioned users are not.
pub fn agree(seen: u64, everyone: u64) -> bool {
    seen.abs_diff(everyone) <= (everyone / 200).max(20)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::{Just, ProptestConfig, any, prop_assert_eq, proptest};
    use proptest::{collection, prop_oneof};

    use super::*;

    fn rows(times: &[Millis]) -> Vec<Counted> {
        let row = |time: &Millis| Counted {
            created: Some(*time),
            ..Counted::of("x")
        };
        times.iter().map(row).collect()
    }

    #[test]
    fn windows_are_worth_it_for_long_lists_that_one_cursor_reads_too_slowly() {
        let millis = Duration::from_millis;
        for (pages, answer, share, workers, expected) in [
            (51, millis(50), None, 8, true),
            (50, millis(50), None, 8, false),
            (5000, millis(50), None, 1, false),
            // One cursor makes 1,200 requests a minute.
            (5000, millis(50), Some(450), 8, false),
            (5000, millis(50), Some(2400), 8, false),
            (5000, millis(50), Some(2401), 8, true),
            (5000, millis(1000), Some(450), 8, true),
        ] {
            let found = are_worth_it(pages, answer, share, workers);
            assert_eq!(found, expected, "{pages} {answer:?} {share:?} {workers}");
        }
    }

    #[test]
    fn even_windows_leave_no_gap_and_are_open_at_both_ends() {
        for (oldest, latest, workers) in [
            (0, 80_000, 8),
            (5, 5, 8),
            (0, 2500, 8),
            (0, 1_000_000_007, 1),
        ] {
            let windows = even(oldest, latest, workers);
            assert_eq!(windows.first().unwrap().start(), None);
            assert_eq!(windows.last().unwrap().end(), OPEN);
            assert!(windows.len() <= workers);
            for pair in windows.windows(2) {
                assert_eq!(Some(pair[0].end()), pair[1].start());
            }
        }
        assert_eq!(even(0, 80_000, 8).len(), 8);
    }

    #[test]
    fn what_is_implausible_is_noticed() {
        let window = Window::new(Some(10_000), 20_000, 90_000);
        let says = |times: &[Millis]| Reading::default().page(&window, &rows(times));
        assert_eq!(says(&[7_000, 10_000, 10_000, 25_000]), Ok(()));
        assert!(says(&[6_000]).unwrap_err().contains("outside"));
        assert!(says(&[12_000, 11_000]).unwrap_err().contains("order"));
        let mut nameless = rows(&[12_000]);
        nameless[0].created = None;
        let error = Reading::default().page(&window, &nameless).unwrap_err();
        assert!(error.contains("no creation time"));
    }

    #[test]
    fn the_differences_that_matter_are_over_twenty_and_over_half_a_percent() {
        for (seen, everyone, expected) in [
            (0, 20, true),
            (0, 21, false),
            (1_000_000, 1_005_000, true),
            (1_000_000, 1_006_000, false),
            (1_006_000, 1_000_000, false),
        ] {
            assert_eq!(agree(seen, everyone), expected, "{seen} {everyone}");
        }
    }

    /// An org that keeps milliseconds and shows whole seconds, and how its windows are read by workers that never wait:
    /// one page of each in turn.
    fn read_all(
        created: &[Millis],
        latest: Millis,
        workers: usize,
        page: usize,
    ) -> (BTreeSet<usize>, u64) {
        let mut sorted: Vec<(Millis, usize)> = created.iter().copied().zip(0..).collect();
        sorted.sort_unstable();
        let shown = |millis: Millis| millis.div_euclid(1000) * 1000;
        let oldest = sorted.first().map_or(0, |(time, _)| shown(*time));
        let mut budget = budget(created.len() as u64 / page as u64, workers);
        let mut open = Vec::new();
        let asked = |window: &Window| {
            let (after, before) = window.asked();
            let inside = |time: Millis| {
                after.is_none_or(|after| time > after) && before.is_none_or(|before| time < before)
            };
            sorted
                .iter()
                .copied()
                .filter(|(time, _)| inside(*time))
                .collect::<Vec<_>>()
        };
        for window in even(oldest, latest, workers) {
            let all = asked(&window);
            open.push((window, Reading::default(), all));
        }
        let (mut found, mut pages) = (BTreeSet::new(), 0);
        while !open.is_empty() {
            let mut next = Vec::new();
            for (window, mut reading, mut left) in open {
                let rest = left.split_off(page.min(left.len()));
                pages += 1;
                found.extend(left.iter().map(|(_, user)| *user));
                let times: Vec<Millis> = left.iter().map(|(time, _)| shown(*time)).collect();
                reading.page(&window, &rows(&times)).unwrap();
                if rest.is_empty() || reading.is_behind(&window) {
                    continue;
                }
                let end = window.end();
                if budget > 0
                    && let Some(middle) = reading.cut(&window, page as u64)
                {
                    budget -= 1;
                    let other = Window::new(Some(middle), end, latest);
                    let all = asked(&other);
                    next.push((other, Reading::default(), all));
                }
                next.push((window, reading, rest));
            }
            open = next;
        }
        (found, pages)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        /// All in one second, in bursts, with gaps, evenly, or in the future: everybody is there.
        #[test]
        fn every_user_is_read_whatever_the_creation_times(
            bursts in collection::vec((0..3_000_000_i64, prop_oneof![Just(1_i64), Just(999), Just(5_000), Just(1_000_000)], 1..60_usize), 1..12),
            ahead in -2_000_000..4_000_000_i64, workers in 1..10_usize, page in 1..12_usize, seed in any::<u64>(),
        ) {
            let mut state = seed | 1;
            let mut random = |below: i64| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                i64::try_from(state >> 33).unwrap() % below
            };
            let created: Vec<Millis> = bursts.iter()
                .flat_map(|(at, width, count)| vec![(*at, *width); *count])
                .map(|(at, width)| at + random(width))
                .collect();
            let (found, pages) = read_all(&created, ahead, workers, page);
            prop_assert_eq!(found.len(), created.len());
            // What windows may cost: a page each, and what lies twice in the overlaps.
            let windows = workers + budget(created.len() as u64 / page as u64, workers);
            let twice = (windows * created.len()) as u64 / page as u64;
            assert!(pages <= created.len() as u64 / page as u64 + 2 * windows as u64 + twice);
        }
    }
}
