//! Damaged and wrong files: one typed error, never a panic.

mod container;
mod folder;
mod mutation;
mod torch;
mod vision;

use libtest_mimic::Trial;

/// Every case of this file's modules.
pub fn cases() -> Vec<Trial> {
    [container::cases(), folder::cases(), mutation::cases(), torch::cases(), vision::cases()]
        .into_iter()
        .flatten()
        .collect()
}
