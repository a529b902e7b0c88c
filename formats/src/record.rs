//! The format record: element x block x scale x scale rule x rounding.
//!
//! Invariant: a record holds facts and no code. `reference` reads any record, slowly and exactly; the fast path reads
//! those that it covers and is judged by the other.

use crate::name::{Name, interned, interned_list, interned_option};
use crate::{Overflow, Rounding, Scalar, Value};
use serde::{Deserialize, Serialize};

/// A number format as stored in memory: a record, see [`catalog`](crate::catalog).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Format {
    /// The name by which it is chosen.
    #[serde(deserialize_with = "interned")]
    pub name: Name,
    /// Other names of the same record.
    #[serde(deserialize_with = "interned_list")]
    pub aliases: &'static [Name],
    /// How one element is written.
    pub element: Scalar,
    /// The scale that elements share; `None` for scalar formats.
    pub scaling: Option<Scaling>,
    /// A narrower type to which values are rounded before anything else.
    pub input: Option<Input>,
    /// How an element is rounded.
    pub rounding: Rounding,
    /// What becomes of an element beyond the largest one.
    pub overflow: Overflow,
    /// What becomes of a NaN or an infinity.
    pub non_finite: NonFinite,
    /// The record for activations, where they are treated otherwise than weights.
    #[serde(deserialize_with = "interned_option")]
    pub activations: Option<Name>,
    /// The laws that the format claims to obey; tests hold it to them.
    pub laws: Laws,
    /// Where the definition comes from.
    #[serde(deserialize_with = "interned")]
    pub source: Name,
}

/// A shared scale: who shares it, how it is written, how it is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scaling {
    /// The elements that share one scale.
    pub block: Block,
    /// How the scale is written.
    pub scale: Scale,
    /// How the scale follows from the elements.
    pub rule: ScaleRule,
    /// Whether a second, FP32 scale covers the whole tensor.
    pub two_level: bool,
}

/// The elements that share one scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Block {
    /// This many consecutive elements along K; a short last block is padded with zeros.
    Run(usize),
    /// A whole row of K: an output channel of a weight, a token of an activation.
    Row,
    /// A whole column: an input feature over all tokens of an activation.
    Column,
    /// A rectangle; tiles at the end of K are padded with zeros, those of the last rows are cut.
    Tile {
        /// Rows.
        rows: usize,
        /// Elements along K.
        k: usize,
    },
    /// The whole matrix.
    Tensor,
}

impl Block {
    /// Rows and elements along K that one scale covers in a matrix [rows, k]; at least 1 each.
    pub const fn extent(self, rows: usize, k: usize) -> (usize, usize) {
        const fn some(n: usize) -> usize {
            if n == 0 { 1 } else { n }
        }
        match self {
            Self::Run(n) => (1, some(n)),
            Self::Row => (1, some(k)),
            Self::Column => (some(rows), 1),
            Self::Tile { rows, k } => (some(rows), some(k)),
            Self::Tensor => (some(rows), some(k)),
        }
    }

    /// Whether a block lies in one row, so that rows can be quantised one by one.
    pub const fn is_row_local(self) -> bool {
        matches!(self, Self::Run(_) | Self::Row | Self::Tile { rows: 1, .. })
    }
}

/// How a scale is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Scale {
    /// A power of two as a byte biased by 127 (OCP MX); 255 is NaN.
    #[serde(rename = "e8m0")]
    E8M0,
    /// A block exponent of this many bits, two's complement; exponents beyond it are held to its ends.
    Exponent(u32),
    /// A block exponent of 8 bits, held to its ends, and one bit for each run of `run` elements that halves their unit
    /// (shared microexponents).
    Micro {
        /// Elements that share one bit.
        run: usize,
    },
    /// An FP32 factor.
    Float32,
    /// An FP32 factor and a zero point of this many bits: value = factor * (code - zero).
    Affine(u32),
    /// A factor in a narrow float without sign (NVFP4: UE4M3).
    Code(Scalar),
}

/// How a scale follows from the elements, mostly from amax, the largest magnitude of the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ScaleRule {
    /// 2^(floor(log2 amax) - emax), the exponent held to [-127, 127]: elements beyond max saturate (OCP MX 1.0, 6.3).
    Floor,
    /// 2^(ceil(log2 amax) - emax).
    Ceil,
    /// As `floor`, after rounding amax to the element's mantissa, halves up.
    Even,
    /// The least power of two not below fl32(amax * fl32(1 / largest element)).
    Rceil,
    /// As `floor`, with the logarithm rounded to FP32 first: wrong near powers of two, as microxcaling's PyTorch path.
    /// A zero amax, and only that, counts as the smallest normal number.
    FloorLog2,
    /// The least e with amax <= 2^e; one unit of the element is 2^(e - magnitude bits) (HBFP).
    Enclosing,
    /// As `enclosing`, from the FP32 logarithm of fl32(amax + 1e-8) (HBFPEmulator and the paper's code).
    EnclosingLog2,
    /// The least e with amax < 2^e: the leading bit of amax is the leading bit of its mantissa (MSFP, MX9/6/4).
    Above,
    /// fl32(amax / largest element), and 1 where that is zero.
    #[serde(rename = "absmax")]
    AbsMax,
    /// fl32((hi - lo) / (2^bits - 1)) with lo = min(0, x), hi = max(0, x), zero point RNE(-lo / factor) (GPTQ).
    MinMax,
    /// As `min-max` on the interval made symmetric, zero point 2^(bits - 1); the interval stays one-sided where no
    /// element is negative, and then half the range clips (SparseGPT, GPTQ, the paper's code).
    HalfGrid,
    /// RNE(amax / 6 in units of the tensor scale) in the scale's format, held to its largest (TransformerEngine).
    Nvfp4Te,
    /// As `nvfp4-te` with the roundings of torchao, and at least the smallest normal number of the scale's format.
    #[serde(rename = "nvfp4-torchao")]
    Nvfp4TorchAo,
    /// amax / largest element, rounded up in the scale's format (cuDNN's block-scale quantise).
    #[serde(rename = "nvfp4-cudnn")]
    Nvfp4CuDnn,
    /// Of `nvfp4-te` and the same with 1.5 times the scale, the one of less absolute error; the former if equal.
    FourOverSixMae,
    /// The same by squared error.
    FourOverSixMse,
}

