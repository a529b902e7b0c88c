//! The Hessian of a layer's output error, H = (2 / sequences) X^T X, and the factor of its inverse by which solvers move errors.
//!
//! Invariants: every sum runs in one order on any number of threads, since work is split by outputs and each part is computed
//! on one thread. The factor is computed in FP64, where Cholesky loses nothing that its FP32 results would show.

use crate::Error;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{cholesky_in_place, cholesky_in_place_scratch};
use faer::linalg::matmul::matmul;
use faer::linalg::triangular_inverse::invert_lower_triangular;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use rayon::prelude::*;

/// Damping as a share of the mean of the diagonal, unless told otherwise.
pub(crate) const DAMPING: f64 = 0.01;
/// The largest damping that is tried.
const LARGEST: f64 = 1.0;
/// Rows of a product that one task computes.
const BAND: usize = 64;

/// Adds X^T X of `rows` `[tokens, k]` to the upper triangle of `hessian` `[k, k]`; what is below waits for [`mirror`].
pub(crate) fn accumulate(hessian: &mut [f32], rows: &[f32], k: usize) {
    if rows.is_empty() {
        return;
    }
    let x = MatRef::from_row_major_slice(rows, rows.len() / k, k);
    hessian.par_chunks_mut(BAND * k).enumerate().for_each(|(i, band)| {
        let (first, count) = (i * BAND, band.len() / k);
        let h = MatMut::from_row_major_slice_mut(band, count, k).subcols_mut(first, k - first);
        let (left, right) = (x.subcols(first, count), x.subcols(first, k - first));
        matmul(h, Accum::Add, left.transpose(), right, 1.0, Par::Seq);
    });
}

/// Copies the upper triangle to the lower one.
pub(crate) fn mirror(hessian: &mut [f32], k: usize) {
    let tiles = || (0..k).step_by(BAND);
    for (top, left) in tiles().flat_map(|top| tiles().take_while(move |left| *left <= top).map(move |left| (top, left)))
    {
        for row in top..(top + BAND).min(k) {
            for column in left..(left + BAND).min(row) {
                hessian[row * k + column] = hessian[column * k + row];
            }
        }
    }
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
    let mut inverse = Mat::<f64>::zeros(k, k);
    invert_lower_triangular(inverse.as_mut(), lower.as_ref(), Par::Seq);
    let mut upper = vec![0.0; k * k];
    for (i, row) in upper.chunks_exact_mut(k.max(1)).enumerate() {
        row.iter_mut().enumerate().skip(i).for_each(|(j, u)| *u = inverse[(k - 1 - i, k - 1 - j)] as f32);
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
    Ok((0..k).rev().map(|i| 1.0 / lower[(i, i)]).collect())
}

/// L of J H J, and the damping at which it exists: ten times the last one until it does.
fn reversed_factor(hessian: &[f32], k: usize, order: &[usize], damping: f64) -> Result<(Mat<f64>, f64), Error> {
    if hessian.len() != k * k {
        return Err(Error::Length { what: "the Hessian", given: hessian.len(), expected: k * k });
    }
    let diagonal = diagonal(hessian, k);
    let mean = diagonal.iter().sum::<f64>() / k.max(1) as f64;
    let mut damping = damping;
    loop {
        let place = |i: usize| order[k - 1 - i];
        let mut lower = Mat::from_fn(k, k, |i, j| match (place(i), place(j)) {
            (a, b) if a == b => diagonal[a] + damping * mean,
            (a, b) => f64::from(hessian[a * k + b]),
        });
        let mut memory = MemBuffer::new(cholesky_in_place_scratch::<f64>(k, Par::Seq, Default::default()));
        let stack = MemStack::new(&mut memory);
        let done = cholesky_in_place(lower.as_mut(), Default::default(), Par::Seq, stack, Default::default());
        let sound = || (0..k).all(|i| lower[(i, i)].is_finite() && lower[(i, i)] > 0.0);
        if done.is_ok() && sound() {
            return Ok((lower, damping));
        }
        if damping >= LARGEST {
            return Err(Error::Singular { damping });
        }
        damping = if damping == 0.0 { DAMPING } else { (damping * 10.0).min(LARGEST) };
    }
}
