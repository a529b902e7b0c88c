//! What a format does to one block and to one element; what is where in a matrix is the kernels' business.

use super::cast::{encode, kept};
use super::coded::{TensorScale, block_scale, coded_product, coded_value, scale_value};
use super::factor::{grid, grid_code, grid_element, real_factor, scaled};
use super::fields::{INFINITY, MAGNITUDE};
use super::power::{NAN_EXPONENT, exponent, unheld};
use super::read::{decode, extended, value};
use super::spec::{Element, Narrow, Shared, Spec, Special};
use crate::bits::{NAN, div};
use cubecl::prelude::*;

/// A value was refused by the record.
pub const REFUSED: u32 = 1;
/// A value was not finite, whatever the record says to it.
pub const NOT_FINITE: u32 = 2;

/// What scales need to know of the numbers of a block: the bits of the greatest magnitude of those with either sign.
/// Magnitudes are ordered like numbers, and NaN above all; so merging is exact and the same in any order.
#[derive(CubeType, CubeTypeMut, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Of numbers without a minus.
    pub height: u32,
    /// Of numbers with a minus.
    pub depth: u32,
}

/// That of one number.
#[cube]
pub fn summary(v: u32) -> Summary {
    let negative = v > MAGNITUDE;
    let magnitude = v & MAGNITUDE;
    Summary { height: select(negative, 0u32, magnitude), depth: select(negative, magnitude, 0u32) }
}

/// That of both.
#[cube]
pub fn merged(a: &Summary, b: &Summary) -> Summary {
    Summary { height: max(a.height, b.height), depth: max(a.depth, b.depth) }
}

/// A value in the input type of the format.
#[cube]
pub fn narrowed(v: u32, #[comptime] spec: Spec) -> u32 {
    match comptime!(spec.input) {
        None => v,
        Some(input) => {
            let Narrow { cast, read } = input;
            let code = encode(v, comptime!(cast.lsb_min).runtime(), 0u32, cast);
            let nan = v & MAGNITUDE > INFINITY && comptime!(!cast.has_nan);
            select(nan, NAN, value(&decode(code, read), 0i32.runtime()))
        }
    }
}

/// What there is to say of a value and of what it is in the input type: [`REFUSED`] and [`NOT_FINITE`].
#[cube]
pub fn flags(v: u32, narrow: u32, #[comptime] spec: Spec) -> u32 {
    let special = narrow & MAGNITUDE >= INFINITY;
    let nan = narrow & MAGNITUDE > INFINITY;
    let refused = match comptime!(spec.special) {
        Special::Refused => special,
        Special::NanBlock => false.runtime(),
        Special::Encoded => match comptime!(spec.element) {
            Element::Exact { .. } => false.runtime(),
            Element::Narrow(element) => nan && comptime!(!element.cast.has_nan),
        },
    };
    select(refused, REFUSED, 0u32) | select(v & MAGNITUDE >= INFINITY, NOT_FINITE, 0u32)
}

/// A scale as it is stored on the device, and what elements need beside it.
#[derive(CubeType, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Factor {
    /// The exponent of an element of value 1, as an i32, or [`NAN_EXPONENT`]; of microexponents the stored word; the bits of
    /// an FP32 factor; the code of a narrow float.
    pub scale: u32,
    /// A zero point; what a value under a coded scale is multiplied or divided by.
    pub aid: u32,
}

/// The scale of a block; the bits of microexponents join later.
#[cube]
pub fn block_factor(of: &Summary, tensor: &TensorScale, #[comptime] spec: Spec) -> Factor {
    let amax = max(of.height, of.depth);
    let bad = amax >= INFINITY;
    match comptime!(spec.shared) {
        Shared::Nothing => Factor { scale: 0u32.runtime(), aid: 0u32.runtime() },
        Shared::Power(exponents) => {
            let stored = exponent(amax, exponents);
            let nan = bad || stored == NAN_EXPONENT;
            let unit = select(nan, 0i32, stored) - comptime!(exponents.offset);
            Factor { scale: select(nan, NAN_EXPONENT, unit) as u32, aid: 0u32.runtime() }
        }
        Shared::Micro { exponents, .. } => {
            Factor { scale: exponent(amax, exponents) as u32 & 0xFFu32, aid: 0u32.runtime() }
        }
        Shared::Real { largest } => {
            Factor { scale: select(bad, NAN, real_factor(amax, largest.runtime())), aid: 0u32.runtime() }
        }
        Shared::Affine(affine) => {
            let grid = grid(of.height, of.depth, affine);
            Factor { scale: select(bad, NAN, grid.factor), aid: select(bad, 0u32, grid.zero) }
        }
        Shared::Coded(coded) => {
            let scale = block_scale(amax, tensor, coded);
            Factor { scale: scale.code, aid: scale.by }
        }
    }
}

