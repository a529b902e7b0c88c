//! The Hessian of a layer's output error: X^T X of its inputs.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

/// Adds X^T X of `rows` `[tokens, k]` to `hessian` `[k, k]`.
pub(crate) fn accumulate(hessian: &mut [f32], rows: &[f32], k: usize) {
    let x = MatRef::from_row_major_slice(rows, rows.len() / k, k);
    let h = MatMut::from_row_major_slice_mut(hessian, k, k);
    matmul(h, Accum::Add, x.transpose(), x, 1.0, Par::Seq);
}
