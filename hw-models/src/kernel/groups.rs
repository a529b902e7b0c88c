//! Block-scaled FP4 units: groups of products are summed exactly, times their scales, then aligned, truncated to `F`
//! fraction bits, added and rounded toward zero to FP32.
//!
//! ## Why the fast lanes are exact
//!
//! Elements are E2M1 numbers: a group's products are multiples of 1/4 of at most 36, so up to 2^16 of them add up
//! exactly in FP32. With two scales of at most 4 significant bits a term has at most 24 + 8 bits, which FP64 holds at any
//! exponent that two E8M0 or UE4M3 scales can give. Scaling by `2^(F - E)` is exact, and truncated terms are integers
//! below `2^(F + 12)`: with `F <= 38` eight of them and the accumulator stay below 2^53, so their sum and the result
//! `sum 2^(E - F)` are exact in FP64. A lane vouches for results that are 0 or normal FP32 numbers, where rounding toward
//! zero is the removal of 29 bits; a NaN scale makes the sum a NaN, which is neither.
//!
//! `E` is the largest exponent of the accumulator and of the groups: that of the two scales together, unless all products
//! of the group or a scale are 0. A group that cancels still presents its exponent, so groups are told apart by masks.

use super::level::{Level, truncated};
use super::pack::{Rows, transpose};
use super::tiles::{Fallback, TILE_ROWS, Tile, Tiles, multiply};
use super::{NR, fused, simd::Path};

/// A block-scaled dot unit with exact groups, as data. The notes of a row are the values of its scales.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Grouped {
    /// Products added exactly; at most 16.
    pub group: usize,
    /// Groups in a step; at most 8.
    pub groups: usize,
    /// Fraction bits kept of every aligned term, F; at most 38.
    pub fraction_bits: u32,
    /// The least exponent that terms are aligned to, `e_zero`.
    pub floor: i32,
    /// The least exponent that a nonzero scale presents.
    pub scale_emin: i32,
    /// Elements that share a scale; a multiple of `group`.
    pub scale_block: usize,
}

/// The exponent of a group without a product, or with a scale, that is not 0: below every floor.
const NOTHING: i16 = -0x2000;

/// Exponents and masks of an operand's groups.
struct Groups {
    /// Exponents of the scales, `[rows][groups]`; [`NOTHING`] for a scale of 0.
    exponents: Vec<i16>,
    /// Which elements are not 0, `[rows][groups]`.
    masks: Vec<u16>,
    /// Scales, `[rows][groups]`.
    scales: Vec<f64>,
}

impl Groups {
    fn of(unit: &Grouped, rows: &Rows<'_>) -> Self {
        let per_row = rows.k.div_ceil(unit.group);
        let blocks = rows.notes.len().checked_div(rows.rows).unwrap_or(0);
        let scale = |i: usize| rows.notes[i / per_row * blocks + i % per_row * unit.group / unit.scale_block];
        let scales: Vec<f64> = (0..rows.rows * per_row).map(scale).collect();
        let exponent = |scale: &f64| {
            let field = (scale.to_bits() >> 52 & 0x7FF) as i32 - 1023;
            if *scale == 0.0 { NOTHING } else { field.max(unit.scale_emin) as i16 }
        };
        let mask = |group: &[f32]| group.iter().fold(0, |mask, &x| mask << 1 | u16::from(x != 0.0));
        Self {
            exponents: scales.iter().map(exponent).collect(),
            masks: rows.elements.chunks(rows.k.max(1)).flat_map(|row| row.chunks(unit.group).map(mask)).collect(),
            scales,
        }
    }
}

/// The columns of an output in panels, packed once for many products.
#[derive(Clone, Debug)]
pub struct GroupedColumns {
    count: usize,
    /// `[panels][k][NR]`.
    elements: Vec<[f32; NR]>,
    /// `[panels][groups][NR]`, as in [`Groups`].
    exponents: Vec<[i16; NR]>,
    masks: Vec<[u16; NR]>,
    scales: Vec<[f64; NR]>,
}

impl Grouped {
    /// Whether the proof above covers this unit.
    pub fn is_covered(&self) -> bool {
        (1..=16).contains(&self.group)
            && (1..=8).contains(&self.groups)
            && (1..=38).contains(&self.fraction_bits)
            && (-200..=127).contains(&self.floor)
            && self.scale_block > 0
            && self.scale_block.is_multiple_of(self.group)
    }

    /// Packs an operand whose rows are output columns.
    pub(crate) fn pack(&self, w: &Rows<'_>) -> GroupedColumns {
        let groups = Groups::of(self, w);
        let per_column = w.k.div_ceil(self.group);
        GroupedColumns {
            count: w.rows,
            elements: transpose(&w.elements, w.rows, w.k),
            exponents: transpose(&groups.exponents, w.rows, per_column),
            masks: transpose(&groups.masks, w.rows, per_column),
            scales: transpose(&groups.scales, w.rows, per_column),
        }
    }

