//! The sums of [`simple`](super::simple) in tiles: a cube holds a tile of the operands in its shared memory, a unit
//! several outputs.
//!
//! A step is two passes over its positions: the first finds the largest exponent of every output's products, the second
//! adds their terms. Outputs that an infinity, a NaN or a NaN scale takes part in are left to the simple kernel.
#![allow(missing_docs)] // `cube` makes modules and types beside what is documented here.

use super::align::{Wide, left, term};
use super::element::{FINITE, NOTHING, ZERO, exponent, significand, word};
use super::simple::joined;
use super::step::{collect, common, finish};
use super::tile::{Held, Place, Tile, Window, copy, fetch, place, stride, write};
use super::unit::{Aligned, Joins};
use cubecl::prelude::*;

/// Bytes of shared memory that a tile takes.
pub const fn bytes(tile: Tile, unit: &Aligned) -> usize {
    let words = tile.steps * (2 * unit.steps.length + 2 * unit.steps.words() + 1);
    4 * words * (stride(tile.rows(0)) + stride(tile.rows(1)))
}

/// One operand's part of a tile.
#[derive(CubeType)]
struct Part {
    /// `[positions, stride]`.
    exponents: Shared<[i32]>,
    /// `[positions, stride]`.
    factors: Shared<[i32]>,
    /// `[steps, words, 2, stride]`: which are negative, which are not zero.
    signs: Shared<[u32]>,
    /// `[steps, stride]`: scales.
    scales: Shared<[u32]>,
}

#[cube]
impl Part {
    fn new(#[comptime] side: usize, #[comptime] tile: Tile, #[comptime] unit: Aligned) -> Part {
        let stride = comptime!(stride(tile.rows(side)) * tile.steps);
        Part {
            exponents: Shared::<[i32]>::new_slice(comptime!(stride * unit.steps.length)),
            factors: Shared::<[i32]>::new_slice(comptime!(stride * unit.steps.length)),
            signs: Shared::<[u32]>::new_slice(comptime!(stride * unit.steps.words() * 2)),
            scales: Shared::<[u32]>::new_slice(stride),
        }
    }

    /// Fills it with the words of a window, whose places are steps.
    fn fill(
        &mut self,
        words: &[u32],
        window: &Window,
        #[comptime] side: usize,
        #[comptime] tile: Tile,
        #[comptime] unit: Aligned,
    ) {
        let height = comptime!(tile.rows(side));
        let length = comptime!(tile.steps * unit.steps.length);
        let positions = window.each(unit.steps.length);
        for turn in 0..comptime!((height * length).div_ceil(tile.cube())) {
            let index = turn * comptime!(tile.cube()) + UNIT_POS as usize;
            if index < comptime!(height * length) {
                let (at, row) = (index % length, index / length);
                let found = fetch(words, &positions, row, at, word(ZERO, 0i32));
                let to = at * comptime!(stride(height)) + row;
                self.exponents[to] = exponent(found);
                self.factors[to] =
                    if comptime!(side == 0) { left(significand(found), unit) } else { significand(found) };
            }
        }
    }

    /// Fills it with the masks and scales of a window.
    fn fill_notes(
        &mut self,
        masks: &[u32],
        scales: &[u32],
        window: &Window,
        #[comptime] side: usize,
        #[comptime] tile: Tile,
        #[comptime] unit: Aligned,
    ) {
        let height = comptime!(tile.rows(side));
        let each = comptime!(unit.steps.words() * 2);
        let places = comptime!(tile.steps * each);
        copy(masks, &mut self.signs, &window.each(each), 0u32, places, height, comptime!(tile.cube()));
        if comptime!(unit.scaling.is_some()) {
            copy(scales, &mut self.scales, window, word(0i32, 1i32), tile.steps, height, comptime!(tile.cube()));
        }
    }
}

/// The largest exponent of the products of every output of a unit, in the step whose first position is `first`.
#[cube]
fn highest(
    a: &Part,
    b: &Part,
    place: &Place,
    first: usize,
    #[comptime] tile: Tile,
    #[comptime] unit: Aligned,
) -> Array<i32> {
    let (tall, wide) = comptime!((tile.outputs[0], tile.outputs[1]));
    let mut highest = Array::<i32>::new(comptime!(tall * wide));
    #[unroll]
    for o in 0..comptime!(tall * wide) {
        highest[o] = i32::new(NOTHING);
    }
    for p in first..first + unit.steps.length {
        let mut rows = Array::<i32>::new(tall);
        #[unroll]
        for i in 0..tall {
            rows[i] = a.exponents[p * comptime!(stride(tile.rows(0))) + place.down + comptime!(i * tile.units[0])];
        }
        #[unroll]
        for j in 0..wide {
            let column = b.exponents[p * comptime!(stride(tile.rows(1))) + place.across + comptime!(j * tile.units[1])];
            #[unroll]
            for i in 0..tall {
                let o = comptime!(i * wide + j);
                highest[o] = max(highest[o], rows[i] + column);
            }
        }
    }
    highest
}

/// How many products of a step are negative.
#[cube]
fn negatives(
    a: &Part,
    b: &Part,
    step: usize,
    down: usize,
    across: usize,
    #[comptime] tile: Tile,
    #[comptime] words: usize,
) -> i32 {
    let (a_stride, b_stride) = comptime!((stride(tile.rows(0)), stride(tile.rows(1))));
    let mut count = 0u32;
    #[unroll]
    for word in 0..words {
        let at = (step * words + word) * 2;
        let (row, column) = (at * a_stride + down, at * b_stride + across);
        let signs = a.signs[row] ^ b.signs[column];
        count += (signs & a.signs[row + a_stride] & b.signs[column + b_stride]).count_ones();
    }
    count as i32
}

