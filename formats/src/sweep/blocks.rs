//! Blocks that cross rows (columns, tiles, whole tensors), in two phases: a summary of every block, then elements.

use super::encode::Encoded;
use super::{Sweep, first_bad, rows_per_task};
use crate::kernel::{Code, DRAWN, Kernel, Summary};
use crate::reference::Geometry;
use crate::simd::Task;
use rayon::prelude::*;

/// What elements need of every block's scale, and the scales.
type Factors<K> = (Vec<<K as Kernel>::Factor>, Vec<<K as Kernel>::Scale>);

impl Sweep {
    /// Fake-quantises by blocks; the flat index of the first non-finite value, if any.
    pub(super) fn fake_blocks<K: Kernel>(&self, kernel: K, x: &mut [f32]) -> Option<usize> {
        let Some(factors) = self.factors(kernel, x) else { return Some(first_bad(x)) };
        let rows = rows_per_task(self.k, self.rows);
        x.par_chunks_mut((rows * self.k).max(1)).enumerate().for_each(|(i, x)| {
            self.task::<K, _>(Fake { sweep: *self, kernel, x, first: i * rows, factors: &factors.0 });
        });
        None
    }

    /// Encodes by blocks.
    pub(super) fn encode_blocks<K: Kernel>(&self, kernel: K, x: &[f32]) -> Encoded<K> {
        let (factors, scales) = self.factors(kernel, x).ok_or_else(|| first_bad(x))?;
        let (k, padded) = (self.k, self.format.padded(self.k));
        let mut codes = vec![K::Code::default(); self.rows * padded];
        let rows = rows_per_task(k, self.rows);
        let outputs = codes.par_chunks_mut((rows * padded).max(1));
        x.par_chunks((rows * k).max(1)).zip(outputs).enumerate().for_each(|(i, (x, codes))| {
            self.task::<K, _>(Encode { sweep: *self, kernel, x, codes, first: i * rows, factors: &factors });
        });
        Ok((codes, scales))
    }

    /// Which block an element belongs to.
    fn geometry(&self) -> Geometry {
        Geometry::new(self.format, self.rows, self.k)
    }

    /// The scale of every block; `None` where a value is not finite.
    fn factors<K: Kernel>(&self, kernel: K, x: &[f32]) -> Option<Factors<K>> {
        let summaries = self.summaries::<K>(x);
        let finite = summaries.iter().all(|s| s.is_finite());
        finite.then(|| summaries.into_iter().map(|summary| kernel.factor(summary)).unzip())
    }

    /// The summary of every block, row-major. Merging is exact in any order, so that threads do not show.
    fn summaries<K: Kernel>(&self, x: &[f32]) -> Vec<K::Summary> {
        let (across, band) = (self.geometry().across(), self.format.block_rows(self.rows));
        let empty = || vec![K::Summary::default(); across];
        let rows = rows_per_task(self.k, self.rows);
        let of_band = |x: &[f32]| {
            let parts = x.par_chunks((rows * self.k).max(1)).map(|x| {
                let mut all = empty();
                self.task::<K, _>(Summaries { x, k: self.k, run: self.run(), all: &mut all });
                all
            });
            parts.reduce(empty, |a, b| a.into_iter().zip(b).map(|(a, b)| a.merge(b)).collect())
        };
        // An empty matrix may have rows of any length.
        x.par_chunks(band.saturating_mul(self.k).max(1)).flat_map_iter(of_band).collect()
    }
}

/// Summaries of the blocks of one band of rows.
struct Summaries<'a, S> {
    x: &'a [f32],
    k: usize,
    run: usize,
    all: &'a mut [S],
}

impl<S: Summary> Task for Summaries<'_, S> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for row in self.x.chunks(self.k) {
            if self.run == 1 {
                for (all, &v) in self.all.iter_mut().zip(row) {
                    *all = all.merge(S::of(v));
                }
            } else {
                for (all, block) in self.all.iter_mut().zip(row.chunks(self.run)) {
                    *all = all.merge(S::all(block));
                }
            }
        }
    }
}

/// Fake-quantises some rows by factors that are known.
struct Fake<'a, K: Kernel> {
    sweep: Sweep,
    kernel: K,
    x: &'a mut [f32],
    first: usize,
    factors: &'a [K::Factor],
}

impl<K: Kernel> Task for Fake<'_, K> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let (kernel, run, geometry) = (self.kernel, self.sweep.run(), self.sweep.geometry());
        for (r, row) in (self.first..).zip(self.x.chunks_mut(self.sweep.k)) {
            let (draws, factors) = (self.sweep.draws(r * self.sweep.k), &self.factors[geometry.block_of(r, 0)..]);
            if run == 1 {
                for (i, (row, factors)) in row.chunks_mut(DRAWN).zip(factors.chunks(DRAWN)).enumerate() {
                    let words = draws.after(i * DRAWN).words_for::<K>();
                    for ((v, &factor), random) in row.iter_mut().zip(factors).zip(words) {
                        *v = kernel.fake(*v, factor, random);
                    }
                }
            } else {
                for (b, (block, &factor)) in row.chunks_mut(run).zip(factors).enumerate() {
                    kernel.fake_all(block, factor, draws.after(b * run));
                }
            }
        }
    }
}

/// Encodes some rows by factors that are known.
struct Encode<'a, K: Kernel> {
    sweep: Sweep,
    kernel: K,
    x: &'a [f32],
    codes: &'a mut [K::Code],
    first: usize,
    factors: &'a [K::Factor],
}

impl<K: Kernel> Task for Encode<'_, K> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let (kernel, run, geometry, k) = (self.kernel, self.sweep.run(), self.sweep.geometry(), self.sweep.k);
        let rows = self.x.chunks(k).zip(self.codes.chunks_mut(self.sweep.format.padded(k)));
        for (r, (row, codes)) in (self.first..).zip(rows) {
            let (draws, factors) = (self.sweep.draws(r * k), &self.factors[geometry.block_of(r, 0)..]);
            if run == 1 {
                let pieces = codes.chunks_mut(DRAWN).zip(row.chunks(DRAWN)).zip(factors.chunks(DRAWN));
                for (i, ((codes, row), factors)) in pieces.enumerate() {
                    let words = draws.after(i * DRAWN).words_for::<K>();
                    for ((code, &v), (&factor, random)) in codes.iter_mut().zip(row).zip(factors.iter().zip(words)) {
                        *code = K::Code::of(kernel.bits(v, factor, random));
                    }
                }
            } else {
                for (b, ((x, codes), &f)) in row.chunks(run).zip(codes.chunks_mut(run)).zip(factors).enumerate() {
                    kernel.code_all(x, codes, f, draws.after(b * run));
                }
            }
        }
    }
}
