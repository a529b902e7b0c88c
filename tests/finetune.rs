//! Fine-tuning in small: recipes, bits that repeat on any threads and after any stop, a teacher, folders that are refused, losses that
//! diverge.

mod distill;
mod folder;
mod runs;
mod small;

use libtest_mimic::Trial;

/// Every case of this file's modules.
pub fn cases() -> Vec<Trial> {
    [runs::cases(), folder::cases(), distill::cases()].into_iter().flatten().collect()
}
