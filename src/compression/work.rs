//! One block in the making: its layers between two steps, what was seen of their inputs, and the streams that pass through it.

use rayon::prelude::*;

use super::structure::{Feeder, Group};
use crate::Error;
use crate::burn::{Activation, Block};
use crate::compress::{Collector, Layer, Needs, Statistics, smooth};
use crate::formats::math;

/// What layers read of one sequence: which layer, its inputs.
type Inputs = Vec<(usize, Vec<f32>)>;

/// A block while its recipe runs.
pub(super) struct Work<'a> {
    /// The block as Burn runs it; its weights follow `layers` when somebody runs it.
    pub(super) block: Block,
    /// Its linear layers.
    pub(super) layers: Vec<Layer>,
    /// What was seen of each layer's inputs, the block being dense.
    pub(super) seen: Vec<Statistics>,
    /// The calibration inputs of the block.
    pub(super) inputs: &'a [Activation],
    /// What the dense block makes of the reference stream.
    pub(super) reference: Vec<Vec<f32>>,
    /// Vectors that a step changed: the end of their path in the block, their values.
    pub(super) vectors: Vec<(String, Vec<f32>)>,
    /// Whether a step rounded the layer's weights.
    pub(super) was_rounded: Vec<bool>,
    /// What feeds what.
    pub(super) groups: &'static [Group],
}

impl<'a> Work<'a> {
    /// A dense block: its layers, and the statistics of `watched`, the stream on which they are gathered.
    pub(super) fn new(
        block: Block,
        needs: Needs,
        watched: &[Activation],
        inputs: &'a [Activation],
        groups: &'static [Group],
    ) -> Result<Self, Error> {
        let linears = block.linears().to_vec();
        let layers = linears.iter().enumerate().map(|(i, linear)| Ok(Layer::new(linear.k, block.weight(i)?)));
        let layers = layers.collect::<Result<Vec<_>, Error>>()?;
        let mut work = Self {
            block,
            layers,
            seen: Vec::new(),
            inputs,
            reference: Vec::new(),
            vectors: Vec::new(),
            was_rounded: vec![false; linears.len()],
            groups,
        };
        let tokens = |input: &Activation| input.shape().iter().rev().skip(1).product::<usize>();
        let total = watched.iter().map(tokens).sum();
        let mut collectors: Vec<_> = linears.iter().map(|linear| Collector::new(linear.k, total, needs)).collect();
        // Sequences run side by side, and are summed up in their order.
        for some in watched.chunks(rayon::current_num_threads()) {
            let ran: Vec<(Inputs, Vec<f32>)> =
                some.par_iter().map(|input| work.watch(input)).collect::<Result<_, _>>()?;
            for (inputs, output) in ran {
                inputs.iter().try_for_each(|(linear, x)| collectors[*linear].add(x))?;
                work.reference.push(output);
            }
        }
        work.seen = collectors.into_iter().map(Collector::finish).collect();
        Ok(work)
    }

    /// What each layer reads of one sequence, and what the block makes of it.
    fn watch(&self, input: &Activation) -> Result<(Inputs, Vec<f32>), Error> {
        let mut inputs = Vec::new();
        let output = self.block.run(input.clone(), &mut |linear, x, _| {
            inputs.push((linear, x.to_vec()));
            Ok(())
        })?;
        Ok((inputs, values(output)?))
    }

    /// The reference outputs as the next block's dense stream.
    pub(super) fn reference_stream(&self) -> Result<Vec<Activation>, Error> {
        let shapes = self.inputs.iter().map(Activation::shape);
        self.reference.iter().zip(shapes).map(|(values, shape)| Activation::sequence(values, &shape)).collect()
    }

    /// Bytes of the block's weights (Burn's, the given and the present ones), of what was seen of its inputs, and of the streams
    /// before and behind it.
    pub(super) fn bytes(&self) -> u64 {
        let weights: usize = self.layers.iter().map(|layer| 4 * (layer.original.len() + 2 * layer.values.len())).sum();
        let seen: usize = self.seen.iter().map(Statistics::bytes).sum();
        let reference: usize = self.reference.iter().map(|values| 4 * values.len()).sum();
        (weights + seen + reference) as u64 + bytes_of(self.inputs)
    }

