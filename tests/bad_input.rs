//! Damaged and wrong files: one typed error, never a panic.

mod container;
mod folder;
mod mutation;
mod tokenizer;
pub mod torch;
mod vision;
mod vocabulary;
mod zoo;

use libtest_mimic::Trial;

pub use container::Builder;

/// Every case of this file's modules.
pub fn cases() -> Vec<Trial> {
    let weights = [container::cases(), folder::cases(), mutation::cases(), torch::cases()];
    let models = [tokenizer::cases(), vision::cases(), vocabulary::cases(), zoo::cases()];
    weights.into_iter().chain(models).flatten().collect()
}
