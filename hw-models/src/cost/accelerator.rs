//! Machines: records in TOML, one file each, those of the project in `data/accelerators`.

mod check;
mod lookup;
mod maps;
mod record;
mod run;

pub use record::{Accelerator, Capacity, ClockStatus, Dequantised, Engine, Memory, Refused, Unit, ZeroOperand, Zeros};
pub use run::{Pair, Run, Runs, Slot};

use super::Ratio;
use interplay_formats::Pattern;

impl Accelerator {
    /// The clock of a unit in Hz.
    pub fn clock_hz(&self, unit: &Unit) -> u64 {
        self.hertz(unit.clock_mhz)
    }

    /// A clock in Hz; the machine's where nothing is said.
    fn hertz(&self, mhz: Option<f64>) -> u64 {
        (mhz.unwrap_or(self.clock_mhz) * 1e6).round() as u64
    }

    /// Bits a second that main memory reaches.
    pub(super) fn main_memory_bits_per_second(&self) -> f64 {
        self.memory.last().map_or(f64::NAN, |main| main.bits_per_second(self, (self.clock_mhz * 1e6).round() as u64))
    }

    /// Dense peak of a unit in 10^12 operations a second, two a multiply-accumulate.
    pub fn peak_tops(&self, unit: &Unit) -> f64 {
        self.tops(unit.rate(&self.engine), self.clock_hz(unit))
    }

    /// 10^12 operations a second of so many multiply-accumulates a cycle and core.
    pub(super) fn tops(&self, rate: u64, clock_hz: u64) -> f64 {
        2.0 * self.engine.cores() as f64 * rate as f64 * clock_hz as f64 / 1e12
    }
}

/// Datapaths that are the natural units of formats: a unit of that name takes the pairs that it is natural for.
const NATURAL: [&str; 3] = ["block", "int8", "fp32"];

impl Unit {
    /// What the unit skips in weights of that pattern: the sparsest of its ratios that the pattern satisfies.
    pub fn skip_for(&self, pattern: Pattern) -> Option<Ratio> {
        self.skips.iter().copied().filter(|ratio| ratio.admits(pattern)).min_by_key(|ratio| ratio.kept(1 << 20))
    }
}

/// Whether one of the globs matches a name.
fn any_matches(globs: &[String], name: &str) -> bool {
    globs.iter().any(|glob| glob_matches(glob, name))
}

/// Whether `*` as any characters makes `glob` that name: the first and the last piece are at the ends, the others in order
/// between them.
fn glob_matches(glob: &str, name: &str) -> bool {
    let mut pieces: Vec<&str> = glob.split('*').collect();
    let (Some(last), first) = (pieces.pop(), pieces.first().copied()) else { return false };
    let Some(first) = first else { return last == name };
    let middle = name.strip_prefix(first).and_then(|rest| rest.strip_suffix(last));
    let Some(mut rest) = middle else { return false };
    pieces.iter().skip(1).all(|piece| match rest.find(piece) {
        Some(at) => {
            rest = &rest[at + piece.len()..];
            true
        }
        None => false,
    })
}
