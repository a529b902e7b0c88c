//! How far each layer's output is from a reference execution's.

use std::collections::BTreeMap;

use super::Session;
use crate::Error;
use crate::burn::{Activation, Product};

/// The output error of one layer over all inputs.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerError {
    /// The layer's name; products of one name are taken together. `stream.N` is what stage N hands on.
    pub layer: String,
    /// The stage it belongs to.
    pub stage: usize,
    /// Whether this is what a stage hands on, not a product.
    pub is_stream: bool,
    /// `||y - y_ref||`, in `f64`.
    pub absolute: f64,
    /// `||y - y_ref|| / ||y_ref||`, in `f64`; 0 where both are equal.
    pub error: f64,
}

/// Runs `inputs` through both sessions, each on its own residual stream, so that errors accumulate as they do in use, and
/// compares the outputs of every product before the head, in execution order. Biases that the graph adds by themselves are not
/// part of an output.
///
/// # Errors
/// A stage of either session fails, or the two are not sessions of one model.
pub fn compare(
    reference: &mut Session,
    session: &mut Session,
    inputs: &[Activation],
) -> Result<Vec<LayerError>, Error> {
    let mut errors = propagation(reference, session, inputs)?;
    errors.retain(|error| !error.is_stream);
    Ok(errors)
}

/// [`compare`] with what every stage before the head hands on, each behind the stage's products.
///
/// # Errors
/// Those of [`compare`].
pub fn propagation(
    reference: &mut Session,
    session: &mut Session,
    inputs: &[Activation],
) -> Result<Vec<LayerError>, Error> {
    if reference.layer_names() != session.layer_names() {
        return Err(Error::Invalid("two sessions of different models cannot be compared".into()));
    }
    let mut sums = Sums::default();
    for input in inputs {
        let mut streams = [input.clone(), input.clone()];
        for stage in 0..reference.stages.len().saturating_sub(1) {
            let [want, got] = streams;
            let mut outputs = Vec::new();
            let want = reference.run_observed(stage, want, &mut |_, y| outputs.push(y.to_vec()))?;
            // Both run the same graph, so outputs come in the same order.
            let mut outputs = outputs.into_iter();
            let mut add = |product: &Product, y: &[f32]| {
                sums.add(&product.name, stage, false, &outputs.next().unwrap_or_default(), y)
            };
            let got = session.run_observed(stage, got, &mut add)?;
            sums.add(
                &format!("stream.{stage}"),
                stage,
                true,
                &want.clone().into_values()?,
                &got.clone().into_values()?,
            );
            streams = [want, got];
        }
    }
    Ok(sums.errors())
}

/// Squares summed by layer, in order of appearance.
#[derive(Default)]
struct Sums {
    index: BTreeMap<String, usize>,
    layers: Vec<Sum>,
}

struct Sum {
    layer: String,
    stage: usize,
    is_stream: bool,
    difference: f64,
    magnitude: f64,
}

impl Sums {
    fn add(&mut self, layer: &str, stage: usize, is_stream: bool, want: &[f32], got: &[f32]) {
        let next = self.layers.len();
        let i = *self.index.entry(layer.to_owned()).or_insert(next);
        if i == next {
            self.layers.push(Sum { layer: layer.to_owned(), stage, is_stream, difference: 0.0, magnitude: 0.0 });
        }
        let square = |x: f64| x * x;
        let sum = &mut self.layers[i];
        sum.difference += want.iter().zip(got).map(|(&w, &g)| square(f64::from(g) - f64::from(w))).sum::<f64>();
        sum.magnitude += want.iter().map(|&w| square(f64::from(w))).sum::<f64>();
    }

    fn errors(self) -> Vec<LayerError> {
        let error = |Sum { layer, stage, is_stream, difference, magnitude }| {
            let relative: f64 = if difference == 0.0 { 0.0 } else { f64::sqrt(difference / magnitude) };
            LayerError { layer, stage, is_stream, absolute: f64::sqrt(difference), error: relative }
        };
        self.layers.into_iter().map(error).collect()
    }
}