/// 1 where a run of the block has its unit halved: `amax` is of the run, `shared` the stored exponent of the block.
#[cube]
pub fn halved(amax: u32, shared: u32, #[comptime] spec: Spec) -> u32 {
    match comptime!(spec.shared) {
        Shared::Micro { exponents, .. } => {
            select(amax == 0u32 || unheld(amax, exponents) < signed_byte(shared), 1u32, 0u32)
        }
        _ => 0u32.runtime(),
    }
}

/// The low 8 bits as two's complement.
#[cube]
pub fn signed_byte(word: u32) -> i32 {
    let low = (word & 0xFFu32) as i32;
    select(low > 127i32, low - 256i32, low)
}

/// What became of one element.
#[derive(CubeType, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rounded {
    /// Its code; an integer's sign is repeated above its width.
    pub code: u32,
    /// FP32 bits of what the code stands for without its scale; under a zero point the distance from it.
    pub element: u32,
    /// FP32 bits of its value.
    pub value: u32,
}

/// One element, the `place`-th of its block, already in the input type, under the scale of its block and the decode factor
/// of the tensor.
#[cube]
pub fn rounded(v: u32, of: &Factor, tensor: u32, place: u32, random: u32, #[comptime] spec: Spec) -> Rounded {
    match comptime!(spec.element) {
        Element::Exact { infinite } => {
            let magnitude = v & MAGNITUDE;
            let infinity = select(v > MAGNITUDE, comptime!(infinite[1]), comptime!(infinite[0]));
            let kept = select(magnitude > INFINITY, NAN, select(magnitude == INFINITY, infinity, v));
            Rounded { code: kept, element: kept, value: kept }
        }
        Element::Narrow(narrow) => match comptime!(spec.shared) {
            Shared::Nothing => under_power(v, 0i32.runtime(), random, narrow),
            Shared::Power(_) => {
                let nan = of.scale == NAN_EXPONENT as u32;
                let held = under_power(v, select(nan, 0i32, of.scale as i32), random, narrow);
                or_nan(nan, &held)
            }
            Shared::Micro { exponents, run } => {
                let halving = (of.scale >> (8u32 + place / run)) & 1u32;
                let power = signed_byte(of.scale) - comptime!(exponents.offset) - halving as i32;
                under_power(v, power, random, narrow)
            }
            Shared::Real { .. } => {
                let nan = of.scale & MAGNITUDE > INFINITY;
                let held = under_power(div(v, of.scale), 0i32.runtime(), random, narrow);
                let product = scaled(held.element, of.scale);
                or_nan(nan, &Rounded { code: held.code, element: held.element, value: product })
            }
            Shared::Affine(affine) => {
                let cast = narrow.cast;
                let quotient = div(v, of.scale);
                let kept = kept(quotient, comptime!(cast.lsb_min).runtime(), random, cast);
                let special = quotient & MAGNITUDE >= INFINITY;
                let units = select(special, 0u32, select(kept.vast, 4096u32, kept.units));
                let code = grid_code(quotient > MAGNITUDE, units, of.aid, affine);
                let element = grid_element(code, of.aid);
                Rounded { code, element, value: scaled(element, of.scale) }
            }
            Shared::Coded(coded) => {
                let held = under_power(coded_product(v, of.aid, coded), 0i32.runtime(), random, narrow);
                let value = coded_value(held.element, scale_value(of.scale, coded), tensor);
                Rounded { code: held.code, element: held.element, value }
            }
        },
    }
}

/// A value over 2^`power` rounded to an element.
#[cube]
fn under_power(v: u32, power: i32, random: u32, #[comptime] narrow: Narrow) -> Rounded {
    let Narrow { cast, read } = narrow;
    let code = encode(v, comptime!(cast.lsb_min) + power, random, cast);
    let number = decode(code, read);
    Rounded { code: extended(code, read), element: value(&number, 0i32.runtime()), value: value(&number, power) }
}

/// An element of a block whose scale is NaN, else the same.
#[cube]
fn or_nan(nan: bool, of: &Rounded) -> Rounded {
    Rounded {
        code: select(nan, 0u32, of.code),
        element: select(nan, 0u32, of.element),
        value: select(nan, NAN, of.value),
    }
}
