//! A linear layer that may be emulated.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::Tensor;
use burn::tensor::module::linear;

use super::extension::Emulated;
use super::{Emulation, is_captured, matmul};
use crate::Error;

/// A linear layer `y = x w + b` that multiplies as an [`Emulation`] says; without one it is Burn's own [`Linear`] bit for bit.
///
/// To train a model of your own through a unit, give its layers this type. What is captured is Burn's own product in either case, so
/// that a plan decides how the trained model is evaluated.
#[derive(Module, Debug)]
pub struct EmuLinear {
    /// `[inputs, outputs]`, the dense weights that are trained.
    pub weight: Param<Tensor<2>>,
    /// `[outputs]`.
    pub bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    emulation: Option<Emulation>,
}

impl From<Linear> for EmuLinear {
    /// The same layer, not emulated.
    fn from(Linear { weight, bias }: Linear) -> Self {
        Self { weight, bias, emulation: None }
    }
}

impl EmuLinear {
    /// The same layer under `emulation`, or under none.
    ///
    /// # Errors
    /// Those of [`Emulation::check`].
    pub fn emulated(self, emulation: Option<Emulation>) -> Result<Self, Error> {
        if let Some(emulation) = &emulation {
            emulation.check(&self.weight.val())?;
        }
        Ok(Self { emulation, ..self })
    }

    /// How the layer multiplies; `None` where Burn does.
    pub fn emulation(&self) -> Option<&Emulation> {
        self.emulation.as_ref()
    }

    /// `[.., inputs]` to `[.., outputs]`.
    ///
    /// # Panics
    /// Where the last dimension of `x` is not `inputs`, as Burn's own layer.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let (weight, bias) = (self.weight.val(), self.bias.as_ref().map(Param::val));
        let Some(emulation) = self.emulation.as_ref().filter(|_| !is_captured(&x)) else {
            return linear(x, weight, bias);
        };
        with_bias(matmul(x, weight, emulation), bias, emulation)
    }
}

/// `y + bias`; a format with a type for outputs has it before and after the addition.
pub(super) fn with_bias<const D: usize>(y: Tensor<D>, bias: Option<Tensor<1>>, emulation: &Emulation) -> Tensor<D> {
    match bias {
        None => y,
        Some(bias) if emulation.output().is_some() => narrow(y + narrow(bias, emulation).unsqueeze(), emulation),
        Some(bias) => y + bias.unsqueeze(),
    }
}

/// `x` in the type of the outputs.
fn narrow<const D: usize>(x: Tensor<D>, emulation: &Emulation) -> Tensor<D> {
    Tensor::from_dispatch(burn::backend::Dispatch::emu_narrow(x.into_dispatch(), emulation.clone()))
}
