//! What a product needs: three matrices in the real bits of their formats.

use super::super::{Bits, Layer, Ratio};
use serde::Serialize;

/// Bits of one sum while it is open.
const SUM_BITS: u64 = 32;

/// One operand as it is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Matrix {
    /// Bits of elements.
    pub values: u64,
    /// Bits of scales.
    pub scales: u64,
    /// Bits that say which positions are kept.
    pub metadata: u64,
}

impl Matrix {
    /// All bits; counted parts are far from overflow.
    pub const fn total(&self) -> u64 {
        self.values.saturating_add(self.scales).saturating_add(self.metadata)
    }

    /// The same, `passes` times over.
    fn times(&self, passes: u64) -> Option<[Bits; 3]> {
        let times = |bits: u64| bits.checked_mul(passes).map(Bits);
        Some([times(self.values)?, times(self.scales)?, times(self.metadata)?])
    }
}

/// A product as one level of memory sees it.
#[derive(Clone, Copy, Debug)]
pub struct Demand {
    /// Rows of activations.
    pub m: u64,
    /// The reduction.
    pub k: u64,
    /// Columns.
    pub n: u64,
    /// Positions along K that cannot be parted: a block.
    pub granule: u64,
    /// The first operand.
    pub activations: Matrix,
    /// The second one as it moves.
    pub weights: Matrix,
    /// The second one as the level holds it: expanded in the level next to an engine that skips nothing.
    pub held: Matrix,
    /// Bits of one result that leaves.
    pub output_bits: u64,
}

impl Demand {
    /// The demand on a level; `innermost` is the one that feeds the engine.
    pub fn of(layer: &Layer, output_bits: u64, skip: Option<Ratio>, innermost: bool) -> Self {
        let gemm = &layer.gemm;
        let (values, scales) = layer.activation_bits();
        let stored = layer.stored;
        let weights = Matrix { values: stored.values, scales: stored.scales, metadata: stored.metadata };
        let dense = layer.weight.footprint(gemm.n as usize, gemm.k as usize, None);
        let padded = layer.weight.padded(gemm.k as usize) as u64;
        let expanded = Matrix { values: dense.values, scales: dense.scales, metadata: 0 };
        let kept = |ratio: Ratio| {
            let bits = ratio.kept(padded).saturating_mul(gemm.n).saturating_mul(u64::from(layer.weight.element.bits()));
            Matrix { values: bits, scales: dense.scales, metadata: stored.metadata }
        };
        // One scale for the whole of K multiplies the finished sum: such a row can be cut anywhere.
        let k = gemm.k as usize;
        let blocks = [layer.weight, layer.activation].map(|format| format.block_len(k)).into_iter().filter(|b| *b < k);
        Self {
            m: gemm.m,
            k: gemm.k,
            n: gemm.n,
            granule: blocks.max().unwrap_or(1) as u64,
            activations: Matrix { values: values.0, scales: scales.0, metadata: 0 },
            weights,
            held: if innermost { skip.map_or(expanded, kept) } else { weights },
            output_bits,
        }
    }

    /// Bits that a row of `k` activations takes in the level, rounded up.
    pub(super) fn activation_row(&self, k: u64) -> u64 {
        share(self.activations.total(), k, u128::from(self.m) * u128::from(self.k))
    }

    /// Bits that a column of `k` weights takes in the level, rounded up.
    pub(super) fn weight_column(&self, k: u64) -> u64 {
        share(self.held.total(), k, u128::from(self.n) * u128::from(self.k))
    }

    /// Bits of one open sum.
    pub(in crate::cost) const fn sum_bits(&self) -> u64 {
        SUM_BITS
    }

    /// What moves into and out of the level when activations pass `activations` times, weights `weights` times, and
    /// every sum is open in `sums` pieces; `None` beyond 64 bits.
    pub(in crate::cost) fn moves(&self, activations: u64, weights: u64, sums: u64) -> Option<Moves> {
        let outputs = self.m.checked_mul(self.n)?;
        let partial = outputs.checked_mul(SUM_BITS)?.checked_mul(sums.checked_sub(1)?)?;
        let [activation_values, activation_scales, _] = self.activations.times(activations)?;
        let [weight_values, weight_scales, weight_metadata] = self.weights.times(weights)?;
        Some(Moves {
            weight_values,
            weight_scales,
            weight_metadata,
            activation_values,
            activation_scales,
            partial_sum_reads: Bits(partial),
            partial_sum_writes: Bits(partial),
            outputs: Bits(outputs.checked_mul(self.output_bits)?),
        })
    }
}

