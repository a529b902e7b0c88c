//! How far each stage's output has drifted from a reference execution.

use super::runner::{Runner, sequence};
use super::stats::Estimate;
use crate::Error;
use crate::burn::Activation;

/// The relative output error of one stage.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerError {
    /// The stage's index: 0 the embeddings, then the blocks.
    pub stage: usize,
    /// `||y - y_ref|| / ||y_ref||` over the whole output, mean over inputs with its standard error.
    pub error: Estimate,
}

/// The error of every stage but the head, each fed with what its own execution gave before: errors accumulate as they do in use.
///
/// # Errors
/// A stage of either execution fails.
pub fn layer_errors(
    reference: &mut dyn Runner,
    runner: &mut dyn Runner,
    inputs: &[Activation],
) -> Result<Vec<LayerError>, Error> {
    let (mut want, mut got) = (inputs.to_vec(), inputs.to_vec());
    let mut errors = Vec::new();
    for stage in 0..reference.checkpoint().stages() - 1 {
        advance(reference, stage, &mut want)?;
        advance(runner, stage, &mut got)?;
        let samples = want.iter().zip(&got).map(|(want, got)| relative_error(want, got)).collect::<Result<Vec<_>, _>>()?;
        errors.push(LayerError { stage, error: Estimate::of(&samples) });
    }
    Ok(errors)
}

/// Takes each of `stream` through `stage`.
fn advance(runner: &mut dyn Runner, stage: usize, stream: &mut [Activation]) -> Result<(), Error> {
    runner.enter(stage)?;
    for activation in stream {
        *activation = runner.forward(activation.clone())?;
    }
    Ok(())
}

/// `||got - want|| / ||want||`, in `f64`; 0 where both are zero.
fn relative_error(want: &Activation, got: &Activation) -> Result<f64, Error> {
    let host = |activation: &Activation| {
        let data = sequence(activation)?.clone().into_data();
        data.try_to_vec::<f32>().map_err(|e| Error::Invalid(format!("an activation is not f32: {e}")))
    };
    let (want, got) = (host(want)?, host(got)?);
    let square = |x: f64| x * x;
    let difference: f64 = want.iter().zip(&got).map(|(&w, &g)| square(f64::from(g) - f64::from(w))).sum();
    let magnitude: f64 = want.iter().map(|&w| square(f64::from(w))).sum();
    Ok(if difference == 0.0 { 0.0 } else { (difference / magnitude).sqrt() })
}
