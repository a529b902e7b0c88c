//! Which layers of a model are emulated, and how.

use std::fmt;
use std::sync::Arc;

use super::{EmuLinear, Emulation};
use crate::Error;
use crate::burn::Role;
use crate::plan::Plan;

/// What a layer's emulation becomes once its weights are known.
type Finish = dyn Fn(Emulation, &EmuLinear) -> Result<Emulation, Error> + Send + Sync;

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

    /// As `plan` says for models of `architecture`; `finish` may add rounded gradients or a frozen mask to a layer's emulation.
    pub fn new(
        plan: Plan,
        architecture: &str,
        finish: impl Fn(Emulation, &EmuLinear) -> Result<Emulation, Error> + Send + Sync + 'static,
    ) -> Self {
        Self(Some(Arc::new(Chosen { plan, architecture: architecture.to_owned(), finish: Box::new(finish) })))
    }

    /// The layer whose parameter is called `parameter` (without `.weight`), emulated where the plan covers it.
    ///
    /// # Errors
    /// The layer cannot be stored or multiplied as configured.
    pub(crate) fn layer(&self, parameter: &str, layer: EmuLinear) -> Result<EmuLinear, Error> {
        let Some(chosen) = &self.0 else { return Ok(layer) };
        let name = ["model.", "transformer."].iter().find_map(|root| parameter.strip_prefix(root)).unwrap_or(parameter);
        let Some(config) = chosen.plan.config_of(&chosen.architecture, name, Role::Weight) else { return Ok(layer) };
        let emulation = (chosen.finish)(Emulation::new(name, config)?, &layer)?;
        layer.emulated(Some(emulation))
    }
}
