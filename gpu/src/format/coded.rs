//! Scales in a narrow float under a scale of the whole tensor (NVFP4 and its variants): the FP32 operations of each recipe
//! in its order.

use super::cast::{Cast, encode};
use super::factor::within;
use super::fields::{INFINITY, LARGEST, MAGNITUDE, ONE, SIGN};
use super::read::{Decode, decode, value};
use crate::bits::{add, div, mul};
use cubecl::prelude::*;
use interplay_formats::{Exact, Format, Overflow, Rounding, Scalar, Scale, ScaleRule, Value};

/// fl32(1/6), 6 and 1.5: constants of the recipes.
const SIXTH: u32 = 0x3E2A_AAAB;
const SIX: u32 = 0x40C0_0000;
const HALF_MORE: u32 = 0x3FC0_0000;

/// Whose recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Recipe {
    TransformerEngine,
    TorchAo,
    CuDnn,
    FourOverSix { squared: bool },
}

/// A recipe and the formats of its scales and elements: the constants of one kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Coded {
    recipe: Recipe,
    pub(crate) two_level: bool,
    /// The scale's format.
    to_scale: Cast,
    from_scale: Decode,
    /// FP32 bits: its smallest normal and its largest number, the largest element, the product of both largest, and that of
    /// 6 and the largest scale.
    least: u32,
    most: u32,
    largest: u32,
    range: u32,
    range_of_six: u32,
    /// The element's format, to nearest even, for comparing errors.
    nearest: Cast,
    element: Decode,
}

impl Coded {
    /// The recipe of a format; `None` where its scales are no codes or its elements are not for kernels.
    pub fn new(format: &Format) -> Option<Self> {
        let scaling = format.scaling?;
        let Scale::Code(scale) = scaling.scale else { return None };
        let recipe = match scaling.rule {
            ScaleRule::Nvfp4Te => Recipe::TransformerEngine,
            ScaleRule::Nvfp4TorchAo => Recipe::TorchAo,
            ScaleRule::Nvfp4CuDnn => Recipe::CuDnn,
            ScaleRule::FourOverSixMae => Recipe::FourOverSix { squared: false },
            ScaleRule::FourOverSixMse => Recipe::FourOverSix { squared: true },
            _ => return None,
        };
        let rounding = if recipe == Recipe::CuDnn { Rounding::Up } else { Rounding::NearestEven };
        let bits = |exact: Exact| Value::Finite(exact).to_f32().to_bits();
        let of = |scalar: Scalar| bits(scalar.max());
        let (most, largest) = (of(scale), of(format.element));
        Some(Self {
            recipe,
            two_level: scaling.two_level,
            to_scale: Cast::new(scale, rounding, Overflow::Saturate)?,
            from_scale: Decode::new(scale)?,
            least: bits(Exact::integer(1).scaled(scale.emin())),
            most,
            largest,
            range: mul(most, largest),
            range_of_six: mul(SIX, most),
            nearest: Cast::new(format.element, Rounding::NearestEven, format.overflow)?,
            element: Decode::new(format.element)?,
        })
    }

    /// Whether the scale of a block needs more of it than its largest magnitude.
    pub const fn compares(self) -> bool {
        matches!(self.recipe, Recipe::FourOverSix { .. })
    }
}

/// The scale of a whole tensor, FP32 bits.
#[derive(CubeType, Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorScale {
    /// The largest magnitude.
    pub amax: u32,
    /// What values are multiplied by to find block scales; 1 where the recipe divides by `decode`.
    pub encode: u32,
    /// What is stored: a value is element * block scale * this.
    pub decode: u32,
}

/// The scale of a tensor whose largest magnitude is `amax`; 1 where the recipe has none.
#[cube]
pub fn tensor_scale(amax: u32, #[comptime] of: Coded) -> TensorScale {
    let mut encode = ONE.runtime();
    let mut decode = ONE.runtime();
    if comptime!(of.two_level) {
        let range = of.range;
        if comptime!(matches!(of.recipe, Recipe::TorchAo)) {
            let quotient = div(amax, range.runtime());
            decode = select(quotient == 0u32, ONE, quotient);
        } else {
            let quotient = min(div(range.runtime(), amax), LARGEST);
            encode = select(amax == 0u32 || quotient == 0u32, ONE, quotient);
            decode = div(ONE.runtime(), encode);
        }
    }
    TensorScale { amax, encode, decode }
}

/// The scale of one block.
#[derive(CubeType, Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockScale {
    /// Its code.
    pub code: u32,
    /// What the code stands for, FP32 bits.
    pub value: u32,
    /// What values are multiplied by (torchao: divided by) before they are rounded to elements.
    pub by: u32,
}

