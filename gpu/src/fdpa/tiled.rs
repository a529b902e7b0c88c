//! The same sums in tiles: a cube holds a tile of the operands in its shared memory, a unit several outputs.
//!
//! A step is two passes over its positions: the first finds the largest exponent of every output's products, the second
//! adds their terms. Positions lie apart by the padded height of the tile, so that neither filling nor reading the shared
//! memory meets one bank twice. Outputs that an infinity, a NaN or a NaN scale takes part in are left
//! [`UNSETTLED`] for [`simple`](super::simple::simple).
#![allow(missing_docs)] // `cube` makes modules and types beside what is documented here.

use super::align::{Wide, left, term};
use super::element::{FINITE, NOTHING, ZERO, exponent, significand, word};
use super::register::{Register, bits};
use super::simple::{UNSETTLED, joined};
use super::step::{collect, common, finish};
use super::unit::{Aligned, Joins};
use cubecl::prelude::*;

/// The shape of a cube's tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tile {
    /// Units of the cube along the rows of x, and along those of w.
    pub units: [usize; 2],
    /// Outputs of a unit along each.
    pub outputs: [usize; 2],
    /// Steps that the shared memory holds.
    pub steps: usize,
}

impl Tile {
    /// Rows of x, or of w.
    pub const fn rows(&self, side: usize) -> usize {
        self.units[side] * self.outputs[side]
    }

    /// Words between two positions in the shared memory.
    pub const fn stride(&self, side: usize) -> usize {
        self.rows(side) + 1
    }

    /// Bytes of shared memory.
    pub const fn bytes(&self, unit: &Aligned) -> usize {
        let words = self.steps * unit.steps.length * 2 + self.steps * (unit.steps.words() * 2 + 1);
        4 * words * (self.stride(0) + self.stride(1))
    }
}

/// The flag of an output that is left to the simple kernel.
const HELD: u32 = 0x8000_0000;

/// Fills the shared memory with a tile of one operand: the steps from `from`, the rows from `first`.
#[cube]
fn fill(
    words: &[u32],
    masks: &[u32],
    scales: &[u32],
    exponents: &mut Shared<[i32]>,
    factors: &mut Shared<[i32]>,
    signs: &mut Shared<[u32]>,
    moves: &mut Shared<[i32]>,
    first: usize,
    from: usize,
    rows: usize,
    steps: usize,
    #[comptime] side: usize,
    #[comptime] tile: Tile,
    #[comptime] unit: Aligned,
) {
    let height = comptime!(tile.rows(side));
    let stride = comptime!(tile.stride(side));
    let units = comptime!(tile.units[0] * tile.units[1]);
    let length = comptime!(tile.steps * unit.steps.length);
    let unit_position = UNIT_POS as usize;
    for turn in 0..comptime!((height * length).div_ceil(units)) {
        let index = turn * units + unit_position;
        if index < height * length {
            let at = index % length;
            let row = index / length;
            let position = from * unit.steps.length + at;
            let mut found = word(ZERO, 0i32);
            if first + row < rows && position < steps * unit.steps.length {
                found = words[(first + row) * steps * unit.steps.length + position];
            }
            exponents[at * stride + row] = exponent(found);
            if comptime!(side == 0) {
                factors[at * stride + row] = left(significand(found), unit);
            } else {
                factors[at * stride + row] = significand(found);
            }
        }
    }
    let masked = comptime!(tile.steps * unit.steps.words() * 2);
    for turn in 0..comptime!((height * masked).div_ceil(units)) {
        let index = turn * units + unit_position;
        if index < height * masked {
            let at = index % masked;
            let row = index / masked;
            let position = from * comptime!(unit.steps.words() * 2) + at;
            let mut found = 0u32;
            if first + row < rows && position < steps * comptime!(unit.steps.words() * 2) {
                found = masks[(first + row) * steps * comptime!(unit.steps.words() * 2) + position];
            }
            signs[at * stride + row] = found;
        }
    }
    if comptime!(unit.scaling.is_some()) {
        for turn in 0..comptime!((height * tile.steps).div_ceil(units)) {
            let index = turn * units + unit_position;
            if index < height * tile.steps {
                let at = index % tile.steps;
                let row = index / tile.steps;
                let mut found = 0i32;
                if first + row < rows && from + at < steps {
                    found = exponent(scales[(first + row) * steps + from + at]);
                }
                moves[at * stride + row] = found;
            }
        }
    }
}

