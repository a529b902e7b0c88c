//! Kernels and their rules against the CPU.
use libtest_mimic::Arguments;

mod fdpa;

fn main() {
    libtest_mimic::run(&Arguments::from_args(), fdpa::trials()).exit();
}
