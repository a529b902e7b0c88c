//! Fake quantisation in place, blocks that lie in rows.

use super::{Sweep, by_length, first_bad, rows_per_task};
use crate::kernel::{Draws, GROUP, Kernel};
use crate::simd::{Level, Task};
use rayon::prelude::*;

impl Sweep {
    /// Fake-quantises all rows; the flat index of the first non-finite value, if any.
    pub(crate) fn fake<K: Kernel>(&self, kernel: K, x: &mut [f32]) -> Option<usize> {
        if K::CROSSES && !self.is_row_local() {
            return self.fake_blocks(kernel, x);
        }
        let rows = rows_per_task(self.k, self.rows);
        let tasks = x.par_chunks_mut((rows * self.k).max(1)).enumerate();
        let bad = tasks.filter_map(|(i, x)| {
            let first = i * rows * self.k;
            let (level, draws) = (self.level, self.draws(first));
            let task = Fake { kernel, level, x, k: self.k, run: self.run(), draws };
            Some(first + self.task::<K, _>(task)?)
        });
        bad.min()
    }
}

/// Fake-quantises some rows.
struct Fake<'a, K> {
    kernel: K,
    level: Level,
    x: &'a mut [f32],
    k: usize,
    run: usize,
    draws: Draws,
}

impl<K: Kernel> Task for Fake<'_, K> {
    type Output = Option<usize>;

    #[inline(always)]
    fn run(self) -> Option<usize> {
        for (r, row) in self.x.chunks_mut(self.k).enumerate() {
            let draws = self.draws.after(r * self.k);
            if let Some(at) = by_length!(self.run, fake_row::<K>(self.level; self.kernel, row, draws), fake_runs) {
                return Some(r * self.k + at);
            }
        }
        None
    }
}

/// Blocks of a length known to the compiler, and a short last one.
#[inline(always)]
fn fake_row<K: Kernel, const B: usize>(level: Level, kernel: K, row: &mut [f32], draws: Draws) -> Option<usize> {
    let mut done = 0;
    let (mut blocks, tail) = row.as_chunks_mut::<B>();
    if K::GROUPED {
        let (groups, rest) = blocks.as_chunks_mut::<GROUP>();
        for group in groups {
            let Some((factors, _)) = kernel.scales(level, group) else {
                return Some(done + first_bad(group.as_flattened()));
            };
            for (block, factor) in group.iter_mut().zip(factors) {
                kernel.fake_all(block, factor, draws.after(done));
                done += B;
            }
        }
        blocks = rest;
    }
    for block in blocks {
        if !fake_block(kernel, block, draws.after(done)) {
            return Some(done + first_bad(block));
        }
        done += B;
    }
    fake_runs(kernel, tail, draws.after(done), B).map(|at| done + at)
}

/// Blocks of any length.
#[inline(always)]
fn fake_runs<K: Kernel>(kernel: K, row: &mut [f32], draws: Draws, run: usize) -> Option<usize> {
    for (b, block) in row.chunks_mut(run).enumerate() {
        if !fake_block(kernel, block, draws.after(b * run)) {
            return Some(b * run + first_bad(block));
        }
    }
    None
}

/// One block in place; false, and nothing done, where a value is not finite.
#[inline(always)]
fn fake_block<K: Kernel>(kernel: K, block: &mut [f32], draws: Draws) -> bool {
    let Some((factor, _)) = kernel.scale(block) else { return false };
    kernel.fake_all(block, factor, draws);
    true
}
