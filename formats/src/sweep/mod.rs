//! The sweep over a matrix: threads over rows, blocks of a row, elements of a block.
//!
//! Invariant: which thread does a row never shows in the result, nor does the order; of several non-finite values the
//! first by index is reported. Arithmetic is the kernels' business.

mod blocks;
mod encode;
mod fake;
mod packing;

pub(crate) use packing::SHORT;

use crate::Format;
use crate::kernel::{Amax, Draws, INFINITY, Kernel, Summary};
use crate::random::Stream;
use crate::simd::{self, Level, Task};
use rayon::prelude::*;

/// Values that one parallel task takes at least; fewer are done on the calling thread.
pub(crate) const GRAIN: usize = 1 << 15;

/// Values that a scalar format treats as one block; any number gives the same bits.
const SCALAR_RUN: usize = 64;

/// Rows that one task takes.
pub(crate) fn rows_per_task(k: usize, rows: usize) -> usize {
    if rows * k < 2 * GRAIN { rows.max(1) } else { GRAIN.div_ceil(k.max(1)) }
}

/// The bits of the largest magnitude.
struct Largest<'a>(&'a [f32]);

impl Task for Largest<'_> {
    type Output = u32;

    #[inline(always)]
    fn run(self) -> u32 {
        Amax::all(self.0).0
    }
}

/// The largest magnitude, or the flat index of the first non-finite value.
pub(crate) fn amax(level: Level, x: &[f32]) -> Result<f32, usize> {
    let all = x.par_chunks(GRAIN).map(|piece| simd::run(level, Largest(piece))).max().unwrap_or(0);
    if all < INFINITY { Ok(f32::from_bits(all)) } else { Err(first_bad(x)) }
}

/// The flat index of the first non-finite value.
pub(crate) fn first_non_finite(x: &[f32]) -> Option<usize> {
    let bad = |piece: &[f32]| simd::run(Level::detect(), Largest(piece)) >= INFINITY;
    let piece = x.par_chunks(GRAIN).position_first(bad)?;
    Some(piece * GRAIN + first_bad(&x[piece * GRAIN..]))
}

/// The first non-finite value of a slice that has one.
#[cold]
fn first_bad(x: &[f32]) -> usize {
    x.iter().position(|v| !v.is_finite()).unwrap_or(0)
}

/// What every sweep needs to know beside values and kernel.
#[derive(Clone, Copy)]
pub(crate) struct Sweep {
    pub(crate) format: &'static Format,
    pub(crate) level: Level,
    pub(crate) stream: Stream,
    pub(crate) rows: usize,
    pub(crate) k: usize,
}

impl Sweep {
    /// The length of the pieces that kernels see: a block, a run of a scalar format, a row.
    fn run(&self) -> usize {
        self.format.scaling.map_or(SCALAR_RUN, |s| s.block.extent(1, self.k).1)
    }

    /// Whether every block lies in one row.
    fn is_row_local(&self) -> bool {
        self.format.scaling.is_none_or(|s| s.block.is_row_local())
    }

    /// Runs a task of a kernel; those that are not common are not compiled for the widest vectors.
    fn task<K: Kernel, T: Task>(&self, task: T) -> T::Output {
        if K::COMMON { simd::run(self.level, task) } else { simd::run_narrow(self.level, task) }
    }

    /// The random words from an element on.
    const fn draws(&self, first: usize) -> Draws {
        Draws { stream: self.stream, first: first as u64 }
    }
}

/// Calls `$row` with the block length as a constant where that is the kernel's usual one, else `$blocks`, which does not
/// care for the level. The first comparison of each arm is one of constants, so that only one is compiled.
macro_rules! by_length {
    ($run:expr, $row:ident::<$K:ty $(, $C:ty)?>($level:expr; $($argument:expr),*), $blocks:ident) => {
        if !<$K>::COMMON || $run != <$K>::LENGTH {
            $blocks::<$K $(, $C)?>($($argument),*, $run)
        } else if <$K>::LENGTH == 16 {
            $row::<$K $(, $C)?, 16>($level, $($argument),*)
        } else if <$K>::LENGTH == 32 {
            $row::<$K $(, $C)?, 32>($level, $($argument),*)
        } else {
            $row::<$K $(, $C)?, 64>($level, $($argument),*)
        }
    };
}
use by_length;

/// A narrower type for values before anything else: rounds them all.
pub(crate) fn narrowed<K: Kernel<Factor = ()>>(level: Level, kernel: K, x: &[f32]) -> Vec<f32> {
    let mut narrow = vec![0.0; x.len()];
    let draws = Draws { stream: Stream::new(0), first: 0 };
    narrow.par_chunks_mut(GRAIN).zip(x.par_chunks(GRAIN)).for_each(|(out, x)| {
        out.copy_from_slice(x);
        simd::run(level, Narrow { kernel, x: out, draws });
    });
    narrow
}

/// Rounds a piece.
struct Narrow<'a, K> {
    kernel: K,
    x: &'a mut [f32],
    draws: Draws,
}

impl<K: Kernel<Factor = ()>> Task for Narrow<'_, K> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        self.kernel.fake_all(self.x, (), self.draws);
    }
}
