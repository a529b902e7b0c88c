//! Operands as the kernels of a unit read them: decoded, in the order of its steps, with masks of their signs.
#![allow(missing_docs)] // `cube` makes modules and types beside what is documented here.

use super::element::{Element, SPECIAL, ZERO, element, scale, word};
use super::step::position;
use super::unit::{Port, Scaling, Side};
use cubecl::prelude::*;

/// The element at a position of a row that starts at `start`; zero from `k` on.
#[cube]
pub fn read(elements: &[u32], start: usize, position: usize, k: usize, #[comptime] port: Port) -> Element {
    let mut found = Element { exponent: i32::new(comptime!(ZERO as i64)), significand: 0i32, known: true };
    if position < k {
        found = element(elements[start + position], port);
    }
    found
}

/// Prepares `[rows, k]` FP32 bits, and their scales `[rows, k / block]` where there are some.
///
/// Writes `words` `[rows, steps, length]`; `masks` `[rows, steps, words, 2]`, which elements are negative and which are
/// not zero; `factors` `[rows, steps, scales]`, where there are some; and 1 to `status[side]` where an element is none of
/// the format. Each unit of the cube has one word of masks.
#[cube(launch_unchecked)]
pub fn prepare(
    elements: &[u32],
    scales: &[u32],
    order: &[u32],
    words: &mut [u32],
    masks: &mut [u32],
    factors: &mut [u32],
    status: &mut [u32],
    rows: usize,
    k: usize,
    steps: usize,
    #[comptime] side: Side,
) {
    let per_step = comptime!(side.steps.words());
    let length = side.steps.length;
    if ABSOLUTE_POS < rows * steps * per_step {
        let first = ABSOLUTE_POS % per_step * 32;
        let step = ABSOLUTE_POS / per_step % steps;
        let row = ABSOLUTE_POS / per_step / steps;
        let mut negative = 0u32;
        let mut number = 0u32;
        let mut known = true;
        for bit in 0..min(32, length - first) {
            let at = position(step, first + bit, order, side.steps);
            let found = read(elements, row * k, at, k, side.port);
            words[(row * steps + step) * length + first + bit] = word(found.exponent, found.significand);
            negative |= select(found.significand < 0i32, 1u32, 0u32) << (bit as u32);
            number |= select(found.significand != 0i32, 1u32, 0u32) << (bit as u32);
            known = known && found.known;
        }
        masks[2 * ABSOLUTE_POS] = negative;
        masks[2 * ABSOLUTE_POS + 1] = number;
        if !known {
            status[side.index] = 1u32;
        }
        if comptime!(side.scaling.is_some()) {
            if first == 0 {
                let scaling = comptime!(side.scaling.unwrap());
                for part in 0..comptime!(side.scales()) {
                    let at = step * length + part * scaling.every;
                    factors[(row * steps + step) * comptime!(side.scales()) + part] =
                        factor(elements, scales, row, at, k, scaling);
                }
            }
        }
    }
}

/// The scale of the block that position `at` of a row is in, as a word; 1 beyond `k`.
#[cube]
pub fn factor(elements: &[u32], scales: &[u32], row: usize, at: usize, k: usize, #[comptime] scaling: Scaling) -> u32 {
    let block = at / scaling.block;
    let blocks = k / scaling.block;
    let mut found = word(0i32, 1i32);
    if block < blocks {
        let read = scale(scales[row * blocks + block], scaling.port);
        found = word(read.exponent, read.significand);
        if read.exponent == SPECIAL {
            // The scale of a block of zeros has no effect.
            let mut any = 0u32;
            for i in 0..scaling.block {
                any |= elements[row * k + block * scaling.block + i] & 0x7FFF_FFFFu32;
            }
            found = select(any == 0u32, word(0i32, 1i32), found);
        }
    }
    found
}
