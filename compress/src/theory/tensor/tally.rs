//! Summaries of many blocks. Merging is associative and commutative to the bit: counts, maxima, and a smallest example under a total
//! order; no sum of floats.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// One of something for each way to measure an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Norms<T> {
    /// Element by element.
    pub element: T,
    /// Sum of magnitudes.
    pub l1: T,
    /// Euclidean length.
    pub l2: T,
    /// Largest magnitude.
    pub linf: T,
}

/// How `both` compares with `q` and `s` alone, over many blocks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Blocks that were compared.
    pub blocks: u64,
    /// Blocks left out, since a value overflowed to infinity or NaN.
    pub left_out: u64,
    /// Blocks in which the error of both exceeds the sum of the errors of each, in each norm.
    pub violations: Norms<u64>,
    /// Blocks in which the sums of magnitudes are equal: both errors add up, neither hides the other.
    pub equal: u64,
    /// Blocks in which quantisation alone leaves every pruned value as it was: where theorem 3.5 holds by a scale that does not move,
    /// these are the blocks of equality.
    pub pruned_on_grid: u64,
    /// Blocks that are one of the last two and not the other.
    pub unexplained: u64,
    /// The largest quotient of the error of both and the sum of the errors of each, as FP64 gives it; element by element there is none.
    pub worst: Norms<f64>,
    /// The smallest block that violates, in each norm.
    pub examples: Norms<Option<Example>>,
}

/// A block that violates an inequality.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// Its index among the blocks.
    pub index: u64,
    /// Values that are not zero.
    pub nonzero: usize,
    /// The error of both, less the sum of the errors of each; element by element the largest such excess.
    pub excess: f64,
    /// The block, as it was given to the pipeline.
    pub x: Vec<f32>,
    /// Quantised.
    pub q: Vec<f32>,
    /// Sparsified.
    pub s: Vec<f32>,
    /// Both, in the order of the theorem.
    pub both: Vec<f32>,
}

/// How the excess of Q→S over the sum of the errors compares with its bounds, over many blocks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// Blocks that were compared.
    pub blocks: u64,
    /// Blocks whose excess is above zero.
    pub exceeding: u64,
    /// Blocks whose excess is above the tight bound, `largest round-up * min(kept, pruned)` summed over groups, and above what FP32
    /// arithmetic of real scales may add to it.
    pub violations: u64,
    /// Blocks whose excess is above the paper's bound, `2 step * pruned` summed over groups.
    pub paper_violations: u64,
    /// The largest quotient of excess and tight bound: 1 where it is attained.
    pub tightness: f64,
    /// The largest quotient of excess and the paper's bound.
    pub paper_tightness: f64,
    /// Blocks whose excess is above zero by the quotient of excess and tight bound, in twentieths; the last bin holds 0.95 and above.
    pub bins: [u64; 20],
    /// The smallest block of the largest tightness.
    pub example: Option<Example>,
}

impl Example {
    /// Fewest values that are not zero, then the smallest excess, then the values and the index.
    fn order(&self, other: &Self) -> Ordering {
        let bits = |x: &[f32]| x.iter().map(|v| v.to_bits()).collect::<Vec<u32>>();
        let small = self.nonzero.cmp(&other.nonzero).then(self.excess.total_cmp(&other.excess));
        small.then_with(|| bits(&self.x).cmp(&bits(&other.x))).then(self.index.cmp(&other.index))
    }

    /// Whether one with so many values that are not zero and this excess could come first.
    pub(super) fn may_yield(&self, nonzero: usize, excess: f64) -> bool {
        (nonzero, excess) <= (self.nonzero, self.excess)
    }

    /// The one that comes first.
    pub(super) fn first(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(one), Some(other)) => Some(if other.order(&one).is_lt() { other } else { one }),
            (one, other) => one.or(other),
        }
    }
}

impl<T> Norms<T> {
    /// Joins norm by norm.
    pub fn zip<U, V>(self, other: Norms<U>, join: impl Fn(T, U) -> V) -> Norms<V> {
        Norms {
            element: join(self.element, other.element),
            l1: join(self.l1, other.l1),
            l2: join(self.l2, other.l2),
            linf: join(self.linf, other.linf),
        }
    }
}

impl Norms<u64> {
    /// Whether nothing was counted.
    pub const fn is_zero(&self) -> bool {
        self.element == 0 && self.l1 == 0 && self.l2 == 0 && self.linf == 0
    }
}

impl Tally {
    /// Both together, in any order to the same bits.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self {
            blocks: self.blocks + other.blocks,
            left_out: self.left_out + other.left_out,
            violations: self.violations.zip(other.violations, |a, b| a + b),
            equal: self.equal + other.equal,
            pruned_on_grid: self.pruned_on_grid + other.pruned_on_grid,
            unexplained: self.unexplained + other.unexplained,
            worst: self.worst.zip(other.worst, f64::max),
            examples: self.examples.zip(other.examples, Example::first),
        }
    }
}

impl Bound {
    /// Both together, in any order to the same bits.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        let example = match self.tightness.total_cmp(&other.tightness) {
            Ordering::Greater => self.example,
            Ordering::Less => other.example,
            Ordering::Equal => Example::first(self.example, other.example),
        };
        let mut bins = self.bins;
        bins.iter_mut().zip(other.bins).for_each(|(a, b)| *a += b);
        Self {
            blocks: self.blocks + other.blocks,
            exceeding: self.exceeding + other.exceeding,
            violations: self.violations + other.violations,
            paper_violations: self.paper_violations + other.paper_violations,
            tightness: self.tightness.max(other.tightness),
            paper_tightness: self.paper_tightness.max(other.paper_tightness),
            bins,
            example,
        }
    }
}
