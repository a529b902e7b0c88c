//! Evaluation: scores and losses against slow, direct computations on the embedded model; images against PyTorch's.

mod images;
mod language;

use libtest_mimic::Trial;

/// Every case of this file's modules.
pub fn cases() -> Vec<Trial> {
    [language::cases(), images::cases()].into_iter().flatten().collect()
}
