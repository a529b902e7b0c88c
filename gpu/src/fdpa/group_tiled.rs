//! Grouped units in tiles; see [`tiled`](super::tiled).
//!
//! A group of products adds up to 12 bits and a sign, so one multiplication serves two rows of x: their elements are the
//! halves of one word, and the sums are taken apart once a group.
#![allow(missing_docs)] // `cube` makes modules and types beside what is documented here.

use super::align::Wide;
use super::element::{FINITE, NOTHING, ZERO, word};
use super::group::{common, finish, integer, presented, term};
use super::tile::{Held, Place, Tile, Window, copy, fetch, place, stride, write};
use super::unit::Grouped;
use cubecl::prelude::*;

/// Bytes of shared memory that a tile takes.
pub const fn bytes(tile: Tile, unit: &Grouped) -> usize {
    let notes = 2 * unit.steps.words() + unit.groups();
    let rows = stride(tile.rows(0) / 2) + stride(tile.rows(1));
    4 * tile.steps * (unit.steps.length * rows + notes * (stride(tile.rows(0)) + stride(tile.rows(1))))
}

/// One operand's part of a tile.
#[derive(CubeType)]
struct Part {
    /// `[positions, stride]` elements of w, or pairs of elements of x that belong to one unit of the cube.
    integers: Shared<[i32]>,
    /// `[steps, words, 2, stride]`: which are negative, which are not zero.
    signs: Shared<[u32]>,
    /// `[steps, groups, stride]`.
    scales: Shared<[u32]>,
}

/// Words of x or w that the integers of a place are made from, side by side.
const fn width(tile: Tile, side: usize) -> usize {
    if side == 0 { tile.rows(0) / 2 } else { tile.rows(1) }
}

#[cube]
impl Part {
    fn new(#[comptime] side: usize, #[comptime] tile: Tile, #[comptime] unit: Grouped) -> Part {
        let notes = comptime!(tile.steps * stride(tile.rows(side)));
        Part {
            integers: Shared::<[i32]>::new_slice(comptime!(tile.steps * unit.steps.length * stride(width(tile, side)))),
            signs: Shared::<[u32]>::new_slice(comptime!(notes * unit.steps.words() * 2)),
            scales: Shared::<[u32]>::new_slice(comptime!(notes * unit.groups())),
        }
    }

