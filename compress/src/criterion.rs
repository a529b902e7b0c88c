//! Criteria: what a weight is worth.
//!
//! A criterion gives each weight of a layer a score; a pattern of `interplay-formats` then keeps the highest scores of its
//! scope (matrix, row, block of columns, group, tile), of equal ones the higher index. Sums run in FP64 in a fixed order and
//! each score is rounded once, to FP32. A score that divides zero by zero is a NaN, which patterns keep: so does the published
//! code, and the weight is zero anyway.

mod catalog;
mod relative;
mod saliency;
mod sensitivity;

pub use catalog::{CRITERIA, Named};

use crate::formats::Error as FormatError;
use crate::{Error, Layer, Needs, Statistics};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// How weights are scored: W is the weight, X the layer's inputs, ||X_j|| the norm of input j ([`Statistics::norms`]).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase", deny_unknown_fields)]
#[non_exhaustive]
pub enum Criterion {
    /// |W_ij| (Han et al., NeurIPS 2015).
    Magnitude,
    /// |W_ij| ||X_j|| (Sun et al., ICLR 2024).
    Wanda,
    /// (|W_ij| / sum_i |W_ij| + |W_ij| / sum_j |W_ij|) ||X_j||^power (Zhang et al., Plug-and-Play, ICLR 2024).
    Ria {
        /// The power of the input's norm; 0.5 in the publication.
        power: f64,
        /// Whether the inputs count at all; without them the publication calls it RI.
        activations: bool,
    },
    /// (|W_ij| / ||W_i||^output + |W_ij| / ||W_j||^input) ||X_j||^activations, norms of rows and columns in L2 (BaWA, ICML 2025).
    /// The exponents 1, 1, 0.5 are those of PQP's code; BaWA's own search for them is not published.
    Bawa {
        /// The power of the norm of the weight's row.
        output: f64,
        /// The power of the norm of the weight's column.
        input: f64,
        /// The power of the input's norm.
        activations: f64,
    },
    /// |W_ij| ||X_j|| + rho ss_ij, where ss_ij is the range over positions of what output i would be without the weight
    /// (Guo et al., JSQ, ICML 2024). The inputs are clipped, see [`Criterion::needs`].
    Jsq {
        /// The weight of the range; 2.1 in the published code.
        rho: f64,
    },
    /// W_ij^2 / U_jj^2, with U the upper Cholesky factor of the inverse of the damped Hessian: SparseGPT's score of weights that no
    /// solver has moved yet (Frantar and Alistarh, ICML 2023).
    Saliency,
    /// |W_ij| mm(RIA(W0))_ij: RIA with power 0.5 of the weights that the pipeline was given, scaled to 0..1 over the matrix, times
    /// the weight as it is now, in PQP a quantised one.
    Pqp,
}

impl Criterion {
    /// The share of a sequence's largest magnitudes to which JSQ clips all of its inputs.
    pub const JSQ_CLIP: f64 = 0.01;

    /// What calibration must gather.
    pub fn needs(&self) -> Needs {
        match self {
            Self::Jsq { .. } => Needs { positions: true, clip: Self::JSQ_CLIP, ..Needs::default() },
            Self::Saliency => Needs { hessian: true, ..Needs::default() },
            Self::Magnitude | Self::Wanda | Self::Ria { .. } | Self::Bawa { .. } | Self::Pqp => Needs::default(),
        }
    }

