//! Progress: bars on a terminal, a log line every ten seconds elsewhere.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::screen;
use crate::sync::Tally;
use crate::text::{number, span};

/// Draws a [`Tally`]: bars on a terminal, a line every ten seconds elsewhere.
pub struct ProgressDisplay {
    bars: Option<Bars>,
    started: Instant,
    logged: Instant,
    waiting: Option<String>,
}

struct Bars {
    users: ProgressBar,
    groups: ProgressBar,
    memberships: ProgressBar,
    wait: ProgressBar,
}

const LOG_INTERVAL: Duration = Duration::from_secs(10);

impl ProgressDisplay {
    pub(super) fn new(on_terminal: bool) -> Self {
        let bars = on_terminal.then(|| {
            let line = |label: &str| {
                let bar = screen().add(
                    ProgressBar::no_length().with_style(style("{prefix:12} {spinner} {human_pos}")),
                );
                bar.set_prefix(label.to_owned());
                bar
            };
            Bars {
                users: line("users"),
                groups: line("groups"),
                memberships: line("memberships"),
                wait: screen().add(ProgressBar::no_length().with_style(style("{msg}"))),
            }
        });
        let now = Instant::now();
        Self {
            bars,
            started: now,
            logged: now,
            waiting: None,
        }
    }

    /// Shows the current counts.
    pub fn show(&mut self, tally: &Tally) {
        if let Some(bars) = &self.bars {
            move_bar(&bars.users, tally.users.0, tally.users.1, tally.users_done);
            move_bar(&bars.groups, tally.groups, None, tally.groups_done);
            let (done, all) = tally.memberships;
            move_bar(&bars.memberships, done, all, false);
            bars.wait
                .set_message(tally.waiting.clone().unwrap_or_default());
            return;
        }
        // A wait is logged when it starts, everything else at intervals.
        let waits = tally.waiting.is_some() && self.waiting.is_none();
        self.waiting.clone_from(&tally.waiting);
        if waits || self.logged.elapsed() >= LOG_INTERVAL {
            self.logged = Instant::now();
            tracing::info!("{}", self.line(tally));
        }
    }

    fn line(&self, tally: &Tally) -> String {
        let of = |(done, all): (u64, Option<u64>)| match all {
            Some(all) if all >= done => format!("{} of about {}", number(done), number(all)),
            _ => number(done),
        };
        let mut line = format!(
            "read {} users, {} groups",
            of(tally.users),
            number(tally.groups)
        );
        if let (done, Some(all)) = tally.memberships {
            line += &format!(", memberships: {} {}", of((done, Some(all))), tally.unit);
            let elapsed = self.started.elapsed();
            if done > 0 && all > done {
                let left = elapsed.mul_f64((all - done) as f64 / done as f64);
                line += &format!(", about {} left", span(left));
            }
        }
        if let Some(waiting) = &tally.waiting {
            line += "; ";
            line += waiting;
        }
        line
    }

    /// Removes the bars.
    pub fn clear(&mut self) {
        if let Some(bars) = self.bars.take() {
            for bar in [bars.users, bars.groups, bars.memberships, bars.wait] {
                bar.finish_and_clear();
                screen().remove(&bar);
            }
        }
    }
}

/// Shows how many of a known number of things are done: a bar on a terminal, a log line every ten seconds elsewhere.
pub struct ChangeProgress {
    bar: Option<ProgressBar>,
    label: &'static str,
    all: u64,
    done: u64,
    logged: Instant,
}

impl ChangeProgress {
    pub(super) fn new(on_terminal: bool, all: u64, label: &'static str) -> Self {
        let bar = (on_terminal && all > 1).then(|| {
            let bar = screen().add(ProgressBar::new(all));
            bar.with_style(style(
                "{prefix:12} {wide_bar} {human_pos} of {human_len}  {eta} left",
            ))
            .with_prefix(label)
        });
        Self {
            bar,
            label,
            all,
            done: 0,
            logged: Instant::now(),
        }
    }

    /// Counts one more as done.
    pub fn advance(&mut self) {
        self.done += 1;
        if let Some(bar) = &self.bar {
            bar.set_position(self.done);
        } else if self.logged.elapsed() >= LOG_INTERVAL {
            self.logged = Instant::now();
            let (done, all) = (number(self.done), number(self.all));
            tracing::info!("{done} of {all} {}", self.label);
        }
    }

    /// Removes the bar.
    pub fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
            screen().remove(&bar);
        }
    }
}

impl Drop for ChangeProgress {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Drop for ProgressDisplay {
    fn drop(&mut self) {
        self.clear();
    }
}

fn move_bar(bar: &ProgressBar, done: u64, all: Option<u64>, complete: bool) {
    if complete {
        bar.set_style(style("{prefix:12} {human_pos} read"));
    } else if let Some(all) = all
        && bar.length() != Some(all.max(done))
    {
        bar.set_style(style(
            "{prefix:12} {wide_bar} {human_pos} of {human_len}  {eta} left",
        ));
        bar.set_length(all.max(done));
    }
    bar.set_position(done);
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants of this file; a broken one shows at the first run.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
