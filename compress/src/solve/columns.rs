//! The weights in the order in which columns are taken, and the loop over a block of them.

use super::choose::{Choice, keep_largest, mask_by_scores, quota};
use super::scales::{ColumnScales, Start};
use crate::Error;
use crate::dense::{self, BAND, Columns as Packed, Sign, View};
use crate::formats::Scope;
use rayon::prelude::*;
use std::ops::Range;

/// Weights and mask on their way, columns in the order of the loop.
pub(super) struct Columns<'a> {
    pub(super) values: Vec<f32>,
    pub(super) kept: Vec<bool>,
    pub(super) k: usize,
    /// U `[k, k]`.
    upper: &'a [f32],
}

impl<'a> Columns<'a> {
    /// The start: weights of dead columns are zero, positions that a mask prunes are marked.
    pub(super) fn new(start: &Start, order: &[usize], upper: &'a [f32]) -> Self {
        let lines = || (0..start.w.len()).step_by(start.k.max(1)).flat_map(|row| order.iter().map(move |j| (row, *j)));
        let values = lines().map(|(row, j)| if start.dead[j] { 0.0 } else { start.w[row + j] }).collect();
        let kept = lines().map(|(row, j)| start.fixed.is_none_or(|mask| mask.kept()[row + j])).collect();
        Self { values, kept, k: start.k, upper }
    }

    /// A matrix with its columns where they were before they were ordered.
    pub(super) fn ordered_back<T: Copy + Default>(&self, order: &[usize], values: &[T]) -> Vec<T> {
        let mut back = vec![T::default(); values.len()];
        for (to, from) in back.chunks_exact_mut(self.k.max(1)).zip(values.chunks_exact(self.k.max(1))) {
            order.iter().zip(from).for_each(|(&column, &v)| to[column] = v);
        }
        back
    }

    /// The choice that is made when a block begins.
    pub(super) fn choose(&mut self, choice: &Choice, block: Range<usize>) {
        let &Choice::Block { basis_points, scope, selection } = choice else { return };
        let (k, rows, width) = (self.k, self.values.len() / self.k, block.len());
        let scores: Vec<f32> =
            self.values.chunks_exact(k).flat_map(|line| scores(self.upper, k, line, block.clone())).collect();
        let kept: Vec<bool> = match scope {
            Scope::Row => {
                let count = quota(block.start, block.end, basis_points, selection);
                scores.chunks_exact(width).flat_map(|row| keep_largest(row, count, selection)).collect()
            }
            _ => keep_largest(&scores, quota(rows * block.start, rows * block.end, basis_points, selection), selection),
        };
        let lines = self.kept.chunks_exact_mut(k).zip(kept.chunks_exact(width));
        lines.for_each(|(line, kept)| line[block.clone()].copy_from_slice(kept));
    }

    /// Takes the columns of a block and moves their errors to all later ones; returns the block's loss.
    pub(super) fn solve(
        &mut self,
        choice: &Choice,
        scales: Option<&ColumnScales>,
        block: Range<usize>,
    ) -> Result<f64, Error> {
        let (k, upper) = (self.k, self.upper);
        // With tiles, bands of a multiple of their height.
        let height = BAND.next_multiple_of(choice.rows());
        let later = View::new(upper, k, k, k).rows(block.start, block.len()).columns(block.end, k - block.end);
        let later = Packed::new(later);
        let bands = self.values.par_chunks_mut(height * k).zip(self.kept.par_chunks_mut(height * k)).enumerate();
        let solved = bands.map(|(i, (values, kept))| {
            let mut band = Band { k, upper, later: &later, first_row: i * height, values, kept, block: block.clone() };
            band.solve(choice, scales)
        });
        let losses: Result<Vec<f64>, Error> = solved.collect();
        Ok(losses?.iter().sum())
    }
}

/// (w / U_jj)^2 of some columns of a row.
fn scores(upper: &[f32], k: usize, line: &[f32], columns: Range<usize>) -> impl Iterator<Item = f32> {
    columns.map(move |j| {
        let (w, u) = (line[j], upper[j * k + j]);
        w * w / (u * u)
    })
}

/// Some rows, and a block of columns.
struct Band<'a> {
    k: usize,
    upper: &'a [f32],
    /// U's rows of the block, columns behind it.
    later: &'a Packed<f32>,
    first_row: usize,
    values: &'a mut [f32],
    kept: &'a mut [bool],
    block: Range<usize>,
}

impl Band<'_> {
    fn solve(&mut self, choice: &Choice, scales: Option<&ColumnScales>) -> Result<f64, Error> {
        let (k, block) = (self.k, self.block.clone());
        let rows = self.values.len() / k;
        let mut errors = vec![0.0f32; rows * block.len()];
        for first in block.clone().step_by(choice.width(block.len())) {
            let run = first..(first + choice.width(block.len())).min(block.end);
            self.choose(choice, run.clone())?;
            for (row, errors) in errors.chunks_exact_mut(block.len()).enumerate() {
                self.take(row, run.clone(), scales, errors);
            }
        }
        let errors_view = View::new(&errors, rows, block.len(), block.len());
        dense::add(&mut self.values[block.end..], k, Sign::Minus, errors_view, self.later, 0);
        Ok(errors.iter().map(|&e| f64::from(e) * f64::from(e)).sum())
    }

    /// The choice of a group.
    fn choose(&mut self, choice: &Choice, run: Range<usize>) -> Result<(), Error> {
        let &Choice::Groups { pattern, .. } = choice else { return Ok(()) };
        let lines = self.values.chunks_exact(self.k);
        let scores: Vec<f32> = lines.flat_map(|line| scores(self.upper, self.k, line, run.clone())).collect();
        let mask = mask_by_scores(pattern, &scores, run.len())?;
        let lines = self.kept.chunks_exact_mut(self.k).zip(mask.kept().chunks_exact(run.len()));
        lines.for_each(|(line, kept)| line[run.clone()].copy_from_slice(kept));
        Ok(())
    }

    /// Prunes and rounds some columns of a row, one after the other.
    fn take(&mut self, row: usize, run: Range<usize>, scales: Option<&ColumnScales>, errors: &mut [f32]) {
        let (k, block) = (self.k, self.block.clone());
        let line = &mut self.values[row * k..][..k];
        for i in run {
            let u = &self.upper[i * k..][i..block.end];
            let w = line[i];
            let free = &mut line[i..block.end];
            let q = if self.kept[row * k + i] { w } else { 0.0 };
            let q = scales.map_or(q, |scales| scales.round(self.first_row + row, i, q));
            let error = (w - q) / u[0];
            errors[i - block.start] = error;
            // Half of the columns of a pruned row have no error.
            if error != 0.0 {
                free.iter_mut().zip(u).for_each(|(w, u)| *w -= error * u);
            }
            free[0] = q;
        }
    }
}
