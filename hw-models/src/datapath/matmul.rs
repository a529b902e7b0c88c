//! Products as their users have them: batches of matrices, either side stored either way round.

use super::{Datapath, Operand};
use crate::Error;
use interplay_formats::Format;
use std::borrow::Cow;

/// A batch of products `C = A B` of `[M, K]` and `[K, N]`, all of one shape, and how the numbers lie.
///
/// Blocks and steps run along K whichever way a matrix is stored; a K that they do not divide is padded with +0.
///
/// ```
/// use interplay_hw::{Datapath, datapath::Matmul};
///
/// // Two products of 1 x 2 and 2 x 2 with the same B, which lies as [N, K], as weights do.
/// let product = Matmul { b_transposed: true, ..Matmul::new(2, 1, 2, 2) };
/// let c = Datapath::by_name("ideal")?.matmul(&product, &[1.0, 2.0, 3.0, 4.0], &[1.0, 0.0, 1.0, 1.0])?;
/// assert_eq!(c, [1.0, 3.0, 3.0, 7.0]);
/// # Ok::<(), interplay_hw::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Matmul {
    /// How many products.
    pub batch: usize,
    /// Rows of A and C.
    pub m: usize,
    /// The reduction.
    pub k: usize,
    /// Columns of B and C.
    pub n: usize,
    /// Whether every A lies as `[K, M]`.
    pub a_transposed: bool,
    /// Whether every B lies as `[N, K]`.
    pub b_transposed: bool,
    /// What A is quantised to, along K, a matrix at a time; none for numbers that the unit takes as they are.
    pub a_format: Option<&'static Format>,
    /// What B is quantised to.
    pub b_format: Option<&'static Format>,
}

impl Matmul {
    /// Plain matrices in row-major order.
    pub const fn new(batch: usize, m: usize, k: usize, n: usize) -> Self {
        Self { batch, m, k, n, a_transposed: false, b_transposed: false, a_format: None, b_format: None }
    }

    /// The matrices of one side, of which there may be one for all products.
    fn matrices<'a>(&self, side: &'static str, data: &'a [f32], rows: usize) -> Result<Vec<&'a [f32]>, Error> {
        let one = rows.checked_mul(self.k);
        let all = one.and_then(|one| one.checked_mul(self.batch));
        match (one, all) {
            (Some(one), _) if data.len() == one => Ok(vec![data; self.batch]),
            (Some(one), Some(all)) if data.len() == all => Ok(data.chunks(one.max(1)).collect()),
            _ => Err(Error::Matrices { side, given: data.len(), batch: self.batch, rows, k: self.k }),
        }
    }
}

impl Datapath {
    /// `C = A B` for every product of a batch, `[batch, M, N]`; `a` and `b` hold a matrix a product, or one for all.
    ///
    /// # Errors
    /// [`Error::Matrices`] for other numbers of values, [`Error::Format`] for values that a format does not take (NaN
    /// or infinity, for most), and as [`Datapath::gemm`].
    pub fn matmul(&self, product: &Matmul, a: &[f32], b: &[f32]) -> Result<Vec<f32>, Error> {
        let Matmul { m, k, n, .. } = *product;
        let left = product.matrices("A", a, m)?;
        let right = product.matrices("B", b, n)?;
        if k == 0 {
            return Err(Error::Shape { len: 0, k });
        }
        let mut weights = None;
        let mut c = Vec::new();
        for (a, matrix) in left.into_iter().zip(right) {
            let weights = match &mut weights {
                // One B for all is prepared once.
                Some(weights) if b.len() == matrix.len() => weights,
                slot => {
                    let rows = oriented(matrix, !product.b_transposed, k, n);
                    slot.insert(with_operand(&rows, k, product.b_format, |w| self.prepare(w))?)
                }
            };
            let rows = oriented(a, product.a_transposed, k, m);
            c.extend(with_operand(&rows, k, product.a_format, |x| self.gemm(x, weights))?);
        }
        Ok(c)
    }
}

/// A matrix as `[rows, k]`, where it may lie as `[k, rows]`.
fn oriented(matrix: &[f32], turned: bool, k: usize, rows: usize) -> Cow<'_, [f32]> {
    if !turned {
        return Cow::Borrowed(matrix);
    }
    Cow::Owned((0..rows).flat_map(|row| (0..k).map(move |i| matrix[i * rows + row])).collect())
}

/// Calls `then` with rows in a format.
fn with_operand<T>(
    rows: &[f32],
    k: usize,
    format: Option<&'static Format>,
    then: impl FnOnce(Operand<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    match format {
        Some(format) => then(Operand::Quantized(&format.quantize(rows, k)?)),
        None => then(Operand::Values { data: rows, k }),
    }
}
