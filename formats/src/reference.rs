//! The slow, obvious interpreter of a record: exact values, one rounding an element, one element at a time.
//!
//! Invariant: bits are dropped only in [`Grid::round`](crate::Grid::round) and in the FP32 operations by which a recipe
//! defines its scale. It stays for ever and judges the fast path.

use crate::error::{Error, non_finite, rows_of};
use crate::nvfp4::{self, TensorScale};
use crate::power::{self, Shared};
use crate::random::Stream;
use crate::tensor::{Codes, Quantized, Scales};
use crate::{Draw, Encoding, Format, NonFinite, Rounding, Scale, ScaleRule, Value};

/// The scale of one block, ready for use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Factor {
    /// No scale.
    One,
    /// NaN: so is every value of the block.
    Nan,
    /// A power of two: element values are multiplied by 2^`exponent`; `stored` is what is written.
    Power { stored: i32, exponent: i32 },
    /// A power of two with one halving bit a run of elements.
    Micro { stored: u32, exponent: i32, run: usize },
    /// An FP32 factor.
    Real(f32),
    /// An FP32 factor and a zero point.
    Affine { factor: f32, zero: u8 },
    /// A factor in a narrow float, under a tensor scale.
    Coded(Coded),
}

/// A factor in a narrow float.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Coded {
    /// Its code.
    pub(crate) stored: u8,
    /// What the code stands for.
    pub(crate) value: f32,
    /// What values are multiplied by before they are rounded to elements; 1 where they are divided.
    pub(crate) multiply: f32,
    /// What values are divided by before they are rounded to elements; 1 where they are multiplied.
    pub(crate) divide: f32,
    /// The tensor's decode factor.
    pub(crate) tensor: f32,
}

/// Which elements a block has: rows and columns of a matrix.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    rows: usize,
    k: usize,
    block_rows: usize,
    block_k: usize,
}

impl Geometry {
    pub(crate) fn new(format: &Format, rows: usize, k: usize) -> Self {
        let (block_rows, block_k) = format.scaling.map_or((1, 1), |s| s.block.extent(rows, k));
        Self { rows, k, block_rows, block_k }
    }

    /// Blocks along K.
    pub(crate) fn across(&self) -> usize {
        self.k.div_ceil(self.block_k)
    }

    /// Blocks in all, row-major.
    pub(crate) fn count(&self) -> usize {
        self.rows.div_ceil(self.block_rows) * self.across()
    }

    /// The block of an element.
    pub(crate) fn block_of(&self, row: usize, column: usize) -> usize {
        row / self.block_rows * self.across() + column / self.block_k
    }

    /// The first column of a block.
    pub(crate) fn first_column(&self, block: usize) -> usize {
        block % self.across() * self.block_k
    }

    /// The place of an element in its block; only records whose blocks lie in a row ask.
    pub(crate) fn place(&self, row: usize, column: usize) -> usize {
        row % self.block_rows * self.block_k + column % self.block_k
    }

    /// Rows and columns of the elements of a block, row-major.
    pub(crate) fn elements(self, block: usize) -> impl Iterator<Item = (usize, usize)> {
        let (row, column) = (block / self.across() * self.block_rows, block % self.across() * self.block_k);
        let rows = row..(row + self.block_rows).min(self.rows);
        let columns = column..(column + self.block_k).min(self.k);
        rows.flat_map(move |r| columns.clone().map(move |c| (r, c)))
    }
}

impl Format {
    /// Quantises by exact arithmetic, one element at a time: the judge of the fast path.
    ///
    /// `x` is row-major with rows of `k`; stochastic rounding draws from the stream of seed 0.
    ///
    /// # Errors
    /// As [`Format::quantize`].
    pub fn quantize_reference(&'static self, x: &[f32], k: usize) -> Result<Quantized, Error> {
        if let Some(at) = x.iter().position(|v| !v.is_finite()) {
            rows_of(x.len(), k)?;
            return Err(non_finite(x, k, at));
        }
        self.interpret(x, k, Stream::new(0))
    }

