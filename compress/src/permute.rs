//! Channel permutation for N:M (RIA, "Plug-and-Play", ICLR 2024): which inputs share a group.
//!
//! A group of M consecutive inputs keeps N of each row, so that strong inputs should not meet. A permutation must be undone
//! where the layer runs: by permuting the outputs of the layer before, or by gathering inputs.
//!
//! Here a NaN score is worth zero, as the weight that it belongs to is: the published sums become NaN.

use crate::Error;
use crate::formats::{Error as FormatError, Mask, Pattern, Selection};
use rayon::prelude::*;

/// By what columns are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Importance {
    /// The sum of a column's scores.
    ColumnSum,
    /// The sum of those of a column's scores that the matrix would keep if it lost the same share unstructured. Not how many it
    /// keeps: the recorded runs of the published code sort by the sum.
    Retained,
}

/// How groups are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Permutation {
    /// As the columns lie.
    None,
    /// Columns, ascending, are cut into M runs of one column a group; every second run is turned round.
    Serpentine {
        /// By what columns are sorted.
        importance: Importance,
    },
    /// The serpentine of column sums; then lane by lane (the first column of every group, the second, ...) the columns of a lane
    /// are dealt to the groups anew, so that the retained score is the largest.
    Assignment {
        /// Runs of groups that keep to themselves, which is faster: an assignment takes the cube of the groups.
        parts: usize,
    },
}

/// What a permutation gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Permuted {
    /// The original column at each position.
    pub permutation: Vec<usize>,
    /// What is kept, columns in their original order: N:M holds for the columns as permuted.
    pub mask: Mask,
    /// The sum of the scores kept: as the columns lie, after the sort, after each lane.
    pub retained: Vec<f64>,
}

/// Chooses the groups for a matrix of scores with rows of `k` that keeps `n` of every `m`.
///
/// # Errors
/// Impossible N:M, rows that are not whole groups, scores that are negative or infinite, no parts or more than groups.
pub fn permute(scores: &[f32], k: usize, (n, m): (usize, usize), kind: Permutation) -> Result<Permuted, Error> {
    if k == 0 || !scores.len().is_multiple_of(k) {
        return Err(FormatError::Ragged { len: scores.len(), k }.into());
    }
    // The pattern's own check comes first: it refuses an M of 0.
    Pattern::NofM { n, m }.check(scores.len() / k, k)?;
    if !k.is_multiple_of(m) {
        let what = "a channel permutation needs rows of whole groups";
        return Err(Error::Invalid(format!("{what}, but {k} inputs are no multiple of {m}; choose another pattern")));
    }
    if let Some(at) = scores.iter().position(|s| s.is_infinite()) {
        return Err(FormatError::NonFinite { row: at / k, column: at % k, value: scores[at] }.into());
    }
    let matrix = Scores { values: scores.iter().map(|s| if s.is_nan() { 0.0 } else { *s }).collect(), k, n, m };
    let mut permutation: Vec<usize> = (0..k).collect();
    let mut retained = vec![matrix.retained(&permutation)?];
    match kind {
        Permutation::None => {}
        Permutation::Serpentine { importance } => {
            permutation = matrix.serpentine(importance);
            retained.push(matrix.retained(&permutation)?);
        }
        Permutation::Assignment { parts } => {
            let groups = k / m;
            if !(1..=groups).contains(&parts) {
                return Err(Error::Invalid(format!("{parts} parts of {groups} groups; give 1 to {groups} parts")));
            }
            permutation = matrix.serpentine(Importance::ColumnSum);
            retained.push(matrix.retained(&permutation)?);
            for lane in 0..m {
                for part in 0..parts {
                    let groups = groups * part / parts..groups * (part + 1) / parts;
                    matrix.assign(&mut permutation[groups.start * m..groups.end * m], lane)?;
                }
                retained.push(matrix.retained(&permutation)?);
            }
        }
    }
    Ok(Permuted { mask: matrix.mask(&permutation)?, permutation, retained })
}

/// Scores without NaN, whose rows of `k` keep `n` of every `m`.
struct Scores {
    values: Vec<f32>,
    k: usize,
    n: usize,
    m: usize,
}

impl Scores {
    /// The scores as permuted, and which of them are kept.
    fn select(&self, permutation: &[usize]) -> Result<(Vec<f32>, Mask), Error> {
        let rows = self.values.chunks(self.k);
        let permuted: Vec<f32> = rows.flat_map(|row| permutation.iter().map(|&j| row[j])).collect();
        let mask = Pattern::NofM { n: self.n, m: self.m }.mask_by_scores(&permuted, self.k, Selection::Count)?;
        Ok((permuted, mask))
    }

