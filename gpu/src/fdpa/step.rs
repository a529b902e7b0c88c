//! One step of a unit: which positions it has, what their terms are aligned to, and what the accumulator becomes.
#![allow(missing_docs)] // `cube` makes modules and types beside what is documented here.

use super::align::{Wide, add, held};
use super::register::{Register, narrow, round, wide};
use super::unit::{Aligned, Steps};
use cubecl::prelude::*;

/// How many steps a reduction of length `k` has.
pub const fn count(k: usize, steps: Steps) -> usize {
    k.div_ceil(steps.length * steps.instruction) * steps.instruction
}

/// Which position of the reduction comes as number `index` of step `step`.
#[cube]
pub fn position(step: usize, index: usize, order: &[u32], #[comptime] steps: Steps) -> usize {
    let mut found = step * steps.length + index;
    if comptime!(steps.ordered) {
        let depth = comptime!(steps.length * steps.instruction);
        found = found / depth * depth + order[found % depth] as usize;
    }
    found
}

/// The exponent that the terms of a step are aligned to; `highest` is the largest of its products, scales included.
#[cube]
pub fn common(highest: i32, register: i32, #[comptime] unit: Aligned) -> i32 {
    max(max(highest, register), unit.floor)
}

/// A sum of products with a run of them, of at most [`Aligned::run`], added. A narrow sum is all in its lower part.
#[cube]
pub fn collect(sum: &Wide, run: i32, #[comptime] unit: Aligned) -> Wide {
    if comptime!(unit.is_narrow()) { Wide { high: sum.high, low: sum.low + run } } else { add(sum, run) }
}

/// The accumulator after a step: `products` are its aligned terms, `special` what is no number among them.
#[cube]
pub fn finish(products: &Wide, common: i32, before: &Register, special: u32, #[comptime] unit: Aligned) -> Register {
    let sum = collect(products, held(before.significand, common - before.exponent, unit), unit);
    let number = if comptime!(unit.is_narrow()) { narrow(sum.low) } else { wide(&sum) };
    let after = round(number, common - unit.fraction_bits, unit.rounded);
    let flags = before.flags | special;
    Register {
        significand: after.significand,
        exponent: after.exponent,
        flags: select(flags == 0u32, after.flags, flags),
    }
}
