//! What convolutional networks share: convolutions without bias, batch normalisation at inference, global average pooling.

use burn::module::{Module, Param};
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::Tensor;

use super::parts::Source;
use crate::Error;

/// Facts of one square convolution without bias.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// Channels that go in.
    pub input: usize,
    /// Channels that come out.
    pub output: usize,
    /// Rows and columns of the kernel.
    pub kernel: usize,
    /// Rows and columns that one step moves.
    pub stride: usize,
    /// Groups of channels; each output channel sees those of its group.
    pub groups: usize,
    /// Whether zeros are shared out as TensorFlow does (the odd one below and right) instead of `kernel / 2` on every side.
    pub same: bool,
}

impl Shape {
    /// One group, `kernel / 2` zeros on every side.
    pub fn new(input: usize, output: usize, kernel: usize, stride: usize) -> Self {
        Self { input, output, kernel, stride, groups: 1, same: false }
    }
}

impl Source<'_> {
    /// `{name}.weight` as a convolution.
    pub fn convolution(&self, name: &str, shape: Shape) -> Result<Conv2d, Error> {
        let Shape { input, output, kernel, stride, groups, same } = shape;
        let weight = self.param(&format!("{name}.weight"), [output, input / groups, kernel, kernel])?;
        let half = kernel / 2;
        let padding = if same { PaddingConfig2d::Same } else { PaddingConfig2d::Explicit(half, half, half, half) };
        let config = Conv2dConfig::new([input, output], [kernel, kernel]).with_stride([stride, stride]);
        let config = config.with_groups(groups).with_padding(padding).with_bias(false);
        Ok(Conv2d { weight, ..config.init(self.device) })
    }

    /// `{name}.weight`, `.bias`, `.running_mean` and `.running_var` as the affine map that they are at inference.
    pub fn batch_norm(&self, name: &str, channels: usize, epsilon: f64) -> Result<Affine, Error> {
        let get = |part: &str| self.weights.get(&format!("{name}.{part}"), &[channels]);
        let (gamma, beta, mean, variance) = (get("weight")?, get("bias")?, get("running_mean")?, get("running_var")?);
        if let Some(at) = variance.iter().position(|&v| v < 0.0) {
            let problem =
                format!("tensor `{name}.running_var` holds {} at {at}; a variance is 0 or more", variance[at]);
            return Err(Error::Invalid(problem));
        }
        // In f64, so that the two numbers a channel are rounded once.
        let scale = |c: usize| f64::from(gamma[c]) / (f64::from(variance[c]) + epsilon).sqrt();
        let shift = |c: usize| f64::from(beta[c]) - f64::from(mean[c]) * scale(c);
        let place = |values: Vec<f32>| self.place(values, [1, channels, 1, 1]);
        Ok(Affine {
            weight: place((0..channels).map(|c| scale(c) as f32).collect()),
            bias: place((0..channels).map(|c| shift(c) as f32).collect()),
        })
    }
}

/// Batch normalisation with fixed statistics: a factor and a summand for each channel, both `[1, C, 1, 1]`.
#[derive(Module, Debug)]
pub struct Affine {
    weight: Param<Tensor<4>>,
    bias: Param<Tensor<4>>,
}

impl Affine {
    /// `[B, C, H, W]` to the same.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        x * self.weight.val() + self.bias.val()
    }
}

/// The mean of each channel: `[B, C, H, W]` to `[B, C]`.
pub(crate) fn pool(x: Tensor<4>) -> Tensor<2> {
    let x: Tensor<3> = x.flatten(2, 3);
    x.mean_dim(2).squeeze_dim(2)
}
