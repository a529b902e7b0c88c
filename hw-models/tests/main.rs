//! All tests of the crate in one binary; see `support` for how oracle files are found.
#![allow(clippy::disallowed_methods, reason = "what a test expects may come from the system")]

mod accelerators;
mod aligned;
mod aligned_reference;
mod big;
mod catalog;
mod conformance;
mod cycles;
mod declare;
mod errors;
mod evaluator;
mod explain;
mod fast;
mod host;
mod identify;
mod identify_words;
mod laws;
mod machines;
mod machines_map;
mod matmul;
mod mmasim;
mod packs;
mod prices;
mod reference;
mod rows;
mod scalesim;
mod silicon;
mod simulated;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod softfloat;
mod sparse;
mod support;
mod unit_laws;
mod verify;
mod verify_kernels;

fn main() {
    let arguments = libtest_mimic::Arguments::from_args();
    let trials = vec![
        accelerators::trials(),
        aligned::trials(),
        big::trials(),
        catalog::trials(),
        conformance::trials(),
        cycles::trials(),
        declare::trials(),
        errors::trials(),
        evaluator::trials(),
        explain::trials(),
        fast::trials(),
        host::trials(),
        identify::trials(),
        identify_words::trials(),
        laws::trials(),
        machines::trials(),
        machines_map::trials(),
        matmul::trials(),
        mmasim::trials(),
        packs::trials(),
        prices::trials(),
        scalesim::trials(),
        silicon::trials(),
        simulated::trials(),
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        softfloat::trials(),
        sparse::trials(),
        unit_laws::trials(),
        verify::trials(),
        verify_kernels::trials(),
    ];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit();
}