    /// Gives the block the layers' weights as they are.
    pub(super) fn load(&mut self) {
        for (i, layer) in self.layers.iter().enumerate() {
            self.block.set_weight(i, &layer.values);
        }
    }

    /// The block's outputs on its inputs, with the layers as they are.
    pub(super) fn outputs(&mut self) -> Result<Vec<Activation>, Error> {
        self.load();
        let inputs = self.inputs;
        inputs.par_iter().map(|input| self.block.run(input.clone(), &mut |_, _, _| Ok(()))).collect()
    }

    /// The mean squared difference of the block's outputs to the reference, over the first `count` sequences.
    pub(super) fn block_error(&mut self, count: usize) -> Result<f64, Error> {
        self.load();
        let pairs: Vec<_> = self.inputs.iter().zip(&self.reference).take(count).collect();
        let errors = pairs.par_iter().map(|(input, want)| {
            let got = values(self.block.run((*input).clone(), &mut |_, _, _| Ok(()))?)?;
            Ok(got.iter().zip(*want).map(|(&g, &w)| math::powi(f64::from(g) - f64::from(w), 2)).sum::<f64>())
        });
        let errors: Vec<f64> = errors.collect::<Result<_, Error>>()?;
        let (sum, n) = (errors.iter().sum::<f64>(), pairs.iter().map(|(_, want)| want.len()).sum::<usize>());
        Ok(sum / n.max(1) as f64)
    }

    /// The places of a group's layers; `None` where the block lacks one of them.
    pub(super) fn places(&self, group: &Group) -> Option<Vec<usize>> {
        group.linears.iter().map(|name| self.block.find(name)).collect()
    }

    /// Divides what makes a group's inputs by `scales`, multiplies the group's columns by them, and tells the statistics.
    ///
    /// # Errors
    /// The block has no such feeder, or it is of another size.
    pub(super) fn rescale(&mut self, group: &Group, scales: &[f32]) -> Result<(), Error> {
        match group.feeder {
            Feeder::Norm(name) => {
                self.divide_vector(&format!("{name}.gamma"), scales, true)?;
                self.divide_vector(&format!("{name}.beta"), scales, false)?;
            }
            Feeder::Linear(name) => {
                let feeder = self.block.find(name).ok_or_else(|| missing(name))?;
                let layer = &mut self.layers[feeder];
                if layer.rows() != scales.len() {
                    return Err(missing(name));
                }
                smooth::divide_rows(&mut layer.values, layer.k, scales)?;
                smooth::divide_rows(&mut layer.original, layer.k, scales)?;
                layer.quantized = None;
                self.divide_vector(&format!("{name}.bias"), scales, false)?;
            }
        }
        for place in self.places(group).unwrap_or_default() {
            let layer = &mut self.layers[place];
            smooth::multiply_columns(&mut layer.values, scales)?;
            smooth::multiply_columns(&mut layer.original, scales)?;
            layer.quantized = None;
            self.seen[place].divide(scales);
        }
        Ok(())
    }

    fn divide_vector(&mut self, suffix: &str, scales: &[f32], needed: bool) -> Result<(), Error> {
        let Some((name, mut values)) = self.block.vector(suffix) else {
            return if needed { Err(missing(suffix)) } else { Ok(()) };
        };
        if values.len() != scales.len() {
            return Err(missing(suffix));
        }
        smooth::divide(&mut values, scales)?;
        self.block.set_vector(suffix, &values);
        self.vectors.retain(|(known, _)| *known != name);
        self.vectors.push((name, values));
        Ok(())
    }
}

fn missing(name: &str) -> Error {
    Error::Invalid(format!("this architecture has no `{name}` of the size that the scales ask for"))
}

/// Bytes of activations in FP32.
pub(super) fn bytes_of(stream: &[Activation]) -> u64 {
    stream.iter().map(|one| 4 * one.shape().iter().product::<usize>() as u64).sum()
}

/// The values of an activation.
pub(super) fn values(activation: Activation) -> Result<Vec<f32>, Error> {
    activation.into_values()
}
