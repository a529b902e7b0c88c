//! Bits that one execution moves between main memory, buffers and array.
//!
//! The schedule is SCALE-Sim's: columns of the array's second dimension outer, rows inner, each operand re-read from
//! its buffer as often as the folds need it. DIFFERENCE: partial sums are read back for every further fold of K, which
//! SCALE-Sim leaves out.

use super::{Accelerator, Bits, Buffers, Dataflow, Gemm, Layer, Picojoules, PriceList, Ratio};
use serde::Serialize;

/// Width of partial sums and outputs: all units give FP32, and integer sums have 32 bits too.
const SUM_BITS: u64 = 32;

/// Bits moved at one level, reads and writes together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// Codes of weights.
    #[serde(rename = "weight_values_bits")]
    pub weight_values: Bits,
    /// Scales of weights.
    #[serde(rename = "weight_scales_bits")]
    pub weight_scales: Bits,
    /// Which weights are kept.
    #[serde(rename = "weight_metadata_bits")]
    pub weight_metadata: Bits,
    /// Codes of activations.
    #[serde(rename = "activation_values_bits")]
    pub activation_values: Bits,
    /// Scales of activations.
    #[serde(rename = "activation_scales_bits")]
    pub activation_scales: Bits,
    /// Sums that are not final yet.
    #[serde(rename = "partial_sums_bits")]
    pub partial_sums: Bits,
    /// Results.
    #[serde(rename = "outputs_bits")]
    pub outputs: Bits,
}

/// How often each operand passes between buffer and array.
#[derive(Clone, Copy, Debug)]
struct Passes {
    activations: u64,
    weights: u64,
    outputs: u64,
}

impl Passes {
    fn of(gemm: &Gemm, k: u64, dataflow: Dataflow, rows: u64, columns: u64) -> Self {
        match dataflow {
            Dataflow::OutputStationary => {
                Self { activations: gemm.n.div_ceil(columns), weights: gemm.m.div_ceil(rows), outputs: 1 }
            }
            Dataflow::WeightStationary => {
                Self { activations: gemm.n.div_ceil(columns), weights: 1, outputs: k.div_ceil(rows) }
            }
            Dataflow::InputStationary => {
                Self { activations: 1, weights: gemm.m.div_ceil(columns), outputs: k.div_ceil(rows) }
            }
        }
    }
}

/// Bits moved by all executions of a layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moved {
    pub sram: Traffic,
    pub dram: Traffic,
}

impl Moved {
    /// Counts; `None` beyond 64 bits.
    ///
    /// Main memory holds weights as stored, compressed or not. Without a skip they are expanded on their way into the
    /// buffer, and the metadata ends there; with one the buffer holds the kept positions and the metadata.
    /// An operand that its buffer cannot hold is fetched again, for every further pass, as far as it does not fit.
    pub fn count(layer: &Layer, accelerator: &Accelerator, skip: Option<Ratio>) -> Option<Self> {
        let (gemm, array) = (&layer.gemm, &accelerator.array);
        let k = skip.map_or(gemm.k, |ratio| ratio.kept(gemm.k));
        let passes = Passes::of(gemm, k, array.dataflow, array.rows, array.columns);
        let fetched = |bits: u64, kib: u64, passes: u64| {
            let excess = bits.saturating_sub(kib.checked_mul(8 * 1024)?);
            excess.checked_mul(passes - 1)?.checked_add(bits)
        };
        // What passes into a buffer is written once and read in every pass.
        let buffered = |bits: u64, fetched: u64, passes: u64| bits.checked_mul(passes)?.checked_add(fetched);

        let (values, scales) = layer.activation_bits();
        let kib = accelerator.buffers.activations_kib;
        let activations = fetched(values.0.checked_add(scales.0)?, kib, passes.activations)?;
        let activation_scales = share(activations, scales.0, values.0 + scales.0);
        let activation_values = activations - activation_scales;

        let dense = layer.weight.footprint(gemm.n as usize, gemm.k as usize, None);
        let padded = layer.weight.padded(gemm.k as usize) as u64;
        let slots = skip.map_or(padded, |ratio| ratio.kept(padded));
        let held = slots.checked_mul(gemm.n)?.checked_mul(u64::from(layer.weight.element.bits()))?;
        let metadata = if skip.is_some() { layer.stored.metadata } else { 0 };
        let kib = accelerator.buffers.weights_kib;
        let weights = |bits: u64| fetched(bits, kib, passes.weights);
        let sums = Sums::count(gemm, accelerator, passes.outputs)?;

        let dram = Traffic {
            weight_values: Bits(weights(layer.stored.values)?),
            weight_scales: Bits(weights(layer.stored.scales)?),
            weight_metadata: Bits(weights(layer.stored.metadata)?),
            activation_values: Bits(activation_values),
            activation_scales: Bits(activation_scales),
            partial_sums: Bits(sums.spilled),
            outputs: Bits(sums.outputs),
        };
        let sram = Traffic {
            weight_values: Bits(buffered(held, weights(held)?, passes.weights)?),
            weight_scales: Bits(buffered(dense.scales, weights(dense.scales)?, passes.weights)?),
            weight_metadata: Bits(buffered(metadata, weights(metadata)?, passes.weights)?),
            activation_values: Bits(buffered(values.0, activation_values, passes.activations)?),
            activation_scales: Bits(buffered(scales.0, activation_scales, passes.activations)?),
            partial_sums: Bits(sums.partial.checked_add(sums.spilled)?),
            // Written by the array, read for main memory.
            outputs: Bits(sums.outputs.checked_mul(2)?),
        };
        Some(Self { sram: sram.times(gemm.count)?, dram: dram.times(gemm.count)? })
    }

