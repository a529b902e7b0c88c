//! The format record: element x block x scale x scale rule x rounding, and the slow, obvious interpreter of it.
//!
//! Invariant: a record holds facts and no code; [`Format::quantize_reference`] reads any record, computes exactly and
//! drops bits only in [`Grid::round`](crate::Grid::round) and in the one division that INT recipes define in FP32.
//! The fast path lives elsewhere and is judged by this one.

use crate::error::{Error, non_finite, rows_of};
use crate::tensor::{Codes, Quantized, Scales};
use crate::{Encoding, Overflow, Rounding, Scalar, Value};
use serde::Serialize;

/// A number format as stored in memory: a record, see [`catalog`](crate::catalog).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Format {
    /// The name by which it is chosen.
    pub name: &'static str,
    /// Other names of the same record.
    pub aliases: &'static [&'static str],
    /// How one element is written.
    pub element: Scalar,
    /// The scale that elements share; `None` for scalar formats.
    pub scaling: Option<Scaling>,
    /// How an element is rounded.
    pub rounding: Rounding,
    /// What becomes of an element beyond the largest one.
    pub overflow: Overflow,
    /// Whether theorem 3.5 (sparsify-then-quantise never compounds) applies: the scale is a function of the block's
    /// largest magnitude only, zero is exact and rounding is deterministic.
    pub theorem_3_5: bool,
    /// Where the definition comes from.
    pub source: &'static str,
}

/// A shared scale: who shares it, how it is written, how it is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Scaling {
    /// The elements that share one scale.
    pub block: Block,
    /// How the scale is written.
    pub scale: Scale,
    /// How the scale follows from the elements.
    pub rule: ScaleRule,
}

/// The elements that share one scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Block {
    /// This many consecutive elements along K; a short last block is padded with zeros.
    Run(usize),
    /// A whole row of K: an output channel of a weight, a token of an activation.
    Row,
}

/// How a scale is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Scale {
    /// A power of two as a byte biased by 127 (OCP MX); 255 is NaN and never produced.
    #[serde(rename = "e8m0")]
    E8M0,
    /// A block exponent of this many bits, two's complement.
    Exponent(u32),
    /// An FP32 factor.
    Float32,
}

impl Scale {
    /// Bits that one scale takes in storage.
    pub const fn bits(self) -> u32 {
        match self {
            Self::E8M0 => 8,
            Self::Exponent(bits) => bits,
            Self::Float32 => 32,
        }
    }
}

/// How a scale follows from amax, the largest magnitude of the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ScaleRule {
    /// 2^(floor(log2 amax) - emax), the exponent held to [-127, 127]: elements beyond max saturate (OCP MX 1.0, 6.3).
    Floor,
    /// The least e with amax <= 2^e; one unit of the element is 2^(e - magnitude bits) (HBFP).
    Enclosing,
    /// fl32(amax / largest element), and 1 where that is zero.
    AbsMax,
}

impl Format {
    /// Whether the format is FP32 itself, so that nothing changes.
    pub fn is_exact(&self) -> bool {
        self.scaling.is_none() && self.element.encoding == crate::scalar::FP32.encoding
    }

    /// Elements that share a scale in rows of `k`; 1 for scalar formats.
    pub fn block_len(&self, k: usize) -> usize {
        match self.scaling.map(|s| s.block) {
            None => 1,
            Some(Block::Run(n)) => n,
            Some(Block::Row) => k.max(1),
        }
    }

    /// The stored length of a row of `k`: whole blocks.
    pub fn padded(&self, k: usize) -> usize {
        k.next_multiple_of(self.block_len(k))
    }

    /// The power of two that a stored block exponent exceeds the exponent of one element unit by.
    pub(crate) const fn exponent_offset(&self) -> i32 {
        match (self.scaling, self.element.encoding) {
            (Some(Scaling { scale: Scale::E8M0, .. }), _) => 127,
            (Some(Scaling { scale: Scale::Exponent(_), .. }), Encoding::Integer { bits, fraction_bits }) => {
                (bits - 1 - fraction_bits) as i32
            }
            _ => 0,
        }
    }

