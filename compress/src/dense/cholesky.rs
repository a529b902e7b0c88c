//! Lower triangular matrices in FP64: Cholesky's factor and the inverse, both by blocks of columns.

use super::product::{Columns, Sign, add};
use super::{BAND, DEPTH, View};
use rayon::prelude::*;

/// A lower triangular matrix in blocks of [`DEPTH`] columns; each begins with the row of its first column.
#[derive(Clone, Debug)]
pub(crate) struct Lower {
    n: usize,
    blocks: Vec<Vec<f64>>,
}

/// First column and width of block `b` of `n` columns.
fn block(n: usize, b: usize) -> (usize, usize) {
    (b * DEPTH, DEPTH.min(n - b * DEPTH))
}

impl Lower {
    /// The lower triangle of what `entry` says of row and column.
    pub(crate) fn from_fn(n: usize, entry: impl Fn(usize, usize) -> f64 + Sync) -> Self {
        let fill = |b: usize| {
            let (first, width) = block(n, b);
            let line = |i: usize| (first..first + width).map(move |j| (i, j));
            (first..n).flat_map(line).map(|(i, j)| if j <= i { entry(i, j) } else { 0.0 }).collect()
        };
        Self { n, blocks: (0..n.div_ceil(DEPTH)).into_par_iter().map(fill).collect() }
    }

    /// Element `(i, j)`, `j <= i`.
    pub(crate) fn at(&self, i: usize, j: usize) -> f64 {
        let (first, width) = block(self.n, j / DEPTH);
        self.blocks[j / DEPTH][(i - first) * width + j - first]
    }

    /// L with L L^T = this symmetric matrix; `None` where a pivot is not positive and finite.
    ///
    /// Block by block from the left: what earlier blocks say is subtracted, then the diagonal is factored and divides what is below it.
    pub(crate) fn cholesky(mut self) -> Option<Self> {
        for b in 0..self.blocks.len() {
            let (first, width) = block(self.n, b);
            let (done, rest) = self.blocks.split_at_mut(b);
            // Rows of an earlier block from row `from` on.
            let rows = |e: usize, from: usize, count: usize| {
                View::new(&done[e][(from - e * DEPTH) * DEPTH..], count, DEPTH, DEPTH)
            };
            let right: Vec<Columns<f64>> = (0..b).map(|e| Columns::new(rows(e, first, width).transposed())).collect();
            let subtract = |(i, band): (usize, &mut [f64])| {
                let (from, count) = (first + i * BAND, band.len() / width);
                right
                    .iter()
                    .enumerate()
                    .for_each(|(e, right)| add(band, width, Sign::Minus, rows(e, from, count), right, 0));
            };
            rest[0].par_chunks_mut(BAND * width).enumerate().for_each(subtract);
            let (diagonal, below) = rest[0].split_at_mut(width * width);
            let upper = factor(diagonal, width)?;
            below.par_chunks_mut(BAND * width).for_each(|band| divide(band, &upper, width));
        }
        Some(self)
    }

    /// The inverse of a triangular matrix.
    pub(crate) fn inverse(&self) -> Self {
        let blocks = (0..self.blocks.len()).into_par_iter().with_max_len(1).map(|b| self.inverse_block(b)).collect();
        Self { n: self.n, blocks }
    }

    /// Columns of a block of the inverse X: in each block of rows, L X = 1 is solved for what is above it.
    fn inverse_block(&self, b: usize) -> Vec<f64> {
        let (first, width) = block(self.n, b);
        let mut inverse = vec![0.0; (self.n - first) * width];
        let mut above: Vec<Columns<f64>> = Vec::new();
        for (i, rows) in inverse.chunks_mut(DEPTH * width).enumerate() {
            let (top, height) = block(self.n, b + i);
            for (e, right) in above.iter().enumerate() {
                let (from, across) = block(self.n, b + e);
                let left = &self.blocks[b + e][(top - from) * across..];
                add(rows, width, Sign::Minus, View::new(left, height, across, across), right, 0);
            }
            if i == 0 {
                (0..width).for_each(|j| rows[j * width + j] = 1.0);
            }
            solve(&self.blocks[b + i], height, rows, width);
            above.push(Columns::new(View::new(rows, height, width, width)));
        }
        inverse
    }
}

/// Factors a block `[width, width]` and gives the transpose of the factor; `None` where a pivot is not positive and finite.
fn factor(diagonal: &mut [f64], width: usize) -> Option<Vec<f64>> {
    let mut upper = vec![0.0; width * width];
    (0..width * width).for_each(|at| upper[at] = diagonal[at % width * width + at / width]);
    for t in 0..width {
        let (row, below) = upper[t * width..].split_at_mut(width);
        let pivot = row[t];
        if !(pivot > 0.0 && pivot.is_finite()) {
            return None;
        }
        let root = pivot.sqrt();
        row[t..].iter_mut().for_each(|u| *u /= root);
        for (i, line) in (t + 1..).zip(below.chunks_exact_mut(width)) {
            subtract(&mut line[i..], row[i], &row[i..]);
        }
    }
    (0..width * width).for_each(|at| {
        diagonal[at] = if at % width <= at / width { upper[at % width * width + at / width] } else { 0.0 }
    });
    Some(upper)
}

/// Divides rows by the transposed factor of the diagonal.
fn divide(rows: &mut [f64], upper: &[f64], width: usize) {
    for row in rows.chunks_exact_mut(width) {
        for (t, line) in upper.chunks_exact(width).enumerate() {
            let (head, tail) = row.split_at_mut(t + 1);
            head[t] /= line[t];
            subtract(tail, head[t], &line[t + 1..]);
        }
    }
}

/// Divides rows `[height, width]` by the triangular block `[height, height]` from the left.
fn solve(lower: &[f64], height: usize, rows: &mut [f64], width: usize) {
    for i in 0..height {
        let (above, row) = rows.split_at_mut(i * width);
        let row = &mut row[..width];
        let line = &lower[i * height..][..=i];
        for (factor, above) in line.iter().zip(above.chunks_exact(width)) {
            subtract(row, *factor, above);
        }
        row.iter_mut().for_each(|x| *x /= line[i]);
    }
}

/// `to -= factor * from`.
fn subtract(to: &mut [f64], factor: f64, from: &[f64]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to -= factor * from);
}
