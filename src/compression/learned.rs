//! A block of a model as the objective of learned sparsity, differentiated by Burn.
//!
//! Values are FP32, as the block computes them; the loss is summed in FP64. One sample, and one copy of the block's weights with its
//! derivatives, is in memory at a time.

use crate::Error;
use crate::burn::{Activation, Stage};
use crate::compress::learn::{Objective, Target};
use crate::models::transposed;

/// A block's input in calibration, and the values of the output that is wanted for it.
#[derive(Debug, Clone)]
pub struct Sample {
    /// What the block reads.
    pub input: Activation,
    /// What it should give, row-major, in the shape of its output.
    pub reference: Vec<f32>,
}

/// How wrong a block is with other weights in some of its layers.
///
/// `samples` gives a calibration sample by its index; it is asked again for each use, so that samples may come from a file.
pub struct BlockLoss<'a, F> {
    stage: &'a dyn Stage,
    layers: Vec<String>,
    count: usize,
    samples: F,
}

impl<'a, F: FnMut(usize) -> Result<Sample, Error>> BlockLoss<'a, F> {
    /// The block, the layers whose weights are given, by name under the block's prefix (`layers.0.mlp.up_proj`), and `count`
    /// samples.
    pub fn new(stage: &'a dyn Stage, layers: Vec<String>, count: usize, samples: F) -> Self {
        Self { stage, layers, count, samples }
    }

    /// The block with `weights`, each row-major as `[out, …]`, in its layers.
    ///
    /// # Errors
    /// A layer that the block does not have, or weights of another number than its.
    pub fn block(&self, weights: &[Vec<f32>]) -> Result<Box<dyn Stage>, Error> {
        if weights.len() != self.layers.len() {
            let (given, layers) = (weights.len(), self.layers.len());
            return Err(Error::Invalid(format!("{given} weights for {layers} layers of a block; give one for each")));
        }
        let mut missing = vec![true; self.layers.len()];
        let stage = self.stage.replaced(&mut |path, shape| {
            let Some(index) = self.index(path) else { return Ok(None) };
            let rows = &weights[index];
            if rows.len() != shape.iter().product::<usize>() {
                let (name, given) = (path.to_owned(), vec![rows.len()]);
                return Err(Error::Shape { name, given, expected: shape.to_vec() });
            }
            missing[index] = false;
            Ok(Some(stored(rows, shape)))
        })?;
        match missing.iter().position(|missing| *missing) {
            Some(index) => Err(Error::UnknownLayer { glob: self.layers[index].clone(), near: None }),
            None => Ok(stage),
        }
    }

    /// Which layer's weight has this path.
    fn index(&self, path: &str) -> Option<usize> {
        let layer = path.strip_suffix(".weight")?;
        self.layers.iter().position(|name| name == layer)
    }
}

impl<F: FnMut(usize) -> Result<Sample, Error>> Objective for BlockLoss<'_, F> {
    type Error = Error;

    fn samples(&self) -> usize {
        self.count
    }

    fn loss(&mut self, sample: usize, weights: &[Vec<f32>], target: Target) -> Result<f64, Error> {
        let Sample { input, reference } = (self.samples)(sample)?;
        let output = self.block(weights)?.forward(input);
        let channels = Channels::of(&output.shape());
        Ok(channels.compare(&output.into_values()?, &reference, target)?.0)
    }

    fn slope(&mut self, sample: usize, weights: &[Vec<f32>], target: Target) -> Result<(f64, Vec<Vec<f32>>), Error> {
        let Sample { input, reference } = (self.samples)(sample)?;
        let block = self.block(weights)?;
        let by = |path: &str| self.index(path).is_some();
        let (loss, derivatives) = block
            .differentiate(input, &by, &mut |values, shape| Channels::of(shape).compare(values, &reference, target))?;
        let mut gradients = vec![Vec::new(); self.layers.len()];
        for derivative in derivatives {
            if let Some(index) = self.index(&derivative.path) {
                gradients[index] = rows(&derivative.values, &derivative.shape);
            }
        }
        Ok((loss, gradients))
    }
}

/// A weight `[out, …]` as a module stores it: a linear's is `[in, out]`, a convolution's as it is.
fn stored(rows: &[f32], shape: &[usize]) -> Vec<f32> {
    match *shape {
        [input, output] => transposed(rows, output, input),
        _ => rows.to_vec(),
    }
}

/// The inverse of [`stored`].
fn rows(values: &[f32], shape: &[usize]) -> Vec<f32> {
    match *shape {
        [input, output] => transposed(values, input, output),
        _ => values.to_vec(),
    }
}

/// Which channel an element of an output belongs to: the last dimension's, of images the second's.
struct Channels {
    count: usize,
    /// Elements in a row that share a channel.
    run: usize,
}

impl Channels {
    fn of(shape: &[usize]) -> Self {
        match *shape {
            [_, count, height, width] => Self { count, run: height * width },
            _ => Self { count: shape.last().map_or(1, |count| *count), run: 1 },
        }
    }

    fn channel(&self, element: usize) -> usize {
        element / self.run.max(1) % self.count.max(1)
    }

    /// The loss that [`Objective`] describes and its derivative by each value of the output. A channel whose reference is all zero
    /// has no scale to be measured by and counts as it is.
    fn compare(&self, output: &[f32], reference: &[f32], target: Target) -> Result<(f64, Vec<f32>), Error> {
        if output.len() != reference.len() {
            let (given, expected) = (reference.len(), output.len());
            return Err(
                crate::compress::Error::Length { what: "the reference output of a block", given, expected }.into()
            );
        }
        let mut scales = vec![0.0; self.count];
        for (element, value) in reference.iter().enumerate() {
            scales[self.channel(element)] += f64::from(*value) * f64::from(*value);
        }
        for square in &mut scales {
            *square = if *square > 0.0 { *square } else { 1.0 } * self.count as f64;
        }
        let mut loss = 0.0;
        let mut derivative = Vec::with_capacity(output.len());
        for (element, (value, reference)) in output.iter().zip(reference).enumerate() {
            let aim = if target == Target::Reference { f64::from(*reference) } else { 0.0 };
            let (off, scale) = (f64::from(*value) - aim, scales[self.channel(element)]);
            loss += off * off / scale;
            derivative.push((2.0 * off / scale) as f32);
        }
        Ok((loss, derivative))
    }
}
