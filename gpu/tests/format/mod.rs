//! The rules of formats against `interplay-formats`.

mod scalars;

use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    scalars::trials()
}
