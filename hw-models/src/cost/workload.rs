//! What is to be computed: shapes, formats and patterns, no values.

use super::Bits;
use crate::Error;
use interplay_formats::{Footprint, Format, Pattern};
use serde::{Deserialize, Serialize};

/// Elements in the largest operand that is counted; its bits then fit 64 bits in any format, padding included.
const MAX_ELEMENTS: u64 = 1 << 48;

/// `count` products `[M, K] x [K, N]`, each with weights of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gemm {
    /// Name of the layer.
    pub name: String,
    /// Rows of the activations.
    pub m: u64,
    /// Length of the reduction.
    pub k: u64,
    /// Output columns.
    pub n: u64,
    /// How often it is executed.
    pub count: u64,
}

impl Gemm {
    /// One product.
    pub fn new(name: impl Into<String>, m: u64, k: u64, n: u64) -> Self {
        Self { name: name.into(), m, k, n, count: 1 }
    }

    /// Refuses a product that computes nothing, and one whose operands would not fit [`MAX_ELEMENTS`].
    pub(super) fn check(&self) -> Result<(), Error> {
        let dimensions = [("M", self.m), ("K", self.k), ("N", self.n), ("count", self.count)];
        if let Some((dimension, _)) = dimensions.into_iter().find(|(_, size)| *size == 0) {
            return Err(Error::ZeroDimension { layer: self.name.clone(), dimension });
        }
        let fits = |a: u64, b: u64| a.checked_mul(b).is_some_and(|elements| elements <= MAX_ELEMENTS);
        if fits(self.m, self.k) && fits(self.k, self.n) && fits(self.m, self.n) {
            return Ok(());
        }
        Err(Error::TooLarge { layer: self.name.clone(), quantity: "elements of an operand" })
    }
}

/// A product together with how its operands are stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// The product.
    pub gemm: Gemm,
    /// Format of the weights.
    pub weight: &'static Format,
    /// Format of the activations.
    pub activation: &'static Format,
    /// Sparsity of the weights.
    pub pattern: Pattern,
    /// Bits of one stored weight matrix, as [`Format::footprint`] counts them under the mask really applied.
    pub stored: Footprint,
}

impl Layer {
    /// A layer with dense weights, whose footprint follows from its shape.
    ///
    /// # Errors
    /// [`Error::ZeroDimension`], [`Error::TooLarge`].
    pub fn dense(gemm: Gemm, weight: &'static Format, activation: &'static Format) -> Result<Self, Error> {
        gemm.check()?;
        let stored = weight.footprint(gemm.n as usize, gemm.k as usize, None);
        Ok(Self { gemm, weight, activation, pattern: Pattern::Dense, stored })
    }

    /// Bits of one activation matrix: values and scales.
    pub(super) fn activation_bits(&self) -> (Bits, Bits) {
        let stored = self.activation.footprint(self.gemm.m as usize, self.gemm.k as usize, None);
        (Bits(stored.values), Bits(stored.scales))
    }
}

/// Layers in the order in which they are executed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Workload(pub Vec<Layer>);

/// Keep `n` of every `m` positions along K.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Parts")]
pub struct Ratio {
    pub(crate) n: u64,
    pub(crate) m: u64,
}

/// A ratio as it is written, not yet known to be one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    n: u64,
    m: u64,
}

impl TryFrom<Parts> for Ratio {
    type Error = Error;

    fn try_from(Parts { n, m }: Parts) -> Result<Self, Error> {
        Self::new(n, m)
    }
}

impl Ratio {
    /// `n` of `m`, 1 <= n <= m.
    ///
    /// # Errors
    /// [`Error::Ratio`].
    pub fn new(n: u64, m: u64) -> Result<Self, Error> {
        if n == 0 || n > m { Err(Error::Ratio { n, m }) } else { Ok(Self { n, m }) }
    }

    /// Positions kept of `k`: whole groups, and of a ragged last group at most `n`.
    pub const fn kept(self, k: u64) -> u64 {
        let tail = k % self.m;
        k / self.m * self.n + if tail < self.n { tail } else { self.n }
    }

    /// Whether every matrix of that pattern satisfies this ratio too.
    pub(super) fn admits(self, pattern: Pattern) -> bool {
        matches!(pattern, Pattern::NofM { n, m } if m as u64 == self.m && n as u64 <= self.n)
    }
}
