//! The best approximation of a matrix by one of low rank: what a correction of compressed weights stores beside them.

use crate::Error;
use crate::dense::{self, Columns, View};
use interplay_formats::Format;

/// Two thin factors of a matrix `[rows, cols]`.
#[derive(Clone, Debug, PartialEq)]
pub struct LowRank {
    /// `[rows, rank]`, row-major.
    pub left: Vec<f32>,
    /// `[rank, cols]`, row-major.
    pub right: Vec<f32>,
}

/// The best approximation of `residual` `[rows, cols]` by a matrix of rank `rank` (at most the smaller side), by its singular vectors in FP64
/// (Eckart and Young 1936): those of its smaller side, from its products with itself, and what it makes of them. Singular values below
/// 2^-26 of the largest, half a unit in the last place of an FP32 residual, are not told apart. Both factors have the root of each
/// singular value; of each pair of vectors the left one is positive where it is largest, so that equal matrices have equal factors.
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
    let rank = rank.min(rows).min(cols);
    let wide: Vec<f64> = residual.iter().map(|&x| f64::from(x)).collect();
    let matrix = View::new(&wide, rows, cols, cols);
    let tall = if rows < cols { matrix.transposed() } else { matrix };
    let short = rows.min(cols);
    let mut gram = vec![0.0; short * short];
    dense::add_gram(&mut gram, tall);
    dense::mirror(&mut gram, short);
    let vectors = dense::largest_vectors(gram, short, rank)
        .ok_or_else(|| Error::Invalid(format!("the singular values of a {rows} x {cols} residual were not found")))?;
    let images = dense::multiplied(tall, &Columns::new(View::new(&vectors, short, rank, rank)));
    Ok(balanced(&vectors, &images, rank, rows < cols))
}

/// The factors from vectors of length 1, `[short, rank]`, and their images, which are as long as the singular values, `[long, rank]`; the
/// vectors belong to the left where the matrix is wide.
fn balanced(vectors: &[f64], images: &[f64], rank: usize, wide: bool) -> LowRank {
    let column = |matrix: &'_ [f64], r: usize| matrix.iter().copied().skip(r).step_by(rank).collect::<Vec<f64>>();
    let (mut left, mut right) = (vec![0.0; images.len()], vec![0.0; vectors.len()]);
    if wide {
        std::mem::swap(&mut left, &mut right);
    }
    let (rows, cols) = (left.len() / rank.max(1), right.len() / rank.max(1));
    for r in 0..rank {
        let (vector, image) = (column(vectors, r), column(images, r));
        let value = image.iter().map(|x| x * x).sum::<f64>().sqrt();
        let root = value.sqrt();
        let shrink = if root > 0.0 { 1.0 / root } else { 0.0 };
        let (a, b) = if wide { ((&vector, root), (&image, shrink)) } else { ((&image, shrink), (&vector, root)) };
        let largest = a.0.iter().fold(0.0, |most: f64, x| if x.abs() > most.abs() { *x } else { most });
        let sign = 1f64.copysign(largest);
        (0..rows).for_each(|i| left[i * rank + r] = (a.0[i] * a.1 * sign) as f32);
        (0..cols).for_each(|j| right[r * cols + j] = (b.0[j] * b.1 * sign) as f32);
    }
    LowRank { left, right }
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
