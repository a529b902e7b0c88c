//! How one layer multiplies while it is trained.

use std::sync::{Arc, OnceLock};

use burn::backend::flex::{Flex, FlexTensor};
use burn::tensor::{Device, Tensor};

use crate::Error;
use crate::burn::emulator::{self, Emulator, Place};
use crate::formats::{Format, Input, Mask};
use crate::plan::LayerConfig;

/// How one layer multiplies while it is trained: formats, pattern, order, unit, and what happens to gradients.
///
/// A clone is the same emulation: both see the same [`Emulation::failure`].
#[derive(Debug, Clone)]
pub struct Emulation(Arc<Rules>);

#[derive(Debug, Clone)]
struct Rules {
    name: String,
    config: LayerConfig,
    run: Option<usize>,
    gradients: Option<&'static Format>,
    mask: Option<Mask>,
    failure: OnceLock<String>,
}

impl Emulation {
    /// The layer `name` under `config`: its weights go through the pipeline in every forward pass, so that a mask is chosen anew each
    /// time, and gradients stay FP32.
    ///
    /// # Errors
    /// Weights that the configuration itself gives: there is nothing to train. A low-rank correction, which is made once, of trained weights.
    pub fn new(name: impl Into<String>, config: LayerConfig) -> Result<Self, Error> {
        let name = name.into();
        if config.given.is_some() {
            return Err(Error::Invalid(format!(
                "`{name}` has weights of its own from a compression; to train it, give the steps that make them"
            )));
        }
        if config.correction.is_some_and(|correction| correction.rank > 0) {
            return Err(Error::Invalid(format!(
                "`{name}` has a low-rank correction, which is made of weights that stay; train without it and correct the result"
            )));
        }
        Ok(Self(Arc::new(Rules { name, config, run: None, gradients: None, mask: None, failure: OnceLock::new() })))
    }

    /// Rounds the gradient of the output to `format`, along its last dimension, before the two products of the backward pass.
    pub fn with_gradients(self, format: &'static Format) -> Self {
        self.with(|rules| rules.gradients = (!format.is_exact()).then_some(format))
    }

    /// Blocks restart after every `run` elements of a sum: a convolution's channels.
    pub fn in_runs(self, run: usize) -> Self {
        self.with(|rules| rules.run = Some(run))
    }

    /// Keeps the mask that the pipeline chooses for `w` `[k, n]`, whatever becomes of the weights.
    ///
    /// # Errors
    /// Those of [`Emulation::check`].
    pub fn frozen(self, w: &Tensor<2>) -> Result<Self, Error> {
        let mask = self.emulator(host(w)?)?.into_mask();
        Ok(self.with(|rules| rules.mask = mask))
    }

    /// Whether a layer with weights `w` `[k, n]` can be stored and multiplied so: both are done once, on an input of zeros.
    ///
    /// # Errors
    /// [`Error::Layer`]: weights that are not finite, a pattern that does not divide them, formats that the unit does not take, a
    /// sum longer than its accumulator holds.
    pub fn check(&self, w: &Tensor<2>) -> Result<(), Error> {
        let [k, _] = w.dims();
        let zeros = host(&Tensor::<2>::zeros([1, k], &Device::flex()))?;
        self.emulator(host(w)?)?.multiply(zeros).map(|_| ())
    }

    /// Why an output or a gradient became NaN: the first reason, with the layer's name.
    pub fn failure(&self) -> Option<&str> {
        self.0.failure.get().map(String::as_str)
    }

    /// The layer's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The configuration.
    pub fn config(&self) -> &LayerConfig {
        &self.0.config
    }

    /// The format of gradients in the backward pass; `None` for FP32.
    pub fn gradients(&self) -> Option<&'static Format> {
        self.0.gradients
    }

    /// The type to which outputs are rounded before and after a bias is added, if any.
    pub(crate) fn output(&self) -> Option<Input> {
        emulator::output(&self.0.config)
    }

    /// The layer with weights `w` `[k, n]`.
    pub(crate) fn emulator(&self, w: FlexTensor) -> Result<Emulator<'_>, Error> {
        Emulator::new(self.place(), &self.0.config, w, self.0.mask.as_ref())
    }

    /// `x` `[.., m, k]` as the forward pass sees it.
    pub(crate) fn rounded_input(&self, x: FlexTensor) -> Result<FlexTensor, Error> {
        emulator::rounded(self.place(), self.0.config.activations, x)
    }

    /// The gradient `g` `[.., m, n]` of an output as the backward pass uses it.
    pub(crate) fn rounded_gradient(&self, g: FlexTensor) -> Result<FlexTensor, Error> {
        match self.0.gradients {
            Some(format) => emulator::rounded(Place { run: None, ..self.place() }, format, g),
            None => Ok(g),
        }
    }

    fn place(&self) -> Place<'_> {
        Place { name: &self.0.name, run: self.0.run }
    }

    /// `tried`, or where it failed the reason for [`Emulation::failure`] and nothing.
    pub(crate) fn noted<T>(&self, tried: Result<T, Error>) -> Option<T> {
        tried.map_err(|error| self.0.failure.set(error.to_string())).ok()
    }

    fn with(mut self, change: impl FnOnce(&mut Rules)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

/// The values of a tensor of whatever device.
fn host(w: &Tensor<2>) -> Result<FlexTensor, Error> {
    let local = w.clone().without_autodiff().to_device(&Device::flex());
    local.try_into_primitive::<Flex>().map_err(|error| Error::Invalid(format!("{error:?}")))
}
