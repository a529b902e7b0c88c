//! What SCALE-Sim's buffers read and write when nothing stalls, as far as it has a closed form.
//!
//! It has one while an operand fits the active half of its buffer: everything is fetched before the first cycle and
//! written after the last one.

/// Words a cycle that SCALE-Sim assumes of main memory when it computes bandwidth.
const WORDS_PER_CYCLE: u64 = 10;

/// Equal lines into which it divides a read buffer; the active half has 50 of them.
const LINES: u64 = 100;

/// Passing of one operand between main memory and its buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transfer {
    pub words: u64,
    /// First cycle, counted from the array's first.
    pub start: i64,
    /// Last cycle.
    pub stop: i64,
}

impl Transfer {
    /// Reads of so many different words, in whole lines, until the cycle before the first; `None` where they do not fit.
    pub fn read(words: u64, kib: u64) -> Option<Self> {
        let line = kib.checked_mul(1024)? / LINES;
        if words >= line * (LINES / 2) {
            return None;
        }
        let cycles = (words.div_ceil(line) * line).div_ceil(WORDS_PER_CYCLE);
        Some(Self { words, start: -i64::try_from(cycles).ok()?, stop: -1 })
    }

    /// Writes, as many a cycle as the array has columns, from the last cycle on; `None` where they do not fit.
    pub fn write(words: u64, kib: u64, columns: u64, last: u64) -> Option<Self> {
        if words > kib.checked_mul(1024)? / 2 {
            return None;
        }
        let start = i64::try_from(last).ok()?;
        Some(Self { words, start, stop: start.checked_add_unsigned(words.div_ceil(columns) - 1)? })
    }

    /// Cycles that it takes.
    pub fn cycles(&self) -> u128 {
        self.stop.abs_diff(self.start) as u128 + 1
    }
}
