//! Theorem 3.9: the error of a layer's products, split in four.
//!
//! With activations `x` that are quantised only, weights `w` that go through `c`, S→Q or Q→S, and
//! `eps^D_{f,g} = <x, w> - <f(x), g(w)>`, this is an identity:
//!
//! ```text
//! eps^D_{q,c} = eps^D_{q,q} + eps^D_{I,s} + <q(x), eps~_c(w)> - <eps_q(x), eps_s(w)>
//! eps~_c(w) = eps_c(w) - eps_q(w) - eps_s(w)
//! ```
//!
//! The theorem bounds the left side by the four magnitudes; the last two are what sparsity and quantisation add to each other.

use super::exact::integer;
use crate::Error;
use crate::dense::{self, Columns, Sign, View};
use interplay_formats::{Format, Order, Pattern};
use num_bigint::BigInt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// The four terms, in the order of [`Split`]'s lists: `eps^D_{q,q}`, `eps^D_{I,s}`, the correction, the cross term with its sign.
pub const TERMS: [&str; 4] = ["quantised", "sparse", "correction", "cross"];

/// Rows of weights that one task takes.
const TASK: usize = 32;

/// What a layer's operands become.
#[derive(Clone, Debug, PartialEq)]
pub struct Operands<'a> {
    /// Inputs of the layer.
    pub k: usize,
    /// Activations [rows, k].
    pub x: &'a [f32],
    /// Activations, quantised.
    pub quantized_x: Vec<f32>,
    /// Weights [n, k].
    pub w: &'a [f32],
    /// Weights, quantised.
    pub quantized: Vec<f32>,
    /// Weights, sparsified.
    pub sparse: Vec<f32>,
    /// Weights after both.
    pub both: Vec<f32>,
}

/// The error of a layer's products and its four terms, over all rows of activations and of weights. Means are over products.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Split {
    /// Products.
    pub products: u64,
    /// Mean square of `<x, w>`.
    pub reference: f64,
    /// Mean square of the error.
    pub error: f64,
    /// Mean magnitude of the error.
    pub magnitude: f64,
    /// Mean magnitude of each term.
    pub magnitudes: [f64; 4],
    /// Mean product of each two terms; the diagonal holds mean squares.
    pub gram: [[f64; 4]; 4],
    /// The largest distance of an error from the sum of its terms: what FP64 rounded.
    pub residual: f64,
}

impl Split {
    /// The mean square of a term as a share of those of all; 0 where all are zero.
    pub fn share(&self, term: usize) -> f64 {
        let all: f64 = (0..4).map(|i| self.gram[i][i]).sum();
        if all > 0.0 { self.gram[term][term] / all } else { 0.0 }
    }

    /// The cosine between two terms as vectors over all products; `None` where one is zero.
    pub fn cosine(&self, one: usize, other: usize) -> Option<f64> {
        let lengths = (self.gram[one][one] * self.gram[other][other]).sqrt();
        (lengths > 0.0).then(|| self.gram[one][other] / lengths)
    }

    /// The mean magnitude of the error as a share of the theorem's bound; 0 where that is zero.
    pub fn tightness(&self) -> f64 {
        let bound: f64 = self.magnitudes.iter().sum();
        if bound > 0.0 { self.magnitude / bound } else { 0.0 }
    }

    /// Sums of both.
    fn add(mut self, other: &Self) -> Self {
        let both = self.magnitudes.iter_mut().zip(other.magnitudes);
        both.for_each(|(a, b)| *a += b);
        let cells = self.gram.as_flattened_mut().iter_mut().zip(other.gram.as_flattened());
        cells.for_each(|(a, b)| *a += b);
        Self {
            products: self.products + other.products,
            reference: self.reference + other.reference,
            error: self.error + other.error,
            magnitude: self.magnitude + other.magnitude,
            residual: self.residual.max(other.residual),
            ..self
        }
    }

    /// Sums become means.
    fn mean(mut self) -> Self {
        let count = self.products.max(1) as f64;
        let sums = [&mut self.reference, &mut self.error, &mut self.magnitude];
        sums.into_iter().chain(&mut self.magnitudes).chain(self.gram.as_flattened_mut()).for_each(|sum| *sum /= count);
        self
    }
}