    /// One score a weight, row-major; higher is worth more.
    ///
    /// # Errors
    /// Statistics that were not gathered or are of another layer, a parameter that is negative or not finite, weights that
    /// are not whole rows.
    pub fn scores(&self, layer: &Layer, seen: &Statistics) -> Result<Vec<f32>, Error> {
        self.check()?;
        let (w, k) = (&layer.values[..], layer.k);
        if k == 0 || !w.len().is_multiple_of(k) {
            return Err(FormatError::Ragged { len: w.len(), k }.into());
        }
        let norms = || self.norms(seen, k);
        match *self {
            Self::Magnitude => Ok(each(w, k, |_, _, w| w)),
            Self::Wanda => {
                let norms = norms()?;
                Ok(each(w, k, |_, j, w| w * norms[j]))
            }
            Self::Ria { power, activations } => {
                let factors = if activations { powers(&norms()?, power) } else { vec![1.0; k] };
                Ok(relative::importance(w, k, &factors))
            }
            Self::Bawa { output, input, activations } => {
                Ok(relative::balanced(w, k, (output, input), &powers(&norms()?, activations)))
            }
            Self::Jsq { rho } => {
                let norms = norms()?;
                let positions = seen.positions.as_deref().ok_or(self.lacks("the mean input at each position"))?;
                length("the mean inputs", positions.len(), positions.len().next_multiple_of(k))?;
                let ranges = sensitivity::ranges(w, k, positions);
                Ok(each(w, k, |i, j, w| w * norms[j] + rho * f64::from(ranges[i * k + j])))
            }
            Self::Saliency => {
                norms()?;
                let hessian = seen.hessian.as_deref().ok_or(self.lacks("the Hessian"))?;
                length("the Hessian", hessian.len(), k * k)?;
                let factors = saliency::factors(hessian, k)?;
                Ok(each(w, k, |_, j, w| w * w * factors[j]))
            }
            Self::Pqp => {
                length("the original weight", layer.original.len(), w.len())?;
                let scaled = relative::scaled(&layer.original, k, &powers(&norms()?, 0.5));
                Ok(each(w, k, |i, j, w| w * scaled[i * k + j]))
            }
        }
    }

    /// Refuses parameters with which a score could be negative or lose its meaning.
    fn check(&self) -> Result<(), Error> {
        let parameters: &[f64] = match self {
            Self::Ria { power, .. } => &[*power],
            Self::Bawa { output, input, activations } => &[*output, *input, *activations],
            Self::Jsq { rho } => &[*rho],
            Self::Magnitude | Self::Wanda | Self::Saliency | Self::Pqp => &[],
        };
        match parameters.iter().find(|p| !p.is_finite() || **p < 0.0) {
            None => Ok(()),
            Some(p) => {
                let name = self.name();
                Err(Error::Invalid(format!("{name} has a parameter of {p}; exponents and weights are 0 or above")))
            }
        }
    }

    /// ||X_j|| of a layer of `k` inputs.
    fn norms(&self, seen: &Statistics, k: usize) -> Result<Vec<f64>, Error> {
        if seen.tokens == 0 {
            return Err(self.lacks("inputs of the layer"));
        }
        let norms = seen.norms();
        length("a row of calibration inputs", norms.len(), k)?;
        Ok(norms)
    }

    fn lacks(&self, what: &'static str) -> Error {
        Error::Missing { method: self.name(), what }
    }
}

fn length(what: &'static str, given: usize, expected: usize) -> Result<(), Error> {
    if given == expected { Ok(()) } else { Err(Error::Length { what, given, expected }) }
}

/// A score for each weight from its row, its column and its magnitude.
fn each(w: &[f32], k: usize, score: impl Fn(usize, usize, f64) -> f64 + Sync) -> Vec<f32> {
    let mut scores = vec![0.0; w.len()];
    let lines = scores.par_chunks_mut(k).zip(w.par_chunks(k)).enumerate();
    lines.for_each(|(i, (scores, w))| {
        let line = scores.iter_mut().zip(w).enumerate();
        line.for_each(|(j, (s, w))| *s = score(i, j, f64::from(w.abs())) as f32);
    });
    scores
}

/// Powers; the published ones, 1 and 0.5, are as exact as IEEE's.
fn powers(norms: &[f64], power: f64) -> Vec<f64> {
    let raise = |norm: &f64| match power {
        1.0 => *norm,
        0.5 => norm.sqrt(),
        _ => interplay_formats::math::powf(*norm, power),
    };
    norms.iter().map(raise).collect()
}
