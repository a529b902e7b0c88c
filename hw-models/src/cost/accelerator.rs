//! Machines: records in TOML, one file each, those of the project in `data/accelerators`.

mod check;
mod lookup;
mod record;

pub use record::{Accelerator, Capacity, ClockStatus, Engine, Memory, Unit, ZeroOperand, Zeros};

use super::{Layer, Ratio};
use crate::{Datapath, Error};
use interplay_formats::Pattern;

impl Accelerator {
    /// The unit that multiplies a layer: the first whose globs match both formats, and whose datapath fits them.
    ///
    /// # Errors
    /// [`Error::MissingUnit`] with the formats that the machine takes.
    pub fn unit_for(&self, layer: &Layer) -> Result<&Unit, Error> {
        let natural = Datapath::machine(layer.weight, layer.activation).name;
        let takes = |unit: &&Unit| {
            let matches = |name: &str| unit.formats.iter().any(|glob| glob_matches(glob, name));
            let fits = unit.datapath == natural || !NATURAL.contains(&unit.datapath.as_str());
            fits && matches(layer.weight.name) && matches(layer.activation.name)
        };
        self.units.iter().find(takes).ok_or_else(|| Error::MissingUnit {
            accelerator: self.name.clone(),
            datapath: natural.to_owned(),
            formats: format!(
                "`{}` weights and `{}` activations of layer `{}`",
                layer.weight.name, layer.activation.name, layer.gemm.name
            ),
            units: self.units.iter().map(Unit::summary).collect::<Vec<_>>().join(", "),
        })
    }

    /// The clock of a unit in Hz.
    pub fn clock_hz(&self, unit: &Unit) -> u64 {
        (unit.clock_mhz.unwrap_or(self.clock_mhz) * 1e6).round() as u64
    }

    /// Bits a second that main memory reaches.
    pub(super) fn main_memory_bits_per_second(&self) -> f64 {
        self.memory.last().map_or(f64::NAN, |main| main.bits_per_second(self, (self.clock_mhz * 1e6).round() as u64))
    }

    /// Dense peak of a unit in 10^12 operations a second, two a multiply-accumulate.
    pub fn peak_tops(&self, unit: &Unit) -> f64 {
        2.0 * self.engine.cores() as f64 * unit.rate(&self.engine) as f64 * self.clock_hz(unit) as f64 / 1e12
    }
}

/// Datapaths that are the natural units of formats: a unit of that name takes the pairs that it is natural for.
const NATURAL: [&str; 3] = ["block", "int8", "fp32"];

impl Unit {
    /// What the unit skips in weights of that pattern: the sparsest of its ratios that the pattern satisfies.
    pub fn skip_for(&self, pattern: Pattern) -> Option<Ratio> {
        self.skips.iter().copied().filter(|ratio| ratio.admits(pattern)).min_by_key(|ratio| ratio.kept(1 << 20))
    }

    /// The unit and what it takes, for messages.
    fn summary(&self) -> String {
        format!("{} ({})", self.datapath, self.formats.join(" "))
    }
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
