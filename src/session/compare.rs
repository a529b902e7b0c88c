//! How far each layer's output is from a reference execution's.

use std::collections::BTreeMap;

use super::Session;
use crate::Error;
use crate::burn::{Activation, Product};

/// The relative output error of one layer over all inputs.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerError {
    /// The layer's name; products of one name are taken together.
    pub layer: String,
    /// `||y - y_ref|| / ||y_ref||`, in `f64`; 0 where both are zero.
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
            let mut add = |product: &Product, y: &[f32]| sums.add(product, &outputs.next().unwrap_or_default(), y);
            let got = session.run_observed(stage, got, &mut add)?;
            streams = [want, got];
        }
    }
    Ok(sums.errors())
}

/// Squares summed by layer, in order of appearance.
#[derive(Default)]
struct Sums {
    index: BTreeMap<String, usize>,
    layers: Vec<(String, f64, f64)>,
}

impl Sums {
    fn add(&mut self, product: &Product, want: &[f32], got: &[f32]) {
        let next = self.layers.len();
        let i = *self.index.entry(product.name.clone()).or_insert(next);
        if i == next {
            self.layers.push((product.name.clone(), 0.0, 0.0));
        }
        let square = |x: f64| x * x;
        let (_, difference, magnitude) = &mut self.layers[i];
        *difference += want.iter().zip(got).map(|(&w, &g)| square(f64::from(g) - f64::from(w))).sum::<f64>();
        *magnitude += want.iter().map(|&w| square(f64::from(w))).sum::<f64>();
    }

    fn errors(self) -> Vec<LayerError> {
        let error =
            |difference: f64, magnitude: f64| if difference == 0.0 { 0.0 } else { (difference / magnitude).sqrt() };
        self.layers.into_iter().map(|(layer, d, m)| LayerError { layer, error: error(d, m) }).collect()
    }
}
