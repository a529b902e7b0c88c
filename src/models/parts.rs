//! Burn modules filled from checkpoint tensors, and the small tensor helpers that the architectures share.
//!
//! A checkpoint keeps a linear layer as `[out, in]` (GPT-2's alone as `[in, out]`), Burn as `[in, out]`: the transposition happens
//! here and nowhere else.

use burn::module::Param;
use burn::nn::{Embedding, LayerNorm, LayerNormConfig, Linear};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::Weights;
use crate::Error;
use crate::burn::Activation;
use crate::emu::{EmuLinear, Layers};

/// Where tensors come from and where they go.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    /// The checkpoint.
    pub weights: &'a dyn Weights,
    /// The device that the parameters live on.
    pub device: &'a Device,
    /// Which linear layers are emulated.
    pub layers: &'a Layers,
}

/// Nothing is emulated.
static PLAIN: Layers = Layers::plain();

impl<'a> Source<'a> {
    /// Parameters from `weights` on `device`, for layers that Burn multiplies.
    pub fn new(weights: &'a dyn Weights, device: &'a Device) -> Self {
        Self { weights, device, layers: &PLAIN }
    }

    /// The same with the linear layers that `layers` says.
    pub fn emulating(self, layers: &'a Layers) -> Self {
        Self { layers, ..self }
    }

    /// The tensor `name` as a parameter of shape `shape`.
    pub fn param<const D: usize>(&self, name: &str, shape: [usize; D]) -> Result<Param<Tensor<D>>, Error> {
        Ok(Param::from_tensor(self.tensor(name, shape)?))
    }

    /// The tensor `name`.
    pub fn tensor<const D: usize>(&self, name: &str, shape: [usize; D]) -> Result<Tensor<D>, Error> {
        let values = self.weights.get(name, &shape)?;
        Ok(Tensor::from_data(TensorData::new(values, shape), self.device))
    }

    /// `{name}.weight` (and `{name}.bias` where `bias`) as a linear layer from `input` to `output` features.
    pub fn linear(&self, name: &str, input: usize, output: usize, bias: bool) -> Result<EmuLinear, Error> {
        // The checkpoint's order is let go before anything else is made.
        let weight = transposed(&self.weights.get(&format!("{name}.weight"), &[output, input])?, output, input);
        let bias = bias.then(|| self.param(&format!("{name}.bias"), [output])).transpose()?;
        self.layers.linear(name, Linear { weight: self.place(weight, [input, output]), bias }.into())
    }

    /// `{name}.weight` and `{name}.bias` as a linear layer whose weight is stored `[in, out]`, as GPT-2's are.
    pub fn conv1d(&self, name: &str, input: usize, output: usize) -> Result<EmuLinear, Error> {
        let weight = self.param(&format!("{name}.weight"), [input, output])?;
        let bias = Some(self.param(&format!("{name}.bias"), [output])?);
        self.layers.linear(name, Linear { weight, bias }.into())
    }

    /// `{name}.weight` and `{name}.bias` as a layer norm over `width` features.
    pub fn layer_norm(&self, name: &str, width: usize, epsilon: f64) -> Result<LayerNorm, Error> {
        let mut norm = LayerNormConfig::new(width).with_epsilon(epsilon).init(self.device);
        norm.gamma = self.param(&format!("{name}.weight"), [width])?;
        norm.beta = Some(self.param(&format!("{name}.bias"), [width])?);
        Ok(norm)
    }

    /// `{name}.weight` as a lookup table of `rows` vectors of `width` values.
    pub fn embedding(&self, name: &str, rows: usize, width: usize) -> Result<Embedding, Error> {
        Ok(Embedding { weight: self.param(&format!("{name}.weight"), [rows, width])? })
    }

    /// Row-major values as a parameter.
    pub fn place<const D: usize>(&self, values: Vec<f32>, shape: [usize; D]) -> Param<Tensor<D>> {
        Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), self.device))
    }
}

/// Rows and columns that are transposed together: the cache lines of both sides stay in use.
const TILE: usize = 32;

/// A row-major `[rows, columns]` matrix as `[columns, rows]`.
pub(crate) fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut out = vec![0.0; rows * columns];
    for top in (0..rows).step_by(TILE) {
        for left in (0..columns).step_by(TILE) {
            for row in top..rows.min(top + TILE) {
                for column in left..columns.min(left + TILE) {
                    out[column * rows + row] = values[row * columns + column];
                }
            }
        }
    }
    out
}

