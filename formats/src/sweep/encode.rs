//! Codes and scales, blocks that lie in rows.

use super::{Sweep, by_length, first_bad, rows_per_task};
use crate::kernel::{Code, Draws, GROUP, Kernel};
use crate::simd::{Level, Task};
use rayon::prelude::*;

/// Codes [rows, k_padded] and scales, one a block; or the flat index of the first non-finite value.
pub(crate) type Encoded<K> = Result<(Vec<<K as Kernel>::Code>, Vec<<K as Kernel>::Scale>), usize>;

impl Sweep {
    /// Encodes all rows.
    pub(crate) fn encode<K: Kernel>(&self, kernel: K, x: &[f32]) -> Encoded<K> {
        if K::CROSSES && !self.is_row_local() {
            return self.encode_blocks(kernel, x);
        }
        let (k, run) = (self.k, self.run());
        let (padded, pieces) = (self.format.padded(k), k.div_ceil(run));
        let mut codes = vec![K::Code::default(); self.rows * padded];
        let mut scales = vec![K::Scale::default(); self.rows * pieces];
        let rows = rows_per_task(k, self.rows);
        let tasks = x.par_chunks((rows * k).max(1)).enumerate();
        let outputs = codes.par_chunks_mut((rows * padded).max(1)).zip(scales.par_chunks_mut((rows * pieces).max(1)));
        let bad = tasks.zip(outputs).filter_map(|((i, x), (codes, scales))| {
            let first = i * rows * k;
            let (level, draws) = (self.level, self.draws(first));
            let task = Encode { kernel, level, x, codes, scales, k, padded, pieces, run, draws };
            Some(first + self.task::<K, _>(task)?)
        });
        bad.min().map_or(Ok((codes, scales)), Err)
    }
}

/// Encodes some rows.
struct Encode<'a, K: Kernel> {
    kernel: K,
    level: Level,
    x: &'a [f32],
    codes: &'a mut [K::Code],
    scales: &'a mut [K::Scale],
    k: usize,
    padded: usize,
    pieces: usize,
    run: usize,
    draws: Draws,
}

impl<K: Kernel> Task for Encode<'_, K> {
    type Output = Option<usize>;

    #[inline(always)]
    fn run(self) -> Option<usize> {
        let rows = self.codes.chunks_mut(self.padded).zip(self.scales.chunks_mut(self.pieces));
        for (r, (row, (codes, scales))) in self.x.chunks(self.k).zip(rows).enumerate() {
            let draws = self.draws.after(r * self.k);
            if let Some(at) = encode_any(self.level, self.kernel, row, codes, scales, draws, self.run) {
                return Some(r * self.k + at);
            }
        }
        None
    }
}

/// The blocks of a row, or of a part of one: the position of the first value that is not finite, if any.
#[inline(always)]
pub(super) fn encode_any<K: Kernel, C: Code>(
    level: Level,
    kernel: K,
    row: &[f32],
    codes: &mut [C],
    scales: &mut [K::Scale],
    draws: Draws,
    run: usize,
) -> Option<usize> {
    by_length!(run, encode_row::<K, C>(level; kernel, row, codes, scales, draws), encode_runs)
}

/// Blocks of a length known to the compiler, and a short last one.
#[inline(always)]
fn encode_row<K: Kernel, C: Code, const B: usize>(
    level: Level,
    kernel: K,
    row: &[f32],
    codes: &mut [C],
    scales: &mut [K::Scale],
    draws: Draws,
) -> Option<usize> {
    let (blocks, tail) = row.as_chunks::<B>();
    let (codes, codes_tail) = codes.split_at_mut(blocks.len() * B);
    let (scales, scales_tail) = scales.split_at_mut(blocks.len());
    let codes = codes.as_chunks_mut::<B>().0;
    let mut done = 0;
    let grouped = if K::GROUPED { blocks.len() / GROUP * GROUP } else { 0 };
    if K::GROUPED {
        let outputs = codes.as_chunks_mut::<GROUP>().0.iter_mut().zip(scales.as_chunks_mut::<GROUP>().0);
        for (group, (codes, stored)) in blocks.as_chunks::<GROUP>().0.iter().zip(outputs) {
            let Some((factors, scales)) = kernel.scales(level, group) else {
                return Some(done + first_bad(group.as_flattened()));
            };
            *stored = scales;
            for ((block, codes), factor) in group.iter().zip(codes).zip(factors) {
                kernel.code_all(block, codes, factor, draws.after(done));
                done += B;
            }
        }
    }
    let outputs = codes[grouped..].iter_mut().zip(&mut scales[grouped..]);
    for (block, (codes, scale)) in blocks[grouped..].iter().zip(outputs) {
        if !encode_block(kernel, block, codes, scale, draws.after(done)) {
            return Some(done + first_bad(block));
        }
        done += B;
    }
    encode_runs(kernel, tail, codes_tail, scales_tail, draws.after(done), B).map(|at| done + at)
}

/// Blocks of any length.
#[inline(always)]
fn encode_runs<K: Kernel, C: Code>(
    kernel: K,
    row: &[f32],
    codes: &mut [C],
    scales: &mut [K::Scale],
    draws: Draws,
    run: usize,
) -> Option<usize> {
    for (b, ((block, codes), scale)) in row.chunks(run).zip(codes.chunks_mut(run)).zip(scales).enumerate() {
        if !encode_block(kernel, block, codes, scale, draws.after(b * run)) {
            return Some(b * run + first_bad(block));
        }
    }
    None
}

/// One block; false where a value is not finite. Codes beyond a short block stay zero.
#[inline(always)]
fn encode_block<K: Kernel, C: Code>(
    kernel: K,
    block: &[f32],
    codes: &mut [C],
    scale: &mut K::Scale,
    draws: Draws,
) -> bool {
    let Some((factor, stored)) = kernel.scale(block) else { return false };
    *scale = stored;
    kernel.code_all(block, codes, factor, draws);
    true
}
