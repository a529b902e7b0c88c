//! Tiles of outputs: elements are decoded once, meet in workgroup memory, and every unit of a cube sums several outputs.
//!
//! The bits are those of `simple`: sums within a block are exact, so that their order does not matter, and blocks join the
//! accumulator in increasing k.

use super::element::{decode, scale, unpack, word};
use super::finish::{SUM_OTHER, accumulate, flags, integer, marks, pair, scaled, special};
use super::unit::{Element, Register, Scale, Sums, Unit};
use crate::bits::{FP32, Wide, Wide3, add, add_wide, add_wide3, round, widened, wrapping_neg};
use cubecl::prelude::*;

/// Units of a cube along both axes of the outputs.
pub const SIDE: usize = 16;
/// Outputs of a unit along both axes.
pub const EACH: usize = 4;
/// Outputs of a cube along both axes.
pub const TILE: usize = SIDE * EACH;
/// Words from one position of K to the next in workgroup memory; odd, so that stores go to different banks.
const STRIDE: usize = TILE + 1;

/// One side of a product, for [`prepare`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Side {
    element: Element,
    scale: Scale,
    run: usize,
    packed: bool,
    table: usize,
}

impl Side {
    /// The sides of x and w.
    pub const fn both(unit: &Unit) -> [Self; 2] {
        let (run, packed) = (unit.run(), unit.is_packed());
        [
            Self { element: unit.x, scale: unit.x_scale, run, packed, table: 0 },
            Self { element: unit.w, scale: unit.w_scale, run, packed, table: 256 },
        ]
    }
}

impl Unit {
    /// Whether a prepared element is a significand and places.
    const fn is_packed(&self) -> bool {
        matches!(self.register, Register::Buckets { .. })
    }

    /// Positions of K that are in workgroup memory at once: all of a block, or a part without rest.
    pub(super) const fn chunk(&self) -> usize {
        let length = self.run();
        let mut chunk = if length < 16 { length } else { 16 };
        while !length.is_multiple_of(chunk) {
            chunk -= 1;
        }
        chunk
    }

    /// Positions of one round of the loop over them.
    const fn positions(&self) -> usize {
        if self.chunk().is_multiple_of(4) { 4 } else { 1 }
    }

    /// Such parts of a block.
    const fn chunks(&self) -> usize {
        if let Sums::Blocks { length, .. } = self.sums { length / self.chunk() } else { 1 }
    }
}

/// Decodes `[rows, k]` elements to `words`, and the scales `[rows, runs]` of their blocks to `prepared`; one unit a block.
#[cube(launch)]
pub fn prepare(
    elements: &[u32],
    scales: &[u32],
    table: &[u32],
    words: &mut [u32],
    prepared: &mut [u32],
    k: usize,
    runs: usize,
    #[comptime] side: Side,
) {
    let run = side.run;
    if ABSOLUTE_POS < prepared.len() {
        let (row, block) = (ABSOLUTE_POS / runs, ABSOLUTE_POS % runs);
        let mut any = 0u32;
        let mut odd = 0u32;
        for i in 0..run {
            let at = block * run + i;
            if at < k {
                let bits = elements[row * k + at];
                let part = decode(bits, side.element);
                words[row * k + at] = word(&part, side.packed);
                any |= bits << 1u32;
                odd |= marks(part.special);
            }
        }
        let mut stored = 0u32;
        if comptime!(side.scale != Scale::None) {
            stored = scales[ABSOLUTE_POS];
        }
        prepared[ABSOLUTE_POS] = odd | scale(stored, table, side.table, any == 0u32, side.scale);
    }
}

/// The flags of a block whose elements start at `x_start` and `w_start`.
#[cube]
fn walked(x: &[u32], w: &[u32], x_start: usize, w_start: usize, #[comptime] unit: Unit) -> u32 {
    let packed = unit.is_packed();
    let mut seen = 0u32;
    for i in 0..comptime!(unit.run()) {
        seen |= flags(&unpack(x[x_start + i], packed), &unpack(w[w_start + i], packed));
    }
    seen
}

