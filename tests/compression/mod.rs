//! Compression of models: recorded pipelines, laws of runs and exports, blocks as objectives.

mod blocks;
mod e2e;
mod exports;
mod generated;
mod laws;
mod learned;
mod model;
#[path = "../../compress/tests/learn/recorded.rs"]
mod recorded;
mod refusals;

use libtest_mimic::Trial;

/// Every case of this file's modules.
pub fn cases() -> Vec<Trial> {
    let mut cases = blocks::cases();
    cases.extend(e2e::cases());
    cases.extend(exports::cases());
    cases.extend(laws::cases());
    cases.extend(learned::cases());
    cases.extend(refusals::cases());
    cases
}
