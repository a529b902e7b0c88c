//! The definition of each datapath, one output at a time: the judge of the fast kernels.

use super::{Arithmetic, Datapath, Operand, Overflow};
use crate::Error;
use crate::exact::{Sum, canonical};

/// `x w^T`; the operands have been checked.
pub(super) fn gemm(datapath: &Datapath, x: Operand<'_>, w: Operand<'_>) -> Result<Vec<f32>, Error> {
    match (datapath.arithmetic, x, w) {
        (Arithmetic::Exact, ..) => Ok(outer(&x.values()?, &w.values()?, x.k(), exact)),
        (Arithmetic::FmaChain, ..) => Ok(outer(&x.values()?, &w.values()?, x.k(), fma_chain)),
        (Arithmetic::Integer { overflow }, Operand::Quantized(x), Operand::Quantized(w)) => {
            let sums = outer(&x.elements(), &w.elements(), x.k_padded(), integer);
            let scales = outer(x.row_scales().unwrap_or(&[]), w.row_scales().unwrap_or(&[]), 1, |x, w| x[0] * w[0]);
            Ok(sums.iter().zip(scales).map(|(&sum, scale)| canonical(scale * register(sum, overflow))).collect())
        }
        (Arithmetic::Block, Operand::Quantized(qx), Operand::Quantized(qw)) => {
            let blocks = qx.blocks_per_row();
            let (ex, ew) = (qx.block_exponents().unwrap_or_default(), qw.block_exponents().unwrap_or_default());
            let exponents = outer(&ex, &ew, blocks, |x, w| x.iter().zip(w).map(|(x, w)| x + w).collect::<Vec<i32>>());
            let sums = outer(&qx.elements(), &qw.elements(), qx.k_padded(), |x, w| {
                x.chunks(qx.block_len()).zip(w.chunks(qx.block_len())).map(|(x, w)| sum(x, w)).collect::<Vec<Sum>>()
            });
            Ok(sums.iter().zip(&exponents).map(|(sums, exponents)| accumulate(sums, exponents)).collect())
        }
        _ => Err(Error::HostMultiplies(datapath.name.to_owned())),
    }
}

/// `dot` of every row of `x` with every row of `w`, rows of `k`.
fn outer<T, R>(x: &[T], w: &[T], k: usize, dot: impl Fn(&[T], &[T]) -> R) -> Vec<R> {
    let k = k.max(1);
    x.chunks_exact(k).flat_map(|x| w.chunks_exact(k).map(|w| dot(x, w)).collect::<Vec<R>>()).collect()
}

/// The exact sum of the products of two rows.
fn sum(x: &[f32], w: &[f32]) -> Sum {
    let mut sum = Sum::new();
    x.iter().zip(w).for_each(|(&x, &w)| sum.add_product(x, w));
    sum
}

/// `ideal`.
fn exact(x: &[f32], w: &[f32]) -> f32 {
    sum(x, w).round(0)
}

/// `fp32`.
fn fma_chain(x: &[f32], w: &[f32]) -> f32 {
    canonical(x.iter().zip(w).fold(0.0f32, |acc, (x, w)| x.mul_add(*w, acc)))
}

/// `block`: convert, then add.
fn accumulate(sums: &[Sum], exponents: &[i32]) -> f32 {
    canonical(sums.iter().zip(exponents).fold(0.0f32, |acc, (sum, &exponent)| acc + sum.round(exponent)))
}

/// `int8`: the exact sum of integer products.
fn integer(x: &[f32], w: &[f32]) -> i64 {
    x.iter().zip(w).map(|(&x, &w)| x as i64 * w as i64).sum()
}

/// What a 32-bit register holds of an exact sum, as FP32.
fn register(sum: i64, overflow: Overflow) -> f32 {
    let held = match overflow {
        Overflow::Error | Overflow::Wrap => sum as i32,
        Overflow::Saturate => sum.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32,
    };
    held as f32
}