/// Adds the terms of the positions from `first` to `last` to the sums of a unit's outputs; `aligned` are the common
/// exponents without the scales.
#[cube]
fn add_terms(
    a: &Part,
    b: &Part,
    place: &Place,
    first: usize,
    last: usize,
    aligned: &Array<i32>,
    sums: &mut Array<i32>,
    #[comptime] tile: Tile,
    #[comptime] unit: Aligned,
) {
    let (tall, wide) = comptime!((tile.outputs[0], tile.outputs[1]));
    for p in first..last {
        let mut exponents = Array::<i32>::new(tall);
        let mut factors = Array::<i32>::new(tall);
        #[unroll]
        for i in 0..tall {
            let at = p * comptime!(stride(tile.rows(0))) + place.down + comptime!(i * tile.units[0]);
            exponents[i] = a.exponents[at];
            factors[i] = a.factors[at];
        }
        #[unroll]
        for j in 0..wide {
            let at = p * comptime!(stride(tile.rows(1))) + place.across + comptime!(j * tile.units[1]);
            let exponent = b.exponents[at];
            let factor = b.factors[at];
            #[unroll]
            for i in 0..tall {
                let o = comptime!(i * wide + j);
                sums[o] += term(factors[i], factor, aligned[o] - exponents[i] - exponent, unit);
            }
        }
    }
}

/// One step of a unit's outputs: step number `step` of the tile.
#[cube]
fn advance(
    a: &Part,
    b: &Part,
    place: &Place,
    step: usize,
    held: &mut Held,
    #[comptime] tile: Tile,
    #[comptime] unit: Aligned,
) {
    let (wide, outputs) = comptime!((tile.outputs[1], tile.count()));
    let first = step * unit.steps.length;
    let mut aligned = highest(a, b, place, first, tile, unit);
    let mut scales = Array::<i32>::new(outputs);
    let mut high = Array::<i32>::new(outputs);
    let mut low = Array::<i32>::new(outputs);
    let mut sums = Array::<i32>::new(outputs);
    #[unroll]
    for o in 0..outputs {
        let down = place.down + comptime!(o / wide * tile.units[0]);
        let across = place.across + comptime!(o % wide * tile.units[1]);
        scales[o] = 0i32;
        if comptime!(unit.scaling.is_some()) {
            scales[o] = exponent(a.scales[step * comptime!(stride(tile.rows(0))) + down])
                + exponent(b.scales[step * comptime!(stride(tile.rows(1))) + across]);
        }
        let highest = aligned[o] + scales[o];
        held.leave(highest > FINITE || scales[o] > FINITE, o);
        aligned[o] = common(highest, held.exponent(o), unit) - scales[o];
        high[o] = 0i32;
        low[o] = 0i32;
        sums[o] = negatives(a, b, step, down, across, tile, comptime!(unit.steps.words()));
    }
    let (run, length) = comptime!((unit.run(), unit.steps.length));
    #[unroll]
    for part in 0..comptime!(length.div_ceil(run)) {
        let last = comptime!(if (part + 1) * run < length { (part + 1) * run } else { length });
        add_terms(a, b, place, first + comptime!(part * run), first + last, &aligned, &mut sums, tile, unit);
        #[unroll]
        for o in 0..outputs {
            let sum = collect(&Wide { high: high[o], low: low[o] }, sums[o], unit);
            high[o] = sum.high;
            low[o] = sum.low;
            sums[o] = 0i32;
        }
    }
    #[unroll]
    for o in 0..outputs {
        let products = Wide { high: high[o], low: low[o] };
        held.set(finish(&products, aligned[o] + scales[o], &held.get(o), 0u32, unit), o);
    }
}

/// `y = x w^T`, `[m, n]`, from operands as [`prepare`](super::prepare::prepare) writes them. The cubes go along the rows
/// of w first.
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
    let place = place(n, tile);
    let mut a = Part::new(0usize, tile, unit);
    let mut b = Part::new(1usize, tile, unit);
    let mut held = Held::zeros(comptime!(tile.count()));
    let mut totals = Held::zeros(comptime!(tile.count()));
    let mut from = 0usize;
    while from < steps {
        sync_cube();
        let rows = Window { row: place.row, rows: m, at: from, length: steps };
        let columns = Window { row: place.column, rows: n, at: from, length: steps };
        a.fill(x, &rows, 0usize, tile, unit);
        a.fill_notes(x_masks, x_scales, &rows, 0usize, tile, unit);
        b.fill(w, &columns, 1usize, tile, unit);
        b.fill_notes(w_masks, w_scales, &columns, 1usize, tile, unit);
        sync_cube();
        for step in 0..min(tile.steps, steps - from) {
            advance(&a, &b, &place, step, &mut held, tile, unit);
            if comptime!(unit.joins != Joins::First) {
                if (from + step) % unit.steps.instruction == comptime!(unit.steps.instruction - 1) {
                    #[unroll]
                    for o in 0..comptime!(tile.count()) {
                        totals.set(joined(&held.get(o), &totals.get(o), unit), o);
                        held.clear(o);
                    }
                }
            }
        }
        from += tile.steps;
    }
    if comptime!(unit.joins != Joins::First) {
        write(&totals, y, &place, m, n, tile, comptime!(unit.result()), unit.nan);
    } else {
        write(&held, y, &place, m, n, tile, unit.rounded, unit.nan);
    }
}
