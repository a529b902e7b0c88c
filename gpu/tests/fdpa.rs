//! T-FDPA, ST-FDPA and GST-FDPA: rules on the host, kernels on the device, both against the CPU's interpreter.

mod operands;
mod rules;

use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    rules::trials()
}
