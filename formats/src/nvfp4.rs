//! Two-level scales of NVFP4 and its variants: FP32 arithmetic in the order that each recipe's owner performs it.
//!
//! Every operation here is one IEEE FP32 operation, as in the recipes; where they convert to a narrow type, the exact
//! encoder does. The names of factors: an *encode* factor multiplies values, a *decode* factor multiplies codes.

use crate::reference::Coded;
use crate::{Format, Overflow, Rounding, Scalar, ScaleRule, Value};

/// The largest element of E2M1, which the recipes write as a constant.
const LARGEST: f32 = 6.0;

/// The factors of a whole tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct TensorScale {
    /// The largest magnitude.
    pub(crate) amax: f32,
    /// What values are multiplied by to find block scales; 1 where the recipe divides by `decode`.
    pub(crate) encode: f32,
    /// What is stored: a value is element * block scale * this.
    pub(crate) decode: f32,
}

impl TensorScale {
    /// The tensor scale of a recipe; 1 where it has none.
    pub(crate) fn new(format: &Format, scale: Scalar, amax: f32) -> Self {
        let none = Self { amax, encode: 1.0, decode: 1.0 };
        let Some(scaling) = format.scaling.filter(|s| s.two_level) else { return none };
        let range = largest(scale) * largest(format.element);
        match scaling.rule {
            ScaleRule::Nvfp4TorchAo => {
                let decode = amax / range;
                if decode == 0.0 { none } else { Self { decode, ..none } }
            }
            _ => {
                let encode = (range / amax).min(f32::MAX);
                let encode = if amax == 0.0 || encode == 0.0 { 1.0 } else { encode };
                Self { amax, encode, decode: 1.0 / encode }
            }
        }
    }
}

/// The largest number of a format as FP32.
fn largest(scalar: Scalar) -> f32 {
    Value::Finite(scalar.max()).to_f32()
}

/// FP32 to the scale's format and back; negative numbers do not occur, NaN neither.
fn narrowed(scale: Scalar, value: f32, rounding: Rounding) -> (u8, f32) {
    let code = scale.encode(Value::from_f32(value), rounding, Overflow::Saturate).unwrap_or(0);
    (code as u8, scale.decode(code).to_f32())
}

/// The scale of a block, by the record's rule.
pub(crate) fn block_scale(format: &Format, scale: Scalar, block: &[f32], tensor: TensorScale) -> Coded {
    let amax = block.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    match format.scaling.map(|s| s.rule) {
        Some(ScaleRule::Nvfp4TorchAo) => torchao(format, scale, amax, tensor),
        Some(ScaleRule::Nvfp4CuDnn) => {
            let (stored, value) = narrowed(scale, amax / largest(format.element), Rounding::Up);
            let multiply = if value == 0.0 { 0.0 } else { 1.0 / value };
            Coded { stored, value, multiply, divide: 1.0, tensor: 1.0 }
        }
        Some(rule @ (ScaleRule::FourOverSixMae | ScaleRule::FourOverSixMse)) => {
            four_over_six(format, scale, block, amax, tensor, rule == ScaleRule::FourOverSixMse)
        }
        _ => {
            // The reciprocal of 6 joins the tensor's factor first; the product cannot be more than FP32 holds.
            let target = (amax * (tensor.encode * (1.0 / LARGEST))).min(f32::MAX);
            te(scale, target, tensor)
        }
    }
}

/// TransformerEngine: a scale narrowed to nearest even, its reciprocal taken with the tensor's factor in one division.
fn te(scale: Scalar, target: f32, tensor: TensorScale) -> Coded {
    let (stored, value) = narrowed(scale, target, Rounding::NearestEven);
    let multiply = (1.0 / (value * tensor.decode)).min(f32::MAX);
    Coded { stored, value, multiply, divide: 1.0, tensor: tensor.decode }
}

/// torchao: values are divided by the product of both scales; no scale below the smallest normal number.
fn torchao(format: &Format, scale: Scalar, amax: f32, tensor: TensorScale) -> Coded {
    let least = Value::Finite(crate::Exact::integer(1).scaled(scale.emin())).to_f32();
    let own = amax / largest(format.element);
    let two_level = format.scaling.is_some_and(|s| s.two_level);
    let target = if two_level { own / tensor.decode } else { own };
    let (stored, value) = narrowed(scale, target.clamp(least, largest(scale)), Rounding::NearestEven);
    Coded { stored, value, multiply: 1.0, divide: tensor.decode * value, tensor: tensor.decode }
}

/// The better of two scales: one that takes amax to 6, and one 1.5 times as large that takes it to 4.
fn four_over_six(
    format: &Format,
    scale: Scalar,
    block: &[f32],
    amax: f32,
    tensor: TensorScale,
    squared: bool,
) -> Coded {
    let base = amax / LARGEST * tensor.encode;
    let (six, four) = (te(scale, base, tensor), te(scale, base * 1.5, tensor));
    let range = LARGEST * largest(scale);
    let error = |factor: Coded| {
        block.iter().fold(0.0f32, |sum, &v| {
            let code = format.coded_element(v, factor, Rounding::NearestEven);
            let difference = format.element.decode(code).to_f32() * factor.value * tensor.amax / range - v;
            sum + if squared { difference * difference } else { difference.abs() }
        })
    };
    if error(four) < error(six) { four } else { six }
}
