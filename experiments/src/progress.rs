//! A progress bar whose time left is predicted from what finished work of the same kind really took.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Tracks work that comes in kinds of unequal cost (a cell on `block` costs more than one on `fake`).
pub struct Progress {
    bar: ProgressBar,
    /// Units of each kind still to do.
    left: BTreeMap<String, u32>,
    /// Units done and the time they took, by kind.
    done: BTreeMap<String, (u32, Duration)>,
    started: Option<(String, Instant)>,
}

impl Progress {
    /// A bar over `kinds`, one entry a unit of work. Nothing is drawn when `quiet` or when stderr is not a terminal.
    pub fn new(kinds: impl IntoIterator<Item = String>, quiet: bool) -> Self {
        let mut left = BTreeMap::new();
        for kind in kinds {
            *left.entry(kind).or_insert(0) += 1;
        }
        let bar = ProgressBar::new(left.values().map(|&n| u64::from(n)).sum());
        if quiet {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let style =
            ProgressStyle::with_template("{bar:32} {pos}/{len} {elapsed} {msg}").expect("the template is constant");
        bar.set_style(style);
        Self { bar, left, done: BTreeMap::new(), started: None }
    }

    /// Starts one unit of `kind`, shown as `label`.
    pub fn start(&mut self, kind: &str, label: &str) {
        let eta = self.left().map_or_else(String::new, |t| format!("about {} left  ", clock(t)));
        self.bar.set_message(format!("{eta}{label}"));
        self.bar.tick();
        self.started = Some((kind.to_owned(), Instant::now()));
    }

    /// Ends the unit that was started last.
    pub fn finish_unit(&mut self) {
        let Some((kind, since)) = self.started.take() else { return };
        if let Some(n) = self.left.get_mut(&kind) {
            *n = n.saturating_sub(1);
        }
        let entry = self.done.entry(kind).or_default();
        entry.0 += 1;
        entry.1 += since.elapsed();
        self.bar.inc(1);
    }

    /// The time left: each remaining unit at the mean of its kind, or at the mean of all where its kind has not run yet.
    /// `None` until something has finished.
    fn left(&self) -> Option<Duration> {
        let (count, time) = self.done.values().fold((0, Duration::ZERO), |a, d| (a.0 + d.0, a.1 + d.1));
        let overall = time.checked_div(count)?;
        let mean = |kind| self.done.get(kind).and_then(|&(n, t)| t.checked_div(n)).unwrap_or(overall);
        Some(self.left.iter().map(|(kind, &n)| mean(kind) * n).sum())
    }

    /// Prints a line above the bar.
    pub fn note(&self, line: &str) {
        if self.bar.is_hidden() {
            eprintln!("{line}");
        } else {
            self.bar.println(line);
        }
    }

    /// Removes the bar.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// `4m 05s`, `37s`.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs_f64().round() as u64;
    if seconds < 60 { format!("{seconds}s") } else { format!("{}m {:02}s", seconds / 60, seconds % 60) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_weighs_kinds_by_their_own_mean() {
        let mut p = Progress::new(["slow", "slow", "fast", "fast", "new"].map(str::to_owned), true);
        assert_eq!(p.left(), None);
        p.done.insert("slow".to_owned(), (1, Duration::from_secs(10)));
        p.done.insert("fast".to_owned(), (1, Duration::from_secs(2)));
        p.left = [("slow", 1), ("fast", 1), ("new", 1)].map(|(k, n)| (k.to_owned(), n)).into();
        assert_eq!(p.left(), Some(Duration::from_secs(10 + 2 + 6)));
        assert_eq!(clock(Duration::from_secs(245)), "4m 05s");
    }
}