    /// `x[M, K] w[N, K]^T`, from accumulators of +0; `definition` gives what no lane vouches for. A last step may be short.
    pub(crate) fn gemm(
        &self,
        path: Path,
        rows: &Rows<'_>,
        columns: &GroupedColumns,
        definition: Fallback<'_>,
    ) -> Vec<f32> {
        let product = Product { unit: *self, rows, groups: &Groups::of(self, rows), columns, definition };
        multiply(path, &product, (rows.rows, columns.count))
    }
}

/// A product by a [`Grouped`] unit.
struct Product<'a> {
    unit: Grouped,
    rows: &'a Rows<'a>,
    groups: &'a Groups,
    columns: &'a GroupedColumns,
    definition: Fallback<'a>,
}

impl Tiles for Product<'_> {
    #[inline(always)]
    fn tile<L: Level>(&self, first: usize, rows: usize, panel: usize) -> Tile {
        let groups = self.rows.k.div_ceil(self.unit.group);
        let mut tile = Tile { results: [[0.0; NR]; TILE_ROWS], certain: [[true; NR]; TILE_ROWS] };
        for from in (0..groups).step_by(self.unit.groups) {
            let to = groups.min(from + self.unit.groups);
            for r in 0..rows {
                let (results, certain) = self.step::<L>((first + r, panel), (from, to), &tile.results[r]);
                tile.results[r] = results;
                for (all, certain) in tile.certain[r].iter_mut().zip(certain) {
                    *all &= certain;
                }
            }
        }
        tile
    }

    fn definition(&self, row: usize, column: usize) -> f32 {
        (self.definition)(row, column)
    }
}

impl Product<'_> {
    /// Adds the groups from `from` to `to` of a row to its accumulators; also says which results are certain.
    #[inline(always)]
    fn step<L: Level>(
        &self,
        (row, panel): (usize, usize),
        (from, to): (usize, usize),
        before: &[f32; NR],
    ) -> ([f32; NR], [bool; NR]) {
        let (k, per_row) = (self.rows.k, self.rows.k.div_ceil(self.unit.group));
        let fraction_bits = self.unit.fraction_bits as i32;
        let exponents = self.window(row * per_row + from, panel * per_row + from, to - from, before);
        let (mut factor, mut sums) = ([0.0; NR], [0.0; NR]);
        for c in 0..NR {
            factor[c] = power(fraction_bits - exponents[c]);
            sums[c] = (f64::from(before[c]) * factor[c]).trunc();
        }
        for group in from..to {
            let (first, last) = (group * self.unit.group, k.min((group + 1) * self.unit.group));
            let b = &self.columns.elements[panel * k + first..panel * k + last];
            let sum = exact::<L>(&self.rows.elements[row * k + first..row * k + last], b);
            let scale = self.groups.scales[row * per_row + group];
            let scales = &self.columns.scales[panel * per_row + group];
            for c in 0..NR {
                sums[c] += (f64::from(sum[c]) * (scale * scales[c]) * factor[c]).trunc();
            }
        }
        let (mut results, mut certain) = ([0.0; NR], [false; NR]);
        for c in 0..NR {
            let sum = sums[c] * power(exponents[c] - fraction_bits);
            results[c] = truncated(sum);
            let magnitude = sum.abs();
            certain[c] = (sum == 0.0) | ((magnitude >= f64::from(f32::MIN_POSITIVE)) & (magnitude < power(128)));
        }
        (results, certain)
    }

    /// The exponents that a step aligns to; `a` and `b` are the numbers of its first groups.
    #[inline(always)]
    fn window(&self, a: usize, b: usize, groups: usize, before: &[f32; NR]) -> [i32; NR] {
        let mut highest = [NOTHING; NR];
        for group in 0..groups {
            let (exponent, mask) = (self.groups.exponents[a + group], self.groups.masks[a + group]);
            let (exponents, masks) = (&self.columns.exponents[b + group], &self.columns.masks[b + group]);
            for c in 0..NR {
                let presented = if mask & masks[c] != 0 { exponent + exponents[c] } else { NOTHING };
                highest[c] = highest[c].max(presented);
            }
        }
        let mut all = [0; NR];
        for c in 0..NR {
            // An accumulator is 0, which presents less than any floor that matters, or normal.
            let field = (before[c].to_bits() << 1 >> 24) as i32;
            let accumulator = if field == 0 { i32::from(NOTHING) } else { field - 127 };
            all[c] = i32::from(highest[c]).max(accumulator).max(self.unit.floor);
        }
        all
    }
}

/// Sums of the products of a group.
#[inline(always)]
fn exact<L: Level>(a: &[f32], b: &[[f32; NR]]) -> [f32; NR] {
    let mut sums = [0.0f32; NR];
    for (a, b) in a.iter().zip(b) {
        for c in 0..NR {
            // Products and sums are exact: whether they are fused makes no difference but speed.
            sums[c] = if L::FUSED { fused!(a, b[c], sums[c]) } else { sums[c] + a * b[c] };
        }
    }
    sums
}

/// `2^exponent`, for exponents of normal FP64 numbers.
#[inline(always)]
fn power(exponent: i32) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}
