//! T-FDPA, ST-FDPA and GST-FDPA: rules on the host, kernels on the device, both against the CPU's interpreter.

mod device;
mod operands;
mod parts;
mod rules;
mod silicon;

use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    let mut all = rules::trials();
    all.extend(parts::trials());
    all.extend(silicon::trials());
    all.extend(device::trials());
    all
}
