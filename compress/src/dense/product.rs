//! Products: `c += a b` and `c -= a b`, tile by tile of packed operands.

use super::{BAND, DEPTH, View};
use interplay_formats::simd::{Level, Task, run};
use std::ops::{Add, Mul};
use std::sync::atomic::{Ordering, compiler_fence};

/// Columns of a tile.
const WIDTH: usize = 16;

/// FP32 or FP64.
pub(crate) trait Real: Copy + Default + Send + Sync + Add<Output = Self> + Mul<Output = Self> {
    /// 1 or -1.
    fn sign(sign: Sign) -> Self;
}

impl Real for f32 {
    fn sign(sign: Sign) -> Self {
        if sign == Sign::Plus { 1.0 } else { -1.0 }
    }
}

impl Real for f64 {
    fn sign(sign: Sign) -> Self {
        if sign == Sign::Plus { 1.0 } else { -1.0 }
    }
}

/// Whether a product is added or subtracted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    Plus,
    Minus,
}

/// The right operand of products, packed once for all bands of rows.
#[derive(Clone, Debug)]
pub(crate) struct Columns<T> {
    depth: usize,
    count: usize,
    /// `[depth / DEPTH][panels][DEPTH]`, zeros beyond the last column.
    packed: Vec<[T; WIDTH]>,
}

impl<T: Real> Columns<T> {
    /// Columns of the operand.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Packs `[k, n]`.
    pub(crate) fn new(matrix: View<'_, T>) -> Self {
        let (depth, count) = (matrix.rows, matrix.columns);
        let mut packed = Vec::with_capacity(depth * count.div_ceil(WIDTH));
        for block in (0..depth).step_by(DEPTH) {
            for first in (0..count).step_by(WIDTH) {
                let width = WIDTH.min(count - first);
                let line = |k: usize| {
                    let mut line = [T::default(); WIDTH];
                    line.iter_mut().take(width).enumerate().for_each(|(c, to)| *to = matrix.at(k, first + c));
                    line
                };
                packed.extend((block..depth.min(block + DEPTH)).map(line));
            }
        }
        Self { depth, count, packed }
    }
}

/// Adds `a b`, or subtracts it, from column `first` of `b` on, a multiple of [`BAND`]; `c` has rows `stride` apart.
///
/// One thread computes it. What `a` has of rows and `b` of columns, `c` has to have.
pub(crate) fn add<T: Real>(c: &mut [T], stride: usize, sign: Sign, a: View<'_, T>, b: &Columns<T>, first: usize) {
    debug_assert!(first.is_multiple_of(WIDTH) && a.columns == b.depth);
    if a.rows == 0 || first >= b.count {
        return;
    }
    let (level, job) = (Level::detect(), Job { c, stride, sign: T::sign(sign), a, b, first });
    // Heights leave registers for operands beside the sums.
    match (level.bytes(), size_of::<T>()) {
        (64, _) => run(level, Tiles::<_, 8>(job)),
        (32, 4) => run(level, Tiles::<_, 4>(job)),
        (32, _) | (_, 4) => run(level, Tiles::<_, 2>(job)),
        _ => run(level, Tiles::<_, 1>(job)),
    }
}

struct Job<'a, 'b, T> {
    c: &'a mut [T],
    stride: usize,
    sign: T,
    a: View<'b, T>,
    b: &'b Columns<T>,
    first: usize,
}

/// A product by strips of `R` rows.
struct Tiles<J, const R: usize>(J);

impl<T: Real, const R: usize> Task for Tiles<Job<'_, '_, T>, R> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        self.0.tiles::<R>();
    }
}