    /// [`Format::quantize_reference`] with random bits from `stream`, NaN and infinities as the record says.
    pub(crate) fn interpret(&'static self, x: &[f32], k: usize, stream: Stream) -> Result<Quantized, Error> {
        let rows = rows_of(x.len(), k)?;
        let input: Vec<f32> = x.iter().map(|&v| self.narrow(v)).collect();
        let refused = |v: &f32| !v.is_finite() && self.non_finite == NonFinite::Refuse;
        if let Some(at) = input.iter().position(refused) {
            return Err(non_finite(x, k, at));
        }
        let geometry = Geometry::new(self, rows, k);
        let padded = self.padded(k);
        let tensor = self.tensor_scale(&input);
        let mut codes = Codes::zeros(self.element, rows * padded);
        let mut scales = Scales::for_format(self);
        let blocks = if self.scaling.is_some() { geometry.count() } else { 0 };
        for block in 0..blocks {
            let values: Vec<f32> = geometry.elements(block).map(|(r, c)| input[r * k + c]).collect();
            let factor = self.factor(&values, tensor);
            for (at, (r, c)) in geometry.elements(block).enumerate() {
                let draw = self.rounding.drawing(self.random(stream, r * k + c));
                codes.set(r * padded + c, self.encode_element(values[at], factor, at, draw));
            }
            scales.push(factor);
        }
        if self.scaling.is_none() {
            for (i, &v) in input.iter().enumerate() {
                let draw = self.rounding.drawing(self.random(stream, i));
                let code = self.element.encode(Value::from_f32(v), draw, self.overflow);
                codes.set(i, self.element.sign_extended(code.ok_or_else(|| non_finite(x, k, i))?));
            }
        }
        Ok(Quantized::new(self, rows, k, codes, scales).with_tensor_scale(tensor.map(|t| t.decode)))
    }

    /// The random word of an element, where rounding draws one.
    pub(crate) fn random(&self, stream: Stream, index: usize) -> u32 {
        if self.rounding.is_deterministic() { 0 } else { stream.word(index as u64) }
    }

    /// A value in the input type of the record.
    pub(crate) fn narrow(&self, v: f32) -> f32 {
        self.input.map_or(v, |input| input.round(v))
    }

    /// The scale of the whole tensor, where the record has coded scales.
    pub(crate) fn tensor_scale(&self, x: &[f32]) -> Option<TensorScale> {
        let Some(Scale::Code(scale)) = self.scaling.map(|s| s.scale) else { return None };
        let finite = x.iter().filter(|v| v.is_finite());
        Some(TensorScale::new(self, scale, finite.fold(0.0f32, |m, v| m.max(v.abs()))))
    }

    /// The scale that the record's rule gives to a block.
    pub(crate) fn factor(&self, block: &[f32], tensor: Option<TensorScale>) -> Factor {
        let Some(scaling) = self.scaling else { return Factor::One };
        if block.iter().any(|v| !v.is_finite()) {
            return Factor::Nan;
        }
        let amax = block.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        match (scaling.scale, tensor) {
            (Scale::E8M0, _) => match power::e8m0(scaling.rule, amax, self.element) {
                Shared::Exponent(exponent) => Factor::Power { stored: exponent + 127, exponent },
                Shared::Nan => Factor::Nan,
            },
            (Scale::Exponent(bits), _) => {
                let stored = held(power::block_exponent(scaling.rule, amax), bits);
                Factor::Power { stored, exponent: stored - self.exponent_offset() }
            }
            (Scale::Micro { run }, _) => {
                let shared = held(power::block_exponent(scaling.rule, amax), 8);
                let part = |part: &[f32]| {
                    let amax = part.iter().fold(0.0f32, |m, v| m.max(v.abs()));
                    amax == 0.0 || power::block_exponent(scaling.rule, amax) < shared
                };
                let bits = block.chunks(run).enumerate().fold(0, |bits, (i, p)| bits | u32::from(part(p)) << i);
                Factor::Micro {
                    stored: shared as u8 as u32 | bits << 8,
                    exponent: shared - self.exponent_offset(),
                    run,
                }
            }
            (Scale::Float32, _) => Factor::Real(real_scale(amax, Value::Finite(self.element.max()).to_f32())),
            (Scale::Affine(_), _) => self.affine(scaling.rule, block),
            (Scale::Code(scale), Some(tensor)) => Factor::Coded(nvfp4::block_scale(self, scale, block, tensor)),
            (Scale::Code(_), None) => Factor::One,
        }
    }

    /// GPTQ's grids over [lo, hi], which always holds zero.
    fn affine(&self, rule: ScaleRule, block: &[f32]) -> Factor {
        let lo = block.iter().fold(0.0f32, |m, &v| m.min(v));
        let hi = block.iter().fold(0.0f32, |m, &v| m.max(v));
        let largest = Value::Finite(self.element.max()).to_f32();
        let (lo, hi) = match rule {
            ScaleRule::HalfGrid if lo < 0.0 => (-hi.max(-lo), hi.max(-lo)),
            _ => (lo, hi),
        };
        let (lo, hi) = if lo == 0.0 && hi == 0.0 { (-1.0, 1.0) } else { (lo, hi) };
        let factor = real_scale((hi - lo).min(f32::MAX), largest);
        let zero = match rule {
            ScaleRule::HalfGrid => 1 << (self.element.bits() - 1),
            _ => self
                .element
                .encode(Value::from_f32(-lo / factor), Rounding::NearestEven, crate::Overflow::Saturate)
                .unwrap_or(0),
        };
        Factor::Affine { factor, zero: zero as u8 }
    }

