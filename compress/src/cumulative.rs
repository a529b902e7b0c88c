//! Wanda's cumulative variant: a row loses its lowest scores up to a share alpha of the row's sum, and alpha is searched for.
//!
//! Rows with a few large scores lose more weights than even ones, so that the sparsity of a row is its own.

use crate::Error;
use crate::formats::{Error as FormatError, Mask, Pattern, Scope};

/// Where the search begins, within 0 and twice that (the published code's numbers, as is [`TOLERANCE`]).
const FIRST: f64 = 0.4;

/// How near the sparsity comes, and how short the interval gets.
const TOLERANCE: f64 = 0.001;

/// The result of the search.
#[derive(Clone, Debug, PartialEq)]
pub struct Cumulative {
    /// What is kept, as an unstructured pattern of the whole matrix.
    pub mask: Mask,
    /// The share of each row's sum that was pruned.
    pub alpha: f64,
    /// The share of weights that was pruned, near what was asked for if alpha within 0 and 0.8 can reach it.
    pub sparsity: f64,
}

/// Prunes about `share` of the scores, whose rows have `k`, by bisection of alpha.
///
/// A NaN is kept and counts in no sum.
///
/// # Errors
/// A share outside of 0 to 1, scores that are negative or not whole rows.
pub fn cumulative_mask(scores: &[f32], k: usize, share: f64) -> Result<Cumulative, Error> {
    if !(0.0..=1.0).contains(&share) {
        return Err(Error::Invalid(format!("{share} of the weights cannot be pruned; give a share of 0 to 1")));
    }
    if k == 0 || !scores.len().is_multiple_of(k) {
        return Err(FormatError::Ragged { len: scores.len(), k }.into());
    }
    if let Some(at) = scores.iter().position(|score| *score < 0.0) {
        return Err(FormatError::NegativeScore { row: at / k, column: at % k, value: scores[at] }.into());
    }
    let rows: Vec<Row> = scores.chunks(k).map(Row::new).collect();
    let sparsity = |alpha: f64| {
        let pruned: usize = rows.iter().map(|row| row.pruned(alpha)).sum();
        pruned as f64 / scores.len().max(1) as f64
    };
    let (mut low, mut high, mut alpha) = (0.0, 2.0 * FIRST, FIRST);
    let mut reached = sparsity(alpha);
    while (reached - share).abs() > TOLERANCE && high - low >= TOLERANCE {
        let bound = if reached > share { &mut high } else { &mut low };
        *bound = alpha;
        alpha = (low + high) / 2.0;
        reached = sparsity(alpha);
    }
    let lines = scores.chunks(k).zip(&rows);
    let kept = lines.flat_map(|(line, row)| {
        let threshold = row.threshold(alpha);
        line.iter().map(move |score| !threshold.is_some_and(|threshold| *score <= threshold))
    });
    let pattern = Pattern::Unstructured { basis_points: (reached * 10_000.0).round() as u32, scope: Scope::Matrix };
    Ok(Cumulative { mask: Mask::from_kept(pattern, k, kept.collect())?, alpha, sparsity: reached })
}

/// A row's scores, ascending, and their running sums.
struct Row {
    sorted: Vec<f32>,
    sums: Vec<f64>,
}

impl Row {
    fn new(scores: &[f32]) -> Self {
        let mut sorted: Vec<f32> = scores.iter().copied().filter(|s| !s.is_nan()).collect();
        sorted.sort_by(f32::total_cmp);
        let mut sum = 0.0;
        let add = |score: &f32| {
            sum += f64::from(*score);
            sum
        };
        let sums = sorted.iter().map(add).collect();
        Self { sorted, sums }
    }

    /// The score up to which the row loses all; `None` where its first score is already more than its share.
    fn threshold(&self, alpha: f64) -> Option<f32> {
        let limit = self.sums.last()? * alpha;
        let last = self.sums.partition_point(|sum| *sum <= limit).checked_sub(1)?;
        Some(self.sorted[last])
    }

    /// How many go, ties with the last of them too.
    fn pruned(&self, alpha: f64) -> usize {
        self.threshold(alpha).map_or(0, |threshold| self.sorted.partition_point(|score| *score <= threshold))
    }
}
