//! A linear whose sparsity is learned: its weights, and the order in which each row loses them.

use super::options::invalid;
use crate::Error;
use rayon::prelude::*;

/// The columns of each row from the least score to the largest, equal scores by column, NaN last.
///
/// `scores` is `[rows, k]`; a rest that is no whole row is ordered as a shorter one.
pub fn ascending<S: PartialOrd + Sync>(scores: &[S], k: usize) -> Vec<u32> {
    let rows = scores.par_chunks(k.max(1)).map(|row| {
        let mut columns: Vec<u32> = (0..row.len() as u32).collect();
        // The sort is stable, so that equal scores stay in order of columns.
        columns.sort_by(|&a, &b| {
            let (a, b) = (&row[a as usize], &row[b as usize]);
            a.partial_cmp(b).unwrap_or_else(|| is_nan(a).cmp(&is_nan(b)))
        });
        columns
    });
    rows.flatten_iter().collect()
}

/// Whether it does not even equal itself.
fn is_nan<S: PartialOrd>(score: &S) -> bool {
    score.partial_cmp(score).is_none()
}

/// One linear of a block.
#[derive(Clone, Debug)]
pub struct Linear {
    k: usize,
    weights: Vec<f32>,
    error: Option<Vec<f32>>,
    order: Vec<u32>,
}

impl Linear {
    /// Weights `[rows, k]` (quantised ones for PQP) and, of the same shape, the columns of each row from the first to go to the last;
    /// see [`ascending`].
    ///
    /// # Errors
    /// [`Error::Length`] where the shapes differ, [`Error::Invalid`] where a row of the order is no permutation of its columns.
    pub fn new(k: usize, weights: Vec<f32>, order: Vec<u32>) -> Result<Self, Error> {
        if k == 0 || weights.is_empty() || !weights.len().is_multiple_of(k) {
            let (given, expected) = (weights.len(), weights.len().max(1).next_multiple_of(k.max(1)));
            return Err(Error::Length { what: "a linear of learned sparsity", given, expected });
        }
        same_length("the order of a linear's weights", order.len(), weights.len())?;
        let permutes = |row: &[u32]| {
            let mut seen = vec![false; k];
            row.iter().all(|&column| seen.get_mut(column as usize).is_some_and(|seen| !std::mem::replace(seen, true)))
        };
        if let Some(row) = order.par_chunks(k).position_first(|row| !permutes(row)) {
            return Err(invalid(format!(
                "row {row} of an order of weights does not name each of its {k} columns once"
            )));
        }
        Ok(Self { k, weights, error: None, order })
    }

    /// With the quantisation error: the weights before quantisation less the quantised ones.
    ///
    /// # Errors
    /// [`Error::Length`] where it has another shape than the weights.
    pub fn with_error(mut self, error: Vec<f32>) -> Result<Self, Error> {
        same_length("the quantisation error of a linear", error.len(), self.weights.len())?;
        self.error = Some(error);
        Ok(self)
    }

    /// Inputs.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Outputs.
    pub fn rows(&self) -> usize {
        self.weights.len() / self.k
    }

    /// Weights.
    pub(super) fn len(&self) -> usize {
        self.weights.len()
    }

    pub(super) fn weights(&self) -> &[f32] {
        &self.weights
    }

    pub(super) fn error(&self) -> Option<&[f32]> {
        self.error.as_deref()
    }

    pub(super) fn order(&self) -> &[u32] {
        &self.order
    }

    /// `values` of this linear's shape with the first `counts[row]` of each row's order as zeros.
    pub(super) fn masked(&self, values: &[f32], counts: impl Fn(usize) -> usize + Sync) -> Vec<f32> {
        let mut masked = values.to_vec();
        let rows = masked.par_chunks_mut(self.k).zip(self.order.par_chunks(self.k)).enumerate();
        rows.for_each(|(row, (values, order))| {
            order.iter().take(counts(row)).for_each(|&column| values[column as usize] = 0.0);
        });
        masked
    }
}

fn same_length(what: &'static str, given: usize, expected: usize) -> Result<(), Error> {
    if given == expected { Ok(()) } else { Err(Error::Length { what, given, expected }) }
}
