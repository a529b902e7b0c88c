//! FP32 factors, with and without a zero point.

use super::cast::{Cast, encode};
use super::fields::{INFINITY, LARGEST, MAGNITUDE, ONE, SIGN};
use crate::bits::{add, div, from_i32, mul};
use cubecl::prelude::*;
use interplay_formats::{Format, Overflow, Rounding, Scale, ScaleRule, Value};

/// How a grid with a zero point lies: the constants of one kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Affine {
    /// Whether the interval is made symmetric, and the zero point that it then has.
    half: Option<u32>,
    /// The largest code, and the same as FP32.
    max_code: u32,
    largest: u32,
    /// To the nearest code.
    nearest: Cast,
}

impl Affine {
    /// The grid of a format; `None` where it has no zero point or its elements are not for kernels.
    pub fn new(format: &Format) -> Option<Self> {
        let scaling = format.scaling?;
        let Scale::Affine(bits) = scaling.scale else { return None };
        let half = match scaling.rule {
            ScaleRule::HalfGrid => Some(1 << (bits - 1)),
            ScaleRule::MinMax => None,
            _ => return None,
        };
        Some(Self {
            half,
            max_code: format.element.max_code() as u32,
            largest: Value::Finite(format.element.max()).to_f32().to_bits(),
            nearest: Cast::new(format.element, Rounding::NearestEven, Overflow::Saturate)?,
        })
    }
}

/// `v` held to magnitudes up to `limit`; NaN stays.
#[cube]
pub fn within(v: u32, limit: u32) -> u32 {
    let magnitude = v & MAGNITUDE;
    let held = select(magnitude > INFINITY, magnitude, min(magnitude, limit));
    held | (v & SIGN)
}

/// fl32(amax / largest element), and 1 where that is zero.
#[cube]
pub fn real_factor(amax: u32, largest: u32) -> u32 {
    let factor = div(amax, largest);
    select(factor == 0u32, ONE, factor)
}

/// A factor and its zero point.
#[derive(CubeType, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// The factor.
    pub factor: u32,
    /// The code of zero.
    pub zero: u32,
}

/// The grid over a block whose greatest number is `hi` and whose least one is -`depth`, both at least +0 and finite.
#[cube]
pub fn grid(hi: u32, depth: u32, #[comptime] of: Affine) -> Grid {
    let mut top = hi;
    let mut bottom = depth;
    if comptime!(of.half.is_some()) {
        let both = max(hi, depth);
        top = select(depth > 0u32, both, hi);
        bottom = select(depth > 0u32, both, 0u32);
    }
    let nothing = top == 0u32 && bottom == 0u32;
    top = select(nothing, ONE, top);
    bottom = select(nothing, ONE, bottom);
    let factor = real_factor(min(add(top, bottom), LARGEST), comptime!(of.largest).runtime());
    let zero = match comptime!(of.half) {
        Some(zero) => zero.runtime(),
        None => {
            let nearest = of.nearest;
            encode(div(bottom, factor), comptime!(nearest.lsb_min).runtime(), 0u32, nearest)
        }
    };
    Grid { factor, zero }
}

/// The code of an element: the rounded quotient plus the zero point, held to the range.
///
/// `units` are those of the quotient's magnitude, `vast` where they are beyond 31 bits.
#[cube]
pub fn grid_code(negative: bool, units: u32, zero: u32, #[comptime] of: Affine) -> u32 {
    let most = of.max_code;
    // More than any code moves.
    let far = min(units, 2048u32) as i32;
    let code = select(negative, -far, far) + zero as i32;
    clamp(code, 0i32, comptime!(most as i32)) as u32
}

/// An element of a grid without its factor: the code's distance from the zero point.
#[cube]
pub fn grid_element(code: u32, zero: u32) -> u32 {
    from_i32(code as i32 - zero as i32)
}

/// The value of an element under an FP32 factor, held to the largest number.
#[cube]
pub fn scaled(element: u32, factor: u32) -> u32 {
    within(mul(element, factor), LARGEST)
}
