//! Grouped units, one output after the other; see [`simple`](super::simple).
#![allow(missing_docs)] // `cube` makes modules and types beside what is documented here.

use super::align::{Wide, special};
use super::element::NOTHING;
use super::group::{common, finish, integer, presented, term};
use super::register::{Register, bits, copied, zero};
use super::simple::UNSETTLED;
use super::unit::Grouped;
use cubecl::prelude::*;

/// The exact sum of the products of a group, in quarters, and whether one of them is not zero.
#[derive(CubeType, CubeTypeMut, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// The sum.
    pub sum: i32,
    /// Whether a product is not zero.
    pub any: bool,
}

/// The group of the words from `a` and from `b` on.
#[cube]
fn group(x: &[u32], w: &[u32], a: usize, b: usize, #[comptime] unit: Grouped) -> Group {
    let mut sum = 0i32;
    let mut any = false;
    for index in 0..unit.group {
        let product = integer(x[a + index]) * integer(w[b + index]);
        sum += product;
        any = any || product != 0i32;
    }
    Group { sum, any }
}

/// The FP32 bits of output `(row, column)` of `c + x w^T`.
///
/// `x` and `w` are prepared words `[rows, steps, length]`, `x_scales` and `w_scales` `[rows, steps, groups]`.
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
    #[comptime] unit: Grouped,
) -> u32 {
    let groups = comptime!(unit.groups());
    let mut register = copied(c);
    for step in 0..steps {
        let (a, b) = ((row * steps + step) * groups, (column * steps + step) * groups);
        let mut highest = i32::new(NOTHING);
        let mut flags = 0u32;
        for index in 0..groups {
            let found = group(x, w, (a + index) * unit.group, (b + index) * unit.group, unit);
            let exponent = presented(x_scales[a + index], w_scales[b + index], found.any);
            highest = max(highest, exponent);
            flags |= special(exponent, 0i32, 0i32);
        }
        let aligned = common(highest, register.exponent, unit);
        let mut terms = Wide { high: 0i32, low: 0i32 };
        for index in 0..groups {
            let found = group(x, w, (a + index) * unit.group, (b + index) * unit.group, unit);
            let (x_scale, w_scale) = (x_scales[a + index], w_scales[b + index]);
            let distance = aligned - presented(x_scale, w_scale, found.any);
            let one = term(found.sum, x_scale, w_scale, distance, unit);
            terms = Wide { high: terms.high + one.high, low: terms.low + one.low };
        }
        register = finish(&terms, aligned, &register, flags, unit);
    }
    bits(&register, unit.rounded, unit.nan)
}

/// See [`simple`](super::simple::simple).
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
    #[comptime] unit: Grouped,
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
