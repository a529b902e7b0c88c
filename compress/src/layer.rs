//! One linear layer on its way through a pipeline.

use crate::Error;
use crate::dense::{self, Columns, View};
use crate::formats::{Footprint, Format, Mask, Pattern, Quantized};

/// A weight matrix `[rows, k]` (output by input) between the steps of a pipeline.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Length of a row: the layer's inputs.
    pub k: usize,
    /// The weights that the pipeline was given, after smoothing where a step smooths.
    pub original: Vec<f32>,
    /// The weights as they are.
    pub values: Vec<f32>,
    /// Their stored form; `None` where a step left the grid or none made one. Where it is there, it dequantises to `values`.
    pub quantized: Option<Quantized>,
    /// The positions that the last prune step kept; `None` for dense.
    pub mask: Option<Mask>,
    /// The order of the inputs in which the mask's groups are formed (`order[i]` is the input at place `i`); `None` for their own.
    pub order: Option<Vec<usize>>,
}

impl Layer {
    /// A dense layer in FP32.
    pub fn new(k: usize, values: Vec<f32>) -> Self {
        Self { k, original: values.clone(), values, quantized: None, mask: None, order: None }
    }

    /// Outputs.
    pub fn rows(&self) -> usize {
        self.values.len() / self.k.max(1)
    }

    /// The format in which the layer is stored.
    pub fn format(&self) -> &'static Format {
        self.quantized.as_ref().map_or(Format::fp32(), Quantized::format)
    }

    /// The pattern that the layer is stored in.
    pub fn pattern(&self) -> Pattern {
        self.mask.as_ref().map_or(Pattern::Dense, Mask::pattern)
    }

    /// The share of weights that are zero.
    pub fn sparsity(&self) -> f64 {
        self.values.iter().filter(|w| **w == 0.0).count() as f64 / self.values.len().max(1) as f64
    }

    /// Bits that the layer takes, without the order of its inputs.
    pub fn footprint(&self) -> Footprint {
        self.format().footprint(self.rows(), self.k, self.mask.as_ref())
    }

    /// Zeroes what `mask` prunes, codes included.
    ///
    /// # Errors
    /// The mask is another matrix's.
    pub fn apply_mask(&mut self, mask: Mask) -> Result<(), Error> {
        mask.apply(&mut self.values)?;
        if let Some(quantized) = &mut self.quantized {
            quantized.apply_mask(&mask)?;
        }
        self.mask = (mask.pattern() != Pattern::Dense).then_some(mask);
        Ok(())
    }

    /// Replaces the weights by others, which leave the grid.
    pub fn set_values(&mut self, values: Vec<f32>) {
        self.values = values;
        self.quantized = None;
    }

    /// Replaces the weights by a stored form.
    pub fn set_quantized(&mut self, quantized: Quantized) {
        self.values = quantized.dequantize();
        self.quantized = Some(quantized);
    }

    /// `||(W - W') X|| / ||W X||` for inputs of that Hessian: the root of tr(D H D^T) / tr(W H W^T).
    pub fn output_error(&self, hessian: &[f32]) -> f64 {
        output_error(&self.original, &self.values, self.k, hessian)
    }
}

/// `||(A - B) X|| / ||A X||` for inputs of that Hessian; 0 where both are zero.
pub fn output_error(a: &[f32], b: &[f32], k: usize, hessian: &[f32]) -> f64 {
    let difference: Vec<f32> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    let (error, all) = (energy(&difference, k, hessian), energy(a, k, hessian));
    // A Hessian rounded to FP32 may take a zero a little below zero.
    if error <= 0.0 { 0.0 } else { (error / all).sqrt() }
}

/// tr(D H D^T), the products in FP32 and their sum in FP64.
fn energy(d: &[f32], k: usize, hessian: &[f32]) -> f64 {
    let rows = d.len() / k.max(1);
    let products = dense::multiplied(View::new(d, rows, k, k), &Columns::new(View::new(hessian, k, k, k)));
    products.iter().zip(d).map(|(&e, &d)| f64::from(e) * f64::from(d)).sum()
}
