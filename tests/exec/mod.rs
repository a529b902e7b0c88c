//! The plug into Burn: capture, replay, names, and products through modelled units.

mod modules;
mod plans;
mod quantized;
mod replay;
mod sessions;
mod units;
mod vision;

use libtest_mimic::Trial;

/// Every case of this file's modules.
pub fn cases() -> Vec<Trial> {
    [replay::cases(), units::cases(), plans::cases(), sessions::cases(), quantized::cases(), vision::cases()]
        .into_iter()
        .flatten()
        .collect()
}
