//! Pipelines: what is done to a weight matrix, step by step.
//!
//! The order is the order of the list. Each prune step scores the values as they are at that moment; a quantise step
//! computes scales from the values as they are at that moment; a prune step after it keeps the scales and zeroes codes.

use crate::{Error, Footprint, Format, Mask, Pattern, Quantized};
use std::{fmt, str::FromStr};

/// One step.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Step {
    /// Prune by magnitude.
    Prune(Pattern),
    /// Round to a format.
    Quantize(&'static Format),
}

/// Which of sparsification and quantisation comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// Sparsify, then quantise: scales come from the survivors.
    Sq,
    /// Quantise, then sparsify: scales come from all weights, and scores from rounded ones.
    Qs,
    /// At most one of the two happens.
    None,
}

impl FromStr for Order {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text.trim().to_ascii_lowercase().as_str() {
            "sq" => Ok(Self::Sq),
            "qs" => Ok(Self::Qs),
            "none" => Ok(Self::None),
            _ => Err(Error::UnknownOrder(text.to_owned())),
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Sq => "sq",
            Self::Qs => "qs",
            Self::None => "none",
        })
    }
}

/// A list of steps of any length.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pipeline {
    /// What is done, first to last.
    pub steps: Vec<Step>,
}

/// What a pipeline leaves in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// The FP32 values [rows, k] that the stored form stands for.
    pub values: Vec<f32>,
    /// The stored form; `None` while the values are plain FP32.
    pub quantized: Option<Quantized>,
    /// The mask of the last prune step; `None` for dense.
    pub mask: Option<Mask>,
    k: usize,
}

impl Pipeline {
    /// The pipeline that one cell of an order table stands for: steps that change nothing are left out.
    ///
    /// # Errors
    /// [`Error::OrderNeeded`] where both steps change something and `order` is [`Order::None`].
    pub fn ordered(order: Order, pattern: Pattern, format: &'static Format) -> Result<Self, Error> {
        let prune = (pattern != Pattern::Dense).then_some(Step::Prune(pattern));
        let quantize = (!format.is_exact()).then_some(Step::Quantize(format));
        let steps = match order {
            Order::Sq => [prune, quantize],
            Order::Qs => [quantize, prune],
            Order::None if prune.is_some() && quantize.is_some() => {
                return Err(Error::OrderNeeded { pattern: pattern.to_string(), format: format.name });
            }
            Order::None => [prune, quantize],
        };
        Ok(Self { steps: steps.into_iter().flatten().collect() })
    }

    /// Applies the steps to a row-major matrix with rows of `k`.
    ///
    /// # Errors
    /// A NaN or an infinity, a length that `k` does not divide, a matrix that is not whole groups of pairs or whole tiles.
    pub fn apply(&self, w: &[f32], k: usize) -> Result<Stored, Error> {
        crate::error::rows_of(w.len(), k)?;
        let mut stored = Stored { values: w.to_vec(), quantized: None, mask: None, k };
        for step in &self.steps {
            match *step {
                Step::Prune(pattern) => stored.prune(pattern)?,
                Step::Quantize(format) => stored.quantize(format)?,
            }
        }
        Ok(stored)
    }
}

impl Stored {
    fn prune(&mut self, pattern: Pattern) -> Result<(), Error> {
        let mask = pattern.magnitude_mask(&self.values, self.k)?;
        mask.apply(&mut self.values)?;
        if let Some(quantized) = &mut self.quantized {
            quantized.apply_mask(&mask)?;
        }
        self.mask = (pattern != Pattern::Dense).then_some(mask).or(self.mask.take());
        Ok(())
    }

    fn quantize(&mut self, format: &'static Format) -> Result<(), Error> {
        if format.is_exact() {
            self.quantized = None;
            return Ok(());
        }
        let quantized = format.quantize(&self.values, self.k)?;
        self.values = quantized.dequantize();
        self.quantized = Some(quantized);
        Ok(())
    }

    /// The format in which the matrix is stored.
    pub fn format(&self) -> &'static Format {
        self.quantized.as_ref().map_or(Format::fp32(), Quantized::format)
    }

    /// Bits that the matrix takes.
    pub fn footprint(&self) -> Footprint {
        let rows = self.values.len() / self.k.max(1);
        self.format().footprint(rows, self.k, self.mask.as_ref())
    }
}
