//! Damaged and wrong files: one typed error, never a panic.

mod container;
mod folder;
mod mutation;
mod vocabulary;
mod zoo;

use libtest_mimic::Trial;

pub use container::Builder;

/// Every case of this file's modules.
pub fn cases() -> Vec<Trial> {
    let modules = [container::cases(), folder::cases(), mutation::cases(), vocabulary::cases(), zoo::cases()];
    modules.into_iter().flatten().collect()
}