/// `[B, T, heads * width]` as `[B, heads, T, width]`.
pub(crate) fn split_heads(x: Tensor<3>, heads: usize) -> Tensor<4> {
    let [batch, positions, width] = x.dims();
    x.reshape([batch, positions, heads, width / heads]).swap_dims(1, 2)
}

/// Attention as two plain products, so that a datapath can be put under each: `softmax(q kᵀ + mask) v`, heads joined.
///
/// `q`, `k`, `v` are `[B, heads, T, width]`, `q` already scaled; `mask` is added to the scores; the result is
/// `[B, T, heads * width]`.
pub(crate) fn attend(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, mask: Option<Tensor<4>>) -> Tensor<3> {
    let [batch, heads, positions, width] = q.dims();
    let scores = q.matmul(k.swap_dims(2, 3));
    let scores = match mask {
        Some(mask) => scores + mask,
        None => scores,
    };
    softmax(scores, 3).matmul(v).swap_dims(1, 2).reshape([batch, positions, heads * width])
}

/// `[1, 1, T, T]`: 0 where a position may look, the lowest finite value where it may not. A position looks at itself and those
/// before it, at most `window` in all.
pub(crate) fn causal_mask(positions: usize, window: Option<usize>, device: &Device) -> Tensor<4> {
    let seen = |row: usize, column: usize| column <= row && window.is_none_or(|window| row - column < window);
    let values = (0..positions)
        .flat_map(|row| (0..positions).map(move |column| if seen(row, column) { 0.0 } else { f32::MIN }))
        .collect::<Vec<_>>();
    Tensor::from_data(TensorData::new(values, [1, 1, positions, positions]), device)
}

/// What is wrong with the epsilon of a norm, which `config.json` calls `key`.
pub(crate) fn wrong_epsilon(key: &str, value: f64) -> Option<String> {
    let fits = value > 0.0 && value.is_finite();
    (!fits).then(|| format!("{key} {value} must be above 0 and finite, such as 1e-5"))
}

/// Whether one image of `channels` x `side` x `side` values is of a size that is ever run (at most 1 GiB).
pub(crate) fn is_image(channels: usize, side: usize) -> bool {
    let values = [channels, side, side].iter().try_fold(1usize, |values, &n| values.checked_mul(n));
    values.is_some_and(|values| (1..=1 << 28).contains(&values))
}

/// The error for stage `index` of a model that has `stages`.
pub(crate) fn no_stage(index: usize, stages: usize) -> Error {
    Error::Invalid(format!("stage {index} of {stages}: give 0 to {}", stages.saturating_sub(1)))
}

/// The ids in an activation. A stage is only ever given what the stage before it makes.
pub(crate) fn ids(activation: Activation) -> Tensor<2, Int> {
    match activation {
        Activation::Ids(ids) => ids,
        other => unreachable!("a stage that reads token ids was given {other:?}"),
    }
}

/// The ids and segments in an activation.
pub(crate) fn text(activation: Activation) -> Tensor<3, Int> {
    match activation {
        Activation::Text(text) => text,
        other => unreachable!("a stage that reads text was given {other:?}"),
    }
}

/// The images in an activation.
pub(crate) fn images(activation: Activation) -> Tensor<4> {
    match activation {
        Activation::Images(images) => images,
        other => unreachable!("a stage that reads images was given {other:?}"),
    }
}

/// The sequence in an activation.
pub(crate) fn sequence(activation: Activation) -> Tensor<3> {
    match activation {
        Activation::Sequence(sequence) => sequence,
        other => unreachable!("a stage that reads sequences was given {other:?}"),
    }
}

/// The rows in an activation.
pub(crate) fn rows(activation: Activation) -> Tensor<2> {
    match activation {
        Activation::Rows(rows) => rows,
        other => unreachable!("a stage that reads rows was given {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::transposed;

    #[test]
    fn transposes_row_major() {
        assert_eq!(transposed(&[1., 2., 3., 4., 5., 6.], 2, 3), [1., 4., 2., 5., 3., 6.]);
    }
}
