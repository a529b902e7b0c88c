//! The plug into Burn: capture, replay, names, and products through modelled units.

mod backends;
mod correction;
#[cfg(feature = "wgpu")]
mod gpu;
pub mod host;
mod machines;
pub mod modules;
mod plans;
mod quantized;
mod replay;
mod sessions;
mod units;
mod vision;
mod zoo;

use libtest_mimic::Trial;

/// Every case of this file's modules.
pub fn cases() -> Vec<Trial> {
    let plain =
        [replay::cases(), units::cases(), plans::cases(), sessions::cases(), quantized::cases(), correction::cases()];
    let cases = plain
        .into_iter()
        .chain([host::cases(), machines::cases(), vision::cases(), zoo::cases(), backends::cases()])
        .flatten();
    #[cfg(feature = "wgpu")]
    let cases = cases.chain(gpu::cases());
    cases.collect()
}
