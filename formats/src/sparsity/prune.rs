//! Pruning: from scores and a pattern to a mask.

use super::order::{NAN, key, pair_key, wide_key};
use super::{Mask, Pattern, Scope, Selection};
use crate::error::{Error, non_finite, rows_of};
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
        self.mask_of(w, (rows, k), Selection::Count)
    }

    /// The positions of a matrix [rows, k] that survive by score: the highest do, the lower of equal ones is pruned first.
    ///
    /// Scores are zero or above, infinity among them. A NaN ranks above infinity, so that it is kept as long as the pattern
    /// has room; among NaN the lower index is pruned first. [`Selection::Threshold`] compares as the published code does: a
    /// NaN is not at or below anything, and nothing is at or below a threshold that is NaN, which then prunes nothing.
    ///
    /// # Errors
    /// A score below zero, a length that `k` does not divide, a matrix that is not whole groups of pairs or whole tiles.
    pub fn mask_by_scores(&self, scores: &[f32], k: usize, selection: Selection) -> Result<Mask, Error> {
        let rows = rows_of(scores.len(), k)?;
        if let Some(at) = scores.iter().position(|score| *score < 0.0) {
            return Err(Error::NegativeScore { row: at / k, column: at % k, value: scores[at] });
        }
        self.mask_of(scores, (rows, k), selection)
    }

    /// Prunes by the magnitudes of `w`.
    fn mask_of(&self, w: &[f32], (rows, k): (usize, usize), selection: Selection) -> Result<Mask, Error> {
        self.check(rows, k)?;
        let mut kept = vec![true; w.len()];
        match *self {
            Self::Dense => {}
            Self::Unstructured { basis_points, scope } => {
                let prune = |w: &[f32], kept: &mut [bool]| {
                    prune_lowest(w, kept, part(w.len(), basis_points), selection);
                };
                match scope {
                    Scope::Matrix => prune(w, &mut kept),
                    Scope::Row => {
                        let lines = w.par_chunks(k.max(1)).zip(kept.par_chunks_mut(k.max(1)));
                        lines.for_each(|(w, kept)| prune(w, kept));
                    }
                    Scope::Columns(width) => column_blocks(w, &mut kept, (k, width), prune),
                }
            }
            Self::NofM { n, m } => groups(w, &mut kept, (k, m), |w, kept| {
                keep_largest(kept, n, |i| key(w[i]));
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

/// Prunes each block of `width` columns of rows of `k` on its own, its positions taken row by row.
fn column_blocks(w: &[f32], kept: &mut [bool], (k, width): (usize, usize), prune: impl Fn(&[f32], &mut [bool]) + Sync) {
    let starts: Vec<usize> = (0..k).step_by(width).collect();
    let columns = |start: usize| start..k.min(start.saturating_add(width));
    let block = |&start: &usize| {
        let values: Vec<f32> = w.chunks(k).flat_map(|row| &row[columns(start)]).copied().collect();
        let mut kept = vec![true; values.len()];
        prune(&values, &mut kept);
        kept
    };
    let blocks: Vec<Vec<bool>> = starts.par_iter().map(block).collect();
    for (start, block) in starts.into_iter().zip(blocks) {
        let columns = columns(start);
        let rows = kept.chunks_mut(k).zip(block.chunks(columns.len()));
        rows.for_each(|(row, block)| row[columns.clone()].copy_from_slice(block));
    }
}

/// Prunes the lowest: `count` positions, all below the `count`-th and then equal ones by index, or all up to the next.
fn prune_lowest(w: &[f32], kept: &mut [bool], count: usize, selection: Selection) {
    let mut keys: Vec<u32> = w.iter().map(|v| key(*v)).collect();
    match selection {
        Selection::Count if count == 0 => {}
        Selection::Count => {
            let (below, &mut threshold, _) = keys.select_nth_unstable(count - 1);
            let mut ties = 1 + below.iter().filter(|&&key| key == threshold).count();
            for (kept, v) in kept.iter_mut().zip(w) {
                let key = key(*v);
                let tie = key == threshold && ties > 0;
                ties -= usize::from(tie);
                *kept = key >= threshold && !tie;
            }
        }
        Selection::Threshold if count == keys.len() => kept.fill(false),
        Selection::Threshold => {
            let (_, &mut threshold, _) = keys.select_nth_unstable(count);
            kept.iter_mut().zip(w).for_each(|(kept, v)| *kept = key(*v) > threshold || threshold == NAN);
        }
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
    keep_largest(&mut whole, n / 2, |pair| pair_key(w[2 * pair], w[2 * pair + 1]));
    for (i, kept) in kept.iter_mut().enumerate() {
        *kept = whole[i / 2];
    }
}

/// Keeps the columns of a tile with the largest sums of magnitudes (FP64, first row to last), then in each row the `n`
/// largest of what those columns hold. `w` and `kept` are the rows of the tile, which begins at column `start`.
fn keep_tile(w: &[f32], kept: &mut [bool], k: usize, start: usize, n: usize, m: usize) {
    let mut sums = vec![0.0f64; m];
    for row in w.chunks(k) {
        sums.iter_mut().zip(&row[start..]).for_each(|(sum, v)| *sum += f64::from(v.abs()));
    }
    let mut chosen = vec![false; m];
    keep_largest(&mut chosen, Pattern::TILE_COLUMNS, |column| wide_key(sums[column]));
    let columns: Vec<usize> = (start..start + m).filter(|column| chosen[column - start]).collect();
    for (w, kept) in w.chunks(k).zip(kept.chunks_mut(k)) {
        let mut survivors = [false; Pattern::TILE_COLUMNS];
        keep_largest(&mut survivors, n, |i| key(w[columns[i]]));
        kept[start..start + m].fill(false);
        columns.iter().zip(survivors).for_each(|(&column, survives)| kept[column] = survives);
    }
}
