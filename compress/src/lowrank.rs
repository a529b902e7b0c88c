//! The best approximation of a matrix by one of low rank: what a correction of compressed weights stores beside them.

use crate::Error;
use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::svd::{ComputeSvdVectors, svd, svd_scratch};
use faer::{Mat, Par};
use interplay_formats::Format;

/// Two thin factors of a matrix `[rows, cols]`.
#[derive(Clone, Debug, PartialEq)]
pub struct LowRank {
    /// `[rows, rank]`, row-major.
    pub left: Vec<f32>,
    /// `[rank, cols]`, row-major.
    pub right: Vec<f32>,
}

/// The best approximation of `residual` `[rows, cols]` by a matrix of rank `rank` (at most the smaller side), by its singular values in FP64
/// (Eckart and Young 1936). Both factors have the root of each singular value; of each pair of vectors the left one is positive where it
/// is largest, so that equal matrices have equal factors. One thread computes it.
///
/// # Errors
/// Another number of values than the shape has, values that are not finite, an iteration that did not converge.
pub fn approximate(residual: &[f32], rows: usize, cols: usize, rank: usize) -> Result<LowRank, Error> {
    if residual.len() != rows * cols {
        return Err(Error::Length { what: "the residual", given: residual.len(), expected: rows * cols });
    }
    if let Some(at) = residual.iter().position(|value| !value.is_finite()) {
        let (row, column) = (at / cols, at % cols);
        return Err(Error::Invalid(format!("the residual is not finite in row {row}, column {column}")));
    }
    let size = rows.min(cols);
    let rank = rank.min(size);
    let matrix = Mat::<f64>::from_fn(rows, cols, |i, j| f64::from(residual[i * cols + j]));
    let (mut u, mut v) = (Mat::<f64>::zeros(rows, size), Mat::<f64>::zeros(cols, size));
    let mut values = Diag::<f64>::zeros(size);
    let thin = ComputeSvdVectors::Thin;
    let mut memory = MemBuffer::new(svd_scratch::<f64>(rows, cols, thin, thin, Par::Seq, Default::default()));
    let (u_out, v_out) = (Some(u.as_mut()), Some(v.as_mut()));
    svd(matrix.as_ref(), values.as_mut(), u_out, v_out, Par::Seq, MemStack::new(&mut memory), Default::default())
        .map_err(|_| Error::Invalid(format!("the singular values of a {rows} x {cols} residual were not found")))?;
    let mut factors = LowRank { left: vec![0.0; rows * rank], right: vec![0.0; rank * cols] };
    for r in 0..rank {
        let largest = (0..rows).fold(0.0, |most: f64, i| if u[(i, r)].abs() > most.abs() { u[(i, r)] } else { most });
        let root = values.column_vector()[r].max(0.0).sqrt().copysign(largest);
        (0..rows).for_each(|i| factors.left[i * rank + r] = (u[(i, r)] * root) as f32);
        (0..cols).for_each(|j| factors.right[r * cols + j] = (v[(j, r)] * root) as f32);
    }
    Ok(factors)
}

impl LowRank {
    /// The factors as they are stored: rounded to bfloat16, to nearest.
    ///
    /// # Errors
    /// A factor that is not finite.
    pub fn into_bf16(mut self) -> Result<Self, Error> {
        let format = Format::by_name("bf16")?;
        for factor in [&mut self.left, &mut self.right] {
            let length = factor.len().max(1);
            format.fake_quantize(factor, length)?;
        }
        Ok(self)
    }
}
