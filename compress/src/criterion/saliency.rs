//! The factors of SparseGPT's static score.

use crate::Error;

/// 1 / U_jj^2 of each input, and 0 for an input that calibration never saw other than zero: its weights are worth nothing.
pub(super) fn factors(hessian: &[f32], k: usize) -> Result<Vec<f64>, Error> {
    let diagonal = upper_factor_diagonal(hessian, k)?;
    let factor = |(j, u): (usize, f64)| if hessian[j * k + j] == 0.0 { 0.0 } else { 1.0 / (u * u) };
    Ok(diagonal.into_iter().enumerate().map(factor).collect())
}

// STAND-IN for `crate::hessian::upper_factor_diagonal`, to be replaced by it.
//
// H^-1 = U^T U says H = R R^T with R = U^-1 upper; turned by 180 degrees R is the lower factor of H turned likewise.
fn upper_factor_diagonal(hessian: &[f32], k: usize) -> Result<Vec<f64>, Error> {
    const DAMPING: f64 = 0.01;
    let entry = |i: usize, j: usize| {
        let h = f64::from(hessian[i * k + j]);
        if i == j && h == 0.0 { 1.0 } else { h }
    };
    let damping = DAMPING * (0..k).map(|j| entry(j, j)).sum::<f64>() / k as f64;
    let turned = faer::Mat::from_fn(k, k, |i, j| {
        let (i, j) = (k - 1 - i, k - 1 - j);
        entry(i, j) + if i == j { damping } else { 0.0 }
    });
    let factor = turned.llt(faer::Side::Lower).map_err(|_| Error::Singular { damping: DAMPING })?;
    Ok((0..k).map(|j| 1.0 / factor.L()[(k - 1 - j, k - 1 - j)]).collect())
}