impl<'a> Operands<'a> {
    /// Quantises activations [rows, k], and weights [n, k] in both ways.
    ///
    /// # Errors
    /// [`Error::Invalid`] where no order is given, and those of the formats crate.
    pub fn new(
        (x, activations): (&'a [f32], &'static Format),
        (w, weights): (&'a [f32], &'static Format),
        k: usize,
        pattern: Pattern,
        order: Order,
    ) -> Result<Self, Error> {
        let quantize = |values: &[f32], format: &'static Format| -> Result<Vec<f32>, Error> {
            let mut values = values.to_vec();
            format.fake_quantize(&mut values, k)?;
            Ok(values)
        };
        let prune = |values: &[f32]| -> Result<Vec<f32>, Error> {
            let mut pruned = values.to_vec();
            pattern.magnitude_mask(values, k)?.apply(&mut pruned)?;
            Ok(pruned)
        };
        let (quantized, sparse) = (quantize(w, weights)?, prune(w)?);
        let both = match order {
            Order::Sq => quantize(&sparse, weights)?,
            Order::Qs => prune(&quantized)?,
            Order::None => {
                let problem = "the error of both steps needs an order; give sq or qs";
                return Err(Error::Invalid(problem.to_owned()));
            }
        };
        Ok(Self { k, x, quantized_x: quantize(x, activations)?, w, quantized, sparse, both })
    }

    /// Splits the error of every product of a row of activations and a row of weights, in FP64.
    pub fn split(&self) -> Split {
        let wide = |values: &[f32]| values.iter().map(|&v| f64::from(v)).collect::<Vec<f64>>();
        let (x, quantized) = (wide(self.x), wide(&self.quantized_x));
        let error: Vec<f64> = x.iter().zip(&quantized).map(|(x, q)| x - q).collect();
        let packed = |values: &[f64]| {
            let rows = values.len() / self.k.max(1);
            Columns::new(View::new(values, rows, self.k, self.k).transposed())
        };
        let inputs = Inputs { k: self.k, x: packed(&x), quantized: packed(&quantized), error: packed(&error) };
        let starts: Vec<usize> = (0..self.w.len()).step_by((TASK * self.k).max(1)).collect();
        let task = |&start: &usize| {
            let rows = start..self.w.len().min(start + TASK * self.k);
            let part = |values: &[f32]| wide(&values[rows.clone()]);
            inputs.split([self.w, &self.quantized, &self.sparse, &self.both].map(part))
        };
        // Sums of floats are taken in the order of the rows, whichever thread was first.
        let parts: Vec<Split> = starts.par_iter().map(task).collect();
        parts.iter().fold(Split::default(), Split::add).mean()
    }

    /// Whether the identity holds for one row of activations and one of weights: both sides as exact integers.
    pub fn holds_exactly(&self, row: usize, output: usize) -> bool {
        let (x, w) = (row * self.k..(row + 1) * self.k, output * self.k..(output + 1) * self.k);
        let places = x.zip(w);
        let sum = |term: &dyn Fn(usize, usize) -> BigInt| places.clone().map(|(i, j)| term(i, j)).sum::<BigInt>();
        let int = |v: f32| integer(v.into());
        let (x, qx) = (|i: usize| int(self.x[i]), |i: usize| int(self.quantized_x[i]));
        let (w, q) = (|j: usize| int(self.w[j]), |j: usize| int(self.quantized[j]));
        let (s, c) = (|j: usize| int(self.sparse[j]), |j: usize| int(self.both[j]));
        let error = sum(&|i, j| x(i) * w(j) - qx(i) * c(j));
        let quantised = sum(&|i, j| x(i) * w(j) - qx(i) * q(j));
        let sparse = sum(&|i, j| x(i) * w(j) - x(i) * s(j));
        let correction = sum(&|i, j| qx(i) * ((w(j) - c(j)) - (w(j) - q(j)) - (w(j) - s(j))));
        let cross = sum(&|i, j| (x(i) - qx(i)) * (w(j) - s(j)));
        error == quantised + sparse + correction - cross
    }
}

/// Activations in FP64, as right operands `[k, rows]`.
struct Inputs {
    k: usize,
    x: Columns<f64>,
    quantized: Columns<f64>,
    /// x - q(x).
    error: Columns<f64>,
}

impl Inputs {
    /// The sums for some rows of weights, of weights quantised, sparsified, and both. Small differences are multiplied, not products
    /// subtracted, so that no term drowns in the rounding of another.
    fn split(&self, [w, q, s, c]: [Vec<f64>; 4]) -> Split {
        let less = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<f64>>();
        let (to_q, to_s, to_c) = (less(&w, &q), less(&w, &s), less(&w, &c));
        let correction = less(&less(&to_c, &to_q), &to_s);
        let reference = self.product(&[(&self.x, &w)]);
        let error = self.product(&[(&self.x, &to_c), (&self.error, &c)]);
        let mut cross = self.product(&[(&self.error, &to_s)]);
        cross.iter_mut().for_each(|v| *v = -*v);
        let terms = [
            self.product(&[(&self.x, &to_q), (&self.error, &q)]),
            self.product(&[(&self.x, &to_s)]),
            self.product(&[(&self.quantized, &correction)]),
            cross,
        ];
        let mut split = Split { products: error.len() as u64, ..Split::default() };
        for (i, (error, reference)) in error.iter().zip(reference).enumerate() {
            let own = [terms[0][i], terms[1][i], terms[2][i], terms[3][i]];
            split.reference += reference * reference;
            split.error += error * error;
            split.magnitude += error.abs();
            split.residual = split.residual.max((error - own.iter().sum::<f64>()).abs());
            for (a, (term, row)) in own.iter().zip(&mut split.gram).enumerate() {
                split.magnitudes[a] += term.abs();
                row.iter_mut().zip(own).for_each(|(cell, other)| *cell += term * other);
            }
        }
        split
    }

    /// The sum of products [n, rows] of weights [n, k] and activations.
    fn product(&self, pairs: &[(&Columns<f64>, &[f64])]) -> Vec<f64> {
        let (rows, n) = (self.x.count(), pairs.first().map_or(0, |(_, w)| w.len() / self.k.max(1)));
        let mut out = vec![0.0; rows * n];
        for (x, w) in pairs {
            dense::add(&mut out, rows, Sign::Plus, View::new(w, n, self.k, self.k), x, 0);
        }
        out
    }
}
