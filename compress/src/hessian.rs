//! The Hessian of a layer's output error, H = (2 / sequences) X^T X, and the factor of its inverse by which solvers move errors.
//!
//! Invariants: every sum runs in one order on any number of threads, since work is split by outputs and each part is computed
//! on one thread. The factor is computed in FP64, where Cholesky loses nothing that its FP32 results would show.

use crate::Error;
use crate::dense::{self, Lower, View};

/// Damping as a share of the mean of the diagonal, unless told otherwise.
pub(crate) const DAMPING: f64 = 0.01;
/// The largest damping that is tried.
const LARGEST: f64 = 1.0;

/// Adds X^T X of `rows` `[tokens, k]` to the upper triangle of `hessian` `[k, k]`; what is below waits for [`dense::mirror`].
pub(crate) fn accumulate(hessian: &mut [f32], rows: &[f32], k: usize) {
    if rows.is_empty() {
        return;
    }
    dense::add_gram(hessian, View::new(rows, rows.len() / k, k, k));
}

/// The upper Cholesky factor of the inverse of a damped Hessian.
#[derive(Clone, Debug)]
pub(crate) struct Factor {
    /// U `[k, k]` row-major with U^T U = H^-1; zero below the diagonal.
    pub(crate) upper: Vec<f32>,
    /// The damping that it took, as a share of the mean diagonal.
    pub(crate) damping: f64,
}

/// Inputs that were zero throughout: their diagonal becomes 1, and their weights mean nothing.
pub(crate) fn dead(hessian: &[f32], k: usize) -> Vec<bool> {
    (0..k).map(|j| hessian[j * k + j] == 0.0).collect()
}

/// The diagonal with 1 where an input is dead.
pub(crate) fn diagonal(hessian: &[f32], k: usize) -> Vec<f64> {
    (0..k).map(|j| hessian[j * k + j]).map(|h| if h == 0.0 { 1.0 } else { f64::from(h) }).collect()
}

/// U of `hessian` `[k, k]` with its columns in `order`: with J for the reversal, H = R R^T for the upper R = J L J, where L is
/// the Cholesky factor of J H J, so that U = R^-1 = J L^-1 J. One factorisation and one triangular inverse.
pub(crate) fn upper_factor(hessian: &[f32], k: usize, order: &[usize], damping: f64) -> Result<Factor, Error> {
    let (lower, damping) = reversed_factor(hessian, k, order, damping)?;
    let inverse = lower.inverse();
    let mut upper = vec![0.0; k * k];
    for (i, row) in upper.chunks_exact_mut(k.max(1)).enumerate() {
        row.iter_mut().enumerate().skip(i).for_each(|(j, u)| *u = inverse.at(k - 1 - i, k - 1 - j) as f32);
    }
    Ok(Factor { upper, damping })
}

/// The diagonal of U in the columns' own order, with the usual damping: it needs no inverse.
///
/// # Errors
/// [`Error::Singular`], or a Hessian that is not `[k, k]`.
pub(crate) fn upper_factor_diagonal(hessian: &[f32], k: usize) -> Result<Vec<f64>, Error> {
    let order: Vec<usize> = (0..k).collect();
    let (lower, _) = reversed_factor(hessian, k, &order, DAMPING)?;
    Ok((0..k).rev().map(|i| 1.0 / lower.at(i, i)).collect())
}

/// L of J H J, and the damping at which it exists: ten times the last one until it does.
fn reversed_factor(hessian: &[f32], k: usize, order: &[usize], damping: f64) -> Result<(Lower, f64), Error> {
    if hessian.len() != k * k {
        return Err(Error::Length { what: "the Hessian", given: hessian.len(), expected: k * k });
    }
    let diagonal = diagonal(hessian, k);
    let mean = diagonal.iter().sum::<f64>() / k.max(1) as f64;
    let mut damping = damping;
    loop {
        let place = |i: usize| order[k - 1 - i];
        let lower = Lower::from_fn(k, |i, j| match (place(i), place(j)) {
            (a, b) if a == b => diagonal[a] + damping * mean,
            (a, b) => f64::from(hessian[a * k + b]),
        });
        if let Some(lower) = lower.cholesky() {
            return Ok((lower, damping));
        }
        if damping >= LARGEST {
            return Err(Error::Singular { damping });
        }
        damping = if damping == 0.0 { DAMPING } else { (damping * 10.0).min(LARGEST) };
    }
}
