//! FP32 products of matrices as they lie in memory: the datapath `fp32` without preparation.
//!
//! Both operands are packed as the kernel reads them, the left one once, the right one a few panels at a time, so that a product takes
//! little memory beside its operands.

use crate::kernel::simd::{Path, Work, run};
use crate::kernel::{NR, chain, write};
use rayon::prelude::*;

/// Bytes of packed columns that one task works on: they stay in the second-level cache. Assumed: half of 1 MiB.
const PACKED: usize = 512 << 10;
/// Panels that one task packs at most.
const PANELS: usize = 8;
/// Tasks that a product is cut into at least, where it has as many panels.
const TASKS: usize = 8;

/// A matrix in memory: element `(i, j)` is `data[i * strides[0] + j * strides[1]]`.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    /// The elements, from the first one on.
    pub data: &'a [f32],
    /// Rows and columns.
    pub shape: [usize; 2],
    /// Elements from one row, and from one column, to the next.
    pub strides: [usize; 2],
}

impl<'a> Matrix<'a> {
    /// A matrix in row-major order.
    pub fn new(data: &'a [f32], shape: [usize; 2]) -> Self {
        Self { data, shape, strides: [shape[1], 1] }
    }

    /// Whether every element lies within the data.
    fn fits(&self) -> bool {
        let last = |i: usize| self.shape[i].saturating_sub(1).checked_mul(self.strides[i]);
        let empty = self.shape.contains(&0);
        let end = last(0).and_then(|rows| rows.checked_add(last(1)?));
        empty || end.is_some_and(|end| end < self.data.len())
    }
}

/// `out [m, n] = a [m, k] x b [k, n]`, row-major, on all threads of the current pool.
///
/// False, with `out` as it was, where the shapes do not go together or an operand is longer than its data.
#[must_use]
pub fn matmul(a: Matrix<'_>, b: Matrix<'_>, out: &mut [f32]) -> bool {
    let ([m, k], [depth, n]) = (a.shape, b.shape);
    if k != depth || m.checked_mul(n) != Some(out.len()) || !a.fits() || !b.fits() {
        return false;
    }
    if out.is_empty() {
        return true;
    }
    let path = Path::best();
    let mut left = Vec::new();
    run(path, Pack { a, left: &mut left });
    let panels = n.div_ceil(NR);
    let most = (PACKED / (k * NR * size_of::<f32>()).max(1)).clamp(1, PANELS);
    let width = NR * panels.div_ceil(TASKS).clamp(1, most);
    tasks(out, n, width).into_par_iter().enumerate().for_each(|(task, rows)| {
        run(path, Columns { left: &left, b, first: task * width, rows });
    });
    true
}

/// The output cut into groups of `width` columns: for each the parts of all rows.
fn tasks(out: &mut [f32], n: usize, width: usize) -> Vec<Vec<&mut [f32]>> {
    let mut tasks: Vec<Vec<&mut [f32]>> = (0..n.div_ceil(width)).map(|_| Vec::with_capacity(out.len() / n)).collect();
    for row in out.chunks_mut(n) {
        for (task, part) in tasks.iter_mut().zip(row.chunks_mut(width)) {
            task.push(part);
        }
    }
    tasks
}

/// Packs the left operand: strips of `MR` rows side by side, `[strips][k][MR]`, zeros below the last row.
struct Pack<'a> {
    a: Matrix<'a>,
    left: &'a mut Vec<f32>,
}

impl Work for Pack<'_> {
    const BYTES: usize = size_of::<f32>();

    #[inline(always)]
    fn run<const MR: usize, const FUSED: bool>(self) {
        let Matrix { data, shape: [m, k], strides: [down, across] } = self.a;
        self.left.resize(m.div_ceil(MR) * k * MR, 0.0);
        let strips = self.left.par_chunks_mut((k * MR).max(1)).with_min_len((1 << 14) / (k * MR).max(1) + 1);
        strips.enumerate().for_each(|(strip, packed)| {
            for lane in 0..MR.min(m - strip * MR) {
                let row = &data[(strip * MR + lane) * down..];
                let slots = packed[lane..].iter_mut().step_by(MR);
                slots.zip(row.iter().step_by(across.max(1))).for_each(|(slot, value)| *slot = *value);
            }
        });
    }
}

/// One group of columns of the output.
struct Columns<'a> {
    left: &'a [f32],
    b: Matrix<'a>,
    /// The first column.
    first: usize,
    /// `[m][columns]`.
    rows: Vec<&'a mut [f32]>,
}

impl Work for Columns<'_> {
    const BYTES: usize = size_of::<f32>();

    #[inline(always)]
    fn run<const MR: usize, const FUSED: bool>(mut self) {
        let [k, _] = self.b.shape;
        let columns = self.rows.first().map_or(0, |row| row.len());
        let panels: Vec<Vec<[f32; NR]>> =
            (0..columns.div_ceil(NR)).map(|panel| panel_of(self.b, self.first + panel * NR)).collect();
        let (strips, _) = self.left.as_chunks::<MR>();
        for (index, rows) in self.rows.chunks_mut(MR).enumerate() {
            let strip = &strips[index * k..(index + 1) * k];
            for (panel, right) in panels.iter().enumerate() {
                let mut tile = [[0.0; NR]; MR];
                chain::<f32, MR, FUSED>(strip, right, &mut tile);
                write(&tile, rows, panel);
            }
        }
    }
}

/// The columns from `first` on as `[k][NR]`, zeros right of the last one.
#[inline(always)]
fn panel_of(b: Matrix<'_>, first: usize) -> Vec<[f32; NR]> {
    let Matrix { data, shape: [k, n], strides: [down, across] } = b;
    let columns = NR.min(n - first);
    let mut panel = vec![[0.0; NR]; k];
    if across == 1 {
        for (i, slots) in panel.iter_mut().enumerate() {
            slots[..columns].copy_from_slice(&data[i * down + first..][..columns]);
        }
    } else {
        // A few rows of the panel at a time, so that they stay in the nearest cache while every column is read.
        for (block, slots) in panel.chunks_mut(16).enumerate() {
            for column in 0..columns {
                let from = &data[block * 16 * down + (first + column) * across..];
                slots
                    .iter_mut()
                    .zip(from.iter().step_by(down.max(1)))
                    .for_each(|(slots, value)| slots[column] = *value);
            }
        }
    }
    panel
}