    /// Fills it with the words of a window, whose places are steps.
    fn fill(
        &mut self,
        words: &[u32],
        window: &Window,
        #[comptime] side: usize,
        #[comptime] tile: Tile,
        #[comptime] unit: Grouped,
    ) {
        let width = comptime!(width(tile, side));
        let length = comptime!(tile.steps * unit.steps.length);
        let positions = window.each(unit.steps.length);
        for turn in 0..comptime!((width * length).div_ceil(tile.cube())) {
            let index = turn * comptime!(tile.cube()) + UNIT_POS as usize;
            if index < comptime!(width * length) {
                let (at, row) = (index % length, index / length);
                let to = at * comptime!(stride(width)) + row;
                if comptime!(side == 0) {
                    // Pair q of unit d is rows d and d + units, from row 2 q units on.
                    let units = tile.units[0];
                    let first = row / units * 2 * units + row % units;
                    let lower = integer(fetch(words, &positions, first, at, word(ZERO, 0i32)));
                    let upper = integer(fetch(words, &positions, first + units, at, word(ZERO, 0i32)));
                    self.integers[to] = lower + (upper << 16i32);
                } else {
                    self.integers[to] = integer(fetch(words, &positions, row, at, word(ZERO, 0i32)));
                }
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
        #[comptime] unit: Grouped,
    ) {
        let (height, cube) = comptime!((tile.rows(side), tile.cube()));
        let each = comptime!(unit.steps.words() * 2);
        copy(masks, &mut self.signs, &window.each(each), 0u32, comptime!(tile.steps * each), height, cube);
        let groups = comptime!(unit.groups());
        let places = comptime!(tile.steps * groups);
        copy(scales, &mut self.scales, &window.each(groups), word(0i32, 1i32), places, height, cube);
    }
}

/// The exponent that a group presents to output `(i, j)` of a unit.
#[cube]
fn exponent(
    a: &Part,
    b: &Part,
    place: &Place,
    group: usize,
    #[comptime] output: usize,
    #[comptime] tile: Tile,
    #[comptime] unit: Grouped,
) -> i32 {
    let (a_stride, b_stride) = comptime!((stride(tile.rows(0)), stride(tile.rows(1))));
    let down = place.down + comptime!(output / tile.outputs[1] * tile.units[0]);
    let across = place.across + comptime!(output % tile.outputs[1] * tile.units[1]);
    // Groups divide 32 products, and the steps of a tile are whole words.
    let step = group / comptime!(unit.groups());
    let first = group % comptime!(unit.groups()) * unit.group;
    let mask = (step * comptime!(unit.steps.words()) + first / 32) * 2 + 1;
    let both = a.signs[mask * a_stride + down] & b.signs[mask * b_stride + across];
    let any = (both >> ((first % 32) as u32)) & comptime!(u32::MAX >> (32 - unit.group)) != 0u32;
    presented(a.scales[group * a_stride + down], b.scales[group * b_stride + across], any)
}

/// The exact sums of the products of a group, two outputs a word, `[tall / 2, wide]`.
#[cube]
fn sums(
    a: &Part,
    b: &Part,
    place: &Place,
    group: usize,
    #[comptime] tile: Tile,
    #[comptime] unit: Grouped,
) -> Array<i32> {
    let (pairs, wide) = comptime!((tile.outputs[0] / 2, tile.outputs[1]));
    let mut sums = Array::<i32>::new(comptime!(pairs * wide));
    #[unroll]
    for o in 0..comptime!(pairs * wide) {
        sums[o] = 0i32;
    }
    for p in group * unit.group..(group + 1) * unit.group {
        let mut rows = Array::<i32>::new(pairs);
        #[unroll]
        for i in 0..pairs {
            rows[i] = a.integers[p * comptime!(stride(width(tile, 0))) + place.down + comptime!(i * tile.units[0])];
        }
        #[unroll]
        for j in 0..wide {
            let column =
                b.integers[p * comptime!(stride(width(tile, 1))) + place.across + comptime!(j * tile.units[1])];
            #[unroll]
            for i in 0..pairs {
                sums[comptime!(i * wide + j)] += rows[i] * column;
            }
        }
    }
    sums
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
    #[comptime] unit: Grouped,
) {
    let (wide, outputs, groups) = comptime!((tile.outputs[1], tile.count(), unit.groups()));
    let mut aligned = Array::<i32>::new(outputs);
    let mut high = Array::<i32>::new(outputs);
    let mut low = Array::<i32>::new(outputs);
    #[unroll]
    for o in 0..outputs {
        let mut highest = i32::new(NOTHING);
        for group in step * groups..(step + 1) * groups {
            highest = max(highest, exponent(a, b, place, group, o, tile, unit));
        }
        held.leave(highest > FINITE, o);
        aligned[o] = common(highest, held.exponent(o), unit);
        high[o] = 0i32;
        low[o] = 0i32;
    }
    for group in step * groups..(step + 1) * groups {
        let sums = sums(a, b, place, group, tile, unit);
        #[unroll]
        for o in 0..outputs {
            let (i, j) = comptime!((o / wide, o % wide));
            let pair = sums[comptime!(i / 2 * wide + j)];
            let lower = (pair << 16i32) >> 16i32;
            let sum = if comptime!(i % 2 == 0) { lower } else { (pair - lower) >> 16i32 };
            let row = group * comptime!(stride(tile.rows(0))) + place.down + comptime!(i * tile.units[0]);
            let column = group * comptime!(stride(tile.rows(1))) + place.across + comptime!(j * tile.units[1]);
            let distance = aligned[o] - exponent(a, b, place, group, o, tile, unit);
            let one = term(sum, a.scales[row], b.scales[column], distance, unit);
            high[o] += one.high;
            low[o] += one.low;
        }
    }
    #[unroll]
    for o in 0..outputs {
        let terms = Wide { high: high[o], low: low[o] };
        held.set(finish(&terms, aligned[o], &held.get(o), 0u32, unit), o);
    }
}

/// `y = x w^T`, `[m, n]`; see [`tiled`](super::tiled::tiled).
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
    #[comptime] unit: Grouped,
) {
    let place = place(n, tile);
    let mut a = Part::new(0usize, tile, unit);
    let mut b = Part::new(1usize, tile, unit);
    let mut held = Held::zeros(comptime!(tile.count()));
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
        }
        from += tile.steps;
    }
    write(&held, y, &place, m, n, tile, unit.rounded, unit.nan);
}
