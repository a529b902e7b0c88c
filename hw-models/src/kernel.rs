//! Fast GEMM: register tiles over packed operands, the same text for every instruction set.
//!
//! Weights are packed once into panels of [`NR`] output columns, K by K; activations into strips of `MR` rows on the fly.
//! A [`Unit`] says what happens to one strip and one panel; [`gemm`] walks the tiles and splits them over threads.
//! Each output is computed by one thread in an order that K alone decides, so neither the thread count nor the
//! instruction set changes a bit.

pub(crate) mod aligned;
mod block;
mod bytes;
mod exact;
mod fma;
pub(crate) mod groups;
mod integer;
mod level;
mod pack;
mod rounded;
pub(crate) mod simd;
mod tiles;

pub(crate) use block::{ByteBlocks, DoubleBlocks, SingleBlocks, SplitBlocks};
pub(crate) use bytes::gemm_bytes;
pub(crate) use exact::{CertifiedSums, bounds};
pub(crate) use fma::FmaChain;
pub(crate) use integer::Integers;
pub(crate) use pack::{Left, Panel, Panels, Rows};
pub(crate) use rounded::{Dot, Float, Registers, RoundedBlocks, mode};
pub(crate) use tiles::Fallback;

use crate::exact::canonical;
use block::to_odd;
use rayon::prelude::*;
use simd::{Path, Work};

/// Output columns in a panel.
pub(crate) const NR: usize = 32;
/// Output rows that one task computes; a multiple of every strip height.
const TASK_ROWS: usize = 96;
/// Output columns that one task computes.
const TASK_COLUMNS: usize = 8 * NR;

/// The fused multiply-add of an instruction set that has one.
///
/// Elsewhere it would be a call of the C library; kernels then take [`Lane::fma`] without it.
macro_rules! fused {
    ($a:expr, $b:expr, $c:expr) => {{
        #[expect(clippy::disallowed_methods, reason = "one instruction where this is compiled")]
        let fused = $a.mul_add($b, $c);
        fused
    }};
}
use fused;

/// Whether the build target itself has a fused multiply-add.
pub(crate) const FUSED: bool = cfg!(any(target_feature = "fma", target_arch = "aarch64"));

/// A number type that products accumulate in.
pub(crate) trait Lane: Copy + Default + Send + Sync + 'static {
    /// The nearest number to `x`; units call it only where that is `x` itself.
    fn of(x: f64) -> Self;
    /// `a * b + c` for an `a` that FP32 holds, rounded once; `FUSED` where the instruction set does that in one operation.
    fn fma<const FUSED: bool>(a: Self, b: f32, c: Self) -> Self;
}

impl Lane for f32 {
    #[inline(always)]
    fn of(x: f64) -> Self {
        x as f32
    }
    /// The product is exact in FP64, and rounding a sum to odd there and then to FP32 is rounding it once.
    #[inline(always)]
    fn fma<const FUSED: bool>(a: Self, b: f32, c: Self) -> Self {
        if FUSED { fused!(a, b, c) } else { to_odd(f64::from(a) * f64::from(b), f64::from(c)) as f32 }
    }
}

impl Lane for f64 {
    #[inline(always)]
    fn of(x: f64) -> Self {
        x
    }
    /// The product is exact, so that adding it rounds once.
    #[inline(always)]
    fn fma<const FUSED: bool>(a: Self, b: f32, c: Self) -> Self {
        if FUSED { fused!(a, f64::from(b), c) } else { a * f64::from(b) + c }
    }
}

/// What a matrix unit does with a strip of rows and a panel of columns.
pub(crate) trait Unit: Sync {
    /// The type that this unit accumulates products in.
    type Lane: Lane;

    /// Computes the outputs of one tile.
    fn tile<const MR: usize, const FUSED: bool>(
        &self,
        left: &Left<Self::Lane, MR>,
        right: Panel<'_>,
        out: &mut [[f32; NR]; MR],
    );
}

/// Adds the products of `left` and `right` to `sums`, k increasing, each by one fused multiply-add.
#[inline(always)]
pub(crate) fn chain<L: Lane, const MR: usize, const FUSED: bool>(
    left: &[[L; MR]],
    right: &[[f32; NR]],
    sums: &mut [[L; NR]; MR],
) {
    // A local copy lets the compiler keep the tile in registers.
    let mut tile = *sums;
    for (a, b) in left.iter().zip(right) {
        for r in 0..MR {
            for c in 0..NR {
                tile[r][c] = L::fma::<FUSED>(a[r], b[c], tile[r][c]);
            }
        }
    }
    *sums = tile;
}

/// `y[M, N] = x[M, K] w[N, K]^T` by `unit`.
pub(crate) fn gemm<U: Unit>(path: Path, unit: &U, x: &Rows<'_>, w: &Panels) -> Vec<f32> {
    let mut y = vec![0.0; x.rows * w.columns];
    tasks(&mut y, w.columns).into_par_iter().for_each(|task| simd::run(path, Compute { unit, x, w, task }));
    y
}

/// A rectangle of the output: `rows` are slices of consecutive output rows, all starting at column `panel * NR`.
pub(crate) struct Task<'a> {
    row: usize,
    panel: usize,
    rows: Vec<&'a mut [f32]>,
}

/// Cuts the output into rectangles, by its shape alone.
fn tasks(y: &mut [f32], columns: usize) -> Vec<Task<'_>> {
    if y.is_empty() {
        return Vec::new();
    }
    let across = columns.div_ceil(TASK_COLUMNS);
    let down = (y.len() / columns).div_ceil(TASK_ROWS);
    let mut tasks: Vec<Task<'_>> = (0..down * across)
        .map(|i| Task { row: i / across * TASK_ROWS, panel: i % across * (TASK_COLUMNS / NR), rows: Vec::new() })
        .collect();
    for (row, values) in y.chunks_mut(columns).enumerate() {
        let first = row / TASK_ROWS * across;
        for (task, part) in tasks[first..].iter_mut().zip(values.chunks_mut(TASK_COLUMNS)) {
            task.rows.push(part);
        }
    }
    tasks
}

/// One task of a product.
struct Compute<'a, U> {
    unit: &'a U,
    x: &'a Rows<'a>,
    w: &'a Panels,
    task: Task<'a>,
}

impl<U: Unit> Work for Compute<'_, U> {
    const BYTES: usize = size_of::<U::Lane>();

    #[inline(always)]
    fn run<const MR: usize, const FUSED: bool>(self) {
        let Self { unit, x, w, task } = self;
        let mut left = Left::<U::Lane, MR>::default();
        let mut row = task.row;
        let mut rows = task.rows;
        for strip in rows.chunks_mut(MR) {
            left.pack(x, row);
            row += MR;
            for panel in 0..strip[0].len().div_ceil(NR) {
                let mut out = [[0.0; NR]; MR];
                unit.tile::<MR, FUSED>(&left, w.panel(task.panel + panel), &mut out);
                write(&out, strip, panel);
            }
        }
    }
}

/// Copies a tile to panel number `panel` of some output rows; what lies beyond their ends is dropped.
#[inline(always)]
pub(crate) fn write<const MR: usize>(tile: &[[f32; NR]; MR], rows: &mut [&mut [f32]], panel: usize) {
    for (values, tile) in rows.iter_mut().zip(tile) {
        let from = panel * NR;
        let to = values.len().min(from + NR);
        for (value, result) in values[from..to].iter_mut().zip(tile) {
            *value = canonical(*result);
        }
    }
}
