//! Factors that results are multiplied by, one a row of x and one a row of w.
#![allow(missing_docs)] // `cube` makes modules and types beside what is documented here.

use crate::bits::float::mul;
use cubecl::prelude::*;

/// FP32's 1.
pub const ONE: u32 = 0x3F80_0000;

/// `fl(fl(x * w) * y)`; `nan` where it is NaN.
#[cube]
pub fn scaled(x: u32, w: u32, y: u32, #[comptime] nan: u32) -> u32 {
    let product = mul(mul(x, w), y);
    select(product & 0x7FFF_FFFFu32 > 0x7F80_0000u32, nan, product)
}

/// Scales `y`, `[m, n]`, by `x`, `[m]`, and `w`, `[n]`; by [`ONE`] for a side that has no factors.
#[cube(launch_unchecked)]
pub fn scale(
    x: &[u32],
    w: &[u32],
    y: &mut [u32],
    m: usize,
    n: usize,
    #[comptime] has_x: bool,
    #[comptime] has_w: bool,
    #[comptime] nan: u32,
) {
    if ABSOLUTE_POS < m * n {
        let left = if comptime!(has_x) { x[ABSOLUTE_POS / n] } else { x[0] };
        let right = if comptime!(has_w) { w[ABSOLUTE_POS % n] } else { w[0] };
        y[ABSOLUTE_POS] = scaled(left, right, y[ABSOLUTE_POS], nan);
    }
}