/// The sum of a block times its scales, from the integers that hold it.
#[cube]
fn gathered(sums: &mut Array<i32>, first: usize, factor: i32, #[comptime] unit: Unit) -> Wide3 {
    let mut total = Wide3 { high: 0u32, middle: 0u32, low: 0u32 };
    #[unroll]
    for bucket in 0..comptime!(unit.words() as usize) {
        let part = widened(sums[first + bucket] * factor, comptime!(bucket as u32 * unit.width()));
        total = add_wide3(&total, &part);
    }
    total
}

/// One product into the integers of an output.
#[cube]
fn multiplied(sums: &mut Array<i32>, first: usize, a: i32, b: i32, #[comptime] unit: Unit) {
    if comptime!(unit.is_packed()) {
        let places = (a & 0xFFi32) + (b & 0xFFi32);
        let width = comptime!(i32::new(unit.width() as i64));
        let product = ((a >> 8i32) * (b >> 8i32)) << (places & (width - 1i32));
        let bucket = places / width;
        #[unroll]
        for i in 0..comptime!(unit.words() as usize) {
            sums[first + i] += select(bucket == (i as i32), product, 0i32);
        }
    } else {
        sums[first] += a * b;
    }
}

/// The products of one position of K into the sums of a unit's outputs.
#[cube]
fn multiply(
    left: &Shared<[u32]>,
    right: &Shared<[u32]>,
    sums: &mut Array<i32>,
    position: usize,
    #[comptime] unit: Unit,
) {
    let (x, w) = (position * STRIDE + UNIT_POS_Y as usize, position * STRIDE + UNIT_POS_X as usize);
    let mut b = Array::<i32>::new(EACH);
    #[unroll]
    for j in 0..EACH {
        b[j] = right[w + j * SIDE] as i32;
    }
    #[unroll]
    for i in 0..EACH {
        let a = left[x + i * SIDE] as i32;
        #[unroll]
        for j in 0..EACH {
            multiplied(sums, comptime!((i * EACH + j) * unit.words() as usize), a, b[j], unit);
        }
    }
}

/// `y = x w^T`, `[m, n]` FP32 bits, a cube a tile. `x` and `w` are prepared, `[rows, k]`; so are their scales.
#[cube(launch)]
pub fn tiled(
    x: &[u32],
    w: &[u32],
    x_scales: &[u32],
    w_scales: &[u32],
    x_factors: &[u32],
    w_factors: &[u32],
    y: &mut [u32],
    m: usize,
    n: usize,
    k: usize,
    #[comptime] unit: Unit,
) {
    let chunk = comptime!(unit.chunk());
    let mut left = Shared::<[u32]>::new_slice(comptime!(unit.chunk() * STRIDE));
    let mut right = Shared::<[u32]>::new_slice(comptime!(unit.chunk() * STRIDE));
    let mut sums = Array::<i32>::new(comptime!(EACH * EACH * unit.words() as usize));
    let mut accumulators = Array::<u32>::new(EACH * EACH);
    let mut carried = Array::<u32>::new(EACH * EACH);
    #[unroll]
    for i in 0..comptime!(EACH * EACH) {
        accumulators[i] = 0u32;
        carried[i] = 0u32;
    }
    #[unroll]
    for i in 0..comptime!(EACH * EACH * unit.words() as usize) {
        sums[i] = 0i32;
    }
    let first_row = CUBE_POS_Y as usize * TILE;
    let first_column = CUBE_POS_X as usize * TILE;
    let row = first_row + UNIT_POS_Y as usize;
    let column = first_column + UNIT_POS_X as usize;

    for part in 0..(k + chunk - 1) / chunk {
        load(x, &mut left, first_row, m, part * chunk, k, chunk);
        load(w, &mut right, first_column, n, part * chunk, k, chunk);
        sync_cube();
        // Several positions a round: Mesa's software rasteriser ends a kernel's loops after 65,535 rounds in all.
        for round in 0..comptime!(unit.chunk() / unit.positions()) {
            #[unroll]
            for i in 0..comptime!(unit.positions()) {
                multiply(&left, &right, &mut sums, round * comptime!(unit.positions()) + i, unit);
            }
        }
        sync_cube();
        if comptime!(unit.is_saturating()) {
            carry(&mut sums, &mut accumulators, &mut carried);
        }
        if comptime!(!unit.is_integer()) {
            if part % comptime!(unit.chunks()) == comptime!(unit.chunks() - 1) {
                let block = part / comptime!(unit.chunks());
                join(x, w, x_scales, w_scales, &mut sums, &mut accumulators, (row, column), (m, n, k), block, unit);
            }
        }
    }
    #[unroll]
    for i in 0..EACH {
        #[unroll]
        for j in 0..EACH {
            let at = i * EACH + j;
            let (r, c) = (row + i * SIDE, column + j * SIDE);
            let mut result = accumulators[at];
            if comptime!(unit.is_integer()) {
                let low = if comptime!(unit.is_saturating()) { accumulators[at] } else { sums[at] as u32 };
                result = integer(&Wide { high: carried[at], low }, unit);
            }
            if r < m && c < n {
                y[r * n + c] = scaled(result, x_factors, w_factors, r, c, unit);
            }
        }
    }
}

