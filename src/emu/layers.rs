//! Which layers of a model are emulated, and how.

use std::fmt;
use std::sync::Arc;

use burn::tensor::Tensor;

use super::patches::columns;
use super::{EmuLinear, Emulation};
use crate::Error;
use crate::burn::Role;
use crate::plan::Plan;

/// What a layer's emulation becomes once its weights are known.
type Finish = dyn Fn(Emulation, &Tensor<2>) -> Result<Emulation, Error> + Send + Sync;

/// Which layers of a model are emulated, and how: what the zoo's constructors ask, layer by layer.
#[derive(Clone, Default)]
pub struct Layers(Option<Arc<Chosen>>);

struct Chosen {
    plan: Plan,
    architecture: String,
    finish: Box<Finish>,
}

impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_tuple("Layers").field(&self.0.as_ref().map(|chosen| &chosen.plan)).finish()
    }
}

impl Layers {
    /// Burn multiplies everywhere.
    pub const fn plain() -> Self {
        Self(None)
    }

    /// As `plan` says for models of `architecture`; `finish` may add rounded gradients or a frozen mask to the emulation
    /// of a layer with weights `[k, n]`.
    pub fn new(
        plan: Plan,
        architecture: &str,
        finish: impl Fn(Emulation, &Tensor<2>) -> Result<Emulation, Error> + Send + Sync + 'static,
    ) -> Self {
        Self(Some(Arc::new(Chosen { plan, architecture: architecture.to_owned(), finish: Box::new(finish) })))
    }

    /// The layer whose parameter is called `parameter` (without `.weight`), emulated where the plan covers it.
    ///
    /// # Errors
    /// The layer cannot be stored or multiplied as configured.
    pub(crate) fn linear(&self, parameter: &str, layer: EmuLinear) -> Result<EmuLinear, Error> {
        let weight = layer.weight.val();
        layer.emulated(self.emulation(parameter, &weight, None)?)
    }

    /// The same for [`patches`](super::patches) under a `kernel` `[n, C, p, q]`.
    ///
    /// # Errors
    /// Those of [`Layers::linear`].
    pub(crate) fn patches(&self, parameter: &str, kernel: &Tensor<4>) -> Result<Option<Emulation>, Error> {
        let [_, channels, ..] = kernel.dims();
        let weight = columns(kernel.clone());
        let emulation = self.emulation(parameter, &weight, Some(channels))?;
        emulation.as_ref().map_or(Ok(()), |emulation| emulation.check(&weight))?;
        Ok(emulation)
    }

    fn emulation(&self, parameter: &str, w: &Tensor<2>, run: Option<usize>) -> Result<Option<Emulation>, Error> {
        let Some(chosen) = &self.0 else { return Ok(None) };
        let name = ["model.", "transformer."].iter().find_map(|root| parameter.strip_prefix(root)).unwrap_or(parameter);
        let Some(config) = chosen.plan.config_of(&chosen.architecture, name, Role::Weight) else { return Ok(None) };
        let emulation = Emulation::new(name, config)?;
        let emulation = run.map_or(emulation.clone(), |run| emulation.in_runs(run));
        (chosen.finish)(emulation, w).map(Some)
    }
}
