//! Compression of models: blocks as objectives.

mod learned;
#[path = "../../compress/tests/learn/recorded.rs"]
mod recorded;

use libtest_mimic::Trial;

/// Every case of this file's modules.
pub fn cases() -> Vec<Trial> {
    learned::cases()
}
