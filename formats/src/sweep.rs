//! The sweep over a matrix: threads over rows, blocks of a row, elements of a block.
//!
//! Invariant: which thread does a row never shows in the result, nor does the order; of several non-finite values the
//! first by index is reported. Arithmetic is the kernels' business.

use crate::error::{Error, non_finite};
use crate::kernel::{INFINITY, Kernel, MAGNITUDE};
use crate::simd::{self, Level, Task};
use crate::tensor::{Codes, Scales};
use crate::{Format, Quantized};
use rayon::prelude::*;

/// Values that one parallel task takes at least; fewer are done on the calling thread.
pub(crate) const GRAIN: usize = 1 << 15;

/// Rows that one task takes.
fn rows_per_task(k: usize, rows: usize) -> usize {
    if rows * k < 2 * GRAIN { rows.max(1) } else { GRAIN.div_ceil(k.max(1)) }
}

/// The largest magnitude's bits: as integers, magnitudes are ordered like the numbers, and NaN above all.
#[inline(always)]
fn amax(x: &[f32]) -> u32 {
    x.iter().fold(0, |m, v| m.max(v.to_bits() & MAGNITUDE))
}

/// The flat index of the first non-finite value.
pub(crate) fn first_non_finite(x: &[f32]) -> Option<usize> {
    let piece = x.par_chunks(GRAIN).position_first(|piece| amax(piece) >= INFINITY)?;
    Some(piece * GRAIN + first_bad(&x[piece * GRAIN..]))
}

/// The first non-finite value of a block that has one.
#[cold]
fn first_bad(x: &[f32]) -> usize {
    x.iter().position(|v| !v.is_finite()).unwrap_or(0)
}

/// Fake-quantises all rows; the flat index of the first non-finite value, if any.
pub(crate) fn fake<K: Kernel>(level: Level, kernel: K, format: &Format, x: &mut [f32], k: usize) -> Option<usize> {
    let run = format.run_len(k);
    let task_rows = rows_per_task(k, x.len() / k.max(1));
    let tasks = x.par_chunks_mut((task_rows * k).max(1)).enumerate();
    let bad = tasks.filter_map(|(i, x)| Some(i * task_rows * k + simd::run(level, Fake { kernel, x, k, run })?));
    bad.min()
}

/// Fake-quantises some rows.
struct Fake<'a, K> {
    kernel: K,
    x: &'a mut [f32],
    k: usize,
    run: usize,
}

impl<K: Kernel> Task for Fake<'_, K> {
    type Output = Option<usize>;

    #[inline(always)]
    fn run(self) -> Option<usize> {
        for (r, row) in self.x.chunks_mut(self.k).enumerate() {
            let bad = match self.run {
                32 => fake_row::<K, 32>(self.kernel, row),
                64 => fake_row::<K, 64>(self.kernel, row),
                run => fake_blocks(self.kernel, row, run),
            };
            if let Some(at) = bad {
                return Some(r * self.k + at);
            }
        }
        None
    }
}

/// Blocks of a length known to the compiler, and a short last one.
#[inline(always)]
fn fake_row<K: Kernel, const B: usize>(kernel: K, row: &mut [f32]) -> Option<usize> {
    let (blocks, tail) = row.as_chunks_mut::<B>();
    let whole = blocks.len() * B;
    for (b, block) in blocks.iter_mut().enumerate() {
        if !fake_block(kernel, block) {
            return Some(b * B + first_bad(block));
        }
    }
    fake_blocks(kernel, tail, B).map(|at| whole + at)
}

/// Blocks of any length.
#[inline(always)]
fn fake_blocks<K: Kernel>(kernel: K, row: &mut [f32], run: usize) -> Option<usize> {
    for (b, block) in row.chunks_mut(run).enumerate() {
        if !fake_block(kernel, block) {
            return Some(b * run + first_bad(block));
        }
    }
    None
}

/// One block in place; false, and nothing done, where a value is not finite.
#[inline(always)]
fn fake_block<K: Kernel>(kernel: K, block: &mut [f32]) -> bool {
    let amax = amax(block);
    if amax >= INFINITY {
        return false;
    }
    let (factor, _) = kernel.factor(amax);
    for v in block {
        *v = kernel.fake(*v, factor);
    }
    true
}

/// A matrix to be encoded.
pub(crate) struct Job<'a> {
    pub(crate) format: &'static Format,
    pub(crate) level: Level,
    pub(crate) x: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) k: usize,
}

