//! All tests of the crate in one binary; see `support` for how recorded files are found.

#![allow(clippy::disallowed_methods, reason = "what a test expects may come from the system")]

mod criteria;
mod determinism;
mod laws;
mod learn;
mod lowrank;
mod permute;
mod quantize;
mod recipe;
mod solve;
mod solve_laws;
mod support;
mod theory;
mod theory_layers;

fn main() {
    let arguments = libtest_mimic::Arguments::from_args();
    let trials = [
        criteria::trials(),
        determinism::trials(),
        laws::trials(),
        learn::trials(),
        lowrank::trials(),
        permute::trials(),
        quantize::trials(),
        recipe::trials(),
        solve::trials(),
        solve_laws::trials(),
        theory::trials(),
        theory_layers::trials(),
    ];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit();
}
