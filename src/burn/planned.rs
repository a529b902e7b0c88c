//! What a plan makes of a product: its configuration, and the one choice of what runs it.

use crate::Error;
use crate::burn::backend::Backend;
use crate::burn::host::Host;
use crate::burn::product::Product;
use crate::burn::unit::at;
use crate::hw::cost::Run;
use crate::plan::{LayerConfig, Plan};

/// What a plan makes of a product.
pub(crate) struct Planned {
    /// Its configuration; `None` leaves it to the host.
    pub(crate) config: Option<LayerConfig>,
    /// What runs it.
    pub(crate) run: Run,
}

impl Planned {
    /// # Errors
    /// [`Error::Layer`]: the machine has nothing for the formats.
    pub(crate) fn new(plan: &Plan, architecture: &str, product: &Product, backend: Backend) -> Result<Self, Error> {
        let config = plan.config(architecture, product);
        let run = plan.run(product, config.as_ref(), is_fixed(backend)).map_err(|e| at(product, e))?;
        Ok(Self { config, run })
    }
}

/// Whether what the host multiplies has the law of the datapath `fp32`.
pub(crate) fn is_fixed(backend: Backend) -> bool {
    backend == Backend::Flex(Host::Fixed)
}
