//! Machines, one record each.

pub mod record;

pub use record::Engine;

use super::{Cycles, Dataflow, Hertz, Layer, Ratio};
use crate::{Datapath, Error, names};
use interplay_formats::Pattern;
use serde::Serialize;

/// A systolic array of `rows * columns` processing elements, one multiply-accumulate a cycle each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Array {
    /// Rows, at least 1.
    pub rows: u64,
    /// Columns, at least 1.
    pub columns: u64,
    /// Which operand stays in place.
    pub dataflow: Dataflow,
}

impl Array {
    /// The same as an engine.
    pub const fn engine(&self) -> Engine {
        Engine::Systolic { arrays: 1, rows: self.rows, columns: self.columns, dataflow: self.dataflow }
    }

    /// Multiply-accumulates over what the array could do in `cycles`, at most 1.
    pub fn utilisation(&self, macs: u64, cycles: Cycles) -> f64 {
        let capacity = self.rows as f64 * self.columns as f64 * cycles.0 as f64;
        if macs == 0 { 0.0 } else { (macs as f64 / capacity).min(1.0) }
    }
}

/// A machine: an array, its buffers, and what it can multiply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Accelerator {
    /// The name by which it is chosen.
    pub name: &'static str,
    /// One sentence for listings.
    pub about: &'static str,
    /// The array.
    pub array: Array,
    /// Clock of the array.
    pub clock: Hertz,
    /// On-chip memories.
    pub buffers: Buffers,
    /// Names of the units that it has.
    pub datapaths: &'static [&'static str],
    /// N:M weights whose pruned positions it neither stores in the array nor multiplies; others run as dense ones.
    pub skips: &'static [Ratio],
}

/// Sizes of the on-chip memories in KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Buffers {
    /// For activations.
    pub activations_kib: u64,
    /// For weights.
    pub weights_kib: u64,
    /// For partial sums and outputs.
    pub outputs_kib: u64,
}

/// A weight-stationary 128 x 128 array at 1 GHz, without sparsity. The accumulators hold 2048 rows of 128 FP32 sums.
const WS128: Accelerator = Accelerator {
    name: "ws128",
    about: "128 x 128 weight-stationary array, 1 GHz, 3 x 1 MiB buffers; zeros are multiplied like any number",
    array: Array { rows: 128, columns: 128, dataflow: Dataflow::WeightStationary },
    clock: Hertz(1_000_000_000),
    buffers: Buffers { activations_kib: 1024, weights_kib: 1024, outputs_kib: 1024 },
    datapaths: &["block", "int8", "fp32"],
    skips: &[],
};

const WS128_SPARSE24: Accelerator = Accelerator {
    name: "ws128-sparse24",
    about: "ws128 that skips pruned weights of 2:4 (1:4 runs as 2:4)",
    skips: &[ratio(2, 4)],
    ..WS128
};

const WS128_NOFM: Accelerator = Accelerator {
    name: "ws128-nofm",
    about: "ws128 that skips pruned weights of 1:4, 2:4 and 4:8",
    skips: &[ratio(1, 4), ratio(2, 4), ratio(4, 8)],
    ..WS128
};

static ALL: [Accelerator; 3] = [WS128, WS128_SPARSE24, WS128_NOFM];

/// A ratio in a record; an impossible one does not compile.
const fn ratio(n: u64, m: u64) -> Ratio {
    assert!(1 <= n && n <= m, "a ratio keeps at least one and at most all");
    Ratio { n, m }
}

impl Accelerator {
    /// Every machine.
    pub fn all() -> &'static [Accelerator] {
        &ALL
    }

    /// The machine of that name, in any case.
    ///
    /// # Errors
    /// [`Error::UnknownName`] with the nearest name.
    pub fn by_name(name: &str) -> Result<&'static Accelerator, Error> {
        let known: Vec<_> = ALL.iter().map(|accelerator| (accelerator.name, accelerator)).collect();
        names::find("accelerator", name, &known)
    }

    /// What the machine skips in weights of that pattern: the sparsest of its ratios that the pattern satisfies.
    pub fn skip_for(&self, pattern: Pattern) -> Option<Ratio> {
        self.skips.iter().copied().filter(|ratio| ratio.admits(pattern)).min_by_key(|ratio| ratio.kept(1 << 20))
    }

    /// The unit that a layer's formats call for. FP32 on both sides needs an FP32 unit here.
    pub(super) fn unit_for(&self, layer: &Layer) -> Result<&'static Datapath, Error> {
        let datapath = Datapath::machine(layer.weight, layer.activation);
        if self.datapaths.contains(&datapath.name) {
            return Ok(datapath);
        }
        Err(Error::MissingUnit {
            accelerator: self.name.to_owned(),
            datapath: datapath.name.to_owned(),
            formats: format!("`{}` weights and `{}` activations", layer.weight.name, layer.activation.name),
            units: self.datapaths.join(", "),
        })
    }
}
