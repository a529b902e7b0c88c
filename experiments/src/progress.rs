//! A progress bar whose time left is predicted from what finished work of the same kind really took, and for kinds that
//! have not run yet from the mean of the others.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Between two drawings of a bar whose work says nothing.
const TICK: Duration = Duration::from_millis(200);

/// The bar on the screen.
static DRAWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Takes the bar from the screen, for a process that ends while others of its threads work.
pub fn erase() {
    if let Some(bar) = DRAWN.lock().unwrap_or_else(PoisonError::into_inner).take() {
        bar.finish_and_clear();
    }
}

/// Puts a bar on the screen, where there is one.
fn draw(bar: &ProgressBar) {
    if !bar.is_hidden() {
        bar.enable_steady_tick(TICK);
        *DRAWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.clone());
    }
}

/// Says what goes on and for how long already, where nobody knows how much of it is left; until it is dropped.
pub struct Waiting(ProgressBar);

impl Waiting {
    /// Begins; nothing is drawn where stderr is not a terminal.
    pub fn on(what: impl Into<String>) -> Self {
        let style = ProgressStyle::with_template("{spinner} {msg}  {elapsed}").expect("the template is constant");
        let bar = ProgressBar::new_spinner().with_style(style).with_message(what.into());
        draw(&bar);
        Self(bar)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Tracks work that comes in kinds of unequal cost (a cell on `block` costs more than one on `fake`).
pub struct Progress {
    bar: ProgressBar,
    /// Units of each kind still to do.
    left: BTreeMap<String, u32>,
    /// Units done and the time they took, by kind.
    done: BTreeMap<String, (u32, Duration)>,
    started: Option<(String, Instant)>,
    /// Units that are worked on at the same time.
    workers: u32,
}

impl Progress {
    /// A bar over `kinds`, one entry a unit of work. Nothing is drawn when `quiet` or when stderr is not a terminal.
    pub fn new(kinds: impl IntoIterator<Item = String>, quiet: bool) -> Self {
        Self::of(kinds.into_iter().map(|kind| (kind, 1)), quiet)
    }

    /// As [`Progress::new`], with the number of units of each kind.
    pub fn of(kinds: impl IntoIterator<Item = (String, u32)>, quiet: bool) -> Self {
        let mut left = BTreeMap::new();
        for (kind, units) in kinds {
            *left.entry(kind).or_insert(0) += units;
        }
        let bar = ProgressBar::new(left.values().map(|&n| u64::from(n)).sum());
        if quiet {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let style =
            ProgressStyle::with_template("{bar:32} {pos}/{len} {elapsed} {msg}").expect("the template is constant");
        bar.set_style(style);
        draw(&bar);
        Self { bar, left, done: BTreeMap::new(), started: None, workers: 1 }
    }

    /// How many units there are in all.
    pub fn units(&self) -> u64 {
        self.bar.length().unwrap_or(0)
    }

    /// Counts units of `kind` as done that an earlier run did.
    pub fn skip(&mut self, kind: &str, units: u32) {
        if let Some(left) = self.left.get_mut(kind) {
            *left = left.saturating_sub(units);
        }
        self.bar.inc(u64::from(units));
    }

    /// Starts one unit of `kind`, shown as `label`.
    pub fn start(&mut self, kind: &str, label: &str) {
        self.say(label);
        self.bar.tick();
        self.started = Some((kind.to_owned(), Instant::now()));
    }

    /// Shows another label for the unit that was started last.
    pub fn say(&self, label: &str) {
        let eta = self.left().map_or_else(String::new, |t| format!("about {} left  ", clock(t)));
        self.bar.set_message(format!("{eta}{label}"));
    }

    /// Ends the unit that was started last.
    pub fn finish_unit(&mut self) {
        if let Some((kind, since)) = self.started.take() {
            self.finished(&kind, since.elapsed());
        }
    }

    /// Shows the unit that one of `workers` begins.
    pub fn show(&mut self, label: &str, workers: usize) {
        self.workers = u32::try_from(workers.max(1)).unwrap_or(1);
        self.say(label);
        self.bar.tick();
    }

    /// Counts one unit of `kind` as done that took so long.
    pub fn finished(&mut self, kind: &str, took: Duration) {
        self.advance(kind, 1, took);
    }

    /// Counts several units of `kind` as done that took so long together.
    pub fn advance(&mut self, kind: &str, units: u32, took: Duration) {
        if let Some(n) = self.left.get_mut(kind) {
            *n = n.saturating_sub(units);
        }
        let entry = self.done.entry(kind.to_owned()).or_default();
        entry.0 += units;
        entry.1 += took;
        self.bar.inc(u64::from(units));
    }

    /// The time left: each remaining unit at the mean of its kind; where its kind has not run yet, at the mean of all that have. `None`
    /// until something has finished.
    fn left(&self) -> Option<Duration> {
        let all = self.done.values().fold((0, Duration::ZERO), |(count, time), &(n, took)| (count + n, time + took));
        let rest = all.1.checked_div(all.0)?;
        let unit = |kind: &str| {
            let known = self.done.get(kind).and_then(|&(count, time)| time.checked_div(count));
            known.unwrap_or(rest)
        };
        Some(self.left.iter().map(|(kind, &n)| unit(kind) * n).sum::<Duration>() / self.workers)
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

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// `4m 05s`, `37s`.
pub fn clock(time: Duration) -> String {
    let seconds = time.as_secs_f64().round() as u64;
    if seconds < 60 { format!("{seconds}s") } else { format!("{}m {:02}s", seconds / 60, seconds % 60) }
}

/// Bytes of the most memory that this process ever had resident, where the system says so.
pub fn peak_resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
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
