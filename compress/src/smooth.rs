//! Factors that move magnitude between a layer's inputs and its weights: SmoothQuant's, and the candidates of AWQ.
//!
//! The outputs stay the same up to rounding: columns of the weights are multiplied, and what makes the inputs, a norm's weights
//! or the rows of a linear layer, is divided.

use crate::Error;
use crate::formats::math;

/// Below this neither a largest magnitude nor a factor of SmoothQuant goes.
const SMALLEST: f32 = 1e-5;
/// Below this no factor of AWQ goes before it is normalised.
const SMALLEST_CANDIDATE: f32 = 1e-4;
/// The ratios that AWQ tries: i / 20, i < 20.
pub const AWQ_RATIOS: usize = 20;

/// s_j = max|X_j|^alpha / max|W_j|^(1 - alpha), the largest weight taken over all `weights` `[rows, k]` that share the inputs.
///
/// # Errors
/// [`Error::Length`] for weights that are not rows of as many values as `maxima` has.
pub fn smoothquant(maxima: &[f32], weights: &[&[f32]], alpha: f32) -> Result<Vec<f32>, Error> {
    let mut largest = vec![0.0f32; maxima.len()];
    for w in weights {
        whole_rows(w, maxima.len())?;
        let rows = w.chunks_exact(maxima.len().max(1));
        rows.for_each(|row| largest.iter_mut().zip(row).for_each(|(m, v)| *m = m.max(v.abs())));
    }
    let factor = |x: f32, w: f32| (power(x, alpha) / power(w.max(SMALLEST), 1.0 - alpha)).max(SMALLEST);
    Ok(maxima.iter().zip(largest).map(|(&x, w)| factor(x, w)).collect())
}

/// AWQ's candidate `i` of [`AWQ_RATIOS`]: the mean magnitudes of the inputs to the power i / 20, divided by the root of the product
/// of the largest and the smallest of them.
pub fn awq_candidate(mean_magnitudes: &[f64], i: usize) -> Vec<f32> {
    let ratio = i as f32 / AWQ_RATIOS as f32;
    let raw = |mean: f64| power(mean as f32, ratio).max(SMALLEST_CANDIDATE);
    let raw: Vec<f32> = mean_magnitudes.iter().map(|&mean| raw(mean)).collect();
    let ends = raw.iter().fold((f32::INFINITY, 0.0f32), |(lo, hi), &s| (lo.min(s), hi.max(s)));
    let middle = (ends.0 * ends.1).sqrt();
    raw.iter().map(|s| s / middle).collect()
}

/// Multiplies column j of `w` by s_j.
///
/// # Errors
/// [`Error::Length`] for weights that are not rows of as many values as there are factors.
pub fn multiply_columns(w: &mut [f32], factors: &[f32]) -> Result<(), Error> {
    whole_rows(w, factors.len())?;
    w.chunks_exact_mut(factors.len().max(1)).for_each(|row| row.iter_mut().zip(factors).for_each(|(v, s)| *v *= s));
    Ok(())
}

/// Divides value j of a norm's weights or of a bias by s_j.
///
/// # Errors
/// [`Error::Length`] where there is not one factor a value.
pub fn divide(values: &mut [f32], factors: &[f32]) -> Result<(), Error> {
    divide_rows(values, 1, factors)
}

/// Divides row j of the weights `[rows, k]` of the layer that makes the inputs by s_j.
///
/// # Errors
/// [`Error::Length`] where there is not one factor a row.
pub fn divide_rows(w: &mut [f32], k: usize, factors: &[f32]) -> Result<(), Error> {
    if w.len() != factors.len() * k {
        return Err(Error::Length { what: "what makes the inputs", given: w.len(), expected: factors.len() * k });
    }
    w.chunks_exact_mut(k.max(1)).zip(factors).for_each(|(row, s)| row.iter_mut().for_each(|v| *v /= s));
    Ok(())
}

/// `x` to the power `y`, in FP64 and rounded.
fn power(x: f32, y: f32) -> f32 {
    math::powf(x.into(), y.into()) as f32
}

/// Refuses weights that are not whole rows.
fn whole_rows(w: &[f32], k: usize) -> Result<(), Error> {
    if w.len().is_multiple_of(k.max(1)) {
        return Ok(());
    }
    Err(Error::Length { what: "a row of weights", given: w.len() % k.max(1), expected: k })
}
