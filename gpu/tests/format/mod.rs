//! The rules and kernels of formats against `interplay-formats`.

mod device;
mod expected;
mod plain_device;
mod rules;
mod scalars;

use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    [scalars::trials(), rules::trials(), device::trials()].into_iter().flatten().collect()
}