    /// The sum of the scores that are kept.
    fn retained(&self, permutation: &[usize]) -> Result<f64, Error> {
        let (permuted, mask) = self.select(permutation)?;
        Ok(permuted.iter().zip(mask.kept()).filter(|(_, kept)| **kept).map(|(s, _)| f64::from(*s)).sum())
    }

    /// What is kept, columns in their original order.
    fn mask(&self, permutation: &[usize]) -> Result<Mask, Error> {
        let (_, mask) = self.select(permutation)?;
        let mut kept = vec![false; self.values.len()];
        for (original, permuted) in kept.chunks_mut(self.k).zip(mask.kept().chunks(self.k)) {
            permutation.iter().zip(permuted).for_each(|(&j, kept)| original[j] = *kept);
        }
        Ok(Mask::from_kept(mask.pattern(), self.k, kept)?)
    }

    /// What each column is worth; from the first row to the last.
    fn importance(&self, kind: Importance) -> Vec<f64> {
        let above = match kind {
            Importance::ColumnSum => f32::NEG_INFINITY,
            Importance::Retained => self.threshold(),
        };
        let mut columns = vec![0.0; self.k];
        for row in self.values.chunks(self.k) {
            let kept = columns.iter_mut().zip(row).filter(|(_, score)| **score > above);
            kept.for_each(|(column, score)| *column += f64::from(*score));
        }
        columns
    }

    /// The score up to which the whole matrix, unstructured, loses the share that groups lose.
    fn threshold(&self) -> f32 {
        let mut sorted = self.values.clone();
        let pruned = sorted.len() / self.m * (self.m - self.n);
        if sorted.is_empty() { 0.0 } else { *sorted.select_nth_unstable_by(pruned, f32::total_cmp).1 }
    }

    /// Columns by importance, equal ones by index, in M runs; run c fills lane c of all groups, every second one backwards.
    fn serpentine(&self, kind: Importance) -> Vec<usize> {
        let importance = self.importance(kind);
        let mut order: Vec<usize> = (0..self.k).collect();
        order.sort_by(|&a, &b| importance[a].total_cmp(&importance[b]));
        let groups = self.k / self.m;
        let column = |position: usize| {
            let (group, lane) = (position / self.m, position % self.m);
            order[lane * groups + if lane.is_multiple_of(2) { group } else { groups - 1 - group }]
        };
        (0..self.k).map(column).collect()
    }

    /// Deals the columns in one lane of a run of groups to those groups anew.
    fn assign(&self, permutation: &mut [usize], lane: usize) -> Result<(), Error> {
        let lanes: Vec<usize> = permutation.iter().skip(lane).step_by(self.m).copied().collect();
        let groups = lanes.len();
        let gains: Vec<f64> =
            permutation.par_chunks(self.m).flat_map_iter(|group| self.gains(group, lane, &lanes)).collect();
        let best = gains.iter().copied().fold(0.0, f64::max);
        if best == 0.0 {
            return Ok(());
        }
        // The crate minimises, and takes differences below FP64's epsilon for ties.
        let costs = gains.iter().map(|gain| 1.0 - gain / best).collect();
        let solution = lapjv::Matrix::from_shape_vec((groups, groups), costs).map_err(|e| e.to_string());
        let solution = solution.and_then(|costs| lapjv::lapjv(&costs).map_err(|e| e.to_string()));
        let (moved, _) = solution.map_err(|e| Error::Invalid(format!("no assignment of {groups} columns: {e}")))?;
        moved.iter().enumerate().for_each(|(group, &from)| permutation[group * self.m + lane] = lanes[from]);
        Ok(())
    }

    /// What each of the columns `lanes` adds to the retained score of a group whose other lanes stay.
    ///
    /// In a row it adds what it has above the N-th largest of the others, which it displaces. Rows are summed first to last.
    fn gains(&self, group: &[usize], lane: usize, lanes: &[usize]) -> Vec<f64> {
        let mut gains = vec![0.0; lanes.len()];
        let mut others = Vec::with_capacity(self.m);
        for row in self.values.chunks(self.k) {
            others.clear();
            others.extend(group.iter().enumerate().filter(|(at, _)| *at != lane).map(|(_, &j)| row[j]));
            let (_, &mut least, _) = others.select_nth_unstable_by(self.n - 1, |a, b| b.total_cmp(a));
            let least = f64::from(least);
            gains.iter_mut().zip(lanes).for_each(|(gain, &j)| *gain += (f64::from(row[j]) - least).max(0.0));
        }
        gains
    }
}
