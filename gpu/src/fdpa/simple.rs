//! One output after the other, straight from the operands: what the tiled kernel is judged by, and what it leaves to.
#![allow(missing_docs)] // `cube` makes modules and types beside what is documented here.

use super::align::{Wide, left, negative, special, term};
use super::element::{Element, NOTHING, ZERO, element};
use super::register::{Register, bits, join, zero};
use super::step::{collect, common, count, finish, position, scale};
use super::unit::{Aligned, Joins, Port};
use cubecl::prelude::*;

/// The element at a position of a row that starts at `start`; zero from `k` on.
#[cube]
fn read(row: &[u32], start: usize, position: usize, k: usize, #[comptime] port: Port) -> Element {
    let mut found = Element { exponent: ZERO, significand: 0i32, known: true };
    if position < k {
        found = element(row[start + position], port);
    }
    found
}

/// The FP32 bits of output `(row, column)` of `x w^T`, from an accumulator of +0.
///
/// `x` and `w` are `[rows, k]` FP32 bits, `x_scales` and `w_scales` `[rows, k / block]` exponents of powers of two, and
/// `order` the positions of an instruction in the order of its steps; what the unit does not have is not read.
#[cube]
pub fn output(
    x: &[u32],
    w: &[u32],
    x_scales: &[u32],
    w_scales: &[u32],
    order: &[u32],
    row: usize,
    column: usize,
    k: usize,
    #[comptime] unit: Aligned,
) -> u32 {
    let length = unit.steps.length;
    let run = comptime!(unit.run());
    let mut register = zero();
    let mut total = zero();
    for step in 0..count(k, unit.steps) {
        let mut highest = i32::new(NOTHING);
        let mut flags = 0u32;
        for index in 0..length {
            let at = position(step, index, order, unit.steps);
            let a = read(x, row * k, at, k, comptime!(unit.ports[0]));
            let b = read(w, column * k, at, k, comptime!(unit.ports[1]));
            highest = max(highest, a.exponent + b.exponent);
            flags |= special(a.exponent + b.exponent, a.significand, b.significand);
        }
        let mut moved = 0i32;
        if comptime!(unit.scale_block > 0) {
            let block = comptime!(unit.scale_block);
            let blocks = k / block;
            let index = step * length / block;
            if index < blocks {
                let a = scale(x_scales[row * blocks + index], x, row * k, index * block, k, block);
                let b = scale(w_scales[column * blocks + index], w, column * k, index * block, k, block);
                moved = a + b;
                flags |= special(moved, 0i32, 0i32);
            }
        }
        let exponent = common(highest + moved, register.exponent, unit);
        let mut products = Wide { high: 0i32, low: 0i32 };
        for first in 0..comptime!(length.div_ceil(run)) {
            let mut sum = 0i32;
            for index in 0..run {
                if first * run + index < length {
                    let at = position(step, first * run + index, order, unit.steps);
                    let a = read(x, row * k, at, k, comptime!(unit.ports[0]));
                    let b = read(w, column * k, at, k, comptime!(unit.ports[1]));
                    let (l, r) = (left(a.significand, unit), b.significand);
                    sum += term(l, r, exponent - moved - a.exponent - b.exponent, unit) + negative(l, r);
                }
            }
            products = collect(&products, sum, unit);
        }
        register = finish(&products, exponent, &register, flags, unit);
        if comptime!(unit.joins != Joins::First) {
            if step % unit.steps.instruction == comptime!(unit.steps.instruction - 1) {
                total = joined(&register, &total, unit);
                register = zero();
            }
        }
    }
    let mut result = bits(&register, unit.rounded, unit.nan);
    if comptime!(unit.joins != Joins::First) {
        result = bits(&total, comptime!(unit.result()), unit.nan);
    }
    result
}

/// The accumulator that joins after an instruction, with the result of its steps.
#[cube]
pub fn joined(result: &Register, before: &Register, #[comptime] unit: Aligned) -> Register {
    join(result, before, unit.rounded, comptime!(unit.result()))
}

/// `y = x w^T`, `[m, n]`, one output a unit of the cube; see [`output`].
#[cube(launch_unchecked)]
pub fn simple(
    x: &[u32],
    w: &[u32],
    x_scales: &[u32],
    w_scales: &[u32],
    order: &[u32],
    y: &mut [u32],
    m: usize,
    n: usize,
    k: usize,
    #[comptime] unit: Aligned,
) {
    if ABSOLUTE_POS < m * n {
        y[ABSOLUTE_POS] = output(x, w, x_scales, w_scales, order, ABSOLUTE_POS / n, ABSOLUTE_POS % n, k, unit);
    }
}
