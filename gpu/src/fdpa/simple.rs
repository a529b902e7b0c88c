//! One output after the other: what the tiled kernel is judged by, and what it leaves to.
#![allow(missing_docs)] // `cube` makes modules and types beside what is documented here.

use super::align::{Wide, left, negative, special, term};
use super::element::{NOTHING, exponent, significand};
use super::register::{Register, bits, copied, join, zero};
use super::step::{collect, common, finish};
use super::unit::{Aligned, Joins};
use cubecl::prelude::*;

/// The FP32 bits of output `(row, column)` of `c + x w^T`.
///
/// `x` and `w` are prepared words `[rows, steps, length]`, `x_scales` and `w_scales` `[rows, steps]` words, which are not
/// read where the unit has none.
#[cube]
pub fn output(
    x: &[u32],
    w: &[u32],
    x_scales: &[u32],
    w_scales: &[u32],
    row: usize,
    column: usize,
    steps: usize,
    c: &Register,
    #[comptime] unit: Aligned,
) -> u32 {
    let length = unit.steps.length;
    let run = comptime!(unit.run());
    let mut register = zero();
    let mut total = zero();
    if comptime!(unit.joins == Joins::First) {
        register = copied(c);
    } else {
        total = copied(c);
    }
    for step in 0..steps {
        let a = (row * steps + step) * length;
        let b = (column * steps + step) * length;
        let mut highest = i32::new(NOTHING);
        let mut flags = 0u32;
        for index in 0..length {
            let sum = exponent(x[a + index]) + exponent(w[b + index]);
            highest = max(highest, sum);
            flags |= special(sum, significand(x[a + index]), significand(w[b + index]));
        }
        let mut scale = 0i32;
        if comptime!(unit.scaling.is_some()) {
            scale = exponent(x_scales[row * steps + step]) + exponent(w_scales[column * steps + step]);
            flags |= special(scale, 0i32, 0i32);
        }
        let aligned = common(highest + scale, register.exponent, unit);
        let mut products = Wide { high: 0i32, low: 0i32 };
        for first in 0..comptime!(length.div_ceil(run)) {
            let mut sum = 0i32;
            for index in first * run..min(first * run + run, length) {
                let (l, r) = (left(significand(x[a + index]), unit), significand(w[b + index]));
                let distance = aligned - scale - exponent(x[a + index]) - exponent(w[b + index]);
                sum += term(l, r, distance, unit) + negative(l, r);
            }
            products = collect(&products, sum, unit);
        }
        register = finish(&products, aligned, &register, flags, unit);
        if comptime!(unit.joins != Joins::First) {
            if step % unit.steps.instruction == comptime!(unit.steps.instruction - 1) {
                total = joined(&register, &total, unit);
                register = zero();
            }
        }
    }
    if comptime!(unit.joins != Joins::First) {
        bits(&total, comptime!(unit.result()), unit.nan)
    } else {
        bits(&register, unit.rounded, unit.nan)
    }
}

/// The accumulator that joins after an instruction, with the result of its steps.
#[cube]
pub fn joined(result: &Register, before: &Register, #[comptime] unit: Aligned) -> Register {
    join(result, before, unit.rounded, comptime!(unit.result()))
}

/// What the tiled kernel writes where it leaves an output to [`simple`]: a NaN that no unit writes.
pub const UNSETTLED: u32 = 0x7FA5_C3E1;

/// `y = x w^T`, `[m, n]`, one output a unit of the cube, see [`output`]; where `only_unsettled`, those alone that are
/// [`UNSETTLED`].
#[cube(launch_unchecked)]
pub fn simple(
    x: &[u32],
    w: &[u32],
    x_scales: &[u32],
    w_scales: &[u32],
    y: &mut [u32],
    m: usize,
    n: usize,
    steps: usize,
    #[comptime] only_unsettled: bool,
    #[comptime] unit: Aligned,
) {
    if ABSOLUTE_POS < m * n {
        let mut wanted = true;
        if comptime!(only_unsettled) {
            wanted = y[ABSOLUTE_POS] == UNSETTLED;
        }
        if wanted {
            y[ABSOLUTE_POS] =
                output(x, w, x_scales, w_scales, ABSOLUTE_POS / n, ABSOLUTE_POS % n, steps, &zero(), unit);
        }
    }
}