impl<T: Real> Job<'_, '_, T> {
    /// Bands of rows, blocks of the sum, panels of columns, strips of `R` rows.
    #[inline(always)]
    fn tiles<const R: usize>(self) {
        let (a, b, panels) = (self.a, self.b, self.b.count.div_ceil(WIDTH));
        let mut strips = vec![[T::default(); R]; DEPTH.min(b.depth) * BAND.min(a.rows).div_ceil(R)];
        for top in (0..a.rows).step_by(BAND) {
            let rows = BAND.min(a.rows - top);
            for block in (0..b.depth).step_by(DEPTH) {
                let depth = DEPTH.min(b.depth - block);
                for (strip, to) in (0..rows).step_by(R).zip(strips.chunks_exact_mut(depth)) {
                    pack(to, a, top + strip, rows - strip, block);
                }
                let columns = &b.packed[block * panels..][..depth * panels];
                for (panel, columns) in columns.chunks_exact(depth).enumerate().skip(self.first / WIDTH) {
                    for (strip, left) in (0..rows).step_by(R).zip(strips.chunks_exact(depth)) {
                        let from = panel * WIDTH - self.first;
                        let width = WIDTH.min(b.count - panel * WIDTH);
                        let mut sums = [[T::default(); WIDTH]; R];
                        tile(left, columns, &mut sums);
                        for (r, sums) in sums.iter().enumerate().take(rows - strip) {
                            let row = &mut self.c[(top + strip + r) * self.stride + from..][..width];
                            if let Ok(row) = <&mut [T; WIDTH]>::try_from(&mut *row) {
                                (0..WIDTH).for_each(|c| row[c] = row[c] + self.sign * sums[c]);
                            } else {
                                row.iter_mut().zip(sums).for_each(|(c, sum)| *c = *c + self.sign * *sum);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Up to `R` rows of `a` from `row` on, columns from `block` on, column by column; zeros beyond the last row.
#[inline(always)]
fn pack<T: Real, const R: usize>(to: &mut [[T; R]], a: View<'_, T>, row: usize, rows: usize, block: usize) {
    for (k, to) in to.iter_mut().enumerate() {
        for (r, to) in to.iter_mut().enumerate() {
            *to = if r < rows { a.at(row + r, block + k) } else { T::default() };
        }
    }
}

/// The sums of one tile over one block, into zeros.
#[inline(always)]
fn tile<T: Real, const R: usize>(left: &[[T; R]], right: &[[T; WIDTH]], sums: &mut [[T; WIDTH]; R]) {
    // A local copy, and rows that are written out, let the compiler keep the tile in registers.
    let mut tile = *sums;
    for (left, right) in left.iter().zip(right) {
        // No instruction; it keeps the compiler from making vectors of the terms of a sum, which it would have to gather.
        compiler_fence(Ordering::SeqCst);
        row(&mut tile, left, right, 0);
        row(&mut tile, left, right, 1);
        row(&mut tile, left, right, 2);
        row(&mut tile, left, right, 3);
        row(&mut tile, left, right, 4);
        row(&mut tile, left, right, 5);
        row(&mut tile, left, right, 6);
        row(&mut tile, left, right, 7);
    }
    *sums = tile;
}

/// One term of the sums of row `r`, where the tile is so high.
#[inline(always)]
fn row<T: Real, const R: usize>(tile: &mut [[T; WIDTH]; R], left: &[T; R], right: &[T; WIDTH], r: usize) {
    const { assert!(R <= 8) };
    if r < R {
        for c in 0..WIDTH {
            tile[r][c] = tile[r][c] + left[r] * right[c];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition: terms upwards in blocks from zero, blocks one after the other.
    fn definition(c: &mut [f32], a: View<'_, f32>, b: View<'_, f32>) {
        for i in 0..a.rows {
            for j in 0..b.columns {
                for block in (0..a.columns).step_by(DEPTH) {
                    let terms = block..a.columns.min(block + DEPTH);
                    let sum = terms.fold(0.0, |sum, k| sum + a.at(i, k) * b.at(k, j));
                    c[i * b.columns + j] -= sum;
                }
            }
        }
    }

    #[test]
    fn products_are_their_definition() {
        let number = |i: usize| ((i * 7919 + 13) % 1009) as f32 / 97.0 - 5.1;
        for (m, k, n) in [(1, 1, 1), (7, 130, 17), (70, 300, 33), (129, 128, 16), (3, 5, 100)] {
            let (a, b): (Vec<f32>, Vec<f32>) = ((0..m * k).map(number).collect(), (0..k * n).map(number).collect());
            let (a, b) = (View::new(&a, k, m, m).transposed(), View::new(&b, k, n, n));
            let (mut got, mut want) = (vec![1.5; m * n], vec![1.5; m * n]);
            add(&mut got, n, Sign::Minus, a, &Columns::new(b), 0);
            definition(&mut want, a, b);
            assert!(got.iter().zip(&want).all(|(a, b)| a.to_bits() == b.to_bits()), "{m} x {k} x {n}");
        }
    }
}
