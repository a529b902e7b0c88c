//! The operands of a model's linear layers: its weights, and what the FP32 model feeds them.

use crate::Error;
use crate::burn::{Activation, Block, Host, Product};
use crate::models::Checkpoint;
use crate::plan::{LayerConfig, Plan, Preset};

/// A linear layer, with its inputs where the model ran.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Operands<'a> {
    /// The layer's name.
    pub layer: &'a str,
    /// Its place in depth: the stage it belongs to.
    pub stage: usize,
    /// Outputs.
    pub n: usize,
    /// Inputs.
    pub k: usize,
    /// Weights `[n, k]`.
    pub weights: &'a [f32],
    /// Inputs `[rows, k]` of one execution; empty where the model was not run.
    pub inputs: &'a [f32],
}

/// Shows the linear layers that `preset` covers, in order of execution. With an `input` the FP32 model runs on it, and the layers come
/// with what they read; without, they come with their weights alone. Convolutions are left out.
///
/// # Errors
/// A stage cannot be built or run, or what `visit` says.
pub fn operands(
    checkpoint: &dyn Checkpoint,
    preset: Preset,
    input: Option<Activation>,
    visit: &mut dyn FnMut(Operands<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let plan = Plan::new(preset, LayerConfig::fp32());
    let covers = |product: &Product| {
        let linear = product.count == 1 && product.run == product.k;
        linear && plan.config(checkpoint.architecture(), product).is_some()
    };
    let runs = input.is_some();
    let mut activation = input.unwrap_or_else(|| super::smallest(checkpoint.input()));
    for index in 0..checkpoint.stages() {
        if index + 1 == checkpoint.stages() {
            activation = checkpoint.task().head_input(activation);
        }
        let stage = checkpoint.stage(index)?;
        let block = Block::new(&*stage, &activation, Host::default(), covers)?;
        let weights = (0..block.linears().len()).map(|i| block.weight(i)).collect::<Result<Vec<_>, _>>()?;
        let mut show = |linear: usize, inputs: &[f32]| {
            let of = &block.linears()[linear];
            visit(Operands { layer: &of.name, stage: index, n: of.rows, k: of.k, weights: &weights[linear], inputs })
        };
        if runs {
            activation = block.run(activation, &mut |linear, inputs, _| show(linear, inputs))?;
        } else {
            (0..weights.len()).try_for_each(|linear| show(linear, &[]))?;
            activation = Activation::zeros(&block.output_shape())?;
        }
    }
    Ok(())
}