impl Job<'_> {
    /// Codes [rows, k_padded] and one scale a piece that the kernel saw, each wrapped in its stored kind.
    pub(crate) fn encode<K: Kernel>(
        &self,
        kernel: K,
        wrap_codes: fn(Vec<K::Code>) -> Codes,
        wrap_scales: fn(Vec<K::Scale>) -> Scales,
    ) -> Result<Quantized, Error> {
        let k = self.k;
        let run = self.format.run_len(k);
        let (padded, pieces) = (self.format.padded(k), k.div_ceil(run));
        let mut codes = vec![K::Code::default(); self.rows * padded];
        let mut scales = vec![K::Scale::default(); self.rows * pieces];
        let rows = rows_per_task(k, self.rows);
        let tasks = self.x.par_chunks((rows * k).max(1)).enumerate();
        let outputs = codes.par_chunks_mut((rows * padded).max(1)).zip(scales.par_chunks_mut((rows * pieces).max(1)));
        let bad = tasks.zip(outputs).filter_map(|((i, x), (codes, scales))| {
            let task = Encode { kernel, x, codes, scales, k, padded, pieces, run };
            Some(i * rows * k + simd::run(self.level, task)?)
        });
        match bad.min() {
            Some(at) => Err(non_finite(self.x, k, at)),
            None => Ok(Quantized::new(self.format, self.rows, k, wrap_codes(codes), wrap_scales(scales))),
        }
    }
}

/// Encodes some rows.
struct Encode<'a, K: Kernel> {
    kernel: K,
    x: &'a [f32],
    codes: &'a mut [K::Code],
    scales: &'a mut [K::Scale],
    k: usize,
    padded: usize,
    pieces: usize,
    run: usize,
}

impl<K: Kernel> Task for Encode<'_, K> {
    type Output = Option<usize>;

    #[inline(always)]
    fn run(self) -> Option<usize> {
        let rows = self.codes.chunks_mut(self.padded).zip(self.scales.chunks_mut(self.pieces));
        for (r, (row, (codes, scales))) in self.x.chunks(self.k).zip(rows).enumerate() {
            let bad = match self.run {
                32 => encode_row::<K, 32>(self.kernel, row, codes, scales),
                64 => encode_row::<K, 64>(self.kernel, row, codes, scales),
                run => encode_blocks(self.kernel, row, codes, scales, run),
            };
            if let Some(at) = bad {
                return Some(r * self.k + at);
            }
        }
        None
    }
}

/// Blocks of a length known to the compiler, and a short last one.
#[inline(always)]
fn encode_row<K: Kernel, const B: usize>(
    kernel: K,
    row: &[f32],
    codes: &mut [K::Code],
    scales: &mut [K::Scale],
) -> Option<usize> {
    let (blocks, tail) = row.as_chunks::<B>();
    let (whole, count) = (blocks.len() * B, blocks.len());
    for (b, ((block, codes), scale)) in blocks.iter().zip(codes.as_chunks_mut::<B>().0).zip(&mut *scales).enumerate() {
        if !encode_block(kernel, block, codes, scale) {
            return Some(b * B + first_bad(block));
        }
    }
    encode_blocks(kernel, tail, &mut codes[whole..], &mut scales[count..], B).map(|at| whole + at)
}

/// Blocks of any length.
#[inline(always)]
fn encode_blocks<K: Kernel>(
    kernel: K,
    row: &[f32],
    codes: &mut [K::Code],
    scales: &mut [K::Scale],
    run: usize,
) -> Option<usize> {
    for (b, ((block, codes), scale)) in row.chunks(run).zip(codes.chunks_mut(run)).zip(scales).enumerate() {
        if !encode_block(kernel, block, codes, scale) {
            return Some(b * run + first_bad(block));
        }
    }
    None
}

/// One block; false where a value is not finite. Codes beyond a short block stay zero.
#[inline(always)]
fn encode_block<K: Kernel>(kernel: K, block: &[f32], codes: &mut [K::Code], scale: &mut K::Scale) -> bool {
    let amax = amax(block);
    if amax >= INFINITY {
        return false;
    }
    let (factor, stored) = kernel.factor(amax);
    *scale = stored;
    for (code, v) in codes.iter_mut().zip(block) {
        *code = kernel.code(*v, factor);
    }
    true
}
