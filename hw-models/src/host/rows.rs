//! Reductions of rows, and what is made of them: softmax and layer normalisation.

use crate::exact::canonical;
use crate::host::functions::exp;
use crate::host::{CHUNK, in_rows};
use interplay_formats::simd::{Level, Task, run};
use rayon::prelude::*;

/// Partial results of a reduction.
const PARTS: usize = 16;

/// How the values of a row become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// Their sum, from +0.
    Sum,
    /// Their sum over their number, one FP32 division.
    Mean,
    /// Their product, from 1.
    Product,
    /// The largest; values that are NaN do not count, and of two zeros the earlier in the order of the reduction stays.
    Max,
    /// The least, likewise.
    Min,
}

/// Every row of `k` values of `x` as one value.
pub fn reduce(reduction: Reduction, x: &[f32], k: usize) -> Vec<f32> {
    let mut out = vec![0.0; x.len() / k.max(1)];
    if x.len() <= CHUNK {
        run(Level::detect(), Rows { reduction, x, k, out: &mut out });
        return out;
    }
    let rows = (CHUNK / k.max(1)).max(1);
    out.par_chunks_mut(rows).zip(x.par_chunks(rows * k.max(1))).for_each(|(out, x)| {
        run(Level::detect(), Rows { reduction, x, k, out });
    });
    out
}

/// Some rows on their way to [`reduce`].
struct Rows<'a> {
    reduction: Reduction,
    x: &'a [f32],
    k: usize,
    out: &'a mut [f32],
}

impl Task for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (out, row) in self.out.iter_mut().zip(self.x.chunks_exact(self.k.max(1))) {
            *out = canonical(match self.reduction {
                Reduction::Sum => sum(row),
                Reduction::Mean => sum(row) / row.len() as f32,
                Reduction::Product => fold(row, 1.0, |a, b| a * b),
                Reduction::Max => max(row),
                Reduction::Min => fold(row, f32::INFINITY, |a, b| if b < a { b } else { a }),
            });
        }
    }
}

/// 16 partial results, joined as a tree.
#[inline(always)]
fn fold(row: &[f32], first: f32, f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut parts = [first; PARTS];
    let (whole, rest) = row.as_chunks::<PARTS>();
    for values in whole {
        for i in 0..PARTS {
            parts[i] = f(parts[i], values[i]);
        }
    }
    for (part, value) in parts.iter_mut().zip(rest) {
        *part = f(*part, *value);
    }
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            parts[i] = f(parts[i], parts[i + half]);
        }
    }
    parts[0]
}

#[inline(always)]
fn sum(row: &[f32]) -> f32 {
    fold(row, 0.0, |a, b| a + b)
}

#[inline(always)]
fn max(row: &[f32]) -> f32 {
    fold(row, f32::NEG_INFINITY, |a, b| if b > a { b } else { a })
}

/// Replaces every row of `k` values by its softmax: `e = exp(x - max)`, each over the sum of all, one FP32 division.
///
/// Where `masked`, a row of nothing but negative infinities gives zeros; else it gives NaN.
pub fn softmax(x: &mut [f32], k: usize, masked: bool) {
    in_rows(x, k, |x| run(Level::detect(), Softmax { x, k, masked }));
}

/// Some rows on their way to [`softmax`].
struct Softmax<'a> {
    x: &'a mut [f32],
    k: usize,
    masked: bool,
}

impl Task for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for row in self.x.chunks_exact_mut(self.k.max(1)) {
            let (mut largest, mut least) = (max(row), 0.0);
            if self.masked {
                (largest, least) = (largest.max(f32::MIN), f32::MIN_POSITIVE);
            }
            for x in row.iter_mut() {
                *x = exp(f64::from(*x - largest)) as f32;
            }
            let total = sum(row);
            let total = if total < least { least } else { total };
            for x in row.iter_mut() {
                *x = canonical(*x / total);
            }
        }
    }
}

/// Replaces every row by `(x - mean) * inverse * gamma + beta`, left to right, where `inverse = 1 / sqrt(mean((x - mean)^2) + epsilon)`.
///
/// `gamma` and `beta` have the length of a row.
pub fn layer_norm(x: &mut [f32], gamma: &[f32], beta: Option<&[f32]>, epsilon: f32) {
    in_rows(x, gamma.len(), |x| run(Level::detect(), LayerNorm { x, gamma, beta, epsilon }));
}

/// Some rows on their way to [`layer_norm`].
struct LayerNorm<'a> {
    x: &'a mut [f32],
    gamma: &'a [f32],
    beta: Option<&'a [f32]>,
    epsilon: f32,
}

impl Task for LayerNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let (k, gamma) = (self.gamma.len().max(1), self.gamma);
        let mut squares = vec![0.0; k];
        for row in self.x.chunks_exact_mut(k) {
            let mean = sum(row) / k as f32;
            for (x, square) in row.iter_mut().zip(&mut squares) {
                *x -= mean;
                *square = *x * *x;
            }
            let inverse = 1.0 / (sum(&squares) / k as f32 + self.epsilon).sqrt();
            for (x, gamma) in row.iter_mut().zip(gamma) {
                *x = *x * inverse * gamma;
            }
            for (x, beta) in row.iter_mut().zip(self.beta.unwrap_or_default()) {
                *x += beta;
            }
            row.iter_mut().for_each(|x| *x = canonical(*x));
        }
    }
}