impl ScaleRule {
    /// Every rule.
    pub const ALL: [Self; 16] = [
        Self::Floor,
        Self::Ceil,
        Self::Even,
        Self::Rceil,
        Self::FloorLog2,
        Self::Enclosing,
        Self::EnclosingLog2,
        Self::Above,
        Self::AbsMax,
        Self::MinMax,
        Self::HalfGrid,
        Self::Nvfp4Te,
        Self::Nvfp4TorchAo,
        Self::Nvfp4CuDnn,
        Self::FourOverSixMae,
        Self::FourOverSixMse,
    ];

    /// The name that files and the command line use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Ceil => "ceil",
            Self::Even => "even",
            Self::Rceil => "rceil",
            Self::FloorLog2 => "floor-log2",
            Self::Enclosing => "enclosing",
            Self::EnclosingLog2 => "enclosing-log2",
            Self::Above => "above",
            Self::AbsMax => "absmax",
            Self::MinMax => "min-max",
            Self::HalfGrid => "half-grid",
            Self::Nvfp4Te => "nvfp4-te",
            Self::Nvfp4TorchAo => "nvfp4-torchao",
            Self::Nvfp4CuDnn => "nvfp4-cudnn",
            Self::FourOverSixMae => "four-over-six-mae",
            Self::FourOverSixMse => "four-over-six-mse",
        }
    }
}

/// A narrower type for values before quantisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The type.
    pub scalar: Scalar,
    /// How values are rounded to it.
    pub rounding: Rounding,
}

/// What becomes of a NaN or an infinity where a caller lets them through (`Format::quantize_any`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NonFinite {
    /// An error that says where: the format has no code for them.
    Refuse,
    /// The element's own NaN and infinity, or what `overflow` says.
    Encode,
    /// The scale of their block is NaN, and so is every value of the block.
    NanBlock,
}

/// Laws that hold for a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Laws {
    /// The preconditions of theorem 3.5 (sparsify-then-quantise never compounds): the scale is a function of the
    /// block's largest magnitude only, a mask by magnitude keeps that (groups along K lie inside blocks), zero is
    /// exact, and rounding is deterministic or shared.
    pub theorem_3_5: bool,
    /// Quantising what was quantised changes nothing.
    pub idempotent: bool,
    /// Values times a power of two give results times it, while scale and elements stay inside their range.
    pub scale_invariant: bool,
    /// Permuting the elements of a block permutes the results.
    pub permutation_invariant: bool,
}

impl Input {
    /// A value in the narrower type; NaN and infinities stay what they are.
    pub fn round(self, v: f32) -> f32 {
        let code = self.scalar.encode(Value::from_f32(v), self.rounding, Overflow::Infinity);
        code.map_or(f32::NAN, |c| self.scalar.decode(c).to_f32())
    }
}

impl Scaling {
    /// Bits that the scale of a block of `block` elements takes in storage.
    pub const fn scale_bits(self, block: usize) -> u64 {
        match self.scale {
            Scale::E8M0 => 8,
            Scale::Exponent(bits) => bits as u64,
            Scale::Micro { run } => 8u64.saturating_add(block.div_ceil(if run == 0 { 1 } else { run }) as u64),
            Scale::Float32 => 32,
            Scale::Affine(bits) => 32 + bits as u64,
            Scale::Code(scalar) => scalar.bits() as u64,
        }
    }
}

impl Format {
    /// Whether the format is FP32 itself, so that nothing changes.
    pub fn is_exact(&self) -> bool {
        self.scaling.is_none() && self.input.is_none() && self.element.encoding == crate::scalar::FP32.encoding
    }

    /// Elements along K that share a scale in rows of `k`; 1 for scalar formats.
    pub fn block_len(&self, k: usize) -> usize {
        self.scaling.map_or(1, |s| s.block.extent(1, k).1)
    }

    /// Rows that share a scale in a matrix of `rows`; 1 for scalar formats.
    pub fn block_rows(&self, rows: usize) -> usize {
        self.scaling.map_or(1, |s| s.block.extent(rows, 1).0)
    }

    /// The stored length of a row of `k`: whole blocks. Where that is more than can be counted it is the most whole blocks
    /// that can.
    pub fn padded(&self, k: usize) -> usize {
        let block = self.block_len(k);
        self.checked_padded(k).unwrap_or(usize::MAX - usize::MAX % block)
    }

    /// Whether rows can be quantised one by one with the same result.
    pub fn is_row_local(&self) -> bool {
        self.scaling.is_none_or(|s| s.block.is_row_local() && !s.two_level)
    }
}
