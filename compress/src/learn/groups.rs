//! From a group's parameters to its sparsity, and from the derivative by a mask back to the parameters.
//!
//! A group's weights over candidates are beta = softmax(s(theta)), its sparsity alpha = sum of beta_d r_d. The mask that runs is hard,
//! the floor(alpha k) first of a row's order gone; the one that is differentiated is soft: rank `k` is kept with 1 - sum of the beta_d
//! with k < floor(r_d columns).

use super::{Linear, Smoothing};
use crate::formats::math;
use rayon::prelude::*;

/// How close below an integer a product of a sparsity and a number of columns counts as that integer.
///
/// Parameters of 0 mean the mean of all candidates, 0.5 exactly for even steps, and half of an even number of columns; what a softmax's
/// rounding makes of it must not decide whether a column goes.
pub(super) const SLACK: f64 = 1e-9;

/// floor(share * columns).
pub(super) fn part(share: f64, columns: usize) -> usize {
    ((share * columns as f64 + SLACK).floor() as usize).min(columns)
}

/// The mixture of candidates that one group's parameters stand for.
pub(super) struct Mixture<'a> {
    candidates: &'a [f64],
    smoothing: Smoothing,
}

impl<'a> Mixture<'a> {
    pub fn new(candidates: &'a [f64], smoothing: Smoothing) -> Self {
        Self { candidates, smoothing }
    }

    fn smooth(&self, theta: f64) -> f64 {
        match self.smoothing {
            Smoothing::Sigmoid => 1.0 / (1.0 + math::exp(-theta)),
            Smoothing::None => theta,
        }
    }

    /// The derivative of `smooth`, by its value.
    fn steepness(&self, smoothed: f64) -> f64 {
        match self.smoothing {
            Smoothing::Sigmoid => smoothed * (1.0 - smoothed),
            Smoothing::None => 1.0,
        }
    }

    /// beta.
    fn weights(&self, theta: &[f64]) -> Vec<f64> {
        let smoothed: Vec<f64> = theta.iter().map(|&theta| self.smooth(theta)).collect();
        let largest = smoothed.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let powers: Vec<f64> = smoothed.iter().map(|s| math::exp(s - largest)).collect();
        let sum: f64 = powers.iter().sum();
        powers.iter().map(|power| power / sum).collect()
    }

    /// alpha.
    pub fn sparsity(&self, theta: &[f64]) -> f64 {
        self.weights(theta).iter().zip(self.candidates).map(|(weight, r)| weight * r).sum()
    }

    /// Turns the derivative by beta's part in the mask, plus `by_sparsity` times that by alpha, into the derivative by theta.
    pub fn derivative(&self, theta: &[f64], by_mask: &[f64], by_sparsity: f64) -> Vec<f64> {
        let weights = self.weights(theta);
        let by_weight: Vec<f64> = by_mask.iter().zip(self.candidates).map(|(by, r)| by + by_sparsity * r).collect();
        let mean: f64 = weights.iter().zip(&by_weight).map(|(weight, by)| weight * by).sum();
        let terms = theta.iter().zip(weights.iter().zip(&by_weight));
        terms.map(|(&theta, (weight, by))| weight * (by - mean) * self.steepness(self.smooth(theta))).collect()
    }
}

/// A loss's derivative by the weights that ran, and what the mask multiplied to make them: their product is the derivative by the mask.
pub(super) struct Slope<'a> {
    pub factor: f64,
    pub gradient: &'a [f32],
    pub values: &'a [f32],
}

/// The derivative by beta of each row, `[rows, candidates]`, through the soft mask of a linear: the less of what the first ranks up to a
/// candidate's length would be worth.
pub(super) fn by_candidate(linear: &Linear, slopes: &[Slope], candidates: &[f64]) -> Vec<f64> {
    let k = linear.k();
    let lengths: Vec<usize> = candidates.iter().map(|&r| part(r, k)).collect();
    let mut by_candidate = vec![0.0; linear.rows() * candidates.len()];
    let rows = by_candidate.par_chunks_mut(candidates.len()).zip(linear.order().par_chunks(k)).enumerate();
    rows.for_each(|(row, (by, order))| {
        let mut rank = 0;
        let mut sum = 0.0;
        // Candidates descend, so their lengths ascend from the last one.
        for (by, &length) in by.iter_mut().zip(&lengths).rev() {
            for &column in &order[rank..length] {
                let at = row * k + column as usize;
                sum +=
                    slopes.iter().map(|s| s.factor * f64::from(s.gradient[at]) * f64::from(s.values[at])).sum::<f64>();
            }
            rank = length;
            *by = -sum;
        }
    });
    by_candidate
}