/// Brings a tile of rows into workgroup memory, positions first; zeros beyond the rows and beyond K.
#[cube]
fn load(
    from: &[u32],
    into: &mut Shared<[u32]>,
    first_row: usize,
    rows: usize,
    first: usize,
    k: usize,
    #[comptime] chunk: usize,
) {
    let unit = UNIT_POS as usize;
    #[unroll]
    for pass in 0..comptime!((TILE * chunk).div_ceil(SIDE * SIDE)) {
        let index = unit + pass * comptime!(SIDE * SIDE);
        if index < comptime!(TILE * chunk) {
            let (row, position) = (first_row + index / chunk, first + index % chunk);
            let mut word = 0u32;
            if row < rows && position < k {
                word = from[row * k + position];
            }
            into[(index % chunk) * STRIDE + index / chunk] = word;
        }
    }
}

/// Adds sums to wide totals and clears them.
#[cube]
fn carry(sums: &mut Array<i32>, low: &mut Array<u32>, high: &mut Array<u32>) {
    #[unroll]
    for i in 0..comptime!(EACH * EACH) {
        let sign = select(sums[i] < 0i32, 0xFFFF_FFFFu32, 0u32);
        let total = add_wide(&Wide { high: high[i], low: low[i] }, &Wide { high: sign, low: sums[i] as u32 });
        low[i] = total.low;
        high[i] = total.high;
        sums[i] = 0i32;
    }
}

/// Adds the sums of a block to the accumulators and clears them.
#[cube]
fn join(
    x: &[u32],
    w: &[u32],
    x_scales: &[u32],
    w_scales: &[u32],
    sums: &mut Array<i32>,
    accumulators: &mut Array<u32>,
    at: (usize, usize),
    shape: (usize, usize, usize),
    block: usize,
    #[comptime] unit: Unit,
) {
    let (row, column) = at;
    let (m, n, k) = shape;
    let length = comptime!(unit.run());
    let blocks = k / length;
    let mut b = Array::<u32>::new(EACH);
    #[unroll]
    for j in 0..EACH {
        b[j] = 1u32;
        if column + j * SIDE < n {
            b[j] = w_scales[(column + j * SIDE) * blocks + block];
        }
    }
    #[unroll]
    for i in 0..EACH {
        let r = row + i * SIDE;
        let mut a = 1u32;
        if r < m {
            a = x_scales[r * blocks + block];
        }
        #[unroll]
        for j in 0..EACH {
            let c = column + j * SIDE;
            let both = pair(a, b[j], unit);
            let starts = (r * k + block * length, c * k + block * length);
            let before = accumulators[i * EACH + j];
            let first = comptime!((i * EACH + j) * unit.words() as usize);
            let mut other = true;
            let mut no_number = 0u32;
            if both.special || (comptime!(unit.is_fused()) && before == 0x8000_0000u32 && r < m && c < n) {
                let seen = walked(x, w, starts.0, starts.1, unit);
                other = (seen & SUM_OTHER) != 0u32;
                no_number = special(seen, a, b[j]);
            }
            let after = if comptime!(unit.is_packed()) {
                accumulate(before, &gathered(sums, first, both.factor, unit), both.exponent, other, unit)
            } else {
                let sum = sums[first] * both.factor;
                let size = select(sum < 0i32, wrapping_neg(sum as u32), sum as u32);
                add(before, round(sum < 0i32, size, both.exponent, FP32))
            };
            accumulators[i * EACH + j] = select(no_number == 0u32, after, add(before, no_number));
            #[unroll]
            for bucket in 0..comptime!(unit.words() as usize) {
                sums[first + bucket] = 0i32;
            }
        }
    }
}