    /// Energy in the buffers.
    pub fn sram_energy(&self, buffers: &Buffers, prices: &PriceList) -> Picojoules {
        let t = &self.sram;
        let weights = t.weight_values.0 + t.weight_scales.0 + t.weight_metadata.0;
        let activations = t.activation_values.0 + t.activation_scales.0;
        let outputs = t.partial_sums.0 + t.outputs.0;
        [(weights, buffers.weights_kib), (activations, buffers.activations_kib), (outputs, buffers.outputs_kib)]
            .into_iter()
            .map(|(bits, kib)| prices.sram_access(kib).of_bits(Bits(bits)))
            .sum()
    }
}

/// Bits of results and of sums on their way there.
struct Sums {
    outputs: u64,
    /// Written after every pass but the last, and read again.
    partial: u64,
    /// The part of these that the buffer cannot hold, out to main memory and back.
    spilled: u64,
}

impl Sums {
    fn count(gemm: &Gemm, accelerator: &Accelerator, passes: u64) -> Option<Self> {
        let outputs = gemm.m.checked_mul(gemm.n)?.checked_mul(SUM_BITS)?;
        let round_trips = (passes - 1).checked_mul(2)?;
        // Sums that are open at one time: those of one fold of columns.
        let columns = accelerator.array.columns;
        let (streamed, across) = match accelerator.array.dataflow {
            Dataflow::InputStationary => (gemm.n, gemm.m),
            Dataflow::WeightStationary | Dataflow::OutputStationary => (gemm.m, gemm.n),
        };
        let room = accelerator.buffers.outputs_kib.checked_mul(8 * 1024)?;
        let excess = |columns: u64| streamed.saturating_mul(columns).saturating_mul(SUM_BITS).saturating_sub(room);
        let spilled = excess(columns).checked_mul(across / columns)?.checked_add(excess(across % columns))?;
        Some(Self { outputs, partial: outputs.checked_mul(round_trips)?, spilled: spilled.checked_mul(round_trips)? })
    }
}

/// `bits * part / whole`, rounded down.
fn share(bits: u64, part: u64, whole: u64) -> u64 {
    (u128::from(bits) * u128::from(part) / u128::from(whole.max(1))) as u64
}

impl Traffic {
    /// All operands; saturates, which no sum of counted parts reaches.
    pub fn total(&self) -> Bits {
        Bits(self.parts().iter().fold(0, |total, bits| total.saturating_add(bits.0)))
    }

    const fn parts(&self) -> [Bits; 7] {
        [
            self.weight_values,
            self.weight_scales,
            self.weight_metadata,
            self.activation_values,
            self.activation_scales,
            self.partial_sums,
            self.outputs,
        ]
    }

    fn from_parts(parts: [Bits; 7]) -> Self {
        let [
            weight_values,
            weight_scales,
            weight_metadata,
            activation_values,
            activation_scales,
            partial_sums,
            outputs,
        ] = parts;
        Self {
            weight_values,
            weight_scales,
            weight_metadata,
            activation_values,
            activation_scales,
            partial_sums,
            outputs,
        }
    }

    /// So many executions; `None` unless all parts together fit 64 bits.
    fn times(&self, count: u64) -> Option<Self> {
        self.zip(|bits, _| bits.checked_mul(count), self)
    }

    /// Both together; `None` unless all parts together fit 64 bits.
    pub(super) fn plus(&self, other: &Self) -> Option<Self> {
        self.zip(u64::checked_add, other)
    }

    fn zip(&self, join: impl Fn(u64, u64) -> Option<u64>, other: &Self) -> Option<Self> {
        let mut parts = [Bits(0); 7];
        let mut total = 0u64;
        for ((part, a), b) in parts.iter_mut().zip(self.parts()).zip(other.parts()) {
            *part = Bits(join(a.0, b.0)?);
            total = total.checked_add(part.0)?;
        }
        Some(Self::from_parts(parts))
    }
}
