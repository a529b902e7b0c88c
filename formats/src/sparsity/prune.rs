//! Pruning by magnitude: from values and a pattern to a mask.

use super::{Mask, Pattern, Scope};
use crate::error::{Error, non_finite, rows_of};
use crate::kernel::MAGNITUDE;
use crate::sweep::first_non_finite;
use rayon::prelude::*;

/// Groups that one parallel task has at least.
const TASK: usize = 1 << 12;

impl Pattern {
    /// The positions of `w` [rows, k] that survive by magnitude; the lower of equal ones is pruned first.
    ///
    /// # Errors
    /// A NaN or an infinity, a length that `k` does not divide, a matrix that is not whole groups of pairs or whole
    /// tiles.
    pub fn magnitude_mask(&self, w: &[f32], k: usize) -> Result<Mask, Error> {
        let rows = rows_of(w.len(), k)?;
        if let Some(at) = first_non_finite(w) {
            return Err(non_finite(w, k, at));
        }
        self.check(rows, k)?;
        let mut kept = vec![true; w.len()];
        match *self {
            Self::Dense => {}
            Self::Unstructured { basis_points, scope: Scope::Matrix } => {
                prune_smallest(w, &mut kept, part(w.len(), basis_points));
            }
            Self::Unstructured { basis_points, scope: Scope::Row } => {
                let lines = w.par_chunks(k.max(1)).zip(kept.par_chunks_mut(k.max(1)));
                lines.for_each(|(w, kept)| prune_smallest(w, kept, part(k, basis_points)));
            }
            Self::NofM { n, m } => groups(w, &mut kept, (k, m), |w, kept| {
                keep_largest(kept, n, |i| magnitude(w[i]));
            }),
            Self::PairsOfM { n, m } => groups(w, &mut kept, (k, m), |w, kept| keep_pairs(w, kept, n)),
            Self::Tiled { v, n, m } => {
                let bands = w.par_chunks(v * k.max(1)).zip(kept.par_chunks_mut(v * k.max(1)));
                bands.for_each(|(w, kept)| (0..k).step_by(m).for_each(|start| keep_tile(w, kept, k, start, n, m)));
            }
        }
        Ok(Mask::new(*self, rows, k, kept))
    }
}

/// The magnitude as an integer of the same order.
fn magnitude(v: f32) -> u32 {
    v.to_bits() & MAGNITUDE
}

/// floor(count * basis_points / 10,000).
fn part(count: usize, basis_points: u32) -> usize {
    (count as u128 * u128::from(basis_points) / 10_000) as usize
}

/// Prunes each group of `m` in rows of `k` on its own; the last group of a row may be shorter.
fn groups(w: &[f32], kept: &mut [bool], (k, m): (usize, usize), prune: impl Fn(&[f32], &mut [bool]) + Sync) {
    // Rows of whole groups need no bounds between them, so that short rows make long tasks too.
    let line = if k.is_multiple_of(m) { m } else { k };
    let lines = w.par_chunks(line).zip(kept.par_chunks_mut(line)).with_min_len((TASK * m / line).max(1));
    lines.for_each(|(w, kept)| w.chunks(m).zip(kept.chunks_mut(m)).for_each(|(w, kept)| prune(w, kept)));
}

/// Prunes exactly `count` positions: all below the `count`-th magnitude, then equal ones by index.
fn prune_smallest(w: &[f32], kept: &mut [bool], count: usize) {
    if count == 0 {
        return;
    }
    let mut magnitudes: Vec<u32> = w.iter().map(|v| magnitude(*v)).collect();
    let (below, &mut threshold, _) = magnitudes.select_nth_unstable(count - 1);
    let mut ties = 1 + below.iter().filter(|&&m| m == threshold).count();
    for (kept, v) in kept.iter_mut().zip(w) {
        let magnitude = magnitude(*v);
        let tie = magnitude == threshold && ties > 0;
        ties -= usize::from(tie);
        *kept = magnitude >= threshold && !tie;
    }
}

/// Keeps the `n` of a group with the largest scores, all of a group that has no more: one goes if too many outrank it.
fn keep_largest<S: PartialOrd>(kept: &mut [bool], n: usize, score: impl Fn(usize) -> S) {
    let count = kept.len();
    for (i, kept) in kept.iter_mut().enumerate() {
        let larger_before = (0..i).filter(|&j| score(j) > score(i)).count();
        let not_smaller_after = (i + 1..count).filter(|&j| score(j) >= score(i)).count();
        *kept = larger_before + not_smaller_after < n;
    }
}

/// Keeps the pairs of a group with the largest sums of magnitudes, `n` positions in all.
fn keep_pairs(w: &[f32], kept: &mut [bool], n: usize) {
    let mut whole = vec![false; w.len() / 2];
    keep_largest(&mut whole, n / 2, |pair| exact_sum(w[2 * pair], w[2 * pair + 1]));
    for (i, kept) in kept.iter_mut().enumerate() {
        *kept = whole[i / 2];
    }
}

/// |a| + |b| without error, as the FP64 sum and what its rounding lost (Dekker's Fast2Sum).
///
/// FP64 alone drops the smaller of two FP32 numbers whose exponents are more than 29 apart. Rounding being monotonic,
/// the pair compares as the exact sum does, first part first. FP64 neither overflows nor underflows here.
fn exact_sum(a: f32, b: f32) -> (f64, f64) {
    let (a, b) = (f64::from(a.abs()), f64::from(b.abs()));
    let (large, small) = if a < b { (b, a) } else { (a, b) };
    let sum = large + small;
    (sum, small - (sum - large))
}

/// Keeps the columns of a tile with the largest sums of magnitudes (FP64, first row to last), then in each row the `n`
/// largest of what those columns hold. `w` and `kept` are the rows of the tile, which begins at column `start`.
fn keep_tile(w: &[f32], kept: &mut [bool], k: usize, start: usize, n: usize, m: usize) {
    let mut sums = vec![0.0f64; m];
    for row in w.chunks(k) {
        sums.iter_mut().zip(&row[start..]).for_each(|(sum, v)| *sum += f64::from(v.abs()));
    }
    let mut chosen = vec![false; m];
    keep_largest(&mut chosen, Pattern::TILE_COLUMNS, |column| sums[column]);
    let columns: Vec<usize> = (start..start + m).filter(|column| chosen[column - start]).collect();
    for (w, kept) in w.chunks(k).zip(kept.chunks_mut(k)) {
        let mut survivors = [false; Pattern::TILE_COLUMNS];
        keep_largest(&mut survivors, n, |i| magnitude(w[columns[i]]));
        kept[start..start + m].fill(false);
        columns.iter().zip(survivors).for_each(|(&column, survives)| kept[column] = survives);
    }
}
