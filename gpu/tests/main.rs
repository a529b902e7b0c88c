//! Kernels and their rules against the CPU.
#![allow(clippy::disallowed_methods, reason = "what a test expects may come from the system")]

use libtest_mimic::Arguments;

mod bits;
mod device;
mod fdpa;
mod format;
mod product;

fn main() {
    let trials = [bits::trials(), device::trials(), fdpa::trials(), format::trials(), product::trials()];
    libtest_mimic::run(&Arguments::from_args(), trials.into_iter().flatten().collect()).exit();
}
