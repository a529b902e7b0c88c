//! The factors of SparseGPT's static score.

use crate::Error;
use crate::hessian::upper_factor_diagonal;

/// 1 / U_jj^2 of each input, and 0 for an input that calibration never saw other than zero: its weights are worth nothing.
pub(super) fn factors(hessian: &[f32], k: usize) -> Result<Vec<f64>, Error> {
    let diagonal = upper_factor_diagonal(hessian, k)?;
    let factor = |(j, u): (usize, f64)| if hessian[j * k + j] == 0.0 { 0.0 } else { 1.0 / (u * u) };
    Ok(diagonal.into_iter().enumerate().map(factor).collect())
}
