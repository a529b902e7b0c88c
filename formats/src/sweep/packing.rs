//! FP32 to packed codes in one sweep: codes lie in a small buffer of 32-bit lanes between the kernel
//! and the bit string, so that kernels narrow nothing.

use super::encode::encode_any;
use super::{Sweep, first_bad, rows_per_task};
use crate::kernel::{Draws, Kernel};
use crate::pack::{self, BUFFER};
use crate::simd::{Level, Task};
use rayon::prelude::*;

/// Blocks up to this length lie whole in the buffer, so many that they fill whole bytes at any width.
pub(crate) const SHORT: usize = BUFFER / 8;

impl Sweep {
    /// Whether [`Sweep::pack`] covers the format and the shape: blocks in rows, rows and long blocks of whole bytes.
    pub(crate) fn packs(&self) -> bool {
        let width = self.format.element.bits() as usize;
        let (run, padded) = (self.run(), self.format.padded(self.k));
        let whole = run <= SHORT || run == padded || (run * width).is_multiple_of(8);
        self.rows > 0 && width <= 16 && self.is_row_local() && whole && (padded * width).is_multiple_of(8)
    }

    /// Packs all rows into `out`, every byte of which is written; gives the scales, or the flat index of the first
    /// non-finite value.
    pub(crate) fn pack<K: Kernel>(&self, kernel: K, x: &[f32], out: &mut [u8]) -> Result<Vec<K::Scale>, usize> {
        let (k, run, width) = (self.k, self.run(), self.format.element.bits());
        let pieces = k.div_ceil(run);
        let mut scales = vec![K::Scale::default(); self.rows * pieces];
        let rows = rows_per_task(k, self.rows);
        let bytes = pack::length(self.format.padded(k), width);
        let outputs = out.par_chunks_mut((rows * bytes).max(1)).zip(scales.par_chunks_mut((rows * pieces).max(1)));
        let tasks = x.par_chunks((rows * k).max(1)).enumerate().zip(outputs);
        let bad = tasks.filter_map(|((i, x), (out, scales))| {
            let first = i * rows * k;
            let (level, draws) = (self.level, self.draws(first));
            let task = Packing { kernel, level, x, out, scales, k, run, width, bytes, pieces, draws };
            Some(first + self.task::<K, _>(task)?)
        });
        bad.min().map_or(Ok(scales), Err)
    }
}

/// Packs some rows.
pub(crate) struct Packing<'a, K: Kernel> {
    kernel: K,
    level: Level,
    x: &'a [f32],
    out: &'a mut [u8],
    scales: &'a mut [K::Scale],
    k: usize,
    run: usize,
    width: u32,
    /// Bytes and scales of a row.
    bytes: usize,
    pieces: usize,
    draws: Draws,
}

impl<K: Kernel> Task for Packing<'_, K> {
    type Output = Option<usize>;

    #[inline(always)]
    fn run(self) -> Option<usize> {
        let Self { kernel, level, run, width, .. } = self;
        let rows = self.out.chunks_mut(self.bytes).zip(self.scales.chunks_mut(self.pieces));
        for (r, (row, (out, scales))) in self.x.chunks(self.k).zip(rows).enumerate() {
            let draws = self.draws.after(r * self.k);
            let bad = if run <= SHORT {
                short_blocks(level, kernel, row, out, scales, draws, (run, width))
            } else {
                long_blocks(level, kernel, row, out, scales, draws, (run, width))
            };
            if let Some(at) = bad {
                return Some(r * self.k + at);
            }
        }
        None
    }
}

/// Several blocks at a time; a short last one is padded with zeros.
#[inline(always)]
fn short_blocks<K: Kernel>(
    level: Level,
    kernel: K,
    row: &[f32],
    out: &mut [u8],
    scales: &mut [K::Scale],
    draws: Draws,
    (run, width): (usize, u32),
) -> Option<usize> {
    let mut buffer = [0; BUFFER];
    let done = if run == K::LENGTH { kernel.packed(level, row, out, scales) } else { 0 };
    let (row, out, scales) = (&row[done * run..], &mut out[pack::length(done * run, width)..], &mut scales[done..]);
    let draws = draws.after(done * run);
    let blocks = SHORT / run * 8;
    let pieces = out.chunks_mut(pack::length(blocks * run, width)).zip(scales.chunks_mut(blocks));
    for (i, (row, (out, scales))) in row.chunks(blocks * run).zip(pieces).enumerate() {
        // A scalar format has no padding: its last run may be short.
        let codes = &mut buffer[..out.len() * 8 / width as usize];
        codes[row.len()..].fill(0);
        if let Some(at) = encode_any(level, kernel, row, codes, scales, draws.after(i * blocks * run), run) {
            return Some((done + i * blocks) * run + at);
        }
        pack::piece(level, codes, width, out);
    }
    None
}

/// Blocks of which the buffer holds only a part: the scale first, from the whole block.
#[inline(always)]
fn long_blocks<K: Kernel>(
    level: Level,
    kernel: K,
    row: &[f32],
    out: &mut [u8],
    scales: &mut [K::Scale],
    draws: Draws,
    (run, width): (usize, u32),
) -> Option<usize> {
    let mut buffer = [0; BUFFER];
    let blocks = row.chunks(run).zip(out.chunks_mut(pack::length(run, width))).zip(scales);
    for (b, ((block, out), scale)) in blocks.enumerate() {
        let Some((factor, stored)) = kernel.scale(block) else { return Some(b * run + first_bad(block)) };
        *scale = stored;
        // Codes beyond a short block are zero, and so are the bytes beyond its last one.
        let (own, padding) = out.split_at_mut(pack::length(block.len(), width));
        padding.fill(0);
        for (i, (x, out)) in block.chunks(BUFFER).zip(own.chunks_mut(pack::length(BUFFER, width))).enumerate() {
            let codes = &mut buffer[..x.len()];
            kernel.code_all(x, codes, factor, draws.after(b * run + i * BUFFER));
            pack::piece(level, codes, width, out);
        }
    }
    None
}
