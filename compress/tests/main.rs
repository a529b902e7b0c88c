//! All tests of the crate in one binary.

mod learn;
mod support;

fn main() {
    let arguments = libtest_mimic::Arguments::from_args();
    let trials = [learn::trials()];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit();
}
