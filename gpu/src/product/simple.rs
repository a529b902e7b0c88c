//! One output after the other, straight from the operands in exact integers: the judge of the tiled kernel.

use super::element::{decode, scale};
use super::finish::{SUM_OTHER, accumulate, flags, integer, pair, scaled, special};
use super::unit::Unit;
use crate::bits::{Wide, Wide3, add, add_wide, add_wide3, shift_left3, times3, widened};
use cubecl::prelude::*;

/// The result at `(row, column)` before the factors of its row and column.
///
/// `x` and `w` are `[rows, k]` FP32 bits of elements, their scales `[rows, k / block]`; `table` holds what codes of scales
/// stand for, 256 words for w after those for x.
#[cube]
pub fn output(
    x: &[u32],
    w: &[u32],
    x_scales: &[u32],
    w_scales: &[u32],
    table: &[u32],
    row: usize,
    column: usize,
    k: usize,
    #[comptime] unit: Unit,
) -> u32 {
    let run = comptime!(unit.run());
    let runs = (k + run - 1) / run;
    let mut accumulator = 0u32;
    let mut total = Wide { high: 0u32, low: 0u32 };
    for block in 0..runs {
        let mut sum = Wide3 { high: 0u32, middle: 0u32, low: 0u32 };
        let mut seen = 0u32;
        let mut x_bits = 0u32;
        let mut w_bits = 0u32;
        for i in 0..run {
            let at = block * run + i;
            if at < k {
                let a = decode(x[row * k + at], unit.x);
                let b = decode(w[column * k + at], unit.w);
                let product = widened(a.significand * b.significand, 0u32);
                sum = add_wide3(&sum, &shift_left3(&product, a.places + b.places));
                seen |= flags(&a, &b);
                x_bits |= x[row * k + at] << 1u32;
                w_bits |= w[column * k + at] << 1u32;
            }
        }
        if comptime!(unit.is_integer()) {
            total = add_wide(&total, &Wide { high: sum.middle, low: sum.low });
        } else {
            let a = scale(x_scales[row * runs + block], table, 0usize, x_bits == 0u32, unit.x_scale);
            let b = scale(w_scales[column * runs + block], table, 256usize, w_bits == 0u32, unit.w_scale);
            let both = pair(a, b, unit);
            let whole = times3(&sum, both.factor as u32);
            let no_number = special(seen, a, b);
            let next = accumulate(accumulator, &whole, both.exponent, (seen & SUM_OTHER) != 0u32, unit);
            accumulator = select(no_number == 0u32, next, add(accumulator, no_number));
        }
    }
    let mut result = accumulator;
    if comptime!(unit.is_integer()) {
        result = integer(&total, unit);
    }
    result
}

/// `y = x w^T`, `[m, n]` FP32 bits, one output a unit of the cube.
#[cube(launch)]
pub fn simple(
    x: &[u32],
    w: &[u32],
    x_scales: &[u32],
    w_scales: &[u32],
    table: &[u32],
    x_factors: &[u32],
    w_factors: &[u32],
    y: &mut [u32],
    n: usize,
    k: usize,
    #[comptime] unit: Unit,
) {
    if ABSOLUTE_POS < y.len() {
        let (row, column) = (ABSOLUTE_POS / n, ABSOLUTE_POS % n);
        let d = output(x, w, x_scales, w_scales, table, row, column, k, unit);
        y[ABSOLUTE_POS] = scaled(d, x_factors, w_factors, row, column, unit);
    }
}