    /// Quantises by exact arithmetic, one element at a time: the judge of the fast path.
    ///
    /// `x` is row-major with rows of `k`.
    ///
    /// # Errors
    /// As [`Format::quantize`].
    pub fn quantize_reference(&'static self, x: &[f32], k: usize) -> Result<Quantized, Error> {
        let rows = rows_of(x.len(), k)?;
        if let Some(at) = x.iter().position(|v| !v.is_finite()) {
            return Err(non_finite(x, k, at));
        }
        let mut codes = Codes::zeros(self.element, rows * self.padded(k));
        let mut scales = Scales::for_format(self);
        for row in 0..rows {
            let values = &x[row * k..][..k];
            for (b, block) in values.chunks(self.block_len(k)).enumerate() {
                let factor = self.factor(block);
                let start = row * self.padded(k) + b * self.block_len(k);
                for (i, &v) in block.iter().enumerate() {
                    codes.set(start + i, self.encode_element(v, factor));
                }
                scales.push(factor);
            }
        }
        Ok(Quantized::new(self, rows, k, codes, scales))
    }

    /// The scale that the record's rule gives to a block.
    pub(crate) fn factor(&self, block: &[f32]) -> Factor {
        let amax = block.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        let leading = Value::from_f32(amax).finite().and_then(|x| Some((x, x.leading_exponent()?)));
        match self.scaling.map(|s| s.rule) {
            None => Factor::One,
            Some(ScaleRule::Floor) => {
                let exponent = leading.map_or(-127, |(_, e)| (e - self.element.emax()).clamp(-127, 127));
                Factor::Power { stored: exponent + 127, exponent }
            }
            Some(ScaleRule::Enclosing) => {
                let stored = leading.map_or(0, |(x, e)| e + i32::from(!x.significand.is_power_of_two()));
                Factor::Power { stored, exponent: stored - self.exponent_offset() }
            }
            Some(ScaleRule::AbsMax) => Factor::Real(real_scale(amax, Value::Finite(self.element.max()).to_f32())),
        }
    }

    /// The code of one element under a scale; integers sign-extended. Inputs are finite, so there is always one.
    pub(crate) fn encode_element(&self, v: f32, factor: Factor) -> u64 {
        let scaled = match factor {
            Factor::One => Value::from_f32(v),
            Factor::Real(scale) => Value::from_f32(v / scale),
            Factor::Power { exponent, .. } => match Value::from_f32(v) {
                Value::Finite(x) => Value::Finite(x.scaled(-exponent)),
                other => other,
            },
        };
        let code = self.element.encode(scaled, self.rounding, self.overflow);
        self.element.sign_extended(code.unwrap_or(0))
    }

    /// The FP32 value of one code under a scale: the exact product, rounded once (nearest even) where FP32 does not
    /// hold it. Under an FP32 factor it is held to the largest FP32 number, which 127 * fl32(amax / 127) may exceed.
    pub(crate) fn decode_element(&self, code: u64, factor: Factor) -> f32 {
        let element = self.element.decode(code);
        match (factor, element) {
            (Factor::One, _) => element.to_f32(),
            (Factor::Real(scale), _) => (element.to_f32() * scale).clamp(-f32::MAX, f32::MAX),
            (Factor::Power { exponent, .. }, Value::Finite(x)) => Value::Finite(x.scaled(exponent)).to_f32(),
            (Factor::Power { .. }, _) => element.to_f32(),
        }
    }
}

/// The scale of one block, ready for use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Factor {
    /// No scale.
    One,
    /// A power of two: element values are multiplied by 2^`exponent`; `stored` is what is written.
    Power { stored: i32, exponent: i32 },
    /// An FP32 factor.
    Real(f32),
}

/// fl32(amax / largest element): the one host division. 1 where the quotient is zero, that is for an all-zero row and
/// for a row of FP32 subnormals so small that the quotient underflows; all codes of such a row are zero.
pub(crate) fn real_scale(amax: f32, largest: f32) -> f32 {
    let scale = amax / largest;
    if scale == 0.0 { 1.0 } else { scale }
}