/// A number that is not negative in the scale's format, and what TransformerEngine multiplies by then.
#[cube]
fn reciprocal_scale(target: u32, tensor: &TensorScale, #[comptime] of: Coded) -> BlockScale {
    let code = to_code(target, of);
    let value = scale_value(code, of);
    // NaN, from a tensor scale that is infinite, is above all and becomes the largest number as on the CPU.
    BlockScale { code, value, by: min(div(ONE.runtime(), mul(value, tensor.decode)), LARGEST) }
}

#[cube]
fn to_code(target: u32, #[comptime] of: Coded) -> u32 {
    let cast = of.to_scale;
    encode(target, comptime!(cast.lsb_min).runtime(), 0u32, cast)
}

/// What the code of a scale stands for, FP32 bits.
#[cube]
pub fn scale_value(code: u32, #[comptime] of: Coded) -> u32 {
    let from = of.from_scale;
    value(&decode(code, from), 0i32.runtime())
}

/// The scale of a block by its largest magnitude; of four-over-six the one that takes it to 6.
#[cube]
pub fn block_scale(amax: u32, tensor: &TensorScale, #[comptime] of: Coded) -> BlockScale {
    let largest = of.largest;
    match comptime!(of.recipe) {
        Recipe::TransformerEngine => {
            let target = min(mul(amax, mul(tensor.encode, SIXTH.runtime())), LARGEST);
            reciprocal_scale(target, tensor, of)
        }
        Recipe::FourOverSix { .. } => reciprocal_scale(target_of_six(amax, tensor), tensor, of),
        Recipe::TorchAo => {
            let own = div(amax, largest.runtime());
            let mut target = own;
            if comptime!(of.two_level) {
                target = div(own, tensor.decode);
            }
            let code = to_code(min(max(target, comptime!(of.least)), comptime!(of.most)), of);
            let value = scale_value(code, of);
            BlockScale { code, value, by: mul(tensor.decode, value) }
        }
        Recipe::CuDnn => {
            let code = to_code(div(amax, largest.runtime()), of);
            let value = scale_value(code, of);
            BlockScale { code, value, by: select(value == 0u32, 0u32, div(ONE.runtime(), value)) }
        }
    }
}

#[cube]
fn target_of_six(amax: u32, tensor: &TensorScale) -> u32 {
    mul(div(amax, SIX.runtime()), tensor.encode)
}

/// The scale of a block that takes its largest magnitude to 4: 1.5 times as large.
#[cube]
pub fn block_scale_to_four(amax: u32, tensor: &TensorScale, #[comptime] of: Coded) -> BlockScale {
    reciprocal_scale(mul(target_of_six(amax, tensor), HALF_MORE.runtime()), tensor, of)
}

/// What is rounded to an element: the product (torchao: the quotient), held to the largest element. A zero loses its sign
/// in the recipes of TransformerEngine.
#[cube]
pub fn coded_product(v: u32, by: u32, #[comptime] of: Coded) -> u32 {
    let largest = of.largest;
    let product = if comptime!(matches!(of.recipe, Recipe::TorchAo)) { div(v, by) } else { mul(v, by) };
    let held = within(product, largest.runtime());
    let mut kept = held;
    if comptime!(!matches!(of.recipe, Recipe::TorchAo | Recipe::CuDnn)) {
        kept = select(held == SIGN, 0u32, held);
    }
    kept
}

/// The value of an element under both scales, held to the largest number.
#[cube]
pub fn coded_value(element: u32, scale: u32, tensor: u32) -> u32 {
    within(mul(mul(element, scale), tensor), LARGEST)
}

/// A sum of errors with that of one more number.
#[cube]
pub fn with_error(sum: u32, v: u32, scale: &BlockScale, tensor: &TensorScale, #[comptime] of: Coded) -> u32 {
    let (nearest, element) = (of.nearest, of.element);
    let product = coded_product(v, scale.by, of);
    let code = encode(product, comptime!(nearest.lsb_min).runtime(), 0u32, nearest);
    let rounded = value(&decode(code, element), 0i32.runtime());
    let restored = div(mul(mul(rounded, scale.value), tensor.amax), comptime!(of.range_of_six).runtime());
    let difference = add(restored, v ^ SIGN);
    let mut error = difference & MAGNITUDE;
    if comptime!(matches!(of.recipe, Recipe::FourOverSix { squared: true })) {
        error = mul(difference, difference);
    }
    add(sum, error)
}

/// Whether one sum of errors is less than another.
#[cube]
pub fn less(a: u32, b: u32) -> bool {
    a < b && b <= INFINITY
}
