//! What evaluation asks of an execution, and how a batch of inputs goes through a model stage by stage.
//!
//! Inputs move through one stage together before the next stage is built, so only one stage's weights are alive. The residual
//! streams of a group of inputs wait between stages; groups are cut so that they stay small.

use burn::tensor::Tensor;

use crate::Error;
use crate::burn::{Activation, Stage};
use crate::models::Checkpoint;

/// Rows that go through the head at once: their logits are the largest activation of a language model.
const HEAD_ROWS: usize = 128;

/// Values of residual streams that may wait between two stages (64 MiB).
const WAITING_VALUES: usize = 16 << 20;

/// An execution of a model: Burn's own, or a session on modelled hardware.
pub trait Runner {
    /// The model.
    fn checkpoint(&self) -> &dyn Checkpoint;

    /// Makes stage `index` the current one and lets the former go.
    ///
    /// # Errors
    /// The stage cannot be built.
    fn enter(&mut self, index: usize) -> Result<(), Error>;

    /// Runs the current stage.
    ///
    /// # Errors
    /// No stage is current, or the execution refuses the values.
    fn forward(&mut self, input: Activation) -> Result<Activation, Error>;
}

/// Burn's own eager execution: the reference that every other is compared to.
pub struct Eager<'a> {
    checkpoint: &'a dyn Checkpoint,
    stage: Option<Box<dyn Stage>>,
}

impl<'a> Eager<'a> {
    /// Runs `checkpoint` eagerly.
    pub fn new(checkpoint: &'a dyn Checkpoint) -> Self {
        Self { checkpoint, stage: None }
    }
}

impl Runner for Eager<'_> {
    fn checkpoint(&self) -> &dyn Checkpoint {
        self.checkpoint
    }

    fn enter(&mut self, index: usize) -> Result<(), Error> {
        self.stage = None;
        self.stage = Some(self.checkpoint.stage(index)?);
        Ok(())
    }

    fn forward(&mut self, input: Activation) -> Result<Activation, Error> {
        let stage = self.stage.as_ref().ok_or_else(|| Error::Invalid("enter a stage before running it".into()))?;
        Ok(stage.forward(input))
    }
}

/// The logits of `inputs`, given to `row` one row at a time: the index of the input, the row in it, its logits.
///
/// A language model has a row a position, an image classifier one row an image, a sentence encoder one row a text.
///
/// # Errors
/// A stage cannot be built or run.
pub fn for_each_logits(
    runner: &mut dyn Runner,
    inputs: &[Activation],
    mut row: impl FnMut(usize, usize, &[f32]),
) -> Result<(), Error> {
    let head = runner.checkpoint().stages() - 1;
    let task = runner.checkpoint().task();
    let mut start = 0;
    while start < inputs.len() {
        let mut waiting = Vec::new();
        runner.enter(0)?;
        let mut values = 0;
        for input in &inputs[start..] {
            if values >= WAITING_VALUES {
                break;
            }
            let embedded = runner.forward(input.clone())?;
            values += embedded.shape().iter().product::<usize>();
            waiting.push(embedded);
        }
        for index in 1..head {
            runner.enter(index)?;
            for activation in &mut waiting {
                *activation = runner.forward(activation.clone())?;
            }
        }
        runner.enter(head)?;
        for (offset, activation) in waiting.iter().enumerate() {
            let rows = match task.head_input(activation.clone()) {
                Activation::Rows(rows) => rows,
                other => {
                    let problem = format!("the stage before the head gave {:?}, not rows or sequences", other.shape());
                    return Err(Error::Invalid(problem));
                }
            };
            head_in_chunks(runner, rows, |r, logits| row(start + offset, r, logits))?;
        }
        start += waiting.len();
    }
    Ok(())
}

/// Bytes of inputs and residual streams that are held while `inputs` inputs like this one go through [`for_each_logits`].
///
/// # Errors
/// The model does not take the input.
pub fn waiting_bytes(runner: &mut dyn Runner, input: &Activation, inputs: usize) -> Result<u64, Error> {
    runner.enter(0)?;
    let values = |activation: &Activation| activation.shape().iter().product::<usize>();
    let embedded = values(&runner.forward(input.clone())?);
    let waiting = embedded.saturating_mul(inputs).min(WAITING_VALUES.max(embedded));
    Ok(4 * (waiting + values(input).saturating_mul(inputs)) as u64)
}

fn head_in_chunks(runner: &mut dyn Runner, rows: Tensor<2>, mut row: impl FnMut(usize, &[f32])) -> Result<(), Error> {
    let [count, _] = rows.dims();
    for start in (0..count).step_by(HEAD_ROWS) {
        let chunk = rows.clone().narrow(0, start, HEAD_ROWS.min(count - start));
        let Activation::Rows(logits) = runner.forward(Activation::Rows(chunk))? else {
            return Err(Error::Invalid("the head did not give rows of logits".into()));
        };
        let [_, classes] = logits.dims();
        let logits = logits.into_data();
        let logits = logits.as_slice::<f32>().map_err(|e| Error::Invalid(format!("the logits are not f32: {e}")))?;
        for (offset, values) in logits.chunks_exact(classes).enumerate() {
            row(start + offset, values);
        }
    }
    Ok(())
}