/// `bits * part / whole`, rounded up; saturates.
fn share(bits: u64, part: u64, whole: u128) -> u64 {
    let bits = (u128::from(bits) * u128::from(part)).div_ceil(whole.max(1));
    u64::try_from(bits).unwrap_or(u64::MAX)
}

/// Bits that move between two levels, by operand; reads and writes are those of the outer level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Moves {
    /// Elements of the weights, read.
    #[serde(rename = "weight_values_bits")]
    pub weight_values: Bits,
    /// Their scales, read.
    #[serde(rename = "weight_scales_bits")]
    pub weight_scales: Bits,
    /// Which positions they keep, read.
    #[serde(rename = "weight_metadata_bits")]
    pub weight_metadata: Bits,
    /// Elements of the activations, read.
    #[serde(rename = "activation_values_bits")]
    pub activation_values: Bits,
    /// Their scales, read.
    #[serde(rename = "activation_scales_bits")]
    pub activation_scales: Bits,
    /// Open sums that come back.
    #[serde(rename = "partial_sum_reads_bits")]
    pub partial_sum_reads: Bits,
    /// Open sums that are put aside.
    #[serde(rename = "partial_sum_writes_bits")]
    pub partial_sum_writes: Bits,
    /// Results, written.
    #[serde(rename = "outputs_bits")]
    pub outputs: Bits,
}

/// Bits of one operand that the outer level gives and takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cost) struct Flow {
    pub read: u64,
    pub written: u64,
}

impl Moves {
    /// Activations, weights, and sums with results; saturates.
    pub(in crate::cost) fn operands(&self) -> [Flow; 3] {
        let sum = |parts: &[Bits]| self.sum(parts).0;
        [
            Flow { read: sum(&[self.activation_values, self.activation_scales]), written: 0 },
            Flow { read: sum(&[self.weight_values, self.weight_scales, self.weight_metadata]), written: 0 },
            Flow { read: self.partial_sum_reads.0, written: sum(&[self.partial_sum_writes, self.outputs]) },
        ]
    }

    /// Bits that the outer level gives.
    pub fn reads(&self) -> Bits {
        self.sum(&self.parts()[..6])
    }

    /// Bits that it takes.
    pub fn writes(&self) -> Bits {
        self.sum(&self.parts()[6..])
    }

    /// Both.
    pub fn total(&self) -> Bits {
        self.sum(&self.parts())
    }

    fn sum(&self, parts: &[Bits]) -> Bits {
        Bits(parts.iter().fold(0, |total, bits| total.saturating_add(bits.0)))
    }

    const fn parts(&self) -> [Bits; 8] {
        [
            self.weight_values,
            self.weight_scales,
            self.weight_metadata,
            self.activation_values,
            self.activation_scales,
            self.partial_sum_reads,
            self.partial_sum_writes,
            self.outputs,
        ]
    }

    /// Both together, part by part; `None` unless all parts together fit 64 bits.
    pub(in crate::cost) fn zip(&self, other: &Self, join: impl Fn(u64, u64) -> Option<u64>) -> Option<Self> {
        let (a, b) = (self.parts(), other.parts());
        let mut parts = [Bits(0); 8];
        let mut total = 0u64;
        for ((part, a), b) in parts.iter_mut().zip(a).zip(b) {
            *part = Bits(join(a.0, b.0)?);
            total = total.checked_add(part.0)?;
        }
        let [
            weight_values,
            weight_scales,
            weight_metadata,
            activation_values,
            activation_scales,
            partial_sum_reads,
            partial_sum_writes,
            outputs,
        ] = parts;
        Some(Self {
            weight_values,
            weight_scales,
            weight_metadata,
            activation_values,
            activation_scales,
            partial_sum_reads,
            partial_sum_writes,
            outputs,
        })
    }

    /// `count` times the same.
    pub(in crate::cost) fn times(&self, count: u64) -> Option<Self> {
        self.zip(self, |bits, _| bits.checked_mul(count))
    }
}