/// `y = x w^T`, `[m, n]`, from operands as [`output`](super::simple::output) takes them and their masks. The cubes along
/// the first axis have the rows of w, those along the second the rows of x.
#[cube(launch_unchecked)]
pub fn tiled(
    x: &[u32],
    w: &[u32],
    x_masks: &[u32],
    w_masks: &[u32],
    x_scales: &[u32],
    w_scales: &[u32],
    y: &mut [u32],
    m: usize,
    n: usize,
    steps: usize,
    #[comptime] tile: Tile,
    #[comptime] unit: Aligned,
) {
    let length = comptime!(tile.steps * unit.steps.length);
    let masked = comptime!(tile.steps * unit.steps.words() * 2);
    let (tall, wide) = comptime!((tile.outputs[0], tile.outputs[1]));
    let (a_stride, b_stride) = comptime!((tile.stride(0), tile.stride(1)));
    let scaled = comptime!(if unit.scaling.is_some() { tile.steps } else { 1 });
    let mut a_exponents = Shared::<[i32]>::new_slice(comptime!(length * a_stride));
    let mut b_exponents = Shared::<[i32]>::new_slice(comptime!(length * b_stride));
    let mut a_factors = Shared::<[i32]>::new_slice(comptime!(length * a_stride));
    let mut b_factors = Shared::<[i32]>::new_slice(comptime!(length * b_stride));
    let mut a_signs = Shared::<[u32]>::new_slice(comptime!(masked * a_stride));
    let mut b_signs = Shared::<[u32]>::new_slice(comptime!(masked * b_stride));
    let mut a_moves = Shared::<[i32]>::new_slice(comptime!(scaled * a_stride));
    let mut b_moves = Shared::<[i32]>::new_slice(comptime!(scaled * b_stride));

    let across = UNIT_POS as usize % comptime!(tile.units[1]);
    let down = UNIT_POS as usize / comptime!(tile.units[1]);
    let row = CUBE_POS_Y as usize * comptime!(tile.rows(0));
    let column = CUBE_POS_X as usize * comptime!(tile.rows(1));

    let outputs = comptime!(tall * wide);
    let mut significands = Array::<i32>::new(outputs);
    let mut exponents = Array::<i32>::new(outputs);
    let mut flags = Array::<u32>::new(outputs);
    let mut total_significands = Array::<i32>::new(outputs);
    let mut total_exponents = Array::<i32>::new(outputs);
    let mut total_flags = Array::<u32>::new(outputs);
    #[unroll]
    for o in 0..outputs {
        significands[o] = 0i32;
        exponents[o] = i32::new(comptime!(ZERO as i64));
        flags[o] = 0u32;
        total_significands[o] = 0i32;
        total_exponents[o] = i32::new(comptime!(ZERO as i64));
        total_flags[o] = 0u32;
    }

    let mut from = 0usize;
    while from < steps {
        sync_cube();
        fill(
            x, x_masks, x_scales, &mut a_exponents, &mut a_factors, &mut a_signs, &mut a_moves, row, from, m, steps, 0usize,
            tile, unit,
        );
        fill(
            w, w_masks, w_scales, &mut b_exponents, &mut b_factors, &mut b_signs, &mut b_moves, column, from, n, steps,
            1usize, tile, unit,
        );
        sync_cube();
        for step in 0..min(tile.steps, steps - from) {
            let first = step * unit.steps.length;
            let mut aligned = Array::<i32>::new(outputs);
            #[unroll]
            for o in 0..outputs {
                aligned[o] = i32::new(NOTHING);
            }
            for p in first..first + unit.steps.length {
                let mut a = Array::<i32>::new(tall);
                #[unroll]
                for i in 0..tall {
                    a[i] = a_exponents[p * a_stride + down + comptime!(i * tile.units[0])];
                }
                #[unroll]
                for j in 0..wide {
                    let b = b_exponents[p * b_stride + across + comptime!(j * tile.units[1])];
                    #[unroll]
                    for i in 0..tall {
                        aligned[i * wide + j] = max(aligned[i * wide + j], a[i] + b);
                    }
                }
            }
            // From here on: the common exponent without the scales, so that distances are from elements alone.
            let mut scales = Array::<i32>::new(outputs);
            #[unroll]
            for i in 0..tall {
                #[unroll]
                for j in 0..wide {
                    let o = comptime!(i * wide + j);
                    scales[o] = 0i32;
                    if comptime!(unit.scaling.is_some()) {
                        scales[o] = a_moves[step * a_stride + down + comptime!(i * tile.units[0])]
                            + b_moves[step * b_stride + across + comptime!(j * tile.units[1])];
                    }
                    let highest = aligned[o] + scales[o];
                    flags[o] |= select(highest > FINITE || scales[o] > FINITE, HELD, 0u32);
                    aligned[o] = common(highest, exponents[o], unit) - scales[o];
                }
            }
            let mut high = Array::<i32>::new(outputs);
            let mut low = Array::<i32>::new(outputs);
            let mut sums = Array::<i32>::new(outputs);
            #[unroll]
            for i in 0..tall {
                #[unroll]
                for j in 0..wide {
                    let o = comptime!(i * wide + j);
                    high[o] = 0i32;
                    low[o] = 0i32;
                    let mut negatives = 0u32;
                    #[unroll]
                    for word in 0..comptime!(unit.steps.words()) {
                        let at = (step * comptime!(unit.steps.words()) + word) * 2;
                        let a = at * a_stride + down + comptime!(i * tile.units[0]);
                        let b = at * b_stride + across + comptime!(j * tile.units[1]);
                        let signs = a_signs[a] ^ b_signs[b];
                        negatives += (signs & a_signs[a + a_stride] & b_signs[b + b_stride]).count_ones();
                    }
                    sums[o] = negatives as i32;
                }
            }
            let run = comptime!(unit.run());
            #[unroll]
            for part in 0..comptime!(unit.steps.length.div_ceil(run)) {
                for p in first + part * run..first + comptime!(if (part + 1) * run < unit.steps.length { (part + 1) * run } else { unit.steps.length }) {
                    let mut a = Array::<i32>::new(tall);
                    let mut a_factor = Array::<i32>::new(tall);
                    #[unroll]
                    for i in 0..tall {
                        a[i] = a_exponents[p * a_stride + down + comptime!(i * tile.units[0])];
                        a_factor[i] = a_factors[p * a_stride + down + comptime!(i * tile.units[0])];
                    }
                    #[unroll]
                    for j in 0..wide {
                        let b = b_exponents[p * b_stride + across + comptime!(j * tile.units[1])];
                        let b_factor = b_factors[p * b_stride + across + comptime!(j * tile.units[1])];
                        #[unroll]
                        for i in 0..tall {
                            let o = comptime!(i * wide + j);
                            sums[o] += term(a_factor[i], b_factor, aligned[o] - a[i] - b, unit);
                        }
                    }
                }
                #[unroll]
                for o in 0..outputs {
                    let sum = Wide { high: high[o], low: low[o] };
                    let sum = collect(&sum, sums[o], unit);
                    high[o] = sum.high;
                    low[o] = sum.low;
                    sums[o] = 0i32;
                }
            }
            #[unroll]
            for o in 0..outputs {
                let sum = Wide { high: high[o], low: low[o] };
                let before = Register { significand: significands[o], exponent: exponents[o], flags: flags[o] };
                let after = finish(&sum, aligned[o] + scales[o], &before, 0u32, unit);
                significands[o] = after.significand;
                exponents[o] = after.exponent;
                flags[o] = after.flags;
            }
            if comptime!(unit.joins != Joins::First) {
                if (from + step) % unit.steps.instruction == comptime!(unit.steps.instruction - 1) {
                    #[unroll]
                    for o in 0..outputs {
                        let result = Register { significand: significands[o], exponent: exponents[o], flags: flags[o] };
                        let before = Register {
                            significand: total_significands[o],
                            exponent: total_exponents[o],
                            flags: total_flags[o],
                        };
                        let after = joined(&result, &before, unit);
                        total_significands[o] = after.significand;
                        total_exponents[o] = after.exponent;
                        total_flags[o] = after.flags;
                        significands[o] = 0i32;
                        exponents[o] = i32::new(comptime!(ZERO as i64));
                        flags[o] = 0u32;
                    }
                }
            }
        }
        from += tile.steps;
    }

    #[unroll]
    for i in 0..tall {
        #[unroll]
        for j in 0..wide {
            let o = comptime!(i * wide + j);
            if comptime!(unit.joins != Joins::First) {
                significands[o] = total_significands[o];
                exponents[o] = total_exponents[o];
                flags[o] = total_flags[o];
            }
            let at_row = row + down + comptime!(i * tile.units[0]);
            let at_column = column + across + comptime!(j * tile.units[1]);
            if at_row < m && at_column < n {
                let result = Register { significand: significands[o], exponent: exponents[o], flags: flags[o] };
                let settled = bits(&result, comptime!(unit.result()), unit.nan);
                y[at_row * n + at_column] = select(flags[o] >= HELD, UNSETTLED, settled);
            }
        }
    }
}