    /// The code of one element, the `at`-th of its block, under a scale; integers with sign are sign-extended.
    pub(crate) fn encode_element(&self, v: f32, factor: Factor, at: usize, draw: Draw) -> u64 {
        let power = |exponent: i32| match Value::from_f32(v) {
            Value::Finite(x) => Value::Finite(x.scaled(-exponent)),
            other => other,
        };
        let scaled = match factor {
            Factor::One => Value::from_f32(v),
            Factor::Nan => return 0,
            Factor::Real(scale) => Value::from_f32(v / scale),
            Factor::Power { exponent, .. } => power(exponent),
            Factor::Micro { stored, exponent, run } => power(exponent - halving(stored, run, at)),
            Factor::Affine { factor, zero } => return self.affine_code(v / factor, zero, draw),
            Factor::Coded(coded) => return self.coded_element(v, coded, draw),
        };
        let code = self.element.encode(scaled, draw, self.overflow);
        self.element.sign_extended(code.unwrap_or(0))
    }

    /// RNE(quotient) + zero point, held to the range.
    fn affine_code(&self, quotient: f32, zero: u8, draw: Draw) -> u64 {
        let Value::Finite(x) = Value::from_f32(quotient) else { return u64::from(zero) };
        // 2^10 is beyond any code of at most 8 bits, and less than what an i64 holds.
        let (rounded, _) = self.element.grid().round(x, draw);
        let magnitude = if rounded.leading_exponent().is_some_and(|e| e > 10) {
            1 << 11
        } else {
            (rounded.significand << rounded.exponent.max(0)) as i64
        };
        let integer = if rounded.negative { -magnitude } else { magnitude };
        (integer + i64::from(zero)).clamp(0, self.element.max_code() as i64) as u64
    }

    /// An element under a coded factor: the FP32 product or quotient, held to the range, rounded. A zero loses its sign
    /// in the recipes of TransformerEngine.
    pub(crate) fn coded_element(&self, v: f32, factor: Coded, draw: impl Into<Draw>) -> u64 {
        let largest = Value::Finite(self.element.max()).to_f32();
        let product = (v * factor.multiply / factor.divide).clamp(-largest, largest);
        let signless = !matches!(self.scaling.map(|s| s.rule), Some(ScaleRule::Nvfp4TorchAo | ScaleRule::Nvfp4CuDnn));
        let product = if product == 0.0 && signless { 0.0 } else { product };
        self.element.encode(Value::from_f32(product), draw, self.overflow).unwrap_or(0)
    }

    /// The FP32 value of one code under a scale: the exact product, rounded once (nearest even) where FP32 does not
    /// hold it. Under an FP32 factor it is held to the largest FP32 number, which 127 * fl32(amax / 127) may exceed.
    pub(crate) fn decode_element(&self, code: u64, factor: Factor, at: usize) -> f32 {
        let element = self.element.decode(code);
        let power = |exponent: i32| match element {
            Value::Finite(x) => Value::Finite(x.scaled(exponent)).to_f32(),
            other => other.to_f32(),
        };
        let bounded = |v: f32| v.clamp(-f32::MAX, f32::MAX);
        match factor {
            Factor::One => element.to_f32(),
            Factor::Nan => f32::NAN,
            Factor::Real(scale) => bounded(element.to_f32() * scale),
            Factor::Affine { factor, zero } => bounded((code as i64 - i64::from(zero)) as f32 * factor),
            Factor::Coded(coded) => bounded(element.to_f32() * coded.value * coded.tensor),
            Factor::Power { exponent, .. } => power(exponent),
            Factor::Micro { stored, exponent, run } => power(exponent - halving(stored, run, at)),
        }
    }

    /// The power of two that a stored block exponent exceeds the exponent of one element unit by.
    pub(crate) const fn exponent_offset(&self) -> i32 {
        match (self.scaling, self.element.encoding) {
            (Some(crate::Scaling { scale: Scale::E8M0, .. }), _) => 127,
            (
                Some(crate::Scaling { scale: Scale::Exponent(_) | Scale::Micro { .. }, .. }),
                Encoding::Integer { bits, fraction_bits, .. },
            ) => bits as i32 - 1 - fraction_bits as i32,
            _ => 0,
        }
    }
}

/// 1 where the bit of an element's run says that its unit is halved.
pub(crate) const fn halving(stored: u32, run: usize, at: usize) -> i32 {
    (stored >> (8 + at / run) & 1) as i32
}

/// An exponent held to two's complement of `bits`.
fn held(exponent: i32, bits: u32) -> i32 {
    exponent.clamp(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
}

/// fl32(amax / largest element): the one host division. 1 where the quotient is zero, that is for an all-zero row and
/// for a row of FP32 subnormals so small that the quotient underflows; all codes of such a row are zero.
pub(crate) fn real_scale(amax: f32, largest: f32) -> f32 {
    let scale = amax / largest;
    if scale == 0.0 { 1.0 } else { scale }
}
