//! What the tiled kernels share: the shape of a tile, how it is filled, and the accumulators of a unit's outputs.
#![allow(missing_docs)] // `cube` makes modules and types beside what is documented here.

use super::element::ZERO;
use super::register::{Register, bits};
use super::simple::UNSETTLED;
use super::unit::Rounded;
use cubecl::prelude::*;

/// The shape of a cube's tile. A unit's outputs lie apart by the units of the cube, so that neighbouring units read
/// neighbouring words.
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
    /// Rows of x (0), or of w (1).
    pub const fn rows(&self, side: usize) -> usize {
        self.units[side] * self.outputs[side]
    }

    /// Units of a cube.
    pub const fn cube(&self) -> usize {
        self.units[0] * self.units[1]
    }

    /// Outputs of a unit.
    pub const fn count(&self) -> usize {
        self.outputs[0] * self.outputs[1]
    }
}

/// Words between two places of a tile `rows` wide: one more, so that neither the units that fill rows nor those that read
/// places meet in a bank.
pub const fn stride(rows: usize) -> usize {
    rows + 1
}

/// A part of a matrix `[rows, length]`: from row `row` and place `at` on.
#[derive(CubeType, Clone, Copy)]
pub struct Window {
    /// The first row.
    pub row: usize,
    /// Rows of the matrix.
    pub rows: usize,
    /// The first place.
    pub at: usize,
    /// Places of a row of the matrix.
    pub length: usize,
}

#[cube]
impl Window {
    /// The same of a matrix that has `words` words at each place.
    pub fn each(&self, #[comptime] words: usize) -> Window {
        Window { row: self.row, rows: self.rows, at: self.at * words, length: self.length * words }
    }
}

/// The word of a window's row `row` and place `at`, or `other` where the matrix has none.
#[cube]
pub fn fetch(words: &[u32], window: &Window, row: usize, at: usize, other: u32) -> u32 {
    let mut found = other;
    if window.row + row < window.rows && window.at + at < window.length {
        found = words[(window.row + row) * window.length + window.at + at];
    }
    found
}

/// Copies a window to `[places, stride]` of the shared memory; `other` where the matrix has nothing.
#[cube]
pub fn copy(
    words: &[u32],
    into: &mut Shared<[u32]>,
    window: &Window,
    other: u32,
    #[comptime] places: usize,
    #[comptime] height: usize,
    #[comptime] cube: usize,
) {
    for turn in 0..comptime!((height * places).div_ceil(cube)) {
        let index = turn * cube + UNIT_POS as usize;
        if index < comptime!(height * places) {
            let (at, row) = (index % places, index / places);
            into[at * comptime!(stride(height)) + row] = fetch(words, window, row, at, other);
        }
    }
}

/// The flag of an output that is left to the simple kernel.
pub const HELD: u32 = 0x8000_0000;

/// The accumulators of a unit's outputs.
#[derive(CubeType)]
pub struct Held {
    significands: Array<i32>,
    exponents: Array<i32>,
    flags: Array<u32>,
}

#[cube]
impl Held {
    /// Accumulators of +0.
    pub fn zeros(#[comptime] count: usize) -> Held {
        let mut held = Held {
            significands: Array::<i32>::new(count),
            exponents: Array::<i32>::new(count),
            flags: Array::<u32>::new(count),
        };
        #[unroll]
        for index in 0..count {
            held.clear(index);
        }
        held
    }

    /// Sets one to +0.
    pub fn clear(&mut self, #[comptime] index: usize) {
        self.significands[index] = 0i32;
        self.exponents[index] = i32::new(comptime!(ZERO as i64));
        self.flags[index] = 0u32;
    }

    /// The exponent of one.
    pub fn exponent(&self, #[comptime] index: usize) -> i32 {
        self.exponents[index]
    }

    /// Leaves one to the simple kernel, where `left`.
    pub fn leave(&mut self, left: bool, #[comptime] index: usize) {
        self.flags[index] |= select(left, HELD, 0u32);
    }

    /// One of them.
    pub fn get(&self, #[comptime] index: usize) -> Register {
        Register { significand: self.significands[index], exponent: self.exponents[index], flags: self.flags[index] }
    }

    /// Replaces one.
    pub fn set(&mut self, register: Register, #[comptime] index: usize) {
        self.significands[index] = register.significand;
        self.exponents[index] = register.exponent;
        self.flags[index] = register.flags;
    }

    /// The FP32 bits of one, or [`UNSETTLED`].
    pub fn bits(&self, #[comptime] index: usize, #[comptime] of: Rounded, #[comptime] nan: u32) -> u32 {
        let settled = bits(&self.get(index), of, nan);
        select(self.flags[index] >= HELD, UNSETTLED, settled)
    }
}

/// Where a unit of the cube stands in its tile, and the tile in the matrix.
#[derive(CubeType, Clone, Copy)]
pub struct Place {
    /// Row and column of the unit in the tile.
    pub down: usize,
    pub across: usize,
    /// First row and column of the tile.
    pub row: usize,
    pub column: usize,
}

/// The place of this unit. Cubes go along the rows of w first, `n` of them; there may be more cubes than tiles, whose
/// rows then lie beyond the matrix.
#[cube]
pub fn place(n: usize, #[comptime] tile: Tile) -> Place {
    let across = (n + comptime!(tile.rows(1) - 1)) / comptime!(tile.rows(1));
    Place {
        down: UNIT_POS as usize / comptime!(tile.units[1]),
        across: UNIT_POS as usize % comptime!(tile.units[1]),
        row: CUBE_POS / across * comptime!(tile.rows(0)),
        column: CUBE_POS % across * comptime!(tile.rows(1)),
    }
}

/// Writes the results of a unit to `y`, `[m, n]`.
#[cube]
pub fn write(
    held: &Held,
    y: &mut [u32],
    place: &Place,
    m: usize,
    n: usize,
    #[comptime] tile: Tile,
    #[comptime] of: Rounded,
    #[comptime] nan: u32,
) {
    #[unroll]
    for i in 0..comptime!(tile.outputs[0]) {
        #[unroll]
        for j in 0..comptime!(tile.outputs[1]) {
            let row = place.row + place.down + comptime!(i * tile.units[0]);
            let column = place.column + place.across + comptime!(j * tile.units[1]);
            if row < m && column < n {
                y[row * n + column] = held.bits(comptime!(i * tile.outputs[1] + j), of, nan);
            }
        }
    }
}
