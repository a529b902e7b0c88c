//! What is to be computed: shapes, formats and patterns, no values.

use super::{Bits, Holdings};
use crate::{Datapath, Error};
use interplay_formats::{Footprint, Format, Pattern};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

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

/// What the second operand of a product is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Second {
    /// Weights, which the model stores.
    #[default]
    Weights,
    /// Activations, as in the products of attention.
    Activations,
}

/// What was seen of the values of a product.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Statistics {
    /// The share of zero codes among the weights, 0 to 1.
    pub weight_zeros: f64,
    /// The share of zero codes among the activations.
    pub activation_zeros: f64,
    /// The share of activations that differ from the row before at the same position along K.
    pub activation_toggles: f64,
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
    /// What the second operand is.
    pub second: Second,
    /// What stands in the place of the machine's unit; `fake` for what the host computes.
    pub datapath: Option<&'static Datapath>,
    /// Whether the host has the law of the datapath `fp32`, which is how this project's own multiplies.
    pub fixed_host: bool,
    /// The datapath that gave the bits, where a model ran: nothing else is priced.
    pub computed: Option<&'static Datapath>,
    /// What was seen of the values, where a model ran.
    pub statistics: Option<Statistics>,
}

impl Layer {
    /// A layer with dense weights, whose footprint follows from its shape.
    ///
    /// # Errors
    /// [`Error::ZeroDimension`], [`Error::TooLarge`].
    pub fn dense(gemm: Gemm, weight: &'static Format, activation: &'static Format) -> Result<Self, Error> {
        gemm.check()?;
        let stored = weight.footprint(gemm.n as usize, gemm.k as usize, None);
        let (pattern, second) = (Pattern::Dense, Second::Weights);
        Ok(Self {
            gemm,
            weight,
            activation,
            pattern,
            stored,
            second,
            datapath: None,
            fixed_host: true,
            computed: None,
            statistics: None,
        })
    }

    /// A layer whose weights would have that pattern: the footprint is that of any mask of the pattern.
    ///
    /// # Errors
    /// Those of [`Layer::dense`]; [`Error::Format`] for a pattern that no matrix of the shape has.
    pub fn sparse(
        gemm: Gemm,
        weight: &'static Format,
        activation: &'static Format,
        pattern: Pattern,
    ) -> Result<Self, Error> {
        let mut layer = Self::dense(gemm, weight, activation)?;
        pattern.check(layer.gemm.n as usize, layer.gemm.k as usize)?;
        layer.stored = weight.footprint_of(pattern, layer.gemm.n as usize, layer.gemm.k as usize);
        layer.pattern = pattern;
        Ok(layer)
    }

    /// Bits of one activation matrix: values and scales.
    pub(super) fn activation_bits(&self) -> (Bits, Bits) {
        let stored = self.activation.footprint(self.gemm.m as usize, self.gemm.k as usize, None);
        (Bits(stored.values), Bits(stored.scales))
    }

    /// What decides the cost: all but the name. Statistics by their bits.
    pub(super) fn key(&self) -> impl Eq + std::hash::Hash + use<> {
        let gemm = &self.gemm;
        let seen = self.statistics.map(|s| [s.weight_zeros, s.activation_zeros].map(f64::to_bits));
        let stored = [self.stored.values, self.stored.scales, self.stored.metadata];
        let shape = [gemm.m, gemm.k, gemm.n, gemm.count];
        let units = [self.datapath, self.computed].map(|unit| unit.map(|unit| unit.name));
        (shape, self.weight.name, self.activation.name, self.pattern.to_string(), stored, units, self.fixed_host, seen)
    }
}

/// An operation that is no product, and what it moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Operation {
    /// Its name.
    pub name: String,
    /// Bits that it reads.
    pub reads: Bits,
    /// Bits that it writes.
    pub writes: Bits,
}

/// Layers in the order in which they are executed, and the operations between them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Workload {
    /// The products.
    pub layers: Vec<Layer>,
    /// Other operations.
    pub elementwise: Vec<Operation>,
}

impl From<Vec<Layer>> for Workload {
    fn from(layers: Vec<Layer>) -> Self {
        Self { layers, elementwise: Vec::new() }
    }
}

impl Workload {
    /// The same products, computed by nobody yet: they can be counted on any machine.
    pub fn uncomputed(mut self) -> Self {
        self.layers.iter_mut().for_each(|layer| layer.computed = None);
        self
    }

    /// What must be held: weights, the largest layer's activations, keys and values. Saturates.
    pub(super) fn holdings(&self) -> Holdings {
        let (mut weights, mut kv_cache, mut activations) = (0u64, 0u64, 0u64);
        for layer in &self.layers {
            let stored = layer.stored.values.saturating_add(layer.stored.scales).saturating_add(layer.stored.metadata);
            let held = if layer.second == Second::Weights { &mut weights } else { &mut kv_cache };
            *held = held.saturating_add(stored.saturating_mul(layer.gemm.count));
            let (values, scales) = layer.activation_bits();
            let outputs = layer.gemm.m.saturating_mul(layer.gemm.n).saturating_mul(32);
            let one = values.0.saturating_add(scales.0).saturating_add(outputs);
            activations = activations.max(one.saturating_mul(layer.gemm.count));
        }
        Holdings { weights: Bits(weights), activations: Bits(activations), kv_cache: Bits(kv_cache) }
    }
}

/// Keep `n` of every `m` positions along K.
///
/// Written `2:4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ratio {
    pub(crate) n: u64,
    pub(crate) m: u64,
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

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.n, self.m)
    }
}

impl FromStr for Ratio {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parts = text.split_once(':').and_then(|(n, m)| Some((n.trim().parse().ok()?, m.trim().parse().ok()?)));
        parts.map_or(Err(Error::Ratio { n: 0, m: 0 }), |(n, m)| Self::new(n, m))
    }
}

impl TryFrom<String> for Ratio {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Ratio> for String {
    fn from(ratio: Ratio) -> Self {
        ratio.to_string()
    }
}
