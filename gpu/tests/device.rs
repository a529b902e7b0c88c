//! Cases that need a device, and cases that do not.

use cubecl::Device;
use cubecl::prelude::*;
use libtest_mimic::{Failed, Trial};

/// A case on the host.
pub fn trial(name: &str, run: fn() -> Result<(), Failed>) -> Trial {
    Trial::test(name, run)
}

/// A case on the default device, ignored where there is none.
pub fn on_device(name: String, run: impl FnOnce(&Client) -> Result<(), Failed> + Send + 'static) -> Trial {
    Trial::test(name, move || run(&Device::Wgpu(Default::default()).client()))
}
