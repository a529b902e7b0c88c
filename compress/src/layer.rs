//! One linear layer on its way through a pipeline.

use crate::formats::{Format, Mask, Quantized};

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
}

impl Layer {
    /// A dense layer in FP32.
    pub fn new(k: usize, values: Vec<f32>) -> Self {
        Self { k, original: values.clone(), values, quantized: None, mask: None }
    }

    /// Outputs.
    pub fn rows(&self) -> usize {
        self.values.len() / self.k.max(1)
    }

    /// The format in which the layer is stored.
    pub fn format(&self) -> &'static Format {
        self.quantized.as_ref().map_or(Format::fp32(), Quantized::format)
    }
}
